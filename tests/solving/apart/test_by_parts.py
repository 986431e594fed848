"""Next-best plans out of lists of parts are those that listing every fleet of all finds."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from milp_planner import load_problem, solve
from milp_planner.solving import by_parts
from milp_planner.solving.by_parts import ByParts
from milp_planner.solving.optimum import Optimizer
from tests.support.builders import catalog, offering, problem, raw
from tests.support.examples import slow_tries, tries
from tests.support.oracles.cases import Case, Offer, Terms
from tests.support.oracles.next_best_cases import (
    DIFFERENCES,
    check_against_brute_force,
    load_of,
)

PROBLEMS = Path(__file__).resolve().parents[3] / "problems"
WITHOUT_CHECKS = {"suppress_health_check": list(HealthCheck)}


@pytest.fixture(autouse=True)
def small_ones_too(monkeypatch):
    """Parts are asked wherever they can be, though the engines are as quick."""
    monkeypatch.setattr(by_parts, "QUICK_COLUMNS", -1)


@st.composite
def cases(draw, prices=(0.83, 1.0, 1.37, 2.0, 2.11, 3.0, 4.2), rates=(2.0, 3.0, 3.7, 5.5)):
    """Two or three workloads, one or two blocks, two or three offerings, a limit or a penalty."""
    names = ["chat", "code", "mail"][: draw(st.sampled_from([2, 2, 3]))]
    blocks = 1 if len(names) == 3 else draw(st.sampled_from([1, 1, 2]))
    peaks = st.tuples(*[st.sampled_from([1.0, 2.5, 4.0, 6.5])] * blocks)
    offers = tuple(
        Offer(
            draw(st.sampled_from(["acme", "bolt", "coda"])),
            f"gpu{i}",
            draw(st.sampled_from(prices)),
            (draw(st.sampled_from(rates)),),
            billing=draw(st.sampled_from(["dedicated", "dedicated", "autoscaling"])),
        )
        for i in range(draw(st.integers(2, 3)) if blocks == 1 and len(names) == 2 else 2)
    )
    rare = st.integers(0, 5).map(lambda n: n == 0)
    soft = draw(rare)
    terms = Terms(
        ceiling=1.0 if soft else draw(st.sampled_from([1.0, 0.75])),
        strict_usd=draw(st.sampled_from([500.0, 30_000.0])) if soft else None,
        scaling=(2, 300.0) if draw(rare) else None,
        budget=draw(st.sampled_from([5_000.0, 8_000.0])) if draw(rare) else None,
        most_providers=1 if draw(rare) else None,
        max_gpus=6 if draw(rare) else None,
        survive=("offering", 1.0) if draw(rare) else None,
    )
    hours = (720.0,) if blocks == 1 else (240.0, 480.0)
    return Case(offers, tuple(load_of(draw(peaks), name) for name in names), terms, (), hours)


TIED_CASES = cases(prices=(1.0, 2.0), rates=(2.0, 4.0))
"""Few prices and rates: many fleets cost the same."""


@pytest.mark.slow
@tries(0.6, **WITHOUT_CHECKS)
@given(cases(), st.sampled_from(DIFFERENCES), st.booleans())
def test_the_list_is_the_one_that_brute_force_finds(case, differ_by, per_workload):
    check_against_brute_force(case, differ_by, per_workload, pruning=True)


@pytest.mark.slow
@slow_tries(10, **WITHOUT_CHECKS)
@given(
    cases() | cases(prices=(1.0, 2.0), rates=(2.0, 4.0)),
    st.sampled_from(DIFFERENCES),
    st.booleans(),
)
def test_hundreds_of_lists_are_the_ones_that_brute_force_finds(case, differ_by, per_workload):
    check_against_brute_force(case, differ_by, per_workload, pruning=True)


class Counted:
    """How often the program of all was solved, and parts were asked in vain."""

    def __init__(self, monkeypatch):
        self.whole = self.in_vain = 0
        solved, asked = Optimizer.best, ByParts.best

        def best(optimizer, query):
            is_whole = len(optimizer.instance.problem.workloads) == 3
            self.whole += is_whole and query.follows_others
            return solved(optimizer, query)

        def best_by_parts(parts, query):
            found = asked(parts, query)
            self.in_vain += found is None
            return found

        monkeypatch.setattr(Optimizer, "best", best)
        monkeypatch.setattr(ByParts, "best", best_by_parts)


def on_four_types():
    """Three workloads on offerings of four types, each of which serves any of them."""
    prices = {"gpu0": 1.0, "gpu1": 1.1, "gpu2": 1.9, "gpu3": 2.3}
    rows = [offering(f"p{i}", gpu, usd) for i, (gpu, usd) in enumerate(prices.items())]
    rates = [raw(gpu, 2.0 + i) for i, gpu in enumerate(prices)]
    loads = {"chat": 7.0, "code": 4.5, "mail": 2.5}
    workloads = [
        {**problem(load).workloads[0].model_dump(exclude_unset=True), "name": name}
        for name, load in loads.items()
    ]
    return problem(1).changed({"workloads": workloads}), catalog(rows, rates)


@pytest.mark.slow
def test_no_next_plan_takes_the_program_of_all(monkeypatch):
    asked, rented = on_four_types()
    whole = solve(asked, rented, alternatives=12, pruning=False)
    counted = Counted(monkeypatch)
    plan = solve(asked, rented, alternatives=12)
    assert counted.whole == counted.in_vain == 0
    assert [one.score_usd_per_month for one in plan.alternatives] == pytest.approx(
        [one.score_usd_per_month for one in whole.alternatives], abs=0.01
    )
    assert all(one.proof.certified for one in plan.alternatives)


@pytest.mark.parametrize(
    "changes",
    [
        {"policy.penalties.shortfall": {"usd_per_million_requests": 250}},
        {"policy.penalties.scaling": {"above_gpus": 1, "usd_per_gpu": 300}},
        {"limits.providers.max_share": "60%"},
        {"limits.survive_loss_of": "provider"},
        {"alternatives.differ_by": "providers", "alternatives.per_workload": True},
        {"alternatives.differ_by": "counts"},
    ],
    ids=lambda changes: next(reversed(changes)).rpartition(".")[2],
)
def test_every_kind_of_problem_has_the_list_of_the_program_of_all(changes, monkeypatch):
    asked, rented = on_four_types()
    asked = asked.changed(changes)
    whole = solve(asked, rented, alternatives=6, pruning=False)
    counted = Counted(monkeypatch)
    plan = solve(asked, rented, alternatives=6)
    assert counted.in_vain == 0
    assert len(plan.alternatives) == len(whole.alternatives) == 6
    assert [one.score_usd_per_month for one in plan.alternatives] == pytest.approx(
        [one.score_usd_per_month for one in whole.alternatives], abs=0.01
    )


@pytest.mark.slow
def test_a_quota_that_binds_leaves_it_to_the_program_of_all(monkeypatch):
    # Without it the best plan has five gpu0; with it none of what parts find cheapest is allowed.
    asked, rented = on_four_types()
    asked = asked.changed({"limits.max_gpus": {"per_gpu": {"gpu0": 1, "gpu1": 1, "gpu2": 1}}})
    whole = solve(asked, rented, alternatives=6, pruning=False)
    counted = Counted(monkeypatch)
    plan = solve(asked, rented, alternatives=6)
    assert counted.whole >= 6
    assert counted.in_vain == 0
    assert [one.score_usd_per_month for one in plan.alternatives] == pytest.approx(
        [one.score_usd_per_month for one in whole.alternatives], abs=0.01
    )


@pytest.mark.slow
def test_three_llms_have_the_list_of_the_program_of_all(monkeypatch):
    # Units may be shared there, some names are of several workloads, and a unit to spare makes the
    # eleventh: nothing but the program of all knew it before.
    asked = load_problem(PROBLEMS / "three-llms.yaml")
    plan = solve(asked, alternatives=14)
    monkeypatch.setattr(by_parts, "_may_come_apart", lambda optimizer: False)
    whole = solve(asked, alternatives=14)
    assert len(plan.alternatives) == len(whole.alternatives) == 14
    assert [one.score_usd_per_month for one in plan.alternatives] == pytest.approx(
        [one.score_usd_per_month for one in whole.alternatives], abs=0.01
    )
    assert [bought(one) for one in plan.alternatives] == [bought(one) for one in whole.alternatives]


def bought(plan):
    return sorted((p.candidate.id, p.units_by_block) for p in plan.purchases)
