"""A problem's quotes as offerings of their own, beside those of the catalog that they are about."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from milp_planner.candidates.filters import is_meant
from milp_planner.inputs.catalog.records import Catalog, Offering
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.uncertain.quotes import OwnQuote
from milp_planner.today import day_today
from milp_planner.units import unit_price_shown

YOUR_QUOTE = "your quote"
"""The source of a price that the problem quotes."""

ON_DEMAND = ("dedicated", "autoscaling")
"""What a quote may be about, the first before the next where both are sold."""


def quoted(problem: Problem, catalog: Catalog) -> Iterator[Offering]:
    """What every quote offers, in the order of the quotes."""
    if not problem.quotes:
        return
    today = catalog.read_on or day_today()
    for number, quote in enumerate(problem.quotes, start=1):
        yield from (_as_quoted(row, quote, number, today) for row in rows_quoted(quote, catalog))


def rows_quoted(quote: OwnQuote, catalog: Catalog) -> tuple[Offering, ...]:
    """The rows of the catalog, one for each id, that a quote is about."""
    found: dict[str, Offering] = {}
    for billing in ON_DEMAND:
        for row in catalog.offerings:
            if row.billing == billing and is_meant("offerings", quote.offering, row):
                found.setdefault(row.id, row)
    return tuple(found[known] for known in sorted(found))


def _as_quoted(row: Offering, quote: OwnQuote, number: int, today: date) -> Offering:
    """The row under a name of its own, bound for the term; it answers to its old id as well."""
    listed = row.usd_per_hour
    price = listed * (1 - (quote.discount or 0.0))
    if quote.usd_per_gpu_hour is not None:
        price = quote.usd_per_gpu_hour * row.gpus_per_unit
    shown = unit_price_shown(listed)
    few = [most for most in (row.max_units, quote.units) if most is not None]
    update = {
        "name": f"{row.name}+quote{number}",
        "billing": "committed",
        "term_months": quote.term_months,
        "quote": number,
        "usd_per_hour": price,
        "list_usd_per_hour": listed,
        "max_units": min(few, default=None),
        "billed_by": None,
        "count_assumed": False,
        "other_ids": (row.id, *row.other_ids),
        "source": YOUR_QUOTE,
        "as_of": today,
        "note": f"{_said(quote, number)}; on demand {shown} per unit and hour by {row.source} of "
        f"{row.as_of}",
    }
    return row.model_copy(update=update)


def _said(quote: OwnQuote, number: int) -> str:
    """`your quote 1: 12 months, 25 % of it paid at once`."""
    months = f"{quote.term_months} month{'s' * (quote.term_months > 1)}"
    at_once = f", {100 * quote.upfront:.3g} % of it paid at once" if quote.upfront else ""
    return f"{YOUR_QUOTE} {number}: {months}{at_once}"
