"""The part of a sheet that says why there is no plan, and what would give one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import Any

from milp_planner.plans.sheet.base import SheetPart
from milp_planner.plans.sheet.plan_parts import LimitAsked


class SheetMisfit(SheetPart):
    """Why a replica on one GPU type cannot serve a workload."""

    workload: str
    gpu: str
    tensor_parallel: int
    precision: str
    reason: str
    fastest_tpot_s: float | None
    """The least time per output token it reaches, where that is what fails."""


class SheetChange(SheetPart):
    """The smallest change of one limit that gives a plan, alone or with others."""

    path: str
    now: str
    """What the limit is, with its unit."""

    text: str
    """What to do, in words."""

    patch: dict[str, Any]
    """The change itself, by dotted key."""

    too_little: dict[str, Any] | None
    """The largest smaller change, which still gives no plan; None where there is none between."""

    cash_usd_per_month: float
    """Of the cheapest plan with the change."""

    fleet: str
    proven: bool
    is_enough: bool
    """Whether it gives a plan alone."""


class SheetDiagnosis(SheetPart):
    """Why there is no plan, and what would give one: as in the plan's own document."""

    headline: str
    is_smallest: bool
    """True when no smaller set of limits conflicts."""

    fits: tuple[SheetMisfit, ...]
    """For workloads that nothing serves, the nearest to serving first."""

    conflict: tuple[LimitAsked, ...]
    """Limits that cannot be kept together; each one is needed for that."""

    changes: tuple[SheetChange, ...]
    """Changes that each give a plan alone, the cheapest plan first."""

    combination: tuple[SheetChange, ...]
    """Changes that give a plan together, where no single one does."""

    combination_usd_per_month: float | None
    not_reached: tuple[str, ...]
    """What the time limit, or solvers that do not agree, left open."""


def details(reasons: Sequence[str]) -> tuple[str, ...]:
    """What stands indented below the first reason: what each offering lacks.

    >>> details(["nothing serves chat", "  l4-24gb: needs 140 GB, the GPU has 24 GB", "no more"])
    ('l4-24gb: needs 140 GB, the GPU has 24 GB',)
    """
    below = takewhile(lambda said: said.startswith("  "), reasons[1:])
    return tuple(said.removeprefix("  ") for said in below)
