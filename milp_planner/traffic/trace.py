"""Reads the requests of a trace: CSV or JSON lines, gzipped or not, of arrivals and token counts.

Every row becomes a request or a fault with its file and line; none is skipped but blank lines and
those of another LLM than was asked for. To know another spelling of a column, add it to
`KNOWN_COLUMNS`. What counts traffic by the minute or hour is read in `sources/buckets.py`.
"""

from __future__ import annotations

import csv
import itertools
import json
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

from milp_planner.errors import Fault, InputError, nearest
from milp_planner.inputs.problem.traffic import TimeUnit, TraceColumns
from milp_planner.traffic import tally
from milp_planner.traffic.rows import MOST_DAYS, Facts, Kept, Requests, TakesRows
from milp_planner.traffic.sources.buckets import (
    Bucket,
    BucketFile,
    buckets_of_grafana,
    buckets_of_usage,
    is_bucket_header,
    is_grafana_header,
)
from milp_planner.traffic.sources.json_buckets import buckets_in_json
from milp_planner.traffic.sources.json_rows import JsonLines
from milp_planner.traffic.sources.opening import (
    JSON_BEGINS,
    Lines,
    first_byte_of,
    opened,
    sha256_of,
)
from milp_planner.traffic.sources.sizes import MOST_TOKENS, sizes_in_json
from milp_planner.traffic.sources.times import (
    ONE_ZONE,
    Numbers,
    UnitFrom,
    arrival_reader,
    unit_by_names,
)
from milp_planner.traffic.sources.workload_files import ENDINGS as WORKLOAD_ENDINGS
from milp_planner.traffic.sources.workload_files import buckets_of_workload_file
from milp_planner.traffic.tally import Tally
from milp_planner.units import SECONDS_PER_DAY, shown

MOST_MODELS = 1_000  # names of LLMs that are told
MOST_FAULTS = 100

KNOWN_COLUMNS = {
    "arrival": ("arrival", "arrival_s", "TIMESTAMP", "arrival_ms", "arrival_us", "arrival_time"),
    "input_tokens": ("input_tokens", "ContextTokens", "input_length", "Request tokens"),
    "output_tokens": ("output_tokens", "GeneratedTokens", "output_length", "Response tokens"),
}
"""Names a column is known by, in any case: ours, those of Azure's LLM inference traces, of
Mooncake's (AIPerf's and Dynamo's, too), and of BurstGPT's."""

MODEL_COLUMN = "model"


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
    kept = Kept()
    found = read_trace(path, columns, unit, model, into=kept)
    if isinstance(found, Facts):
        return kept.requests(found)
    said = "counts requests by the time, and tells none of them apart"
    raise InputError([Fault(str(path), 0, 0, "", said, "give a file with one request a row")])


def has_known_header(path: Path) -> bool:
    """Whether the first line of a CSV file has names of counts, or of requests, that are known."""
    with opened(path, is_kept=True) as stream:
        if first_byte_of(stream, path) in JSON_BEGINS:
            return True
        names = _names_in(
            next((line for line in Lines(stream, path, is_json=False) if line.strip()), "")
        )
    of_requests = all(isinstance(_column(names, key, None), int) for key in KNOWN_COLUMNS)
    return of_requests or is_bucket_header(names) or is_grafana_header(names)


def read_trace(
    path: Path,
    columns: TraceColumns | None = None,
    unit: TimeUnit | None = None,
    model: str | None = None,
    rate: float | None = None,
    into: TakesRows | None = None,
) -> Facts | BucketFile:
    """What a file holds, by its content: facts of requests, or buckets of them.

    rate: requests/s of a file that tells sizes and no times. into: takes the rows of requests, a
    chunk at a time, and has only those of a file without faults; default: a tally. Rows that are
    kept have the limits of a file that is; others stream, however many there are.
    """
    file, columns, into = str(path), columns or TraceColumns(), into or Tally()
    is_kept = isinstance(into, Kept)
    with opened(path, is_kept=is_kept) as stream:
        first_byte = first_byte_of(stream, path)
        source = Lines(stream, path, is_json=first_byte in JSON_BEGINS)
        lines = iter(source)
        first = next((line for line in lines if line.strip()), "")
        lines = itertools.chain([first], lines)
        is_lines = first_byte == b"{" and _is_request(first)
        if path.suffix in WORKLOAD_ENDINGS:
            return BucketFile(tuple(buckets_of_workload_file(file, lines)), sha256_of(path))
        if first_byte in JSON_BEGINS and not is_lines:
            return _of_json(file, "".join(lines), sha256_of(path), rate, into)
        if first_byte != b"{" and (found := _of_buckets(file, first, lines, columns)) is not None:
            return BucketFile(tuple(_of_model(file, found, model)), sha256_of(path))
        if not is_kept:
            source.may_stream()
        rows = _Rows(file, columns, lines, is_lines, unit, model, into)
        rows.read()
        return rows.facts(sha256_of(path))


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


