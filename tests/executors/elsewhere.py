"""Executors that tests send tasks to: one that makes the trip alone, and clusters here."""

from __future__ import annotations

import importlib.util
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, ClassVar

import pytest

from milp_planner.executors.side_by_side import SharingExecutor
from milp_planner.reporting.documents.options import ReportOptions
from milp_planner.reporting.formats import FORMATS


class Elsewhere(Executor):
    """Runs each task at once, on what is left of it after a trip as bytes, and counts those."""

    def __init__(self) -> None:
        self.bytes: list[int] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        trip = pickle.dumps((fn, args))
        self.bytes.append(len(trip))
        there, arguments = pickle.loads(trip)
        future: Future[Any] = Future()
        try:
            future.set_result(pickle.loads(pickle.dumps(there(*arguments))))
        except Exception as error:
            future.set_exception(error)
        return future


class Sharing(Elsewhere, SharingExecutor):
    """The same, that hands out what is shared by a number."""

    shared: ClassVar[dict[int, Any]] = {}

    def share(self, parcel: Any) -> Any:
        self.shared[1] = parcel
        return ByNumber(1)


class ByNumber:
    def __init__(self, number: int) -> None:
        self.number = number

    def opened(self) -> Any:
        return Sharing.shared[self.number].opened()


def there(name: str) -> bool:
    return importlib.util.find_spec(name) is not None


@contextmanager
def dask_cluster() -> Iterator[Any]:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=None, host="127.0.0.1"
    ) as cluster:
        yield cluster


def dead(*given: Any, **named: Any) -> Any:
    raise KilledError


class KilledError(Exception):
    """A worker is gone."""


class Never(Executor):
    """Answers nobody; the last tasks it was given, it was told to leave."""

    def __init__(self) -> None:
        self.given: list[Future[Any]] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.given.append(Future())
        return self.given[-1]


class Threads(ThreadPoolExecutor):
    """Two threads; `bytes` has 0 for each task, which takes no trip."""

    def __init__(self) -> None:
        super().__init__(2)
        self.bytes: list[int] = []

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.bytes.append(0)
        return super().submit(fn, *args, **kwargs)


EXECUTORS = {"threads": Threads, "elsewhere": Elsewhere, "sharing": Sharing}
each_executor = pytest.mark.parametrize("executor", EXECUTORS.values(), ids=EXECUTORS)


def told(plan: Any) -> str:
    """All that a plan says, but for seconds."""
    return FORMATS["json"](plan, ReportOptions(reproducible=True))
