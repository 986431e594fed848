"""Which GPU an instance type has, where its name says so by the provider's own documentation.

Price lists name `H100` and leave it open whether that is the SXM module or a PCIe card; the name of
the machine tells. Sources:

- Google: docs.cloud.google.com/compute/docs/accelerator-optimized-machines, with the GPUs of each
  machine type. Its hosts and their accelerators have prices of their own, which are added up.
- AWS: aws.amazon.com/ec2/instance-types/accelerated-computing, one GPU for each family.
- Azure: learn.microsoft.com/azure/virtual-machines/sizes/gpu-accelerated: the NC series has PCIe
  cards (H100 NVL in NCads_H100_v5), the ND series SXM modules.
- OCI: docs.oracle.com/iaas/Content/Compute/References/computeshapes.htm.
- NVIDIA's own names: H200 is the SXM module, its PCIe card is called H200 NVL.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from milp_planner.lazily import dataclass

GPU_OF_INSTANCE: tuple[tuple[str, str, str], ...] = (
    ("gcp", r"a2-(highgpu|megagpu)-\d+g", "a100-40gb-sxm"),
    ("gcp", r"a2-ultragpu-\d+g", "a100-80gb-sxm"),
    ("gcp", r"a3-(highgpu|megagpu|edgegpu)-\d+g", "h100-80gb-sxm"),
    ("gcp", r"a3-ultragpu-\d+g", "h200-141gb-sxm"),
    ("gcp", r"a4-highgpu-\d+g", "b200-180gb-sxm"),
    ("gcp", r"g2-standard-\d+", "l4-24gb"),
    ("gcp", r"g4-standard-\d+", "rtxpro6000-96gb"),
    ("aws", r"p4d\.\w+", "a100-40gb-sxm"),
    ("aws", r"p4de\.\w+", "a100-80gb-sxm"),
    ("aws", r"p5\.\w+", "h100-80gb-sxm"),
    ("aws", r"p5en?\.\w+", "h200-141gb-sxm"),
    ("aws", r"p6-b200\.\w+", "b200-180gb-sxm"),
    ("aws", r"p6-b300\.\w+", "b300-288gb-sxm"),
    ("aws", r"p3\.\w+", "v100-16gb-sxm"),
    ("aws", r"p3dn\.\w+", "v100-32gb-sxm"),
    ("azure", r"standard_nd96asr_v4", "a100-40gb-sxm"),
    ("azure", r"standard_nd96amsr_a100_v4", "a100-80gb-sxm"),
    ("azure", r"standard_nd96isr_h100_v5", "h100-80gb-sxm"),
    ("azure", r"standard_nd96isr_h200_v5", "h200-141gb-sxm"),
    ("azure", r"standard_nc\d+adi?s_a100_v4", "a100-80gb-pcie"),
    ("azure", r"standard_n[cd]c?\d+adi?s_h100_v5", "h100-94gb-nvl"),
    ("azure", r"standard_nc\d+s_v3", "v100-16gb-pcie"),
    ("azure", r"standard_nd40rs_v2", "v100-32gb-sxm"),
    ("oci", r"bm\.gpu4\.8", "a100-40gb-sxm"),
    ("oci", r"bm\.gpu\.a100-v2\.8", "a100-80gb-sxm"),
    ("oci", r"bm\.gpu\.h100\.8", "h100-80gb-sxm"),
    ("oci", r"bm\.gpu\.h200\.8", "h200-141gb-sxm"),
    ("oci", r"bm\.gpu\.b200\.8", "b200-180gb-sxm"),
)
"""(provider, pattern of the whole name in lower case, GPU)."""

NAMES_IN_LISTS = {
    "h200": "h200-141gb-sxm",
    "rtxpro6000ws": "rtxpro6000-96gb",
    "h100-mega": "h100-80gb-sxm",
}
"""GPUs as price lists call them, where the catalog's own spellings leave it open."""

_FORM = re.compile(r"(?<![a-z])(sxm|pcie|nvl)\d?(?![a-z])")


@dataclass(frozen=True)
class Accelerators:
    """What must be added to the price of a host that is sold without its GPUs."""

    name: str
    """As SkyPilot calls it."""

    count: int


NAMED_BY_THE_LIST = frozenset({"vast-ai", "runpod", "jarvislabs", "yotta"})
"""Providers that have no instance types: price lists make names up of GPUs and sizes."""


def host_facts(
    provider: str, instance_type: str, vcpus: float | None, memory_gib: float | None
) -> dict[str, str | float | None]:
    """What a price list says of the host of a unit; cells of `offerings.csv`."""
    named = "" if provider in NAMED_BY_THE_LIST else instance_type
    return {"instance_type": named, "vcpus": vcpus, "host_memory_gib": memory_gib}


def gpu_of_instance(provider: str, name: str) -> str:
    """The GPU that the provider documents for the instance type, '' where none is known."""
    found = (gpu for of, like, gpu in GPU_OF_INSTANCE if of == provider and _fits(like, name))
    return next(found, "")


def accelerators_of(provider: str, name: str) -> Accelerators | None:
    """The GPUs of a Google machine type, which are sold apart from it; None for other machines.

    `a3-edgegpu-8g-nolssd` is the same machine without local disks.
    """
    machine = name.removesuffix("-nolssd")
    if provider != "gcp" or not gpu_of_instance(provider, machine):
        return None
    family, size = machine.rpartition("-")[::2]
    if family == "g2-standard":
        return Accelerators("L4", {"24": 2, "48": 4, "96": 8}.get(size, 1))
    if family == "g4-standard":
        count = {"48": 1, "96": 2, "192": 4, "384": 8}.get(size)
        return None if count is None else Accelerators("RTX-PRO-6000", count)
    accelerator = SKYPILOT_ACCELERATORS[family]
    return Accelerators(accelerator, int(size.removesuffix("g")))


SKYPILOT_ACCELERATORS = {
    "a2-highgpu": "A100",
    "a2-megagpu": "A100",
    "a2-ultragpu": "A100-80GB",
    "a3-highgpu": "H100",
    "a3-edgegpu": "H100",
    "a3-megagpu": "H100-MEGA",
    "a3-ultragpu": "H200",
    "a4-highgpu": "B200",
}
"""The accelerator of a Google machine series, as the rows of accelerators call it."""


def forms_in(names: Iterable[str]) -> set[str]:
    """Form factors that are words of the names: `1x-H100_SXM-32` -> {sxm}."""
    return {form for name in names for form in _FORM.findall(name.lower().replace("_", " "))}


def _fits(like: str, name: str) -> bool:
    return re.fullmatch(like, name.lower().removesuffix("-nolssd")) is not None
