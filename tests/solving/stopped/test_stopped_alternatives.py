"""A search for next-best plans that is stopped half-way hands over what is proven."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from milp_planner import Interrupted, Status, solve
from milp_planner.cli.parts.signals import Terminated
from milp_planner.plans.sentences import alternatives_text
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.search import Search
from tests.support.builders import (
    big_and_small,
    problem,
)

pytest_plugins = ["tests.support.toy_cli"]

# --- Stopped half-way -------------------------------------------------------------------------


class Stopped(KeyboardInterrupt):
    """What a signal handler may raise."""


def stop_after(monkeypatch, runs, exception):
    """The solvers' run number `runs` and all after it raise `exception`."""
    real, calls = Optimizer._run, []

    def run(self, model, query, **settings):
        calls.append(model)
        if len(calls) >= runs:
            raise exception
        return real(self, model, query, **settings)

    monkeypatch.setattr(Optimizer, "_run", run)


@pytest.mark.parametrize(("runs", "known"), [(2, 1), (3, 2), (4, 3)])
def test_an_interrupted_search_hands_over_what_is_proven(monkeypatch, runs, known):
    # Every plan is found by one run; the run after it finds the next, and that nothing is tied.
    stop_after(monkeypatch, runs, Stopped())
    question = problem(31, alternatives={"count": 8, "differ_by": "counts"})
    with pytest.raises(Interrupted) as caught:
        solve(question, big_and_small())
    plan = caught.value.plan
    assert isinstance(caught.value.cause, Stopped)
    assert [p.status for p in (plan, *plan.alternatives)] == [Status.OPTIMAL] * known
    assert alternatives_text(plan) == "interrupted: there may be more"
    assert plan.provenance.oldest_price == "2026-01-15"


@pytest.mark.parametrize(
    ("exception", "code", "said"),
    [(KeyboardInterrupt(), 130, "interrupted\n"), (Terminated(), 143, "terminated\n")],
)
def test_an_interrupted_command_prints_what_is_proven(monkeypatch, run, exception, code, said):
    stop_after(monkeypatch, 2, exception)
    ended, out, err = run("solve", "toy.yaml", "--quiet")
    assert (ended, err) == (code, said)
    assert out.startswith("Optimal plan: $3,960 per month")
    assert "\n  interrupted: there may be more\n" in out


def test_a_later_plan_that_is_cheaper_than_an_unproven_one_takes_its_place(monkeypatch):
    # Stopped at a gap, the solvers may find five small ($5,400) before big and small ($3,960).
    real, found = Search._best, []

    def dearest_first(self):
        answer = real(self)
        if found:
            return answer
        found.append(answer)
        self.found.append(answer.plan)
        dear = real(self)
        self.found.clear()
        bound = answer.plan.score_usd_per_month - 1
        plan = replace(dear.plan, status=Status.FEASIBLE, lower_bound_usd_per_month=bound)
        return replace(dear, status=Status.FEASIBLE, plan=plan, bound=bound)

    monkeypatch.setattr(Search, "_best", dearest_first)
    plan = solve(problem(13, alternatives={"count": 1}), big_and_small())
    assert [p.score_usd_per_month for p in (plan, *plan.alternatives)] == [3_960, 5_400]
    assert (plan.status, plan.bound) == (Status.FEASIBLE, 3_959)


def test_a_search_interrupted_before_its_first_plan_has_nothing_to_hand_over(monkeypatch):
    stop_after(monkeypatch, 1, Stopped())
    with pytest.raises(Stopped):
        solve(problem(31), big_and_small())


def test_a_cancelled_search_ends_with_what_it_has(monkeypatch):
    cancel = threading.Event()
    real = Optimizer._run

    def run(self, model, query, **settings):
        verdict = real(self, model, query, **settings)
        cancel.set()
        return verdict

    monkeypatch.setattr(Optimizer, "_run", run)
    question = problem(31, alternatives={"count": 8, "differ_by": "counts"})
    plan = solve(question, big_and_small(), cancel=cancel)
    assert plan.status is Status.OPTIMAL
    assert len(plan.alternatives) < 8
    assert alternatives_text(plan) == "stopped early, as asked: there may be more"


def test_the_time_limit_covers_the_alternatives_too(monkeypatch):
    real = Optimizer._run

    def run(self, model, query, **settings):
        verdict = real(self, model, query, **settings)
        self.session = replace(self.session, ends_s=0.0)  # the first run took all there was
        return verdict

    monkeypatch.setattr(Optimizer, "_run", run)
    question = problem(31, alternatives={"count": 8, "differ_by": "counts"})
    plan = solve(question, big_and_small())
    assert plan.status is Status.OPTIMAL
    assert plan.alternatives == ()
    assert alternatives_text(plan) == "the time limit ended the search for further plans"
