"""Reads the profiles of AIBrix's GPU optimizer: what each deployment serves per request size.

The format (vllm-project/aibrix, `gpu_optimizer/optimizer/profiling/gen_profile.py`, and
`profiling/result/simulator-llama2-7b-a100.json`), one object per GPU or deployment:

    gpu      its name
    cost     USD/h
    tputs    [[requests/s]]: a row per OUTPUT size, a column per INPUT size (in Mélange
             the other way round); 0 where the latency wish was not met
    indexes  [[output tokens], [input tokens]]
    slos     the wishes that the throughputs were measured under
    created, e2e, ttft: not needed

A file may hold one profile, a list of them, one a line, or `{"gpu_info": {GPU: profile}}` as the
optimizer keeps them. AIBrix learns the traffic at run time; a file of the last kind may state it as
`workload_distribution`, in the rows and columns of `tputs`, and `total_request_rate`. Otherwise
1 request/s in equal parts is written for the user to change.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from milp_planner.errors import Fault, InputError, input_error
from milp_planner.inputs.catalog.writing import Foreign, Imported, checked
from milp_planner.inputs.imports.buckets import (
    CANNOT_SERVE,
    Buckets,
    GpuRates,
    Table,
    write_buckets,
)
from milp_planner.inputs.imports.melange import Cost, Rates
from milp_planner.inputs.reading.files import read_text
from milp_planner.inputs.reading.strict_json import parse_json

Sizes = Annotated[tuple[float, ...], Field(min_length=1)]


class Profile(Foreign):
    """What one deployment serves."""

    gpu: str
    cost: Cost
    tputs: Rates = Field(min_length=1)
    indexes: tuple[Sizes, Sizes]
    slos: Mapping[str, float] = {}


class Traffic(Foreign):
    """How much is asked of each size."""

    workload_distribution: Rates = Field(min_length=1)
    total_request_rate: Annotated[float, Field(gt=0)]


def import_aibrix(path: str | Path, out: Path, *, as_of: date | None = None) -> Imported:
    """Write the profiles in an AIBrix file as `out/problem.yaml` and `out/catalog`.

    A throughput of 0, or of at most 1e-5 requests/s, means that the GPU cannot serve the size.
    `as_of` dates the prices, default today. Raises InputError for a file of another shape,
    profiles of different sizes, shares that do not sum to 1, and an `out` that exists.
    """
    file = str(path)
    profiles, traffic = _read(read_text(Path(path)), file)
    first = profiles[0]
    tables = {profile.gpu: profile.tputs for profile in profiles}
    if traffic is not None:
        tables["workload_distribution"] = traffic.workload_distribution
    faults = [*_shape_faults(file, profiles), *_table_faults(file, first.indexes, tables)]
    if faults:
        raise InputError(faults)
    notes = [*_wishes(profiles)]
    gpus = tuple(GpuRates(p.gpu, p.cost, _transposed(p.tputs)) for p in profiles)
    if traffic is None:
        shares, rate = _equal_shares(gpus), 1.0
        notes.append(
            "the file states no traffic: 1 request/s in equal parts is written; put in your own"
        )
    else:
        shares, rate = _transposed(traffic.workload_distribution), traffic.total_request_rate
    output_tokens, input_tokens = first.indexes
    buckets = Buckets(file, "aibrix", input_tokens, output_tokens, gpus, shares, rate)
    return write_buckets(buckets, out, notes, as_of)


def _read(text: str, file: str) -> tuple[list[Profile], Traffic | None]:
    document = _document(text, file)
    traffic = None
    named: Any = document
    if isinstance(document, dict) and "gpu_info" in document:
        named = document["gpu_info"]
        if "workload_distribution" in document or "total_request_rate" in document:
            traffic = checked(Traffic, document, file)
    if isinstance(named, dict) and "tputs" not in named:
        named = [{"gpu": name, **_object(profile)} for name, profile in named.items()]
    listed = named if isinstance(named, list) else [named]
    profiles = [checked(Profile, data, file, _at(listed, i)) for i, data in enumerate(listed)]
    if not profiles:
        raise input_error("holds no profile", file=file)
    return profiles, traffic


def _document(text: str, file: str) -> Any:
    """One JSON document, or one profile a line."""
    try:
        return parse_json(text, file)
    except InputError:
        lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
        if len(lines) < 2 or not all(line.lstrip().startswith("{") for _, line in lines):
            raise
        return [parse_json(line, file, first_line=n) for n, line in lines]


def _object(data: Any) -> Mapping[str, Any]:
    return data if isinstance(data, dict) else {}


def _at(listed: list[Any], index: int) -> tuple[str | int, ...]:
    return (index,) if len(listed) > 1 else ()


def _shape_faults(file: str, profiles: list[Profile]) -> Iterator[Fault]:
    for profile in profiles:
        if profile.indexes != profiles[0].indexes:
            text = f"{profile.gpu!r} has other request sizes than {profiles[0].gpu!r}"
            yield Fault(file, 0, 0, "indexes", text)


def _table_faults(
    file: str, sizes: tuple[tuple[float, ...], ...], tables: Mapping[str, Table]
) -> Iterator[Fault]:
    rows, columns = (len(axis) for axis in sizes)
    for name, table in tables.items():
        if (len(table), *{len(row) for row in table}) != (rows, columns):
            text = f"must have {rows} rows, one per output size, of {columns} columns"
            yield Fault(file, 0, 0, name, text)


def _transposed(table: Table) -> Table:
    """Rows of one output size become rows of one input size."""
    return tuple(zip(*table, strict=True))


def _equal_shares(gpus: tuple[GpuRates, ...]) -> Table:
    """The same share for every size that some GPU serves, 0 for the others."""
    best = [
        [max(cells) for cells in zip(*rows, strict=True)]
        for rows in zip(*(gpu.rates for gpu in gpus), strict=True)
    ]
    served = sum(rate > CANNOT_SERVE for row in best for rate in row)
    if not served:
        return tuple(tuple(0.0 for _ in row) for row in best)
    return tuple(tuple(1 / served if rate > CANNOT_SERVE else 0.0 for rate in row) for row in best)


def _wishes(profiles: list[Profile]) -> Iterator[str]:
    """What the throughputs were measured under, once for all GPUs that share it."""
    by_wish: dict[str, list[str]] = {}
    for profile in profiles:
        wishes = [f"{name} {value:g}" for name, value in sorted(profile.slos.items())]
        if wishes:
            by_wish.setdefault(", ".join(wishes), []).append(profile.gpu)
    for wish, names in by_wish.items():
        yield f"rates of {', '.join(names)} hold for {wish} (times in seconds)"
