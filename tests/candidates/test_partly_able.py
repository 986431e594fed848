"""GPUs that can serve some request classes of a workload and not others."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Plan, Problem, Status, load_catalog, prepare, solve
from tests.support.builders import catalog, offering, problem, raw, token_price
from tests.support.examples import tries

HOURS = 720


def usd_per_hour(plan: Plan) -> float:
    assert plan.cash_usd_per_month is not None
    return plan.cash_usd_per_month / HOURS


def units(plan: Plan) -> dict[str, int]:
    return {p.candidate.gpu: p.units for p in plan.purchases}


SHORT_AND_LONG = [
    {"input_tokens": 1, "output_tokens": 1, "share": 0.8},
    {"input_tokens": 10, "output_tokens": 10, "share": 0.2},
]


def partly_able(**limits: Any) -> Plan:
    """10 requests/s: 8 short, 2 long. Cheap does 8 short for $1/h; able 10 or 2 for $4."""
    rented = catalog(
        [offering("acme", "cheap", 1.0), offering("bolt", "able", 4.0)],
        [
            raw("cheap", 8, size=(1, 1)),
            raw("able", 10, size=(1, 1)),
            raw("able", 2, size=(10, 10)),
        ],
        token_prices=limits.pop("token_prices", None),
    )
    return solve(problem(10, chat={"requests": SHORT_AND_LONG}, limits=limits), rented)


def test_a_gpu_serves_the_classes_it_can() -> None:
    plan = partly_able()
    assert units(plan) == {"able": 1, "cheap": 1}
    assert plan.workloads[0].capacity_requests_per_second == pytest.approx(10)
    (cheap,) = [p.candidate for p in plan.purchases if p.candidate.gpu == "cheap"]
    assert cheap.requests_per_second == (8, 0)
    assert cheap.mix_requests_per_second == 0
    assert cheap.part_requests_per_second == 8
    assert cheap.points[1].detail == "cheap: no raw throughput for tiny, requests of 10/10 tokens"


def test_a_share_limit_counts_what_a_partly_able_gpu_serves() -> None:
    # The 2 long requests/s are bolt's and fill an able one. Up to 80 % for acme are all 8 short;
    # 60 % leave bolt 2 of them and 55 % 2.5, which with the long ones are 1.2 and 1.25 able ones.
    assert units(partly_able(providers={"max_share": 0.8})) == {"able": 1, "cheap": 1}
    assert units(partly_able(providers={"max_share": 0.6})) == {"able": 2, "cheap": 1}
    assert units(partly_able(providers={"max_share": 0.55})) == {"able": 2, "cheap": 1}


def test_a_partly_able_gpu_does_not_count_when_the_rest_must_survive() -> None:
    # Without bolt's GPUs nobody serves the long requests: no fleet survives that.
    plan = partly_able(survive_loss_of="provider")
    assert plan.status is Status.INFEASIBLE


def test_an_api_serves_the_class_that_no_gpu_can() -> None:
    # Short ones at the API would cost 16 tokens/s × 2.592M s × $20 per 1M = $829; a GPU costs $720.
    billing = {"allow": ["dedicated", "per_token"]}
    plan = partly_able(
        gpus={"deny": ["able"]}, billing=billing, token_prices=[token_price("cove", 20.0)]
    )
    assert units(plan) == {"cheap": 1, "": 0}
    assert {r.request_class.name: r.candidate.gpu for r in plan.routes} == {
        "1/1": "cheap",
        "10/10": "",
    }


def test_a_context_too_long_for_a_gpu_leaves_it_the_short_requests() -> None:
    # An 8B in bf16 leaves an L4 0.6 GiB for its KV cache; 100,500 tokens need 12.3 GiB.
    sizes = [
        {"input_tokens": 1000, "output_tokens": 200, "share": 0.95},
        {"input_tokens": 100000, "output_tokens": 500, "share": 0.05},
    ]
    chat = {
        "name": "chat",
        "llm": "llama-3.1-8b",
        "precision": ["bf16"],
        "traffic": {"kind": "requests_per_second", "requests_per_second": 5},
        "requests": sizes,
    }
    limits = {"gpus": {"allow": ["l4-24gb"]}, "providers": {"allow": ["gcp"]}}
    question = Problem(workloads=[chat], limits=limits)
    market = load_catalog()
    able = prepare(question, market).candidates.candidates
    (one_gpu, *_) = [k for k in able if k.gpus_per_unit == 1]
    assert one_gpu.requests_per_second[0] > 0
    assert one_gpu.requests_per_second[1] == 0
    assert "one sequence of 100,500 tokens needs 12.3 GiB" in one_gpu.points[1].detail


# --- Brute force ------------------------------------------------------------------------------


def carries(held: list[tuple[int, tuple[float, float]]], short: float, long: float) -> bool:
    """True when the units carry both rates: specialists first, then by comparative advantage."""
    short -= sum(n * a for n, (a, b) in held if not b)
    long -= sum(n * b for n, (a, b) in held if not a)
    both = [(n, a, b) for n, (a, b) in held if a and b]
    for n, a, b in sorted(both, key=lambda row: -row[1] / row[2]):
        used = min(float(n), max(0.0, short) / a)
        short -= used * a
        long -= (n - used) * b
    return short <= 1e-9 and long <= 1e-9


@st.composite
def partly_able_fleets(draw: st.DrawFn) -> list[tuple[float, tuple[float, float]]]:
    """(USD/h, rates) of three GPU types; each may be unable to serve one of two classes."""
    rates = st.sampled_from(
        [(4.0, 0.0), (7.0, 0.0), (0.0, 3.0), (6.0, 2.0), (3.0, 5.0), (9.0, 4.0)]
    )
    prices = st.sampled_from([1.0, 1.3, 2.1, 3.7])
    return [(draw(prices), draw(rates)) for _ in range(3)]


@pytest.mark.slow
@tries(0.6)
@given(partly_able_fleets(), st.sampled_from([3.0, 8.0, 11.0]), st.booleans())
def test_partly_able_fleets_agree_with_brute_force(
    types: list[tuple[float, tuple[float, float]]], rate: float, pruning: bool
) -> None:
    short, long = rate * 0.75, rate * 0.25
    most = range(6)  # 11 requests/s want at most 8.25/4 + 2.75/2 units of one type
    costs = [
        sum(n * price for n, (price, _) in zip(counts, types, strict=True))
        for counts in product(most, repeat=3)
        if carries([(n, rates) for n, (_, rates) in zip(counts, types, strict=True)], short, long)
    ]
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.75},
        {"input_tokens": 10, "output_tokens": 10, "share": 0.25},
    ]
    rented = catalog(
        [offering("acme", f"gpu{i}", price) for i, (price, _) in enumerate(types)],
        [
            raw(f"gpu{i}", served, size=size)
            for i, (_, rates) in enumerate(types)
            for size, served in zip([(1, 1), (10, 10)], rates, strict=True)
            if served
        ],
    )
    plan = solve(problem(rate, chat={"requests": sizes}), rented, pruning=pruning)
    if not costs:
        assert plan.status is Status.INFEASIBLE
    else:
        assert usd_per_hour(plan) == pytest.approx(min(costs))
