"""What a problem's traffic becomes: blocks, request classes, totals, and the load by the hour."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.plans.plain import clean
from milp_planner.reporting.text.records import table_lines
from milp_planner.reporting.text.wording import count, escape, fine_percent, number, plural
from milp_planner.traffic.curves import Curve
from milp_planner.traffic.digested import TraceDigest
from milp_planner.traffic.month import (
    Demand,
    Schedule,
    Totals,
    asked_totals,
    hours_per_month,
    make_curves,
    schedule_of,
    totals,
)
from milp_planner.units import HOURS_PER_DAY, SECONDS_PER_DAY, SECONDS_PER_HOUR, TOKENS_PER_MILLION

DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
IDLE_MARK = "."
HIGHEST_MARK = 9
TOTALS_TOLERANCE = 1e-9
UNITS = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}
SHA_DIGITS = 8
LEAST_ADDED = 5e-5  # what one decimal of a percentage can show

Row = Mapping[str, Any]


def traffic_dict(problem: Problem) -> dict[str, Any]:
    """Blocks, classes and totals of every workload as plain data; needs no catalog.

    Rates are requests/s, or tokens/s where `counts` says so. Raises InputError for what is wrong
    with a trace.
    """
    curves = make_curves(problem)
    schedule = schedule_of(curves, hours_per_month(problem))
    return clean(
        {
            "name": problem.name,
            "hours_per_month": hours_per_month(problem),
            "clock_hours": len(schedule.block_by_hour),
            "block_by_hour": [schedule.blocks[t].name for t in schedule.block_by_hour],
            "blocks": [
                {"name": block.name, "hours": block.hours, "clock": _clock(schedule, t)}
                for t, block in enumerate(schedule.blocks)
            ],
            "workloads": [
                _workload_dict(problem, schedule, w, curves[w.name]) for w in problem.workloads
            ],
        }
    )


def traffic_text(problem: Problem) -> str:
    """The same for people."""
    document = traffic_dict(problem)
    lines = [
        f"{escape(document['name'])}: {number(document['hours_per_month'])} hours per month in "
        f"{plural(len(document['blocks']), 'time block')}"
    ]
    for row in document["workloads"]:
        lines += ["", *_lines(document, row)]
    return "\n".join(lines) + "\n"


# Plain data


def _workload_dict(
    problem: Problem, schedule: Schedule, workload: Workload, curve: Curve
) -> dict[str, Any]:
    demand = schedule.demands[workload.name]
    found, asked = totals(schedule, workload.name), asked_totals(problem, curve)
    return {
        "name": workload.name,
        "llm": workload.llm_words,
        "kind": workload.traffic.kind,
        "growth": workload.traffic.growth,
        "counts": demand.unit.removesuffix("/s"),
        "highest_peak_per_second": demand.highest_peak,
        "mean_per_second": curve.per_second.requests,
        "blocks": [*_block_rows(schedule, demand)],
        "peak_hours_added": _peak_hours_added(schedule, demand, curve),
        "peak_per_second_by_hour": [demand.peak[t] for t in schedule.block_by_hour],
        "classes": [*_class_rows(demand)] if demand.sized else [],
        "per_month": _totals_dict(found, demand.sized),
        "asked_per_month": _totals_dict(asked, demand.sized),
        "totals_agree": found.difference(asked) <= TOTALS_TOLERANCE,
        "trace": None if curve.trace is None else _trace_dict(curve.trace),
    }


def _block_rows(schedule: Schedule, demand: Demand) -> Iterator[dict[str, Any]]:
    for t, block in enumerate(schedule.blocks):
        yield {
            "name": block.name,
            "hours": block.hours,
            "peak_per_second": demand.peak[t],
            "mean_per_second": demand.mean[t],
            "per_month": schedule.requests_per_month(demand.workload, t),
        }


def _class_rows(demand: Demand) -> Iterator[dict[str, Any]]:
    bins = None if demand.trace is None else demand.trace.bins or None
    for i, q in enumerate(demand.classes):
        row: dict[str, Any] = {
            "name": q.name,
            "input_tokens": q.input_tokens,
            "output_tokens": q.output_tokens,
            "share": q.share,
        }
        if bins is not None:
            row["requests"] = bins[i].requests
            row["shortest"] = dict(zip(("input", "output"), bins[i].shortest, strict=True))
            row["longest"] = dict(zip(("input", "output"), bins[i].longest, strict=True))
        yield row


def _totals_dict(volume: Totals, sized: bool) -> dict[str, float | None]:
    """Without request sizes only the sum of the tokens means anything."""
    return {
        "requests": volume.requests if sized else None,
        "input_tokens": volume.input_tokens if sized else None,
        "output_tokens": volume.output_tokens if sized else None,
        "tokens": volume.tokens,
    }


def _trace_dict(trace: TraceDigest) -> dict[str, Any]:
    return {
        "file": trace.file,
        "sha256": trace.sha256,
        "requests": trace.requests,
        "input_tokens": trace.input_tokens,
        "output_tokens": trace.output_tokens,
        "requests_without_input": trace.without_input,
        "requests_without_output": trace.without_output,
        "duration_s": trace.duration_s,
        "arrivals": "timestamps" if trace.has_timestamps else "seconds",
        "clock_hours": trace.clock,
        "percentile": trace.percentile,
        "form": trace.form,
        "bucket_s": trace.bucket_s,
        "unit": trace.unit,
        "requests_per_second": trace.requests / trace.duration_s,
        "prefix_cache_share": trace.cached_share,
        "doubts": list(trace.doubts),
    }


def _peak_hours_added(schedule: Schedule, demand: Demand, curve: Curve) -> float:
    """Share by which shared blocks raise peak rate × hours above the workload's own."""
    peaks = zip(schedule.blocks, demand.peak, strict=True)
    month = math.fsum(block.hours for block in schedule.blocks)
    own = math.fsum(load.share * load.peak for load in curve.loads)
    return max(0.0, math.fsum(block.hours * peak for block, peak in peaks) / month / own - 1)


