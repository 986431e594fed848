"""Levers: what could be changed to pay less, each solved alone.

No lever is charged with the effect of another: every one changes the problem as it is. Those that
are no limits are in `diagnosis/levers.py`. To add one, yield it in `levers_of`.
"""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.errors import InputError
from milp_planner.inputs.problem.policies import allowed_billings, shares_units
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.milp.program.families import limits_of
from milp_planner.milp.program.language.loosening import CashLimit, NameLimit, percent
from milp_planner.milp.program.shared_scope import may_share
from milp_planner.plans.records import Plan
from milp_planner.plans.sheet.other_parts import SheetLever
from milp_planner.questions.choices.records import Choice, ChoiceVerdict
from milp_planner.questions.choices.usual import RESERVED, Asking
from milp_planner.questions.diagnosis.levers import Lever, smaller_caches, switched_off
from milp_planner.questions.sheet.of_plan import bought
from milp_planner.solving.re_solve import score_of, served_share

LOOSER = 2
"""How many times as long a latency wish is loosened to."""

MORE_UTILIZATION = 0.10
MOST_UTILIZATION = 0.95
MOST_WORKLOADS = 3
"""Workloads whose own settings are tried: those that most is spent on."""

OWN_PATHS = ("policy.utilization", "limits.billing.allow")
"""Limits in force that levers of other names loosen."""

NONE = "none"
"""The value of a key that is taken out."""

LEAST_USD = 0.01


def solved_levers(asking: Asking) -> tuple[SheetLever, ...]:
    """What each lever saves, the largest saving first.

    None is tried where the budget leaves requests unserved: there they would serve more instead of
    costing less.
    """
    if served_share(asking.plan) < 1 and asking.problem.policy.active_penalties.shortfall is None:
        return ()
    found = filter(None, (_solved(asking, lever) for lever in levers_of(asking)))
    return tuple(sorted(found, key=lambda one: -(one.saves_usd_per_month or 0.0)))


def levers_of(asking: Asking) -> Iterator[Lever]:
    """Every lever that the problem has, quick ones first."""
    yield from _billings(asking)
    yield from _policy(asking.problem, asking.plan)
    yield from _limits(asking)
    dearest = _dearest(asking.problem, asking.plan)
    for w in dearest:
        yield from _latency(w)
    yield from smaller_caches(asking.problem, dearest)


def _dearest(problem: Problem, plan: Plan) -> list[Workload]:
    spent = {
        w.name: sum(p.cash_usd_per_month for p in plan.purchases_of(w.name))
        for w in problem.workloads
    }
    return sorted(problem.workloads, key=lambda w: -spent[w.name])[:MOST_WORKLOADS]


def _billings(asking: Asking) -> Iterator[Lever]:
    allowed = allowed_billings(asking.problem)
    ways = (
        ("spot", "allow spot", asking.sells("spot")),
        ("reservations", "reserve", asking.sells(*RESERVED)),
        ("api", "allow per token", asking.sells("per_token")),
    )
    for key, name, billings in ways:
        missing = [b for b in billings if b not in allowed]
        if missing:
            path, value = "limits.billing.allow", [*allowed, *missing]
            yield Lever(key, name, path, _written(value), {path: value})


def _policy(problem: Problem, plan: Plan) -> Iterator[Lever]:
    policy = problem.policy
    yield from switched_off(problem, len(plan.blocks))
    boxes = any(p.candidate.gpus_per_unit > 1 for p in plan.purchases)
    apart = not shares_units(problem) and not may_share(problem)
    if apart and boxes and len(problem.workloads) > 1:
        name = "let workloads share units"
        yield Lever("shared_units", name, "policy.share", "units", {"policy.share": "units"})
    if policy.utilization.by == "queues":
        return
    if all(w.latency.judges_queues for w in problem.workloads):
        path, value = "policy.utilization", {"by": "queues", "target": None, "ceiling": None}
        yield Lever("by_queues", "let queues decide", path, "{by: queues}", {path: value})
    now = policy.utilization.target
    more = round(min(now + MORE_UTILIZATION, MOST_UTILIZATION), 4)
    if more > now:
        path, ceiling = "policy.utilization.target", policy.utilization.ceiling
        highest = None if ceiling is None else max(ceiling, more)
        name = f"plan for a utilization of {percent(more)}"
        patch = {"policy.utilization": {"target": more, "ceiling": highest}}
        yield Lever("utilization", name, path, percent(more).replace(" ", ""), patch)


def _limits(asking: Asking) -> Iterator[Lever]:
    """Limits that the problem states, each left out; money and what other levers loosen aside."""
    wishes = tuple(f"workloads.{w.name}.latency.t" for w in asking.problem.workloads)
    for limit in limits_of(asking.resolver.instance):
        aside = limit.by_default or isinstance(limit, CashLimit)
        if not aside and not limit.path.startswith((*OWN_PATHS, *wishes)):
            loosest = limit.free.get(limit.path)
            name = f"leave out {limit.path} ({limit.said})"
            if isinstance(loosest, list) and isinstance(limit, NameLimit):
                name = limit.text(limit.ruled_out)
            key = f"without {limit.path}"
            yield Lever(key, name, limit.path, _written(loosest), limit.free)


def _written(value: object) -> str:
    """A value as it is written behind its key."""
    if value is None:
        return NONE
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list) else str(value)


def _latency(w: Workload) -> Iterator[Lever]:
    for what, wish_s in (("tpot", w.latency.tpot_s), ("ttft", w.latency.ttft_s)):
        if isinstance(wish_s, float) and w.rates is None:
            path, value = f"workloads.{w.name}.latency.{what}", f"{wish_s * LOOSER * 1000:.10g} ms"
            name = f"loosen {what} of {w.name} to {value}"
            patch = {path: value.replace(" ", "")}
            yield Lever(f"{what} of {w.name}", name, path, patch[path], patch)


def _solved(asking: Asking, lever: Lever) -> SheetLever | None:
    """What a lever saves; None where the problem does not take it, or nothing can serve then."""
    found = Choice(lever.key, lever.name, ChoiceVerdict.NOT_REACHED)
    if asking.resolver.seconds_left > 0:
        try:
            asked = asking.in_time(
                lambda all_of_it, choice: all_of_it.solved(
                    choice, lever.patch, "no fleet can do it"
                ),
                found,
            )
        except InputError:
            return None
        found = asked or found
    return None if found.verdict is ChoiceVerdict.INFEASIBLE else _told(asking.plan, lever, found)


def _told(plan: Plan, lever: Lever, found: Choice) -> SheetLever:
    with_it = found.plan
    saves = None if with_it is None else score_of(plan) - score_of(with_it)
    if saves is not None and saves < LEAST_USD:
        saves, with_it = 0.0, plan if found.is_proven else with_it
    score = score_of(plan)
    return SheetLever(
        key=lever.key,
        name=lever.name,
        path=lever.path,
        value=lever.value,
        verdict=found.verdict.value,
        saves_usd_per_month=saves,
        saves_share=saves / score if saves is not None and score > 0 else None,
        cash_usd_per_month=None if with_it is None else with_it.cash_usd_per_month,
        fleet=() if with_it is None else bought(with_it),
        proven=found.is_proven,
    )
