"""What joins the GPUs of a replica: latency of a small all-reduce, and bandwidth."""

from __future__ import annotations

from dataclasses import dataclass

from milp_planner.inputs.catalog.records import Gpu


@dataclass(frozen=True)
class Link:
    """What joins the GPUs of a replica."""

    all_reduce_s: float
    """Latency of one small all-reduce, in seconds."""

    bytes_per_second: float
    """Peak of one GPU in one direction."""


NVLINK_3 = Link(all_reduce_s=8e-6, bytes_per_second=300e9)  # A100
NVLINK_4 = Link(all_reduce_s=8e-6, bytes_per_second=450e9)  # H100, H200
NVLINK_5 = Link(all_reduce_s=8e-6, bytes_per_second=900e9)  # B200, B300

LINKS = {
    # PCIe 4.0 x16; a small all-reduce goes through the host (Cloudrift, RTX cards without peers)
    "pcie": Link(all_reduce_s=70e-6, bytes_per_second=32e9),
    "infinity_fabric": Link(all_reduce_s=12e-6, bytes_per_second=448e9),  # MI300X mesh, 7 peers
    "roce": Link(all_reduce_s=20e-6, bytes_per_second=300e9),  # Gaudi 2
    "neuronlink": Link(all_reduce_s=20e-6, bytes_per_second=100e9),  # assumed: none published
    "ici": Link(all_reduce_s=20e-6, bytes_per_second=100e9),  # assumed: none published
}
"""Link by the name that a GPU gives its interconnect."""


def link_of(gpu: Gpu) -> Link:
    """The link between the GPUs of one unit; an unknown name is taken for PCIe."""
    if gpu.interconnect != "nvlink":
        return LINKS.get(gpu.interconnect, LINKS["pcie"])
    if gpu.fp4_tflops:
        return NVLINK_5
    return NVLINK_4 if gpu.fp8_tflops else NVLINK_3
