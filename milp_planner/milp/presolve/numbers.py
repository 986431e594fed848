"""A program as plain numbers, of which parts can be held and the rest solved, together or apart."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import pulp

from milp_planner.deadline import checked
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.program.model import FleetModel

SENSES = {pulp.LpConstraintLE: "L", pulp.LpConstraintEQ: "E", pulp.LpConstraintGE: "G"}


@dataclass(frozen=True)
class Column:
    """One column of a program."""

    low: float
    high: float
    whole: bool
    usd: float
    """What one of it adds to the objective."""


@dataclass(frozen=True)
class NumberRow:
    """Σ terms, `sense` (an MPS file's letter), `right`."""

    sense: str
    right: float
    terms: Mapping[str, float]


@dataclass(frozen=True)
class Numbers:
    """Columns and rows by name."""

    columns: Mapping[str, Column]
    rows: Mapping[str, NumberRow]

    @classmethod
    def of(cls, model: FleetModel) -> Numbers:
        """Those of a program; raises OutOfTime when time is up before."""
        usd = {column.name: cost for column, cost in model.lp.objective.items()}
        columns = {
            column.name: Column(
                column.lowBound or 0.0,
                math.inf if column.upBound is None else column.upBound,
                column.cat == pulp.LpInteger,
                usd.get(column.name, 0.0),
            )
            for column in model.lp.variables()
        }
        rows = {}
        for name in checked(model.row_meaning):
            row = model.lp.get_constraint_by_name(name)
            terms = {column.name: coefficient for column, coefficient in row.items()}
            rows[name] = NumberRow(SENSES[row.sense], -row.constant, terms)
        return cls(columns, rows)

    def holding(self, values: Mapping[str, float]) -> Numbers:
        """The program of the other columns, once these have their values."""
        rows = {}
        for name, row in self.rows.items():
            held = sum(c * values[column] for column, c in row.terms.items() if column in values)
            terms = {column: c for column, c in row.terms.items() if column not in values}
            if terms:
                rows[name] = NumberRow(row.sense, row.right - held, terms)
        return Numbers({n: one for n, one in self.columns.items() if n not in values}, rows)

    def in_parts(self, names: Collection[str]) -> Numbers:
        """The program with these columns free to be fractions."""
        columns = {
            name: replace(one, whole=False) if name in names else one
            for name, one in self.columns.items()
        }
        return Numbers(columns, self.rows)

    def apart(self) -> Iterator[Numbers]:
        """The programs of which no row links one to another; columns without a row go as one."""
        leader = {name: name for name in self.columns}

        def root(name: str) -> str:
            while leader[name] != name:
                leader[name] = leader[leader[name]]
                name = leader[name]
            return name

        for row in self.rows.values():
            first, *others = row.terms
            for other in others:
                leader[root(other)] = root(first)
        columns: dict[str, dict[str, Column]] = {}
        rows: dict[str, dict[str, NumberRow]] = {}
        in_rows = {name for row in self.rows.values() for name in row.terms}
        for name, column in self.columns.items():
            columns.setdefault(root(name) if name in in_rows else "", {})[name] = column
        for name, row in self.rows.items():
            rows.setdefault(root(next(iter(row.terms))), {})[name] = row
        for of, mine in columns.items():
            yield Numbers(mine, rows.get(of, {}))

    def usd(self, values: Mapping[str, float]) -> float:
        """What the objective is at these values of its columns."""
        return sum(one.usd * values.get(name, one.low) for name, one in self.columns.items())

    def write_mps(self, path: Path) -> None:
        """Write it for a solver."""
        path.write_text("".join(self._lines()), encoding="ascii")

    def _lines(self) -> Iterator[str]:
        yield "*SENSE:Minimize\nNAME          part\nROWS\n N  OBJ\n"
        entries: dict[str, list[str]] = {name: [] for name in self.columns}
        for name, row in self.rows.items():
            yield f" {row.sense}  {name}\n"
            for column, coefficient in row.terms.items():
                entries[column].append(_entry(column, name, coefficient))
        yield "COLUMNS\n"
        for name, one in self.columns.items():
            if one.whole:
                yield "    MARK      'MARKER'                 'INTORG'\n"
            yield from entries[name]
            yield _entry(name, "OBJ", one.usd)
            if one.whole:
                yield "    MARK      'MARKER'                 'INTEND'\n"
        yield "RHS\n"
        yield from (_entry("RHS", name, row.right) for name, row in self.rows.items())
        yield "BOUNDS\n"
        for name, one in self.columns.items():
            # as far right as in fixed columns, or CBC takes the first set's name for no name
            yield f" LO BND       {name}  {one.low:.12e}\n"
            if one.high < math.inf:
                yield f" UP BND       {name}  {one.high:.12e}\n"
        yield "ENDATA\n"


def _entry(column: str, row: str, number: float) -> str:
    return f" {column} {row} {number:.12e}\n"
