"""Units that are off while their workload is idle, beside shared ones, which are not."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from milp_planner import InputError, Plan, Problem, Rule, evaluate, solve
from tests.milp.sharing.beside.judging import judged
from tests.milp.sharing.test_shared_units import NODE, nodes
from tests.support.builders import catalog, offering, problem, raw, workload

RATE = 10.0
"""Requests/s of a replica of one GPU, eight of which stand on a node."""


def by_hours(*hours: tuple[int, ...], share: str | None = "units", **fields: Any) -> Problem:
    """Workloads with 5 requests/s in the hours of the day named, and none in the others."""
    loads = [
        workload(
            name=f"w{i}",
            traffic={
                "kind": "profile",
                "weights": [int(hour in mine) for hour in range(24)],
                "requests_per_day": 3600 * 5 * len(mine),
            },
        )
        for i, mine in enumerate(hours)
    ]
    policy = {"share": share, "switch_off_dedicated": True, **fields.pop("policy", {})}
    return problem(workloads=loads, policy=policy, **fields)


DAY, NIGHT = tuple(range(8)), tuple(range(8, 16))
MOST_OF_IT = tuple(range(18))


@pytest.mark.parametrize("share", ["units", None])
@pytest.mark.parametrize(
    ("hours", "nodes_paid", "shared"),
    [
        # Two that rest two thirds of the day, or one that is shared and never does.
        ((DAY, NIGHT), 2 / 3, False),
        ((DAY, DAY), 2 / 3, False),
        ((MOST_OF_IT, MOST_OF_IT), 1.0, True),
        # 18 and 18 hours together on one; eight hours on another are dearer than none.
        ((MOST_OF_IT, MOST_OF_IT, DAY), 1.0, True),
    ],
)
def test_units_rest_or_are_shared_whichever_costs_less(
    hours: tuple[tuple[int, ...], ...], nodes_paid: float, shared: bool, share: str | None
) -> None:
    asked = by_hours(*hours, share=share)
    plan = judged(asked, nodes(), nodes_paid * NODE, seed=1)
    assert bool(plan.shared_units) == shared
    priced = evaluate(asked, Plan.from_dict(plan.to_dict()), nodes())
    assert priced.keeps_all_limits
    assert priced.cash_usd_per_month == pytest.approx(nodes_paid * NODE)


def least(hours: tuple[tuple[int, ...], ...], sold: list[tuple[int, float]]) -> float:
    """USD/month of the cheapest way: each has a unit to itself, or a GPU of one that never rests.

    sold: (GPUs, USD/h) of units; none serves more than it must, as a GPU does all of a workload.
    """
    best = float("inf")
    cheapest = min(usd for _, usd in sold)
    for together in itertools.product((False, True), repeat=len(hours)):
        apart = sum(
            30 * len(mine) * cheapest
            for mine, is_shared in zip(hours, together, strict=True)
            if not is_shared
        )
        for units in itertools.product(range(3), repeat=len(sold)):
            gpus = sum(n * of for n, (of, _) in zip(units, sold, strict=True))
            if gpus >= sum(together):
                rent = sum(720 * n * usd for n, (_, usd) in zip(units, sold, strict=True))
                best = min(best, apart + rent)
    return best


@pytest.mark.parametrize("seed", range(6))
def test_as_by_trying_every_way(seed: int) -> None:
    hours = tuple(
        tuple(range(start, start + length))
        for start, length in [((5 * seed) % 9, 4 + seed), (seed, 15), (2, 18 - 2 * seed)]
    )
    sold = [(2, 1.5 + seed % 3), (4, 2.0 + seed % 4)]
    rented = catalog(
        [offering("acme", "big", usd, gpus_per_unit=gpus, name=f"of-{gpus}") for gpus, usd in sold],
        [raw("big", RATE)],
    )
    judged(by_hours(*hours), rented, least(hours, sold), seed=seed)


class Loose(Rule):
    """Asks for nothing."""

    def rows(self, fleet: Any) -> Any:
        return iter(())

    def violations(self, instance: Any, plan: Any) -> Any:
        return iter(())


def test_an_own_rule_is_refused_where_it_is_said_that_units_are_shared() -> None:
    with pytest.raises(InputError, match=r"not planned together with rules\.Loose"):
        solve(by_hours(DAY, NIGHT), nodes(), rules=[Loose])
