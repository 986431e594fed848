"""One deployment in figures: does it fit, how fast is it, what does a request cost, what limits it.

The physics are those that plans are made with (`serving/memory.py`, `serving/roofline.py`,
`serving/rates/throughput.py`), so an estimate and a plan never disagree. Latency to the first token
is advice unless it was measured.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import product

from milp_planner.candidates.prices import ReplicaPrice
from milp_planner.errors import did_you_mean, input_error
from milp_planner.inputs.catalog.checks import unknown_gpu, unknown_llm
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm
from milp_planner.inputs.problem.deployment import (
    DEFAULT_DEPLOYMENT,
    MOST_UNITS_JOINED,
    DeploymentSettings,
)
from milp_planner.inputs.reading.arguments import check_kind, check_number, check_text
from milp_planner.questions.deployments.api import estimate_api, token_price_of
from milp_planner.questions.deployments.points import (
    first_token_s,
    latency_of,
    point_of,
    roofline_of,
)
from milp_planner.questions.deployments.pricing import Payment
from milp_planner.questions.deployments.records import Deployment, Estimate, Verdict
from milp_planner.serving import memory
from milp_planner.serving.derate import DEFAULT_CONFIDENCE, DEFAULT_QUANTILE, planning_quantile
from milp_planner.serving.gpu_formats import unable
from milp_planner.serving.operating_point import OperatingPoint, Rejection
from milp_planner.serving.rates.throughput import ServingModel, default_precisions
from milp_planner.serving.weights import WEIGHT_BYTES
from milp_planner.units import shown

MOST_DEPLOYMENTS = 2_000
MOST_GPUS_PER_REPLICA = 64
MOST_TOKENS = 100_000_000  # of one request

MOST_OF_AMOUNT = 1e9
"""Requests in flight, seconds per token, USD per hour: beyond all that is meant."""

SIZES = (1, 2, 4, 8)
"""GPUs of a replica that are tried where a deployment does not fit."""


def estimate(
    llm: str,
    gpu: str | None = None,
    *,
    input_tokens: float,
    output_tokens: float,
    precision: str | None = None,
    tensor_parallel: int = 1,
    concurrency: float | None = None,
    tpot_limit_s: float | None = None,
    latency_limit_s: float | None = None,
    usd_per_hour: float | None = None,
    provider: str | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    deployment: DeploymentSettings = DEFAULT_DEPLOYMENT,
    catalog: Catalog | None = None,
) -> Estimate:
    """What one LLM does on `tensor_parallel` GPUs of a type: memory, speed, cost, bottleneck.

    llm, gpu: names as the catalog knows them; without a GPU the API of `provider` serves.
    input_tokens, output_tokens: of one request. precision: of the weights; default: the LLM's own.
    concurrency: requests in flight; default: as many as fit and keep the limits. tpot_limit_s:
    seconds per output token, latency_limit_s: seconds of a whole request, ttft +
    (output − 1) · tpot; default: any. usd_per_hour: of the whole replica; default: the cheapest
    offering on demand, of that provider where one is named. confidence: how sure to be of the
    speed, 0 to 1. catalog: default: `market`. deployment: engine and settings; default: vLLM,
    default settings; its `prefix_cache_share` is paid at the price of cached tokens at an API.

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
    for name, text in (("gpu", gpu), ("provider", provider)):
        if text is not None:
            check_text(name, text)
    check_number("input_tokens", input_tokens, above=0.0, most=MOST_TOKENS)
    check_number("output_tokens", output_tokens, above=0.0, most=MOST_TOKENS)
    check_number(
        "tensor_parallel", tensor_parallel, least=1, most=MOST_GPUS_PER_REPLICA, whole=True
    )
    check_number("confidence", confidence, least=0.0, below=1.0)
    check_kind(deployment, DeploymentSettings, "DeploymentSettings(...)")
    if precision is not None:
        check_precision(precision)
    for name, value in (
        ("concurrency", concurrency),
        ("tpot_limit_s", tpot_limit_s),
        ("latency_limit_s", latency_limit_s),
        ("usd_per_hour", usd_per_hour),
    ):
        if value is not None:
            check_number(name, value, above=0.0, most=MOST_OF_AMOUNT)
    served = find_llm(known, llm)
    if gpu is None:
        price = token_price_of(known, served, provider)
        return estimate_api(served, price, input_tokens, output_tokens, deployment)
    on = find_gpu(known, gpu)
    asked = Deployment(
        llm=served,
        gpu=on,
        precision=precision or default_precisions(served, on)[0],
        tensor_parallel=tensor_parallel,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        concurrency=concurrency,
        tpot_limit_s=tpot_limit_s,
        latency_limit_s=latency_limit_s,
        settings=deployment,
    )
    hourly = Payment(usd_per_hour=usd_per_hour, provider=provider).of(known)(asked)
    quantile = planning_quantile(confidence)
    return estimate_deployment(asked, ServingModel(known), price=hourly, quantile=quantile)


