"""Elastic units folded into steps of what is held, against fleets counted by hand."""

from __future__ import annotations

import itertools
import random

import pytest

from milp_planner import Plan, Status, prepare, solve
from milp_planner.milp.presolve import folding
from milp_planner.milp.presolve.dominance import prune
from milp_planner.milp.program.language.folds import Item, folded
from tests.support.builders import catalog, offering, problem, raw, workload

HOURS = 360
"""Of each half of the day, in a month."""

Case = dict[str, float]
LOADS = ("chat", "code")


@pytest.fixture(autouse=True)
def _folds_small_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "LEAST_COLUMNS", 0)


def halves(day: float, night: float) -> dict[str, object]:
    """Requests/s by day and by night."""
    weights = [day] * 12 + [night] * 12
    return {"kind": "profile", "weights": weights, "requests_per_day": 3600 * sum(weights)}


def asked(peaks: dict[str, tuple[float, float]], **fields):
    loads = [workload(name=name, llm=name, traffic=halves(*peaks[name])) for name in peaks]
    return problem(workloads=loads, policy={"share": "units"}, **fields)


def market(node_usd: float, sold: dict[str, float], rates: dict[tuple[str, str], float]):
    """Nodes of two `big` GPUs all month, and units of one GPU by the hour."""
    hourly = [
        offering("acme", gpu, usd, name=gpu, billing="autoscaling") for gpu, usd in sold.items()
    ]
    node = offering("acme", "big", node_usd, gpus_per_unit=2, name="node")
    return catalog([node, *hourly], [raw(gpu, r, llm=llm) for (llm, gpu), r in rates.items()])


# ---- the steps themselves


def test_the_cost_falls_where_a_cheaper_fleet_carries_what_is_left():
    # Units of 2 requests/s for $1/h and of 3 for $1.2/h, peaks of 4 and 2. With nothing held the
    # first block takes two of the small, $2, the second one, $1. From 1 requests/s on one large is
    # enough for the first, $1.2; from 2 on a small one, and nothing in the second; from 4 nothing.
    given = prepare(asked({"chat": (4, 2)}), market(9, {"small": 1, "large": 1.2}, RATES))
    listed = {k.gpu: k for k in given.candidates.candidates}
    small, large = listed["small"], listed["large"]
    fold = folded("chat", [Item(small, 2, 1.0), Item(large, 3, 1.2)], {0: 4.0, 1: 2.0})
    usd = {
        step.held: [round(fold.fleets[i].usd_per_hour, 9) for i in step.fleets]
        for step in fold.steps
    }
    assert usd == {0: [2, 1], 1: [1.2, 1], 2: [1, 0], 4: [0, 0]}
    assert [fold.step_at(held) for held in (0, 0.5, 1, 3.9, 4, 9)] == [0, 0, 1, 2, 3, 3]


RATES = {("chat", "small"): 2.0, ("chat", "large"): 3.0, ("chat", "big"): 5.0}


# ---- against fleets counted by hand


def drawn(seed: int):
    """Peaks, the price of a node, prices of hourly units, rates."""
    r = random.Random(seed)
    peaks = {name: (float(r.randint(1, 7)), float(r.randint(0, 5))) for name in LOADS}
    sold = {gpu: r.choice([0.5, 1.0, 1.5, 2.0, 3.0]) for gpu in ("small", "large")}
    rates = {(name, gpu): r.choice([1.0, 1.5, 2.0, 3.0]) for name in LOADS for gpu in sold}
    rates |= {(name, "big"): r.choice([1.0, 2.0, 2.5, 4.0]) for name in LOADS}
    return peaks, r.choice([0.7, 1.5, 2.0, 2.5, 3.5]), sold, rates


def hourly_usd(need: float, sold: dict[str, float], rate: dict[str, float]) -> float:
    """USD/h of the cheapest units that carry `need`, of all counts there are."""
    if need <= 1e-9:
        return 0.0
    counts = range(8)
    return min(
        n * sold["small"] + m * sold["large"]
        for n, m in itertools.product(counts, counts)
        if n * rate["small"] + m * rate["large"] >= need - 1e-9
    )


