"""Over how many GPUs, pipeline stages and units of an offering a replica may be spread."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.inputs.problem.deployment import (
    DEFAULT_DEPLOYMENT,
    MOST_UNITS_JOINED,
    DeploymentSettings,
)
from milp_planner.inputs.problem.records import Workload
from milp_planner.lazily import dataclass

TENSOR_PARALLEL = (1, 2, 4, 8)
"""Tried where the workload states none."""

GPUS_OF_A_NODE = 8
"""Only whole nodes are joined for a stated tensor parallel beyond it without `units_per_replica`:
smaller units are parts of machines, and where the other parts stand nobody knows."""


@dataclass(frozen=True)
class ReplicaShape:
    """The GPUs of a replica: its tensor parallel, times the stages that its settings name."""

    tensor_parallel: int
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT

    @property
    def gpus(self) -> int:
        """GPUs of the whole replica."""
        return self.tensor_parallel * self.settings.stages

    @property
    def label(self) -> str:
        """`tp 8`, and `tp 8 x pp 2` with pipeline stages."""
        stages = self.settings.stages
        return f"tp {self.tensor_parallel}" + (f" x pp {stages}" if stages > 1 else "")

    def replicas_on(self, gpus_per_unit: int) -> int:
        """Replicas of a unit, or of the units that are joined to one."""
        return gpus_per_unit * self.settings.units_joined // self.gpus


def replica_shapes(w: Workload, heads: int | None, gpus_per_unit: int) -> Iterator[ReplicaShape]:
    """Shapes that the workload allows, that a unit holds and whose GPUs divide the heads.

    Joined units are used whole: m units of g GPUs make tensor parallel m·g, or m stages of g.
    """
    for shape in _shapes(w, gpus_per_unit):
        named = w.tensor_parallel is None or shape.tensor_parallel in w.tensor_parallel
        if named and (heads is None or heads % shape.tensor_parallel == 0):
            yield shape


def _shapes(w: Workload, g: int) -> Iterator[ReplicaShape]:
    joined = w.deployment.units_joined
    if joined > 1:
        stated = w.deployment.pipeline_parallel
        for stages in (1, joined) if stated is None else (stated,):
            yield _joined(w.deployment, joined, joined * g // stages, stages)
        return
    for size in w.tensor_parallel or TENSOR_PARALLEL:
        if size <= g:
            yield ReplicaShape(size, w.deployment)
        elif _is_joined_unasked(w.deployment, size, g):
            yield _joined(w.deployment, size // g, size, 1)


def _is_joined_unasked(settings: DeploymentSettings, size: int, g: int) -> bool:
    """Whether a tensor parallel that no unit holds is what so many joined nodes hold."""
    unsaid = settings.units_per_replica is None
    return unsaid and g >= GPUS_OF_A_NODE and size % g == 0 and size // g <= MOST_UNITS_JOINED


def _joined(settings: DeploymentSettings, units: int, size: int, stages: int) -> ReplicaShape:
    return ReplicaShape(size, settings.joined(units, stages))


def why_no_shape(w: Workload, heads: int | None, gpus_per_unit: int) -> str:
    """Why `replica_shapes` has none, and what would do."""
    joined = w.deployment.units_joined
    if joined == 1:
        return "no replica size that may be used fits the unit"
    shapes = [*_shapes(w, gpus_per_unit)]
    made = " or ".join(shape.label for shape in shapes)
    said = f"{joined} joined units of {gpus_per_unit} GPU{'s' * (gpus_per_unit > 1)} make {made}"
    if w.tensor_parallel is not None:
        return f"{said}; tensor_parallel names {', '.join(map(str, w.tensor_parallel))}"
    return f"{said}; {heads} heads do not divide by that"
