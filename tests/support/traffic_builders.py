"""One-line inputs for the tests of traffic: workloads by kind, traces as files, faults as text."""

from __future__ import annotations

import pytest

from milp_planner import InputError, Problem
from milp_planner.traffic.month import asked_totals, make_curves, make_schedule, totals

DAY = [1] * 7 + [2, 4, 6, 8, 9, 10, 10, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]
EXACT = {"rel": 1e-9}

HEADER = "arrival_s,input_tokens,output_tokens"
AZURE_HEADER = "TIMESTAMP,ContextTokens,GeneratedTokens"


def workload(name="chat", requests=(1500, 300), **traffic):
    sized = {} if requests is None else {"requests": sizes(*requests)}
    return {"name": name, "llm": "tiny", "traffic": traffic, **sized}


def sizes(input_tokens, output_tokens):
    return {"input_tokens": input_tokens, "output_tokens": output_tokens}


def problem(*workloads, **fields):
    return Problem(workloads=workloads, **fields)


def profile(name="chat", requests_per_day=86_400, weights=DAY, **traffic):
    if "tokens_per_day" not in traffic:
        traffic["requests_per_day"] = requests_per_day
    return workload(name, kind="profile", weights=weights, **traffic)


def tokens(tokens_per_day, pattern="steady", name="chat", **kwargs):
    kind = {"kind": "tokens_per_day", "tokens_per_day": tokens_per_day, "pattern": pattern}
    return workload(name, **{"requests": None, **kind, **kwargs})


def trace(path, name="trace", **traffic):
    return workload(name, None, kind="trace", file=str(path), **traffic)


def write(folder, rows, header="arrival_s,input_tokens,output_tokens", name="trace.csv"):
    path = folder / name
    lines = [header, *(",".join(map(str, row)) for row in rows)]
    path.write_text("\n".join(lines) + "\n")
    return path


def hours(schedule):
    return {block.name: pytest.approx(block.hours, **EXACT) for block in schedule.blocks}


def difference(asked):
    """The largest relative difference between what the blocks say and what the input asked."""
    schedule, curves = make_schedule(asked), make_curves(asked)
    return max(
        totals(schedule, name).difference(asked_totals(asked, curve))
        for name, curve in curves.items()
    )


def faults(call, *arguments):
    with pytest.raises(InputError) as caught:
        call(*arguments)
    return [str(fault) for fault in caught.value.faults]


def refusal(**traffic):
    """What the record says of a `traffic:` that cannot be."""
    with pytest.raises(InputError) as caught:
        problem(workload(**traffic))
    return str(caught.value)
