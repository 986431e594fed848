"""LLMs of several workloads on one GPU: which part of its time and of its memory each has.

Engines on one GPU take turns, so that each of n gets 1/n of it while all are busy, and more while
some are not. So each is taken to be n times as slow as alone, and what they do together to take no
more than the time that there is: a part of the time for each, and of its rate alone that part. Who
has which part is no setting of any engine, so that it may differ from block to block. No
measurement of neighbours stands behind either.

A part of the memory is what vLLM calls --gpu-memory-utilization, which is of each instance: two on
one GPU may have a half each (https://docs.vllm.ai/en/stable/configuration/engine_args.html).
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import permutations

from milp_planner.lazily import dataclass, replace

MOST_MEMBERS = 3
"""LLMs on one GPU."""

MOST_BLOCKS = 4
"""Time blocks in proportion to whose loads a GPU's time may be split."""

LEAST_MEMORY_PERCENT = 10
"""As `deployment.memory_share` has it."""

OF_PAIRS = ((25, 75), (50, 50), (75, 25))
OF_THREE = ((34, 33, 33), *sorted(set(permutations((50, 25, 25)))))
FIXED_SPLITS = {2: OF_PAIRS, 3: OF_THREE}
"""Percent of the time of each member, by how many there are."""

_MEMBER = re.compile(r"(\S+) (\S+) (?:(\d+)% of the time, )?(\d+)% of the memory")


@dataclass(frozen=True)
class GpuMember:
    """One LLM on a GPU that others share."""

    workload: str
    precision: str
    time_percent: int
    memory_percent: int

    @property
    def label(self) -> str:
        """`chat fp8 50% of the time, 45% of the memory`; without time where that is open."""
        time = f"{self.time_percent}% of the time, " if self.time_percent else ""
        return f"{self.workload} {self.precision} {time}{self.memory_percent}% of the memory"


@dataclass(frozen=True)
class GpuSet:
    """What stands on one GPU, in the order of the workloads."""

    members: tuple[GpuMember, ...]

    @cached_property
    def label(self) -> str:
        """All members, with `; ` between them: what documents say, and `read_gpu_set` reads."""
        return "; ".join(member.label for member in self.members)

    @cached_property
    def place(self) -> GpuSet:
        """The same engines, whatever part of the time each has: what a GPU is set up for."""
        return GpuSet(tuple(replace(member, time_percent=0) for member in self.members))

    def of(self, workload: str) -> GpuMember:
        """The member that serves a workload."""
        return next(member for member in self.members if member.workload == workload)

    def time_share(self, workload: str) -> float:
        """The part of the GPU's time that a member may count on."""
        return self.of(workload).time_percent / 100

    def memory_share(self, workload: str) -> float:
        """The part of the GPU's memory that its engine may take."""
        return self.of(workload).memory_percent / 100

    @property
    def others(self) -> int:
        """Neighbours that each member has."""
        return len(self.members) - 1


def read_gpu_set(text: str) -> GpuSet | None:
    """The set that a label tells; None for ''. Raises ValueError for any other text."""
    if not text:
        return None
    found = [_MEMBER.fullmatch(part) for part in text.split("; ")]
    if None in found:
        raise ValueError(f"{text!r} does not say what shares a GPU")
    return GpuSet(
        tuple(
            GpuMember(one[1], one[2], int(one[3] or 0), int(one[4]))
            for one in found
            if one is not None
        )
    )


def time_splits(busy: Sequence[Sequence[float]]) -> Iterator[tuple[int, ...]]:
    """Percent of a GPU's time for each member, in all ways that are looked at; each sums to 100.

    busy: for each time block the GPUs that each member's load takes alone. First in proportion to
    the largest of each, then to those of the `MOST_BLOCKS` blocks with the most: where one GPU
    carries all of them, so does that split, to a whole percent. Then halves, thirds and quarters.
    """
    peaks = [max(loads) for loads in zip(*busy, strict=True)]
    fullest = sorted(busy, key=sum, reverse=True)[:MOST_BLOCKS]
    by_load = [_in_proportion(loads) for loads in (peaks, *fullest) if min(peaks) > 0 < sum(loads)]
    yield from dict.fromkeys((*by_load, *FIXED_SPLITS[len(peaks)]))


def _in_proportion(parts: Sequence[float]) -> tuple[int, ...]:
    """Whole percents that sum to 100, each at least 1; the least ÷ what is wanted is largest."""
    wanted = [max(1.0, 100 * part / sum(parts)) for part in parts]
    percents = [math.floor(one + 1e-9) for one in wanted]
    by_lack = sorted(range(len(parts)), key=lambda i: percents[i] / wanted[i])
    for i in by_lack[: max(0, 100 - sum(percents))]:
        percents[i] += 1
    largest = max(range(len(parts)), key=lambda i: percents[i])
    percents[largest] -= sum(percents) - 100
    return tuple(percents)


@dataclass(frozen=True)
class MemoryNeed:
    """What a member takes of a GPU before it holds a request, or all that it takes."""

    gib: float
    grows: bool
    """True where its cache may take what is left, too."""


def memory_percents(
    needs: Sequence[MemoryNeed], times: Sequence[int], gpu_gib: float, share: float
) -> tuple[int, ...] | None:
    """Percent of a GPU's memory for each member, at most `share` of it together.

    Each has what it needs; what is left goes to the caches, in proportion to the time of those that
    have one. None where they do not fit.
    """
    most = math.floor(100 * share + 1e-9)
    least = [_percents(need.gib, gpu_gib) for need in needs]
    left = most - sum(least)
    growing = sum(t for t, need in zip(times, needs, strict=True) if need.grows)
    if left < 0:
        return None
    return tuple(
        one + (left * t // growing if need.grows else 0)
        for one, t, need in zip(least, times, needs, strict=True)
    )


def _percents(gib: float, gpu_gib: float) -> int:
    """`gib` in whole percents of the GPU, rounded up."""
    return max(LEAST_MEMORY_PERCENT, math.ceil(100 * gib / gpu_gib - 1e-9))
