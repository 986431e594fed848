"""Months that are planned together: how traffic and prices go on, and what terms are worth then."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from milp_planner.errors import RecordError, did_you_mean
from milp_planner.inputs.problem.uncertain.covered import one_month_alone
from milp_planner.inputs.reading.field_types import Id
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import PositiveNumber, WholeNumber, parse_share

MOST_MONTHS = 60
_A_MONTH = re.compile(r"\s*(/|per|a)\s*month\s*$")
_SIGNED = re.compile(r"^\s*([+-]?)\s*(.*)$", re.DOTALL)


def _read_change(value: Any) -> Any:
    """`8%/month` -> 0.08, `-2%/month` -> -0.02."""
    if not isinstance(value, str):
        return value
    sign, rest = _SIGNED.fullmatch(_A_MONTH.sub("", value)).groups()  # type: ignore[union-attr]
    return (-1 if sign == "-" else 1) * parse_share(rest)


MonthlyChange = Annotated[
    float,
    Field(gt=-1, le=1),
    BeforeValidator(_read_change),
    WithJsonSchema(
        {
            "anyOf": [{"type": "number"}, {"type": "string"}],
            "examples": ["8%/month", "-2%/month", 0.08],
        }
    ),
]
"""Change from one month to the next, written `8%/month` or `-2%/month`."""

Factors = Annotated[tuple[PositiveNumber, ...], Field(max_length=MOST_MONTHS)]


class TrafficCourse(Frozen):
    """How traffic goes from month to month."""

    growth: MonthlyChange = 0.0
    """Compounds from the first month on, which has the traffic that is stated."""

    traffic: Factors = ()
    """Instead of growth: factors on the traffic that is stated, one for each month."""

    @model_validator(mode="after")
    def _says_one(self) -> TrafficCourse:
        if self.traffic and self.growth:
            raise RecordError("write growth, or traffic month by month", at=("growth",))
        return self

    def factor(self, month: int) -> float:
        """Of a month, counted from 0."""
        return self.traffic[month] if self.traffic else (1 + self.growth) ** month


class Horizon(TrafficCourse):
    """The months that are planned together."""

    months: Annotated[WholeNumber, Field(ge=1, le=MOST_MONTHS)]
    futures: dict[Id, TrafficCourse] = Field(default_factory=dict)
    """For single futures, instead of the course that all others take."""

    price_trend: MonthlyChange = 0.0
    """Of all that is rented; what is bound costs the price of today whenever it is signed."""

    at_end: Literal["extend", "pro_rata", "full"] = "extend"
    """What terms are worth that outlast the months: the last month goes on until they are over;
    they are paid for these months alone; or paid to their end for nothing more."""

    def course(self, future: str) -> TrafficCourse:
        """What traffic does in a future."""
        return self.futures.get(future, self)


def horizon_fits(problem: Any) -> None:
    """Raise RecordError where a horizon does not fit what else the problem says."""
    horizon: Horizon | None = problem.horizon
    if horizon is None:
        return
    names = [future.name for future in problem.futures]
    for name in horizon.futures:
        if name not in names:
            at = ("horizon", "futures", name)
            raise RecordError(f"no future {name!r}{did_you_mean(name, names)}", at=at)
    courses: dict[tuple[str, ...], TrafficCourse] = {("horizon",): horizon}
    courses |= {("horizon", "futures", n): course for n, course in horizon.futures.items()}
    for where, course in courses.items():
        if course.traffic and len(course.traffic) != horizon.months:
            message = f"has {len(course.traffic)} factors for {horizon.months} months"
            raise RecordError(message, at=(*where, "traffic"))
    if problem.known_from_months is not None and problem.known_from_months >= horizon.months:
        message = "is not within the horizon: leave it out, and no signing follows the future"
        raise RecordError(message, at=("known_from",))
    one_month_alone(problem, "over months")
