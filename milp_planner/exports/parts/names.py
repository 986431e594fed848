"""What other tools call a GPU, a provider and a way to pay.

GPUs: the names of NVIDIA's GPU feature discovery (the driver's product name with dashes), and those
of SkyPilot 0.14 and dstack 0.22, as their catalogs have them. What is not here is to be replaced.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from milp_planner.lazily import dataclass


@dataclass(frozen=True)
class GpuNames:
    """What one GPU is called elsewhere; '' where it has no name there."""

    product: str
    """The label `nvidia.com/gpu.product` or its like."""

    skypilot: str
    dstack: str
    resource: str = "nvidia.com/gpu"
    """What a Kubernetes pod asks for."""


GPUS = {
    "a10-24gb": GpuNames("NVIDIA-A10", "A10", "A10"),
    "a100-40gb-pcie": GpuNames("NVIDIA-A100-PCIE-40GB", "A100", "A100:40GB"),
    "a100-40gb-sxm": GpuNames("NVIDIA-A100-SXM4-40GB", "A100", "A100:40GB"),
    "a100-80gb-pcie": GpuNames("NVIDIA-A100-80GB-PCIe", "A100-80GB", "A100:80GB"),
    "a100-80gb-sxm": GpuNames("NVIDIA-A100-SXM4-80GB", "A100-80GB", "A100:80GB"),
    "a10g-24gb": GpuNames("NVIDIA-A10G", "A10G", "A10G"),
    "a40-48gb": GpuNames("NVIDIA-A40", "A40", "A40"),
    "b200-180gb-sxm": GpuNames("NVIDIA-B200", "B200", "B200"),
    "b300-288gb-sxm": GpuNames("NVIDIA-B300-SXM6-AC", "B300", "B300"),
    "gh200-96gb": GpuNames("NVIDIA-GH200-480GB", "GH200", "GH200"),
    "h100-80gb-pcie": GpuNames("NVIDIA-H100-PCIe", "H100", "H100:80GB"),
    "h100-80gb-sxm": GpuNames("NVIDIA-H100-80GB-HBM3", "H100", "H100:80GB"),
    "h100-94gb-nvl": GpuNames("NVIDIA-H100-NVL", "H100-NVL", "H100NVL"),
    "h200-141gb-sxm": GpuNames("NVIDIA-H200", "H200", "H200"),
    "l4-24gb": GpuNames("NVIDIA-L4", "L4", "L4"),
    "l40-48gb": GpuNames("NVIDIA-L40", "L40", "L40"),
    "l40s-48gb": GpuNames("NVIDIA-L40S", "L40S", "L40S"),
    "mi300x-192gb": GpuNames("AMD_Instinct_MI300X_OAM", "MI300X", "MI300X", "amd.com/gpu"),
    "mi325x-256gb": GpuNames("AMD_Instinct_MI325X", "MI325X", "MI325X", "amd.com/gpu"),
    "mi355x-288gb": GpuNames("AMD_Instinct_MI355X", "MI355X", "MI355X", "amd.com/gpu"),
    "rtx3090-24gb": GpuNames("NVIDIA-GeForce-RTX-3090", "RTX3090", "RTX3090"),
    "rtx4090-24gb": GpuNames("NVIDIA-GeForce-RTX-4090", "RTX4090", "RTX4090"),
    "rtx5090-32gb": GpuNames("NVIDIA-GeForce-RTX-5090", "RTX5090", "RTX5090"),
    "rtx6000ada-48gb": GpuNames("NVIDIA-RTX-6000-Ada-Generation", "RTX6000-Ada", "RTX6000Ada"),
    "rtxa6000-48gb": GpuNames("NVIDIA-RTX-A6000", "RTXA6000", "A6000"),
    "rtxpro6000-96gb": GpuNames(
        "NVIDIA-RTX-PRO-6000-Blackwell-Server-Edition", "RTXPRO6000", "RTXPRO6000"
    ),
    "t4-16gb": GpuNames("Tesla-T4", "T4", "T4"),
    "v100-16gb-sxm": GpuNames("Tesla-V100-SXM2-16GB", "V100", "V100:16GB"),
    "v100-32gb-sxm": GpuNames("Tesla-V100-SXM2-32GB", "V100-32GB", "V100:32GB"),
}

NO_NAMES = GpuNames("", "", "")

RUNPOD_SKYPILOT = {
    "a100-80gb-sxm": "A100-80GB-SXM",
    "h100-80gb-sxm": "H100-SXM",
    "h200-141gb-sxm": "H200-SXM",
}
"""RunPod's GPUs whose form SkyPilot's catalog of RunPod tells."""

SKYPILOT_CLOUDS = {
    "aws": "aws",
    "azure": "azure",
    "gcp": "gcp",
    "digitalocean": "do",
    "hyperbolic": "hyperbolic",
    "lambda": "lambda",
    "nebius": "nebius",
    "oci": "oci",
    "runpod": "runpod",
    "shadeform": "shadeform",
    "vast-ai": "vast",
    "verda": "verda",
    "yotta": "yotta",
}
"""SkyPilot 0.14's name of a provider."""

