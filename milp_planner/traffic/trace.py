"""Reads the requests of a trace: a CSV file, gzipped or not, of arrivals and token counts.

Every row becomes a request or a fault with its file and line; none is skipped but blank lines.
To know another spelling of a column, add it to `KNOWN_COLUMNS`.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import math
import stat
import zlib
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from milp_planner.errors import Fault, InputError, nearest
from milp_planner.inputs.problem.traffic import TraceColumns
from milp_planner.inputs.reading.files import NOT_NAMED, opened_from
from milp_planner.units import SECONDS_PER_DAY, shown

if TYPE_CHECKING:
    from gzip import GzipFile
    from io import BufferedReader

    from numpy import float64, int64
    from numpy.typing import NDArray

MOST_BYTES = 500_000_000
"""Largest file, packed or unpacked: a small gzip file may unpack to anything."""

MOST_LINES = 5_000_000
MOST_DAYS = 3_660
"""Longest time from the first to the last arrival: ten years, kept by the minute."""

LONGEST_LINE = 65_536  # bytes
LATEST_S = 1e11  # seconds: year 5138 where they count from 1970; more are milliseconds
MOST_TOKENS = 100_000_000  # of one request
MOST_FAULTS = 100

KNOWN_COLUMNS = {
    "arrival": ("arrival", "arrival_s", "TIMESTAMP"),
    "input_tokens": ("input_tokens", "ContextTokens"),
    "output_tokens": ("output_tokens", "GeneratedTokens"),
}
"""Names a column is known by, in any case; the third, `ContextTokens` and `GeneratedTokens` are
those of Azure's LLM inference traces."""

GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Requests:
    """The requests of a trace, in the order of the file."""

    arrival_s: NDArray[float64]
    """Seconds from a midnight; of timestamps, from the midnight that begins a Monday."""

    input_tokens: NDArray[int64]
    output_tokens: NDArray[int64]
    has_timestamps: bool
    sha256: str
    """Of the file as it is."""


def read_requests(
    path: Path, columns: TraceColumns | None = None, *, named: Path | None = None
) -> Requests:
    """The requests of a CSV file; raises InputError with every fault and its line.

    named: how it is called; default: `path`. A fault of the file as a whole has no line; when it
    cannot be opened, no file either: the mistake then is in what names it.
    """
    file = str(named or path)
    with _opened(path) as stream:
        rows = _Rows(file, columns or TraceColumns(), _lines(stream, file))
        rows.read()
        return rows.requests(_sha256(path))


# Bytes into lines


def _opened(path: Path) -> GzipFile | BufferedReader:
    """The file as bytes, unpacked."""
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


def where_it_lies(path: Path) -> Path:
    """The file that a user calls so; raises InputError where it may not be read."""
    return opened_from(path) or _refuse(f"{path}: {NOT_NAMED}", "send it as an upload")


def _refuse(message: str, hint: str = "") -> NoReturn:
    raise InputError([Fault("", 0, 0, "traffic.file", message, hint)])


def _neighbour(path: Path) -> str:
    try:
        near = nearest(path.name, (entry.name for entry in path.parent.iterdir()))
    except OSError:
        return ""
    return f"did you mean {path.parent / near[0]}?" if near else ""


def _sha256(path: Path) -> str:
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _lines(stream: GzipFile | BufferedReader, file: str) -> Iterator[str]:
    """The lines as text; every limit is checked before the bytes are kept."""
    size, number = 0, 0
    try:
        while line := stream.readline(LONGEST_LINE + 1):
            size, number = size + len(line), number + 1
            if fault := _fault_of_line(line, size, number):
                raise InputError([Fault(file, number, 0, "", fault)])
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        raise InputError([Fault(file, number, 0, "", "not UTF-8 text")]) from None
    except (EOFError, OSError, zlib.error) as problem:
        message = f"cannot be unpacked: {problem}"
        raise InputError([Fault(file, number + 1, 0, "", message)]) from None


def _fault_of_line(line: bytes, size: int, number: int) -> str:
    if size > MOST_BYTES:
        return TOO_LARGE
    if number > MOST_LINES:
        return f"has more than {MOST_LINES:,} lines; sample it and set scale"
    if len(line) > LONGEST_LINE:
        return f"the line is longer than {LONGEST_LINE:,} bytes"
    return "control characters are not allowed" if b"\0" in line else ""


