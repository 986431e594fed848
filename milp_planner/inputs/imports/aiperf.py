"""AIPerf's and GenAI-Perf's summary of a run: `profile_export_aiperf.json`, `..._genai_perf.json`.

    "output_token_throughput": {"unit": "tokens/sec", "avg": 812.4}

Each metric has its unit beside it, which alone says what its figures count (AIPerf, "JSON Export
Schema", versions 1.0 to 1.5). What was sent is `input_config`: a list of phases, or as one load.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from milp_planner.inputs.imports.tool_figures import (
    MS_PER_S,
    PER_SECOND,
    JsonRow,
    as_object,
    day,
    first_text,
    named,
    number,
    ratio,
    text,
    times,
)

RATES = ("request_rate", "rate")
"""Keys of a load that sends so many requests a second, whatever is in flight."""

HEADS = re.compile(r"(?:^|\s)(?:--model-names|--model|-m)[ =]['\"]?([^\s'\",]+)")
"""The LLM in a command line."""


def is_aiperf(document: Mapping[str, Any]) -> bool:
    """Whether it is a summary of either tool."""
    return "avg" in as_object(_metrics(document).get("output_token_throughput"))


def aiperf_rows(document: Mapping[str, Any]) -> Iterator[JsonRow]:
    """One row: averages over the requests that were measured, each read by its unit."""
    metrics, config = _metrics(document), document.get("input_config")
    values = {
        "input_tokens": _average(metrics, "input_sequence_length"),
        "output_tokens": _average(metrics, "output_sequence_length"),
        "concurrency": _in_flight(config, metrics),
        "output_tokens_per_second": _average(metrics, "output_token_throughput"),
        "ttft_s": _time(metrics, "time_to_first_token", "ttft"),
        "tpot_s": _time(metrics, "inter_token_latency"),
        "as_of": day(document.get("start_time")),
        "note": text("aiperf", "cancelled before its end" * bool(document.get("was_cancelled"))),
    }
    yield "", values, False, named(llm=_llm(document, config), gpu=_gpu(document))


def _metrics(document: Mapping[str, Any]) -> Mapping[str, Any]:
    return as_object(document.get("records")) or document


def _average(metrics: Mapping[str, Any], name: str) -> float | None:
    return number(as_object(metrics.get(name)).get("avg"))


def _time(metrics: Mapping[str, Any], *names: str) -> float | None:
    """An average time in seconds, by the unit stated beside it; milliseconds when none is."""
    for name in names:
        unit = str(as_object(metrics.get(name)).get("unit") or "ms").lower()
        found = ratio(_average(metrics, name), PER_SECOND.get(unit, MS_PER_S))
        if found:
            return found
    return None


def _in_flight(config: Any, metrics: Mapping[str, Any]) -> float | None:
    """Requests held in flight; where a rate is sent, the mean number (Little): there a
    `concurrency` beside the rate is a ceiling.
    """
    load = _load(config)
    held = _first_number(load, "concurrency")
    if held is not None and not any(_first_number(load, name) for name in RATES):
        return held
    return times(_average(metrics, "request_throughput"), _time(metrics, "request_latency"))


def _load(config: Any) -> Any:
    """The phase that was measured; all of the configuration, where it has no phases."""
    phases = as_object(config).get("phases")
    if isinstance(phases, dict):
        phases = [{"name": name, **as_object(phase)} for name, phase in phases.items()]
    if not isinstance(phases, list):
        return config
    known = [phase for phase in phases if isinstance(phase, dict)]
    named_so = [phase for phase in known if phase.get("name") == "profiling"]
    return next(iter(named_so or known[-1:]), config)  # a warm-up comes first


def _first_number(config: Any, key: str) -> float | None:
    """The first number of that key, wherever this version keeps it."""
    if isinstance(config, dict):
        inner: Any = config.values()
        own = number(config.get(key))
        if own is not None:
            return own
    elif isinstance(config, list):
        inner = config
    else:
        return None
    return next((one for one in (_first_number(part, key) for part in inner) if one), None)


def _llm(document: Mapping[str, Any], config: Any) -> str:
    """What was asked for: in the configuration, else in the command line of the run."""
    listed = as_object(as_object(config).get("models")).get("items")
    item = listed[0] if isinstance(listed, list) and listed else None
    keys = (config, "model_names"), (config, "models"), (item, "name"), (config, "model")
    told = (first_text(held, key) for held, key in keys)
    command = str(as_object(document.get("run_info")).get("cli_command") or "")
    match = HEADS.search(command)
    return next(filter(None, told), match[1] if match else "")


def _gpu(document: Mapping[str, Any]) -> str:
    """The GPU that telemetry names; '' where it names none, or several."""
    endpoints = as_object(as_object(document.get("telemetry_data")).get("endpoints"))
    gpus = (as_object(as_object(one).get("gpus")) for one in endpoints.values())
    names = {str(as_object(gpu).get("gpu_name") or "") for held in gpus for gpu in held.values()}
    return names.pop() if len(names) == 1 else ""
