"""`milp-planner estimate`: what one deployment does, without a fleet and without a solver."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from milp_planner.cli.parts import deployment_options as options
from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.deployment_options import names_in, read_confidence, read_counts
from milp_planner.cli.parts.loading import read_named_catalog
from milp_planner.cli.parts.parameters import AsJson, AsOf, Overlays, Quiet
from milp_planner.lazily import dataclass, replace

if TYPE_CHECKING:
    from milp_planner.inputs.catalog.records import Catalog, Llm, Offering, TokenPrice
    from milp_planner.inputs.problem.deployment import DeploymentSettings
    from milp_planner.questions.deployments.pricing import Payment
    from milp_planner.questions.deployments.records import Deployment, Estimate


def estimate(
    context: typer.Context,
    llm: options.LlmNames = None,
    input_tokens: options.InputTokens = None,
    output_tokens: options.OutputTokens = None,
    gpu: options.GpuNames = None,
    scenarios: options.ScenarioFile = None,
    tp: options.TensorParallel = "1",
    precision: options.Precisions = None,
    concurrency: options.Batches = None,
    tpot: options.Tpot = None,
    latency: options.WholeLatency = None,
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
    units_per_replica: options.UnitsPerReplica = None,
    pipeline_parallel: options.PipelineParallel = None,
    gb_per_s_between_units: options.BetweenUnits = None,
    as_json: AsJson = False,
    as_csv: options.AsCsv = False,
    catalog: options.WhichCatalog = "market",
    overlay: Overlays = None,
    as_of: AsOf = None,
    quiet: Quiet = False,
) -> int:
    """Say whether an LLM fits on GPUs, how fast it is, what it costs and what limits it."""
    from milp_planner.candidates.prices import offering_named
    from milp_planner.questions.deployments.pricing import Payment

    if as_json and as_csv:
        raise typer.BadParameter("--json and --csv contradict each other")
    sure = read_confidence(confidence)
    written = Written(as_json, as_csv, quiet, sure)
    if scenarios is not None:
        _check_stands_alone(context)
        return written.table(scenarios, read_named_catalog(catalog, overlay, as_of))
    for option, value in (("--llm", llm), ("--input", input_tokens), ("--output", output_tokens)):
        if value is None:
            raise typer.BadParameter(f"{option}: required, or --scenarios")
    if watts is not None and usd_per_kwh is None:
        raise typer.BadParameter("--usd-per-kwh: required with --watts")
    known = read_named_catalog(catalog, overlay, as_of)
    sold = offering_named(known, offering, billing) if offering else None
    owned = purchase_usd, lifetime_years, watts, usd_per_kwh, pue, usd_per_month
    settings = options.EngineOptions(
        *(engine, engine_version, tuning, kv_precision, memory_share, max_sequences),
        *(prefix_cache_share, expert_parallel, lora, speculative),
        *(units_per_replica, pipeline_parallel, gb_per_s_between_units),
    ).settings()
    sizes = input_tokens or 0.0, output_tokens or 0.0
    asked = Asked(llm or "", gpu, tp, precision, concurrency, *sizes, tpot, latency, settings)
    payment = Payment(usd_per_hour, sold, provider, *owned)
    with of_options():
        return written.estimates(asked, known, payment)


def _check_is_held(sold: Offering | None, gpus: int, units: int) -> None:
    """Raise BadParameter where the offering holds no replica of so many GPUs."""
    from milp_planner.candidates.prices import replicas_in, why_not_in

    if sold and not replicas_in(sold, gpus, units):
        raise typer.BadParameter(f"--tp: {why_not_in(sold, gpus, units)}")


def _check_stands_alone(context: typer.Context) -> None:
    """Raise BadParameter for an option that the file of deployments would not heed."""
    kept = {"scenarios", "confidence", "as_json", "as_csv", "catalog", "overlay", "as_of", "quiet"}
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name not in kept and source is not None and source.name == "COMMANDLINE":
            option = parameter.opts[0]
            raise typer.BadParameter(f"--scenarios FILE says it all; write {option} into the file")


@contextmanager
def of_options() -> Iterator[None]:
    """Faults of a key as those of the option that it is called on the command line."""
    from milp_planner.errors import InputError

    try:
        yield
    except InputError as error:
        raise InputError(replace(f, path=_option(f.path)) for f in error.faults) from None


def _option(path: str) -> str:
    return path if not path or path.startswith("-") else f"--{path.replace('_', '-')}"


@dataclass(frozen=True)
class Written:
    """How the answer is written, and how sure to be of the speed."""

    as_json: bool
    as_csv: bool
    quiet: bool
    confidence: float

    def table(self, file: Path, known: Catalog) -> int:
        """The deployments of a file side by side."""
        from milp_planner.questions.deployments.comparison import compare_deployments

        table = compare_deployments(file, confidence=self.confidence, catalog=known)
        names = [row.name for row in table.rows]
        return self._answer([row.estimate for row in table.rows], names)

    def estimates(self, asked: Asked, known: Catalog, payment: Payment) -> int:
        """What is asked about, and the API of the provider beside it where there is one."""
        from milp_planner.questions.deployments.api import estimate_api
        from milp_planner.questions.deployments.estimate import estimate_deployment
        from milp_planner.serving.derate import planning_quantile
        from milp_planner.serving.rates.throughput import ServingModel

        price_of = payment.of(known)
        apis = asked.apis(known, payment.provider)
        model, quantile = ServingModel(known), planning_quantile(self.confidence)
        found = [
            estimate_deployment(d, model, price=price_of(d), quantile=quantile)
            for d in asked.deployments(known, payment.offering, beside=bool(apis))
        ]
        sizes = asked.input_tokens, asked.output_tokens
        found += [estimate_api(llm, price, *sizes, asked.settings) for llm, price in apis]
        return self._answer(found, [])

    def _answer(self, found: Sequence[Estimate], names: Sequence[str]) -> int:
        from milp_planner.reporting.documents.json import to_json
        from milp_planner.reporting.text.questions.estimate import (
            estimates_csv,
            estimates_dict,
            estimates_text,
        )
        from milp_planner.serving.derate import planning_quantile

        if self.as_json:
            streams.answer(to_json(estimates_dict(found, names)))
        elif self.as_csv:
            streams.answer(estimates_csv(found, names))
        else:
            text = estimates_text(found, planning_quantile(self.confidence), names)
            streams.answer_report(text)
        streams.warn((warning for e in found for warning in e.warnings), quiet=self.quiet)
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
    latency_s: float | None
    settings: DeploymentSettings

    def apis(self, known: Catalog, provider: str | None) -> list[tuple[Llm, TokenPrice]]:
        """What the provider asks per token for each LLM that it sells so."""
        from milp_planner.questions.deployments.api import token_price_at
        from milp_planner.questions.deployments.estimate import find_llm

        if provider is None:
            return []
        llms = [find_llm(known, name, "--llm") for name in names_in(self.llm)]
        priced = ((llm, token_price_at(known, llm, provider)) for llm in llms)
        return [(llm, price) for llm, price in priced if price is not None]

    def deployments(
        self, known: Catalog, sold: Offering | None, *, beside: bool = False
    ) -> list[Deployment]:
        """Every combination; none without a GPU `beside` an API. Raises InputError for names that
        the catalog does not know."""
        from milp_planner.questions.deployments.estimate import (
            MOST_GPUS_PER_REPLICA,
            deployments,
            find_gpu,
            find_llm,
        )

        if beside and self.gpu is None and sold is None:
            return []
        names = names_in(self.gpu or (sold.gpu if sold else ""))
        llms = [find_llm(known, name, "--llm") for name in names_in(self.llm)]
        gpus = [find_gpu(known, name, "--gpu") for name in names]
        if not llms:
            raise typer.BadParameter("--llm: must not be empty")
        if not gpus:
            raise typer.BadParameter("--gpu: required, an --offering, or a --provider with an API")
        if sold and [gpu.id for gpu in gpus] != [sold.gpu]:
            raise typer.BadParameter(f"--offering {sold.id} has {sold.gpu}; --gpu names another")
        tensor_parallels = read_counts("--tp", self.tp, MOST_GPUS_PER_REPLICA)
        for tp in tensor_parallels if sold else ():
            _check_is_held(sold, tp * self.settings.stages, self.settings.units_joined)
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
                latency_limit_s=self.latency_s,
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
