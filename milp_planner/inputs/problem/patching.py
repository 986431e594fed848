"""A problem with some of its keys changed, validated like a problem from a file.

A patch has dotted keys as a reader would name them: `limits.budget.usd_per_month`,
`workloads.chat.latency.tpot`, `limits.max_units.aws/p5.48xlarge/us-east-1`. A value replaces what
is there, keys inside a value are merged, and None takes a key out, back to its default.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel

from milp_planner.errors import (
    Fault,
    InputError,
    argument_error,
    did_you_mean,
    readable_path,
)
from milp_planner.inputs.reading.arguments import check_text
from milp_planner.inputs.reading.fault_places import (
    Place,
    is_list,
    is_mapping,
    is_record,
    is_union,
    members,
    unwrapped,
    written_key,
)
from milp_planner.inputs.reading.records import CATALOG_KEY, FromFile
from milp_planner.inputs.reading.strict_yaml import Document, Position, Steps
from milp_planner.inputs.reading.validation import validate, validate_python

Patch = Mapping[str, Any]
"""Value by dotted key."""

RULES = "rules."
"""Keys that begin so drop one of the user's own rules, by its name."""

T = TypeVar("T", bound=FromFile)

_INDEX = re.compile(r"\[(\d+)\](?:\.|$)")


def patched(problem: T, patch: Patch) -> T:
    """`problem` with the patch merged in; raises InputError with every fault of the outcome.

    Times may be written `50ms` or as seconds. ArgumentError for what is no mapping by text.
    """
    if not isinstance(patch, Mapping):
        raise argument_error(f"expected values by key, not {type(patch).__name__}", path="changes")
    for key in patch:
        check_text("changes", key)
    kind, document = type(problem), plain_document(problem)
    dropped = [key.removeprefix(RULES) for key in patch if key.startswith(RULES)]
    keys = {key: value for key, value in patch.items() if not key.startswith(RULES)}
    faults = [fault for key, value in keys.items() for fault in _merge(kind, document, key, value)]
    if faults:
        raise InputError(faults)
    changed = validate_python(kind, document)
    changed._origin = problem._origin
    changed._rules = tuple(rule for rule in problem.rules if rule.name not in dropped)
    return changed


def check_patch(problem: FromFile, patch: Patch, source: Document, at: Steps) -> None:
    """Raise InputError, with the lines of `source`, where the patch at `at` does not fit.

    As in a problem file, a time needs its unit.
    """
    kind, document = type(problem), plain_document(problem)
    faults: list[Fault] = []
    if CATALOG_KEY in patch:  # one catalog is loaded for all scenarios
        hint = "give --catalog, or --overlay for rows of your own"
        text = "a scenario cannot change it"
        faults.append(source.fault((*at, CATALOG_KEY), text, hint, at_key=True))
    positions: dict[Steps, Position] = {}
    for key, value in patch.items():
        for fault in _merge(kind, document, key, value):
            faults.append(source.fault((*at, key), fault.message, fault.hint, at_key=True))
        for steps, place in _placed(kind, document, key, value, source, (*at, key)):
            positions[steps] = place
    if faults:
        raise InputError(faults)
    validate(kind, Document(source.file, document, positions, positions))


def plain_document(problem: BaseModel) -> dict[str, Any]:
    """The problem as its file would say it: keys spelled as there, quantities with their unit."""
    document = _plain(problem)
    assert isinstance(document, dict)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return {
            written_key(name, info): _with_unit(
                name, written_key(name, info), _plain(getattr(value, name))
            )
            for name, info in type(value).model_fields.items()
            if getattr(value, name) is not None
        }
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


UNITS = {"_s": "s", "_days": "d", "_gib": "GiB"}
"""What files write after a number, by the end of the field's name."""


def _with_unit(name: str, written: str, value: Any) -> Any:
    """A field `tpot_s` that files know as `tpot` holds seconds; there they have their unit."""
    unit = UNITS.get(name.removeprefix(written))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f"{value!r}{unit}" if is_number and unit else value


def _merge(
    kind: type[BaseModel], document: dict[str, Any], key: str, value: Any
) -> Iterator[Fault]:
    """Write `value` at the dotted key; a fault where there is no such place."""
    try:
        steps = steps_of(kind, document, key)
        _put(document, steps, _merged(_at(document, steps), value))
    except KeyError as error:
        yield Fault("", 0, 0, key, str(error.args[0]))


