"""What every import shares: other tools' records with faults, and writing a new folder at once."""

from __future__ import annotations

import csv
import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from milp_planner.drafts import gone_at_last
from milp_planner.errors import Fault, InputError, input_error, printable, readable_path
from milp_planner.inputs.catalog.csv_rows import wording
from milp_planner.lazily import dataclass, replace
from milp_planner.units import found

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
    draft = parent / f".{out.name}-{secrets.token_hex(4)}"
    folder = draft / out.name
    try:
        with gone_at_last(draft):
            parent.mkdir(parents=True, exist_ok=True)
            draft.mkdir(mode=0o700)
            folder.mkdir()
            yield folder
            folder.rename(out)
    except InputError as error:  # of rows that were checked where they were written
        raise InputError(
            replace(fault, file=fault.file.replace(str(folder), str(out))) for fault in error.faults
        ) from None
    except OSError as error:
        raise input_error(f"cannot be written: {error.strerror}", file=str(out)) from None
    finally:
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
    """Floats to the last digit; texts on one line, as `printable` shows them."""
    if isinstance(cell, float):
        return repr(cell)
    return printable(cell) if isinstance(cell, str) else cell


def write_manifest(folder: Path, fields: Mapping[str, object]) -> None:
    """`catalog.csv` of a folder."""
    rows = [{"field": name, "value": value} for name, value in fields.items()]
    write_table(folder / "catalog.csv", rows, ("field", "value"))


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
