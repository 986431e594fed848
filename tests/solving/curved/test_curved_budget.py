"""What a short budget serves of many workloads is read off their curves, stage by stage."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from milp_planner import Status, prepare, solve, warning_lines
from milp_planner.deadline import OutOfTime
from milp_planner.milp.curves.budget import most_served, usd_for_all
from milp_planner.milp.curves.fleets import curves_of
from milp_planner.milp.curves.shortage import least_unserved
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.program.model import build_model
from milp_planner.questions.solve import provenance_of
from milp_planner.solving import stages, tie_break
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.re_solve import settings_of
from milp_planner.solving.results import NOT_SOLVED, Query, Session
from tests.support.builders import big_and_small, problem, workload
from tests.support.one_class_problems import one_class_case

# Big: 10 requests/s, $2,880 a month. Small: 3 requests/s, $1,080.
CURVES = ("capacity curves",)


@pytest.fixture
def large(monkeypatch):
    """Every problem is taken for a large one."""
    for module in (stages, tie_break):
        monkeypatch.setattr(module, "MOST_COLUMNS", 0)


def curves(*workloads):
    asked = prepare(problem(workloads=list(workloads)), big_and_small())
    found = curves_of(build_model(asked, asked.candidates.candidates))
    assert found is not None
    return found


TWO = (workload(13, "chat"), workload(6, "code"))


def test_the_share_that_a_budget_pays_for_is_the_end_of_a_step():
    # $4,000 buys a big one for 10 / 13 of chat and a small one for half of code.
    two = curves(*TWO)
    assert usd_for_all(two) == 2_880 + 1_080 + 2 * 1_080
    assert float(most_served(two, Fraction(4_000))) == pytest.approx(0.5, abs=1e-8)
    assert float(most_served(two, Fraction(3_959))) == pytest.approx(6 / 13, abs=1e-8)
    assert most_served(two, Fraction(2_159)) == 0
    assert most_served(two, Fraction(6_120)) == 1


def test_of_what_is_left_over_the_most_requests_are_served():
    # Half of both takes three small ones, $3,240; a big one for chat serves 10 instead of 9.
    # 3 of 13 are left of chat, 3 of 6 of code: 6 of 19.
    two = curves(*TWO)
    volumes = [{0: 13 / 19}, {0: 6 / 19}]
    best = least_unserved(two, volumes, Fraction(1, 2), 4_000.0)
    assert best is not None
    assert best.unserved == pytest.approx(6 / 19)
    assert best.usd_per_month == pytest.approx(3_960)


def short(question, usd, when_short="fair", **settings):
    budget = {"usd_per_month": usd, "when_short": when_short}
    return question.changed({"limits.budget": budget})


def test_a_short_budget_of_a_large_problem_takes_no_solver(large, monkeypatch):
    monkeypatch.setattr(Optimizer, "best", None)
    monkeypatch.setattr(Optimizer, "minimum", None)
    plan = solve(short(problem(workloads=list(TWO)), 4_000), big_and_small())
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified_by == CURVES
    served = {w.name: pytest.approx(1 - w.shortfall_share) for w in plan.workloads}
    assert served == {"chat": 10 / 13, "code": 0.5}
    assert warning_lines(plan) == (
        "the budget of $4,000.00 is short: at the peak it serves 76.9 % of chat, 50.0 % of code; "
        "to serve everything costs $6,120.00",
    )


def test_what_the_budget_pays_for_is_served_whole(large):
    plan = solve(short(problem(workloads=list(TWO)), 6_120), big_and_small())
    assert plan.proof.certified_by == CURVES
    assert plan.cash_usd_per_month == pytest.approx(6_120)
    assert not plan.warnings


@pytest.mark.parametrize("when_short", ["fair", "priority"])
@pytest.mark.parametrize("seed", range(8))
def test_the_curves_serve_what_the_programs_serve(when_short, seed, large, monkeypatch):
    question, rented = one_class_case(seed, workloads=2, blocks=2 + seed % 3)
    workloads = [w.model_copy(update={"priority": 1 + i}) for i, w in enumerate(question.workloads)]
    question = question.model_copy(update={"workloads": tuple(workloads)})
    everything = solve(question, rented).cash_usd_per_month
    usd = round(everything * random.Random(seed).uniform(0.4, 0.9), 2)
    plan = solve(short(question, usd, when_short), rented)
    monkeypatch.setattr(stages, "_by_curves", lambda *given: None)
    programs = solve(short(question, usd, when_short), rented)
    assert plan.status is programs.status is Status.OPTIMAL
    assert (plan.proof.certified_by, programs.proof.certified_by) == (CURVES, ("cbc", "highs"))
    assert worst(plan) == pytest.approx(worst(programs), abs=2e-7)
    schedule = prepare(question, rented).schedule
    assert unserved(plan, schedule) == pytest.approx(unserved(programs, schedule), abs=4e-7)
    assert plan.cash_usd_per_month == pytest.approx(programs.cash_usd_per_month, abs=0.01)
    (said,), (say,) = (
        [line.split(";")[1] for line in warning_lines(one) if "the budget" in line]
        for one in (plan, programs)
    )
    assert said == say


def worst(plan):
    """The largest unserved share: of all workloads, or of the first."""
    return max(w.shortfall_share for w in plan.workloads)


def unserved(plan, schedule):
    """The share of the month's requests that no route serves."""
    blocks = {block.name: t for t, block in enumerate(schedule.blocks)}
    asked = sum(
        schedule.requests_per_month(w, t) for w in schedule.demands for t in blocks.values()
    )
    served = sum(
        schedule.requests_per_month(route.candidate.workload, blocks[route.block.name])
        * route.share
        for route in plan.routes
    )
    return 1 - served / asked


