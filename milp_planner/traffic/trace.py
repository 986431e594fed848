"""Reads the requests of a trace: CSV or JSON lines, gzipped or not, of arrivals and token counts.

Every row becomes a request or a fault with its file and line; none is skipped but blank lines and
those of another LLM than was asked for. To know another spelling of a column, add it to
`KNOWN_COLUMNS`. What counts traffic by the minute or hour is read in `sources/buckets.py`.
"""

from __future__ import annotations

import csv
import itertools
import json
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from milp_planner.errors import Fault, InputError, nearest
from milp_planner.inputs.problem.traffic import TimeUnit, TraceColumns
from milp_planner.traffic.sources.buckets import (
    Bucket,
    BucketFile,
    buckets_in_json,
    buckets_of_grafana,
    buckets_of_usage,
    is_bucket_header,
    is_grafana_header,
)
from milp_planner.traffic.sources.json_rows import JsonLines
from milp_planner.traffic.sources.opening import JSON_BEGINS, lines_of, opened, sha256_of
from milp_planner.traffic.sources.sizes import sizes_in_json
from milp_planner.traffic.sources.times import Numbers, UnitFrom, unit_by_names
from milp_planner.traffic.sources.workload_files import ENDINGS as WORKLOAD_ENDINGS
from milp_planner.traffic.sources.workload_files import buckets_of_workload_file
from milp_planner.units import SECONDS_PER_DAY, shown

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

MOST_DAYS = 3_660
"""Longest time from the first to the last arrival: ten years, kept by the minute."""

MOST_MODELS = 1_000  # names of LLMs that are told
MOST_TOKENS = 100_000_000  # of one request
MOST_FAULTS = 100

KNOWN_COLUMNS = {
    "arrival": ("arrival", "arrival_s", "TIMESTAMP", "arrival_ms", "arrival_us", "arrival_time"),
    "input_tokens": ("input_tokens", "ContextTokens", "input_length", "Request tokens"),
    "output_tokens": ("output_tokens", "GeneratedTokens", "output_length", "Response tokens"),
}
"""Names a column is known by, in any case: ours, those of Azure's LLM inference traces, of
Mooncake's (AIPerf's and Dynamo's, too), and of BurstGPT's."""

MODEL_COLUMN = "model"


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

    form: str = "CSV of requests"
    """What the file was read as."""

    unit: TimeUnit | None = None
    """Of its arrivals; None where they are timestamps."""

    unit_from: UnitFrom = "assumed"
    cached_tokens: int | None = None
    """Input tokens that a prefix cache without end would find; None where nothing tells it."""

    models: tuple[str, ...] = ()
    """LLMs that the file names, of all rows; empty where it names none."""


def read_requests(
    path: Path,
    columns: TraceColumns | None = None,
    unit: TimeUnit | None = None,
    model: str | None = None,
) -> Requests:
    """The requests of a file of requests; raises InputError with every fault and its line.

    A fault of the file as a whole has no line; when it cannot be opened, no file either: the
    mistake then is in what names it. unit: of arrivals that are numbers; default: by the names of
    the columns, else seconds. model: only rows of that LLM.
    """
    found = read_trace(path, columns, unit, model)
    if isinstance(found, Requests):
        return found
    said = "counts requests by the time, and tells none of them apart"
    raise InputError([Fault(str(path), 0, 0, "", said, "give a file with one request a row")])


def read_trace(
    path: Path,
    columns: TraceColumns | None = None,
    unit: TimeUnit | None = None,
    model: str | None = None,
    rate: float | None = None,
) -> Requests | BucketFile:
    """What a file holds, by its content: requests, or buckets of them.

    rate: requests/s of a file that tells sizes and no times.
    """
    file, columns = str(path), columns or TraceColumns()
    with opened(path) as stream:
        first_byte = stream.peek(1)[:1]
        lines = lines_of(stream, file, is_json=first_byte in JSON_BEGINS)
        first = next((line for line in lines if line.strip()), "")
        lines = itertools.chain([first], lines)
        is_lines = first_byte == b"{" and _is_request(first)
        if path.suffix in WORKLOAD_ENDINGS:
            return BucketFile(tuple(buckets_of_workload_file(file, lines)), sha256_of(path))
        if first_byte in JSON_BEGINS and not is_lines:
            return _of_json(file, "".join(lines), sha256_of(path), rate)
        if first_byte != b"{" and (found := _of_buckets(file, first, lines, columns)) is not None:
            return BucketFile(tuple(_of_model(file, found, model)), sha256_of(path))
        rows = _Rows(file, columns, lines, is_lines, unit, model)
        rows.read()
        return rows.requests(sha256_of(path))


def _of_buckets(
    file: str, first: str, lines: Iterator[str], columns: TraceColumns
) -> list[Bucket] | None:
    """The buckets of a CSV file; None where its header is of requests."""
    header = _names_in(first)
    if columns.requests is not None:
        return buckets_of_usage(file, lines, columns)
    if columns.arrival is not None:
        return None
    if is_bucket_header(header):
        return buckets_of_usage(file, lines, columns)
    return buckets_of_grafana(file, lines) if is_grafana_header(header) else None


