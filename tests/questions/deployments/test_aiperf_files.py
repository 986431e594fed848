"""AIPerf's and GenAI-Perf's summaries: every figure by its unit, the phase that was measured."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from milp_planner import load_catalog
from milp_planner.inputs.imports.benchmarks import Found, read_measurements
from milp_planner.questions.deployments.ran import clashes, ran_names

LLM = "meta-llama/Llama-3.1-8B-Instruct"


def spread(unit: str, avg: float, **more: float) -> dict[str, Any]:
    """A metric of requests, as both tools write one: AIPerf's have counts and sums, too."""
    return {"unit": unit, "avg": avg, "p50": avg * 0.9, "p99": avg * 2, "std": avg / 9, **more}


# 40 s, 640 requests of 1000 + 250 tokens, 32 in flight: 16 requests/s, 4000 tokens/s generated;
# a request takes 2 s, 0.12 s of it to the first token, and 249 more of 7.55 ms.
METRICS = {
    "request_throughput": {"unit": "requests/sec", "avg": 16.0},
    "output_token_throughput": {"unit": "tokens/sec", "avg": 4000.0},
    "total_token_throughput": {"unit": "tokens/sec", "avg": 20_000.0},
    "request_count": {"unit": "requests", "avg": 640.0},
    "request_latency": spread("ms", 2000.0),
    "time_to_first_token": spread("ms", 120.0),
    "time_to_second_token": spread("ms", 8.0),
    "inter_token_latency": spread("ms", 7.55),
    "output_token_throughput_per_user": spread("tokens/sec/user", 132.4),
    "input_sequence_length": spread("tokens", 1000.0),
    "output_sequence_length": spread("tokens", 250.0),
}
PHASES = [
    {"name": "warmup", "type": "concurrency", "concurrency": 4, "requests": 8},
    {"name": "profiling", "type": "concurrency", "concurrency": 32, "requests": 640},
]
GPU = {"gpu_index": 0, "gpu_name": "NVIDIA H100 80GB HBM3", "gpu_uuid": "GPU-0", "metrics": {}}
AIPERF: dict[str, Any] = {
    "schema_version": "1.5",
    "aiperf_version": "0.14.0",
    "benchmark_id": "0d5a",
    **METRICS,
    "input_config": {
        "models": {"items": [{"name": LLM}], "strategy": "round_robin"},
        "endpoint": {"type": "chat", "streaming": True, "urls": ["http://localhost:8000"]},
        "phases": PHASES,
    },
    "run_info": {"cli_command": f"aiperf profile --model {LLM} --concurrency 32", "trial": 0},
    "telemetry_data": {"endpoints": {"localhost:9400": {"gpus": {"gpu_0": GPU}}}},
    "warmup_metrics": {"output_token_throughput": {"unit": "tokens/sec", "avg": 77.0}},
    "was_cancelled": False,
    "start_time": "2026-08-01T12:00:00Z",
    "end_time": "2026-08-01T12:00:40Z",
}
OLD_AIPERF = {
    "records": METRICS,
    "input_config": {
        "endpoint": {"model_names": [LLM], "type": "chat"},
        "loadgen": {"concurrency": 32, "request_count": 640},
    },
    "start_time": "2026-08-01T12:00:00",
}
GENAI_PERF = {
    **METRICS,
    "input_config": {
        "model_names": [LLM],
        "endpoint": {"model_selection_strategy": "round_robin", "backend": "vllm", "type": "chat"},
        "perf_analyzer": {"stimulus": {"concurrency": 32}, "measurement": {"num": 640}},
        "input": {"synthetic_tokens": {"mean": 1000, "stddev": 0}},
        "output": {"profile_export_file": "profile_export.json"},
        "tokenizer": {"name": LLM},
        "subcommand": "profile",
    },
    "telemetry_stats": {},
}


def one(folder: Path, document: dict[str, Any]) -> Found:
    path = folder / "profile_export_aiperf.json"
    path.write_text(json.dumps(document, indent=2))
    (found,) = read_measurements([path])
    return found


