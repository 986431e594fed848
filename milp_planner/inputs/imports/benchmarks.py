"""A user's own measurements: YAML or CSV, or what benchmark tools write and print.

    vllm bench serve --save-result       one object, or one a line with --append-result
    guidellm benchmark --output-path     `benchmarks:` with one entry per load

More are in `aiperf.py` and `benchmark_reports.py`. Formats as these tools wrote them in 2025 and
2026. To add one, write a function from plain data to `Found` rows and name it in `JSON_FORMATS`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from milp_planner.errors import Fault, InputError, input_error, readable_path
from milp_planner.inputs.catalog.csv_rows import read_rows, wording
from milp_planner.inputs.catalog.evidence.ran_in import MOST_UNITS
from milp_planner.inputs.imports.aiperf import aiperf_rows, is_aiperf
from milp_planner.inputs.imports.benchmark_reports import (
    NOT_SAID,
    Run,
    is_projection,
    other_rows,
    printed_documents,
    projection_rows,
    report_in_yaml,
    report_rows,
)
from milp_planner.inputs.imports.tool_figures import (
    MS_PER_S,
    JsonRow,
    as_object,
    day,
    first_text,
    named,
    number,
    ratio,
    text,
)
from milp_planner.inputs.reading.files import opened_from, read_text
from milp_planner.inputs.reading.records import Frozen
from milp_planner.inputs.reading.strict_json import parse_json
from milp_planner.inputs.reading.strict_yaml import read_yaml
from milp_planner.inputs.reading.validation import validate
from milp_planner.lazily import dataclass, field
from milp_planner.units import MOST, PositiveNumber, Seconds, Share, WholeNumber, YesNo

MOST_ROWS = 10_000

Figure = Annotated[PositiveNumber, Field(le=MOST)]
Time = Annotated[Seconds, Field(le=MOST)]

CONCURRENCY_REQUIRED = "required, a throughput means nothing without it"


class OwnMeasurement(Frozen):
    """One measured point of one replica, as a user writes it; what is left out is asked elsewhere.

    Columns and keys are those of `measurements.csv`.
    """

    llm: str | None = None
    gpu: str | None = None
    precision: str | None = None
    tensor_parallel: Annotated[WholeNumber, Field(ge=1, le=MOST)] | None = None
    engine: str = ""
    regime: str = "fixed_concurrency"
    input_tokens: Figure | None = None
    output_tokens: Figure | None = None
    concurrency: Figure | None = None
    """Requests in flight in the replica."""

    output_tokens_per_second: Figure
    """Generated tokens per second of the whole replica."""

    ttft_s: Time | None = Field(default=None, validation_alias="ttft", serialization_alias="ttft")
    tpot_s: Time | None = Field(default=None, validation_alias="tpot", serialization_alias="tpot")
    engine_version: str = ""
    tuning: Literal["", "default", "tuned"] = ""
    kv_precision: Literal["", "bf16", "fp8"] = ""
    memory_share: Annotated[Share, Field(ge=0.1)] | None = None
    max_sequences: Annotated[WholeNumber, Field(ge=1)] | None = None
    prefix_cache_share: Annotated[Share, Field(lt=1)] = 0.0
    expert_parallel: YesNo = False
    lora_adapters: Annotated[WholeNumber, Field(ge=0, le=MOST)] = 0
    draft_tokens: Annotated[WholeNumber, Field(ge=0, le=MOST)] = 0
    units_per_replica: Annotated[WholeNumber, Field(ge=1, le=MOST_UNITS)] | None = None
    pipeline_parallel: Annotated[WholeNumber, Field(ge=1, le=MOST_UNITS)] | None = None
    gb_per_s_between_units: PositiveNumber | None = None
    as_of: date | None = None
    source: str = ""
    note: str = ""


class MeasurementFile(Frozen):
    """A YAML file of measurements."""

    measurements: tuple[OwnMeasurement, ...] = Field(min_length=1, max_length=MOST_ROWS)


@dataclass(frozen=True)
class Found:
    """One measurement and where it was read."""

    file: str
    line: int
    path: str
    """`benchmarks[2]`; '' in a file of one measurement, or where the line says it."""

    row: OwnMeasurement
    speculative: bool = False
    """The tool says that draft tokens were used."""

    names: Mapping[str, str] = field(default_factory=dict)
    """What the tool says that ran: `llm`, `gpu`, `engine_version`, in its own words."""

    warnings: tuple[str, ...] = field(default=())

    def fault(self, column: str, message: str, hint: str = "") -> Fault:
        """A fault of this measurement."""
        path = ".".join(part for part in (self.path, column) if part)
        return Fault(self.file, self.line, 0, path, message, hint)


def read_measurements(files: Sequence[Path], run: Run = NOT_SAID) -> list[Found]:
    """Every measurement of the files, in order; the format is told by suffix and content.

    run: request sizes and requests in flight, for tools that do not write them down.

    Raises InputError with every fault, and where a throughput has no concurrency or request size.
    """
    found: list[Found] = []
    faults: list[Fault] = []
    for file in files:
        try:
            found += _read(file, run)
        except InputError as error:
            faults += error.faults
    faults += [fault for row in found for fault in _missing(row)]
    if faults:
        raise InputError(faults)
    return found


def _missing(found: Found) -> Iterator[Fault]:
    """What a throughput means nothing without."""
    needed = ["input_tokens", "output_tokens"]
    if found.row.regime != "offline_max":
        needed.insert(0, "concurrency")
    for name in needed:
        if getattr(found.row, name) is None:
            yield found.fault(name, CONCURRENCY_REQUIRED, HINTS.get(name, ""))


def _read(file: Path, run: Run) -> list[Found]:
    opened = opened_from(file)
    if opened is not None and opened.is_dir():
        raise input_error("is a directory; give a file", file=str(file))
    suffix = file.suffix.lower()
    content = read_text(file)
    if suffix in (".yaml", ".yml"):
        report = report_in_yaml(content)
        if report is not None:
            return [_checked(file, 0, *row) for row in report_rows(str(file), report)]
        return list(_from_yaml(file))
    if suffix == ".csv":
        if is_projection(content):
            try:
                return [_checked(file, n, *row) for n, row in projection_rows(content)]
            except csv.Error as problem:
                raise input_error(f"not valid CSV: {problem}", file=str(file)) from None
        return list(_from_csv(file))
    if suffix in (".json", ".jsonl"):
        return list(_from_json(file, run))
    if suffix in (".txt", ".log"):
        return [_checked(file, n, *row) for n, row in _printed_rows(str(file), content, run)]
    raise input_error("give .yaml, .csv, .json, .jsonl, .txt or .log", file=str(file))


def _printed_rows(file: str, content: str, run: Run) -> Iterator[tuple[int, JsonRow]]:
    """What a benchmark printed, as the document that it would have written."""
    for line, document in printed_documents(file, content):
        rows = _vllm_rows(document) if _is_vllm(document) else other_rows(file, document, run)
        yield from ((line, row) for row in rows or ())


def _from_yaml(file: Path) -> Iterator[Found]:
    document = read_yaml(file, first_key="measurements", hint="")
    for i, row in enumerate(validate(MeasurementFile, document).measurements):
        path = readable_path(("measurements", i))
        yield Found(str(file), document.named(path)[0], path, row)


def _from_csv(file: Path) -> Iterator[Found]:
    columns = list(OwnMeasurement.model_fields)
    content = read_text(file).encode()
    rows, faults = read_rows(content, str(file), columns, ["output_tokens_per_second"])
    checked = TypeAdapter(OwnMeasurement)
    found = []
    for line, cells in rows:
        try:
            found.append(Found(str(file), line, "", checked.validate_python(_in_seconds(cells))))
        except ValidationError as error:
            faults += [
                Fault(str(file), line, 0, str(e["loc"][0]) if e["loc"] else "", wording(e))
                for e in error.errors()
            ]
    if faults:
        raise InputError(faults)
    yield from found


def _in_seconds(cells: Mapping[str, Any]) -> dict[str, Any]:
    """Times of a CSV are plain seconds, as their column says."""

    def plain(name: str, cell: Any) -> Any:
        if not name.endswith("_s"):
            return cell
        try:
            return float(cell)
        except ValueError:
            return cell

    return {name: plain(name, cell) for name, cell in cells.items()}


def _from_json(file: Path, run: Run) -> Iterator[Found]:
    for line, document in _documents(file):
        if not isinstance(document, dict):
            raise input_error(UNKNOWN_JSON, file=str(file))
        for is_it, rows in JSON_FORMATS:
            if is_it(document):
                yield from (_checked(file, line, *row) for row in rows(document))
                break
        else:
            others = other_rows(str(file), document, run)
            if others is None:
                raise input_error(UNKNOWN_JSON, file=str(file))
            yield from (_checked(file, line, *row) for row in others)


def _documents(file: Path) -> Iterator[tuple[int, Any]]:
    """The JSON document of a file, or one a line, each with its line."""
    text = read_text(file)
    lines = [(n, line) for n, line in enumerate(text.split("\n"), start=1) if line.strip()]
    if len(lines) > 1 and all(_is_whole(line) for _, line in lines[:2]):
        if len(lines) > MOST_ROWS:
            raise input_error(f"has more than {MOST_ROWS:,} lines", file=str(file))
        yield from [(n, parse_json(line, str(file), n)) for n, line in lines]
    else:
        yield 0, parse_json(text, str(file))


def _is_whole(line: str) -> bool:
    """Whether the line is an object by itself, however wrong its values."""
    text = line.strip()
    return text.startswith("{") and text.endswith("}")


def _checked(
    file: Path,
    line: int,
    path: str,
    values: dict[str, Any],
    speculative: bool,
    names: dict[str, str],
) -> Found:
    """The values as a record; what is not a number above 0 counts as not given."""
    known = {name: value for name, value in values.items() if value is not None}
    try:
        return Found(
            str(file), line, path, OwnMeasurement.model_validate(known), speculative, names
        )
    except ValidationError as error:
        raise InputError(
            Fault(str(file), line, 0, ".".join([path, str(e["loc"][0])]).lstrip("."), wording(e))
            for e in error.errors()
        ) from None


def _is_vllm(document: Mapping[str, Any]) -> bool:
    return "output_throughput" in document and "total_input_tokens" in document


def _vllm_rows(document: Mapping[str, Any]) -> Iterator[JsonRow]:
    """`vllm bench serve`: totals ÷ requests completed give the mean request size."""
    completed = number(document.get("completed"))
    sglang = str(document.get("backend")).startswith("sglang")  # its benchmark is a child of vLLM's
    values = {
        "engine": "sglang" if sglang else "vllm",
        "input_tokens": ratio(document.get("total_input_tokens"), completed),
        "output_tokens": ratio(document.get("total_output_tokens"), completed),
        # SGLang writes the mean number in flight, too, which an open loop has alone.
        "concurrency": number(document.get("max_concurrency"))
        or number(document.get("concurrency")),
        "output_tokens_per_second": number(document.get("output_throughput")),
        "ttft_s": ratio(document.get("mean_ttft_ms"), MS_PER_S),
        "tpot_s": ratio(document.get("mean_tpot_ms"), MS_PER_S),
        "as_of": day(document.get("date")),
        "note": text("bench serve of", document.get("model_id")),
    }
    server = as_object(document.get("server_info"))
    names = named(
        llm=document.get("model_id") or server.get("model_path"),
        engine_version=server.get("version") if sglang else None,
    )
    drafted = "spec_decode_acceptance_rate" in document or number(document.get("accept_length"))
    yield "", values, bool(drafted), names


def _is_guidellm(document: Mapping[str, Any]) -> bool:
    return isinstance(document.get("benchmarks"), list)


def _guidellm_rows(document: Mapping[str, Any]) -> Iterator[JsonRow]:
    """GuideLLM: means over the successful requests; its inter-token latency is our tpot."""
    for i, entry in enumerate(document["benchmarks"]):
        benchmark = as_object(entry)
        metrics = as_object(benchmark.get("metrics"))
        values = {
            "input_tokens": _mean(metrics, "prompt_token_count"),
            "output_tokens": _mean(metrics, "output_token_count"),
            "concurrency": _streams(benchmark) or _mean(metrics, "request_concurrency"),
            "output_tokens_per_second": _mean(metrics, "output_tokens_per_second"),
            "ttft_s": ratio(_mean(metrics, "time_to_first_token_ms"), MS_PER_S),
            "tpot_s": ratio(_mean(metrics, "inter_token_latency_ms"), MS_PER_S),
            "as_of": day(benchmark.get("start_time")),
            "note": "guidellm",
        }
        names = named(llm=first_text(benchmark, "model") or first_text(document, "model"))
        yield f"benchmarks[{i}]", values, False, names


def _streams(benchmark: Mapping[str, Any]) -> float | None:
    """Requests held in flight, where the load was a closed loop."""
    for holder in ("config", "args"):
        strategy = as_object(as_object(benchmark.get(holder)).get("strategy"))
        if strategy.get("type_") == "synchronous":
            return 1.0
        if strategy.get("type_") == "concurrent":
            return number(strategy.get("streams"))
    return None


def _mean(metrics: Mapping[str, Any], name: str) -> float | None:
    return number(as_object(as_object(metrics.get(name)).get("successful")).get("mean"))


HINTS = {
    "concurrency": "run the benchmark with a fixed number of requests in flight "
    "(vllm bench serve --max-concurrency, guidellm --rate-type concurrent, aiperf --concurrency)",
}

UNKNOWN_JSON = (
    "not the JSON of `vllm bench serve`, GuideLLM or AIPerf, nor of another tool that is known; "
    "write the measurements as YAML or CSV"
)

JSON_FORMATS: tuple[
    tuple[
        Callable[[Mapping[str, Any]], bool],
        Callable[[Mapping[str, Any]], Iterator[JsonRow]],
    ],
    ...,
] = ((_is_vllm, _vllm_rows), (_is_guidellm, _guidellm_rows), (is_aiperf, aiperf_rows))
"""(is it that tool's document, its rows)."""
