"""The day taken for today where none is given: `SOURCE_DATE_EPOCH`, else the clock, in UTC.

The variable is that of https://reproducible-builds.org/specs/source-date-epoch/: whole seconds
since 1970 began, in UTC. With it, ages of prices and dates of imports are the same on every run.
"""

from __future__ import annotations

import os
from datetime import UTC, date, datetime

from milp_planner.errors import input_error

VARIABLE = "SOURCE_DATE_EPOCH"


def day_today() -> date:
    """The day of `SOURCE_DATE_EPOCH` where the environment has it, else the clock's in
    UTC: no answer depends on the time zone.

    Raises InputError where the variable is not a number of seconds since 1970.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return datetime.now(UTC).date()
    try:
        if given.isascii() and given.isdigit():
            return datetime.fromtimestamp(int(given), UTC).date()
    except (ValueError, OverflowError, OSError):  # past the year 9999
        pass
    raise input_error(
        f"expected whole seconds since 1970, found {given[:40]!r}",
        path=VARIABLE,
        hint="unset it, or name a day with --as-of",
    )
