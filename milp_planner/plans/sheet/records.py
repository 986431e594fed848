"""The decision sheet: what to buy, what else there is, and what it rests on.

One record, which every report lays out; nothing is computed twice. Its document is JSON:
`Sheet.to_dict()` and back, with a schema, `milp-planner schema --of sheet`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any, Final, Literal, Self

from pydantic import ValidationError

from milp_planner.errors import argument_error, input_error
from milp_planner.plans.futures.documents import FuturesPart
from milp_planner.plans.plain import as_page
from milp_planner.plans.sheet.base import SheetPart
from milp_planner.plans.sheet.no_plan import SheetDiagnosis
from milp_planner.plans.sheet.other_parts import (
    BudgetStaircase,
    SheetAlternative,
    SheetChoice,
    SheetLever,
    SheetRisks,
    ToAsk,
    ToMeasure,
    TrafficCurve,
    WaysCompared,
)
from milp_planner.plans.sheet.plan_parts import (
    HoursByUnits,
    ProofShown,
    QuestionAsked,
    SharedUnitShown,
    SheetAnswer,
    SheetPurchase,
    SourcesShown,
    WorkloadServed,
)

SHEET_VERSION: Final = 1
"""Raised when a key changes its meaning or goes."""


class Sheet(SheetPart):
    """A plan as it is put before those who decide. USD are per month."""

    sheet_version: Literal[1] = SHEET_VERSION
    name: str
    as_of: date
    """The day from which ages of prices are counted."""

    question: QuestionAsked
    answer: SheetAnswer
    purchases: tuple[SheetPurchase, ...]
    shared_units: tuple[SharedUnitShown, ...] = ()
    """Which replicas stand on which of the units that they share."""

    futures: FuturesPart | None = None
    """What several futures share; all else is of the plan in the leading one."""

    workloads: tuple[WorkloadServed, ...]
    hours: HoursByUnits
    choices: tuple[SheetChoice, ...] | None
    """None where they were not asked."""

    alternatives: tuple[SheetAlternative, ...]
    alternatives_notes: tuple[str, ...]
    levers: tuple[SheetLever, ...] | None
    """The largest saving first; None where they were not asked."""

    risks: SheetRisks
    asks: tuple[ToAsk, ...]
    measure: tuple[ToMeasure, ...]
    """The rate with the most at stake first."""

    budgets: BudgetStaircase | None
    """None where it was not asked, or time ended before it."""

    traffic: TrafficCurve | None
    """The same; and where a budget leaves requests unserved, more of which cost the same."""

    crossovers: WaysCompared | None = None
    """None where they were not asked, by `choices.crossovers`."""

    proof: ProofShown
    sources: SourcesShown
    diagnosis: SheetDiagnosis | None = None
    """Why there is no plan, and what would give one; None where there is one."""

    def to_html(self) -> str:
        """The sheet as one HTML file: it fetches nothing, runs no script, prints on one page."""
        return as_page(self, whole=True)

    def _repr_html_(self) -> str:
        """What a notebook shows."""
        return as_page(self)

    def to_dict(self) -> dict[str, Any]:
        """The sheet as plain data, ready for JSON."""
        return self.model_dump(mode="json")

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> Self:
        """The sheet that `to_dict` gave.

        Raises InputError for a document of another kind or version, ArgumentError for anything but
        a mapping.
        """
        if not isinstance(document, Mapping):
            raise argument_error(
                f"expected the keys of a sheet, not {type(document).__name__}", path="document"
            )
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(step) for step in first["loc"])
            raise input_error(str(first["msg"]), path=where) from None


def sheet_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a sheet's document.

    Returns plain data, ready for JSON, as `milp-planner schema --of sheet` prints it.

    Raises nothing: it reads no input.

    >>> from milp_planner import sheet_schema
    >>> sheet_schema()["properties"]["sheet_version"]["const"]
    1
    """
    written = Sheet.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **written}
