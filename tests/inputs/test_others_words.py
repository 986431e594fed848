"""Words that other tools use: read where they can mean one thing only, else answered with ours."""

from __future__ import annotations

import pytest

from milp_planner import InputError, load_problem
from milp_planner.traffic.month import make_schedule

WORKLOAD = """
schema_version: 1
workloads:
  - name: chat
    llm: llama-3.1-8b
    requests: {input_tokens: 200, output_tokens: 100}
    traffic: {kind: tokens_per_day, tokens_per_day: 5M, pattern: bursty}
"""


def said(old: str, new: str) -> str:
    assert old in WORKLOAD
    with pytest.raises(InputError) as refused:
        load_problem("x.yaml", text=WORKLOAD.replace(old, new))
    return str(refused.value)


@pytest.mark.parametrize("pattern", ["steady", "bursty"])
def test_a_month_of_tokens_is_thirty_days_of_them(pattern):
    per_day = WORKLOAD.replace("bursty", pattern)
    per_month = per_day.replace("tokens_per_day: 5M", "tokens_per_month: 150M")
    per_month = per_month.replace("tokens_per_day", "tokens_per_month")
    one, other = (
        make_schedule(load_problem("x.yaml", text=text)).demands["chat"]
        for text in (per_day, per_month)
    )
    assert one == other


def test_a_month_of_tokens_needs_sizes_of_requests_where_rates_count_requests():
    text = WORKLOAD.replace("tokens_per_day", "tokens_per_month").replace(
        "    requests: {input_tokens: 200, output_tokens: 100}\n",
        "    rates: [{gpu: l4-24gb, requests_per_second: 3}]\n",
    )
    with pytest.raises(InputError, match="rates count requests, the traffic counts tokens"):
        load_problem("x.yaml", text=text)


def test_a_month_is_not_taken_for_a_day():
    traffic = "{kind: tokens_per_day, tokens_per_day: 5M, pattern: bursty}"
    message = said(traffic, "{kind: tokens_per_day, tokens_per_month: 150M}")
    assert (
        "workloads[0].traffic.tokens_per_month: unknown key for kind: tokens_per_day; "
        "'tokens_per_month' belongs to kind: tokens_per_month" in message
    )


def test_dollars_may_have_their_sign():
    limits = "limits: {budget: {usd_per_month: $60k}}\ntoday: {usd_per_month: $9_000}\n"
    found = load_problem("x.yaml", text=WORKLOAD + limits)
    assert found.limits.budget is not None
    assert (found.limits.budget.usd_per_month, found.today.usd_per_month) == (60_000, 9_000)


@pytest.mark.parametrize("written", ["$", "$-5", "-$5", "$$5", "$ 5", "5$"])
def test_a_sign_is_no_amount(written):
    with pytest.raises(InputError, match="is not a number"):
        load_problem("x.yaml", text=f'{WORKLOAD}today: {{usd_per_month: "{written}"}}\n')


def test_a_sign_says_nothing_of_what_is_no_money():
    assert "'$5M' is not a number" in said("tokens_per_day: 5M", "tokens_per_day: $5M")


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("on_demand", "'dedicated'"),
        ("On-Demand", "'dedicated'"),
        ("serverless", "'autoscaling' or 'per_token'"),
        ("reserved", "'reserved_1y' or 'reserved_3y'"),
        ("preemptible", "'spot'"),
        ("dedicate", "'dedicated'"),
    ],
)
def test_ways_to_pay_are_answered_with_our_word(word, meant):
    limits = f"limits: {{billing: {{allow: [{word}]}}}}\n"
    with pytest.raises(InputError) as refused:
        load_problem("x.yaml", text=WORKLOAD + limits)
    assert str(refused.value).endswith(f"\n  hint: did you mean {meant}?")


def test_kinds_of_traffic_are_answered_with_our_word():
    assert "did you mean 'concurrent_users'?" in said("kind: tokens_per_day", "kind: users")
    assert "did you mean 'requests_per_second'?" in said("kind: tokens_per_day", "kind: qps")
