"""The estimate beside AIConfigurator's on the same measured points.

    python tests/benchmarks/bench_aiconfigurator.py [FOLDER] [--most N]

FOLDER holds measurements as `python -m milp_planner.study.accuracy` reads them; default: those of
the catalog `market`. Of every replica and engine the N points of even distance over the numbers in
flight are asked (default 3): closed loop, and endless queues at the number that memory allows.

AIConfigurator (PyPI, `aiconfigurator`, optional) interpolates kernel times that were measured on
each GPU. Points that come from its own repository are told apart: it was checked against them.
The error is |log(measured ÷ predicted)| in per cent; the bias is the median of the log.
"""

from __future__ import annotations

import argparse
import logging
import math
import statistics
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from milp_planner import load_catalog  # noqa: E402
from milp_planner.study.samples import Sample, read_samples  # noqa: E402

MODELS = {
    "llama-3.1-8b": "meta-llama/Meta-Llama-3.1-8B",
    "llama-3.1-70b": "meta-llama/Meta-Llama-3.1-70B",
    "llama-3.3-70b": "meta-llama/Meta-Llama-3.1-70B",  # the same tensors
    "llama-3.1-405b": "meta-llama/Meta-Llama-3.1-405B",
    "qwen3-8b": "Qwen/Qwen3-8B",
    "qwen3-32b": "Qwen/Qwen3-32B",
    "qwen3-30b-a3b": "Qwen/Qwen3-30B-A3B",
    "qwen3-235b-a22b": "Qwen/Qwen3-235B-A22B",
    "mixtral-8x7b": "mistralai/Mixtral-8x7B-v0.1",
    "gpt-oss-20b": "openai/gpt-oss-20b",
    "gpt-oss-120b": "openai/gpt-oss-120b",
    "deepseek-r1": "deepseek-ai/DeepSeek-R1",
    "deepseek-v3": "deepseek-ai/DeepSeek-V3",
}
SYSTEMS = {
    "a100-80gb-sxm": "a100_sxm",
    "h100-80gb-sxm": "h100_sxm",
    "h200-141gb-sxm": "h200_sxm",
    "b200-180gb-sxm": "b200_sxm",
    "b300-288gb-sxm": "b300_sxm",
    "l40s-48gb": "l40s",
    "rtxpro6000-96gb": "rtx_pro_6000_server",
}
BACKENDS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm"}
PRODUCTS = {"bf16": "bfloat16", "fp16": "bfloat16", "fp8": "fp8", "nvfp4": "nvfp4"}
"""Formats of matrix products; others are those of the LLM's own checkpoint."""

OWN_SOURCE = "aiconfigurator"


