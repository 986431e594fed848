"""LLMs, GPUs and rows of replicas for the tests of rates, and how a serving model is asked."""

from __future__ import annotations

from datetime import date
from typing import Any

from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.serving.rates.throughput import ServingModel
from tests.support.serving.known_llms import LLAMA_70B

DAY = date(2026, 1, 1)

NEWER_LLAMA = LLAMA_70B.model_copy(update={"id": "llama-70b-newer"})
OTHER = LLAMA_70B.model_copy(update={"id": "other-60b", "parameters_b": 60.0})
BOXED = Llm(id="boxed", recommended_memory_gib=80, source="test", as_of=DAY)


def gpu(name: str = "h200", **fields: Any) -> Gpu:
    given: dict[str, Any] = {
        "memory_gib": 141,
        "memory_bandwidth_gb_per_s": 4800,
        "bf16_tflops": 989,
        "fp8_tflops": 1978,
        "interconnect": "nvlink",
    }
    given |= {"vendor": "nvidia", **fields}
    return Gpu(id=name, source="test", as_of=DAY, **given)


H200 = gpu()


def row(n: float | None, tokens_per_second: float, **fields: Any) -> Measurement:
    """A user's closed-loop row of llama-70b in fp8 on two H200, 1000 tokens in and 500 out."""
    given: dict[str, Any] = {
        "llm": "llama-70b",
        "gpu": "h200",
        "precision": "fp8",
        "tensor_parallel": 2,
        "engine": "vllm",
        "input_tokens": 1000,
        "output_tokens": 500,
        "concurrency": n,
        "source": "lab/bench",
        "as_of": DAY,
        "override": True,
    }
    return Measurement(output_tokens_per_second=tokens_per_second, **{**given, **fields})


def published(n: float | None, tokens_per_second: float, **fields: Any) -> Measurement:
    """The same, measured by others with a tuned engine."""
    return row(n, tokens_per_second, **{"override": False, "tuning": "tuned", **fields})


TUNED = DeploymentSettings(tuning="tuned")


def model(*rows: Measurement, llms: tuple[Llm, ...] = (LLAMA_70B,)) -> ServingModel:
    gpus = [H200, gpu("b200", fp4_tflops=9000, memory_bandwidth_gb_per_s=7700), gpu("old")]
    return ServingModel(Catalog.of(gpus=gpus, llms=[*llms, OTHER], measurements=rows))


def ask(serving: ServingModel, llm: Llm = LLAMA_70B, on: Gpu = H200, **wishes: Any) -> Any:
    given: dict[str, Any] = {"tp": 2, "size": (1000, 500), "precision": "fp8", **wishes}
    tp, size, precision = given.pop("tp"), given.pop("size"), given.pop("precision")
    return serving.operating_point(llm, on, precision, tp, *size, **given)
