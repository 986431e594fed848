"""What a plan costs, in USD/month: the breakdown is what is minimised.

To add a cost or a penalty, write a term in `costs/` and name it in `CASH_TERMS` or `PENALTIES`.
"""

from __future__ import annotations

from collections.abc import Mapping

from milp_planner.milp.program.costs.commitments import CommitmentsPaid
from milp_planner.milp.program.costs.overload import Overload
from milp_planner.milp.program.costs.per_token import PerToken
from milp_planner.milp.program.costs.power import PowerByLoad
from milp_planner.milp.program.costs.rent import Rent
from milp_planner.milp.program.costs.scaling import Scaling
from milp_planner.milp.program.costs.shortfall import Shortfall
from milp_planner.milp.program.costs.spot_loss import SpotLoss
from milp_planner.milp.program.costs.start_up import StartUpHours
from milp_planner.milp.program.costs.strict_latency import StrictLatency
from milp_planner.milp.program.costs.switching import SwitchingCost
from milp_planner.milp.program.costs.volume import VolumeDiscount
from milp_planner.milp.program.language.cost import CashTerm, CostTerm, Penalty
from milp_planner.milp.program.language.elastic_steps import step_terms
from milp_planner.milp.program.language.variables import Fleet, Terms

CASH_TERMS: tuple[CashTerm, ...] = (
    Rent(),
    CommitmentsPaid(),
    StartUpHours(),
    PowerByLoad(),
    PerToken(),
    VolumeDiscount(),
    SpotLoss(),
    SwitchingCost(),
)
PENALTIES: tuple[Penalty, ...] = (Overload(), Scaling(), StrictLatency(), Shortfall())
COST_TERMS: tuple[CostTerm, ...] = (*CASH_TERMS, *PENALTIES)


def cash_terms(fleet: Fleet) -> Mapping[str, Terms]:
    """The terms of money paid, by name."""
    return {term.name: _terms(fleet, term) for term in CASH_TERMS if term.is_told(fleet.problem)}


def cost_terms(fleet: Fleet) -> Mapping[str, Terms]:
    """All terms of the objective, by name."""
    return {term.name: _terms(fleet, term) for term in COST_TERMS if term.is_told(fleet.problem)}


def _terms(fleet: Fleet, term: CostTerm) -> Terms:
    """What the term says of the columns, and of units that are steps of what is held."""
    instance = fleet.instance
    return {
        **term.terms(fleet),
        **step_terms(fleet, lambda k: term.usd_per_unit_hour(instance, k)),
    }
