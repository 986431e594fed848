"""Options that describe one deployment, for `estimate` and `calibrate`, and how they are read."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from milp_planner.cli.parts.values import read_duration_s
from milp_planner.lazily import dataclass

if TYPE_CHECKING:
    from milp_planner.inputs.problem.deployment import DeploymentSettings

MOST_TOKENS = 100_000_000


def read_positive(text: str) -> float:
    """`0.86`, `$0.86`, `1_500` or `2k` -> a number above 0."""
    from milp_planner.units import parse_number

    try:
        value = parse_number(text.strip().removeprefix("$"))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if not 0 < value < float("inf"):
        raise typer.BadParameter(f"must be greater than 0 (is {text})")
    return value


def read_tokens(text: str) -> float:
    """`1500` or `8k` -> tokens, above 0 and at most 100 million."""
    tokens = read_positive(text)
    if tokens > MOST_TOKENS:
        raise typer.BadParameter(f"must be at most {MOST_TOKENS:,} (is {text})")
    return tokens


def read_counts(option: str, text: str, most: int = 100_000) -> list[int]:
    """`1,4,8` -> [1, 4, 8]: whole numbers above 0."""
    try:
        values = [read_positive(part) for part in names_in(text)]
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{option}: {error.message}") from None
    if not values or any(value != int(value) for value in values):
        raise typer.BadParameter(f"{option}: whole numbers above 0, such as 1,4,8 (is {text})")
    if max(values) > most:
        raise typer.BadParameter(f"{option}: must be at most {most:,} (is {text})")
    return [int(value) for value in values]


def read_count(option: str, text: str) -> int:
    """`2` -> 2: one whole number above 0."""
    counts = read_counts(option, text)
    if len(counts) > 1:
        raise typer.BadParameter(f"{option}: one number (is {text})")
    return counts[0]


def read_confidence(text: str) -> float:
    """`p90`, `90%` or `0.9` -> 0.9: from 0 to below 1."""
    from milp_planner.units import parse_share

    try:
        share = int(text[1:]) / 100 if text[:1] == "p" else parse_share(text)
    except ValueError:
        raise typer.BadParameter(f"--confidence: {text!r}; write p90 or 0.9") from None
    if not 0 <= share < 1:
        raise typer.BadParameter(f"--confidence: from p0 to p99 (is {text})")
    return share


def names_in(text: str) -> list[str]:
    """`a, b` -> [a, b]."""
    return [part.strip() for part in text.split(",") if part.strip()]


@dataclass(frozen=True)
class EngineOptions:
    """Options of the deployment, as written."""

    engine: str = "vllm"
    engine_version: str | None = None
    tuning: str | None = None
    kv_precision: str = "auto"
    memory_share: str | None = None
    max_sequences: str | None = None
    prefix_cache_share: str | None = None
    expert_parallel: bool = False
    lora: str | None = None
    speculative: str | None = None
    units_per_replica: str | None = None
    pipeline_parallel: str | None = None
    gb_per_s_between_units: float | None = None

    def settings(self) -> DeploymentSettings:
        """The deployment; raises InputError for what it cannot be."""
        from milp_planner.inputs.problem.deployment import DeploymentSettings

        given = {name: value for name, value in asdict(self).items() if value is not None}
        for name in ("max_sequences", "units_per_replica", "pipeline_parallel"):
            if name in given:
                given[name] = read_count(f"--{name.replace('_', '-')}", given[name])
        if self.lora is not None:
            adapters, rank = _pair("--lora", self.lora)
            given["lora"] = {"adapters": int(adapters), "rank": int(rank)}
        if self.speculative is not None:
            draft, acceptance = _pair("--speculative", self.speculative)
            given["speculative"] = {"draft": int(draft), "acceptance": acceptance}
        return DeploymentSettings(**given)


def _pair(option: str, text: str) -> tuple[float, float]:
    """`8x16` -> (8, 16)."""
    first, cross, second = text.partition("x")
    if not cross:
        raise typer.BadParameter(f"{option}: two numbers such as 8x16 (is {text})")
    try:
        return read_positive(first), read_positive(second)
    except typer.BadParameter as error:
        raise typer.BadParameter(f"{option}: {error.message}") from None


def _positive(metavar: str, help_: str) -> Any:
    return typer.Option(parser=read_positive, metavar=metavar, help=help_)


LlmNames = Annotated[str | None, typer.Option("--llm", metavar="LLM[,LLM]", help="Which LLMs.")]
GpuNames = Annotated[
    str | None, typer.Option("--gpu", metavar="GPU[,GPU]", help="Default: the offering's GPU.")
]
InputTokens = Annotated[
    float | None, typer.Option("--input", parser=read_tokens, metavar="N", help="Input tokens.")
]
OutputTokens = Annotated[
    float | None, typer.Option("--output", parser=read_tokens, metavar="N", help="Output tokens.")
]
TensorParallel = Annotated[
    str, typer.Option(metavar="N[,N]", help="GPUs of a replica, or of each stage.")
]
Precisions = Annotated[
    str | None, typer.Option(metavar="NAME[,NAME]", help="Default: the LLM's own.")
]
Batches = Annotated[
    str | None,
    typer.Option(
        "--concurrency",
        "--batch",
        metavar="N[,N]",
        help="Requests in flight; default: as many as fit.",
    ),
]
Tpot = Annotated[
    float | None,
    typer.Option(parser=read_duration_s, metavar="TIME", help="As many as keep it: 50ms."),
]
WholeLatency = Annotated[
    float | None,
    typer.Option(parser=read_duration_s, metavar="TIME", help="Of a whole request: 2s."),
]
ScenarioFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="YAML with unlike deployments: a row for each."),
]
HourlyPrice = Annotated[float | None, _positive("USD", "Price of the whole replica.")]
OfferingId = Annotated[
    str | None, typer.Option(metavar="ID", help="Priced at provider/name/region.")
]
BillingName = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of --offering; default: on demand.")
]
ProviderName = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Its cheapest GPU, and its API beside."),
]
PurchaseUsd = Annotated[float | None, _positive("USD", "Owned: what the replica cost.")]
LifetimeYears = Annotated[float, typer.Option(metavar="YEARS", help="Owned: written off over.")]
Watts = Annotated[float | None, _positive("W", "Owned: what it draws; default: its TDP.")]
UsdPerKwh = Annotated[float | None, _positive("USD", "Owned: price of power.")]
Pue = Annotated[float, typer.Option(metavar="FACTOR", help="Owned: what cooling adds.")]
UsdPerMonth = Annotated[float | None, _positive("USD", "Owned: all else.")]
EngineName = Annotated[
    str, typer.Option("--engine", metavar="NAME", help="vllm, sglang or tensorrt-llm.")
]
EngineVersion = Annotated[str | None, typer.Option(metavar="X.Y.Z", help="Default: of today.")]
TuningName = Annotated[
    str | None,
    typer.Option("--tuning", metavar="NAME", help="default settings, or tuned: a vendor's recipe."),
]
KvPrecisionName = Annotated[
    str, typer.Option("--kv-precision", metavar="NAME", help="auto, bf16 or fp8.")
]
MemoryShare = Annotated[
    str | None, typer.Option(metavar="SHARE", help="Of each GPU for the engine; default 0.90.")
]
MaxSequences = Annotated[
    str | None, typer.Option(metavar="N", help="Most in flight; default: the engine's own limit.")
]
PrefixCacheShare = Annotated[
    str | None, typer.Option(metavar="SHARE", help="Of the input found in the prefix cache.")
]
ExpertParallel = Annotated[
    bool, typer.Option("--expert-parallel", help="Experts spread whole over the GPUs.")
]
LoraAdapters = Annotated[
    str | None, typer.Option("--lora", metavar="NxRANK", help="Adapters held, such as 8x16.")
]
DraftTokens = Annotated[
    str | None,
    typer.Option("--speculative", metavar="NxSHARE", help="Drafted per step, accepted: 3x0.7."),
]
UnitsPerReplica = Annotated[
    str | None,
    typer.Option("--units-per-replica", metavar="N", help="Units joined, all their GPUs: 2."),
]
PipelineParallel = Annotated[
    str | None, typer.Option(metavar="N", help="Stages of joined units: 1, or one per unit.")
]
BetweenUnits = Annotated[
    float | None,
    typer.Option(
        "--gb-per-s-between-units",
        parser=read_positive,
        metavar="GB/S",
        help="Network of each GPU between joined units; default: assumed.",
    ),
]
AsCsv = Annotated[bool, typer.Option("--csv", help="One row per deployment.")]
WhichCatalog = Annotated[
    str, typer.Option("--catalog", metavar="NAME", help="A shipped catalog, or a folder.")
]
Confidence = Annotated[
    str, typer.Option(metavar="QUANTILE", help="How sure to be of an estimate: p90, or 0.9.")
]
