"""All that a reader of a plan holds against the question, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from milp_planner import Plan, PlanningInput
from tests.support.oracles.reading import reader_limits as limits
from tests.support.oracles.reading import reader_terms as terms
from tests.support.oracles.reading.reader_costs import budget, costs
from tests.support.oracles.reading.routed import Routed, routed

READERS: dict[str, Callable[[Routed], Iterator[str]]] = {
    "served": limits.served,
    "utilization": limits.ceiling,
    "max_share": limits.provider_share,
    "max_spot_share": limits.spot_share,
    "rate limit": limits.account,
    "max_units_changed": limits.changes,
    "survive_loss_of": limits.loss,
    "switch_off_dedicated": limits.held,
    "quotas": limits.quotas,
    "max_count": limits.counts,
    "min_replicas": limits.replicas,
    "min_on_demand_replicas": limits.on_demand,
    "names": limits.names,
    "max_power_kw": terms.power,
    "quality": terms.quality,
    "batches": terms.batches,
    "times": limits.times,
    "shapes": limits.shapes,
    "budget": budget,
    "costs": costs,
}


def read(given: PlanningInput, plan: Plan) -> list[str]:
    """What a reader finds wrong; empty where every limit is kept."""
    month = routed(given, plan)
    return [f"{name}: {said}" for name, reader in READERS.items() for said in reader(month)]
