"""The user's limits: quotas, budget, providers, spot, survival, change. One class per family.

Capacity shares are counted in requests/s at the workload's own mix, per workload and block, so
that offerings of different speed compare; per-token offerings count with what they serve.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase

from milp_planner.inputs.catalog import Offering
from milp_planner.inputs.problem import Problem
from milp_planner.milp.objective import cash_terms
from milp_planner.milp.rows import GE, LE, Family, Row, count_terms, distinct, most_at_once, scaled
from milp_planner.milp.variables import (
    Fleet,
    Terms,
    add,
    ceil_snapped,
    change_key,
    merged,
    most_units,
)
from milp_planner.planning.plan import Plan, Purchase, exceeds
from milp_planner.serving.candidates import Candidate, PlanningInput

Weight = Callable[[Candidate], float]
Group = tuple[str, Weight, float]
"""(what is limited, weight of a unit, limit)."""


class Quotas:
    """Units and GPUs that can be had, over all workloads, at any time.

        Σ_{k ∈ group} (1 or g_k) n_kt ≤ limit      ∀ group, t      [units or GPUs]

    Groups: an offering with its own `max_units`, a pattern of `limits.max_units` (in units), a
    provider, a GPU type, or all (in GPUs). A pattern limits all that it matches together.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        for name, weight, limit in quota_groups(fleet.candidates, fleet.problem):
            weighted = [(k, weight(k)) for k in fleet.candidates if weight(k)]
            yield from distinct(
                Row(f"{name} {t}", terms, LE, limit)
                for t in range(len(fleet.blocks))
                if (terms := count_terms(fleet, weighted, t))
            )

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        bought = [p.candidate for p in plan.purchases]
        for name, weight, limit in quota_groups(bought, given.problem):
            pairs = [(p, weight(p.candidate)) for p in plan.purchases]
            used = most_at_once(pairs, len(plan.blocks))
            if exceeds(used, limit):
                yield f"{name}: {used:g} in use, more than {limit:g}"


def quota_groups(candidates: Iterable[Candidate], problem: Problem) -> Iterator[Group]:
    """Every quota in force, in a fixed order."""
    yield from user_quotas(problem)
    stocked = {
        k.offering.key: k.offering.max_units
        for k in candidates
        if isinstance(k.offering, Offering) and k.offering.max_units is not None
    }
    for key, limit in sorted(stocked.items()):
        yield f"units of {' '.join(key)}", _units_with_key(key), limit


def user_quotas(problem: Problem) -> Iterator[Group]:
    """The quotas that the problem states."""
    gpus = problem.limits.max_gpus
    if gpus.total is not None:
        yield "max_gpus.total", lambda k: k.gpus_per_unit, gpus.total
    for provider, limit in sorted(gpus.per_provider.items()):
        yield f"max_gpus.per_provider {provider}", _gpus_of("provider", provider), limit
    for gpu, limit in sorted(gpus.per_gpu.items()):
        yield f"max_gpus.per_gpu {gpu}", _gpus_of("gpu", gpu), limit
    for pattern, limit in sorted(problem.limits.max_units.items()):
        yield f"max_units {pattern}", _units_of(pattern), limit


def _gpus_of(attribute: str, pattern: str) -> Weight:
    return lambda k: k.gpus_per_unit if fnmatchcase(getattr(k, attribute), pattern) else 0


def _units_of(pattern: str) -> Weight:
    return lambda k: 1 if not k.mode.per_token and fnmatchcase(k.offering.id, pattern) else 0


def _units_with_key(key: tuple[str, str]) -> Weight:
    return lambda k: 1 if k.offering.key == key else 0


