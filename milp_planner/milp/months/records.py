"""What is planned over months for one workload, and what is found: plain numbers.

symbol    in code                          meaning                                 unit
--------  -------------------------------  --------------------------------------  ------------
k         outlook.terms                    what binds for a term                   one each
τ_k       term.months                      how long it is paid                     months
μ_k       term.carries                     what a unit carries                     requests/s
c_k       term.usd_per_month               what a unit costs while it is bound     USD/month
s_{kmf}   schedule.starts                  units that are bound from a month on    whole
f, p_f    outlook.futures, .probability    what may come                           share
i         months counted from 0            those of the horizon, and those after   months
λ_{fit}   future.loads                     load of a block                         requests/s
C_{fi}    schedule.carried                 what is bound carries                   requests/s
R_{fi}    recourse of a month              the least rent for what C leaves        USD/month
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from milp_planner.lazily import dataclass

AtEnd = Literal["extend", "pro_rata", "full"]
"""What becomes of terms that outlast the horizon: the last month goes on until they are over, rent
and all; they are paid for the months of the horizon alone; or to their end for nothing.

Once the horizon is over each future is known, and what a term costs a month may be had by the month
as well: as it would be who signs again. Else a term that begins late would seem to be worth more,
for what it spares after the horizon alone."""


@dataclass(frozen=True)
class Term:
    """A kind of unit that is paid for a term once it is signed, at the price of today."""

    name: str
    carries: float
    usd_per_month: float
    months: int
    most: int | None = None
    """Units that can be had in all; None where there is no end of them."""


@dataclass(frozen=True)
class Rental:
    """A kind of unit that may be given back every month, or every hour."""

    name: str
    carries: float
    usd_per_hour: float
    hours: float | None
    """Hours per month that it is paid for where it is held all month; None: by the block."""

    gpus: int = 1


@dataclass(frozen=True)
class MonthsFuture:
    """One thing that may come, month by month."""

    name: str
    probability: float
    loads: tuple[tuple[float, ...], ...]
    """(months of the horizon, blocks)."""

    prices: tuple[float | None, ...]
    """Times the price of each rental, in the first month; None of what is not to be had."""


@dataclass(frozen=True)
class MonthsOutlook:
    """One workload over months."""

    hours: tuple[float, ...]
    """Per month, of each block."""

    terms: tuple[Term, ...]
    rentals: tuple[Rental, ...]
    futures: tuple[MonthsFuture, ...]
    known_from: int | None
    """Months after which it is known which future it is; what begins then follows it. None: never
    within the horizon, so that every start is one for all futures."""

    at_end: AtEnd = "extend"
    price_trend: float = 1.0
    """What the prices of rentals are multiplied by from month to month."""

    @property
    def months(self) -> int:
        """Months of the horizon: units are bound in these alone."""
        return len(self.futures[0].loads)

    @property
    def branches_at(self) -> int:
        """The first month whose starts follow the future; the end of the horizon where none do."""
        return self.months if self.known_from is None else min(self.known_from, self.months)

    @property
    def all_months(self) -> int:
        """Months that are counted: under `extend` until the last term that can be is over."""
        longest = max((term.months for term in self.terms), default=1)
        return self.months + (longest - 1 if self.at_end == "extend" else 0)

    def owed(self, term: Term, month: int) -> float:
        """USD counted for a unit that is bound from a month on."""
        counted = min(term.months, self.months - month)
        return term.usd_per_month * (counted if self.at_end == "pro_rata" else term.months)


Starts = Mapping[tuple[int, int], int]
"""Units by (number of the term, month that they are bound from)."""


@dataclass(frozen=True)
class MonthsSchedule:
    """What to bind when, in each future; the same in all of them until it is known which it is."""

    starts: tuple[Starts, ...]
    """By future, in the order of the outlook."""

    usd: float
    """Expected, of all months counted."""

    bound_usd: float
    """No schedule costs less: by enumeration, with what was left out."""

    labels: int
    """Most part schedules that were kept at a time."""

    @property
    def gap(self) -> float:
        """Share of the cost that may be saved at most."""
        return 0.0 if self.usd <= 0 else max(0.0, 1 - self.bound_usd / self.usd)
