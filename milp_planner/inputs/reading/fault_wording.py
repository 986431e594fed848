"""pydantic's errors in the reader's words. To word another type of error, add it to WORDINGS."""

from __future__ import annotations

import enum
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from milp_planner._version import __version__
from milp_planner.errors import RecordError, nearest, readable_path
from milp_planner.inputs.reading.fault_places import (
    UNKNOWN,
    Place,
    choices,
    field_place,
    is_record,
    is_union,
    kinds_of,
    members,
    spellings,
    unwrapped,
)
from milp_planner.inputs.reading.strict_yaml import Steps
from milp_planner.lazily import dataclass
from milp_planner.units import LONGEST_SHOWN, found, shown, yes_no_wording

VERSION_KEY = "schema_version"
MOST_KEYS_LISTED = 12


@dataclass(frozen=True)
class Said:
    """What to say of one error, and where below its place."""

    message: str
    hint: str = ""
    below: Steps = ()
    at_key: bool = False
    clashes_with: Steps | None = None
    """Another value below the place, whose line is told too."""


@dataclass(frozen=True)
class Trouble:
    """One pydantic error with its place."""

    type: str
    place: Place
    given: Any
    """The value as the user wrote it; the key itself when the error is about a key."""

    ctx: Mapping[str, Any]
    plain: str
    """pydantic's own words."""

    def bound(self, name: str) -> str:
        """A bound of the error's context, without a needless fraction."""
        bound = self.ctx[name]
        if not isinstance(bound, float):
            return str(bound)
        return str(int(bound)) if bound.is_integer() else f"{bound:g}"


def wording(error: Mapping[str, Any], place: Place) -> Said:
    """What to say of an error of pydantic's `errors()` list."""
    given = error["input"] if place.value is UNKNOWN else place.value
    trouble = Trouble(
        type=error["type"],
        place=place,
        given=place.path[-1] if place.is_key else given,
        ctx=error.get("ctx", {}),
        plain=error["msg"],
    )
    said = WORDINGS.get(trouble.type, _in_pydantics_words)(trouble)
    return Said(said) if isinstance(said, str) else said


def version_required(record: type[BaseModel]) -> Said:
    """What to say when a file does not tell the version of its schema."""
    known = _known_version(record)
    return Said("required" if known is None else f"required; add '{VERSION_KEY}: {known}'")


def is_newer_version(error: Mapping[str, Any], record: Any) -> bool:
    """Whether the file was written for a later version than this one."""
    known = _known_version(record) if is_record(record) else None
    given = error["input"]
    is_number = isinstance(given, int) and not isinstance(given, bool)
    return error["loc"] == (VERSION_KEY,) and known is not None and is_number and given > known


def newer_version(given: object, record: type[BaseModel]) -> Said:
    """What to say of a file that was written for a later version."""
    understood = f"{__version__} understands {_known_version(record)}"
    return Said(f"{VERSION_KEY} {shown(given)} is newer than this milp-planner ({understood})")


def _known_version(record: type[BaseModel]) -> int | None:
    place = field_place(record, VERSION_KEY)
    numbers = [c for c in choices(unwrapped(place).declared) if isinstance(c, int)] if place else []
    return max(numbers, default=None)


# Keys


def _missing(trouble: Trouble) -> Said:
    place = trouble.place
    if place.path == (VERSION_KEY,) and place.record:
        return version_required(place.record)
    return Said(f"required for {place.kind.name}" if place.kind else "required")


def _unknown_key(trouble: Trouble) -> Said:
    place, key = trouble.place, str(trouble.place.path[-1])
    if place.record is None:
        return Said("unknown key", at_key=True)
    known = spellings(place.record)
    for other, record in place.kind.others.items() if place.kind else ():
        if place.kind and key in spellings(record) and key not in known:
            message = f"unknown key for {place.kind.name}; {key!r} belongs to {other}"
            return Said(message, at_key=True)
    if trouble.given is None and key.partition(":")[0] in known:
        return Said("unknown key", "write a space after ':'", at_key=True)
    near = [known[name] for name in nearest(key, known)] or list(_deeper(place.record, key))
    if near:
        return Said(f"unknown key; did you mean {near[0]!r}?", at_key=True)
    return Said("unknown key", _known_keys(place.record), at_key=True)


def _deeper(record: type[BaseModel], key: str) -> Iterator[str]:
    """`latency.tpot` for `tpot`: the same key inside a field of the record."""
    for name, written in spellings(record).items():
        field = unwrapped(field_place(record, name) or Place((), Any))
        within = members(field.declared) if is_union(field.declared) else [field.declared]
        for inner in filter(is_record, within):
            if key in spellings(inner):
                yield readable_path((written, spellings(inner)[key]))


def _known_keys(record: type[BaseModel]) -> str:
    """A hint with the record's keys, unless they are too many to read."""
    keys = sorted(set(spellings(record).values()))
    return f"known keys: {', '.join(keys)}" if 0 < len(keys) <= MOST_KEYS_LISTED else ""


