"""Writes an overlay: a folder of rows that stand on top of a catalog."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from milp_planner.inputs.catalog.files import load_catalog, shipped_catalogs
from milp_planner.inputs.catalog.records import Measurement
from milp_planner.inputs.catalog.writing import new_folder, slug, write_manifest, write_table


def write_measurements(
    out: Path,
    rows: Sequence[Measurement],
    *,
    base: str,
    overlays: Sequence[Path] = (),
    made_on: date,
) -> None:
    """A new folder `out` with the rows, which rests on the catalog `base`; all or nothing.

    It serves as `catalog:` of a problem and as `--overlay`. Raises InputError when `out` exists, or
    when a row would be refused on loading.
    """
    table = [row.model_dump(mode="json", exclude={"override", "line"}) for row in rows]
    with new_folder(out) as folder:
        write_table(folder / "measurements.csv", table)
        load_catalog(base, overlays=(*overlays, folder), as_of=made_on)
        write_manifest(
            folder,
            {
                "name": slug(out.name) or "measurements",
                "version": made_on.isoformat(),
                "date": made_on.isoformat(),
                "description": f"{len(rows)} own measurements",
                "extends": _extended(base, out),
            },
        )


def _extended(base: str, out: Path) -> str:
    """How the new folder names the catalog below it: folders relative to itself."""
    return base if base in shipped_catalogs() else os.path.relpath(base, out)
