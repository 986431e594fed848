"""What next months may bring, how likely each is, and which risk counts beside the mean."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from milp_planner.errors import RecordError, did_you_mean
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.problem.uncertain.covered import one_month_alone
from milp_planner.inputs.problem.uncertain.horizon import horizon_fits
from milp_planner.inputs.reading.field_types import Amount, Id, RowGlob
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import PositiveNumber, Share, parse_share

MOST_FUTURES = 50
CERTAIN_TOLERANCE = 1e-6
"""How far from 100 % the probabilities may add up to: thirds are written with few digits."""

EVERY: Final = "every"
EXPECTED: Final = "expected"
NO_NAMES = (EVERY, EXPECTED)
"""Words that say in which futures a budget holds, so that no future may be called so."""


def _read_times(value: Any) -> Any:
    """`90%` -> 0.9: a share that may be above 1."""
    return parse_share(value) if isinstance(value, str) and "%" in value else value


Times = Annotated[PositiveNumber, Field(le=1_000), BeforeValidator(_read_times)]
"""A factor, written `0.3`, `2` or `30%`."""


class FutureCase(Frozen):
    """One thing that may come: what it does to traffic and to prices."""

    name: Id
    probability: Annotated[Share, Field(gt=0)]
    traffic: Times = 1.0
    """Times the traffic that the workloads state."""

    prices: dict[RowGlob, Times] = Field(default_factory=dict)
    """Times the price of what binds nobody, by offering id or pattern: `"*": 90%`. What is
    committed to costs the price of the day it is signed."""

    workloads: dict[Id, Times] = Field(default_factory=dict)
    """In place of `traffic`, for single workloads."""

    def times(self, workload: str) -> float:
        """Factor on the traffic of a workload."""
        return self.workloads.get(workload, self.traffic)


class Risk(Frozen):
    """What counts beside the mean over the futures."""

    measure: Literal["expected", "cvar", "worst"] = "expected"
    """`cvar`: the mean of the worst futures, as many as `level` leaves; `worst`: the worst one."""

    of: Literal["cost", "regret", "margin"] | None = None
    """What is bad: what a future costs, what it costs more than a plan made for it alone, or its
    cost less what the traffic that it serves is worth (see `value`)."""

    level: Annotated[Share, Field(gt=0, lt=1)] | None = None
    """Of `cvar`: 90 % looks at the worst 10 %; that is the default."""

    weight: Annotated[Share, Field(gt=0)] = 1.0
    """How much of what is minimised it is; the mean is the rest."""

    @property
    def tail(self) -> float:
        """Probability of the futures that `cvar` looks at."""
        return 1 - (0.9 if self.level is None else self.level)

    @model_validator(mode="after")
    def _says_of_what(self) -> Self:
        if self.measure == "expected":
            if told := self.model_fields_set & {"of", "level", "weight"}:
                message = "goes with measure: cvar or worst; expected is the mean alone"
                raise RecordError(message, at=(min(told),))
            return self
        if self.of is None:
            raise RecordError(
                f"say what the {self.measure} is measured on: cost, regret or margin",
                at=("of",),
                hint="high traffic is what costs most: of: cost insures against growth and commits "
                "more; of: margin, with value, fears the future without traffic",
            )
        if self.measure == "worst" and self.level is not None:
            raise RecordError("goes with measure: cvar", at=("level",))
        return self


class Value(Frozen):
    """What traffic that is served is worth."""

    usd_per_million_tokens: Amount | None = None
    """Input and output together."""

    usd_per_million_requests: Amount | None = None

    @model_validator(mode="after")
    def _says_one(self) -> Self:
        if (self.usd_per_million_tokens is None) == (self.usd_per_million_requests is None):
            raise RecordError("write usd_per_million_tokens or usd_per_million_requests")
        return self


def with_futures(problem: Any) -> Any:
    """The problem, once its futures add up and fit what else it says; RecordError where not."""
    _names_and_probabilities(problem.futures)
    _names_of_workloads(problem)
    _goes_with_futures(problem)
    _covered(problem)
    horizon_fits(problem)
    return problem


def _names_and_probabilities(futures: tuple[FutureCase, ...]) -> None:
    first: dict[str, int] = {}
    for i, future in enumerate(futures):
        at = ("futures", i, "name")
        if future.name in NO_NAMES:
            message = f"{future.name!r} is no name: limits.budget.futures means something else"
            raise RecordError(message, at=at)
        if future.name in first:
            raise RecordError(
                f"two futures are named {future.name!r}",
                at=at,
                clashes_with=("futures", first[future.name], "name"),
            )
        first[future.name] = i
    total = sum(future.probability for future in futures)
    if futures and abs(total - 1) > CERTAIN_TOLERANCE:
        hint = "name the one you leave out, or give it to another" if total < 1 else "lower some"
        raise RecordError(
            f"the probabilities add up to {100 * total:.10g} %, not to 100 %",
            at=("futures",),
            hint=f"one of the futures comes true; {hint}",
        )


def _names_of_workloads(problem: Any) -> None:
    names = [w.name for w in problem.workloads]
    for i, future in enumerate(problem.futures):
        for name in future.workloads:
            if name not in names:
                raise RecordError(
                    f"no workload {name!r}{did_you_mean(name, names)}",
                    at=("futures", i, "workloads", name),
                )


def _goes_with_futures(problem: Any) -> None:
    """Keys that say something of futures alone."""
    budget = problem.limits.budget
    if not problem.futures:
        for key in ("known_from_months", "risk", "value"):
            if getattr(problem, key) is not None:
                at = "known_from" if key == "known_from_months" else key
                raise RecordError("says something of futures, and there are none", at=(at,))
        if budget is not None and budget.futures != EVERY:
            message = "says in which futures it holds, and there are none"
            raise RecordError(message, at=("limits", "budget", "futures"))
        return
    names = [*NO_NAMES, *(future.name for future in problem.futures)]
    if budget is not None and budget.futures not in names:
        message = f"{budget.futures!r} is not one of {', '.join(names)}"
        raise RecordError(message, at=("limits", "budget", "futures"))
    by_margin = problem.risk is not None and problem.risk.of == "margin"
    if by_margin and problem.value is None:
        message = "a margin needs what served traffic is worth"
        raise RecordError(
            message, at=("risk", "of"), hint="write value: {usd_per_million_tokens: 2}"
        )
    if problem.value is not None and not by_margin:
        message = "counts in a margin alone: write risk: {measure: cvar, of: margin}, or leave it"
        raise RecordError(message, at=("value",))


def _covered(problem: Any) -> None:
    """What cannot be planned together with futures."""
    if not problem.futures and problem.horizon is None:
        return
    _not_paid_anew(problem)
    if not problem.futures:
        return
    if problem.known_from_months is not None and problem.horizon is None:
        message = "is of a plan over months: a plan without horizon knows its future at once"
        raise RecordError(message, at=("known_from",))
    one_month_alone(problem, "over futures")


def _not_paid_anew(problem: Any) -> None:
    """What binds is decided here: what is paid already stands for what is rented."""
    for i, paid in enumerate(problem.commitments):
        if paid.billing is not None and BILLING_MODES[paid.billing].binds:
            message = f"what is paid already would be committed to anew, as {paid.billing}"
            hint = "leave billing out: the units then stand for what is rented on demand"
            raise RecordError(message, at=("commitments", i, "billing"), hint=hint)