@pytest.mark.parametrize(
    "fields",
    [
        {"limits.max_gpus": {"total": 9}},
        {"limits.providers.max_share": 0.9},
        {"policy.penalties": {"shortfall": {"usd_per_million_requests": 5}}},
        {"policy.when_short": "fair"},
        {"workloads.chat.min_replicas": 2},
    ],
)
def test_what_more_than_money_links_is_left_to_the_programs(fields, large):
    asked = short(problem(workloads=list(TWO)), 4_000).changed(fields)
    plan = solve(asked, big_and_small())
    assert plan.purchases
    assert CURVES[0] not in plan.proof.certified_by


# --- one program after another ------------------------------------------------------------------


def test_what_everything_costs_is_asked_once_it_is_known_what_is_served(monkeypatch):
    asked = []
    minimum, without_budget = Optimizer.minimum, stages.without_budget
    monkeypatch.setattr(
        Optimizer,
        "minimum",
        lambda self, stage, query: asked.append(stage.kind) or minimum(self, stage, query),
    )
    monkeypatch.setattr(
        stages, "without_budget", lambda *given: asked.append("all") or without_budget(*given)
    )
    plan = solve(short(problem(workloads=list(TWO)), 4_000), big_and_small(), alternatives=0)
    assert asked == ["worst", "unserved", "all"]
    assert plan.warnings


@pytest.mark.parametrize("ending", ["out of time", "no plan", "no plan that holds", "a bad plan"])
def test_a_stage_that_fails_leaves_the_plan_of_the_one_before(ending, monkeypatch):
    minimum = Optimizer.minimum

    def second_fails(self, stage, query):
        model, run = minimum(self, stage, query)
        if stage.kind == "worst" or ending == "a bad plan":
            return model, run
        if ending == "out of time":
            raise OutOfTime
        status = "INFEASIBLE" if ending == "no plan that holds" else "NO_SOLUTION"
        return model, CertifiedRun(EngineStatus[status])

    monkeypatch.setattr(Optimizer, "minimum", second_fails)
    if ending == "a bad plan":
        of_stage, passed = stages.plan_of_stage, []

        def only_the_first(*given):
            passed.append(given)
            return of_stage(*given) if len(passed) == 1 else NOT_SOLVED

        monkeypatch.setattr(stages, "plan_of_stage", only_the_first)
        monkeypatch.setattr(stages, "best_in_order", lambda *given: NOT_SOLVED)
    asked = short(problem(workloads=list(TWO)), 4_000)
    given = prepare(asked, big_and_small())
    settings = settings_of(asked)
    optimizer = Optimizer(given, settings, provenance_of(given, settings), Session.of(settings))
    result, _ = stages.as_much_as_can_be(optimizer, Query())
    assert result.plan is not None
    assert result.status is Status.FEASIBLE
    assert worst(result.plan) <= 0.5 + 1e-6
