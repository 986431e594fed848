"""How a deployment's settings, links and formats change the estimate: hand-worked times."""

from __future__ import annotations

from typing import Any

import pytest

from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from tests.support.serving.known_llms import toy
from tests.support.serving.rooflines import gpu, roofline


def test_default_settings_take_longer_kernels_and_more_host_time() -> None:
    tuned = roofline(toy(), gpu(), "bf16", 1, 1000, 200)
    plain = roofline(toy(), gpu(), "bf16", 1, 1000, 200, settings=DEFAULT_DEPLOYMENT)
    assert plain.overhead_s == pytest.approx(1.75 * tuned.overhead_s)
    assert plain.per_sequence_s == pytest.approx(tuned.per_sequence_s + 30e-6)
    # 10 layers · 50 µs of launches
    assert plain.prefill_s - tuned.prefill_s == pytest.approx(0.75 * 0.5e-3)
    assert (plain.body_s, plain.kv_s, plain.compute_s) == (
        tuned.body_s,
        tuned.kv_s,
        tuned.compute_s,
    )


def test_old_engines_take_longer_still_and_slower_all_reduces() -> None:
    old = DeploymentSettings(engine_version="0.6.3")
    one = roofline(toy(), gpu(), "bf16", 1, 1000, 200, settings=old)
    assert one.overhead_s == pytest.approx(1.9 * 10 * 50e-6)
    assert one.per_sequence_s == pytest.approx(65e-6)
    two = roofline(toy(), gpu(interconnect="nvlink"), "bf16", 2, 1000, 200, settings=old)
    assert two.overhead_s - one.overhead_s == pytest.approx(2 * 10 * 8e-6 * 3.2)


MOE = toy(
    parameters_b=10.0,
    active_parameters_b=2.0,
    moe_layers=10,
    experts=10,
    experts_per_token=2,
    moe_ffn_size=4000,
)


def test_experts_prefill_by_their_width_on_one_gpu() -> None:
    # 0.60 · 4000 / 6000 = 0.4 on one GPU; 0.60 · 2000 / 4000 = 0.3 split over two; whole: 0.4
    def linear_s(tp: int, **fields: Any) -> float:
        settings = DeploymentSettings(tuning="tuned", **fields)
        on = gpu(interconnect="nvlink")
        return roofline(MOE, on, "bf16", tp, 1000, 200, settings=settings).prefill_s

    work = 2 * 2e9 * 1000 / 1e14
    reduced = 1000 * 2 * 10 * 1000 * 2 / 240e9  # all-reduce volume of two GPUs
    attention = 2 * 8 * 250 * 10 * 1000**2 / 2 / 6e13
    assert linear_s(1) == pytest.approx(work / 0.4 + attention + 0.5e-3)
    assert linear_s(2) == pytest.approx(work / 2 / 0.3 + attention / 2 + reduced + 0.5e-3)
    whole = linear_s(2, expert_parallel=True)
    assert whole == pytest.approx(work / 2 / 0.4 + attention / 2 + reduced + 0.5e-3)


def test_unpacked_weights_and_nvfp4_attain_less_of_the_compute() -> None:
    on = gpu(fp8_tflops=200, fp4_tflops=400)
    step = 2 * 9e9 / 0.6
    by_format = {
        precision: roofline(toy(), on, precision, 1, 1000, 200).compute_s
        for precision in ("fp8", "nvfp4", "mxfp4", "int4", "int8")
    }
    assert by_format == pytest.approx(
        {
            "fp8": step / 2e14,
            "nvfp4": step / 4e14 / 0.75,
            "mxfp4": step / 2e14,
            "int4": step / 1e14 / 0.4,
            "int8": step / 1e14 / 0.4,
        }
    )


def test_prompts_of_an_endless_queue_share_a_prefill_pass() -> None:
    closed = roofline(toy(), gpu(), "bf16", 1, 1024, 200)
    queue = roofline(toy(), gpu(), "bf16", 1, 1024, 200, shared_prefill=True)
    assert closed.prefill_s - queue.prefill_s == pytest.approx(0.5e-3 * (1 - 1024 / 8192))


