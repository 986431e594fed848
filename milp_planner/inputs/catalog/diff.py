"""What two catalogs have differently: rows added, removed and changed, figure by figure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from milp_planner.inputs.catalog.records import Catalog, Measurement, Offering, TokenPrice
from milp_planner.inputs.reading.records import Frozen
from milp_planner.lazily import dataclass
from milp_planner.units import unit_price_shown

ORIGIN = ("source", "as_of", "note")
"""Fields that say where a figure is from; a row that differs in these only has been refreshed."""

UNCOMPARED = (
    *("override", "behind", "country", "group", "metro", "line"),
    *("also_quoted", "other_ids"),
)


@dataclass(frozen=True)
class DiffRow:
    """A row that one of the two catalogs has alone."""

    table: str
    """gpus, llms, offerings, token_prices or measurements."""

    key: str
    record: Frozen
    why: str = ""
    """What took a removed row away, in words; '' where nothing says."""


@dataclass(frozen=True)
class ChangedRow:
    """A row that both have, with other contents."""

    table: str
    key: str
    changes: Mapping[str, tuple[Any, Any]]
    """(before, after) by field."""

    @property
    def refreshed_only(self) -> bool:
        """True when no figure changed, but its date, source or note."""
        return all(name in ORIGIN for name in self.changes)


@dataclass(frozen=True)
class CatalogDiff:
    """How the second catalog differs from the first."""

    added: tuple[DiffRow, ...]
    removed: tuple[DiffRow, ...]
    changed: tuple[ChangedRow, ...]

    def __bool__(self) -> bool:
        """True when they differ."""
        return bool(self.added or self.removed or self.changed)

    def to_dict(self) -> dict[str, list[dict[str, Any]]]:
        """The difference as plain data, ready for JSON."""
        return {
            "added": [_row_dict(row) for row in self.added],
            "removed": [_row_dict(row) for row in self.removed],
            "changed": [
                {"table": row.table, "key": row.key, "changes": _changes_dict(row.changes)}
                for row in self.changed
            ],
        }

    def lines(self) -> list[str]:
        """The difference, for people: a summary by table, then a line per row."""
        return [*self._summary(), *self.row_lines()] or ["the catalogs are the same"]

    def _summary(self) -> Iterator[str]:
        for table in TABLES:
            figures = [c for c in self.changed if c.table == table and not c.refreshed_only]
            counts = {
                "added": _count(self.added, table),
                "removed": _count(self.removed, table),
                "changed": len(figures),
                "with another date or source only": _count(self.changed, table) - len(figures),
            }
            said = ", ".join(f"{count:,} {what}" for what, count in counts.items() if count)
            if said:
                yield f"{table}: {said}"

    def row_lines(self) -> Iterator[str]:
        """A line per row that is new, gone or has other figures."""
        lines = [(r.table, r.key, f"  + {r.key}{_price(r.record)}") for r in self.added]
        lines += [(r.table, r.key, f"  - {r.key}{_price(r.record)}{_why(r)}") for r in self.removed]
        lines += [
            (c.table, c.key, f"  ~ {c.key}: {', '.join(_changes(c))}")
            for c in self.changed
            if not c.refreshed_only
        ]
        order = {table: i for i, table in enumerate(TABLES)}
        yield from (line for _, _, line in sorted(lines, key=lambda row: (order[row[0]], row[1:])))


def catalog_diff(before: Catalog, after: Catalog) -> CatalogDiff:
    """Rows of `after` that `before` has not, the other way round, and those with other contents."""
    added: list[DiffRow] = []
    removed: list[DiffRow] = []
    changed: list[ChangedRow] = []
    retired = {key_of(row): said for row, said in after.retired}
    for table in TABLES:
        old, new = _rows_of(before, table), _rows_of(after, table)
        added += [DiffRow(table, key, new[key]) for key in sorted(new.keys() - old.keys())]
        gone = sorted(old.keys() - new.keys())
        removed += [DiffRow(table, key, old[key], retired.get(key, "")) for key in gone]
        for key in sorted(old.keys() & new.keys()):
            changes = dict(_differences(old[key], new[key]))
            if changes:
                changed.append(ChangedRow(table, key, changes))
    return CatalogDiff(tuple(added), tuple(removed), tuple(changed))


def _rows_of(catalog: Catalog, table: str) -> dict[str, Frozen]:
    rows: Any = getattr(catalog, table)
    records = rows.values() if isinstance(rows, Mapping) else rows
    return {key_of(record): record for record in records}


def key_of(record: Any) -> str:
    """What makes a row one of its own, in words."""
    if isinstance(record, Offering):
        return f"{record.id} {record.billing}"
    if isinstance(record, Measurement):
        return _measured(record)
    return str(record.id)


def _measured(m: Measurement) -> str:
    shape = "" if m.input_tokens is None else f" {m.input_tokens:g}/{m.output_tokens or 0:g}"
    load = "" if m.concurrency is None else f" at {m.concurrency:g}"
    how = " ".join(part for part in (m.engine, m.regime) if part)
    return f"{m.llm} on {m.tensor_parallel} x {m.gpu} {m.precision}{shape}{load} {how} ({m.basis})"


def _differences(old: Frozen, new: Frozen) -> Iterator[tuple[str, tuple[Any, Any]]]:
    for name in type(old).model_fields:
        before, after = getattr(old, name), getattr(new, name)
        if before != after and name not in UNCOMPARED:
            yield name, (before, after)


def _changes(row: ChangedRow) -> Iterator[str]:
    for name, (before, after) in row.changes.items():
        if name in ORIGIN:
            continue
        comparable = before and all(map(_is_amount, (before, after)))
        by = f" ({100 * (after / before - 1):+.1f} %)" if comparable else ""
        yield f"{name} {_shown(before)} -> {_shown(after)}{by}"


def _is_amount(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "unknown"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _price(record: Frozen) -> str:
    if isinstance(record, Offering):
        return f": {unit_price_shown(record.usd_per_hour)} per unit and hour"
    if isinstance(record, TokenPrice):
        per_m_input = unit_price_shown(record.usd_per_m_input_tokens)
        return f": {per_m_input}/{record.usd_per_m_output_tokens:g} per 1M input/output tokens"
    return ""


def _why(row: DiffRow) -> str:
    return f" (retired {row.why})" if row.why else ""


def _count(rows: Iterable[DiffRow | ChangedRow], table: str) -> int:
    return sum(row.table == table for row in rows)


TABLES = ("gpus", "llms", "offerings", "token_prices", "measurements")
"""What is compared, in the order of the report; aliases only name these."""


def _row_dict(row: DiffRow) -> dict[str, Any]:
    record = row.record.model_dump(mode="json", exclude_defaults=True)
    why = {"why": row.why} if row.why else {}
    return {"table": row.table, "key": row.key, "record": record, **why}


def _changes_dict(changes: Mapping[str, tuple[Any, Any]]) -> dict[str, dict[str, str]]:
    return {
        name: {"before": str(before), "after": str(after)}
        for name, (before, after) in changes.items()
    }
