"""Every way to pay, alone by hand, all in one program, and against brute force."""

from __future__ import annotations

import pytest
from hypothesis import given

from milp_planner import evaluate, load_problem, solve
from milp_planner.reporting.formats import FORMATS
from tests.support.builders import catalog, offering, problem, raw, token_price, workload
from tests.support.examples import tries
from tests.support.oracles.month_cases import BILLINGS, assert_plan_is_cheapest, billed_months

WEIGHTS = [2] * 8 + [8] * 8 + [2] * 8
"""Requests/s by hour: 8 in 240 hours of the month, 2 in the other 480."""

ALL = {"billing": {"allow": [*BILLINGS, "per_token"]}}


def asked(weights=WEIGHTS, **fields):
    traffic = {
        "kind": "profile",
        "requests_per_day": 3600 * sum(weights),
        "weights": weights,
    }
    return problem(workloads=[workload(traffic=traffic)], limits=ALL, **fields)


def rented(prices, tokens=None, **fields):
    """Boxes of 2 requests/s by billing and price per hour; tokens at a price per million."""
    boxes = [
        offering("acme", "box", usd, billing=billing, **(fields if billing == "owned" else {}))
        for billing, usd in prices.items()
    ]
    apis = [] if tokens is None else [token_price("tokn", tokens)]
    return catalog(boxes, [raw("box", 2)], apis)


def bought(plan):
    """Units by billing and block; the shares of requests of tokens."""
    return {
        p.candidate.mode.name: p.units_by_block if p.units else pytest.approx(p.requests_share)
        for p in plan.purchases
    }


@pytest.mark.parametrize(
    ("billing", "usd", "units", "commitment_usd"),
    [
        # Four boxes, $1 an hour: all month $2,880; by the hour 4 x 240 + 1 x 480 = $1,440.
        ("dedicated", 2_880, (4, 4), 0),
        ("autoscaling", 1_440, (4, 1), 0),
        ("spot", 1_440, (4, 1), 0),
        ("reserved_1y", 2_880, (4, 4), 34_560),
        ("reserved_3y", 2_880, (4, 4), 103_680),
        ("owned", 2_880, (4, 4), 0),
    ],
)
def test_a_day_at_each_billing(billing, usd, units, commitment_usd):
    plan = solve(asked(), rented({billing: 1.0}))
    (p,) = plan.purchases
    assert p.units_by_block == units
    assert plan.cash_usd_per_month == pytest.approx(usd)
    assert p.commitment_usd == pytest.approx(commitment_usd)
    assert p.unit_hours == pytest.approx(usd)  # at $1 an hour
    # 4 requests/s on average: 10.368M requests of 2 tokens.
    assert plan.usd_per_million_tokens == pytest.approx(usd / 20.736)
    shown = f"commitment: ${commitment_usd:,}, paid whether or not the units run"
    assert (shown in FORMATS["text"](plan)) == bool(commitment_usd)


def test_lost_spot_work_is_paid_again():
    plan = solve(asked(policy={"spot_loss": "10%"}), rented({"spot": 1.0}))
    assert plan.costs["spot_loss"] == pytest.approx(144)
    assert plan.cash_usd_per_month == pytest.approx(1_584)


def test_the_base_is_reserved_and_the_peak_is_rented_by_the_hour():
    # A box for the 240 hours: $720 reserved, $480 by the hour. For all 720: $720 against $1,440.
    plan = solve(asked(), rented({"reserved_1y": 1.0, "dedicated": 1.6, "autoscaling": 2.0}))
    assert plan.proof.certified
    assert bought(plan) == {"reserved_1y": (1, 1), "autoscaling": (3, 0)}
    assert plan.cash_usd_per_month == pytest.approx(720 + 3 * 480)
    text = FORMATS["text"](plan)
    assert "commitment: $8,640, paid whether or not the units run" in text
    assert "00 ........33333333........ 24" in text


@pytest.mark.parametrize(
    ("usd_per_million", "peak", "usd"),
    [
        # A box's work in the 240 hours is 3.456M tokens: $449.28 at $130, $483.84 at $140.
        (130, {"per_token": 0.5}, 720 + 3 * 449.28),
        (140, {"autoscaling": (3, 0)}, 720 + 3 * 480),
    ],
)
def test_the_peak_goes_per_token_where_that_is_cheaper(usd_per_million, peak, usd):
    plan = solve(asked(), rented({"reserved_1y": 1.0, "autoscaling": 2.0}, usd_per_million))
    assert bought(plan) == {"reserved_1y": (1, 1), **peak}
    assert plan.cash_usd_per_month == pytest.approx(usd)


def test_owned_units_are_used_as_far_as_there_are_any():
    # Two owned boxes at $0.25 an hour; the other two by the hour for the peak.
    plan = solve(asked(), rented({"owned": 0.25, "autoscaling": 2.0}, max_units=2))
    assert bought(plan) == {"owned": (2, 2), "autoscaling": (2, 0)}
    assert plan.cash_usd_per_month == pytest.approx(2 * 180 + 2 * 480)