DSTACK_BACKENDS = {
    "aws": "aws",
    "azure": "azure",
    "gcp": "gcp",
    "crusoe": "crusoe",
    "digitalocean": "digitalocean",
    "jarvislabs": "jarvislabs",
    "lambda": "lambda",
    "nebius": "nebius",
    "oci": "oci",
    "runpod": "runpod",
    "vast-ai": "vastai",
    "verda": "verda",
    "vultr": "vultr",
}
"""dstack 0.22's name of a provider."""

KARPENTER_CLASSES = {
    "aws": ("karpenter.k8s.aws", "EC2NodeClass"),
    "azure": ("karpenter.azure.com", "AKSNodeClass"),
    "gcp": ("karpenter.k8s.gcp", "GCENodeClass"),
}
"""Group and kind of the node classes of Karpenter's providers."""

LITELLM_PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure_ai",
    "bedrock": "bedrock",
    "cerebras": "cerebras",
    "databricks": "databricks",
    "deepinfra": "deepinfra",
    "deepseek": "deepseek",
    "fireworks": "fireworks_ai",
    "google": "gemini",
    "groq": "groq",
    "hyperbolic": "hyperbolic",
    "mistral": "mistral",
    "nebius": "nebius",
    "novita": "novita",
    "openai": "openai",
    "sambanova": "sambanova",
    "together": "together_ai",
    "vertex": "vertex_ai",
}
"""LiteLLM's name of a provider, before the `/`."""

LITELLM_ACCESS: Mapping[str, Mapping[str, str]] = {
    "azure": {"api_base": "AZURE_AI_API_BASE", "api_key": "AZURE_AI_API_KEY"},
    "bedrock": {
        "aws_region_name": "AWS_REGION_NAME",
        "aws_access_key_id": "AWS_ACCESS_KEY_ID",
        "aws_secret_access_key": "AWS_SECRET_ACCESS_KEY",
    },
    "databricks": {"api_base": "DATABRICKS_API_BASE", "api_key": "DATABRICKS_API_KEY"},
    "vertex": {"vertex_project": "VERTEXAI_PROJECT", "vertex_location": "VERTEXAI_LOCATION"},
}
"""What LiteLLM wants of a provider beside or in place of a key, with its own variables."""

EVERYWHERE = ("global", "world", "")
"""Regions that name no place."""


def gpu_names(gpu: str) -> GpuNames:
    """What a GPU is called elsewhere."""
    return GPUS.get(gpu, NO_NAMES)


def skypilot_gpu(provider: str, gpu: str) -> str:
    """SkyPilot's name of a provider's GPU; '' where it has none."""
    form = RUNPOD_SKYPILOT.get(gpu) if provider == "runpod" else None
    return form or gpu_names(gpu).skypilot


def is_label(text: str) -> bool:
    """Whether Kubernetes takes the text as the value of a label."""
    return bool(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", text))
