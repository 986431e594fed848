"""Queues in place of the target: cheaper where nobody would wait, dearer where people would."""

from __future__ import annotations

import pytest
import yaml

from milp_planner import Problem, load_catalog, replay, solve
from tests.support.toy import ROOT

QUICKSTART = yaml.safe_load((ROOT / "problems" / "quickstart.yaml").read_text(encoding="utf-8"))
BY_QUEUES = {"utilization": {"by": "queues"}}


def asked(burstiness, policy) -> Problem:
    """The quickstart, whose requests come in such bursts and are to wait for a second at most."""
    (chat,) = QUICKSTART["workloads"]
    chat = chat | {"traffic": chat["traffic"] | {"burstiness": burstiness}}
    if policy:
        chat = chat | {"latency": chat["latency"] | {"wait": {"p99": "1s"}}}
    return Problem.model_validate({**QUICKSTART, "workloads": [chat], "policy": policy})


@pytest.mark.slow
@pytest.mark.parametrize("burstiness", [1, 4])
def test_queues_are_dearer_than_the_target_only_where_its_plan_would_make_people_wait(burstiness):
    rented, wish = load_catalog(), asked(burstiness, BY_QUEUES)
    by_target = solve(asked(burstiness, {}), rented, alternatives=0)
    by_queues = solve(wish, rented, alternatives=0)
    keep = [
        replay(plan, wish, rented, requests=60_000, seeds=1).keeps_all_wishes
        for plan in (by_target, by_queues)
    ]
    is_dearer = by_queues.cash_usd_per_month > by_target.cash_usd_per_month
    assert is_dearer == (burstiness == 4)
    assert keep == [not is_dearer, True]
