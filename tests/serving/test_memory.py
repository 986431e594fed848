"""Memory: known KV figures, weights by format, and what fits with how many sequences."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.serving.memory import (
    fit,
    kv_bytes,
    kv_bytes_per_gpu,
    kv_bytes_per_token,
    kv_bytes_windowed_per_token,
    linear_state_bytes,
    weights_bytes,
)

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


@pytest.mark.parametrize(
    ("precision", "bytes_each"),
    [("bf16", 2), ("fp16", 2), ("fp8", 1), ("nvfp4", 0.5625), ("mxfp4", 0.53), ("int4", 0.53)],
)
def test_weights_are_parameters_times_bytes(precision: str, bytes_each: float) -> None:
    assert weights_bytes(seventy_b(), precision) == pytest.approx(70.552e9 * bytes_each)


def test_free_memory_and_sequences_by_hand() -> None:
    # 10 GiB of weights on 2 GPUs; usable 0.9 · 40 = 36, less 5 and the reserve of 6: 25 GiB.
    # KV: 2·16·8·128·2 B = 64 KiB a token, so 1024 tokens take 64 MiB, 32 MiB per GPU:
    # 800 sequences fit, 256 count.
    small = gqa(16, 8, 128, parameters_b=10 * GIB / 2e9)
    found = fit(small, gpu(40), "bf16", 2, 1024)
    assert found.weights_gib == pytest.approx(5)
    assert found.free_gib == pytest.approx(25)
    assert found.kv_gib_per_sequence == pytest.approx(1 / 32)
    assert found.sequences == 256
    assert fit(small, gpu(40), "bf16", 2, 8 * 1024).sequences == 100


def test_experts_keep_two_gib_more_in_reserve() -> None:
    dense = fit(seventy_b(), gpu(80), "fp8", 2, 2048)
    moe = fit(seventy_b(moe_layers=80, experts=8), gpu(80), "fp8", 2, 2048)
    assert (dense.reserve_gib, moe.reserve_gib) == (6, 8)
    assert dense.free_gib - moe.free_gib == pytest.approx(2)


def test_weights_that_do_not_fit_say_both_numbers() -> None:
    found = fit(seventy_b(), gpu(40), "fp8", 1, 2048)
    assert not found.fits
    assert not found.weights_fit
    assert found.reason == "weights 65.7 GiB do not fit in 36.0 GiB"
    assert fit(seventy_b(), gpu(40), "bf16", 2, 2048).reason == (
        "weights 131.4 GiB do not fit in 2 × 36.0 GiB"
    )


def test_weights_that_leave_no_room_say_what_is_left() -> None:
    # 72 usable − 67.7 − 6 = −1.7
    qwen = gqa(80, 8, 128, parameters_b=72.705)
    found = fit(qwen, gpu(80), "fp8", 1, 2048)
    assert found.weights_fit
    assert found.reason == "weights 67.7 GiB leave -1.7 GiB for the KV cache"


def test_a_sequence_longer_than_the_free_memory_is_named() -> None:
    found = fit(seventy_b(), gpu(80), "fp8", 1, 2048)
    assert found.sequences == 0
    assert found.reason == (
        "weights 65.7 GiB leave 0.3 GiB for the KV cache; "
        "one sequence of 2,048 tokens needs 0.6 GiB"
    )


def test_heads_must_divide_over_the_gpus() -> None:
    forty = gqa(48, 8, 128, attention_heads=40, parameters_b=14)
    assert fit(forty, gpu(80), "bf16", 16, 100).reason == "40 heads do not divide by 16 GPUs"


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
