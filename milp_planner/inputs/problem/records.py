"""The question: workloads with traffic and wishes, a policy, and limits.

To add a limit, add its field to `Limits` here and its rule to `milp/program/limits/`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, model_validator

from milp_planner.errors import InputError, RecordError
from milp_planner.inputs.catalog.records import Billing
from milp_planner.inputs.problem.commitments import Commitment
from milp_planner.inputs.problem.comparisons import ChoicesAsked, Today
from milp_planner.inputs.problem.deployment import (
    DEFAULT_DEPLOYMENT,
    AnyLlm,
    DeploymentSettings,
    LlmName,
    MeasuredRate,
)
from milp_planner.inputs.problem.host import HostLimits
from milp_planner.inputs.problem.latency import Latency
from milp_planner.inputs.problem.patching import Patch, patched
from milp_planner.inputs.problem.policy import (
    Policy,
    with_names_apart,
    with_objective,
    with_requirements_read,
    with_units_to_join,
)
from milp_planner.inputs.problem.prices import OwnTerms, PriceCaps, UsdPerGpuHour
from milp_planner.inputs.problem.traffic import ConcurrentUsers, Pattern, RequestSize, Traffic
from milp_planner.inputs.problem.uncertain.futures import (
    EVERY,
    MOST_FUTURES,
    FutureCase,
    Risk,
    Value,
    with_futures,
)
from milp_planner.inputs.problem.uncertain.horizon import Horizon
from milp_planner.inputs.problem.uncertain.quotes import OwnQuote
from milp_planner.inputs.reading.field_types import (
    Amount,
    GpusPerReplica,
    Id,
    ShareOrNone,
    SwitchingUsd,
    UnitCount,
    UsefulShare,
    Version,
)
from milp_planner.inputs.reading.records import FromFile, Frozen, Renamed
from milp_planner.units import Months, PositiveNumber, Seconds, Share, WholeNumber, YesNo

SCHEMA_VERSION: Final = 1
MOST_WORKLOADS = 200
SHARES_TOLERANCE = 1e-6

BAND_CEILINGS = {"low": 0.50, "medium": 0.75}

Glob = Annotated[str, Field(min_length=1, max_length=200)]
"""A name or a pattern with `*`, such as `eu-*`."""

Globs = tuple[Glob, ...]

Precision = Literal["bf16", "fp16", "fp8", "int8", "nvfp4", "mxfp4", "int4", "fp32"]


class Workload(Frozen):
    """A stream of requests to one LLM."""

    name: Id
    llm: LlmName | AnyLlm
    """By its name, or any of several: the program chooses which one serves what."""

    precision: tuple[Precision, ...] | None = Field(default=None, min_length=1)
    """Weight formats that may be served; default: the LLM's own, and fp8 where the GPU has it."""

    tensor_parallel: tuple[GpusPerReplica, ...] | None = Field(default=None, min_length=1)
    """GPUs per replica that may be used, of each pipeline stage; default: 1, 2, 4 and 8. More than
    a unit has take several units: see `deployment.units_per_replica`."""

    deployment: DeploymentSettings = DEFAULT_DEPLOYMENT
    """Engine and settings; default: vLLM as it comes."""

    traffic: Traffic
    requests: RequestSize | tuple[RequestSize, ...] | None = None
    """Size of a request, or several classes whose shares sum to 1."""

    rates: tuple[MeasuredRate, ...] | None = Field(default=None, min_length=1, max_length=200)
    """Measured rates of any model (images, embeddings, ...), used instead of the serving model.

    `llm` is then only a name, memory and latency are not checked, and only these GPUs serve.
    """

    latency: Latency = Latency()
    min_replicas: UnitCount = 1
    """Replicas that must be up whenever the workload has traffic."""

    priority: Annotated[WholeNumber, Field(ge=1)] = 1
    """1 is served first when the budget is short and `when_short` is `priority`."""

    @model_validator(mode="after")
    def _shares_sum_to_one(self) -> Self:
        if self.requests is None:
            return self
        if not self.classes:
            raise RecordError("at least one class is needed", at=("requests",))
        shares = [size.share for size in self.classes]
        if len(shares) > 1 and None in shares:
            raise RecordError("every class needs a share when there are several", at=("requests",))
        total = sum(1.0 if share is None else share for share in shares)
        if abs(total - 1) > SHARES_TOLERANCE * (1 + 1e-6):
            raise RecordError(f"the shares sum to {total:.10g}, not to 1", at=("requests",))
        return self

    @model_validator(mode="after")
    def _rates_count_requests(self) -> Self:
        if self.rates is None:
            return self
        if isinstance(self.traffic, ConcurrentUsers):
            raise RecordError("a measured rate says nothing of users", at=("rates",))
        told = deployment_changes(self.deployment) - {"prefix_cache_share"}
        if told:
            raise RecordError(
                "measured rates are taken at their word: nothing of the deployment but "
                "prefix_cache_share, which an API has a price for, acts beside them",
                at=("deployment", min(told)),
            )
        if self.traffic.counts_tokens and not self.classes:
            raise RecordError(
                "required: rates count requests, the traffic counts tokens", at=("requests",)
            )
        return self

    @property
    def llms(self) -> tuple[str, ...]:
        """Names of the LLMs that may serve it."""
        return self.llm.names if isinstance(self.llm, AnyLlm) else (self.llm,)

    @property
    def llm_words(self) -> str:
        """`llama-3.3-70b or qwen3-32b`."""
        return " or ".join(self.llms)

    @property
    def classes(self) -> tuple[RequestSize, ...]:
        """The request classes; empty when the problem states none."""
        if self.requests is None:
            return ()
        return self.requests if isinstance(self.requests, tuple) else (self.requests,)


