"""The replicas of one workload behind one router: which are on when, and how requests fared."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from math import inf
from typing import TYPE_CHECKING

from milp_planner.candidates.paying.start_up import start_s
from milp_planner.candidates.queues import gaps_scv, of_mix
from milp_planner.errors import argument_error
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, replace
from milp_planner.plans.records import Plan, Route
from milp_planner.replaying.arrivals import Sent, Stretch, drawn, thinned
from milp_planner.replaying.autoscaler import ScalingRules
from milp_planner.replaying.endpoints import endpoints_of, router_of, sent_to
from milp_planner.replaying.engine import Endpoints, ReplayRouter, send
from milp_planner.replaying.figures import mean_of, percentile_of
from milp_planner.replaying.reactive import (
    main_purchase,
    reactive_day,
    reactive_hours,
    scaled_day,
    units_share,
)
from milp_planner.replaying.records import (
    METRICS,
    SHARES,
    PoolReplayed,
    ReactiveDay,
    ReplayFigure,
    ReplayLoss,
    ReplayMetric,
    SpotReplayed,
    StretchReplayed,
)
from milp_planner.replaying.speeds import Served, mean_derate, served_by
from milp_planner.replaying.timetable import (
    Hours,
    after_losses,
    ends_by_loss,
    hours_by_block,
    interrupted,
    interruptions_per_s,
    on_at,
    switches_of,
)
from milp_planner.serving.queues.chain import pool_rates
from milp_planner.serving.queues.sizes import sizes_of
from milp_planner.serving.queues.wait import LEAST_PLACES, wait_quantile_s
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.traffic.month import hours_per_month
from milp_planner.traffic.schedule import Demand, RequestClass, Schedule
from milp_planner.units import SECONDS_PER_DAY, SECONDS_PER_HOUR

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

TOLD = 0.99
"""The percentile that is told of every hour."""

SAMPLED = 20_000
"""Requests whose sizes the formulas are told."""


@dataclass(frozen=True)
class ReplaySettings:
    """How requests come and are routed."""

    router: ReplayRouter | None
    """None: what the routes of each workload need, and `policy.routing` says."""

    ready_after_s: float | None
    """From switching a replica on to its first request. None: those of the plan are ready when
    their block begins, paid for before it; lost ones take what `policy.start_up` says."""

    interruptions_per_day: float | None
    """Of each spot replica; None: as many as the stated spot loss comes to."""

    burstiness: float | None
    """Coefficient of variation of the gaps; None: as each workload's traffic says."""

    output_cv: float
    expected_speed: bool = False
    """Replicas as fast as expected, instead of as fast as planned on."""

    autoscaler: ScalingRules | None = None
    """Switches replicas in place of the plan's timetable."""

    spot_loss: float = 0.0
    """Share of spot work that is lost and run again, as the problem states it."""

    is_trace: bool = False
    """A log's own requests are sent, which no class of the problem's is known of."""


@dataclass(frozen=True)
class PoolRun:
    """How the requests of one seed fared; arrays in the order of arrival, times in seconds."""

    arrivals_s: NDArray[float64]
    outputs: NDArray[float64]
    times: dict[ReplayMetric, NDArray[float64]]
    """Infinite where a request never got there."""

    first_counted: int
    sent: int
    stopped: bool
    restarts: int
    interruptions: int
    """Times that a spot replica was taken away."""

    def counted(self, metric: ReplayMetric) -> NDArray[float64]:
        """Without the warm-up."""
        return self.times[metric][self.first_counted :]

    @property
    def weights(self) -> NDArray[float64]:
        """Output tokens of the counted requests."""
        return self.outputs[self.first_counted :]


def mean_metric(runs: Sequence[PoolRun], metric: ReplayMetric) -> ReplayFigure:
    """The mean over requests; of the time per token that over tokens, as a plan means it."""
    weights = [run.weights for run in runs] if metric == "tpot" else None
    return mean_of([run.counted(metric) for run in runs], weights)


