"""Which names and patterns of `limits:` mean which rows of a catalog.

A row is meant by its name, or by another name that it has: an offering by each id that a source
has for it. What a kind of filter looks at is in `NAMES_OF`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fnmatch import fnmatchcase

from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.records import Filter, Limits

Sold = Offering | TokenPrice

NAMES_OF: Mapping[str, Callable[[Sold], tuple[str, ...]]] = {
    "providers": lambda row: (row.provider,),
    "regions": lambda row: (row.region,),
    "offerings": lambda row: row.ids,
    "gpus": lambda row: (row.gpu,) if isinstance(row, Offering) else (),
}
"""The names of a row that a kind of filter looks at, its own first; none: it is let through."""


def is_meant(kind: str, pattern: str, row: Sold) -> bool:
    """Whether a name or pattern of a filter means a row."""
    return any(fnmatchcase(name, pattern) for name in NAMES_OF[kind](row))


def is_ruled_out(kind: str, kept: Filter, row: Sold) -> bool:
    """Whether a filter leaves a row out."""
    return bool(why_filtered(kind, kept, row))


def why_filtered(kind: str, kept: Filter, row: Sold) -> str:
    """Why a filter leaves a row out, or nothing."""
    names = NAMES_OF[kind](row)
    if not names:
        return ""
    for pattern in kept.deny:
        if is_meant(kind, pattern, row):
            said = next((name for name in names if fnmatchcase(name, pattern)), names[0])
            return f"{said} is denied by limits.{kind}.deny ({pattern})"
    if kept.allow and not any(is_meant(kind, pattern, row) for pattern in kept.allow):
        return f"{names[0]} is not in limits.{kind}.allow"
    return ""


def why_left_out(limits: Limits, row: Sold) -> str:
    """Why the filters of the limits leave a row out, or nothing."""
    found = (why_filtered(kind, getattr(limits, kind), row) for kind in NAMES_OF)
    return next(filter(None, found), "")


def rows_by_name(catalog: Catalog, kind: str) -> dict[str, list[Sold]]:
    """Rows by what a filter calls them, in order; every GPU, sold or not."""
    rows: dict[str, list[Sold]] = {gpu: [] for gpu in catalog.gpus} if kind == "gpus" else {}
    for row in sold_in(catalog):
        for name in NAMES_OF[kind](row)[:1]:
            rows.setdefault(name, []).append(row)
    return dict(sorted(rows.items()))


def sold_in(catalog: Catalog) -> Iterator[Sold]:
    """Everything that a catalog has a price of."""
    yield from catalog.offerings
    yield from catalog.token_prices
