"""A review as text: one line for each assumption, what broke first."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.questions.deployments.review import Assumption, Review
from milp_planner.reporting.text.wording import escape, usd


def review_text(found: Review) -> str:
    """The whole review, ending in a line break."""
    return "".join(f"{line}\n" for line in _lines(found))


def _lines(found: Review) -> Iterator[str]:
    broken = len(found.broken)
    verdict = (
        "every assumption holds" if not broken else f"{broken} of {len(found.assumptions)} broke"
    )
    yield f"{escape(found.workload)}: {found.hours:,.4g} h of metrics, {verdict}"
    for one in sorted(found.assumptions, key=lambda one: not one.broke):
        yield f"  {'broke' if one.broke else 'holds'}  {_line(one)}"
    if found.together_usd_per_month is not None:
        over = f", on average over {found.futures} futures" if found.futures > 1 else ""
        yield f"  All that broke together: {_cost(found.together_usd_per_month)}{over}."
    elif broken:
        yield "  What it costs: give --problem FILE, each is solved for by itself and all together."
    if found.not_told:
        yield f"  Not in the metrics: {', '.join(found.not_told)}."


def _line(one: Assumption) -> str:
    by = f" ({one.distance:+.0%})" if one.planned else ""
    cost = "" if one.usd_per_month is None else f": {_cost(one.usd_per_month)}"
    return (
        f"{one.name}: planned {one.planned:.4g}, measured {one.measured:.4g} {one.unit}{by}{cost}"
    )


def _cost(usd_per_month: float) -> str:
    return f"{usd(abs(usd_per_month))} a month {'more' if usd_per_month >= 0 else 'less'}"
