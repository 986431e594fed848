"""One time limit for everything: whatever phase it ends in, the answer says so and comes."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from milp_planner import Plan, Status, load_problem, solve
from milp_planner.candidates.records import PlanningInput
from milp_planner.cli import entry
from milp_planner.cli.entry import run_command_line
from milp_planner.cli.parts import exit_codes
from milp_planner.deadline import OutOfTime, began_s, check, checked, counted_from, until
from milp_planner.errors import InputError
from milp_planner.milp.presolve import stages
from milp_planner.questions import in_time
from milp_planner.reporting.documents.options import DEFAULTS
from milp_planner.reporting.text.plans.table import headline
from milp_planner.solving import optimum, prepare, results
from milp_planner.solving import parts as staged
from milp_planner.solving.first_plan import OF_FEW
from milp_planner.solving.results import Session, Settings
from tests.support.builders import big_and_small, problem, token_price

PAST_S = -1.0
NO_PLAN = "No plan found before the solvers stopped, which does not prove that there is none."


# --- the deadline itself ----------------------------------------------------------------------


def test_a_check_raises_after_the_deadline_and_not_before() -> None:
    check()
    with until(time.monotonic() + 600):
        check()
    with until(time.monotonic() + PAST_S), pytest.raises(OutOfTime):
        check()
    check()


def test_an_earlier_deadline_around_a_later_one_stands() -> None:
    with until(time.monotonic() + PAST_S), until(time.monotonic() + 600), pytest.raises(OutOfTime):
        check()


def test_a_cancelled_search_raises_too() -> None:
    cancel = threading.Event()
    with until(time.monotonic() + 600, cancel):
        check()
        cancel.set()
        with until(time.monotonic() + 600), pytest.raises(OutOfTime):
            check()


def test_items_are_the_same_until_time_is_up() -> None:
    def items() -> Iterator[int]:
        yield 1
        with until(time.monotonic() + 600):
            yield 2

    assert list(checked(items())) == [1, 2]
    with until(time.monotonic() + PAST_S), pytest.raises(OutOfTime):
        next(checked(items()))


def test_a_question_begins_now_unless_it_is_counted_from_earlier() -> None:
    now_s = time.monotonic()
    assert began_s() >= now_s
    with counted_from(now_s - 5):
        assert began_s() == now_s - 5
    assert began_s() >= now_s


def test_a_search_within_a_question_ends_with_it_whatever_its_own_limit() -> None:
    ends_s = time.monotonic() + 5
    asked = Settings(time_limit_s=600, gap=0.0, seed=1, ends_s=ends_s)
    assert Session.of(asked).ends_s == ends_s
    short = Session.of(Settings(time_limit_s=1, gap=0.0, seed=1, ends_s=ends_s))
    assert short.ends_s < ends_s - 3


def test_the_solvers_leave_time_to_verify_their_plans() -> None:
    long = Session(time.monotonic() + 100)
    assert 100 - results.MOST_RESERVE_S - 1 < long.solver_seconds < 100 - results.MOST_RESERVE_S + 1
    assert Session(time.monotonic() + PAST_S).solver_seconds == results.LEAST_SOLVER_S


# --- whatever phase it ends in ----------------------------------------------------------------


def is_a_first_plan(plan: Plan) -> bool:
    """Five small at 3 requests/s each: 13 by one kind alone, $5,400. The optimum costs less."""
    found = [(p.candidate.gpu, p.units) for p in plan.purchases]
    assert not plan.proof.certified
    assert any(note.startswith("a first plan") for note in plan.proof.notes)
    bound = plan.lower_bound_usd_per_month
    assert bound is None or bound <= 3_960  # the optimum: a big and a small
    return (plan.status, found) == (Status.FEASIBLE, [("small", 5)])


def test_a_limit_that_reading_used_up_gives_a_first_plan_and_says_so() -> None:
    with counted_from(time.monotonic() - 600):
        plan = solve(problem(13), big_and_small(), time_limit_s=10)
    assert is_a_first_plan(plan)
    assert headline(plan, DEFAULTS).startswith("Best plan found: $5,400 per month")


def test_a_limit_that_reading_used_up_gives_no_plan_where_none_keeps_the_limits() -> None:
    # Two GPUs never serve 40 requests/s.
    asked = problem(40, limits={"max_gpus": {"total": 2}})
    with counted_from(time.monotonic() - 600):
        plan = solve(asked, big_and_small(), time_limit_s=10)
    assert (plan.status, plan.purchases) == (Status.NO_PLAN, ())
    assert headline(plan, DEFAULTS).startswith(NO_PLAN)


def test_a_listing_that_outlasts_a_limit_of_any_length_gives_a_first_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def outlasts(*given: object, **asked: object) -> None:
        raise OutOfTime

    monkeypatch.setattr(prepare, "list_candidates", outlasts)
    plan = solve(problem(13), big_and_small(), time_limit_s=600)
    assert is_a_first_plan(plan)
    assert OF_FEW in plan.proof.notes
    # The cheapest units for 13 requests/s, not those with the fewest GPUs: nothing was proven.
    fewest = solve(problem(13, objective="gpus"), big_and_small(), time_limit_s=600)
    assert is_a_first_plan(fewest)
    unable = problem(40, limits={"max_gpus": {"total": 2}})
    assert solve(unable, big_and_small(), time_limit_s=600).status is Status.NO_PLAN


def test_a_listing_that_takes_just_the_time_there_is_gives_the_first_plan_of_all(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [time.monotonic()]

    def takes_all(*given: Any) -> PlanningInput:
        found = prepare.listed(*given)
        clock[0] += 600
        return found

    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(in_time, "listed", takes_all)
    plan = solve(problem(13), big_and_small(), time_limit_s=600)
    assert is_a_first_plan(plan)
    assert OF_FEW not in plan.proof.notes


def test_who_asks_to_stop_while_all_is_listed_is_not_made_to_wait_for_a_first_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cancel = threading.Event()

    def stopped(*given: object, **asked: object) -> None:
        cancel.set()
        check()

    monkeypatch.setattr(prepare, "list_candidates", stopped)
    assert solve(problem(13), big_and_small(), cancel=cancel).status is Status.NO_PLAN


@pytest.mark.parametrize("phase", ["prune", "build", "write"])
def test_a_limit_that_ends_in_any_phase_gives_the_first_plan(
    monkeypatch: pytest.MonkeyPatch, phase: str
) -> None:
    def late(*given: object, **asked: object) -> None:
        raise OutOfTime

    where = {
        "prune": (optimum, "reduced"),
        "build": (optimum, "build_model"),
        "write": (optimum.FleetModel, "write_mps"),
    }
    monkeypatch.setattr(*where[phase], late)
    assert is_a_first_plan(solve(problem(13), big_and_small()))


def test_a_large_problem_that_is_out_of_time_gives_the_first_plan(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def late(*given: object, **asked: object) -> None:
        raise OutOfTime

    monkeypatch.setattr(staged, "LARGE", 0)
    monkeypatch.setattr(stages, "build_model", late)
    assert is_a_first_plan(solve(problem(13), big_and_small()))


def test_a_plan_that_is_found_is_kept_when_time_ends_among_its_ties(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    build, built = optimum.build_model, []

    def late_from_the_second_on(*given: object, **asked: object) -> object:
        built.append(given)
        if len(built) > 1:
            raise OutOfTime
        return build(*given, **asked)  # type: ignore[arg-type]

    monkeypatch.setattr(optimum, "build_model", late_from_the_second_on)
    plan = solve(problem(13), big_and_small())
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified
    assert len(built) > 1
    assert plan.alternatives == ()


# --- who proves it ----------------------------------------------------------------------------


@pytest.mark.parametrize(("solver", "name"), [("cbc", "CBC"), ("highs", "HiGHS")])
def test_the_headline_says_who_alone_proves_it(solver: str, name: str) -> None:
    plan = solve(problem(13), big_and_small(), solver=solver)  # type: ignore[arg-type]
    assert not plan.proof.certified
    assert f"optimal by {name} alone, gap 0 %" in headline(plan, DEFAULTS)


def test_a_problem_that_asks_for_no_certificate_is_solved_by_cbc_alone() -> None:
    asked = problem(13, solver={"certify": False})
    assert "optimal by CBC alone" in headline(solve(asked, big_and_small()), DEFAULTS)


# --- numbers too far apart --------------------------------------------------------------------


def file_with(tmp_path: Path, rate: str, *limits: str) -> Path:
    """A problem of so many requests/s with these lines under `limits`."""
    path = tmp_path / "far.yaml"
    lines = [
        "schema_version: 1",
        "workloads:",
        "- {name: chat, llm: tiny, requests: {input_tokens: 1, output_tokens: 1},",
        f"   traffic: {{kind: requests_per_second, requests_per_second: {rate}}}}}",
        "limits:",
        *(f"  {limit}" for limit in limits),
    ]
    path.write_text("\n".join(lines) + "\n")
    return path


def test_numbers_too_far_apart_name_their_field_and_line(tmp_path: Path) -> None:
    # A request at the API is $2e-12, 2,592 of them a month; a big $2,880.
    allowed = "billing: {allow: [dedicated, per_token]}"
    path = file_with(tmp_path, "0.001", allowed, "budget:", "  usd_per_month: 9000")
    rented = replace(big_and_small(), token_prices=(token_price("tokn", 1e-6),))
    with pytest.raises(InputError) as refused:
        solve(load_problem(path), rented, alternatives=0)
    (fault,) = refused.value.faults
    assert (fault.file, fault.line) == (str(path), 8)
    assert fault.path == "limits.budget.usd_per_month"
    assert fault.message.startswith("the numbers of this problem are too far apart")


def test_a_share_next_to_all_is_planned(tmp_path: Path) -> None:
    # 50,000 requests/s: 5,000 big; what acme may not serve is less than anybody can tell.
    path = file_with(tmp_path, "50000", "providers: {max_share: 0.9999999999999}")
    plan = solve(load_problem(path).changed({"policy.utilization.target": 1.0}), big_and_small())
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"big": 5_000}


# --- limits of the system ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("can't start new thread"), "no further process or thread may be started"),
        (BlockingIOError(11, "again"), "no further process or thread may be started"),
        (MemoryError(), "not enough memory"),
    ],
)
def test_limits_of_the_system_are_told_as_what_they_are(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    error: Exception,
    said: str,
) -> None:
    def refuses(arguments: list[str]) -> int:
        raise error

    monkeypatch.setattr(entry, "_run", refuses)
    assert run_command_line(["solve"]) == exit_codes.INPUT
    told = capsys.readouterr().err
    assert f"the system refused: {said}" in told
    assert "bug" not in told
