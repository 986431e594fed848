"""What a measurement is worth to a plan: the same problem solved again without its row.

The rows that the rates of a plan stand on are ranked by spend at stake: what a purchase costs,
shared among its request classes by the time they take, and among the rows of each rate evenly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from time import monotonic

from milp_planner.inputs.catalog.records import Catalog, Measurement
from milp_planner.plans.measure_next import spend_by_rate
from milp_planner.plans.records import Plan
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


def row_worths(
    plan: Plan,
    catalog: Catalog,
    solve_again: Callable[[Catalog], Plan],
    time_limit_s: float | None,
    most: int = MOST_ROWS,
) -> tuple[RowWorth, ...]:
    """The rows with the most spend at stake, each left out and the problem solved again.

    At most `most`; after the first none is begun once `time_limit_s` has passed.
    """
    if plan.cash_usd_per_month is None:
        return ()
    ranked = sorted(spend_by_row(plan), key=lambda found: -found[1])[:most]
    began = monotonic()
    found: list[RowWorth] = []
    for row, usd in ranked:
        if found and time_limit_s is not None and monotonic() - began > time_limit_s:
            break
        again = solve_again(without(catalog, row))
        found.append(RowWorth(row, usd, again, plan.cash_usd_per_month))
    return tuple(found)


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
