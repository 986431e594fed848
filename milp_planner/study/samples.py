"""Published measurements as samples of the serving model, and why the others are left out."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from milp_planner.errors import input_error
from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm
from milp_planner.inputs.catalog.tensor_groups import is_moe
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.lazily import dataclass, replace
from milp_planner.serving.derate import Trust, trust_in
from milp_planner.serving.memory import fit, is_mla, room
from milp_planner.serving.rates.calibration import shape_of
from milp_planner.serving.rates.measured import CLOSED_LOOP, OFFLINE
from milp_planner.serving.roofline import Roofline, missing_for_estimate, roofline
from milp_planner.serving.tiers import TierTimes
from milp_planner.serving.weights import WEIGHT_BYTES
from milp_planner.study.sources import (
    ENGINES,
    MODELLED_ENGINES,
    PublishedSource,
    settings_of,
    source_of,
)

PLACES = ("throughput/measured_throughput.csv", "measured_throughput.csv", "measurements.csv")

STATIC = "static_batch"

TWIN_SPEEDUP = 1.35
"""An MLA row this much faster than its twin (same replica, engine, size, concurrency) is taken for
speculative decoding: these LLMs ship a multi-token head, and not every source labels its use."""

FASTER_THAN_MEMORY = 1.25
"""A row this far beyond its bandwidth bound is an error of its source, not a fast engine."""

WAITING_SLACK, WAITING_SLACK_S = 2.0, 1.0
"""A time to first token beyond the prefills of all requests in flight, with this slack, is spent
waiting for memory: fewer run than are said to be in flight."""

CHAT_INPUT_TOKENS, OTHER_INPUT_TOKENS = 120.0, 260.0
"""Assumed for ML.ENERGY, which states output lengths alone: chat prompts, and its other tasks."""

_TENSOR_PARALLEL = re.compile(r"^TP(\d+)(?:,PP1)?(,EP\d*)?$")
_BEHIND_PROXY = re.compile(r"^TP(\d+), (\d+) replicas behind \w+$")
_RUNNING_BATCH = re.compile(r"mean running batch ([\d.]+)")
_COUNTED_DEVICES = re.compile(r"^(\d+) devices \(TP\)$")


@dataclass(frozen=True)
class Sample:
    """One measured point of one replica, with its estimate."""

    llm: Llm
    gpu: Gpu
    engine: str
    precision: str
    tensor_parallel: int
    input_tokens: float
    output_tokens: float
    concurrency: float
    """Requests in flight; of an endless queue, as many as the estimate of memory holds."""

    output_tokens_per_second: float
    tpot_s: float | None
    """None for static batches and endless queues, whose time per token is another thing."""

    ttft_s: float | None

    source: PublishedSource
    measured_on: str
    estimate: Roofline
    precision_stated: bool = True
    """False where the source names none: the checkpoint's own is then assumed."""

    settings: DeploymentSettings = DEFAULT_DEPLOYMENT
    regime: str = "fixed_concurrency"

    @property
    def trust(self) -> Trust:
        """How far an estimate of it is trusted."""
        return trust_in(
            self.llm,
            self.gpu,
            self.tensor_parallel,
            self.input_tokens,
            moe=is_moe(self.llm),
            tier=self.settings.tier,
        )

    @property
    def replica(self) -> tuple[object, ...]:
        """What is the same for all points of one replica configuration."""
        return shape_of(self.llm), self.gpu.id, self.precision, self.tensor_parallel

    @property
    def setting(self) -> tuple[object, ...]:
        """What is the same for twins: everything but the measured figures."""
        size = (self.input_tokens, self.output_tokens, self.concurrency)
        return *self.replica, self.engine, self.regime, *size

    @property
    def rate_ratio(self) -> float:
        """Measured ÷ estimated throughput."""
        estimated = self.estimate.output_tokens_per_second(self.concurrency)
        return self.output_tokens_per_second / estimated

    @property
    def tpot_ratio(self) -> float:
        """Measured ÷ estimated time per output token; raises ValueError where it has none."""
        if self.tpot_s is None:
            raise ValueError("no time per token was measured")
        return self.tpot_s / self.estimate.tpot_s(self.concurrency)

    def with_tier(self, tier: TierTimes) -> Sample:
        """The same row estimated with other times of its tier."""
        estimate = roofline(
            *(self.llm, self.gpu, self.precision, self.tensor_parallel),
            *(self.input_tokens, self.output_tokens, self.settings),
            shared_prefill=self.regime not in CLOSED_LOOP,
            tier=tier,
        )
        return replace(self, estimate=estimate)


