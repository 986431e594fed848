"""One deployment in figures: does it fit, how fast is it, what does a request cost, what limits it.

The physics are those that plans are made with (`serving/memory.py`, `serving/roofline.py`,
`serving/rates/throughput.py`), so an estimate and a plan never disagree. Latency to the first token
is advice unless it was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import Literal

from milp_planner.candidates.prices import ReplicaPrice, cheapest
from milp_planner.errors import did_you_mean, input_error
from milp_planner.inputs.catalog.checks import unknown_gpu, unknown_llm
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.inputs.reading.arguments import check_kind, check_number, check_text
from milp_planner.serving import memory
from milp_planner.serving.derate import DEFAULT_CONFIDENCE, DEFAULT_QUANTILE, planning_quantile
from milp_planner.serving.gpu_formats import unable
from milp_planner.serving.operating_point import OperatingPoint, Rejection
from milp_planner.serving.rates.throughput import ServingModel, default_precisions
from milp_planner.serving.roofline import Roofline, missing_for_estimate
from milp_planner.serving.weights import WEIGHT_BYTES
from milp_planner.units import SECONDS_PER_HOUR, TOKENS_PER_MILLION, shown

MOST_DEPLOYMENTS = 2_000
MOST_GPUS_PER_REPLICA = 64
MOST_TOKENS = 100_000_000  # of one request

MOST_OF_AMOUNT = 1e9
"""Requests in flight, seconds per token, USD per hour: beyond all that is meant."""

SIZES = (1, 2, 4, 8)
"""GPUs of a replica that are tried where a deployment does not fit."""

Verdict = Literal["fits", "marginal", "does not fit"]


@dataclass(frozen=True)
class Deployment:
    """One LLM on one replica: what is asked about."""

    llm: Llm
    gpu: Gpu
    precision: str
    tensor_parallel: int
    input_tokens: float
    output_tokens: float
    concurrency: float | None = None
    """Requests in flight; None takes as many as fit, within `tpot_limit_s`."""

    tpot_limit_s: float | None = None
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT

    @property
    def tokens(self) -> float:
        """Tokens of one request, input and output."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Estimate:
    """What one deployment does. Figures that cannot be known are None."""

    llm: str
    gpu: str
    precision: str
    tensor_parallel: int
    input_tokens: float
    output_tokens: float
    concurrency: float | None

    verdict: Verdict
    reason: str
    """Why it does not fit or cannot be estimated; '' when it can."""

    weights_gib: float | None
    """On each GPU, as the three below."""

    kv_gib: float | None
    """KV cache of all requests in flight."""

    reserve_gib: float | None
    usable_gib: float | None
    sequences: int
    """Most requests of this size held at once, n_max; at most the engine's own limit."""

    deployment: str = ""
    """Engine and settings in words: `vLLM, default settings`."""

    smallest: str = ""
    """The smallest replica that fits, where this one does not; '' where none does."""

    ttft_s: float | None = None
    ttft_measured: bool = False
    tpot_s: float | None = None
    latency_s: float | None = None
    """Of one whole request: ttft + (output − 1) · tpot."""

    output_tokens_per_second: float | None = None
    requests_per_second: float | None = None
    derate: float | None = None
    """Factor on the rate that a plan would apply."""

    error_band: tuple[float, float] | None = None
    """Measured ÷ estimated throughput at its 5th and 95th percentile."""

    source: str = ""
    source_detail: str = ""
    bottleneck: str = ""
    mbu: float | None = None
    """Share of the memory bandwidth that decoding uses, over all the time."""

    mfu: float | None = None
    """Share of the compute peak that useful operations use, prefill included."""

    price: ReplicaPrice | None = None
    warnings: tuple[str, ...] = ()

    @property
    def needed_gib(self) -> float | None:
        """Memory that each GPU needs, in GiB."""
        parts = (self.weights_gib, self.kv_gib, self.reserve_gib)
        return None if None in parts else sum(part or 0.0 for part in parts)

    @property
    def usd_per_request(self) -> float | None:
        """Cost of one request at full load, in USD."""
        if self.price is None or not self.requests_per_second:
            return None
        return self.price.usd_per_hour / SECONDS_PER_HOUR / self.requests_per_second

    @property
    def usd_per_million_output_tokens(self) -> float | None:
        """Cost of a million generated tokens at full load, in USD."""
        each = self.usd_per_request
        return None if each is None else each / self.output_tokens * TOKENS_PER_MILLION

    @property
    def usd_per_million_tokens(self) -> float | None:
        """Cost of a million tokens, input and output together, at full load, in USD."""
        each = self.usd_per_request
        tokens = self.input_tokens + self.output_tokens
        return None if each is None else each / tokens * TOKENS_PER_MILLION


