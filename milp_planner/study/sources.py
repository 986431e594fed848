"""Who published measurements, and in what deployment they ran: the one table of sources.

The tier is set by who ran the engine, never by how well the estimate meets the figures: vendors'
recipes and suites are `tuned`, third parties ran default settings, engines of 2023 and 2024 are
`old`. To add a source, add a row to `SOURCES`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from milp_planner.inputs.problem.deployment import DeploymentSettings, Tuning
from milp_planner.lazily import dataclass


@dataclass(frozen=True)
class PublishedSource:
    """One team with machines and settings of its own."""

    name: str
    tuning: Tuning | None = None
    """tuned, or None for default settings."""

    vllm_version: str | None = None
    """Where all of its vLLM rows are of releases before 2025."""

    recent: bool = True
    """Whether its engines are of 2025 or later, or compiled: what an estimate is for."""


INFERENCEX = PublishedSource("InferenceX", "tuned")
NVIDIA_INTERNAL = PublishedSource("NVIDIA internal", "tuned")
ARGONNE_COMPILED = PublishedSource("Argonne, TensorRT-LLM", "tuned")
ARGONNE_OLD = PublishedSource("Argonne, vLLM of 2024", vllm_version="0.6", recent=False)

SOURCES: Mapping[str, PublishedSource] = {
    "aiconfigurator_silicon": INFERENCEX,
    "ai-dynamo/aiconfigurator": INFERENCEX,
    "inferencex_2026-07-20": INFERENCEX,
    "inferencex_snapshot": INFERENCEX,
    "MQubeAI/InferenceX-PCA-demo": INFERENCEX,
    "mlenergy": PublishedSource("ML.ENERGY"),
    "cloudrift_deplodock": PublishedSource("Cloudrift"),
    "cloudrift-ai/deplodock": PublishedSource("Cloudrift"),
    "heyram74_h200": PublishedSource("heyram74"),
    "argonne_2024": ARGONNE_OLD,
    "argonne-lcf/LLM-Inference-Bench": ARGONNE_OLD,
    "splitwise_perf_model": PublishedSource("Splitwise", vllm_version="0.2", recent=False),
    "shashwatj07/SageServe": PublishedSource("Splitwise", vllm_version="0.2", recent=False),
    "trtllm_v0.17": PublishedSource("TensorRT-LLM 0.17", "tuned"),
    "NVIDIA/TensorRT-LLM@258c754": PublishedSource("TensorRT-LLM 0.17", "tuned"),
    "trtllm_devguide": PublishedSource("TensorRT-LLM guide", "tuned"),
    "NVIDIA/TensorRT-LLM@585c756": PublishedSource("TensorRT-LLM guide", "tuned"),
    "gpustack_lab": PublishedSource("GPUStack"),
    "gpustack/gpustack": PublishedSource("GPUStack"),
    "kubeai_l4": PublishedSource("KubeAI"),
    "llm_price_compass": PublishedSource("LLM price compass", vllm_version="0.5", recent=False),
    "web_pages": PublishedSource("single web pages"),
    "mlperf_v4.1": PublishedSource("MLPerf 4.1", "tuned"),
    "mlperf_v5.1": PublishedSource("MLPerf 5.1", "tuned"),
    "mlperf_v6.0": PublishedSource("MLPerf 6.0", "tuned"),
}
"""By the name of the collection, or by the repository that a catalog's row names."""

ENGINES = {"trtllm": "tensorrt-llm"}
"""Engines that collections write in two ways."""

MODELLED_ENGINES = frozenset({"vllm", "sglang", "tensorrt-llm"})


def source_of(written: str, engine: str, note: str) -> PublishedSource:
    """The source of a row, by what its `source` column begins with; else one of that very name."""
    repository = written.split(" ")[0]
    keys = written, repository, repository.partition("@")[0]
    found = next((SOURCES[key] for key in keys if key in SOURCES), None)
    if found is None:
        return PublishedSource(repository)
    if found is INFERENCEX and note.startswith("NVIDIA internal"):
        return NVIDIA_INTERNAL
    if found is ARGONNE_OLD and engine == "tensorrt-llm":
        return ARGONNE_COMPILED
    return found


def settings_of(
    source: PublishedSource, engine: str, *, fp8_cache: bool = False, expert_parallel: bool = False
) -> DeploymentSettings:
    """The deployment that a source's rows in `engine` ran in, as far as it is stated."""
    given: dict[str, Any] = {"engine": engine, "expert_parallel": expert_parallel}
    if engine != "tensorrt-llm" and source.tuning is not None:
        given["tuning"] = source.tuning
    if engine == "vllm" and source.vllm_version is not None:
        given["engine_version"] = source.vllm_version
    if fp8_cache:
        given["kv_precision"] = "fp8"
    return DeploymentSettings(**given)
