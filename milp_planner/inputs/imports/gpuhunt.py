"""Reads gpuhunt's catalog: one CSV a provider, as its releases hold them (dstackai/gpuhunt).

    instance_name, location, price, cpu, memory, gpu_count, gpu_name, gpu_memory, spot, disk_size,
    and in newer files gpu_vendor, flags and more

Prices are USD per hour of the whole instance, gpu_memory is GB of one GPU, spot is True or False.
The provider is the file's name (`aws.csv`), or a column `provider` where there is one. The files
name neither SXM nor PCIe: a name that leaves it open is skipped, unless the instance's name or the
catalog's own offering of that name tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.catalog.writing import csv_rows, slug
from milp_planner.inputs.imports.dating import day_of
from milp_planner.inputs.imports.instance_types import host_facts
from milp_planner.inputs.imports.overlay import (
    NO_GPU,
    NO_PRICE,
    PART_OF_A_GPU,
    CatalogImport,
    GpuFinder,
    PriceRows,
    Row,
    Skipped,
    base_catalog,
    cheapest_of_each,
    provider_id,
    write_overlay,
)
from milp_planner.inputs.imports.provider_names import provider_of
from milp_planner.inputs.imports.skypilot import number

REQUIRED = ("instance_name", "location", "price", "gpu_count", "gpu_name", "gpu_memory", "spot")
BY_CALENDAR = "reserved by the calendar, not sold on demand"
"""Google's Dynamic Workload Scheduler, flagged `gcp-dws-calendar-mode`."""


def import_gpuhunt(
    files: Sequence[str | Path],
    out: Path,
    *,
    base: str | Path = "market",
    provider: str | None = None,
    as_of: date | None = None,
    source: str | None = None,
    keep: bool = False,
) -> CatalogImport:
    """Write the GPU instances of gpuhunt's files as an overlay folder `out` on top of `base`.

    `provider` overrides the file's name; `as_of` is the day the prices are of, default the file's
    own (`dating.py`); `source` where they are from. What `base` sells of a provider and billing
    that the files have, and they do not name, is retired unless `keep`. Raises InputError for files
    of another format, when nothing can be used, and when `out` exists.
    """
    catalog = base_catalog(base)
    read = read_gpuhunt(files, catalog, provider=provider, as_of=as_of, source=source)
    return write_overlay(
        out, "offerings.csv", read, tool="gpuhunt", base=base, catalog=catalog, keep=keep
    )


def read_gpuhunt(
    files: Sequence[str | Path],
    catalog: Catalog,
    *,
    provider: str | None = None,
    as_of: date | None = None,
    source: str | None = None,
) -> PriceRows:
    """Rows of `offerings.csv`, one for each key; parameters as in `import_gpuhunt`."""
    read, finder = PriceRows(), GpuFinder(catalog)
    rows: list[Row] = []
    for path in map(Path, files):
        whole = provider_of(path, provider, catalog.providers, catalog.sellers)
        table = [*csv_rows(path, REQUIRED)]
        read.dates.append(day_of(path, as_of))
        said = source or f"gpuhunt catalog, {path.name}"
        sourced = {"as_of": read.dates[-1].day.isoformat(), "source": said}
        for line, cells in table:
            named = None if provider else cells.get("provider")
            seller = provider_id(named, catalog.sellers) if named else whole
            row = _offering(cells, seller, finder, read.skipped, f"{path}:{line}")
            if row is not None:
                rows.append(row | sourced)
    read.rows = cheapest_of_each(rows, "usd_per_hour", read.skipped)
    return read


def _offering(
    cells: dict[str, str], seller: str, finder: GpuFinder, skipped: Skipped, place: str
) -> Row | None:
    """The row of one line, or None where it cannot be used, which is counted."""
    example = f"{place} {cells['instance_name'] or cells['gpu_name']}"
    count, price = number(cells["gpu_count"]), number(cells["price"])
    if count is None or not cells["gpu_name"]:
        skipped.add(NO_GPU, example)
        return None
    if "dws" in cells.get("flags", ""):
        skipped.add(BY_CALENDAR, example)
        return None
    if count != int(count):
        skipped.add(PART_OF_A_GPU, example)
        return None
    if price is None:
        skipped.add(NO_PRICE, example)
        return None
    name = slug(cells["instance_name"])
    spellings = [cells["gpu_name"], cells["instance_name"]]
    memory_gib = [gib] if (gib := number(cells["gpu_memory"])) else []
    gpu, reason = finder.find(spellings, memory_gib, seller, name)
    if reason:
        skipped.add(reason, f"{example}: {cells['gpu_name']}")
        return None
    host = number(cells.get("cpu", "")), number(cells.get("memory", ""))
    return {
        "provider": seller,
        "name": name or gpu,
        "region": slug(cells["location"]) or "global",
        "billing": "spot" if cells["spot"].lower() == "true" else "dedicated",
        "gpu": gpu,
        "gpus_per_unit": int(count),
        "usd_per_hour": price,
        **host_facts(seller, cells["instance_name"], *host),
    }