def check_precision(name: str) -> None:
    """Raise InputError for what is no weight format."""
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
    engine may use, or rows show that more in flight run in turns; `marginal` when they take more
    than that but no more than the GPU has, or a row shows that they run; else `does not fit`, with
    the smallest replica that does. Without a concurrency, as many requests as fit within the tpot
    limit. What does not fit has no speed.
    """
    point = point_of(deployment, model, quantile)
    n = deployment.concurrency
    if isinstance(point, OperatingPoint) and n is None:
        n = point.concurrency
    found = replace(_fit(deployment, n), price=price)
    if isinstance(point, Rejection):
        found = replace(found, reason=point.reason)
        return found if found.verdict == "fits" else _with_smallest(found, deployment, model)
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
    latency_limit_s: float | None = None,
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
) -> list[Deployment]:
    """Every combination, in the order given; without precisions the LLM's own on each GPU.

    Raises ValueError for more than 2,000 of them.
    """
    found = [
        Deployment(
            *(llm, gpu, precision, tp, input_tokens, output_tokens, n),
            tpot_limit_s=tpot_limit_s,
            latency_limit_s=latency_limit_s,
            settings=settings,
        )
        for llm, gpu in product(llms, gpus)
        for precision in precisions or default_precisions(llm, gpu)[:1]
        for tp, n in product(tensor_parallels, concurrencies)
    ]
    if len(found) > MOST_DEPLOYMENTS:
        raise ValueError(f"{len(found):,} deployments, at most {MOST_DEPLOYMENTS:,} at once")
    return found


def _with_smallest(found: Estimate, d: Deployment, model: ServingModel) -> Estimate:
    return replace(
        found,
        smallest=smallest_that_fits(d, model.catalog),
        smallest_joined=fewest_joined_units(d, model.catalog),
    )


def smallest_that_fits(d: Deployment, catalog: Catalog) -> str:
    """The fewest GPUs of the same type that hold the deployment, else the smallest replica of
    another type, by all its memory; '' where none does."""
    same = _smallest_of_same(d)
    if same is not None:
        return f"{same} x {d.gpu.id}"
    others = [
        (tp * (gpu.memory_gib or 0.0), tp, gpu.id)
        for gpu in catalog.gpus.values()
        for tp in SIZES
        if not unable(gpu, d.precision) and _holds(d, gpu, tp, d.settings)
    ]
    if not others:
        return ""
    _, tp, name = min(others)
    return f"{tp} x {name}"


def fewest_joined_units(d: Deployment, catalog: Catalog) -> str:
    """The fewest joined units of the same GPU that hold the deployment, of the largest unit that
    is rented; '' where one unit does, where none do, or where some are joined already."""
    if d.settings.units_joined > 1 or _smallest_of_same(d) is not None:
        return ""
    rented = [o.gpus_per_unit for o in catalog.offerings if o.gpu == d.gpu.id]
    size = min(max(rented, default=SIZES[-1]), SIZES[-1])
    for units, stages in ((u, s) for u in range(2, MOST_UNITS_JOINED + 1) for s in (1, u)):
        joined = d.settings.joined(units, stages)
        if _holds(d, d.gpu, units * size // stages, joined):
            spread = f"tp {units * size // stages}" + (f" x pp {stages}" if stages > 1 else "")
            return f"{units} joined units of {size} x {d.gpu.id} ({spread})"
    return ""


def _smallest_of_same(d: Deployment) -> int | None:
    return next((tp for tp in SIZES if _holds(d, d.gpu, tp, d.settings)), None)


def _holds(d: Deployment, gpu: Gpu, tensor_parallel: int, settings: DeploymentSettings) -> bool:
    held = memory.fit(d.llm, gpu, d.precision, tensor_parallel, d.tokens, settings)
    return held.fits and held.needed_gib(max(1.0, d.concurrency or 1.0)) <= held.usable_gib


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
        pipeline_parallel=d.settings.stages,
        units_joined=d.settings.units_joined,
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
    found, waiting = _held_at_once(found, point.concurrency)
    runs = found.verdict == "fits"  # a measured row proves it, also where paper says otherwise
    return replace(
        found,
        verdict="fits" if runs else "marginal",
        reason="" if runs else f"was measured to run, though on paper {found.reason}",
        ttft_s=first_token_s(d, model, point),
        ttft_measured=point.ttft_measured,
        tpot_s=point.tpot_s,
        latency_s=latency_of(d, model, point),
        output_tokens_per_second=point.requests_per_second * d.output_tokens,
        requests_per_second=point.requests_per_second,
        derate=point.derate,
        error_band=point.error_band,
        source=point.source,
        source_detail=point.source_detail,
        bottleneck=point.bottleneck,
        mbu=_mbu(d, model, point),
        mfu=_mfu(d, model, point),
        warnings=(*point.warnings, *waiting),
    )


def _held_at_once(found: Estimate, concurrency: float | None) -> tuple[Estimate, tuple[str, ...]]:
    """`found` with the KV cache of what memory holds, where more in flight were measured: the rest
    waits its turn; and that in words."""
    most, kv_gib = found.sequences or 0, found.kv_gib
    if found.verdict == "fits" or not most or not concurrency or kv_gib is None:
        return found, ()
    said = f"{most:,} of {concurrency:,.0f} requests in flight fit at once; the others wait"
    held = kv_gib * min(1.0, most / concurrency)
    return replace(found, kv_gib=held, verdict="fits"), (said,)


def _mbu(d: Deployment, model: ServingModel, point: OperatingPoint) -> float | None:
    """Bytes that a decode step reads ÷ (time per token · peak), the time of prefills included."""
    roofline = roofline_of(d, model)
    if roofline is None or point.concurrency is None or not point.tpot_s:
        return None
    n = point.concurrency
    return roofline.mbu(n) * roofline.decode_step_s(n) / point.tpot_s


def _mfu(d: Deployment, model: ServingModel, point: OperatingPoint) -> float | None:
    """Useful operations per second ÷ peak."""
    roofline = roofline_of(d, model)
    if roofline is None:
        return None
    return point.requests_per_second * roofline.flops_per_request / roofline.peak_flops
