"""Two plans held against each other: what is bought otherwise, and what that does to the bill.

Either may come as a plan or as a sheet, fresh or read from its document: what both tell of a
purchase is enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milp_planner.errors import argument_error
from milp_planner.plans.records import Plan, Provenance
from milp_planner.plans.sheet.base import SheetPart
from milp_planner.plans.sheet.plan_parts import SourcesShown
from milp_planner.plans.sheet.records import Sheet

SAME_USD = 0.005
SAME_SHARE = 1e-4
TOLERANCE = 1e-9
"""Of a share: an increase of exactly the limit is none above it."""

Key = tuple[str, str, str]
"""Workload, offering and billing of a purchase."""


class ComparedPlan(SheetPart):
    """One side of a comparison."""

    name: str
    status: str
    cash_usd_per_month: float | None
    """None: there is no plan."""

    problem_sha256: str
    catalog: str
    """Name and version."""


class PurchaseChange(SheetPart):
    """One offering that a workload uses more, less, or at another price."""

    workload: str
    provider: str
    offering: str
    gpu: str
    """Empty where it is paid per token."""

    billing: str
    units_before: int
    units_after: int
    requests_share_before: float
    requests_share_after: float
    usd_per_month_before: float
    usd_per_month_after: float


class PlanDiff(SheetPart):
    """What becomes of the bill, and why: the largest changes of money first."""

    old: ComparedPlan
    new: ComparedPlan
    increase_usd_per_month: float | None
    """None where either side has no plan; less than 0 where it becomes cheaper."""

    increase_share: float | None
    """Of the old bill; None where that is unknown or nothing."""

    changes: tuple[PurchaseChange, ...]

    def increases_by_more_than(self, share: float) -> bool:
        """Whether the bill grows by more than a share of it; where that is unknown, it does."""
        if self.increase_usd_per_month is None:
            return True
        if self.increase_usd_per_month <= SAME_USD:
            return False
        return self.increase_share is None or self.increase_share > share + TOLERANCE

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain data, ready for JSON."""
        return self.model_dump(mode="json")


def plan_diff(old: Plan | Sheet, new: Plan | Sheet) -> PlanDiff:
    """What `new` buys otherwise than `old`, and what that does to the bill.

    old, new: plans or sheets, as `solve` and `decision_sheet` give them or read from documents.

    Returns a PlanDiff, in USD of cash per month, the largest changes of money first.

    Raises ArgumentError for anything else.

    >>> from milp_planner import load_problem, plan_diff, solve
    >>> old = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> new = old.changed({"limits.survive_loss_of": "provider"})
    >>> diff = plan_diff(solve(old), solve(new))
    >>> f"{diff.increase_usd_per_month:,.2f}"
    '1,360.80'
    """
    before, after = _side("old", old), _side("new", new)
    was, now = before.cash_usd_per_month, after.cash_usd_per_month
    increase = None if was is None or now is None else now - was
    rows = sorted(_changes(old, new), key=_largest_first)
    return PlanDiff(
        old=before,
        new=after,
        increase_usd_per_month=increase,
        increase_share=increase / was if increase is not None and was else None,
        changes=tuple(rows),
    )


def _largest_first(c: PurchaseChange) -> tuple[float, str, str, str]:
    money = abs(c.usd_per_month_after - c.usd_per_month_before)
    return -money, c.workload, c.offering, c.billing


def _side(name: str, plan: Plan | Sheet) -> ComparedPlan:
    if isinstance(plan, Sheet):
        origin: SourcesShown | Provenance = plan.sources
        status, cash = plan.answer.status, plan.answer.cash_usd_per_month
    elif isinstance(plan, Plan):
        origin = plan.provenance
        status, cash = plan.status.value, plan.cash_usd_per_month
    else:
        raise argument_error(f"expected a Plan or a Sheet, not {type(plan).__name__}", path=name)
    told = plan.futures  # then the plan is that of one of them
    return ComparedPlan(
        name=plan.name if told is None else f"{plan.name} in {told.leading}",
        status=status,
        cash_usd_per_month=cash,
        problem_sha256=origin.problem_sha256,
        catalog=f"{origin.catalog_name} {origin.catalog_version}",
    )


def _changes(old: Plan | Sheet, new: Plan | Sheet) -> Iterator[PurchaseChange]:
    before, after = _held(old), _held(new)
    for key in before.keys() | after.keys():
        was, now = before.get(key), after.get(key)
        known = now or was
        if known is None or (was is not None and now is not None and _is_same(was, now)):
            continue
        yield PurchaseChange(
            workload=known.workload,
            provider=known.provider,
            offering=known.offering,
            gpu=known.gpu,
            billing=known.billing,
            units_before=was.units_after if was else 0,
            units_after=now.units_after if now else 0,
            requests_share_before=was.requests_share_after if was else 0.0,
            requests_share_after=now.requests_share_after if now else 0.0,
            usd_per_month_before=was.usd_per_month_after if was else 0.0,
            usd_per_month_after=now.usd_per_month_after if now else 0.0,
        )


def _is_same(was: PurchaseChange, now: PurchaseChange) -> bool:
    per_token = not now.gpu
    share = abs(now.requests_share_after - was.requests_share_after)
    return (
        was.units_after == now.units_after
        and abs(now.usd_per_month_after - was.usd_per_month_after) <= SAME_USD
        and (not per_token or share <= SAME_SHARE)
    )


def _held(plan: Plan | Sheet) -> dict[Key, PurchaseChange]:
    """What is bought, as a change from nothing; replicas of several shapes on one offering add."""
    held: dict[Key, PurchaseChange] = {}
    for one in _bought(plan):
        key = one.workload, one.offering, one.billing
        held[key] = _sum(held[key], one) if key in held else one
    return held


def _sum(one: PurchaseChange, other: PurchaseChange) -> PurchaseChange:
    added = ("units_after", "requests_share_after", "usd_per_month_after")
    return one.model_copy(update={n: getattr(one, n) + getattr(other, n) for n in added})


def _bought(plan: Plan | Sheet) -> Iterator[PurchaseChange]:
    if isinstance(plan, Sheet):
        for s in plan.purchases:
            yield _from_nothing(
                (s.workload, s.provider, s.offering, s.gpu, s.billing),
                s.units,
                s.requests_share,
                s.cash_usd_per_month,
            )
        return
    for p in plan.purchases:
        k = p.candidate
        yield _from_nothing(
            (k.workload, k.provider, k.offering.id, k.gpu, k.mode.name),
            p.units,
            p.requests_share,
            p.cash_usd_per_month,
        )


def _from_nothing(
    what: tuple[str, str, str, str, str], units: int, share: float, usd: float
) -> PurchaseChange:
    workload, provider, offering, gpu, billing = what
    return PurchaseChange(
        workload=workload,
        provider=provider,
        offering=offering,
        gpu=gpu,
        billing=billing,
        units_before=0,
        units_after=units,
        requests_share_before=0.0,
        requests_share_after=share,
        usd_per_month_before=0.0,
        usd_per_month_after=usd,
    )