@dataclass(frozen=True)
class Pool:
    """One workload's replicas, and the requests that they are sent."""

    workload: str
    classes: tuple[RequestClass, ...]
    stretches: tuple[Stretch, ...]
    """With the rate that comes to the replicas."""

    replicas: tuple[tuple[Served, Hours], ...]
    how: ReplaySettings
    burstiness: float
    """Coefficient of variation of the gaps between requests."""

    per_token_share: float
    is_disturbed: bool
    """Something is lost or comes late, so that the formulas say nothing."""

    reactive: ReactiveDay | None = None
    """What the autoscaler did, where one runs."""

    router: ReplayRouter = "least"
    endpoints: Endpoints | None = None
    """Which share of the requests each offering is sent; None behind one router."""

    recorded: Sent | None = None
    """A trace's own requests, sent instead of drawn ones."""

    @property
    def rate_only(self) -> bool:
        """Whether of some replicas nothing but a rate is known."""
        return any(served.rate_only for served, _ in self.replicas)

    @property
    def knows_first_tokens(self) -> bool:
        """Whether it is known of all replicas how long a prompt takes."""
        return all(served.prefill_s > 0 for served, _ in self.replicas)

    @property
    def slowed(self) -> float:
        """Replayed ÷ expected speed, of the replica that is slowed least: 1 at the expected."""
        derates = [mean_derate(served.candidate) for served, _ in self.replicas]
        return 1.0 if self.how.expected_speed else max(derates, default=1.0)

    @property
    def longest_service_s(self) -> float:
        """A mean request's time in a full replica, of the slowest."""
        return max((served.service_s[-1] for served, _ in self.replicas), default=0.0)

    def run(self, seed: int, go_on: Callable[[int], bool]) -> PoolRun:
        """The requests of one seed."""
        import numpy as np

        sent = self._sent(seed)
        rng = random.Random(seed)
        end_s = self.stretches[-1].end_s
        hours = [
            interrupted(on, _interruptions_per_s(served, self.how), served.restart_s, end_s, rng)
            for served, on in self.replicas
        ]
        journeys = send(
            sent.arrivals_s.tolist(),
            sent.input_tokens.tolist(),
            sent.output_tokens.tolist(),
            [served.speed for served, _ in self.replicas],
            router=self.router,
            switches=switches_of(hours, self.stretches[0].start_s),
            endpoints=self.endpoints,
            classes=() if sent.classes is None else sent.classes.tolist(),
            seed=seed,
            progress=go_on,
        )
        n = journeys.sent
        arrived, outputs = sent.arrivals_s[:n], sent.output_tokens[:n]
        admitted, first, left = (
            np.array(times[:n])
            for times in (journeys.admitted_s, journeys.first_token_s, journeys.left_s)
        )
        with np.errstate(invalid="ignore"):
            tpot = np.where(np.isfinite(left), (left - first) / outputs, inf)
        return PoolRun(
            arrivals_s=arrived,
            outputs=outputs,
            times={
                "wait": admitted - arrived,
                "ttft": first - arrived,
                "tpot": tpot,
                "request": left - arrived,
            },
            first_counted=min(sent.first_counted, n),
            sent=n,
            stopped=n < len(sent),
            restarts=journeys.restarts,
            interruptions=max(0, ends_by_loss(hours) - ends_by_loss(on for _, on in self.replicas)),
        )

    def report(self, runs: Sequence[PoolRun]) -> PoolReplayed:
        """All seeds together."""
        by_metric = {m: [run.counted(m) for run in runs] for m in METRICS}
        known = [m for m in METRICS if m != "ttft" or self.knows_first_tokens]
        stretches = tuple(self._stretch(s, runs) for s in self.stretches)
        busiest = max(range(len(stretches)), key=lambda i: stretches[i].utilization)
        return PoolReplayed(
            workload=self.workload,
            requests=sum(len(values) for values in by_metric["wait"]),
            never_served=sum(int((values == inf).sum()) for values in by_metric["request"]),
            restarts=sum(run.restarts for run in runs),
            spot=self._spot(runs),
            per_token_share=self.per_token_share,
            figures={m: {p: percentile_of(by_metric[m], p) for p in SHARES} for m in known},
            means={m: mean_metric(runs, m) for m in known},
            formula_wait_p99_s=self._by_formula(self.stretches[busiest], runs),
            replayed_wait_p99_s=stretches[busiest].wait_p99_s,
            rate_only=self.rate_only,
            stretches=stretches,
            is_unlike=len({served.speed for served, _ in self.replicas}) > 1,
        )

    @property
    def longest_restart_s(self) -> float:
        """Of all its replicas, the slowest to serve once switched on."""
        return max((served.restart_s for served, _ in self.replicas), default=0.0)

    @property
    def is_interrupted(self) -> bool:
        """Whether spot replicas in it are taken away."""
        return any(_interruptions_per_s(served, self.how) > 0 for served, _ in self.replicas)

    def calm(self) -> Pool:
        """The same without interruptions."""
        return replace(self, how=replace(self.how, interruptions_per_day=0.0))

    def _spot(self, runs: Sequence[PoolRun]) -> SpotReplayed | None:
        often = [
            _interruptions_per_s(served, self.how)
            for served, _ in self.replicas
            if _is_spot(served)
        ]
        if not often:
            return None
        return SpotReplayed(
            replicas=len(often),
            per_hour=SECONDS_PER_HOUR * sum(often) / len(often),
            interruptions=sum(run.interruptions for run in runs),
            by_stated_loss=self.how.interruptions_per_day is None,
        )

    def _sent(self, seed: int) -> Sent:
        how = self.how
        if self.recorded is not None:
            return thinned(self.recorded, 1 - self.per_token_share, seed)
        return drawn(
            self.stretches,
            self.classes,
            burstiness=self.burstiness,
            output_cv=how.output_cv,
            seed=seed,
        )

    def _stretch(self, s: Stretch, runs: Sequence[PoolRun]) -> StretchReplayed:
        inside = [
            (run.arrivals_s[run.first_counted :] >= s.start_s)
            & (run.arrivals_s[run.first_counted :] < s.end_s)
            for run in runs
        ]
        of = {m: [run.counted(m)[i] for run, i in zip(runs, inside, strict=True)] for m in METRICS}
        came = sum(  # with the warm-up: a rate is what comes
            int(((run.arrivals_s >= s.start_s) & (run.arrivals_s < s.end_s)).sum()) for run in runs
        )
        seconds = s.seconds * max(1, len(runs))
        full = sum(
            served.full_rate * on_at([on], s.start_s, s.end_s) for served, on in self.replicas
        )
        waited = sum(float(values[values < inf].sum()) for values in of["wait"])
        return StretchReplayed(
            name=s.name,
            start_s=s.start_s,
            end_s=s.end_s,
            requests=came,
            requests_per_second=came / seconds,
            replicas=on_at([on for _, on in self.replicas], s.start_s, s.end_s),
            utilization=s.requests_per_second / full if full else 0.0,
            queue=waited / seconds,
            wait_p99_s=percentile_of(of["wait"], TOLD).value_s,
            ttft_p99_s=(
                percentile_of(of["ttft"], TOLD).value_s if self.knows_first_tokens else None
            ),
            tpot_mean_s=mean_of(of["tpot"]).value_s,
            request_p99_s=percentile_of(of["request"], TOLD).value_s,
        )

    def _by_formula(self, s: Stretch, runs: Sequence[PoolRun]) -> float | None:
        """The p99 wait by the formulas, for the stretch as it was planned   [s]."""
        if self.is_disturbed or not runs or self.router not in ("least", "central"):
            return None
        on = [(served, on_at([hours], s.start_s, s.end_s)) for served, hours in self.replicas]
        queues = [served.queue(1) for served, share in on if share > 0.5]
        smallest = min((len(one.service_s) for one in queues), default=0)
        if self.router != "central" and smallest < LEAST_PLACES:
            return None
        outputs = runs[0].outputs[:SAMPLED]
        if not queues or not len(outputs) or s.requests_per_second <= 0:
            return None
        scv = self.burstiness**2 if self.recorded is None else self.recorded.gaps_scv
        rates = pool_rates(queues)
        found = wait_quantile_s(TOLD, s.requests_per_second, rates, sizes_of(outputs), scv)
        return found if found < inf else None


