"""What every import shares: reading JSON and CSV with faults, and writing a new folder at once."""

from __future__ import annotations

import csv
import io
import json
import re
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from milp_planner.errors import Fault, InputError, input_error, readable_path
from milp_planner.inputs.catalog.csv_rows import wording
from milp_planner.units import found

MOST_BYTES = 50_000_000
"""The largest public catalog file of today has a tenth of it."""

LONGEST_ID = 120

Row = Mapping[str, object]


class Foreign(BaseModel):
    """A record of another tool's file: keys that we do not use are let through."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)


ForeignT = TypeVar("ForeignT", bound=Foreign)


@dataclass(frozen=True)
class Imported:
    """What an import of a planner's input wrote."""

    problem_path: Path
    catalog_path: Path
    notes: tuple[str, ...]
    """What the reader should know: what was left out, and what was assumed."""


def slug(name: str) -> str:
    """`A100-80GB` -> `a100-80gb`: a name as an id."""
    return re.sub(r"[^a-z0-9._+]+", "-", name.lower()).strip("-._+")[:LONGEST_ID]


@contextmanager
def new_folder(out: Path) -> Iterator[Path]:
    """A folder to write into that becomes `out` when all is written; nothing is left on a fault.

    Raises InputError when `out` exists already or cannot be written.
    """
    if out.exists() or out.is_symlink():
        raise input_error("exists already; give another name", file=str(out))
    parent = out.absolute().parent
    missing = [folder for folder in (parent, *parent.parents) if not folder.exists()]
    # Named before it is made, so that no interrupt comes between the two.
    draft = parent / f".{out.name}-{secrets.token_hex(4)}"
    folder = draft / out.name
    try:
        parent.mkdir(parents=True, exist_ok=True)
        draft.mkdir(mode=0o700)
        folder.mkdir()
        yield folder
        folder.rename(out)
    except OSError as error:
        raise input_error(f"cannot be written: {error.strerror}", file=str(out)) from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        for above in missing:
            with suppress(OSError):  # it holds what was written
                above.rmdir()


def write_table(path: Path, rows: Sequence[Row], columns: Sequence[str] = ()) -> None:
    """A CSV file of `rows`; empty columns are left out unless named in `columns`."""
    names = dict.fromkeys(columns)
    names |= {name: None for row in rows for name, cell in row.items() if cell not in (None, "")}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(names), extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(cell) for name, cell in row.items()} for row in rows)


def _cell(cell: object) -> object:
    return repr(cell) if isinstance(cell, float) else cell


def write_manifest(folder: Path, fields: Mapping[str, object]) -> None:
    """`catalog.csv` of a folder."""
    rows = [{"field": name, "value": value} for name, value in fields.items()]
    write_table(folder / "catalog.csv", rows, ("field", "value"))


def read_text(path: Path) -> str:
    """The text of a file; raises InputError when it cannot be read."""
    try:
        if path.is_dir():
            raise input_error("is a directory; give a file", file=str(path))
        with path.open("rb") as file:
            content = file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise input_error("file not found", file=str(path)) from None
    except OSError as error:
        raise input_error(f"cannot be read: {error.strerror}", file=str(path)) from None
    if len(content) > MOST_BYTES:
        raise input_error(f"is larger than {MOST_BYTES / 1e6:g} MB", file=str(path))
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise input_error("not UTF-8 text", file=str(path)) from None


def read_json(path: Path) -> Any:
    """The JSON document of a file; NaN, infinities and keys given twice are faults."""
    return parse_json(read_text(path), str(path))


def parse_json(text: str, file: str, first_line: int = 1) -> Any:
    """A JSON document as plain data."""

    def refuse(constant: str) -> None:
        raise input_error(f"not valid JSON: {constant} is not a number", file=file)

    def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        keys = dict(pairs)
        if len(keys) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            raise input_error(f"{twice!r} is given twice", file=file)
        return keys

    try:
        return json.loads(text, parse_constant=refuse, object_pairs_hook=distinct)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        fault = Fault(file, line, error.colno, "", f"not valid JSON: {error.msg}")
        raise InputError([fault]) from None
    except RecursionError:
        raise input_error("not valid JSON: nested too deeply", file=file) from None


def checked(
    record: type[ForeignT], data: Any, file: str, at: tuple[str | int, ...] = ()
) -> ForeignT:
    """`data` as a record; raises InputError with every fault and its place."""
    if not isinstance(data, dict):
        path = readable_path(at)
        raise input_error(f"expected an object, found {found(data)}", file=file, path=path)
    try:
        return record.model_validate(data)
    except ValidationError as error:
        raise InputError(
            Fault(file, 0, 0, readable_path((*at, *e["loc"])), wording(e)) for e in error.errors()
        ) from None


def csv_rows(path: Path, required: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, cells) of a CSV file with a header; raises InputError when columns are missing."""
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    names = [name or "" for name in reader.fieldnames or ()]
    missing = [name for name in required if name not in names]
    if missing:
        text = f"has no column {', '.join(map(repr, missing))}; is it a file of that format?"
        raise InputError([Fault(str(path), 1, 0, "", text)])
    try:
        for cells in reader:
            yield reader.line_num, {k: (v or "").strip() for k, v in cells.items() if k}
    except csv.Error as error:
        text = f"not valid CSV: {error}"
        raise InputError([Fault(str(path), reader.line_num, 0, "", text)]) from None
