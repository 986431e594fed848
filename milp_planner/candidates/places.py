"""What a filter of regions does that its words do not show."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence

from milp_planner.candidates.filters import Sold, is_meant
from milp_planner.inputs.catalog.identity.products import UNKNOWN_PLACE
from milp_planner.inputs.problem.records import Filter

PATTERN_MARKS = "*?["
MOST_NAMED = 5


def notes_on_regions(kept: Filter, rows: Iterable[Sold]) -> Iterator[str]:
    """Patterns that stand for a group, or miss providers there; and what has no known place."""
    sold = list({(row.provider, row.region): row for row in rows}.values())
    groups = {row.group for row in sold if row.group}
    for list_, patterns in (("allow", kept.allow), ("deny", kept.deny)):
        path = f"limits.regions.{list_}"
        for pattern in patterns:
            if pattern.removesuffix("-*") in groups and pattern.endswith("-*"):
                yield from _on_group(path, pattern, sold)
            elif any(mark in pattern for mark in PATTERN_MARKS):
                yield from _on_pattern(path, pattern, patterns, sold)
    yield from _on_unplaced(kept, groups, sold)


def _on_unplaced(kept: Filter, groups: Collection[str], sold: Sequence[Sold]) -> Iterator[str]:
    """That what has no known place stays where a group is denied, and is out of what is let in."""
    known = {*groups, *(row.country for row in sold if row.country)}
    if any(pattern.removesuffix("-*") in known for pattern in kept.allow):
        yield from _left_out_unplaced(kept, sold)
    if kept.allow or not any(pattern.removesuffix("-*") in groups for pattern in kept.deny):
        return
    elsewhere = (row for row in sold if not row.group)
    left = [row for row in elsewhere if not any(is_meant("regions", p, row) for p in kept.deny)]
    if any(row.region == UNKNOWN_PLACE for row in left):
        sellers = _listed(sorted({row.provider for row in left if row.region == UNKNOWN_PLACE}))
        yield (
            f"limits.regions.deny: what {sellers} sell without saying where stays; "
            "deny global to leave it out"
        )


def _left_out_unplaced(kept: Filter, sold: Sequence[Sold]) -> Iterator[str]:
    """Regions with a name that no table places: they may be in the group."""
    unknown = sorted(
        f"{row.provider} {row.region}"
        for row in sold
        if not row.group
        and row.region != UNKNOWN_PLACE
        and not any(is_meant("regions", pattern, row) for pattern in kept.allow)
    )
    if unknown:
        yield (
            f"limits.regions.allow: where {_listed(unknown)} is, is not known, so that it is in no "
            "group; name it, or place it in a places.csv, to take it in"
        )


def _on_group(path: str, pattern: str, sold: Sequence[Sold]) -> Iterator[str]:
    group = pattern.removesuffix("-*")
    beyond = sorted(
        f"{row.provider} {row.region}"
        for row in sold
        if is_meant("regions", pattern, row) and row.group and row.group != group
    )
    also = f", and regions elsewhere of that name ({_listed(beyond)})" if beyond else ""
    yield f"{path}: {pattern} means the group {group}{also}; write {group}"


def _on_pattern(
    path: str, pattern: str, patterns: Sequence[str], sold: Sequence[Sold]
) -> Iterator[str]:
    """That no entry of the list means any region of some providers in the pattern's group."""
    found = Counter(row.group for row in sold if is_meant("regions", pattern, row) and row.group)
    if not found:
        return
    group = min(found, key=lambda name: (-found[name], name))
    there = [row for row in sold if row.group == group]
    meant = {row.provider for row in there if any(is_meant("regions", p, row) for p in patterns)}
    missed = sorted({row.provider for row in there} - meant)
    if missed:
        yield f"{path}: {pattern} matches no region of {_listed(missed)} in {group}; write {group}"


def _listed(names: Sequence[str]) -> str:
    more = ", …" if len(names) > MOST_NAMED else ""
    return ", ".join(names[:MOST_NAMED]) + more