@pytest.mark.parametrize(
    ("document", "day"),
    [(AIPERF, date(2026, 8, 1)), (OLD_AIPERF, date(2026, 8, 1)), (GENAI_PERF, None)],
    ids=["aiperf", "aiperf before phases", "genai-perf"],
)
def test_both_tools_and_all_their_versions_give_the_same_row(
    document: dict[str, Any], day: date | None, tmp_path: Path
) -> None:
    found = one(tmp_path, document)
    row = found.row
    assert (row.input_tokens, row.output_tokens, row.concurrency) == (1000, 250, 32)
    assert row.output_tokens_per_second == 4000  # neither a user's nor with the input
    assert (row.ttft_s, row.tpot_s) == (pytest.approx(0.12), pytest.approx(0.00755))
    assert row.as_of == day
    assert found.names["llm"] == LLM


@pytest.mark.parametrize(("unit", "per_second"), [("s", 1), ("ms", 1e3), ("us", 1e6), ("ns", 1e9)])
def test_the_unit_beside_a_figure_is_its_unit(unit: str, per_second: float, tmp_path: Path) -> None:
    times = {
        "time_to_first_token": spread(unit, 0.12 * per_second),
        "inter_token_latency": spread(unit, 0.00755 * per_second),
    }
    row = one(tmp_path, {**AIPERF, **times}).row
    assert (row.ttft_s, row.tpot_s) == (pytest.approx(0.12), pytest.approx(0.00755))


@pytest.mark.parametrize(
    "load",
    [
        {"phases": [{"name": "profiling", "type": "poisson", "rate": 16.0, "concurrency": 500}]},
        {"phases": {"profiling": {"type": "constant", "rate": 16.0}}},
        {"loadgen": {"request_rate": 16.0, "concurrency": 500}},
        {"perf_analyzer": {"stimulus": {"request_rate": 16.0}}},
    ],
)
def test_where_a_rate_is_sent_the_mean_number_is_in_flight(
    load: dict[str, Any], tmp_path: Path
) -> None:
    # Little: 16 requests/s x 2 s; 500 is a ceiling that was never reached.
    row = one(tmp_path, {**METRICS, "input_config": {"model": LLM, **load}}).row
    assert row.concurrency == pytest.approx(32)


def test_the_llm_is_read_from_the_command_line_where_nothing_else_names_it(tmp_path: Path) -> None:
    bare = {**AIPERF, "input_config": {"phases": PHASES}}
    assert one(tmp_path, bare).names["llm"] == LLM
    bare["run_info"] = {"cli_command": "aiperf profile -m 'Qwen/Qwen3-32B' --url http://x"}
    assert one(tmp_path, bare).names["llm"] == "Qwen/Qwen3-32B"
    bare["run_info"] = {"cli_command": None}
    assert "llm" not in one(tmp_path, bare).names


def test_a_run_of_another_llm_or_gpu_is_refused(tmp_path: Path) -> None:
    known = load_catalog("market")
    found = one(tmp_path, AIPERF)
    assert ran_names(found, known) == {"llm": "llama-3.1-8b", "gpu": "h100-80gb-sxm"}
    asked = {"llm": "qwen3-32b", "gpu": "l4-24gb"}
    assert [fault.message for fault in clashes(found, known, asked)] == [
        f"the run is of {LLM} (llama-3.1-8b), not of qwen3-32b",
        "the run is on NVIDIA H100 80GB HBM3, not on l4-24gb",
    ]
    assert list(clashes(found, known, {"llm": "llama-3.1-8b", "gpu": "h100-80gb-sxm"})) == []


def test_gpus_of_two_kinds_name_none_and_a_cancelled_run_says_so(tmp_path: Path) -> None:
    other = {**GPU, "gpu_name": "NVIDIA L40S"}
    both = {"endpoints": {"a": {"gpus": {"gpu_0": GPU}}, "b": {"gpus": {"gpu_0": other}}}}
    found = one(tmp_path, {**AIPERF, "telemetry_data": both, "was_cancelled": True})
    assert "gpu" not in found.names
    assert found.row.note == "aiperf cancelled before its end"
