"""Reads a program as units of one workload that must cover several rows in every block.

    min Σ_k H c_k n_k + Σ_kt h_t c_k n_kt,      Σ_k A_ikt n_k + Σ_k A_ikt n_kt ≥ b_it   ∀ i, t

with A ≥ 0 and n whole: held units n_k are on in all blocks, elastic ones n_kt in one. Of several
classes the rows are those by prices (`program/routes/rows.py`), of a share that a group may serve,
or of what must be left after a loss, rows of the same form. Columns and rows themselves are read:
whatever else the program has makes it no such problem.

From one row follows one that is the same in all blocks: for v_k ≥ 0,

    Σ_k v_k (n_k + n_kt) ≥ R_t,        R_t = max_i b_it min_{A_ikt > 0} v_k ÷ A_ikt

and, of all kinds but some S, by the same with v_k = 0 in S, that these leave at most so much to S.
GPUs beyond a count may have a price (`ExtraGpus`): p e beside the costs, and

    Σ_k g_k (n_k + n_kt) − e ≤ G    ∀ t
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.deadline import check
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.program.language.rows import GE, LE
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.rules.extra_gpus import ExtraGpus

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

MOST_CELLS = 4_000_000
"""Kinds of units times rows of a block twice: more are left to the solvers."""

SAME = 1e-9
"""Relative difference of two prices of an hour that were meant to be equal."""

EXTRA_GPUS = f"{ExtraGpus.__name__} "
"""What the meanings of its rows begin with."""

DIGITS = 6
"""Of rows that are told from each other."""

Columns = Mapping[int, pulp.LpVariable]
"""Those of units of a kind, by block."""


class GpuPrice(NamedTuple):
    """What GPUs cost beside their units: the most that are on in any block."""

    of_kind: NDArray[float64]
    """(held + elastic,): GPUs of a unit."""

    without_price: float
    """How many cost nothing."""

    usd_each: float
    """USD/month of one more; 0 where none does."""

    def usd(self, gpus: float) -> float:
        """What so many cost, USD/month."""
        return self.usd_each * max(0.0, gpus - self.without_price)


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

    gpus: GpuPrice

    rationed: tuple[int, ...] = ()
    """Kinds by number that some rows do not count, S: spot, where a part must be served without."""

    @property
    def of_others(self) -> NDArray[float64]:
        """(held + elastic,): 1 of all other kinds, 0 of these."""
        import numpy as np

        others = np.ones(len(self.held) + len(self.elastic))
        others[list(self.rationed)] = 0.0
        return others


@dataclass(frozen=True)
class Surrogates:
    """Rows that are the same in all blocks, each by itself what every fleet keeps."""

    of_unit: NDArray[float64]
    """(rows, held + elastic): what a unit counts for; the most that a block asks for is 1."""

    asked: NDArray[float64]
    """(rows, blocks)."""

    of_others: NDArray[float64]
    """(rows, blocks): of that, what others than the rationed kinds must do."""

    usd_per_gpu: NDArray[float64]
    """(rows,): at most the price of one; see `tables.py`."""

    @property
    def left_to_rationed(self) -> NDArray[float64]:
        """(rows, blocks): what the rationed kinds may carry of it at most."""
        return self.asked - self.of_others

    def among(self, rows: NDArray[intp]) -> Surrogates:
        """Those of these numbers."""
        asked = self.asked[rows], self.of_others[rows]
        return Surrogates(self.of_unit[rows], *asked, self.usd_per_gpu[rows])

    def at(self, usd_per_gpu: float) -> Surrogates:
        """The same with GPUs at this price."""
        import numpy as np

        return replace(self, usd_per_gpu=np.full(len(self.of_unit), usd_per_gpu))

    @classmethod
    def joined(cls, some: Sequence[Surrogates]) -> Surrogates:
        """All of these."""
        import numpy as np

        return cls(
            np.vstack([one.of_unit for one in some]),
            np.vstack([one.asked for one in some]),
            np.vstack([one.of_others for one in some]),
            np.concatenate([one.usd_per_gpu for one in some]),
        )

    def with_means(self, pairs: Iterable[tuple[int, int]]) -> Surrogates:
        """These and the means of pairs of them, which every fleet keeps as well."""
        import numpy as np

        one, other = np.array(list(pairs)).T
        means = Surrogates(
            (self.of_unit[one] + self.of_unit[other]) / 2,
            (self.asked[one] + self.asked[other]) / 2,
            (self.of_others[one] + self.of_others[other]) / 2,
            (self.usd_per_gpu[one] + self.usd_per_gpu[other]) / 2,
        )
        return _scaled(Surrogates.joined([self, means]))


def covering_of(model: FleetModel) -> Covering | None:
    """The units and rows of a program; None where it is anything else, or too large."""
    fleet = model.fleet
    if len(fleet.problem.workloads) != 1 or fleet.instance.current_units():
        return None
    extra = {column.name for column in fleet.extra_gpus.values()}
    if {column.name for column in fleet.units.values()} | extra != set(fleet.meaning):
        return None
    kinds = _kinds(model)
    if not kinds:
        return None
    busy = fleet.busy(fleet.problem.workloads[0].name)
    held, elastic = _apart([columns for _, columns in kinds], len(busy))
    usd = {column.name: cost for column, cost in model.lp.objective.items()}
    if any(usd.get(column.name, 0.0) <= 0 for _, columns in kinds for column in columns.values()):
        return None
    spot = {
        column.name for k, columns in kinds if k.mode.interruptible for column in columns.values()
    }
    return _covering(model, busy, held, elastic, usd, spot)


def _kinds(model: FleetModel) -> list[tuple[Candidate, Columns]] | None:
    """Candidates and their columns by block; None where any is not whole, or must be on."""
    kinds: dict[tuple[Candidate, int], dict[int, pulp.LpVariable]] = {}
    for (k, level, t), column in model.fleet.units.items():
        if column.cat != pulp.LpInteger or column.lowBound:
            return None
        kinds.setdefault((k, level), {})[t] = column
    return [(k, columns) for (k, _), columns in kinds.items()]


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
    spot: Collection[str],
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
    gpus = _gpu_price(model, at, len(held) + len(elastic), usd)
    rows = _rows(model, at, len(held) + len(elastic), len(busy))
    if rows is None or gpus is None:
        return None
    rationed = [] if any(n in spot for n in names) and elastic else [at[n][0] for n in spot]
    return Covering(
        held=tuple(names),
        elastic=tuple(tuple(kind[t].name for t in busy) for kind in elastic),
        held_usd=np.array([usd[name] for name in names]),
        elastic_usd=np.array(rates),
        hours=hours,
        rows=rows,
        most=_most(model),
        gpus=gpus,
        rationed=tuple(sorted(set(rationed))),
    )


def _most(model: FleetModel) -> Mapping[str, float]:
    """Units that each column may have."""
    return {
        column.name: math.inf if column.upBound is None else column.upBound
        for column in model.fleet.units.values()
    }


def _gpu_price(
    model: FleetModel,
    at: Mapping[str, tuple[int, int | None]],
    kinds: int,
    usd: Mapping[str, float],
) -> GpuPrice | None:
    """What GPUs cost beside their units; None where the rows of that say anything else."""
    import numpy as np

    of_kind = np.zeros(kinds)
    if not model.fleet.extra_gpus:
        return GpuPrice(of_kind, 0.0, 0.0)
    (extra,) = model.fleet.extra_gpus.values()
    rows = _rows_of(model, EXTRA_GPUS)
    without_price = {-row.constant for row in rows}
    usd_each = usd.get(extra.name, 0.0)
    if len(without_price) != 1 or usd_each < 0 or any(row.sense != LE for row in rows):
        return None
    said: dict[str, float] = {}
    for row in rows:
        terms = {column.name: gpus for column, gpus in row.items()}
        if terms.pop(extra.name, 0.0) != -1.0:
            return None
        said |= terms
    if said.keys() != at.keys() or min(said.values()) < 0:
        return None
    for name, gpus in said.items():
        kind = at[name][0]
        if of_kind[kind] not in (0.0, gpus):
            return None
        of_kind[kind] = gpus
    return GpuPrice(of_kind, without_price.pop(), usd_each)


def _rows_of(model: FleetModel, rule: str) -> list[pulp.LpConstraint]:
    """The rows of a rule, by what their meanings begin with."""
    meanings = model.row_meaning.items()
    names = (name for name, meaning in meanings if meaning.startswith(rule))
    return [model.lp.get_constraint_by_name(name) for name in names]


def _rows(
    model: FleetModel, at: Mapping[str, tuple[int, int | None]], kinds: int, blocks: int
) -> tuple[NDArray[float64], ...] | None:
    """The rows of each block, divided by what they ask for; None where any has another form.

    A row of held units alone is one of every block.
    """
    import numpy as np

    found: list[list[NDArray[float64]]] = [[] for _ in range(blocks)]
    for name, meaning in model.row_meaning.items():
        check()
        row = model.lp.get_constraint_by_name(name)
        asked = -row.constant
        if meaning.startswith(EXTRA_GPUS):
            continue  # `_gpu_price` reads them
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
    asked = np.array([asked_by(of_unit, rows) for rows in covering.rows]).T
    others = of_unit * covering.of_others
    of_others = np.array([asked_by(others, rows) for rows in covering.rows]).T
    return _scaled(Surrogates(of_unit, asked, of_others, np.zeros(len(of_unit))))


def asked_by(of_unit: NDArray[float64], rows: NDArray[float64]) -> NDArray[float64]:
    """What rows of a block ask for by each of others, whatever these count units for."""
    import numpy as np

    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = of_unit[:, None, :] / rows[None, :, :]
    ratios[:, rows <= 0] = np.inf
    asked: NDArray[float64] = ratios.min(axis=2).max(axis=1)
    return asked


def _scaled(some: Surrogates) -> Surrogates:
    """The rows with 1 as the most that they ask for, each once."""
    import numpy as np

    some = some.among(np.flatnonzero(some.asked.max(axis=1) > 0))
    most = some.asked.max(axis=1)[:, None]
    asked = some.asked / most, some.of_others / most
    some = Surrogates(some.of_unit / most, *asked, some.usd_per_gpu)
    told = np.hstack([some.of_unit, some.asked, some.of_others, some.usd_per_gpu[:, None]])
    _, first = np.unique(np.round(told, DIGITS), axis=0, return_index=True)
    first.sort()
    return some.among(first)
