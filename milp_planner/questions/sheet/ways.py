"""From which volume on an API, renting or owning is the cheapest, where a problem asks for it."""

from __future__ import annotations

from milp_planner.errors import InputError
from milp_planner.plans.sheet.other_parts import CheapestWay, WaysCompared
from milp_planner.questions.choices.usual import Asking
from milp_planner.questions.sweeps.ways import crossovers_within


def ways_compared(asking: Asking) -> WaysCompared:
    """Every stretch of traffic from a tenth to ten times today's, each end solved again."""
    resolver = asking.resolver
    try:
        found = crossovers_within(asking.problem, asking.catalog, resolver.settings)
    except InputError as error:
        return WaysCompared(stretches=(), complete=False, why_none=error.faults[0].message)
    needs = {way.name: way.needs for way in found.ways}
    return WaysCompared(
        stretches=tuple(
            CheapestWay(
                from_factor=one.from_factor,
                to_factor=one.to_factor,
                way=one.way,
                needs=needs.get(one.way, ()),
                from_usd_per_month=one.from_usd_per_month,
                to_usd_per_month=one.to_usd_per_month,
                proven=one.proven,
            )
            for one in found.stretches
        ),
        complete=found.complete,
    )
