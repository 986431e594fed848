"""Formulas beside simulation over many queues, and real logs at their own arrivals."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from milp_planner import Problem, Status, replay, solve
from milp_planner.replaying.arrivals import Sent, recorded
from milp_planner.replaying.engine import send
from milp_planner.traffic.trace import read_requests
from tests.support.queueing import QueueSetting, queue_settings

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

SHARED = Path(__file__).resolve().parents[3] / "shared"
AZURE = SHARED / "data" / "traces" / "requests_azure_llm_2023_conv.csv"
MOONCAKE = SHARED / "cases" / "found" / "traffic" / "mooncake_2000.jsonl"
"""The first 11 minutes of the conversation trace that was published with Mooncake (FAST'25,
Apache-2.0), request by request; arrivals are told in steps of 3 s."""

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


def p99_wait_s(log: Sent, load: float, tokens: NDArray[float64]) -> float:
    """Before one replica, the log's own time stretched until it is as full as that."""
    work_s = tokens.sum() * CHAT.speed.decode_step_s[-1] / CHAT.places
    arrivals = log.arrivals_s * (work_s / load / log.arrivals_s[-1])
    found = send(arrivals.tolist(), [0.0] * len(tokens), tokens.tolist(), [CHAT.speed])
    assert np.isfinite(found.left_s).all()
    waits = np.array(found.admitted_s) - arrivals
    return float(np.quantile(waits[len(tokens) // 10 :], 0.99))


@pytest.mark.skipif(not AZURE.exists(), reason="the shared traces are not here")
def test_a_real_hour_waits_far_less_with_its_own_tokens_than_with_shuffled_ones() -> None:
    # in the Azure conversation hour requests are shorter where more of them come
    log = recorded(read_requests(AZURE))
    own = p99_wait_s(log, 0.75, log.output_tokens)
    shuffled = p99_wait_s(log, 0.75, np.random.default_rng(3).permutation(log.output_tokens))
    assert 1 < own < 5
    assert shuffled > 5 * own


@pytest.mark.skipif(not MOONCAKE.exists(), reason="the shared traces are not here")
def test_requests_that_come_in_clumps_wait_where_as_many_one_by_one_would_not() -> None:
    log = recorded(read_requests(MOONCAKE))
    assert len(log.arrivals_s) == 2000
    assert len(set(log.arrivals_s)) == 224  # up to 19 at one time
    apart = replace(log, arrivals_s=np.linspace(0, log.arrivals_s[-1], 2000))
    own, evenly = (p99_wait_s(one, 0.75, log.output_tokens) for one in (log, apart))
    assert 1 < own < 5
    assert evenly < own / 2


@pytest.mark.slow
@pytest.mark.parametrize("trace", [AZURE, MOONCAKE], ids=["azure", "mooncake"])
def test_a_plan_of_a_real_log_keeps_its_p99_at_the_arrivals_of_the_log(trace: Path) -> None:
    if not trace.exists():
        pytest.skip("the shared traces are not here")
    chat = {
        "name": "chat",
        "llm": "llama-3.3-70b",
        "precision": ["fp8"],
        "traffic": {"kind": "trace", "file": str(trace)},
        "latency": {"wait": {"p99": "2s"}},
    }
    question = Problem.model_validate({"schema_version": 1, "name": "log", "workloads": [chat]})
    plan = solve(question, alternatives=0)
    assert plan.status is Status.OPTIMAL
    found = replay(plan, question, trace=trace)
    assert [wish.wish.metric for wish in found.wishes] == ["wait"]
    assert found.keeps_all_wishes
