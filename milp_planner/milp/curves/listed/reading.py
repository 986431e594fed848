"""Reads a program as units of one workload that must cover several rows in every block.

    min Σ_k H c_k n_k + Σ_kt h_t c_k n_kt,      Σ_k A_ikt n_k + Σ_k A_ikt n_kt ≥ b_it   ∀ i, t

with A ≥ 0 and n whole: held units n_k are on in all blocks, elastic ones n_kt in one. Of several
classes the rows are those by prices (`program/routes/rows.py`), of a share that a group may serve,
or of what must be left after a loss, rows of the same form. Columns and rows themselves are read:
whatever else the program has makes it no such problem.

From one row follows one that is the same in all blocks: for v_k ≥ 0,

    Σ_k v_k (n_k + n_kt) ≥ R_t,        R_t = max_i b_it min_{A_ikt > 0} v_k ÷ A_ikt
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.program.language.rows import GE
from milp_planner.milp.program.model import FleetModel

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

MOST_CELLS = 4_000_000
"""Kinds of units times rows of a block twice: more are left to the solvers."""

SAME = 1e-9
"""Relative difference of two prices of an hour that were meant to be equal."""

DIGITS = 6
"""Of rows that are told from each other."""


@dataclass(frozen=True)
class Covering:
    """What the rows ask for, and what units cost."""

    held: tuple[str, ...]
    """Names of the columns of units that are on in all blocks."""

    elastic: tuple[tuple[str, ...], ...]
    """Of those that are on in one: by kind, the columns in each block."""

    held_usd: NDArray[float64]
    """(held,) USD/month."""

    elastic_usd: NDArray[float64]
    """(elastic,) USD/hour."""

    hours: NDArray[float64]
    """(blocks,) per month."""

    rows: tuple[NDArray[float64], ...]
    """For each block (rows, held + elastic): what a unit counts for, where 1 is asked for."""

    most: Mapping[str, float]
    """Units that a column may have."""


@dataclass(frozen=True)
class Surrogates:
    """Rows that are the same in all blocks, each by itself what every fleet keeps."""

    of_unit: NDArray[float64]
    """(rows, held + elastic): what a unit counts for; the most that a block asks for is 1."""

    asked: NDArray[float64]
    """(rows, blocks)."""

    def among(self, rows: NDArray[intp]) -> Surrogates:
        """Those of these numbers."""
        return Surrogates(self.of_unit[rows], self.asked[rows])

    def with_means(self, pairs: Iterable[tuple[int, int]]) -> Surrogates:
        """These and the means of pairs of them, which every fleet keeps as well."""
        import numpy as np

        one, other = np.array(list(pairs)).T
        of_unit = np.vstack([self.of_unit, (self.of_unit[one] + self.of_unit[other]) / 2])
        return _scaled(of_unit, np.vstack([self.asked, (self.asked[one] + self.asked[other]) / 2]))


def covering_of(model: FleetModel) -> Covering | None:
    """The units and rows of a program; None where it is anything else, or too large."""
    fleet = model.fleet
    if len(fleet.problem.workloads) != 1 or fleet.instance.current_units():
        return None
    if {column.name for column in fleet.units.values()} != set(fleet.meaning):
        return None
    kinds = _kinds(model)
    if not kinds:
        return None
    busy = fleet.busy(fleet.problem.workloads[0].name)
    held, elastic = _apart(kinds, len(busy))
    usd = {column.name: cost for column, cost in model.lp.objective.items()}
    if any(usd.get(column.name, 0.0) <= 0 for columns in kinds for column in columns.values()):
        return None
    return _covering(model, busy, held, elastic, usd)


def _kinds(model: FleetModel) -> list[Mapping[int, pulp.LpVariable]] | None:
    """The columns of each candidate by block; None where any is not whole, or must be on."""
    kinds: dict[tuple[Candidate, int], dict[int, pulp.LpVariable]] = {}
    for (k, level, t), column in model.fleet.units.items():
        if column.cat != pulp.LpInteger or column.lowBound:
            return None
        kinds.setdefault((k, level), {})[t] = column
    return list(kinds.values())


Columns = Mapping[int, pulp.LpVariable]


def _apart(kinds: list[Columns], blocks: int) -> tuple[list[Columns], list[Columns]]:
    """Those that are on in all blocks alike, and those that are chosen for each."""
    held = [kind for kind in kinds if len({column.name for column in kind.values()}) == 1]
    if blocks == 1:
        return kinds, []
    names = {id(kind) for kind in held}
    return held, [kind for kind in kinds if id(kind) not in names]


def _covering(
    model: FleetModel,
    busy: Sequence[int],
    held: list[Columns],
    elastic: list[Columns],
    usd: Mapping[str, float],
) -> Covering | None:
    import numpy as np

    hours = np.array([model.fleet.blocks[t].hours for t in busy], dtype=float)
    rates = []
    for kind in elastic:
        if set(kind) != set(busy):
            return None
        rate = [usd[kind[t].name] / h for t, h in zip(busy, hours, strict=True)]
        if not all(math.isclose(one, rate[0], rel_tol=SAME) for one in rate):
            return None
        rates.append(min(rate))
    names = [next(iter(kind.values())).name for kind in held]
    at: dict[str, tuple[int, int | None]] = {name: (i, None) for i, name in enumerate(names)}
    for j, kind in enumerate(elastic, len(held)):
        at |= {kind[t].name: (j, nth) for nth, t in enumerate(busy)}
    rows = _rows(model, at, len(held) + len(elastic), len(busy))
    if rows is None:
        return None
    return Covering(
        held=tuple(names),
        elastic=tuple(tuple(kind[t].name for t in busy) for kind in elastic),
        held_usd=np.array([usd[name] for name in names]),
        elastic_usd=np.array(rates),
        hours=hours,
        rows=rows,
        most=_most(model),
    )


def _most(model: FleetModel) -> Mapping[str, float]:
    """Units that each column may have."""
    return {
        column.name: math.inf if column.upBound is None else column.upBound
        for column in model.fleet.units.values()
    }


def _rows(
    model: FleetModel, at: Mapping[str, tuple[int, int | None]], kinds: int, blocks: int
) -> tuple[NDArray[float64], ...] | None:
    """The rows of each block, divided by what they ask for; None where any has another form.

    A row of held units alone is one of every block.
    """
    import numpy as np

    found: list[list[NDArray[float64]]] = [[] for _ in range(blocks)]
    for name in model.row_meaning:
        check()
        row = model.lp.get_constraint_by_name(name)
        asked = -row.constant
        if row.sense != GE:
            return None
        if asked <= 0:
            continue
        terms, where = np.zeros(kinds), set()
        for column, value in row.items():
            if column.name not in at or value < 0:
                return None
            kind, block = at[column.name]
            terms[kind] = value / asked
            where |= set() if block is None else {block}
        if len(where) > 1 or not terms.any():
            return None
        for block in where or range(blocks):
            found[block].append(terms)
    if any(not rows or kinds * len(rows) ** 2 > MOST_CELLS for rows in found):
        return None
    return tuple(np.unique(np.array(rows), axis=0) for rows in found)


def surrogates_of(covering: Covering) -> Surrogates:
    """Rows that follow in all blocks from those of the block that asks for most."""
    import numpy as np

    least = [float(rows.sum()) / len(rows) for rows in covering.rows]
    of_unit = covering.rows[int(np.argmin(least))]
    asked = np.array([asked_by(rows, of_unit) for rows in covering.rows]).T
    return _scaled(of_unit, asked)


def asked_by(rows: NDArray[float64], of_unit: NDArray[float64]) -> NDArray[float64]:
    """What follows from a block's rows for each of some others. of_unit: (others, kinds)."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = of_unit[:, None, :] / rows[None, :, :]
    ratios[:, rows <= 0] = np.inf
    asked: NDArray[float64] = ratios.min(axis=2).max(axis=1)
    return asked


def _scaled(of_unit: NDArray[float64], asked: NDArray[float64]) -> Surrogates:
    """The rows with 1 as the most that they ask for, each once."""
    import numpy as np

    most = asked.max(axis=1)
    kept = most > 0
    of_unit, asked = of_unit[kept] / most[kept, None], asked[kept] / most[kept, None]
    _, first = np.unique(np.round(np.hstack([of_unit, asked]), DIGITS), axis=0, return_index=True)
    first.sort()
    return Surrogates(of_unit[first], asked[first])
