"""Takes away the prices that an overlay retires, and keeps them to be told of.

A price list is whole: what it does not name is no longer sold, and must not be bought from the
catalog below it. An import of one writes a line of `retired.csv` for each provider and billing that
it has.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any


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
