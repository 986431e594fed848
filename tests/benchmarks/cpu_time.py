"""CPU time of this process and its solvers: on shared machines the clock tells little."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
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
    """Of this process and of all that it started, those that still run among them."""


def timed(call: Callable[[], Result]) -> Timed[Result]:
    """Call and take both times."""
    started_s, started_cpu_s = time.perf_counter(), cpu_seconds()
    result = call()
    return Timed(result, time.perf_counter() - started_s, cpu_seconds() - started_cpu_s)


def cpu_seconds() -> float:
    """Of this process and of all that it started, those that still run among them."""
    mine, theirs = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
    ended_s = mine.ru_utime + mine.ru_stime + theirs.ru_utime + theirs.ru_stime
    return ended_s + running_s()


def running_s() -> float:
    """Of the processes below this one that still run, as solvers that wait for the next program;
    from /proc, to a hundredth of a second, and 0 where there is none."""
    tick = os.sysconf("SC_CLK_TCK")
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            words = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # gone meanwhile
        pid = int(stat.parent.name)
        children.setdefault(int(words[1]), []).append(pid)
        used[pid] = sum(map(int, words[11:15])) / tick
    below, total = [*children.get(os.getpid(), ())], 0.0
    while below:
        pid = below.pop()
        total += used[pid]
        below += children.get(pid, [])
    return total
