"""Objectives before the score over several futures, where some cannot serve everything.

    worst     min F,  s_fwqt ≤ F                              over all futures and their blocks
    unserved  min Σ_f p_f Σ v_fwqt s_fwqt ÷ Σ v_fwqt          the mean of what each leaves out

The stages are those of one month, `program/lexicographic.py`: each is held in all that follow.
"""

from __future__ import annotations

from collections.abc import Mapping

import pulp

from milp_planner.milp.futures.blocks import JoinedBlocks
from milp_planner.milp.program.language.rows import LE
from milp_planner.milp.program.language.variables import Terms
from milp_planner.milp.program.lexicographic import (
    HELD_TOLERANCE,
    SCALE,
    Held,
    Stage,
    hold_worst,
    weights,
)


def stage_objective(model: JoinedBlocks, stage: Stage) -> Terms:
    """What the stage makes small."""
    if stage.kind == "unserved":
        return {short: SCALE * share for short, share in _unserved(model, stage).items()}
    worst = model.column(1, integer=False)
    for shares in _weights(model, stage):
        for short in shares:
            model.row({short: 1.0, worst: -1.0}, LE, 0.0)
    return {worst: SCALE}


def hold_stages(model: JoinedBlocks, held: Held) -> None:
    """Keep what earlier stages reached."""
    for stage, share in held:
        if stage.kind == "unserved":
            model.row(_unserved(model, stage), LE, share + HELD_TOLERANCE)
            continue
        for shares in _weights(model, stage):
            for short in shares:
                hold_worst(short, share)


def stage_value(model: JoinedBlocks, stage: Stage, values: Mapping[str, float]) -> float:
    """What the stage's objective is at the columns, from what each future leaves unserved."""
    if stage.kind == "unserved":
        shares = _unserved(model, stage)
        return SCALE * sum(share * _at(values, short) for short, share in shares.items())
    each = (_at(values, s) for shares in _weights(model, stage) for s in shares)
    return SCALE * max(each, default=0.0)


def _at(values: Mapping[str, float], short: pulp.LpVariable) -> float:
    """What is left unserved, inside the column's bounds."""
    value = max(0.0, values.get(short.name, 0.0))
    return value if short.upBound is None else min(value, short.upBound)


def _weights(model: JoinedBlocks, stage: Stage) -> list[Terms]:
    """By future: share of the stage's requests there, by shortfall column."""
    return [model.terms_in(f, weights(block, stage)) for f, block in enumerate(model.blocks)]


def _unserved(model: JoinedBlocks, stage: Stage) -> Terms:
    return model.mean(_weights(model, stage))
