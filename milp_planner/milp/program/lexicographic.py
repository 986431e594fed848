"""Objectives before the score, where a budget or a quota does not let everything be served.

    worst     min F,  s_wqt ≤ F                the largest unserved share of any class in any block
    unserved  min Σ v_wqt s_wqt ÷ Σ v_wqt      the unserved share of the requests of the month

`fair` takes both over all workloads, `priority` over those of one priority after another; what a
stage reaches is held in all that follow, and the score comes last.

For plans unlike those found already, inside a band of cost:

    score      Σ costs ≤ (1 + ε) V₀                            held, never minimised   [USD/month]
    familiar   min Σ_{k ∈ E} c_k n_k                           spent on offerings of found plans

For `objective: gpus`:

    gpus       min Σ_k g_k N_k                                 see `peak_gpus.py`          [GPUs]
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import pulp

from milp_planner.inputs.problem.policies import when_short
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.milp.program.language.rows import LE, Row, scaled
from milp_planner.milp.program.language.variables import Terms, merged
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.peak_gpus import peak_gpus

SCALE = 1e5
"""Objective units per 100 %: the engines then agree to a ten-millionth of the demand."""

HELD_TOLERANCE = 1e-7
"""Share by which a later stage may fall short of an earlier one: above what solvers cannot tell."""


HELD_USD = 0.001
"""The same of money, USD/month."""

HALF = 0.5

MONEY = ("score", "familiar")
"""Stages in USD per month, not in shares."""


@dataclass(frozen=True)
class Stage:
    """What is made as small as can be, and whose."""

    kind: Literal["worst", "unserved", "score", "familiar", "gpus"]
    workloads: tuple[str, ...] = ()
    offerings: tuple[str, ...] = ()
    """Of `familiar`: ids of those that plans found buy."""


GPUS = Stage("gpus")

Held = tuple[tuple[Stage, float], ...]
"""Stages with the share, the USD per month, or the GPUs, that each reached."""


def stages_of(problem: Problem) -> list[Stage]:
    """The stages of the problem's `when_short`, most important first."""
    by_priority: dict[int, list[str]] = {}
    for w in problem.workloads:
        rank = w.priority if when_short(problem) == "priority" else 1
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
    if stage.kind in MONEY:
        model.minimise(_money(model, stage))
        return
    if stage.kind == "gpus":
        model.minimise(peak_gpus(model, "Stage"))
        return
    if stage.kind == "unserved":
        model.minimise({short: SCALE * weight for short, weight in weights(model, stage).items()})
        return
    worst = model.fleet.column("largest shortfall", 1, integer=False)
    for short in weights(model, stage):
        model.add_row("Stage", Row(f"worst {short.name}", {short: 1.0, worst: -1.0}, LE, 0.0))
    model.minimise({worst: SCALE})


def hold(model: FleetModel, held: Iterable[tuple[Stage, float]]) -> None:
    """Keep what earlier stages reached."""
    for stage, share in held:
        if stage.kind == "gpus":  # a whole number
            gpus = Row("gpus", peak_gpus(model, "Stage"), LE, share + HALF)
            model.add_row("Stage", gpus)
            continue
        if stage.kind in MONEY:
            usd = share + max(HELD_USD, HELD_TOLERANCE * share)
            model.add_row("Stage", scaled(stage.kind, _money(model, stage), LE, usd))
            continue
        shares = weights(model, stage)
        if stage.kind == "unserved":
            model.add_row("Stage", Row("unserved", shares, LE, share + HELD_TOLERANCE))
            continue
        for short in shares:
            hold_worst(short, share)


def hold_worst(short: pulp.LpVariable, share: float) -> None:
    """A class in a block is left unserved no more than that."""
    most = share + HELD_TOLERANCE if share else 0.0
    short.upBound = most if short.upBound is None else min(short.upBound, most)


def _money(model: FleetModel, stage: Stage) -> Terms:
    """What everything costs, or what offerings do, by column."""
    costs = merged(model.costs.values())
    if stage.kind == "score":
        return costs
    fleet = model.fleet
    mine = {column for k, _, column in fleet.rented() if k.offering.id in stage.offerings} | {
        column for (k, _, _), column in fleet.shares.items() if k.offering.id in stage.offerings
    }
    return {column: usd for column, usd in costs.items() if column in mine}


def weights(model: FleetModel, stage: Stage) -> Terms:
    """Share of the stage's requests per month, by shortfall column."""
    fleet = model.fleet
    volumes = {
        short: fleet.volume(w, q, t)
        for (w, q, t), short in fleet.shortfalls.items()
        if w in stage.workloads
    }
    total = sum(volumes.values())
    return {short: volume / total for short, volume in volumes.items()}