# Lines into requests


class _Rows:
    """Collects the rows of one file; stops at its hundredth fault."""

    def __init__(self, file: str, columns: TraceColumns, lines: Iterator[str]) -> None:
        self.file = file
        self.rows = csv.reader(lines, strict=True)
        self.columns = columns
        self.faults: list[Fault] = []
        self.names: tuple[str, str, str] = ("", "", "")
        self.arrivals = array("d")
        self.inputs = array("q")
        self.outputs = array("q")
        self.read_arrival: Callable[[str], float] | None = None

    def read(self) -> None:
        """Read all rows; raises InputError with all faults."""
        try:
            header = [name.strip() for name in next(self.rows, [])]
            self._read_rows(len(header), self._places(header))
        except csv.Error as problem:
            self._fault(self.rows.line_num, f"not valid CSV: {problem}")
        except InputError as fatal:
            self.faults += fatal.faults
        if not self.faults and not self.arrivals:
            self._fault(0, "has no requests; give one per row")
        if self.faults:
            raise InputError(self.faults)

    def requests(self, sha256: str) -> Requests:
        """What was read, as arrays; raises InputError where no rate or size can come of it."""
        import numpy as np

        arrival_s = np.frombuffer(self.arrivals)
        inputs = np.frombuffer(self.inputs, dtype=np.int64)
        outputs = np.frombuffer(self.outputs, dtype=np.int64)
        days = (float(arrival_s.max()) - float(arrival_s.min())) / SECONDS_PER_DAY
        if days > MOST_DAYS:
            self._fault(0, f"spans {days:,.0f} days, more than {MOST_DAYS:,}")
        if not outputs.any():
            self._fault(0, "no request has output tokens")
        if self.faults:
            raise InputError(self.faults)
        has_timestamps = not isinstance(self.read_arrival, _Seconds)
        return Requests(arrival_s, inputs, outputs, has_timestamps, sha256)

    def _places(self, header: Sequence[str]) -> tuple[int, int, int]:
        """Where the three columns are; raises InputError when one is not."""
        if not any(header):
            raise InputError([Fault(self.file, 0, 0, "", EMPTY)])
        found = [_column(header, key, getattr(self.columns, key)) for key in KNOWN_COLUMNS]
        faults = [Fault(self.file, 1, 0, "", *words) for words in found if isinstance(words, tuple)]
        if faults:
            raise InputError(faults)
        arrival, inputs, outputs = (place for place in found if isinstance(place, int))
        self.names = header[arrival], header[inputs], header[outputs]
        return arrival, inputs, outputs

    def _read_rows(self, width: int, places: tuple[int, int, int]) -> None:
        first, second, third = places
        for cells in self.rows:
            if len(cells) != width or not self._add(cells[first], cells[second], cells[third]):
                self._look_into(self.rows.line_num, cells, width, places)
            if len(self.faults) >= MOST_FAULTS:
                self._fault(self.rows.line_num, f"reading stopped after {MOST_FAULTS} faults")
                return

    def _add(self, arrival: str, inputs: str, outputs: str) -> bool:
        """Keep a row that is plainly good; False where it needs a closer look."""
        read_arrival = self.read_arrival
        if read_arrival is None:
            return False
        try:
            at, tokens_in, tokens_out = read_arrival(arrival), int(inputs), int(outputs)
        except (ValueError, TypeError, OverflowError):
            return False
        if not (0 <= tokens_in <= MOST_TOKENS and 0 <= tokens_out <= MOST_TOKENS):
            return False
        self.arrivals.append(at)
        self.inputs.append(tokens_in)
        self.outputs.append(tokens_out)
        return True

    def _look_into(
        self, line: int, cells: list[str], width: int, places: tuple[int, int, int]
    ) -> None:
        """Keep a row after all, skip a blank line, or say what is wrong with it."""
        cells = [cell.strip() for cell in cells]
        if not any(cells):
            return
        if len(cells) != width:
            self._fault(line, f"has {len(cells)} columns, the header has {width}")
            return
        before = len(self.faults)
        arrival = self._parsed(line, 0, cells[places[0]], self._arrival)
        inputs = self._parsed(line, 1, cells[places[1]], _tokens)
        outputs = self._parsed(line, 2, cells[places[2]], _tokens)
        if len(self.faults) == before:
            self.arrivals.append(arrival)
            self.inputs.append(int(inputs))
            self.outputs.append(int(outputs))

    def _parsed(self, line: int, column: int, text: str, parse: Callable[[str], float]) -> float:
        try:
            return parse(text)
        except ValueError as problem:
            self._fault(line, str(problem), self.names[column])
            return 0.0

    def _arrival(self, text: str) -> float:
        """Seconds of an arrival; the first row decides how all are written."""
        if not text:
            raise ValueError("required")
        if self.read_arrival is None:
            read_arrival = _arrival_reader(text)
            seconds = read_arrival(text)
            self.read_arrival = read_arrival
            return seconds
        try:
            return self.read_arrival(text)
        except TypeError:
            raise ValueError(ONE_ZONE) from None

    def _fault(self, line: int, message: str, column: str = "") -> None:
        self.faults.append(Fault(self.file, line, 0, column, message))


