"""Which engine a rate stands on, and what other engines were measured at."""

from __future__ import annotations

from typing import Any

import pytest

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.records import Plan
from milp_planner.questions.solve import solve
from milp_planner.reporting.text.plans.engines import engine_lines
from tests.support.serving.toys import catalog, measured

TUNED = {"tuning": "tuned", "kv_precision": "bf16"}


def plan(known: Catalog, **deployment: Any) -> Plan:
    """`toy` at 0.1 requests/s of 800/200 tokens, at most 8 in flight."""
    chat = {
        "name": "chat",
        "llm": "toy",
        "precision": ["bf16"],
        "tensor_parallel": [1],
        "traffic": {"kind": "requests_per_second", "requests_per_second": 0.1},
        "requests": {"input_tokens": 800, "output_tokens": 200},
        "deployment": {"max_sequences": 8, **deployment},
    }
    return solve(Problem(workloads=[chat], alternatives={"count": 0}), known)


def lines(found: Plan) -> list[str]:
    return list(engine_lines(list(found.purchases_of("chat"))))


def both_engines() -> Catalog:
    # 200 output tokens a request: 200 tok/s are 1 request/s, 260 are 1.3
    return catalog(
        measured(200, concurrency=8, engine="vllm", **TUNED),
        measured(260, concurrency=8, engine="sglang", **TUNED),
    )


def test_the_engine_of_the_rows_and_the_spread_of_all_are_said() -> None:
    found = plan(both_engines(), tuning="tuned")
    (point,) = found.purchases[0].candidate.points
    assert point.engine == "vllm"
    rates = [(one.engine, one.least_requests_per_second) for one in point.engines]
    assert rates == [("sglang", pytest.approx(1.3)), ("vllm", pytest.approx(1.0))]
    assert [row.engine for row in point.rows] == ["vllm"]
    assert lines(found) == [
        "box bf16 tp 1 at 800/200 tokens: rows of vllm; "
        "measured at 8 in flight: sglang 1.30, vllm 1.00 req/s, 1.30 × apart"
    ]


def test_beyond_what_two_engines_measured_the_nearest_number_is_compared() -> None:
    # vLLM's rows go on to 8 in flight, SGLang's end at 4: 130 tok/s beside 100 there
    known = catalog(
        measured(100, concurrency=4, engine="vllm", **TUNED),
        measured(200, concurrency=8, engine="vllm", **TUNED),
        measured(130, concurrency=4, engine="sglang", **TUNED),
    )
    (line,) = lines(plan(known, tuning="tuned"))
    assert line.endswith("measured at 4 in flight: sglang 0.650, vllm 0.500 req/s, 1.30 × apart")


def test_another_engine_asked_for_stands_on_its_own_rows() -> None:
    found = plan(both_engines(), engine="sglang", tuning="tuned")
    assert found.purchases[0].candidate.points[0].engine == "sglang"


def test_one_engine_alone_has_no_spread() -> None:
    known = catalog(measured(200, concurrency=8, engine="vllm", **TUNED))
    assert lines(plan(known, tuning="tuned")) == ["box bf16 tp 1 at 800/200 tokens: rows of vllm"]


def test_an_estimate_stands_on_no_engine() -> None:
    found = plan(catalog())
    assert (found.purchases[0].candidate.points[0].engine, lines(found)) == ("", [])


def test_the_document_tells_the_engines_and_is_read_again() -> None:
    found = plan(both_engines(), tuning="tuned")
    (row,) = found.to_dict()["purchases"][0]["classes"]
    assert row["engine"] == "vllm"
    assert [one["engine"] for one in row["engines"]] == ["sglang", "vllm"]
    again = Plan.from_dict(found.to_dict())
    assert again.purchases[0].candidate.points[0].engines == (
        found.purchases[0].candidate.points[0].engines
    )
    assert again.purchases[0].candidate.deployment == "vLLM, tuned, at most 8 sequences"
    assert lines(again) == lines(found)
