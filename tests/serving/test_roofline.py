"""The estimate: hand-worked times, limits, and what must never get slower."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.serving import roofline as module
from milp_planner.serving.gpu_formats import compute_flops, moe_overhead_s
from milp_planner.serving.links import link_of
from milp_planner.serving.roofline import (
    Roofline,
    active_parameters,
    attention_flops,
    largest_within,
    missing_for_estimate,
)

TUNED = DeploymentSettings(tuning="tuned")


def roofline(*replica: Any, settings: DeploymentSettings = TUNED, **fields: Any) -> Roofline:
    """The estimate of a tuned engine, whose kernels take what the constants say."""
    return module.roofline(*replica, settings, **fields)


def llm(**fields: Any) -> Llm:
    given: dict[str, Any] = {
        "id": "toy",
        "parameters_b": 9.0,
        "layers": 10,
        "hidden_size": 1000,
        "attention_heads": 8,
        "kv_heads": 2,
        "head_dim": 125,
        "attention": "GQA",
        "source": "test",
        "as_of": date(2026, 1, 1),
    }
    return Llm(**{**given, **fields})


def gpu(**fields: Any) -> Gpu:
    given: dict[str, Any] = {
        "id": "box",
        "vendor": "v",
        "memory_gib": 80,
        "memory_bandwidth_gb_per_s": 2000,
        "bf16_tflops": 100,
        "source": "test",
        "as_of": date(2026, 1, 1),
    }
    return Gpu(**{**given, **fields})


LLAMA_70B = llm(
    id="llama-70b",
    parameters_b=70.552,
    layers=80,
    hidden_size=8192,
    attention_heads=64,
    kv_heads=8,
    head_dim=128,
    vocabulary=128_256,
)
DEEPSEEK = llm(
    id="deepseek",
    parameters_b=671.025,
    active_parameters_b=37.551,
    layers=61,
    hidden_size=7168,
    attention_heads=128,
    attention="MLA",
    kv_heads=None,
    head_dim=None,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
    moe_layers=58,
    experts=256,
    experts_per_token=8,
    moe_ffn_size=2048,
    vocabulary=129_280,
)
H200 = gpu(
    id="h200",
    memory_gib=141,
    memory_bandwidth_gb_per_s=4800,
    bf16_tflops=989,
    fp8_tflops=1978,
    interconnect="nvlink",
)


def test_a_dense_step_by_hand() -> None:
    r = roofline(llm(), gpu(), "bf16", 1, 1000, 200)
    # 9e9 parameters · 2 bytes ÷ (2e12 · 0.9) = 10 ms
    assert r.weights_s(1) == r.weights_s(50) == pytest.approx(10e-3)
    # s = 1100 tokens · 2·10·2·125·2 = 10,000 bytes = 11 MB ÷ (2e12 · 0.9)
    assert r.kv_s == pytest.approx(11e6 / 1.8e12)
    # 2 · 9e9 ÷ (1e14 · 0.6) = 0.3 ms per token
    assert r.compute_s == pytest.approx(0.3e-3)
    # 10 layers · (30 + 20) µs
    assert r.overhead_s == pytest.approx(0.5e-3)
    one = 10e-3 + 11e6 / 1.8e12 + 0.5e-3 + 20e-6
    assert r.decode_step_s(1) == pytest.approx(one)
    # at 100 sequences computing takes 30 ms, longer than reading
    assert r.decode_step_s(100) == pytest.approx(30e-3 + 0.5e-3 + 2e-3)


def test_prefill_tpot_and_rate_by_hand() -> None:
    r = roofline(llm(), gpu(), "bf16", 1, 1000, 200)
    # linear 2·9e9·1000/(6e13) = 0.3 s; attention 2·8·250·10·1000²/2/6e13; 10 layers · 50 µs
    prefill = 0.3 + 2 * 8 * 250 * 10 * 1000**2 / 2 / 6e13 + 10 * 50e-6
    assert r.prefill_s == pytest.approx(prefill)
    assert r.tpot_s(1) == r.decode_step_s(1)
    assert r.tpot_s(5) == pytest.approx(r.decode_step_s(5) + 4 * prefill / 200)
    assert r.requests_per_second(5) == pytest.approx(5 / (200 * r.tpot_s(5) + prefill))
    assert r.output_tokens_per_second(5) == pytest.approx(200 * r.requests_per_second(5))


def test_one_sequence_takes_about_the_weights_over_the_bandwidth() -> None:
    # 70.6 GB in fp8 ÷ 4.8 TB/s = 14.7 ms; efficiency and kernels add a third at most
    r = roofline(LLAMA_70B, H200, "fp8", 1, 128, 128)
    ideal = 70.552e9 / 4.8e12
    assert ideal < r.tpot_s(1) < 1.4 * ideal


def test_a_moe_reads_the_experts_it_visits() -> None:
    r = roofline(DEEPSEEK, H200, "fp8", 8, 1024, 1024)
    experts = 58 * 256 * 3 * 7168 * 2048
    read = 8 * 4.8e12 * 0.9
    assert r.weights_s(1) == pytest.approx(r.body_s + experts * 8 / 256 / read)
    # 100 tokens visit 1 − (248/256)^100 = 95.8 % of the experts
    assert r.weights_s(100) == pytest.approx(r.body_s + experts / read * 0.9582, rel=1e-4)
    assert r.weights_s(10_000) == pytest.approx(r.body_s + experts / read)


@pytest.mark.parametrize(
    ("precision", "fp8", "fp4", "tflops"),
    [
        ("bf16", 200, 400, 100),
        ("fp8", 200, 400, 200),
        ("fp8", None, None, 100),
        ("nvfp4", 200, 400, 400),
        ("nvfp4", 200, None, 100),
        ("mxfp4", 200, 400, 200),
        ("mxfp4", 200, None, 100),
        ("int4", 200, 400, 100),
    ],
)
def test_a_gpu_computes_in_a_format_only_where_it_has_units_for_it(
    precision: str, fp8: float | None, fp4: float | None, tflops: float
) -> None:
    assert compute_flops(gpu(fp8_tflops=fp8, fp4_tflops=fp4), precision) == tflops * 1e12


def test_fp8_on_a_gpu_without_it_still_reads_half_the_bytes() -> None:
    old = gpu(fp8_tflops=None)
    assert roofline(llm(), old, "fp8", 1, 100, 100).body_s == pytest.approx(5e-3)
    # and unpacks them before each product, at 0.4 of the compute
    assert roofline(llm(), old, "fp8", 1, 100, 100).compute_s == pytest.approx(0.3e-3 / 0.4)


def test_an_all_reduce_costs_more_over_pcie() -> None:
    pcie = roofline(LLAMA_70B, gpu(interconnect="pcie"), "bf16", 4, 1000, 100)
    nvlink = roofline(LLAMA_70B, gpu(interconnect="nvlink"), "bf16", 4, 1000, 100)
    # 160 all-reduces of 70 and of 8 µs
    assert pcie.overhead_s - nvlink.overhead_s == pytest.approx(160 * 62e-6)
    # a token sends 160 · 8192 · 2 bytes · 2 · 3/4 at half of 32 and of 300 GB/s
    sent = 160 * 8192 * 2 * 1.5
    gap = 1000 * (sent / 16e9 - sent / 150e9)
    assert pcie.prefill_s - nvlink.prefill_s == pytest.approx(gap)


def test_one_gpu_reduces_nothing() -> None:
    r = roofline(LLAMA_70B, gpu(interconnect="pcie"), "bf16", 1, 1000, 100)
    assert r.per_sequence_s == 20e-6
    assert r.overhead_s == pytest.approx(80 * 50e-6)


def test_links_follow_the_generation_and_unknown_names_count_as_pcie() -> None:
    rates = [
        link_of(gpu(interconnect="nvlink", fp8_tflops=fp8, fp4_tflops=fp4)).bytes_per_second
        for fp8, fp4 in ((None, None), (1, None), (1, 1))
    ]
    assert rates == [300e9, 450e9, 900e9]
    assert link_of(gpu(interconnect="string")) == link_of(gpu(interconnect="pcie"))


def test_a_window_bounds_the_attention_of_a_long_prompt() -> None:
    full = llm(layers=4)
    windowed = llm(layers=4, windowed_layers=4, window_tokens=100)
    # 2·8·250·4 layers: full I²/2 pairs, windowed I·w − w²/2
    assert attention_flops(full, 1000) == 16_000 * 500_000
    assert attention_flops(windowed, 1000) == 16_000 * (100_000 - 5_000)
    assert attention_flops(windowed, 50) == attention_flops(full, 50)


CASES = [(LLAMA_70B, "fp8", 2), (DEEPSEEK, "fp8", 8), (llm(), "bf16", 1)]


@pytest.mark.parametrize(("model", "precision", "tp"), CASES)
@pytest.mark.parametrize("size", [(128, 1024), (8192, 256), (1000, 1)])
def test_more_concurrency_never_lowers_the_rate_nor_the_time_per_token(
    model: Llm, precision: str, tp: int, size: tuple[int, int]
) -> None:
    r = roofline(model, H200, precision, tp, *size)
    rates = [r.requests_per_second(n) for n in range(1, 257)]
    times = [r.tpot_s(n) for n in range(1, 257)]
    assert rates == sorted(rates)
    assert times == sorted(times)


@pytest.mark.parametrize(("model", "precision", "tp"), CASES)
@pytest.mark.parametrize(
    "field", ["memory_bandwidth_gb_per_s", "bf16_tflops", "fp8_tflops"], ids=str
)
def test_more_bandwidth_or_compute_is_never_slower(
    model: Llm, precision: str, tp: int, field: str
) -> None:
    better = H200.model_copy(update={field: 1.5 * getattr(H200, field)})
    before = roofline(model, H200, precision, tp, 2000, 300)
    after = roofline(model, better, precision, tp, 2000, 300)
    for n in (1, 7, 64, 256):
        assert after.tpot_s(n) <= before.tpot_s(n)
        assert after.requests_per_second(n) >= before.requests_per_second(n)


def test_the_most_within_a_limit_is_the_last_that_keeps_it() -> None:
    r = roofline(LLAMA_70B, H200, "fp8", 2, 1024, 256)
    n = r.most_within(0.05, 256)
    assert 1 < n < 256
    assert r.tpot_s(n) <= 0.05 < r.tpot_s(n + 1)
    assert r.most_within(None, 77) == 77
    assert r.most_within(1e-6, 77) == 0
    assert r.most_within(10.0, 77) == 77


def test_the_search_looks_at_every_end() -> None:
    assert [largest_within(lambda n: n, limit, 9) for limit in (0.5, 1, 4.2, 9, 20)] == [
        0,
        1,
        4,
        9,
        9,
    ]
    assert largest_within(lambda n: n, 5, 0) == 0


def test_the_bottleneck_moves_from_weights_to_compute_or_kv() -> None:
    short = roofline(llm(), gpu(), "bf16", 1, 10, 2000)
    assert short.bottleneck(1) == "weights"
    assert short.bottleneck(200) == "compute"
    # 40,000 bytes a token: 16 sequences of 40,000 tokens outweigh 18 GB of weights
    heavy = llm(kv_bytes_per_token_bf16=40_000)
    long = roofline(heavy, gpu(bf16_tflops=1e6), "bf16", 1, 40_000, 1000)
    assert long.bottleneck(1) == "weights"
    assert long.bottleneck(16) == "kv"
    tiny = roofline(llm(parameters_b=0.01), gpu(), "bf16", 1, 10, 100)
    assert tiny.bottleneck(1) == "overhead"


def test_utilizations_are_shares_of_the_peaks() -> None:
    r = roofline(llm(), gpu(), "bf16", 1, 1000, 200)
    read = 18e9 + 11e6
    assert r.mbu(1) == pytest.approx(read / 2e12 / r.decode_step_s(1))
    useful = 2 * 9e9 * 1200 + 2 * 8 * 250 * 10 * 1000**2 / 2
    assert r.mfu(8) == pytest.approx(r.requests_per_second(8) * useful / 1e14)
    assert 0 < r.mbu(64) < 1
    assert 0 < r.mfu(64) < 1


def test_no_estimate_beats_the_physical_bound() -> None:
    for model, precision, tp in CASES:
        r = roofline(model, H200, precision, tp, 1024, 512)
        for n in (1, 16, 256):
            assert r.requests_per_second(n) < r.fastest_requests_per_second(n)


def test_the_mean_concurrency_at_a_rate_agrees_with_littles_law() -> None:
    # a dense LLM far from its compute peak has t_d = a + b·n exactly, so X(N) is the rate again
    r = roofline(LLAMA_70B, H200, "fp8", 8, 512, 256)
    rate = r.requests_per_second(12)
    assert r.concurrency(rate) == pytest.approx(12, rel=1e-6)
    assert r.concurrency(1e9) == float("inf")


def test_what_is_missing_is_named() -> None:
    bare = llm(layers=None, hidden_size=None)
    assert missing_for_estimate(bare, gpu(bf16_tflops=None)) == (
        "not in the catalog: layers of toy, hidden_size of toy, bf16_tflops of box"
    )
    with pytest.raises(ValueError, match="layers of toy"):
        roofline(bare, gpu(), "bf16", 1, 100, 100)
    assert missing_for_estimate(llm(), gpu()) == ""
    assert active_parameters(llm()) == 9e9


@pytest.mark.parametrize(
    ("precision", "fp8", "fp4", "microseconds"),
    [
        ("bf16", None, None, 40),
        ("fp16", 200, 400, 40),
        ("fp8", 200, None, 50),
        ("fp8", None, None, 70),  # unpacked to bf16
        ("mxfp4", 200, 400, 20),
        ("nvfp4", 200, 400, 20),
        ("nvfp4", 200, None, 70),
        ("int4", 200, 400, 70),  # no GPU multiplies integers of 4 bits
    ],
)
def test_the_kernels_of_experts_depend_on_how_the_format_is_multiplied(
    precision: str, fp8: float | None, fp4: float | None, microseconds: float
) -> None:
    on = gpu(fp8_tflops=fp8, fp4_tflops=fp4)
    assert moe_overhead_s(on, precision) == pytest.approx(1e-6 * microseconds)
    moe = llm(moe_layers=8, experts=10, experts_per_token=2, moe_ffn_size=3000)
    # 10 layers of attention at 30 µs, 2 dense feed-forward parts at 20 µs, 8 with experts
    by_hand = 10 * 30e-6 + 2 * 20e-6 + 8e-6 * microseconds
    assert roofline(moe, on, precision, 1, 100, 100).overhead_s == pytest.approx(by_hand)


def test_amd_gpus_attain_less_of_their_peaks() -> None:
    ours = roofline(llm(), gpu(), "bf16", 1, 1000, 200)
    theirs = roofline(llm(), gpu(vendor="amd"), "bf16", 1, 1000, 200)
    assert theirs.weights_s(1) == pytest.approx(ours.weights_s(1) / 0.85)
    assert theirs.kv_s == pytest.approx(ours.kv_s / 0.85)
    assert theirs.compute_s == pytest.approx(ours.compute_s / 0.70)
    # prefill: all but the 10 layers · 50 µs
    assert theirs.prefill_s - 0.5e-3 == pytest.approx((ours.prefill_s - 0.5e-3) / 0.70)
    # the peaks themselves, and so the physical bound, are the same
    assert theirs.fastest_requests_per_second(8) == pytest.approx(
        ours.fastest_requests_per_second(8)
    )


# What engine and settings change


def test_default_settings_take_longer_kernels_and_more_host_time() -> None:
    tuned = roofline(llm(), gpu(), "bf16", 1, 1000, 200)
    plain = roofline(llm(), gpu(), "bf16", 1, 1000, 200, settings=DEFAULT_DEPLOYMENT)
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
    one = roofline(llm(), gpu(), "bf16", 1, 1000, 200, settings=old)
    assert one.overhead_s == pytest.approx(1.9 * 10 * 50e-6)
    assert one.per_sequence_s == pytest.approx(65e-6)
    two = roofline(llm(), gpu(interconnect="nvlink"), "bf16", 2, 1000, 200, settings=old)
    assert two.overhead_s - one.overhead_s == pytest.approx(2 * 10 * 8e-6 * 3.2)


MOE = llm(
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
    reduced = 1000 * 2 * 10 * 1000 * 2 / 150e9  # all-reduce volume of two GPUs
    attention = 2 * 8 * 250 * 10 * 1000**2 / 2 / 6e13
    assert linear_s(1) == pytest.approx(work / 0.4 + attention + 0.5e-3)
    assert linear_s(2) == pytest.approx(work / 2 / 0.3 + attention / 2 + reduced + 0.5e-3)
    whole = linear_s(2, expert_parallel=True)
    assert whole == pytest.approx(work / 2 / 0.4 + attention / 2 + reduced + 0.5e-3)


def test_unpacked_weights_and_nvfp4_attain_less_of_the_compute() -> None:
    on = gpu(fp8_tflops=200, fp4_tflops=400)
    step = 2 * 9e9 / 0.6
    by_format = {
        precision: roofline(llm(), on, precision, 1, 1000, 200).compute_s
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
    closed = roofline(llm(), gpu(), "bf16", 1, 1024, 200)
    queue = roofline(llm(), gpu(), "bf16", 1, 1024, 200, shared_prefill=True)
    assert closed.prefill_s - queue.prefill_s == pytest.approx(0.5e-3 * (1 - 1024 / 8192))


def test_what_is_found_in_the_prefix_cache_is_not_prefilled_but_attended_to() -> None:
    half = DeploymentSettings(tuning="tuned", prefix_cache_share=0.5)
    plain = roofline(llm(), gpu(), "bf16", 1, 1000, 200)
    cached = roofline(llm(), gpu(), "bf16", 1, 1000, 200, settings=half)
    # 500 of 1000 tokens: half of the products, and 1000² − 500² of 1000² pairs
    saved = 0.15 + 2 * 8 * 250 * 10 * 500**2 / 2 / 6e13
    assert plain.prefill_s - cached.prefill_s == pytest.approx(saved)
    assert cached.decode_step_s(8) == plain.decode_step_s(8)
    assert cached.flops_per_request < plain.flops_per_request


def test_stated_draft_tokens_gain_what_is_accepted_and_cost_their_verification() -> None:
    # 3 drafts of which half are accepted in a row: 1 + 1/2 + 1/4 + 1/8 tokens a step
    drafts = DeploymentSettings(tuning="tuned", speculative={"draft": 3, "acceptance": 0.5})
    plain = roofline(llm(), gpu(), "bf16", 1, 1000, 200)
    fast = roofline(llm(), gpu(), "bf16", 1, 1000, 200, settings=drafts)
    assert fast.decode_step_s(1) == plain.decode_step_s(1)  # reading weights outweighs all else
    assert fast.tpot_s(1) == pytest.approx(plain.tpot_s(1) / 1.875)
    # 60 sequences of 4 tokens: computing 240 · 0.3 ms outweighs reading
    assert fast.decode_step_s(60) == pytest.approx(72e-3 + 0.5e-3 + 60 * 20e-6)


def test_a_cache_in_8_bits_is_read_in_half_the_time() -> None:
    narrow = DeploymentSettings(tuning="tuned", kv_precision="fp8")
    plain = roofline(llm(), gpu(), "bf16", 1, 1000, 200)
    assert roofline(llm(), gpu(), "bf16", 1, 1000, 200, settings=narrow).kv_s == plain.kv_s / 2


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
