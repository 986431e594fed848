"""A stretch of metrics held against a plan: which assumption broke, by how much, at what cost.

What it costs is not guessed: with the problem beside it, each broken assumption is solved for by
itself, and all of them together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from milp_planner.errors import did_you_mean, input_error
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.plans.plain import clean
from milp_planner.plans.records import Plan, WorkloadPlan
from milp_planner.questions.solve import solve
from milp_planner.traffic.sources.bucket_rates import rates_of, sums_of
from milp_planner.traffic.sources.buckets import Bucket, BucketFile
from milp_planner.traffic.trace import read_trace
from milp_planner.units import SECONDS_PER_HOUR

TOLERANCE = 0.10
"""Relative distance from what was planned up to which an assumption holds."""

PERCENTILE = 0.99
"""Of the rates by the scrape, that is taken for the peak, as a trace's default."""

Changes = Mapping[str, Any]


@dataclass(frozen=True)
class Assumption:
    """One thing that a plan stands on, and what was measured."""

    name: str
    unit: str
    planned: float
    measured: float
    broke: bool
    usd_per_month: float | None = None
    """What a plan with it costs more than one without; None where it was not solved for."""

    @property
    def distance(self) -> float:
        """Measured ÷ planned − 1; infinite where nothing was planned."""
        return self.measured / self.planned - 1 if self.planned else float("inf")


@dataclass(frozen=True)
class Review:
    """Metrics against a plan."""

    workload: str
    hours: float
    assumptions: tuple[Assumption, ...]
    not_told: tuple[str, ...]
    """What the plan assumes and the metrics do not tell."""

    together_usd_per_month: float | None = None
    """What all that broke costs at once, beyond the plan of the problem; None: not solved."""

    futures: int = 0
    """How many futures costs are an average over; what was planned is of the leading one."""

    @property
    def broken(self) -> tuple[Assumption, ...]:
        """Those that do not hold."""
        return tuple(one for one in self.assumptions if one.broke)

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data, ready for JSON."""
        rows = [
            {**vars(one), "distance": one.distance if one.planned else None}
            for one in self.assumptions
        ]
        return clean({**vars(self), "assumptions": rows, "not_told": list(self.not_told)})


def review(
    plan: Plan,
    metrics: Path,
    *,
    workload: str | None = None,
    problem: Problem | None = None,
    catalog: Catalog | None = None,
    tolerance: float = TOLERANCE,
) -> Review:
    """The assumptions of a workload in a plan beside what metrics tell.

    metrics: a file that counts requests by the time, Prometheus' answers above all. workload: its
    name; may be left out where the plan has one. problem: what the plan was of, to solve for what
    a broken assumption costs. Raises InputError for a file of another kind, and for names unknown.
    """
    w = _workload(plan, workload)
    found = read_trace(metrics)
    if not isinstance(found, BucketFile):
        said = (
            "holds single requests, not counts by the time; milp-planner replay --trace sends them"
        )
        raise input_error(said, file=str(metrics))
    pairs = list(_pairs(plan, w, found.buckets))
    told = [(name, unit, planned, got) for name, unit, planned, got in pairs if got is not None]
    assumptions = tuple(
        Assumption(name, unit, planned, got, _broke(name, planned, got, tolerance))
        for name, unit, planned, got in told
    )
    missing = tuple(name for name, _, _, got in pairs if got is None)
    hours = sum(b.width_s for b in found.buckets) / SECONDS_PER_HOUR
    if problem is None:
        return Review(w.name, hours, assumptions, missing)
    return _priced(problem, catalog, Review(w.name, hours, assumptions, missing))


def _workload(plan: Plan, name: str | None) -> WorkloadPlan:
    names = [w.name for w in plan.workloads]
    if name is None and len(names) == 1:
        return plan.workloads[0]
    if name not in names:
        said = "required" if name is None else f"the plan has no workload {name!r}"
        near = "" if name is None else did_you_mean(name, names)
        raise input_error(f"{said}{near}; has {', '.join(names)}", path="workload")
    return plan.workloads[names.index(name)]


def _pairs(
    plan: Plan, w: WorkloadPlan, buckets: Sequence[Bucket]
) -> Iterator[tuple[str, str, float, float | None]]:
    """(name, unit, planned, measured) of what a plan stands on; None where it is not told."""
    sums, rates = sums_of(buckets), rates_of(buckets, PERCENTILE)
    if w.unit == "requests/s":
        highest = max(peak for _, peak, _ in rates.parts)
        yield PEAK, "requests/s", w.peak_requests_per_second, highest
    inputs, outputs = _planned_sizes(plan, w)
    for name, planned, total in ((INPUT, inputs, sums.inputs), (OUTPUT, outputs, sums.outputs)):
        if planned is not None:
            each = None if total is None or not sums.requests else total / sums.requests
            yield name, "tokens", planned, each
    settings = None if w.deployed is None else w.deployed.settings
    if settings is not None:
        share = None if sums.cached is None or not sums.inputs else sums.cached / sums.inputs
        yield CACHED, "of the input", settings.prefix_cache_share, share
    for name, wish, key in ((TPOT, w.tpot_wish_s, "tpot_s"), (TTFT, w.ttft_wish_s, "ttft_s")):
        if wish is not None:
            yield name, "s", wish, _weighed(buckets, key)


PEAK, INPUT, OUTPUT = "peak rate", "input of a request", "output of a request"
CACHED, TPOT, TTFT = "prefix cache", "tpot wish", "ttft wish"


def _broke(name: str, planned: float, measured: float, tolerance: float) -> bool:
    """Wishes break above themselves, shares by a distance of their own, all else either way."""
    if name in (TPOT, TTFT):
        return measured > planned
    if name == CACHED:
        return abs(measured - planned) > tolerance
    return abs(measured - planned) > tolerance * planned


def _weighed(buckets: Sequence[Bucket], key: str) -> float | None:
    """The mean over the requests of those buckets that tell it."""
    told = [(b.requests, getattr(b, key)) for b in buckets if getattr(b, key) is not None]
    requests = sum(count for count, _ in told)
    return sum(count * value for count, value in told) / requests if requests else None


def _planned_sizes(plan: Plan, w: WorkloadPlan) -> tuple[float | None, float | None]:
    """Mean input and output of a request in the busiest block; None where sizes are not told."""
    routes = [r for block in plan.blocks for r in plan.routes_of(w.name, block.name)]
    rate = sum(r.requests_per_second for r in routes)
    if not rate or all(r.request_class.tokens <= 1 for r in routes):
        return None, None
    means = (
        sum(r.requests_per_second * size for r, size in zip(routes, sizes, strict=True)) / rate
        for sizes in (
            [r.request_class.input_tokens for r in routes],
            [r.request_class.output_tokens for r in routes],
        )
    )
    inputs, outputs = means
    return inputs, outputs


# What it costs


def _priced(problem: Problem, catalog: Catalog | None, found: Review) -> Review:
    base = _cash_usd(solve(problem, catalog, alternatives=0))
    changes = {one.name: _change(problem, found.workload, one) for one in found.broken}

    def cost(change: Changes | None) -> float | None:
        if not change or base is None:
            return None
        cash = _cash_usd(solve(problem.changed(change), catalog, alternatives=0))
        return None if cash is None else cash - base

    priced = tuple(
        Assumption(
            one.name, one.unit, one.planned, one.measured, one.broke, cost(changes.get(one.name))
        )
        for one in found.assumptions
    )
    every, futures = _merged(changes.values()), len(problem.futures)
    return Review(found.workload, found.hours, priced, found.not_told, cost(every), futures)


def _cash_usd(plan: Plan) -> float | None:
    """A month's; on average where there are several futures, of which the plan is one."""
    told = plan.futures
    return plan.cash_usd_per_month if told is None else told.cash_usd_per_month


