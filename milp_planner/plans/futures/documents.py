"""What a plan's document says of its futures, and the records read back from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from milp_planner.plans.futures.records import (
    CaseKind,
    CommitmentCase,
    CommittedUnits,
    FlatRange,
    FutureOutcome,
    FuturesPlan,
    Measured,
    Threshold,
)


class _Part(BaseModel):
    """A part of the document: JSON's own types, and no key that no plan has."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, allow_inf_nan=False, defer_build=True
    )


class CommittedPart(_Part):
    """Units of one offering that are paid whatever comes."""

    offering: str
    billing: str
    units: int
    usd_per_month: float
    months: int
    gpu: str
    upfront: float
    owed_usd: float

    def record(self) -> CommittedUnits:
        """As the plan has it."""
        return CommittedUnits(**self.model_dump(exclude={"owed_usd"}))


class OutcomePart(_Part):
    """What the commitments come to in one future."""

    name: str
    probability: float
    traffic: float
    usd_per_month: float
    cash_usd_per_month: float
    alone_usd_per_month: float | None
    idle_usd_per_month: float | None
    rented: str
    shortfall_share: float
    regret_usd_per_month: float | None

    def record(self) -> FutureOutcome:
        """As the plan has it."""
        return FutureOutcome(**self.model_dump(exclude={"regret_usd_per_month"}))


class CasePart(_Part):
    """Some commitments, and what each future then costs at best."""

    kind: CaseKind
    of: str
    committed: list[CommittedPart]
    usd_per_month: dict[str, float | None]
    expected_usd_per_month: float | None
    largest_regret_usd_per_month: float | None
    level: float | None
    weight: float | None

    def record(self) -> CommitmentCase:
        """As the plan has it."""
        told = self.model_dump(exclude={"committed"})
        return CommitmentCase(**told, committed=_records(self.committed))


class ThresholdPart(_Part):
    """From which probability of some futures on other commitments are right."""

    futures: list[str]
    now: float
    at: float
    rises: bool
    committed: list[CommittedPart]

    def record(self) -> Threshold:
        """As the plan has it."""
        committed = _records(self.committed)
        return Threshold(tuple(self.futures), self.now, self.at, self.rises, committed)


class FlatPart(_Part):
    """The fewest and the most commitments that cost little more on average."""

    within: float
    fewest: CasePart
    most: CasePart
    most_change: float
    idle_in: str
    fewest_idle_usd_per_month: float | None
    most_idle_usd_per_month: float | None

    def record(self) -> FlatRange:
        """As the plan has it."""
        told = self.model_dump(exclude={"fewest", "most"})
        return FlatRange(**told, fewest=self.fewest.record(), most=self.most.record())


class FuturesPart(_Part):
    """Commitments over several futures."""

    leading: str
    committed: list[CommittedPart]
    owed_usd: float
    outcomes: list[OutcomePart]
    expected_usd_per_month: float
    minimised_usd_per_month: float
    bound_usd_per_month: float | None
    measure: Literal["expected", "cvar", "worst"]
    measured_on: Measured
    level: float | None
    weight: float
    cases: list[CasePart]
    stochastic_value_usd_per_month: float | None
    information_value_usd_per_month: float | None
    thresholds: list[ThresholdPart]
    flat: FlatPart | None
    no_regret: list[CommittedPart]
    no_regret_holds: bool | None

    def record(self) -> FuturesPlan:
        """As the plan has it."""
        listed = {"committed", "outcomes", "cases", "thresholds", "flat", "no_regret", "owed_usd"}
        return FuturesPlan(
            **self.model_dump(exclude=listed),
            committed=_records(self.committed),
            outcomes=tuple(one.record() for one in self.outcomes),
            cases=tuple(one.record() for one in self.cases),
            thresholds=tuple(one.record() for one in self.thresholds),
            flat=None if self.flat is None else self.flat.record(),
            no_regret=_records(self.no_regret),
        )


def _records(parts: list[CommittedPart]) -> tuple[CommittedUnits, ...]:
    return tuple(part.record() for part in parts)


def futures_dict(told: FuturesPlan | None) -> dict[str, Any] | None:
    """The futures as a plan's document has them; None where there are none."""
    if told is None:
        return None
    return {
        **asdict(told),
        "committed": _dicts(told.committed),
        "owed_usd": told.owed_usd,
        "outcomes": [
            {**asdict(one), "regret_usd_per_month": one.regret_usd_per_month}
            for one in told.outcomes
        ],
        "cases": [_case_dict(one) for one in told.cases],
        "thresholds": [
            {**asdict(one), "committed": _dicts(one.committed)} for one in told.thresholds
        ],
        "flat": _flat_dict(told.flat),
        "no_regret": _dicts(told.no_regret),
    }


def _dicts(committed: tuple[CommittedUnits, ...]) -> list[dict[str, Any]]:
    return [{**asdict(one), "owed_usd": one.owed_usd} for one in committed]


def _case_dict(one: CommitmentCase) -> dict[str, Any]:
    return {**asdict(one), "committed": _dicts(one.committed)}


def _flat_dict(flat: FlatRange | None) -> dict[str, Any] | None:
    if flat is None:
        return None
    return {**asdict(flat), "fewest": _case_dict(flat.fewest), "most": _case_dict(flat.most)}


def why_no_plan(document: Mapping[str, Any]) -> tuple[str, str]:
    """(message, hint) about a document that is not that of a plan: it may be a calendar's."""
    if document.get("document") == "calendar":
        return (
            "is a calendar, the document of a problem over months, and no plan",
            "leave horizon out of the problem and solve it --json: a plan is of a month",
        )
    return (
        "is not the document of a plan",
        "give what plan.to_dict() returned, or `milp-planner solve --json` printed",
    )
