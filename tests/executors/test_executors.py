"""Sweeps on executors: the same rows everywhere, one trip for what is shared, lost workers."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from milp_planner import (
    DaskExecutor,
    InputError,
    PlannerError,
    RayExecutor,
    executor_at,
    scenario_grid,
    what_if,
)
from milp_planner.executors import clusters, parcels
from milp_planner.executors.parcels import packed
from milp_planner.executors.processes import Processes
from milp_planner.executors.side_by_side import side_by_side
from tests.executors.elsewhere import Elsewhere, Sharing, dask_cluster, there
from tests.support.builders import big_and_small, problem

GRID = scenario_grid(traffic=[1, 2], budgets=[3000])


def rows(executor: Executor | None) -> Any:
    return what_if(problem(13), GRID, big_and_small(), executor).to_dict()


@pytest.fixture(scope="module")
def alone() -> Any:
    return rows(None)


@pytest.mark.parametrize(
    "executor",
    [ThreadPoolExecutor(2), Elsewhere(), Sharing()],
    ids=["threads", "elsewhere", "sharing"],
)
def test_rows_are_the_same_wherever_they_are_solved(executor, alone):
    assert rows(executor) == alone


def test_what_is_shared_is_opened_once_by_a_worker(monkeypatch):
    opened = []
    real = pickle.loads
    monkeypatch.setattr(parcels.pickle, "loads", lambda data: opened.append(1) or real(data))
    parcels._open.clear()
    parcel = packed({"what": "all share"})
    assert [parcel.opened() for _ in range(3)] == [{"what": "all share"}] * 3
    assert opened == [1]


def test_tasks_of_an_executor_that_shares_are_small():
    apart, sharing = Elsewhere(), Sharing()
    rows(apart)
    rows(sharing)
    assert max(sharing.bytes) < 2_000 < min(apart.bytes)


def test_a_worker_of_another_version_says_so():
    parcel = parcels.Packed(b"", "key", version="0.0.1")
    with pytest.raises(
        PlannerError, match=r"the worker has milp-planner .*, the caller 0\.0\.1; inst"
    ):
        parcel.opened()


# ---- a few tasks at once


class KilledError(Exception):
    """A worker is gone."""


class Mortal(Sharing):
    """Three tasks at once, and a worker that dies of a task called `kills`."""

    died = (KilledError,)

    def __init__(self) -> None:
        super().__init__()
        self.trips: list[list[Any]] = []

    def at_once(self, tasks: int) -> int:
        return 3

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.trips.append([*args[-1]])
        if "kills" in args[-1]:
            dead: Future[Any] = Future()
            dead.set_exception(KilledError())
            return dead
        return super().submit(fn, *args, **kwargs)


def tripled(factor: int, task: int | str) -> str:
    if task == "fails":
        raise ValueError("no number")
    return str(factor * int(task))


def test_a_few_tasks_go_to_a_worker_at_once(alone):
    executor = Mortal()
    assert [*side_by_side(executor, tripled, 3, [1, 2, 3, 4], lost)] == ["3", "6", "9", "12"]
    assert executor.trips == [[1, 2, 3], [4]]
    assert rows(Mortal()) == alone


def test_of_tasks_that_went_together_only_the_one_that_kills_is_lost():
    executor = Mortal()
    found = [*side_by_side(executor, tripled, 3, [1, "kills", 3, 4], lost)]
    assert found == ["3", "kills: its worker died (KilledError)", "9", "12"]
    assert executor.trips == [[1, "kills", 3], [4], [1], ["kills"], [3]]


def test_answers_before_a_task_that_raises_are_told_first():
    answers = side_by_side(Mortal(), tripled, 3, [1, 2, "fails", 4], lost)
    assert [next(answers), next(answers)] == ["3", "6"]
    with pytest.raises(ValueError, match="no number"):
        next(answers)


@pytest.mark.parametrize(
    ("tasks", "places", "at_once"),
    [
        (40, 2, 1),  # 16 trips to each of two places are 32: one task each
        (200, 2, 6),  # 200 / 32
        (10_000, 100, 6),  # 10,000 / 1,600
        (10_000, 2, 8),  # 8 at most
        (3, 0, 1),  # a cluster whose workers are still on their way
    ],
)
def test_as_many_go_at_once_as_leave_each_place_sixteen_trips(tasks, places, at_once, monkeypatch):
    monkeypatch.setattr(DaskExecutor, "places", lambda self: places)
    assert DaskExecutor.__new__(DaskExecutor).at_once(tasks) == at_once


# ---- workers that die


def lost(task: Path | int, why: str) -> str:
    return f"{task}: {why}"


def doubled(factor: int, task: int | Path) -> str:
    """Kills its process at a path: for ever where there is a file, else once."""
    if isinstance(task, Path):
        marker = task.with_suffix(".seen")
        if task.exists() or not marker.exists():
            marker.touch()
            os._exit(9)
        return "came back"
    return str(factor * task)


@pytest.mark.slow
def test_processes_give_the_same_rows_and_outlive_a_task_that_kills(tmp_path, alone):
    (tmp_path / "always").touch()
    tasks = [1, tmp_path / "once", 3, tmp_path / "always", 5]
    with executor_at("processes", jobs=2) as executor:
        assert rows(executor) == alone
        *found, killer, last = side_by_side(executor, doubled, 2, tasks, lost)
    assert (found, last) == (["2", "came back", "6"], "10")
    assert killer.endswith("always: its worker died (BrokenProcessPool)")


@pytest.mark.slow
def test_a_pool_that_cannot_come_back_gives_lost_rows(tmp_path):
    (tmp_path / "always").touch()
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as executor:
        found = [*side_by_side(executor, doubled, 2, [1, tmp_path / "always", 3], lost)]
    assert found[0] == "2"
    assert found[2] == "3: its worker died (BrokenProcessPool)"


@pytest.mark.slow
def test_a_worker_told_to_stop_solves_nothing_more():
    executor = Processes(1)
    executor.stop()
    try:
        found = what_if(problem(13), GRID, big_and_small(), executor).rows
    finally:
        executor.shutdown()
    assert {row.error for row in found} <= {"stopped early", "no plan in time"}


# ---- clusters


class Forgetting(Sharing, clusters._Cluster):
    """A cluster of one worker that forgets what it is asked first, as often as is said."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.times -= 1
        return Future() if self.times >= 0 else super().submit(fn, *args, **kwargs)

    def workers(self) -> int:
        return 1

    places = workers

    def is_busy(self) -> bool:
        return False


