"""When to sign for what over a horizon of months, and what each month then comes to."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Literal

from milp_planner.lazily import dataclass
from milp_planner.plans.plain import clean
from milp_planner.plans.proof import Provenance, catalog_dict

if TYPE_CHECKING:
    from pandas import DataFrame

CalendarEnd = Literal["extend", "pro_rata", "full"]

CERTAIN = 1e-9
"""A gap that is none."""

CALENDAR_VERSION = 1
"""Raised when a key of the document changes its meaning or goes."""


@dataclass(frozen=True)
class Signing:
    """Units of one offering that are paid for a term from a month on."""

    month: int
    """Counted from 1; signed at its beginning."""

    workload: str
    """'' where the units may serve several, another one in another month."""

    offering: str
    billing: str
    gpu: str
    units: int
    usd_per_month: float
    """Of all of them."""

    term_months: int
    """0 of what is there to stay."""

    @property
    def owed_usd(self) -> float:
        """All that is paid over the term, USD."""
        return self.usd_per_month * self.term_months


@dataclass(frozen=True)
class RentedUnits:
    """Units of one offering that are rented in a month, the most at a time."""

    workload: str
    offering: str
    billing: str
    units: int
    """0 of what is paid by the token."""


@dataclass(frozen=True)
class CalendarMonth:
    """A month of one future."""

    month: int
    traffic: float
    """Times the traffic that the workloads state, over all of them; 1 where they state none."""

    signed: tuple[Signing, ...]
    bound_units: int
    """Units that are bound in it, those signed before and still paid among them."""

    bound_usd: float
    rent_usd: float
    """Cash of the month beside what is bound and what changes cost."""

    rented: tuple[RentedUnits, ...]
    moves_usd: float = 0.0
    """For units that are added and removed at its beginning."""

    penalties_usd: float = 0.0
    """What is not paid, but counts: see `policy.penalties`."""

    shortfall_share: float = 0.0
    """Of the peak, what is left unserved of any workload at most."""

    @property
    def usd(self) -> float:
        """All that is paid in the month."""
        return self.bound_usd + self.rent_usd + self.moves_usd


@dataclass(frozen=True)
class FutureCalendar:
    """The months of one future."""

    name: str
    probability: float
    months: tuple[CalendarMonth, ...]
    owed_usd: float
    """What is still to be paid for terms when the horizon is over."""

    counted_usd: float | None = None
    """What it counts where a risk is made small; None where the average is."""

    @property
    def usd(self) -> float:
        """What is paid within the horizon."""
        return sum(month.usd for month in self.months)


@dataclass(frozen=True)
class CalendarOffering:
    """What is signed for or rented in some month of some future, for one workload."""

    workload: str
    offering: str
    billing: str
    priced_on: str
    """The day of its price, as in the catalog."""

    sources: tuple[str, ...]
    """Where its rates are from, one for each size of requests: `measured` or else."""

    not_measured: tuple[str, ...] = ()
    """Wishes, `tpot` or `ttft`, that are judged on an estimate or not at all."""


@dataclass(frozen=True)
class OtherEnd:
    """What would be signed where terms that outlast the horizon counted otherwise."""

    at_end: CalendarEnd
    is_same: bool
    units_now: int
    """Signed in the first month."""

    units_later: float
    """Signed after it, on average over the futures."""


@dataclass(frozen=True)
class CalendarProof:
    """How sure it is that no other calendar costs less."""

    counted_usd: float
    """What was made small: under `extend` with the months after the horizon."""

    bound_usd: float | None
    """No calendar counts less: by enumeration of part schedules, or by engines. None where time was
    up before anything was known of that."""

    rents_checked: int
    """Rents of a workload in a future, commitments fixed, that solvers found the same."""

    rents: int
    engines: tuple[str, ...]
    """Who did."""

    parts: int = 1
    """Workloads, or groups of them, that no rule links: what is signed for one serves it alone."""

    programs: int = 0
    """Parts that were solved as one program over all months and futures instead, where enumeration
    does not know what they ask for."""

    program_columns: int = 0
    program_engines: tuple[str, ...] = ()
    """Who proved the optimum of all programs; none where one of them is not proven."""

    @property
    def gap(self) -> float | None:
        """Share of what is counted that another calendar may save at most; None: not known."""
        if self.bound_usd is None:
            return None
        above = max(0.0, self.counted_usd - self.bound_usd)
        return above / abs(self.counted_usd) if self.counted_usd else 0.0


@dataclass(frozen=True)
class Calendar:
    """What to sign when, for all workloads of a problem."""

    name: str
    known_from_months: int | None
    at_end: CalendarEnd
    futures: tuple[FutureCalendar, ...]
    proof: CalendarProof
    unknown_usd: float | None
    """What is counted where no signing follows the future; None where none does anyway."""

    provenance: Provenance
    other_ends: tuple[OtherEnd, ...] = ()
    measure: Literal["expected", "cvar", "worst"] = "expected"
    measured_on: Literal["", "cost", "regret", "margin"] = ""
    level: float | None = None
    weight: float = 1.0
    """How much of what is made small the measure is; the average is the rest."""

    rests_on: tuple[CalendarOffering, ...] = ()
    """All that is used in any month of any future."""

    not_included: tuple[str, ...] = ()
    """What no figure counts."""

    @property
    def is_proven(self) -> bool:
        """Whether another calendar saves no more than the gap that was asked for."""
        gap = self.proof.gap
        return gap is not None and gap <= max(self.provenance.gap_asked, CERTAIN)

    @property
    def months(self) -> int:
        """Months of the horizon."""
        return len(self.futures[0].months)

    @property
    def usd(self) -> float:
        """What is paid within the horizon, on average over the futures."""
        return sum(future.probability * future.usd for future in self.futures)

    @property
    def owed_usd(self) -> float:
        """What is still to be paid after it, on average over the futures."""
        return sum(future.probability * future.owed_usd for future in self.futures)

    @property
    def common(self) -> tuple[Signing, ...]:
        """What is signed whichever future it is: before it is known, or the same in all."""
        known = self.known_from_months
        return tuple(
            signing
            for month in self.futures[0].months
            if known is None or month.month <= known
            for signing in month.signed
        )

    def to_frame(self) -> DataFrame:
        """The calendar as a data frame: a row for each future and month, amounts in USD."""
        import pandas

        return pandas.DataFrame(
            {
                "future": future.name,
                "month": month.month,
                "traffic": month.traffic,
                "signed_units": sum(signing.units for signing in month.signed),
                "bound_units": month.bound_units,
                "bound_usd": month.bound_usd,
                "rent_usd": month.rent_usd,
                "moves_usd": month.moves_usd,
                "penalties_usd": month.penalties_usd,
                "usd": month.usd,
            }
            for future in self.futures
            for month in future.months
        )

    def to_dict(self) -> dict[str, Any]:
        """The calendar as plain data, for JSON."""
        plain = asdict(self)
        for future, record in zip(plain["futures"], self.futures, strict=True):
            future["usd"] = record.usd
            for month, one in zip(future["months"], record.months, strict=True):
                month["usd"] = one.usd
                for signing, told in zip(month["signed"], one.signed, strict=True):
                    signing["owed_usd"] = told.owed_usd
        plain["proof"]["gap"] = self.proof.gap
        return clean(
            {
                "document": "calendar",
                "calendar_version": CALENDAR_VERSION,
                **plain,
                "provenance": _provenance_dict(self.provenance),
                "usd": self.usd,
                "owed_usd": self.owed_usd,
                "months": self.months,
                "is_proven": self.is_proven,
            }
        )


def _provenance_dict(origin: Provenance) -> dict[str, Any]:
    return {
        "planner_version": origin.planner_version,
        "catalog": catalog_dict(origin),
        "problem_sha256": origin.problem_sha256,
        "oldest_price": origin.oldest_price or None,
        "seed": origin.seed,
        "time_limit_s": origin.time_limit_s,
        "gap_asked": origin.gap_asked,
    }
