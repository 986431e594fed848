"""Concurrent users: what one replica holds, by hand and by trying all, and plans in users."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest

from milp_planner.candidates.users import Held, Replica, users_point
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Catalog, TokenPrice
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.traffic import ConcurrentUsers
from milp_planner.plans.sentences import warning_lines
from milp_planner.questions.solve import solve
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.serving.operating_point import OperatingPoint, Rejection
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.solving.prepare import prepare
from tests.support.serving.known_llms import toy
from tests.support.serving.toys import SOURCE, box, catalog, measured, rent

TUNED = DeploymentSettings(tuning="tuned")

# ln derate = −0.041 + t · 0.1237 is 0 at t = 0.3315, the 62.5th percentile of Student's t
MET = 0.62502


def replica(
    tokens_per_s: float,
    longest_wait_s: float | None = None,
    known: Catalog | None = None,
    *,
    tpot_limit_s: float | None = None,
    ttft_limit_s: float | None = None,
    quantile: float = MET,
    **fields: Any,
) -> Replica:
    """`toy` on a `box`, 800 tokens in and 200 out, in a tuned vLLM."""
    wish = ConcurrentUsers(
        users=1, tokens_per_s=tokens_per_s, longest_wait_s=longest_wait_s, **fields
    )
    model = ServingModel(catalog() if known is None else known)
    given = model, toy(), box(), "bf16", 1, 800, 200, wish, tpot_limit_s, quantile, TUNED
    return Replica(*given, ttft_limit_s)


def service_s(n: int) -> float:
    """n ÷ X(n) of the toy, in seconds."""
    step = max(10, n * 0.3) + n * 0.005 + 0.5 + n * 0.02  # from 34 in flight it computes longer
    tpot = (step + (n - 1) * 240.7133 / 200) * 1e-3
    return 200 * tpot + 0.2407133


def best(asked: Replica) -> Held:
    found = asked.best()
    assert isinstance(found, Held)
    return found


# ---- by hand


def test_the_best_batch_is_the_largest_that_keeps_the_speed() -> None:
    # 200 tokens in at most 200 / 20 = 10 s: S(n) = 10 s at n between 32 and 33
    found = best(replica(20))
    assert service_s(found.batch) <= 10 < service_s(found.batch + 1)
    assert found.queue == pytest.approx(10 / service_s(found.batch), rel=1e-4)
    assert found.users == pytest.approx(found.queue * found.batch)


def test_when_memory_ends_first_users_share_places() -> None:
    # 1,024 places are the most; at 0.5 tokens/s per user S may be 400 s, and S(1024) is 313 s
    found = best(replica(0.5))
    assert found.batch == 1024
    assert found.queue == pytest.approx(400 / service_s(1024), rel=1e-4)
    assert found.users == pytest.approx(1024 * found.queue)


def test_the_longest_wait_bounds_what_shares_a_place() -> None:
    # ttft 240.7 + 10.525 ms; 30 s leave 29.749 s to wait for a place, less than a queue gives
    found = best(replica(0.5, 30))
    ttft = 0.2407133 + 0.010525
    assert found.queue == pytest.approx(1 + (30 - ttft) / service_s(1024), rel=1e-4)


def test_a_wait_shorter_than_the_first_token_itself_is_refused_with_both_numbers() -> None:
    first_s = best(replica(20)).point.ttft_s or 0.0
    assert first_s == pytest.approx(0.25124, abs=1e-5)
    assert replica(20, 0.001).best() == Rejection(
        "the first token of one request alone takes 0.251 s (estimated), above the longest wait of "
        "0.001 s",
        times_missed=pytest.approx(251.24, abs=0.01),
    )
    assert best(replica(20, first_s)).queue == 1  # nothing is left to wait: one to a place


def test_a_wished_ttft_is_kept_or_refused_as_for_any_other_traffic() -> None:
    assert best(replica(20, ttft_limit_s=0.26)) == best(replica(20))
    refused = replica(20, ttft_limit_s=0.2).best()
    assert isinstance(refused, Rejection)
    assert refused.reason == "the estimated ttft 0.251 s is above the wished 0.2 s"


def test_the_speed_is_kept_with_the_confidence_asked_for() -> None:
    # p10 of tuned dense estimates is exp(−0.041 − 1.4149 · 0.1237) = 0.8057
    found = best(replica(20, quantile=0.10))
    assert service_s(found.batch) / 0.8057 <= 10 < service_s(found.batch + 1) / 0.8057


def test_a_wished_tpot_bounds_the_batch_too() -> None:
    found = best(replica(1, tpot_limit_s=0.020))
    tpot_s = found.point.tpot_s or 0.0
    assert tpot_s <= 0.020
    assert found.batch == 8  # 10.5 + 8 · 0.025 + 7 · 1.2036 ms = 19.1 ms, and 20.4 ms with 9


def test_users_with_two_requests_each_are_half_as_many() -> None:
    twice, once = best(replica(20, requests_per_user=2)), best(replica(20))
    assert twice.users == pytest.approx(once.users / 2)


def test_a_user_faster_than_one_request_alone_is_turned_down_with_both_speeds() -> None:
    # 200 tokens in 2.3457 s alone
    assert replica(100).best() == Rejection(
        "one request alone gets 85.3 tokens/s, below the wished 100 tokens/s per user",
        times_missed=pytest.approx(100 / 85.26, abs=1e-3),
    )
    slow = replica(1, tpot_limit_s=0.005).best()
    assert isinstance(slow, Rejection)
    assert slow.reason == "the fastest 10.5 ms per token is above the wished 5 ms"
    assert slow.fastest_tpot_s == pytest.approx(0.0105, abs=5e-5)


def test_no_batch_that_runs_holds_more() -> None:
    # X(n) of the estimate never falls, so the best batch is among all of them
    model = ServingModel(catalog())
    for speed, wait in product((0.7, 5, 33), (None, 4, 90)):
        most = 0.0
        for n in range(1, 1025):
            point = model.at(toy(), box(), "bf16", 1, 800, 200, n, quantile=MET, settings=TUNED)
            assert isinstance(point, OperatingPoint)
            took = n / point.planned_requests_per_second
            queue = 200 / (took * speed)
            if wait is not None:
                queue = min(queue, 1 + max(0, wait - (point.ttft_s or 0)) / took)
            most = max(most, queue * n if queue >= 1 else 0.0)
        assert best(replica(speed, wait)).users == pytest.approx(most, rel=1e-9)


def test_a_measured_curve_that_falls_is_left_at_its_top() -> None:
    rows = [
        measured(rate, concurrency=n, override=True)
        for n, rate in ((1, 85), (32, 600), (64, 900), (128, 100))
    ]
    found = best(replica(2, known=catalog(*rows)))
    assert found.batch == 64
    assert found.point.source == "measured"


def test_a_slower_wish_or_a_longer_wait_never_holds_fewer_users() -> None:
    by_speed = [best(replica(speed, 10)).users for speed in (40, 20, 10, 5, 1)]
    by_wait = [best(replica(1, wait)).users for wait in (0.3, 1, 10, 100)]
    assert by_speed == sorted(by_speed)
    assert by_wait == sorted(by_wait)


def test_the_point_says_batch_and_queue() -> None:
    found = users_point(replica(0.5))
    assert not isinstance(found, Rejection)
    assert found.concurrency == 1024
    assert found.detail == f"batch 1024, queue ratio {400 / service_s(1024):.4g}"


# ---- in a plan


def problem(users: float = 100, **fields: Any) -> Problem:
    traffic = {"kind": "concurrent_users", "users": users, "tokens_per_s": 20}
    chat = {
        "name": "chat",
        "llm": "toy",
        "precision": ["bf16"],
        "tensor_parallel": [1],
        "traffic": traffic,
        "requests": {"input_tokens": 800, "output_tokens": 200},
        "deployment": {"tuning": "tuned"},
        **fields.pop("chat", {}),
    }
    policy = {"utilization": {"target": 1.0}, "confidence": 1 - MET, **fields.pop("policy", {})}
    return Problem(workloads=[chat], policy=policy, alternatives={"count": 0}, **fields)


def test_a_plan_counts_replicas_and_users() -> None:
    # 32 users fit a replica at 20 tokens/s (see above): 100 need 4
    each = best(replica(20)).users
    plan = solve(problem(), catalog())
    (bought,) = plan.purchases
    (chat,) = plan.workloads
    assert bought.units == -(-100 // each) == 4
    assert plan.cash_usd_per_month == pytest.approx(4 * 3.6 * 720)
    assert (chat.unit, chat.peak_requests_per_second) == ("users", 100)
    assert chat.utilization == pytest.approx(100 / (4 * each))
    # 100 in 4 batches of 32: each gets its 200 tokens in one service, or sooner
    (said,) = [line for line in warning_lines(plan) if line.startswith("users of chat on ")]
    speed = 200 / service_s(32)
    assert "S 1, N 4, batch 32, Q 0.781; each request gets at least " in said
    assert f" {speed:.3g} tokens/s and waits 0.251 s at most" in said


def test_a_plan_says_what_users_get_who_share_places() -> None:
    # 1,100 users at half a token/s in 1,024 places: Q 1.074, 200 tokens in Q services
    traffic = {"kind": "concurrent_users", "users": 1100, "tokens_per_s": 0.5}
    plan = solve(problem(chat={"traffic": traffic}), catalog())
    (said,) = [line for line in warning_lines(plan) if line.startswith("users of chat on ")]
    queue = 1100 / 1024
    assert "S 1, N 1, batch 1024, Q 1.07; each request gets " in said
    assert f"gets {200 / (queue * service_s(1024)):.3g} tokens/s and waits " in said
    wait_s = 0.2512 + (queue - 1) * service_s(1024)
    assert f"waits {wait_s:.3g} s at most" in said


def test_tokens_per_month_are_those_of_users_who_all_ask_at_their_speed() -> None:
    # 100 users · 20 output tokens/s, and four times as many input tokens, for 720 h
    given = prepare(problem(), catalog())
    assert given.schedule.tokens_per_month("chat") == pytest.approx(100 * 20 * 5 * 720 * 3600)


def test_the_report_and_the_document_say_users() -> None:
    plan = solve(problem(), catalog())
    assert plan.to_dict()["workloads"][0]["unit"] == "users"


def test_a_price_per_token_promises_no_speed() -> None:
    price = TokenPrice(
        provider="api", llm="toy", usd_per_m_input_tokens=1, usd_per_m_output_tokens=1, **SOURCE
    )
    limits = {"billing": {"allow": ["dedicated", "per_token"]}}
    given = prepare(problem(limits=limits), catalog(token_prices=[price]))
    (row,) = given.candidates.turned_down
    assert row.reason == "a price per token promises no speed per user"


def test_users_need_request_sizes() -> None:
    with pytest.raises(InputError, match="requests: required: toy is planned from request sizes"):
        prepare(problem(chat={"requests": None}), catalog())


def test_two_sizes_share_replicas_in_time() -> None:
    sizes = [
        {"input_tokens": 800, "output_tokens": 200, "share": 0.5},
        {"input_tokens": 100, "output_tokens": 100, "share": 0.5},
    ]
    plan = solve(problem(chat={"requests": sizes}), catalog())
    (bought,) = plan.purchases
    one, other = bought.candidate.requests_per_second
    needed = 50 / one + 50 / other
    assert bought.units - 1 < needed <= bought.units


# ---- rates that the workload states itself


def stated(*rates: dict[str, Any], **fields: Any) -> Problem:
    traffic = {"kind": "requests_per_second", "requests_per_second": 10}
    images = {"name": "images", "llm": "resnet-50", "rates": rates, "traffic": traffic}
    policy = {"utilization": {"target": 1.0}}
    return Problem(workloads=[{**images, **fields}], policy=policy, alternatives={"count": 0})


def test_any_model_is_planned_on_the_rates_it_states() -> None:
    # 10 requests/s: four replicas of one GPU at 3 for $14.40/h, or one of 4 GPUs at 12 for $12
    quad = rent(12.0, name="quad", gpus_per_unit=4)
    known = catalog(offerings=[rent(), quad])
    one = {"gpu": "box", "requests_per_second": 3}
    plan = solve(stated(one), known)
    assert plan.cash_usd_per_month == pytest.approx(12 * 720)  # its four replicas
    both = stated(one, {"gpu": "box", "gpus_per_replica": 4, "requests_per_second": 9})
    (bought,) = solve(both, known).purchases  # a quad as one replica of 9 would not do
    assert (bought.candidate.tensor_parallel, bought.units) == (1, 1)
    point = bought.candidate.points[0]
    assert (point.source, point.derate, point.tpot_s) == ("measured", 1.0, None)


def test_requests_of_a_model_without_tokens_are_counted_as_requests() -> None:
    plan = solve(stated({"gpu": "box", "requests_per_second": 3}), catalog())
    (images,) = plan.workloads
    assert (images.unit, images.tokens_per_month) == ("requests/s", 0)
    assert plan.usd_per_million_tokens is None


def test_what_a_model_without_tokens_costs_is_no_price_of_anothers_tokens() -> None:
    images = stated({"gpu": "box", "requests_per_second": 3}).workloads[0]
    [chat] = problem().workloads
    both = Problem(workloads=[images, chat], alternatives={"count": 0})
    plan = solve(both, catalog())
    assert [w.usd_per_million_tokens is None for w in plan.workloads] == [True, False]
    assert plan.usd_per_million_tokens is None
    assert plan_text(plan).count("per 1M tokens") == 1


def test_only_the_gpus_named_serve_and_the_rest_get_a_reason() -> None:
    known = catalog(gpus=[box(), box(id="tub")], offerings=[rent(), rent(gpu="tub", name="tub")])
    given = prepare(stated({"gpu": "box", "gpus_per_replica": 2, "requests_per_second": 3}), known)
    assert {row.reason for row in given.candidates.turned_down} == {
        "box: a replica of 2 GPUs does not fit in a unit of 1",
        "tub: the workload's rates name no replica on it",
    }


def test_a_rate_names_a_gpu_that_there_is() -> None:
    with pytest.raises(InputError) as caught:
        prepare(stated({"gpu": "bax", "requests_per_second": 3}), catalog())
    assert "workloads[0].rates[0].gpu: 'bax' is not in the catalog; did you mean 'box'?" in str(
        caught.value
    )


def test_rates_count_requests_and_know_nothing_of_users() -> None:
    rate = {"gpu": "box", "requests_per_second": 3}
    with pytest.raises(ValueError, match="rates count requests, the traffic counts tokens"):
        stated(rate, traffic={"kind": "tokens_per_day", "tokens_per_day": 1e6})
    with pytest.raises(ValueError, match="a measured rate says nothing of users"):
        stated(rate, traffic={"kind": "concurrent_users", "users": 1, "tokens_per_s": 1})
