"""Who does how much of which batch when, as plain data, and read back from it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel

from milp_planner.candidates.batch.runs import BatchRun
from milp_planner.candidates.records import Candidate, gpus_of_unit
from milp_planner.errors import input_error
from milp_planner.traffic.schedule import RequestClass, TimeBlock

Key = tuple[str, str, str, str, int, str, bool]
"""Workload, offering, billing, precision, tensor parallel and LLM of units, and whether they are
parts of shared ones."""


class Bought(Protocol):
    """What a purchase is to those who tell how long its units are on."""

    @property
    def candidate(self) -> Candidate:
        """What is bought."""

    @property
    def units_by_block(self) -> tuple[int, ...]:
        """Units on in each block."""

    @property
    def hours_by_block(self) -> tuple[float, ...]:
        """Hours paid for a unit that is on in the block."""


def batch_dicts(
    runs: Iterable[BatchRun], bought: Iterable[Bought], blocks: Sequence[TimeBlock]
) -> list[dict[str, Any]]:
    """Batch work that others' units do, then the hours of units that are on for a part of a block.

    The rest is told by routes and units as of any workload.
    """
    done = [
        {
            **_units(run.candidate, run.block),
            "batch": run.workload,
            "class": run.request_class.name,
            "requests_per_second": run.requests_per_second,
            "hours_on": None,
        }
        for run in runs
    ]
    parts = [
        {
            **_units(p.candidate, block),
            "batch": p.candidate.workload,
            "class": None,
            "requests_per_second": None,
            "hours_on": hours,
        }
        for p in bought
        for block, hours in zip(blocks, p.hours_by_block, strict=True)
        if hours != block.hours
    ]
    return [*done, *parts]


def _units(k: Candidate, block: TimeBlock) -> dict[str, Any]:
    return {
        "workload": k.workload,
        "offering": k.offering.id,
        "billing": k.offering.billing,
        "precision": k.precision,
        "tensor_parallel": k.tensor_parallel,
        "llm": k.llm,
        **({"part_of_gpus": gpus_of_unit(k)} if k.part_of_unit else {}),
        "block": block.name,
    }


def read_runs(
    parts: Sequence[BaseModel],
    bought: Iterable[Bought],
    blocks: Sequence[TimeBlock],
    classes: Mapping[str, Sequence[RequestClass]],
) -> Iterator[BatchRun]:
    """The work that others' units do; raises InputError for units that nobody bought."""
    known = {_key_of(p.candidate): p.candidate for p in bought}
    by_name = {block.name: block for block in blocks}
    for i, part in enumerate(part.model_dump() for part in parts):
        if part["requests_per_second"] is None:
            continue
        if _key(part) not in known or part["block"] not in by_name:
            raise input_error("no such units are bought", path=f"batch_work[{i}]")
        name = part["class_"]
        mine = (q for q in classes.get(part["batch"], ()) if q.name == name)
        q = next(mine, RequestClass(name, 0.0, 0.0, 0.0))
        rate = part["requests_per_second"]
        yield BatchRun(part["batch"], known[_key(part)], q, by_name[part["block"]], rate)


def hours_on(
    parts: Sequence[BaseModel], of: BaseModel, blocks: Sequence[TimeBlock]
) -> tuple[float, ...]:
    """Hours that a unit of a purchase is on in each block."""
    told = {
        part["block"]: part["hours_on"]
        for part in (part.model_dump() for part in parts)
        if part["hours_on"] is not None and _key(part) == _key(of.model_dump())
    }
    return tuple(told.get(block.name, block.hours) for block in blocks)


def _key(part: Mapping[str, Any]) -> Key:
    names = ("workload", "offering", "billing", "precision", "tensor_parallel", "llm")
    workload, offering, billing, precision, size, llm = (part[name] for name in names)
    return workload, offering, billing, precision, size, llm, bool(part["part_of_gpus"])


def _key_of(k: Candidate) -> Key:
    replica = k.precision, k.tensor_parallel, k.llm, k.part_of_unit
    return k.workload, k.offering.id, k.offering.billing, *replica