def _clock(schedule: Schedule, t: int) -> str:
    """`09-17`, of a week `Mon Tue 09-17; Wed 09-12`: the hours of a block; '' without a clock."""
    hours = [hour for hour, block in enumerate(schedule.block_by_hour) if block == t]
    if len(schedule.block_by_hour) <= HOURS_PER_DAY:
        return ", ".join(_ranges(hours))
    days_by_ranges: dict[str, list[str]] = {}
    for day, members in groupby(hours, key=lambda hour: hour // HOURS_PER_DAY):
        ranges = ", ".join(_ranges([hour % HOURS_PER_DAY for hour in members]))
        days_by_ranges.setdefault(ranges, []).append(DAYS[day])
    return "; ".join(f"{' '.join(days)} {ranges}" for ranges, days in days_by_ranges.items())


def _ranges(hours: Sequence[int]) -> Iterator[str]:
    for _, run in groupby(enumerate(hours), key=lambda pair: pair[1] - pair[0]):
        members = [hour for _, hour in run]
        yield f"{members[0]:02d}-{members[-1] + 1:02d}"


# Text


def _lines(document: Row, row: Row) -> Iterator[str]:
    yield f"{escape(row['name'])}  {escape(row['llm'])}, {_origin(row)}"
    if row["trace"] is not None:
        yield f"  Read as {_reading(row['trace'])}"
        yield from (f"  Doubtful: {escape(said)}" for said in row["trace"]["doubts"])
    clocks = {block["name"]: block["clock"] for block in document["blocks"]}
    yield from table_lines([_short_block(row, block, clocks) for block in row["blocks"]])
    if row["peak_hours_added"] > LEAST_ADDED:
        yield f"  Shared blocks add {fine_percent(row['peak_hours_added'])} to peak rate x hours."
    if row["peak_per_second_by_hour"]:
        yield from _strip(row)
    if row["classes"]:
        yield "  Request classes"
        yield from table_lines([_short_class(q) for q in row["classes"]], indent="    ")
    yield f"  Per month: {_volume(row['per_month'])}, {_agreement(row)}"


def _origin(row: Row) -> str:
    """Where the load comes from: `profile x 1.5`, `trace conv.csv (sha 1a2b3c4d): ...`."""
    growth = "" if row["growth"] == 1 else f" x {row['growth']:g} (growth)"
    trace = row["trace"]
    if trace is None:
        return f"{row['kind']}{growth}"
    notes = [
        f"{plural(trace['requests'], 'request')} in {_time(trace['duration_s'])}",
        f"peaks at the {100 * trace['percentile']:g} % percentile of the {_whose(trace)} rates",
        _hours_of(trace),
    ]
    for part in ("input", "output"):
        if without := trace[f"requests_without_{part}"]:
            notes.append(f"{count(without)} without {part} tokens (kept)")
    sha = trace["sha256"][:SHA_DIGITS]
    return f"trace {escape(trace['file'])} (sha {sha}){growth}: {', '.join(notes)}"


def _reading(trace: Row) -> str:
    """`CSV of requests, arrivals in seconds: 5.5 requests/s, 1,155 + 211 tokens each`."""
    unit = "" if trace["unit"] is None else f", arrivals in {UNITS[trace['unit']]}"
    each = [trace[f"{part}_tokens"] / trace["requests"] for part in ("input", "output")]
    sizes = f", {each[0]:,.0f} + {each[1]:,.0f} tokens each" if any(each) else ", no tokens told"
    share = trace["prefix_cache_share"]
    cached = "" if share is None else f"; {fine_percent(share)} of the input is in a prefix cache"
    return f"{trace['form']}{unit}: {trace['requests_per_second']:.3g} requests/s{sizes}{cached}"


def _whose(trace: Row) -> str:
    """Whose rates a peak is a percentile of."""
    return "minute" if trace["bucket_s"] is None else "buckets'"


def _hours_of(trace: Row) -> str:
    if not trace["clock_hours"]:
        return "its hours repeated all month"
    clock = "day" if trace["clock_hours"] == HOURS_PER_DAY else "week"
    origin = "" if trace["arrivals"] == "timestamps" else ", second 0 taken for midnight"
    return f"by hour of the {clock}{origin}"


def _short_block(row: Row, block: Row, clocks: Mapping[str, str]) -> dict[str, Any]:
    unit = _unit(row)
    counted = "tokens" if row["counts"] == "tokens" else "requests"
    short = {
        "block": block["name"],
        "hours": block["hours"],
        f"peak {unit}": block["peak_per_second"],
        f"mean {unit}": block["mean_per_second"],
        f"{counted} per month": count(block["per_month"]),
    }
    return {**short, "clock": clocks[block["name"]]} if any(clocks.values()) else short


def _short_class(q: Row) -> dict[str, Any]:
    short = {
        "input": round(q["input_tokens"], 1),
        "output": round(q["output_tokens"], 1),
        "share": fine_percent(q["share"]),
    }
    if "requests" not in q:
        return short
    spans = {
        f"{part} from-to": f"{q['shortest'][part]}-{q['longest'][part]}"
        for part in ("input", "output")
    }
    return {**short, "requests": q["requests"], **spans}


def _strip(row: Row) -> Iterator[str]:
    """The peak of every hour as one digit, a line per day."""
    peaks, top = row["peak_per_second_by_hour"], row["highest_peak_per_second"]
    marks = "".join(_mark(peak / top) for peak in peaks)
    yield f"  Peak by hour: {HIGHEST_MARK} = {number(top)} {_unit(row)}, {IDLE_MARK} = none"
    days = [marks[i : i + HOURS_PER_DAY] for i in range(0, len(marks), HOURS_PER_DAY)]
    for day, hours in zip(DAYS if len(days) > 1 else ("",), days, strict=True):
        yield f"    {f'{day} 00'.strip()} {hours} 24"


def _mark(share: float) -> str:
    """A digit, rounded up, but 3.0000000001 is 3."""
    return str(math.ceil(HIGHEST_MARK * share - 1e-9)) if share else IDLE_MARK


def _volume(volume: Row) -> str:
    """`6,000,000 requests, 9,000 M input and 1,800 M output tokens`."""
    if volume["requests"] is None:
        return f"{_millions(volume['tokens'])} M tokens"
    return (
        f"{count(volume['requests'])} requests, {_millions(volume['input_tokens'])} M input and "
        f"{_millions(volume['output_tokens'])} M output tokens"
    )


def _agreement(row: Row) -> str:
    if row["totals_agree"]:
        return "as asked (to 1e-9)"
    return f"asked: {_volume(row['asked_per_month'])}"


def _millions(tokens: float) -> str:
    return number(tokens / TOKENS_PER_MILLION)


def _unit(row: Row) -> str:
    counted = str(row["counts"])
    return {"requests": "req/s", "tokens": "tokens/s"}.get(counted, counted)


def _time(seconds: float) -> str:
    if seconds < 2 * SECONDS_PER_HOUR:
        return f"{number(seconds / 60)} min"
    if seconds < 2 * SECONDS_PER_DAY:
        return f"{number(seconds / SECONDS_PER_HOUR)} h"
    return f"{number(seconds / SECONDS_PER_DAY)} days"
