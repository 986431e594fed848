"""CPU time of this process and its solvers: on shared machines the clock tells little."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Generic, TypeVar

Result = TypeVar("Result")


@dataclass(frozen=True)
class Timed(Generic[Result]):
    """What a call gave, and what it took."""

    result: Result
    seconds: float
    """On the clock."""

    cpu_s: float
    """Of this process and of its children that ended meanwhile."""


def timed(call: Callable[[], Result]) -> Timed[Result]:
    """Call and take both times."""
    started_s, started_cpu_s = time.perf_counter(), _cpu_seconds()
    result = call()
    return Timed(result, time.perf_counter() - started_s, _cpu_seconds() - started_cpu_s)


def _cpu_seconds() -> float:
    mine, theirs = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
    return mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime
