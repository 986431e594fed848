"""Discounts, prices of one's own and price caps: every question sees them."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from milp_planner import (
    Catalog,
    InputError,
    Plan,
    Problem,
    Scenario,
    Status,
    diagnose,
    evaluate,
    explain,
    explain_limits,
    load_problem,
    prepare,
    solve,
    what_if,
)
from milp_planner.candidates.own_terms import closest_match, matches
from milp_planner.plans.document import plan_dict
from milp_planner.plans.reading import read_plan
from tests.support.builders import (
    BIG,
    PER_TOKEN,
    SMALL,
    TOKENS,
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    with_tokens,
)

TODAY = date(2026, 3, 1)


def asked(rate: float = 10, **fields: Any) -> Problem:
    return problem(rate, **fields)


def bought(plan: Plan) -> dict[str, float]:
    """USD per hour of a unit by offering."""
    return {p.candidate.offering.id: p.candidate.usd_per_hour for p in plan.purchases}


def read(rented: Catalog) -> Catalog:
    return replace(rented, read_on=TODAY)


# --- What is paid -----------------------------------------------------------------------------


def test_a_discount_is_off_the_list_price_of_what_it_matches():
    # 10 requests/s: one big for $4/h, or four small for $6/h. A third off small: 4 · 1 = $4/h;
    # half off: 4 · 0.75 = $3/h, 720 h a month.
    plan = solve(asked(prices={"discounts": {"bolt/*": "50%"}}), big_and_small())
    assert bought(plan) == {SMALL: 0.75}
    assert plan.cash_usd_per_month == pytest.approx(2_160)


def test_an_own_price_is_per_gpu_and_stands_before_list_price_and_discount():
    twos = catalog([offering("acme", "big", 4.0, gpus_per_unit=2)], [raw("big", 10)])
    terms = {"own": {"acme/*": 1.1}, "discounts": {"*": "10%"}}
    one = offering("bolt", "big", 90.0)
    rented = replace(twos, offerings=(*twos.offerings, one))
    plan = solve(asked(20, prices=terms), read(rented))
    (row,) = [p.candidate.offering for p in plan.purchases]
    assert row.usd_per_hour == pytest.approx(2.2)  # of two GPUs
    assert (row.list_usd_per_hour, row.source, row.as_of) == (4.0, "your price", TODAY)
    assert row.note == (
        "your price; listed at $4 per unit and hour by made for tests of 2026-01-15"
    )


def test_tokens_have_discounts_too_and_no_own_prices():
    # 10 requests/s at $51.84 a month each: $518.40, half of it $259.20.
    rented = with_tokens()
    question = asked(limits=PER_TOKEN, prices={"discounts": {TOKENS: "50%"}})
    assert solve(question, rented).cash_usd_per_month == pytest.approx(259.2)


@pytest.mark.parametrize(
    ("pattern", "billing", "own", "expected"),
    [
        ("acme/*", "dedicated", False, True),
        ("acme/*", "spot", False, True),
        ("acme/*", "owned", False, False),
        ("acme/* spot", "spot", False, True),
        ("acme/* spot", "dedicated", False, False),
        ("acme/*", "dedicated", True, True),
        ("acme/*", "spot", True, False),  # an on-demand price says nothing of spot
        ("acme/* spot", "spot", True, True),
        ("bolt/*", "dedicated", False, False),
    ],
)
def test_a_pattern_is_about_certain_billings(pattern, billing, own, expected):
    row = offering("acme", "big", 4.0, billing=billing)
    assert matches(pattern, row, own=own) is expected


def test_what_matches_most_exactly_holds():
    row = offering("acme", "big", 4.0)
    assert closest_match(["*", "acme/*", "acme/b*", "bolt/*"], row) == "acme/b*"
    assert closest_match(["acme/b*", "acme/b* dedicated"], row) == "acme/b* dedicated"
    assert closest_match(["bolt/*"], row) == ""


def test_the_document_has_the_list_price_beside_and_is_read_back():
    question = asked(prices={"discounts": {"acme/*": "25%"}})
    plan = solve(question, big_and_small())
    (row,) = plan_dict(plan)["purchases"]
    assert (row["usd_per_unit_hour"], row["list_usd_per_unit_hour"]) == (3.0, 4.0)
    assert row["price_note"] == ("listed at $4 per unit and hour, less your discount of 25 %")
    assert plan_dict(read_plan(plan_dict(plan))) == plan_dict(plan)
    (row,) = plan_dict(solve(asked(), big_and_small()))["purchases"]
    assert row["list_usd_per_unit_hour"] is None


# --- Every question sees it -------------------------------------------------------------------

HALF = {"discounts": {"bolt/*": "50%"}}


def test_the_candidates_are_at_the_price_that_is_paid():
    listed = prepare(asked(prices=HALF), big_and_small()).candidates.candidates
    assert {k.offering.id: k.usd_per_hour for k in listed} == {BIG: 4.0, SMALL: 0.75}


def test_a_fleet_is_evaluated_at_the_price_that_is_paid():
    told = evaluate(asked(prices=HALF), {SMALL: 4}, big_and_small())
    assert told.plan.cash_usd_per_month == pytest.approx(2_160)


def test_an_entry_price_is_one_that_is_paid():
    # Four small at $0.75 cost $3/h; big enters below $3/h.
    why = explain(asked(prices=HALF), big_and_small(), offering=BIG)
    assert why.entry_price is not None
    assert why.entry_price.usd_per_gpu_hour == pytest.approx(3.0, abs=0.01)
    assert why.entry_price.now_usd_per_gpu_hour == pytest.approx(4.0)


def test_a_scenario_changes_what_is_paid_and_terms_do_not_act_twice():
    # Small at $0.75, twice that is its list price of $1.50: four for $6/h, and big for $4/h wins.
    # At 120 % it is $0.90, four for $3.60/h. At a stated $0.80 four are $3.20/h.
    scenarios = [Scenario("x", prices={"bolt/*": price}) for price in ("200%", "120%", 0.8)]
    told = what_if(asked(prices=HALF), scenarios, big_and_small())
    found = [row.cash_usd / 720 for row in told.rows]
    assert found == pytest.approx([4.0, 3.6, 3.2])


def test_a_scenario_may_change_the_terms():
    more = {"more": {"prices.discounts": {"bolt/*": "60%"}}}
    told = what_if(asked(prices=HALF), more, big_and_small())
    assert told.rows[0].cash_usd == pytest.approx(4 * 0.6 * 720)


# --- What is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prices", "message"),
    [
        (
            "{discounts: {acmee/*: 15%}}",
            "p.yaml:10:22: prices.discounts: 'acmee/*' matches none of the 3 offerings; "
            "closest: acme/big/eu-1",
        ),
        (
            "{own: {acme/bigg/eu-1: 2}}",
            "p.yaml:10:16: prices.own: no offering 'acme/bigg/eu-1'; closest: acme/big/eu-1",
        ),
        (
            "{own: {acme/* spot: 2}}",
            "prices.own: 'acme/*' is sold as dedicated, not spot; write 'acme/* dedicated'",
        ),
        (
            "{own: {bolt/*: 2}}",
            "prices.own: 'bolt/*' is sold as spot, not on demand; write 'bolt/* spot'",
        ),
        ("{own: {tokn/*: 2}}", "prices.own: 'tokn/*' is paid per token; own prices are per GPU"),
        (
            "{discounts: {'*/big/*': 1%, '*cme/b*': 2%}}",
            "'*/big/*' and '*cme/b*' match acme/big/eu-1 equally exactly; write one of them out",
        ),
        (
            "{discounts: {acme/*: 1%}, own: {acme/*: 2}}",
            "'acme/*' takes nothing off: all that it matches has a price under prices.own",
        ),
        ("{discounts: {acme/*: 120%}}", "must be at most 1 (is 120%)"),
        ("{own: {acme/*: 0}}", "must be greater than 0 (is 0)"),
        ("{mine: {acme/*: 2}}", "unknown key"),
    ],
)
def test_terms_that_would_not_act_are_errors(prices, message):
    text = f"""\
