"""Workload files of inference-perf: stages of a rate, and distributions of lengths.

`load.stages` has a rate in requests/s and a duration in seconds each; `data` has the mean lengths,
or the lengths of a shared prefix (kubernetes-sigs/inference-perf, docs/config.md).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

import yaml

from milp_planner.errors import Fault, InputError
from milp_planner.traffic.sources.buckets import Bucket

ENDINGS = (".yaml", ".yml")


def buckets_of_workload_file(file: str, lines: Iterable[str]) -> list[Bucket]:
    """A bucket for each stage; raises InputError with what is missing."""
    try:
        document = yaml.safe_load("".join(lines))
    except yaml.YAMLError as problem:
        _refuse(file, "", f"not valid YAML: {str(problem).splitlines()[0]}")
    load, data = (_part(document, key) for key in ("load", "data"))
    stages = load.get("stages")
    if not isinstance(stages, list) or not stages:
        _refuse(file, "load.stages", "required: a list of {rate: ..., duration: ...}")
    inputs, outputs, shared = _sizes(file, data)
    found, start = [], 0.0
    for i, stage in enumerate(stages):
        rate, seconds = (
            _number(file, stage, key, f"load.stages[{i}].{key}") for key in ("rate", "duration")
        )
        count = rate * seconds
        cached = None if shared is None else count * shared
        found.append(Bucket(start, seconds, count, count * inputs, count * outputs, cached))
        start += seconds
    return found


def _sizes(file: str, data: Mapping[str, Any]) -> tuple[float, float, float | None]:
    """(input, output, input that requests share) in tokens."""
    prefix = _part(data, "shared_prefix")
    if prefix:
        keys = ("system_prompt_len", "question_len", "output_len")
        system, question, output = (
            _number(file, prefix, key, f"data.shared_prefix.{key}") for key in keys
        )
        return system + question, output, system
    means = []
    for key in ("input_distribution", "output_distribution"):
        part = _part(data, key)
        if not part:
            said = "required: mean lengths, as the data set itself is not in the file"
            _refuse(file, f"data.{key}", said)
        means.append(_number(file, part, "mean", f"data.{key}.mean"))
    return means[0], means[1], None


def _part(document: Any, key: str) -> Mapping[str, Any]:
    part = document.get(key) if isinstance(document, Mapping) else None
    return part if isinstance(part, Mapping) else {}


def _number(file: str, held: Any, key: str, path: str) -> float:
    value = held.get(key) if isinstance(held, Mapping) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        _refuse(file, path, f"expected a number above 0, found {value!r}")
    return float(value)


def _refuse(file: str, path: str, message: str) -> NoReturn:
    raise InputError([Fault(file, 0, 0, path, message)])
