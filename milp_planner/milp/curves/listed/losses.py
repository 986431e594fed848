"""Reads a program of one workload as units of groups, any one of which may be lost.

    Σ_k a_k (n_k + n_kt) ≥ A_t,        Σ_{k ∉ g} a_k (n_k + n_kt) ≥ L_t   ∀ g, t

with a_k what a unit carries, A_t what all units must come to, and L_t what must be left of them
without any group g. Of several classes q there are such rows by whatever prices π they are counted
(`program/routes/rows.py`, `program/limits/survival.py`):

    a_k = max_q π_q μ_kq,        A_t = Σ_q π_q λ_qt ÷ u,        L_t = σ Σ_q π_q λ_qt

That losses are asked about is read off the program's rows. Whatever else it asks for is not known
here: a fleet that keeps the program's rows keeps these.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass, replace
from milp_planner.milp.curves.listed.reading import Covering, asked_by
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.milp.program.limits.survival import first_weights
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.losses import SURVIVAL_GROUPS

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

SAME = 1e-9
"""Relative difference of two floats that were meant to be equal."""

DIGITS = 9
"""Of prices that are told from each other."""


@dataclass(frozen=True)
class Grouped:
    """A program's units by what they are lost with, and what rows ask of them."""

    covering: Covering
    groups: tuple[str, ...]
    """Of each kind of units, held ones first, the group; '' where none of the losses takes it."""

    carries: NDArray[float64]
    """(held + elastic, rows): what a unit carries; nobody needs more than 1."""

    asked: NDArray[float64]
    """(blocks, rows): what all units must carry."""

    left: NDArray[float64]
    """(blocks, rows): what must be left of it without any one group."""

    @classmethod
    def scaled(
        cls,
        covering: Covering,
        groups: tuple[str, ...],
        carries: NDArray[float64],
        asked: NDArray[float64],
        left: NDArray[float64],
    ) -> Grouped:
        """Of rows in any unit."""
        import numpy as np

        most = np.maximum(asked.max(axis=0), left.max(axis=0))
        return cls(covering, groups, carries / most, asked / most, left / most)

    def by(self, rows: Sequence[int]) -> Grouped:
        """By some of the rows alone, in this order."""
        of = list(rows)
        return replace(
            self, carries=self.carries[:, of], asked=self.asked[:, of], left=self.left[:, of]
        )

    def with_row(self, of_unit: NDArray[float64]) -> Grouped:
        """And by what follows in every block from a row of one, of which 1 is asked for there."""
        import numpy as np

        asked = np.array([asked_by(of_unit[None], rows) for rows in self.covering.rows])
        most = asked.max()
        return replace(
            self,
            carries=np.hstack([self.carries, of_unit[:, None] / most]),
            asked=np.hstack([self.asked, asked / most]),
            left=np.hstack([self.left, np.zeros_like(asked)]),
        )


def grouped_of(model: FleetModel, covering: Covering) -> Grouped | None:
    """The groups; None where losses are not asked about, or more decides what is left of units."""
    fleet, survival = model.fleet, model.fleet.problem.limits.survival
    (w,) = fleet.problem.workloads
    if survival is None or len(fleet.levels[w.name]) != 1:
        return None
    import numpy as np

    kind_of = {column.name: k for (k, _, _), column in fleet.units.items()}
    kinds = [kind_of[name] for name in covering.held]
    kinds += [kind_of[columns[0]] for columns in covering.elastic]
    classes = range(len(fleet.demand(w.name).classes))
    rates = np.array([k.requests_per_second for k in kinds])
    peaks = np.array([[fleet.peak(w.name, q, t) for q in classes] for t in fleet.busy(w.name)])
    prices = np.array(_prices(fleet, w.name))
    carries = (rates[:, None, :] * prices[None, :, :]).max(axis=2)
    groups = tuple(SURVIVAL_GROUPS[survival.kind](k) for k in kinds)
    asked = peaks @ prices.T
    ceiling = fleet.levels[w.name][0].ceiling
    found = Grouped.scaled(covering, groups, carries, asked / ceiling, asked * survival.share)
    return found if (carries > 0).any(axis=1).all() and _is_asked_for(found) else None


def _prices(fleet: Fleet, workload: str) -> list[tuple[float, ...]]:
    """Those of the program, by class: of its routes, and of what is left after losses. First those
    that every program has."""
    parts = [q.share for q in fleet.demand(workload).classes]
    if len(parts) == 1:
        return [(1.0,)]
    weights = (*first_weights(fleet, workload), *fleet.weights.get(workload, ()))
    of_losses = [tuple(w / part for w, part in zip(one, parts, strict=True)) for one in weights]
    of_routes = [one.by_class for one in fleet.prices.get(workload, ())]
    found: dict[tuple[float, ...], tuple[float, ...]] = {}
    for prices in (*of_losses, *of_routes):
        mean = sum(part * price for part, price in zip(parts, prices, strict=True))
        scaled = tuple(price / mean for price in prices)
        found.setdefault(tuple(round(price, DIGITS) for price in scaled), scaled)
    return list(found.values())


def _is_asked_for(found: Grouped) -> bool:
    """Whether the rows of every loss are among those of the program, by its first prices."""
    import numpy as np

    for rows, asked in zip(found.covering.rows, found.left, strict=True):
        left = np.minimum(1.0, found.carries[:, 0] / asked[0])
        for group in sorted(set(found.groups) - {""}):
            stays: NDArray[bool_] = np.array([own != group for own in found.groups])
            row = np.where(stays, left, 0.0)
            if not np.isclose(rows, row, rtol=SAME, atol=SAME).all(axis=1).any():
                return False
    return True
