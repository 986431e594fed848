"""Blocks that `build_model` made, side by side in one program: the columns and rows of all of them.

What is made small over several futures is here as well: each future counts the costs of its blocks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import pulp

from milp_planner.lazily import dataclass, field
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import Key, binds
from milp_planner.milp.program.language.rows import GE
from milp_planner.milp.program.language.variables import Terms, add, expression, merged
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.mps_file import write_mps


@dataclass
class JoinedBlocks:
    """Several blocks as one program; which of them count together, whoever builds it says."""

    blocks: Sequence[FleetModel]
    measure: Measure
    lp: pulp.LpProblem
    columns_of: list[dict[str, pulp.LpVariable]] = field(default_factory=list)
    """By block: column of the joint program by the block's own name."""

    rows: list[str] = field(default_factory=list)
    _count: int = 0

    @property
    def columns(self) -> list[str]:
        """Names of the columns that rows or costs use."""
        return [variable.name for variable in self.lp.variables()]

    def values_of(self, block: int, values: Mapping[str, float]) -> dict[str, float]:
        """What a solver says of a block, by the block's own names."""
        return {
            own: values[column.name]
            for own, column in self.columns_of[block].items()
            if column.name in values
        }

    def lost_usd(self, values: Mapping[str, float]) -> list[float]:
        """By block, what the traffic would be worth that is not served, USD/month."""
        return [
            sum(usd * max(0.0, own.get(short.name, 0.0)) for short, usd in self.worth(b).items())
            for b in range(len(self.blocks))
            for own in [self.values_of(b, values)]
        ]

    def write_mps(self, path: Path) -> None:
        """Write the program for the solvers; raises OutOfTime when time is up before."""
        write_mps(self.lp, self.rows, path)

    # ---- how it is built

    def column(self, high: float | None, *, integer: bool) -> pulp.LpVariable:
        """A new column between 0 and `high`."""
        kind = pulp.LpInteger if integer else pulp.LpContinuous
        self._count += 1
        return self.lp.add_variable(f"x{self._count:06d}", 0, high, kind)

    def row(self, terms: Terms, sense: int, right: float) -> None:
        """A new row."""
        name = f"r{len(self.rows):06d}"
        self.lp.addConstraint(pulp.LpConstraint(expression(terms), sense, name, right), name)
        self.rows.append(name)

    def take_in(self, b: int) -> None:
        """The columns and rows of a block."""
        block = self.blocks[b]
        mine: dict[str, pulp.LpVariable] = {}
        for variable in block.lp.variables():
            column = self.column(variable.upBound, integer=variable.cat == pulp.LpInteger)
            column.lowBound = variable.lowBound
            mine[variable.name] = column
        self.columns_of.append(mine)
        for name in block.row_meaning:
            row = block.lp.get_constraint_by_name(name)
            self.row({mine[v.name]: c for v, c in row.items()}, row.sense, 0.0 - row.constant)

    def terms_in(self, block: int, terms: Terms) -> Terms:
        """A block's terms over the columns of the joint program."""
        mine = self.columns_of[block]
        total: Terms = {}
        for column, coefficient in terms.items():
            add(total, mine[column.name], coefficient)
        return total

    def costs_of(self, block: int) -> Terms:
        """All costs of a block."""
        return self.terms_in(block, merged(self.blocks[block].costs.values()))

    def bound_in(self, b: int) -> dict[Key, Terms]:
        """Units of each offering that binds, over the columns of the joint program."""
        mine: dict[Key, Terms] = {}
        for key, column, joined in bound_columns(self.blocks[b]):
            own = self.columns_of[b].get(column.name)
            if own is not None:
                add(mine.setdefault(key, {}), own, float(joined))
        return mine

    def counted(self, b: int) -> Terms:
        """What a block counts: its costs, and what its traffic that is not served is worth."""
        terms = self.costs_of(b)
        for short, usd in self.worth(b).items():
            add(terms, self.columns_of[b][short.name], usd)
        return terms

    def worth(self, b: int) -> Terms:
        """What the traffic is worth that a column of a block leaves unserved."""
        fleet = self.blocks[b].fleet
        return {
            short: usd * fleet.volume(w, q, t)
            for (w, q, t), short in fleet.shortfalls.items()
            if (usd := self.measure.usd_per_request(fleet.demand(w).classes[q]))
        }

    def mean(self, parts: Iterable[Terms]) -> Terms:
        """The average of what is there of each future."""
        total: Terms = {}
        for p, terms in zip(self.measure.probabilities, parts, strict=True):
            for column, coefficient in terms.items():
                add(total, column, p * coefficient)
        return total

    def minimised(self, counted: Sequence[Terms]) -> Terms:
        """The mean over the futures, and the risk as far as it counts, all but constants."""
        measure = self.measure
        weight = measure.weight
        total: Terms = {}
        if weight < 1:
            for column, usd in self.mean(counted).items():
                add(total, column, (1 - weight) * usd)
        if weight > 0:
            high = self.column(None, integer=False)
            add(total, high, weight)
            for f, terms in enumerate(counted):
                # ζ_f + η − Z_f ≥ constant − shift
                right = measure.constants[f] - measure.shift
                sides = {column: -usd for column, usd in terms.items()}
                sides[high] = 1.0
                if measure.tail is not None:
                    above = self.column(None, integer=False)
                    sides[above] = 1.0
                    add(total, above, weight * measure.probabilities[f] / measure.tail)
                self.row(sides, GE, right)
        return total


def bound_columns(block: FleetModel) -> Iterator[tuple[Key, pulp.LpVariable, int]]:
    """(offering, column, units of it that one of the column is) of all that binds, once each."""
    seen: set[str] = set()
    for k, _, column in block.fleet.rented():
        if binds(k) and column.name not in seen:  # what is held is one column in all blocks
            seen.add(column.name)
            yield k.offering.key, column, k.units_joined