# Choices


def _not_a_choice(trouble: Trouble) -> Said:
    allowed = choices(trouble.place.declared)
    if not allowed:
        return Said(f"expected {trouble.ctx.get('expected', 'another value')}")
    return choice_said(trouble.given, allowed)


def choice_said(given: object, allowed: list[Any]) -> Said:
    """`'tokens' is not one of tokens_per_day, profile`, with the nearest as a hint."""
    plain = [str(c.value if isinstance(c, enum.Enum) else c) for c in allowed]
    if given is None or isinstance(given, dict | list | tuple):
        return Said(f"expected one of {', '.join(plain)}, found {found(given)}")
    if len(plain) == 1:
        return Said(f"must be {plain[0]} (is {shown(given)})")
    if isinstance(given, str) and given in plain and given not in allowed:
        return Said(f"{shown(given)} is not one of {', '.join(plain)}", "write it without quotes")
    meant = _ours(given, plain) if isinstance(given, str) else []
    hint = f"did you mean {' or '.join(map(repr, meant))}?" if meant else ""
    return Said(f"{shown(given)} is not one of {', '.join(plain)}", hint)


OTHERS_WORDS = {
    "ondemand": ("dedicated",),
    "payasyougo": ("dedicated",),
    "serverless": ("autoscaling", "per_token"),
    "api": ("per_token",),
    "pertoken": ("per_token",),
    "preemptible": ("spot",),
    "interruptible": ("spot",),
    "reserved": ("reserved_1y", "reserved_3y"),
    "selfhosted": ("owned",),
    "onprem": ("owned",),
    "constant": ("steady",),
    "requestsperday": ("profile",),
    "requestspermonth": ("profile",),
    "qps": ("requests_per_second",),
    "rps": ("requests_per_second",),
    "users": ("concurrent_users",),
}
"""What other tools call it, in lower case without signs, and what it is called here."""


def _ours(given: str, allowed: list[str]) -> list[str]:
    """What is meant by a word: the one that another tool uses, else the nearest."""
    plain = re.sub(r"[^a-z0-9]", "", given.lower())
    known = [word for word in OTHERS_WORDS.get(plain, ()) if word in allowed]
    return known or nearest(given, allowed)[:1]


def _unknown_kind(trouble: Trouble) -> Said:
    key, allowed = _kinds(trouble.place)
    given = trouble.given.get(key) if isinstance(trouble.given, dict) else trouble.ctx["tag"]
    said = choice_said(given, allowed)
    return Said(said.message, said.hint, below=(key,) if key else ())


def _no_kind(trouble: Trouble) -> Said:
    key, allowed = _kinds(trouble.place)
    return Said(f"required; one of {', '.join(allowed)}", below=(key,) if key else ())


def _kinds(place: Place) -> tuple[str, list[str]]:
    """The key that chooses the record ('' where a function does), and what it may say."""
    key = place.discriminator if isinstance(place.discriminator, str) else ""
    return key, list(kinds_of(place.declared, place.discriminator))


# Containers


def _not_keys(trouble: Trouble) -> Said:
    declared = trouble.place.declared
    hint = _known_keys(declared) if is_record(declared) else ""
    return Said(f"expected keys, found {found(trouble.given)}", hint)


def _not_a_list(trouble: Trouble) -> Said:
    given = trouble.given
    message = f"expected a list, found {found(given)}"
    if isinstance(given, dict):
        return Said(message, "start each entry with '- '")
    is_single = isinstance(given, str | int | float) and not isinstance(given, bool)
    entry = _as_entry(given) if is_single else ""
    return Said(f"{message}; write [{entry}]" if 0 < len(entry) <= LONGEST_SHOWN else message)


def _as_entry(given: object) -> str:
    """The value as it can stand within brackets; a pattern such as `*` needs quotes there."""
    is_plain = not isinstance(given, str) or re.fullmatch(r"[A-Za-z0-9][\w./*-]*", given)
    return str(given) if is_plain else repr(given)


def _too_short(trouble: Trouble) -> str:
    least, actual = trouble.ctx["min_length"], trouble.ctx.get("actual_length")
    return "at least one is needed" if least == 1 else f"at least {least} are needed, not {actual}"


def _too_long(trouble: Trouble) -> str:
    most = trouble.ctx["max_length"]
    many = len(trouble.given) if isinstance(trouble.given, dict | list | tuple) else "more"
    return f"at most {most} are allowed, not {many}"


# Numbers, text and dates


def _beyond(words: str, name: str) -> Callable[[Trouble], Said]:
    """`must be at most 1 (is 1.4)`."""

    def say(trouble: Trouble) -> Said:
        message = f"must be {words} {trouble.bound(name)} (is {_number(trouble.given)})"
        return Said(message, _bound_hint(name, trouble))

    return say


