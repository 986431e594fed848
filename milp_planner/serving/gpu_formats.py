"""What a GPU does with a weight format: whether it runs, at which peak, and what that costs."""

from __future__ import annotations

from milp_planner.inputs.catalog.records import Gpu

TERA = 1e12

UNPACKED_COMPUTE_SHARE = 0.40  # of decode, where weights are widened before each product
FP32_SHARE = 1 / 2
"""32-bit products at half the bf16 rate: tensor cores round them to TF32, dense 156 of 312 TFLOPS
on an A100 and 494.5 of 989 on an H100 (NVIDIA's data sheets). An engine that is told to round
nothing goes without tensor cores, at 19.5 and 67 TFLOPS there: state `fp32_tflops` then."""

FP32_SHARE_WITHOUT_TF32 = 1 / 8  # T4: 8.1 of 65 TFLOPS, V100: 15.7 of 125 (NVIDIA's data sheets)
TF32_CAPABILITY = 8.0
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
    where the GPU has fp4 units, int4 always at the bf16 rate. fp32 computes at the GPU's
    `fp32_tflops`, else at a share of the bf16 peak; see `FP32_SHARE`.
    """
    bf16 = gpu.bf16_tflops or 0.0
    if precision == "fp32":
        return (gpu.fp32_tflops or bf16 * fp32_share(gpu)) * TERA
    rate = {
        "fp8": gpu.fp8_tflops,
        "int8": gpu.int8_tops,
        "nvfp4": gpu.fp4_tflops,
        "mxfp4": gpu.fp8_tflops if gpu.fp4_tflops else None,
    }.get(precision)
    return (rate or bf16) * TERA


def fp32_share(gpu: Gpu) -> float:
    """What a GPU computes in 32 bits, relative to its bf16 peak."""
    old = gpu.compute_capability is not None and gpu.compute_capability < TF32_CAPABILITY
    return FP32_SHARE_WITHOUT_TF32 if old else FP32_SHARE


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
    if precision in ("bf16", "fp16", "fp32"):
        return MOE_OVERHEAD_S
    if precision == "fp8" and gpu.fp8_tflops:
        return MOE_OVERHEAD_FP8_S
    if precision in ("nvfp4", "mxfp4") and gpu.fp4_tflops:
        return MOE_OVERHEAD_FOUR_BIT_S
    return MOE_OVERHEAD_WIDENED_S


LEAST_CAPABILITY = {"bf16": 8.0, "fp8": 7.5, "nvfp4": 8.0, "mxfp4": 8.0}
"""Compute capability from which NVIDIA GPUs serve a format; any serves the others."""
