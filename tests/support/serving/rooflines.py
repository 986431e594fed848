"""The estimate of a tuned engine, and GPUs whose times are worked in the head."""

from __future__ import annotations

from datetime import date
from typing import Any

from milp_planner.inputs.catalog.records import Gpu
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.serving import roofline as module
from milp_planner.serving.roofline import Roofline

TUNED = DeploymentSettings(tuning="tuned")


def roofline(*replica: Any, settings: DeploymentSettings = TUNED, **fields: Any) -> Roofline:
    """The estimate of a tuned engine, whose kernels take what the constants say."""
    return module.roofline(*replica, settings, **fields)


def gpu(**fields: Any) -> Gpu:
    given: dict[str, Any] = {
        "id": "box",
        "vendor": "v",
        "memory_gib": 80,
        "memory_bandwidth_gb_per_s": 2000,
        "bf16_tflops": 100,
        "source": "test",
        "as_of": date(2026, 1, 1),
    }
    return Gpu(**{**given, **fields})


H200 = gpu(
    id="h200",
    memory_gib=141,
    memory_bandwidth_gb_per_s=4800,
    bf16_tflops=989,
    fp8_tflops=1978,
    interconnect="nvlink",
)
