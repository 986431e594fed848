"""The estimate: hand-worked times, limits, and what must never get slower."""

from __future__ import annotations

import pytest

from milp_planner.inputs.catalog.records import Llm
from milp_planner.serving.gpu_formats import compute_flops, moe_overhead_s
from milp_planner.serving.links import link_of
from milp_planner.serving.roofline import (
    active_parameters,
    attention_flops,
    largest_within,
    missing_for_estimate,
)
from tests.support.serving.known_llms import DEEPSEEK, LLAMA_70B, toy
from tests.support.serving.rooflines import H200, gpu, roofline


def test_a_dense_step_by_hand() -> None:
    r = roofline(toy(), gpu(), "bf16", 1, 1000, 200)
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
    # at 100 sequences the products compute for 30 ms, longer than their weights are read; attention
    # reads 100 caches besides
    cache = 100 * 11e6 / 1.8e12
    assert r.decode_step_s(100) == pytest.approx(30e-3 + cache + 0.5e-3 + 2e-3)


def test_prefill_tpot_and_rate_by_hand() -> None:
    r = roofline(toy(), gpu(), "bf16", 1, 1000, 200)
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
    assert roofline(toy(), old, "fp8", 1, 100, 100).body_s == pytest.approx(5e-3)
    # and unpacks them before each product, at 0.4 of the compute
    assert roofline(toy(), old, "fp8", 1, 100, 100).compute_s == pytest.approx(0.3e-3 / 0.4)


def test_an_all_reduce_costs_more_over_pcie() -> None:
    pcie = roofline(LLAMA_70B, gpu(interconnect="pcie"), "bf16", 4, 1000, 100)
    nvlink = roofline(LLAMA_70B, gpu(interconnect="nvlink"), "bf16", 4, 1000, 100)
    # 160 all-reduces of 70 and of 8 µs
    assert pcie.overhead_s - nvlink.overhead_s == pytest.approx(160 * 62e-6)
    # a token sends 160 · 8192 · 2 bytes · 2 · 3/4 at half of 32 and 0.8 of 300 GB/s
    sent = 160 * 8192 * 2 * 1.5
    gap = 1000 * (sent / 16e9 - sent / 240e9)
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
    full = toy(layers=4)
    windowed = toy(layers=4, windowed_layers=4, window_tokens=100)
    # 2·8·250·4 layers: full I²/2 pairs, windowed I·w − w²/2
    assert attention_flops(full, 1000) == 16_000 * 500_000
    assert attention_flops(windowed, 1000) == 16_000 * (100_000 - 5_000)
    assert attention_flops(windowed, 50) == attention_flops(full, 50)


CASES = [(LLAMA_70B, "fp8", 2), (DEEPSEEK, "fp8", 8), (toy(), "bf16", 1)]


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
    short = roofline(toy(), gpu(), "bf16", 1, 10, 2000)
    assert short.bottleneck(1) == "weights"
    assert short.bottleneck(200) == "compute"
    # 40,000 bytes a token: 16 sequences of 40,000 tokens outweigh 18 GB of weights
    heavy = toy(kv_bytes_per_token_bf16=40_000)
    long = roofline(heavy, gpu(bf16_tflops=1e6), "bf16", 1, 40_000, 1000)
    assert long.bottleneck(1) == "weights"
    assert long.bottleneck(16) == "kv"
    tiny = roofline(toy(parameters_b=0.01), gpu(), "bf16", 1, 10, 100)
    assert tiny.bottleneck(1) == "overhead"


def test_utilizations_are_shares_of_the_peaks() -> None:
    r = roofline(toy(), gpu(), "bf16", 1, 1000, 200)
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
    bare = toy(layers=None, hidden_size=None)
    assert missing_for_estimate(bare, gpu(bf16_tflops=None)) == (
        "not in the catalog: layers of toy, hidden_size of toy, bf16_tflops of box"
    )
    with pytest.raises(ValueError, match="layers of toy"):
        roofline(bare, gpu(), "bf16", 1, 100, 100)
    assert missing_for_estimate(toy(), gpu()) == ""
    assert active_parameters(toy()) == 9e9


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
    moe = toy(moe_layers=8, experts=10, experts_per_token=2, moe_ffn_size=3000)
    # 10 layers of attention at 30 µs, 2 dense feed-forward parts at 20 µs, 8 with experts
    by_hand = 10 * 30e-6 + 2 * 20e-6 + 8e-6 * microseconds
    assert roofline(moe, on, precision, 1, 100, 100).overhead_s == pytest.approx(by_hand)


def test_amd_gpus_attain_less_of_their_peaks() -> None:
    ours = roofline(toy(), gpu(), "bf16", 1, 1000, 200)
    theirs = roofline(toy(), gpu(vendor="amd"), "bf16", 1, 1000, 200)
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
