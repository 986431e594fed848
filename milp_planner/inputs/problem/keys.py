"""The keys of a problem by their dotted names, and which of them a problem sets.

A key is a leaf of the schema, spelled as in a file and without the number of a list's entry:
`limits.regions.max_count`, `workloads.latency.tpot`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

from milp_planner.inputs.reading.fault_places import (
    is_list,
    is_record,
    is_union,
    members,
    written_key,
)


@cache
def leaves(record: type[BaseModel]) -> frozenset[str]:
    """The dotted keys of everything that a record and the records in it can say."""
    return frozenset(_leaves(record, ""))


def _leaves(record: type[BaseModel], at: str) -> Iterator[str]:
    for name, field in record.model_fields.items():
        key = f"{at}{written_key(name, field)}"
        inner = list(_records(field.annotation))
        if not inner or _has_plain_form(field.annotation):
            yield key
        for part in inner:
            yield from _leaves(part, f"{key}.")


def _records(declared: Any) -> Iterator[type[BaseModel]]:
    """The records that a value of this type can be, or be a list of."""
    if is_record(declared):
        yield declared
    elif is_union(declared):
        for member in members(declared):
            yield from _records(member)
    elif is_list(declared) or hasattr(declared, "__metadata__"):
        for part in getattr(declared, "__args__", ()):
            yield from _records(part)


def _has_plain_form(declared: Any) -> bool:
    """True where a value may also be a word or a number, such as `survive_loss_of: provider`."""
    if not is_union(declared):
        return False
    return any(member is not type(None) and not [*_records(member)] for member in members(declared))


def set_keys(record: BaseModel) -> frozenset[str]:
    """The dotted keys whose values differ from what holds without being written.

    Everything in a block that is absent by default counts as set where the block is there.
    """
    return frozenset(_set_keys(record, "", present=False))


def _set_keys(record: BaseModel, at: str, *, present: bool) -> Iterator[str]:
    for name, written, default in _fields(type(record)):
        value = getattr(record, name)
        key = f"{at}{written}"
        inner = [value] if isinstance(value, BaseModel) else _records_in(value)
        for part in inner:
            yield from _set_keys(part, f"{key}.", present=present or not _is_record(default))
        if not inner and (present or value != default):
            yield key


@cache
def _fields(record: type[BaseModel]) -> tuple[tuple[str, str, Any], ...]:
    """Name, key and default of every field: made once, since copies of defaults are slow."""
    return tuple(
        (name, written_key(name, field), field.get_default(call_default_factory=True))
        for name, field in record.model_fields.items()
    )


def _is_record(value: Any) -> bool:
    return isinstance(value, BaseModel)


def _records_in(value: Any) -> list[BaseModel]:
    if not isinstance(value, tuple | list):
        return []
    return [part for part in value if isinstance(part, BaseModel)]
