"""Chunks of prefill take turns with decoding: few answers are written at a time, and that binds."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from types import SimpleNamespace

import numpy as np
import pytest

from milp_planner import Status, replay, solve
from milp_planner.replaying.engine import send
from milp_planner.replaying.replica import ReplicaSpeed
from milp_planner.replaying.speeds import MeanRequest, Served
from tests.solving.queues.test_apart import asked, kept_of, sold


def served(speed, output_tokens=10):
    mean = MeanRequest(input_tokens=20, output_tokens=output_tokens)
    return Served(SimpleNamespace(), speed, mean, rate_only=False)


# A step of 0.1 s, whoever decodes; 0.2 s of prefill a prompt, of which a step carries 0.1 s.
IN_TURNS = ReplicaSpeed((0.1,) * 100, prefill_s_per_token=0.01, chunk_s=0.1)


def test_half_a_prompt_a_step_is_five_answers_at_a_time_and_no_more_than_2_5_a_second():
    # a request takes two steps of 0.2 s; as planned it would be 100 in 10 x 0.1 + 100 x 0.2 s
    one = served(IN_TURNS)
    assert one.full_rate == pytest.approx(100 / 21)
    assert one.most_rate == pytest.approx(2.5)
    assert one.taking_turns_s[0] == pytest.approx(1.2)  # alone it waits for nobody
    assert one.taking_turns_s[-1] == pytest.approx(100 / 2.5)
    assert one.queue(1).service_s == one.taking_turns_s


def test_where_prefill_stops_all_decoding_there_are_no_turns():
    for speed in (
        replace(IN_TURNS, chunk_s=inf),
        replace(IN_TURNS, prefill_s_per_token=0.0),
    ):
        one = served(speed)
        assert one.most_rate == inf
        assert one.taking_turns_s == one.service_s


def test_fewer_than_one_answer_at_a_time_takes_a_whole_step_each():
    # 0.1 of a prompt a step: ten steps of 0.12 s
    one = served(replace(IN_TURNS, chunk_s=0.02), output_tokens=2)
    assert one.most_rate == pytest.approx(1 / 1.2)


@pytest.mark.parametrize("chunk_s", [0.02, 0.1, 0.4])
@pytest.mark.parametrize("output_tokens", [10, 60])
def test_a_full_replica_is_replayed_at_that_rate(chunk_s, output_tokens):
    steps_s = tuple(0.05 + 0.001 * d for d in range(1, 101))
    speed = ReplicaSpeed(steps_s, prefill_s_per_token=0.01, chunk_s=chunk_s)
    one, n = served(speed, output_tokens), 3000
    tokens = np.random.default_rng(1).gamma(2.0, output_tokens / 2, n)
    sent = send([0.0] * n, [20.0] * n, tokens.tolist(), [speed])
    left_s = np.sort(sent.left_s)
    rate = 0.6 * n / (left_s[int(0.8 * n)] - left_s[int(0.2 * n)])
    at_a_time, reckoned = output_tokens * chunk_s / 0.2, 100 / one.taking_turns_s[-1]
    if at_a_time > 1.5:
        assert rate == pytest.approx(reckoned, rel=0.01)
    else:  # at times none is written, and prompts have all of a step
        assert reckoned < rate < 1.3 * reckoned
    if at_a_time < 50:  # fewer than have a place
        assert rate < 0.95 * one.full_rate


def test_a_plan_for_long_prompts_and_short_answers_keeps_its_wait_in_a_replay():
    # By the rate of a full batch two units of each kind were enough; a replay waited for 201 s.
    chat = {
        "requests": {"input_tokens": 2000, "output_tokens": 50},
        "traffic": {
            "kind": "requests_per_second",
            "requests_per_second": 7.83,
            "burstiness": 2,
        },
    }
    policy = {"utilization": {"by": "queues"}, "routing": "shared"}
    question = asked({"wait": {"p90": 2.845}}, chat, policy=policy)
    plan = solve(question, sold(), alternatives=0)
    assert plan.status is Status.OPTIMAL
    assert kept_of(plan)
    assert plan.cash_usd_per_month == 3.5 * 720
    assert replay(plan, question, sold(), requests=20_000, seeds=1).keeps_all_wishes
