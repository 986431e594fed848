"""Reads a program of one workload and class as units of groups, any one of which may be lost.

    Σ_k μ_k (n_k + n_kt) ≥ A_t,        Σ_{k ∉ g} μ_k (n_k + n_kt) ≥ L_t   ∀ g, t

with μ_k what a unit carries, A_t what all units must come to, and L_t what must be left of them
without any group g. The rows that say so are looked for among those of the program: a fleet that
keeps the program's keeps these. Whatever else it asks for is not known here.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass
from milp_planner.milp.curves.listed.reading import Covering
from milp_planner.milp.program.model import FleetModel
from milp_planner.plans.losses import SURVIVAL_GROUPS

if TYPE_CHECKING:
    from numpy import bool_, float64
    from numpy.typing import NDArray

SAME = 1e-9
"""Relative difference of two floats that were meant to be equal."""


@dataclass(frozen=True)
class Grouped:
    """A program's units by what they are lost with."""

    covering: Covering
    carries: NDArray[float64]
    """(held + elastic,): what a unit carries, requests/s."""

    groups: tuple[str, ...]
    """Of each kind of units the group; '' where none of these losses takes it."""

    asked: NDArray[float64]
    """(blocks,): what all units must carry."""

    left: NDArray[float64]
    """(blocks,): what must be left of it without any one group."""


def grouped_of(model: FleetModel, covering: Covering) -> Grouped | None:
    """The groups; None where losses are not asked about, or more decides what is left of units."""
    fleet, survival = model.fleet, model.fleet.problem.limits.survival
    (w,) = fleet.problem.workloads
    demand, levels = fleet.demand(w.name), fleet.levels[w.name]
    if survival is None or len(demand.classes) != 1 or len(levels) != 1:
        return None
    import numpy as np

    kind_of = {column.name: k for (k, _, _), column in fleet.units.items()}
    kinds = [kind_of[name] for name in covering.held]
    kinds += [kind_of[columns[0]] for columns in covering.elastic]
    peaks = np.array([demand.peak[t] for t in fleet.busy(w.name)])
    found = Grouped(
        covering=covering,
        carries=np.array([k.mix_requests_per_second for k in kinds]),
        groups=tuple(SURVIVAL_GROUPS[survival.kind](k) for k in kinds),
        asked=peaks / levels[0].ceiling,
        left=peaks * survival.share,
    )
    return found if (found.carries > 0).all() and _is_asked_for(found) else None


def _is_asked_for(found: Grouped) -> bool:
    """Whether the rows are among those of the program."""
    import numpy as np

    for t, rows in enumerate(found.covering.rows):
        for row in rows_of(found, t):
            if not np.isclose(rows, row, rtol=SAME, atol=SAME).all(axis=1).any():
                return False
    return True


def rows_of(found: Grouped, t: int) -> Iterator[NDArray[float64]]:
    """Those of a block, where 1 is asked for; a unit counts for no more than that."""
    import numpy as np

    yield np.minimum(1.0, found.carries / found.asked[t])
    left = np.minimum(1.0, found.carries / found.left[t])
    for group in sorted(set(found.groups) - {""}):
        stays: NDArray[bool_] = np.array([own != group for own in found.groups])
        yield np.where(stays, left, 0.0)
