"""The answer as plain data: what to buy, who serves what, what it costs, and how sure we are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, StrEnum
from functools import cached_property, singledispatch
from operator import mul
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from milp_planner.candidates.batch.runs import BatchRun as BatchRun
from milp_planner.candidates.records import Candidate, TurnedDown, UnitsOn
from milp_planner.candidates.sharing.shared_units import SharedUnits as SharedUnits
from milp_planner.errors import argument_error
from milp_planner.grouping import by_workload, grouped
from milp_planner.lazily import dataclass, field
from milp_planner.plans.consequences import (
    NOT_INCLUDED,
    CommitmentUse,
    DocumentParts,
    Loss,
    ResilienceCost,
    StalePrices,
    UnitChange,
)
from milp_planner.plans.deployed.records import DeployedLlm as DeployedLlm
from milp_planner.plans.deployed.records import Exported as Exported
from milp_planner.plans.diagnosis import Diagnosis
from milp_planner.plans.futures.records import FuturesPlan
from milp_planner.plans.plain import as_files, as_page, as_plot, plain_data
from milp_planner.plans.proof import EngineReport as EngineReport
from milp_planner.plans.proof import Proof as Proof
from milp_planner.plans.proof import Provenance as Provenance
from milp_planner.plans.proof import relative_gap
from milp_planner.plans.reasons import AlternativesNote, Reason, Remark
from milp_planner.traffic.month import RequestClass, TimeBlock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

LOW_BAND = 0.50
MEDIUM_BAND = 0.75
SNAP = 1e-9
"""Relative distance below which a ratio counts as being on a threshold."""


class Status(Enum):
    """What is known about a plan."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    NO_PLAN = "no_plan"

    @property
    def has_plan(self) -> bool:
        """True when there is a fleet to look at."""
        return self in (Status.OPTIMAL, Status.FEASIBLE)


@singledispatch
def read_from(document: object) -> Plan:
    """The plan that a document holds; how a mapping is read, `plans` registers."""
    raise argument_error(
        f"expected the keys of a plan's document, not {type(document).__name__}",
        path="document",
        hint="give what plan.to_dict() or json.load() returns",
    )


def exceeds(value: float, limit: float, tolerance: float = 1e-6) -> bool:
    """True when `value` is above `limit` by more than `tolerance` of it."""
    return value > limit + tolerance * max(1.0, abs(limit))


class Band(StrEnum):
    """How latency suffers from load."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    NOT_ASSESSED = "not assessed"
    """Only per-token offerings serve."""


def band(utilization: float | None) -> Band:
    """The latency band of a utilization: low up to 50 %, medium up to 75 %, else high.

    A ratio within 1e-9 of a threshold is on it: 0.75 computed in floats is medium.
    """
    if utilization is None:
        return Band.NOT_ASSESSED
    if utilization <= LOW_BAND * (1 + SNAP):
        return Band.LOW
    return Band.MEDIUM if utilization <= MEDIUM_BAND * (1 + SNAP) else Band.HIGH


@dataclass(frozen=True)
class Purchase(UnitsOn):
    """Units of one candidate, or its per-token use."""

    cash_usd_per_month: float
    requests_share: float = 0.0
    """Share of the workload's requests per month that it serves."""

    busy_units_by_block: tuple[float, ...] = ()
    """Units' worth of work at the mean rate, in each time block; zeros for per-token use.

    Empty where it is not known: in a plan that was read from its document.
    """

    price_age_days: int | None = None
    """Days since the source had the price; None where the catalog knows no day."""

    shared_rent_usd: float | None = None
    """Of replicas on shared units: their part of the rent, USD/month, by the GPUs they hold."""

    @property
    def billing_idle_hours(self) -> float | None:
        """Unit-hours paid in blocks in which it serves nothing; None where that is not known."""
        if not self.busy_units_by_block:
            return None
        rows = zip(self.hours_by_block, self.units_by_block, self.busy_units_by_block, strict=False)
        return sum(hours * units for hours, units, busy in rows if busy <= 0)

    @property
    def billing_idle_usd(self) -> float | None:
        """Rent of those unit-hours, USD/month."""
        hours, rent = self.billing_idle_hours, self.shared_rent_usd
        if hours is None or rent is None:
            return None if hours is None else hours * self.candidate.usd_per_hour
        return hours * rent / self.unit_hours

    @property
    def mean_utilization(self) -> float | None:
        """Work done at the mean rates ÷ capacity paid for.

        None where no unit is paid for, or the work is not known.
        """
        if not self.unit_hours or not self.busy_units_by_block:
            return None
        return self.busy_unit_hours / self.unit_hours

    @property
    def busy_unit_hours(self) -> float:
        """Hours of work, of all units."""
        return float(sum(map(mul, self.hours_by_block, self.busy_units_by_block)))

    @property
    def capacity_idle(self) -> float | None:
        """Share of the capacity paid for that does nothing: 1 - mean utilization."""
        mean = self.mean_utilization
        return None if mean is None else 1 - mean

    @property
    def commitment_usd(self) -> float:
        """Money bound by the commitment, whether or not the units run."""
        return self.cash_usd_per_month * self.candidate.commitment_months


