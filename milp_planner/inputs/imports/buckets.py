"""Request-size buckets with a rate per GPU, as Mélange and AIBrix state them, in our own files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.catalog.writing import (
    Imported,
    Row,
    new_folder,
    slug,
    write_manifest,
    write_table,
)
from milp_planner.inputs.problem.records import SHARES_TOLERANCE
from milp_planner.lazily import dataclass
from milp_planner.today import day_today

CANNOT_SERVE = 1e-5
"""Requests/s up to which a GPU is taken not to serve a bucket at all: less than one a day.

AIBrix writes 0, Mélange's published tables 1e-6; the smallest real rate in them is 4.8e-3.
"""

LLM = "imported"
CATALOG = "catalog"

Table = tuple[tuple[float, ...], ...]
"""A figure per bucket: one row for each input size, one column for each output size."""


@dataclass(frozen=True)
class GpuRates:
    """One GPU type: what it costs and what it serves of each bucket, in requests/s."""

    name: str
    usd_per_hour: float
    rates: Table


@dataclass(frozen=True)
class Buckets:
    """One LLM's traffic by request size, and the GPU types that could serve it."""

    file: str
    tool: str
    """Who the file is of; the provider's name in the catalog."""

    input_tokens: tuple[float, ...]
    output_tokens: tuple[float, ...]
    gpus: tuple[GpuRates, ...]
    shares: Table
    requests_per_second: float


def write_buckets(
    buckets: Buckets, out: Path, notes: Sequence[str] = (), as_of: date | None = None
) -> Imported:
    """Write `out/problem.yaml` and the folder `out/catalog`; `out` must not exist.

    Utilization may be 100 %, as in the tools the files are of. Raises InputError for tables of
    the wrong shape, for shares that do not sum to 1, and when `out` exists.
    """
    faults = [Fault(buckets.file, 0, 0, path, text) for path, text in _faults(buckets)]
    if faults:
        raise InputError(faults)
    with new_folder(out) as folder:
        (folder / CATALOG).mkdir()
        _write_catalog(buckets, folder / CATALOG, (as_of or day_today()).isoformat())
        (folder / "problem.yaml").write_text(
            _problem(buckets, Path(buckets.file).stem), encoding="utf-8"
        )
    return Imported(out / "problem.yaml", out / CATALOG, (*notes, *_notes(buckets)))


def _faults(buckets: Buckets) -> Iterator[tuple[str, str]]:
    shape = len(buckets.input_tokens), len(buckets.output_tokens)
    tables = {f"gpu_info.{gpu.name}.tputs": gpu.rates for gpu in buckets.gpus}
    for path, table in {**tables, "workload_distribution": buckets.shares}.items():
        if (len(table), *{len(row) for row in table}) != shape:
            yield path, f"must have {shape[0]} rows of {shape[1]} columns, as the others"
    for path, sizes in (("input", buckets.input_tokens), ("output", buckets.output_tokens)):
        if list(sizes) != sorted(set(sizes)) or min(sizes) <= 0:
            yield f"{path} sizes", "must be positive and grow from bucket to bucket"
    total = sum(map(sum, buckets.shares))
    if abs(total - 1) > SHARES_TOLERANCE:
        yield "workload_distribution", f"the shares sum to {total:.6g}, not to 1"
    ids = [slug(gpu.name) for gpu in buckets.gpus]
    for gpu, name in zip(buckets.gpus, ids, strict=True):
        if not name or ids.count(name) > 1:
            yield "gpu_info", f"{gpu.name!r} is no name of its own in lower case"


def _used(buckets: Buckets) -> Iterator[tuple[int, int, float, float, float]]:
    """(row, column, input tokens, output tokens, share) of every bucket with traffic."""
    for i, input_tokens in enumerate(buckets.input_tokens):
        for j, output_tokens in enumerate(buckets.output_tokens):
            if buckets.shares[i][j] > 0:
                yield i, j, input_tokens, output_tokens, buckets.shares[i][j]


