"""LLMs whose layers lack a part: each counts where it works, and nowhere else."""

from __future__ import annotations

import pytest

from milp_planner.inputs.catalog.layer_parts import (
    feed_forward_layers,
    full_attention_layers,
    layer_parts,
    mixing_layers,
)
from milp_planner.inputs.catalog.tensor_groups import group_parameters
from milp_planner.inputs.problem.deployment import Lora
from milp_planner.serving.lora import lora_bytes
from milp_planner.serving.memory import kv_bytes_per_token
from milp_planner.serving.roofline import attention_flops
from tests.support.serving.known_llms import toy
from tests.support.serving.rooflines import gpu, roofline

USUAL = toy(layers=10)
ONE_PART = toy(layers=10, full_attention_layers=1, linear_layers=4, attention="GQA+mamba")
"""One of attention, four of a state-space mixer, five of a feed-forward part."""

SEARCHED = toy(layers=10, full_attention_layers=6)
"""A feed-forward part in all ten, attention left in six."""


@pytest.mark.parametrize(
    ("llm", "full", "mixing", "feed_forward"),
    [(USUAL, 10, 10, 10), (ONE_PART, 1, 5, 5), (SEARCHED, 6, 6, 10)],
)
def test_layers_are_counted_by_their_parts(
    llm: object, full: int, mixing: int, feed_forward: int
) -> None:
    counted = [f(llm) for f in (full_attention_layers, mixing_layers, feed_forward_layers)]
    assert counted == [full, mixing, feed_forward]
    assert layer_parts(llm) == mixing + feed_forward


def test_a_layer_of_one_part_takes_the_time_of_that_part() -> None:
    usual, single, searched = (
        roofline(llm, gpu(), "bf16", 1, 1000, 200) for llm in (USUAL, ONE_PART, SEARCHED)
    )
    # 30 µs a mixer, 20 µs a feed-forward part
    assert usual.overhead_s == pytest.approx(10 * 50e-6)
    assert single.overhead_s == pytest.approx(5 * 30e-6 + 5 * 20e-6)
    assert searched.overhead_s == pytest.approx(6 * 30e-6 + 10 * 20e-6)


def test_a_layer_of_one_part_is_reduced_once() -> None:
    usual, single = (roofline(llm, gpu(), "bf16", 2, 1000, 200) for llm in (USUAL, ONE_PART))
    # 20 and 10 all-reduces of 70 µs, beside kernels of 0.5 and 0.25 ms
    assert usual.overhead_s == pytest.approx(0.5e-3 + 20 * 70e-6)
    assert single.overhead_s == pytest.approx(0.25e-3 + 10 * 70e-6)
    # each sends 1000 · 2 bytes · 2 · 1/2 at half of 32 GB/s
    assert usual.per_sequence_s - single.per_sequence_s == pytest.approx(10 * 2000 / 16e9)


def test_attention_and_its_cache_agree_on_the_layers_that_have_it() -> None:
    for llm in (ONE_PART, SEARCHED):
        share = full_attention_layers(llm) / 10
        assert attention_flops(llm, 1000) == share * attention_flops(USUAL, 1000)
        assert kv_bytes_per_token(llm) == share * kv_bytes_per_token(USUAL)


def test_dense_feed_forward_parts_stand_in_the_layers_that_have_one() -> None:
    single = ONE_PART.model_copy(update={"ffn_size": 4000})
    # 5 layers · 3 · 1000 · 4000 = 60 M parameters
    assert group_parameters(single)["dense_mlp"] == 60e6
    # adapters of rank 1: 4 · 2000 + … of 5 mixers, 3 · 5000 of 5 feed-forward parts, 2 bytes each
    mixers = 5 * (2 * (1000 + 1000) + 2 * (1000 + 250))
    assert lora_bytes(single, Lora(adapters=1, rank=1)) == 2 * (mixers + 5 * 3 * 5000)
