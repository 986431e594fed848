"""Rows by prices of classes where replicas of several workloads may stand on one unit."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from milp_planner import Status, prepare, solve
from milp_planner.milp.presolve.worth_sharing import every_part
from milp_planner.milp.program.enough_units import with_enough_units
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.routes import covered
from milp_planner.milp.program.solution import FleetSolution
from tests.support.builders import catalog, offering, problem, raw, workload

SIZES = ((1, 1), (10, 10))
NAMES = ("chat", "code")


class Case(NamedTuple):
    """Two workloads of two classes; GPUs alone, and nodes of two of them."""

    load: dict[str, float]
    short: dict[str, float]
    """Part of the requests of each workload that is short."""

    rate: dict[str, tuple[float, float]]
    """Requests/s of a GPU, by its name and by class."""

    single: dict[str, float]
    """USD/h of a GPU alone."""

    node: dict[str, float]
    """USD/h of two in a node."""

    most: int
    """GPUs in all."""


def drawn(seed: int) -> Case:
    chance = random.Random(seed)
    gpus = ("a", "b")[: chance.choice([1, 2])]
    return Case(
        {name: chance.choice([1.0, 2.0, 3.0]) for name in NAMES},
        {name: chance.choice([0.25, 0.5, 0.75]) for name in NAMES},
        {gpu: (chance.choice([1.5, 2.5, 4.0]), chance.choice([1.0, 2.2, 3.0])) for gpu in gpus},
        {gpu: chance.choice([2.0, 3.1, 9.0]) for gpu in gpus},
        {gpu: chance.choice([2.5, 3.7, 5.0]) for gpu in gpus},
        chance.choice([3, 4]),
    )


def solved(case: Case):
    loads = [
        {
            **workload(case.load[name], name),
            "requests": [
                {"input_tokens": i, "output_tokens": o, "share": share}
                for (i, o), share in zip(
                    SIZES, (case.short[name], 1 - case.short[name]), strict=True
                )
            ],
        }
        for name in NAMES
    ]
    sold = [offering("acme", gpu, usd, name=f"{gpu}-one") for gpu, usd in case.single.items()]
    sold += [
        offering("acme", gpu, usd, gpus_per_unit=2, name=f"{gpu}-node")
        for gpu, usd in case.node.items()
    ]
    rated = [
        raw(gpu, rate, size=size)
        for gpu, rates in case.rate.items()
        for rate, size in zip(rates, SIZES, strict=True)
    ]
    limits = {"max_gpus": {"total": case.most}}
    return solve(problem(workloads=loads, limits=limits), catalog(sold, rated), diagnose=False)


def serves(case: Case, name: str, replicas: Sequence[tuple[str, int]]) -> bool:
    """Whether so many replicas of one GPU serve a workload: short requests go first to those that
    are best at them beside long ones, of which the others do what they can."""
    short = case.load[name] * case.short[name]
    long = case.load[name] - short
    for gpu, count in sorted(
        replicas, key=lambda one: -case.rate[one[0]][0] / case.rate[one[0]][1]
    ):
        fast, slow = case.rate[gpu]
        busy = min(float(count), short / fast)
        short -= busy * fast
        long -= (count - busy) * slow
    return short <= 1e-9 and long <= 1e-9


def cheapest(case: Case) -> float:
    """USD/month of the cheapest of all fleets: a node has two places, whoever stands there."""
    gpus = tuple(case.rate)
    counts = list(itertools.product(range(case.most + 1), repeat=len(gpus)))
    enough = {
        name: [n for n in counts if serves(case, name, list(zip(gpus, n, strict=True)))]
        for name in NAMES
    }
    return min(_prices(case, gpus, enough), default=math.inf) * 720


def _prices(case: Case, gpus: Sequence[str], enough) -> Iterator[float]:
    for chat, code in itertools.product(*(enough[name] for name in NAMES)):
        places = [a + b for a, b in zip(chat, code, strict=True)]
        for nodes in itertools.product(*(range(n // 2 + n % 2 + 1) for n in places)):
            alone = [max(0, n - 2 * m) for n, m in zip(places, nodes, strict=True)]
            if sum(alone) + 2 * sum(nodes) <= case.most:
                yield sum(
                    one * case.single[gpu] + two * case.node[gpu]
                    for gpu, one, two in zip(gpus, alone, nodes, strict=True)
                )


@pytest.mark.parametrize("seeds", [range(8), pytest.param(range(8, 120), marks=pytest.mark.slow)])
def test_no_fleet_is_cheaper_where_replicas_share_units(seeds, monkeypatch):
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)
    for seed in seeds:
        case = drawn(seed)
        plan, least = solved(case), cheapest(case)
        if math.isinf(least):
            assert plan.status is Status.INFEASIBLE, seed
        else:
            assert plan.status is Status.OPTIMAL, seed
            assert plan.cash_usd_per_month == pytest.approx(least), seed


def test_units_are_added_where_nobody_shares_them(monkeypatch):
    """A replica more would want a place to stand on; a whole unit is its own."""
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)
    halves = [{"input_tokens": i, "output_tokens": o, "share": 0.5} for i, o in SIZES]
    loads = [{**workload(5, name), "requests": halves} for name in NAMES]
    node = offering("acme", "a", 8.0, gpus_per_unit=8, name="node")
    rented = catalog([node], [raw("a", 10, size=size) for size in SIZES])
    ready = prepare(problem(workloads=loads), rented)
    listed = ready.candidates.candidates
    model = build_model(ready, (*listed, *every_part(ready, listed)))
    assert model.fleet.prices
    enough = with_enough_units(model, FleetSolution(units={}))
    assert enough is not None
    assert {k.workload: (k.part_of_unit, on) for k, on in enough.units.items()} == {
        name: (False, (1,)) for name in NAMES
    }