def _notes(buckets: Buckets) -> Iterator[str]:
    used = list(_used(buckets))
    empty = len(buckets.input_tokens) * len(buckets.output_tokens) - len(used)
    if empty:
        yield f"{_buckets(empty)} without traffic left out"
    for gpu in buckets.gpus:
        unable = sum(gpu.rates[i][j] <= CANNOT_SERVE for i, j, *_ in used)
        if unable:
            yield (
                f"{gpu.name} cannot serve {unable} of {_buckets(len(used))} "
                f"(at most {CANNOT_SERVE:g} requests/s)"
            )
    for i, j, input_tokens, output_tokens, share in used:
        if all(gpu.rates[i][j] <= CANNOT_SERVE for gpu in buckets.gpus):
            size = f"{input_tokens:g}/{output_tokens:g}"
            yield f"no GPU serves the bucket {size}, {share:.3g} of the requests: no plan will do"


def _buckets(count: int) -> str:
    return f"{count} bucket{'s' if count > 1 else ''}"


def _write_catalog(buckets: Buckets, folder: Path, as_of: str) -> None:
    source = f"imported from {Path(buckets.file).name}"
    sourced = {"as_of": as_of, "source": source}
    write_manifest(
        folder,
        {
            "name": f"{slug(buckets.tool)} import",
            "version": as_of,
            "date": as_of,
            "description": f"GPU prices and rates {source}",
            "extends": "none",
        },
    )
    gpus = [{"id": slug(gpu.name), "vendor": "unknown", **sourced} for gpu in buckets.gpus]
    write_table(folder / "gpus.csv", gpus)
    write_table(folder / "llms.csv", [{"id": LLM, **sourced}])
    write_table(
        folder / "offerings.csv", [_offering(buckets, gpu) | sourced for gpu in buckets.gpus]
    )
    write_table(folder / "measurements.csv", [row | sourced for row in _rates(buckets)])


def _offering(buckets: Buckets, gpu: GpuRates) -> dict[str, object]:
    return {
        "provider": slug(buckets.tool),
        "name": slug(gpu.name),
        "region": "global",
        "billing": "dedicated",
        "gpu": slug(gpu.name),
        "gpus_per_unit": 1,
        "usd_per_hour": gpu.usd_per_hour,
    }


def _rates(buckets: Buckets) -> Iterator[dict[str, object]]:
    """A raw row for every bucket that a GPU serves; its rate counts all tokens."""
    for gpu in buckets.gpus:
        for i, j, input_tokens, output_tokens, _ in _used(buckets):
            rate = gpu.rates[i][j]
            if rate > CANNOT_SERVE:
                yield {
                    "llm": LLM,
                    "gpu": slug(gpu.name),
                    "precision": "raw",
                    "tensor_parallel": 1,
                    "regime": "offline_max",
                    "input_tokens": _number(input_tokens),
                    "output_tokens": _number(output_tokens),
                    "output_tokens_per_second": rate * (input_tokens + output_tokens),
                    "basis": "raw",
                }


def _problem(buckets: Buckets, name: str) -> str:
    lines = [
        f"# Imported from {_comment(Path(buckets.file).name)} ({buckets.tool}).",
        "# Rates are as measured there: utilization may be 100 %, as in that tool. Set a target",
        "# below 1 to keep headroom.",
        "schema_version: 1",
        f"name: {slug(name) or LLM}",
        f"catalog: {CATALOG}",
        "workloads:",
        "  - name: requests",
        f"    llm: {LLM}",
        "    traffic:",
        "      kind: requests_per_second",
        f"      requests_per_second: {buckets.requests_per_second!r}",
        "    requests:",
    ]
    for _, _, input_tokens, output_tokens, share in _used(buckets):
        size = f"input_tokens: {_number(input_tokens)}, output_tokens: {_number(output_tokens)}"
        lines.append(f"      - {{{size}, share: {share!r}}}")
    lines += ["policy:", "  utilization: {target: 1}", ""]
    return "\n".join(lines)


def _number(value: float) -> str:
    """All digits: the class must be found again in the catalog."""
    return str(int(value)) if value == int(value) else repr(value)


def _comment(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text)


__all__ = ["CANNOT_SERVE", "Buckets", "GpuRates", "Imported", "Row", "Table", "write_buckets"]
