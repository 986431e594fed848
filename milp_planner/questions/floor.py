"""The fewest GPUs that a perfect autoscaler could serve a plan's traffic with, hour by hour.

It knows every hour's peak, switches in no time, rents single units of what the plan rents, and runs
them as full as the plan may. For a unit k of μ_kq requests/s of class q,

    c_k = max_q w_q·μ_kq,    w_q = (1 ÷ μ_1q) ÷ Σ_q share_q ÷ μ_1q

is the most that it does of the workload's own mix, however classes are routed: any w with
Σ share_q·w_q = 1 bounds it from above, and with those of unit 1, the one that most is spent on, the
bound is exact where only that is rented. Σ c_k·n_k ≥ peak with the fewest GPUs is a knapsack.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil, inf

from milp_planner.candidates.records import Candidate
from milp_planner.errors import argument_error
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.inputs.reading.arguments import check_kind
from milp_planner.lazily import dataclass
from milp_planner.plans.records import Plan, Purchase
from milp_planner.traffic.month import hours_per_month, make_curves, schedule_of
from milp_planner.traffic.schedule import Demand

ALMOST = 1e-9


@dataclass(frozen=True)
class FloorHour:
    """An hour of the clock, or a time block where there is no clock."""

    name: str
    hours: float
    """Of the month."""

    peak: float
    """What comes to the GPUs, in the workload's unit."""

    gpus: int
    """The fewest that serve it."""

    plan_gpus: int
    """That the plan has on."""


@dataclass(frozen=True)
class Floor:
    """The fewest GPUs for one workload."""

    workload: str
    unit: str
    """What the peaks count: requests/s, tokens/s or users."""

    hours: tuple[FloorHour, ...]
    plan_gpu_hours: float
    """That the plan pays for in a month."""

    @property
    def peak_gpus(self) -> int:
        """In the fullest hour."""
        return max(hour.gpus for hour in self.hours)

    @property
    def gpu_hours(self) -> float:
        """Over the month."""
        return sum(hour.hours * hour.gpus for hour in self.hours)

    @property
    def mean_gpus(self) -> float:
        """Over the hours of the month."""
        return self.gpu_hours / sum(hour.hours for hour in self.hours)

    @property
    def above(self) -> float | None:
        """How far the plan's GPU-hours lie above, as a share of the floor's; None of nothing."""
        return None if self.gpu_hours <= 0 else self.plan_gpu_hours / self.gpu_hours - 1


def floor(plan: Plan, problem: Problem) -> tuple[Floor, ...]:
    """The fewest GPUs for each workload that a plan rents some for.

    plan: of `problem`, solved or read from its document. problem: what the plan answers. What APIs
    serve is left out.

    Returns a Floor for each such workload: GPUs by hour, and GPU-hours per month.

    Raises ArgumentError for a plan without a fleet, or of another problem.

    >>> from milp_planner import floor, load_problem, solve
    >>> problem = load_problem("problems/day-and-night.yaml")
    >>> plan = solve(problem, alternatives=0)
    >>> [one.gpu_hours <= one.plan_gpu_hours for one in floor(plan, problem)]
    [True]
    """
    check_kind(plan, Plan, "solve()")
    check_kind(problem, Problem, "load_problem()")
    if not plan.status.has_plan:
        raise argument_error("there is no fleet in this plan", path="plan")
    return tuple(_floors(plan, problem))


def _floors(plan: Plan, problem: Problem) -> Iterator[Floor]:
    curves = make_curves(problem)
    schedule = schedule_of(curves, hours_per_month(problem))
    if [block.name for block in plan.blocks] != [block.name for block in schedule.blocks]:
        raise argument_error("its time blocks are not the problem's", path="plan")
    clock = schedule.block_by_hour
    for w in plan.workloads:
        rented = [p for p in plan.purchases_of(w.name) if p.units]
        if not rented:
            continue
        demand, curve = schedule.demands[w.name], curves[w.name]
        shares = _units_shares(plan, w.name)
        parts = [(b.name, b.hours, t, demand.peak[t]) for t, b in enumerate(schedule.blocks)]
        if clock and curve.on_clock:
            each = hours_per_month(problem) / len(clock)
            loads = curve.loads
            parts = [
                (_hour(h, len(clock)), each, t, loads[h % len(loads)].peak)
                for h, t in enumerate(clock)
            ]
        fewest = _Fewest(rented, demand, problem.workload(w.name), w.utilization_limit)
        yield Floor(
            workload=w.name,
            unit=w.unit,
            hours=tuple(
                FloorHour(
                    name=name,
                    hours=hours,
                    peak=peak * shares[t],
                    gpus=fewest.gpus_for(peak * shares[t]),
                    plan_gpus=sum(p.units_by_block[t] * p.candidate.gpus_per_unit for p in rented),
                )
                for name, hours, t, peak in parts
            ),
            plan_gpu_hours=sum(p.unit_hours * p.candidate.gpus_per_unit for p in rented),
        )


def _hour(h: int, clock: int) -> str:
    day = "" if clock == HOURS_OF_A_DAY else f"day {h // HOURS_OF_A_DAY + 1} "
    return f"{day}{h % HOURS_OF_A_DAY:02d}:00"


HOURS_OF_A_DAY = 24


def _units_shares(plan: Plan, workload: str) -> list[float]:
    """Share of a workload's requests that units serve, by block."""
    served = dict.fromkeys((block.name for block in plan.blocks), 0.0)
    for r in plan.routes:
        if r.candidate.workload == workload and not r.candidate.mode.per_token:
            served[r.block.name] += r.request_class.share * r.share
    return [*served.values()]


class _Fewest:
    """The knapsack: most requests/s by GPUs, grown as it is asked."""

    def __init__(
        self, rented: Sequence[Purchase], demand: Demand, workload: Workload, limit: float
    ) -> None:
        candidates = {p.candidate.id: p.candidate for p in rented}.values()
        main = max(rented, key=lambda p: p.cash_usd_per_month).candidate
        weights = _weights(main, demand)
        self.units = [
            (
                k.gpus_per_unit,
                limit
                * max(w * rate for w, rate in zip(weights, k.requests_per_second, strict=True)),
            )
            for k in candidates
        ]
        per_replica = min(k.gpus_per_unit / k.replicas_per_unit for k in candidates)
        self.least = ceil(workload.min_replicas * per_replica - ALMOST)
        self.most = [0.0]

    def gpus_for(self, peak: float) -> int:
        """The fewest GPUs whose units carry so much; 0 for nothing."""
        if peak <= 0:
            return 0
        while self.most[-1] < peak * (1 - ALMOST):
            n = len(self.most)
            tries = (self.most[n - g] + rate for g, rate in self.units if g <= n)
            self.most.append(max([self.most[-1], *tries]))
        enough = next(n for n, most in enumerate(self.most) if most >= peak * (1 - ALMOST))
        return max(enough, self.least)


def _weights(main: Candidate, demand: Demand) -> list[float]:
    """w_q, of the unit that most is spent on; 0 for a class that it cannot serve."""
    times = [1 / rate if rate > 0 else 0.0 for rate in main.requests_per_second]
    whole = sum(q.share * s for q, s in zip(demand.classes, times, strict=True))
    return [s / whole if whole > 0 else inf for s in times]
