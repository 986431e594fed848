"""A user's measurements held against the estimate, and what they change in a plan."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.catalog.checks import (
    REGIMES,
    latency_contradictions,
    unknown_gpu,
    unknown_llm,
)
from milp_planner.inputs.catalog.evidence.ran_in import joined_faults
from milp_planner.inputs.catalog.overlays import write_measurements
from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.inputs.problem.load import load_named_catalog
from milp_planner.inputs.reading.arguments import (
    check_kind,
    check_number,
    check_text,
    path_of,
    paths_of,
)
from milp_planner.lazily import dataclass, replace
from milp_planner.questions.deployments.ran import clashes, ran_names, unknown_names
from milp_planner.serving import memory
from milp_planner.serving.derate import DEFAULT_CONFIDENCE, DEFAULT_QUANTILE, planning_quantile
from milp_planner.serving.operating_point import OperatingPoint
from milp_planner.serving.rates.doubtful_rows import slow_rows
from milp_planner.serving.rates.measured import OFFLINE
from milp_planner.serving.rates.records import canonical_precision
from milp_planner.serving.rates.row_groups import stated_in
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.serving.roofline import Roofline, missing_for_estimate
from milp_planner.serving.weights import WEIGHT_BYTES
from milp_planner.today import day_today

if TYPE_CHECKING:
    from milp_planner.inputs.imports.benchmarks import Found

BOUND_SLACK = 1.10
"""Data sheets of one GPU differ by a few percent; only what is clearly above is refused."""

MOST_GPUS = 8
"""Of one replica in each of its units."""

ONLY_IF_SAID = (
    *("memory_share", "max_sequences"),
    *("units_per_replica", "pipeline_parallel", "gb_per_s_between_units"),
)
"""Keys of a deployment that rows leave empty where it does not say them."""


@dataclass(frozen=True)
class PlannedSpeed:
    """What a plan would count on, at one request size and concurrency."""

    output_tokens_per_second: float
    """Of one replica, after the derate."""

    derate: float
    source: str


@dataclass(frozen=True)
class ComparedMeasurement:
    """One measurement against the estimate, and what plans count on before and after it."""

    row: Measurement
    estimated_tokens_per_second: float | None
    """None where the catalog knows too little of the LLM or the GPU."""

    before: PlannedSpeed | None
    after: PlannedSpeed | None
    warnings: tuple[str, ...] = ()

    @property
    def ratio(self) -> float | None:
        """Measured ÷ estimated throughput."""
        if self.estimated_tokens_per_second is None:
            return None
        return self.row.output_tokens_per_second / self.estimated_tokens_per_second


@dataclass(frozen=True)
class Calibrated:
    """All measurements compared, and the catalog with them on top."""

    rows: tuple[ComparedMeasurement, ...]
    catalog: Catalog
    quantile: float
    without: Catalog
    """The catalog before them."""


def calibrate(
    files: Iterable[str | Path],
    *,
    llm: str | None = None,
    gpu: str | None = None,
    precision: str | None = None,
    tensor_parallel: int | None = None,
    engine: str | None = None,
    input_tokens: float | None = None,
    output_tokens: float | None = None,
    concurrency: float | None = None,
    deployment: DeploymentSettings | None = None,
    catalog: str | Path = "market",
    overlays: Iterable[str | Path] = (),
    out: str | Path | None = None,
    confidence: float = DEFAULT_CONFIDENCE,
    as_of: date | None = None,
) -> Calibrated:
    """Your own measurements held against the estimate, and kept as an overlay.

    files: YAML, CSV, or what vLLM's and SGLang's benchmarks, GuideLLM, AIPerf, inference-perf and
    others write. llm, gpu, precision, tensor_parallel (GPUs of one replica, or of each stage),
    engine: hold where a file states none, and a run of another is refused. input_tokens,
    output_tokens, concurrency: of runs whose tool does not write them down. deployment: the rest
    of the engine's setup, its share of the memory and limit of sequences, and units joined.
    catalog: a name or a folder, with overlays on top. out: a new folder for the overlay, written
    whole or not at all; default: nothing is written. confidence: how sure to be of a speed, 0 to
    1. as_of: the day of the measurements that state none; default: today.

    Returns a Calibrated: every measurement in tokens/s of a replica beside its estimate, and what
    plans count on before and after it; `catalog` has them on top.

    Raises InputError for files that cannot be read, names unknown, and when `out` exists;
    ArgumentError for values of another type.

    >>> from pathlib import Path
    >>> from milp_planner import calibrate
    >>> header = "input_tokens,output_tokens,concurrency,output_tokens_per_second"
    >>> _ = Path("mine.csv").write_text(f"{header}\\n800,200,16,250\\n")
    >>> found = calibrate(
    ...     ["mine.csv"], llm="llama-3.1-8b", gpu="l4-24gb", precision="bf16", tensor_parallel=1
    ... )
    >>> [(c.row.output_tokens_per_second, c.after and c.after.source) for c in found.rows]
    [(250.0, 'measured')]
    """
    paths, own = paths_of("files", files, "files"), paths_of("overlays", overlays, "folders")
    names = {"llm": llm, "gpu": gpu, "precision": precision, "engine": engine}
    if deployment is not None:
        check_kind(deployment, DeploymentSettings, "DeploymentSettings(...)")
    folder = None if out is None else path_of("out", out)
    base = str(path_of("catalog", catalog))
    # only who has measurements needs the benchmarks' formats
    from milp_planner.inputs.imports.benchmark_reports import Run
    from milp_planner.inputs.imports.benchmarks import read_measurements

    check_number("confidence", confidence, least=0.0, below=1.0)
    if tensor_parallel is not None:
        most = MOST_GPUS * (deployment.units_joined if deployment else 1)
        check_number("tensor_parallel", tensor_parallel, least=1, most=most, whole=True)
    for name, value in names.items():
        if value is not None:
            check_text(name, value)
    known = load_named_catalog(base, overlays=own, as_of=as_of)
    today = as_of or day_today()
    found = compare(
        read_measurements(paths, Run(input_tokens, output_tokens, concurrency)),
        known,
        {**setup_of(deployment), **names, "tensor_parallel": tensor_parallel},
        today=today,
        quantile=planning_quantile(confidence),
    )
    if folder is not None:
        rows = [c.row for c in found.rows]
        write_measurements(folder, rows, base=base, overlays=own, made_on=today)
    return found


def setup_of(deployment: DeploymentSettings | None) -> dict[str, object]:
    """What of a deployment is written into rows that do not state it; the engine is named apart."""
    if deployment is None:
        return {}
    lora, drafts = deployment.lora, deployment.speculative
    cache = "" if deployment.kv_precision == "auto" else deployment.kv_precision
    return {
        "engine_version": deployment.engine_version or "",
        "tuning": deployment.tuning or "",
        "kv_precision": cache,
        "prefix_cache_share": deployment.prefix_cache_share,
        "expert_parallel": deployment.expert_parallel,
        "lora_adapters": lora.adapters if lora else 0,
        "draft_tokens": drafts.draft if drafts else 0,
        **{n: getattr(deployment, n) for n in ONLY_IF_SAID if n in deployment.model_fields_set},
    }


def compare(
    found: Sequence[Found],
    catalog: Catalog,
    defaults: Mapping[str, object],
    *,
    today: date,
    quantile: float = DEFAULT_QUANTILE,
) -> Calibrated:
    """The measurements as rows of the catalog, each held against the estimate.

    `defaults` has llm, gpu, precision, tensor_parallel, engine and its setup for rows that state
    none. Raises
    InputError for names unknown, points given twice, and a throughput above the physical bound: the
    rate at which peaks are reached and nothing is lost. Below 0.3 times the estimate is a warning.
    """
    rows = _records(found, catalog, defaults, today)
    model = ServingModel(catalog)
    _refuse_impossible(found, rows, catalog, model)
    later = with_own(catalog, rows)
    model_after = ServingModel(later)
    compared = tuple(
        ComparedMeasurement(
            row=row,
            estimated_tokens_per_second=_estimated(row, catalog, model),
            before=_planned(row, catalog, model, quantile),
            after=_planned(row, later, model_after, quantile),
            warnings=tuple(_warnings(f, row, catalog, model)),
        )
        for f, row in zip(found, rows, strict=True)
    )
    return Calibrated(compared, later, quantile, catalog)


def with_own(catalog: Catalog, rows: Iterable[Measurement]) -> Catalog:
    """The catalog with a user's rows on top, as an overlay puts them there."""
    own = [row.model_copy(update={"override": True}) for row in rows]
    replaced = {row.key for row in own}
    kept = [row for row in catalog.measurements if row.key not in replaced]
    over = len(catalog.measurements) - len(kept)
    counts, now = catalog.overlaid, catalog.overrides + len(own)
    counts = replace(counts, added=counts.added + len(own) - over, replaced=counts.replaced + over)
    return replace(catalog, measurements=(*kept, *own), overrides=now, overlaid=counts)


