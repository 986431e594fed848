"""Published rows as samples: sources and tiers, running batches, and who waited for memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from milp_planner.serving.roofline import roofline
from milp_planner.study.sources import settings_of, source_of
from tests.study.test_accuracy import CATALOG, LLAMA, estimate, point, read


def test_a_time_to_the_first_token_beyond_all_prefills_is_waiting_for_memory(
    tmp_path: Path,
) -> None:
    prefill = estimate("llama-70b", "fast").prefill_s
    rows = [point(n=8, ttft_s=16 * prefill + 0.9), point(n=16, ttft_s=32 * prefill + 1.1)]
    samples = read(tmp_path, rows)
    assert [s.concurrency for s in samples.inside] == [8]
    assert [s.concurrency for s in samples.crowded] == [16]


def test_static_batches_and_endless_queues_are_samples_of_throughput_alone(
    tmp_path: Path,
) -> None:
    rows = [
        point(n=8, regime="static_batch", tpot_s=""),
        point(n=16, regime="offline_max", tpot_s="", concurrency="", engine="tensorrt-llm"),
    ]
    batch, queue = read(tmp_path, rows).inside
    assert (batch.concurrency, batch.tpot_s) == (8, None)
    shared = roofline(LLAMA, CATALOG.gpus["fast"], "fp8", 4, 1000, 500, shared_prefill=True)
    assert batch.estimate.prefill_s == shared.prefill_s
    # 0.9 · (141 − 16.43 − 0.8 − 0.75) = 110.7 GiB; 1,500 tokens of 40 KiB in 8 bits: 1,934
    assert (queue.concurrency, queue.settings.tier) == (1934, "tuned")


def test_a_source_is_known_by_its_collection_or_its_repository() -> None:
    assert source_of("mlenergy", "vllm", "").name == "ML.ENERGY"
    assert source_of("ai-dynamo/aiconfigurator@095f58a x.csv", "vllm", "").name == "InferenceX"
    note = "NVIDIA internal source_file=x"
    assert source_of("aiconfigurator_silicon", "trtllm", note).name == "NVIDIA internal"
    assert source_of("argonne_2024", "tensorrt-llm", "").name == "Argonne, TensorRT-LLM"
    assert not source_of("argonne_2024", "vllm", "").recent
    assert source_of("lab/bench x", "vllm", "").name == "lab/bench"


def test_the_tier_of_a_row_is_set_by_who_ran_it() -> None:
    tiers = {
        ("aiconfigurator_silicon", "vllm"): "tuned",
        ("mlenergy", "vllm"): "default",
        ("argonne_2024", "vllm"): "old",
        ("argonne_2024", "tensorrt-llm"): "tuned",
        ("splitwise_perf_model", "vllm"): "old",
        ("somebody", "sglang"): "default",
    }
    for (collection, engine), tier in tiers.items():
        assert settings_of(source_of(collection, engine, ""), engine).tier == tier


def test_running_batches_and_replicas_behind_a_proxy_are_those_of_one_replica(
    tmp_path: Path,
) -> None:
    note = "task gpqa; mean running batch 12.5; 1 J/token"
    size = (260, 500)
    rows = [
        point(n=12.5, size=size, concurrency=32, input_tokens="", source="mlenergy", note=note),
        point(n=8, parallelism="TP4, 2 replicas behind nginx", concurrency=16),
    ]
    rows[1]["output_tokens_per_second"] *= 2
    rows = [{"parallelism": "TP4", **r} for r in rows]
    running, behind = read(tmp_path, rows).inside
    assert (running.concurrency, running.input_tokens) == (12.5, 260)
    assert (behind.concurrency, behind.tensor_parallel) == (8, 4)
    assert [s.rate_ratio for s in (running, behind)] == pytest.approx([1.0, 1.0])
