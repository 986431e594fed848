"""The highest price per GPU and hour; dearer candidates never enter the program."""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.candidates.own_terms import under_terms
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.inputs.problem.prices import PriceCaps
from milp_planner.milp.program.language.loosening import SteppedLimit
from milp_planner.milp.program.language.rule import Preselection
from milp_planner.plans.records import Plan
from milp_planner.units import CENTS_PER_USD, usd_shown

PATH = "limits.max_usd_per_gpu_hour"


class PriceCap(Preselection):
    """No GPU-hour costs more than the cap, under the problem's own terms."""

    keys = frozenset((PATH, *(f"{PATH}.{billing}" for billing in PriceCaps.model_fields)))
    nearness = 85

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        caps = instance.problem.limits.max_usd_per_gpu_hour
        if isinstance(caps, PriceCaps):
            for billing in PriceCaps.model_fields:
                if (cap := getattr(caps, billing)) is not None:
                    yield _loosened(instance, cap, billing)
        elif caps is not None:
            yield _loosened(instance, caps)


def _loosened(instance: PlanningInput, cap: float, billing: str = "") -> SteppedLimit:
    """The cap of one billing, or of all; its rungs are the prices there are, in whole cents."""
    prices = sorted(_prices(instance, billing))
    above = [price for price in prices if price > cap]

    def looser(plan: Plan) -> list[float]:
        paid = (k for p in plan.purchases if (k := p.candidate).usd_per_hour)
        dearest = max((_cents_up(k.offering) for k in paid if _is_of(k, billing)), default=0.0)
        return [price for price in above if price <= dearest]

    return SteppedLimit(
        f"{PATH}.{billing}" if billing else PATH,
        _shown(cap),
        {PATH: {billing: None} if billing else None},
        looser=looser,
        tighter=[price for price in reversed(prices) if price < cap],
        patch=lambda usd: {PATH: {billing: usd} if billing else usd},
        text=lambda usd: f"pay up to {_shown(usd)}{f' for {billing}' if billing else ''}",
        shown=_shown,
    )


def _prices(instance: PlanningInput, billing: str) -> set[float]:
    """What a GPU-hour costs wherever the problem may rent one, rounded up to whole cents."""
    allowed = [billing] if billing else allowed_billings(instance.problem)
    terms, today = instance.problem.prices, instance.catalog.read_on
    rows = (o for o in instance.catalog.offerings if o.billing in allowed)
    return {_cents_up(under_terms(terms, row, today)) for row in rows}


def _is_of(k: Candidate, billing: str) -> bool:
    return billing in ("", k.offering.billing)


def _cents_up(row: object) -> float:
    assert isinstance(row, Offering), "only what is rented has a price per GPU and hour"
    return math.ceil(row.usd_per_gpu_hour * CENTS_PER_USD - 1e-6) / CENTS_PER_USD


def _shown(usd: float) -> str:
    return f"{usd_shown(usd)} per GPU and hour"
