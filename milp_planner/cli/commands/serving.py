"""`milp-planner estimate`: what one deployment does, without a fleet and without a solver."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import typer

from milp_planner.cli.parts import deployment_options as options
from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.deployment_options import names_in, read_confidence, read_counts
from milp_planner.cli.parts.loading import read_named_catalog
from milp_planner.cli.parts.parameters import AsJson, AsOf, Overlays, Quiet

if TYPE_CHECKING:
    from milp_planner.candidates.prices import ReplicaPrice
    from milp_planner.inputs.catalog.records import Catalog, Offering
    from milp_planner.inputs.problem.deployment import DeploymentSettings
    from milp_planner.questions.deployments.estimate import Deployment


def estimate(
    llm: options.LlmNames,
    input_tokens: options.InputTokens,
    output_tokens: options.OutputTokens,
    gpu: options.GpuNames = None,
    tp: options.TensorParallel = "1",
    precision: options.Precisions = None,
    concurrency: options.Batches = None,
    tpot: options.Tpot = None,
    usd_per_hour: options.HourlyPrice = None,
    offering: options.OfferingId = None,
    billing: options.BillingName = None,
    provider: options.ProviderName = None,
    purchase_usd: options.PurchaseUsd = None,
    lifetime_years: options.LifetimeYears = 3.0,
    watts: options.Watts = None,
    usd_per_kwh: options.UsdPerKwh = None,
    pue: options.Pue = 1.0,
    usd_per_month: options.UsdPerMonth = None,
    confidence: options.Confidence = "p90",
    engine: options.EngineName = "vllm",
    engine_version: options.EngineVersion = None,
    tuning: options.TuningName = None,
    kv_precision: options.KvPrecisionName = "auto",
    memory_share: options.MemoryShare = None,
    max_sequences: options.MaxSequences = None,
    prefix_cache_share: options.PrefixCacheShare = None,
    expert_parallel: options.ExpertParallel = False,
    lora: options.LoraAdapters = None,
    speculative: options.DraftTokens = None,
    as_json: AsJson = False,
    as_csv: options.AsCsv = False,
    catalog: options.WhichCatalog = "market",
    overlay: Overlays = None,
    as_of: AsOf = None,
    quiet: Quiet = False,
) -> int:
    """Say whether an LLM fits on GPUs, how fast it is, what it costs and what limits it."""
    from milp_planner.candidates.prices import offering_named
    from milp_planner.serving.derate import planning_quantile

    quantile = planning_quantile(read_confidence(confidence))
    known = read_named_catalog(catalog, overlay, as_of)
    sold = offering_named(known, offering, billing) if offering else None
    owned = Owned(purchase_usd, lifetime_years, watts, usd_per_kwh, pue, usd_per_month)
    settings = options.EngineOptions(
        *(engine, engine_version, tuning, kv_precision, memory_share, max_sequences),
        *(prefix_cache_share, expert_parallel, lora, speculative),
    ).settings()
    sizes = input_tokens, output_tokens
    asked = Asked(llm, gpu, tp, precision, concurrency, *sizes, tpot, settings)
    price_of = pricing(known, usd_per_hour, sold, provider, owned)
    return answer(known, asked.deployments(known, sold), price_of, quantile, as_json, as_csv, quiet)


def answer(
    known: Catalog,
    deployments: Sequence[Deployment],
    price_of: Callable[[Deployment], ReplicaPrice | None],
    quantile: float,
    as_json: bool,
    as_csv: bool,
    quiet: bool,
) -> int:
    """Estimate all deployments and write them in the format asked for."""
    from milp_planner.questions.deployments.estimate import estimate_deployment
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.questions.estimate import (
        estimates_csv,
        estimates_dict,
        estimates_text,
    )
    from milp_planner.serving.rates.throughput import ServingModel

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv contradict each other")
    model = ServingModel(known)
    found = [
        estimate_deployment(d, model, price=price_of(d), quantile=quantile) for d in deployments
    ]
    if as_json:
        streams.answer(to_json(estimates_dict(found)))
    elif as_csv:
        streams.answer(estimates_csv(found))
    else:
        streams.answer_report(estimates_text(found, quantile))
    streams.warn((warning for e in found for warning in e.warnings), quiet=quiet)
    return exit_codes.FOUND


@dataclass(frozen=True)
class Asked:
    """What is asked about, as written: lists with commas stand for every combination."""

    llm: str
    gpu: str | None
    tp: str
    precision: str | None
    concurrency: str | None
    input_tokens: float
    output_tokens: float
    tpot_s: float | None
    settings: DeploymentSettings

    def deployments(self, known: Catalog, sold: Offering | None) -> list[Deployment]:
        """Every combination; raises InputError for names that the catalog does not know."""
        from milp_planner.questions.deployments.estimate import (
            MOST_GPUS_PER_REPLICA,
            deployments,
            find_gpu,
            find_llm,
        )

        names = names_in(self.gpu or (sold.gpu if sold else ""))
        llms = [find_llm(known, name, "--llm") for name in names_in(self.llm)]
        gpus = [find_gpu(known, name, "--gpu") for name in names]
        if not llms:
            raise typer.BadParameter("--llm: must not be empty")
        if not gpus:
            raise typer.BadParameter("--gpu: required, or an --offering that has one")
        if sold and [gpu.id for gpu in gpus] != [sold.gpu]:
            raise typer.BadParameter(f"--offering {sold.id} has {sold.gpu}; --gpu names another")
        tensor_parallels = read_counts("--tp", self.tp, MOST_GPUS_PER_REPLICA)
        if sold and max(tensor_parallels) > sold.gpus_per_unit:
            have = f"{sold.gpus_per_unit} GPU{'s' if sold.gpus_per_unit > 1 else ''}"
            raise typer.BadParameter(f"--offering {sold.id} has {have}, fewer than --tp")
        try:
            return deployments(
                llms,
                gpus,
                self.precisions(),
                tensor_parallels,
                read_counts("--concurrency", self.concurrency) if self.concurrency else [None],
                input_tokens=self.input_tokens,
                output_tokens=self.output_tokens,
                tpot_limit_s=self.tpot_s,
                settings=self.settings,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None

    def precisions(self) -> list[str]:
        """The weight formats named; raises BadParameter for unknown ones."""
        from milp_planner.serving.weights import WEIGHT_BYTES

        names = names_in(self.precision or "")
        for name in names:
            if name not in WEIGHT_BYTES:
                known = ", ".join(WEIGHT_BYTES)
                raise typer.BadParameter(f"--precision: {name!r} is not one of {known}")
        return names


@dataclass(frozen=True)
class Owned:
    """What owned hardware costs, as written; the figures are those of one replica."""

    purchase_usd: float | None
    lifetime_years: float
    watts: float | None
    usd_per_kwh: float | None
    pue: float
    usd_per_month: float | None

    @property
    def is_given(self) -> bool:
        """Whether anything of it is stated that costs money."""
        given = (self.purchase_usd, self.watts, self.usd_per_kwh, self.usd_per_month)
        return any(value is not None for value in given)

    def price(self, d: Deployment) -> ReplicaPrice:
        """Purchase, power and the rest per hour of this deployment."""
        from milp_planner.candidates.prices import ReplicaPrice
        from milp_planner.inputs.catalog.owned import owned_usd_per_hour

        watts = self.watts
        if watts is None and self.usd_per_kwh is not None:
            if d.gpu.tdp_watts is None:
                raise typer.BadParameter(f"--watts: required, the TDP of {d.gpu.id} is not known")
            watts = d.gpu.tdp_watts * d.tensor_parallel
        try:
            hourly = owned_usd_per_hour(
                self.purchase_usd or 0.0,
                self.lifetime_years,
                watts or 0.0,
                self.usd_per_kwh or 0.0,
                self.pue,
                self.usd_per_month or 0.0,
            )
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        spread = f", over {self.lifetime_years:g} years" if self.purchase_usd else ""
        drawn = f", {watts:,.0f} W" if watts else ""
        return ReplicaPrice(hourly, f"owned{spread}{drawn}")


def pricing(
    known: Catalog,
    usd_per_hour: float | None,
    sold: Offering | None,
    provider: str | None,
    owned: Owned,
) -> Callable[[Deployment], ReplicaPrice | None]:
    """How to price a deployment; raises BadParameter where several ways are asked for."""
    from milp_planner.candidates import prices
    from milp_planner.errors import did_you_mean

    ways = [usd_per_hour is not None, sold is not None, provider is not None, owned.is_given]
    if sum(ways) > 1:
        raise typer.BadParameter(
            "give one price: --usd-per-hour, --offering, --provider, or that of owned hardware"
        )
    if owned.watts is not None and owned.usd_per_kwh is None:
        raise typer.BadParameter("--usd-per-kwh: required with --watts")
    if owned.is_given:
        return owned.price
    if usd_per_hour is not None:
        return lambda d: prices.ReplicaPrice(usd_per_hour, "as given")
    if sold is not None:
        return lambda d: prices.price_at(sold, d.tensor_parallel)
    if provider is not None and provider not in known.providers:
        near = did_you_mean(provider, known.providers)
        raise typer.BadParameter(f"--provider: no provider {provider!r}{near}")
    return lambda d: prices.cheapest(known, d.gpu.id, d.tensor_parallel, provider)
