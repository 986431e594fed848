"""Where a pydantic error points, in the terms of the file.

pydantic puts more into an error's `loc` than keys: the tag of a discriminated union, the member of
a plain union, `[key]`. A tag may be spelled like a key (`kind: tokens_per_day`), so that only the
declared types tell them apart: they are walked here step by step, beside the data.
"""

from __future__ import annotations

import collections.abc
import enum
import types
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, RootModel, Tag
from pydantic.fields import FieldInfo

from milp_planner.inputs.reading.strict_yaml import Steps
from milp_planner.lazily import dataclass, replace


class _Unknown(enum.Enum):
    UNKNOWN = "unknown"


UNKNOWN: Final = _Unknown.UNKNOWN
"""Stands for a value that is not known, as None is a value."""

LISTS: tuple[Any, ...] = (
    list,
    tuple,
    set,
    frozenset,
    collections.abc.Sequence,
    collections.abc.Iterable,
    collections.abc.Set,
)
MAPPINGS: tuple[Any, ...] = (dict, collections.abc.Mapping, collections.abc.MutableMapping)


@dataclass(frozen=True)
class Kind:
    """What a discriminated union was found to be."""

    name: str
    """`kind: profile`, as the file says it."""

    others: Mapping[str, type[BaseModel]]
    """The records of the other kinds, by such names."""


@dataclass(frozen=True)
class Place:
    """A value, its declared type, and the record whose field it is."""

    path: Steps
    declared: Any
    discriminator: Any = None
    """Name of the key that chooses between the members of a union, or a callable, or None."""

    value: Any = UNKNOWN
    """What the user wrote."""

    record: type[BaseModel] | None = None
    kind: Kind | None = None
    """The kind of that record, where there are several."""

    own_kind: Kind | None = None
    """The kind of the value itself, where it is a record of several kinds."""

    is_key: bool = False
    """The error is about the key itself, not about its value."""

    unread: tuple[str | int, ...] = ()
    """Steps into a plain union: the first names a member."""


def locate(place: Place, loc: Sequence[str | int]) -> Place:
    """The place that `loc` names, starting from `place`; stops before a plain union."""
    rest = tuple(loc)
    while rest:
        place = unwrapped(place)
        if is_union(place.declared) and not place.discriminator:
            return replace(place, unread=rest)
        if is_union(place.declared):
            place = _chosen(place, str(rest[0]))
        else:
            is_key = is_mapping(place.declared) and rest[1:] == ("[key]",)
            place = _entered(place, rest[0], is_key)
        rest = rest[2:] if place.is_key else rest[1:]
    return unwrapped(place)


def unwrapped(place: Place) -> Place:
    """The place without `Annotated`, `| None`, aliases and root records around its type."""
    declared, discriminator = place.declared, place.discriminator
    while True:
        if get_origin(declared) is Annotated:
            found = [getattr(extra, "discriminator", None) for extra in declared.__metadata__]
            discriminator = next((d for d in found if d), discriminator)
            declared = get_args(declared)[0]
        elif hasattr(declared, "__value__"):
            declared = declared.__value__
        elif is_record(declared) and issubclass(declared, RootModel):
            declared = declared.model_fields["root"].annotation
        elif is_union(declared) and len(members(declared)) == 1:
            declared = members(declared)[0]
        else:
            return replace(place, declared=declared, discriminator=_key_name(discriminator))


def _key_name(discriminator: Any) -> Any:
    """`Discriminator("kind")` and `"kind"` are the same."""
    return getattr(discriminator, "discriminator", discriminator)


def is_union(declared: Any) -> bool:
    return get_origin(declared) in (Union, types.UnionType)


def is_record(declared: Any) -> bool:
    return isinstance(declared, type) and issubclass(declared, BaseModel)


def is_list(declared: Any) -> bool:
    return (get_origin(declared) or declared) in LISTS


def is_mapping(declared: Any) -> bool:
    return (get_origin(declared) or declared) in MAPPINGS


