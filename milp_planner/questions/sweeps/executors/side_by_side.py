"""Tasks that share something, run side by side on any executor; their answers in order.

What they share goes to a worker once, not with every task:

    threads               is simply there
    processes             in a file that each of them reads once
    a SharingExecutor     as the executor hands it out (Dask, Ray)
    any other             with the tasks, but opened by each worker once

A task whose worker dies is run again, alone; where that dies as well, its answer is that it was
lost, and the others go on.
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

from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.questions.sweeps.executors.parcels import (
    Answer,
    Here,
    InFile,
    Parcel,
    Task,
    packed,
    run_task,
)
from milp_planner.questions.sweeps.executors.processes import Processes

Shared = TypeVar("Shared")

TRIES_ALONE = 2
"""How often a task whose worker died is run once more, with nothing beside it."""


class SharingExecutor(Executor):
    """An executor that takes what all tasks share to its workers, once."""

    died: tuple[type[BaseException], ...] = ()
    """What a task raises whose worker died; such an executor has tried it again by itself."""

    def share(self, parcel: object) -> Any:
        """What tasks are given in its place: resolved by the executor to the parcel."""
        raise NotImplementedError

    def result_of(self, future: Future[Answer]) -> Answer:
        """The answer, waited for."""
        return future.result()


def side_by_side(
    executor: Executor,
    run: Callable[[Shared, Task], Answer],
    shared: Shared,
    tasks: Sequence[Task],
    lost: Callable[[Task, str], Answer],
) -> Iterator[Answer]:
    """`run(shared, task)` for each task, answers in the order of the tasks, each once it is known.

    run: a function of a module, as it must be found by its name on a worker. lost: the answer of a
    task whose workers died, and why. When the reader goes away, what has not begun is called off.
    """
    with _handed_out(executor, shared) as parcel:
        crew = _Crew(executor, run, parcel, tasks)
        try:
            for i, task in enumerate(tasks):
                try:
                    yield crew.answer(i)
                except crew.died as error:
                    yield lost(task, f"its worker died ({type(error).__name__})")
        finally:
            crew.call_off()


class _Crew(Generic[Shared, Task, Answer]):
    """The tasks of one call, on their way."""

    def __init__(
        self,
        executor: Executor,
        run: Callable[[Shared, Task], Answer],
        parcel: Any,
        tasks: Sequence[Task],
    ) -> None:
        self._executor, self._run, self._parcel, self._tasks = executor, run, parcel, tasks
        self._repeats = not isinstance(executor, SharingExecutor)
        own = () if self._repeats else executor.died  # type: ignore[attr-defined]
        self.died: tuple[type[BaseException], ...] = (BrokenExecutor, *own)
        self._futures = [self._submit(i) for i in range(len(tasks))]

    def answer(self, i: int) -> Answer:
        """The i-th answer. Raises one of `died`, where every try ended so."""
        try:
            return self._result(self._futures[i])
        except self.died:
            if not self._repeats:
                raise
        try:
            return self._alone(i)
        finally:
            self._again_after(i)

    def call_off(self) -> None:
        """What has not begun is not begun."""
        for future in self._futures:
            future.cancel()

    def _alone(self, i: int) -> Answer:
        """Once more with nothing beside it: whoever dies now has died of this task."""
        for left in reversed(range(TRIES_ALONE)):
            try:
                return self._result(self._submit(i))
            except self.died:
                if not left:
                    raise
        raise AssertionError("the last try answers or raises")

    def _again_after(self, i: int) -> None:
        """A pool that breaks takes all its tasks along; those are submitted again."""
        for j in range(i + 1, len(self._futures)):
            with contextlib.suppress(CancelledError, TimeoutError):
                if isinstance(self._futures[j].exception(timeout=0), self.died):
                    self._futures[j] = self._submit(j)

    def _result(self, future: Future[Answer]) -> Answer:
        if isinstance(self._executor, SharingExecutor):
            return self._executor.result_of(future)
        return future.result()

    def _submit(self, i: int) -> Future[Answer]:
        try:
            return self._executor.submit(run_task, self._run, self._parcel, self._tasks[i])
        except BrokenExecutor as error:  # a pool that stays broken says so at every task
            broken: Future[Answer] = Future()
            broken.set_exception(error)
            return broken


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
