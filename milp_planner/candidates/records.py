"""Which offering can serve which workload, at what rate; and why the others cannot.

Everything that can be decided without the program is decided here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

from milp_planner.grouping import grouped
from milp_planner.inputs.catalog.billing import BILLING_MODES, BillingMode
from milp_planner.inputs.catalog.records import Catalog, Measurement, Offering, TokenPrice
from milp_planner.inputs.problem.policies import shares_units
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, field
from milp_planner.serving.operating_point import EngineRate
from milp_planner.serving.shared_gpu import GpuSet
from milp_planner.traffic.month import RequestClass, Schedule


@dataclass(frozen=True)
class RatePoint:
    """How one replica serves one request class."""

    requests_per_second: float
    """Planned rate at full load, after the derate; 0 where the class cannot be served."""

    derate: float
    concurrency: float | None
    tpot_s: float | None
    ttft_s: float | None
    ttft_measured: bool
    source: str
    """measured, calibrated, estimated, raw or provider; none where the class cannot be served."""

    detail: str = ""
    """What the source is, or why the class cannot be served."""

    warnings: tuple[str, ...] = ()
    engine: str = ""
    """The engine of the rows that the rate stands on; '' where it is estimated."""

    engines: tuple[EngineRate, ...] = field(default=(), compare=False)
    """What each engine was measured at here, where rows of several engines exist."""

    rows: tuple[Measurement, ...] = field(default=(), compare=False)
    """The measurements that the rate stands on; a plan read from its document has none."""

    service_s: float | None = field(default=None, compare=False)
    """Of users at once: the time of a request in a full batch, as planned; None of other traffic,
    and where a plan is read from its document."""


@dataclass(frozen=True)
class HeldInFlight:
    """What a wait depends on, beside the rate of a replica."""

    places: int
    """Requests in flight in a full replica."""

    alone: float
    """Time in service of a request that is alone ÷ that in a full replica, on the safe side."""

    reached: float = 1.0
    """Share of the planned rate that a full replica reaches with requests of unlike sizes."""


@dataclass(frozen=True)
class Meanwhile:
    """What a unit does of another workload's batches in the time that its own load leaves."""

    workload: str
    requests_per_second: tuple[float, ...]
    """Of a unit that does nothing else, by request class of that workload; 0: cannot serve it."""

    longest_token_s: float
    """Of an output token in a replica full of such requests, prompts in turns with it; infinite
    where the requests in flight are not known   [s]."""