def _records(
    found: Sequence[Found], catalog: Catalog, defaults: Mapping[str, object], today: date
) -> list[Measurement]:
    rows: list[Measurement] = []
    faults: list[Fault] = []
    first: dict[tuple[object, ...], Found] = {}
    for f in found:
        wrong = list(_faults(f, catalog, defaults))
        faults += wrong
        if wrong:
            continue
        row = _record(f, catalog, defaults, today)
        spread = joined_faults(*row.joined, row.tensor_parallel, row.gb_per_s_between_units)
        faults += [f.fault(column, message) for column, message in spread]
        earlier = first.setdefault(row.key, f)
        if earlier is not f:
            where = ":".join(str(part) for part in (earlier.file, earlier.line) if part)
            faults.append(f.fault("", f"this point is given twice (first in {where})"))
        rows.append(row)
    if faults:
        raise InputError(faults)
    return rows


def _faults(f: Found, catalog: Catalog, defaults: Mapping[str, object]) -> Iterator[Fault]:
    """What is wrong with the names of a measurement, or missing."""
    given = _given(f, defaults, catalog)
    for name in ("llm", "gpu", "precision", "tensor_parallel"):
        if not given[name]:
            option = "--tp" if name == "tensor_parallel" else f"--{name}"
            yield f.fault(name, "required", f"write it in the file, or give {option}")
    llm, gpu = str(given["llm"] or ""), str(given["gpu"] or "")
    if llm and catalog.llm(llm) is None:
        yield f.fault("llm", unknown_llm(catalog, llm))
    if gpu and len(catalog.gpus_named(gpu)) != 1:
        yield f.fault("gpu", unknown_gpu(catalog, gpu))
    precision = canonical_precision(str(given["precision"] or "bf16"))
    if precision not in WEIGHT_BYTES:
        known = ", ".join(WEIGHT_BYTES)
        yield f.fault("precision", f"{precision!r} is not one of {known}")
    yield from clashes(f, catalog, defaults)
    if f.row.regime not in REGIMES:
        yield f.fault("regime", f"{f.row.regime!r} is not one of {', '.join(REGIMES)}")


