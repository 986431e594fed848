"""Units that replicas share as plain data, and read back from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, BaseModel

from milp_planner.candidates.records import Candidate
from milp_planner.candidates.sharing.shared_units import Contents, SharedUnits, unit_of
from milp_planner.errors import input_error
from milp_planner.inputs.catalog.records import Offering
from milp_planner.serving.shared_gpu import GpuSet, read_gpu_set
from milp_planner.traffic.month import TimeBlock
from milp_planner.units import shown

Key = tuple[str, str, str, str, int, str, str]
"""Workload, offering, billing, precision, tensor parallel and LLM of a replica; what shares its
GPU."""


def shared_dict(one: SharedUnits, blocks: Sequence[TimeBlock]) -> dict[str, Any]:
    """Units that replicas share, with what stands on each."""
    k = one.candidate
    return {
        "provider": k.provider,
        "offering": k.offering.id,
        "region": k.region,
        "billing": k.offering.billing,
        "gpu": k.gpu,
        "gpus_per_unit": k.gpus_per_unit,
        "gpu_set": gpu_set_label(k),
        "units": one.units,
        "usd_per_unit_hour": k.usd_per_hour,
        "unit_hours_per_month": one.unit_hours,
        "rent_usd_per_month": one.rent_usd_per_month,
        "blocks": [
            {"name": block.name, "units": [_stands(contents) for contents in of_units]}
            for block, of_units in zip(blocks, one.contents_by_block, strict=True)
        ],
    }


def _stands(contents: Contents) -> list[dict[str, Any]]:
    return [
        {
            "workload": k.workload,
            "precision": k.precision,
            "tensor_parallel": k.tensor_parallel,
            "replicas": replicas,
            **({"llm": k.llm} if k.llm else {}),
            **({"gpu_set": gpu_set_label(k)} if k.gpu_set else {}),
        }
        for k, replicas in contents
    ]


class Bought(Protocol):
    """What a purchase is to those who read what stands on shared units."""

    @property
    def candidate(self) -> Candidate:
        """What is bought."""


def read_shared(
    parts: Sequence[BaseModel],
    bought: Iterable[Bought],
    blocks: Sequence[TimeBlock],
    inside: str = "",
) -> tuple[SharedUnits, ...]:
    """The units that `shared_dict` told; raises InputError for replicas that nobody bought.

    inside: the path of what holds them, with its dot.
    """
    known = {_key(p.candidate): p.candidate for p in bought if p.candidate.part_of_unit}
    return tuple(
        _read([part.model_dump() for part in parts], known, blocks, f"{inside}shared_units")
    )


def _read(
    parts: Sequence[Mapping[str, Any]],
    known: Mapping[Key, Candidate],
    blocks: Sequence[TimeBlock],
    path: str,
) -> Iterator[SharedUnits]:
    for i, part in enumerate(parts):
        at = f"{path}[{i}]"
        if [block["name"] for block in part["blocks"]] != [block.name for block in blocks]:
            raise input_error("has other blocks than the plan", path=f"{at}.blocks")
        contents = tuple(
            tuple(tuple(_standing(part, one, known, at) for one in unit) for unit in block["units"])
            for block in part["blocks"]
        )
        replica = next((k for block in contents for unit in block for k, _ in unit), None)
        if replica is None or not isinstance(replica.offering, Offering):
            raise input_error("nobody stands on these units", path=at)
        hours = tuple(block.hours for block in blocks)
        yield SharedUnits(unit_of(replica), tuple(map(len, contents)), hours, contents)


def _standing(
    part: Mapping[str, Any], one: Mapping[str, Any], known: Mapping[Key, Candidate], path: str
) -> tuple[Candidate, int]:
    replica = one["precision"], one["tensor_parallel"], one["llm"], one["gpu_set"]
    key = one["workload"], part["offering"], part["billing"], *replica
    if key not in known:
        text = f"no such replica of {shown(one['workload'])} is among the purchases"
        raise input_error(text, path=path)
    return known[key], one["replicas"]


def _key(k: Candidate) -> Key:
    rented = k.offering.id, k.offering.billing
    return k.workload, *rented, k.precision, k.tensor_parallel, k.llm, gpu_set_label(k)


def gpu_set_label(k: Candidate) -> str:
    """What shares its one GPU, in words that are read back; '' where nothing does."""
    return "" if k.gpu_set is None else k.gpu_set.label


def gpu_set_of(label: str) -> GpuSet | None:
    """What `gpu_set_label` told; raises ValueError for any other text."""
    return read_gpu_set(label)


def _is_gpu_set(text: str) -> str:
    gpu_set_of(text)
    return text


GpuSetLabel = Annotated[str, AfterValidator(_is_gpu_set)]
"""What `GpuSet.label` told."""


def price_of_unit(usd_of_part: float, gpus: int, gpus_per_unit: int) -> float:
    """The price of a whole unit, a float whose part of `gpus` GPUs is exactly this."""
    near = usd_of_part * gpus_per_unit / gpus
    below, above = (math.nextafter(near, end) for end in (-math.inf, math.inf))
    tried = (near, below, above)
    return next((usd for usd in tried if usd * gpus / gpus_per_unit == usd_of_part), near)
