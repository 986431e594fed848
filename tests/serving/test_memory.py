"""Memory: known KV figures, weights by format, and what fits with how many sequences."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.serving.memory import (
    fit,
    kv_bytes,
    kv_bytes_per_gpu,
    kv_bytes_per_token,
    kv_bytes_windowed_per_token,
    linear_state_bytes,
)

SGLANG = DeploymentSettings(engine="sglang")
COMPILED = DeploymentSettings(engine="tensorrt-llm")
SPREAD = DeploymentSettings(expert_parallel=True)

KIB = 1024
GIB = 2**30


def llm(**fields: Any) -> Llm:
    return Llm(**{"id": "toy", "source": "test", "as_of": date(2026, 1, 1), **fields})


def gpu(memory_gib: float | None = 80, **fields: Any) -> Gpu:
    given = {"id": "box", "vendor": "v", "source": "test", "as_of": date(2026, 1, 1), **fields}
    return Gpu(memory_gib=memory_gib, **given)


def gqa(layers: int, kv_heads: int, head_dim: int, **fields: Any) -> Llm:
    given = {"attention": "GQA", "attention_heads": 64, "hidden_size": 8192, **fields}
    return llm(layers=layers, kv_heads=kv_heads, head_dim=head_dim, **given)


def seventy_b(**fields: Any) -> Llm:
    return gqa(80, 8, 128, id="llama-70b", parameters_b=70.552, **fields)


LLAMA_8B = gqa(32, 8, 128, attention_heads=32)
QWEN3_32B = gqa(64, 8, 128)
QWEN3_235B = gqa(94, 4, 128)
GPT_OSS_120B = gqa(36, 8, 64, attention="GQA+sliding", windowed_layers=18, window_tokens=128)
DEEPSEEK_R1 = llm(
    layers=61, attention="MLA", attention_heads=128, kv_lora_rank=512, qk_rope_head_dim=64
)


@pytest.mark.parametrize(
    ("model", "kib_per_token"),
    [
        (LLAMA_8B, 128),
        (seventy_b(), 320),
        (QWEN3_32B, 256),
        (QWEN3_235B, 188),
        (GPT_OSS_120B, 36),
        (DEEPSEEK_R1, 68.625),
    ],
    ids=["llama-8b", "llama-70b", "qwen3-32b", "qwen3-235b", "gpt-oss-120b", "deepseek-r1"],
)
def test_the_kv_cache_of_known_llms(model: Llm, kib_per_token: float) -> None:
    assert kv_bytes_per_token(model) == kib_per_token * KIB


def test_a_windowed_layer_counts_the_tokens_of_its_window_only() -> None:
    # 18 full layers of 2 KiB per token, and as many windowed ones that stop at 128 tokens.
    assert kv_bytes_windowed_per_token(GPT_OSS_120B) == 36 * KIB
    assert kv_bytes(GPT_OSS_120B, 100) == 72 * KIB * 100
    assert kv_bytes(GPT_OSS_120B, 1000) == 36 * KIB * 1000 + 36 * KIB * 128


def test_the_catalogs_own_kv_figure_goes_first() -> None:
    shared = gqa(30, 8, 256, kv_bytes_per_token_bf16=20_480)
    assert kv_bytes_per_token(shared) == 20_480


def test_an_fp8_cache_is_half_of_a_bf16_one() -> None:
    assert kv_bytes_per_token(LLAMA_8B, "fp8") == 64 * KIB


def test_kv_heads_are_split_until_each_gpu_has_one() -> None:
    # 4 KV heads: eight GPUs hold no less than four do.
    whole = kv_bytes(QWEN3_235B, 1000)
    assert kv_bytes_per_gpu(QWEN3_235B, 1000, 2) == whole / 2
    assert kv_bytes_per_gpu(QWEN3_235B, 1000, 4) == whole / 4
    assert kv_bytes_per_gpu(QWEN3_235B, 1000, 8) == whole / 4


def test_a_compressed_cache_is_repeated_on_every_gpu() -> None:
    assert kv_bytes_per_gpu(DEEPSEEK_R1, 1000, 8) == kv_bytes(DEEPSEEK_R1, 1000)


def test_linear_layers_hold_a_state_that_does_not_grow() -> None:
    hybrid = gqa(8, 2, 64, hidden_size=1024, linear_layers=6)
    # 6 layers · 1024 channels · 2 · 128 columns · 2 bytes
    assert linear_state_bytes(hybrid) == 6 * 1024 * 256 * 2
    per_token = 2 * 2 * 2 * 64 * 2  # 2 layers left, keys and values, 2 heads of 64, 2 bytes
    grown = kv_bytes(hybrid, 3000) - kv_bytes(hybrid, 1000)
    assert grown == 2000 * per_token


def test_free_memory_and_sequences_by_hand() -> None:
    # 10 GiB of weights on 2 GPUs of 100 GiB: usable 90, less 5 are 85 GiB. Reserve: 1.7 GiB, 8192
    # tokens · 2 B · 14 · 8192 = 1.75 GiB, 5 % of 85 = 4.25 GiB: 77.3 GiB left.
    # KV: 2·16·8·128·2 B = 64 KiB a token, so 1024 tokens take 64 MiB, 32 MiB per GPU: 2,473 fit,
    # vLLM takes 1,024; of 8,192 tokens 309 fit.
    small = gqa(16, 8, 128, parameters_b=10 * GIB / 2e9)
    found = fit(small, gpu(100), "bf16", 2, 1024)
    assert found.weights_gib == pytest.approx(5)
    assert found.reserve_gib == pytest.approx(1.7 + 1.75 + 4.25)
    assert found.free_gib == pytest.approx(77.3)
    assert found.kv_gib_per_sequence == pytest.approx(1 / 32)
    assert found.sequences == 1024
    assert fit(small, gpu(100), "bf16", 2, 8 * 1024).sequences == 309


def test_small_gpus_batch_fewer_tokens_and_sequences_in_vllm() -> None:
    # 2,048 tokens instead of 8,192: 0.4375 GiB of activations
    small = gqa(16, 8, 128, parameters_b=10 * GIB / 2e9)
    found = fit(small, gpu(40), "bf16", 2, 1024)
    assert found.reserve_gib == pytest.approx(1.7 + 0.4375 + 0.05 * 31)
    assert found.sequences == 256
    a100 = fit(small, gpu(100, id="a100-100gb"), "bf16", 2, 1024)
    assert (a100.sequences, a100.reserve_gib) == (256, pytest.approx(1.7 + 0.4375 + 4.25))
    assert fit(small, gpu(40), "bf16", 2, 128, SGLANG).sequences == 2048


def test_tensorrt_llm_takes_its_share_of_what_is_left() -> None:
    # reserve 0.8 + 8192 · 2 B · 6 · 8192 = 0.75 GiB: 0.9 · (100 − 5 − 1.55) = 84.105 GiB
    small = gqa(16, 8, 128, parameters_b=10 * GIB / 2e9)
    found = fit(small, gpu(100), "bf16", 2, 1024, COMPILED)
    assert found.reserve_gib == pytest.approx(1.55)
    assert found.free_gib == pytest.approx(84.105)
    assert found.needed_gib(0) + found.free_gib == pytest.approx(found.usable_gib)
    assert found.sequences == 2048
    # fp8 weights bring an fp8 cache, half as large
    half = fit(small, gpu(100), "fp8", 2, 1024, COMPILED).kv_gib_per_sequence
    assert half == pytest.approx(1 / 64)


def test_adapters_take_memory_beside_the_weights() -> None:
    # rank 16 · (2 · (8192 + 8192) + 2 · (8192 + 1024)) of 16 layers, and 3 · 8192 a layer of
    # feed-forward parts of no width: 10 adapters in 16 bits
    small = gqa(16, 8, 128, parameters_b=10 * GIB / 2e9)
    held = DeploymentSettings(lora={"adapters": 10, "rank": 16})
    more = fit(small, gpu(100), "bf16", 2, 1024, held).weights_gib - 5
    by_hand = 10 * 16 * 16 * (2 * 16_384 + 2 * 9_216 + 3 * 8192) * 2 / 2 / GIB
    assert more == pytest.approx(by_hand)


@pytest.mark.parametrize(
    ("llm_id", "precision", "gpu_id", "gpus", "weights_gib", "kv_gib"),
    [
        # start-up logs of vLLM at a memory share of 0.90: weights and cache left on each GPU
        ("gpt-oss-120b", "mxfp4", "h100-80gb-sxm", 1, 64.38, 3.33),
        ("gpt-oss-20b", "mxfp4", "h100-80gb-sxm", 1, 13.47, 50.28),
        ("llama-3.3-70b", "fp8", "h100-80gb-sxm", 2, 33.88, 32.00),
        ("llama-3.1-8b", "bf16", "h100-80gb-sxm", 1, 14.99, 51.38),
        ("qwen3-32b", "bf16", "h100-80gb-sxm", 1, 61.03, 4.45),
        ("qwen3-32b", "bf16", "h100-80gb-sxm", 2, 30.59, 34.49),
        ("llama-3.1-8b", "bf16", "rtx3090-24gb", 1, 14.99, 3.81),
    ],
)
def test_memory_is_that_of_start_up_logs(
    llm_id: str, precision: str, gpu_id: str, gpus: int, weights_gib: float, kv_gib: float
) -> None:
    known = load_catalog("market")
    found = fit(known.llms[llm_id], known.gpus[gpu_id], precision, gpus, 1000)
    assert found.weights_gib == pytest.approx(weights_gib, rel=0.015)
    assert found.free_gib == pytest.approx(kv_gib, rel=0.05)


def test_what_visibly_runs_fits() -> None:
    known = load_catalog("market")
    eight, seventy = known.llms["llama-3.1-8b"], known.llms["llama-3.1-70b"]
    for name in ("rtx4090-24gb", "rtx3090-24gb", "a10g-24gb", "l4-24gb"):
        found = fit(eight, known.gpus[name], "bf16", 1, 20_000)
        assert found.fits
        assert 2 <= found.reserve_gib <= 3
    assert fit(seventy, known.gpus["h100-80gb-sxm"], "bf16", 2, 2000).fits


def test_weights_that_do_not_fit_say_both_numbers() -> None:
    found = fit(seventy_b(), gpu(40), "fp8", 1, 2048)
    assert not found.fits
    assert not found.weights_fit
    assert found.reason == "weights 65.7 GiB do not fit in 36.0 GiB"
    assert fit(seventy_b(), gpu(40), "bf16", 2, 2048).reason == (
        "weights 131.4 GiB do not fit in 2 × 36.0 GiB"
    )


def test_weights_that_leave_no_room_say_what_is_left() -> None:
    # 72 usable − 70.2 leave 1.8 GiB, of which the reserve takes 1.7 + 1.75 + 0.09
    qwen = gqa(80, 8, 128, parameters_b=75.4)
    found = fit(qwen, gpu(80), "fp8", 1, 2048)
    assert found.weights_fit
    assert found.reason == "weights 70.2 GiB leave -1.8 GiB for the KV cache"


def test_a_sequence_longer_than_the_free_memory_is_named() -> None:
    # 72 − 65.71 GiB, less 1.7 + 1.75 + 0.31 GiB: 2.53 GiB hold 8,290 tokens of 320 KiB
    found = fit(seventy_b(), gpu(80), "fp8", 1, 9000)
    assert found.sequences == 0
    assert found.reason == (
        "weights 65.7 GiB leave 2.5 GiB for the KV cache; "
        "one sequence of 9,000 tokens needs 2.7 GiB"
    )


def test_heads_must_divide_over_the_gpus_and_kv_heads_divide_or_repeat() -> None:
    forty = gqa(48, 10, 128, attention_heads=40, parameters_b=14)
    said = {tp: fit(forty, gpu(80), "bf16", tp, 100).reason for tp in (1, 2, 4, 10, 16, 20)}
    assert said == {
        1: "",
        2: "",
        4: "10 KV heads neither divide by 4 GPUs nor repeat evenly on them",
        10: "",
        16: "40 heads do not divide by 16 GPUs",
        20: "",  # each KV head on two GPUs
    }


def test_blocks_of_quantised_weights_are_not_cut() -> None:
    # experts of 1,536 in blocks of 128: 384 on 4 GPUs, 192 on 8; whole experts are not cut at all
    moe = gqa(
        94, 4, 128, parameters_b=235, active_parameters_b=22, moe_layers=94, experts=128,
        experts_per_token=8, moe_ffn_size=1536, quantisation_block=128,
    )  # fmt: skip
    assert fit(moe, gpu(141), "fp8", 4, 100).reason == ""
    assert fit(moe, gpu(141), "fp8", 8, 100).reason == (
        "the width of experts per GPU, 1,536 / 8 = 192, is no multiple of the quantisation block "
        "128; expert_parallel: true spreads them whole"
    )
    assert fit(moe, gpu(141), "fp8", 8, 100, SPREAD).reason == ""
    assert fit(moe, gpu(141), "bf16", 8, 100).reason == ""
    dense = seventy_b(ffn_size=1536, quantisation_block=128)
    assert "the width of feed-forward parts per GPU, 1,536 / 8 = 192" in (
        fit(dense, gpu(141), "fp8", 8, 100).reason
    )
    assert fit(dense, gpu(141), "fp8", 8, 100, SPREAD).reason == (
        "expert_parallel: llama-70b has no experts"
    )


@pytest.mark.parametrize(
    ("needed", "memory", "fits"), [(80, 80, True), (90, 80, False), (90, 141, True), (400, 288, 0)]
)
def test_a_recommended_memory_fits_when_it_is_at_most_the_gpus(
    needed: float, memory: float, fits: bool
) -> None:
    assert fit(llm(recommended_memory_gib=needed), gpu(memory), "bf16", 1, 0).fits == bool(fits)


def test_a_recommended_memory_says_both_numbers_and_holds_for_one_gpu() -> None:
    mixtral = llm(id="mixtral-8x7b", recommended_memory_gib=90)
    assert fit(mixtral, gpu(80), "bf16", 1, 0).reason == (
        "recommended memory 90.0 GiB does not fit in 80.0 GiB"
    )
    assert fit(mixtral, gpu(80), "bf16", 2, 0).reason == (
        "mixtral-8x7b gives a recommended memory for one GPU, nothing for 2 GPUs"
    )


def test_what_the_catalog_does_not_know_is_said() -> None:
    assert fit(llm(), gpu(80), "bf16", 1, 1).reason == (
        "toy has neither parameters nor a recommended memory"
    )
    assert fit(seventy_b(), gpu(None), "bf16", 1, 1).reason == "the memory of box is not known"


def test_more_memory_never_holds_fewer_sequences() -> None:
    counts = [fit(seventy_b(), gpu(m), "fp8", 2, 4096).sequences for m in (40, 48, 80, 96, 141)]
    assert counts == sorted(counts)
    assert counts[-1] > counts[0]
