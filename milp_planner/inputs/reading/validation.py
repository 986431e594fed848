"""Plain data into records: every fault at once, each at its line and in the reader's words.

The places are found in `fault_places.py`, the words are in `fault_wording.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from milp_planner.errors import Fault, InputError, readable_path
from milp_planner.inputs.reading.fault_places import (
    UNKNOWN,
    Place,
    choices,
    is_list,
    is_mapping,
    is_record,
    is_union,
    locate,
    members,
    spellings,
    unwrapped,
)
from milp_planner.inputs.reading.fault_wording import (
    VERSION_KEY,
    Said,
    is_newer_version,
    newer_version,
    version_required,
    wording,
)
from milp_planner.inputs.reading.strict_yaml import Document
from milp_planner.units import FROM_FILE, found

T = TypeVar("T", bound=BaseModel)
MOST_ERRORS_WORDED = 1_000
"""Beyond them only their number is told: wording 100,000 of them takes 20 s."""

Details = Mapping[str, Any]
"""One entry of pydantic's `errors()`."""


def validate(model: type[T], document: Document) -> T:
    """The record that a file describes; keys are spelled as in the file, times need units.

    Raises `InputError` with every fault. A model with a `schema_version` needs it in the file,
    also where it has a default for records built in code.
    """
    record, faults = None, []
    try:
        record = model.model_validate(document.data, **_how(from_file=True))
    except ValidationError as error:
        faults = faults_of(error, document, model)
    if _lacks_version(model, document):
        faults = [document.fault((VERSION_KEY,), version_required(model).message), *faults]
    if record is None or faults:
        raise InputError(dict.fromkeys(faults))
    return record


def validate_python(model: type[T], data: Any) -> T:
    """The record that plain values from Python describe; numbers need no units.

    Raises `InputError` with every fault, without lines.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise InputError(faults_of(error, None, model, data=data)) from None


def faults_of(
    error: ValidationError,
    document: Document | None,
    model: Any,
    *,
    file: str = "",
    line: int = 0,
    data: Any = UNKNOWN,
) -> list[Fault]:
    """pydantic's error about `model` as faults, in the order of the lines.

    Without a document, as for a row of a CSV file, the faults stand at `file` and `line`; `data`
    is then what was validated, where the caller still has it.
    """
    details: list[Any] = error.errors(include_url=False)
    for newer in details:
        if is_newer_version(newer, model):  # whatever else is odd, the later version may explain
            said = newer_version(newer["input"], model)
            fault = _fault(Place((VERSION_KEY,), Any), said, document, file, line)
            return [replace(fault, path="")]
    start = Place((), model, value=data if document is None else document.data)
    how = _how(from_file=document is not None)
    worded = _said(details[:MOST_ERRORS_WORDED], start, how)
    faults = [_fault(place, said, document, file, line) for place, said in worded]
    faults.sort(key=lambda fault: (fault.line, fault.column))
    if len(details) > MOST_ERRORS_WORDED:
        said = Said(f"{len(details) - MOST_ERRORS_WORDED:,} more faults were found")
        faults.append(_fault(start, said, document, file, line))
    return faults


def _how(*, from_file: bool) -> dict[str, Any]:
    """How pydantic is to validate: files know aliases only, and their times need units."""
    return {"context": {FROM_FILE: True}, "by_alias": True, "by_name": False} if from_file else {}


def _lacks_version(model: type[BaseModel], document: Document) -> bool:
    return VERSION_KEY in model.model_fields and VERSION_KEY not in document.data


def _fault(place: Place, said: Said, document: Document | None, file: str, line: int) -> Fault:
    path = (*place.path, *said.below)
    if document is None:
        return Fault(file, line, 0, readable_path(path), said.message, said.hint)
    fault = document.fault(path, said.message, said.hint, at_key=said.at_key or place.is_key)
    if said.clashes_with is None:
        return fault
    first = document.value_at((*place.path, *said.clashes_with))[0]
    return replace(fault, message=f"{said.message} (lines {first} and {fault.line})")


def _said(
    details: Iterable[Details], start: Place, how: Mapping[str, Any]
) -> Iterator[tuple[Place, Said]]:
    """Each error's place with what to say; of a plain union only what the data was meant to be."""
    unions: dict[object, list[tuple[Details, Place]]] = {}
    for error in details:
        place = locate(start, error["loc"])
        if place.unread:
            unions.setdefault(place.path, []).append((error, place))
        elif not _is_echo(error, place):
            yield place, wording(error, place)
    for group in unions.values():
        yield from _said_of_union(group, how)


