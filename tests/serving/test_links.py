"""What joins the GPUs of a unit: its speed as the GPU's row states it, and with no peer access."""

from __future__ import annotations

import pytest

from milp_planner import load_catalog
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT
from milp_planner.serving.derate import OVER_PCIE, trust_in
from milp_planner.serving.links import link_of
from milp_planner.serving.rates.worse_hardware import is_worse
from milp_planner.serving.roofline import missing_for_estimate
from tests.support.serving.known_llms import LLAMA_70B
from tests.support.serving.rooflines import gpu, roofline


def test_the_speed_that_a_row_states_stands_before_that_of_its_kind() -> None:
    slow, fast = gpu(interconnect="nvlink"), gpu(interconnect="nvlink", interconnect_gb_per_s=600)
    assert [link_of(one).bytes_per_second for one in (slow, fast)] == [300e9, 600e9]
    assert link_of(fast).all_reduce_s == link_of(slow).all_reduce_s
    # a token sends 160 · 8192 · 2 bytes · 2 · 3/4 at 0.8 of 300 and of 600 GB/s
    sent = 160 * 8192 * 2 * 1.5
    slower, faster = (roofline(LLAMA_70B, one, "bf16", 4, 1000, 100) for one in (slow, fast))
    assert slower.per_sequence_s - faster.per_sequence_s == pytest.approx(sent / 480e9)
    assert slower.prefill_s - faster.prefill_s == pytest.approx(1000 * sent / 480e9)


def test_without_peer_access_an_all_reduce_goes_through_the_host() -> None:
    peers, host = gpu(interconnect="pcie"), gpu(interconnect="pcie_host")
    # half of 32 GB/s, and 0.15 of it
    attained = [link_of(one).attained_bytes_per_second for one in (peers, host)]
    assert attained == pytest.approx([16e9, 4.8e9])
    sent = 160 * 8192 * 2 * 1.5
    gap = sent / 4.8e9 - sent / 16e9
    through, direct = (roofline(LLAMA_70B, one, "bf16", 4, 1000, 100) for one in (host, peers))
    assert through.per_sequence_s - direct.per_sequence_s == pytest.approx(gap)
    alone, other = (roofline(LLAMA_70B, one, "bf16", 1, 1000, 100) for one in (host, peers))
    assert alone == other


def test_both_kinds_of_pcie_widen_the_band() -> None:
    for interconnect in ("pcie", "pcie_host"):
        on = gpu(interconnect=interconnect, vendor="nvidia")
        trust = trust_in(LLAMA_70B, on, 2, 1000, moe=False, tier="default")
        assert trust.widenings == (OVER_PCIE,)


def test_a_gpu_with_a_slower_link_is_not_better() -> None:
    small = gpu(interconnect="pcie", interconnect_gb_per_s=64)
    assert is_worse(small, gpu(id="large", memory_gib=96, interconnect_gb_per_s=64))
    assert not is_worse(small, gpu(id="large", memory_gib=96, interconnect_gb_per_s=32))


def test_eight_cards_without_peer_access_are_met_though_no_constant_was_fitted_to_them() -> None:
    # measured: 44.3 ms per token, 40 requests in flight
    market = load_catalog("market")
    llm, card = market.llms["qwen2.5-14b"], market.gpus["rtx4090-24gb"]
    found = roofline(llm, card, "bf16", 8, 208, 206, settings=DEFAULT_DEPLOYMENT)
    assert 1e3 * found.tpot_s(40) == pytest.approx(44.3, rel=0.15)


def test_tpus_and_trainium_state_the_speed_of_their_links() -> None:
    # makers' figures of both directions, halved: 400, 1,200, 800 and 1,200 GB/s of the TPUs,
    # 1,280 of Trainium2
    market = load_catalog("market")
    rates = {
        gpu.id: link_of(gpu).bytes_per_second / 1e9
        for gpu in market.gpus.values()
        if gpu.interconnect in ("ici", "neuronlink")
    }
    assert rates == {
        "tpu-v5e": 200, "tpu-v5p": 600, "tpu-v6e": 400, "tpu-v7x": 600, "trainium2-96gb": 640,
    }  # fmt: skip


def test_no_shipped_offering_is_without_what_an_estimate_needs() -> None:
    market = load_catalog("market")
    lacking = {
        o.gpu for o in market.offerings if missing_for_estimate(LLAMA_70B, market.gpus[o.gpu])
    }
    assert lacking == set()
