"""The day that a price list is of, where the user does not say it.

A day in the file's name or in that of its folder (`20260801`, `2026-08-01`) says it; else the day
on which the file was last written.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from pathlib import Path

from milp_planner.lazily import dataclass
from milp_planner.today import day_today

DAY = re.compile(r"(?<!\d)(20\d\d)-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01])(?!\d)")


@dataclass(frozen=True)
class Dated:
    """A day, and what says so."""

    day: date
    how: str


def day_of(file: Path, as_of: date | None, today: date | None = None) -> Dated:
    """The day that the prices in `file` are of; `as_of`, where given, wins.

    No day lies in the future: a name that says so is not read as a day, a clock that does counts as
    today. Raises OSError where the file is not there.
    """
    if as_of is not None:
        return Dated(as_of, "as asked")
    last = today or day_today()
    named = next((day for day in _named(file) if day <= last), None)
    if named is not None:
        return Dated(named, "by its name")
    written = date.fromtimestamp(file.stat().st_mtime)
    return Dated(min(written, last), "the day the file was written")


def _named(file: Path) -> Iterator[date]:
    for name in (file.name, file.absolute().parent.name):
        for year, month, day in DAY.findall(name):
            try:
                yield date(int(year), int(month), int(day))
            except ValueError:  # 2026-02-30
                continue
