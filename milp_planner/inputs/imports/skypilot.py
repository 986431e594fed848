"""Reads SkyPilot's catalog: a CSV per cloud (skypilot-org/skypilot-catalog, `v7/aws/vms.csv`).

    InstanceType, AcceleratorName, AcceleratorCount, vCPUs, MemoryGiB, GpuInfo, Price, SpotPrice,
    Region, and on some clouds AvailabilityZone

Prices are USD per hour of the whole instance. A row without InstanceType is the price of the
accelerator alone (GCP), which cannot be rented by itself: where the host that goes with it is in
the file, the two of a zone are added up. Price is the region's, SpotPrice the zone's; zones of a
region that all cost the same are one row. GpuInfo holds the memory of one GPU as
`'SizeInMiB': 40960`; of Vast.ai it is that of all GPUs, of RunPod it is in GB. The cloud is the
file's folder.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from pathlib import Path

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.catalog.writing import csv_rows, slug
from milp_planner.inputs.imports.dating import day_of
from milp_planner.inputs.imports.instance_types import accelerators_of, host_facts
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
GPU_NAME = re.compile(r"'Name':\s*'([^']*)'")
LEAST_MIB = 1024
"""No GPU has so little memory: below it the figure is in GB."""

REGION_OF_ZONE = "region_of_zone"
"""A column that no file has: what the zone of a spot price belongs to."""

Cells = dict[str, str]


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
        cloud = provider_of(path, provider, catalog.providers, catalog.sellers)
        table = [*csv_rows(path, REQUIRED)]
        read.dates.append(day_of(path, as_of))
        said = source or f"SkyPilot catalog, {path.name}"
        sourced = {"as_of": read.dates[-1].day.isoformat(), "source": said}
        placed = [(cells, f"{path}:{line}") for line, cells in table]
        for cells, place in with_accelerators(placed, cloud):
            found = _offerings(cells, cloud, finder, read.skipped, place)
            rows += (row | sourced for row in found)
    read.rows = cheapest_of_each(one_row_for_equal_zones(rows), "usd_per_hour", read.skipped)
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
    info = cells.get("GpuInfo", "")
    spellings = [accelerator, cells["InstanceType"], *GPU_NAME.findall(info)]
    gpu, reason = finder.find(spellings, memory_readings(info, cloud, count), cloud, name)
    if reason:
        skipped.add(reason, f"{example}: {accelerator}")
        return
    unit: Row = {"provider": cloud, "name": name, "gpu": gpu, "gpus_per_unit": int(count)}
    host = number(cells.get("vCPUs", "")), number(cells.get("MemoryGiB", ""))
    unit |= host_facts(cloud, cells["InstanceType"], *host)
    yield from _priced(cells, unit, skipped, example)


def _priced(cells: dict[str, str], unit: Row, skipped: Skipped, example: str) -> Iterator[Row]:
    region = slug(cells["Region"]) or "global"
    zone = slug(cells.get("AvailabilityZone", ""))
    spot_region = region if zone in ("", region) else f"{region}.{zone}"
    on_demand, spot = number(cells["Price"]), number(cells.get("SpotPrice", ""))
    if on_demand:
        yield unit | {"region": region, "billing": "dedicated", "usd_per_hour": on_demand}
    if spot:
        where = {"region": spot_region, REGION_OF_ZONE: region}
        yield unit | where | {"billing": "spot", "usd_per_hour": spot}
    if not on_demand and not spot:
        skipped.add(NO_PRICE, example)


def memory_readings(info: str, cloud: str, count: float) -> list[float]:
    """GiB of one GPU as GpuInfo may mean it, the likeliest first; none where it is not stated."""
    found = MEMORY.search(info)
    if found is None:
        return []
    stated = float(found[1])
    gib = stated if stated < LEAST_MIB else stated / 1024
    return [gib / count] if cloud == "vast-ai" else [gib, gib / count]


def with_accelerators(rows: Sequence[tuple[Cells, str]], cloud: str) -> Iterator[tuple[Cells, str]]:
    """The rows; hosts with the price of the accelerators of their zone, which are then left out.

    `rows` are (cells, place in the file).
    """
    alone = {_accelerators(cells): cells for cells, _ in rows if not cells["InstanceType"]}
    used: set[tuple[str, float | None, str]] = set()
    joined = []
    for cells, place in rows:
        if cells["InstanceType"] and not cells["AcceleratorName"]:
            needs = accelerators_of(cloud, cells["InstanceType"].lower())
            key = None if needs is None else (needs.name, float(needs.count), _zone(cells))
            if key in alone:
                used.add(key)
                cells = _added(cells, alone[key])
        joined.append((cells, place))
    for cells, place in joined:
        if cells["InstanceType"] or _accelerators(cells) not in used:
            yield cells, place


def _accelerators(cells: Cells) -> tuple[str, float | None, str]:
    return cells["AcceleratorName"], number(cells["AcceleratorCount"]), _zone(cells)


def _zone(cells: Cells) -> str:
    return cells.get("AvailabilityZone") or cells["Region"]


def _added(host: Cells, gpus: Cells) -> Cells:
    """The host with its GPUs; a price that one of the two lacks is not known."""
    both = {name: gpus.get(name, "") for name in ("AcceleratorName", "AcceleratorCount", "GpuInfo")}
    for name in ("Price", "SpotPrice"):
        parts = number(host.get(name, "")), number(gpus.get(name, ""))
        known = parts[0] is not None and parts[1] is not None
        both[name] = repr(round((parts[0] or 0) + (parts[1] or 0), 6)) if known else ""
    return host | both


def one_row_for_equal_zones(rows: Iterable[Row]) -> Iterator[Row]:
    """The rows; where all zones of a region cost the same, one row of the region for them."""
    rows = list(rows)
    groups: dict[tuple[object, ...], list[Row]] = {}
    for row in rows:
        if REGION_OF_ZONE in row:
            group = row["provider"], row["name"], row["billing"], row[REGION_OF_ZONE]
            groups.setdefault(group, []).append(row)
    equal = {
        group: len({row["usd_per_hour"] for row in mine}) == 1 and len(mine) > 1
        for group, mine in groups.items()
    }
    told: set[tuple[object, ...]] = set()
    for row in rows:
        region = row.get(REGION_OF_ZONE)
        plain = {name: cell for name, cell in row.items() if name != REGION_OF_ZONE}
        group = row["provider"], row["name"], row["billing"], region
        if region is None or not equal[group]:
            yield plain
        elif group not in told:
            told.add(group)
            yield plain | {"region": region}


def number(text: str) -> float | None:
    """A positive number, or None where there is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 < value < float("inf") else None
