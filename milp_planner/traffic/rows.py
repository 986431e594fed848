"""The rows of a file of requests, and what is told beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from milp_planner.inputs.problem.traffic import TimeUnit
from milp_planner.lazily import dataclass
from milp_planner.traffic.sources.times import UnitFrom

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

MOST_DAYS = 3_660
"""Longest time from the first to the last arrival: ten years, kept by the minute."""


class TakesRows(Protocol):
    """What the rows of a trace go into, a chunk at a time."""

    def add(
        self, arrival_s: NDArray[float64], inputs: NDArray[int64], outputs: NDArray[int64]
    ) -> None:
        """Take a chunk: arrivals in seconds, tokens of the same rows."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What a file of requests tells beside its rows."""

    has_timestamps: bool
    sha256: str
    """Of the file as it is."""

    form: str = "CSV of requests"
    """What the file was read as."""

    unit: TimeUnit | None = None
    """Of its arrivals; None where they are timestamps."""

    unit_from: UnitFrom = "assumed"
    cached_tokens: int | None = None
    """Input tokens that a prefix cache without end would find; None where nothing tells it."""

    remembered: int | None = None
    """Hashes of prefixes among which each was looked for; None: among all that came before."""

    stated_rate: float | None = None
    """Requests/s of a file that tells sizes and no times, as the problem states it."""

    models: tuple[str, ...] = ()
    """LLMs that the file names, of all rows; empty where it names none."""


@dataclass(frozen=True, kw_only=True)
class Requests(Facts):
    """The requests of a trace, in the order of the file."""

    arrival_s: NDArray[float64]
    """Seconds from a midnight; of timestamps, from the midnight that begins a Monday."""

    input_tokens: NDArray[int64]
    output_tokens: NDArray[int64]


class Kept:
    """Keeps every row."""

    def __init__(self) -> None:
        self.chunks: list[tuple[NDArray[float64], NDArray[int64], NDArray[int64]]] = []

    def add(
        self, arrival_s: NDArray[float64], inputs: NDArray[int64], outputs: NDArray[int64]
    ) -> None:
        """Keep a chunk: arrivals in seconds, tokens of the same rows."""
        self.chunks.append((arrival_s, inputs, outputs))

    def requests(self, facts: Facts) -> Requests:
        """All rows, with what was told beside them."""
        import numpy as np

        arrivals, inputs, outputs = zip(*self.chunks, strict=True)
        return Requests(
            **vars(facts),
            arrival_s=np.concatenate(arrivals),
            input_tokens=np.concatenate(inputs),
            output_tokens=np.concatenate(outputs),
        )
