"""Next-best plans of a case: as the planner lists them, and the comparison with brute force."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from milp_planner import Status, prepare
from milp_planner.candidates.records import PlanningInput
from milp_planner.plans.sentences import alternatives_text
from milp_planner.questions.solve import plan_of, provenance_of
from milp_planner.solving.results import Settings
from milp_planner.solving.search import Search
from milp_planner.traffic.month import TimeBlock
from tests.support.oracles.cases import MONTH_HOURS, Case, Load, as_input
from tests.support.oracles.next_best import Fleet, next_best

DIFFERENCES = ["counts", "offerings", "providers", "gpus"]


def load_of(peaks: Sequence[float], name: str = "chat", **fields: Any) -> Load:
    """A load of one class, twice its mean at the peak."""
    return Load(tuple((peak,) for peak in peaks), name, burst=2, **fields)


def prepared(case: Case, differ_by: str, per_workload: bool, count: int) -> PlanningInput:
    """The case as the planner takes it, with its own blocks: these may have equal loads."""
    flat = [replace(load, rates=(load.rates[load.busiest],)) for load in case.loads]
    alternatives = {"count": count, "differ_by": differ_by, "per_workload": per_workload}
    busiest = replace(case, loads=tuple(flat), hours=(MONTH_HOURS,))
    asked = prepare(*as_input(busiest, alternatives=alternatives))
    blocks = tuple(TimeBlock(f"block {t}", hours) for t, hours in enumerate(case.hours))
    demands = {
        load.name: replace(asked.schedule.demands[load.name], peak=load.peaks, mean=load.means)
        for load in case.loads
    }
    return replace(asked, schedule=replace(asked.schedule, blocks=blocks, demands=demands))


def planned(case: Case, differ_by: str, per_workload: bool, count: int, pruning: bool = True):
    asked = prepared(case, differ_by, per_workload, count)
    how = Settings(time_limit_s=60, gap=0.0, seed=1, pruning=pruning)
    return plan_of(Search(asked, how, provenance_of(asked, how), asked.problem.alternatives))


def units_of_plan(plan):
    return {
        (p.candidate.workload, p.candidate.offering.id): p.units_by_block
        if any(p.units_by_block)
        else "per token"
        for p in plan.purchases
    }


def units_of_fleet(fleet: Fleet):
    found = {}
    for load, part in zip(fleet.case.loads, fleet.parts, strict=True):
        for offer, units in zip(fleet.case.offers, part.units, strict=True):
            if any(units):
                found[load.name, offer.id] = units
        for a in part.apis:
            found[load.name, fleet.case.apis[a].id] = "per token"
    return found


def check_against_brute_force(case: Case, differ_by: str, per_workload: bool, pruning: bool):
    count = 3
    fleets, ended = next_best(case, differ_by, per_workload, count)
    plan = planned(case, differ_by, per_workload, count, pruning)
    plans = [plan, *plan.alternatives] if plan.status.has_plan else []
    scores = [found.score_usd_per_month for found in plans]
    # The overload ramp is charged to within a dollar at worst: see `milp/program/refinement.py`.
    tolerance = 1.0 if case.terms.overload else 0.001
    assert scores == pytest.approx([fleet.score for fleet in fleets], rel=1e-6, abs=tolerance)
    if not case.terms.overload:
        assert [units_of_plan(p) for p in plans] == [units_of_fleet(f) for f in fleets]
    if plans:
        ends = "" if not ended else f"no further plan differs by {differ_by}"
        assert alternatives_text(plan) == ends
    assert all(p.status is Status.OPTIMAL and p.proof.certified for p in plans)
    assert all(after > before - 0.005 for before, after in pairwise(scores))
