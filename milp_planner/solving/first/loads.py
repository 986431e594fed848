"""What a workload asks, and what a candidate needs and costs to carry a share of it.

    n_t = ⌈s λ_t ÷ (u μ_k)⌉      units for the share s of the workload, at least its replicas

Units that are held all month are as many as the busiest block needs.
"""

from __future__ import annotations

import math
from functools import cached_property

from milp_planner.candidates.records import Candidate, PlanningInput, is_elastic
from milp_planner.inputs.problem.policies import utilization_limit
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.milp.program.language.variables import ceil_snapped
from milp_planner.traffic.month import Demand


@dataclass(frozen=True)
class Part:
    """What one candidate serves of a workload, in every block with load."""

    candidate: Candidate
    shares: tuple[float, ...]
    """Share of each request class."""

    units: tuple[int, ...]
    """Units on per block; zeros for per-token offerings."""

    usd_per_month: float
    """Rent and tokens."""


@dataclass(frozen=True)
class Load:
    """One workload's demand, in the figures that fleets are reckoned with."""

    problem: Problem
    demand: Demand
    hours: tuple[float, ...]
    requests: tuple[float, ...]
    """Requests of the month per block."""

    limit: float
    """The highest utilization."""

    min_replicas: int

    @classmethod
    def of(cls, instance: PlanningInput, workload: str) -> Load:
        """The load of a workload of `instance`."""
        schedule, asked = instance.schedule, instance.problem.workload(workload)
        return cls(
            problem=instance.problem,
            demand=schedule.demands[workload],
            hours=tuple(block.hours for block in schedule.blocks),
            requests=tuple(
                schedule.requests_per_month(workload, t) for t in range(len(schedule.blocks))
            ),
            limit=utilization_limit(instance.problem, asked),
            min_replicas=asked.min_replicas,
        )

    @cached_property
    def volume(self) -> float:
        """Σ_t h_t λ_t: peak rates over the hours that they are sized for."""
        return sum(h * peak for h, peak in zip(self.hours, self.demand.peak, strict=True))

    @cached_property
    def month_hours(self) -> float:
        """Hours of the month."""
        return sum(self.hours)

    @cached_property
    def busy_hours(self) -> float:
        """Hours with load."""
        return sum(h for h, peak in zip(self.hours, self.demand.peak, strict=True) if peak > 0)

    @cached_property
    def month_requests(self) -> float:
        """Requests of the month."""
        return sum(self.requests)

    def rough_usd(self, k: Candidate) -> float:
        """Near what it costs to serve all by `k` alone, USD/month; inf where `k` cannot."""
        if k.mode.per_token:
            return self._tokens_usd(k, (1.0,) * len(k.shares))
        usable = self.limit * k.mix_requests_per_second
        if usable <= 0:
            return math.inf
        least = max(1.0, self.min_replicas / k.replicas_per_unit)
        if is_elastic(self.problem, k):
            return k.usd_per_hour * max(self.volume / usable, least * self.busy_hours)
        units = max(self.demand.highest_peak / usable, least)
        return k.usd_per_hour * self.month_hours * ceil_snapped(units)

    def carried_by(self, k: Candidate, units: float) -> float:
        """Share of the workload that so many units carry in its busiest block, at most all."""
        usable = self.limit * k.mix_requests_per_second
        return min(1.0, units * usable / self.demand.highest_peak)

    def part(self, k: Candidate, share: float, *, of_lost: float = 0.0, parts: int = 1) -> Part:
        """`k` with a share of every class, and units for it.

        of_lost: share of the workload that the units must be able to carry at 100 % once another
        part is lost. parts: how many there are like this one, which bring the replicas together.
        """
        shares = (share,) * len(self.demand.classes)
        return self.part_of_classes(k, shares, of_lost=of_lost, parts=parts)

    def part_of_classes(
        self, k: Candidate, shares: tuple[float, ...], *, of_lost: float = 0.0, parts: int = 1
    ) -> Part:
        """`k` with a share of each class, and units for them."""
        if k.mode.per_token:
            nothing = (0,) * len(self.hours)
            return Part(k, shares, nothing, self._tokens_usd(k, shares))
        work = sum(
            share * q.share / rate
            for share, q, rate in zip(
                shares, self.demand.classes, k.requests_per_second, strict=True
            )
            if share > 0
        )
        after_loss = of_lost / k.mix_requests_per_second if of_lost else 0.0
        per_peak = max(work / self.limit, after_loss)
        replicas = self.min_replicas if self.min_replicas > 1 else 0
        least = ceil_snapped(replicas / (parts * k.replicas_per_unit))
        return self.with_units(k, shares, per_peak, least)

    def with_units(
        self, k: Candidate, shares: tuple[float, ...], per_peak: float, least: int
    ) -> Part:
        """`k` with units in proportion to the peak of each block, and at least so many."""
        units = tuple(
            max(least, ceil_snapped(per_peak * peak)) if peak > 0 else 0
            for peak in self.demand.peak
        )
        if not is_elastic(self.problem, k):
            units = (max(units),) * len(units)
        hours = sum(h * n for h, n in zip(self.hours, units, strict=True))
        return Part(k, shares, units, k.usd_per_hour * hours)

    def _tokens_usd(self, k: Candidate, shares: tuple[float, ...]) -> float:
        per_request = sum(
            share * q.share * usd
            for share, q, usd in zip(shares, self.demand.classes, k.usd_per_request, strict=True)
        )
        return per_request * self.month_requests
