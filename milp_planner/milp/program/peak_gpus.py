"""The GPUs of a program, each candidate counted at its most units in any block.

    G = Σ_k g_k N_k,   N_k ≥ n_kt ∀ t      [GPUs]

N_k is n_k itself where units are held all month, else a column of its own. G is what
`objective: gpus` makes small first, and what ties are broken by.
"""

from __future__ import annotations

from collections.abc import Iterator

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.milp.program.language.rows import LE, Row
from milp_planner.milp.program.language.variables import Terms, add
from milp_planner.milp.program.model import FleetModel


def peak_gpus(model: FleetModel, family: str) -> Terms:
    """G by column; what it takes is added once, under the family's name."""
    fleet = model.fleet
    terms: Terms = {}
    for k in fleet.rentable:
        columns = list(units_by_block(model, k))
        if len(columns) == 1:
            for column in columns[0]:
                add(terms, column, k.gpus_per_unit)
        elif columns:
            top = fleet.most_on.get(k)
            if top is None:
                top = fleet.most_on[k] = fleet.column(f"most units[{k.id}]", fleet.most_units(k))
                for own in columns:
                    row = {**dict.fromkeys(own, 1.0), top: -1.0}
                    model.add_row(family, Row(f"most {k.id}", row, LE, 0.0))
            terms[top] = float(k.gpus_per_unit)
    return terms


def units_by_block(model: FleetModel, k: Candidate) -> Iterator[tuple[pulp.LpVariable, ...]]:
    """Columns of a candidate, block by block; once for units that are held all month."""
    fleet = model.fleet
    blocks = range(len(fleet.blocks))
    units = (tuple(column for _, column in fleet.units_on(k, t)) for t in blocks)
    yield from dict.fromkeys(columns for columns in units if columns)
