"""Forces something of a kind into the plan, to see what that costs.

    Σ n_klt + Σ x_qkt ÷ 1e-4 ≥ 1        over the candidates k of the kind
    score - cost of the kind < V₀       V₀: the score of the best plan without it   [USD/month]

One unit on in one block will do, or a per-token offering that serves a share of some class. The
second row keeps out a plan that has it as an idle extra: what is left of such a plan without it
serves everything, so it costs V₀ or more. Its cost is its price and what adding its units costs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from milp_planner.candidates.records import Candidate, change_key
from milp_planner.lazily import dataclass
from milp_planner.milp.presolve.dominance import Pruned
from milp_planner.milp.program.exclusion import LEAST_TOKEN_SHARE
from milp_planner.milp.program.language.rows import GE, LE, Row, scaled
from milp_planner.milp.program.language.variables import Terms, merged
from milp_planner.milp.program.model import FleetModel

Wanted = Callable[[Candidate], bool]

LEAST_USD = 0.01
LEAST_SHARE = 3e-6
"""By how much the rest must cost less: a cent, or what solvers can tell from nothing."""


@dataclass(frozen=True)
class Required:
    """What must be in use, and what the rest of the plan must cost less than."""

    wanted: Wanted
    rest_below_usd: float | None = None
    """Score of the best plan without it, USD/month; None: an idle extra will do."""


def keep_required(pruned: Pruned, candidates: Iterable[Candidate], wanted: Wanted) -> Pruned:
    """`pruned` with every wanted candidate back in."""
    kept = {k.id for k in pruned.kept}  # replicas on shared units are made anew for each look
    pruned.kept += [k for k in candidates if wanted(k) and k.id not in kept]
    pruned.kept.sort(key=lambda k: k.id)
    return pruned


def require(model: FleetModel, required: Required) -> None:
    """Add the row that asks for some use, and the one that asks for a saving in the rest."""
    terms: Terms = {}
    for (k, _, _), units in model.fleet.units.items():
        if required.wanted(k):
            terms[units] = 1.0
    for (k, _, _), share in model.fleet.shares.items():
        if k.mode.per_token and required.wanted(k):
            terms[share] = 1 / LEAST_TOKEN_SHARE
    model.add_row("Required", Row("some use", terms, GE, 1.0))
    below = required.rest_below_usd
    if below is not None:
        fleet = model.fleet
        keys = {change_key(k) for k in fleet.candidates if required.wanted(k)}
        own = terms.keys() | {added for key, added in fleet.added.items() if key in keys}
        own |= {rented for (unit, _), rented in fleet.shared.items() if required.wanted(unit)}
        rest = {v: c for v, c in merged(model.costs.values()).items() if v not in own}
        most = below - max(LEAST_USD, LEAST_SHARE * below)
        model.add_row("Required", scaled("rest", rest, LE, most))
