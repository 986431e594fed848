"""Candidates taken from a wider listing are those that a listing of their own gives."""

from __future__ import annotations

import random

import pytest

from milp_planner import InputError, prepare
from milp_planner.solving.narrowed import narrowed
from tests.support.builders import catalog, offering, problem, raw, token_price

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


def test_other_rates_are_listed_anew():
    known = prepare(problem(10), market())
    assert narrowed(known, problem(11)) is None
    assert narrowed(known, problem(10, target=0.5)) is None


def test_an_unknown_name_is_refused_as_in_a_listing_of_its_own():
    known = prepare(problem(), market())
    with pytest.raises(InputError, match="no provider 'acne'"):
        narrowed(known, problem(limits={"providers": {"allow": ["acne"]}}))
