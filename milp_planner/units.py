"""Units: conversion constants, and the types that read `800ms`, `5M`, `60%` and `80GiB`.

In a file a time needs its unit; in Python a plain number is taken in the unit of the field's name.
To add a unit, add a row to a table below.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from numbers import Integral, Real
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema

SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 86_400
HOURS_PER_DAY = 24
DAYS_PER_MONTH = 30  # the reference month
HOURS_PER_MONTH = 720  # 30 days
HOURS_PER_YEAR = 8_760  # 365 days
WATTS_PER_KILOWATT = 1_000
BYTES_PER_GIB = 2**30
TOKENS_PER_MILLION = 1_000_000
CENTS_PER_USD = 100

MOST = 1e15
"""Of any figure: what is larger is a slip, and products of such figures are no numbers any more."""

FROM_FILE = "from_file"
"""Validation context key: set when values were written by hand, where a time needs a unit."""

SUFFIXES = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "B": 1e9, "T": 1e12}
SECONDS = {"us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3_600.0, "d": 86_400.0}
DAYS = {"d": 1.0, "day": 1.0, "days": 1.0}
MONTHS = {
    **dict.fromkeys(("month", "months", "mo"), 1.0),
    **dict.fromkeys(("year", "years", "y"), 12.0),
}
GIB = {"GiB": 1.0, "MiB": 1 / 1024, "TiB": 1024.0, "GB": 1e9 / 2**30, "TB": 1e12 / 2**30}

TIME_NEEDS_A_UNIT = "a time needs a unit: write '800ms' or '2s'"
DAYS_NEED_A_UNIT = "an age needs a unit: write '90d' or '90 days'"
MONTHS_NEED_A_UNIT = "a term needs a unit: write '12 months' or '1 year'"
MEMORY_NEEDS_A_UNIT = "a memory size needs a unit: write '80GiB'"

LONGEST_SHOWN = 60
"""Characters of a value that a message repeats."""

_DIGITS = r"\d+(?:_\d+)*"
_NUMBER = rf"[+-]?(?:{_DIGITS}\.?(?:{_DIGITS})?|\.{_DIGITS})(?:[eE][+-]?\d+)?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-zµμ%]*)\s*", re.ASCII)

_TRUE_WORDS = {"yes", "y", "on", "true", "1"}
_FALSE_WORDS = {"no", "n", "off", "false", "0"}


def parse_number(text: str) -> float:
    """`5M` -> 5e6, `1_000` -> 1000, `1e6` -> 1e6; raises ValueError in the reader's words."""
    quantity = _split(text)
    if quantity is None or quantity[1] not in SUFFIXES:
        raise ValueError(f"{shown(text)} is not a number; write 1000, 1_000 or 1k")
    return _scaled(quantity[0], SUFFIXES[quantity[1]], text)


def parse_duration_s(text: str) -> float:
    """`800ms` -> 0.8, in seconds; raises ValueError in the reader's words."""
    return _parse_with_units(text, SECONDS, "a time", TIME_NEEDS_A_UNIT)


def parse_days(text: str) -> float:
    """`90d` and `90 days` -> 90.0; raises ValueError in the reader's words."""
    return _parse_with_units(text, DAYS, "an age", DAYS_NEED_A_UNIT)


def parse_months(text: str) -> float:
    """`12 months` and `1 year` -> 12.0; raises ValueError in the reader's words."""
    return _parse_with_units(text, MONTHS, "a term", MONTHS_NEED_A_UNIT)


def parse_memory_gib(text: str) -> float:
    """`80GiB` -> 80.0, in GiB; raises ValueError in the reader's words."""
    return _parse_with_units(text, GIB, "a memory size", MEMORY_NEEDS_A_UNIT)


def parse_share(text: str) -> float:
    """`60%` -> 0.6; raises ValueError in the reader's words."""
    quantity = _split(text)
    if quantity is None or quantity[1] not in ("", "%"):
        raise ValueError(f"{shown(text)} is not a share; write 60% or 0.6")
    return _scaled(quantity[0], 0.01 if quantity[1] else 1.0, text)


def found(value: object) -> str:
    """What stands where something else was expected: `'no'`, `3`, `a list`, `keys`, `nothing`."""
    if isinstance(value, dict):
        return "keys"
    if isinstance(value, list | tuple | set | frozenset):
        return "a list"
    return "nothing" if value is None else shown(value)


