"""What other traffic would cost and smaller budgets would serve, in rows and words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from milp_planner.plans.sheet.other_parts import CheapestWay, TrafficPoint
from milp_planner.plans.sheet.records import Sheet
from milp_planner.reporting.sheets.words import decimals_of
from milp_planner.reporting.text.wording import (
    escape,
    fine_percent,
    money,
    money_decimals,
    usd,
)

TRAFFIC = "What other traffic would cost"
WAYS = "The cheapest way to pay, by multiples of the traffic"
BUDGETS = "What other budgets would serve of the peak"
NONE = "-"


def traffic_head(sheet: Sheet) -> list[str]:
    """Names of the columns of `traffic_rows`."""
    curve = sheet.traffic
    apart = ["fleet alone"] if curve is not None and _is_mixed(curve.points) else []
    return ["traffic", "$/month", *apart, "per token alone", "what it buys"]


def traffic_rows(sheet: Sheet) -> list[list[str]]:
    """Multiple, the plan's cost, a fleet's alone where that is another, an API's alone, fleet."""
    if sheet.traffic is None:
        return []
    points = sheet.traffic.points
    is_mixed = _is_mixed(points)
    decimals = max(decimals_of(sheet), money_decimals(p.cash_usd_per_month or 0.0 for p in points))
    return [
        [
            f"{p.factor:g}x",
            _amount(p.cash_usd_per_month, decimals),
            *([_amount(p.fleet_usd_per_month, decimals)] if is_mixed else []),
            _amount(p.per_token_usd_per_month, decimals),
            escape(p.fleet) or "no plan",
        ]
        for p in points
    ]


def _is_mixed(points: Sequence[TrafficPoint]) -> bool:
    """Whether a fleet alone costs other than the plan anywhere."""
    return any(p.fleet_usd_per_month != p.cash_usd_per_month for p in points)


def _amount(amount: float | None, decimals: int) -> str:
    return NONE if amount is None else money(amount, decimals)


def break_even_words(sheet: Sheet) -> str:
    """`A fleet alone costs no more than per token alone from 2.1x on: $7,920 per month.`"""
    curve = sheet.traffic
    if curve is None:
        return ""
    if curve.break_even_factor is not None:
        at = usd(curve.break_even_usd_per_month or 0.0)
        factor = f"{curve.break_even_factor:.3g}x"
        return f"A fleet alone costs no more than per token alone from {factor} on: {at} per month."
    if all(p.per_token_usd_per_month is None for p in curve.points):
        return "Per token alone cannot serve it."
    if all(p.fleet_usd_per_month is None for p in curve.points):
        return "A fleet alone cannot serve it."
    return _cheaper_words(curve.points, curve.looked_from_factor, curve.looked_to_factor)


def _cheaper_words(points: Sequence[TrafficPoint], low: float, high: float) -> str:
    """Which of both costs less, where they do not break even."""
    both = [
        (p.factor, p.fleet_usd_per_month > p.per_token_usd_per_month)
        for p in points
        if p.fleet_usd_per_month is not None and p.per_token_usd_per_month is not None
    ]
    dearer = [factor for factor, is_dearer in both if is_dearer]
    no_dearer = [factor for factor, is_dearer in both if not is_dearer]
    if dearer and no_dearer:
        return (
            f"A fleet alone costs no more at {_multiples(no_dearer)}, per token alone less at "
            f"{_multiples(dearer)}."
        )
    if not both:
        return "Nowhere can both a fleet alone and per token alone serve it."
    which = "Per token alone costs less" if dearer else "A fleet alone costs no more"
    span = f"from {low:.3g}x to {high:.3g}x"
    return f"{which} at every multiple looked at, {span}."


def _multiples(factors: Sequence[float]) -> str:
    return ", ".join(f"{factor:g}x" for factor in factors)


def crossover_words(sheet: Sheet) -> Iterator[str]:
    """`The cheapest way to pay: per token from 0.1x of the traffic ($26 a month), rented from 2x
    ...`, and what that takes; nothing where it was not asked."""
    found = sheet.crossovers
    if found is None:
        return
    if not found.stretches:
        yield f"{WAYS}: {found.why_none or 'time ended before it was known'}."
        return
    told = "; ".join(_stretch(one) for one in found.stretches)
    last = found.stretches[-1]
    yield f"{WAYS}: {told}, up to {last.to_factor:.3g}x{_at(last.to_usd_per_month)}."
    for way, needs in {one.way: one.needs for one in found.stretches if one.needs}.items():
        yield f"{way} takes {', '.join(needs)} in limits.billing.allow."
    if not found.complete:
        yield "Time ended before every stretch was known."


def _stretch(one: CheapestWay) -> str:
    said = f"{one.way or 'nothing serves it'} from {one.from_factor:.3g}x"
    return said + _at(one.from_usd_per_month) + ("" if one.proven else ", not proven")


def _at(usd_per_month: float | None) -> str:
    return "" if usd_per_month is None else f" ({usd(usd_per_month)} per month)"


def budget_rows(sheet: Sheet) -> list[list[str]]:
    """Budget, the share of every workload's peak that it serves at least, fleet."""
    if sheet.budgets is None:
        return []
    decimals = decimals_of(sheet)
    return [
        [usd(s.usd_per_month, decimals), fine_percent(s.served_share), escape(s.fleet)]
        for s in sheet.budgets.steps
    ]


def budget_words(sheet: Sheet) -> str:
    """That there are other budgets between those told; '' where there are none."""
    budgets = sheet.budgets
    if budgets is None or budgets.complete:
        return ""
    return "Budgets between these may serve more than the one below them."
