"""Figures in the documents of benchmark tools: numbers, times and days, or None where none is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

from milp_planner.units import MOST

MS_PER_S = 1e3
PER_SECOND = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}

JsonRow = tuple[str, dict[str, Any], bool, dict[str, str]]
"""(path in the document, values by column, whether draft tokens were used, what it names)."""


def as_object(value: Any) -> Mapping[str, Any]:
    """A mapping; an empty one where there is none."""
    return value if isinstance(value, dict) else {}


def number(value: Any) -> float | None:
    """A number above 0; None for anything else, as tools write null, 0 or "inf" for `none`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 < value < MOST and math.isfinite(value) else None


def ratio(value: Any, by: float | None) -> float | None:
    """The quotient of two numbers above 0."""
    found = number(value)
    return found / by if found and by else None


def times(value: float | None, by: float | None) -> float | None:
    """The product of two numbers."""
    return None if value is None or by is None else value * by


def day(value: Any) -> date | None:
    """`20260801-120000`, an ISO time, or seconds since 1970 -> the day; None for anything else."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC).date()
        text = str(value or "")
        if text[:8].isdigit():
            return datetime.strptime(text[:8], "%Y%m%d").date()
        return date.fromisoformat(text[:10])
    except (ValueError, OverflowError, OSError):
        return None


def text(*parts: Any) -> str:
    """The parts that there are, in words."""
    return " ".join(str(part) for part in parts if part)


def named(**names: Any) -> dict[str, str]:
    """What a document names: its texts, those that are empty left out."""
    return {key: value for key, value in names.items() if isinstance(value, str) and value}


def first_text(config: Any, key: str) -> str:
    """The first text of that key, alone or first in a list, wherever this version keeps it."""
    if isinstance(config, dict):
        own = config.get(key)
        own = own[0] if isinstance(own, list) and own else own
        if isinstance(own, str):
            return own
        return next(filter(None, (first_text(inner, key) for inner in config.values())), "")
    return ""
