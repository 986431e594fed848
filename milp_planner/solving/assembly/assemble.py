"""From units and shares to a plan: routes, purchases, costs and how each workload fares.

Plain arithmetic throughout; a fleet may come from a solver or from the user.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    is_elastic,
    rests_when_idle,
)
from milp_planner.candidates.users import infrascale_said, users_said
from milp_planner.grouping import by_workload
from milp_planner.inputs.problem.policies import has_one_router, is_strict, utilization_limit
from milp_planner.inputs.problem.records import Workload
from milp_planner.inputs.problem.traffic import ConcurrentUsers
from milp_planner.milp.program.costs.commitments import commitments_used
from milp_planner.milp.program.costs.terms import PENALTIES
from milp_planner.milp.program.families import needs_routes
from milp_planner.milp.program.language.cost import Usage
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.plans.changes import changes
from milp_planner.plans.consequences import age_days, stale_prices
from milp_planner.plans.losses import worst_losses
from milp_planner.plans.reasons import LatencyNotAssessed, Remark, Said
from milp_planner.plans.records import (
    MEDIUM_BAND,
    Plan,
    Proof,
    Provenance,
    Purchase,
    Route,
    SharedUnits,
    Status,
    WorkloadPlan,
    band,
)
from milp_planner.solving.assembly.batches import batch_runs, hours_on, with_batches, work_done
from milp_planner.solving.assembly.costs import (
    cash_usd,
    penalties_usd,
    purchase_usd,
    with_shared_usd,
)
from milp_planner.solving.assembly.deployed import deployed_llm
from milp_planner.solving.assembly.left_out import not_included
from milp_planner.solving.assembly.notes import notes
from milp_planner.solving.assembly.queues import waits_idle, waits_kept
from milp_planner.solving.assembly.routes import (
    routes_of,
    shares_by_workload,
    spreads_by_capacity,
)
from milp_planner.solving.assembly.sharing import (
    rent_parts,
    shared_units,
    speed_beside_others,
    units_kept_apart,
)
from milp_planner.traffic.month import Demand
from milp_planner.units import SECONDS_PER_HOUR

EDGE = 1e-8
"""Relative distance at which a solver's plan counts as being on an edge: above its tolerance."""


def assemble(
    instance: PlanningInput, solution: FleetSolution, provenance: Provenance, *, exact: bool = False
) -> Plan:
    """The plan of a fleet, unproven: status `feasible`, no bound.

    A utilization that a solver takes for equal to an edge, the limit or 75 %, is on it; `exact`
    takes it as computed, for fleets that no solver chose.
    """
    chosen = shares_by_workload(solution)
    of_workload = {
        w.name: routes_of(instance, solution, w.name, chosen.get(w.name, {}))
        for w in instance.problem.workloads
    }
    routes = tuple(route for mine in of_workload.values() for route in mine)
    purchases, shared = _purchases(instance, solution, of_workload)
    purchases = with_shared_usd(instance, purchases, routes, shared)
    bought = by_workload(purchases)
    workloads = tuple(
        _workload_plan(instance, solution, name, bought.get(name, []), mine, exact)
        for name, mine in of_workload.items()
    )
    rented = (*(p for p in purchases if not p.candidate.part_of_unit), *shared)
    cash = cash_usd(instance, purchases, routes, shared)
    costs = {**cash, **{p.name: sum(w.penalties[p.name] for w in workloads) for p in PENALTIES}}
    batches = batch_runs(instance, solution)
    said: tuple[Remark, ...] = ()
    doubts: tuple[Remark, ...] = ()
    if not exact:
        said = (
            *notes(instance.problem, workloads),
            *units_kept_apart(instance.problem, workloads, purchases),
            *speed_beside_others(shared),
            *map(Said, instance.candidates.notes),
            *_of_users(instance, purchases, routes),
            *waits_idle(instance, purchases),
            *waits_kept(instance, purchases, routes),
            *work_done(instance, routes, batches),
        )
        doubts = (*map(Said, instance.candidates.doubts),)
    plan = Plan(
        name=instance.problem.name,
        status=Status.FEASIBLE,
        score_usd_per_month=sum(costs.values()),
        cash_usd_per_month=sum(cash.values()),
        lower_bound_usd_per_month=None,
        costs=costs,
        purchases=purchases,
        shared_units=shared,
        routes=routes,
        workloads=workloads,
        blocks=instance.schedule.blocks,
        block_by_hour=instance.schedule.block_by_hour,
        proof=Proof(certified=False, certified_by=()),
        provenance=provenance,
        turned_down=instance.candidates.turned_down,
        warnings=(
            *doubts,
            *_range_warnings(purchases),
            *_unassessed(workloads, purchases),
            *said,
        ),
        batch_runs=batches,
        changes=changes(instance, rented),
        commitments=commitments_used(instance, rented),
        not_included=tuple(not_included(instance.problem, (p.candidate for p in purchases))),
        stale_prices=stale_prices(
            [(p.candidate.offering, p.cash_usd_per_month) for p in purchases],
            sum(cash.values()),
            instance.problem.policy.stale_after_days,
            instance.catalog.read_on,
        ),
    )
    survival = instance.problem.limits.survival
    if survival is None:
        return plan
    return replace(plan, worst_losses=worst_losses(instance, plan, survival.kind))