@dataclass(frozen=True)
class Samples:
    """The samples inside the model's range, and the count of rows left out by reason."""

    inside: tuple[Sample, ...]
    left_out: Mapping[str, int]
    speculative: tuple[Sample, ...]
    """Left out for being faster than a twin; kept to say what difference it makes."""

    crowded: tuple[Sample, ...]
    """Left out for more requests in flight than fit in memory: part of them wait in a queue."""

    unstated: tuple[Sample, ...]
    """Left out for naming no precision; here with that of the checkpoint."""

    @property
    def widest(self) -> tuple[Sample, ...]:
        """All that can be compared at all."""
        return *self.inside, *self.speculative, *self.crowded, *self.unstated


def read_samples(folder: Path, catalog: Catalog) -> Samples:
    """The samples of FOLDER; LLMs and GPUs are looked up in `catalog`.

    Raises InputError where the folder holds no measurements.
    """
    left_out: Counter[str] = Counter()
    samples: list[Sample] = []
    for row in _rows(folder):
        found = _sample(row, catalog)
        if isinstance(found, str):
            left_out[found] += 1
        else:
            samples.append(found)
    distinct = _distinct(samples)
    left_out[DUPLICATE] = len(samples) - len(distinct)
    possible = [s for s in distinct if not _beats_memory(s)]
    left_out[IMPOSSIBLE] = len(distinct) - len(possible)
    speculative = tuple(_faster_twins(possible))
    left_out[SPECULATIVE] = len(speculative)
    faster = {id(s) for s in speculative}
    unstated = tuple(s for s in possible if id(s) not in faster and not s.precision_stated)
    left_out[UNSTATED] = len(unstated)
    plain = [s for s in possible if id(s) not in faster and s.precision_stated]
    crowded = tuple(s for s in plain if _beyond_memory(s))
    left_out[CROWDED] = len(crowded)
    waiting = {id(s) for s in crowded}
    return Samples(
        inside=tuple(s for s in plain if id(s) not in waiting),
        left_out={reason: count for reason, count in left_out.items() if count},
        speculative=speculative,
        crowded=crowded,
        unstated=unstated,
    )


