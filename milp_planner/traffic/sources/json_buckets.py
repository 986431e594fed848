"""Traffic that is counted by the time, in JSON: OpenAI's usage API, Prometheus' `query_range`.

The usage API counts; Prometheus gives rates per second, or counters that only grow. To know how
another engine calls what it counts, add it to `COUNTERS`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any, NoReturn

from milp_planner.errors import Fault, InputError
from milp_planner.traffic.sources.buckets import (
    BUCKET_COLUMNS,
    MONDAY_S,
    Bucket,
    kind_of,
    row_buckets,
    series_buckets,
)
from milp_planner.units import shown

COUNTERS = {
    "vllm:request_success_total": "requests",
    "vllm:prompt_tokens_total": "input",
    "vllm:generation_tokens_total": "output",
    "vllm:prefix_cache_hits_total": "cached",
    "sglang:num_requests_total": "requests",
    "sglang:prompt_tokens_total": "input",
    "sglang:generation_tokens_total": "output",
    "sglang:cached_tokens_total": "cached",
}
"""What engines count, as they call it (vLLM 0.33 and SGLang 0.5, `/metrics`); hits are tokens."""

MEANS = {
    "vllm:time_to_first_token_seconds": "ttft",
    "vllm:inter_token_latency_seconds": "tpot",
    "vllm:time_per_output_token_seconds": "tpot",
    "sglang:time_to_first_token_seconds": "ttft",
    "sglang:inter_token_latency_seconds": "tpot",
}
"""Histograms whose mean is asked for: seconds in `_sum`, how many in `_count`. Of two for one thing
the first is taken; vLLM called its second one so before 0.11."""

Points = list[tuple[float, float]]
"""Seconds from a Monday's midnight, and a value."""


def buckets_in_json(file: str, text: str) -> list[Bucket]:
    """Whatever of these the text is; raises InputError where it is none."""
    try:
        document = json.loads(text)
    except ValueError as problem:
        _refuse(file, "", f"not valid JSON: {problem}")
    if isinstance(document, dict) and isinstance(document.get("data"), list):
        return buckets_of_usage_json(file, document["data"])
    if not any(True for _ in _answers(document)):
        said = "neither requests a line, nor a usage export, nor an answer of query_range"
        _refuse(file, "", f"is JSON, but {said}")
    return buckets_of_prometheus(file, document)


def _refuse(file: str, path: str, message: str, hint: str = "") -> NoReturn:
    raise InputError([Fault(file, 0, 0, path, message, hint)])


def buckets_of_usage_json(file: str, data: Sequence[Any]) -> list[Bucket]:
    """OpenAI's usage API: `data`, each with `start_time`, `end_time` and `results`."""
    rows = [
        (
            (0, path),
            {
                key: _text(
                    next((held[n] for n in names for held in (result, part) if n in held), None)
                )
                for key, names in BUCKET_COLUMNS.items()
            },
        )
        for path, part, result in _results(file, data)
    ]
    return row_buckets(file, rows)


