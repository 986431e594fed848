"""Traffic becomes time blocks and request classes that all workloads of a problem share.

A block is a number of hours of the month with one load: a peak rate, which sizes the fleet, and a
mean rate, which prices tokens. To add a kind of traffic, add its curve to `CURVES` in
`curves.py`; how curves become blocks is said in `blocks.py`, and what a trace
becomes in `digest.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.strict_yaml import STDIN_NAME
from milp_planner.traffic.blocks import SLIVER, Span, clock_hours, group_spans, make_spans
from milp_planner.traffic.curves import Curve, make_curve, request_classes
from milp_planner.traffic.schedule import (
    Demand,
    RequestClass,
    Schedule,
    TimeBlock,
    Totals,
    totals,
)
from milp_planner.units import SECONDS_PER_HOUR

__all__ = [
    "Demand",
    "RequestClass",
    "Schedule",
    "TimeBlock",
    "Totals",
    "asked_totals",
    "hours_per_month",
    "make_curves",
    "make_schedule",
    "request_classes",
    "totals",
]


def make_schedule(problem: Problem) -> Schedule:
    """The blocks and demands of `problem`; raises InputError for what is wrong with a trace."""
    return schedule_of(make_curves(problem), hours_per_month(problem))


def make_curves(problem: Problem) -> dict[str, Curve]:
    """Each workload's load over the month, by name; raises InputError with every fault."""
    curves: dict[str, Curve] = {}
    faults: list[Fault] = []
    for i, w in enumerate(problem.workloads):
        path = f"workloads[{i}]"
        try:
            curves[w.name] = make_curve(w, _folder(problem))
        except InputError as error:
            faults += [_in_problem(problem, path, fault) for fault in error.faults]
        else:
            faults += _faults_of_rates(problem, path, curves[w.name])
    if faults:
        raise InputError(faults)
    return curves


def schedule_of(curves: dict[str, Curve], month_hours: float) -> Schedule:
    """Blocks that the curves share, in a month of so many hours; the busiest block first."""
    ordered = list(curves.values())
    spans = make_spans(ordered)
    limits = [curve.max_blocks for curve in ordered if curve.max_blocks is not None]
    groups = group_spans(spans, max(limits, default=None))
    if limits:
        groups = _busiest_first(ordered, spans, groups)
    parts = [[spans[i] for i in group] for group in groups]
    namer = _names_by_load if limits else _names_by_activity
    blocks = tuple(
        TimeBlock(name, _clean(math.fsum(span.share for span in part) * month_hours))
        for name, part in zip(namer(parts), parts, strict=True)
    )
    demands = {name: _demand(name, w, c, parts) for w, (name, c) in enumerate(curves.items())}
    return Schedule(blocks, demands, _block_by_hour(parts, clock_hours(ordered)))


def asked_totals(problem: Problem, curve: Curve) -> Totals:
    """What the input asks over the month, reckoned apart from any block."""
    return curve.per_second.times(hours_per_month(problem) * SECONDS_PER_HOUR)


def hours_per_month(problem: Problem) -> float:
    """Hours of the problem's month."""
    return problem.policy.hours_per_month


def _folder(problem: Problem) -> Path:
    """What files are relative to: the problem's folder; for problems from code, the current one."""
    document = problem._origin
    return Path() if document is None or document.file == STDIN_NAME else Path(document.file).parent


def _clean(hours: float) -> float:
    """30.000000000000053 is 30: differences of shares leave noise behind."""
    return float(f"{hours:.13g}")


def _in_problem(problem: Problem, path: str, fault: Fault) -> Fault:
    """A fault without a file is in what the problem says; others are in a trace."""
    if fault.file:
        return fault
    return located(problem, replace(fault, path=f"{path}.{fault.path}"))


def _faults_of_rates(problem: Problem, path: str, curve: Curve) -> Iterator[Fault]:
    highest = max(load.peak for load in curve.loads)
    asked = asked_totals(problem, curve)
    sizes = (highest, asked.requests, asked.tokens)
    if not all(math.isfinite(size) and size > 0 for size in sizes):
        what = "too small" if min(sizes) <= 0 else "too large"
        message = f"the traffic is {what} to reckon with ({highest:g} requests/s)"
        yield located(problem, Fault("", 0, 0, f"{path}.traffic", message))


def _demand(name: str, w: int, curve: Curve, parts: Sequence[Sequence[Span]]) -> Demand:
    peaks = tuple(max(span.loads[w].peak for span in part) for part in parts)
    return Demand(
        workload=name,
        classes=curve.classes,
        peak=peaks,
        mean=tuple(min(peak, _mean(w, part)) for peak, part in zip(peaks, parts, strict=True)),
        efficiency=curve.efficiency,
        batch_multiplier=curve.batch_multiplier,
        sized=curve.sized,
        trace=curve.trace,
        unit=curve.unit,
        requests_per_unit=curve.requests_per_unit,
        can_wait=curve.can_wait,
    )


def _mean(w: int, part: Sequence[Span]) -> float:
    if len({span.loads[w].mean for span in part}) == 1:
        return part[0].loads[w].mean
    requests = math.fsum(span.loads[w].mean * span.share for span in part)
    return requests / math.fsum(span.share for span in part)


def _busiest_first(
    curves: Sequence[Curve], spans: Sequence[Span], groups: list[list[int]]
) -> list[list[int]]:
    """Blocks by the tokens/s they are sized for."""

    def tokens_per_second(group: list[int]) -> float:
        peaks = [max(spans[i].loads[w].peak for i in group) for w in range(len(curves))]
        return sum(p * c.tokens_per_request for p, c in zip(peaks, curves, strict=True))

    return sorted(groups, key=lambda group: (-tokens_per_second(group), group))


def _names_by_load(parts: Sequence[Sequence[Span]]) -> Iterator[str]:
    """`load-1`, the busiest, to `load-n`; `idle` where nobody asks anything."""
    for number, part in zip(count(1), parts, strict=False):
        yield f"load-{number}" if any(any(span.peaks) for span in part) else "idle"


def _names_by_activity(parts: Sequence[Sequence[Span]]) -> Iterator[str]:
    """`active` where all workloads are, `active-2`, ... where only some are, `idle`."""
    for number, part in zip(count(1), parts, strict=False):
        busy = [peak > 0 for peak in part[0].peaks]
        yield "active" if all(busy) else f"active-{number}" if any(busy) else "idle"


def _block_by_hour(parts: Sequence[Sequence[Span]], clock: int) -> tuple[int, ...]:
    """The block with the largest part of each hour; of equal parts, the busier one."""
    largest: dict[int, tuple[float, int]] = {}
    for block, part in enumerate(parts):
        by_hour: dict[int, float] = {}
        for span in part:
            by_hour[span.hour] = by_hour.get(span.hour, 0.0) + span.share
        for hour, share in by_hour.items():
            if share > largest.get(hour, (0.0, 0))[0] + SLIVER:
                largest[hour] = share, block
    return tuple(largest[hour][1] for hour in range(clock))