def _of_json(
    file: str, text: str, sha256: str, rate: float | None, into: TakesRows
) -> Facts | BucketFile:
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
    into.add(np.arange(len(both)) / rate, both[:, 0], both[:, 1])
    form = "JSON list of sizes, at the stated rate"
    return Facts(has_timestamps=False, sha256=sha256, form=form, stated_rate=rate)


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
    """Hands on the rows of one file, a chunk at a time; stops at its hundredth fault."""

    def __init__(
        self,
        file: str,
        columns: TraceColumns,
        lines: Iterator[str],
        is_json: bool,
        unit: TimeUnit | None,
        model: str | None,
        into: TakesRows,
    ) -> None:
        self.file = file
        self.into = into
        self.rows = JsonLines(file, lines) if is_json else csv.reader(lines, strict=True)
        self.columns = columns
        self.unit = unit
        self.unit_from: UnitFrom = "stated" if unit else "assumed"
        self.model = model
        self.model_at: int | None = None
        self.models: set[str] = set()
        self.faults: list[Fault] = []
        self.names: tuple[str, str, str] = ("", "", "")
        self._empty()
        self.first_s, self.last_s = math.inf, -math.inf
        self.has_output = False
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
        self._hand_on()
        has_none = self.first_s > self.last_s
        if not self.faults and has_none and self.model is not None and self.models:
            self.faults.append(Fault(self.file, 0, 0, "", *no_such_model(self.model, self.models)))
        elif not self.faults and has_none:
            self._fault(0, "has no requests; give one per row")
        elif not self.faults and not self.has_output:
            self._fault(0, "no request has output tokens")
        if self.faults:
            raise InputError(self.faults)

    def _empty(self) -> None:
        self.arrivals, self.inputs, self.outputs = array("d"), array("q"), array("q")

    def _hand_on(self) -> None:
        """Hand on what was read since, unless a fault came before: then rows are only judged."""
        import numpy as np

        arrivals, inputs, outputs = self.arrivals, self.inputs, self.outputs
        self._empty()
        if self.faults or not arrivals:
            return
        arrival_s = np.frombuffer(arrivals)
        self.first_s = min(self.first_s, float(arrival_s.min()))
        self.last_s = max(self.last_s, float(arrival_s.max()))
        self.has_output = self.has_output or any(outputs)
        days = (self.last_s - self.first_s) / SECONDS_PER_DAY
        if days > MOST_DAYS:
            self._fault(0, f"spans {days:,.0f} days, more than {MOST_DAYS:,}")
            return
        self.into.add(
            arrival_s,
            np.frombuffer(inputs, dtype=np.int64),
            np.frombuffer(outputs, dtype=np.int64),
        )

    def facts(self, sha256: str) -> Facts:
        """What was read beside the rows."""
        read = self.read_arrival
        prefixes = self.rows.prefixes if isinstance(self.rows, JsonLines) else None
        return Facts(
            has_timestamps=not isinstance(read, Numbers) or read.is_epoch,
            sha256=sha256,
            form="JSON lines of requests" if prefixes else "CSV of requests",
            unit=read.unit if isinstance(read, Numbers) else None,
            unit_from=self.unit_from,
            cached_tokens=prefixes.cached_tokens if prefixes and prefixes.has_hashes else None,
            remembered=prefixes.remembered if prefixes else None,
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
            if len(self.arrivals) >= tally.CHUNK_ROWS:
                self._hand_on()
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
            read_arrival = arrival_reader(text, self.unit or "s")
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
