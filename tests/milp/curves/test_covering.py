"""Which programs are nothing but covering problems: all others are for the solvers."""

from __future__ import annotations

from fractions import Fraction

import pytest

from milp_planner import Rule, prepare
from milp_planner.milp.curves.covering import COVERED, covers_of
from milp_planner.milp.curves.curve import Curve
from milp_planner.milp.program.families import CONSTRAINTS, COST_TERMS, DECIDED_BEFORE
from milp_planner.milp.program.model import build_model
from milp_planner.solving.checks.own_rules import held_to
from tests.milp import test_constraints, test_golden
from tests.support.builders import big_and_small, problem, stocked, with_tokens, workload


def covers(question, rented):
    asked = prepare(question, rented)
    return covers_of(build_model(asked, asked.candidates.candidates))


def test_a_workload_with_a_load_and_nothing_else_is_a_covering_problem():
    # $1.50 an hour for 720 hours, and nine tenths of 3 requests/s
    (cover,) = covers(problem(12, target=0.9), big_and_small())
    assert [k.offering.id for k in cover.held] == ["acme/big/eu-1", "bolt/small/eu-1"]
    assert cover.elastic == ()
    small = cover.held[1]
    assert cover.carries[small] == Fraction(0.9 * 3)
    assert (cover.usd_per_hour[small], cover.hours_held[small]) == (1.5, 720)
    assert list(cover.peaks.values()) == [12]


# One of each costs $5.50 an hour: for 12 requests/s no less will do.
def test_the_least_for_a_share_of_the_load_rises_in_steps():
    (cover,) = covers(problem(12), big_and_small())
    curve = Curve.of(cover)
    assert curve.broken == ()
    found = [curve.least(Fraction(part, 12)) for part in (12, 10, 7, 6, 0)]
    assert [fleet.usd_per_month / 720 for fleet in found] == [5.5, 4, 4, 3, 0]
    # the big one carries up to ten twelfths
    assert float(found[2].reach) == pytest.approx(10 / 12)


@pytest.mark.parametrize("family", sorted(test_constraints.ASKED))
def test_a_problem_that_a_limit_binds_is_none(family):
    case = test_constraints.ASKED[family]
    before = {type(rule).__name__ for rule in DECIDED_BEFORE} - {"FewestGpus"}
    found = covers(case.question, case.rented)
    assert (found is not None) == (family in before)


@pytest.mark.parametrize("family", sorted(test_constraints.PENALISED))
def test_a_problem_with_a_cost_beyond_the_hours_of_units_is_none(family):
    rate, policy, _ = test_constraints.PENALISED[family]
    strict = test_constraints.STRICT if "strict_latency" in policy.get("penalties", {}) else {}
    volume = {"*": [{"above": 5_000, "discount": 0.1}]} if family == "VolumeBands" else {}
    paid = test_constraints.PAID.get(family, ())
    by_day = {"traffic": test_constraints.BY_DAY} if family == "StartUpAhead" else {}
    question = problem(
        *(rate,),
        policy=policy,
        chat={**strict, **by_day},
        commitments=paid,
        prices={"volume": volume},
    )
    rented = test_constraints.pairs() if family == "Packing" else big_and_small()
    assert covers(question, rented) is None


@pytest.mark.parametrize(
    ("question", "rented"),
    [
        (problem(12, limits={"billing": {"allow": ["dedicated", "per_token"]}}), with_tokens()),
        (problem(25), stocked()),
        (test_golden.mixed_workloads(), big_and_small()),
        (
            problem(
                12, current_fleet=[{"offering": "acme/big/eu-1", "units": 1, "workload": "chat"}]
            ),
            big_and_small(),
        ),
    ],
)
def test_tokens_stock_and_a_fleet_of_today_are_for_the_solvers(question, rented):
    assert covers(question, rented) is None


def test_several_classes_are_for_the_solvers():
    sizes = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
        {"input_tokens": 10, "output_tokens": 10, "share": 0.5},
    ]
    boxes = test_constraints.boxes()
    assert covers(problem(5, chat={"requests": sizes}), boxes) is None
    assert covers(problem(5), boxes) is not None


class Nothing(Rule):
    """A rule of the user's own that asks for nothing."""

    def rows(self, fleet):
        return ()

    def violations(self, instance, plan):
        return ()


def test_a_rule_of_ones_own_is_for_the_solvers():
    assert covers(held_to(problem(12), [Nothing]), big_and_small()) is None


@pytest.mark.parametrize("part", ["a row", "a cost", "a column", "a bound"])
def test_whatever_a_program_has_beyond_its_loads_is_seen(part):
    asked = prepare(problem(workloads=[workload(12, "chat")]), big_and_small())
    model = build_model(asked, asked.candidates.candidates)
    unit = next(iter(model.fleet.units.values()))
    assert covers_of(model) is not None
    if part == "a row":
        name = next(iter(model.row_meaning))
        model.row_meaning["again"] = model.row_meaning[name]
    elif part == "a cost":
        model.costs["rent"][unit] += 0.01
    elif part == "a column":
        model.fleet.column("something else", 1)
    else:
        unit.upBound = 0
    assert covers_of(model) is None


def test_all_that_is_named_is_there_and_has_a_reason():
    known = {type(one).__name__ for one in (*CONSTRAINTS, *DECIDED_BEFORE, *COST_TERMS)}
    assert set(COVERED) <= known
    assert all(COVERED.values())
