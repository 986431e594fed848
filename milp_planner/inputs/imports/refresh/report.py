"""What a refresh changed: by list what was left out, by provider what is new, other or gone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from milp_planner.inputs.catalog.diff import CatalogDiff, ChangedRow, DiffRow
from milp_planner.inputs.imports.refresh.lists import PublishedList
from milp_planner.lazily import dataclass, field

MOST_NAMED = 3
"""Changes of a provider named in a report that is not verbose."""

PRICES = ("usd_per_hour", "usd_per_m_output_tokens", "usd_per_m_input_tokens")


@dataclass
class ProviderChange:
    """What became of a provider's prices."""

    provider: str
    new: list[DiffRow] = field(default_factory=list)
    changed: list[ChangedRow] = field(default_factory=list)
    gone: list[DiffRow] = field(default_factory=list)
    same: int = 0
    """Rows with a newer date or another source only."""

    refused: int = 0
    """Rows that the catalog's checks refused."""

    def lines(self, *, verbose: bool) -> Iterator[str]:
        """Counts in one line, then the rows that they count."""
        counts = {
            "new": len(self.new),
            "changed": len(self.changed),
            "gone": len(self.gone),
            "refused": self.refused,
            "as before": self.same,
        }
        yield f"  {self.provider}: {', '.join(f'{n:,} {what}' for what, n in counts.items() if n)}"
        mine = CatalogDiff(tuple(self.new), tuple(self.gone), tuple(self.changed)).row_lines()
        rows = [f"  {line}" for line in mine]
        shown = rows if verbose else [row for row in rows if row.lstrip()[0] == "~"][:MOST_NAMED]
        yield from shown
        if len(shown) < len(self.changed) and not verbose:
            yield f"    … {len(self.changed) - len(shown):,} more; --verbose names them"


@dataclass(frozen=True)
class Refreshed:
    """What a refresh wrote."""

    folder: Path
    offerings: int
    token_prices: int
    lists: tuple[PublishedList, ...]
    changes: tuple[ProviderChange, ...]
    warnings: tuple[str, ...] = ()
    """Prices far from what the same provider asks elsewhere."""

    def lines(self, *, verbose: bool = False) -> list[str]:
        """The report, for people."""
        wrote = f"{_counted(self.offerings, 'offering')} and "
        wrote += _counted(self.token_prices, "token price")
        return [
            f"{self.folder}: {wrote}",
            *(line for one in self.lists for line in _list_lines(one, verbose=verbose)),
            *(line for c in self.changes for line in c.lines(verbose=verbose)),
        ]

    def to_dict(self) -> dict[str, Any]:
        """The same as plain data, ready for JSON; every row."""
        return {
            "folder": str(self.folder),
            "offerings": self.offerings,
            "token_prices": self.token_prices,
            "lists": [_list_dict(one) for one in self.lists],
            "providers": [_change_dict(change) for change in self.changes],
            "warnings": list(self.warnings),
        }


def changes_by_provider(diff: CatalogDiff, refused: Mapping[str, int]) -> Iterator[ProviderChange]:
    """The difference of two catalogs apart by whose price it is; only of providers that it has."""
    changes: dict[str, ProviderChange] = {}

    def of(key: str) -> ProviderChange:
        name = key.partition("/")[0]
        return changes.setdefault(name, ProviderChange(name))

    for row in diff.added:
        of(row.key).new.append(row)
    for row in diff.removed:
        of(row.key).gone.append(row)
    for changed in diff.changed:
        one = of(changed.key)
        if changed.refreshed_only:
            one.same += 1
        else:
            one.changed.append(changed)
    for name, count in refused.items():
        of(f"{name}/").refused = count
    yield from (changes[name] for name in sorted(changes))


def _list_lines(one: PublishedList, *, verbose: bool) -> Iterator[str]:
    name = f"{one.tool} {one.name}".rstrip()
    if one.missing:
        yield f"  {name}: not published, its prices stay as they were ({one.missing})"
        return
    skipped = one.read.skipped
    day = max(dated.day for dated in one.read.dates).isoformat()
    out = sum(skipped.counts.values())
    yield f"  {name}: {_counted(len(one.read.rows), 'row')} of {day}, {out:,} left out"
    for reason, count in skipped.counts.most_common() if verbose else ():
        yield f"    {count:,}  {reason} (for example {skipped.examples[reason]})"


def _counted(count: int, thing: str) -> str:
    return f"{count:,} {thing}{'s' * (count != 1)}"


def _list_dict(one: PublishedList) -> dict[str, Any]:
    return {
        "tool": one.tool,
        "name": one.name,
        "url": one.url,
        "rows": len(one.read.rows),
        "missing": one.missing,
        "left_out": dict(one.read.skipped.counts),
    }


def _change_dict(change: ProviderChange) -> dict[str, Any]:
    rows = CatalogDiff(tuple(change.new), tuple(change.gone), tuple(change.changed)).to_dict()
    return {
        "provider": change.provider,
        "new": rows["added"],
        "changed": rows["changed"],
        "gone": rows["removed"],
        "as_before": change.same,
        "refused": change.refused,
    }
