"""What joins the GPUs of a replica: inside a unit, and between units that are joined."""

from __future__ import annotations

from milp_planner.inputs.catalog.layer_parts import layer_parts
from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.lazily import dataclass, replace
from milp_planner.serving.weights import BF16_BYTES

LINK_EFFICIENCY = 0.50  # share of the link peak that an all-reduce attains

# Over NVLink the protocol takes about a fifth: NCCL gets 370 of 450 GB/s from eight H100 in a ring
# (its maintainer, NVIDIA/nccl-tests issue 212). What reductions in the switch gain is not counted.
NVLINK_EFFICIENCY = 0.80

# Where no GPU reaches the memory of another (GeForce cards: the driver shuts it off) each block is
# copied into the host's memory and out again. Four RTX 5090 (GLM-4.5-Air int4, 200 in flight) are
# met at 9 of 64 GB/s; not fitted to: eight RTX 4090 (Qwen2.5-14B, 40 in flight), 48 ms per token by
# it beside 44 measured.
HOST_EFFICIENCY = 0.15

GB = 1e9


@dataclass(frozen=True)
class Link:
    """What joins the GPUs of a replica."""

    all_reduce_s: float
    """Latency of one small all-reduce, in seconds."""

    bytes_per_second: float
    """Peak of one GPU in one direction."""

    efficiency: float = LINK_EFFICIENCY
    """Share of the peak that an all-reduce attains."""

    @property
    def attained_bytes_per_second(self) -> float:
        """What an all-reduce moves through one GPU in one direction."""
        return self.bytes_per_second * self.efficiency


NVLINK_3 = Link(8e-6, 300e9, NVLINK_EFFICIENCY)  # A100
NVLINK_4 = Link(8e-6, 450e9, NVLINK_EFFICIENCY)  # H100, H200
NVLINK_5 = Link(8e-6, 900e9, NVLINK_EFFICIENCY)  # B200, B300

LINKS = {
    # PCIe 4.0 x16; a small all-reduce waits for the host (Cloudrift)
    "pcie": Link(all_reduce_s=70e-6, bytes_per_second=32e9),
    "pcie_host": Link(all_reduce_s=70e-6, bytes_per_second=32e9, efficiency=HOST_EFFICIENCY),
    "infinity_fabric": Link(all_reduce_s=12e-6, bytes_per_second=448e9),  # MI300X mesh, 7 peers
    "roce": Link(all_reduce_s=20e-6, bytes_per_second=300e9),  # Gaudi 2
    # assumed for a card that states no speed; the shipped ones do
    "neuronlink": Link(all_reduce_s=20e-6, bytes_per_second=100e9),
    "ici": Link(all_reduce_s=20e-6, bytes_per_second=100e9),
}
"""Link by the name that a GPU gives its interconnect, where its row states no speed."""

FABRIC_GB_PER_S = 50.0
"""Network of one GPU in nodes of 8 with a 400 Gb/s adapter each, 400 / 8 = 50 GB/s (NVIDIA DGX H100
User Guide: eight single-port ConnectX-7 of 400 Gb/s for the cluster). Assumed of any such unit."""

PLAIN_NETWORK_GB_PER_S = 12.5
"""Network of a whole unit elsewhere: 100 Gb/s, 100 / 8 = 12.5 GB/s. Assumed."""

BETWEEN_UNITS_S = 30e-6
"""Latency of one small message between units, send or all-reduce. Assumed: several microseconds on
the wire and in the switch, and the start of a kernel on both sides."""

FABRICS = frozenset({"nvlink", "infinity_fabric", "roce"})


def link_of(gpu: Gpu) -> Link:
    """The link between the GPUs of one unit, at the speed of the GPU's row where that states one;
    an unknown name is taken for PCIe."""
    link = _usual_link(gpu)
    stated = gpu.interconnect_gb_per_s
    return link if stated is None else replace(link, bytes_per_second=stated * GB)


def _usual_link(gpu: Gpu) -> Link:
    if gpu.interconnect != "nvlink":
        return LINKS.get(gpu.interconnect, LINKS["pcie"])
    if gpu.fp4_tflops:
        return NVLINK_5
    return NVLINK_4 if gpu.fp8_tflops else NVLINK_3


@dataclass(frozen=True)
class Network:
    """What joins the units of a replica: S stages, each of so many units.

    All of its times are 0 where a replica is one unit.
    """

    stages: int
    units: int
    bytes_per_second: float
    """Of one GPU in one direction."""

    def all_reduce_s(self, bytes_per_gpu: float) -> float:
        """All-reduces between the units of a stage, of what each GPU is left with   [s].

        2·(u − 1)/u · bytes / (B · 0.5), with u the units of a stage.
        """
        sent = bytes_per_gpu * 2 * (self.units - 1) / self.units
        return sent / (self.bytes_per_second * LINK_EFFICIENCY)

    def hops_s(self, llm: Llm) -> float:
        """Activations of one token through all stages: (S − 1) · d · 2 bytes / (B · 0.5)   [s]."""
        sent = (self.stages - 1) * (llm.hidden_size or 0) * BF16_BYTES
        return sent / (self.bytes_per_second * LINK_EFFICIENCY)

    def latency_s(self, llm: Llm) -> float:
        """Of one step: every hop, and every all-reduce that leaves its unit   [s]."""
        reduces = layer_parts(llm) * (self.units > 1)  # one after each part
        return (self.stages - 1 + reduces) * BETWEEN_UNITS_S


def network_of(gpu: Gpu, tensor_parallel: int, settings: DeploymentSettings) -> Network:
    """The network of a replica of `settings.stages` stages of `tensor_parallel` GPUs."""
    gb_per_s = between_units_gb_per_s(gpu, tensor_parallel, settings)
    units = settings.units_joined // settings.stages
    return Network(settings.stages, units, gb_per_s * GB)


def between_units_gb_per_s(gpu: Gpu, tensor_parallel: int, settings: DeploymentSettings) -> float:
    """Network of each GPU, in GB/s: as stated, else assumed by how its unit is built."""
    if settings.gb_per_s_between_units is not None:
        return settings.gb_per_s_between_units
    if gpu.interconnect in FABRICS:
        return FABRIC_GB_PER_S
    gpus_per_unit = tensor_parallel * settings.stages / settings.units_joined
    return PLAIN_NETWORK_GB_PER_S / max(gpus_per_unit, 1)