@pytest.mark.parametrize(
    ("stops", "usd", "units", "idle_usd"),
    [(False, 2_880, (4, 4), 1_920), (True, 960, (4, 0), 0)],
)
def test_dedicated_units_stop_in_idle_hours_where_the_user_lets_them(stops, usd, units, idle_usd):
    question = asked([0] * 8 + [8] * 8 + [0] * 8, policy={"switch_off_dedicated": stops})
    plan = solve(question, rented({"dedicated": 1.0, "reserved_1y": 1.1}))
    assert bought(plan) == {"dedicated": units}
    assert plan.cash_usd_per_month == pytest.approx(usd)
    assert plan.billing_idle_usd == pytest.approx(idle_usd)


@pytest.mark.parametrize(
    ("billed_by", "wish", "hours"),
    [
        (None, None, 720),
        (None, True, 240),
        ("second", None, 240),
        ("hour", None, 240),
        ("hour", False, 720),
        ("month", None, 720),
        ("month", True, 720),
    ],
)
def test_whether_units_on_demand_stop_follows_how_they_are_billed(billed_by, wish, hours):
    # Load in 240 hours of the month; $1 an hour.
    boxes = catalog([offering("acme", "box", 1.0, billed_by=billed_by)], [raw("box", 2)])
    question = asked([0] * 8 + [2] * 8 + [0] * 8, policy={"switch_off_dedicated": wish})
    assert solve(question, boxes).cash_usd_per_month == pytest.approx(hours)


def test_dedicated_units_do_not_follow_the_load_of_blocks_that_have_some():
    # 8 requests/s for 240 hours, 2 for 240, none for 240: four boxes for the first are on in the
    # second, too, 480 hours in all. By the hour they would be 4 x 240 + 1 x 240.
    day = [8] * 8 + [2] * 8 + [0] * 8
    question = asked(day, policy={"switch_off_dedicated": True})
    plan = solve(question, rented({"dedicated": 1.0}))
    assert bought(plan) == {"dedicated": (4, 4, 0)}
    assert plan.cash_usd_per_month == pytest.approx(4 * 480)
    by_hand = evaluate(question, {"acme/box/eu-1": [4, 1, 1]}, rented({"dedicated": 1.0}))
    assert by_hand.plan.purchases[0].units_by_block == (4, 4, 0)


def test_a_unit_that_rests_and_one_that_does_not_stand_in_for_each_other_by_their_hours():
    # One box for 240 hours of load: $240 at $1 an hour on demand, $252 reserved at $0.35.
    question = asked([0] * 8 + [2] * 8 + [0] * 8, policy={"switch_off_dedicated": True})
    for reserved, chosen, usd in ((0.35, "dedicated", 240), (0.3, "reserved_1y", 216)):
        plan = solve(question, rented({"dedicated": 1.0, "reserved_1y": reserved}))
        assert list(bought(plan)) == [chosen]
        assert plan.cash_usd_per_month == pytest.approx(usd)


def test_input_and_output_tokens_are_priced_apart():
    # 1,500 at $1 and 300 at $3 per million are $0.0024 a request, 25.92M requests a month.
    apis = [token_price("tokn", 3.0, usd_per_m_input=1.0)]
    chat = {"requests": {"input_tokens": 1500, "output_tokens": 300}}
    plan = solve(problem(10, chat=chat, limits=ALL), catalog([], [], apis))
    assert plan.cash_usd_per_month == pytest.approx(62_208)
    assert plan.usd_per_million_tokens == pytest.approx(0.0024 / 1800 * 1e6)
    (w,) = plan.workloads
    assert (w.utilization, w.band) == (None, "not assessed")


def test_a_closed_llm_is_bought_per_token_and_gpus_say_what_is_not_known():
    # 2 tokens at $1 per million, 25.92M requests a month.
    boxes = [offering("acme", "box", 1.0)]
    closed = catalog(boxes, [], [token_price("tokn", 1.0)])
    plan = solve(problem(10, limits=ALL), closed)
    assert plan.cash_usd_per_month == pytest.approx(51.84)
    (turned_down,) = plan.turned_down
    wanted = "box tp 1 bf16: tiny has neither parameters nor a recommended memory"
    assert turned_down.reason == wanted


def test_a_profile_is_written_as_a_user_would(tmp_path):
    path = tmp_path / "day.yaml"
    traffic = f"{{kind: profile, requests_per_day: 345.6k, weights: {WEIGHTS}}}"
    path.write_text(
        "schema_version: 1\nname: day\nworkloads:\n  - name: chat\n    llm: tiny\n"
        f"    traffic: {traffic}\n    requests: {{input_tokens: 1, output_tokens: 1}}\n"
        "policy: {utilization: {target: 100%}}\n"
    )
    # 345,600 a day are 4 requests/s on average, as above.
    plan = solve(load_problem(path), rented({"autoscaling": 1.0}))
    assert plan.cash_usd_per_month == pytest.approx(1_440)


@tries(0.2)
@given(billed_months())
def test_every_billing_agrees_with_brute_force(case):
    most = 4 if len(case.offers) == 2 else 2
    assert_plan_is_cheapest(case, most)
