"""Traffic that is counted by the minute, hour or day: usage exports, Prometheus, Grafana.

A bucket says how many requests began in it, and how many tokens they had. Usage exports count,
Grafana's CSV gives rates per second; JSON is read in `json_buckets.py`. To know another spelling of
a column, add it to `BUCKET_COLUMNS`.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from statistics import mode

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.problem.traffic import TraceColumns
from milp_planner.lazily import dataclass
from milp_planner.units import SECONDS_PER_DAY, shown

MONDAY_S = 4 * SECONDS_PER_DAY
"""1970 began on a Thursday: seconds to its first Monday."""

BUCKET_COLUMNS = {
    "requests": ("num_model_requests", "num_requests", "request_count", "requests"),
    "start": ("start_time", "start_time_iso", "timestamp", "time", "date", "usage_date"),
    "end": ("end_time", "end_time_iso"),
    "input": ("input_tokens", "n_context_tokens_total", "prompt_tokens"),
    "output": ("output_tokens", "n_generated_tokens_total", "completion_tokens"),
    "cached": ("input_cached_tokens", "cached_tokens", "cache_read_input_tokens"),
    "model": ("model",),
}
"""Names by what they hold; the first of each are those of OpenAI's usage export."""

NO_RATES = ("running", "waiting", "swapped", "queue", "latency", "preempt", "queries")
"""Words of gauges and of times, which are no requests however often their names say so."""

HISTOGRAM_PARTS = ("_sum", "_count", "_bucket", "_created")

TOKENS = ("input", "output", "cached")
COUNTS_REQUESTS = BUCKET_COLUMNS["requests"]


@dataclass(frozen=True)
class Bucket:
    """What happened in a stretch of time."""

    start_s: float
    """Seconds from a midnight that begins a Monday."""

    width_s: float
    requests: float
    input_tokens: float | None
    output_tokens: float | None
    cached_tokens: float | None = None
    model: str = ""
    tpot_s: float | None = None
    """Mean time per output token of its requests; of rates per second alone."""

    ttft_s: float | None = None


@dataclass(frozen=True)
class BucketFile:
    """The buckets of a file."""

    buckets: tuple[Bucket, ...]
    sha256: str
    """Of the file as it is."""


def is_bucket_header(names: Sequence[str]) -> bool:
    """Whether columns of that name count requests."""
    return any(name.strip().casefold() in COUNTS_REQUESTS for name in names)


def is_grafana_header(names: Sequence[str]) -> bool:
    """Whether it is Grafana's: `Time`, then series."""
    plain = [name.strip().strip('"').casefold() for name in names]
    return len(plain) > 1 and plain[0] == "time" and any(kind_of(name) for name in plain[1:])


class _Csv:
    """The rows of a CSV file; raises InputError with the line where it is none."""

    def __init__(self, file: str, lines: Iterable[str]) -> None:
        self._file = file
        self._rows = csv.reader(lines, strict=True)

    @property
    def line_num(self) -> int:
        """The line that was read last, from 1."""
        return self._rows.line_num

    def __iter__(self) -> Iterator[list[str]]:
        return self

    def __next__(self) -> list[str]:
        try:
            return next(self._rows)
        except csv.Error as problem:
            said = f"not valid CSV: {problem}"
            raise InputError([Fault(self._file, self.line_num, 0, "", said)]) from None


NOT_COUNTED = "write 0 where there were no requests; leave the row out where nobody counted"


def buckets_of_usage(file: str, lines: Iterable[str], columns: TraceColumns) -> list[Bucket]:
    """The rows of a usage export in CSV; rows of one time (projects, models) stay apart."""
    reader = _Csv(file, lines)
    header = [name.strip().casefold() for name in next(reader, [])]
    named = {
        "requests": columns.requests,
        "start": columns.arrival,
        "input": columns.input_tokens,
        "output": columns.output_tokens,
    }
    places = {}
    for key, known in BUCKET_COLUMNS.items():
        given = named.get(key)
        names = known if given is None else (given.strip().casefold(),)
        places[key] = next((header.index(name) for name in names if name in header), None)
        if places[key] is None and (given is not None or key in ("requests", "start")):
            said = f"no column {' or '.join(names)}; has {', '.join(header[:12])}"
            raise InputError([Fault(file, 1, 0, "", said)])
    rows = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            said = f"has {len(cells)} columns, the header has {len(header)}"
            raise InputError([Fault(file, reader.line_num, 0, "", said)])
        told = {k: "" if i is None else cells[i].strip() for k, i in places.items()}
        rows.append(((reader.line_num, ""), told))
    return row_buckets(file, rows)


Place = tuple[int, str]
"""Line, and the path within a document of one line."""


