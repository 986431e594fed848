"""LLMs, GPUs and rows of replicas for the tests of rates, and how a serving model is asked."""

from __future__ import annotations

from datetime import date
from typing import Any

from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.serving.rates.throughput import ServingModel

DAY = date(2026, 1, 1)

LLAMA = Llm(
    id="llama-70b",
    parameters_b=70.552,
    layers=80,
    hidden_size=8192,
    attention_heads=64,
    kv_heads=8,
    head_dim=128,
    attention="GQA",
    vocabulary=128_256,
    context_tokens=131_072,
    source="test",
    as_of=DAY,
)
NEWER_LLAMA = LLAMA.model_copy(update={"id": "llama-70b-newer"})
OTHER = LLAMA.model_copy(update={"id": "other-60b", "parameters_b": 60.0})
DEEPSEEK = Llm(
    id="deepseek",
    parameters_b=671.025,
    active_parameters_b=37.551,
    layers=61,
    hidden_size=7168,
    attention_heads=128,
    attention="MLA",
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    moe_layers=58,
    experts=256,
    experts_per_token=8,
    moe_ffn_size=2048,
    vocabulary=129_280,
    native_precision="fp8",
    source="test",
    as_of=DAY,
)
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


def model(*rows: Measurement, llms: tuple[Llm, ...] = (LLAMA,)) -> ServingModel:
    gpus = [H200, gpu("b200", fp4_tflops=9000, memory_bandwidth_gb_per_s=7700), gpu("old")]
    return ServingModel(Catalog.of(gpus=gpus, llms=[*llms, OTHER], measurements=rows))


def ask(serving: ServingModel, llm: Llm = LLAMA, on: Gpu = H200, **wishes: Any) -> Any:
    given: dict[str, Any] = {"tp": 2, "size": (1000, 500), "precision": "fp8", **wishes}
    tp, size, precision = given.pop("tp"), given.pop("size"), given.pop("precision")
    return serving.operating_point(llm, on, precision, tp, *size, **given)
