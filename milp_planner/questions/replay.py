"""replay(): the fleet of a plan serves requests one by one, and every wish is held against them.

All replicas of a workload stand behind one router, or those of each offering behind one of their
own, and every class is routed alike, unless the plan sends classes apart. Hours of the
clock follow each other, each at the rate that its block is sized for; without a clock the blocks
do. Where fewer requests are sent than an hour would bring, all hours are shortened alike: seconds
stay seconds. What APIs serve is left out.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from milp_planner.errors import argument_error
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.arguments import check_kind, check_number, path_of
from milp_planner.plans.records import Plan
from milp_planner.replaying.arrivals import Sent, Stretch, recorded
from milp_planner.replaying.autoscaler import ScalingRules
from milp_planner.replaying.engine import ROUTERS, ReplayRouter
from milp_planner.replaying.figures import missed_share, percentile_of
from milp_planner.replaying.pool import (
    Pool,
    PoolRun,
    ReplaySettings,
    mean_metric,
    on_trace,
    pool_of,
)
from milp_planner.replaying.records import (
    Replay,
    ReplayLoss,
    ReplayWish,
    Undisturbed,
    WishReplayed,
)
from milp_planner.replaying.timetable import loss_name
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.solving.checks.arguments import catalog_for
from milp_planner.solving.checks.llms import refuse_any_llm
from milp_planner.traffic.month import make_schedule
from milp_planner.traffic.schedule import Schedule
from milp_planner.traffic.trace import read_requests
from milp_planner.units import SECONDS_PER_HOUR

REQUESTS = 100_000
MOST_SEEDS = 20
LEAST_ROWS = 20
LEAST_READY = 4.0
"""An hour of the clock is shortened to no less than so many times what a replica takes to start."""

LEAST_SERVICES = 5.0
"""And of what a mean request takes in a full replica."""


def replay(
    plan: Plan,
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    requests: int = REQUESTS,
    router: ReplayRouter | None = None,
    seed: int = 1,
    seeds: int = 5,
    wishes: Sequence[ReplayWish] = (),
    losses: Sequence[ReplayLoss] = (),
    ready_after_s: float | None = None,
    interruptions_per_day: float | None = None,
    burstiness: float | None = None,
    output_cv: float = 1.0,
    expected_speed: bool = False,
    autoscaler: ScalingRules | None = None,
    trace: str | Path | None = None,
    trace_scale: float = 1.0,
    time_limit_s: float = 60.0,
    progress: Callable[[int], None] | None = None,
) -> Replay:
    """What the fleet of `plan` does with requests that come one by one.

    plan: of `problem`, solved or read from its document. catalog: default: the problem's own.
    requests: about so many in all, over `seeds` replays with the seeds from `seed` on; intervals
    are over the seeds, or over 20 batches of a single one. router: least (in flight, for its
    places), two (the better of two drawn), round_robin, random, central: one queue before all,
    per_offering: an endpoint for each offering, sent its share of the plan's routes, and there
    least, or per_class: the same, by the routes of each class; default: per_class where the plan
    sends classes apart, else as `policy.routing` says, least or per_offering.
    wishes: beside those of the problem. losses: what is away, and when. ready_after_s: from
    switching a replica on to its first request; default: those of the plan are ready when their
    block begins, lost ones and an autoscaler's after what `policy.start_up` says.
    interruptions_per_day: of every spot replica; default: as many as `policy.spot_loss` comes to,
    in requests begun anew and replicas that start again; how each wish fares without them is told
    beside. burstiness: coefficient of variation of the gaps between arrivals, 1 being Poisson;
    default: as the traffic says, else 1. output_cv: that of the output tokens, lognormal around
    their class's mean. expected_speed: replicas as fast as expected; else as slow as
    `policy.confidence` plans on. autoscaler: adds and takes away replicas by these rules, in place
    of the plan's timetable. trace: a CSV file of a real log; its first `requests` rows are sent at
    their own times, each with its own tokens, through the busiest block's fleet; nothing is drawn,
    so that one run is enough. trace_scale: times as many of them in the same time. time_limit_s: no
    more requests come then, and the replay says so. progress: called now and then with the
    requests so far.

    Returns a Replay: times in seconds, for every workload that units serve. Equal arguments give
    equal figures, unless the time limit ends it.

    Raises InputError for a loss of what the plan does not have, ArgumentError for numbers out of
    range, a plan without a fleet, users at once, traffic without request sizes, and replicas that
    serve some classes only.

    >>> from milp_planner import load_problem, replay, solve
    >>> problem = load_problem("problems/quickstart.yaml")
    >>> found = replay(solve(problem, alternatives=0), problem, requests=2000, seeds=1)
    >>> found.pools[0].never_served
    0
    """
    check_kind(plan, Plan, "solve()")
    check_kind(problem, Problem, "load_problem()")
    how = _checked(
        ReplaySettings(
            *(router, ready_after_s, interruptions_per_day, burstiness, output_cv),
            expected_speed=expected_speed,
            autoscaler=autoscaler,
            spot_loss=problem.policy.spot_loss,
            is_trace=trace is not None,
        ),
        requests,
        seeds,
        time_limit_s,
    )
    known = catalog_for(problem, catalog)
    schedule = make_schedule(problem)
    refuse_any_llm(problem, "a replay: what goes to which LLM")
    _check_plan(plan, schedule)
    _check_losses(plan, losses)
    if autoscaler is not None and not schedule.block_by_hour:
        message = "the traffic has no hours that an autoscaler could follow"
        raise argument_error(message, path="autoscaler", hint="give it a profile")
    if trace is None:
        pools, shortened = _pools(plan, problem, schedule, known, losses, how, requests / seeds)
    else:
        log = _read_trace(trace, trace_scale, requests, autoscaler)
        pools, shortened, seeds = (
            _on_trace(plan, problem, schedule, known, losses, how, log),
            1.0,
            1,
        )
    ends = time.monotonic() + time_limit_s
    runs: dict[str, list[PoolRun]] = {pool.workload: [] for pool in pools}
    calm: dict[str, list[PoolRun]] = {p.workload: [] for p in pools if p.is_interrupted}
    sent = 0
    for each in range(seed, seed + seeds):
        for pool in pools:
            run = pool.run(each, _until(ends, sent, progress))
            runs[pool.workload].append(run)
            sent += run.sent
            if pool.is_interrupted:
                calm[pool.workload].append(pool.calm().run(each, _until(ends, sent, None)))
    stopped = any(run.stopped for mine in runs.values() for run in mine)
    return Replay(
        name=plan.name,
        router=", ".join(dict.fromkeys(pool.router for pool in pools)),
        seeds=tuple(range(seed, seed + seeds)),
        sent=sent,
        stopped_early=stopped,
        shortened=shortened,
        pools=tuple(pool.report([r for r in runs[pool.workload] if r.sent]) for pool in pools),
        wishes=tuple(_judged(problem, wishes, pools, runs, calm)),
        reactive=tuple(pool.reactive for pool in pools if pool.reactive is not None),
    )


def _until(
    ends: float, before: int, progress: Callable[[int], None] | None
) -> Callable[[int], bool]:
    def go_on(sent: int) -> bool:
        if progress is not None:
            progress(before + sent)
        return time.monotonic() < ends

    return go_on


def _checked(how: ReplaySettings, requests: int, seeds: int, time_limit_s: float) -> ReplaySettings:
    if how.router is not None and how.router not in ROUTERS:
        message = f"{how.router!r} is not one of {', '.join(ROUTERS)}"
        raise argument_error(message, path="router")
    check_number("requests", requests, least=1, whole=True)
    check_number("seeds", seeds, least=1, most=MOST_SEEDS, whole=True)
    check_number("time_limit_s", time_limit_s, above=0)
    if how.ready_after_s is not None:
        check_number("ready_after_s", how.ready_after_s, least=0)
    if how.interruptions_per_day is not None:
        check_number("interruptions_per_day", how.interruptions_per_day, least=0)
    if how.burstiness is not None:
        check_number("burstiness", how.burstiness, least=0.1, most=10)
    check_number("output_cv", how.output_cv, least=0, most=10)
    return how


def _check_plan(plan: Plan, schedule: Schedule) -> None:
    if not plan.status.has_plan:
        raise argument_error("there is no fleet in this plan", path="plan")
    names = [block.name for block in schedule.blocks]
    if [block.name for block in plan.blocks] != names:
        said = f"its time blocks are not the problem's: {', '.join(names)}"
        raise argument_error(said, path="plan", hint="give the problem that it was solved from")
    for w in plan.workloads:
        demand = schedule.demands.get(w.name)
        if demand is None:
            raise argument_error(f"the problem has no workload {w.name!r}", path="plan")
        if demand.unit == "users":
            raise argument_error(
                f"{w.name}: users at once ask again when they are answered; a replay sends "
                "requests at given times",
                path="plan",
            )
        if demand.can_wait:
            message = f"{w.name}: batches come at once and are done by a deadline, not one by one"
            raise argument_error(message, path="plan")
        if demand.unit == "tokens/s":
            message = f"{w.name}: traffic without request sizes has no requests to send"
            raise argument_error(message, path="plan")


def _check_losses(plan: Plan, losses: Sequence[ReplayLoss]) -> None:
    for loss in losses:
        has = sorted({loss_name(p.candidate, loss.kind) for p in plan.purchases})
        if loss.name not in has:
            message = f"no {loss.kind} {loss.name!r} in the plan; it has {', '.join(has)}"
            raise argument_error(message, path="losses")


def _pools(
    plan: Plan,
    problem: Problem,
    schedule: Schedule,
    catalog: Catalog,
    losses: Sequence[ReplayLoss],
    how: ReplaySettings,
    requests: float,
) -> tuple[list[Pool], float]:
    """The pools, over hours that bring about so many requests, and which share of an hour comes.

    An hour is left long enough for replicas to start, and for several requests one after another.
    """
    model = ServingModel(catalog)
    clock = schedule.block_by_hour
    named = [(f"{h % 24:02d}:00", t) for h, t in enumerate(clock)] or [
        (block.name, t) for t, block in enumerate(schedule.blocks)
    ]
    an_hour = sum(demand.peak[t] for demand in schedule.demands.values() for _, t in named)
    share = requests / (an_hour * SECONDS_PER_HOUR)

    def over(seconds: float) -> list[Pool]:
        hours = [
            Stretch(name, i * seconds, (i + 1) * seconds, 0.0, t)
            for i, (name, t) in enumerate(named)
        ]
        part = seconds / SECONDS_PER_HOUR
        shorter = [replace(one, at_s=one.at_s * part, for_s=one.for_s * part) for one in losses]
        each = (
            pool_of(plan, problem, schedule, catalog, model, w.name, hours, shorter, how)
            for w in problem.workloads
        )
        return [pool for pool in each if pool is not None]

    whole = over(SECONDS_PER_HOUR)
    least_s = max(
        (
            max(LEAST_READY * pool.longest_restart_s, LEAST_SERVICES * pool.longest_service_s)
            for pool in whole
        ),
        default=0.0,
    )
    seconds = max(share * SECONDS_PER_HOUR, least_s)
    if clock:
        seconds = min(seconds, SECONDS_PER_HOUR)
    return over(seconds), seconds / SECONDS_PER_HOUR


def _read_trace(
    trace: str | Path, scale: float, most: int, autoscaler: ScalingRules | None
) -> Sent:
    """The first rows of a log. Raises InputError for what is wrong with it."""
    check_number("trace_scale", scale, above=0)
    if autoscaler is not None:
        message = "an autoscaler follows the hours of a profile; leave out the trace"
        raise argument_error(message, path="autoscaler")
    found = recorded(read_requests(path_of("trace", trace)), scale=scale, most=most)
    if len(found) < LEAST_ROWS or found.arrivals_s[-1] <= 0:
        message = f"a replay needs {LEAST_ROWS} requests that do not all come at once"
        raise argument_error(message, path="trace")
    return found


def _on_trace(
    plan: Plan,
    problem: Problem,
    schedule: Schedule,
    catalog: Catalog,
    losses: Sequence[ReplayLoss],
    how: ReplaySettings,
    log: Sent,
) -> list[Pool]:
    """The one workload of the plan in its busiest block, with the requests of a log."""
    if len(problem.workloads) > 1:
        message = "a log is of one workload, and the problem has several"
        raise argument_error(message, path="trace")
    (w,) = problem.workloads
    busiest = schedule.demands[w.name].busiest
    stretch = Stretch("trace", 0.0, float(log.arrivals_s[-1]), 0.0, busiest)
    model = ServingModel(catalog)
    pool = pool_of(plan, problem, schedule, catalog, model, w.name, [stretch], losses, how)
    return [] if pool is None else [on_trace(pool, log)]


def _judged(
    problem: Problem,
    asked: Sequence[ReplayWish],
    pools: Sequence[Pool],
    runs: Mapping[str, Sequence[PoolRun]],
    calm: Mapping[str, Sequence[PoolRun]],
) -> Iterator[WishReplayed]:
    """The problem's own wishes, and those asked for."""
    for pool in pools:
        latency = problem.workload(pool.workload).latency
        mine = [ReplayWish(w.metric, w.wished_s, w.share) for w in latency.wishes]
        mine += [wish for wish in asked if wish.workload in ("", pool.workload)]
        for number, wish in enumerate(mine):
            of_a_plan = number < len(latency.wishes) and wish.metric == "tpot" and not wish.share
            slowed = pool.slowed if of_a_plan else 1.0
            reached_s, missed, half = _fared(wish, runs[pool.workload], slowed)
            undisturbed = None
            if pool.workload in calm:
                calm_s, calm_missed, _ = _fared(wish, calm[pool.workload], slowed)
                undisturbed = Undisturbed(calm_s, calm_missed)
            only_waits = wish.metric == "ttft" and not pool.knows_first_tokens
            fared = reached_s, missed, half, undisturbed
            yield WishReplayed(wish, pool.workload, *fared, only_waits=only_waits, slowed=slowed)


def _fared(
    wish: ReplayWish, runs: Sequence[PoolRun], slowed: float
) -> tuple[float | None, float, float]:
    """What a wish's percentile or mean came to, the share that missed it, and half its interval.

    slowed: replayed ÷ expected speed; times are taken back to the expected speed by it.
    """
    some = [run for run in runs if run.sent]
    values = [run.counted(wish.metric) for run in some]
    of_mean = wish.share is None
    reached = mean_metric(some, wish.metric) if of_mean else percentile_of(values, wish.share or 0)
    reached_s = None if reached.value_s is None else reached.value_s * slowed
    return (reached_s, *missed_share(values, wish.wished_s / slowed))
