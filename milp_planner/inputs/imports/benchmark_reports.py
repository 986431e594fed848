"""Results of more benchmark tools, as rows: documents, and what `bench serve` and its like print.

vllm bench throughput, latency       JSON and printed; sizes are not in it and have to be said
inference-perf                       `stage_N_lifecycle_metrics.json`
llm-d-benchmark                      its report, YAML or JSON, versions 0.1 and 0.2
AIConfigurator                       CSV of configurations: projections, which is said
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any

import yaml

from milp_planner.errors import Fault, InputError
from milp_planner.inputs.imports.tool_figures import (
    PER_SECOND,
    JsonRow,
    as_object,
    day,
    named,
    number,
    ratio,
    text,
    times,
)
from milp_planner.lazily import dataclass


@dataclass(frozen=True)
class Run:
    """What a tool was told and does not write down."""

    input_tokens: float | None = None
    output_tokens: float | None = None
    concurrency: float | None = None


NOT_SAID = Run()


def other_rows(file: str, document: Mapping[str, Any], run: Run) -> Iterable[JsonRow] | None:
    """The rows of a document; None where it is of no tool that is known here."""
    if "tokens_per_second" in document and "elapsed_time" in document:
        return _throughput_rows(file, document, run)
    if "avg_latency" in document:
        return _latency_rows(file, document, run)
    if "successes" in document and "load_summary" in document:
        return _inference_perf_rows(document)
    if is_report(document):
        return report_rows(file, document)
    return None


def _throughput_rows(file: str, document: Mapping[str, Any], run: Run) -> Iterator[JsonRow]:
    """`vllm bench throughput`: tokens of input and output together, everything sent at once."""
    sizes = document.get("input_tokens", run.input_tokens), run.output_tokens
    inputs, outputs = number(sizes[0]), number(document.get("output_tokens", sizes[1]))
    if inputs is None or outputs is None:
        raise _not_said(file, "tokens of input and output together", "input", "output")
    each = ratio(document.get("total_num_tokens"), number(document.get("num_requests")))
    if each is not None and abs(each - inputs - outputs) > 0.5 + 0.01 * each:
        said = f"its requests have {each:,.6g} tokens, not {inputs:g} + {outputs:g}"
        raise InputError([Fault(file, 0, 0, "total_num_tokens", said)])
    all_tokens = number(document.get("tokens_per_second"))
    values = {
        "engine": "vllm",
        "regime": "offline_max",
        "input_tokens": inputs,
        "output_tokens": outputs,
        "concurrency": run.concurrency,
        "output_tokens_per_second": times(all_tokens, outputs / (inputs + outputs)),
        "note": "bench throughput",
    }
    yield "", values, False, {}


def _latency_rows(file: str, document: Mapping[str, Any], run: Run) -> Iterator[JsonRow]:
    """`vllm bench latency`: a batch from its first token to its last."""
    batch, seconds = run.concurrency, number(document.get("avg_latency"))
    if run.input_tokens is None or run.output_tokens is None or batch is None:
        raise _not_said(file, "the time of a batch", "input", "output", "concurrency")
    values = {
        "engine": "vllm",
        "regime": "static_batch",
        "input_tokens": run.input_tokens,
        "output_tokens": run.output_tokens,
        "concurrency": batch,
        "output_tokens_per_second": ratio(batch * run.output_tokens, seconds),
        "note": "bench latency",
    }
    yield "", values, False, {}


def _not_said(file: str, what: str, *missing: str) -> InputError:
    options = ", ".join(f"--{name}" for name in missing)
    message = f"tells {what} alone; the sizes of the run are not in it"
    return InputError([Fault(file, 0, 0, "", message, f"say what it was run with: {options}")])


def _inference_perf_rows(document: Mapping[str, Any]) -> Iterator[JsonRow]:
    """inference-perf: means over the successful requests of a stage, times in seconds.

    In flight on average are requests/s x time in the system (Little): its load is an open loop.
    """
    found = as_object(document["successes"])
    latency, rates = as_object(found.get("latency")), as_object(found.get("throughput"))

    def mean(holder: Mapping[str, Any], name: str) -> float | None:
        return number(as_object(holder.get(name)).get("mean"))

    per_second = number(rates.get("requests_per_sec"))
    values = {
        "input_tokens": mean(found, "prompt_len"),
        "output_tokens": mean(found, "output_len"),
        "concurrency": times(per_second, mean(latency, "request_latency")),
        "output_tokens_per_second": number(rates.get("output_tokens_per_sec")),
        "ttft_s": mean(latency, "time_to_first_token"),
        "tpot_s": mean(latency, "time_per_output_token"),
        "note": "inference-perf",
    }
    yield "", values, False, named(llm=document.get("model"))


# The report of llm-d-benchmark


def is_report(document: Any) -> bool:
    """Whether it has the three parts of a report."""
    parts = ("version", "scenario", "metrics")
    return isinstance(document, Mapping) and all(part in document for part in parts)


def report_in_yaml(content: str) -> Mapping[str, Any] | None:
    """The report in a YAML file; None where it is something else."""
    if not re.search(r"^scenario:", content, re.MULTILINE):
        return None
    try:
        found = yaml.safe_load(content)
    except yaml.YAMLError:
        return None
    return found if is_report(found) else None


def report_rows(file: str, report: Mapping[str, Any]) -> Iterator[JsonRow]:
    """One row: the stack's throughput over its replicas, which have to be alike."""
    scenario, metrics = as_object(report.get("scenario")), as_object(report.get("metrics"))
    host = as_object(scenario.get("host"))
    roles = {str(role) for role in host.get("type") or ()}
    if roles - {"replica"}:
        said = f"measures {' and '.join(sorted(roles))} apart: no one replica gave its throughput"
        raise InputError([Fault(file, 0, 0, "scenario.host.type", said)])
    hosts = [as_object(one) for one in host.get("accelerator") or ()]
    engines = [as_object(one) for one in as_object(scenario.get("platform")).get("engine") or ()]
    if any(one != hosts[0] for one in hosts) or any(one != engines[0] for one in engines):
        said = "measures replicas that are not alike"
        raise InputError([Fault(file, 0, 0, "scenario.host.accelerator", said)])
    replicas = float(len(hosts) or 1)
    first = hosts[0] if hosts else {}
    parallel = as_object(first.get("parallelism"))
    latency, rates = as_object(metrics.get("latency")), as_object(metrics.get("throughput"))
    requests, llm = as_object(metrics.get("requests")), as_object(scenario.get("model"))
    engine = engines[0] if engines else {}
    in_flight = times(number(rates.get("requests_per_sec")), _seconds(latency, "request_latency"))
    values = {
        "engine": str(engine.get("name") or "").lower(),
        "precision": llm.get("quantization"),
        "tensor_parallel": parallel.get("tp"),
        "input_tokens": number(as_object(requests.get("input_length")).get("mean")),
        "output_tokens": number(as_object(requests.get("output_length")).get("mean")),
        "concurrency": ratio(in_flight, replicas),
        "output_tokens_per_second": ratio(rates.get("output_tokens_per_sec"), replicas),
        "ttft_s": _seconds(latency, "time_to_first_token"),
        "tpot_s": _seconds(latency, "time_per_output_token"),
        "as_of": day(as_object(metrics.get("time")).get("start")),
        "note": text("llm-d benchmark report", scenario.get("description")),
    }
    version = str(engine.get("version") or "")
    plain = version if re.fullmatch(r"\d+(\.\d+){1,3}", version) else ""
    yield (
        "",
        values,
        False,
        named(llm=llm.get("name"), gpu=first.get("model"), engine_version=plain),
    )


