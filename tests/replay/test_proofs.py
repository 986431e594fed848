"""Formulas beside simulation over many queues, and real logs at their own arrivals."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from milp_planner.replaying.arrivals import recorded
from milp_planner.replaying.engine import send
from milp_planner.traffic.trace import read_requests
from tests.support.queueing import QueueSetting, queue_settings

TRACE = (
    Path(__file__).resolve().parents[3]
    / "shared"
    / "data"
    / "traces"
    / "requests_azure_llm_2023_conv.csv"
)
CHAT = QueueSetting(1, 42, 0.5, 1.0, 1.0, 1.0)


def inside(ratio: float) -> bool:
    return 0.95 <= ratio <= 1.06


@pytest.mark.parametrize(
    "setting",
    [
        QueueSetting(4, 16, 1.0, 1.0, 1.0, 1.0),
        QueueSetting(2, 42, 0.5, 2.0, 1.0, 5.0),
        QueueSetting(2, 42, 0.5, 1.0, 2.0, 1.0),
    ],
    ids=["small replicas", "unlike sizes", "bursts"],
)
def test_the_admissible_load_is_the_simulated_one(setting: QueueSetting) -> None:
    ratio = setting.admissible_to_simulated(20_000, steps=4)
    assert ratio is not None
    assert 0.92 <= ratio <= 1.09  # 20,000 requests tell no more


@pytest.mark.soak
def test_of_200_random_queues_nine_in_ten_may_carry_what_the_formulas_say() -> None:
    wanted = max(20, round(200 * float(os.environ.get("SOAK_SHARE", "1"))))
    found = (each.admissible_to_simulated(80_000) for each in queue_settings(seed=11))
    ratios = [*islice((ratio for ratio in found if ratio is not None), wanted)]
    print(f"admissible / simulated: {np.quantile(ratios, [0.05, 0.5, 0.95])}")
    assert np.mean([inside(ratio) for ratio in ratios]) >= 0.9


@pytest.mark.skipif(not TRACE.exists(), reason="the shared traces are not here")
def test_a_real_hour_waits_far_less_with_its_own_tokens_than_with_shuffled_ones() -> None:
    # in the Azure conversation hour requests are shorter where more of them come
    log = recorded(read_requests(TRACE))
    work_s = log.output_tokens.sum() * CHAT.speed.decode_step_s[-1] / CHAT.places
    arrivals = log.arrivals_s * (work_s / 0.75 / log.arrivals_s[-1])  # 75 % of one replica

    def p99_wait_s(tokens: np.ndarray) -> float:
        found = send(arrivals.tolist(), [0.0] * len(tokens), tokens.tolist(), [CHAT.speed])
        assert np.isfinite(found.left_s).all()
        return float(np.quantile((np.array(found.admitted_s) - arrivals)[1937:], 0.99))

    own = p99_wait_s(log.output_tokens)
    shuffled = p99_wait_s(np.random.default_rng(3).permutation(log.output_tokens))
    assert 1 < own < 5
    assert shuffled > 5 * own
