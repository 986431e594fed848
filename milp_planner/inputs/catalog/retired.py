"""Prices that an overlay takes away, and lets nobody forget.

A price list is whole: what it does not name is no longer sold, and must not be bought from the
catalog below it. An import of one writes a line of `retired.csv` for each provider and billing that
it has.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Annotated, Any

from pydantic import Field

from milp_planner.inputs.catalog.records import Billing, Offering, Sourced, TokenPrice
from milp_planner.inputs.reading.field_types import Id

RETIRED_FILE = "retired.csv"


class Retired(Sourced):
    """A line of `retired.csv`: rows of the layers below that are no longer sold."""

    provider: Id
    billing: Billing
    gpu: Annotated[str, Field(min_length=1, max_length=120)] = "*"
    """GPU id or a pattern; without a meaning for what is sold per token."""

    @property
    def id(self) -> str:
        """What makes the row one of its own."""
        return f"{self.provider} {self.billing} {self.gpu}"

    def takes_away(self, row: Offering | TokenPrice) -> bool:
        """Whether a row of a layer below is among those that are retired."""
        if (row.provider, row.billing) != (self.provider, self.billing):
            return False
        return isinstance(row, TokenPrice) or fnmatchcase(row.gpu, self.gpu)

    @property
    def said(self) -> str:
        """`by SkyPilot catalog, vms.csv of 2026-11-28`."""
        return f"by {self.source} of {self.as_of.isoformat()}"


def take_away(rows: dict[object, Any], lines: Iterable[Any]) -> Iterator[tuple[Any, str]]:
    """Take out of `rows`, parsed ones by key, what `lines` retire; yields (record, why)."""
    by_seller: dict[tuple[str, str], list[Any]] = {}
    for line in lines:
        by_seller.setdefault((line.provider, line.billing), []).append(line)
    for key, row in list(rows.items()) if by_seller else ():
        sold = row.record
        for line in by_seller.get((sold.provider, sold.billing), ()):
            if line.takes_away(sold):
                yield rows.pop(key).record, line.said
                break


def still_gone(
    retired: Mapping[object, tuple[Any, str]], sold: Iterable[Container[object]]
) -> tuple[tuple[Any, str], ...]:
    """Those taken away that no layer brought back, in order."""
    tables = list(sold)
    gone = {key: one for key, one in retired.items() if not any(key in rows for rows in tables)}
    return tuple(gone[key] for key in sorted(gone, key=str))
