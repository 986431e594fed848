"""The one measurement that would tighten a plan most."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import RatePoint
from milp_planner.inputs.reading.arguments import check_kind
from milp_planner.lazily import dataclass, replace
from milp_planner.plans.records import Plan, Route

ESTIMATES = ("estimated", "calibrated", "published")
"""Sources of a rate that a measurement would replace."""


@dataclass(frozen=True)
class MeasureNext:
    """A replica and request size worth measuring."""

    workload: str
    llm: str
    gpu: str
    precision: str
    tensor_parallel: int
    input_tokens: float
    output_tokens: float
    usd_per_month: float
    """Spent on the rate, in USD/month."""

    derate: float

    @property
    def at_stake_usd_per_month(self) -> float:
        """Spend × (1 − derate): what is paid for not knowing."""
        return self.usd_per_month * (1 - self.derate)

    @property
    def text(self) -> str:
        """`h200-141gb-sxm tp 1 at 1500/300 tokens`."""
        size = f"{self.input_tokens:.10g}/{self.output_tokens:.10g}"
        return f"{self.gpu} tp {self.tensor_parallel} at {size} tokens"


def measure_next(plan: Plan) -> MeasureNext | None:
    """The estimated rate of the plan with the largest spend × (1 − derate).

    plan: what `solve` gives. What a purchase costs is shared among its request classes by the time
    they take.

    Returns a MeasureNext, with its spend in USD per month; None where no rate is estimated, and for
    a plan that was read from its document without its rates.

    Raises ArgumentError for anything but a Plan.

    >>> from milp_planner import load_problem, measure_next, solve
    >>> found = measure_next(solve(load_problem("problems/quickstart.yaml"), alternatives=0))
    >>> found and (found.workload, found.at_stake_usd_per_month < found.usd_per_month)
    ('chat', True)
    """
    check_kind(plan, Plan, "solve()")
    summed: dict[MeasureNext, float] = {}
    for found in _estimated_rates(plan):
        key = _without_spend(found)
        summed[key] = summed.get(key, 0.0) + found.usd_per_month
    rows = [_with_spend(key, usd) for key, usd in summed.items() if key.derate < 1]
    return max(rows, key=lambda row: (row.at_stake_usd_per_month, row.text), default=None)


def spend_by_rate(plan: Plan) -> Iterator[tuple[RatePoint, float]]:
    """Every rate that something is routed to, with what is spent on it in USD/month."""
    for _, point, usd in spend_by_route(plan):
        yield point, usd


def _estimated_rates(plan: Plan) -> Iterator[MeasureNext]:
    llms = {w.name: w.llm for w in plan.workloads}
    for route, point, usd in spend_by_route(plan):
        if point.source not in ESTIMATES:
            continue
        k = route.candidate
        yield MeasureNext(
            workload=k.workload,
            llm=k.llm or llms[k.workload],
            gpu=k.gpu,
            precision=k.precision,
            tensor_parallel=k.tensor_parallel,
            input_tokens=route.request_class.input_tokens,
            output_tokens=route.request_class.output_tokens,
            usd_per_month=usd,
            derate=point.derate,
        )


def spend_by_route(plan: Plan) -> Iterator[tuple[Route, RatePoint, float]]:
    """What each purchase costs, shared among its routes by the time that they take."""
    routes_to: dict[int, list[Route]] = {}  # by identity: hashing candidates takes long
    for route in plan.routes:
        routes_to.setdefault(id(route.candidate), []).append(route)
    for purchase in plan.purchases:
        k = purchase.candidate
        routes = routes_to.get(id(k), [])
        if not (k.classes and k.points):
            continue
        at = {q: index for index, q in enumerate(k.classes)}
        classes = [at[route.request_class] for route in routes]
        work = [
            _unit_hours(route, k.requests_per_second[q])
            for route, q in zip(routes, classes, strict=True)
        ]
        total = sum(work)
        if total:
            for route, q, hours in zip(routes, classes, work, strict=True):
                yield route, k.points[q], purchase.cash_usd_per_month * hours / total


def _unit_hours(route: Route, requests_per_second: float) -> float:
    """Hours that one unit, of so many requests/s, would work on what is routed to it."""
    rate = requests_per_second
    return route.requests_per_second / rate * route.block.hours if rate else 0.0


def _without_spend(row: MeasureNext) -> MeasureNext:
    return _with_spend(row, 0.0)


def _with_spend(row: MeasureNext, usd: float) -> MeasureNext:
    return replace(row, usd_per_month=usd)
