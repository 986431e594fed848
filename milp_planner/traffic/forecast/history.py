"""A history of traffic as whole weeks or months: counts by the hour, day, week or month.

Weeks are counted back from the end of the file, so that the newest rows are in one; months are the
calendar's. Only whole ones are kept, as a rate: February is no dip.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Literal, NoReturn

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.traffic import TraceColumns
from milp_planner.lazily import dataclass
from milp_planner.traffic.sources.buckets import Bucket, BucketFile
from milp_planner.traffic.trace import has_known_header, read_trace
from milp_planner.units import SECONDS_PER_DAY

DAYS_PER_WEEK = 7
MONDAY = datetime(1970, 1, 5)
"""Where buckets count from."""

LEAST_COVERED = 0.85
"""Of a week or month, six days of seven: the rest of it counts at the mean of these."""

MOST_COVERED = 1.01
"""Above 1 for the hour that a clock is put back; more says that buckets overlap."""

FIRST_DAY, END_DAY = datetime(1970, 1, 1), datetime(2200, 1, 1)
"""Of traffic: what is outside is no date, or one of another calendar."""

OF_COUNTS = "give a column `time` and a column `requests`, with a comma between them"

SHORTEST_MONTH_S = 28 * SECONDS_PER_DAY

Step = Literal["week", "month"]


@dataclass(frozen=True)
class HistoryPeriod:
    """One whole week or month."""

    starts: datetime
    requests_per_day: float
    has_holes: bool
    """Whether some of its buckets are missing."""


@dataclass(frozen=True)
class TrafficHistory:
    """Whole weeks or months of a file, in order and without a gap."""

    file: str
    sha256: str
    """Of the file as it is."""

    step: Step
    periods: tuple[HistoryPeriod, ...]
    rows_added: int = 0
    """Rows of a time that another row has as well: they add up."""


def read_history(
    path: Path, *, columns: TraceColumns | None = None, model: str | None = None, months_from: int
) -> TrafficHistory:
    """The weeks of a file of counts; its months where a row is one, or there are `months_from`.

    Raises InputError for a file of single requests, for gaps, and for a week or month without any
    request: growth from nothing cannot be told.
    """
    try:
        found = read_trace(path, columns, model=model)
    except InputError:
        is_named = columns is not None and columns != TraceColumns()
        if not is_named and path.is_file() and not has_known_header(path):
            said = "has no column of times with one of counts beside it"
            raise InputError([Fault(str(path), 1, 0, "", said, OF_COUNTS)]) from None
        raise
    if not isinstance(found, BucketFile):
        said = "has one request a row; a history counts requests by the hour, day or month"
        raise InputError([Fault(str(path), 0, 0, "", said, OF_COUNTS)])
    file = str(path)
    held = _merged(found.buckets)
    if held and not (_seconds(FIRST_DAY) <= min(held) and max(held) < _seconds(END_DAY)):
        _refuse(
            file, f"has a row before {FIRST_DAY.year} or from {END_DAY.year} on: no date of traffic"
        )
    added = len(found.buckets) - len(held)
    if _is_monthly(sorted(held)):
        return _history(file, found.sha256, added, "month", _of_months(held))
    widest = max(width for width, _ in held.values())
    if widest > DAYS_PER_WEEK * SECONDS_PER_DAY:
        days = widest / SECONDS_PER_DAY
        _refuse(file, f"has a row of {days:g} days; give hours, days, weeks or calendar months")
    months = list(_by_month(held)) if widest <= SECONDS_PER_DAY else []
    if len(months) >= months_from:
        return _history(file, found.sha256, added, "month", months)
    return _history(file, found.sha256, added, "week", _by_week(held))


def _history(file: str, sha256: str, added: int, step: Step, rows: Iterable[Row]) -> TrafficHistory:
    return TrafficHistory(file, sha256, step, tuple(_checked(file, step, rows)), added)


Held = Mapping[float, tuple[float, float]]
"""Seconds and requests of a bucket, by its start in seconds."""

Row = tuple[datetime, float, float]
"""Start, requests a day, and the share of it that is covered."""


def _merged(buckets: Sequence[Bucket]) -> dict[float, tuple[float, float]]:
    """One bucket for each time: projects and LLMs of an export add up."""
    held: dict[float, tuple[float, float]] = {}
    for b in buckets:
        _, requests = held.get(b.start_s, (0.0, 0.0))
        held[b.start_s] = b.width_s, requests + b.requests
    return held


def _moment(seconds: float) -> datetime:
    return MONDAY + timedelta(seconds=seconds)


def _seconds(moment: datetime) -> float:
    return (moment - MONDAY).total_seconds()


def _month_of(seconds: float) -> datetime:
    return _moment(seconds).replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def _next_month(month: datetime) -> datetime:
    return (month + timedelta(days=31)).replace(day=1)


def _is_monthly(starts: Sequence[float]) -> bool:
    """Whether every row begins where a calendar month does."""
    gaps = [b - a for a, b in pairwise(starts)]
    at_first = all(_seconds(_month_of(start)) == start for start in starts)
    return bool(gaps) and at_first and min(gaps) >= SHORTEST_MONTH_S


def _of_months(held: Held) -> Iterator[Row]:
    """A row is a month, however long its reader took it to be; a last one that is cut goes."""
    month, last = _moment(min(held)), _moment(max(held))
    while month <= last:
        days = (_next_month(month) - month).days
        width, requests = held.get(_seconds(month), (0.0, 0.0))
        share = width / SECONDS_PER_DAY / days
        if month == last and share < LEAST_COVERED - 1e-9:
            return
        yield month, requests / days, min(1.0, share) if share < LEAST_COVERED else 1.0
        month = _next_month(month)


def _by_month(held: Held) -> Iterator[Row]:
    month, last = _month_of(min(held)), _month_of(max(held))
    edges = [month]
    while edges[-1] <= last:
        edges.append(_next_month(edges[-1]))
    yield from _within([_seconds(edge) for edge in edges], held)


def _by_week(held: Held) -> Iterator[Row]:
    end = max(start + width for start, (width, _) in held.items())
    week = DAYS_PER_WEEK * SECONDS_PER_DAY
    count = max(1, math.ceil((end - min(held)) / week - 1e-9))
    yield from _within([end - week * back for back in range(count, -1, -1)], held)


def _within(edges: Sequence[float], held: Held) -> Iterator[Row]:
    """Each stretch between two edges; cut ones at either end left out."""
    starts = sorted(held)
    at = 0
    found = []
    for begin, end in pairwise(edges):
        covered = requests = 0.0
        while at < len(starts) and starts[at] < end:
            width, count = held[starts[at]]
            covered, requests, at = covered + width, requests + count, at + 1
        rate = requests / covered * SECONDS_PER_DAY if covered else math.nan
        found.append((_moment(begin), rate, covered / (end - begin)))
    cut = [share < LEAST_COVERED for _, _, share in found]
    first = 1 if cut[0] else 0
    last = len(found) - (1 if cut[-1] and len(found) > 1 else 0)
    yield from found[first:last]


def _checked(file: str, step: Step, rows: Iterable[Row]) -> Iterator[HistoryPeriod]:
    faults = []
    for starts, rate, share in rows:
        when = f"in the {step} from {starts:%Y-%m-%d} on"
        if share < LEAST_COVERED - 1e-9:
            hint = "give a row of 0 requests where there were none"
            faults.append(Fault(file, 0, 0, "", f"has a gap {when}", hint))
        elif share > MOST_COVERED:
            faults.append(Fault(file, 0, 0, "", f"has rows that overlap {when}"))
        elif rate <= 0:
            said = f"has no request {when}: growth from nothing cannot be told"
            faults.append(Fault(file, 0, 0, "", said, "give the rows from the first request on"))
        else:
            yield HistoryPeriod(starts, rate, has_holes=share < 1 - 1e-6)
    if faults:
        raise InputError(faults)


def _refuse(file: str, said: str) -> NoReturn:
    raise InputError([Fault(file, 0, 0, "", said)])
