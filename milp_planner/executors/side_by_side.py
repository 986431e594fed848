"""Tasks that share something, run side by side on any executor; their answers in order.

What they share goes to a worker once, not with every task:

    threads               is simply there
    processes             in a file that each of them reads once
    a SharingExecutor     as the executor hands it out (Dask, Ray)
    any other             with the tasks, but opened by each worker once

A SharingExecutor may send a few tasks at once. A task whose worker dies is run again, alone; where
that dies as well, its answer is that it was lost, and the others go on. A deadline around the
reader ends its waiting: see `deadline`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import (
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
)
from typing import Any, Generic, TypeVar

from milp_planner.deadline import OutOfTime, check, seconds_left
from milp_planner.executors.parcels import (
    Answer,
    Answers,
    Here,
    InFile,
    Parcel,
    Task,
    packed,
    run_tasks,
)
from milp_planner.executors.processes import Processes
from milp_planner.milp.engines.scratch import scratch_folder

What = TypeVar("What")

LOOK_S, LEAST_S = 0.2, 0.001
"""How often a reader that waits looks whether it is to stop."""

TRIES_ALONE = 2
"""How often a task whose worker died is run once more, with nothing beside it."""


class Forgotten(Exception):
    """An answer that never comes: whoever was asked has nothing to do any more."""


class SharingExecutor(Executor):
    """An executor that takes what all tasks share to its workers, once."""

    died: tuple[type[BaseException], ...] = ()
    """What a task raises whose worker died; such an executor has tried it again by itself."""

    def share(self, parcel: object) -> Any:
        """What tasks are given in its place: resolved by the executor to the parcel."""
        raise NotImplementedError

    def at_once(self, tasks: int) -> int:
        """How many of so many tasks go to a worker together: each trip has its price."""
        return 1

    def places(self) -> int:
        """How many tasks run at the same time; 1 where that is not known."""
        return 1

    def result_of(self, future: Future[Answer]) -> Answer:
        """The answer, waited for as long as the deadline around this lets one wait."""
        return _in_time(future)


def side_by_side(
    executor: Executor,
    run: Callable[[What, Task], Answer],
    shared: What,
    tasks: Sequence[Task],
    lost: Callable[[Task, str], Answer],
    late: Callable[[Task], Answer] | None = None,
) -> Iterator[Answer]:
    """`run(shared, task)` for each task, answers in the order of the tasks, each once it is known.

    run: a function of a module, as it must be found by its name on a worker. lost: the answer of a
    task whose workers died, and why. late: that of a task which is not done when time is up or
    somebody asks to stop; without it OutOfTime is raised. When the reader goes away, what has not
    begun is called off.
    """
    with _handed_out(executor, shared) as parcel:
        crew = _Crew(executor, run, shared, parcel, tasks, lost, late)
        try:
            yield from crew.answers()
        finally:
            crew.call_off()


def places_of(executor: Executor) -> int:
    """How many tasks an executor runs at the same time; 1 where it does not say."""
    if isinstance(executor, SharingExecutor | Processes):
        return max(1, executor.places())
    return int(getattr(executor, "_max_workers", 1))


class _Crew(Generic[What, Task, Answer]):
    """The tasks of one call, on their way, a few at once."""

    def __init__(
        self,
        executor: Executor,
        run: Callable[[What, Task], Answer],
        shared: What,
        parcel: Any,
        tasks: Sequence[Task],
        lost: Callable[[Task, str], Answer],
        late: Callable[[Task], Answer] | None,
    ) -> None:
        self._executor, self._run, self._parcel, self._lost = executor, run, parcel, lost
        self._shared, self._late = shared, late
        self._repeats = not isinstance(executor, SharingExecutor)
        own = () if self._repeats else executor.died  # type: ignore[attr-defined]
        self.died: tuple[type[BaseException], ...] = (BrokenExecutor, Forgotten, *own)
        at_once = 1 if self._repeats else executor.at_once(len(tasks))  # type: ignore[attr-defined]
        self._batches = [tasks[i : i + at_once] for i in range(0, len(tasks), at_once)]
        self._futures = [self._submit(batch) for batch in self._batches]

    def answers(self) -> Iterator[Answer]:
        """All of them in order; that of a task whose workers died is that it was lost, that of one
        for which time is up that it is late."""
        for i, batch in enumerate(self._batches):
            left = iter(batch)
            try:
                for answer in self._waited_for(i, batch):
                    next(left)
                    yield answer
            except OutOfTime:
                if self._late is None:
                    raise
                yield from map(self._late, left)

    def _waited_for(self, i: int, batch: Sequence[Task]) -> Iterator[Answer]:
        try:
            found = self._result(self._futures[i])
        except self.died as error:
            yield from self._after_death(i, batch, error)
        else:
            yield from _told(found)

    def call_off(self) -> None:
        """What has not begun is not begun."""
        for future in self._futures:
            future.cancel()

    def _after_death(self, i: int, batch: Sequence[Task], error: BaseException) -> Iterator[Answer]:
        """Each of a batch by itself, unless it was alone and the executor has tried it again: it
        has not where it forgot the task."""
        if self._repeats:
            try:
                yield from self._alone(batch)
            finally:
                self._again_after(i)
        elif len(batch) == 1 and not isinstance(error, Forgotten):
            yield self._lost(batch[0], _why(error))
        else:
            apart = [self._submit([task]) for task in batch]
            for task, future in zip(batch, apart, strict=True):
                try:
                    found = self._result(future)
                except self.died as own:
                    yield self._lost(task, _why(own))
                else:
                    yield from _told(found)

    def _alone(self, batch: Sequence[Task]) -> Iterator[Answer]:
        """Once more with nothing beside it: whoever dies now has died of this task."""
        for left in reversed(range(TRIES_ALONE)):
            try:
                found = self._result(self._submit(batch))
            except self.died as error:
                if not left:
                    yield self._lost(batch[0], _why(error))
            else:
                yield from _told(found)
                return

    def _again_after(self, i: int) -> None:
        """A pool that breaks takes all its tasks along; those are submitted again."""
        for j in range(i + 1, len(self._futures)):
            with contextlib.suppress(CancelledError, TimeoutError):
                if isinstance(self._futures[j].exception(timeout=0), self.died):
                    self._futures[j] = self._submit(self._batches[j])

    def _result(self, future: Future[Any]) -> Answers[Answer]:
        is_sharing = isinstance(self._executor, SharingExecutor)
        wait = self._executor.result_of if is_sharing else _in_time  # type: ignore[attr-defined]
        return wait(future).opened(self._shared)  # type: ignore[no-any-return]

    def _submit(self, batch: Sequence[Task]) -> Future[Any]:
        try:
            return self._executor.submit(run_tasks, self._run, self._parcel, batch)
        except BrokenExecutor as error:  # a pool that stays broken says so at every task
            broken: Future[Any] = Future()
            broken.set_exception(error)
            return broken


def _in_time(future: Future[Answer]) -> Answer:
    """The answer, waited for; raises OutOfTime where the deadline around this comes first."""
    while not future.done():
        check()
        with contextlib.suppress(TimeoutError):  # the task's own is raised below
            future.exception(timeout=min(LOOK_S, max(seconds_left(), LEAST_S)))
    return future.result()


def _told(found: Answers[Answer]) -> Iterator[Answer]:
    yield from found.known
    if found.error is not None:
        raise found.error


def _why(error: BaseException) -> str:
    return f"its worker died ({type(error).__name__})"


@contextlib.contextmanager
def _handed_out(executor: Executor, shared: object) -> Iterator[Parcel | Any]:
    """What tasks are given in place of `shared`."""
    if isinstance(executor, ThreadPoolExecutor):
        yield Here(shared)
        return
    parcel = packed(shared)
    if isinstance(executor, SharingExecutor):
        yield executor.share(parcel)
    elif isinstance(executor, ProcessPoolExecutor | Processes):
        with scratch_folder() as folder:
            path = folder / "shared.pickle"
            path.write_bytes(parcel.data)
            yield InFile(path, parcel.key)
    else:
        yield parcel