def row_buckets(file: str, rows: Sequence[tuple[Place, Mapping[str, str]]]) -> list[Bucket]:
    faults: list[Fault] = []

    def fault(place: Place, key: str, said: str, hint: str = "") -> None:
        line, path = place
        faults.append(Fault(file, line, 0, f"{path}.{key}" if path else key, said, hint))

    def number(place: Place, key: str, text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not text:  # unknown is not zero
            fault(place, key, "tells no count", NOT_COUNTED)
        elif not (math.isfinite(value) and value >= 0):
            fault(place, key, f"expected a count, found {shown(text)}")
        else:
            return value
        return 0.0

    def time(place: Place, text: str) -> float:
        try:
            return seconds_of(text)
        except ValueError as problem:
            fault(place, "time", str(problem))
            return 0.0

    starts = [time(place, row["start"]) for place, row in rows]
    ends = [time(place, row["end"]) if row["end"] else None for place, row in rows]
    gaps = [b - a for a, b in pairwise(sorted(set(starts)))]
    usual = mode(gaps) if gaps else None
    found = []
    for (place, row), start, end in zip(rows, starts, ends, strict=True):
        width = usual if end is None else end - start
        if width is None or width <= 0:
            said = "how long it is cannot be told: give end_time, or two rows at least"
            fault(place, "time", said)
            break
        told = {key: number(place, key, row[key]) if row[key] else None for key in TOKENS}
        requests = number(place, "requests", row["requests"])
        tokens = told["input"], told["output"], told["cached"]
        found.append(Bucket(start, width, requests, *tokens, row["model"]))
    if not rows:
        faults.append(Fault(file, 0, 0, "", "has no buckets; give one a row"))
    if faults:
        raise InputError(faults)
    return found


def seconds_of(text: str) -> float:
    """ISO 8601, or seconds, milliseconds or microseconds since 1970, as seconds from a Monday.

    Raises ValueError for anything else.
    """
    try:
        value = float(text)
    except ValueError:
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(f"{shown(text)} is not a time; write 2026-11-02T00:00:00") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.replace(tzinfo=UTC).timestamp() - MONDAY_S
    if not math.isfinite(value) or value < 0:
        raise ValueError(f"{shown(text)} is not a time")
    for per_second, most in ((1, 1e11), (1e3, 1e14), (1e6, 1e17)):
        if value < most:
            return value / per_second - MONDAY_S
    raise ValueError(f"{shown(text)} is not a time since 1970")


# Rates per second


def buckets_of_grafana(file: str, lines: Iterable[str]) -> list[Bucket]:
    """Grafana's CSV: `Time`, then a series a column; values are rates per second."""
    reader = _Csv(file, lines)
    header = [name.strip() for name in next(reader, [])]
    kinds = [kind_of(name) for name in header[1:]]
    if "requests" not in kinds and len(kinds) == 1 and not _is_no_rate(header[-1]):
        kinds = ["requests"]
    series: dict[str, dict[float, float]] = {}
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        try:
            at = seconds_of(cells[0].strip())
            for kind, cell in zip(kinds, cells[1:], strict=True):
                if kind and cell.strip():
                    value = _rate(cell.strip().split(" ")[0])
                    series.setdefault(kind, {})[at] = series.get(kind, {}).get(at, 0.0) + value
        except ValueError as problem:
            raise InputError([Fault(file, reader.line_num, 0, "", str(problem))]) from None
    return series_buckets(file, series)


def _rate(text: str) -> float:
    """A rate per second; raises ValueError for anything else."""
    value = float(text)
    if not (math.isfinite(value) and value >= 0):
        raise ValueError(f"{shown(text)} is no rate from 0 on")
    return value


def series_buckets(file: str, series: Mapping[str, Mapping[float, float]]) -> list[Bucket]:
    requests = series.get("requests", {})
    times = sorted(requests)
    if len(times) < 2:
        said = "tells no rate of requests at two times or more"
        raise InputError([Fault(file, 0, 0, "", said)])
    width = mode(b - a for a, b in pairwise(times))

    def tokens(kind: str, at: float) -> float | None:
        held = series.get(kind)
        return None if held is None else held.get(at, 0.0) * width

    return [
        Bucket(
            at,
            width,
            requests[at] * width,
            tokens("input", at),
            tokens("output", at),
            tokens("cached", at),
            tpot_s=series.get("tpot", {}).get(at),
            ttft_s=series.get("ttft", {}).get(at),
        )
        for at in times
    ]


def kind_of(name: str) -> str:
    """What a series holds, by the words of its name; '' where they do not say."""
    plain = name.casefold()
    if plain.endswith(HISTOGRAM_PARTS):
        return ""
    if any(word in plain for word in ("time_per_output_token", "inter_token", "tpot")):
        return "tpot"
    if "first_token" in plain or "ttft" in plain:
        return "ttft"
    if _is_no_rate(plain):
        return ""
    if "cached" in plain or "cache_hit" in plain:
        return "cached"
    if "prompt" in plain or "input" in plain:
        return "input"
    if any(word in plain for word in ("generation", "output", "completion")):
        return "output"
    return "requests" if "request" in plain or "qps" in plain else ""


def _is_no_rate(name: str) -> bool:
    """Whether a name says that it is a gauge, a time, or a part of a histogram."""
    plain = name.casefold().strip()
    return plain.endswith(HISTOGRAM_PARTS) or any(word in plain for word in NO_RATES)
