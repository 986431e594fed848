"""How small a sheet is printed, so that all of it stands on one page.

A browser fits no page by itself. So the lines that each part takes are counted, from the lengths of
its texts and the characters that its columns hold, at one size after another, until they fit. The
figures were read off Chromium, with a margin for other fonts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

from milp_planner.reporting.html.asked import NoPlan
from milp_planner.reporting.html.cells import Row
from milp_planner.reporting.html.contents import Contents

PAGE_PX = 1020.0
"""Of an A4 page's 1,054 between its margins."""

LINE_PX, ROW_PX, HEAD_PX = 14.5, 3.5, 36.0
"""A line of text; what each row of a table has besides; a heading with that of its table."""

CHART_PX = 150.0
SIZES = tuple(size / 100 for size in range(100, 43, -2))
DENSE_BELOW = 0.75
"""Under this size long fleets are cut at one line, and of measurements only the first is kept."""


def print_size(it: Contents) -> float:
    """The largest size at which everything is on one page; the smallest where nothing is."""
    fits = (size for size in SIZES if size * sum(_heights(it, size)) <= PAGE_PX)
    return next(fits, SIZES[-1])


def _heights(it: Contents, size: float) -> Iterator[float]:
    """Pixels at full size of each part of the page, `size` times as small."""
    dense = size < DENSE_BELOW
    yield 150.0 + LINE_PX * _lines([" ".join(it.sentences), *it.asked], 125 / size)
    if not it.has_plan:
        yield from _heights_of_no_plan(it.no_plan, size)
        return
    yield _table(it.purchases, {1: 26, 3: 48}, size, dense) + ROW_PX + LINE_PX
    yield _table(it.served, {0: 18, 1: 18}, size, dense)
    for rows in (it.choices, it.choices_to_allow):
        yield _table(rows, {0: 24, 4: 52}, size, dense) if rows else 0.0
    yield _table(it.alternatives, {3: 100}, size, dense)
    yield _table(it.levers, {0: 24, 3: 45}, size, dense) if it.levers else 0.0
    yield LINE_PX * _lines(
        [*it.doubles, it.already, it.needs, *it.sheet.alternatives_notes], 130 / size
    )
    if it.crossovers:
        yield HEAD_PX + LINE_PX * _lines(it.crossovers, 130 / size)
    if it.staircase is not None or it.traffic is not None or it.hours is not None:
        keys = len(it.hours.lines) / 3 if it.hours is not None else 1.0
        yield HEAD_PX + CHART_PX / size + LINE_PX * math.ceil(keys)
    columns = (
        sum(ROW_PX + LINE_PX * _lines([row.cells[0]], 30 / size) for row in it.losses),
        sum(ROW_PX + LINE_PX * _lines([note], 42 / size) for note in it.notes),
        len(it.ages) * (ROW_PX + LINE_PX),
    )
    yield 2 * HEAD_PX + max(columns)
    asks = sum(ROW_PX + LINE_PX * _lines([one.question], 100 / size) for one in it.sheet.asks)
    yield HEAD_PX + (0.8 * asks if dense else asks)
    for one in it.sheet.measure[: 1 if dense else None]:
        commands = [one.serve_command, one.bench_command, one.calibrate_command]
        yield HEAD_PX + 12.0 * _lines(commands, 120 / size)
        yield 12.0 + LINE_PX * _lines([it.said_of(one)], 135 / size)
    yield 40.0


def _heights_of_no_plan(why: NoPlan, size: float) -> Iterator[float]:
    """Of the tables that stand there instead of a plan's, which are never cut."""
    for rows, columns in (
        (why.changes, {0: 26, 1: 32, 3: 32}),
        (why.together, {0: 60, 1: 60}),
        (why.conflict, {0: 50, 1: 70}),
        (why.misfits, {3: 60}),
    ):
        yield _table(rows, columns, size, dense=False) if rows else 0.0
    yield 60.0 + LINE_PX * _lines([*why.lines, why.left_open], 130 / size)


def _table(rows: Sequence[Row], columns: dict[int, int], size: float, dense: bool) -> float:
    """A table with its heading: the tallest cell of each row counts."""
    return HEAD_PX + sum(
        ROW_PX
        + LINE_PX
        * max(
            1 if dense and width > 30 else _lines([row.cells[at]], width / size)
            for at, width in columns.items()
        )
        for row in rows
    )


def _lines(texts: Iterable[str], width: float) -> int:
    return sum(max(1, math.ceil(len(text) / width)) for text in texts if text)
