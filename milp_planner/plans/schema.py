"""The keys of a plan's document, for reading it: every key that `plan_dict` writes, and no other.

Keys that follow from others (`gpus`, `gap`, `region`, ...) must be there and are not read.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from milp_planner.candidates.sharing.documents import GpuSetLabel
from milp_planner.plans.deployed.documents import DeployedPart
from milp_planner.plans.futures.documents import FuturesPart

Key = tuple[str, str, str, str, int]
"""Workload, offering, billing, precision and tensor parallel of a replica."""

StatusName = Literal["optimal", "feasible", "infeasible", "no_plan"]


class Part(BaseModel):
    """A part of the document: JSON's own types, and no key that no plan has."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        defer_build=True,  # until a document is read, which few runs do
    )


class Headline(Part):
    """What a plan and an alternative say first."""

    status: StatusName
    cash_usd_per_month: float | None
    score_usd_per_month: float | None
    bound_usd_per_month: float | None
    gap: float | None
    usd_per_million_tokens: float | None
    gpus: int
    providers: list[str]


class EngineRatePart(Part):
    """What one engine was measured at."""

    engine: str
    concurrency: float
    least_requests_per_second: float
    most_requests_per_second: float


class ClassPart(Part):
    """How a unit serves one request class."""

    share: float
    unit_requests_per_second: float
    concurrency_per_replica: float | None
    tpot_s: float | None
    ttft_s: float | None
    ttft_measured: bool
    derate: float
    source: str
    detail: str
    engine: str = ""
    engines: list[EngineRatePart] = []


class PurchasePart(Part):
    """The row of a purchase."""

    workload: str
    provider: str
    offering: str
    region: str
    billing: str
    gpu: str
    gpus_per_unit: int
    instance_type: str = ""
    instance_type_note: str = ""
    units: int
    gpus: int
    precision: str
    tensor_parallel: int
    replicas_per_unit: int
    units_joined: int = Field(default=1, ge=1)
    pipeline_parallel: int = Field(default=1, ge=1)
    part_of_gpus: int = Field(default=0, ge=0)
    """GPUs of the units that its replicas share with others; 0 where the units are its own."""

    gpu_set: GpuSetLabel = ""
    """LLMs that share its GPU, and their parts of it."""

    deployment: str = ""
    usd_per_gpu_hour: float | None
    usd_per_unit_hour: float | None
    list_usd_per_unit_hour: float | None = None
    unit_hours_per_month: float
    cash_usd_per_month: float
    commitment_usd: float
    term_months: int | None = None
    """Of what is committed under a term of its own; the others' is in their billing."""

    requests_share: float
    capacity_requests_per_second: float
    throughput_source: str
    derate: float | None
    tpot_s: float | None
    ttft_s: float | None
    units_by_block: str
    price_as_of: date = Field(strict=False)
    price_age_days: int | None = None
    price_source: str
    price_override: bool
    price_note: str
    llm: str = ""


class PurchaseOfPlan(PurchasePart):
    """A purchase of the plan itself, which tells its request classes, too."""

    classes: list[ClassPart]


class StandingPart(Part):
    """Replicas of one kind on a shared unit."""

    workload: str
    precision: str
    tensor_parallel: int
    replicas: int = Field(gt=0)
    llm: str = ""
    gpu_set: str = ""


class SharedBlockPart(Part):
    """What stands on each shared unit in a time block."""

    name: str
    units: list[list[StandingPart]]


class SharedUnitsPart(Part):
    """Units that replicas share."""

    provider: str
    offering: str
    region: str
    billing: str
    gpu: str
    gpus_per_unit: int
    gpu_set: str = ""
    units: int
    usd_per_unit_hour: float
    unit_hours_per_month: float
    rent_usd_per_month: float
    blocks: list[SharedBlockPart]


class UnitsInBlockPart(Part):
    """Units of a purchase in a time block."""

    workload: str
    block: str
    offering: str
    billing: str
    precision: str
    tensor_parallel: int
    llm: str = ""
    part_of_gpus: int = Field(default=0, ge=0)
    """As that of the purchase; 0, too, where the units are its own."""


class BatchPart(UnitsInBlockPart):
    """Batch work that units do in a block for another workload, or how long its own are on."""

    batch: str
    class_: str | None = Field(validation_alias="class")
    requests_per_second: float | None
    hours_on: float | None


class WorkloadPart(Part):
    """How one workload fares."""

    name: str
    llm: str
    unit: str
    peak_requests_per_second: float
    capacity_requests_per_second: float
    utilization: float | None
    utilization_limit: float
    band: str
    tpot_s: float | None
    tpot_wish_s: float | None
    ttft_s: float | None
    ttft_wish_s: float | None
    ttft_verified: bool
    strict: bool
    shortfall_share: float
    tokens_per_month: float
    cash_usd_per_month: float
    usd_per_million_tokens: float | None
    penalties_usd_per_month: dict[str, float]
    is_batch: bool = False
    deployed: DeployedPart | None = None


class BlockPart(Part):
    """A time block."""

    name: str
    hours: float


