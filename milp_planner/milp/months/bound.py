"""What the months to come cost at least, whatever is bound in them: prices of capacity.

Let y_i ≥ 0 be what committed capacity is worth in month i. Wherever no start is worth more than it
costs,

    Σ_{i while (k,m) is bound} y_i ≤ c_km / μ_k      ∀ k, m,

a schedule that has P_i bound already and adds C_i − P_i pays at least Σ y_i (C_i − P_i), and so the
months from m on cost at least

    Σ_{i ≥ m} min_{C ≥ P_i} [R_i(C) + y_i (C − P_i)].

Any such y is a bound; the best one for nothing bound is a linear program, which HiGHS solves. What
it answers is scaled until the rows above hold in plain arithmetic, so nothing rests on its word.
Months of a future that is not known yet have their own y, which counts by its probability.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pulp

from milp_planner.deadline import check, checked
from milp_planner.lazily import dataclass
from milp_planner.milp.months.linear import solved
from milp_planner.milp.months.records import MonthsOutlook
from milp_planner.milp.months.recourse import MonthRecourse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_POINTS = 1_500
"""Committed capacities that R is tabulated at; where more can be reached, as many again, each a
share more than the one before: a future of little traffic needs them nearer to one another."""


@dataclass(frozen=True)
class Node:
    """A month as it is decided: of all futures, or of one once it is known."""

    month: int
    future: int | None
    """None: of all of them."""

    weight: float
    """Its probability."""

    at_least: Floats
    """R is no less between each point of the grid and the next."""

    corners: list[int]
    """Points of its lower hull; none where no capacity is enough."""


@dataclass(frozen=True)
class Grid:
    """Committed capacities, rising from 0."""

    points: Floats
    exact: int
    """How many of the first of them nothing is reached between."""

    @classmethod
    def of(cls, outlook: MonthsOutlook, most: float) -> Grid:
        """What units of the terms can carry, up to the first that carries `most`; where that is too
        much, all that is reached up to some capacity, and from there on a share more each time."""
        below = most
        while len(reached := _reached(outlook, below)) > MOST_POINTS:
            below /= 2
        if below == most:
            return cls(reached, len(reached))
        further = np.geomspace(below, most, MOST_POINTS + 1)
        near = reached[reached < below]
        return cls(np.unique(np.append(near, further)), len(near))

    def at(self, carried: Floats) -> NDArray[np.intp]:
        """The last point that is no higher."""
        noise = 1e-9 * float(self.points[-1] + 1.0)
        found: NDArray[np.intp] = np.searchsorted(self.points, carried + noise, side="right") - 1
        return found

    def least(self, values: Floats) -> Floats:
        """Of a function that falls: no more than it is from each point up to the next."""
        ahead = np.append(values[1:], values[-1])
        return np.append(values[: self.exact], ahead[self.exact :])


def _reached(outlook: MonthsOutlook, most: float) -> Floats:
    """What units of the terms can carry, up to the first that carries `most`; not all of it where
    that is more than there is room for."""
    reached = np.zeros(1)
    for term in outlook.terms if most > 0 else ():
        count = int(np.ceil(most / term.carries))
        count = count if term.most is None else min(count, term.most)
        steps = np.arange(min(count, MOST_POINTS + 1) + 1) * term.carries
        reached = np.unique((np.add.outer(reached, steps) / most).round(12)) * most
        reached = reached[: int(np.searchsorted(reached, most)) + 1]
        if len(reached) > MOST_POINTS:
            break
    return reached


class ToGo:
    """The bound on what the nodes from a month on cost, by what is bound in each month."""

    def __init__(self, outlook: MonthsOutlook, recourses: list[list[MonthRecourse]]) -> None:
        most = max(float(r.loads.max(initial=0.0)) for of in recourses for r in of)
        self.outlook = outlook
        self._months: dict[tuple[int, int | None], tuple[Floats, float] | None] = {}
        self.grid = Grid.of(outlook, most)
        self.nodes = list(self._nodes(recourses))
        self.worth = self._feasible(self._best())
        # (nodes, points): min over C at or above each point of R(C) + y C
        self.tables = np.stack(
            [
                np.minimum.accumulate((n.at_least + y * self.grid.points)[::-1])[::-1]
                for n, y in zip(self.nodes, self.worth, strict=True)
            ]
        )

    def _nodes(self, recourses: list[list[MonthRecourse]]) -> Iterator[Node]:
        tables = [[r.tabulated(self.grid.points) for r in checked(of)] for of in recourses]
        chances = [future.probability for future in self.outlook.futures]
        for i in range(self.outlook.all_months):
            months = [of[i] for of in tables]
            if i < self.outlook.branches_at or self.outlook.branches_at == self.outlook.months:
                mean = sum(p * usd for p, usd in zip(chances, months, strict=True))
                yield self._node(i, None, 1.0, np.asarray(mean))
                continue
            for f, usd in enumerate(months):
                yield self._node(i, f, chances[f], usd)

    def _node(self, month: int, future: int | None, weight: float, usd: Floats) -> Node:
        at_least = self.grid.least(usd)
        return Node(month, future, weight, at_least, hull(self.grid.points, at_least))

    def _rows(self) -> Iterator[tuple[list[int], float]]:
        """Nodes during which a start is bound, and what its unit of capacity costs."""
        outlook = self.outlook
        for term in outlook.terms:
            for m in range(outlook.months):
                price = outlook.owed(term, m) / term.carries
                follows = m >= outlook.branches_at
                for f in range(len(outlook.futures)) if follows else (None,):
                    bound = [
                        j
                        for j, n in enumerate(self.nodes)
                        if m <= n.month < m + term.months and (not follows or n.future == f)
                    ]
                    yield bound, price

    def _spent(self, worth: Floats, nodes: list[int], *, follows: bool) -> float:
        return float(sum(worth[j] * (1.0 if follows else self.nodes[j].weight) for j in nodes))

    def _best(self) -> Floats:
        """The linear program: max Σ w θ, θ ≤ R(C_g) + y C_g at each corner of R's lower hull."""
        points = self.grid.points
        tables = np.concatenate([n.at_least for n in self.nodes])
        usd = float(tables[np.isfinite(tables)].max(initial=1.0))
        size = max(1.0, float(points[-1]))
        lp = pulp.LpProblem("worth", pulp.LpMinimize)
        ys = [lp.add_variable(f"y{j}", 0) for j in range(len(self.nodes))]
        thetas = [lp.add_variable(f"t{j}", 0) for j in range(len(self.nodes))]
        lp.setObjective(pulp.lpSum(-n.weight * t for n, t in zip(self.nodes, thetas, strict=True)))
        names: list[str] = []
        for j, n in enumerate(self.nodes):
            check()
            for g in n.corners:
                names.append(f"h{len(names)}")
                right = float(n.at_least[g]) / usd
                lp.addConstraint(thetas[j] - float(points[g] / size) * ys[j] <= right, names[-1])
        for nodes, price in self._rows():
            follows = all(self.nodes[j].future is not None for j in nodes)
            weights = [1.0 if follows else self.nodes[j].weight for j in nodes]
            names.append(f"h{len(names)}")
            terms = pulp.lpSum(w * ys[j] for w, j in zip(weights, nodes, strict=True))
            lp.addConstraint(terms <= price * size / usd, names[-1])
        values = solved(lp, names) or {}
        return np.array([max(0.0, values.get(y.name, 0.0)) for y in ys]) * usd / size

    def _feasible(self, worth: Floats) -> Floats:
        """The same, scaled down until no start is worth more than it costs."""
        share = 1.0
        for nodes, price in self._rows():
            follows = all(self.nodes[j].future is not None for j in nodes)
            spent = self._spent(worth, nodes, follows=follows)
            if spent > price:
                share = min(share, price / spent)
        return worth * share

    def usd(self, bound: Floats, start: int, future: int | None = None) -> Floats:
        """At least what the months from `start` on cost; bound: (rows, months) requests/s.

        future: of that one alone, from a month on in which it is known.
        """
        total = np.zeros(len(bound))
        at, known = np.zeros(0, dtype=np.intp), None
        for month in range(start, self.outlook.all_months):
            found = self._of_month(month, future)
            if found is None:
                continue
            table, worth = found
            carried = bound[:, month]
            if known is None or not np.array_equal(carried, known):  # most months are alike
                at, known = self.grid.at(carried), carried
            total += table[at] - worth * carried
        return total

    def _of_month(self, month: int, future: int | None) -> tuple[Floats, float] | None:
        """The table of a month, over the futures or of one, and what capacity is worth in it."""
        key = month, future
        if key not in self._months:
            mine = [
                (self.tables[j], float(self.worth[j]), n.weight if future is None else 1.0)
                for j, n in enumerate(self.nodes)
                if n.month == month and future in (None, n.future)
            ]
            tables = [weight * table for table, _, weight in mine]
            worth = sum(weight * value for _, value, weight in mine)
            self._months[key] = (np.sum(tables, axis=0), worth) if mine else None
        return self._months[key]


def hull(points: Floats, values: Floats) -> list[int]:
    """Corners of the lower hull of a function on rising points, from its first finite value on."""
    kept: list[int] = []
    for g in range(len(points)):
        if not np.isfinite(values[g]):
            continue
        while len(kept) > 1:
            a, b = kept[-2], kept[-1]
            rise = (values[b] - values[a]) * (points[g] - points[a])
            if rise < (values[g] - values[a]) * (points[b] - points[a]):
                break
            kept.pop()
        kept.append(g)
    return kept