def _of_users(
    instance: PlanningInput, purchases: Sequence[Purchase], routes: Sequence[Route]
) -> Iterator[Said]:
    """S, N, B, Q, speed and wait of every purchase for users at once."""
    by_its_formulas = instance.problem.policy.serving_model == "infrascale"
    for p in purchases:
        k, w = p.candidate, instance.problem.workload(p.candidate.workload)
        llm = instance.catalog.llm(w.llms[0])
        if not isinstance(w.traffic, ConcurrentUsers) or not k.gpu:
            continue
        users = sum(r.requests_per_second for r in routes if r.candidate is k)
        nodes = p.units * k.replicas_per_unit
        said = users_said(k, nodes, users, w.traffic)
        if by_its_formulas and llm is not None:
            said = infrascale_said(k, nodes, users, w.traffic, llm, instance.catalog.gpus[k.gpu])
        if said:
            yield Said(said)


def _unassessed(
    workloads: Sequence[WorkloadPlan], purchases: Sequence[Purchase]
) -> Iterator[LatencyNotAssessed]:
    """A remark for every strict workload that per-token offerings serve."""
    bought = by_workload(p for p in purchases if p.candidate.mode.per_token)
    for w in workloads:
        ids = tuple(p.candidate.offering.id for p in bought.get(w.name, ()))
        if w.strict and ids:
            yield LatencyNotAssessed(w.name, ids)


def _range_warnings(purchases: Sequence[Purchase]) -> Sequence[Said]:
    """What the serving model says about its range, for what is bought, once each."""
    points = (point for p in purchases for point in p.candidate.points)
    return [*map(Said, dict.fromkeys(warning for point in points for warning in point.warnings))]


def _purchases(
    instance: PlanningInput, solution: FleetSolution, of_workload: Mapping[str, Sequence[Route]]
) -> tuple[tuple[Purchase, ...], tuple[SharedUnits, ...]]:
    """What is bought for each workload, and the units that their replicas share."""
    today = instance.catalog.read_on
    hours = tuple(block.hours for block in instance.schedule.blocks)
    on = _units_by_block(instance, solution, of_workload)
    runs = batch_runs(instance, solution)
    shared = shared_units(instance, solution, on)
    rent = rent_parts(shared, on)
    by_candidate: dict[Candidate, list[Route]] = {}
    for route in (route for routes in of_workload.values() for route in routes):
        by_candidate.setdefault(route.candidate, []).append(route)
    purchases = []
    for k, units in on.items():
        routes = by_candidate.get(k, [])
        mine = hours_on(solution, k, units, hours)
        purchase = Purchase(k, units, mine, 0.0, shared_rent_usd=rent.get(k))
        purchases.append(
            replace(
                purchase,
                cash_usd_per_month=purchase_usd(instance, purchase, routes),
                requests_share=_requests_share(instance, k, routes),
                busy_units_by_block=with_batches(
                    instance, runs, k, _busy_units(instance, k, routes), hours, mine
                ),
                price_age_days=None if today is None else age_days(k.offering, today),
            )
        )
    return tuple(purchases), shared


