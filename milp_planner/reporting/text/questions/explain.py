"""Explanations as text: why something is not in the plan, and what each limit costs."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.plans.records import Plan
from milp_planner.plans.sentences import reason_lines
from milp_planner.questions.reasons.explain import BestUse, NotReached, Verdict, WhyNot
from milp_planner.questions.reasons.limit_costs import LimitCost, LimitCosts
from milp_planner.reporting.text.wording import (
    LEFT_OPEN,
    columns,
    escape,
    fine_percent,
    number,
    percent,
    plural,
    prices,
    signed_usd,
    usd,
)
from milp_planner.solving.re_solve import cash_of, fleet_line, score_of

MOST_REFUSALS_SHOWN = 8
CENT = 0.01


def why_not_text(why: WhyNot) -> str:
    """The whole answer, the verdict first."""
    lines = [*VERDICTS[why.verdict](why), *_refusal_lines(why)]
    if why.not_reached:
        lines.append(f"{LEFT_OPEN}: {escape('; '.join(why.not_reached))}.")
    return "\n".join(lines) + "\n"


def _used(why: WhyNot) -> Iterator[str]:
    which = "the best plan found so far" if NotReached.THE_PLAN in why.not_reached else "the plan"
    yield f"{escape(why.subject)} is in {which}: {escape(fleet_line(why.plan))}."
    if why.without is not None and why.extra_usd is not None:
        fleet = escape(fleet_line(why.without))
        extra = signed_usd(why.extra_usd)
        yield f"Without it the plan costs {_money(why.without)} ({extra}): {fleet}."
    elif NotReached.WITHOUT_IT not in why.not_reached:
        yield "Without it there is no plan."
    if why.forced is not None:
        extra = signed_usd(score_of(why.forced) - score_of(why.plan))
        where = f"Serving {_of_workload(why)} the plan costs {_money(why.forced)} ({extra})"
        yield f"{where}: {escape(fleet_line(why.forced))}."
    yield from _no_such_share(why)


def _money(plan: Plan) -> str:
    """Cash, and the score where penalties make that another figure."""
    cash, score = cash_of(plan), score_of(plan)
    return usd(cash) if abs(score - cash) < CENT else f"{usd(cash)}, score {usd(score)}"


def _of_workload(why: WhyNot) -> str:
    """`all of chat`, `30 % of chat`."""
    share = "all" if why.share == 1 else fine_percent(why.share or 0.0)
    return f"{share} of {escape(why.forced_workload)}"


def _no_such_share(why: WhyNot) -> Iterator[str]:
    if (
        why.share is not None
        and not why.forced_workload
        and NotReached.SHARE not in why.not_reached
    ):
        share = "all" if why.share == 1 else fine_percent(why.share)
        yield f"No plan within the limits has it serve {share} of a workload."


def _turned_down(why: WhyNot) -> Iterator[str]:
    offerings = sum(refusal.offerings for refusal in why.refusals)
    yield f"{escape(why.subject)} is turned down: {plural(offerings, 'offering')}, none of use."


def _dearer(why: WhyNot) -> Iterator[str]:
    assert why.forced is not None
    assert why.extra_usd is not None
    score = why.plan.score_usd_per_month
    share = f" (+{fine_percent(why.extra_usd / score)})" if score else ""
    head = "feasible at the same price"
    if why.verdict is Verdict.DEARER:
        head = f"feasible but dearer, {signed_usd(why.extra_usd)} per month{share}"
    yield f"{escape(why.subject)} is not in the plan: {head}."
    serving = f" for {_of_workload(why)}" if why.forced_workload else ""
    both = [("the plan", why.plan), (f"with {why.subject}{serving}", why.forced)]
    several = any(abs(score_of(plan) - cash_of(plan)) >= CENT for _, plan in both)
    scores = [f"score {usd(score_of(plan))}" if several else "" for _, plan in both]
    rows = [
        [escape(name), usd(cash_of(plan)), "per month", score, escape(fleet_line(plan))]
        for (name, plan), score in zip(both, scores, strict=True)
    ]
    yield from columns([[c for c in row if c] for row in rows], "<><<<"[: 5 if several else 4])
    yield from _no_such_share(why)
    yield from _best_use(why.best_use)
    yield from _entry(why)


def _impossible(why: WhyNot) -> Iterator[str]:
    yield f"{escape(why.subject)} could serve, but no plan within the limits uses it."
    yield from _best_use(why.best_use)
    yield from _entry(why)


def _idle(why: WhyNot) -> Iterator[str]:
    yield f"{escape(why.subject)} would stand idle in any plan: even free it would save nothing."
    yield from _best_use(why.best_use)
    yield from _entry(why)


def _not_reached(why: WhyNot) -> Iterator[str]:
    which = "the best plan found so far" if NotReached.THE_PLAN in why.not_reached else "the plan"
    yield f"{escape(why.subject)} is not in {which}."
    yield from _best_use(why.best_use)


def _no_plan(why: WhyNot) -> Iterator[str]:
    yield "There is no plan to compare with."
    yield from (f"  {escape(reason)}" for reason in reason_lines(why.plan))


VERDICTS = {
    Verdict.USED: _used,
    Verdict.TURNED_DOWN: _turned_down,
    Verdict.DEARER: _dearer,
    Verdict.SAME_PRICE: _dearer,
    Verdict.IMPOSSIBLE: _impossible,
    Verdict.IDLE: _idle,
    Verdict.NO_PLAN: _no_plan,
    Verdict.NOT_REACHED: _not_reached,
}
"""How each verdict is said."""


def _best_use(use: BestUse | None) -> Iterator[str]:
    if use is None:
        return
    where = f"Best use: {escape(use.workload)} on {escape(use.offering)}, {escape(use.billing)}"
    where += f", serving {escape(use.llm)}" if use.llm else ""
    per = f"{usd(use.usd_per_request_per_second)} per month for 1 req/s of capacity"
    if use.requests_per_second is None or use.usd_per_month is None:
        yield f"{where}: {per}."
        return
    box = f", sold {use.gpus_per_unit} GPUs at a time" if use.gpus_per_unit > 1 else ""
    rate = number(use.requests_per_second)
    yield f"{where}{box}: {usd(use.usd_per_month)} per month for {rate} req/s, or {per}."


def _entry(why: WhyNot) -> Iterator[str]:
    price, traffic = why.entry_price, why.entry_traffic
    if price is not None:
        yield f"It enters {_threshold(why)}{'' if price.is_verified else '; not proven'}."
    elif why.forced is not None and NotReached.ENTRY_PRICE not in why.not_reached:
        yield "No lower price brings it in, tried down to a thousandth."
    if traffic is not None:
        direction = "grows" if traffic.factor > 1 else "falls"
        yield (
            f"It enters when traffic {direction} to {traffic.factor:.3g} times today's; "
            f"not yet at {traffic.not_at:.3g} times."
        )
    elif NotReached.ENTRY_TRAFFIC not in why.not_reached:
        yield "No other traffic brings it in, tried from 1/64 to 64 times today's."


def _threshold(why: WhyNot) -> str:
    price = why.entry_price
    assert price is not None
    if price.usd_per_gpu_hour is None or price.now_usd_per_gpu_hour is None:
        return f"below {percent(price.factor, 1)} of its price per token: {escape(price.offering)}"
    (below,), (now,) = prices([price.usd_per_gpu_hour]), prices([price.now_usd_per_gpu_hour])
    change = percent(price.factor - 1)
    where = escape(price.offering)
    return f"below ${below} per GPU-hour (now ${now}, {change}), first with {where}"


def _refusal_lines(why: WhyNot) -> Iterator[str]:
    if not why.refusals:
        return
    if why.verdict is not Verdict.TURNED_DOWN:
        offerings = sum(refusal.offerings for refusal in why.refusals)
        yield f"Of its offerings {offerings:,} are turned down:"
    several = len({refusal.workload for refusal in why.refusals}) > 1
    rows = [
        [f"{r.offerings:,}", escape(r.workload) if several else "", escape(r.reason)]
        for r in why.refusals[:MOST_REFUSALS_SHOWN]
    ]
    yield from columns(rows, "><<")
    more = len(why.refusals) - len(rows)
    if more > 0:
        yield f"  and for {plural(more, 'more reason')}"


# ---- limits


def limit_costs_text(costs: LimitCosts) -> str:
    """What each limit costs, the dearest first."""
    head = ["limit", "value", "costs per month", "", "without it"]
    lines = columns([head, *map(_cells, costs.rows)], "<<><<")
    if costs.growth_usd_per_month is not None:
        lines.append(f"10 % more traffic costs {_a_month(costs.growth_usd_per_month)}.")
    if costs.note:
        lines.append(f"Note: {escape(costs.note)}.")
    if costs.not_reached:
        lines.append(f"{LEFT_OPEN}: {escape(', '.join(costs.not_reached))}.")
    return "\n".join(lines) + "\n"


def _cells(row: LimitCost) -> list[str]:
    name = escape(row.path) + (" (default)" if row.by_default else "")
    value = escape(row.value)
    if row.usd_per_month is None:
        return [name, value, "not reached", "", ""]
    if not row.usd_per_month:
        until = "" if row.binds_from is None else f"until {escape(row.binds_from)}"
        return [name, value, "not binding", "", until]
    share = f"(+{fine_percent(row.share or 0.0)})"
    costs = LITTLE if row.usd_per_month < LITTLE_USD else signed_usd(row.usd_per_month)
    return [name, value, costs, share, _without(row)]


LITTLE, LITTLE_USD = "under $1", 0.5
"""What would be shown as +$0."""


def _a_month(extra_usd: float) -> str:
    if extra_usd <= SAME_USD:
        return "nothing: the fleet has room for it"
    shown = LITTLE if extra_usd < LITTLE_USD else signed_usd(extra_usd)
    return f"{shown} per month"


SAME_USD = 0.005
"""A difference of less is none."""


def _without(row: LimitCost) -> str:
    said = [escape(row.fleet_without)]
    if row.more is not None and row.more_saves_usd is not None:
        said.append(f"{row.more} more saves {usd(row.more_saves_usd)}")
    if row.by_switching_off_usd:
        said.append(f"{usd(row.by_switching_off_usd)} of it is switching off when idle")
    return "; ".join(said)