def estimate(
    llm: str,
    gpu: str,
    *,
    input_tokens: float,
    output_tokens: float,
    precision: str | None = None,
    tensor_parallel: int = 1,
    concurrency: float | None = None,
    tpot_limit_s: float | None = None,
    usd_per_hour: float | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    deployment: DeploymentSettings = DEFAULT_DEPLOYMENT,
    catalog: Catalog | None = None,
) -> Estimate:
    """What one LLM does on `tensor_parallel` GPUs of a type: memory, speed, cost, bottleneck.

    llm, gpu: names as the catalog knows them. input_tokens, output_tokens: of one request.
    precision: of the weights; default: the LLM's own. concurrency: requests in flight; default: as
    many as fit. tpot_limit_s: seconds per output token that must be kept; default: any.
    usd_per_hour: of the whole replica; default: the cheapest offering on demand. confidence: how
    sure to be of the speed, 0 to 1. catalog: default: `market`. deployment: engine and settings;
    default: vLLM, default settings.

    Returns an Estimate: GiB on each GPU, seconds, tokens/s of the replica, USD; `verdict` and
    `reason` say where it does not fit.

    Raises InputError for names that the catalog does not know and for numbers out of range,
    ArgumentError for values of another type.

    >>> from milp_planner import estimate
    >>> found = estimate("llama-3.1-8b", "l4-24gb", input_tokens=1500, output_tokens=300)
    >>> found.verdict, found.reason, found.tensor_parallel
    ('fits', '', 1)
    """
    known = load_catalog() if catalog is None else catalog
    check_kind(known, Catalog, "load_catalog()")
    check_text("llm", llm)
    check_text("gpu", gpu)
    check_number("input_tokens", input_tokens, above=0.0, most=MOST_TOKENS)
    check_number("output_tokens", output_tokens, above=0.0, most=MOST_TOKENS)
    check_number(
        "tensor_parallel", tensor_parallel, least=1, most=MOST_GPUS_PER_REPLICA, whole=True
    )
    check_number("confidence", confidence, least=0.0, below=1.0)
    check_kind(deployment, DeploymentSettings, "DeploymentSettings(...)")
    if precision is not None:
        _check_precision(precision)
    for name, value in (
        ("concurrency", concurrency),
        ("tpot_limit_s", tpot_limit_s),
        ("usd_per_hour", usd_per_hour),
    ):
        if value is not None:
            check_number(name, value, above=0.0, most=MOST_OF_AMOUNT)
    served, on = find_llm(known, llm), find_gpu(known, gpu)
    asked = Deployment(
        llm=served,
        gpu=on,
        precision=precision or default_precisions(served, on)[0],
        tensor_parallel=tensor_parallel,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        concurrency=concurrency,
        tpot_limit_s=tpot_limit_s,
        settings=deployment,
    )
    price = cheapest(known, on.id, tensor_parallel)
    if usd_per_hour is not None:
        price = ReplicaPrice(usd_per_hour, "as given")
    quantile = planning_quantile(confidence)
    return estimate_deployment(asked, ServingModel(known), price=price, quantile=quantile)


