"""What a row of the catalog costs under the problem's own terms, and whether that is too dear.

Terms act where candidates are listed, so that all that is asked of a problem sees them. A row that
bears its terms already, as one that a scenario has repriced does, is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from milp_planner.candidates.filters import is_meant
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Offering, TokenPrice
from milp_planner.inputs.problem.prices import OwnTerms
from milp_planner.inputs.problem.records import Limits
from milp_planner.today import day_today
from milp_planner.units import unit_price_shown, usd_shown

YOUR_PRICE = "your price"
"""The source of a price that the problem states."""

CAP_SLACK = 1 + 1e-9
"""A cap equal to a price lets it through, also where a share has been taken off."""

Row = Offering | TokenPrice


def under_terms(terms: OwnTerms, row: Row, today: date | None = None) -> Row:
    """The row as it is paid: at its own price, else less its discount, else as listed.

    today: the day that an own price is of; default: the clock's.
    """
    if not (terms.discounts or terms.own) or has_terms(row):
        return row
    if isinstance(row, Offering) and (own := closest_match(terms.own, row, own=True)):
        return _at_own_price(row, terms.own[own], today or day_today())
    pattern = closest_match(terms.discounts, row)
    return _discounted(row, terms.discounts[pattern]) if pattern else row


def has_terms(row: Row) -> bool:
    """Whether the row is at a price of the user's own already."""
    return bool(row.discount) or getattr(row, "list_usd_per_hour", None) is not None


def closest_match(patterns: Iterable[str], row: Row, *, own: bool = False) -> str:
    """The pattern that matches the row most exactly, '' where none does."""
    return max((p for p in patterns if matches(p, row, own=own)), key=exactness, default="")


def matches(pattern: str, row: Row, *, own: bool = False) -> bool:
    """Whether a pattern of `prices:` is about the row, under the billings that it is about."""
    name, billing = parts_of(pattern)
    if billing:
        of_billing = billing == row.billing
    elif own:
        of_billing = BILLING_MODES[row.billing].by_default and row.billing != "owned"
    else:
        of_billing = row.billing != "owned"
    return of_billing and is_meant("offerings", name, row)


def parts_of(pattern: str) -> tuple[str, str]:
    """`aws/* spot` -> (`aws/*`, `spot`); without a billing the second is ''."""
    name, _, billing = pattern.rpartition(" ")
    return (name, billing) if name and billing in BILLING_MODES else (pattern, "")


def exactness(pattern: str) -> tuple[int, bool]:
    """How exactly a pattern says what it is about: letters that stand for themselves, a billing."""
    name, billing = parts_of(pattern)
    return len(re.sub(r"\[.*?\]|[*?]", "", name)), bool(billing)


def _at_own_price(row: Offering, usd_per_gpu_hour: float, today: date) -> Offering:
    listed = unit_price_shown(row.usd_per_hour)
    note = f"{YOUR_PRICE}; listed at {listed} per unit and hour by {row.source} of {row.as_of}"
    update = {
        "usd_per_hour": usd_per_gpu_hour * row.gpus_per_unit,
        "list_usd_per_hour": row.usd_per_hour,
        "source": YOUR_PRICE,
        "as_of": today,
        "note": note,
        "count_assumed": False,
    }
    return row.model_copy(update=update)


def _discounted(row: Row, share: float) -> Row:
    left = 1 - share
    update: dict[str, float | None]
    said = f"less your discount of {100 * share:.4g} %"
    if isinstance(row, Offering):
        listed = f"listed at {unit_price_shown(row.usd_per_hour)} per unit and hour, {said}"
        price = row.usd_per_hour
        update = {"usd_per_hour": price * left, "list_usd_per_hour": price}
    else:
        each = (row.usd_per_m_input_tokens, row.usd_per_m_output_tokens)
        listed = f"listed at {'/'.join(map(unit_price_shown, each))} per 1M input/output tokens"
        listed += f", {said}"
        cached = row.usd_per_m_cached_tokens
        update = {
            "usd_per_m_input_tokens": row.usd_per_m_input_tokens * left,
            "usd_per_m_output_tokens": row.usd_per_m_output_tokens * left,
            "usd_per_m_cached_tokens": None if cached is None else cached * left,
        }
    note = "; ".join(filter(None, (listed, row.note)))
    return row.model_copy(update={**update, "discount": share, "note": note})


def too_dear(limits: Limits, row: Row) -> str:
    """Why a price cap rules the row out, or nothing; asked of rows under their terms."""
    cap = limits.price_cap(row.billing)
    if cap is None or not isinstance(row, Offering):
        return ""
    price = row.usd_per_gpu_hour
    if price <= cap * CAP_SLACK:
        return ""
    most = usd_shown(cap, 2)
    return f"{usd_shown(price, 2)} per GPU and hour is above limits.max_usd_per_gpu_hour ({most})"
