"""Rows of one CSV file as plain cells with their line numbers, and what pydantic says of them."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from milp_planner.errors import Fault, InputError, did_you_mean

Cells = dict[str, Any]
"""Column name to text; empty cells are left out."""


def read_rows(
    content: bytes, file: str, columns: Sequence[str], required: Iterable[str]
) -> tuple[list[tuple[int, Cells]], list[Fault]]:
    """(line, cells) of every row that has the header's width, and the faults of the others.

    Raises `InputError` when the file as a whole cannot be read as that table.
    """
    reader = csv.reader(io.StringIO(_decoded(content, file), newline=""), strict=True)
    rows: list[tuple[int, Cells]] = []
    faults: list[Fault] = []
    try:
        header = [cell.strip() for cell in next(reader, [])]
        _check_header(header, columns, required, file)
        line = reader.line_num + 1
        for texts in reader:
            cells = [text.strip() for text in texts]
            if len(cells) == len(header):
                row = {name: cell for name, cell in zip(header, cells, strict=True) if cell}
                if row:
                    rows.append((line, row))
            elif any(cells):
                faults.append(Fault(file, line, 0, "", _wrong_width(len(cells), len(header))))
            line = reader.line_num + 1
    except csv.Error as problem:
        faults.append(Fault(file, reader.line_num, 0, "", f"not valid CSV: {problem}"))
    return rows, faults


def _wrong_width(found: int, expected: int) -> str:
    return f"has {found} columns, the header has {expected}; quote a text that holds a comma"


def _decoded(content: bytes, file: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        raise InputError([Fault(file, line, 0, "", "not UTF-8 text")]) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise InputError([Fault(file, line, 0, "", "control characters are not allowed")])
    return text


def _check_header(
    header: list[str], columns: Sequence[str], required: Iterable[str], file: str
) -> None:
    if not header:
        raise InputError([Fault(file, 0, 0, "", "file is empty; its first line names the columns")])
    faults = [
        *((c, f"unknown column{did_you_mean(c, columns)}") for c in header if c not in columns),
        *((c, "this column is given twice") for c in dict.fromkeys(header) if header.count(c) > 1),
        *((c, "this column is required") for c in required if c not in header),
    ]
    if faults:
        raise InputError(Fault(file, 1, 0, column, text) for column, text in faults)


def wording(error: Mapping[str, Any]) -> str:
    """One pydantic error about one cell, in the reader's words."""
    given, limits = error["input"], error.get("ctx", {})
    say = MESSAGES.get(error["type"])
    if say is None:
        return str(error["msg"]).removeprefix("Value error, ")
    return say.format(given=given, **{name: _plain(limit) for name, limit in limits.items()})


def _plain(limit: object) -> object:
    return f"{limit:g}" if isinstance(limit, int | float) else limit


_DATE = "{given!r} is not a date; write it as 2026-08-21"
_NUMBER = "{given!r} is not a number; write 1000 or 0.35"
MESSAGES = {
    "missing": "required",
    "greater_than": "must be greater than {gt} (is {given})",
    "greater_than_equal": "must be at least {ge} (is {given})",
    "less_than_equal": "must be at most {le} (is {given})",
    "finite_number": "must be a finite number (is {given})",
    "float_parsing": _NUMBER,
    "int_parsing": "{given!r} is not a whole number",
    "bool_parsing": "expected true or false, found {given!r}",
    "literal_error": "{given!r} is not one of {expected}",
    "string_pattern_mismatch": "use lower-case letters, digits and '.', '_', '+', '-' "
    "(found {given!r})",
    "string_too_long": "has more than {max_length} characters",
    "date_parsing": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
}
