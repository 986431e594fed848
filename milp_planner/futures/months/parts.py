"""What a calendar is put together from: some workloads each, planned over all months."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import fields

from milp_planner.candidates.records import Candidate
from milp_planner.lazily import dataclass
from milp_planner.milp.months.records import AtEnd
from milp_planner.milp.months.rents import RentChecked
from milp_planner.plans.calendars.records import CalendarMonth, RentedUnits, Signing
from milp_planner.solving.results import Session, Settings

CalendarStarts = Mapping[tuple[Hashable, int], int]
"""Units that are signed in a future, by (what, month)."""


@dataclass(frozen=True)
class PartMonth:
    """A month of a future, of some workloads."""

    signed: tuple[Signing, ...]
    bound_units: int
    bound_usd: float
    rent_usd: float
    rented: tuple[RentedUnits, ...]
    moves_usd: float = 0.0
    penalties_usd: float = 0.0
    shortfall_share: float = 0.0


class CalendarPart(ABC):
    """Some workloads over all months, with what is signed for them when."""

    counted_usd: float
    """What was made small."""

    bound_usd: float | None
    """Nothing comes to less; None where that is not known."""

    @abstractmethod
    def month(self, future: int, month: int) -> PartMonth:
        """A month of the horizon, counted from 0."""

    @abstractmethod
    def owed_usd(self, future: int) -> float:
        """What is still to be paid when the horizon is over."""

    @abstractmethod
    def used(self) -> Iterator[Candidate]:
        """All that is signed for or rented in any month of any future, some more than once."""

    @abstractmethod
    def starts(self) -> tuple[CalendarStarts, ...]:
        """What is signed, by future."""

    @abstractmethod
    def starts_at(self, at_end: AtEnd) -> tuple[CalendarStarts, ...] | None:
        """What would be signed where the end counted otherwise; None where that is not known."""

    @abstractmethod
    def unknown_usd(self) -> float | None:
        """What is counted where no signing follows the future; None where that is not known."""

    def counted_in(self, future: int) -> float | None:
        """What a future counts, where it is a risk that is made small; else None."""
        return None

    def checked(self, settings: Settings, session: Session) -> Iterator[RentChecked]:
        """What solvers say of its rents, while time lasts."""
        yield from ()

    rents: int = 0
    """How many there are to be checked."""


class CalendarWay(ABC):
    """How some workloads are planned over all months."""

    @abstractmethod
    def first(self) -> CalendarPart | None:
        """A part at once, with nothing signed; None where what is rented is not enough.

        Raises OutOfTime when time is up before there is one.
        """

    @abstractmethod
    def improving(self, session: Session) -> Iterator[CalendarPart]:
        """Better parts, each better than the one before; the last one is the best that is looked
        for. session: what they share.

        Raises InputError where what is allowed cannot carry the load, OutOfTime when time is up.
        """


def together(parts: Sequence[PartMonth]) -> PartMonth:
    """The same month of several parts."""
    return PartMonth(
        signed=tuple(signing for part in parts for signing in part.signed),
        bound_units=sum(part.bound_units for part in parts),
        bound_usd=sum(part.bound_usd for part in parts),
        rent_usd=sum(part.rent_usd for part in parts),
        rented=tuple(rented for part in parts for rented in part.rented),
        moves_usd=sum(part.moves_usd for part in parts),
        penalties_usd=sum(part.penalties_usd for part in parts),
        shortfall_share=max((part.shortfall_share for part in parts), default=0.0),
    )


def calendar_month(parts: Sequence[PartMonth], month: int, traffic: float) -> CalendarMonth:
    """A month of all workloads; month: counted from 1."""
    all_of_it = together(parts)
    own = {field.name: getattr(all_of_it, field.name) for field in fields(all_of_it)}
    return CalendarMonth(month=month, traffic=traffic, **own)
