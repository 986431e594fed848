"""The next-best plans as lines: what each costs more, what it changes, and what that trades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from milp_planner.plans.differences import combines, trade, what_changed
from milp_planner.plans.records import Plan, Status
from milp_planner.plans.sentences import alternatives_text
from milp_planner.reporting.text.plans.amounts import penalty_rows, shown_decimals
from milp_planner.reporting.text.wording import (
    columns,
    escape,
    escape_lines,
    fine_percent,
    percent,
    plural,
    signed_usd,
    usd,
)

FIRST_RANK = 2
MOST_PROVIDERS_NAMED = 4


def alternative_lines(plan: Plan) -> Iterator[str]:
    """The section of next-best plans; nothing where none were asked for."""
    others = plan.alternatives
    if others:
        yield "Next-best plans (never an earlier plan plus spare units)"
        penalized = any(penalty_rows(one) for one in (plan, *others))
        rows = [_row(plan, i, penalized) for i in range(len(others))]
        lines = columns(rows, ">>>>" + ">>>" * penalized + "<")
        for other, line, row in zip(others, lines, rows, strict=True):
            yield line
            yield " " * (len(line) - len(row[-1])) + _summary(plan, other)
    if plan.alternatives_notes:
        yield from (f"  {line}" for line in escape_lines(alternatives_text(plan)).split("\n"))


def _row(plan: Plan, i: int, penalized: bool) -> list[str]:
    """Rank, score and its difference; then the cash, where that is another amount; what changed."""
    other = plan.alternatives[i]
    decimals = shown_decimals(plan)
    amounts = _amounts(plan.score_usd_per_month, other.score_usd_per_month, decimals)
    if penalized:
        paid = _amounts(plan.cash_usd_per_month, other.cash_usd_per_month, decimals)
        amounts = [f"score {amounts[0]}", *amounts[1:], f"cash {paid[0]}", *paid[1:]]
    return [str(i + FIRST_RANK), *amounts, escape(_what(plan, i))]


def _what(plan: Plan, i: int) -> str:
    """What changed; where two earlier plans say it all, their ranks."""
    both = combines(plan, plan.alternatives[i], plan.alternatives[:i])
    if both:
        return f"{' and '.join(str(j + FIRST_RANK) for j in both)} together"
    return what_changed(plan, plan.alternatives[i])


def _amounts(before: float | None, after: float | None, decimals: int) -> list[str]:
    """`$6,890`, `+$64`, `+0.95 %`."""
    assert before is not None, "an alternative is compared with a plan"
    assert after is not None, "an alternative is a plan"
    extra = round(after, decimals) - round(before, decimals)  # what a reader would subtract
    share = (after - before) / before if before > 0 else 0.0
    relative = f"{'-' if share < 0 else '+'}{fine_percent(share)}" if before > 0 else ""
    return [usd(after, decimals), signed_usd(extra, decimals), relative]


def _summary(plan: Plan, other: Plan) -> str:
    """`1 GPU at verda, medium band (69 %): $66 dearer, 1 provider fewer`."""
    fleet = f"{plural(other.gpus, 'GPU')} at {_listed(other.providers)}"
    traded = escape(trade(plan, other, shown_decimals(plan)))
    return f"{fleet}, {_bands(other)}: {traded}{_unproven(other)}"


def _listed(names: Sequence[str]) -> str:
    said = [escape(name) for name in names[:MOST_PROVIDERS_NAMED]]
    more = len(names) - len(said)
    return ", ".join([*said, f"{more} more"] if more else said)


def _bands(other: Plan) -> str:
    """`medium band (69 %)`; of several workloads `medium band but for code: low`."""
    if len(other.workloads) == 1:
        [only] = other.workloads
        used = "" if only.utilization is None else f" ({percent(only.utilization)})"
        return f"{only.band} band{used}"
    commonest = Counter(w.band for w in other.workloads).most_common(1)[0][0]
    rest = [f"{escape(w.name)}: {w.band}" for w in other.workloads if w.band != commonest]
    return f"{commonest} band" + (f" but for {', '.join(rest)}" if rest else "")


def _unproven(other: Plan) -> str:
    if other.status is Status.OPTIMAL:
        return ""
    if other.gap is None:
        return "; not proven to be the next-best"
    return f"; not proven: the next-best may score up to {fine_percent(other.gap)} less"
