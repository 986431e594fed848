"""The range of a plan over the error of its estimates, as plain data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from milp_planner.plans.plain import clean

if TYPE_CHECKING:
    from milp_planner.questions.confidence import ConfidenceRange


def range_dict(found: ConfidenceRange) -> dict[str, Any]:
    """The three plans, and whether the mix changes, as plain data."""
    return clean(
        {
            "mix_changes": found.mix_changes,
            "counts_change": found.counts_change,
            "not_reached": [*found.not_reached],
            "rows_left_out": [
                {
                    "row": worth.name,
                    "line": worth.row.line,
                    "measurement": worth.what,
                    "at_stake_usd_per_month": worth.at_stake_usd_per_month,
                    "status": worth.plan.status.value,
                    "dearer_usd_per_month": worth.dearer_usd_per_month,
                }
                for worth in found.rows
            ],
            "cases": [
                {
                    "quantile": case.quantile,
                    "status": case.status.value,
                    "cash_usd_per_month": case.cash_usd_per_month,
                    "score_usd_per_month": case.plan.score_usd_per_month,
                    "fleet": [
                        {
                            "workload": workload,
                            "offering": offering,
                            "billing": billing,
                            "precision": precision,
                            "tensor_parallel": tensor_parallel,
                            "units": units,
                        }
                        for (
                            workload,
                            offering,
                            billing,
                            precision,
                            tensor_parallel,
                        ), units in case.fleet
                    ],
                }
                for case in found.cases
            ],
        }
    )
