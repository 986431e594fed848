"""Small problems of LLMs that share GPUs.

A GPU has 100 GiB, of which engines take 90, and costs $1/h, $720 a month; each of two services does
1 request/s on it alone, and takes 40 GiB. Or each of two LLMs of 1.2B stands on a card of 24 GiB.
"""

from __future__ import annotations

from typing import Any

from milp_planner import Catalog, Llm, Plan, Problem
from milp_planner.inputs.catalog.records import Gpu
from tests.support.builders import SOURCE, gpu, llm, offering


def service(name: str, rate: float, gib: float | None = 40, **fields: Any) -> dict[str, Any]:
    measured = {"gpu": "big", "requests_per_second": 1, "memory_gib_per_gpu": gib}
    return {
        "name": name,
        "llm": name,
        "traffic": {"kind": "requests_per_second", "requests_per_second": rate},
        "rates": [measured],
        **fields,
    }


def services(*loads: dict[str, Any], share: str = "gpus", target: float = 1.0, **fields: Any):
    policy = {"share": share, "utilization": {"target": target}, **fields.pop("policy", {})}
    fields.setdefault("alternatives", {"count": 0})
    return Problem(workloads=list(loads), policy=policy, **fields)


def rented(*, gpus: int = 1, usd_per_hour: float = 1.0, **fields: Any) -> Catalog:
    return Catalog.of(
        gpus=[gpu("big", 100)],
        llms=[llm(name) for name in ("chat", "code", "mail")],
        offerings=[offering("acme", "big", usd_per_hour, gpus_per_unit=gpus, **fields)],
    )


def on_gpus(plan: Plan) -> list[str]:
    """What stands on each GPU in the first block: `chat 43 + code 57`, in percent of its time."""
    return [
        " + ".join(f"{k.workload} {k.gpu_set.of(k.workload).time_percent}" for k, _ in unit)
        for shared in plan.shared_units
        for unit in shared.contents_by_block[0]
        if all(k.gpu_set is not None for k, _ in unit)
    ]


def halves(day: float, night: float) -> dict[str, Any]:
    weights = [day] * 12 + [night] * 12
    return {"kind": "profile", "weights": weights, "requests_per_day": 3600 * sum(weights)}


def two_llms(traffic: dict[str, Any] | None = None, **changes: Any) -> Problem:
    steady = {"kind": "requests_per_second", "requests_per_second": 0.2}

    def load(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "llm": f"one-b-{name}",
            "traffic": (traffic or {}).get(name, steady),
            "requests": {"input_tokens": 500, "output_tokens": 200},
        }

    return services(load("chat"), load("code"), target=0.75).changed(changes)


def known_llms() -> Catalog:
    shape = {"layers": 16, "hidden_size": 2048, "attention_heads": 32, "kv_heads": 8}
    shape |= {"head_dim": 64, "ffn_size": 8192, "vocabulary": 128_256, "attention": "GQA"}
    shape |= {"parameters_b": 1.2, "active_parameters_b": 1.2, "native_precision": "bf16"}
    speed = {"memory_bandwidth_gb_per_s": 1_000, "bf16_tflops": 150, "fp8_tflops": 300}
    return Catalog.of(
        gpus=[Gpu(id="card", vendor="test", memory_gib=24, **speed, **SOURCE)],
        llms=[Llm(id=f"one-b-{name}", **shape, **SOURCE) for name in ("chat", "code")],
        offerings=[offering("acme", "card", 1.0)],
    )