@dataclass(frozen=True, eq=False)
class Candidate:
    """One offering serving one workload in one replica configuration."""

    workload: str
    offering: Offering | TokenPrice
    precision: str
    tensor_parallel: int
    replicas_per_unit: int
    points: tuple[RatePoint, ...]
    """One per request class of the workload, in its order."""

    shares: tuple[float, ...]
    """The classes' shares of the requests."""

    usd_per_request: tuple[float, ...] = ()
    """Per-token billing only: price of one request of each class."""

    deployment: str = ""
    """Engine and settings of the replicas, in words; '' where rates are taken at their word."""

    classes: tuple[RequestClass, ...] = ()
    """The request classes themselves, in the same order; empty where nobody needs them."""

    units_joined: int = 1
    """Units of the offering that make one unit here, for replicas that span several: prices,
    GPUs and rates below are theirs together, quotas and changes count each."""

    pipeline_parallel: int = 1
    """Pipeline stages of a replica, each of `tensor_parallel` GPUs."""

    part_of_unit: bool = False
    """True for a replica on a unit that others may share: units, GPUs and price are its part."""

    gpu_set: GpuSet | None = None
    """LLMs that share the one GPU of the unit, and it is one of them; None where none do."""

    meanwhile: tuple[Meanwhile, ...] = field(default=(), repr=False)
    """What its units can do of batches, beside what they are for."""

    llm: str = ""
    """The LLM that it serves, as the problem calls it; '' where its workload has but one."""

    held: HeldInFlight | None = field(default=None, repr=False)
    """Of a replica; None where no wish of the workload depends on queues."""

    def holding(self, held: HeldInFlight) -> Candidate:
        """The same with what is known of its queue, and all that is reckoned of it already."""
        found = object.__new__(Candidate)  # nothing that is cached depends on it
        found.__dict__.update(self.__dict__, held=held)
        return found

    @property
    def places_per_unit(self) -> int:
        """Requests in flight in a full unit; 0 where no wish depends on it."""
        return 0 if self.held is None else self.held.places * self.replicas_per_unit

    @property
    def queued_requests_per_second(self) -> float:
        """Requests/s of the workload's mix that a full unit completes behind a queue."""
        return self.mix_requests_per_second * (1.0 if self.held is None else self.held.reached)

    @cached_property
    def mode(self) -> BillingMode:
        """How it is paid."""
        return BILLING_MODES[self.offering.billing]

    @property
    def commitment_months(self) -> int:
        """Months that are paid whether or not the unit runs; 0 where it may be given back."""
        stated: int | None = getattr(self.offering, "term_months", None)
        return stated or self.mode.commitment_months

    @cached_property
    def id(self) -> str:
        """Unique and readable: workload, offering, billing, replica and, of several, LLM."""
        return (
            f"{self.workload} on {self.offering.id} {self.offering.billing} "
            f"{self.precision} tp{self.tensor_parallel}"
            + (f" {self.llm}" if self.llm else "")
            + (f" on a GPU of {self.gpu_set.label}" if self.gpu_set else "")
            + (" of a shared unit" if self.part_of_unit and not self.gpu_set else "")
        )

    @cached_property
    def order(self) -> tuple[float, float, str]:
        """Of equals the first is preferred: more host memory, more vCPUs, then by name."""
        row = self.offering
        if not isinstance(row, Offering):
            return 0.0, 0.0, self.id
        hosts = (row.host_memory_gib, row.vcpus)
        memory, vcpus = (-(fact or 0.0) / row.gpus_per_unit for fact in hosts)
        return memory, vcpus, self.id

    @property
    def provider(self) -> str:
        """Who rents it."""
        return self.offering.provider

    @property
    def owner(self) -> str:
        """Whom limits and losses count: the provider that stands behind who sells it."""
        return self.offering.owner

    @property
    def region(self) -> str:
        """Where it runs."""
        return self.offering.region

    @property
    def place(self) -> str:
        """The real place, `us/washington`; '' where the metropolitan area is not known."""
        return self.offering.place

    @property
    def gpu(self) -> str:
        """GPU type; '' for per-token offerings."""
        return self.offering.gpu if isinstance(self.offering, Offering) else ""

    @property
    def gpus_per_unit(self) -> int:
        """GPUs of one unit, or of those joined to one; 0 for per-token offerings."""
        if not isinstance(self.offering, Offering):
            return 0
        if self.part_of_unit:
            return self.tensor_parallel * self.pipeline_parallel
        return self.offering.gpus_per_unit * self.units_joined

    @property
    def usd_per_hour(self) -> float:
        """Price of an hour of a unit, or of those joined to one; 0 for per-token offerings."""
        if not isinstance(self.offering, Offering):
            return 0.0
        if self.part_of_unit:
            return self.offering.usd_per_hour * self.gpus_per_unit / self.offering.gpus_per_unit
        return self.offering.usd_per_hour * self.units_joined

    @property
    def rate_limit(self) -> float | None:
        """Per-token billing only: requests/s that the provider accepts; None where unlimited."""
        if not isinstance(self.offering, TokenPrice):
            return None
        per_minute = self.offering.max_requests_per_minute
        return None if per_minute is None else per_minute / 60

    @cached_property
    def requests_per_second(self) -> tuple[float, ...]:
        """Capacity of a unit for each request class alone (μ_kq), requests/s; 0: cannot serve."""
        return tuple(self.replicas_per_unit * point.requests_per_second for point in self.points)

    @cached_property
    def mix_requests_per_second(self) -> float:
        """Capacity of a unit for the workload's own mix, requests/s: 1 ÷ Σ_q share_q ÷ μ_kq.

        0 where some class cannot be served, and for per-token offerings.
        """
        return self.part_requests_per_second if self.serves_all else 0.0

    @cached_property
    def part_requests_per_second(self) -> float:
        """The same for the part of the mix that it can serve: Σ share_q ÷ Σ (share_q ÷ μ_kq)."""
        if self.mode.per_token:
            return 0.0
        able = [
            (share, rate)
            for share, rate in zip(self.shares, self.requests_per_second, strict=True)
            if rate > 0
        ]
        part = 1.0 if self.serves_all else sum(share for share, _ in able)
        return part / sum(share / rate for share, rate in able)

    @cached_property
    def serves_all(self) -> bool:
        """False where it cannot serve some class of the workload."""
        return all(point.requests_per_second > 0 for point in self.points)

    @property
    def serving_points(self) -> tuple[RatePoint, ...]:
        """The points of the classes that it can serve."""
        return tuple(point for point in self.points if point.requests_per_second > 0)

    @property
    def sources(self) -> tuple[str, ...]:
        """Where the rates come from, without repeats, in the order of the classes."""
        return tuple(dict.fromkeys(point.source for point in self.serving_points))


