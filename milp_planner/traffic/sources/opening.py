"""A file of traffic as lines of text, unpacked; every limit is checked before bytes are kept."""

from __future__ import annotations

import gzip
import hashlib
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from milp_planner.errors import Fault, InputError, nearest
from milp_planner.inputs.reading.files import NOT_NAMED, opened_from
from milp_planner.units import shown

if TYPE_CHECKING:
    from gzip import GzipFile
    from io import BufferedReader

MOST_BYTES = 500_000_000
"""Largest file, packed or unpacked: a small gzip file may unpack to anything."""

MOST_LINES = 5_000_000
LONGEST_LINE = 65_536  # bytes

GZIP_MAGIC = b"\x1f\x8b"
JSON_BEGINS = (b"{", b"[")


def where_it_lies(path: Path) -> Path:
    """The file that a user calls so; raises InputError where it may not be read."""
    return opened_from(path) or _refuse(f"{path}: {NOT_NAMED}", "send it as an upload")


def opened(name: Path) -> GzipFile | BufferedReader:
    """The file as bytes, unpacked."""
    path = where_it_lies(name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "is a directory" if path.is_dir() else "is not a regular file"
            _refuse(f"{path}: {what}; give one CSV file")
        if path.stat().st_size > MOST_BYTES:
            raise InputError([Fault(str(path), 0, 0, "", TOO_LARGE)])
        with open(path, "rb") as stream:
            packed = stream.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        return gzip.open(path) if packed else open(path, "rb")
    except FileNotFoundError:
        _refuse(f"{path}: file not found", _neighbour(path))
    except PermissionError:
        _refuse(f"{path}: permission denied")
    except OSError as problem:
        _refuse(f"{path}: cannot be read: {problem.strerror or problem}")
    except ValueError:  # a NUL in the name
        _refuse(f"{shown(str(path))} is not a file name")


TOO_LARGE = f"is larger than {MOST_BYTES // 1_000_000} MB; sample it and set scale"


def _refuse(message: str, hint: str = "") -> NoReturn:
    raise InputError([Fault("", 0, 0, "traffic.file", message, hint)])


def _neighbour(path: Path) -> str:
    try:
        near = nearest(path.name, (entry.name for entry in path.parent.iterdir()))
    except OSError:
        return ""
    return f"did you mean {path.parent / near[0]}?" if near else ""


def sha256_of(path: Path) -> str:
    with open(where_it_lies(path), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def lines_of(
    stream: GzipFile | BufferedReader, file: str, *, is_json: bool = False
) -> Iterator[str]:
    """The lines as text; every limit is checked before the bytes are kept."""
    size, number, longest = 0, 0, MOST_BYTES if is_json else LONGEST_LINE
    try:
        while line := stream.readline(longest + 1):
            size, number = size + len(line), number + 1
            if fault := _fault_of_line(line, size, number, longest):
                raise InputError([Fault(file, number, 0, "", fault)])
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise InputError([Fault(file, number, 0, "", "not UTF-8 text")]) from None
    except (EOFError, OSError, zlib.error) as problem:
        message = f"cannot be unpacked: {problem}"
        raise InputError([Fault(file, number + 1, 0, "", message)]) from None


def _fault_of_line(line: bytes, size: int, number: int, longest: int) -> str:
    if size > MOST_BYTES:
        return TOO_LARGE
    if number > MOST_LINES:
        return f"has more than {MOST_LINES:,} lines; sample it and set scale"
    if len(line) > longest:
        return f"the line is longer than {longest:,} bytes"
    return "control characters are not allowed" if b"\0" in line else ""