def least_usd(peaks, node_usd, sold, rates) -> float:
    """The least a month costs: every count of nodes, and all ways to fill them."""
    costs = []
    for nodes in range(9):
        for chat in range(2 * nodes + 1):
            held = {"chat": chat, "code": 2 * nodes - chat}
            usd = 2 * HOURS * nodes * node_usd
            for name in LOADS:
                rate = {gpu: rates[name, gpu] for gpu in sold}
                carried = held[name] * rates[name, "big"]
                usd += HOURS * sum(hourly_usd(d - carried, sold, rate) for d in peaks[name])
            costs.append(usd)
    return min(costs)


def judged(seed: int) -> Plan:
    peaks, node_usd, sold, rates = drawn(seed)
    plan = solve(asked(peaks), market(node_usd, sold, rates), diagnose=False)
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month == pytest.approx(least_usd(peaks, node_usd, sold, rates))
    return plan


def test_no_fleet_of_nodes_and_hourly_units_costs_less():
    both = 0
    for seed in range(8):
        bought = {p.candidate.mode.elastic for p in judged(seed).purchases}
        both += bought == {True, False}
    assert both  # held and hourly units side by side, at least once


@pytest.mark.slow
def test_no_fleet_of_many_nodes_and_hourly_units_costs_less():
    for seed in range(100, 300):
        judged(seed)


# ---- what is not folded


def folded_in(asked_for, rented=None) -> set[str]:
    given = prepare(asked_for, rented or market(2, {"small": 1}, SINGLE))
    kept = prune(given, given.candidates.candidates).kept
    return set(folding.folds_of(given, kept))


SINGLE = {(name, gpu): 2.0 for name in LOADS for gpu in ("small", "big")}
PEAKS = {"chat": (4.0, 2.0), "code": (3.0, 1.0)}


def test_every_workload_with_hourly_units_of_its_own_is_folded():
    assert folded_in(asked(PEAKS)) == {"chat", "code"}
    assert folded_in(asked(PEAKS).changed({"policy.share": "none"})) == set()


@pytest.mark.parametrize(
    "limits",
    [
        {"max_gpus": {"total": 9}},
        {"survive_loss_of": "provider"},
        {"providers": {"max_count": 1}},
        {"providers": {"max_share": 0.5}},
    ],
)
def test_units_that_a_limit_counts_stay_in_their_blocks(limits):
    assert folded_in(asked(PEAKS, limits=limits)) == set()


def test_units_that_more_than_the_load_asks_for_stay_in_their_blocks():
    two = asked(PEAKS).changed({"workloads.chat.min_replicas": 2})
    assert folded_in(two) == {"code"}
    few = catalog(
        [
            offering("acme", "big", 2, gpus_per_unit=2, name="node"),
            offering("acme", "small", 1, billing="autoscaling", max_units=3),
        ],
        [raw(gpu, rate, llm=llm) for (llm, gpu), rate in SINGLE.items()],
    )
    assert folded_in(asked(PEAKS), few) == set()
    pairs = catalog(
        [offering("acme", "small", 2, gpus_per_unit=2, billing="autoscaling")],
        [raw("small", 2, llm=llm) for llm in LOADS],
    )
    assert folded_in(asked(PEAKS), pairs) == set()


def test_a_budget_is_kept_by_what_the_steps_cost():
    rented = market(2, {"small": 1}, SINGLE)
    cost = solve(asked(PEAKS), rented).cash_usd_per_month
    assert cost is not None
    within, below = ({"budget": {"usd_per_month": cost + more}} for more in (1, -1))
    assert folded_in(asked(PEAKS, limits=within)) == {"chat", "code"}
    assert solve(asked(PEAKS, limits=within), rented).cash_usd_per_month == pytest.approx(cost)
    too_dear = solve(asked(PEAKS, limits=below), rented, diagnose=False)
    assert too_dear.status is Status.INFEASIBLE
