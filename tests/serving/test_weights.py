"""Weights by tensor group: the formats of each group, and sizes that were seen on GPUs."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Llm
from milp_planner.inputs.catalog.tensor_groups import (
    format_bytes,
    group_parameters,
    stored_formats,
)
from milp_planner.serving.memory import fit
from milp_planner.serving.roofline import roofline
from milp_planner.serving.weights import (
    checkpoint_bytes,
    expert_bytes,
    quantisation_block,
    step_bytes,
    weight_groups,
    weights_bytes,
)

GIB = 2**30


def llm(**fields: Any) -> Llm:
    given = {"layers": 10, "hidden_size": 1000, "attention_heads": 8, "kv_heads": 2}
    sourced = {"id": "toy", "source": "test", "as_of": date(2026, 1, 1)}
    return Llm(**{"parameters_b": 9.0, **given, **sourced, **fields})


def moe(**fields: Any) -> Llm:
    """10 B: experts 10 · 10 · 3 · 1000 · 3000 = 0.9 B, shared 10 · 3 · 1000 · 2000 = 0.06 B."""
    given = {"moe_layers": 10, "experts": 10, "experts_per_token": 2, "moe_ffn_size": 3000}
    return llm(**{"parameters_b": 10.0, "shared_expert_ffn": 2000, **given, **fields})


def formats(of: Llm, precision: str) -> dict[str, str]:
    return {group.name: group.format for group in weight_groups(of, precision)}


@pytest.mark.parametrize(
    ("precision", "bytes_each"),
    [("bf16", 2), ("fp16", 2), ("fp8", 1), ("nvfp4", 0.5625), ("mxfp4", 0.53125), ("int4", 0.53)],
)
def test_weights_of_one_format_are_parameters_times_bytes(
    precision: str, bytes_each: float
) -> None:
    assert weights_bytes(llm(), precision) == pytest.approx(9e9 * bytes_each)


def test_groups_follow_from_the_shapes_and_attention_is_what_is_left() -> None:
    # tables 2 · 100,000 · 1000 = 0.2 B; feed-forward 10 · 3 · 1000 · 4000 = 0.12 B; left 8.68 B
    found = group_parameters(llm(vocabulary=100_000, ffn_size=4000))
    assert found["embedding"] == found["unembedding"] == 0.1e9
    assert found["dense_mlp"] == 0.12e9
    assert found["attention"] == pytest.approx(8.68e9)
    # experts 0.9 B, shared 0.06 B, router 10 · 10 · 1000 = 0.0001 B; left 9.0399 B
    found = group_parameters(moe())
    assert (found["experts"], found["shared_experts"], found["router"]) == (0.9e9, 0.06e9, 1e5)
    assert found["attention"] == pytest.approx(9.0399e9)


def test_a_stated_group_stands_before_the_shapes() -> None:
    ungated = moe(experts_b=0.6)  # two matrices instead of three
    assert group_parameters(ungated)["experts"] == 0.6e9
    assert group_parameters(ungated)["attention"] == pytest.approx(9.3399e9)


def test_shapes_beyond_the_parameters_never_make_a_group_negative() -> None:
    found = group_parameters(llm(parameters_b=0.25, vocabulary=100_000, ffn_size=4000))
    assert found["attention"] == 0
    assert sum(found.values()) == pytest.approx(0.25e9)


def test_tables_stay_in_16_bits_under_every_format() -> None:
    # 2e9 of 10e9 parameters are the two tables of 1e9 each; a step looks the input embedding up.
    tables = llm(parameters_b=10.0, vocabulary=1_000_000)
    assert weights_bytes(tables, "fp8") == pytest.approx(8e9 + 2 * 2e9)
    assert step_bytes(tables, "fp8") == pytest.approx(8e9 + 2e9)
    tied = llm(parameters_b=10.0, vocabulary=1_000_000, tied_embeddings=True)
    assert weights_bytes(tied, "fp8") == step_bytes(tied, "fp8") == pytest.approx(9e9 + 2e9)


def test_what_a_format_leaves_in_16_bits_in_a_mixture_of_experts() -> None:
    # attention 9.0399 B, router 0.0001 B, shared 0.06 B, experts 0.9 B
    wide = 2 * 9.04e9
    assert step_bytes(moe(), "fp8") == pytest.approx(9.0399e9 + 0.06e9 + 2 * 1e5)
    assert step_bytes(moe(), "nvfp4") == pytest.approx(wide + 0.06e9 * 0.5625)
    assert step_bytes(moe(), "int4") == pytest.approx(wide + 0.06e9 * 2)
    assert step_bytes(moe(), "mxfp4") == pytest.approx(wide + 0.06e9 * 2)
    assert expert_bytes(moe(), "int4") == pytest.approx(0.9e9 * 0.53)
    # A dense LLM is quantised whole.
    assert step_bytes(llm(), "int4") == pytest.approx(9e9 * 0.53)


def test_mxfp4_experts_are_held_padded_and_published_unpadded() -> None:
    # Width 3,000 is held as 12 · 256 = 3,072.
    assert expert_bytes(moe(), "mxfp4") == pytest.approx(0.9e9 * 0.53125 * 3072 / 3000)
    native = moe(native_precision="mxfp4")
    rest = 2 * (9.04e9 + 0.06e9)
    assert checkpoint_bytes(native) == pytest.approx(rest + 0.9e9 * 0.53125)


def test_the_native_format_is_served_as_it_is_stored() -> None:
    stored = moe(native_precision="fp8", stored_as="attention=bf16 router=fp32")
    assert formats(stored, "fp8") == {
        "attention": "bf16",
        "experts": "fp8",
        "shared_experts": "fp8",
        "router": "fp32",
    }
    # Another format is another checkpoint.
    assert formats(stored, "bf16")["router"] == "bf16"
    everything = moe(native_precision="nvfp4", stored_as="router=fp32")
    assert formats(everything, "nvfp4")["attention"] == "nvfp4"


def test_a_group_of_two_formats_weighs_their_shares() -> None:
    assert format_bytes("75%fp8+25%bf16") == pytest.approx(0.75 + 0.5)
    mixed = moe(native_precision="fp8", stored_as="attention=75%fp8+25%bf16")
    attention = next(g for g in weight_groups(mixed, "fp8") if g.name == "attention")
    assert attention.bytes == pytest.approx(9.0399e9 * 1.25)


def test_int4_bears_a_scale_for_each_block() -> None:
    # 0.5 + 2 / 32, as in Kimi-K2.5
    blocks = moe(native_precision="int4", quantisation_block=32)
    assert expert_bytes(blocks, "int4") == pytest.approx(0.9e9 * 0.5625)


@pytest.mark.parametrize(
    ("native", "asked", "block"),
    [("fp8", "fp8", 128), ("bf16", "fp8", 128), ("bf16", "int4", 0), ("fp8", "bf16", 0)],
)
def test_the_block_is_that_of_the_published_checkpoint(native: str, asked: str, block: int) -> None:
    assert quantisation_block(llm(native_precision=native, quantisation_block=128), asked) == block


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("attention", "'attention' is not GROUP=FORMAT"),
        ("heads=bf16", "'heads=bf16' is not GROUP=FORMAT"),
        ("router=fp32 router=bf16", "router is given twice"),
        ("router=60%bf16+30%fp32", "the shares of '60%bf16+30%fp32' do not add up to 100%"),
    ],
)
def test_a_wrong_stored_format_says_what_is_wrong(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said.replace("+", r"\+")):
        stored_formats(text)


@pytest.mark.parametrize(
    ("name", "precision", "gib"),
    [
        ("gpt-oss-20b", "mxfp4", 13.47),
        ("gpt-oss-120b", "mxfp4", 64.38),
        ("llama-3.3-70b", "fp8", 2 * 33.88),
        ("llama-3.1-8b", "bf16", 14.99),
        ("qwen3-32b", "bf16", 61.03),
    ],
)
def test_loaded_sizes_are_those_that_engines_logged_on_an_h100(
    name: str, precision: str, gib: float
) -> None:
    found = load_catalog("market").llms[name]
    assert weights_bytes(found, precision) / GIB == pytest.approx(gib, rel=0.015)


@pytest.mark.parametrize("precision", ["bf16", "fp8", "nvfp4", "mxfp4", "int4"])
def test_memory_and_speed_count_the_same_bytes(precision: str) -> None:
    catalog = load_catalog("market")
    gpu = catalog.gpus["b200-180gb-sxm"]
    for name in ("gpt-oss-120b", "llama-3.1-8b", "deepseek-v3"):
        known = catalog.llms[name]
        memory = fit(known, gpu, precision, 8, 2000)
        speed = roofline(known, gpu, precision, 8, 1000, 1000)
        read = (speed.body_s + speed.experts_s) * 8 * 7700e9 * speed.weight_efficiency
        unread = 0 if known.tied_embeddings else known.vocabulary * (known.hidden_size or 0) * 2
        assert read + unread == pytest.approx(memory.weights_gib * 8 * GIB)