def steps_of(kind: type[BaseModel], document: Mapping[str, Any], key: str) -> Steps:
    """`workloads.chat.latency.tpot` -> ("workloads", 0, "latency", "tpot").

    Raises KeyError, in the reader's words, for a workload that is not there.
    """
    if not key:
        raise KeyError("a dotted key must not be empty")
    steps: list[str | int] = []
    place, rest, node = unwrapped(Place((), kind)), key, document
    while rest:
        step, rest = _first_step(place.declared, node, rest)
        steps.append(step)
        place = unwrapped(Place((), _declared(place.declared, step)))
        node = _entered(node, step)
    return tuple(steps)


def _first_step(declared: Any, node: Any, rest: str) -> tuple[str | int, str]:
    if is_mapping(declared):
        return rest, ""  # names of offerings hold dots
    if is_list(declared) and isinstance(node, list):
        return _entry(node, rest)
    name, _, left = rest.partition(".")
    bracket = name.find("[")
    if bracket > 0:
        name, left = name[:bracket], rest[bracket:]
    if is_record(declared):
        name = next(
            (written_key(n, i) for n, i in declared.model_fields.items() if n == name), name
        )
    return name, left


def _entry(entries: list[Any], rest: str) -> tuple[int, str]:
    """The entry of a list by name or by `[0]`, and what is left of the key."""
    if index := _INDEX.match(rest):
        if int(index[1]) < len(entries):
            return int(index[1]), rest[index.end() :]
        raise KeyError(f"there is no entry {index[1]}: the list has {len(entries)}")
    names = [str(entry.get("name")) for entry in entries if isinstance(entry, Mapping)]
    for i, name in sorted(enumerate(names), key=lambda item: -len(item[1])):
        if rest == name or rest.startswith(f"{name}."):
            return i, rest[len(name) + 1 :]
    asked = rest.partition(".")[0]
    raise KeyError(f"no entry is named {asked!r}{did_you_mean(asked, names)}")


def _declared(declared: Any, step: str | int) -> Any:
    """The type of a part, as far as it is known without looking at the data."""
    if is_record(declared):
        for name, info in declared.model_fields.items():
            if step in (name, written_key(name, info)):
                return info.annotation
    if is_list(declared):
        arguments = [a for a in getattr(declared, "__args__", ()) if a is not Ellipsis]
        return arguments[0] if arguments else Any
    if is_union(declared):
        records = [m for m in members(declared) if is_record(m)]
        return records[0] if len(records) == 1 else Any
    return Any


def _entered(node: Any, step: str | int) -> Any:
    if isinstance(node, Mapping):
        return node.get(str(step))
    if isinstance(node, list) and isinstance(step, int):
        return node[step]
    return None


def _at(document: Any, steps: Steps) -> Any:
    for step in steps:
        document = _entered(document, step)
    return document


def _merged(old: Any, new: Any) -> Any:
    if not (isinstance(old, Mapping) and isinstance(new, Mapping)):
        return new
    merged = {**old}
    for key, value in new.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(old.get(key), value)
    return merged


def _put(document: dict[str, Any], steps: Steps, value: Any) -> None:
    node: Any = document
    for i, step in enumerate(steps[:-1]):
        if isinstance(node, dict):
            node = node.setdefault(str(step), {})
        elif isinstance(node, list) and isinstance(step, int):
            node = node[step]
        if not isinstance(node, dict | list):
            raise KeyError(f"{readable_path(steps[: i + 1])} is {node!r}, which has no keys")
    if value is None and isinstance(node, dict):
        node.pop(str(steps[-1]), None)
    else:
        node[steps[-1]] = value


def _placed(
    kind: type[BaseModel],
    document: Mapping[str, Any],
    key: str,
    value: Any,
    source: Document,
    at: Steps,
) -> Iterator[tuple[Steps, Position]]:
    """Where the parts of a patched value stand: (steps in the problem, position in `source`)."""
    try:
        steps = steps_of(kind, document, key)
    except KeyError:
        return
    yield steps, source.value_at(at)
    for part, item in _parts(value):
        yield from _placed_below((*steps, part), item, source, (*at, part))


def _placed_below(
    steps: Steps, value: Any, source: Document, at: Steps
) -> Iterator[tuple[Steps, Position]]:
    yield steps, source.value_at(at)
    for part, item in _parts(value):
        yield from _placed_below((*steps, part), item, source, (*at, part))


def _parts(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list | tuple):
        yield from enumerate(value)