class RoutePart(UnitsInBlockPart):
    """Who serves a share of a class in a block."""

    class_: str = Field(validation_alias="class")
    share: float = Field(gt=0)
    peak_requests_per_second: float
    gpu_set: str = ""


class UnitChangePart(Part):
    """What becomes of today's units."""

    workload: str
    offering: str
    billing: str
    today: int
    planned: int
    keep: int
    add: int
    remove: int


class CommitmentPart(Part):
    """What is used of a commitment."""

    offering: str
    billing: str
    units: int | None
    usd_per_hour: float | None
    until: date | None = Field(strict=False)
    paid: float
    used: float
    saved_usd_per_month: float
    unused: float
    share: float | None


class LossPart(Part):
    """What one loss leaves."""

    workload: str
    kind: str
    lost: str
    block: str
    left: float
    served: float
    unit: str
    share: float
    utilization: float | None
    stands_by: list[str] = []


class ResiliencePart(Part):
    """What surviving a loss means."""

    costs_usd_per_month: float | None
    costs_share: float | None
    score_without_usd_per_month: float | None
    proven: bool | None
    worst_losses: list[LossPart]


class StalePricesPart(Part):
    """What rests on old prices."""

    stale_after_days: float
    oldest_days: int
    usd_per_month: float
    cash_usd_per_month: float
    share: float
    rise: float
    if_risen_usd_per_month: float


class AlternativePart(Headline):
    """A next-best plan."""

    rank: int
    extra_score_usd_per_month: float | None
    extra_cash_usd_per_month: float | None
    certified: bool
    bands: dict[str, str]
    what_changed: str
    trade: str
    changes: list[dict[str, Any]]
    purchases: list[PurchasePart]
    shared_units: list[SharedUnitsPart] = []


class FitPart(Part):
    """Why a replica cannot serve."""

    workload: str
    gpu: str
    tensor_parallel: int
    precision: str
    reason: str
    fastest_tpot_s: float | None


class ConflictPart(Part):
    """A limit of those that cannot be kept together."""

    path: str
    value: str


class ChangePart(Part):
    """A change that gives a plan."""

    path: str
    now: str
    text: str
    patch: dict[str, Any]
    too_little: dict[str, Any] | None
    cash_usd_per_month: float
    fleet: str
    proven: bool
    is_enough: bool


class DiagnosisPart(Part):
    """Why there is no plan."""

    headline: str
    is_smallest: bool
    fits: list[FitPart]
    conflict: list[ConflictPart]
    changes: list[ChangePart]
    combination: list[ChangePart]
    combination_usd_per_month: float | None
    not_reached: list[str]


class TurnedDownPart(Part):
    """How many offerings were turned down, by reason."""

    count: int
    by_reason: list[dict[str, Any]]


class EnginePart(Part):
    """What one solver said."""

    name: str
    version: str
    status: str
    objective: float | None
    bound: float | None
    seconds: float = 0.0


class ProofPart(Part):
    """How the status is known."""

    certified: bool
    certified_by: list[str]
    unconfirmed: bool = False
    score_usd_per_month: float | None
    bound_usd_per_month: float | None
    gap: float | None
    engines: list[EnginePart]
    rows: int
    columns: int
    notes: list[str]
    seconds: float = 0.0


class CatalogPart(Part):
    """Which catalog was used."""

    name: str
    version: str
    sha256: str
    overrides: int
    rows_added: int = Field(default=0, ge=0)
    rows_replaced: int = Field(default=0, ge=0)
    rows_retired: int = Field(default=0, ge=0)


class ProvenancePart(Part):
    """Where the answer comes from."""

    planner_version: str
    catalog: CatalogPart
    problem_sha256: str
    oldest_price: str | None
    solver: list[str]
    seed: int
    time_limit_s: float
    gap_asked: float


class PlanDocument(Headline):
    """The whole document; `range` and `failed_gates` are what `solve --json` adds to a plan."""

    document_version: int
    name: str
    tokens_per_month: float
    costs_usd_per_month: dict[str, float]
    purchases: list[PurchaseOfPlan]
    shared_units: list[SharedUnitsPart] = []
    workloads: list[WorkloadPart]
    blocks: list[BlockPart]
    block_by_hour: list[int] = []
    """Position in `blocks` of each hour of the day (24) or week (168); empty: no clock."""

    routes: list[RoutePart]
    changes_from_today: list[UnitChangePart]
    batch_work: list[BatchPart] = []
    commitments: list[CommitmentPart] = []
    futures: FuturesPart | None = None
    """What several futures share, of which this is the plan of the leading one."""

    resilience: ResiliencePart | None
    stale_prices: StalePricesPart | None = None
    alternatives: list[AlternativePart]
    alternatives_note: str
    reasons: list[str]
    diagnosis: DiagnosisPart | None
    measure_next: dict[str, Any] | None
    turned_down: TurnedDownPart
    warnings: list[str]
    not_included: list[str]
    proof: ProofPart
    provenance: ProvenancePart
    range: dict[str, Any] | None = None
    failed_gates: list[str] = []
