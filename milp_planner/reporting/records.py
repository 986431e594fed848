"""Any list of records as a plain table, and any record as `name: value` lines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from milp_planner.reporting.wording import columns, count, escape, number

Record = Mapping[str, Any]


def table_lines(records: Sequence[Record], indent: str = "  ") -> list[str]:
    """The records under their keys, numbers to the right; nothing when there are none."""
    if not records:
        return []
    names = list(records[0])
    rows = [[_heading(name) for name in names]]
    rows += [[cell(record[name]) for name in names] for record in records]
    numeric = [all(_is_number(record[name]) for record in records) for name in names]
    return columns(rows, "".join(">" if right else "<" for right in numeric), indent)


def record_lines(record: Record, indent: str = "  ") -> list[str]:
    """`name  value` for everything that is known."""
    known = [(name, value) for name, value in record.items() if value not in (None, "", ())]
    return columns([[_heading(name), cell(value)] for name, value in known], "<<", indent)


def cell(value: object) -> str:
    """One value as text: `-` where unknown, yes and no, counts with commas."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return count(value)
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value)
    return escape(value)


def _heading(name: str) -> str:
    return escape(name.replace("_", " ").replace("usd per ", "$/"))


def _is_number(value: object) -> bool:
    return value is None or (isinstance(value, int | float) and not isinstance(value, bool))