class BudgetLimit:
    """Cash stays within the budget; penalties do not count.

    Σ cash terms ≤ B      [USD/month]; equality passes
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        budget = fleet.problem.limits.budget
        if budget is not None:
            yield scaled("budget", merged(cash_terms(fleet).values()), LE, budget.usd_per_month)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        budget = given.problem.limits.budget
        cash = plan.cash_usd_per_month or 0.0
        if budget is not None and exceeds(cash, budget.usd_per_month):
            yield (
                f"cash is ${cash:,.2f} per month, above the budget of ${budget.usd_per_month:,.2f}"
            )


class ProviderCount:
    """No more providers than allowed.

    Σ_π z_π ≤ P,   n_klt ≤ N_k z_π(k),   x_qkt ≤ z_π(k) for per-token k

    Where no provider may hold more than a share σ, and all is served: Σ_π z_π ≥ ⌈1 ÷ σ⌉. That
    follows from the rest; said, the solvers need no search to see that P is too few.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        most = fleet.problem.limits.providers.at_most
        if most is None:
            return
        every = dict.fromkeys(fleet.provider_used.values(), 1.0)
        yield Row("count", every, LE, most)
        share = fleet.problem.limits.providers.max_share
        if share is not None and not fleet.shortfalls:
            yield Row("enough", every, GE, ceil_snapped(1 / share))
        for units, k in {units: k for (k, _, _), units in fleet.units.items()}.items():
            used = fleet.provider_used[k.provider]
            yield Row(f"{units.name}", {units: 1.0, used: -most_units(fleet, k)}, LE, 0.0)
        for (k, _, _), share in fleet.shares.items():
            if k.mode.per_token:
                used = fleet.provider_used[k.provider]
                yield Row(f"{share.name}", {share: 1.0, used: -1.0}, LE, 0.0)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        most = given.problem.limits.providers.at_most
        if most is not None and exceeds(len(plan.providers), most):
            yield f"{len(plan.providers)} providers ({', '.join(plan.providers)}), more than {most}"


class ProviderShare:
    """No provider holds more than its share of a workload's capacity.

        Σ_{k ∈ π} μ_k n_kt ≤ σ Σ_k μ_k n_kt      ∀ w, π, t      [requests/s]

    Linear because σ is data: the share of what is bought, not of what is needed.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        share = fleet.problem.limits.providers.max_share
        if share is not None and share < 1:
            yield from _share_rows(fleet, lambda k: k.provider, share)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        share = given.problem.limits.providers.max_share
        if share is not None and share < 1:
            yield from _share_violations(given, plan, lambda k: k.provider, share, "provider ")


class SpotShare:
    """Interruptible capacity stays under its share of a workload's capacity.

    Σ_{k spot} μ_k n_kt ≤ σ Σ_k μ_k n_kt      ∀ w, t      [requests/s]
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        share = fleet.problem.limits.spot_share
        if share is not None and share < 1:
            yield from _share_rows(fleet, _spot_group, share)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        share = given.problem.limits.spot_share
        if share is not None and share < 1:
            yield from _share_violations(given, plan, _spot_group, share, "")


def _spot_group(k: Candidate) -> str:
    return "interruptible capacity" if k.mode.interruptible else ""


def _share_rows(fleet: Fleet, group_of: Callable[[Candidate], str], share: float) -> Iterator[Row]:
    for w in fleet.problem.workloads:
        serving = fleet.serving(w.name)
        for group in sorted({group_of(k) for k in serving} - {""}):
            for t in fleet.busy(w.name):
                peak = fleet.demand(w.name).peak[t]
                terms: Terms = {}
                for k in serving:
                    inside = 1.0 if group_of(k) == group else 0.0
                    for variable, rate in capacity_terms(fleet, k, t, part_rate):
                        add(terms, variable, (inside - share) * rate / peak)
                yield Row(f"{w.name} {group} {t}", terms, LE, 0.0)