def pool_of(
    plan: Plan,
    problem: Problem,
    schedule: Schedule,
    catalog: Catalog,
    model: ServingModel,
    workload: str,
    hours: Sequence[Stretch],
    losses: Sequence[ReplayLoss],
    how: ReplaySettings,
) -> Pool | None:
    """The pool of a workload; None where APIs serve all of it."""
    demand = schedule.demands[workload]
    shares = [units_share(plan, workload, block.name) for block in plan.blocks]
    rented = [p for p in plan.purchases_of(workload) if p.units]
    if not rented or not any(shares):
        return None
    stretches = tuple(
        replace(s, requests_per_second=demand.peak[s.block] * shares[s.block]) for s in hours
    )
    router = how.router or router_of(plan, problem, workload, is_trace=how.is_trace)
    replicas: list[tuple[Served, Hours]] = []
    for p in rented:
        k = p.candidate
        classes = demand.classes
        if router == "per_class":
            k = of_mix(k, classes, sent_to(plan, k))
            classes = k.classes
        elif not k.serves_all:
            message = f"{k.id} serves some classes only; a replay routes every class alike"
            raise argument_error(message, path="plan")
        served = served_by(k, problem, classes, catalog, model, expected=how.expected_speed)
        restart_s = start_s(problem, k) if how.ready_after_s is None else how.ready_after_s
        served = replace(served, restart_s=restart_s)
        wanted = [units * k.replicas_per_unit for units in p.units_by_block]
        for on in hours_by_block(stretches, wanted.__getitem__, how.ready_after_s or 0.0):
            left = after_losses(on, k, losses, served.restart_s)
            if left:
                replicas.append((served, left))
    reactive = None
    if how.autoscaler is not None and (bought := main_purchase(plan, workload)) is not None:
        rules, served = how.autoscaler, {s.candidate: s for s, _ in replicas}[bought.candidate]
        day = scaled_day(bought, stretches, rules)
        month_hours = hours_per_month(problem)
        reactive = reactive_day(plan, workload, day, bought, len(stretches), month_hours)
        kept = [
            after_losses(mine, bought.candidate, losses, served.restart_s)
            for mine in reactive_hours(day, rules, stretches, served.restart_s)
        ]
        replicas = [(served, mine) for mine in kept if mine]
    asked = [t for t, peak in enumerate(demand.peak) if peak > 0]
    return Pool(
        workload=workload,
        classes=demand.classes,
        stretches=stretches,
        replicas=tuple(replicas),
        how=how,
        burstiness=gaps_scv(problem.workload(workload), demand) ** 0.5
        if how.burstiness is None
        else how.burstiness,
        per_token_share=max((_per_token_share(plan, demand, t) for t in asked), default=0.0),
        is_disturbed=bool(losses)
        or reactive is not None
        or any(_interruptions_per_s(s, how) > 0 for s, _ in replicas),
        reactive=reactive,
        router=router,
        endpoints=endpoints_of(
            plan, workload, stretches, [served for served, _ in replicas], demand.classes
        )
        if router in ("per_offering", "per_class")
        else None,
    )


