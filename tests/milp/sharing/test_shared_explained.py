"""What is asked about shared units: explanations, against every fleet, what-if and diagnosis."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from milp_planner import diagnose, explain, what_if
from tests.milp.sharing.test_shared_units import NODE, nodes, two
from tests.support.oracles.shared_cases import as_catalog, as_problem, question
from tests.support.oracles.shared_fleets import HOURS, Fleet, Question, scores


def of_two_sellers(seed: int) -> Question:
    """acme and bolt, one offering each, of one or two GPUs."""
    asked = question(seed)
    first, second = (replace(one, gpus=min(one.gpus, 2)) for one in asked.sold)
    return replace(asked, sold=(first, replace(second, provider="bolt")))


def usd_of(asked: Question, fleet: Fleet, seller: int) -> float:
    return HOURS * fleet[seller] * asked.sold[seller].usd_per_hour


def judged(seed: int, share: str | None) -> None:
    asked = of_two_sellers(seed)
    known = scores(asked)
    if not known or (share is None and len(asked.loads) == 1):
        return
    best = min(known.values())
    (fleet, *tied) = (one for one, usd in known.items() if usd < best + 0.01)
    if tied:
        return
    problem = as_problem(asked).changed({"policy.share": share})
    for seller, one in enumerate(asked.sold):
        why = explain(problem, as_catalog(asked), offering=f"{one.provider}/{one.name}/eu-1")
        if fleet[seller]:
            others = [usd for other, usd in known.items() if not other[seller]]
        else:  # what is left of a plan without it must not do as well by itself
            others = [
                usd
                for other, usd in known.items()
                if other[seller] and usd - usd_of(asked, other, seller) < best - 0.01
            ]
        assert why.verdict.value == ("used" if fleet[seller] else why.verdict.value)
        extra = min(others, default=math.inf) - best
        assert why.extra_usd == (pytest.approx(extra, abs=0.01) if extra < math.inf else None)


@pytest.mark.parametrize("share", ["units", None])
def test_what_a_seller_is_worth_is_what_the_best_fleets_differ_by(share):
    judged(3, share)


@pytest.mark.slow
@pytest.mark.parametrize("share", ["units", None])
def test_what_many_sellers_are_worth(share):
    for seed in range(100, 130):
        judged(seed, share)


def test_more_traffic_takes_another_node_once_the_first_is_full():
    # Eight times as much is 40 and 40 requests/s, four GPUs each; nine times is five each.
    grown = {
        f"x{times}": {f"workloads.{name}.traffic.growth": times for name in ("chat", "code")}
        for times in (1, 8, 9)
    }
    frame = what_if(two(), grown, nodes()).to_frame()
    assert [*frame["cash_usd_per_month"]] == pytest.approx([NODE, NODE, 2 * NODE])


def test_a_quota_below_one_node_is_raised_to_one():
    found = diagnose(two(limits={"max_gpus": {"total": 7}}), nodes())
    (change,) = found.changes
    assert change.path == "limits.max_gpus.total"
    assert change.cash_usd_per_month == pytest.approx(NODE)
    assert "allow 1 more GPU (8 in all)" in change.text
