"""The least that the host of a unit has for each GPU; poorer candidates never enter the program."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.hosts import HOST_FACTS, SLACK
from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.catalog.records import Offering
from milp_planner.milp.program.language.loosening import SteppedLimit
from milp_planner.milp.program.language.rule import Preselection
from milp_planner.plans.records import Plan

PATH = "limits.host"


class HostLeast(Preselection):
    """The host of a unit has at least so much for each GPU; where that is not known it is out."""

    keys = frozenset(f"{PATH}.{key}" for key in HOST_FACTS)
    nearness = 35

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        for key in HOST_FACTS:
            least = getattr(instance.problem.limits.host, key)
            if least is not None:
                yield _loosened(instance, key, least)


def _loosened(instance: PlanningInput, key: str, least: float) -> SteppedLimit:
    """Its rungs are what hosts there are have, then none asked for: that lets in unknown ones."""
    fact, path = HOST_FACTS[key], f"{PATH}.{key}"
    known = {has for row in instance.catalog.offerings if (has := fact.per_gpu(row)) is not None}
    below = sorted((has for has in known if has < least * SLACK), reverse=True)

    def looser(plan: Plan) -> list[float | None]:
        rented = (p.candidate.offering for p in plan.purchases)
        used = [fact.per_gpu(row) for row in rented if isinstance(row, Offering)]
        if None in used:  # known hosts that do are asked for before unknown ones
            return [*below, None]
        return [has for has in below if has >= min((has for has in used if has), default=least)]

    def text(value: float | None) -> str:
        if value is None:
            return f"ask for no least, so that {fact.words} may be unknown"
        return f"ask for {shown(value)}"

    def shown(value: float) -> str:
        return f"{value:g} {fact.words} per GPU"

    return SteppedLimit(
        path,
        shown(least),
        {path: None},
        looser=looser,
        tighter=sorted(has for has in known if has > least),
        patch=lambda value: {path: value},
        text=text,
        shown=shown,
    )