def members(union: Any) -> list[Any]:
    """The members of a union other than None."""
    return [member for member in get_args(union) if member is not type(None)]


def choices(declared: Any) -> list[Any]:
    """The values that a Literal or an Enum allows; none for other types."""
    if get_origin(declared) is Literal:
        return list(get_args(declared))
    if isinstance(declared, type) and issubclass(declared, enum.Enum):
        return [member.value for member in declared]
    return []


def spellings(record: type[BaseModel]) -> dict[str, str]:
    """Every name and alias of the record's fields, with how a file spells it."""
    fields = record.model_fields.items()
    return {
        **{name: written_key(name, field) for name, field in fields},
        **{written_key(name, field): written_key(name, field) for name, field in fields},
    }


def field_place(record: type[BaseModel], key: str) -> Place | None:
    """The declared type of the field with that alias or name; None when there is none."""
    for name, field in record.model_fields.items():
        if key in (name, written_key(name, field)):
            return Place((), field.annotation, field.discriminator)
    return None


def written_key(name: str, field: FieldInfo) -> str:
    """How a file spells the field: `tpot` for `tpot_s`."""
    alias = field.validation_alias or field.alias
    return alias if isinstance(alias, str) else name


def child_of(value: Any, step: str | int) -> Any:
    """The part of a value under a key, index or attribute; UNKNOWN when there is none."""
    if isinstance(value, dict):
        return value.get(step, UNKNOWN)
    if isinstance(value, list | tuple) and isinstance(step, int):
        return value[step] if -len(value) <= step < len(value) else UNKNOWN
    if isinstance(value, BaseModel) and isinstance(step, str):
        return getattr(value, step, UNKNOWN)
    return UNKNOWN


def kinds_of(union: Any, discriminator: Any) -> dict[str, Any]:
    """Tag -> member of a discriminated union."""
    found: dict[str, Any] = {}
    for member in members(union):
        inner = unwrapped(Place((), member))
        if is_union(inner.declared):
            found.update(kinds_of(inner.declared, inner.discriminator or discriminator))
        elif tags := [str(e.tag) for e in getattr(member, "__metadata__", ()) if type(e) is Tag]:
            found[tags[0]] = member
        elif is_record(inner.declared) and isinstance(discriminator, str):
            key = field_place(inner.declared, discriminator)
            for tag in choices(unwrapped(key).declared) if key else ():
                found[str(tag.value if isinstance(tag, enum.Enum) else tag)] = member
    return found


def _chosen(place: Place, tag: str) -> Place:
    """The member of a discriminated union that the tag names."""
    kinds = kinds_of(place.declared, place.discriminator)
    member = kinds.pop(tag, Any)
    key = place.discriminator if isinstance(place.discriminator, str) else ""
    others = {f"{key}: {name}": other for name, other in kinds.items() if is_record(other)}
    kind = Kind(f"{key}: {tag}", others) if key else None
    return replace(place, declared=member, discriminator=None, own_kind=kind)


def _entered(place: Place, step: str | int, is_key: bool) -> Place:
    """One step down a record, a list or a mapping."""
    declared, arguments = place.declared, get_args(place.declared)
    below = Place((*place.path, step), Any, value=child_of(place.value, step), is_key=is_key)
    if is_record(declared):
        field = field_place(declared, str(step)) or below
        below = replace(below, record=declared, kind=place.own_kind)
        return replace(below, declared=field.declared, discriminator=field.discriminator)
    if is_list(declared) and arguments:
        return replace(below, declared=_entry_type(arguments, step))
    if is_mapping(declared) and arguments:
        return replace(below, declared=arguments[0 if is_key else 1])
    return below


def _entry_type(arguments: tuple[Any, ...], step: str | int) -> Any:
    """`tuple[X, ...]` and `list[X]` hold X everywhere, `tuple[X, Y]` by position."""
    is_fixed = len(arguments) > 1 and arguments[1] is not Ellipsis
    return arguments[int(step)] if is_fixed and int(step) < len(arguments) else arguments[0]