def test_what_is_found_in_the_prefix_cache_is_not_prefilled_but_attended_to() -> None:
    half = DeploymentSettings(tuning="tuned", prefix_cache_share=0.5)
    plain = roofline(toy(), gpu(), "bf16", 1, 1000, 200)
    cached = roofline(toy(), gpu(), "bf16", 1, 1000, 200, settings=half)
    # 500 of 1000 tokens: half of the products, and 1000² − 500² of 1000² pairs
    saved = 0.15 + 2 * 8 * 250 * 10 * 500**2 / 2 / 6e13
    assert plain.prefill_s - cached.prefill_s == pytest.approx(saved)
    assert cached.decode_step_s(8) == plain.decode_step_s(8)
    assert cached.flops_per_request < plain.flops_per_request


def test_stated_draft_tokens_gain_what_is_accepted_and_cost_their_verification() -> None:
    # 3 drafts of which half are accepted in a row: 1 + 1/2 + 1/4 + 1/8 tokens a step
    drafts = DeploymentSettings(tuning="tuned", speculative={"draft": 3, "acceptance": 0.5})
    plain = roofline(toy(), gpu(), "bf16", 1, 1000, 200)
    fast = roofline(toy(), gpu(), "bf16", 1, 1000, 200, settings=drafts)
    assert fast.decode_step_s(1) == plain.decode_step_s(1)  # reading weights outweighs all else
    assert fast.tpot_s(1) == pytest.approx(plain.tpot_s(1) / 1.875)
    # 60 sequences of 4 tokens: computing 240 · 0.3 ms outweighs reading the weights; 60 caches of
    # 11 MB are read besides
    cache = 60 * 11e6 / 1.8e12
    assert fast.decode_step_s(60) == pytest.approx(72e-3 + cache + 0.5e-3 + 60 * 20e-6)


def test_a_cache_in_8_bits_is_read_in_half_the_time() -> None:
    narrow = DeploymentSettings(tuning="tuned", kv_precision="fp8")
    plain = roofline(toy(), gpu(), "bf16", 1, 1000, 200)
    assert roofline(toy(), gpu(), "bf16", 1, 1000, 200, settings=narrow).kv_s == plain.kv_s / 2


FAR_OUTSIDE = [
    # vLLM 0.23, bench serve: johnmusgrave.com/p/vllm-throughput-latency-sweep-on
    ("a100-40gb-sxm", "llama-3.1-8b", "bf16", 1, (1024, 128), 1, 75),
    # NIM 1.8: docs.nvidia.com/nim/benchmarking/llm/1.0.0/performance
    ("h100-80gb-sxm", "llama-3.3-70b", "fp8", 2, (5000, 500), 1, 51.67),
    ("h100-80gb-sxm", "llama-3.3-70b", "fp8", 2, (5000, 500), 25, 623.4),
    # vLLM, 256 tokens in and 100 out on average: mushfiqrahman.dev/?p=1668
    ("rtx4090-24gb", "mistral-7b", "bf16", 1, (256, 100), 4, 210),
    ("rtx4090-24gb", "mistral-7b", "bf16", 1, (256, 100), 48, 1190),
    # vLLM latency tests, 8 requests of 32/128: buildkite.com/vllm/performance-benchmark/builds/9515
    ("h200-141gb-sxm", "llama-3-70b", "bf16", 4, (32, 128), 8, 8 * 128 / 2.0775),
    ("h200-141gb-sxm", "mixtral-8x7b", "bf16", 2, (32, 128), 8, 8 * 128 / 1.917),
    # vLLM 0.10.1, amd.com/en/developer/resources/rocm-hub/dev-ai/performance-results.html
    ("mi300x-192gb", "llama-3.1-70b", "fp8", 8, (128, 2048), 1, 2048 / 15.254),
    ("mi300x-192gb", "llama-3.1-70b", "fp8", 8, (128, 2048), 4, 4 * 2048 / 18.549),
    # vLLM of 2024: blogs.oracle.com/cloud-infrastructure, Llama 3.1 405B on BM.GPU.MI300X.8
    ("mi300x-192gb", "llama-3.1-405b", "fp8", 8, (128, 128), 1, 36),
    ("mi300x-192gb", "llama-3.1-405b", "fp8", 8, (128, 128), 256, 1846),
]
"""(GPU, LLM, precision, tp, tokens, in flight, generated tokens/s) as published, none fitted to."""


@pytest.mark.parametrize("case", FAR_OUTSIDE)
def test_published_figures_far_outside_the_data_are_met_within_30_percent(case: Any) -> None:
    on, served, precision, tp, size, n, measured = case
    catalog = load_catalog("market")
    r = roofline(catalog.llms[served], catalog.gpus[on], precision, tp, *size)
    assert measured / r.output_tokens_per_second(n) == pytest.approx(1.0, abs=0.30)
