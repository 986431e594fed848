"""How the values of options are read: times, shares, money, dates, with the allowed range named."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date

import typer

MOST_ALTERNATIVES = 200
MOST_JOBS = 64

_BARE_NUMBER = re.compile(r"\s*[+-]?[\d_]*\.?\d+(?:[eE][+-]?\d+)?\s*", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


def read_duration_s(text: str) -> float:
    """`60s`, `2min` or bare seconds -> seconds above 0."""
    from milp_planner.units import parse_duration_s, parse_number

    seconds = _read(parse_number if _BARE_NUMBER.fullmatch(text) else parse_duration_s, text)
    if not 0 < seconds < float("inf"):
        raise typer.BadParameter(f"must be greater than 0s (is {text}); write '60s' or '2min'")
    return seconds


def read_days(text: str) -> float:
    """`60d` -> 60, in days; at least 0."""
    from milp_planner.units import SECONDS_PER_DAY, parse_duration_s

    if _BARE_NUMBER.fullmatch(text):
        raise typer.BadParameter(f"a time needs a unit: write '{text.strip()}d'")
    days = _read(parse_duration_s, text) / SECONDS_PER_DAY
    if not 0 <= days < float("inf"):
        raise typer.BadParameter(f"must be at least 0d (is {text})")
    return days


def read_gap(text: str) -> float:
    """`1%` or `0.01` -> 0.01, from 0 to 1."""
    from milp_planner.units import parse_share

    gap = _read(parse_share, text)
    if not 0 <= gap <= 1:
        raise typer.BadParameter(f"must be from 0 to 1, or 0% to 100% (is {text})")
    return gap


def read_share(text: str) -> float:
    """`5%` or `0.05` -> 0.05; at least 0, above 1 where more than all is meant."""
    from milp_planner.units import parse_share

    share = _read(parse_share, text)
    if not 0 <= share < float("inf"):
        raise typer.BadParameter(f"must be at least 0% (is {text})")
    return share


def read_alternatives(text: str) -> int:
    """`3` -> 3, from 0 to 100."""
    return _read_count(text, 0, MOST_ALTERNATIVES)


def read_jobs(text: str | int) -> int:
    """`3` -> 3, from 1 to 64; the default comes as a number."""
    return _read_count(str(text), 1, MOST_JOBS)


def _read_count(text: str, least: int, most: int) -> int:
    count = int(text) if re.fullmatch(r"\d{1,9}", text, re.ASCII) else -1
    if not least <= count <= most:
        raise typer.BadParameter(f"must be a whole number from {least} to {most} (is {text})")
    return count


def read_usd(text: str) -> float:
    """`20000` or `20k` -> dollars above 0."""
    from milp_planner.units import parse_number

    amount = _read(parse_number, text.removeprefix("$") or text)
    if not 0 < amount < float("inf"):
        raise typer.BadParameter(f"must be greater than 0 (is {text})")
    return amount


def read_date(text: str) -> date:
    """`2026-08-31` -> a date."""
    try:
        # Nothing else that Python would take: no 20260831, no 2026-W35.
        return date.fromisoformat(text if _DATE.fullmatch(text) else "")
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a date; write 2026-08-31") from None


def _read(parse: Callable[[str], float], text: str) -> float:
    try:
        return parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
