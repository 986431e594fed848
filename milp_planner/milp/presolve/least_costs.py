"""What workloads cost at least, as rows of the program in which they may share units.

With every replica on a shared unit at its part of the price each workload was solved by itself, and
in no plan does it cost less so: see `part_prices.py`. With c_k and h_t as everywhere, and φ_w what
was proven,

    Σ_{k of w, own} h_t c_k n_kt + Σ_{k of w, on j} (g_k ÷ G_j) h_t c_j n_kt ≥ φ_w       [USD/month]

No plan breaks it, but fractions of units do: without it the engines prove again, for all workloads
at once, what was known of each. Over several blocks a row takes in so many columns that they find
plans later: three workloads in eight blocks with spot came to 16,923.60 with such rows, and to
16,899.60 without.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulp

from milp_planner.lazily import dataclass, field
from milp_planner.milp.program.language.rows import Row
from milp_planner.milp.program.language.variables import Terms, merged
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.rules.packing import replicas_by_unit

LEFT_OPEN = 1e-6
"""Relative: what the proof of a least cost may have left open."""

Least = Mapping[tuple[str, ...], float]
"""USD/month that these workloads cost at least, together."""


@dataclass(frozen=True)
class Known:
    """What parts that were solved apart say of a program of all."""

    least: Least = field(default_factory=dict)
    most_usd: float | None = None
    """What a plan at hand scores that the program need not find again, USD/month."""


NOTHING = Known()


def hold_least(model: FleetModel, least: Least) -> None:
    """Add a row for what workloads cost at least; none over several blocks, or where anything but
    units costs."""
    known = costs_by_workload(model) if least and len(model.fleet.blocks) == 1 else None
    if known is None:
        return
    for names, usd in least.items():
        terms = merged([known.get(name, {}) for name in names])
        priced = {units: cost / usd for units, cost in terms.items() if cost} if usd > 0 else {}
        if priced:
            model.add_row("least cost", Row.at_least(" ".join(names), priced, 1 - LEFT_OPEN))


def costs_by_workload(model: FleetModel) -> dict[str, Terms] | None:
    """What a unit of each column costs its workload, shared units by the part that a replica holds.

    USD/month. None where anything else costs: what it is worth to whom is not known.
    """
    fleet = model.fleet
    costs = merged(model.costs.values())
    known: dict[str, Terms] = {}
    stands_on = {k: unit for unit, found in replicas_by_unit(fleet).items() for k in found}
    told: set[pulp.LpVariable] = set(fleet.shared.values())
    for (k, _, t), units in fleet.units.items():
        usd = costs.get(units, 0.0)
        if k.part_of_unit:
            unit = stands_on[k]
            if unit.gpu_set is not None:
                return None
            part = k.gpus_per_unit / unit.gpus_per_unit
            usd += part * costs.get(fleet.shared[unit, t], 0.0)
        known.setdefault(k.workload, {})[units] = usd
        told.add(units)
    for (k, _, _), share in fleet.shares.items():
        known.setdefault(k.workload, {})[share] = costs.get(share, 0.0)
        told.add(share)
    return known if all(column in told for column, usd in costs.items() if usd) else None