def test_what_a_cluster_forgets_it_is_asked_again_and_then_it_is_lost(monkeypatch):
    monkeypatch.setattr(clusters, "LONELY_S", 0.0)
    monkeypatch.setattr(clusters, "LOOK_S", 0.01)
    assert [*side_by_side(Forgetting(1), doubled, 2, [1, 3], lost)] == ["2", "6"]
    assert [*side_by_side(Forgetting(2), doubled, 2, [1], lost)] == [
        "1: its worker died (Forgotten)"
    ]


@pytest.mark.slow
@pytest.mark.skipif(not there("distributed"), reason="needs Dask: pip install distributed")
def test_dask_gives_the_same_rows(tmp_path, alone):
    with dask_cluster() as cluster:
        address = cluster.scheduler_address.replace("tcp://", "dask://")
        with executor_at(address) as executor:
            assert isinstance(executor, DaskExecutor)
            assert (executor.workers(), executor.places()) == (2, 2)
            assert rows(executor) == alone
            once = [1, tmp_path / "once", 3]
            assert [*side_by_side(executor, doubled, 2, once, lost)] == ["2", "came back", "6"]


@pytest.mark.slow
@pytest.mark.skipif(not there("ray"), reason="needs Ray: pip install ray")
def test_ray_gives_the_same_rows(tmp_path, alone):
    (tmp_path / "always").touch()
    with executor_at("ray") as executor:
        assert isinstance(executor, RayExecutor)
        assert executor.workers() == 1
        assert rows(executor) == alone
        tasks = [1, tmp_path / "once", tmp_path / "always", 3]
        found = [*side_by_side(executor, doubled, 2, tasks, lost)]
    assert (found[:2], found[3]) == (["2", "came back"], "6")
    assert found[2].endswith("always: its worker died (WorkerCrashedError)")


# ---- what is refused


@pytest.mark.parametrize("where", ["", "dask", "dask://", "spark://here:1", "ray://", "Threads"])
def test_another_name_is_refused(where):
    with (
        pytest.raises(InputError, match="expected threads, processes, dask://HOST:PORT, "),
        executor_at(where),
    ):
        raise AssertionError("not reached")


@pytest.mark.parametrize(("jobs", "error"), [(0, InputError), (65, InputError), (2.5, TypeError)])
def test_the_number_of_jobs_is_checked(jobs, error):
    with pytest.raises(error, match="jobs"), executor_at("threads", jobs=jobs):
        raise AssertionError("not reached")


@pytest.mark.slow
@pytest.mark.skipif(not there("distributed"), reason="needs Dask: pip install distributed")
def test_a_scheduler_that_is_not_there_is_named(monkeypatch):

    monkeypatch.setattr(clusters, "REACHED_S", 0.5)
    with (
        pytest.raises(PlannerError, match=r"no Dask scheduler answers at 127\.0\.0\.1:9: "),
        executor_at("dask://127.0.0.1:9"),
    ):
        raise AssertionError("not reached")