def _share_violations(
    given: PlanningInput,
    plan: Plan,
    group_of: Callable[[Candidate], str],
    share: float,
    kind: str,
) -> Iterator[str]:
    for w in plan.workloads:
        bought = list(plan.purchases_of(w.name))
        for t, peak in enumerate(given.schedule.demands[w.name].peak):
            if not peak:
                continue  # units held for busier hours say nothing of who serves whom
            held: dict[str, float] = {}
            for p in bought:
                group = group_of(p.candidate)
                held[group] = held.get(group, 0.0) + capacity_of(plan, p, t, part_rate)
            total = sum(held.values())
            for group, rate in sorted(held.items()):
                if group and exceeds(rate / total if total else 0.0, share):
                    yield (
                        f"workload {w.name!r} has {rate:g} of {total:g} requests/s on "
                        f"{kind}{group} in block {plan.blocks[t].name}, more than {share:.0%}"
                    )


def capacity_terms(
    fleet: Fleet, k: Candidate, t: int, unit_rate: Weight
) -> Iterator[tuple[object, float]]:
    """(column, requests/s) of a candidate in a block; per-token use as served."""
    for _, units in fleet.units_on(k, t):
        yield units, unit_rate(k)
    if k.mode.per_token:
        for q in fleet.classes(k.workload):
            if (k, q, t) in fleet.shares:
                yield fleet.shares[k, q, t], fleet.peak(k.workload, q, t)


def capacity_of(plan: Plan, p: Purchase, t: int, unit_rate: Weight) -> float:
    """Requests/s of a purchase in a block, at 100 % utilization; per-token use as served."""
    if p.candidate.mode.per_token:
        block = plan.blocks[t]
        return sum(
            r.requests_per_second
            for r in plan.routes
            if r.candidate is p.candidate and r.block == block
        )
    return unit_rate(p.candidate) * p.units_by_block[t]


def mix_rate(k: Candidate) -> float:
    """Requests/s of a unit at the workload's mix; 0 where it cannot serve all of it."""
    return k.mix_requests_per_second


def part_rate(k: Candidate) -> float:
    """Requests/s of a unit at the part of the mix that it can serve."""
    return k.part_requests_per_second


SURVIVAL_GROUPS: dict[str, Callable[[Candidate], str]] = {
    "provider": lambda k: k.provider,
    "region": lambda k: f"{k.provider}/{k.region}",
    "offering": lambda k: k.offering.id,
}