def _check_precision(name: str) -> None:
    check_text("precision", name)
    if name not in WEIGHT_BYTES:
        known = ", ".join(WEIGHT_BYTES)
        near = did_you_mean(name, WEIGHT_BYTES)
        raise input_error(f"{shown(name)} is not one of {known}{near}", path="precision")


def find_llm(catalog: Catalog, name: str, path: str = "llm") -> Llm:
    """The LLM of that name; raises InputError with the nearest names."""
    llm = catalog.llm(name)
    if llm is None:
        raise input_error(unknown_llm(catalog, name), path=path)
    return llm


def find_gpu(catalog: Catalog, name: str, path: str = "gpu") -> Gpu:
    """The GPU of that name; raises InputError with the nearest names, or all it may stand for."""
    ids = catalog.gpus_named(name)
    if len(ids) != 1:
        raise input_error(unknown_gpu(catalog, name), path=path)
    return catalog.gpus[ids[0]]


def estimate_deployment(
    deployment: Deployment,
    model: ServingModel,
    *,
    price: ReplicaPrice | None = None,
    quantile: float = DEFAULT_QUANTILE,
) -> Estimate:
    """What `deployment` does, by the figures of the catalog that `model` was made of.

    Three verdicts: `fits` when weights, KV cache and reserve take at most the memory that the
    engine may use, `marginal` when they take more than that but no more than the GPU has, or were
    measured to run, else `does not fit`, with the smallest replica that does. Without a
    concurrency, as many requests as fit within the tpot limit. What does not fit has no speed.
    """
    point = _point(deployment, model, quantile)
    n = deployment.concurrency
    if isinstance(point, OperatingPoint) and n is None:
        n = point.concurrency
    found = replace(_fit(deployment, n), price=price)
    if isinstance(point, Rejection):
        smallest = smallest_that_fits(deployment, model.catalog) if found.verdict != "fits" else ""
        return replace(found, reason=point.reason, smallest=smallest)
    return _with_speed(found, deployment, model, point)


def deployments(
    llms: Iterable[Llm],
    gpus: Sequence[Gpu],
    precisions: Sequence[str],
    tensor_parallels: Sequence[int],
    concurrencies: Sequence[float | None],
    *,
    input_tokens: float,
    output_tokens: float,
    tpot_limit_s: float | None = None,
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
) -> list[Deployment]:
    """Every combination, in the order given; without precisions the LLM's own on each GPU.

    Raises ValueError for more than 2,000 of them.
    """
    found = [
        Deployment(llm, gpu, precision, tp, input_tokens, output_tokens, n, tpot_limit_s, settings)
        for llm, gpu in product(llms, gpus)
        for precision in precisions or default_precisions(llm, gpu)[:1]
        for tp, n in product(tensor_parallels, concurrencies)
    ]
    if len(found) > MOST_DEPLOYMENTS:
        raise ValueError(f"{len(found):,} deployments, at most {MOST_DEPLOYMENTS:,} at once")
    return found


def smallest_that_fits(d: Deployment, catalog: Catalog) -> str:
    """The fewest GPUs of the same type that hold the deployment, else the smallest replica of
    another type, by all its memory; '' where none does."""
    same = next((tp for tp in SIZES if _holds(d, d.gpu, tp)), None)
    if same is not None:
        return f"{same} x {d.gpu.id}"
    others = [
        (tp * (gpu.memory_gib or 0.0), tp, gpu.id)
        for gpu in catalog.gpus.values()
        for tp in SIZES
        if not unable(gpu, d.precision) and _holds(d, gpu, tp)
    ]
    if not others:
        return ""
    _, tp, name = min(others)
    return f"{tp} x {name}"


def _holds(d: Deployment, gpu: Gpu, tensor_parallel: int) -> bool:
    held = memory.fit(d.llm, gpu, d.precision, tensor_parallel, d.tokens, d.settings)
    return held.fits and held.needed_gib(max(1.0, d.concurrency or 1.0)) <= held.usable_gib


