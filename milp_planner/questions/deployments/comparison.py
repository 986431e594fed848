"""Unlike deployments side by side: local or owned, cloud, edge and API, a row for each."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from milp_planner.candidates.prices import offering_named, replicas_in, why_not_in
from milp_planner.errors import Fault, InputError, RecordError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.inputs.reading.arguments import (
    check_kind,
    check_number,
    check_source,
    items_of,
)
from milp_planner.inputs.reading.records import Frozen
from milp_planner.inputs.reading.strict_yaml import read_yaml
from milp_planner.inputs.reading.validation import validate
from milp_planner.lazily import dataclass
from milp_planner.questions.deployments.api import estimate_api, token_price_of
from milp_planner.questions.deployments.estimate import (
    MOST_GPUS_PER_REPLICA,
    MOST_OF_AMOUNT,
    MOST_TOKENS,
    check_precision,
    estimate_deployment,
    find_gpu,
    find_llm,
)
from milp_planner.questions.deployments.pricing import Payment
from milp_planner.questions.deployments.records import Deployment, Estimate
from milp_planner.serving.derate import DEFAULT_CONFIDENCE, planning_quantile
from milp_planner.serving.rates.throughput import ServingModel, default_precisions
from milp_planner.units import NonNegativeNumber, PositiveNumber, Seconds, Usd, WholeNumber

if TYPE_CHECKING:
    from pandas import DataFrame

MOST_SCENARIOS = 200

Name = Annotated[str, Field(min_length=1, max_length=120)]
Tokens = Annotated[PositiveNumber, Field(le=MOST_TOKENS)]
Limit = Annotated[Seconds, Field(gt=0, le=MOST_OF_AMOUNT)]
Price = Annotated[Usd, Field(le=MOST_OF_AMOUNT)]


class DeploymentScenario(DeploymentSettings):
    """One deployment by name: the options of `estimate`, dashes written as underscores."""

    name: Name
    llm: Name
    gpu: Name | None = None
    """Left out: that of `offering`, or, with a `provider`, its API."""

    precision: Name | None = None
    """Weight format; default: the LLM's own."""

    tensor_parallel: Annotated[WholeNumber, Field(ge=1, le=MOST_GPUS_PER_REPLICA)] = Field(
        default=1, validation_alias="tp", serialization_alias="tp"
    )
    input_tokens: Tokens = Field(validation_alias="input", serialization_alias="input")
    output_tokens: Tokens = Field(validation_alias="output", serialization_alias="output")
    concurrency: Annotated[PositiveNumber, Field(le=MOST_OF_AMOUNT)] | None = None
    """Requests in flight; default: as many as fit and keep the limits."""

    tpot_s: Limit | None = Field(default=None, validation_alias="tpot", serialization_alias="tpot")
    latency_s: Limit | None = Field(
        default=None, validation_alias="latency", serialization_alias="latency"
    )
    """Of a whole request: ttft + (output − 1) · tpot."""

    usd_per_hour: Price | None = None
    """Of the whole replica."""

    offering: Name | None = None
    billing: Name | None = None
    """Of `offering`; default: on demand."""

    provider: Name | None = None
    """Whose GPU, at its cheapest, or, without a GPU, whose API."""

    purchase_usd: Price | None = None
    """Owned: what the replica cost."""

    lifetime_years: Annotated[PositiveNumber, Field(le=100)] = 3.0
    watts: Annotated[PositiveNumber, Field(le=MOST_OF_AMOUNT)] | None = None
    """Owned: what the replica draws; default: the TDP of its GPUs."""

    usd_per_kwh: Annotated[NonNegativeNumber, Field(le=MOST_OF_AMOUNT)] | None = None
    pue: Annotated[PositiveNumber, Field(ge=1, le=100)] = 1.0
    usd_per_month: Price | None = None
    """Owned: all else."""

    @model_validator(mode="after")
    def _says_where_it_runs(self) -> Self:
        if self.gpu is None and self.offering is None and self.provider is None:
            raise RecordError(
                "required, or an offering, or a provider whose API serves", at=("gpu",)
            )
        if self.is_api:
            for name in sorted(self.model_fields_set & ONLY_ON_GPUS):
                raise RecordError("says nothing of an API; name a gpu", at=(name,))
        return self

    @property
    def is_api(self) -> bool:
        """Whether an API serves, and no GPU of the reader's."""
        return self.gpu is None and self.offering is None

    @property
    def settings(self) -> DeploymentSettings:
        """Engine and settings alone."""
        fields = DeploymentSettings.model_fields
        return DeploymentSettings(**{name: getattr(self, name) for name in fields})


ONLY_ON_GPUS = frozenset(
    {
        *(set(DeploymentSettings.model_fields) - {"prefix_cache_share"}),
        *("precision", "tensor_parallel", "concurrency", "tpot_s", "latency_s", "usd_per_hour"),
        *("purchase_usd", "lifetime_years", "watts", "usd_per_kwh", "pue", "usd_per_month"),
        "billing",
    }
)
"""What an API does not let one choose, or does not promise."""


class DeploymentFile(Frozen):
    """The file of `estimate --scenarios`."""

    schema_version: Literal[1]
    deployments: Annotated[
        tuple[DeploymentScenario, ...], Field(min_length=1, max_length=MOST_SCENARIOS)
    ]


@dataclass(frozen=True)
class NamedEstimate:
    """One row of the table."""

    name: str
    estimate: Estimate


@dataclass(frozen=True)
class DeploymentTable:
    """Deployments side by side, in the order asked about."""

    rows: tuple[NamedEstimate, ...]

    def to_dict(self) -> dict[str, Any]:
        """All rows as plain data, ready for JSON."""
        return {"deployments": [row_dict(row) for row in self.rows]}

    def to_frame(self) -> DataFrame:
        """One row per deployment, in the columns of `Estimate.to_dict`, its name first."""
        from pandas import DataFrame

        return DataFrame([row_dict(row) for row in self.rows])


