"""The same program in other units: every row and the costs times a power of two.

What is right of one is right of the other, and no digit is lost; but an engine meets other numbers,
other pivots and other tolerances. Asked only for what is cheaper than a plan at hand, by a row of
its own, it takes another way as well: HiGHS 1.13 stops a step short on costs that are multiples of
one amount (4,027,941.41 where 4,026,781.37 is left), in any units, but finds the step when asked.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

COST_SIZE = 2.0**10
"""What the largest cost is brought near to."""

MOST_DOUBLINGS = 60


CUTOFF_ROW = "cheaper"


def write_rescaled(mps: Path, to: Path, *, below: float | None = None) -> float:
    """Write the program in `mps`, a file of PuLP's, in other units; the factor on its costs.

    A row is multiplied so that its smallest and its largest coefficient lie around 1. below: leave
    only what costs no more than this, in the units of `mps`.
    """
    factors, cost_row = _factors(mps)
    if below is not None:
        factors[CUTOFF_ROW] = factors.get(cost_row, 1.0) / COST_SIZE
    with mps.open(encoding="utf-8") as lines, to.open("w", encoding="utf-8") as written:
        for section, line in _sections(lines):
            words = line.split()
            if section in ("COLUMNS", "RHS") and len(words) == 3 and "'MARKER'" not in line:
                _, row, number = words
                scaled = float(number) * factors.get(row, 1.0)
                line = f"{line[: line.rindex(number)]}{scaled!r}\n"
                if below is not None and section == "COLUMNS" and row == cost_row:
                    cost = float(number) * factors[CUTOFF_ROW]
                    line += f"{line[: line.index(row)]}{CUTOFF_ROW}  {cost!r}\n"
            if below is not None and section == "" and words[:1] == ["COLUMNS"]:
                line = f" L  {CUTOFF_ROW}\n{line}"
            if below is not None and section == "" and words[:1] == ["RHS"]:
                line += f"    RHS       {CUTOFF_ROW}  {below * factors[CUTOFF_ROW]!r}\n"
            written.write(line)
    return factors.get(cost_row, 1.0)


def _factors(mps: Path) -> tuple[dict[str, float], str]:
    """The power of two for every row, and the name of the row of costs."""
    least: dict[str, float] = {}
    largest: dict[str, float] = {}
    cost_row = ""
    with mps.open(encoding="utf-8") as lines:
        for section, line in _sections(lines):
            words = line.split()
            if section == "ROWS" and words[0] == "N":
                cost_row = cost_row or words[1]
            if section != "COLUMNS" or len(words) != 3 or "'MARKER'" in line:
                continue
            row, size = words[1], abs(float(words[2]))
            if size:
                least[row] = min(size, least.get(row, math.inf))
                largest[row] = max(size, largest.get(row, 0.0))
    middles = {row: math.sqrt(least[row]) * math.sqrt(largest[row]) for row in largest}
    factors = {row: _power_of_two(1 / middle) for row, middle in middles.items() if row != cost_row}
    if cost_row in largest:
        factors[cost_row] = _power_of_two(COST_SIZE / largest[cost_row])
    return factors, cost_row


def _power_of_two(number: float) -> float:
    """The nearest power of two that is not 1, so that nothing keeps its old unit."""
    doublings = round(math.log2(number)) or 1
    return 2.0 ** max(-MOST_DOUBLINGS, min(MOST_DOUBLINGS, doublings))


def _sections(lines: Iterator[str]) -> Iterator[tuple[str, str]]:
    """Every line with the section that it stands in; '' for headings."""
    section = ""
    for line in lines:
        if not line.startswith((" ", "*")) and line.strip():
            section = line.split()[0]
            yield "", line
        else:
            yield section, line
