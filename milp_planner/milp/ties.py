"""Among plans of equal score, prefers fewer GPUs, then fewer providers, then names in order.

A second, short program over the same rows: its objective counts GPUs, providers and ranks, and one
more row keeps the score. It never shows in a price, and HiGHS alone solves it.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import pulp

from milp_planner.milp.highs import run_highs
from milp_planner.milp.model import FleetModel
from milp_planner.milp.rows import LE, Row, scaled
from milp_planner.milp.variables import Terms, add, expression, merged, most_units
from milp_planner.serving.candidates import Candidate

MOST_COLUMNS = 200
"""Beyond this size a tie is left as the solver found it: the search would cost too much."""

SCORE_TOLERANCE = 1e-9
RANK_WEIGHT = 1e-3
"""All ranks together weigh less than one provider."""


def preferred(
    model: FleetModel, score: float, *, time_limit_s: float, seed: int
) -> Mapping[str, float] | None:
    """Columns of the preferred plan that scores no more than `score`; None when none is found.

    Changes the model's objective: call it last.
    """
    if len(model.columns) > MOST_COLUMNS or score <= 0:
        return None
    keep = scaled("score", merged(model.costs.values()), LE, score * (1 + SCORE_TOLERANCE))
    model.add_row("Tie", keep)
    model.lp.setObjective(expression(_preference(model)))
    with tempfile.TemporaryDirectory(prefix="milp-planner-") as folder:
        mps = Path(folder) / "tie.mps"
        model.write_mps(mps)
        outcome = run_highs(
            mps, columns=model.columns, time_limit_s=time_limit_s, gap=0.0, seed=seed
        )
    return outcome.values if outcome.has_values else None


def _preference(model: FleetModel) -> Terms:
    """GPUs + providers ÷ (their number + 1) + ranks that stay below one provider."""
    fleet = model.fleet
    terms: Terms = {}
    columns = _unit_columns(model)
    ranks = {k: i for i, k in enumerate(sorted(columns.values(), key=lambda k: k.id))}
    providers = sorted({k.provider for k in fleet.candidates})
    one_provider = 1 / (len(providers) + 1)
    used = {
        provider: fleet.column(f"tie provider[{provider}]", 1) for provider in providers
    }
    for variable in used.values():
        add(terms, variable, one_provider)
    for variable, k in columns.items():
        rank = RANK_WEIGHT * one_provider * ranks[k] / len(ranks)
        add(terms, variable, k.gpus_per_unit + rank)
        limit = Row(
            variable.name, {variable: 1.0, used[k.provider]: -float(most_units(fleet, k))}, LE, 0.0
        )
        model.add_row("TieProvider", limit)
    return terms


def _unit_columns(model: FleetModel) -> dict[pulp.LpVariable, Candidate]:
    """Every unit column once, with its candidate."""
    return {variable: k for (k, _, _), variable in model.fleet.units.items()}