def row_dict(row: NamedEstimate) -> dict[str, Any]:
    """One row with its name first."""
    return {"name": row.name, **row.estimate.to_dict()}


def compare_deployments(
    scenarios: str | Path | Iterable[DeploymentScenario],
    *,
    text: str | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    catalog: Catalog | None = None,
) -> DeploymentTable:
    """Unlike deployments side by side: memory, speed and cost of a request, on GPUs and at APIs.

    scenarios: a YAML file with the list `deployments`, or DeploymentScenario records. text: what
    the file says; with it nothing is read, and `scenarios` only names it. confidence: how sure to
    be of the speed, 0 to 1. catalog: default: `market`.

    Returns a DeploymentTable with an Estimate for each: GiB on each GPU, seconds, tokens/s, USD.

    Raises InputError with every fault of all of them, those of a file with line and column;
    ArgumentError for values of another type.

    >>> from milp_planner import DeploymentScenario, compare_deployments
    >>> ours = DeploymentScenario(
    ...     name="ours", llm="llama-3.3-70b", gpu="h200-141gb-sxm", precision="fp8",
    ...     input_tokens=1500, output_tokens=300,
    ... )
    >>> api = ours.model_copy(update={"name": "API", "gpu": None, "provider": "together"})
    >>> [row.estimate.verdict for row in compare_deployments([ours, api]).rows]
    ['fits', 'per token']
    """
    asked, fault_at = _read(scenarios, text)
    known = load_catalog() if catalog is None else catalog
    check_kind(known, Catalog, "load_catalog()")
    check_number("confidence", confidence, least=0.0, below=1.0)
    quantile = planning_quantile(confidence)
    model = ServingModel(known)
    rows: list[NamedEstimate] = []
    faults = list(_repeated(asked, fault_at))
    for i, scenario in enumerate(asked):
        try:
            rows.append(NamedEstimate(scenario.name, _estimate(scenario, model, quantile)))
        except InputError as error:
            faults += [fault_at(i, fault.path, fault.message) for fault in error.faults]
    if faults:
        raise InputError(dict.fromkeys(faults))
    return DeploymentTable(tuple(rows))


FaultAt = Callable[[int, str, str], Fault]
"""The fault of a scenario, by number, key and message."""


def _read(
    scenarios: str | Path | Iterable[DeploymentScenario], text: str | None
) -> tuple[list[DeploymentScenario], FaultAt]:
    if isinstance(scenarios, str | Path):
        check_source("compare_deployments", scenarios, text)
        document = read_yaml(scenarios, text=text, first_key="deployments", hint="")
        file = validate(DeploymentFile, document)

        def in_file(i: int, key: str, message: str) -> Fault:
            steps = ("deployments", i, WRITTEN.get(key, key)) if key else ("deployments", i)
            return document.fault(steps, message)

        return list(file.deployments), in_file
    asked = items_of("scenarios", scenarios, "deployments", one=(DeploymentScenario,))
    for one in asked:
        check_kind(one, DeploymentScenario, "DeploymentScenario(...)")

    def in_list(i: int, key: str, message: str) -> Fault:
        return Fault("", 0, 0, f"scenarios[{i}]" + (f".{key}" if key else ""), message)

    return asked, in_list


WRITTEN = {"tensor_parallel": "tp", "tpot_s": "tpot", "latency_s": "latency"}
"""Keys as a file spells them."""


def _repeated(asked: list[DeploymentScenario], fault_at: FaultAt) -> Iterator[Fault]:
    names = [one.name for one in asked]
    for i, name in enumerate(names):
        if name in names[:i]:
            yield fault_at(i, "name", f"{name!r} is given twice")


def _estimate(s: DeploymentScenario, model: ServingModel, quantile: float) -> Estimate:
    known = model.catalog
    llm = find_llm(known, s.llm)
    if s.is_api:
        price = token_price_of(known, llm, s.provider)
        return estimate_api(llm, price, s.input_tokens, s.output_tokens, s.settings)
    sold = offering_named(known, s.offering, s.billing) if s.offering else None
    gpu = find_gpu(known, s.gpu or (sold.gpu if sold else ""))
    if sold is not None and sold.gpu != gpu.id:
        raise InputError([Fault("", 0, 0, "gpu", f"{sold.id} has {sold.gpu}")])
    gpus, units = s.tensor_parallel * s.stages, s.units_joined
    if sold is not None and not replicas_in(sold, gpus, units):
        raise InputError([Fault("", 0, 0, "tensor_parallel", why_not_in(sold, gpus, units))])
    if s.precision is not None:
        check_precision(s.precision)
    asked = Deployment(
        llm=llm,
        gpu=gpu,
        precision=s.precision or default_precisions(llm, gpu)[0],
        tensor_parallel=s.tensor_parallel,
        input_tokens=s.input_tokens,
        output_tokens=s.output_tokens,
        concurrency=s.concurrency,
        tpot_limit_s=s.tpot_s,
        latency_limit_s=s.latency_s,
        settings=s.settings,
    )
    payment = Payment(
        usd_per_hour=s.usd_per_hour,
        offering=sold,
        provider=s.provider,
        purchase_usd=s.purchase_usd,
        lifetime_years=s.lifetime_years,
        watts=s.watts,
        usd_per_kwh=s.usd_per_kwh,
        pue=s.pue,
        usd_per_month=s.usd_per_month,
    )
    price_of = payment.of(known)
    return estimate_deployment(asked, model, price=price_of(asked), quantile=quantile)
