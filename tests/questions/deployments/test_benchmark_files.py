"""What benchmark tools write and print: in their own units, and held against what was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from milp_planner import InputError, load_catalog
from milp_planner.inputs.imports.benchmark_reports import Run
from milp_planner.inputs.imports.benchmarks import Found, read_measurements
from milp_planner.questions.deployments.calibrate import calibrate
from milp_planner.questions.deployments.ran import clashes, ran_names

SIZES = Run(input_tokens=1000, output_tokens=3096, concurrency=64)

SERVE = {
    "backend": "vllm",
    "model_id": "openai/gpt-oss-120b",
    "max_concurrency": 64,
    "completed": 500,
    "total_input_tokens": 500_000,
    "total_output_tokens": 100_000,
    "output_throughput": 2000.0,
    "mean_ttft_ms": 300.0,
    "mean_tpot_ms": 25.0,
}
THROUGHPUT = {
    "elapsed_time": 262.144,
    "num_requests": 64,
    "total_num_tokens": 262_144,
    "requests_per_second": 0.2441,
    "tokens_per_second": 1000.0,
}
STAGE = {
    "load_summary": {"count": 600},
    "successes": {
        "count": 600,
        "latency": {
            "request_latency": {"mean": 2.0},
            "time_to_first_token": {"mean": 0.2},
            "time_per_output_token": {"mean": 0.03},
        },
        "throughput": {"output_tokens_per_sec": 600.0, "requests_per_sec": 10.0},
        "prompt_len": {"mean": 200.0},
        "output_len": {"mean": 60.0},
    },
}
HOST = {"model": "H100", "count": 4, "parallelism": {"dp": 1, "tp": 4, "pp": 1, "ep": 1}}
REPORT = {
    "version": "0.1",
    "scenario": {
        "host": {"type": ["replica", "replica"], "accelerator": [HOST, HOST]},
        "platform": {"engine": [{"name": "vllm", "version": "0.11.0"}] * 2},
        "model": {"name": "meta-llama/Llama-3.3-70B-Instruct", "quantization": "fp8"},
        "load": {"name": "inference-perf"},
    },
    "metrics": {
        "time": {"duration": 60.0, "start": 1793577600},
        "requests": {"input_length": {"mean": 800}, "output_length": {"mean": 200}},
        "latency": {
            "request_latency": {"units": "ms", "mean": 4000},
            "time_to_first_token": {"units": "ms", "mean": 400},
            "time_per_output_token": {"units": "ms/token", "mean": 18},
        },
        "throughput": {"output_tokens_per_sec": 2000.0, "requests_per_sec": 10.0},
    },
}
PRINTED = """
INFO starting
============ Serving Benchmark Result ============
Successful requests:                     500
Maximum request concurrency:             64
Benchmark duration (s):                  20.00
Total input tokens:                      500000
Total generated tokens:                  100000
Output token throughput (tok/s):         2000.00
---------------Time to First Token----------------
Mean TTFT (ms):                          300.00
-----Time per Output Token (excl. 1st token)------
Mean TPOT (ms):                          25.00
"""
CONFIGURATIONS = (
    "model,isl,osl,concurrency,bs,ttft,tpot,tokens/s,tokens/s/gpu,num_total_gpus,tp,pp,gemm,"
    "backend,version,system\n"
    "Qwen/Qwen3-32B,4000,500,32,32,800,25,1200,600,2,2,1,fp8,trtllm,1.0.0,h200_sxm\n"
)


SGLANG = {
    # As `python -m sglang.bench_serving --output-file` writes a line, at a rate of 2 a second:
    # 180 of 200 requests/100 s; 1.8 a second x 5 s are 9 in flight.
    **{"backend": "sglang", "dataset_name": "random", "request_rate": 2.0},
    **{"max_concurrency": None, "duration": 100.0, "completed": 180},
    **{"total_input_tokens": 180_000, "total_output_tokens": 45_000, "request_throughput": 1.8},
    **{"output_throughput": 450.0, "total_throughput": 2250.0, "mean_e2e_latency_ms": 5000.0},
    **{"mean_ttft_ms": 200.0, "mean_tpot_ms": 19.28, "concurrency": 9.0, "accept_length": None},
    "server_info": {"model_path": "openai/gpt-oss-120b", "version": "0.5.23", "tp_size": 2},
}
GUIDELLM = {
    "metadata": {"version": 1, "guidellm_version": "0.4.0"},
    "args": {"target": "http://localhost:8000", "model": "openai/gpt-oss-120b"},
    "benchmarks": [
        {
            "config": {"strategy": {"type_": "concurrent", "streams": streams}},
            "metrics": {
                name: {"successful": {"mean": mean, "median": mean}, "total": {"mean": 0.9 * mean}}
                for name, mean in (
                    ("prompt_token_count", 1000.0),
                    ("output_token_count", 250.0),
                    ("output_tokens_per_second", 100.0 * streams),
                    ("tokens_per_second", 500.0 * streams),
                    ("time_to_first_token_ms", 80.0),
                    ("inter_token_latency_ms", 9.6),
                )
            },
        }
        for streams in (1, 8)
    ],
}


def one(folder: Path, name: str, content: Any, run: Run | None = None) -> Found:
    text = content if isinstance(content, str) else json.dumps(content)
    (folder / name).write_text(text)
    (found,) = read_measurements([folder / name], *([run] if run else []))
    return found


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(InputError) as error:
        call()
    return str(error.value)


def test_throughput_counts_input_and_output_together(tmp_path: Path) -> None:
    # 4096 tokens a request, of which 3096 are output: 1000 a second are 755.9 generated.
    row = one(tmp_path, "t.json", THROUGHPUT, SIZES).row
    assert row.output_tokens_per_second == pytest.approx(1000 * 3096 / 4096)
    assert (row.regime, row.input_tokens, row.output_tokens) == ("offline_max", 1000, 3096)


def test_sizes_that_a_file_does_not_have_are_asked_for_and_checked(tmp_path: Path) -> None:
    said = refused(lambda: one(tmp_path, "t.json", THROUGHPUT))
    assert "tells tokens of input and output together alone; the sizes of the run are not" in said
    assert "say what it was run with: --input, --output" in said
    other = Run(input_tokens=1000, output_tokens=500)
    said = refused(lambda: one(tmp_path, "t.json", THROUGHPUT, other))
    assert "total_num_tokens: its requests have 4,096 tokens, not 1000 + 500" in said


def test_latency_is_the_time_of_a_batch(tmp_path: Path) -> None:
    # 64 x 3096 tokens in 200 s.
    row = one(tmp_path, "l.json", {"avg_latency": 200.0, "latencies": []}, SIZES).row
    assert row.output_tokens_per_second == pytest.approx(64 * 3096 / 200)
    assert row.regime == "static_batch"
    said = refused(lambda: one(tmp_path, "l.json", {"avg_latency": 200.0}))
    assert "--input, --output, --concurrency" in said


def test_a_stage_of_inference_perf_has_its_mean_number_in_flight(tmp_path: Path) -> None:
    # Little: 10 requests/s x 2 s.
    row = one(tmp_path, "stage.json", STAGE).row
    assert row.concurrency == 20
    assert (row.input_tokens, row.output_tokens, row.output_tokens_per_second) == (200, 60, 600)
    assert (row.ttft_s, row.tpot_s) == (0.2, 0.03)


@pytest.mark.parametrize(("name", "dump"), [("r.yaml", yaml.safe_dump), ("r.json", json.dumps)])
def test_a_report_is_of_one_replica_of_those_that_are_alike(
    name: str, dump: Callable[[Any], str], tmp_path: Path
) -> None:
    found = one(tmp_path, name, dump(REPORT))
    row = found.row
    # Two replicas gave 2000 tokens/s with 10 x 4 = 40 in flight.
    assert (row.output_tokens_per_second, row.concurrency) == (1000, 20)
    assert (row.tensor_parallel, row.precision, row.engine) == (4, "fp8", "vllm")
    assert (row.ttft_s, row.tpot_s) == (0.4, 0.018)
    assert found.names == {
        "llm": "meta-llama/Llama-3.3-70B-Instruct",
        "gpu": "H100",
        "engine_version": "0.11.0",
    }


def test_a_report_of_prefill_and_decode_apart_is_refused(tmp_path: Path) -> None:
    scenario = {**REPORT["scenario"], "host": {"type": ["prefill", "decode"], "accelerator": []}}
    said = refused(lambda: one(tmp_path, "r.json", {**REPORT, "scenario": scenario}))
    assert "scenario.host.type: measures decode and prefill apart" in said


def test_what_is_printed_gives_the_row_of_the_file(tmp_path: Path) -> None:
    printed = one(tmp_path, "out.txt", PRINTED).row
    written = one(tmp_path, "out.json", SERVE).row
    drop = {"note", "as_of"}
    assert printed.model_dump(exclude=drop) == written.model_dump(exclude=drop)
    sglang = PRINTED.replace("Successful", "Backend:     sglang\nSuccessful")
    assert one(tmp_path, "s.log", sglang).row.engine == "sglang"


def test_a_printed_throughput_tells_its_sizes(tmp_path: Path) -> None:
    # 2 requests/s of 3000 tokens/s, 1000 of them generated: 1000 in and 500 out each.
    line = "Throughput: 2.00 requests/s, 3000.00 total tokens/s, 1000.00 output tokens/s\n"
    row = one(tmp_path, "t.log", line).row
    assert (row.input_tokens, row.output_tokens) == (1000, 500)
    assert row.output_tokens_per_second == pytest.approx(1000)
    assert "no result of vllm bench serve" in refused(lambda: one(tmp_path, "n.txt", "nothing\n"))


def test_aiconfigurators_table_is_said_to_be_a_projection(tmp_path: Path) -> None:
    found = one(tmp_path, "best.csv", CONFIGURATIONS)
    row = found.row
    assert (row.engine, row.tensor_parallel, row.precision) == ("tensorrt-llm", 2, "fp8")
    assert (row.concurrency, row.output_tokens_per_second, row.tpot_s) == (32, 1200, 0.025)
    assert row.note == "AIConfigurator: a projection, not a run"
    assert found.names == {"llm": "Qwen/Qwen3-32B", "gpu": "h200-sxm"}
    assert ran_names(found, load_catalog("market")) == {"llm": "qwen3-32b", "gpu": "h200-141gb-sxm"}


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (
            {"llm": "llama-3.3-70b"},
            "the run is of openai/gpt-oss-120b (gpt-oss-120b), not of llama",
        ),
        ({"engine": "sglang"}, "the run is of engine vllm, not of sglang"),
        ({"llm": "gpt-oss-120b", "engine": "vllm"}, ""),
        ({}, ""),
    ],
)
def test_a_run_of_another_llm_or_engine_is_refused(
    asked: dict[str, object], said: str, tmp_path: Path
) -> None:
    found = one(tmp_path, "serve.json", SERVE)
    faults = [fault.message for fault in clashes(found, load_catalog("market"), asked)]
    assert [fault[: len(said)] for fault in faults] == ([said] if said else [])


@pytest.mark.parametrize(
    ("name", "content", "llm"),
    [
        ("vllm.json", SERVE, "gpt-oss-120b"),
        ("sglang.jsonl", SGLANG, "gpt-oss-120b"),
        ("guidellm.json", GUIDELLM, "gpt-oss-120b"),
        ("report.json", REPORT, "llama-3.3-70b"),
        ("best.csv", CONFIGURATIONS, "qwen3-32b"),
        ("stage.json", {**STAGE, "model": "Qwen/Qwen3-32B"}, "qwen3-32b"),
    ],
)
def test_every_tool_that_names_its_llm_is_held_to_it(
    name: str, content: Any, llm: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text(content if isinstance(content, str) else json.dumps(content))
    known = load_catalog("market")
    for found in read_measurements([tmp_path / name]):
        assert ran_names(found, known)["llm"] == llm
        assert list(clashes(found, known, {"llm": llm})) == []
        (fault,) = clashes(found, known, {"llm": "mistral-7b"})
        assert fault.message.endswith(f"({llm}), not of mistral-7b")


def test_sglangs_open_loop_has_the_mean_number_it_tells(tmp_path: Path) -> None:
    found = one(tmp_path, "s.jsonl", SGLANG)
    row = found.row
    assert (row.engine, row.concurrency, row.output_tokens_per_second) == ("sglang", 9, 450)
    assert (row.input_tokens, row.output_tokens) == (1000, 250)
    assert (row.ttft_s, row.tpot_s) == (pytest.approx(0.2), pytest.approx(0.01928))
    assert found.names["engine_version"] == "0.5.23"
    assert not found.speculative
    assert one(tmp_path, "s.jsonl", {**SGLANG, "accept_length": 2.9}).speculative


def test_guidellm_has_a_row_for_each_load_of_its_successful_requests(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text(json.dumps(GUIDELLM))
    first, second = (found.row for found in read_measurements([tmp_path / "g.json"]))
    assert (first.concurrency, first.output_tokens_per_second) == (1, 100)
    assert (second.concurrency, second.output_tokens_per_second) == (8, 800)
    assert (second.ttft_s, second.tpot_s) == (pytest.approx(0.08), pytest.approx(0.0096))


def test_gpu_and_version_that_a_file_names_are_held_too(tmp_path: Path) -> None:
    found = one(tmp_path, "r.json", REPORT)
    known = load_catalog("market")
    asked = {"gpu": "l4-24gb", "engine_version": "0.9.0"}
    said = [fault.message for fault in clashes(found, known, asked)]
    assert said == [
        "the run is on H100, not on l4-24gb",
        "the run is of engine version 0.11.0, not of 0.9.0",
    ]
    fitting = {"gpu": "h100-80gb-sxm", "engine_version": "0.11.0"}
    assert list(clashes(found, known, fitting)) == []


def test_what_a_file_names_need_not_be_said_again(tmp_path: Path) -> None:
    (tmp_path / "serve.json").write_text(json.dumps(SERVE))
    where = {"gpu": "h100-80gb-sxm", "precision": "mxfp4", "tensor_parallel": 1}
    found = calibrate([tmp_path / "serve.json"], **where)
    assert [(c.row.llm, c.row.engine) for c in found.rows] == [("gpt-oss-120b", "vllm")]
    said = refused(lambda: calibrate([tmp_path / "serve.json"], llm="llama-3.3-70b", **where))
    assert "serve.json: llm: the run is of openai/gpt-oss-120b" in said
    assert "leave --llm out, or give the file of that LLM" in said
