"""The keys of a calendar's document: every key that `Calendar.to_dict` writes, and no other."""

from __future__ import annotations

from typing import Any, Literal

from milp_planner.plans.calendars.records import CALENDAR_VERSION, CalendarEnd
from milp_planner.plans.schema import CatalogPart, Part


def calendar_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a calendar's document.

    Returns plain data, ready for JSON, as `milp-planner schema --of calendar` prints it.

    Raises nothing: it reads no input.

    >>> from milp_planner import calendar_schema
    >>> calendar_schema()["properties"]["calendar_version"]["const"]
    1
    """
    written = CalendarDocument.model_json_schema()
    written["properties"]["calendar_version"] = {"const": CALENDAR_VERSION, "type": "integer"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **written}


class SigningPart(Part):
    """Units that are paid for a term from a month on."""

    month: int
    workload: str
    offering: str
    billing: str
    gpu: str
    units: int
    usd_per_month: float
    term_months: int
    owed_usd: float


class RentedPart(Part):
    """Units that are rented in a month, the most at a time."""

    workload: str
    offering: str
    billing: str
    units: int


class CalendarMonthPart(Part):
    """A month of one future."""

    month: int
    traffic: float
    signed: list[SigningPart]
    bound_units: int
    bound_usd: float
    rent_usd: float
    rented: list[RentedPart]
    moves_usd: float
    penalties_usd: float
    shortfall_share: float
    usd: float


class FutureCalendarPart(Part):
    """The months of one future."""

    name: str
    probability: float
    months: list[CalendarMonthPart]
    owed_usd: float
    counted_usd: float | None
    usd: float


class CalendarProofPart(Part):
    """How sure it is that no other calendar costs less."""

    counted_usd: float
    bound_usd: float | None
    rents_checked: int
    rents: int
    engines: list[str]
    parts: int
    programs: int
    program_columns: int
    program_engines: list[str]
    gap: float | None


class OtherEndPart(Part):
    """What would be signed where terms that outlast the horizon counted otherwise."""

    at_end: CalendarEnd
    is_same: bool
    units_now: int
    units_later: float


class CalendarOfferingPart(Part):
    """What is signed for or rented in some month of some future."""

    workload: str
    offering: str
    billing: str
    priced_on: str
    sources: list[str]
    not_measured: list[str]


class CalendarProvenancePart(Part):
    """Where the answer comes from."""

    planner_version: str
    catalog: CatalogPart
    problem_sha256: str
    oldest_price: str | None
    seed: int
    time_limit_s: float
    gap_asked: float


class CalendarDocument(Part):
    """The whole document."""

    document: Literal["calendar"]
    calendar_version: int
    name: str
    known_from_months: int | None
    at_end: CalendarEnd
    futures: list[FutureCalendarPart]
    proof: CalendarProofPart
    unknown_usd: float | None
    other_ends: list[OtherEndPart]
    measure: Literal["expected", "cvar", "worst"]
    measured_on: Literal["", "cost", "regret", "margin"]
    level: float | None
    weight: float
    rests_on: list[CalendarOfferingPart]
    not_included: list[str]
    provenance: CalendarProvenancePart
    usd: float
    owed_usd: float
    months: int
    is_proven: bool
