"""Rows of one CSV file as plain cells with their line numbers, and what pydantic says of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError

from milp_planner.errors import Fault, InputError, did_you_mean
from milp_planner.inputs.catalog.checks import Row
from milp_planner.inputs.catalog.records import Sourced
from milp_planner.inputs.reading.files import decoded
from milp_planner.inputs.reading.records import Frozen
from milp_planner.inputs.reading.strict_csv import parse_csv
from milp_planner.lazily import dataclass
from milp_planner.units import shown

# Line breaks and tabs may stand in a quoted text; nothing else that could steer a terminal.
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
_OTHER_SEPARATORS = {";": "';'", "\t": "tabs", "|": "'|'"}

MAX_ROWS = 200_000
"""Of one file."""

Cells = dict[str, Any]
"""Column name to text; empty cells are left out."""


@dataclass(frozen=True)
class Table:
    """How one file is read."""

    record: type[Frozen]
    required: tuple[str, ...]
    """Columns that must be there."""

    prices: tuple[str, ...] = ()
    """Columns without which a row is unavailable, never free."""

    key: str = "id"
    """Attribute that tells rows apart, and by which an overlay replaces them."""

    unwritten: tuple[str, ...] = ("override",)
    """Fields that no file holds."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column that the file may have."""
        return tuple(name for name in self.record.model_fields if name not in self.unwritten)

    @property
    def is_sourced(self) -> bool:
        """Whether a row bears a source, a date and an override mark."""
        return issubclass(self.record, Sourced)


def read_rows(
    content: bytes, file: str, columns: Sequence[str], required: Iterable[str]
) -> tuple[Iterator[tuple[int, Cells]], list[Fault]]:
    """(line, cells) of every row that has the header's width, and the faults of the others.

    Cells are made as they are read, so that a large file's are not all there at once.

    Raises `InputError` when the file as a whole cannot be read as that table.
    """
    table = parse_csv(_decoded(content, file), file, most_rows=MAX_ROWS)
    if table.header or not table.faults:
        _check_header(list(table.header), columns, required, file)
    header = table.header  # every row is as wide
    rows = (
        (line, {name: cell for name, cell in zip(header, cells, strict=False) if cell})
        for line, cells in table.rows
    )
    return rows, list(table.faults)


def validated(
    rows: list[tuple[int, Cells]], table: Table, file: str
) -> tuple[list[Row], list[Fault]]:
    """Records of the rows that are right, and the faults of the others."""
    try:
        records = _list_of(table.record).validate_python([cells for _, cells in rows])
    except ValidationError as error:
        details = [(rows[int(e["loc"][0])][0], e) for e in error.errors()]
        faults = [Fault(file, line, 0, str(e["loc"][1]), wording(e)) for line, e in details]
        wrong = {line for line, _ in details}
        right, _ = validated([row for row in rows if row[0] not in wrong], table, file)
        return right, faults
    return [Row(file, line, of) for (line, _), of in zip(rows, records, strict=True)], []


@cache
def _list_of(record: type[Frozen]) -> TypeAdapter[list[Frozen]]:
    return TypeAdapter(list[record])  # type: ignore[valid-type]


def fill_in(rows: Iterable[tuple[int, Cells]], prices: Iterable[str]) -> set[int]:
    """Lines without a price; they get a stand-in, so that their other cells are still looked at."""
    unpriced = set()
    for line, cells in rows:
        for price in prices:
            if price not in cells:
                cells[price] = "1"
                unpriced.add(line)
    return unpriced


def _decoded(content: bytes, file: str) -> str:
    text = decoded(content, file)
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        where = f"U+{ord(control[0]):04X}"
        raise InputError([Fault(file, line, 0, "", "control characters are not allowed", where)])
    return text


def _check_header(
    header: list[str], columns: Sequence[str], required: Iterable[str], file: str
) -> None:
    if not header:
        raise InputError([Fault(file, 0, 0, "", "file is empty; its first line names the columns")])
    if separator := _other_separator(header, columns):
        message = f"the columns are separated by {separator}; separate them by commas"
        raise InputError([Fault(file, 1, 0, "", message)])
    faults = [Fault(file, 1, 0, *said) for said in _header_faults(header, columns, required)]
    if faults:
        raise InputError(faults)


def _other_separator(header: list[str], columns: Sequence[str]) -> str:
    """What stands between the columns of a file that a spreadsheet saved its own way, or ''."""
    for separator, name in _OTHER_SEPARATORS.items():
        parts = [part.strip() for part in header[0].split(separator)]
        if len(header) == 1 and len(parts) > 1 and set(parts) & set(columns):
            return name
    return ""


def _header_faults(
    header: list[str], columns: Sequence[str], required: Iterable[str]
) -> Iterator[tuple[str, str]]:
    """(column, what is wrong with it)."""
    for c in header:
        if c not in columns:
            near = did_you_mean(c, columns) or did_you_mean(c.lower(), columns)
            yield c, f"unknown column{near}"
    for c in dict.fromkeys(header):
        if header.count(c) > 1:
            yield c, "this column is given twice"
    for c in required:
        if c not in header:
            yield c, "this column is required"


def wording(error: Mapping[str, Any]) -> str:
    """One pydantic error about one cell, in the reader's words."""
    given, limits = error["input"], error.get("ctx", {})
    say = MESSAGES.get(error["type"])
    if say is None:
        return str(error["msg"]).removeprefix("Value error, ")
    plain = {name: _plain(limit) for name, limit in limits.items()}
    said = say.format(given=shown(given), bare=shown(given).strip("'"), **plain)
    return said + (A_SLICE if _is_slice(error) else "")


def _is_slice(error: Mapping[str, Any]) -> bool:
    """True for a part of a GPU."""
    is_count = error["loc"][-1:] == ("gpus_per_unit",) and error["type"] == "int_parsing"
    return is_count and re.fullmatch(r"0?\.\d+", str(error["input"]).strip()) is not None


def _plain(limit: object) -> object:
    return f"{limit:g}" if isinstance(limit, int | float) else limit


A_SLICE = (
    "; a slice of a GPU, such as a MIG instance, is a GPU type of its own: give it a row in "
    "gpus.csv with its own memory and speed, and name that here with gpus_per_unit 1"
)
_DATE = "{given} is not a date; write it as 2026-08-21"
_NUMBER = "{given} is not a number; write 1000 or 0.35"
MESSAGES = {
    "missing": "required",
    "greater_than": "must be greater than {gt} (is {bare})",
    "greater_than_equal": "must be at least {ge} (is {bare})",
    "less_than_equal": "must be at most {le} (is {bare})",
    "finite_number": "must be a finite number (is {bare})",
    "float_parsing": _NUMBER,
    "int_parsing": "{given} is not a whole number",
    "int_parsing_size": "{given} is too large",
    "bool_parsing": "expected true or false, found {given}",
    "literal_error": "{given} is not one of {expected}",
    "string_pattern_mismatch": "use lower-case letters, digits and '.', '_', '+', '-' "
    "(found {given})",
    "string_too_long": "has more than {max_length} characters",
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
}
