"""What a sheet says of the plan itself: the question, the answer, what to buy, how it serves."""

from __future__ import annotations

from datetime import date

from milp_planner.plans.sheet.base import SheetPart


class WorkloadAsked(SheetPart):
    """One workload as it was asked."""

    name: str
    llm: str
    peak: float
    unit: str
    """What `peak` counts: requests/s, tokens/s or users."""

    tokens_per_month: float
    request_sizes: tuple[str, ...]
    """Input and output tokens of its request classes, `1500/300`; empty where none are stated."""

    tpot_wish_s: float | None
    ttft_wish_s: float | None


class LimitAsked(SheetPart):
    """One limit that the problem states."""

    path: str
    value: str


class QuestionAsked(SheetPart):
    """What was asked."""

    workloads: tuple[WorkloadAsked, ...]
    limits: tuple[LimitAsked, ...]
    utilization_target: float
    hours_per_month: float
    today_usd_per_month: float | None
    """What is paid today, where the problem says so."""

    objective: str = "cost"
    """cost, or gpus: the fewest GPUs, and of those fleets the cheapest."""


class Bought(SheetPart):
    """One thing that a plan buys, in short."""

    workload: str
    units: int
    """0 where it is paid per token."""

    gpus_per_unit: int
    gpu: str
    provider: str
    billing: str
    requests_share: float | None
    """Of the workload's requests, where it is paid per token; else None."""

    part_of_gpus: int = 0
    """GPUs of the units on which these are replicas beside others; 0 where the units are its own.

    `units` and `gpus_per_unit` are then replicas and GPUs of one.
    """


class StaleSpend(SheetPart):
    """What of a plan rests on old prices, and what it costs where these have risen."""

    stale_after_days: float
    oldest_days: int
    usd_per_month: float
    """Paid at prices older than that."""

    cash_usd_per_month: float
    share: float
    rise: float
    if_risen_usd_per_month: float
    """Cash of the same fleet where the old prices are dearer by `rise`."""


class CommitmentShown(SheetPart):
    """What the plan uses of a commitment in its month."""

    offering: str
    billing: str
    units: int | None
    usd_per_hour: float | None
    until: date | None
    paid: float
    """Unit-hours of the month that are paid, or USD of the month; 0 where it has ended."""

    used: float
    saved_usd_per_month: float
    unused: float
    share: float | None


class SheetAnswer(SheetPart):
    """The answer in figures."""

    status: str
    """optimal, feasible, infeasible or no_plan."""

    cash_usd_per_month: float | None
    score_usd_per_month: float | None
    """Cash and penalties: what is minimised."""

    lower_bound_usd_per_month: float | None
    gap: float | None
    usd_per_million_tokens: float | None
    gpus: int
    providers: tuple[str, ...]
    fleet: tuple[Bought, ...]
    commitment_usd: float
    """Money bound by reservations, whether or not the units run."""

    penalties_usd_per_month: dict[str, float]
    stale_prices: StaleSpend | None
    """None where no price is older than `policy.stale_after`."""

    commitments: tuple[CommitmentShown, ...]
    """What is used of what is paid already."""

    reasons: tuple[str, ...]
    """Why there is no plan; empty where there is one."""


class SheetPurchase(SheetPart):
    """One purchase, with what its price and its rate rest on."""

    workload: str
    units: int
    gpus: int
    gpus_per_unit: int
    gpu: str
    precision: str
    tensor_parallel: int
    pipeline_parallel: int
    units_joined: int
    replicas: int
    provider: str
    offering: str
    region: str
    billing: str
    unit_hours_per_month: float
    usd_per_gpu_hour: float | None
    """None where it is paid per token."""

    cash_usd_per_month: float
    requests_share: float
    """Of the workload's requests per month."""

    commitment_usd: float
    price_date: str
    """ISO date at which the source had the price."""

    price_age_days: int
    price_note: str
    rate_sources: tuple[str, ...]
    """measured, published, calibrated, estimated, raw or provider."""

    hours_by_block: tuple[float, ...]
    units_by_block: tuple[int, ...]
    part_of_gpus: int = 0
    """As of `Bought`."""


class StandingShown(SheetPart):
    """Replicas of one kind on a shared unit."""

    workload: str
    replicas: int
    precision: str
    tensor_parallel: int
    time_share: float = 1.0
    """Of the GPU, where LLMs share one."""

    memory_share: float | None = None
    """Of the GPU, for its engine; None where it has its GPUs to itself."""


class SharedUnitShown(SheetPart):
    """Units of one offering on each of which the same replicas stand."""

    offering: str
    provider: str
    billing: str
    gpu: str
    gpus_per_unit: int
    blocks: tuple[str, ...]
    """Time blocks in which it is so; empty where it is so in all."""

    units: int
    idle_gpus: int
    """Of each unit."""

    stands: tuple[StandingShown, ...]


class WorkloadServed(SheetPart):
    """How one workload fares."""

    name: str
    llm: str
    peak: float
    capacity: float
    unit: str
    utilization: float | None
    utilization_limit: float
    band: str
    tpot_s: float | None
    tpot_wish_s: float | None
    ttft_s: float | None
    ttft_wish_s: float | None
    ttft_verified: bool
    shortfall_share: float
    cash_usd_per_month: float
    usd_per_million_tokens: float | None


class BlockShown(SheetPart):
    """Hours of the month that share one load."""

    name: str
    hours: float


class HoursByUnits(SheetPart):
    """When units run."""

    blocks: tuple[BlockShown, ...]
    block_by_hour: tuple[int, ...]
    """Block of each hour of the day (24) or week (168); empty when no clock is known."""

    billing_idle_usd_per_month: float | None
    """Rent paid for hours without load."""

    capacity_idle: float | None
    """Share of the GPU-hours paid for that do nothing."""


class EngineSaid(SheetPart):
    """What one solver said."""

    name: str
    version: str
    status: str


class ProofShown(SheetPart):
    """How the answer is known."""

    certified: bool
    certified_by: tuple[str, ...]
    unconfirmed: bool = False
    """True where the only engine proved it once, and a second run could not be made or finished."""

    engines: tuple[EngineSaid, ...]
    notes: tuple[str, ...]
    rows: int
    columns: int
    seconds: float | None
    """None where equal questions must give equal bytes."""

    seed: int
    gap_asked: float


class SourcesShown(SheetPart):
    """What the answer was made from."""

    catalog_name: str
    catalog_version: str
    catalog_sha256: str
    overrides: int
    oldest_price: str
    problem_sha256: str
    planner_version: str
    not_included: tuple[str, ...]
