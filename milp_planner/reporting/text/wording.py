"""How figures and names are written for people: money, shares, rates, times, columns.

Names come from files, so none may steer a terminal: `escape` is the only way into a report.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest

LEFT_OPEN = "Left open by the time limit or the solvers"

CENTS_BELOW_USD = 100
"""Amounts smaller than this are shown with cents."""

_UNSAFE = re.compile(
    "[\x00-\x1f\x7f-\x9f"  # C0 and C1 controls: escape sequences, line breaks, tabs
    "\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff"  # invisible, or reorders the line
    "\ud800-\udfff]"  # half a character: no stream can encode it
)


def escape(text: object) -> str:
    """The text with everything that could steer a terminal made visible, on one line."""
    return _UNSAFE.sub(lambda found: _visible(found[0]), str(text))


def escape_lines(text: object) -> str:
    """As `escape`, line by line: for texts of ours that hold line breaks."""
    return "\n".join(escape(line) for line in str(text).split("\n"))


def _visible(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def money_decimals(amounts: Iterable[float]) -> int:
    """Decimals that a column of amounts needs: cents if the sum or any amount is small."""
    amounts = [abs(amount) for amount in amounts if amount]
    small = sum(amounts) < CENTS_BELOW_USD or any(amount < 1 for amount in amounts)
    return 2 if amounts and small else 0


def money(amount: float, decimals: int | None = None) -> str:
    """`6,826`, or `8.50` where cents matter."""
    if decimals is None:
        decimals = money_decimals([amount])
    return f"{_round(amount, decimals):,.{decimals}f}"


def usd(amount: float, decimals: int | None = None) -> str:
    """`$6,826`; a negative amount is `-$64`."""
    text = money(abs(amount), decimals)
    return f"-${text}" if amount < 0 and any(digit in text for digit in "123456789") else f"${text}"


def signed_usd(amount: float, decimals: int | None = None) -> str:
    """`+$64`, `-$64`."""
    text = usd(amount, decimals)
    return text if text.startswith("-") else f"+{text}"


def apportion(amounts: Sequence[float], decimals: int) -> list[float]:
    """The amounts rounded so that they sum to their rounded sum (largest remainder)."""
    scale = 10**decimals
    cut = [math.floor(amount * scale + 1e-9) for amount in amounts]
    missing = round(_round(sum(amounts), decimals) * scale) - sum(cut)  # the sum as `money` has it
    by_remainder = sorted(range(len(cut)), key=lambda i: cut[i] - amounts[i] * scale)
    for i in by_remainder[:missing]:
        cut[i] += 1
    return [whole / scale for whole in cut]


def usd_per_million(amount: float) -> str:
    """`$0.63`; below ten cents two significant digits, `$0.0041`."""
    if abs(amount) >= 0.1 or amount == 0:
        return f"${_round(amount, 2):,.2f}"
    return f"${amount:.{min(9, 1 - math.floor(math.log10(abs(amount))))}f}"


def prices(amounts: Sequence[float]) -> list[str]:
    """Prices with the decimals that the finest of them needs, from 2 up to 4."""
    decimals = max((_decimals(amount) for amount in amounts), default=2)
    return [f"{amount:,.{decimals}f}" for amount in amounts]


def _decimals(amount: float) -> int:
    return next((n for n in (2, 3) if math.isclose(round(amount, n), amount, abs_tol=5e-6)), 4)


def percent(share: float, decimals: int = 0) -> str:
    """`69 %`."""
    return f"{_round(share * 100, decimals):,.{decimals}f} %"


def fine_percent(share: float) -> str:
    """Two significant digits below 10 %: `1.2 %`, `0.03 %`, else `69 %`."""
    hundredths = abs(share) * 100
    if hundredths == 0 or hundredths >= 10:
        return percent(share)
    return percent(share, min(6, max(1, 1 - math.floor(math.log10(hundredths)))))


def number(value: float) -> str:
    """Three significant digits, no exponent: `5.79`, `0.0123`, `12,300`."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    value = float(f"{value:.3g}")  # 9.999 is 10.0, which has one decimal
    decimals = 2 - math.floor(math.log10(abs(value)))
    return f"{_round(value, decimals):,.{max(0, min(9, decimals))}f}"


def count(value: float) -> str:
    """`1,234`."""
    return f"{value:,.0f}"


def plural(how_many: int, thing: str) -> str:
    """`1 row`, `2 rows`."""
    return f"{how_many:,} {thing}{'' if how_many == 1 else 's'}"


def duration(seconds: float) -> str:
    """`50 ms`, `1.2 s`: three significant digits, without trailing zeros."""
    value, unit = (seconds, "s") if seconds >= 1 else (seconds * 1000, "ms")
    text = number(value)
    return f"{text.rstrip('0').rstrip('.') if '.' in text else text} {unit}"


def hours(value: float) -> str:
    """`513`, `2,015.7`: exact enough to be multiplied by a price."""
    return f"{_round(value, 1):,.1f}".removesuffix(".0")


def columns(rows: Sequence[Sequence[str]], align: str, indent: str = "  ") -> list[str]:
    """Rows as plain lines, two spaces between columns; `align` has `<` or `>` per column."""
    widths = [max(map(len, cells)) for cells in zip_longest(*rows, fillvalue="")]
    return [
        indent
        + "  ".join(
            f"{cell:{side}{width}}" for cell, side, width in zip(row, align, widths, strict=True)
        ).rstrip()
        for row in rows
    ]


def _round(value: float, decimals: int) -> float:
    """Rounded, and never -0."""
    return round(value, decimals) + 0.0
