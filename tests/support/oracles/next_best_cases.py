"""Cases of next-best plans as the planner takes them, and the comparison with brute force."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from milp_planner import Status, TimeBlock, prepare
from milp_planner.plans.sentences import alternatives_text
from milp_planner.questions.solve import plan_of, provenance_of
from milp_planner.solving.results import Settings
from milp_planner.solving.search import Search
from tests.support.builders import (
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.oracles.next_best import Case, Fleet, next_best

DIFFERENCES = ["counts", "offerings", "providers", "gpus"]


def question(case: Case, differ_by: str, per_workload: bool, count: int):
    """The case as a problem; its blocks come with `as_input`."""
    penalties = {}
    if case.overload:
        above, usd = case.overload
        penalties["overload"] = {"above": above, "usd_at_full_load": usd}
    if case.strict_usd is not None:
        penalties["strict_latency"] = {"below": "300ms", "usd": case.strict_usd}
    if case.scaling:
        above_gpus, usd = case.scaling
        penalties["scaling"] = {"above_gpus": above_gpus, "usd_per_gpu": usd}
    limits = {
        "billing": {"allow": ["dedicated", "autoscaling", "per_token"]},
        "providers": {"max_count": case.at_most_providers},
        "max_gpus": {"total": case.max_gpus},
        "max_units": {case.boxes[i].id: most for i, most in case.max_units},
    }
    if case.budget is not None:
        limits["budget"] = {"usd_per_month": case.budget}
    if case.survive is not None:
        limits["survive_loss_of"] = case.survive
    latency = {"requirement": "200ms"} if case.strict_usd is not None else {}
    fields = {"latency": latency, "min_replicas": case.min_replicas}
    first = case.boxes[0]
    running = {
        "offering": first.id,
        "billing": first.billing,
        "workload": case.asks[0].name,
        "units": case.today,
    }
    added, removed = case.switching
    return problem(
        workloads=[workload(max(ask.peaks), ask.name, **fields) for ask in case.asks],
        current_fleet=[running] if case.today else [],
        switching={
            "usd_per_unit_added": added,
            "usd_per_unit_removed": removed,
            "max_units_changed": case.most_changed,
        },
        policy={
            "penalties": penalties,
            "utilization": {"target": min(case.ceiling, 0.75), "ceiling": case.ceiling},
        },
        limits=limits,
        alternatives={"count": count, "differ_by": differ_by, "per_workload": per_workload},
    )


def as_input(case: Case, differ_by: str, per_workload: bool, count: int):
    """The case as the planner takes it, with its own blocks."""
    rates = {box.gpu: box.rate / box.gpus for box in case.boxes}
    rented = catalog(
        [
            offering(
                box.provider,
                box.gpu,
                box.usd_per_hour,
                billing=box.billing,
                gpus_per_unit=box.gpus,
            )
            for box in case.boxes
        ],
        [raw(gpu, rate) for gpu, rate in rates.items()],
        [token_price(api.provider, api.usd_per_request * 1e6 / 2) for api in case.apis],
    )
    asked = prepare(question(case, differ_by, per_workload, count), rented)
    blocks = tuple(TimeBlock(f"block {t}", hours) for t, hours in enumerate(case.hours))
    demands = {
        ask.name: replace(
            asked.schedule.demands[ask.name],
            peak=ask.peaks,
            mean=tuple(peak / 2 for peak in ask.peaks),
        )
        for ask in case.asks
    }
    return replace(asked, schedule=replace(asked.schedule, blocks=blocks, demands=demands))


def planned(case: Case, differ_by: str, per_workload: bool, count: int, pruning: bool = True):
    asked = as_input(case, differ_by, per_workload, count)
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
    for ask, part in zip(fleet.case.asks, fleet.parts, strict=True):
        for box, units in zip(fleet.case.boxes, part.units, strict=True):
            if any(units):
                found[ask.name, box.id] = units
        for a in part.apis:
            found[ask.name, f"{fleet.case.apis[a].provider}/tiny/global"] = "per token"
    return found


def check_against_brute_force(case: Case, differ_by: str, per_workload: bool, pruning: bool):
    count = 3
    fleets, ended = next_best(case, differ_by, per_workload, count)
    plan = planned(case, differ_by, per_workload, count, pruning)
    plans = [plan, *plan.alternatives] if plan.status.has_plan else []
    scores = [found.score_usd_per_month for found in plans]
    # The overload ramp is charged to within a dollar at worst: see `milp/program/refinement.py`.
    tolerance = 1.0 if case.overload else 0.001
    assert scores == pytest.approx([fleet.score for fleet in fleets], rel=1e-6, abs=tolerance)
    if not case.overload:
        assert [units_of_plan(p) for p in plans] == [units_of_fleet(f) for f in fleets]
    if plans:
        ends = "" if not ended else f"no further plan differs by {differ_by}"
        assert alternatives_text(plan) == ends
    assert all(p.status is Status.OPTIMAL and p.proof.certified for p in plans)
    assert all(after > before - 0.005 for before, after in pairwise(scores))