def _rows(folder: Path) -> Iterator[dict[str, str]]:
    file = next((folder / place for place in PLACES if (folder / place).is_file()), None)
    if file is None:
        raise input_error(f"no measurements: looked for {', '.join(PLACES)}", file=str(folder))
    with file.open(newline="", encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            yield row if file.name == "measurements.csv" else _as_ours(row)


def _as_ours(row: dict[str, str]) -> dict[str, str]:
    """A row of the published collection under the column names of a catalog."""
    return {
        "llm": row["model"],
        "gpu": row["gpu"].lower(),
        "precision": row["precision"].lower(),
        "tensor_parallel": row["gpus_in_group"],
        "parallelism": row["parallelism"],
        "engine": ENGINES.get(row["engine"].lower(), row["engine"].lower()),
        "regime": row["regime"],
        "input_tokens": row["input_tokens"],
        "output_tokens": row["output_tokens"],
        "concurrency": row["concurrency"],
        "output_tokens_per_second": row["output_tok_per_s_group"],
        "tpot_s": str(float(row["tpot_ms"]) / 1e3) if row["tpot_ms"] else "",
        "ttft_s": str(float(row["ttft_ms"]) / 1e3) if row.get("ttft_ms") else "",
        "quality": row["quality"],
        "source": row["set"],
        "as_of": row["measured_on"],
        "note": row["notes"],
    }


def _sample(row: dict[str, str], catalog: Catalog) -> Sample | str:
    """The row as a sample, or the reason why it is outside the model."""
    source = source_of(row["source"], row["engine"], row["note"])
    _fill_in(row, source)
    outside = _outside(row)
    if outside:
        return outside
    llm, gpu = catalog.llm(row["llm"]), catalog.gpus.get(row["gpu"])
    if llm is None or gpu is None or missing_for_estimate(llm, gpu):
        return "LLM or GPU unknown, or without the facts to estimate it"
    stated = row["precision"] not in ("", "not stated")
    precision = _precision(row["precision"] if stated else llm.native_precision, llm)
    if precision is None:
        return "precision mixed"
    spread = "EP" in row.get("parallelism", "") or "experts spread" in row["note"]
    fp8_cache = "fp8 kv" in row["note"].lower()
    settings = settings_of(
        source, row["engine"], fp8_cache=fp8_cache, expert_parallel=spread and is_moe(llm)
    )
    tp = int(float(row["tensor_parallel"]))
    size = float(row["input_tokens"]), float(row["output_tokens"])
    held = fit(llm, gpu, precision, tp, sum(size), settings)
    if row["regime"] == OFFLINE and held.sequences < 1:
        return REFUSED
    n = float(held.sequences) if row["regime"] == OFFLINE else float(row["concurrency"])
    shared = row["regime"] not in CLOSED_LOOP
    return Sample(
        llm=llm,
        gpu=gpu,
        engine=row["engine"],
        precision=precision,
        tensor_parallel=tp,
        input_tokens=size[0],
        output_tokens=size[1],
        concurrency=n,
        output_tokens_per_second=float(row["output_tokens_per_second"]),
        tpot_s=None if shared else float(row["tpot_s"]),
        ttft_s=float(row["ttft_s"]) if row.get("ttft_s") else None,
        source=source,
        measured_on=row["as_of"],
        estimate=roofline(llm, gpu, precision, tp, *size, settings, shared_prefill=shared),
        precision_stated=stated,
        settings=settings,
        regime=row["regime"],
    )


def _fill_in(row: dict[str, str], source: PublishedSource) -> None:
    """What a source says elsewhere than in the columns: running batch, replicas, input lengths."""
    behind = _BEHIND_PROXY.match(row.get("parallelism", ""))
    if behind:
        row["parallelism"], row["tensor_parallel"] = f"TP{behind[1]}", behind[1]
        busy = min(int(behind[2]), float(row["concurrency"] or 1))
        for column in ("concurrency", "output_tokens_per_second"):
            row[column] = str(float(row[column]) / busy) if row[column] else ""
    if source.name == "ML.ENERGY":
        running = _RUNNING_BATCH.search(row["note"])
        row["concurrency"] = running[1] if running else row["concurrency"]
        chat = "lm-arena-chat" in row["note"]
        row["input_tokens"] = str(CHAT_INPUT_TOKENS if chat else OTHER_INPUT_TOKENS)
        # without data parallel its EPn on n GPUs spreads the experts of one replica on all of them
        row["parallelism"] = re.sub(r"^TP1,EP(\d+)$", r"TP\1,EP\1", row.get("parallelism", ""))


def _outside(row: dict[str, str]) -> str:
    """Why a row is outside the model, before anything is looked up; '' when it is not."""
    if row.get("basis", "measured") == "raw":
        return "nominal rate"
    if row.get("quality", "ok") not in ("ok", "latency_only"):
        return "doubtful in its collection"
    if "disagg" in row["regime"] or row.get("parallelism", "").startswith("disagg"):
        return "disaggregated prefill and decode"
    if row["regime"] in OTHER_REGIMES or "MLPerf" in row["source"] or "mlperf" in row["source"]:
        return OTHER_REGIMES.get(row["regime"], "system-level (MLPerf): no tensor parallel stated")
    if row["engine"] not in MODELLED_ENGINES:
        return "another engine"
    if re.search(r"\b(mtp|eagle|speculative)\b", row["note"], re.IGNORECASE):
        return "speculative decoding, labelled"
    needed = {CLOSED: NEEDED, STATIC: NEEDED[:-1], OFFLINE: NEEDED[:-2]}
    regime = CLOSED if row["regime"] in CLOSED_LOOP else row["regime"]
    if not all(row[name] for name in needed[regime]):
        return "request size, concurrency, GPUs, rate or tpot not stated"
    if not _is_one_replica(row):
        return "several replicas, pipeline or data parallel, or more than 8 GPUs"
    return ""


def _is_one_replica(row: dict[str, str]) -> bool:
    """Whether all GPUs of the row split every layer; `TP64,EP8` on 8 GPUs is such a replica."""
    gpus = int(float(row["tensor_parallel"]))
    if gpus > 8:
        return False
    written = row.get("parallelism") or ""
    if not written:
        return True
    found = _TENSOR_PARALLEL.match(written) or _COUNTED_DEVICES.match(written)
    if not found:
        return False
    experts_apart = "EP" in written
    return not (experts_apart and found[1] == "1" and gpus > 1) and (
        experts_apart or int(found[1]) == gpus
    )


def _precision(written: str, llm: Llm) -> str | None:
    """The weight format under our names; `fp4` is the LLM's own 4-bit format, else nvfp4."""
    if written == "fp4":
        return "mxfp4" if llm.native_precision == "mxfp4" else "nvfp4"
    for name in ("bfloat16", "bf16", "fp16"):
        if written.startswith(name):
            return "bf16"
    if written.endswith("int4"):
        return "int4"
    if written == "fp8(label)":  # columns headed so of tables whose notes say mxfp4
        return llm.native_precision
    return written if written in WEIGHT_BYTES else None


def _distinct(samples: Iterable[Sample]) -> list[Sample]:
    """One sample for each measurement: collections repeat one another under several names."""
    seen: dict[tuple[object, ...], Sample] = {}
    for sample in samples:
        figure = sample.tpot_s or 1 / sample.output_tokens_per_second
        seen.setdefault((*sample.setting, round(figure, 6)), sample)
    return list(seen.values())


def _beats_memory(sample: Sample) -> bool:
    """Whether the step was faster than reading its weights and half its KV cache at peak."""
    estimate, n = sample.estimate, sample.concurrency
    weights = estimate.weights_s(n) * estimate.weight_efficiency
    kv = n * estimate.kv_s * estimate.kv_efficiency / 2  # an fp8 cache holds half the bytes
    tpot_s = sample.tpot_s or n / sample.output_tokens_per_second
    return tpot_s * FASTER_THAN_MEMORY < weights + kv


def _beyond_memory(s: Sample) -> bool:
    if s.regime == OFFLINE:
        return False
    prefills = s.concurrency * s.estimate.prefill_s
    if s.ttft_s is not None and s.ttft_s > WAITING_SLACK * prefills + WAITING_SLACK_S:
        return True
    tokens = s.input_tokens + s.output_tokens
    held = room(s.llm, s.gpu, s.precision, s.tensor_parallel, tokens, s.settings)
    return s.concurrency > held


def _faster_twins(samples: Iterable[Sample]) -> Iterator[Sample]:
    groups: dict[tuple[object, ...], list[Sample]] = {}
    for sample in samples:
        if is_mla(sample.llm):
            groups.setdefault(sample.setting, []).append(sample)
    for twins in groups.values():
        slowest = min(twin.output_tokens_per_second for twin in twins)
        fast = TWIN_SPEEDUP * slowest
        yield from (twin for twin in twins if twin.output_tokens_per_second > fast)


DUPLICATE = "the same measurement again"
IMPOSSIBLE = "faster than the memory can be read"
SPECULATIVE = "speculative decoding, not labelled: faster than a plain twin"
CROWDED = "more requests in flight than fit in memory"
UNSTATED = "precision not stated"

REFUSED = "does not fit by the estimate, though it ran"

CLOSED = "closed loop"

NEEDED = (
    "tensor_parallel",
    "input_tokens",
    "output_tokens",
    "output_tokens_per_second",
    "concurrency",
    "tpot_s",
)
"""Columns without which a row is no sample; static batches need no tpot, endless queues no
concurrency either."""

OTHER_REGIMES = {
    "burst_of_n_requests": "burst: latency is queueing",
    "online_qps": "arrivals below capacity",
    "mlperf_server": "system-level (MLPerf)",
    "mlperf_interactive": "system-level (MLPerf)",
}