def change_key(k: Candidate) -> tuple[str, str, str]:
    """What counts as the same units today and tomorrow: offering, billing, workload."""
    return k.offering.id, k.offering.billing, k.workload


def gpus_of_unit(k: Candidate) -> int:
    """GPUs of a unit of the offering, whoever shares it; 0 for per-token offerings."""
    return k.offering.gpus_per_unit if isinstance(k.offering, Offering) else 0


def unit_kind(k: Candidate) -> tuple[str, int]:
    """What replicas that fit on a unit depend on: its GPU type and how many it has."""
    return k.gpu, gpus_of_unit(k)


def is_elastic(problem: Problem, k: Candidate) -> bool:
    """True where the units of `k` may differ from block to block, or its part of a GPU's time."""
    return k.mode.elastic or (k.gpu_set is not None and k.workload != "")


def rests_when_idle(problem: Problem, k: Candidate) -> bool:
    """True where units are off, and unpaid, in blocks in which their workload has no load.

    One rule for all that is sold by the hour. What is elastic follows the load in all other blocks
    as well; units on demand are as many in all of them. What is paid by the month, reserved, owned,
    or shared by workloads with idle blocks of their own, is paid whether or not it is off.
    """
    is_shared = k.part_of_unit or not k.workload
    if k.mode.elastic or k.mode.name != "dedicated" or is_shared:
        return k.mode.elastic
    billed_by = getattr(k.offering, "billed_by", None)
    wished = problem.policy.switch_off_dedicated
    if wished is None:
        return billed_by in ("second", "minute", "hour")
    return wished and billed_by != "month"


def hours_held(instance: PlanningInput, k: Candidate) -> float:
    """Hours per month that a unit of `k` is paid for where it is on in every block it can be."""
    blocks = instance.schedule.blocks
    if not rests_when_idle(instance.problem, k):
        return sum(block.hours for block in blocks)
    peaks = instance.schedule.demands[k.workload].peak
    return sum(block.hours for block, peak in zip(blocks, peaks, strict=True) if peak > 0)


@dataclass(frozen=True)
class UnitsOn:
    """Units of one candidate that are on, block by block."""

    candidate: Candidate
    """What is rented."""

    units_by_block: tuple[int, ...]
    """Units on in each time block; zeros for per-token use."""

    hours_by_block: tuple[float, ...]
    """Hours paid for a unit that is on in the block."""

    @property
    def units(self) -> int:
        """Most units on at any time."""
        return max(self.units_by_block, default=0)

    @property
    def gpus(self) -> int:
        """Most GPUs on at any time."""
        return self.units * self.candidate.gpus_per_unit

    @property
    def unit_hours(self) -> float:
        """Hours paid per month, summed over the units."""
        return sum(
            hours * units
            for hours, units in zip(self.hours_by_block, self.units_by_block, strict=True)
        )


