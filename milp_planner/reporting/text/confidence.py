"""The range of a plan over the error of its estimates, as text."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.plans.records import Status
from milp_planner.questions.confidence import ConfidenceCase, ConfidenceRange
from milp_planner.questions.row_worth import RowWorth
from milp_planner.reporting.text.wording import (
    LEFT_OPEN,
    columns,
    escape,
    fine_percent,
    signed_usd,
    usd,
)

Row = list[str]


def range_lines(found: ConfidenceRange) -> Iterator[str]:
    """The three plans, whether the mix changes, and what is left open."""
    yield "Range over the error of the estimates, solved again"
    yield from columns([_cells(case, found.planned) for case in found.cases], "<>>><")
    if found.mix_changes is None:
        yield "  Whether the mix changes within the range is left open."
    elif found.mix_changes:
        yield "  The mix changes within the range."
    else:
        counts = "; only the counts do" if found.counts_change else ""
        yield f"  The mix does not change within the range{counts}."
    yield from _row_lines(found)
    if found.not_reached:
        yield f"  {LEFT_OPEN}: {escape('; '.join(found.not_reached))}."


def _row_lines(found: ConfidenceRange) -> Iterator[str]:
    """What the plan costs without each of the rows that most is spent on, dearest first."""
    if found.planned.cash_usd_per_month is None:
        return
    if not found.rows:
        yield "  No measured or published row is used: nothing to leave out."
    first = found.most_influential
    for worth in sorted(found.rows, key=lambda worth: worth is not first):
        yield f"  {row_worth_line(worth)}"


def row_worth_line(worth: RowWorth) -> str:
    """`Without row 2279 of measurements.csv (…) this plan costs $10,785 more.`"""
    open_ = worth.plan.status is Status.NO_PLAN
    return left_out_line(worth.name, worth.what, worth.dearer_usd_per_month, left_open=open_)


def left_out_line(
    name: str, what: str, dearer_usd: float | None, *, left_open: bool = False
) -> str:
    """The same of a row's name; dearer_usd: USD per month more without it, None: no plan, of which
    `left_open` says that time ended before one was found."""
    return f"Without {escape(name)} ({escape(what)}) {_dearer(dearer_usd, left_open)}."


def _dearer(more: float | None, left_open: bool) -> str:
    if more is None:
        return "no plan was found in time" if left_open else "there is no plan"
    if round(more) == 0:
        return "this plan costs the same"
    return f"this plan costs {usd(abs(more))} {'more' if more > 0 else 'less'}"


def _cells(case: ConfidenceCase, planned: ConfidenceCase) -> Row:
    label = f"{case.name} (planned)" if case is planned else case.name
    cash, own = case.cash_usd_per_month, planned.cash_usd_per_month
    if cash is None:
        unknown = case.status is Status.NO_PLAN
        return [label, "not reached" if unknown else "no plan", "", "", ""]
    if own is None or case is planned:
        return [label, usd(cash), "", "", _fleet(case)]
    share = f"{'+' if cash >= own else '-'}{fine_percent(abs(cash / own - 1))}" if own else ""
    return [label, usd(cash), signed_usd(cash - own), share, _fleet(case)]


def _fleet(case: ConfidenceCase) -> str:
    """`2 x runpod/h200/us`; per-token use without a count."""
    return " + ".join(
        escape(f"{units} x {offering}" if units else offering)
        for (_, offering, _, _, _), units in case.fleet
    )