EMPTY = "file is empty; its first line names the columns"
ONE_ZONE = "either every timestamp has a time zone or none has"


def _column(header: Sequence[str], key: str, named: str | None) -> int | tuple[str, str]:
    """Where a column is, or (message, hint)."""
    names = (named.strip(),) if named else KNOWN_COLUMNS[key]
    places = [place for place, name in enumerate(header) if name in names]
    if not places and not named:
        folded = {name.casefold() for name in names}
        places = [place for place, name in enumerate(header) if name.casefold() in folded]
    if len(places) == 1:
        return places[0]
    given = ", ".join(shown(header[place])[1:-1] for place in places or range(min(12, len(header))))
    if places:
        return f"several columns could be {key}: {given}", f"name one: columns: {{{key}: ...}}"
    wanted = " or ".join(names)
    return f"no column {wanted}; has {given}", f"name it: columns: {{{key}: ...}}"


class _Seconds:
    """Reads arrivals given in seconds."""

    def __call__(self, text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            raise ValueError(f"{shown(text)} is not a number of seconds") from None
        if 0 <= seconds <= LATEST_S:
            return seconds
        if not math.isfinite(seconds):
            raise ValueError(f"must be a finite number (is {shown(text)[1:-1]})")
        if seconds < 0:
            raise ValueError(f"must be at least 0 (is {shown(text)[1:-1]})")
        raise ValueError(f"must be seconds, at most {LATEST_S:.0e} (is {shown(text)[1:-1]})")


class _Timestamps:
    """Reads ISO 8601 timestamps as seconds from a Monday's midnight in the first one's zone."""

    def __init__(self, first: datetime) -> None:
        self.monday = datetime(1970, 1, 5, tzinfo=first.tzinfo)

    def __call__(self, text: str) -> float:
        return (_timestamp(text) - self.monday).total_seconds()


def _timestamp(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError:
        raise ValueError(f"{shown(text)} is not a timestamp; write 2023-11-16T18:17:03") from None


def _arrival_reader(text: str) -> Callable[[str], float]:
    try:
        float(text)
    except ValueError:
        pass
    else:
        return _Seconds()
    try:
        return _Timestamps(_timestamp(text))
    except ValueError:
        message = f"{shown(text)} is neither seconds nor a timestamp such as 2023-11-16T18:17:03"
        raise ValueError(message) from None


def _tokens(text: str) -> float:
    """A whole number of tokens; `374.0` is one."""
    if not text:
        raise ValueError("required")
    try:
        tokens = float(text)
    except ValueError:
        raise ValueError(f"{shown(text)} is not a number") from None
    if not tokens.is_integer():  # nor are infinities
        raise ValueError(f"must be a whole number (is {shown(text)[1:-1]})")
    if tokens < 0:
        raise ValueError(f"must be at least 0 (is {shown(text)[1:-1]})")
    if tokens > MOST_TOKENS:
        raise ValueError(f"must be at most {MOST_TOKENS:,} (is {shown(text)[1:-1]})")
    return tokens
