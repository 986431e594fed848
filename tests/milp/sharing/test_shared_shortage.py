"""Too few units for shared replicas: what is left unserved, against every fleet and filling."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import Plan, solve
from tests.milp.sharing.test_shared_units import nodes, two
from tests.support.oracles.shared_cases import as_catalog, as_problem, question
from tests.support.oracles.shared_fleets import Question, capacities


def short_question(seed: int) -> Question:
    """Twice the load, on a small quota."""
    asked = question(seed, ("quota",))
    return replace(asked, loads={name: 2.5 * load for name, load in asked.loads.items()})


def unserved(asked: Question, carried: dict[str, float]) -> dict[str, float]:
    return {name: max(0.0, 1 - carried[name] / load) for name, load in asked.loads.items()}


def fair(asked: Question) -> tuple[float, float, float]:
    """The least (largest share unserved, share of all requests unserved, rent), in this order."""
    total = sum(asked.loads.values())
    found = []
    for usd, carried in capacities(asked):
        short = unserved(asked, carried)
        all_of_it = sum(short[name] * load for name, load in asked.loads.items()) / total
        found.append((round(max(short.values()), 9), round(all_of_it, 9), usd))
    return min(found)


def in_order(asked: Question) -> tuple[float, ...]:
    """The least (share of the first workload unserved, of the next, ..., rent)."""
    return min(
        (*(round(s, 9) for s in unserved(asked, carried).values()), usd)
        for usd, carried in capacities(asked)
    )


def planned(asked: Question, rule: str) -> Plan:
    changed: dict[str, object] = {"policy.when_short": rule}
    if rule == "priority":
        changed |= {f"workloads.{w}.priority": i for i, w in enumerate(asked.loads, start=1)}
    return solve(as_problem(asked).changed(changed), as_catalog(asked), diagnose=False)


def shares(plan: Plan) -> list[float]:
    return [w.shortfall_share for w in plan.workloads]


def judged(seed: int) -> bool:
    """Whether anything was short."""
    asked = short_question(seed)
    worst, total, usd = fair(asked)
    plan = planned(asked, "fair")
    assert max(shares(plan)) == pytest.approx(worst, abs=1e-6)
    loads = zip(shares(plan), asked.loads.values(), strict=True)
    left = sum(share * load for share, load in loads) / sum(asked.loads.values())
    assert left == pytest.approx(total, abs=1e-6)
    assert plan.cash_usd_per_month == pytest.approx(usd, abs=0.01)
    *least, usd = in_order(asked)
    plan = planned(asked, "priority")
    assert shares(plan) == pytest.approx(least, abs=1e-6)
    assert plan.cash_usd_per_month == pytest.approx(usd, abs=0.01)
    return worst > 0


def test_no_filling_of_any_fleet_serves_more():
    assert any([judged(seed) for seed in range(3)])


@pytest.mark.slow
def test_no_filling_of_many_fleets_serves_more():
    for seed in range(100, 140):
        judged(seed)


def test_the_note_counts_the_units_that_are_shared_once():
    # A node of eight GPUs is all there is: 80 requests/s, of 60 and 40.
    short = two(60, 40, limits={"max_gpus": {"total": 8}}).changed({"policy.when_short": "fair"})
    plan = solve(short, nodes())
    assert shares(plan) == pytest.approx([1 / 6, 1 / 4])
    assert any("max_gpus.total (8 of 8)" in str(said) for said in plan.warnings)
