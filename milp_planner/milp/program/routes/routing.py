"""Routes of a fleet whose program has no columns for them, or the prices that say there are none.

For a workload in a block, with what is not served per token and not left out as the parts r_q of
its requests, and A_g of them what a group may still serve,

    max ρ    Σ_k μ_kq u n_k ÷ λ y_kq ≥ ρ r_q  ∀ q,   Σ_q y_kq ≤ 1  ∀ k,
             Σ_{k ∈ g} Σ_q μ_kq u n_k ÷ λ y_kq ≤ A_g  ∀ g

is a linear program that nothing is too small to solve in: the simplex method from all slack, which
stops where ρ reaches 1. Where it does not, its dual is the prices by which too little is there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import utilization_limit
from milp_planner.lazily import dataclass
from milp_planner.milp.program.language.class_prices import ClassPrices
from milp_planner.milp.program.routes.rows import GroupLimit, priced

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

ENOUGH = 5e-7
"""Part of the requests that may lack where routes are still routes: noise of a solver's rows, half
of what the check of a plan lets pass."""

NOTHING = 1e-9
"""Part of the requests of a workload that takes next to nothing of a unit."""

ZERO = 1e-12
MOST_GREEDY_STEPS = 500
"""Steps that take what gains most; later ones take the first that gains, which never circles."""

Cell = tuple[Candidate, int]
"""Who serves which class."""


class Block(NamedTuple):
    """A workload in a block as a fleet serves it."""

    workload: str
    t: int
    on: Mapping[Candidate, float]
    """Units; of a linear relaxation parts of them, too."""

    tokens: Mapping[Cell, float]
    """Shares of the classes that are served per token."""

    short: Mapping[int, float]
    """Shares of the classes that are left out."""


@dataclass(frozen=True)
class Routed:
    """Routes of a block, as far as there are any."""

    times: float
    """How many times all of it could be served, 1 at most."""

    shares: Mapping[Cell, float]
    """Shares of the classes on units."""

    prices: ClassPrices | None
    """By which there is too little; None where there is enough."""


def routed(
    instance: PlanningInput, limits: Sequence[GroupLimit], block: Block, enough: float = ENOUGH
) -> Routed:
    """Who serves what in a block. enough: part of the requests that may lack."""
    program = _Program(instance, limits, block)
    if not program.classes:
        return Routed(1.0, program.trifles, None)
    times, shares = program.solve()
    shares |= program.trifles
    if times >= 1 - enough:
        return Routed(1.0, shares, None)
    return Routed(times, shares, program.prices())


class _Program:
    """The linear program of one block, and its tableau."""

    def __init__(self, instance: PlanningInput, limits: Sequence[GroupLimit], block: Block) -> None:
        import numpy as np

        demand = instance.schedule.demands[block.workload]
        self.block, self.limits = block, limits
        self.parts = [q.share for q in demand.classes]
        left = list(self._left())
        limit = utilization_limit(instance.problem, instance.problem.workload(block.workload))
        scale = limit / demand.peak[block.t]
        self.units = [k for k, on in block.on.items() if on > 0]
        self.trifles = dict(self._trifles(left))
        known = {q for _, q in self.trifles}
        asked = [q for q, part in enumerate(left) if part > min(NOTHING, ENOUGH * self.parts[q])]
        self.classes = [q for q in asked if q not in known]
        self.left = [left[q] for q in self.classes]
        rates = [[k.requests_per_second[q] for q in self.classes] for k in self.units]
        counts = np.array([block.on[k] for k in self.units], dtype=float)
        shape = len(self.units), len(self.classes)
        self.pools = np.array(rates, dtype=float).reshape(shape) * counts[:, None] * scale
        self.groups = list(self._groups())
        self.tableau: NDArray[float64] = np.zeros((0, 0))

    def _left(self) -> Iterator[float]:
        """What units must serve of each class, as parts of all requests."""
        for q, part in enumerate(self.parts):
            per_token = sum(x for (_, p), x in self.block.tokens.items() if p == q)
            yield part * max(0.0, 1 - per_token - self.block.short.get(q, 0.0))

    def _trifles(self, left: Sequence[float]) -> Iterator[tuple[Cell, float]]:
        """Classes of which next to nothing is left, with the share that is: whoever can most."""
        for q, part in enumerate(left):
            if 0 < part <= NOTHING and part > ENOUGH * self.parts[q]:
                most = max(self.units, key=lambda k: k.requests_per_second[q], default=None)
                if most is not None and most.requests_per_second[q] > 0:
                    yield (most, q), part / self.parts[q]

    def _groups(self) -> Iterator[tuple[str, str, list[int], float]]:
        """(rule, group, its units by number, the part of all requests that they may serve)."""
        tokens, short = self.block.tokens, self.block.short
        served = sum(p * (1 - short.get(q, 0.0)) for q, p in enumerate(self.parts))
        for limit in self.limits:
            group_of = limit.rule.group_of
            for group in sorted({group_of(k) for k in self.units} - {""}):
                mine = [i for i, k in enumerate(self.units) if group_of(k) == group]
                by_token = sum(
                    self.parts[q] * x for (k, q), x in tokens.items() if group_of(k) == group
                )
                yield limit.rule.name, group, mine, max(0.0, limit.share * served - by_token)

    def solve(self) -> tuple[float, dict[Cell, float]]:
        """ρ, and the shares of the classes on units at ρ, or at 1 where it is more."""
        import numpy as np

        ks, qs = np.nonzero(self.pools)
        count = len(self.classes) + len(self.units) + len(self.groups)
        columns = 1 + len(ks)
        table = np.zeros((count + 1, columns + count + 1))
        table[:count, columns : columns + count] = np.eye(count)
        at = 1 + np.arange(len(ks))
        left = np.array(self.left)
        table[: len(left), 0] = 1.0
        table[qs, at] = -self.pools[ks, qs] / left[qs]
        table[len(left) + ks, at] = 1.0
        table[len(left) : len(left) + len(self.units), -1] = 1.0
        for row, (_, _, mine, most) in enumerate(self.groups, len(left) + len(self.units)):
            of_group = np.isin(ks, mine)
            table[row, at[of_group]] = self.pools[ks, qs][of_group]
            table[row, -1] = most
        table[-1, 0] = 1.0
        basis = _maximise(table, columns)
        self.tableau = table
        times = max(0.0, -float(table[-1, -1]))
        busy = np.zeros(columns)
        for row, column in enumerate(basis):
            if column < columns:
                busy[column] = table[row, -1]
        return times, self._shares(times, busy[1:], ks, qs)

    def _shares(
        self, times: float, busy: NDArray[float64], ks: NDArray[intp], qs: NDArray[intp]
    ) -> dict[Cell, float]:
        """What is served by units: all that is left where that is so but for noise."""
        served: dict[Cell, float] = {}
        of_class = [0.0] * len(self.classes)
        for part, k, q in zip(busy, ks, qs, strict=True):
            if part > 0:
                served[self.units[int(k)], int(q)] = float(part * self.pools[int(k), int(q)])
                of_class[int(q)] += served[self.units[int(k)], int(q)]
        most = math.inf if times >= 1 - ENOUGH else 1.0
        whole = [
            min(most, left / of) if of > 0 else 0.0
            for left, of in zip(self.left, of_class, strict=True)
        ]
        return {
            (k, self.classes[q]): value * whole[q] / self.parts[self.classes[q]]
            for (k, q), value in served.items()
        }

    def prices(self) -> ClassPrices:
        """The dual: what classes count for where it is tightest, and what groups are charged."""
        first = 1 + int((self.pools > 0).sum())
        duals = [max(0.0, -float(gain)) for gain in self.tableau[-1, first:-1]]
        by_class = [0.0] * len(self.parts)
        for q, left, dual in zip(self.classes, self.left, duals, strict=False):
            by_class[q] = dual / left
        by_group = [
            (rule, group, dual)
            for (rule, group, _, _), dual in zip(
                self.groups, duals[len(self.classes) + len(self.units) :], strict=True
            )
        ]
        return priced(self.parts, by_class, by_group)


def _maximise(table: NDArray[float64], columns: int) -> list[int]:
    """The simplex method from all slack, until the first column's value is 1 or nothing gains.

    Returns the column that each row ends with. (Dantzig 1947; Bland 1977 against circles.)
    """
    import numpy as np

    rows = table.shape[0] - 1
    basis = list(range(columns, columns + rows))
    step = 0
    while -table[-1, -1] < 1:
        gains = table[-1, :-1]
        column = int(gains.argmax()) if step < MOST_GREEDY_STEPS else int((gains > ZERO).argmax())
        if gains[column] <= ZERO:
            break
        terms = table[:rows, column]
        rising = np.nonzero(terms > ZERO)[0]
        ratios = table[rising, -1] / terms[rising]
        least = ratios.min()
        row = min(rising[ratios <= least], key=basis.__getitem__)
        table[row] /= table[row, column]
        factors = table[:, column].copy()
        factors[row] = 0.0
        table -= np.outer(factors, table[row])
        basis[row] = column
        step += 1
    return basis
