"""Rows by what they are about, so that nobody looks through all of them for each."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Protocol, TypeVar

Row = TypeVar("Row")
Key = TypeVar("Key", bound=Hashable)


def grouped(rows: Iterable[Row], key: Callable[[Row], Key]) -> dict[Key, list[Row]]:
    """Rows by key, in their order."""
    found: dict[Key, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


class _Serving(Protocol):
    @property
    def workload(self) -> str: ...


class _OfCandidate(Protocol):
    @property
    def candidate(self) -> _Serving: ...


About = TypeVar("About", bound=_OfCandidate)


def by_workload(rows: Iterable[About]) -> dict[str, list[About]]:
    """Rows that are about a candidate, by the workload that it serves."""
    return grouped(rows, lambda row: row.candidate.workload)