def shown(value: object) -> str:
    """A single value as a message repeats it: as written in a file, text in quotes, never long."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return repr(_shortened(value))
    try:
        return _shortened(str(value))
    except ValueError:  # Python turns no integer of more than 4,300 digits into text
        return "a number of thousands of digits"


def usd_shown(amount: float, decimals: int | None = None) -> str:
    """An amount of money as a message repeats it: `$1,960`, with cents where there are any.

    With `decimals` it has as many as that, always.
    """
    if decimals is None:
        return f"${amount:,.2f}".removesuffix(".00")
    return f"${amount:,.{decimals}f}"


def unit_price_shown(usd: float) -> str:
    """A price per hour, token or kWh as it is listed: `$0.125`, up to six digits."""
    return f"${usd:g}"


def yes_no_wording(value: object) -> str:
    """What to say of a value that should have been true or false."""
    word = str(value).strip().lower() if isinstance(value, str | int) else ""
    advice = "; write true" * (word in _TRUE_WORDS) or "; write false" * (word in _FALSE_WORDS)
    return f"expected true or false, found {found(value)}{advice}"


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 3]}..."


def _split(text: str) -> tuple[float, str] | None:
    """(value, suffix) of a quantity; None when the text is none."""
    parts = _QUANTITY.fullmatch(text)
    return (float(parts[1].replace("_", "")), parts[2].replace("μ", "µ")) if parts else None


def _parse_with_units(text: str, table: dict[str, float], what: str, needs_a_unit: str) -> float:
    quantity = _split(text)
    if quantity is None:
        raise ValueError(f"{shown(text)} is not {what}; {needs_a_unit.partition(': ')[2]}")
    value, suffix = quantity
    if not suffix:
        raise ValueError(needs_a_unit)
    if suffix not in table:
        units = ", ".join(unit for unit in table if unit.isascii())
        raise ValueError(f"{shown(text)} has no known unit; use one of {units}")
    return _scaled(value, table[suffix], text)


def _scaled(value: float, scale: float, text: str) -> float:
    """`value * scale`; divides where that is exact, so that 35ms is the same float as 0.035."""
    per_unit = 1 / scale
    scaled = value / per_unit if per_unit.is_integer() else value * scale
    if not math.isfinite(scaled):
        raise ValueError(f"{shown(text)} is too large")
    return scaled


def _reader(parse: Callable[[str], float], needs_a_unit: str = "") -> BeforeValidator:
    """A pydantic step that parses strings and lets numbers through, booleans never."""

    def read(value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, str):
            return parse(value)
        value = _plain(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"expected a number, found {found(value)}")
        if not _is_finite(value):
            raise ValueError(f"must be a finite number (is {shown(value)})")
        if needs_a_unit and value != 0 and info.context and info.context.get(FROM_FILE):
            raise ValueError(needs_a_unit)
        return value

    return BeforeValidator(read)


def _plain(value: Any) -> Any:
    """A number of another package, such as numpy's, as Python's own; all else as it is."""
    if isinstance(value, bool | int | float) or not isinstance(value, Real):
        return value
    return int(value) if isinstance(value, Integral) else float(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # an int beyond the largest float
        return False


def _read_whole(value: Any) -> Any:
    """An int from 8, 8.0, '8', '1_000' or '2k'; booleans and fractions never."""
    number = parse_number(value) if isinstance(value, str) else _plain(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise ValueError(f"expected a whole number, found {found(value)}")
    if not _is_finite(number) or number != int(number):
        raise ValueError(f"must be a whole number (is {shown(value)})")
    return int(number)


def _read_yes_no(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    raise ValueError(yes_no_wording(value))


def _quantity_schema(kind: str, examples: list[str], **number: Any) -> WithJsonSchema:
    """A number, in the bounds given, or a string such as the examples."""
    anyhow = [{"type": "number", **number}, {"type": "string"}]
    return WithJsonSchema({"anyOf": anyhow, "title": kind, "examples": examples})


def _text_schema(kind: str, examples: list[str]) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "title": kind, "examples": examples})


Number = Annotated[float, _reader(parse_number), _quantity_schema("number", ["5M", "1_000"])]
"""A number that may be written `5M`, `1_000` or `1e6`."""


def _without_dollar(value: Any) -> Any:
    return value[1:] if isinstance(value, str) and re.match(r"\$\d", value, re.ASCII) else value


Seconds = Annotated[
    float,
    Field(gt=0),
    _reader(parse_duration_s, TIME_NEEDS_A_UNIT),
    _text_schema("time", ["800ms", "2s"]),
]
"""A time in seconds, written `800ms` or `2s`."""

Days = Annotated[
    float,
    Field(ge=0),
    _reader(parse_days, DAYS_NEED_A_UNIT),
    _text_schema("age", ["90d", "90 days"]),
]
"""An age in days, written `90d` or `90 days`."""

Months = Annotated[
    int,
    Field(ge=1, le=120),
    _reader(parse_months, MONTHS_NEED_A_UNIT),
    _text_schema("term", ["12 months", "1 year"]),
]
"""Whole months, written `12 months` or `1 year`."""

Share = Annotated[
    float,
    Field(ge=0, le=1),
    _reader(parse_share),
    _quantity_schema("share", ["60%"], minimum=0, maximum=1),
]
"""A fraction between 0 and 1, written `60%` or `0.6`."""

PositiveNumber = Annotated[
    Number, Field(gt=0), _quantity_schema("number", ["5M", "1_000"], exclusiveMinimum=0)
]
NonNegativeNumber = Annotated[
    Number, Field(ge=0), _quantity_schema("number", ["5M", "1_000"], minimum=0)
]
Usd = Annotated[
    Number,
    BeforeValidator(_without_dollar),
    Field(gt=0),
    _quantity_schema("US dollars", ["20k"], exclusiveMinimum=0),
]
"""An amount of money in US dollars; `$60k` is one, too."""

WholeNumber = Annotated[
    int,
    BeforeValidator(_read_whole),
    _quantity_schema("whole number", ["8", "1_000", "2k"], type="integer"),
]
"""A whole number; unlike a bare `int` it takes no `true`."""

YesNo = Annotated[bool, BeforeValidator(_read_yes_no), WithJsonSchema({"type": "boolean"})]
"""`true` or `false`, and no other word for them."""