def on_trace(pool: Pool, sent: Sent) -> Pool:
    """The pool of a single stretch, with a trace's own requests."""
    (stretch,) = pool.stretches
    rate = (1 - pool.per_token_share) * len(sent) / stretch.seconds
    return replace(pool, stretches=(replace(stretch, requests_per_second=rate),), recorded=sent)


def _is_spot(served: Served) -> bool:
    return served.candidate.mode.name == "spot"


def _interruptions_per_s(served: Served, how: ReplaySettings) -> float:
    """Of one replica that is up; 0 for what is not spot."""
    if not _is_spot(served):
        return 0.0
    if how.interruptions_per_day is not None:
        return how.interruptions_per_day / SECONDS_PER_DAY
    full_s = served.service_s[-1]
    return interruptions_per_s(how.spot_loss, full_s, how.output_cv, served.restart_s)


def _per_token_share(plan: Plan, demand: Demand, t: int) -> float:
    routes = _routes(plan, demand.workload, plan.blocks[t].name, True)
    return sum(r.request_class.share * r.share for r in routes)


def _routes(plan: Plan, workload: str, block: str, per_token: bool) -> Iterator[Route]:
    return (
        r
        for r in plan.routes
        if r.candidate.workload == workload
        and r.block.name == block
        and r.candidate.mode.per_token == per_token
    )
