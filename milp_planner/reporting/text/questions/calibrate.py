"""Measurements against the estimate, as text and as plain data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milp_planner.plans.plain import clean
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.deployments.calibrate import (
    Calibrated,
    ComparedMeasurement,
    PlannedSpeed,
)
from milp_planner.questions.deployments.replanned import Replanned
from milp_planner.reporting.sheets.diff import last_line
from milp_planner.reporting.text.wording import columns, count, escape, number, plural, usd
from milp_planner.solving.re_solve import fleet_line


def calibrated_text(found: Calibrated, out: str | None, moved: Replanned | None = None) -> str:
    """What each row says of the estimate, what plans count on now, what a plan becomes, and where
    it was written."""
    head = ["LLM", "GPU", "precision", "tp", "tokens", "batch", "measured", "estimated", "ratio"]
    head += ["planned before", "planned after"]
    rows = [head, *(_cells(row) for row in found.rows)]
    lines = [
        f"{plural(len(found.rows), 'measurement')}, output tokens/s of one replica; "
        f"planned at p{100 * found.quantile:g} of measured ÷ estimated",
        "",
        *columns(rows, "<<<>>>>>>>>"),
        "",
        *([] if moved is None else [*_moved_lines(moved), ""]),
        *_ending(out),
    ]
    return "\n".join(lines) + "\n"


def calibrated_dict(
    found: Calibrated, out: str | None, moved: Replanned | None = None
) -> dict[str, Any]:
    """The same as one document."""
    return clean(
        {
            "plan": None if moved is None else moved.to_dict(),
            "quantile": found.quantile,
            "folder": out,
            "measurements": [_row_dict(row) for row in found.rows],
        }
    )


def _moved_lines(moved: Replanned) -> Iterator[str]:
    """The plan before and after, and what becomes of the bill."""
    before, after = _fleet(moved.before), _fleet(moved.after)
    diff = moved.diff
    stays = diff.increase_usd_per_month is not None and not diff.changes
    yield f"The plan of {escape(moved.after.name)} {'stays' if stays else 'becomes'} {after}."
    if not stays:
        yield f"It was {before}."
        yield last_line(diff)


def _fleet(plan: Plan) -> str:
    """`2 x big acme, $5,760 per month`; that there is none, proven or for want of time."""
    if plan.cash_usd_per_month is None:
        return "none: there is no plan" if plan.status is Status.INFEASIBLE else "unknown in time"
    return f"{escape(fleet_line(plan))}, {usd(plan.cash_usd_per_month)} per month"


def _ending(out: str | None) -> Iterator[str]:
    if out is None:
        yield "Nothing was written; --out FOLDER keeps the rows."
    else:
        yield f"Written to {escape(out)}: use it with --overlay {escape(out)}, or as the"
        yield f"problem's own catalog: catalog: {escape(out)}"


def _cells(c: ComparedMeasurement) -> list[str]:
    row = c.row
    estimated = c.estimated_tokens_per_second
    return [
        escape(row.llm),
        escape(row.gpu),
        escape(row.precision),
        str(row.tensor_parallel),
        f"{row.input_tokens or 0:.0f}/{row.output_tokens or 0:.0f}",
        "-" if row.concurrency is None else number(row.concurrency),
        count(row.output_tokens_per_second),
        "-" if estimated is None else count(estimated),
        "-" if c.ratio is None else f"{c.ratio:.2f}",
        _planned(c.before),
        _planned(c.after),
    ]


def _planned(planned: PlannedSpeed | None) -> str:
    """`1,204 (estimated x 0.70)`."""
    if planned is None:
        return "-"
    rate = count(planned.output_tokens_per_second)
    return f"{rate} ({escape(planned.source)} x {planned.derate:.2f})"


def _row_dict(c: ComparedMeasurement) -> dict[str, Any]:
    return {
        **c.row.model_dump(mode="json", exclude={"override", "line"}),
        "estimated_tokens_per_second": c.estimated_tokens_per_second,
        "ratio": c.ratio,
        "planned_before": _planned_dict(c.before),
        "planned_after": _planned_dict(c.after),
        "warnings": list(c.warnings),
    }


def _planned_dict(planned: PlannedSpeed | None) -> dict[str, Any] | None:
    if planned is None:
        return None
    return {
        "output_tokens_per_second": planned.output_tokens_per_second,
        "derate": planned.derate,
        "source": planned.source,
    }