def _seconds(latency: Mapping[str, Any], name: str) -> float | None:
    part = as_object(latency.get(name))
    unit = str(part.get("units") or "ms").partition("/")[0]
    return ratio(part.get("mean"), PER_SECOND.get(unit))


# AIConfigurator

PROJECTION_COLUMNS = {"isl", "osl", "concurrency", "tokens/s", "tpot", "system"}


def is_projection(content: str) -> bool:
    """Whether it is AIConfigurator's table."""
    try:
        header = next(csv.reader(content.splitlines()[:1]), [])
    except csv.Error:  # no table at all, as reading it tells
        return False
    return {name.strip() for name in header} >= PROJECTION_COLUMNS


def projection_rows(content: str) -> Iterator[tuple[int, JsonRow]]:
    """One row for each configuration; of what it projects for a replica."""
    reader = csv.DictReader(content.splitlines())
    for cells in reader:

        def cell(name: str, held: Mapping[str, str] = cells) -> float | None:
            try:
                return number(float(held.get(name) or "nan"))
            except ValueError:
                return None

        values = {
            "engine": {"trtllm": "tensorrt-llm"}.get(
                cells.get("backend", ""), cells.get("backend")
            ),
            "precision": cells.get("gemm") or None,
            "tensor_parallel": None if cell("tp") is None else int(cell("tp") or 0),
            "input_tokens": cell("isl"),
            "output_tokens": cell("osl"),
            "concurrency": cell("concurrency"),
            "output_tokens_per_second": cell("tokens/s"),
            "ttft_s": ratio(cell("ttft"), PER_SECOND["ms"]),
            "tpot_s": ratio(cell("tpot"), PER_SECOND["ms"]),
            "note": "AIConfigurator: a projection, not a run",
        }
        names = named(llm=cells.get("model"), gpu=(cells.get("system") or "").replace("_", "-"))
        yield reader.line_num, ("", values, False, names)


