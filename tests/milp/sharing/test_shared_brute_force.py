"""Shared units against every fleet there is, filled in every way, under one limit after another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import Plan, solve
from tests.support.builders import catalog, offering, problem, raw, workload
from tests.support.oracles.shared_cases import KINDS, as_catalog, as_problem, question
from tests.support.oracles.shared_fleets import Fleet, Question, scores

SEVERAL = (("survival", "quota"), ("share", "stock"), ("target", "replicas", "scaling"))
SEVERAL += (("commitments", "changes", "quota"), ("volume", "changes", "survival"))
LIMITS = [(), *((kind,) for kind in KINDS), *SEVERAL]


def judged(seed: int, kinds: tuple[str, ...]) -> None:
    asked = question(seed, kinds)
    best = min(scores(asked).values(), default=None)
    found = solve(as_problem(asked), as_catalog(asked), pruning=seed % 3 > 0, diagnose=False)
    assert found.score_usd_per_month == (None if best is None else pytest.approx(best, abs=0.01))


@pytest.mark.parametrize("kinds", LIMITS, ids="+".join)
@pytest.mark.parametrize("seed", [1, 2])
def test_no_fleet_scores_less(seed, kinds):
    judged(seed, kinds)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", LIMITS, ids="+".join)
def test_no_fleet_of_many_scores_less(kinds):
    for seed in range(100, 160):
        judged(seed, kinds)


# ---- the fewest GPUs before money


def judged_by_gpus(seed: int, kinds: tuple[str, ...]) -> None:
    asked = question(seed, kinds)
    known = {
        (sum(n * one.gpus for n, one in zip(fleet, asked.sold, strict=True)), usd)
        for fleet, usd in scores(asked).items()
    }
    fewest = as_problem(asked, objective="gpus")
    found = solve(fewest, as_catalog(asked), pruning=seed % 3 > 0, diagnose=False)
    gpus, usd = min(known, default=(None, None))
    assert found.score_usd_per_month == (None if usd is None else pytest.approx(usd, abs=0.01))
    assert gpus is None or found.gpus == gpus


@pytest.mark.parametrize("kinds", [(), ("quota",), ("scaling", "target")], ids="+".join)
def test_no_fleet_has_fewer_gpus_and_of_those_that_have_as_few_none_scores_less(kinds):
    for seed in (1, 2):
        judged_by_gpus(seed, kinds)


@pytest.mark.slow
@pytest.mark.parametrize("kinds", [(), *((kind,) for kind in KINDS)], ids="+".join)
def test_no_fleet_of_many_has_fewer_gpus(kinds):
    for seed in range(100, 140):
        judged_by_gpus(seed, kinds)


# ---- next-best plans


def names(asked: Question, fleet: Fleet, by: str) -> frozenset[object]:
    """What `differ_by` compares."""
    rented = [(i, one) for i, (n, one) in enumerate(zip(fleet, asked.sold, strict=True)) if n]
    return frozenset({"offerings": i, "providers": one.provider}[by] for i, one in rented)


def next_best(asked: Question, by: str, count: int) -> list[float]:
    """Scores of the best fleet and those after it, as long as which is next is plain."""
    known, found = scores(asked), []
    told: list[float] = []
    while len(told) <= count:
        left = {
            fleet: usd
            for fleet, usd in known.items()
            if not any(all(a >= b for a, b in zip(fleet, one, strict=True)) for one in found)
            and all(names(asked, fleet, by) != names(asked, one, by) for one in found)
        }
        if not left:
            break
        best = min(left, key=lambda fleet: (left[fleet], fleet))
        told.append(left[best])
        found.append(best)
        if sum(usd < left[best] + 0.01 for usd in left.values()) > 1:
            break  # ties decide what comes next
    return told


def score_list(plan: Plan) -> list[float | None]:
    plans = (plan, *plan.alternatives)
    return [one.score_usd_per_month for one in plans if one.score_usd_per_month is not None]


def judged_next(seed: int, by: str) -> None:
    asked = question(seed)
    wanted = next_best(asked, by, 3)
    alternatives = {"count": 3, "differ_by": by}
    asked_for = as_problem(asked, alternatives=alternatives)
    plan = solve(asked_for, as_catalog(asked), pruning=seed % 3 > 0, diagnose=False)
    assert score_list(plan)[: len(wanted)] == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("by", ["offerings", "providers"])
@pytest.mark.parametrize("seed", [3, 4])
def test_next_best_fleets_come_in_order(seed, by):
    judged_next(seed, by)


@pytest.mark.slow
@pytest.mark.parametrize("by", ["offerings", "providers"])
def test_many_next_best_fleets_come_in_order(by):
    for seed in range(100, 160):
        judged_next(seed, by)


# ---- blocks, and what sharing can never do


def test_never_dearer_than_units_of_ones_own():
    for seed in range(20, 26):
        asked = question(seed)
        shared = as_problem(asked)
        rented = as_catalog(asked)
        apart = solve(shared.changed({"policy.share": "none"}), rented, diagnose=False)
        if apart.cash_usd_per_month is not None:
            cash = solve(shared, rented, diagnose=False).cash_usd_per_month
            assert cash is not None
            assert cash <= apart.cash_usd_per_month + 0.01


def test_units_of_one_gpu_are_as_they_were():
    single = tuple(replace(one, gpus=1) for one in question(7).sold)
    asked = replace(question(7), sold=single)
    shared = as_problem(asked)
    plan = solve(shared, as_catalog(asked))
    apart = solve(shared.changed({"policy.share": "none"}), as_catalog(asked))
    assert plan.shared_units == ()
    assert plan.purchases
    assert [p.units for p in plan.purchases] == [p.units for p in apart.purchases]


DAY, NIGHT = [3, 1], [1, 4]
"""Requests/s of chat and code, in each half of the day."""


def in_halves(billing: str) -> Plan:
    def half_days(first: int, second: int) -> dict[str, object]:
        weights = [first] * 12 + [second] * 12
        return {"kind": "profile", "weights": weights, "requests_per_day": 3600 * sum(weights)}

    loads = [
        workload(name=name, llm=name, traffic=half_days(day, night))
        for name, day, night in zip(("chat", "code"), DAY, NIGHT, strict=True)
    ]
    return solve(problem(workloads=loads, policy={"share": "units"}), pairs(billing))


def pairs(billing: str = "dedicated"):
    """Units of two GPUs for $2/h; a replica of one serves 1 request/s."""
    rates = [raw("big", 1, llm=llm) for llm in ("chat", "code")]
    return catalog([offering("acme", "big", 2.0, gpus_per_unit=2, billing=billing)], rates)


def test_elastic_units_are_filled_anew_in_every_block():
    # 4 GPUs by day, 5 by night: two and three units, half the month each.
    plan = in_halves("autoscaling")
    (shared,) = plan.shared_units
    assert sorted(shared.units_by_block) == [2, 3]
    assert plan.cash_usd_per_month == pytest.approx((2 + 3) * 2 * 360)


def test_held_replicas_stay_where_they_stand():
    # Three replicas of chat and four of code, whenever their peaks are: four units, not three.
    plan = in_halves("dedicated")
    (shared,) = plan.shared_units
    assert set(shared.units_by_block) == {4}
    assert len(set(shared.contents_by_block)) == 1