def _given(f: Found, defaults: Mapping[str, object], catalog: Catalog) -> dict[str, object]:
    """A row's own values, then what its tool says that ran, then what was asked for."""
    own, ran = f.row.model_dump(), ran_names(f, catalog)
    return {name: own[name] or ran.get(name) or defaults.get(name, own[name]) for name in own}


def _record(f: Found, catalog: Catalog, defaults: Mapping[str, object], today: date) -> Measurement:
    given = _given(f, defaults, catalog)
    llm = catalog.llm(str(given["llm"]))
    assert llm is not None, "the names were checked"
    (gpu,) = catalog.gpus_named(str(given["gpu"]))
    names = {
        "llm": llm.id,
        "gpu": gpu,
        "engine": given["engine"] or "",
        "as_of": min(f.row.as_of or today, today),
        "source": f.row.source or f"own measurement {f.file}",
    }
    return Measurement.model_validate({**given, **names})


def _refuse_impossible(
    found: Sequence[Found], rows: Sequence[Measurement], catalog: Catalog, model: ServingModel
) -> None:
    faults: list[Fault] = []
    for f, row in zip(found, rows, strict=True):
        faults += (f.fault(*said) for said in latency_contradictions(row))
        bound = _bound(row, catalog, model)
        if bound is not None and row.output_tokens_per_second > BOUND_SLACK * bound:
            text = (
                f"{row.output_tokens_per_second:,.6g} is above the physical bound of {bound:,.0f} "
                f"tokens/s: every weight and cache entry read at peak bandwidth, nothing lost"
            )
            hint = "count the generated tokens of one replica, not those of the prompts"
            faults.append(f.fault("output_tokens_per_second", text, hint))
    if faults:
        raise InputError(faults)


