"""Writes a program as an MPS file, the text that PuLP writes, and stops when time is up.

PuLP's own writer takes seconds for a hundred thousand rows, and nothing can interrupt it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pulp

from milp_planner.deadline import check, checked

COSTS = "OBJ"
SENSES = {pulp.LpConstraintLE: "L", pulp.LpConstraintEQ: "E", pulp.LpConstraintGE: "G"}
INTEGERS_BEGIN = "    MARK      'MARKER'                 'INTORG'\n"
INTEGERS_END = "    MARK      'MARKER'                 'INTEND'\n"


def write_mps(lp: pulp.LpProblem, row_names: Sequence[str], path: Path) -> None:
    """Write `lp`, which minimises over columns that are at least 0, with its rows in this order.

    Raises OutOfTime when time is up, with part of the file written.
    """
    with path.open("w", encoding="ascii") as file:
        for line in _lines(lp, row_names):
            file.write(line)


def _lines(lp: pulp.LpProblem, row_names: Sequence[str]) -> Iterator[str]:
    rows = [(name, lp.get_constraint_by_name(name)) for name in row_names]
    check()
    columns = lp.variables()
    yield f"*SENSE:Minimize\nNAME          {lp.name}\nROWS\n N  {COSTS}\n"
    for name, row in rows:
        yield f" {SENSES[row.sense]}  {name}\n"
    yield "COLUMNS\n"
    entries: dict[str, list[str]] = {column.name: [] for column in columns}
    for name, row in checked(rows):
        for column, coefficient in row.items():
            entries[column.name].append(_entry(column.name, name, coefficient))
    for column in checked(columns):
        yield from _column_lines(column, entries[column.name], lp.objective.get(column))
    yield "RHS\n"
    for name, row in rows:
        yield _entry("RHS", name, -row.constant if row.constant != 0 else 0)
    yield "BOUNDS\n"
    for column in checked(columns):
        yield from _bound_lines(column)
    yield "ENDATA\n"


def _entry(column: str, row: str, number: float) -> str:
    return f"    {column:<8}  {row:<8}  {number: .12e}\n"


def _column_lines(
    column: pulp.LpVariable, entries: Sequence[str], cost: float | None
) -> Iterator[str]:
    whole = column.cat == pulp.LpInteger
    if whole:
        yield INTEGERS_BEGIN
    yield from entries
    if cost is not None:
        yield _entry(column.name, COSTS, cost)
    if whole:
        yield INTEGERS_END


def _bound_lines(column: pulp.LpVariable) -> Iterator[str]:
    """Whole numbers without bounds are said to begin at 0: CBC would take them for 0 or 1."""
    low, high, whole = column.lowBound, column.upBound, column.cat == pulp.LpInteger
    if low == high:
        yield f" FX BND       {column.name:<8}  {low: .12e}\n"
    elif whole and high == 1:
        yield f" BV BND       {column.name:<8}\n"
    elif high is not None:
        yield f" UP BND       {column.name:<8}  {high: .12e}\n"
    elif whole:
        yield f" LO BND       {column.name:<8}  {low: .12e}\n"
