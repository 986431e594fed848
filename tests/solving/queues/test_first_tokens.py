"""Times to the first token beside wishes that queues decide: no wait is longer than they are."""

from __future__ import annotations

import pytest

from milp_planner import Latency, Status, TimeNotJudged, WaitKept, diagnose, evaluate, solve
from tests.solving.queues.test_waits import asked, market, units_of, usd_of

SLOW = {"wait": {"p50": "60s"}}
FIRST = {"ttft": {"p99": "1s"}}


def test_a_first_token_holds_the_wait_that_nothing_else_does():
    # 19.9 requests/s: two big keep a p50 of a minute; a p99 wait of 1 s takes a small beside them.
    # A p99 of the first token of 1 s does as well: it cannot come before the wait is over.
    def usd(latency):
        return usd_of(solve(asked(19.9, latency), market(), alternatives=0))

    alone, waits = usd(SLOW), usd({"wait": {"p50": "999ms", "p99": "1s"}})
    assert alone < waits == pytest.approx(9.5)
    found = solve(asked(19.9, {**SLOW, **FIRST}), market(), alternatives=0)
    assert usd_of(found) == pytest.approx(waits)
    said = [one.what for one in found.warnings if isinstance(one, WaitKept)]
    assert said == ["p50 wait", "p99 wait within the ttft"]
    # Of the rest nothing is known here, neither a percentile nor a mean.
    (unjudged,) = (one for one in found.warnings if isinstance(one, TimeNotJudged))
    assert (unjudged.what, unjudged.held) == ("p99 ttft", False)


def test_a_wait_that_says_as_much_says_it_alone():
    def within(**wishes):
        return [one.words for one in Latency(**wishes).waits_within]

    assert within(ttft={"p99": "1s"}) == []  # queues are not judged
    assert within(ttft={"p99": "1s"}, wait={"p99": "1s"}) == []
    assert within(ttft="2s", wait={"p50": "1s"}) == []
    assert within(ttft={"p99": "1s"}, wait={"p99": "2s"}) == ["p99 ttft"]
    assert within(ttft={"p99": "1s"}, wait={"p95": "1s"}) == ["p99 ttft"]
    assert within(ttft="2s", request="9s") == ["mean ttft"]


ONE = {"limits": {"max_gpus": {"total": 1}}}
"""Of 9.5 requests/s one big carries all, but 1 of 200 waits 9.6 s: ln(0.6 ÷ 0.005) ÷ 0.5."""


@pytest.mark.parametrize("routing", ["shared", "per_offering"])
def test_a_fleet_is_told_that_the_wait_alone_is_longer_than_the_first_token_may_take(routing):
    question = asked(9.5, {**SLOW, **FIRST}, policy={"routing": routing}, **ONE)
    told = evaluate(question, {"acme/big/eu-1": 1}, market())
    assert len(told.breaches) == 1
    assert "the p99 wait within the ttft " in told.breaches[0].message
    assert "longer than 1 s" in told.breaches[0].message


@pytest.mark.slow
def test_where_it_cannot_be_kept_it_is_what_is_loosened():
    question = asked(9.5, {**SLOW, **FIRST}, **ONE)
    assert solve(question, market()).status is Status.INFEASIBLE
    offered = {change.path: change.text for change in diagnose(question, market()).changes}
    assert offered["workloads.chat.latency.ttft.p99"].startswith("accept a p99 ttft of 9.")
    loose = solve(asked(9.5, {**SLOW, "ttft": {"p99": "11s"}}, **ONE), market(), alternatives=0)
    assert units_of(loose) == {"big": 1}