def _change(problem: Problem, workload: str, one: Assumption) -> Changes | None:
    """What of the problem says the measured value; None where nothing does."""
    w, at = problem.workload(workload), f"workloads.{workload}"
    changes: dict[str, Callable[[], Changes | None]] = {
        PEAK: lambda: {f"{at}.traffic.growth": w.traffic.growth * one.measured / one.planned},
        INPUT: lambda: _sized(problem, workload, "input_tokens", one.measured / one.planned),
        OUTPUT: lambda: _sized(problem, workload, "output_tokens", one.measured / one.planned),
        CACHED: lambda: {f"{at}.deployment.prefix_cache_share": min(0.999, one.measured)},
    }
    return changes[one.name]() if one.name in changes else None


def _sized(problem: Problem, workload: str, key: str, times: float) -> Changes | None:
    """Every class so many times as long; None where a trace brings the classes."""
    w = problem.workload(workload)
    if not w.classes:
        return None
    sizes = [size.model_dump(exclude_none=True) for size in w.classes]
    longer = [{**size, key: size[key] * times} for size in sizes]
    return {f"workloads.{workload}.requests": longer}


def _merged(changes: Any) -> Changes:
    """All changes at once; sizes of both kinds change the same classes."""
    found: dict[str, Any] = {}
    for change in filter(None, changes):
        for path, value in change.items():
            earlier = found.get(path)
            if isinstance(value, list) and earlier is not None:
                value = [
                    {**one, "output_tokens": other["output_tokens"]}
                    for one, other in zip(earlier, value, strict=True)
                ]
            found[path] = value
    return found