def deployment_changes(deployment: DeploymentSettings) -> set[str]:
    """Names of the settings that differ from the default deployment."""
    return {
        name
        for name in DeploymentSettings.model_fields
        if getattr(deployment, name) != getattr(DEFAULT_DEPLOYMENT, name)
    }


class Filter(Frozen):
    """Names or patterns to keep and to leave out; an empty `allow` keeps all."""

    allow: Globs = ()
    deny: Globs = ()


class CountedFilter(Filter, Renamed):
    """Which names, and how many different ones."""

    old_words: ClassVar[Mapping[str, str]] = {"at_most": "max_count"}

    max_count: Annotated[WholeNumber, Field(ge=1)] | None = None
    """Most different names that a fleet may use, over all workloads."""


class ProviderLimits(CountedFilter):
    """Which providers, how many, and how much of one."""

    max_share: UsefulShare | None = None
    """Largest share of a workload's requests that one provider may serve, at any block's peak."""


class BillingLimits(Frozen):
    """Which ways to pay may be used."""

    allow: tuple[Billing, ...] = Field(default=(), max_length=8)
    """Default: dedicated, autoscaling and owned."""


class Budget(Frozen):
    """Cash that may be spent per month."""

    usd_per_month: Amount
    when_short: Literal["fail", "fair", "priority"] = "fail"
    futures: Id = EVERY
    """In which futures it holds: `every` one, on average (`expected`), or in the one named."""


class GpuLimits(Frozen):
    """Most GPUs at any time, over all workloads."""

    total: Annotated[WholeNumber, Field(ge=0)] | None = None
    per_provider: dict[str, Annotated[WholeNumber, Field(ge=0)]] = Field(default_factory=dict)
    per_gpu: dict[str, Annotated[WholeNumber, Field(ge=0)]] = Field(default_factory=dict)


class Survival(Frozen):
    """What must be left when one of a kind is lost."""

    kind: Literal["provider", "region", "offering", "spot"]
    """`spot`: all spot at once."""

    share: UsefulShare = 1.0
    """Share of the peak that the rest must still serve, at 100 % utilization."""


