"""CSV into rows of cells with their lines: every row as wide as the header, or told.

The columns that a table may have are the loader's business; that its text is a table is this one's.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from sys import intern

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.reading.files import read_text
from milp_planner.lazily import dataclass
from milp_planner.units import shown

_UNLIKE_A_NUMBER = re.compile(r"[^\d.eE+-]")


@dataclass(frozen=True)
class CsvTable:
    """A header, and the rows below it as texts without blanks around them."""

    file: str
    header: tuple[str, ...]
    rows: tuple[tuple[int, tuple[str, ...]], ...]
    """(line, cells) of every row of the header's width that is not blank."""

    faults: tuple[Fault, ...]
    """Of the rows that are not."""


def parse_csv(text: str, file: str, *, most_rows: int | None = None) -> CsvTable:
    """The table in a text; an empty text has an empty header.

    Raises InputError where it has more than `most_rows` rows, right and wrong ones together.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[int, tuple[str, ...]]] = []
    faults: list[Fault] = []
    header: tuple[str, ...] = ()
    line = 1
    try:
        header = tuple(cell.strip() for cell in next(reader, []))
        line = reader.line_num + 1
        for texts in reader:
            cells = tuple(map(intern, map(str.strip, texts)))  # many rows have one place, day
            if len(cells) == len(header):
                if any(cells):
                    rows.append((line, cells))
            elif any(cells):
                faults.append(Fault(file, line, 0, "", _wrong_width(len(cells), len(header))))
            if most_rows is not None and len(rows) + len(faults) > most_rows:
                said = f"has more than {most_rows:,} rows, the most that is read"
                raise InputError([Fault(file, 0, 0, "", said)])
            line = reader.line_num + 1
    except csv.Error as problem:
        where = f"in the row that starts on line {line}" if line < reader.line_num else ""
        said = f"not valid CSV: {problem}"
        faults.append(Fault(file, reader.line_num or line, 0, "", said, where))
    return CsvTable(file, header, tuple(rows), tuple(faults))


def csv_rows(
    path: Path, required: Iterable[str], numbers: Sequence[str] = ()
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells by column) of another tool's table, which may have columns that we do not use.

    What stands in the columns of `numbers` is a number from 0 up, or nothing. Raises InputError
    with every fault where a column is missing or given twice, and for rows that are none.
    """
    table = parse_csv(read_text(path), str(path))
    faults = [*table.faults]
    missing = [name for name in required if name not in table.header]
    if missing and not (faults and not table.header):
        text = f"has no column {', '.join(map(repr, missing))}; is it a file of that format?"
        raise InputError([Fault(str(path), 1, 0, "", text)])
    twice = [c for c in dict.fromkeys(table.header) if c and table.header.count(c) > 1]
    faults += (Fault(str(path), 1, 0, c, "this column is given twice") for c in twice)
    rows = [(line, dict(zip(table.header, cells, strict=True))) for line, cells in table.rows]
    for line, cells in rows:
        faults += (
            Fault(str(path), line, 0, name, said)
            for name in numbers
            if (said := not_an_amount(cells.get(name, "")))
        )
    if faults:
        raise InputError(sorted(faults))
    yield from rows


def not_an_amount(text: str) -> str:
    """Why a cell is no number from 0 up, '' where it is one or empty."""
    try:
        value = float(text or 0)
    except ValueError:
        value = math.nan
    if math.isnan(value) or (_UNLIKE_A_NUMBER.search(text) and math.isfinite(value)):
        return f"{shown(text)} is not a number; write 1000 or 0.35"
    if math.isinf(value):
        return f"must be a finite number (is {shown(text)[1:-1]})"
    return f"must be at least 0 (is {shown(text)[1:-1]})" if value < 0 else ""


def _wrong_width(found: int, expected: int) -> str:
    return f"has {found} columns, the header has {expected}; quote a text that holds a comma"
