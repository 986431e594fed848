"""Which names and patterns of `limits:` mean which rows of a catalog.

A row is meant by its name, or by another name that it has: an offering by each id that a source
has for it. What a kind of filter looks at is in `NAMES_OF`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.records import Filter, Limits

Sold = Offering | TokenPrice


def place_names(row: Sold) -> tuple[str, ...]:
    """The names that mean a place: the provider's, the country, its group, and what the pattern
    `eu-*` matches of a group, as people write it for all of Europe."""
    groups = (row.group, f"{row.group}-") if row.group else ()
    return (row.region, *filter(None, (row.country,)), *groups)


NAMES_OF: Mapping[str, Callable[[Sold], tuple[str, ...]]] = {
    "providers": lambda row: row.sellers,
    "regions": place_names,
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
            ids = names if kind == "offerings" else names[:1]
            said = next((name for name in ids if fnmatchcase(name, pattern)), names[0])
            return f"{said} is denied by limits.{kind}.deny ({pattern})"
    if kept.allow and not any(is_meant(kind, pattern, row) for pattern in kept.allow):
        return f"{names[0]} is not in limits.{kind}.allow"
    return ""


def why_left_out(limits: Limits, row: Sold) -> str:
    """Why the filters of the limits leave a row out, or nothing."""
    found = (why_filtered(kind, getattr(limits, kind), row) for kind in NAMES_OF)
    return next(filter(None, found), "")


def notes_on_sellers(kept: Filter, rows: Iterable[Sold]) -> Iterator[str]:
    """What a filter of providers does to services of theirs that it does not name, once each."""
    services = {row.provider: row for row in rows if row.behind}
    for service, row in sorted(services.items()):
        denying, allowing = (_by_owner_alone(names, row) for names in (kept.deny, kept.allow))
        if denying:
            yield (
                f"limits.providers.deny: {denying} leaves out {service} too, "
                f"a service of {row.behind}"
            )
        elif allowing and not is_ruled_out("providers", kept, row):
            yield (
                f"limits.providers.allow: {allowing} takes in {service}, a service of "
                f"{row.behind}; deny {service} to leave it out"
            )


def _by_owner_alone(patterns: Sequence[str], row: Sold) -> str:
    """The pattern that means a service by the name of its owner alone, '' for none."""
    if any(fnmatchcase(row.provider, pattern) for pattern in patterns):
        return ""
    return next((p for p in patterns if is_meant("providers", p, row)), "")


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
