"""The first guard of whatever a user names as a file: its kind, its size, its encoding.

Every loader of whole files comes through here; traces, which are read line by line and may be
packed, have their own guard in `traffic/sources/opening.py`.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from typing import NoReturn, TypeVar

from milp_planner.errors import Fault, InputError, nearest
from milp_planner.units import shown

MOST_BYTES = 50_000_000
"""Of other tools' files; the largest public price list of today has a tenth of it."""

BYTES_PER_MB = 1_000_000
"""Bytes of a megabyte, as file sizes are told."""


Name = TypeVar("Name", str, Path, str | Path)

NOT_NAMED = "a question from outside may name no file of this machine"

_table: ContextVar[Mapping[str, Path] | None] = ContextVar("files_that_are_open", default=None)


@contextlib.contextmanager
def only_these(files: Mapping[str, Path]) -> Iterator[None]:
    """Inside the block a user's name opens what the table says it is, any other name nothing.

    For questions that come from outside: whatever they name, and wherever it is read, no path of
    theirs reaches the file system.
    """
    before = _table.set(files)
    try:
        yield
    finally:
        _table.reset(before)


def opened_from(path: Name) -> Name | Path | None:
    """Where a file of that name is read; None where it may not be: see `only_these`."""
    table = _table.get()
    return path if table is None else table.get(str(path))


def read_text(
    path: str | Path,
    *,
    most_bytes: int = MOST_BYTES,
    wanted: str = "a file",
    pipe_hint: str = "write what it gives to a file, and name that",
) -> str:
    """The text of a file; raises InputError where it is none, too large or not UTF-8.

    `wanted` is what a folder is told to be replaced by, `pipe_hint` what to do about a named pipe.
    """
    content = read_bytes(path, most_bytes=most_bytes, wanted=wanted, pipe_hint=pipe_hint)
    return decoded(content, str(path))


def read_bytes(
    path: str | Path,
    *,
    most_bytes: int = MOST_BYTES,
    wanted: str = "a file",
    pipe_hint: str = "write what it gives to a file, and name that",
) -> bytes:
    """The bytes of a file, of a device or pipe no more than `most_bytes`; raises InputError."""
    file = str(path)
    opened = opened_from(path)
    if opened is None:
        _refuse(file, NOT_NAMED, "send it as an upload")
    try:
        refuse_named_pipe(opened, pipe_hint)
        with open(opened, "rb") as stream:
            content = stream.read(most_bytes + 1)
    except FileNotFoundError:
        if os.path.islink(path):
            _refuse(file, f"file not found: it is a link to {shown(os.readlink(path))}")
        _refuse(file, "file not found", _neighbour(Path(path)))
    except IsADirectoryError:
        _refuse(file, f"is a directory; give {wanted}")
    except PermissionError:
        _refuse(file, "permission denied")
    except OSError as problem:
        _refuse(file, f"cannot be read: {problem.strerror or problem}")
    except ValueError:  # a NUL in the name
        _refuse(file, "not a file name")
    if len(content) > most_bytes:
        _refuse(file, too_large(most_bytes))
    return content


def too_large(most_bytes: int) -> str:
    """What is said of a file of more bytes than that."""
    return f"file is larger than {most_bytes / BYTES_PER_MB:g} MB"


def refuse_named_pipe(path: str | Path, hint: str) -> None:
    """Raise InputError for one: opening it waits for a writer, maybe for ever.

    `<(command)` is a pipe without a name, and has its writer.
    """
    is_pipe = stat.S_ISFIFO(os.stat(path).st_mode)
    if is_pipe and os.path.exists(os.path.realpath(path)):
        _refuse(str(path), "is a named pipe", hint)


def decoded(content: bytes, file: str) -> str:
    """Bytes as text without a byte order mark; raises InputError with the line that is no UTF-8."""
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = content.count(b"\n", 0, problem.start) + 1
        fault = Fault(file, line, 0, "", "not UTF-8 text", "save it as UTF-8")
        raise InputError([fault]) from None


def _neighbour(path: Path) -> str:
    """`did you mean note.yaml?` for the nearest name in the same folder, or nothing."""
    try:
        names = os.listdir(path.parent)
    except OSError:
        return ""
    near = nearest(path.name, names)
    return f"did you mean {path.parent / near[0]}?" if near else ""


def _refuse(file: str, message: str, hint: str = "") -> NoReturn:
    raise InputError([Fault(file, 0, 0, "", message, hint)])