def _number(given: object) -> str:
    """A number as the user wrote it: `-3`, `140%`."""
    return shown(given)[1:-1] if isinstance(given, str) else shown(given)


def _bound_hint(name: str, trouble: Trouble) -> str:
    given = trouble.given
    if name == "gt" and given in (0, "0") and trouble.place.path[-2:-1] == ("traffic",):
        return "remove the workload"
    if name == "le" and trouble.ctx["le"] == 1 and isinstance(given, int) and 1 < given <= 100:
        return f"write {given}% or {given / 100:g}"
    return ""


def _not_finite(trouble: Trouble) -> str:
    return f"must be a finite number (is {shown(trouble.given)})"


def _not_a_number(trouble: Trouble) -> str:
    given = trouble.given
    if isinstance(given, str):
        return f"{shown(given)} is not a number"
    if isinstance(given, int) and not isinstance(given, bool):
        return f"{shown(given)} is too large"
    return f"expected a number, found {found(given)}"


def _not_whole(trouble: Trouble) -> str:
    given = trouble.given
    if isinstance(given, str):
        return f"{shown(given)} is not a whole number"
    if isinstance(given, float):
        return f"must be a whole number (is {given:g})"
    return f"expected a whole number, found {found(given)}"


def _too_large(trouble: Trouble) -> str:
    return f"{shown(trouble.given)} is too large"


def _not_yes_or_no(trouble: Trouble) -> str:
    return yes_no_wording(trouble.given)


def _not_text(trouble: Trouble) -> str:
    given = trouble.given
    advice = f"; write '{shown(given)}'" if isinstance(given, int | float) else ""
    return f"expected text, found {found(given)}{advice}"


def _text_too_short(trouble: Trouble) -> str:
    least = trouble.ctx["min_length"]
    return "must not be empty" if least == 1 else f"must have at least {least} characters"


def _text_too_long(trouble: Trouble) -> str:
    most, given = trouble.ctx["max_length"], trouble.given
    actual = f" (has {len(given)})" if isinstance(given, str) else ""
    return f"must have at most {most} characters{actual}"


def _pattern(trouble: Trouble) -> str:
    pattern, given = trouble.ctx["pattern"], shown(trouble.given)
    if _ID_PATTERN.search(pattern):
        return f"use lower-case letters, digits and '-' (found {given})"
    return f"{given} does not match the pattern {pattern}"


_ID_PATTERN = re.compile(r"\[a-z0-9[^]]*-[^]]*\]")


def _not_a_date(trouble: Trouble) -> str:
    if isinstance(trouble.given, str):
        return f"{shown(trouble.given)} is not a date; write 2026-05-24"
    return f"expected a date, found {found(trouble.given)}; write 2026-05-24"


# Our own validators, and what is left


def _of_a_validator(trouble: Trouble) -> Said:
    error = trouble.ctx.get("error")
    if isinstance(error, RecordError):
        return Said(str(error), error.hint, error.at, clashes_with=error.clashes_with)
    return Said(str(error) if str(error) else "is not valid")


def _in_pydantics_words(trouble: Trouble) -> str:
    words = trouble.plain.removeprefix("Input ")
    return words[:1].lower() + words[1:]


WORDINGS: dict[str, Callable[[Trouble], Said | str]] = {
    "missing": _missing,
    "extra_forbidden": _unknown_key,
    "literal_error": _not_a_choice,
    "enum": _not_a_choice,
    "union_tag_invalid": _unknown_kind,
    "union_tag_not_found": _no_kind,
    **dict.fromkeys(
        ("dict_type", "mapping_type", "model_type", "model_attributes_type", "dataclass_type"),
        _not_keys,
    ),
    **dict.fromkeys(
        ("list_type", "tuple_type", "set_type", "frozen_set_type", "iterable_type"), _not_a_list
    ),
    "too_short": _too_short,
    "too_long": _too_long,
    "greater_than": _beyond("greater than", "gt"),
    "greater_than_equal": _beyond("at least", "ge"),
    "less_than": _beyond("less than", "lt"),
    "less_than_equal": _beyond("at most", "le"),
    "multiple_of": _beyond("a multiple of", "multiple_of"),
    "finite_number": _not_finite,
    "float_type": _not_a_number,
    "float_parsing": _not_a_number,
    "int_type": _not_whole,
    "int_parsing": _not_whole,
    "int_from_float": _not_whole,
    "int_parsing_size": _too_large,
    "bool_type": _not_yes_or_no,
    "bool_parsing": _not_yes_or_no,
    "string_type": _not_text,
    "string_too_short": _text_too_short,
    "string_too_long": _text_too_long,
    "string_pattern_mismatch": _pattern,
    **dict.fromkeys(
        ("date_type", "date_parsing", "date_from_datetime_parsing", "date_from_datetime_inexact"),
        _not_a_date,
    ),
    "value_error": _of_a_validator,
    "assertion_error": _of_a_validator,
}
