"""What a measurement is worth to a plan: the same problem solved again without its row.

The rows that the rates of a plan stand on are ranked by spend at stake: what a purchase costs,
shared among its request classes by the time they take, and among the rows of each rate evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from milp_planner.inputs.catalog.records import Catalog, Measurement
from milp_planner.lazily import dataclass, replace
from milp_planner.plans.measure_next import spend_by_rate
from milp_planner.plans.records import Plan, Status
from milp_planner.serving.rates.doubtful_rows import row_name
from milp_planner.serving.rates.measured import OFFLINE

MOST_ROWS = 3
"""Rows left out, one at a time."""


@dataclass(frozen=True)
class RowWorth:
    """One measurement, and the plan without it."""

    row: Measurement
    at_stake_usd_per_month: float
    """Spent on the rates that stand on the row, in USD/month."""

    plan: Plan
    """The best one when the row is left out of the catalog."""

    planned_usd_per_month: float
    """Money paid with the row, in USD/month."""

    @property
    def dearer_usd_per_month(self) -> float | None:
        """What the plan costs more without the row, in USD/month; None where there is none then."""
        cash = self.plan.cash_usd_per_month
        return None if cash is None else cash - self.planned_usd_per_month

    @property
    def is_answered(self) -> bool:
        """Whether nothing was left open: the plan is the best there is, or there is none."""
        return is_answered(self.plan)

    @property
    def name(self) -> str:
        """`row 2279 of measurements.csv`; that of an overlay is the user's own."""
        own = "own " if self.row.override else ""
        if not self.row.line:
            return f"the {own}row built in code"
        return f"{own}row {self.row.line} of measurements.csv"

    @property
    def what(self) -> str:
        """`qwen3-32b on h100-80gb-sxm fp8 tp 1, sglang, 1024/1024 tokens, 256 in flight`."""
        return row_name(self.row)


def is_answered(plan: Plan) -> bool:
    """Whether nothing was left open: it is proven as far as was asked, or that there is none."""
    if plan.status is Status.FEASIBLE:
        return plan.gap is not None and plan.gap <= plan.provenance.gap_asked
    return plan.status is not Status.NO_PLAN


def row_worths(
    plan: Plan,
    catalog: Catalog,
    solve_again: Callable[[Catalog], Plan],
    most: int = MOST_ROWS,
) -> Iterator[RowWorth]:
    """The rows with the most spend at stake, at most `most`: each is left out, and the problem
    solved again."""
    if plan.cash_usd_per_month is None:
        return
    ranked = sorted(spend_by_row(plan), key=lambda found: -found[1])[:most]
    for row, usd in ranked:
        yield RowWorth(row, usd, solve_again(without(catalog, row)), plan.cash_usd_per_month)


def spend_by_row(plan: Plan) -> Iterator[tuple[Measurement, float]]:
    """Every measurement that a purchased rate stands on, with the spend in USD/month."""
    spent: dict[Measurement, float] = {}
    for point, usd in spend_by_rate(plan):
        for row in point.rows:
            spent[row] = spent.get(row, 0.0) + usd / len(point.rows)
    yield from spent.items()


def without(catalog: Catalog, row: Measurement) -> Catalog:
    """The catalog with all measurements but that one."""
    kept = tuple(other for other in catalog.measurements if not _is_same(other, row))
    return replace(catalog, measurements=kept)


def _is_same(other: Measurement, row: Measurement) -> bool:
    """An endless queue states no concurrency; its row was given the one that memory allows."""
    if other.line != row.line or other.output_tokens_per_second != row.output_tokens_per_second:
        return False
    if row.regime != OFFLINE:
        return other == row
    return other.model_copy(update={"concurrency": row.concurrency}) == row
