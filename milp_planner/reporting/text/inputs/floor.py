"""The fewest GPUs by the hour, as plain text and as a document."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from milp_planner.questions.floor import Floor, FloorHour
from milp_planner.reporting.text.wording import columns, count, escape, number, percent, plural


def floor_dict(floors: Sequence[Floor]) -> list[dict[str, Any]]:
    """Floors as plain data, ready for JSON."""
    return [
        {
            **asdict(one),
            "peak_gpus": one.peak_gpus,
            "mean_gpus": one.mean_gpus,
            "gpu_hours": one.gpu_hours,
            "above": one.above,
        }
        for one in floors
    ]


def floor_text(floors: Sequence[Floor]) -> str:
    """The same for people; hours of the same figures in one row."""
    if not floors:
        return "No GPUs are rented: there is no floor.\n"
    return "\n\n".join("\n".join(_lines(one)) for one in floors) + "\n"


def _lines(one: Floor) -> Iterator[str]:
    yield (
        f"{escape(one.workload)}: a perfect autoscaler would need "
        f"{plural(one.peak_gpus, 'GPU')} at the peak, {number(one.mean_gpus)} on average."
    )
    yield (
        f"  That is {count(round(one.gpu_hours))} GPU-hours per month, of the kinds of GPU that "
        "the plan rents: others may need fewer."
    )
    above = "" if one.above is None else f", {percent(one.above, 1)} more"
    yield f"  The plan pays for {count(round(one.plan_gpu_hours))}{above}."
    head = ["from", "hours", one.unit, "fewest", "plan"]
    rows = [
        [
            escape(group[0].name),
            number(sum(hour.hours for hour in group)),
            number(group[0].peak),
            str(group[0].gpus),
            str(group[0].plan_gpus),
        ]
        for group in _alike(one.hours)
    ]
    yield from columns([head, *rows], "<>>>>")


def _alike(hours: Sequence[FloorHour]) -> list[list[FloorHour]]:
    groups: list[list[FloorHour]] = []
    for hour in hours:
        key = hour.peak, hour.gpus, hour.plan_gpus
        if groups and (groups[-1][0].peak, groups[-1][0].gpus, groups[-1][0].plan_gpus) == key:
            groups[-1].append(hour)
        else:
            groups.append([hour])
    return groups
