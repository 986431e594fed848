"""What a plan costs, in USD/month: one function per term; the breakdown is what is minimised.

To add a cost or a penalty, write a function here and name it in `CASH_TERMS` or `PENALTY_TERMS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from milp_planner.inputs.problem import Penalties, Workload
from milp_planner.milp.variables import Fleet, Level, Terms, add
from milp_planner.units import TOKENS_PER_MILLION

Term = Callable[[Fleet], Terms]


def rent(fleet: Fleet) -> Terms:
    """Σ_k H c_k n_k for units held all month, Σ_kt h_t c_k n_kt for elastic ones.

    H is the hours of the month, Σ_t h_t.
    """
    terms: Terms = {}
    month = sum(block.hours for block in fleet.blocks)
    for (k, _, t), units in fleet.units.items():
        if fleet.elastic(k):
            add(terms, units, fleet.blocks[t].hours * k.usd_per_hour)
        else:
            terms[units] = month * k.usd_per_hour
    return terms


def per_token(fleet: Fleet) -> Terms:
    """Σ v_qt p_kq x_qkt: the share of the month's volume at the price of one request."""
    return {
        share: fleet.volume(k.workload, q, t) * k.usd_per_request[q]
        for (k, q, t), share in fleet.shares.items()
        if k.mode.per_token
    }


def spot_loss(fleet: Fleet) -> Terms:
    """Expected cost of work lost to interruptions: the policy's share of the spot rent."""
    loss = fleet.problem.policy.spot_loss
    terms: Terms = {}
    for (k, _, t), units in fleet.units.items():
        if loss and k.mode.interruptible:
            add(terms, units, loss * fleet.blocks[t].hours * k.usd_per_hour)
    return terms


def switching(fleet: Fleet) -> Terms:
    """Σ_j (USD per unit added) a_j + (USD per unit removed) r_j, charged once."""
    prices = fleet.problem.switching
    terms = {variable: prices.usd_per_unit_added for variable in fleet.added.values()}
    terms.update({variable: prices.usd_per_unit_removed for variable in fleet.removed.values()})
    return terms


def shortfall(fleet: Fleet) -> Terms:
    """Σ v_qt s_qt × the price of an unserved request, where the user set one."""
    price = fleet.problem.policy.active_penalties.shortfall
    if price is None:
        return {}
    per_request = price.usd_per_million_requests / TOKENS_PER_MILLION
    return {
        short: fleet.volume(w, q, t) * per_request for (w, q, t), short in fleet.shortfalls.items()
    }


def scaling(fleet: Fleet) -> Terms:
    """Σ_w (USD per GPU) e_w, e_w the workload's GPUs beyond the count (InferenceAtlas: 8)."""
    penalty = fleet.problem.policy.active_penalties.scaling
    if penalty is None:
        return {}
    return {extra: penalty.usd_per_gpu for extra in fleet.extra_gpus.values()}


def overload(fleet: Fleet) -> Terms:
    """Σ_w (USD at full load) o_w, a lower bound of what a plan owes: see `OverloadRamp`."""
    ramp = fleet.problem.policy.active_penalties.overload
    if ramp is None:
        return {}
    return dict.fromkeys(fleet.overload.values(), ramp.usd_at_full_load)


def overload_usd(penalties: Penalties, utilization: float) -> float:
    """USD/month × (u - above) ÷ (1 - above) beyond the threshold, not capped (InferenceAtlas)."""
    ramp = penalties.overload
    if ramp is None or ramp.above >= 1:
        return 0.0
    return max(0.0, ramp.usd_at_full_load * (utilization - ramp.above) / (1 - ramp.above))


def strict_latency(fleet: Fleet) -> Terms:
    """Σ_wl USD/month · y_wl for strict workloads at levels in the high band."""
    terms: Terms = {}
    for (name, level), y in fleet.level_used.items():
        workload = fleet.problem.workload(name)
        penalties = fleet.problem.policy.active_penalties
        terms[y] = strict_latency_usd(penalties, workload, fleet.levels[name][level])
    return terms


def strict_latency_usd(penalties: Penalties, workload: Workload, level: Level) -> float:
    """The penalty if the level is in the high band and the requirement below the threshold."""
    if penalties.strict_latency is None or not is_strict(penalties, workload):
        return 0.0
    return penalties.strict_latency.usd if level.floor >= HIGH_BAND_FLOOR else 0.0


def is_strict(penalties: Penalties, workload: Workload) -> bool:
    """True where the latency requirement is below the penalty's threshold (300 ms by default)."""
    threshold = 0.3 if penalties.strict_latency is None else penalties.strict_latency.below_s
    requirement = workload.latency.requirement_s
    return requirement is not None and requirement < threshold


HIGH_BAND_FLOOR = 0.75

CASH_TERMS: tuple[Term, ...] = (rent, per_token, spot_loss, switching)
PENALTY_TERMS: tuple[Term, ...] = (overload, scaling, strict_latency, shortfall)


def cash_terms(fleet: Fleet) -> Mapping[str, Terms]:
    """The terms of money paid, by name."""
    return {term.__name__: term(fleet) for term in CASH_TERMS}


def cost_terms(fleet: Fleet) -> Mapping[str, Terms]:
    """All terms of the objective, by name."""
    return {term.__name__: term(fleet) for term in (*CASH_TERMS, *PENALTY_TERMS)}
