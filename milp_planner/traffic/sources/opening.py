"""A file of traffic as lines of text, unpacked; every limit is checked before bytes are kept."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import math
import os
import stat
import zlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from milp_planner.errors import Fault, InputError, nearest
from milp_planner.inputs.reading.files import NOT_NAMED, opened_from
from milp_planner.units import shown

if TYPE_CHECKING:
    from gzip import GzipFile
    from io import BufferedReader

MOST_BYTES = 500_000_000
"""Largest file that is kept, packed or unpacked: a small gzip file may unpack to anything."""

MOST_LINES = 5_000_000  # of a file that is kept
MOST_STREAMED_BYTES = 20_000_000_000
"""Largest file whose rows are added up and dropped; so many take hours."""

MOST_UNPACKED = 100
"""Times its size that a packed file may unpack to, beyond the bytes of one that is kept."""

LONGEST_JSON_LINE = 16_000_000  # bytes, of a file that streams: a million hashes
LOOK_BYTES = 4_000_000  # unpacked, from one look at how far the file is read to the next
LONGEST_LINE = 65_536  # bytes

GZIP_MAGIC = b"\x1f\x8b"
JSON_BEGINS = (b"{", b"[")


def where_it_lies(path: Path) -> Path:
    """The file that a user calls so; raises InputError where it may not be read."""
    return opened_from(path) or _refuse(f"{path}: {NOT_NAMED}", "send it as an upload")


def opened(name: Path, *, is_kept: bool) -> GzipFile | BufferedReader:
    """The file as bytes, unpacked; raises InputError where it is none, or too large.

    is_kept: whether its rows will be kept, and not only added up.
    """
    path = where_it_lies(name)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            what = "is a directory" if path.is_dir() else "is not a regular file"
            _refuse(f"{path}: {what}; give one CSV file")
        if path.stat().st_size > (MOST_BYTES if is_kept else MOST_STREAMED_BYTES):
            said = TOO_LARGE if is_kept else TOO_LARGE_TO_STREAM
            raise InputError([Fault(str(path), 0, 0, "", said)])
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
TOO_LARGE_TO_STREAM = (
    f"is larger than {MOST_STREAMED_BYTES // 1_000_000_000} GB; sample it and set scale"
)


def _refuse(message: str, hint: str = "") -> NoReturn:
    raise InputError([Fault("", 0, 0, "traffic.file", message, hint)])


def _neighbour(path: Path) -> str:
    try:
        near = nearest(path.name, (entry.name for entry in path.parent.iterdir()))
    except OSError:
        return ""
    return f"did you mean {path.parent / near[0]}?" if near else ""


SPOILT = (EOFError, OSError, zlib.error)
"""What a gzip file raises that was cut or changed."""


def first_byte_of(stream: GzipFile | BufferedReader, path: Path) -> bytes:
    """The byte with which it begins, left where it is."""
    try:
        return stream.peek(1)[:1]
    except SPOILT as problem:
        raise _not_unpacked(path, 1, problem) from None


def _not_unpacked(path: Path, line: int, problem: BaseException) -> InputError:
    return InputError([Fault(str(path), line, 0, "", f"cannot be unpacked: {problem}")])


def sha256_of(path: Path) -> str:
    with open(where_it_lies(path), "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


class Lines:
    """The lines of a file as text; every limit is checked before the bytes are kept."""

    def __init__(self, stream: GzipFile | BufferedReader, path: Path, *, is_json: bool) -> None:
        self.stream = stream
        self.path = path
        self.longest = MOST_BYTES if is_json else LONGEST_LINE
        self.most_bytes, self.too_large = MOST_BYTES, TOO_LARGE
        self.most_lines: float = MOST_LINES
        self.next_look, self.was_looked_at = LOOK_BYTES, False

    def may_stream(self) -> None:
        """From now on the lines are dropped once read: there may be any number of them."""
        self.longest = min(self.longest, LONGEST_JSON_LINE)
        self.most_bytes, self.too_large = MOST_STREAMED_BYTES, TOO_LARGE_TO_STREAM
        self.most_lines = math.inf

    def __iter__(self) -> Iterator[str]:
        file, size, number = str(self.path), 0, 0
        try:
            while line := self.stream.readline(self.longest + 1):
                size, number = size + len(line), number + 1
                if fault := self._fault_of(line, size, number):
                    raise InputError([Fault(file, number, 0, "", fault)])
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
            if self.was_looked_at:
                self._tell()
        except UnicodeDecodeError:
            raise InputError([Fault(file, number, 0, "", "not UTF-8 text")]) from None
        except SPOILT as problem:
            raise _not_unpacked(self.path, number + 1, problem) from None

    def _fault_of(self, line: bytes, size: int, number: int) -> str:
        if size > self.most_bytes:
            return self.too_large
        if number > self.most_lines:
            return f"has more than {self.most_lines:,} lines; sample it and set scale"
        if len(line) > self.longest:
            return f"the line is longer than {self.longest:,} bytes"
        if size >= self.next_look and (fault := self._look(size)):
            return fault
        return "control characters are not allowed" if b"\0" in line else ""

    def _look(self, size: int) -> str:
        """Tell how far the file is read; what is wrong where a small one unpacks to no end."""
        self.next_look, self.was_looked_at = size + LOOK_BYTES, True
        read = int(getattr(self.stream, "fileobj", self.stream).tell())  # as it lies on the disk
        self._tell(read)
        if size > MOST_BYTES and size > MOST_UNPACKED * read:
            return f"unpacks to more than {MOST_UNPACKED} times its size; give it unpacked"
        return ""

    def _tell(self, read: int | None = None) -> None:
        """Tell whoever watches; at the end, that all is read."""
        seen = _seen.get()
        if seen is not None:
            total = os.fstat(self.stream.fileno()).st_size
            seen(self.path, total if read is None else min(read, total - 1), total)


Seen = Callable[[Path, int, int], None]
"""Is told a file, the bytes of it that were read, and all it has; both are equal at its end."""

_seen: ContextVar[Seen | None] = ContextVar("reading_is_seen_by", default=None)


@contextlib.contextmanager
def watched(seen: Seen) -> Iterator[None]:
    """Inside the block, long files tell how far they are read."""
    token = _seen.set(seen)
    try:
        yield
    finally:
        _seen.reset(token)