def _warnings(f: Found, row: Measurement, catalog: Catalog, model: ServingModel) -> Iterator[str]:
    point = f"{row.llm} on {row.gpu} tp {row.tensor_parallel}, {_n(row):g} in flight"

    def estimate_of(row: Measurement) -> Roofline | None:
        return _roofline(row, catalog, model)

    def in_flight(row: Measurement) -> float:
        return _in_flight(row, catalog)

    yield from map(str, slow_rows([row], estimate_of, in_flight))
    yield from unknown_names(f, catalog, point)
    if f.speculative:
        yield f"{point}: ran with draft tokens; speculative decoding is not modelled"
    llm, gpu = _records_of(row, catalog)
    if missing_for_estimate(llm, gpu):
        yield f"{point}: not compared, {missing_for_estimate(llm, gpu)}"


def _estimated(row: Measurement, catalog: Catalog, model: ServingModel) -> float | None:
    roofline = _roofline(row, catalog, model)
    if roofline is None:
        return None
    return roofline.output_tokens_per_second(_in_flight(row, catalog))


def _bound(row: Measurement, catalog: Catalog, model: ServingModel) -> float | None:
    roofline = _roofline(row, catalog, model)
    if roofline is None:
        return None
    fastest = roofline.fastest_requests_per_second(_in_flight(row, catalog))
    return fastest * roofline.output_tokens


def _roofline(row: Measurement, catalog: Catalog, model: ServingModel) -> Roofline | None:
    llm, gpu = _records_of(row, catalog)
    if missing_for_estimate(llm, gpu):
        return None
    return model.estimate(llm, gpu, *_replica(row), _settings(row))


def _in_flight(row: Measurement, catalog: Catalog) -> float:
    """Requests that the replica worked on: those stated, or at an endless queue all that fit."""
    if row.concurrency is not None:
        return row.concurrency
    llm, gpu = _records_of(row, catalog)
    precision, tp, i, o = _replica(row)
    held = memory.fit(llm, gpu, precision, tp, i + o, _settings(row))
    return max(1.0, float(held.sequences))


def _planned(
    row: Measurement, catalog: Catalog, model: ServingModel, quantile: float
) -> PlannedSpeed | None:
    llm, gpu = _records_of(row, catalog)
    precision, tp, i, o = _replica(row)
    if row.regime == OFFLINE:
        point = model.operating_point(
            llm, gpu, precision, tp, i, o, quantile=quantile, settings=_settings(row)
        )
    else:
        point = model.at(
            llm, gpu, precision, tp, i, o, _n(row), quantile=quantile, settings=_settings(row)
        )
    if not isinstance(point, OperatingPoint):
        return None
    return PlannedSpeed(point.planned_requests_per_second * o, point.derate, point.source)


def _settings(row: Measurement) -> DeploymentSettings:
    """The deployment that a row states, the default where it states none."""
    return DeploymentSettings(**stated_in(row))


def _replica(row: Measurement) -> tuple[str, int, float, float]:
    return (
        canonical_precision(row.precision),
        row.tensor_parallel,
        row.input_tokens or 1.0,
        row.output_tokens or 1.0,
    )


def _records_of(row: Measurement, catalog: Catalog) -> tuple[Llm, Gpu]:
    return catalog.llms[row.llm], catalog.gpus[row.gpu]


def _n(row: Measurement) -> float:
    return row.concurrency or 1.0
