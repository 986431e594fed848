"""A schedule soon: signings in parts of units, out of a linear program, rounded and then bettered.

    min Σ_{k,m} c_km s_km + Σ_j w_j θ_j,    C_j = Σ_k μ_k Σ_{m while (k,m) is bound in j} s_km,
    θ_j ≥ R's lower hull at C_j             ∀ months j of all futures, or of one that is known

is the program whose dual gives the prices of capacity in `bound.py`: where units are many, what it
signs is nearly the best, and rounding costs little. What rounding costs, changes one by one mostly
save again (`bettered.py`). The bound on nothing bound says how far from the best that is.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np
import pulp

from milp_planner.deadline import OutOfTime, check
from milp_planner.milp.months.bettered import Descent
from milp_planner.milp.months.bound import Node, ToGo
from milp_planner.milp.months.linear import solved
from milp_planner.milp.months.records import MonthsOutlook
from milp_planner.milp.months.recourse import MonthRecourse

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Wholes = NDArray[np.int64]


def rounded(
    outlook: MonthsOutlook, recourses: list[list[MonthRecourse]], to_go: ToGo, enough_usd: float
) -> tuple[Wholes, float] | None:
    """(futures, months, terms) units signed, and what they cost on average; None where the program
    has no answer, or its rounding does not carry the load.

    enough_usd: no less is looked for. Raises OutOfTime when time is up before there is one.
    """
    if not all(node.corners for node in to_go.nodes):
        return None  # in some month no capacity is enough
    signed = _Parts(outlook, to_go).signed()
    if signed is None:
        return None
    descent = Descent(outlook, recourses, _whole(outlook, signed))
    if not np.isfinite(descent.usd):
        return None
    with suppress(OutOfTime):  # what is there then stands
        descent.run(enough_usd)
    return descent.units, descent.usd


class _Parts:
    """The linear program; USD and requests/s are counted in the largest that there are."""

    def __init__(self, outlook: MonthsOutlook, to_go: ToGo) -> None:
        self.outlook, self.to_go = outlook, to_go
        self.points = to_go.grid.points
        tables = np.concatenate([node.at_least for node in to_go.nodes])
        self.usd = float(tables[np.isfinite(tables)].max(initial=1.0))
        self.capacity = max(1.0, float(self.points[-1]))
        self.lp = pulp.LpProblem("signed", pulp.LpMinimize)
        self.rows: list[str] = []
        self.paid: list[pulp.LpAffineExpression] = []
        self.units: dict[tuple[int, int, int], pulp.LpVariable] = {}
        """By (future, month, number of the term); the same column until the future is known."""

    def signed(self) -> Floats | None:
        """(futures, months, terms) units, parts of them too; None where HiGHS has no answer."""
        self._sign()
        for number, node in enumerate(self.to_go.nodes):
            check()
            self._rent(number, node)
        self._keep_to_what_there_is()
        self.lp.setObjective(pulp.lpSum(self.paid))
        values = solved(self.lp, self.rows)
        if values is None:
            return None
        shape = len(self.outlook.futures), self.outlook.months, len(self.outlook.terms)
        found = np.zeros(shape)
        for at, column in self.units.items():
            found[at] = max(0.0, values.get(column.name, 0.0))
        return found

    def _row(self, constraint: pulp.LpConstraint) -> None:
        self.rows.append(f"r{len(self.rows)}")
        self.lp.addConstraint(constraint, self.rows[-1])

    def _sign(self) -> None:
        outlook = self.outlook
        for m in range(outlook.months):
            follows = m >= outlook.branches_at
            for k, term in enumerate(outlook.terms):
                for f, future in enumerate(outlook.futures):
                    if f and not follows:
                        self.units[f, m, k] = self.units[0, m, k]
                        continue
                    column = self.lp.add_variable(f"s{f}_{m}_{k}", 0, term.most)
                    self.units[f, m, k] = column
                    usd = outlook.owed(term, m) / self.usd
                    self.paid.append((future.probability if follows else 1.0) * usd * column)

    def _rent(self, number: int, node: Node) -> None:
        """θ of a month is above each edge of the hull, and enough is bound for it to have one."""
        carried = pulp.lpSum(
            term.carries / self.capacity * self.units[node.future or 0, m, k]
            for m in range(self.outlook.months)
            for k, term in enumerate(self.outlook.terms)
            if m <= node.month < m + term.months
        )
        rent = self.lp.add_variable(f"t{number}", 0)
        self.paid.append(node.weight * rent)
        at = self.points[node.corners] / self.capacity
        usd = node.at_least[node.corners] / self.usd
        if at[0] > 0:
            self._row(carried >= float(at[0]))
        if len(at) == 1:
            self._row(rent >= float(usd[0]))
        for slope, x, y in zip(np.diff(usd) / np.diff(at), at, usd, strict=False):
            self._row(rent - float(slope) * carried >= float(y - slope * x))

    def _keep_to_what_there_is(self) -> None:
        """So many units of a term are bound at a time."""
        for k, term in enumerate(self.outlook.terms):
            for m in range(self.outlook.months if term.most is not None else 0):
                since = max(0, m - term.months + 1)
                for f in range(len(self.outlook.futures)):
                    bound = pulp.lpSum(self.units[f, i, k] for i in range(since, m + 1))
                    self._row(bound <= term.most)


def _whole(outlook: MonthsOutlook, signed: Floats) -> Wholes:
    """All that is signed up to each month, rounded: what one month lacks the next one has."""
    upto = np.floor(signed.cumsum(axis=1) + 0.5)
    units = np.diff(upto, axis=1, prepend=0.0).astype(np.int64)
    for k, term in enumerate(outlook.terms):
        for m in range(outlook.months if term.most is not None else 0):
            since = max(0, m - term.months + 1)
            above = units[:, since : m + 1, k].sum(axis=1) - (term.most or 0)
            units[:, m, k] -= np.clip(above, 0, units[:, m, k])
    return units
