"""Keys of a problem file that are spelled as they were one release ago, which is still read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from milp_planner.errors import readable_path
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.reading.fault_places import Place, is_record, unwrapped, written_key
from milp_planner.inputs.reading.strict_yaml import Document, Steps


def old_words_in(problem: Problem) -> Iterator[str]:
    """`FILE:LINE:COLUMN: limits.providers.at_most is called max_count now`, for every such key."""
    document: Document | None = problem._origin
    if document is None:
        return
    for steps, now in _old_words(type(problem), document.data, ()):
        line, column = document.at(steps)
        where = f"{document.file}:{line}:{column}"
        yield f"{where}: {readable_path(steps)} is called {now} now"


def _old_words(record: type[Any], data: Any, at: Steps) -> Iterator[tuple[Steps, str]]:
    if not isinstance(data, Mapping):
        return
    fields = {written_key(name, field): field for name, field in record.model_fields.items()}
    for key, value in data.items():
        now = record.old_words.get(key)
        if now is not None:
            yield (*at, key), now
        field = fields.get(key)
        inner = None if field is None else unwrapped(Place((), field.annotation)).declared
        if inner is not None and is_record(inner):
            yield from _old_words(inner, value, (*at, key))
