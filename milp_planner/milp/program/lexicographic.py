"""Objectives before the score, for a budget that does not serve everything.

    worst     min F,  s_wqt ≤ F                the largest unserved share of any class in any block
    unserved  min Σ v_wqt s_wqt ÷ Σ v_wqt      the unserved share of the requests of the month

`fair` takes both over all workloads, `priority` over those of one priority after another; what a
stage reaches is held in all that follow, and the score comes last.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.rows import LE, Row
from milp_planner.milp.program.language.variables import Terms
from milp_planner.milp.program.model import FleetModel

SCALE = 1e5
"""Objective units per 100 %: the engines then agree to a ten-millionth of the demand."""

HELD_TOLERANCE = 1e-7
"""Share by which a later stage may fall short of an earlier one: above what solvers cannot tell."""


@dataclass(frozen=True)
class Stage:
    """What is made as small as can be, and whose."""

    kind: Literal["worst", "unserved"]
    workloads: tuple[str, ...]


Held = tuple[tuple[Stage, float], ...]
"""Stages with the share that each reached."""


def stages_of(problem: Problem) -> list[Stage]:
    """The stages of the problem's `when_short`, most important first."""
    budget = problem.limits.budget
    assert budget is not None
    by_priority: dict[int, list[str]] = {}
    for w in problem.workloads:
        rank = w.priority if budget.when_short == "priority" else 1
        by_priority.setdefault(rank, []).append(w.name)
    return [
        stage
        for _, names in sorted(by_priority.items())
        for stage in (Stage("worst", tuple(names)), Stage("unserved", tuple(names)))
    ]


def everything_served(problem: Problem) -> Held:
    """What holds when no request is left unserved."""
    return ((Stage("worst", tuple(w.name for w in problem.workloads)), 0.0),)


def minimise(model: FleetModel, stage: Stage) -> None:
    """Make the stage the model's objective."""
    if stage.kind == "unserved":
        model.minimise({short: SCALE * weight for short, weight in _weights(model, stage).items()})
        return
    worst = model.fleet.column("largest shortfall", 1, integer=False)
    for short in _weights(model, stage):
        model.add_row("Stage", Row(f"worst {short.name}", {short: 1.0, worst: -1.0}, LE, 0.0))
    model.minimise({worst: SCALE})


def hold(model: FleetModel, held: Iterable[tuple[Stage, float]]) -> None:
    """Keep what earlier stages reached."""
    for stage, share in held:
        weights = _weights(model, stage)
        if stage.kind == "unserved":
            model.add_row("Stage", Row("unserved", weights, LE, share + HELD_TOLERANCE))
            continue
        for short in weights:
            most = share + HELD_TOLERANCE if share else 0.0
            short.upBound = most if short.upBound is None else min(short.upBound, most)


def _weights(model: FleetModel, stage: Stage) -> Terms:
    """Share of the stage's requests per month, by shortfall column."""
    fleet = model.fleet
    volumes = {
        short: fleet.volume(w, q, t)
        for (w, q, t), short in fleet.shortfalls.items()
        if w in stage.workloads
    }
    total = sum(volumes.values())
    return {short: volume / total for short, volume in volumes.items()}
