"""The purchases as CSV, one row each, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from milp_planner.plans.document import PURCHASE_COLUMNS, purchase_dict
from milp_planner.plans.records import Plan
from milp_planner.reporting.documents.options import DEFAULTS, ReportOptions
from milp_planner.reporting.text.wording import escape

FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""What makes a spreadsheet run a cell instead of showing it; the last four are full-width."""


def plan_csv(plan: Plan, options: ReportOptions = DEFAULTS) -> str:
    """A header and one row per purchase; without a plan the header alone."""
    return to_csv(PURCHASE_COLUMNS, (purchase_dict(p) for p in plan.purchases))


def to_csv(header: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> str:
    """Rows as CSV: numbers as they are, texts made harmless."""
    names = list(header)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows([_cell(row[name]) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str):
        return value
    start = value.lstrip(" ")
    return f"'{escape(value)}" if start.startswith(FORMULA_STARTS) else escape(value)
