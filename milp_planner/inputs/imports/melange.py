"""Reads Mélange's input: GPU types with throughput per request-size bucket, and the traffic.

The format (tyler-griggs/melange-release, README and `melange/config/example.json`):

    gpu_info               {GPU: {cost: USD/h, tputs: [[requests/s]]}}, or a list with `name`
    workload_distribution  [[share of the requests]]: a row per input size, a column per output size
    total_request_rate     requests/s
    slice_factor           pieces a bucket is cut into; not needed, our routing is continuous

The file does not say how large a bucket's requests are. They do not change the fleet; they name the
classes and count the tokens. Unless the caller gives them, the sizes that Mélange's own
benchmark script profiles are written (25, 100, 250, 500, 1,000, 2,000), and doubled beyond.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from milp_planner.errors import input_error
from milp_planner.inputs.catalog.writing import Foreign, Imported, checked
from milp_planner.inputs.imports.buckets import Buckets, GpuRates, write_buckets
from milp_planner.inputs.reading.strict_json import read_json

PROFILED_TOKENS = (25.0, 100.0, 250.0, 500.0, 1000.0, 2000.0)
"""melange/profiling/benchmark-launcher.sh, both for inputs and outputs."""

Rates = tuple[tuple[Annotated[float, Field(ge=0)], ...], ...]
Cost = Annotated[float, Field(gt=0)]


class MelangeGpu(Foreign):
    """One entry of `gpu_info`."""

    cost: Cost
    tputs: Rates = Field(min_length=1)


class MelangeFile(Foreign):
    """The file without its GPUs."""

    workload_distribution: Rates = Field(min_length=1)
    total_request_rate: Annotated[float, Field(gt=0)]


def import_melange(
    path: str | Path,
    out: Path,
    *,
    input_tokens: Sequence[float] | None = None,
    output_tokens: Sequence[float] | None = None,
    as_of: date | None = None,
) -> Imported:
    """Write the question in a Mélange file as `out/problem.yaml` and `out/catalog`.

    A throughput of 0, or of at most 1e-5 requests/s, means that the GPU cannot serve the bucket.
    `input_tokens` and `output_tokens` are the sizes of the buckets; `as_of` dates the prices,
    default today. Raises InputError for a file of another shape, shares that do not sum to 1, and
    an `out` that exists.
    """
    file = str(path)
    document = read_json(Path(path))
    traffic = checked(MelangeFile, document, file)
    rows, columns = len(traffic.workload_distribution), len(traffic.workload_distribution[0])
    notes = []
    if input_tokens is None or output_tokens is None:
        notes.append("the file states no request sizes: those that Mélange profiles are written")
    buckets = Buckets(
        file=file,
        tool="melange",
        input_tokens=tuple(input_tokens or profiled_tokens(rows)),
        output_tokens=tuple(output_tokens or profiled_tokens(columns)),
        gpus=tuple(gpus_of(document.get("gpu_info"), file)),
        shares=traffic.workload_distribution,
        requests_per_second=traffic.total_request_rate,
    )
    return write_buckets(buckets, out, notes, as_of)


def gpus_of(gpu_info: Any, file: str) -> list[GpuRates]:
    """The GPU types of `gpu_info`, an object by name or a list with names."""
    if isinstance(gpu_info, list) and all(isinstance(gpu, dict) for gpu in gpu_info):
        named = [(str(gpu.get("name", "")), i, gpu) for i, gpu in enumerate(gpu_info)]
    elif isinstance(gpu_info, dict):
        named = [(name, name, gpu) for name, gpu in gpu_info.items()]
    else:
        named = []
    if not named:
        raise input_error("names no GPU", file=file, path="gpu_info")
    gpus = []
    for name, at, data in named:
        gpu = checked(MelangeGpu, data, file, ("gpu_info", at))
        gpus.append(GpuRates(name, gpu.cost, gpu.tputs))
    return gpus


def profiled_tokens(count: int) -> tuple[float, ...]:
    """Sizes for `count` buckets: those profiled, then each twice the one before."""
    sizes = list(PROFILED_TOKENS[:count])
    while len(sizes) < count:
        sizes.append(2 * sizes[-1])
    return tuple(sizes)