def _results(
    file: str, data: Sequence[Any]
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Path, bucket and result."""
    for i, part in enumerate(data):
        results = part.get("results") or () if isinstance(part, dict) else None
        if not isinstance(results, list | tuple):
            _refuse(file, f"data[{i}]", "is no bucket with `results`")
        for j, result in enumerate(results):
            path = f"data[{i}].results[{j}]"
            if not isinstance(result, dict):
                _refuse(file, path, "is no object")
            yield path, part, result


def _text(value: Any) -> str:
    return "" if value is None else str(value)


# Rates per second


def buckets_of_prometheus(file: str, document: Any) -> list[Bucket]:
    """The answer of `query_range`, or several by what they hold, `{"requests": ..., ...}`."""
    series: dict[str, dict[float, float]] = {}
    for called, answer in _answers(document):
        read = [_series(file, f"result[{i}]", one) for i, one in enumerate(answer)]
        for kind, name, points in _called(file, called, read) if called else _named(file, read):
            held = series.setdefault(kind, {})
            for at, value in _grown(points) if name.endswith("_total") else points:
                held[at] = held.get(at, 0.0) + value
    return series_buckets(file, series)


def _answers(document: Any) -> Iterator[tuple[str, list[Any]]]:
    """Each answer with what it is called; '' where it stands alone."""
    if not isinstance(document, dict):
        return
    data = document.get("data")
    if isinstance(data, dict) and isinstance(data.get("result"), list):
        yield "", data["result"]
        return
    for name, inner in document.items():
        for called, answer in _answers(inner):
            yield called or str(name), answer


def _series(file: str, place: str, one: Any) -> tuple[str, Points]:
    """The name of a series and its points; raises InputError for what no answer holds."""
    metric = one.get("metric") or {} if isinstance(one, dict) else None
    values = one.get("values") if isinstance(one, dict) else None
    if not isinstance(metric, dict) or not isinstance(values, list):
        hint = "query_range gives `metric` and `values`, query alone one `value`"
        _refuse(file, place, "has no values over a time", hint)
    points = (_point(file, f"{place}.values[{i}]", value) for i, value in enumerate(values))
    known = [point for point in points if not math.isnan(point[1])]  # nothing to divide by
    return str(metric.get("__name__", "")), known


def _point(file: str, place: str, value: Any) -> tuple[float, float]:
    try:
        at, told = value
        point = float(at) - MONDAY_S, float(told)
    except (TypeError, ValueError, OverflowError):
        _refuse(file, place, f"expected a time and a value, found {shown(str(value))}")
    if not math.isfinite(point[0]) or point[1] < 0 or math.isinf(point[1]):
        _refuse(file, place, f"expected a time and a rate from 0 on, found {shown(str(value))}")
    return point


def _called(
    file: str, called: str, read: Sequence[tuple[str, Points]]
) -> Iterator[tuple[str, str, Points]]:
    """Each series of an answer that has a name; raises InputError where that says nothing."""
    kind = kind_of(called)
    if not kind:
        _say_nothing(file, called)
    yield from ((kind, name, points) for name, points in read)


def _named(file: str, read: Sequence[tuple[str, Points]]) -> Iterator[tuple[str, str, Points]]:
    """Each series with what it holds; whatever stands beside an engine's own counters is left out.

    Raises InputError for names that do not say it: one unknown thing is no rate of requests.
    """
    if any(name in COUNTERS for name, _ in read):
        yield from ((COUNTERS[name], name, points) for name, points in read if name in COUNTERS)
        yield from _means(read)
        return
    unknown = sorted({name for name, _ in read if name and not kind_of(name)})
    if unknown:
        _say_nothing(file, ", ".join(unknown[:4]))
    yield from ((kind_of(name) or "requests", name, points) for name, points in read)


def _means(read: Sequence[tuple[str, Points]]) -> Iterator[tuple[str, str, Points]]:
    """Mean times of histograms, over all series of each: what their sums grew by, a count."""
    told = set()
    for base, kind in MEANS.items():
        seconds, counts = (_all_grown(read, base + part) for part in ("_sum", "_count"))
        points = [(at, s / counts[at]) for at, s in seconds.items() if counts.get(at)]
        if points and kind not in told:
            told.add(kind)
            yield kind, base, points


def _all_grown(read: Sequence[tuple[str, Points]], wanted: str) -> dict[float, float]:
    held: dict[float, float] = {}
    for _, points in (one for one in read if one[0] == wanted):
        for at, value in _grown(points):
            held[at] = held.get(at, 0.0) + value
    return held


def _say_nothing(file: str, names: str) -> NoReturn:
    said = f"{names}: tells neither requests nor tokens a second"
    hint = "query the rates of an engine's counters, such as " + ", ".join([*COUNTERS][:3])
    _refuse(file, "", said, hint)


def _grown(points: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """A counter as rates: what it grew by, per second; a reset counts from 0."""
    for (before_s, before), (at_s, at) in pairwise(points):
        if at_s > before_s:
            yield before_s, (at - before if at >= before else at) / (at_s - before_s)