class Limits(Renamed):
    """Hard limits; each is off unless given."""

    old_words: ClassVar[Mapping[str, str]] = {"spot_share": "max_spot_share"}

    budget: Budget | None = None
    providers: ProviderLimits = ProviderLimits()
    regions: CountedFilter = CountedFilter()
    gpus: CountedFilter = CountedFilter()
    offerings: Filter = Filter()
    billing: BillingLimits = BillingLimits()
    max_units: dict[str, Annotated[WholeNumber, Field(ge=0)]] = Field(default_factory=dict)
    """Most units by offering id or pattern, over all workloads."""

    max_gpus: GpuLimits = GpuLimits()
    max_usd_per_gpu_hour: UsdPerGpuHour | PriceCaps | None = None
    """Highest price per GPU and hour, under the problem's own terms: of every billing, or by
    billing. What is sold per token has none."""

    max_power_kw: PositiveNumber | None = None
    """Most power that owned units draw at full load at any time, cooling included, in kW."""

    host: HostLimits = HostLimits()
    max_spot_share: ShareOrNone | None = None
    """Largest share of a workload's requests that spot may serve, at any block's peak."""

    min_on_demand_replicas: UnitCount | None = None
    """Replicas of every workload that are not spot, up whenever it has traffic."""

    survive_loss_of: Literal["provider", "region", "offering", "spot", "none"] | Survival = "none"

    @property
    def survival(self) -> Survival | None:
        """`survive_loss_of` as a record; None when nothing need survive."""
        if isinstance(self.survive_loss_of, Survival):
            return self.survive_loss_of
        return None if self.survive_loss_of == "none" else Survival(kind=self.survive_loss_of)

    def price_cap(self, billing: str) -> float | None:
        """The most that may be paid per GPU and hour under a billing, in USD; None: no limit."""
        cap = self.max_usd_per_gpu_hour
        return getattr(cap, billing, None) if isinstance(cap, PriceCaps) else cap


class CurrentUnits(Frozen):
    """Units that already run."""

    offering: Glob
    workload: Id
    units: UnitCount
    billing: Billing | None = None
    """Needed only where the offering is sold under several billings."""


class Switching(Frozen):
    """What a change of the running fleet costs.

    Units of an offering are added where more are on, in any block, than run today, and removed
    where fewer are on in every block.
    """

    usd_per_unit_added: SwitchingUsd = 0
    usd_per_unit_removed: SwitchingUsd = 0
    max_units_changed: Annotated[WholeNumber, Field(ge=0)] | None = None


class Alternatives(Frozen):
    """Next-best plans to look for."""

    count: Annotated[WholeNumber, Field(ge=0, le=200)] = 3
    differ_by: Literal["counts", "offerings", "providers", "gpus"] = "offerings"
    per_workload: YesNo = False
    within: UsefulShare | None = None
    """How much more than the best plan the others may score; default: whatever comes next."""

    prefer: (
        Literal["fewest_providers", "fewest_offerings", "fewest_gpu_types", "most_different"] | None
    ) = None
    """Which of the plans that `within` lets through come first; default: the cheapest."""

    @model_validator(mode="after")
    def _a_wish_has_a_band(self) -> Self:
        if self.prefer is not None and self.within is None:
            raise RecordError("needs within, such as 5%: how much more it may cost", at=("prefer",))
        return self


class SolverSettings(Frozen):
    """How long and how exactly to solve."""

    time_limit_s: Seconds = Field(
        default=60, validation_alias="time_limit", serialization_alias="time_limit"
    )
    gap: Share = 0.0
    certify: YesNo = True
    seed: Annotated[WholeNumber, Field(ge=0, le=2**31 - 1)] = 1