def main() -> int:
    """Print a line per group of points; 0 also where the package is absent, which is said."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", nargs="?", type=Path, default=ROOT / "catalogs" / "market")
    parser.add_argument("--most", type=int, default=3)
    asked = parser.parse_args()
    estimate_of = other_predictor()
    if estimate_of is None:
        print("AIConfigurator is not installed: pip install aiconfigurator")
        return 0
    samples = read_samples(asked.folder, load_catalog()).inside
    known = [s for s in samples if is_known(s)]
    points = [point for group in by_replica(known) for point in spaced(group, asked.most)]
    print(f"{len(points)} of {len(known)} points that both know, of {len(samples)} in all")
    pairs = list(compared(points, estimate_of))
    for line in report(pairs):
        print(line)
    return 0


def other_predictor() -> Callable[..., Any] | None:
    """What predicts one deployment; None where the package is absent."""
    warnings.simplefilter("ignore")
    logging.disable(logging.CRITICAL)
    try:
        from aiconfigurator.cli.api import cli_estimate
    except ImportError:
        return None
    return cli_estimate


def is_known(s: Sample) -> bool:
    """Whether AIConfigurator has the LLM, the GPU and the engine."""
    return s.llm.id in MODELS and s.gpu.id in SYSTEMS and s.engine in BACKENDS


def by_replica(samples: Iterable[Sample]) -> Iterator[list[Sample]]:
    """The points of each replica, engine and regime, by requests in flight."""
    groups: dict[tuple[object, ...], list[Sample]] = {}
    for s in samples:
        groups.setdefault((*s.replica, s.engine, s.regime, s.source.name), []).append(s)
    yield from (sorted(group, key=lambda s: s.concurrency) for group in groups.values())


def spaced(group: Sequence[Sample], most: int) -> list[Sample]:
    """At most so many, evenly spaced, the first and the last among them."""
    if len(group) <= most:
        return list(group)
    step = (len(group) - 1) / max(1, most - 1)
    return [group[round(i * step)] for i in range(most)]


def compared(
    points: Iterable[Sample], estimate_of: Callable[..., Any]
) -> Iterator[tuple[Sample, float | None]]:
    """Each point with log(measured ÷ AIConfigurator's); None where it does not answer."""
    for s in points:
        try:
            found = estimate_of(MODELS[s.llm.id], SYSTEMS[s.gpu.id], **question(s))
        except (Exception, SystemExit):  # whatever it does not know, it says by an exception
            yield s, None
            continue
        rate = float(found.tokens_per_second)
        yield s, math.log(s.output_tokens_per_second / rate) if rate > 0 else None


def question(s: Sample) -> dict[str, Any]:
    """The sample in AIConfigurator's words."""
    spread = s.settings.expert_parallel
    experts = {"moe_tp_size": 1, "moe_ep_size": s.tensor_parallel} if spread else {}
    return {
        "mode": "agg",
        "backend_name": BACKENDS[s.engine],
        "isl": round(s.input_tokens),
        "osl": round(s.output_tokens),
        "batch_size": max(1, round(s.concurrency)),
        "tp_size": s.tensor_parallel,
        "gemm_quant_mode": PRODUCTS.get(s.precision),
        "kvcache_quant_mode": "fp8" if s.settings.kv_format(s.precision) == "fp8" else "bfloat16",
        **experts,
    }


Pair = tuple[Sample, float | None]


def report(pairs: Sequence[Pair]) -> Iterator[str]:
    """A line for all points, and one for each group."""
    answered = [pair for pair in pairs if pair[1] is not None]
    yield f"{len(pairs) - len(answered)} points without an answer of AIConfigurator"
    yield f"{'points':<34} {'n':>5}  {'estimate':>22}  {'AIConfigurator':>22}"
    own = [p for p in answered if OWN_SOURCE in p[0].source.name.lower()]
    others = [p for p in answered if OWN_SOURCE not in p[0].source.name.lower()]
    yield from rows("all", answered)
    yield from rows("of AIConfigurator's repository", own)
    yield from rows("of other sources", others)
    for name in sorted({p[0].regime for p in others}):
        yield from rows(f"others, {name}", [p for p in others if p[0].regime == name])
    for name in sorted({p[0].engine for p in others}):
        yield from rows(f"others, {name}", [p for p in others if p[0].engine == name])


def rows(name: str, pairs: Sequence[Pair]) -> Iterator[str]:
    """Median, 90th percentile and bias of both predictors."""
    if not pairs:
        return
    ours = [math.log(s.rate_ratio) for s, _ in pairs]
    theirs = [log for _, log in pairs if log is not None]
    yield f"{name:<34} {len(pairs):>5}  {errors(ours)}  {errors(theirs)}"


def errors(logs: Sequence[float]) -> str:
    """`12.3 %  40.1 %   -3.0 %`."""
    sizes = sorted(abs(log) for log in logs)
    p90 = sizes[min(len(sizes) - 1, int(0.9 * len(sizes)))]
    figures = statistics.median(sizes), p90, statistics.median(logs)
    return "  ".join(f"{100 * math.expm1(value):5.1f}%" for value in figures)


if __name__ == "__main__":
    sys.exit(main())
