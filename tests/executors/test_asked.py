"""Choices on executors, and what asks for one: the same answers everywhere, in the same time."""

from __future__ import annotations

import math
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Any

import pytest

from milp_planner import (
    ChoiceVerdict,
    choices,
    decision_sheet,
    solve,
)
from milp_planner.cli.parts import exit_codes
from milp_planner.deadline import OutOfTime, until
from milp_planner.executors.asked import executor_asked, spread_over
from milp_planner.executors.processes import Processes
from milp_planner.executors.side_by_side import places_of, side_by_side
from milp_planner.questions.choices import choices as module
from milp_planner.questions.choices import sent
from milp_planner.questions.choices.choices import asking_for, solved_choices
from milp_planner.reporting.sheets.text import sheet_json
from tests.executors.elsewhere import Elsewhere, KilledError, Never, Sharing, dead, each_executor
from tests.questions.choices.test_choices import market
from tests.support.builders import (
    big_and_small,
    problem,
)

pytest_plugins = ["tests.support.toy_cli"]

OWN = {"few": {"limits.max_gpus.total": 3}, "spot": {"traffic": 2}}
"""Choices of one's own; the second is called as a usual one is."""


def asked(**fields: Any) -> Any:
    return problem(13, choices={"own": OWN}, **fields)


# ---- which executor is asked for


def test_a_block_is_spread_over_what_it_was_given_and_its_tasks_over_nothing():
    inner = ThreadPoolExecutor(1)
    with ThreadPoolExecutor(1) as outer, spread_over(outer):
        with spread_over(None):
            assert executor_asked() is outer
        with spread_over(inner):
            assert executor_asked() is inner
        assert outer.submit(executor_asked).result() is None
    assert executor_asked() is None


@pytest.mark.parametrize("question", [solve, choices, decision_sheet])
def test_what_is_no_executor_is_refused(question):
    with pytest.raises(TypeError, match=r"expected an executor of concurrent\.futures, not int"):
        question(problem(13), big_and_small(), executor=3)


@pytest.mark.parametrize(
    ("executor", "places"),
    [(ThreadPoolExecutor(3), 3), (Elsewhere(), 1), (Sharing(), 1), (Processes(2), 2)],
)
def test_places_are_those_that_an_executor_tells_of(executor, places):
    assert places_of(executor) == places


# ---- choices


@pytest.fixture(scope="module")
def choices_here():
    return choices(asked(), market()).to_dict()


@each_executor
def test_choices_are_the_same_wherever_they_are_solved(executor, choices_here):
    assert choices(asked(), market(), executor=executor()).to_dict() == choices_here
    names = [row["name"] for row in choices_here["choices"]]
    assert {"few", "spot", "with spot"} <= {*names}


@each_executor
def test_a_sheet_is_the_same_to_the_byte(executor):
    here = decision_sheet(asked(), market(), reproducible=True)
    spread = decision_sheet(asked(), market(), reproducible=True, executor=executor())
    assert sheet_json(spread) == sheet_json(here)


@pytest.mark.parametrize("most", range(0, 60, 7))
def test_work_that_is_limited_by_its_size_ends_at_the_same_choice(most, monkeypatch):
    # Each program of 13 requests/s has 2 to 5 columns: the limit falls into every one of them.
    monkeypatch.setattr(module, "FIXED_WORK", most)
    plan = solve(asked(), market())

    def found(executor: Executor | None) -> Any:
        asking = asking_for(asked(), market(), plan, fixed_work=True)
        with spread_over(executor):
            rows = [(row.key, row.name, row.verdict) for row in solved_choices(asking)]
        return rows, asking.columns > most

    assert found(Elsewhere()) == found(None)


class Mortal(Sharing):
    """A worker dies of whoever is asked for spot."""

    died = (KilledError,)

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        return super().submit(dead if args[-1] == [("spot",)] else fn, *args, **kwargs)


def test_a_choice_whose_worker_dies_says_so_and_the_others_go_on(choices_here):
    found = choices(asked(), market(), executor=Mortal())
    lost = next(row for row in found.rows if row.name == "with spot")
    assert lost.verdict is ChoiceVerdict.NOT_REACHED
    assert lost.why == "its worker died (KilledError)"
    others = [row for row in found.to_dict()["choices"] if row["name"] != "with spot"]
    assert others == [row for row in choices_here["choices"] if row["name"] != "with spot"]


def test_where_no_worker_answers_time_ends_all_the_same(choices_here):
    # What needs nothing solved is told all the same: the bill of today.
    question = asked(today={"usd_per_month": 9000})
    plan = solve(question, market())
    executor = Never()
    found = choices(question, market(), plan=plan, time_limit_s=0.5, executor=executor)
    verdicts = {row.key: row.verdict for row in found.rows}
    assert verdicts.pop("todays_bill") is ChoiceVerdict.FOUND
    assert {*verdicts.values()} == {ChoiceVerdict.NOT_REACHED}
    assert len(verdicts) >= 8
    assert all(future.cancelled() for future in executor.given)


def test_one_who_waits_can_be_told_to_stop():
    cancel = threading.Event()
    threading.Timer(0.3, cancel.set).start()
    with until(math.inf, cancel), pytest.raises(OutOfTime):
        next(side_by_side(Never(), dead, None, [1], lambda *_: None))
    with until(math.inf, cancel):
        assert [*side_by_side(Never(), dead, None, [1, 2], dead, str)] == ["1", "2"]


def test_what_is_known_when_time_is_up_is_told():
    class Half(Elsewhere):
        def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
            future = super().submit(fn, *args, **kwargs)
            return Future() if args[-1] == [1] else future

    with until(time.monotonic() + 0.05):
        assert [*side_by_side(Half(), doubled, 2, [1, 2], dead, str)] == ["1", 4]


def doubled(factor: int, task: int) -> int:
    return factor * task


def test_choices_that_look_at_one_another_travel_together():
    keys = ["spot", "one_gpu_type", "per_token", "fewest_providers"]
    assert sent._tasks(keys) == [("one_gpu_type", "fewest_providers"), ("spot",), ("per_token",)]
    assert sent._tasks(["spot"]) == [("spot",)]


# ---- the command line

COMMANDS = (("--format", "sheet-json"), ("--format", "sheet"), ("--json",))


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_gives_the_same_on_several_threads(run, folder, words):
    one = run("solve", "toy.yaml", *words, "--reproducible")
    assert one[0] == exit_codes.FOUND
    assert run("solve", "toy.yaml", *words, "--reproducible", "--jobs", "2") == one


def test_a_place_that_there_is_not_is_refused(run, folder):
    code, out, err = run("solve", "toy.yaml", "--executor", "spark")
    assert (code, out) == (exit_codes.INPUT, "")
    assert "executor: expected threads, processes, dask://HOST:PORT, ray://HOST:PORT or ray" in err