# What is printed

PRINTED = {
    "completed": r"Successful requests:\s+(\d+)",
    "max_concurrency": r"Max(?:imum)? request concurrency:\s+(\d+)",
    "total_input_tokens": r"Total input tokens:\s+(\d+)",
    "total_output_tokens": r"Total generated tokens:\s+(\d+)",
    "output_throughput": r"Output token throughput \(tok/s\):\s+([\d.]+)",
    "mean_ttft_ms": r"Mean TTFT \(ms\):\s+([\d.]+)",
    "mean_tpot_ms": r"Mean TPOT \(ms\):\s+([\d.]+)",
}
"""Lines of `vllm bench serve` and of SGLang's `bench_serving`, by the keys of their JSON."""

SERVING = re.compile(r"=+ Serving Benchmark Result =+")
THROUGHPUT = re.compile(
    r"Throughput: ([\d.]+) requests/s, ([\d.]+) total tokens/s, ([\d.]+) output tokens/s"
)
LATENCY = re.compile(r"Avg latency: ([\d.]+) seconds")


def printed_documents(file: str, content: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, document) of every result in a log; raises InputError where there is none."""
    starts = [match.start() for match in SERVING.finditer(content)]
    found = False
    for start, end in pairwise([*starts, len(content)]):
        found = True
        part = content[start:end]
        values = {key: re.search(pattern, part) for key, pattern in PRINTED.items()}
        document: dict[str, Any] = {
            key: json.loads(match[1]) for key, match in values.items() if match
        }
        backend = re.search(r"Backend:\s+(\S+)", part)
        document["backend"] = backend[1] if backend else "vllm"
        yield _line(content, start), document
    for match in THROUGHPUT.finditer(content):
        found = True
        requests, total, outputs = (float(figure) for figure in match.groups())
        if requests > 0:
            yield (
                _line(content, match.start()),
                {
                    "elapsed_time": 1.0,
                    "tokens_per_second": total,
                    "input_tokens": (total - outputs) / requests,
                    "output_tokens": outputs / requests,
                },
            )
    for match in LATENCY.finditer(content):
        found = True
        yield _line(content, match.start()), {"avg_latency": float(match[1])}
    if not found:
        said = "no result of vllm bench serve, throughput or latency, or of SGLang's, is in it"
        raise InputError([Fault(file, 0, 0, "", said)])


def _line(content: str, place: int) -> int:
    return content.count("\n", 0, place) + 1
