"""Next-best plans as lines: what differs by its sellers alone, or by a few dollars, is one line.

Plans come proven and in order; each joins the line of the first plan that it is like, or begins one
of its own. So the lines are in order, too, and the first is the plan itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from milp_planner.plans.differences import what_changed
from milp_planner.plans.records import Plan, Purchase, Status
from milp_planner.plans.sheet.other_parts import SameElsewhere, SheetAlternative
from milp_planner.questions.sheet.of_plan import bought
from milp_planner.solving.re_solve import cash_of, score_of

FEW_DOLLARS = 0.001
"""Share of the plan's score within which two plans may be one line, ..."""

FEW_CHANGES = 0.1
"""... where the types of GPU are the same, or this share of the money buys anything else."""


def lines_of(plan: Plan, others: Sequence[Plan]) -> list[list[Plan]]:
    """The plan and its next-best ones in groups, each in order; the first is the plan's own."""
    lines: list[list[Plan]] = [[plan]]
    for other in others:
        home = next((line for line in lines if is_like(line[0], other, score_of(plan))), None)
        if home is None:
            lines.append([other])
        else:
            home.append(other)
    return lines


EXTRA_CUTS = 4
"""Next-best plans looked for, for each line asked for: sellers of one fleet take most of them."""

EXTRA_S = 3.0
"""Seconds after which no further plan is looked for, once there are as many as lines."""


def enough_lines(count: int, clock: Callable[[], float] | None) -> Callable[[Sequence[Plan]], bool]:
    """True once plans make as many lines as asked for, or what may be spent on it is spent.

    clock: seconds; None where the clock must not decide.
    """
    began_s = 0.0 if clock is None else clock()

    def enough(found: Sequence[Plan]) -> bool:
        if len(lines_of(found[0], found[1:])) > count:
            return True
        late = clock is not None and clock() - began_s > EXTRA_S
        return late and len(found) > count

    return enough


def is_like(one: Plan, other: Plan, score_usd: float) -> bool:
    """True where two plans differ by their sellers alone, or by a few dollars."""
    if hardware(one) == hardware(other):
        return True
    near = abs(score_of(other) - score_of(one)) <= FEW_DOLLARS * score_usd
    return near and (_types(one) == _types(other) or _changed_share(one, other) <= FEW_CHANGES)


def _changed_share(one: Plan, other: Plan) -> float:
    """The share of the other plan's money that goes into what the one does not have as much of."""
    before, after = dict(hardware(one)), dict(hardware(other))
    changed = sum(p.cash_usd_per_month for p in other.purchases if _differs(p, before, after))
    return changed / cash_of(other) if cash_of(other) > 0 else 0.0


def _differs(p: Purchase, before: Mapping[Any, float], after: Mapping[Any, float]) -> bool:
    what = _what(p)
    return before.get(what) != after[what]


def hardware(plan: Plan) -> tuple[tuple[Any, float], ...]:
    """What runs, whoever sells it and in whatever boxes: GPU-hours by workload; API shares."""
    held: dict[tuple[Any, ...], float] = {}
    for p in plan.purchases:
        per_token = p.candidate.mode.per_token
        much = p.requests_share if per_token else p.unit_hours * p.candidate.gpus_per_unit
        held[_what(p)] = held.get(_what(p), 0.0) + much
    return tuple(sorted((what, round(much, 4)) for what, much in held.items()))


def _what(p: Purchase) -> tuple[Any, ...]:
    k = p.candidate
    return (k.workload, k.gpu, k.precision, k.tensor_parallel, k.mode.name)


def _types(plan: Plan) -> frozenset[tuple[str, str]]:
    return frozenset((p.candidate.workload, p.candidate.gpu) for p in plan.purchases)


def alternatives_of(plan: Plan, most_lines: int) -> tuple[SheetAlternative, ...]:
    """The lines of a plan's next-best ones, its own first."""
    lines = lines_of(plan, plan.alternatives)[: most_lines + 1]
    return tuple(_line(plan, rank, line) for rank, line in enumerate(lines, start=1))


def _line(plan: Plan, rank: int, line: Sequence[Plan]) -> SheetAlternative:
    first, *rest = line
    extra = score_of(first) - score_of(plan)
    return SheetAlternative(
        rank=rank,
        cash_usd_per_month=cash_of(first),
        score_usd_per_month=score_of(first),
        extra_usd_per_month=extra,
        extra_share=extra / score_of(plan) if score_of(plan) > 0 else None,
        proven=first.status is Status.OPTIMAL,
        gpus=first.gpus,
        providers=first.providers,
        fleet=bought(first),
        change="" if first is plan else what_changed(plan, first),
        elsewhere=tuple(_elsewhere(plan, line, one) for one in rest),
    )


def _elsewhere(plan: Plan, line: Sequence[Plan], one: Plan) -> SameElsewhere:
    known = line[0].providers
    new = tuple(name for name in one.providers if name not in known)
    if not new and len(one.providers) < len(known):
        new = one.providers
    return SameElsewhere(names=new, extra_usd_per_month=score_of(one) - score_of(plan))