def _units_by_block(
    instance: PlanningInput, solution: FleetSolution, of_workload: Mapping[str, Sequence[Route]]
) -> dict[Candidate, tuple[int, ...]]:
    """Units on in each block of everything that is used, in the order of the purchases."""
    blocks = len(instance.schedule.blocks)
    used = {k for k, units in solution.units.items() if any(units)}
    used |= {
        route.candidate
        for routes in of_workload.values()
        for route in routes
        if route.candidate.mode.per_token
    }
    found = {}
    order = {w.name: i for i, w in enumerate(instance.problem.workloads)}
    for k in sorted(used, key=lambda k: (order[k.workload], k.id)):
        units = solution.units.get(k, (0,) * blocks)
        if any(units) and not is_elastic(instance.problem, k):
            peaks = instance.schedule.demands[k.workload].peak
            rests = rests_when_idle(instance.problem, k)
            units = tuple(max(units) if peak > 0 or not rests else 0 for peak in peaks)
        found[k] = units
    return found


def _requests_share(instance: PlanningInput, k: Candidate, routes: Sequence[Route]) -> float:
    """Of a month's requests, those of `k` by its routes."""
    demand = instance.schedule.demands[k.workload]
    blocks = instance.schedule.blocks
    month = sum(mean * block.hours for mean, block in zip(demand.mean, blocks, strict=True))
    mean_of = dict(zip((block.name for block in blocks), demand.mean, strict=True))
    served = sum(
        mean_of[r.block.name] * r.block.hours * r.request_class.share * r.share for r in routes
    )
    return served / month if month else 0.0


def _busy_units(
    instance: PlanningInput, k: Candidate, routes: Sequence[Route]
) -> tuple[float, ...]:
    """Units' worth of work at the mean rate of each block, of `k` by its routes."""
    demand, blocks = instance.schedule.demands[k.workload], instance.schedule.blocks
    work = [0.0] * len(blocks)
    if k.mode.per_token:
        return tuple(work)
    block_at = {block.name: t for t, block in enumerate(blocks)}
    rate_of = dict(zip(demand.classes, k.requests_per_second, strict=True))
    for r in routes:
        t = block_at[r.block.name]
        work[t] += demand.mean[t] * r.request_class.share * r.share / rate_of[r.request_class]
    return tuple(work)


def _workload_plan(
    instance: PlanningInput,
    solution: FleetSolution,
    name: str,
    mine: Sequence[Purchase],
    routes: Sequence[Route],
    exact: bool,
) -> WorkloadPlan:
    workload = instance.problem.workload(name)
    demand = instance.schedule.demands[name]
    utilization = None if demand.can_wait else _utilization(instance, mine, routes)
    if not exact:
        utilization = _on_edge(utilization, _edges(instance, workload))
    block = instance.schedule.blocks[demand.busiest].name
    one_pool = has_one_router(instance.problem, workload) or (
        spreads_by_capacity(instance, name) and not needs_routes(instance.problem)
    )
    capacity = _held(demand, mine) if one_pool else _capacity(demand, block, mine, routes)
    points = [point for p in mine for point in p.candidate.serving_points]
    tpots = [point.tpot_s for point in points if point.tpot_s is not None]
    ttfts = [point.ttft_s for point in points if point.ttft_s is not None]
    wish = workload.latency.ttft_limit_s
    most_gpus = max(
        sum(p.units_by_block[t] * p.candidate.gpus_per_unit for p in mine)
        for t in range(len(instance.schedule.blocks))
    )
    return WorkloadPlan(
        name=name,
        llm=" + ".join(sorted({p.candidate.llm for p in mine} - {""})) or workload.llm_words,
        peak_requests_per_second=demand.highest_peak,
        capacity_requests_per_second=capacity,
        utilization=utilization,
        band=band(utilization),
        utilization_limit=utilization_limit(instance.problem, workload),
        tpot_s=max(tpots, default=None),
        tpot_wish_s=workload.latency.tpot_limit_s,
        ttft_s=max(ttfts, default=None),
        ttft_wish_s=wish,
        ttft_verified=wish is not None
        and bool(points)
        and all(p.ttft_measured and p.ttft_s is not None and p.ttft_s <= wish for p in points),
        strict=is_strict(instance.problem.policy.active_penalties, workload),
        shortfall_share=_shortfall(solution, name),
        tokens_per_month=instance.schedule.tokens_per_month(name),
        cash_usd_per_month=sum(p.cash_usd_per_month for p in mine),
        penalties=penalties_usd(
            instance,
            name,
            Usage(utilization or 0.0, most_gpus, _unserved(instance, solution, name)),
        ),
        is_batch=demand.can_wait,
        unit=demand.unit,
        deployed=deployed_llm(instance.catalog, workload, mine),
    )


