"""What is left of a trace once it is read: few numbers, which most plans need no reader for."""

from __future__ import annotations

from milp_planner.inputs.problem.traffic import TimeUnit
from milp_planner.lazily import dataclass


@dataclass(frozen=True)
class MonthPart:
    """Rates in a part of the month."""

    share: float
    """Share of the month."""

    peak: float
    """Peak rate, requests/s."""

    mean: float
    """Mean rate, requests/s."""


@dataclass(frozen=True)
class SizeBin:
    """The requests of one class."""

    requests: int
    input_tokens: int
    """Summed over the requests."""

    output_tokens: int
    shortest: tuple[int, int]
    """Least (input, output) tokens of a request in it."""

    longest: tuple[int, int]


@dataclass(frozen=True)
class TraceDigest:
    """All that planning needs of a trace, and what to tell of it."""

    file: str
    sha256: str
    requests: int
    input_tokens: int
    output_tokens: int
    without_input: int
    """Requests of no input tokens; they count as any other."""

    without_output: int
    duration_s: float
    """From the first arrival to the last, at least a minute; at a stated rate, until the next."""

    has_timestamps: bool
    clock: int
    """168 or 24 hours; 0 where the trace is too short to have a clock."""

    percentile: float
    hours: tuple[MonthPart, ...]
    """Rates of each hour: of the clock from its first, else of the trace."""

    bins: tuple[SizeBin, ...]
    gaps_scv: float = 1.0
    """Squared coefficient of variation of the gaps between requests within a minute, at least 1."""

    form: str = "CSV of requests"
    """What the file was read as."""

    bucket_s: float | None = None
    """Seconds of a bucket, where the file counts requests by the time."""

    unit: TimeUnit | None = None
    """Of arrivals that are numbers; None where they are timestamps."""

    cached_share: float | None = None
    """Share of the input tokens found in a prefix cache; None where the file does not tell."""

    doubts: tuple[str, ...] = ()
    """What may have been read otherwise than it is meant, with both readings."""
