"""How long a request may wait for its first token, and a token for the next; and what each of
many users at once must get.

Candidates whose replicas are slower never enter the program, so that there are no rows here.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial

from milp_planner.candidates.queues import idle_from_s, wishes_asked, words_of
from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.latency import SHARES, TimeWish
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.inputs.problem.traffic import ConcurrentUsers
from milp_planner.milp.program.language.loosening import SteppedLimit, Values
from milp_planner.milp.program.language.rule import Preselection
from milp_planner.plans.reasons import WaitKept
from milp_planner.plans.records import Plan

FEW_TOKENS_PER_S = 10.0
"""Speeds up to this are searched in tenths of a token/s, others in whole ones."""


class LatencyWishes(Preselection):
    """Replicas keep the workload's times per token and to the first token, and its users' speed
    and wait."""

    keys = frozenset(
        (
            *("workloads.latency.ttft", "workloads.latency.tpot"),
            *(f"workloads.latency.{m}.{p}" for m in ("ttft", "tpot") for p in SHARES),
            *("workloads.traffic.tokens_per_s", "workloads.traffic.longest_wait"),
        )
    )
    nearness = 3

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        for w in instance.problem.workloads:
            for wish in w.latency.wishes:
                # what holds the wait as well is loosened by the rule that does
                if wish.metric in ("ttft", "tpot") and wish not in w.latency.waits_within:
                    yield _slower(instance.problem, w, wish)
            if isinstance(w.traffic, ConcurrentUsers):
                path, wait_s = f"workloads.{w.name}.traffic", w.traffic.longest_wait_s
                yield _fewer_tokens(w, f"{path}.tokens_per_s", w.traffic.tokens_per_s)
                if wait_s is not None:
                    yield _longer_wait(w, f"{path}.longest_wait", wait_s, w.traffic.tokens_per_s)


def _slower(problem: Problem, w: Workload, wish: TimeWish) -> SteppedLimit:
    return of_wish(problem, w, wish, lambda plan: 0.0)


ALL_OF_IT: Mapping[str, object] = {"by": "target", "target": 1.0}


def of_wish(
    problem: Problem, w: Workload, wish: TimeWish, needed_s: Callable[[Plan], float]
) -> SteppedLimit:
    """A wish of `latency:` in steps that leave the percentiles beside it something to say.

    needed_s: what a plan without it reaches in queues   [s].
    """

    def reached_s(plan: Plan) -> float:
        mine = next(p for p in plan.workloads if p.name == w.name)
        of_replicas = {"tpot": mine.tpot_s, "ttft": mine.ttft_s}
        return max(needed_s(plan), of_replicas.get(wish.metric) or 0.0)

    path = f"workloads.{w.name}.latency.{wish.key}"
    judged = wish.percentile or wish.metric in ("wait", "request")
    found = later(w, path, wish.words if judged else wish.metric, wish.wished_s, reached_s)
    if wish.metric in ("wait", "request") and problem.policy.utilization.by == "queues":
        # without any wish there is no queue that could say how full it may be: all of it then,
        # with whatever wishes are left before the same router
        routing = problem.policy.routing or "shared"
        full = {"policy.utilization": ALL_OF_IT, "policy.routing": routing}
        found = replace(found, free={**found.free, **full})
    beside = [one for one in w.latency.wishes if one.metric == wish.metric]
    shorter = [one.wished_s for one in beside if (one.share or 0) < (wish.share or 0)]
    longer = [one.wished_s for one in beside if (one.share or 0) > (wish.share or 0)]
    step_s = time_step_ms(wish.wished_s) / 1000

    def between(steps: Values) -> Values:
        low, high = max(shorter, default=0.0), min(longer, default=math.inf)
        return [n for n in steps if low < n * step_s * (1 - 1e-9) and n * step_s < high]

    if len(beside) == 1:
        whole = f"workloads.{w.name}.latency.{wish.metric}"
        others = {key: value for key, value in found.free.items() if key != path}
        return replace(found, free={**others, whole: None})
    return replace(
        found,
        looser=lambda plan: between(found.looser(plan)),
        tighter=between(found.tighter),
    )


def _longer_wait(w: Workload, path: str, wish_s: float, tokens_per_s: float) -> SteppedLimit:
    """A wait beyond the first token and a whole request at the speed wished binds nothing."""
    longest_s = max(size.output_tokens for size in w.classes) / tokens_per_s if w.classes else 0.0

    def needed_s(plan: Plan) -> float:
        mine = next(p for p in plan.workloads if p.name == w.name)
        return (mine.ttft_s or 0.0) + longest_s

    return later(w, path, "longest wait", wish_s, needed_s)


def _fewer_tokens(w: Workload, path: str, wish: float) -> SteppedLimit:
    step = 0.1 if wish <= FEW_TOKENS_PER_S else 1.0
    first = math.ceil(wish / step - 1e-9) - 1

    def shown(steps: int) -> str:
        return f"{steps * step:.10g} tokens/s"

    return SteppedLimit(
        path,
        f"{wish:g} tokens/s",
        {path: step},
        workload=w.name,
        looser=lambda plan: range(first, 0, -1),
        tighter=range(math.floor(wish / step + 1e-9) + 1, math.ceil(2 * wish / step) + 1),
        patch=lambda steps: {path: round(steps * step, 1)},
        text=lambda steps: f"accept {shown(steps)} a user for {w.name}",
        shown=shown,
    )


ENDLESS_S = 3600.0
"""No longer time is looked at in place of a wish."""


def later(
    w: Workload, path: str, key: str, wish_s: float, needed_s: Callable[[Plan], float]
) -> SteppedLimit:
    """A time in steps, up to what a plan without the limit needs.

    path: its key. key: what it is called in words. needed_s: what a plan reaches without it   [s].
    """
    step_ms = time_step_ms(wish_s)
    first = math.floor(wish_s * 1000 / step_ms + 1e-9) + 1

    def looser(plan: Plan) -> Values:
        longest_s = min(needed_s(plan), max(ENDLESS_S, wish_s))  # full replicas have no end
        return range(first, math.ceil(longest_s * 1000 / step_ms - 1e-9) + 1)

    def shown(steps: int) -> str:
        return time_shown(steps * step_ms, digits=EXACT)

    return SteppedLimit(
        path,
        time_shown(wish_s * 1000, digits=EXACT),
        {path: None},
        workload=w.name,
        looser=looser,
        tighter=range(math.ceil(wish_s * 1000 / step_ms - 1e-9) - 1, 0, -1),
        patch=lambda steps: {path: f"{steps * step_ms:.10g}ms"},
        text=lambda steps: f"accept a {key} of {shown(steps)} for {w.name}",
        shown=shown,
    )


EXACT = 10
"""Digits of a time that is searched in steps: one rounded down could be one that costs more."""


def time_shown(ms: float, digits: int = 4) -> str:
    """`800 ms`, `2 s`."""
    return f"{ms:.{digits}g} ms" if ms < 1000 else f"{ms / 1000:.{digits}g} s"


def time_step_ms(seconds: float) -> float:
    """The step in which a time is searched, in ms: 0.1 below 10 ms, 1 below a second, else 10."""
    return 0.1 if seconds < 0.01 else 1.0 if seconds < 1 else 10.0


def unbound_wishes(instance: PlanningInput, w: Workload) -> Iterator[SteppedLimit]:
    """Those that nothing could miss, down to the time that all keep; and those that the best plan
    without them keeps, down to the time that it does."""
    if not w.latency.asks_queues or w.latency.judges_queues:
        return
    problem, demand = instance.problem, instance.schedule.demands[w.name]
    for wish, asked in wishes_asked(w, demand):
        if wish.metric != asked.metric:
            continue
        if w.latency.is_judged_after:
            yield of_wish(problem, w, wish, partial(_reached_s, w.name, words_of(wish, asked)))
            continue
        least_s = idle_from_s(problem, w, demand, instance.candidates.candidates, asked)
        if least_s is not None:
            yield of_wish(problem, w, wish, partial(_at_most_s, least_s))


def _at_most_s(least_s: float, plan: Plan) -> float:
    return least_s


def _reached_s(workload: str, what: str, plan: Plan) -> float:
    """What a plan says that the wish comes to   [s]."""
    kept = (one for one in plan.warnings if isinstance(one, WaitKept))
    mine = (one.reached_s for one in kept if (one.workload, one.what) == (workload, what))
    return max(mine, default=0.0)
