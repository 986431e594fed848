"""choices(): what stands beside a plan, each solved by itself; against sums done in the head."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import Choices, ChoiceVerdict, InputError, choices, solve
from milp_planner.questions.choices.choices import asking_for, solved_choices, told_apart
from tests.support.builders import catalog, offering, problem, raw, token_price, workload


def market():
    """Big serves 10 requests/s, small 3; tokens cost $51.84 a month for one request/s."""
    return catalog(
        [
            offering("acme", "big", 4.0),
            offering("bolt", "small", 1.5),
            offering("bolt", "big", 4.4),
            offering("acme", "big", 1.0, billing="spot"),
        ],
        [raw("big", 10), raw("small", 3)],
        [token_price("tokn", 10)],
    )


def by_key(found: Choices):
    return {row.key: row for row in found.rows}


@pytest.fixture(scope="module")
def thirteen():
    # 13 requests/s: 1 big at acme and 1 small at bolt, $5.50/h, $3,960 a month.
    return choices(problem(13), market())


def test_the_choices_stand_beside_the_optimum(thirteen):
    assert thirteen.plan.cash_usd_per_month == pytest.approx(3960)


@pytest.mark.parametrize(
    ("key", "usd"),
    [
        ("one_provider", 4248),  # bolt: big and small, $5.90/h; acme: 2 big, $8
        ("one_gpu_type", 5400),  # 5 small, $7.50/h; 2 big, $8
        ("survives_provider_loss", 10008),  # acme: 2 big, $8; bolt: big and small, $5.90
        ("spot", 1440),  # 2 big spot, $2/h; 1 and a small, $2.50
        ("per_token", 673.92),  # 13 × $51.84
        ("half_per_token", 3216.96),  # 6.5 requests/s: 1 big, $2,880, and 6.5 × $51.84
    ],
)
def test_each_choice_costs_what_it_costs_in_the_head(thirteen, key, usd):
    row = by_key(thirteen)[key]
    assert row.verdict is ChoiceVerdict.FOUND
    assert row.is_proven
    assert row.cash_usd_per_month == pytest.approx(usd)
    assert thirteen.extra_usd(row) == pytest.approx(usd - 3960)


def test_what_two_choices_buy_is_said_once(thirteen):
    rows = by_key(thirteen)
    # bolt alone with small alone: the 5 small of one GPU type
    assert rows["one_provider_one_gpu_type"].verdict is ChoiceVerdict.SAME
    assert rows["one_provider_one_gpu_type"].same_as == "one_gpu_type"
    # one provider is 7 % dearer, so that two are the fewest within 5 %: the plan itself
    assert rows["fewest_providers"].verdict is ChoiceVerdict.SAME
    assert rows["fewest_providers"].same_as == ""


def test_what_the_problem_does_not_allow_is_marked_and_nothing_else_is(thirteen):
    assert {row.key: row.needs for row in thirteen.rows if row.needs} == {
        "spot": "spot in limits.billing.allow",
        "per_token": "per_token in limits.billing.allow",
        "half_per_token": "per_token in limits.billing.allow",
    }
    used = {p.candidate.mode.name for p in thirteen.plan.purchases}
    assert used == {"dedicated"}


def test_fewest_providers_are_taken_where_they_cost_at_most_5_percent():
    dearer = market()
    offers = tuple(
        o.model_copy(update={"usd_per_hour": 4.2}) if (o.provider, o.gpu) == ("bolt", "big") else o
        for o in dearer.offerings
    )
    # bolt: big and small, $5.70/h, is 3.6 % above $5.50
    found = by_key(choices(problem(13), replace(dearer, offerings=offers)))
    row = found["fewest_providers"]
    assert (row.verdict, row.same_as, row.detail) == (ChoiceVerdict.SAME, "one_provider", "1")
    assert found["one_provider"].cash_usd_per_month == pytest.approx(5.70 * 720)


def test_an_infeasible_choice_says_which_limit_it_does_not_go_with():
    # 13 requests/s take two big or five small: within $4,200 a month no one provider does.
    found = by_key(choices(problem(13, limits={"budget": {"usd_per_month": 4200}}), market()))
    row = found["one_provider"]
    assert row.verdict is ChoiceVerdict.INFEASIBLE
    assert row.why == "not together with limits.budget.usd_per_month: $4,200"
    assert row.cash_usd_per_month is None


def test_nobody_sells_it_per_token():
    plain = replace(market(), token_prices=())
    found = by_key(choices(problem(13), plain))
    assert found["per_token"].verdict is ChoiceVerdict.INFEASIBLE
    assert found["per_token"].why == "no provider that is let through sells it per token: chat"
    assert "half_per_token" not in found


def test_units_switched_off_when_idle_are_another_choice_and_need_a_permission():
    # Half the month has load: 1 big at acme, $2,880, of which $1,440 are paid for nothing.
    day = {
        "kind": "profile",
        "requests_per_day": 432_000,
        "weights": [1] * 12 + [0] * 12,
    }
    asked = problem(workloads=[workload(traffic=day)])
    found = choices(asked, market())
    row = by_key(found)["switched_off_when_idle"]
    assert found.plan.cash_usd_per_month == pytest.approx(2880)
    assert row.cash_usd_per_month == pytest.approx(1440)
    assert row.needs == "policy.switch_off_dedicated: true"


def test_todays_fleet_and_todays_bill_are_told_as_they_are():
    asked = problem(
        13,
        current_fleet=[
            {"offering": "acme/big/eu-1", "billing": "dedicated", "units": 1, "workload": "chat"}
        ],
        today={"usd_per_month": 9000},
    )
    rows = by_key(choices(asked, market()))
    assert rows["todays_bill"].cash_usd_per_month == 9000
    assert rows["todays_fleet"].cash_usd_per_month == pytest.approx(2880)
    assert "1.3 units' work on 1 units" in rows["todays_fleet"].why  # 13 requests/s on 10


def test_only_the_choices_asked_for_and_own_ones_are_solved():
    asked = problem(
        13,
        choices={
            "only": ["one_provider"],
            "own": {"busy": {"traffic": 2}, "no small": {"limits.gpus.deny": ["small"]}},
        },
    )
    found = choices(asked, market())
    assert [row.key for row in found.rows] == ["one_provider", "busy", "no small"]
    # 26 requests/s: 2 big and 2 small, $11/h; 13 without small: 2 big, $8/h.
    usd = [row.cash_usd_per_month for row in found.rows]
    assert usd == pytest.approx([4248, 7920, 5760])


def test_an_own_choice_that_fits_no_problem_is_refused_with_its_name():
    with pytest.raises(InputError, match=r"choices.own.few: limits.max_gpus.totl"):
        problem(13, choices={"own": {"few": {"limits.max_gpus.totl": 8}}})


def test_an_own_choice_that_names_an_unknown_provider_is_refused_before_any_solve():
    asked = problem(13, choices={"own": {"mine": {"limits.providers.allow": ["acne"]}}})
    with pytest.raises(InputError, match=r"choices\.own\.mine.*no provider 'acne'.*acme"):
        choices(asked, market())


def test_a_fixed_limit_on_work_decides_without_the_clock():
    asked = problem(13)
    plan = solve(asked, market())
    asking = asking_for(asked, market(), plan, fixed_work=True)
    asking.most_columns = 0
    rows = told_apart(plan, solved_choices(asking))
    assert {row.verdict for row in rows if row.key != "fewest_providers"} <= {
        ChoiceVerdict.NOT_REACHED,
        ChoiceVerdict.SAME,
    }


def test_without_a_plan_there_is_nothing_to_choose():
    found = choices(problem(13, limits={"max_gpus": {"total": 1}}), market())
    assert found.rows == ()
    assert found.to_dict()["status"] == "infeasible"


def test_a_frame_has_one_row_a_choice(thirteen):
    frame = thirteen.to_frame()
    assert list(frame["key"]) == [row.key for row in thirteen.rows]


def placed():
    """Big, 10 requests/s, in Germany $4, the Netherlands $3.90 and the US $4.40; small, 3, in the
    US, $1.50; and something without a known place, $0.10."""
    de, nl, us = ({"country": c, "group": g} for c, g in (("de", "eu"), ("nl", "eu"), ("us", "us")))
    return catalog(
        [
            offering("acme", "big", 4.0, region="fra", **de),
            offering("coil", "big", 3.9, region="ams", **nl),
            offering("bolt", "big", 4.4, region="chi", **us),
            offering("bolt", "small", 1.5, region="chi", **us),
            offering("dune", "small", 0.1, region="global"),
        ],
        [raw("big", 10), raw("small", 3)],
    )


def group_row(**limits):
    question = problem(13, limits={"offerings": {"deny": ["dune/*"]}, **limits})
    return by_key(choices(question, placed())).get("one_region_group")


def test_the_cheapest_group_of_regions_is_the_one_told():
    # The plan: big at coil and small at bolt, $5.40/h. In the US big and small, $5.90: $4,248;
    # in the EU two big at coil, $7.80.
    row = group_row()
    assert (row.detail, row.cash_usd_per_month) == ("us", pytest.approx(4248))
    assert row.is_proven


def test_a_group_keeps_the_problems_own_limits_on_regions():
    # Of the EU Germany alone is let through: two big at acme, $8; the US is not.
    row = group_row(regions={"allow": ["de", "us"]}, gpus={"deny": ["small"]})
    assert row.verdict is ChoiceVerdict.SAME  # the plan itself: two big at acme, $8 against $8.80
    assert row.detail == "eu"
    row = group_row(regions={"allow": ["de", "us"]})
    assert (row.detail, row.cash_usd_per_month) == ("us", pytest.approx(4248))


def test_a_plan_within_one_group_is_its_own_choice_and_what_has_no_place_is_in_none():
    row = by_key(choices(problem(13), placed()))["one_region_group"]
    assert row.detail == "us"  # five of dune would do for $0.50/h, wherever they are
    assert row.cash_usd_per_month == pytest.approx(4248)
    assert group_row(providers={"allow": ["bolt"]}).verdict is ChoiceVerdict.SAME


def test_without_a_known_place_there_is_no_choice_of_a_group(thirteen):
    assert "one_region_group" not in by_key(thirteen)
