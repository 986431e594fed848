"""Forces something of a kind into the plan, to see what that costs.

    Σ n_klt + Σ x_qkt ÷ 1e-4 ≥ 1        over the candidates k of the kind

One unit on in one block will do, or a per-token offering that serves a share of some class.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from milp_planner.milp.exclusion import LEAST_TOKEN_SHARE
from milp_planner.milp.model import FleetModel
from milp_planner.milp.prune import Pruned
from milp_planner.milp.rows import GE, Row
from milp_planner.milp.variables import Terms
from milp_planner.serving.candidates import Candidate

Wanted = Callable[[Candidate], bool]


def keep_required(pruned: Pruned, candidates: Iterable[Candidate], wanted: Wanted) -> Pruned:
    """`pruned` with every wanted candidate back in."""
    kept = set(pruned.kept)
    pruned.kept += [k for k in candidates if wanted(k) and k not in kept]
    pruned.kept.sort(key=lambda k: k.id)
    return pruned


def require(model: FleetModel, wanted: Wanted) -> None:
    """Add the row that asks for a unit, or some use, of a wanted candidate."""
    terms: Terms = {}
    for (k, _, _), units in model.fleet.units.items():
        if wanted(k):
            terms[units] = 1.0
    for (k, _, _), share in model.fleet.shares.items():
        if k.mode.per_token and wanted(k):
            terms[share] = 1 / LEAST_TOKEN_SHARE
    model.add_row("Required", Row("some use", terms, GE, 1.0))
