"""A first plan without the solvers: its loads, stock, fleets, bound and short listing, by hand.

Big serves 10 requests/s for $4/h, $2,880 a month; small 3 for $1.50/h, $1,080.
"""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Status, prepare, solve
from milp_planner.solving.first import few
from milp_planner.solving.first.bounds import least_usd_per_month
from milp_planner.solving.first.few import MOST_UNITS, is_large, list_few
from milp_planner.solving.first.fleets import equal_parts, first_fleets
from milp_planner.solving.first.loads import Load
from milp_planner.solving.first.stock import Stock
from milp_planner.solving.prepare import outline_of
from tests.support.builders import (
    PER_TOKEN,
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    stocked,
    with_tokens,
)
from tests.support.examples import tries


def kinds(instance):
    """Load of the one workload, and its candidates by GPU; '' is the API."""
    by_gpu = {k.gpu: k for k in instance.candidates.candidates}
    return Load.of(instance, "chat"), by_gpu


def bought(instance):
    """The first of the fleets: units by GPU, and what it pays."""
    fleets = first_fleets(instance)
    if not fleets:
        return None
    units = {k.gpu: max(counts) for k, counts in fleets[0].solution.units.items()}
    return units, pytest.approx(fleets[0].usd_per_month)


# --- loads ----------------------------------------------------------------------------------------


def test_serving_all_by_one_kind_is_rounded_up_to_whole_units():
    load, by_gpu = kinds(prepare(problem(13), big_and_small()))
    # 13 / 10 is two big; 13 / 3 is five small.
    assert load.rough_usd(by_gpu["big"]) == 2 * 2880
    assert load.rough_usd(by_gpu["small"]) == 5 * 1080
    # One big carries 10 of 13; nothing carries more than all.
    assert load.carried_by(by_gpu["big"], 1) == pytest.approx(10 / 13)
    assert load.carried_by(by_gpu["big"], 9) == 1.0


def test_a_part_has_units_for_its_share_and_for_what_it_takes_over():
    load, by_gpu = kinds(prepare(problem(13), big_and_small()))
    half = load.part(by_gpu["small"], 0.5)  # 6.5 requests/s: three small
    assert (half.units, half.usd_per_month, half.shares) == ((3,), 3 * 1080, (0.5,))
    # Once the other half is lost this one carries all 13: five small.
    assert load.part(by_gpu["small"], 0.5, of_lost=1.0, parts=2).units == (5,)


def test_replicas_are_kept_however_small_the_share_and_shared_between_parts():
    load, by_gpu = kinds(prepare(problem(13, chat={"min_replicas": 4}), big_and_small()))
    assert load.part(by_gpu["big"], 0.1).units == (4,)
    assert load.part(by_gpu["big"], 0.1, parts=2).units == (2,)


def test_a_target_leaves_room_in_every_unit():
    load, by_gpu = kinds(prepare(problem(13, target=0.5), big_and_small()))
    assert load.part(by_gpu["big"], 1.0).units == (3,)  # 13 / 5


def test_an_api_needs_no_units_and_is_paid_by_the_request():
    load, by_gpu = kinds(prepare(problem(13, limits=PER_TOKEN), with_tokens()))
    part = load.part(by_gpu[""], 0.5)  # $51.84 a month for one request/s
    assert (part.units, part.usd_per_month) == ((0,), pytest.approx(6.5 * 51.84))


# --- stock ----------------------------------------------------------------------------------------


def test_what_is_taken_is_gone_and_a_copy_keeps_its_own_count():
    instance = prepare(problem(13, limits={"max_gpus": {"total": 6}}), big_and_small())
    load, by_gpu = kinds(instance)
    stock = Stock(instance.problem)
    five = load.part(by_gpu["small"], 1.0)
    assert (stock.room(by_gpu["big"]), stock.holds(five)) == (6, True)
    before = stock.copy()
    stock.take(five)
    assert (stock.room(by_gpu["big"]), stock.holds(five)) == (1, False)
    assert before.room(by_gpu["big"]) == 6


def test_units_that_a_row_says_can_be_had_are_counted_and_others_have_no_end():
    instance = prepare(problem(13), stocked())
    load, by_gpu = kinds(instance)
    stock = Stock(instance.problem)
    assert (stock.room(by_gpu["big"]), stock.room(by_gpu["small"])) == (2, math.inf)
    stock.take(load.part(by_gpu["big"], 0.5))
    assert stock.room(by_gpu["big"]) == 1


# --- fleets ---------------------------------------------------------------------------------------


def test_the_first_fleet_is_the_cheapest_of_one_kind():
    assert bought(prepare(problem(13), big_and_small())) == ({"small": 5}, 5400)


def test_a_quota_is_kept_by_the_next_kind():
    # Five small are too many for four GPUs; two big are not.
    instance = prepare(problem(13, limits={"max_gpus": {"total": 4}}), big_and_small())
    assert bought(instance) == ({"big": 2}, 5760)


def test_what_one_kind_cannot_carry_goes_to_the_next():
    # Three big or nine small alone; there are two big, for 20 of 25, and room for four GPUs.
    instance = prepare(problem(25, limits={"max_gpus": {"total": 4}}), stocked())
    assert bought(instance) == ({"big": 2, "small": 2}, 2 * 2880 + 2 * 1080)


def test_where_nothing_fits_there_is_no_fleet():
    instance = prepare(problem(13, limits={"max_gpus": {"total": 1}}), big_and_small())
    assert bought(instance) is None


