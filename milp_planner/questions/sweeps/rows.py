"""What a scenario leads to, and all of them together: the rows of a what-if."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from milp_planner.lazily import dataclass, field
from milp_planner.plans.plain import as_plot, clean
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.sweeps.break_even import BreakEven, FleetOrPerToken
from milp_planner.questions.sweeps.frontier import (
    BudgetStep,
)
from milp_planner.questions.sweeps.scenarios import AS_IT_IS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame


class RowStatus(StrEnum):
    """What became of a scenario: a plan's status, or that it raised an error."""

    OPTIMAL = Status.OPTIMAL.value
    FEASIBLE = Status.FEASIBLE.value
    INFEASIBLE = Status.INFEASIBLE.value
    NO_PLAN = Status.NO_PLAN.value
    FAILED = "failed"


@dataclass(frozen=True)
class WhatIfRow:
    """What one scenario leads to."""

    scenario: str
    settings: Mapping[str, str]
    """What was set, by axis of the grid."""

    status: RowStatus
    cash_usd: float | None = None
    score_usd: float | None = None
    served_share: float | None = None
    """Smallest share of any workload's peak that is served; 1 unless a budget is short."""

    requests_share: float | None = None
    """Of budget scenarios: the share of the month's requests that is served."""

    gpus: int | None = None
    fleet: str = ""
    usd_per_million_tokens: float | None = None
    """None where some requests are left unserved."""

    certified: bool = False
    smallest_budget_usd: float | None = None
    """Of budget scenarios: the least cash that serves everything."""

    next_step: BudgetStep | None = None
    """Of budget scenarios that are short: the least budget that serves at least 0.1 % more."""

    split: FleetOrPerToken | None = None
    """Where asked for: what a fleet alone, and per-token use alone, would cost."""

    error: str = ""
    """Why there is no plan, or what failed; '' otherwise."""

    is_solver_failure: bool = False
    """True when it failed by no fault of the input."""

    seconds: float = 0.0
    numbers: Mapping[str, float | None] = field(default_factory=dict)
    """What was set as numbers, by the axes that hold numbers; None: as it is, or no limit."""

    plan: Plan | None = field(default=None, repr=False)


@dataclass(frozen=True)
class WhatIf:
    """One row per scenario, and what only all of them together tell."""

    name: str
    rows: tuple[WhatIfRow, ...]
    break_evens: Mapping[str, BreakEven | None] = field(default_factory=dict)
    """Of traffic scenarios: by the other settings, as a text."""

    left_open: tuple[str, ...] = ()
    """Of those without a break-even: where time ended before it was known that there is none."""

    @property
    def smallest_budgets(self) -> dict[str, float]:
        """The least cash that serves everything, by the settings other than the budget."""
        return {
            others_changed(row.settings, "budget"): row.smallest_budget_usd
            for row in self.rows
            if row.smallest_budget_usd is not None
        }

    def to_frame(self) -> DataFrame:
        """One row per scenario."""
        from pandas import DataFrame

        return DataFrame([row_dict(row) for row in self.rows])

    def plot(self, ax: Axes | None = None) -> Axes:
        """Cost, or the share that budgets serve, over the first axis of numbers; else bars.

        ax: matplotlib's; default: new ones. Returns them. Raises InputError without a row,
        PlannerError without matplotlib: `pip install 'milp-planner[plot]'`.
        """
        return as_plot(self, ax)

    def to_dict(self) -> dict[str, Any]:
        """Rows and findings as plain data, ready for JSON."""
        evens = {
            others: None if even is None else {"traffic_factor": even.above, "usd": even.cash_usd}
            for others, even in self.break_evens.items()
        }
        return clean(
            {
                "name": self.name,
                "rows": [row_dict(row) for row in self.rows],
                "smallest_budgets_usd_per_month": self.smallest_budgets,
                "break_evens": evens,
                "break_evens_left_open": self.left_open,
            }
        )


def _set_columns(row: WhatIfRow) -> Iterator[tuple[str, float | str | None]]:
    """`set_traffic` 2.0 and `set_traffic_label` `2x`; an axis of words is its own label."""
    for axis, label in row.settings.items():
        yield f"set_{axis}", row.numbers.get(axis, label)
        if axis in row.numbers:
            yield f"set_{axis}_label", label


def row_dict(row: WhatIfRow) -> dict[str, Any]:
    """The row as a flat record of strings and numbers."""
    step, parts = row.next_step, row.split
    return clean(
        {
            "scenario": row.scenario,
            **dict(_set_columns(row)),
            "status": row.status.value,
            "cash_usd_per_month": row.cash_usd,
            "score_usd_per_month": row.score_usd,
            "served_share": row.served_share,
            "served_requests_share": row.requests_share,
            "gpus": row.gpus,
            "fleet": row.fleet,
            "usd_per_million_tokens": row.usd_per_million_tokens,
            "certified": row.certified,
            "smallest_budget_usd_per_month": row.smallest_budget_usd,
            "next_step_usd_per_month": None if step is None else step.budget_usd,
            "next_step_served_share": None if step is None else step.served_share,
            "next_step_served_requests_share": None if step is None else step.requests_share,
            "fleet_only_usd_per_month": None if parts is None else parts.fleet_usd,
            "per_token_only_usd_per_month": None if parts is None else parts.per_token_usd,
            "error": row.error,
        }
    )


def others_changed(settings: Mapping[str, str], axis: str) -> str:
    """What is changed on all other axes, as one text; '' when nothing is."""
    changed = {name: value for name, value in settings.items() if value != AS_IT_IS}
    return ", ".join(f"{name} {value}" for name, value in changed.items() if name != axis)
