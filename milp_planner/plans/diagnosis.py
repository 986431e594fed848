"""Why there is no plan, and what would give one, as plain records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from milp_planner.lazily import dataclass
from milp_planner.plans.plain import plain_data
from milp_planner.plans.reasons import Reason

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Misfit:
    """Why a replica on one GPU type cannot serve a workload."""

    workload: str
    gpu: str
    tensor_parallel: int
    precision: str
    reason: str
    fastest_tpot_s: float | None
    """The least time per output token it reaches, where that is what fails."""


@dataclass(frozen=True)
class Change:
    """The smallest change of one limit that gives a plan, shown by solving again."""

    path: str
    """The key to change: `limits.budget.usd_per_month`."""

    now: str
    """Its value today, with the unit."""

    text: str
    """What to do, in words."""

    patch: Mapping[str, Any]
    """The change itself, by dotted key."""

    too_little: Mapping[str, Any] | None
    """The largest smaller change, which still gives no plan; None where there is none between."""

    cash_usd_per_month: float
    """Of the cheapest plan with the change."""

    fleet: str
    proven: bool
    """True when both the plan and the failure of the smaller change are proven."""


@dataclass(frozen=True)
class Diagnosis:
    """Why there is no plan, and what would give one."""

    headline: Reason
    fits: tuple[Misfit, ...] = ()
    """For workloads that nothing serves: GPU types and sizes, the nearest to serving first."""

    conflict: tuple[tuple[str, str], ...] = ()
    """(key, value) of limits that cannot be kept together; each one is needed for that."""

    is_smallest: bool = False
    """True when no smaller set of limits conflicts."""

    changes: tuple[Change, ...] = ()
    """Changes that each give a plan alone, the cheapest plan first."""

    combination: tuple[Change, ...] = ()
    """Changes that give a plan together, where no single one does."""

    combination_usd_per_month: float | None = None
    not_reached: tuple[str, ...] = ()
    """What the time limit, or solvers that do not agree, left open."""

    def to_frame(self) -> DataFrame:
        """One row per change: those that suffice alone, then those of the combination."""
        from pandas import DataFrame

        document = plain_data(self)
        return DataFrame([*document["changes"], *document["combination"]])