def _names_in(first: str) -> list[str]:
    """The names in a header; none where it is no CSV, which reading the rows tells."""
    try:
        return next(csv.reader([first]), []) if first.strip() else []
    except csv.Error:
        return []


def _of_json(file: str, text: str, sha256: str, rate: float | None) -> Requests | BucketFile:
    """A whole document: sizes of requests at a stated rate, or buckets."""
    import numpy as np

    sizes = sizes_in_json(file, text)
    if sizes is None:
        return BucketFile(tuple(buckets_in_json(file, text)), sha256)
    if rate is None:
        said = "tells the sizes of requests and no times"
        hint = "state how many come, requests_per_second: ..."
        raise InputError([Fault(file, 0, 0, "", said, hint)])
    both = np.array(sizes, dtype=np.int64)
    arrival_s = np.arange(len(both)) / rate
    form = "JSON list of sizes, at the stated rate"
    return Requests(arrival_s, both[:, 0], both[:, 1], False, sha256, form, None)


def _is_request(line: str) -> bool:
    """Whether a line of JSON is a request, and not the beginning of something else."""
    try:
        found = json.loads(line)
    except ValueError:
        return False
    names = {str(name).casefold() for name in found} if isinstance(found, dict) else set()
    return bool(names & {name.casefold() for name in KNOWN_COLUMNS["output_tokens"]})


def _of_model(file: str, found: Sequence[Bucket], model: str | None) -> Sequence[Bucket]:
    if model is None:
        return found
    models = {bucket.model for bucket in found}
    if model not in models:
        raise InputError([Fault(file, 0, 0, "", *no_such_model(model, models))])
    return [bucket for bucket in found if bucket.model == model]


def no_such_model(model: str, models: Iterable[str]) -> tuple[str, str]:
    """(message, hint) where a file names LLMs, and not that one."""
    known = sorted(models)
    near = nearest(model, known)
    hint = f"did you mean {near[0]!r}?" if near else ""
    return f"no row is of model {model!r}; has {', '.join(known[:8]) or 'no models'}", hint


# Lines into requests


class _Rows:
    """Collects the rows of one file; stops at its hundredth fault."""

    def __init__(
        self,
        file: str,
        columns: TraceColumns,
        lines: Iterator[str],
        is_json: bool,
        unit: TimeUnit | None,
        model: str | None,
    ) -> None:
        self.file = file
        self.rows = JsonLines(file, lines) if is_json else csv.reader(lines, strict=True)
        self.columns = columns
        self.unit = unit
        self.unit_from: UnitFrom = "stated" if unit else "assumed"
        self.model = model
        self.model_at: int | None = None
        self.models: set[str] = set()
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
        if not self.faults and not self.arrivals and self.model is not None and self.models:
            self.faults.append(Fault(self.file, 0, 0, "", *no_such_model(self.model, self.models)))
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
        read = self.read_arrival
        prefixes = self.rows.prefixes if isinstance(self.rows, JsonLines) else None
        return Requests(
            arrival_s,
            inputs,
            outputs,
            has_timestamps=not isinstance(read, Numbers) or read.is_epoch,
            sha256=sha256,
            form="JSON lines of requests" if prefixes else "CSV of requests",
            unit=read.unit if isinstance(read, Numbers) else None,
            unit_from=self.unit_from,
            cached_tokens=prefixes.cached_tokens if prefixes and prefixes.has_hashes else None,
            models=tuple(sorted(self.models)),
        )

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
        if self.unit is None:
            self.unit, self.unit_from = unit_by_names(self.names[0], self.names[1])
        folded = [name.casefold() for name in header]
        self.model_at = folded.index(MODEL_COLUMN) if MODEL_COLUMN in folded else None
        if self.model is not None and self.model_at is None:
            raise InputError([Fault(self.file, 1, 0, "", *no_such_model(self.model, ()))])
        return arrival, inputs, outputs

    def _read_rows(self, width: int, places: tuple[int, int, int]) -> None:
        first, second, third = places
        for cells in self.rows:
            if self.model_at is not None and self._is_of_another(cells):
                continue
            if len(cells) != width or not self._add(cells[first], cells[second], cells[third]):
                self._look_into(self.rows.line_num, cells, width, places)
            if len(self.faults) >= MOST_FAULTS:
                self._fault(self.rows.line_num, f"reading stopped after {MOST_FAULTS} faults")
                return

    def _is_of_another(self, cells: list[str]) -> bool:
        """Whether a row is of another LLM than was asked for; which there are is noted."""
        at = self.model_at
        name = cells[at].strip() if at is not None and at < len(cells) else ""
        if name and len(self.models) < MOST_MODELS:
            self.models.add(name)
        return self.model is not None and name != self.model

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
            read_arrival = _arrival_reader(text, self.unit or "s")
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


def _arrival_reader(text: str, unit: TimeUnit) -> Callable[[str], float]:
    try:
        float(text)
    except ValueError:
        pass
    else:
        return Numbers(unit, text)
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