schema_version: 1
workloads:
  - name: chat
    llm: tiny
    traffic: {{kind: requests_per_second, requests_per_second: 1}}
    requests: {{input_tokens: 1, output_tokens: 1}}
limits: {{billing: {{allow: [dedicated, spot, per_token]}}}}
policy: {{utilization: {{target: 1}}}}

prices: {prices}
"""
    big, small = offering("acme", "big", 4.0), offering("bolt", "small", 1.0, billing="spot")
    rented = catalog([big, small], [raw("big", 10), raw("small", 3)])
    rented = replace(rented, token_prices=with_tokens().token_prices)
    with pytest.raises(InputError) as error:
        prepare(load_problem("p.yaml", text=text), rented)
    assert message in str(error.value)


# --- Caps -------------------------------------------------------------------------------------


def test_a_cap_leaves_out_what_is_dearer_per_gpu():
    plan = solve(asked(limits={"max_usd_per_gpu_hour": 2}), big_and_small())
    assert bought(plan) == {SMALL: 1.5}
    (out,) = prepare(
        asked(limits={"max_usd_per_gpu_hour": 2}), big_and_small()
    ).candidates.turned_down
    assert out.reason == ("$4.00 per GPU and hour is above limits.max_usd_per_gpu_hour ($2.00)")


def test_a_cap_counts_gpus_and_lets_its_own_price_through():
    twos = catalog([offering("acme", "big", 4.0, gpus_per_unit=2)], [raw("big", 10)])
    assert solve(asked(limits={"max_usd_per_gpu_hour": 2}), twos).status is Status.OPTIMAL
    assert solve(asked(limits={"max_usd_per_gpu_hour": 1.99}), twos).status is Status.INFEASIBLE


def test_a_cap_may_be_of_a_billing():
    caps = {"max_usd_per_gpu_hour": {"spot": 1}}
    plan = solve(asked(limits=caps), big_and_small())
    assert bought(plan) == {BIG: 4.0}  # dedicated has no cap
    caps = {"max_usd_per_gpu_hour": {"dedicated": 3}}
    assert bought(solve(asked(limits=caps), big_and_small())) == {SMALL: 1.5}


def test_a_cap_is_on_what_is_paid():
    limits = {"max_usd_per_gpu_hour": 3}
    plan = solve(asked(limits=limits, prices={"discounts": {"acme/*": "25%"}}), big_and_small())
    assert bought(plan) == {BIG: 3.0}


def test_tokens_have_no_price_per_gpu():
    limits = {**PER_TOKEN, "max_usd_per_gpu_hour": 0.01}
    assert bought(solve(asked(limits=limits), with_tokens())) == {TOKENS: 0.0}


@pytest.mark.parametrize(
    ("cap", "patch"),
    [
        (1, {"limits.max_usd_per_gpu_hour": 1.5}),
        ({"dedicated": 1}, {"limits.max_usd_per_gpu_hour": {"dedicated": 1.5}}),
    ],
)
def test_a_cap_that_leaves_nothing_is_named_with_the_price_that_would_do(cap, patch):
    question = asked(limits={"max_usd_per_gpu_hour": cap})
    told = diagnose(question, big_and_small())
    (change,) = told.changes
    assert change.patch == patch
    assert change.text.startswith("pay up to $1.50 per GPU and hour")
    assert solve(question.changed(change.patch), big_and_small()).status is Status.OPTIMAL


def test_what_a_cap_costs_is_told():
    # Under $2: four small, $6/h; without it one big, $4/h: $1,440 a month.
    told = explain_limits(asked(limits={"max_usd_per_gpu_hour": 2}), big_and_small())
    (cost,) = [one for one in told.rows if one.path == "limits.max_usd_per_gpu_hour"]
    assert cost.usd_per_month == pytest.approx(1_440)


def test_a_fleet_above_the_cap_is_evaluated_and_said_to_break_it():
    told = evaluate(asked(limits={"max_usd_per_gpu_hour": 2}), {BIG: 1}, big_and_small())
    assert told.plan.cash_usd_per_month == pytest.approx(2_880)
    (breach,) = told.breaches
    assert "above limits.max_usd_per_gpu_hour ($2.00)" in breach.message


@pytest.mark.parametrize("cap", [0, -1, "cheap", {"spott": 1}, {"per_token": 1}])
def test_a_cap_that_is_no_price_is_an_error(cap):
    with pytest.raises(InputError) as error:
        asked().changed({"limits.max_usd_per_gpu_hour": cap})
    assert "limits.max_usd_per_gpu_hour" in str(error.value)