def _held(demand: Demand, purchases: Sequence[Purchase]) -> float:
    """What units carry in the busiest block at 100 %, where the load is theirs in proportion."""
    return sum(
        p.candidate.mix_requests_per_second * p.units_by_block[demand.busiest] for p in purchases
    )


def _capacity(
    demand: Demand, block: str, purchases: Sequence[Purchase], routes: Sequence[Route]
) -> float:
    """What units carry in the busiest block at 100 %, everything routed as it is."""
    units = {p.candidate: p.units_by_block[demand.busiest] for p in purchases}
    busy, served = dict.fromkeys(units, 0.0), 0.0
    for r in routes:
        if r.block.name == block and r.candidate in units and not r.candidate.mode.per_token:
            rate = r.candidate.requests_per_second[demand.classes.index(r.request_class)]
            busy[r.candidate] += r.requests_per_second / rate
            served += r.requests_per_second
    highest = max((work / units[k] for k, work in busy.items() if units[k]), default=0.0)
    return served / highest if highest else 0.0


def _edges(instance: PlanningInput, workload: Workload) -> Iterator[float]:
    """Utilizations that the program holds the workload below, within a solver's tolerance."""
    yield utilization_limit(instance.problem, workload)
    penalties = instance.problem.policy.active_penalties
    if penalties.strict_latency is not None and is_strict(penalties, workload):
        yield MEDIUM_BAND


def _on_edge(utilization: float | None, edges: Iterable[float]) -> float | None:
    """The edge that a solver's tolerance has let the utilization pass, else the utilization."""
    for edge in edges:
        if utilization is not None and edge < utilization <= edge * (1 + EDGE):
            return edge
    return utilization


def _utilization(
    instance: PlanningInput, purchases: Sequence[Purchase], routes: Sequence[Route]
) -> float | None:
    """The highest share of time at work, over purchases and blocks; None without units."""
    busy: dict[tuple[Candidate, str], float] = {}
    for route in routes:
        k = route.candidate
        if k.mode.per_token:
            continue
        classes = instance.schedule.demands[k.workload].classes
        rate = k.requests_per_second[classes.index(route.request_class)]
        key = k, route.block.name
        busy[key] = busy.get(key, 0.0) + route.requests_per_second / rate
    values = [
        busy.get((p.candidate, block.name), 0.0) / p.units_by_block[t]
        for p in purchases
        for t, block in enumerate(instance.schedule.blocks)
        if p.units_by_block[t]
    ]
    return max(values, default=None)


def _shortfall(solution: FleetSolution, workload: str) -> float:
    mine = solution.shortfalls_by_workload.get(workload, ())
    return max((share for _, _, share in mine), default=0.0)


def _unserved(instance: PlanningInput, solution: FleetSolution, workload: str) -> float:
    """Requests per month left unserved."""
    demand = instance.schedule.demands[workload]
    return sum(
        share
        * demand.classes[q].share
        * demand.mean[t]
        * demand.requests_per_unit
        * instance.schedule.blocks[t].hours
        * SECONDS_PER_HOUR
        for q, t, share in solution.shortfalls_by_workload.get(workload, ())
    )