@dataclass(frozen=True)
class TurnedDown:
    """An offering that cannot serve a workload, and the one reason."""

    workload: str
    offering: Offering | TokenPrice
    reason: str


@dataclass(frozen=True)
class CandidateList:
    """All candidates of a problem, sorted, and every offering turned down."""

    candidates: tuple[Candidate, ...]
    turned_down: tuple[TurnedDown, ...]
    warnings: Sequence[str] = ()
    notes: Sequence[str] = ()
    """What the filters do that their words do not show."""

    doubts: Sequence[str] = ()
    """What of the user's own input looks like a slip: it counts, and is asked about."""

    lacks_specks: bool = False
    """True where what carries next to nothing of the peak was left out: less traffic may use it."""

    not_reached: tuple[str, ...] = ()
    """Names of workloads that nothing is listed for, because time was up."""

    parts: tuple[Candidate, ...] = field(default=(), repr=False)
    """Replicas that may stand on units others share, each on the first offering of its kind met."""

    before_queues: tuple[Candidate, ...] = field(default=(), repr=False)
    """Of workloads with wishes for waits that a plan without them may keep by routing its request
    classes apart: what serves with so many requests in flight, whichever classes."""

    parts_before_queues: tuple[Candidate, ...] = field(default=(), repr=False)
    """The same of replicas that may stand on units others share."""

    @property
    def every(self) -> tuple[Candidate, ...]:
        """All that are listed here, whatever for."""
        own = self.parts, self.before_queues, self.parts_before_queues
        return sum(own, self.candidates)

    def of(self, workload: str) -> Sequence[Candidate]:
        """The candidates of one workload."""
        return self._of_workload.get(workload, ())

    @cached_property
    def _of_workload(self) -> dict[str, list[Candidate]]:
        return grouped(self.candidates, lambda k: k.workload)

    def turned_down_for(self, workload: str) -> Sequence[TurnedDown]:
        """The offerings that cannot serve it."""
        return self._turned_down_for.get(workload, ())

    @cached_property
    def _turned_down_for(self) -> dict[str, list[TurnedDown]]:
        return grouped(self.turned_down, lambda row: row.workload)

    @property
    def said(self) -> tuple[str, ...]:
        """All that is to be known of them, what is asked about first."""
        return (*self.doubts, *self.warnings, *self.notes)


@dataclass(frozen=True)
class PlanningInput:
    """Everything the program is built from: question, month, candidates and catalog."""

    problem: Problem
    schedule: Schedule
    candidates: CandidateList
    catalog: Catalog

    def current_units(self) -> Mapping[tuple[str, str, str], int]:
        """Units running today by (offering id, billing, workload), '' where replicas share them."""
        return self._current_units

    @cached_property
    def _current_units(self) -> dict[tuple[str, str, str], int]:
        units: dict[tuple[str, str, str], int] = {}
        for row in self.problem.current_fleet:
            offered = row.offering, row.billing or "dedicated"
            key = *offered, "" if offered in self._shared_today else row.workload
            units[key] = units.get(key, 0) + row.units
        return units

    def runs_today(self, unit: Candidate) -> bool:
        """True where units of its offering run today, whoever's they are."""
        return any(key[:2] == unit.offering.key for key in self._current_units)

    @cached_property
    def _shared_today(self) -> frozenset[tuple[str, str]]:
        """Offerings of today's units that replicas of any workload may share."""
        if not shares_units(self.problem):
            return frozenset()
        running = {row.offering for row in self.problem.current_fleet}
        sold = (row for row in self.catalog.offerings if row.id in running)
        return frozenset(row.key for row in sold if row.gpus_per_unit > 1)
