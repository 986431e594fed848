"""Reads SkyPilot's catalog: a CSV per cloud (skypilot-org/skypilot-catalog, `v7/aws/vms.csv`).

    InstanceType, AcceleratorName, AcceleratorCount, vCPUs, MemoryGiB, GpuInfo, Price, SpotPrice,
    Region, and on some clouds AvailabilityZone

Prices are USD per hour of the whole instance. A row without InstanceType is the price of the
accelerator alone (GCP), which cannot be rented by itself. Price is the region's, SpotPrice the
zone's. GpuInfo holds the memory of one GPU as `'SizeInMiB': 40960`. The cloud is the file's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.catalog.writing import csv_rows, slug
from milp_planner.inputs.imports.dating import day_of
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
    write_overlay,
)
from milp_planner.inputs.imports.provider_names import provider_of

REQUIRED = ("InstanceType", "AcceleratorName", "AcceleratorCount", "Price", "Region")
ACCELERATOR_ALONE = "price of the accelerator alone, without its host"
MEMORY = re.compile(r"'SizeInMiB':\s*([\d.]+)")


def import_skypilot(
    files: Sequence[str | Path],
    out: Path,
    *,
    base: str | Path = "market",
    provider: str | None = None,
    as_of: date | None = None,
    source: str | None = None,
    keep: bool = False,
) -> CatalogImport:
    """Write the GPU instances of SkyPilot's files as an overlay folder `out` on top of `base`.

    `provider` is the cloud where the file's folder does not name it; `as_of` the day the prices
    are of, default the file's own (`dating.py`); `source` where they are from. What `base` sells of
    a provider and billing that the files have, and they do not name, is retired unless `keep`.
    Raises InputError for files of another format, when nothing can be used, and when `out` exists.
    """
    catalog = base_catalog(base)
    read = read_skypilot(files, catalog, provider=provider, as_of=as_of, source=source)
    return write_overlay(
        out, "offerings.csv", read, tool="SkyPilot", base=base, catalog=catalog, keep=keep
    )


def read_skypilot(
    files: Sequence[str | Path],
    catalog: Catalog,
    *,
    provider: str | None = None,
    as_of: date | None = None,
    source: str | None = None,
) -> PriceRows:
    """Rows of `offerings.csv`, one for each key; parameters as in `import_skypilot`."""
    read, finder = PriceRows(), GpuFinder(catalog)
    rows: list[Row] = []
    for path in map(Path, files):
        cloud = provider_of(path, provider, catalog.providers)
        table = [*csv_rows(path, REQUIRED)]
        read.dates.append(day_of(path, as_of))
        said = source or f"SkyPilot catalog, {path.name}"
        sourced = {"as_of": read.dates[-1].day.isoformat(), "source": said}
        for line, cells in table:
            found = _offerings(cells, cloud, finder, read.skipped, f"{path}:{line}")
            rows += (row | sourced for row in found)
    read.rows = cheapest_of_each(rows, "usd_per_hour", read.skipped)
    return read


def _offerings(
    cells: dict[str, str], cloud: str, finder: GpuFinder, skipped: Skipped, place: str
) -> Iterator[Row]:
    """The on-demand and the spot row of one line; what cannot be used is counted."""
    accelerator = cells["AcceleratorName"]
    example = f"{place} {cells['InstanceType'] or accelerator}"
    if not accelerator:
        skipped.add(NO_GPU, example)
        return
    if not cells["InstanceType"]:
        skipped.add(ACCELERATOR_ALONE, example)
        return
    count = number(cells["AcceleratorCount"])
    if count is None or count < 1 or count != int(count):
        skipped.add(PART_OF_A_GPU, example)
        return
    name = slug(cells["InstanceType"])
    memory = MEMORY.search(cells.get("GpuInfo", ""))
    memory_gib = float(memory[1]) / 1024 if memory else None
    gpu, reason = finder.find([accelerator, cells["InstanceType"]], memory_gib, cloud, name)
    if reason:
        skipped.add(reason, f"{example}: {accelerator}")
        return
    unit: Row = {"provider": cloud, "name": name, "gpu": gpu, "gpus_per_unit": int(count)}
    yield from _priced(cells, unit, skipped, example)


def _priced(cells: dict[str, str], unit: Row, skipped: Skipped, example: str) -> Iterator[Row]:
    region = slug(cells["Region"]) or "global"
    zone = slug(cells.get("AvailabilityZone", ""))
    spot_region = region if zone in ("", region) else f"{region}.{zone}"
    on_demand, spot = number(cells["Price"]), number(cells.get("SpotPrice", ""))
    if on_demand:
        yield unit | {"region": region, "billing": "dedicated", "usd_per_hour": on_demand}
    if spot:
        yield unit | {"region": spot_region, "billing": "spot", "usd_per_hour": spot}
    if not on_demand and not spot:
        skipped.add(NO_PRICE, example)


def number(text: str) -> float | None:
    """A positive number, or None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