def _point(d: Deployment, model: ServingModel, quantile: float) -> OperatingPoint | Rejection:
    replica = d.llm, d.gpu, d.precision, d.tensor_parallel, d.input_tokens, d.output_tokens
    if d.concurrency is None:
        return model.operating_point(
            *replica, tpot_limit_s=d.tpot_limit_s, quantile=quantile, settings=d.settings
        )
    return model.at(*replica, d.concurrency, quantile=quantile, settings=d.settings)


def _fit(d: Deployment, concurrency: float | None) -> Estimate:
    """The memory side: every part on one GPU, and the verdict."""
    fit = memory.fit(d.llm, d.gpu, d.precision, d.tensor_parallel, d.tokens, d.settings)
    known = fit.usable_gib > 0
    n = max(1.0, float(fit.sequences) if concurrency is None else concurrency)
    needed = fit.needed_gib(n)
    return Estimate(
        llm=d.llm.id,
        gpu=d.gpu.id,
        precision=d.precision,
        tensor_parallel=d.tensor_parallel,
        input_tokens=d.input_tokens,
        output_tokens=d.output_tokens,
        concurrency=concurrency,
        deployment=d.settings.label,
        verdict=_verdict(needed, fit.usable_gib, d.gpu.memory_gib),
        reason=fit.reason,
        weights_gib=fit.weights_gib if known else None,
        kv_gib=n * fit.kv_gib_per_sequence if known else None,
        reserve_gib=fit.reserve_gib if known else None,
        usable_gib=fit.usable_gib if known else None,
        sequences=fit.sequences,
    )


def _verdict(needed_gib: float, usable_gib: float, memory_gib: float | None) -> Verdict:
    if usable_gib <= 0:
        return "does not fit"
    if needed_gib <= usable_gib:
        return "fits"
    return "marginal" if needed_gib <= (memory_gib or 0.0) else "does not fit"


def _with_speed(
    found: Estimate, d: Deployment, model: ServingModel, point: OperatingPoint
) -> Estimate:
    """`found` with what the point says, and what the estimate says of its limits."""
    latency = None
    if point.ttft_s is not None and point.tpot_s is not None:
        latency = point.ttft_s + (d.output_tokens - 1) * point.tpot_s
    runs = found.verdict == "fits"  # a measured row proves it, also where paper says otherwise
    return replace(
        found,
        verdict="fits" if runs else "marginal",
        reason="" if runs else f"was measured to run, though on paper {found.reason}",
        ttft_s=point.ttft_s,
        ttft_measured=point.ttft_measured,
        tpot_s=point.tpot_s,
        latency_s=latency,
        output_tokens_per_second=point.requests_per_second * d.output_tokens,
        requests_per_second=point.requests_per_second,
        derate=point.derate,
        error_band=point.error_band,
        source=point.source,
        source_detail=point.source_detail,
        bottleneck=point.bottleneck,
        mbu=_mbu(d, model, point),
        mfu=_mfu(d, model, point),
        warnings=point.warnings,
    )


def _roofline(d: Deployment, model: ServingModel) -> Roofline | None:
    if missing_for_estimate(d.llm, d.gpu):
        return None
    replica = d.llm, d.gpu, d.precision, d.tensor_parallel, d.input_tokens, d.output_tokens
    return model.estimate(*replica, d.settings)


def _mbu(d: Deployment, model: ServingModel, point: OperatingPoint) -> float | None:
    """Bytes that a decode step reads ÷ (time per token · peak), the time of prefills included."""
    roofline = _roofline(d, model)
    if roofline is None or point.concurrency is None or not point.tpot_s:
        return None
    n = point.concurrency
    return roofline.mbu(n) * roofline.decode_step_s(n) / point.tpot_s


def _mfu(d: Deployment, model: ServingModel, point: OperatingPoint) -> float | None:
    """Useful operations per second ÷ peak."""
    roofline = _roofline(d, model)
    if roofline is None:
        return None
    return point.requests_per_second * roofline.flops_per_request / roofline.peak_flops
