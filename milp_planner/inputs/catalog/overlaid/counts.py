"""How many rows overlays added to a catalog, replaced in it and took away from it."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from milp_planner.lazily import dataclass


@dataclass(frozen=True)
class OverlayCounts:
    """What overlays changed, counted against the lowest layer."""

    added: int = 0
    """Rows with a key that the lowest layer has not."""

    replaced: int = 0
    retired: int = 0
    """Rows of the lowest layer that are gone: retired, or without a price now."""

    @property
    def said(self) -> str:
        """`153 rows added, 1 replaced, 17 retired`; '' where nothing changed."""
        counts = {"added": self.added, "replaced": self.replaced, "retired": self.retired}
        said = [f"{count:,} {what}" for what, count in counts.items() if count]
        if not said:
            return ""
        first, _, rest = said[0].partition(" ")
        said[0] = f"{first} {'row' if first == '1' else 'rows'} {rest}"
        return ", ".join(said)


UNTOUCHED = OverlayCounts()
"""Of a catalog without overlays."""


def overlay_counts(
    lowest: Mapping[str, Set[object]], merged: Mapping[str, Mapping[object, Any]]
) -> OverlayCounts:
    """What the layers above the lowest changed; keys of the lowest, and all rows, by table."""
    added = replaced = retired = 0
    for table, rows in merged.items():
        below = lowest.get(table, frozenset())
        above = {key for key, row in rows.items() if row.record.override}
        known = len(above.intersection(below))
        replaced += known
        added += len(above) - known
        retired += len(below - rows.keys())
    return OverlayCounts(added, replaced, retired)
