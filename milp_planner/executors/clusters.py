"""Dask and Ray as executors: they take what all tasks share to each worker once, by themselves."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

from milp_planner.deadline import check, seconds_left
from milp_planner.errors import PlannerError
from milp_planner.executors.side_by_side import LEAST_S, Forgotten, SharingExecutor

if TYPE_CHECKING:
    from distributed import Client

Answer = TypeVar("Answer")

REACHED_S = 10.0
"""How long a cluster has to answer, and to show a worker."""

LONELY_S = 60.0
"""How long a sweep waits while its cluster has no worker at all, or none that does anything: Dask
may forget a task whose answer was lost with its worker, and tells nobody."""

LOOK_S = 1.0

MOST_AT_ONCE = 8
"""Tasks of one trip; a worker that dies takes so many along, which are run again one by one."""

TRIPS = 16
"""To each place at least, so that no place works a sixteenth longer than the others."""


class _Cluster(SharingExecutor):
    """Waits for answers as long as there are workers."""

    def workers(self) -> int:
        """How many there are now."""
        raise NotImplementedError

    def places(self) -> int:
        """How many tasks they run at the same time."""
        raise NotImplementedError

    def is_busy(self) -> bool:
        """Whether any worker has something to do, where that can be told."""
        return True

    def at_once(self, tasks: int) -> int:
        """Fewer trips where each place has many to come, and none waits long for the last."""
        return max(1, min(MOST_AT_ONCE, tasks // (TRIPS * max(1, self.places()))))

    def result_of(self, future: Future[Answer]) -> Answer:
        """The answer. Raises PlannerError where the cluster has no worker for a minute, Forgotten
        where its workers have nothing to do for as long, OutOfTime as every executor here does."""
        seen_s = time.monotonic()
        while True:
            if not future.done():
                check()
            try:
                return future.result(timeout=min(LOOK_S, max(seconds_left(), LEAST_S)))
            except TimeoutError:
                if future.done():
                    return future.result()  # meanwhile, or it is the task's own
            now_s = time.monotonic()
            workers = self.workers()
            if workers and self.is_busy():
                seen_s = now_s
            elif now_s - seen_s > LONELY_S:
                if workers:
                    raise Forgotten("the cluster gave no answer, and works on none")
                raise PlannerError(
                    f"the cluster has had no worker for {LONELY_S:g} s; start workers and ask again"
                )


class DaskExecutor(_Cluster):
    """Tasks on a Dask cluster: `DaskExecutor(Client("tcp://HOST:PORT"))`.

    client: a `distributed.Client`; it stays open, and is the caller's to close.
    """

    def __init__(self, client: Client) -> None:
        from distributed.client import FutureCancelledError
        from distributed.scheduler import KilledWorker

        self.died = (KilledWorker, FutureCancelledError)
        self._client = client
        self._inner = client.get_executor(pure=False)  # not hashed: each task is asked once

    def share(self, parcel: object) -> Any:
        """A task's answer, which workers fetch from one another. Where the last that had it dies it
        is made again: what is scattered is lost with it, as Dask keeps no more than one copy."""
        return self._client.submit(_itself, parcel, pure=False)

    def submit(self, fn: Callable[..., Answer], /, *args: Any, **kwargs: Any) -> Future[Answer]:
        """As of every executor."""
        return self._inner.submit(fn, *args, **kwargs)  # type: ignore[no-any-return]

    def workers(self) -> int:
        """As the scheduler tells."""
        return len(self._workers())

    def places(self) -> int:
        """Threads of all workers."""
        return sum(worker["nthreads"] for worker in self._workers().values())

    def is_busy(self) -> bool:
        """As the scheduler tells."""
        return any(self._client.processing().values())

    def _workers(self) -> dict[str, Any]:
        return self._client.scheduler_info(n_workers=-1).get("workers", {})  # type: ignore[no-any-return]


class RayExecutor(_Cluster):
    """Tasks on the Ray cluster that this process is connected to: after `ray.init(...)`."""

    def __init__(self) -> None:
        import ray
        from ray.exceptions import NodeDiedError, OutOfMemoryError, WorkerCrashedError

        self.died = (WorkerCrashedError, NodeDiedError, OutOfMemoryError)
        self._ray = ray

    def share(self, parcel: object) -> Any:
        """A reference; every machine fetches what it stands for once."""
        return self._ray.put(parcel)

    def submit(self, fn: Callable[..., Answer], /, *args: Any, **kwargs: Any) -> Future[Answer]:
        """As of every executor."""
        remote = self._ray.remote(max_retries=3)(fn)
        return remote.remote(*args, **kwargs).future()  # type: ignore[no-any-return]

    def workers(self) -> int:
        """Machines that are up."""
        return sum(bool(node["Alive"]) for node in self._ray.nodes())

    def places(self) -> int:
        """Processors of all machines, as tasks take one each."""
        return int(self._ray.cluster_resources().get("CPU", 1))


def _itself(parcel: Answer) -> Answer:
    return parcel
