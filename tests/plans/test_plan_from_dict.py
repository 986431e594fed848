"""Plan.from_dict(): a plan read from its document writes it again, and makes nothing up."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from milp_planner import ArgumentError, InputError, Plan, Status, load_problem, solve
from milp_planner.inputs.catalog.records import COUNT_ASSUMED
from milp_planner.plans.document import plan_dict
from milp_planner.plans.reasons import Said
from milp_planner.plans.sentences import (
    alternatives_text,
    reason_lines,
    sentence,
    warning_lines,
)
from milp_planner.reporting.documents.json import plan_json
from milp_planner.reporting.documents.options import ReportOptions
from milp_planner.reporting.formats import FORMATS
from tests.support.builders import OF_ONE_MONTH, big_and_small, problem
from tests.support.random_problems import random_case

QUICK = {"quickstart", "resilient", "day-and-night"}
SHIPPED = [
    pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow)
    for path in OF_ONE_MONTH
]

AS_IT_WAS = (
    *(
        "name",
        "status",
        "score_usd_per_month",
        "cash_usd_per_month",
        "lower_bound_usd_per_month",
        "gap",
        "costs",
    ),
    *("workloads", "blocks", "proof", "provenance"),
    *("changes", "worst_losses", "gpus", "providers", "tokens_per_month"),
)
"""Fields and figures of a plan that its document holds in full."""


@cache
def shipped(path: Path) -> Plan:
    return solve(load_problem(path), alternatives=1)


@cache
def thirteen() -> Plan:
    """13 requests/s of 10 for $4/h and of 3 for $1.50/h: one of each, $5.50 x 720 h = $3,960."""
    return solve(problem(13, alternatives={"count": 3}), big_and_small())


def read_back(plan: Plan) -> Plan:
    """Through a file, as a user would."""
    return Plan.from_dict(json.loads(json.dumps(plan.to_dict())))


@pytest.mark.slow
@pytest.mark.parametrize("path", SHIPPED)
def test_a_shipped_problems_plan_is_the_same_after_a_round_trip(path):
    plan = shipped(path)
    again = read_back(plan)
    assert again.to_dict() == plan.to_dict()
    assert list(again.to_dict()) == list(plan.to_dict())
    for name in AS_IT_WAS:
        assert getattr(again, name) == getattr(plan, name), name
    for words in (reason_lines, warning_lines, alternatives_text):
        assert words(again) == words(plan)
    assert [p.units_by_block for p in again.purchases] == [p.units_by_block for p in plan.purchases]
    assert [p.hours_by_block for p in again.purchases] == [p.hours_by_block for p in plan.purchases]


@pytest.mark.parametrize("path", SHIPPED)
def test_rates_and_offerings_of_a_shipped_problems_plan_come_back(path):
    plan = shipped(path)
    for mine, theirs in zip(read_back(plan).purchases, plan.purchases, strict=True):
        k, original = mine.candidate, theirs.candidate
        assert (k.id, k.shares) == (original.id, original.shares if original.points else ())
        assert k.requests_per_second == original.requests_per_second
        quiet = tuple(dataclasses.replace(point, warnings=()) for point in original.points)
        assert k.points == quiet
        if not k.mode.per_token:
            unstated = {"max_units": None, "price_acknowledged": False}
            unstated |= {"also_quoted": (), "other_ids": (), "behind": "", "vcpus": None}
            unstated |= {"host_memory_gib": None}
            unstated |= dict.fromkeys(("country", "group", "metro"), "")
            assert k.offering == original.offering.model_copy(update=unstated)


def come_back(seeds: Iterable[int]) -> None:
    for seed in seeds:
        plan = solve(*random_case(seed), alternatives=1, diagnose=seed % 4 == 0)
        assert read_back(plan).to_dict() == plan.to_dict(), seed


@pytest.mark.slow
def test_plans_of_small_problems_of_every_feature_are_the_same_after_a_round_trip():
    come_back(range(8))


@pytest.mark.slow
def test_plans_of_many_small_problems_are_the_same_after_a_round_trip():
    come_back(range(8, 108))


def infeasible() -> Plan:
    # One GPU carries at most 10 requests/s.
    return solve(problem(13, limits={"max_gpus": {"total": 1}}), big_and_small())


def unservable() -> Plan:
    # The small one is turned down for its provider, and no unit of the big one may be had.
    limits = {"providers": {"deny": ["bolt"]}, "max_units": {"acme/*": 0}}
    return solve(problem(13, limits=limits), big_and_small())


def stopped() -> Plan:
    """As a search leaves it that ends with a bound and without a fleet."""
    nothing = {"score_usd_per_month": None, "cash_usd_per_month": None, "costs": {}}
    return dataclasses.replace(
        infeasible(),
        **nothing,
        status=Status.NO_PLAN,
        lower_bound_usd_per_month=512.0,
        reasons=(Said("the time limit ended the search"),),
        diagnosis=None,
    )


@pytest.mark.parametrize(
    ("made", "status"),
    [
        (infeasible, Status.INFEASIBLE),
        (unservable, Status.INFEASIBLE),
        (stopped, Status.NO_PLAN),
    ],
)
def test_a_plan_without_a_fleet_is_the_same_after_a_round_trip(
    made: Callable[[], Plan], status: Status
):
    plan = made()
    again = read_back(plan)
    assert (plan.status, again.status) == (status, status)
    assert again.to_dict() == plan.to_dict()
    assert reason_lines(again) == reason_lines(plan)
    if plan.diagnosis is not None:
        assert sentence(again.diagnosis.headline) == sentence(plan.diagnosis.headline)
        assert again.diagnosis.changes == plan.diagnosis.changes
        assert again.diagnosis.conflict == plan.diagnosis.conflict


@pytest.mark.parametrize("reproducible", [True, False])
def test_what_solve_prints_as_json_is_read(reproducible):
    printed = plan_json(thirteen(), ReportOptions(reproducible, failed_gates=("too dear",)))
    again = Plan.from_dict(json.loads(printed))
    assert plan_dict(again, reproducible=reproducible) == plan_dict(
        thirteen(), reproducible=reproducible
    )


def test_a_plan_that_was_read_goes_into_every_report():
    again = read_back(thirteen())
    for name, report in FORMATS.items():
        assert report(again), name
    written = FORMATS["text"](thirteen()).splitlines()
    shown = FORMATS["text"](again).splitlines()
    # Idle hours are not known, nor is how busy an alternative is: `high band`, not `(87 %)`.
    told_less = [line for line in written if line not in shown]
    assert all(" band (" in line or line.lstrip().startswith("idle:") for line in told_less)
    assert len(told_less) == 1 + len(again.alternatives)


# --- what the document does not tell is not made up ---------------------------------------------


def test_idle_hours_are_not_known_and_not_none_at_all():
    plan, again = thirteen(), read_back(thirteen())
    assert plan.billing_idle_usd == 0
    assert plan.capacity_idle == pytest.approx(0)  # 13 of 13 requests/s
    assert (again.billing_idle_usd, again.capacity_idle) == (None, None)
    assert [p.mean_utilization for p in again.purchases] == [None, None]
    assert [p.billing_idle_hours for p in again.purchases] == [None, None]


def test_alternatives_have_costs_and_purchases_and_no_capacity():
    # The next best is two big ones: $8 x 720 h = $5,760.
    plan, again = thirteen(), read_back(thirteen())
    assert len(again.alternatives) == len(plan.alternatives) > 0
    for mine, theirs in zip(again.alternatives, plan.alternatives, strict=True):
        assert (mine.status, mine.cash_usd_per_month) == (theirs.status, theirs.cash_usd_per_month)
        assert [p.units for p in mine.purchases] == [p.units for p in theirs.purchases]
        assert [w.band for w in mine.workloads] == [w.band for w in theirs.workloads]
        assert math.isnan(mine.workloads[0].capacity_requests_per_second)
        assert mine.workloads[0].utilization is None


def test_what_was_turned_down_is_counted_and_not_listed():
    plan = unservable()
    again = read_back(plan)
    assert (len(plan.turned_down), again.turned_down) == (1, ())
    assert again.as_read.turned_down["count"] == 1
    assert plan.as_read is None


def test_prices_per_token_are_not_a_number():
    path = next(path for path in OF_ONE_MONTH if path.stem == "llama-70b-bursty")
    (purchase,) = read_back(shipped(path)).purchases
    assert purchase.candidate.offering.id == "together/llama_70b/global"
    assert math.isnan(purchase.candidate.offering.usd_per_m_output_tokens)
    assert purchase.cash_usd_per_month == 132  # that is known


def test_a_note_on_the_price_is_told_from_what_the_planner_says_of_it():
    document = thirteen().to_dict()
    for note, (is_assumed, own) in {
        "": (False, ""),
        "weekends only": (False, "weekends only"),
        COUNT_ASSUMED: (True, ""),
        f"{COUNT_ASSUMED}; weekends only": (True, "weekends only"),
    }.items():
        document["purchases"][0]["price_note"] = note
        row = Plan.from_dict(document).purchases[0].candidate.offering
        assert (row.count_assumed, row.note, row.price_note) == (is_assumed, own, note)


# --- what is no document of a plan is refused ---------------------------------------------------


def refusal(document: Any) -> str:
    with pytest.raises(InputError) as caught:
        Plan.from_dict(document)
    return str(caught.value)


def changed(**keys: Any) -> dict[str, Any]:
    return {**json.loads(json.dumps(thirteen().to_dict())), **keys}


def test_what_is_no_document_of_a_plan_is_refused():
    assert refusal({"rows": []}) == (
        "document: is not the document of a plan\n"
        "  hint: give what plan.to_dict() returned, or `milp-planner solve --json` printed"
    )
    assert refusal("{}") == (
        "document: expected the keys of a plan's document, not str\n"
        "  hint: give what plan.to_dict() or json.load() returns"
    )
    with pytest.raises(ArgumentError):
        Plan.from_dict(None)


@pytest.mark.parametrize("version", [2, 0, "1", True, None, 1.5])
def test_a_document_of_another_version_is_refused(version):
    assert refusal(changed(document_version=version)).startswith(
        "document_version: this planner reads version 1 (is "
    )


def test_unknown_and_missing_keys_are_refused_all_at_once():
    document = changed(purchasses=[])
    del document["purchases"][0]["units"], document["proof"]["certified"]
    document["routes"][0]["capacity"] = 3
    assert sorted(line for line in refusal(document).splitlines() if "hint" not in line) == [
        "proof.certified: required",
        "purchases[0].units: required",
        "purchasses: unknown key; did you mean 'purchases'?",
        "routes[0].capacity: unknown key",
    ]


@pytest.mark.parametrize(
    ("at", "value", "message"),
    [
        (
            ("status",),
            "best",
            "status: 'best' is not one of optimal, feasible, infeasible, no_plan",
        ),
        (("blocks", 0, "hours"), "many", "blocks[0].hours: 'many' is not a number"),
        (("purchases", 0, "units_by_block"), "1; x", "purchases[0].units_by_block: expected whole"),
        (("purchases", 0, "units_by_block"), "1; 1", "purchases[0].units_by_block: has 2 blocks"),
        (("purchases", 0, "gpus_per_unit"), 0, "purchases[0].gpus_per_unit: must be at least 1"),
        (("purchases", 0, "workload"), "mail", "purchases[0].workload: 'mail' is not among the"),
        (("purchases", 0, "price_as_of"), "soon", "purchases[0].price_as_of: 'soon' is not a date"),
        (("routes", 0, "block"), "noon", "routes[0].block: 'noon' is not among the blocks"),
        (("routes", 0, "offering"), "a/b/c", "routes[0]: nothing of it is among the purchases"),
        (("routes", 0, "share"), 0, "routes[0].share: must be greater than 0"),
        (("alternatives", 0, "bands"), {}, "alternatives[0].bands: has no band of 'chat'"),
        (("alternatives", 0, "purchases"), 3, "alternatives[0].purchases: expected a list"),
    ],
)
def test_a_value_that_cannot_be_is_refused_with_its_path(at, value, message):
    document = changed()
    place = document
    for step in at[:-1]:
        place = place[step]
    place[at[-1]] = value
    assert refusal(document).startswith(message)
