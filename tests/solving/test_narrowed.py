"""Candidates taken from a wider listing are those that a listing of their own gives."""

from __future__ import annotations

import random

import pytest

from milp_planner import InputError, prepare
from milp_planner.solving.narrowed import narrowed
from milp_planner.solving.re_solve import scaled_traffic
from tests.support.builders import catalog, offering, problem, raw, token_price, workload

BILLINGS = ("dedicated", "autoscaling", "spot", "reserved_1y")


def market():
    rows = [
        offering(provider, gpu, 1.0, billing=billing, region=region)
        for provider in ("acme", "bolt")
        for gpu in ("big", "small")
        for billing in BILLINGS
        for region in ("eu-1", "us-1")
    ]
    return catalog(rows, [raw("big", 10), raw("small", 3)], [token_price("tokn", 10)])


def some(names: list[str], chance: random.Random) -> list[str]:
    return [name for name in names if chance.random() < 0.5]


@pytest.mark.parametrize("seed", range(25))
def test_a_stricter_problem_has_the_candidates_of_its_own_listing(seed):
    chance = random.Random(seed)
    sold = market()
    wide = prepare(problem(limits={"billing": {"allow": [*BILLINGS, "per_token"]}}), sold)
    limits = {
        "billing": {"allow": some([*BILLINGS, "per_token"], chance) or ["dedicated"]},
        "providers": {"allow": some(["acme", "bolt", "tokn"], chance)},
        "regions": {"deny": some(["eu-1"], chance)},
        "gpus": {"deny": some(["small"], chance)},
    }
    asked = problem(limits=limits, policy={"switch_off_dedicated": chance.random() < 0.5})
    found, own = narrowed(wide, asked), prepare(asked, sold)
    assert found is not None
    assert [k.id for k in found.candidates.candidates] == [k.id for k in own.candidates.candidates]
    assert sorted((row.offering.key, row.reason) for row in found.candidates.turned_down) == sorted(
        (row.offering.key, row.reason) for row in own.candidates.turned_down
    )


def test_a_wider_problem_is_listed_anew():
    sold = market()
    known = prepare(problem(limits={"providers": {"allow": ["acme"]}}), sold)
    assert narrowed(known, problem()) is None


def listing(instance):
    """All that a listing says, whatever the order of what is turned down."""
    found = instance.candidates
    turned_down = sorted((row.offering.key, row.reason) for row in found.turned_down)
    return repr(found.candidates), turned_down, instance.schedule


@pytest.mark.parametrize("seed", range(10))
def test_own_prices_hold_for_what_a_stricter_problem_lets_through(seed):
    chance = random.Random(seed)
    sold = market()
    prices = {"discounts": {"bolt/*": "10%"}, "own": {"acme/big/*": 0.5}}
    wide = prepare(problem(limits={"billing": {"allow": [*BILLINGS]}}, prices=prices), sold)
    limits = {
        "billing": {"allow": some([*BILLINGS], chance) or ["dedicated"]},
        "providers": {"deny": some(["bolt"], chance)},
        "gpus": {"deny": some(["small"], chance)},
    }
    asked = problem(limits=limits, prices=prices)
    found = narrowed(wide, asked)
    assert found is not None
    assert listing(found) == listing(prepare(asked, sold))
    assert narrowed(wide, problem(limits=limits)) is None  # at other prices


@pytest.mark.parametrize("factor", [0.5, 2, 1000])
def test_other_traffic_and_another_utilization_are_as_in_a_listing_of_their_own(factor):
    day = {"kind": "profile", "requests_per_day": 432_000, "weights": [1] * 12 + [0] * 12}
    sold = market()
    known = prepare(problem(workloads=[workload(traffic=day)]), sold)
    more = {**day, "growth": factor}
    asked = problem(workloads=[workload(traffic=more)], target=0.5)
    found = narrowed(known, asked)
    assert found is not None
    assert listing(found) == listing(prepare(asked, sold))


def test_what_only_more_traffic_leaves_out_is_not_missing_under_less():
    # A tiny one carries 1e-8 requests/s: 1e9 units for 10 requests/s, but 1e7 for 0.1.
    sold = catalog(
        [offering("acme", "big", 4.0), offering("acme", "small", 1.0)],
        [raw("big", 10), raw("small", 1e-8)],
    )
    known = prepare(problem(10), sold)
    assert [k.gpu for k in known.candidates.candidates] == ["big"]
    asked = scaled_traffic(problem(10), 0.01)
    assert narrowed(known, asked) is None
    assert len(prepare(asked, sold).candidates.candidates) == 2
    back = narrowed(prepare(asked, sold), problem(10))
    assert back is not None
    assert listing(back) == listing(known)


def test_other_rates_are_listed_anew():
    known = prepare(problem(10), market())
    assert narrowed(known, problem(11)) is None
    assert narrowed(known, problem(10, policy={"confidence": "p50"})) is None


def test_an_unknown_name_is_refused_as_in_a_listing_of_its_own():
    known = prepare(problem(), market())
    with pytest.raises(InputError, match="no provider 'acne'"):
        narrowed(known, problem(limits={"providers": {"allow": ["acne"]}}))