class LossSurvived:
    """When any one provider, region or offering is lost, the rest still serves its share.

        Σ_{k ∉ group} min(1, μ_k ÷ (σ λ_t)) n_kt + Σ_{k ∉ group, per token} λ_qt x_qkt ÷ (σ λ_t)
            + s_t ≥ 1                                                          ∀ w, group, t

    The rest may run at 100 % utilization, every unit at the workload's own mix (which is cautious
    with several classes), per-token offerings at what they serve already. A region is one
    provider's region. What a short budget leaves unserved, s_t of the peak, need not survive.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        survival = fleet.problem.limits.survival
        if survival is None:
            return
        group_of = SURVIVAL_GROUPS[survival.kind]
        for w in fleet.problem.workloads:
            serving = fleet.serving(w.name)
            for group in sorted({group_of(k) for k in serving}):
                rest = [k for k in serving if group_of(k) != group]
                for t in fleet.busy(w.name):
                    terms = _left_after_loss(fleet, rest, t, survival.share)
                    for q, request_class in enumerate(fleet.demand(w.name).classes):
                        if (w.name, q, t) in fleet.shortfalls:
                            terms[fleet.shortfalls[w.name, q, t]] = request_class.share
                    yield Row(f"{w.name} {group} {t}", terms, GE, 1.0)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        survival = given.problem.limits.survival
        if survival is None:
            return
        for w in plan.workloads:
            for group, t, left in losses(plan, w.name, survival.kind):
                needed = survival.share * served_at_peak(plan, w.name, t)
                if needed and exceeds(1.0, left / needed):
                    yield (
                        f"workload {w.name!r} without {survival.kind} {group} keeps {left:g} of "
                        f"{needed:g} requests/s in block {plan.blocks[t].name}"
                    )


def _left_after_loss(fleet: Fleet, rest: Iterable[Candidate], t: int, share: float) -> Terms:
    """What is left as a part of what must be; a unit need not count for more than all of it."""
    terms: Terms = {}
    for k in rest:
        needed = share * fleet.demand(k.workload).peak[t]
        for variable, rate in capacity_terms(fleet, k, t, mix_rate):
            add(terms, variable, rate / needed if k.mode.per_token else min(1.0, rate / needed))
    return terms


def served_at_peak(plan: Plan, workload: str, t: int) -> float:
    """Requests/s of a workload that the plan serves at the peak of a block."""
    block = plan.blocks[t]
    mine = (r for r in plan.routes if r.candidate.workload == workload and r.block == block)
    return sum(r.requests_per_second for r in mine)


def losses(plan: Plan, workload: str, kind: str) -> Iterator[tuple[str, int, float]]:
    """(what is lost, block, requests/s left) for every group the workload uses."""
    group_of = SURVIVAL_GROUPS[kind]
    bought = list(plan.purchases_of(workload))
    for group in sorted({group_of(p.candidate) for p in bought}):
        for t in range(len(plan.blocks)):
            left = sum(
                capacity_of(plan, p, t, mix_rate) for p in bought if group_of(p.candidate) != group
            )
            yield group, t, left


class ChangeLimit:
    """Units added and removed against today's fleet, and how many may be.

        a_j ≥ n_jt − n⁰_j,   r_j ≥ n⁰_j − n_jt,   Σ_j a_j + r_j ≤ M      [units]

    j is (offering, billing, workload), all replica configurations together; t is the workload's
    busiest block. n⁰_j is today's fleet.
    """

    @staticmethod
    def rows(fleet: Fleet) -> Iterator[Row]:
        current = fleet.given.current_units()
        groups: dict[tuple[str, str, str], list[Candidate]] = {}
        for k in fleet.candidates:
            groups.setdefault(change_key(k), []).append(k)
        for key, variable in fleet.added.items():
            terms = _units_of_key(fleet, groups, key)
            add(terms, variable, -1.0)
            yield Row(f"added {' '.join(key)}", terms, LE, current.get(key, 0))
        for key, variable in fleet.removed.items():
            terms = _units_of_key(fleet, groups, key)
            add(terms, variable, 1.0)
            yield Row(f"removed {' '.join(key)}", terms, GE, current[key])
        most = fleet.problem.switching.max_units_changed
        if most is not None:
            changed = [*fleet.added.values(), *fleet.removed.values()]
            yield Row("changed", dict.fromkeys(changed, 1.0), LE, most)

    @staticmethod
    def violations(given: PlanningInput, plan: Plan) -> Iterator[str]:
        most = given.problem.switching.max_units_changed
        if most is None:
            return
        changed = sum(abs(delta) for delta in unit_change_of(given, plan.purchases).values())
        if exceeds(changed, most):
            yield f"{changed} units change against the current fleet, more than {most}"


def _units_of_key(
    fleet: Fleet, groups: dict[tuple[str, str, str], list[Candidate]], key: tuple[str, str, str]
) -> Terms:
    same = [(k, 1.0) for k in groups.get(key, ())]
    return count_terms(fleet, same, fleet.demand(key[2]).busiest)


def unit_change_of(
    given: PlanningInput, purchases: Iterable[Purchase]
) -> dict[tuple[str, str, str], int]:
    """Units added (positive) or removed (negative) by (offering, billing, workload)."""
    planned: dict[tuple[str, str, str], int] = {}
    for p in purchases:
        if not p.candidate.mode.per_token:
            key = change_key(p.candidate)
            busiest = given.schedule.demands[key[2]].busiest
            planned[key] = planned.get(key, 0) + p.units_by_block[busiest]
    current = given.current_units()
    keys = sorted(planned.keys() | current.keys())
    return {key: planned.get(key, 0) - current.get(key, 0) for key in keys}


LIMITS: tuple[type[Family], ...] = (
    Quotas,
    BudgetLimit,
    ProviderCount,
    ProviderShare,
    SpotShare,
    LossSurvived,
    ChangeLimit,
)
