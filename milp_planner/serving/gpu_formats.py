"""What a GPU does with a weight format: whether it runs, at which peak, and what that costs."""

from __future__ import annotations

from milp_planner.inputs.catalog.records import Gpu

TERA = 1e12

UNPACKED_COMPUTE_SHARE = 0.40  # of decode, where weights are widened before each product
NVFP4_COMPUTE_SHARE = 0.75  # activations are quantised on the way and the peak is not sustained
MOE_OVERHEAD_S = 40e-6  # routing, gathering and two grouped products, in bf16
MOE_OVERHEAD_FP8_S = 50e-6  # activations are scaled to fp8 before each product: more kernels
MOE_OVERHEAD_FOUR_BIT_S = 20e-6  # 4-bit units: one kernel does all of it
MOE_OVERHEAD_WIDENED_S = 70e-6  # no units for the format: weights are unpacked to bf16 on the way


def unable(gpu: Gpu, precision: str) -> str:
    """Why no engine serves weights in `precision` on `gpu`; '' where one does.

    NVIDIA GPUs multiply bf16 from compute capability 8.0 on, and unpack fp8 weights to 16 bits from
    7.5 on, 4-bit floats from 8.0 on (vLLM, "Quantization", supported hardware). fp16 and int4 run
    everywhere; nvfp4 is NVIDIA's, AMD's 4-bit units take mxfp4.
    """
    if precision == "nvfp4" and gpu.vendor == "amd":
        return f"no engine serves nvfp4 on {gpu.id}; mxfp4 is its 4-bit format"
    least = LEAST_CAPABILITY.get(precision, 0.0)
    if gpu.compute_capability is None or gpu.compute_capability >= least:
        return ""
    generation = f"compute capability {gpu.compute_capability:.1f}, {least:.1f} has it"
    if precision == "bf16":
        return f"{gpu.id} has no bf16 ({generation}); fp16 runs there"
    return f"no engine serves {precision} on {gpu.id} ({generation})"


def compute_flops(gpu: Gpu, precision: str) -> float:
    """Compute peak of one GPU for weights in `precision`, operations per second.

    A GPU computes in the weights' format only where it has units for it; else weights are widened
    to bf16 first. mxfp4 and int4 checkpoints keep wide activations: mxfp4 computes at the fp8 rate
    where the GPU has fp4 units, int4 always at the bf16 rate.
    """
    bf16 = gpu.bf16_tflops or 0.0
    rate = {
        "fp8": gpu.fp8_tflops,
        "int8": gpu.int8_tops,
        "nvfp4": gpu.fp4_tflops,
        "mxfp4": gpu.fp8_tflops if gpu.fp4_tflops else None,
    }.get(precision)
    return (rate or bf16) * TERA


def unpacked_share(gpu: Gpu, precision: str) -> float:
    """What decoding keeps of the compute where weights are widened before each product."""
    units = {
        "fp8": gpu.fp8_tflops,
        "int8": gpu.int8_tops,
        "nvfp4": gpu.fp4_tflops,
        "mxfp4": gpu.fp4_tflops,
        "int4": None,
    }
    return 1.0 if precision not in units or units[precision] else UNPACKED_COMPUTE_SHARE


def nvfp4_share(gpu: Gpu, precision: str) -> float:
    """What nvfp4 attains of the peak of 4-bit units, relative to other formats of theirs."""
    return NVFP4_COMPUTE_SHARE if precision == "nvfp4" and gpu.fp4_tflops else 1.0


def moe_overhead_s(gpu: Gpu, precision: str) -> float:
    """Time of the kernels of one layer with experts, by how the GPU multiplies the format   [s]."""
    if precision in ("bf16", "fp16"):
        return MOE_OVERHEAD_S
    if precision == "fp8" and gpu.fp8_tflops:
        return MOE_OVERHEAD_FP8_S
    if precision in ("nvfp4", "mxfp4") and gpu.fp4_tflops:
        return MOE_OVERHEAD_FOUR_BIT_S
    return MOE_OVERHEAD_WIDENED_S


LEAST_CAPABILITY = {"bf16": 8.0, "fp8": 7.5, "nvfp4": 8.0, "mxfp4": 8.0}
"""Compute capability from which NVIDIA GPUs serve a format; any serves the others."""