@dataclass(frozen=True)
class Route:
    """The share of a request class that a candidate serves in a block."""

    candidate: Candidate
    request_class: RequestClass
    block: TimeBlock
    share: float
    requests_per_second: float
    """Peak rate routed, in requests/s."""


@dataclass(frozen=True)
class WorkloadPlan:
    """How one workload fares."""

    name: str
    llm: str
    peak_requests_per_second: float
    capacity_requests_per_second: float
    """Planned capacity in the busiest block, at 100 % utilization and the workload's own mix."""

    utilization: float | None
    """Highest over blocks and offerings; None when only per-token offerings serve."""

    band: Band
    utilization_limit: float
    tpot_s: float | None
    """Slowest mean time per output token at full load, over the offerings used."""

    tpot_wish_s: float | None
    ttft_s: float | None
    ttft_wish_s: float | None
    ttft_verified: bool
    """True when every offering used has a measured time to first token within the wish."""

    strict: bool
    shortfall_share: float
    """Largest share of the peak left unserved in any block."""

    tokens_per_month: float
    cash_usd_per_month: float
    penalties: Mapping[str, float] = field(default_factory=dict)
    is_batch: bool = False
    """True of work that can wait: its peak is that of work spread evenly until the deadline, and
    nobody waits for it, so that its utilization is not assessed."""

    unit: str = "requests/s"
    """What the rates above count: `requests/s`, `tokens/s` or `users`."""

    deployed: DeployedLlm | None = None
    """What its replicas run; None in a plan whose document does not tell it."""

    @property
    def usd_per_million_tokens(self) -> float | None:
        """Cash per million tokens, input and output together.

        None where requests are left unserved, or have no tokens.
        """
        if self.shortfall_share or not self.tokens_per_month:
            return None
        return self.cash_usd_per_month / self.tokens_per_month * 1e6