def two_sellers_of_big():
    return catalog([offering("acme", "big", 4.0), offering("bolt", "big", 5.0)], [raw("big", 10)])


def test_a_loss_is_survived_by_halves_that_each_carry_all():
    # 13 requests/s on either side once the other is gone: two big each, $8 and $10 an hour.
    instance = prepare(problem(13, limits={"survive_loss_of": "provider"}), two_sellers_of_big())
    assert bought(instance) == ({"big": 2}, 18 * 720)
    assert sorted(k.provider for k in first_fleets(instance)[0].solution.units) == ["acme", "bolt"]


def test_a_share_is_kept_by_equal_parts_of_as_many_as_it_takes():
    assert equal_parts(problem(13)) is None
    third = equal_parts(problem(13, limits={"providers": {"max_share": 0.34}}))
    assert third is not None
    assert (third.parts, third.left) == (3, 0.0)
    half = prepare(problem(13, limits={"providers": {"max_share": 0.5}}), two_sellers_of_big())
    assert bought(half) == ({"big": 1}, 9 * 720)  # 6.5 requests/s each


def test_one_name_alone_serves_all_where_only_one_is_allowed():
    one = {"providers": {"max_count": 1}}
    instance = prepare(problem(13, limits=one), big_and_small())
    [fleet, *_] = first_fleets(instance)
    assert len({k.provider for k in fleet.solution.units}) == 1


def test_a_short_budget_serves_the_share_that_it_pays_for():
    # One big, $2,880, carries 10 of 13; two small, $2,160, only 6.
    short = {"budget": {"usd_per_month": 3000, "when_short": "fair"}}
    instance = prepare(problem(13, limits=short), big_and_small())
    [fleet, *_] = first_fleets(instance)
    assert ({k.gpu for k in fleet.solution.units}, fleet.usd_per_month) == ({"big"}, 2880)
    assert 10 / 13 - 1 / 2**9 <= fleet.served <= 10 / 13


# --- the bound ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "rented", "usd"),
    [
        (problem(13), big_and_small(), 13 * 0.4 * 720),  # big: $0.40 per hour and request/s
        (problem(13, target=0.5), big_and_small(), 13 * 0.8 * 720),
        (problem(13, limits=PER_TOKEN), with_tokens(), 13 * 51.84),
        (problem(13), with_tokens(), 13 * 0.4 * 720),  # tokens are not allowed
    ],
)
def test_the_bound_is_what_fractions_of_the_cheapest_cost(asked, rented, usd):
    assert least_usd_per_month(prepare(asked, rented)) == pytest.approx(usd, rel=2e-5)


def test_where_requests_may_be_left_there_is_no_bound():
    asked = problem(13, policy={"penalties": {"shortfall": {"usd_per_million_requests": 1}}})
    assert least_usd_per_month(prepare(asked, big_and_small())) is None


@tries(0.4, deadline=None)
@given(
    rate=st.floats(min_value=0.5, max_value=60),
    target=st.sampled_from([0.5, 0.8, 1.0]),
    total=st.sampled_from([None, 3, 8]),
    tokens=st.booleans(),
)
def test_no_plan_is_below_the_bound_and_no_first_fleet_below_the_best(rate, target, total, tokens):
    limits = {} if total is None else {"max_gpus": {"total": total}}
    asked = problem(rate, target=target, limits=limits | (PER_TOKEN if tokens else {}))
    instance = prepare(asked, with_tokens())
    best = solve(asked, with_tokens(), diagnose=False)
    fleets = first_fleets(instance)
    if best.status is Status.INFEASIBLE:
        assert fleets == []
        return
    assert best.cash_usd_per_month is not None
    assert least_usd_per_month(instance) <= best.cash_usd_per_month + 0.005
    assert all(f.usd_per_month >= best.cash_usd_per_month - 0.005 for f in fleets)


# --- a short listing ------------------------------------------------------------------------------


def eight_kinds():
    """g0 to g7, dearer one by one, each of two sellers; none but g1 to g7 can serve."""
    sold = [offering(seller, f"g{i}", 1.0 + i) for i in range(MOST_UNITS + 2) for seller in "ab"]
    return catalog(sold, [raw(f"g{i}", 10) for i in range(1, MOST_UNITS + 2)])


def test_a_few_kinds_that_can_serve_are_listed_with_all_who_sell_them():
    problem_, schedule, rented = outline_of(problem(13), eight_kinds())
    listed = list_few(problem_, schedule, rented).candidates
    assert sorted({k.gpu for k in listed}) == [f"g{i}" for i in range(1, MOST_UNITS + 1)]
    assert len(listed) == 2 * MOST_UNITS


def test_what_the_limits_leave_out_is_not_listed():
    asked = problem(13, limits={"providers": {"deny": ["a"]}, "gpus": {"deny": ["g2"]}})
    listed = list_few(*outline_of(asked, eight_kinds())).candidates
    assert {k.provider for k in listed} == {"b"}
    assert "g2" not in {k.gpu for k in listed}


def test_a_listing_is_large_by_offerings_times_classes(monkeypatch):
    outline = outline_of(problem(13), eight_kinds())
    assert not is_large(*outline)
    monkeypatch.setattr(few, "LARGE_LISTING", 2 * (MOST_UNITS + 2) - 1)
    assert is_large(*outline)
    monkeypatch.setattr(few, "LARGE_LISTING", 2 * (MOST_UNITS + 2))
    assert not is_large(*outline)