class Problem(FromFile):
    """The whole question, as one immutable record."""

    schema_version: Version = SCHEMA_VERSION
    name: Id = "problem"
    catalog: Annotated[str, Field(min_length=1)] = "market"
    """A shipped catalog by name, or a folder."""

    workloads: tuple[Workload, ...] = Field(min_length=1, max_length=MOST_WORKLOADS)
    objective: Literal["cost", "gpus"] = "cost"
    """`gpus`: the fewest GPUs, and of those fleets the cheapest."""

    policy: Policy = Policy()
    limits: Limits = Limits()
    prices: OwnTerms = OwnTerms()
    """Your own terms with providers."""

    commitments: tuple[Commitment, ...] = ()
    """What is paid already, whether or not it is used."""

    quotes: tuple[OwnQuote, ...] = Field(default=(), max_length=50)
    """Offers to bind yourself for a term, beside what the catalog lists."""

    futures: tuple[FutureCase, ...] = Field(default=(), max_length=MOST_FUTURES)
    """What may come: what binds is decided once, all else in each of them."""

    known_from_months: Months | None = Field(
        default=None, validation_alias="known_from", serialization_alias="known_from"
    )
    """When it becomes clear which future it is."""

    horizon: Horizon | None = None
    """Months that are planned together, instead of one."""

    risk: Risk | None = None
    value: Value | None = None
    current_fleet: tuple[CurrentUnits, ...] = ()
    switching: Switching = Switching()
    alternatives: Alternatives = Alternatives()
    today: Today = Today()
    choices: ChoicesAsked = ChoicesAsked()
    solver: SolverSettings = SolverSettings()

    _names_are_unique = model_validator(mode="after")(with_names_apart)
    _objective_fits = model_validator(mode="after")(with_objective)
    _requirements_are_read = model_validator(mode="after")(with_requirements_read)
    _units_are_there = model_validator(mode="after")(with_units_to_join)
    _futures_fit = model_validator(mode="after")(with_futures)

    @model_validator(mode="after")
    def _infrascale_is_about_users(self) -> Self:
        if self.policy.serving_model == "infrascale":
            for i, w in enumerate(self.workloads):
                told = deployment_changes(w.deployment)
                if told:
                    raise RecordError(
                        "infrascale's formulas know no deployment",
                        at=("workloads", i, "deployment", min(told)),
                    )
                for key in ("tpot", "ttft"):
                    if getattr(w.latency, f"{key}_s") is not None:
                        raise RecordError(
                            "infrascale's formulas keep tokens_per_s and longest_wait alone; "
                            "write those, or take the default serving model",
                            at=("workloads", i, "latency", key),
                        )
                if not isinstance(w.traffic, ConcurrentUsers):
                    raise RecordError(
                        "infrascale answers traffic of kind concurrent_users only, "
                        f"and workload {w.name!r} (number {i + 1}) has {w.traffic.kind}",
                        at=("policy", "serving_model"),
                    )
        return self

    @model_validator(mode="after")
    def _own_choices_fit(self) -> Self:
        plain = self.model_copy(update={"choices": ChoicesAsked()})
        for name in self.choices.own:
            try:
                patched(plain, self.choices.patch(name))
            except InputError as error:
                fault = error.faults[0]
                said = f"{fault.path}: {fault.message}" if fault.path else fault.message
                raise RecordError(
                    said + (f"; {fault.hint}" if fault.hint else ""),
                    at=("choices", "own", name),
                ) from None
        return self

    def changed(self, changes: Patch) -> Self:
        """The problem with some of its keys changed, and all of it validated anew.

        changes: value by dotted key, as a reader of the file would name it; workloads go by their
        names, in `workloads.chat.latency.tpot`, or by `[0]`. Numbers are in the unit of the field's
        name, times in seconds; texts are read as in a file (`50ms`, `75%`). Keys inside a value
        are merged with what is there, and None takes a key out, back to its default.

        Raises InputError with every fault, each with its path, for a key that is not there and a
        value that a file may not have either; ArgumentError where `changes` is no mapping by text.
        `model_copy(update=...)`, in contrast, checks nothing: it takes a share of 700 %.

        >>> from milp_planner import load_problem
        >>> problem = load_problem("problems/quickstart.yaml")
        >>> problem.changed({"workloads.chat.latency.tpot": "40ms"}).workload("chat").latency.tpot_s
        0.04
        """
        return patched(self, changes)

    def workload(self, name: str) -> Workload:
        """The workload of that name; KeyError when there is none."""
        return self.known_of(self.workloads, _by_name)[name]


def _by_name(workloads: Iterable[Workload]) -> dict[str, Workload]:
    return {w.name: w for w in workloads}


__all__ = ["Latency", "Pattern", "Problem", "RequestSize", "Traffic", "Workload"]