@dataclass(frozen=True, repr=False)
class Plan:
    """A fleet with its routing, costs, proof and provenance."""

    name: str
    status: Status
    score_usd_per_month: float | None
    """Cash and penalties; what the program minimises."""

    cash_usd_per_month: float | None
    """Money really paid."""

    lower_bound_usd_per_month: float | None
    """No plan scores less than this, USD/month."""

    costs: Mapping[str, float]
    """USD/month by term; the terms sum to the score."""

    purchases: tuple[Purchase, ...]
    routes: tuple[Route, ...]
    workloads: tuple[WorkloadPlan, ...]
    blocks: tuple[TimeBlock, ...]
    proof: Proof
    provenance: Provenance
    block_by_hour: tuple[int, ...] = ()
    """Block of each hour of the day (24) or week (168); empty when no clock is known."""

    alternatives: tuple[Plan, ...] = ()
    alternatives_notes: tuple[AlternativesNote, ...] = ()
    """Why there are no more of them, and offerings that could take each other's place."""

    turned_down: tuple[TurnedDown, ...] = ()
    reasons: tuple[Reason, ...] = ()
    """Why there is no plan; empty when there is one. `sentences.reason_lines` words them."""

    shared_units: tuple[SharedUnits, ...] = ()
    """Units that replicas share, and which of the purchases' replicas stand on each."""

    diagnosis: Diagnosis | None = None
    """What would give a plan; None when there is one, or when it was not asked."""

    warnings: tuple[Remark, ...] = ()
    """What the figures do not show."""

    changes: tuple[UnitChange, ...] = ()
    """What becomes of today's units; empty where nothing runs today."""

    batch_runs: tuple[BatchRun, ...] = ()
    """Batch work that units of other workloads do in the time that their own load leaves."""

    commitments: tuple[CommitmentUse, ...] = ()
    """What is used of what is paid already; empty where nothing is."""

    worst_losses: tuple[Loss, ...] = ()
    """By workload, the loss that leaves the least; empty where none need be survived."""

    resilience: ResilienceCost | None = None
    """What surviving that costs; None where nothing need survive, or it was not asked."""

    stale_prices: StalePrices | None = None
    """What rests on prices older than `policy.stale_after`; None where nothing does."""

    futures: FuturesPlan | None = None
    in_futures: tuple[Plan, ...] = field(default=(), compare=False)
    """What all futures share, where there are several, and the plan of each; this is the leading
    one's."""

    not_included: tuple[str, ...] = NOT_INCLUDED
    """What no figure of the plan counts."""

    as_read: DocumentParts | None = None
    """Of a plan that `from_dict` read: what the document only sums up; None when it was solved."""

    def __repr__(self) -> str:
        """The answer on one line; all of it is in `to_dict()`."""
        cash, alternatives = self.cash_usd_per_month, len(self.alternatives)
        said = [f"Plan {self.name!r}", self.status.value]
        if cash is not None:
            said += [f"{cash:,.2f} USD/month", f"{self.gpus} GPUs at {', '.join(self.providers)}"]
        return f"<{', '.join(said)}, {alternatives} next-best>"

    def _repr_html_(self) -> str:
        """What a notebook shows: the sheet of what the plan says by itself, ages as of today."""
        return as_page(self)

    @property
    def bound(self) -> float | None:
        """`lower_bound_usd_per_month`, where it is a number; None where nothing is known."""
        bound = self.lower_bound_usd_per_month
        return bound if bound is not None and math.isfinite(bound) else None

    @property
    def objective_usd_per_month(self) -> float | None:
        """What is minimised, cash and penalties together: another name of the score."""
        return self.score_usd_per_month

    @property
    def gap(self) -> float | None:
        """(score - bound) / score; 0 when proven, None without plan or bound."""
        if self.status is Status.OPTIMAL:
            return 0.0
        if (told := self.futures) is not None:  # the proof is of all of them together
            return relative_gap(told.minimised_usd_per_month, told.bound_usd_per_month)
        return relative_gap(self.score_usd_per_month, self.bound)

    def routes_to(self, k: Candidate, block: str) -> Sequence[Route]:
        """The routes to one candidate in the block of that name."""
        return self._routes_by_target.get((k, block), ())

    @cached_property
    def _routes_by_target(self) -> Mapping[tuple[Candidate, str], list[Route]]:
        return grouped(self.routes, lambda route: (route.candidate, route.block.name))

    def routes_of(self, workload: str, block: str) -> Sequence[Route]:
        """The routes of one workload in the block of that name."""
        return self._routes_by_workload.get((workload, block), ())

    @cached_property
    def _routes_by_workload(self) -> Mapping[tuple[str, str], list[Route]]:
        return grouped(self.routes, lambda route: (route.candidate.workload, route.block.name))

    @property
    def tokens_per_month(self) -> float:
        """Input and output tokens of all workloads."""
        return sum(w.tokens_per_month for w in self.workloads)

    @property
    def usd_per_million_tokens(self) -> float | None:
        """Cash per million tokens over all workloads; None where one of them has none to tell."""
        if self.cash_usd_per_month is None or not self.tokens_per_month:
            return None
        if any(w.usd_per_million_tokens is None for w in self.workloads):
            return None
        return self.cash_usd_per_month / self.tokens_per_month * 1e6

    @property
    def rented(self) -> Iterator[Purchase | SharedUnits]:
        """What is rented, each unit once, whoever shares it."""
        yield from (p for p in self.purchases if not p.candidate.part_of_unit)
        yield from self.shared_units

    @property
    def gpus(self) -> int:
        """GPUs on at the peak, counting each purchase at its most units."""
        return sum(one.gpus for one in self.rented)

    @property
    def providers(self) -> tuple[str, ...]:
        """Providers used, by name."""
        return tuple(sorted({p.candidate.provider for p in self.purchases}))

    @property
    def billing_idle_usd(self) -> float | None:
        """Rent paid for hours without load, USD/month; None where that is not known."""
        parts = [p.billing_idle_usd for p in self.purchases]
        known = [usd for usd in parts if usd is not None]
        return sum(known) if len(known) == len(parts) else None

    @property
    def capacity_idle(self) -> float | None:
        """Share of the GPU-hours paid for that do nothing.

        None where none is paid for, or the work is not known.
        """
        paid = sum(one.unit_hours * one.candidate.gpus_per_unit for one in self.rented)
        if not paid or any(not p.busy_units_by_block for p in self.purchases):
            return None
        busy = sum(p.busy_unit_hours * p.candidate.gpus_per_unit for p in self.purchases)
        return 1 - busy / paid

    def purchases_of(self, workload: str) -> Iterator[Purchase]:
        """The purchases that serve a workload."""
        return iter(self._purchases_by_workload.get(workload, ()))

    @cached_property
    def _purchases_by_workload(self) -> Mapping[str, list[Purchase]]:
        return by_workload(self.purchases)

    def to_frame(self) -> DataFrame:
        """The purchases as a pandas DataFrame, one row each."""
        from pandas import DataFrame

        return DataFrame([plain_data(p) for p in self.purchases])

    def plot(self, ax: Axes | None = None, *, of: Literal["cost", "hours"] = "cost") -> Axes:
        """The cost of the plan and of its next-best plans, in parts; or units by the hour.

        ax: matplotlib's; default: new ones; returns them. Raises InputError where there is nothing
        to draw, PlannerError without the extra [plot].
        """
        return as_plot(self, ax, of=of)

    def export(self, format: str, folder: str | Path, *, overwrite: bool = False) -> Exported:
        """Write the plan as files of another tool into a folder: `kubernetes`, `skyserve`, ...

        format: as `milp-planner export --help` lists them. Writes all files or none; raises
        InputError for a plan that the format cannot say, PlannerError for a folder that holds
        anything else, or an earlier export without `overwrite`.
        """
        exported: Exported = as_files(self, format, folder, overwrite=overwrite)
        return exported

    def to_dict(self) -> dict[str, Any]:
        """The plan as plain data, ready for JSON."""
        return plain_data(self)

    @staticmethod
    def from_dict(document: Mapping[str, Any]) -> Plan:
        """The plan that `to_dict` or `solve --json` wrote, as far as its document tells it.

        document: what `to_dict()` returned or `json.load()` read. Its `to_dict()` is the same
        document again. What no document tells (`plans/reading.py` lists it) is None, not a number
        or empty, never 0.

        Raises InputError with every fault for a document of another kind or version, with unknown
        keys or values that cannot be; ArgumentError for anything but a mapping.

        >>> from milp_planner import Plan, load_problem, solve
        >>> plan = solve(load_problem("problems/quickstart.yaml"), alternatives=0)
        >>> Plan.from_dict(plan.to_dict()).to_dict() == plan.to_dict()
        True
        """
        return read_from(document)
