"""Arrivals: numbers of seconds, milliseconds or microseconds, from 0 or 1970, or timestamps."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from milp_planner.inputs.problem.traffic import TimeUnit
from milp_planner.units import SECONDS_PER_DAY, shown

UnitFrom = Literal["stated", "column", "format", "assumed"]
"""Who said so: the problem, the column's name, the format of the file, or nobody."""

PER_SECOND: dict[TimeUnit, float] = {"s": 1.0, "ms": 1e3, "us": 1e6}
WORDS: dict[TimeUnit, str] = {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}

LATEST_S = 1e11  # seconds: year 5138 where they count from 1970; more are milliseconds
EPOCH_FROM_S = 1e9  # September 2001: less counts from a beginning of its own
MONDAY_S = 4 * SECONDS_PER_DAY  # 1970 began on a Thursday

MILLISECONDS_WITH = "input_length"
"""Traces whose arrivals are `timestamp` and whose inputs are called so count in milliseconds."""


def unit_by_names(arrival: str, inputs: str) -> tuple[TimeUnit, UnitFrom]:
    """The unit that the names of two columns tell."""
    ending = arrival.casefold().rpartition("_")[2]
    if "_" in arrival and ending in ("s", "ms", "us"):
        return ("ms" if ending == "ms" else "us" if ending == "us" else "s"), "column"
    if inputs.casefold() == MILLISECONDS_WITH:
        return "ms", "format"
    return "s", "assumed"


class Numbers:
    """Reads arrivals in a unit; where the first lies after 2001, all count from 1970."""

    def __init__(self, unit: TimeUnit, first: str) -> None:
        self.unit = unit
        self.per_second = PER_SECOND[unit]
        value = float(first) / self.per_second
        self.is_epoch = EPOCH_FROM_S <= value <= LATEST_S
        self.origin_s = MONDAY_S if self.is_epoch else 0.0

    def __call__(self, text: str) -> float:
        """Seconds from the midnight that begins a Monday, or from where the trace begins."""
        try:
            value = float(text)
        except ValueError:
            raise ValueError(f"{shown(text)} is not a number of {WORDS[self.unit]}") from None
        seconds = value / self.per_second
        if seconds - self.origin_s >= 0 and seconds <= LATEST_S:
            return seconds - self.origin_s
        if not math.isfinite(seconds):
            raise ValueError(f"must be a finite number (is {shown(text)[1:-1]})")
        if seconds < self.origin_s:
            least = f"{self.origin_s:g}" if self.origin_s else "0"
            raise ValueError(f"must be at least {least} (is {shown(text)[1:-1]})")
        smaller = " or unit: us" if self.unit == "s" else ""
        more = "" if self.unit == "us" else f"; write unit: {NEXT[self.unit]}{smaller}"
        most = f"{LATEST_S * self.per_second:.0e}"
        said = f"must be {WORDS[self.unit]}, at most {most} (is {shown(text)[1:-1]})"
        raise ValueError(said + more)


NEXT = {"s": "ms", "ms": "us"}
"""The next smaller unit."""


ONE_ZONE = "either every timestamp has a time zone or none has"


class _Timestamps:
    """Reads ISO 8601 timestamps as seconds from a Monday's midnight in the first one's zone."""

    def __init__(self, first: datetime) -> None:
        self.monday = datetime(1970, 1, 5, tzinfo=first.tzinfo)

    def __call__(self, text: str) -> float:
        return (_timestamp(text) - self.monday).total_seconds()


def _timestamp(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{shown(text)} is not a timestamp; write 2023-11-16T18:17:03") from None


def arrival_reader(text: str, unit: TimeUnit) -> Callable[[str], float]:
    """Reads arrivals as the first one is written; raises ValueError where it is no time."""
    try:
        float(text)
    except ValueError:
        pass
    else:
        return Numbers(unit, text)
    try:
        return _Timestamps(_timestamp(text))
    except ValueError:
        message = f"{shown(text)} is neither seconds nor a timestamp such as 2023-11-16T18:17:03"
        raise ValueError(message) from None