def _is_echo(error: Details, place: Place) -> bool:
    """pydantic also calls a list too short when its entries are wrong, as it counts good ones."""
    given = error["input"] if place.value is UNKNOWN else place.value
    is_sized = isinstance(given, list | tuple | dict)
    return error["type"] == "too_short" and is_sized and len(given) >= error["ctx"]["min_length"]


# Plain unions: `keys or a list`, `a number or text`


def _said_of_union(
    group: list[tuple[Details, Place]], how: Mapping[str, Any]
) -> Iterator[tuple[Place, Said]]:
    """What is wrong with the member of a union that the value looks like."""
    place = replace(group[0][1], value=_value_of_union(group), unread=())
    is_known = place.value is not UNKNOWN
    member = _member_like(place.value, members(place.declared)) if is_known else None
    if is_known and member is None:
        expected = " or ".join(dict.fromkeys(_expected(m) for m in members(place.declared)))
        yield place, Said(f"expected {expected}, found {found(place.value)}")
    elif details := _errors(member, place.value, how) if is_known else []:
        yield from _said(details, replace(place, declared=member), how)
    else:  # the value is not known, or a validator changed it: say what pydantic said first
        error, at = group[0]
        below = Place((*at.path, *at.unread[1:]), Any)
        yield below, wording(error, below)


def _value_of_union(group: list[tuple[Details, Place]]) -> Any:
    """The value; when it is not known, the input of an error about a member as a whole."""
    if group[0][1].value is not UNKNOWN:
        return group[0][1].value
    wholes = (error["input"] for error, place in group if len(place.unread) == 1)
    return next(wholes, UNKNOWN)


def _errors(member: Any, value: Any, how: Mapping[str, Any]) -> list[Any]:
    try:
        TypeAdapter(member).validate_python(value, **how)
    except ValidationError as error:
        return list(error.errors(include_url=False))
    return []


def _member_like(value: Any, candidates: list[Any]) -> Any | None:
    """The member that the value was meant to be; None when it looks like none of them."""
    best = max(candidates, key=lambda member: _likeness(member, value))
    return best if _likeness(best, value) > 0 else None


def _likeness(member: Any, value: Any) -> int:
    """0 when a value of that shape can never be that member."""
    inner = unwrapped(Place((), member)).declared
    if is_union(inner):
        return max(_likeness(m, value) for m in members(inner))
    shape, order = _shape(inner), _order(value)
    if shape not in order:
        return 0
    known_keys = set(value) & set(spellings(inner)) if shape == "keys" and is_record(inner) else ()
    return len(order) - order.index(shape) + len(known_keys)


def _shape(declared: Any) -> str:
    """How a value of that type is written."""
    if is_record(declared) or is_mapping(declared):
        return "keys"
    if is_list(declared):
        return "a list"
    if choices(declared):
        return "a choice"
    if declared is bool:
        return "true or false"
    return "a number" if declared in (int, float) else "text"


_LOOKS_LIKE_A_NUMBER = re.compile(r"\s*[+-]?\.?\d")


def _order(value: Any) -> tuple[str, ...]:
    """The shapes that a value may have been meant as, the likeliest first."""
    if isinstance(value, dict):
        return ("keys",)
    if isinstance(value, list | tuple):
        return ("a list",)
    if isinstance(value, bool):
        return ("true or false", "a choice", "a number", "text")
    is_text = isinstance(value, str)
    if isinstance(value, int | float) or (is_text and _LOOKS_LIKE_A_NUMBER.match(value)):
        return ("a number", "a choice", "text", "true or false")
    return ("a choice", "text", "true or false", "a number") if is_text else ()


def _expected(member: Any) -> str:
    inner = unwrapped(Place((), member)).declared
    if is_union(inner):
        return " or ".join(dict.fromkeys(_expected(m) for m in members(inner)))
    allowed = choices(inner)
    return f"one of {', '.join(map(str, allowed))}" if allowed else _shape(inner)
