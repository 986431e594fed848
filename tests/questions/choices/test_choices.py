"""choices(): what stands beside a plan, each solved by itself; against sums done in the head."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from milp_planner import Choices, ChoiceVerdict, InputError, choices, decision_sheet, solve
from milp_planner.deadline import OutOfTime, counted_from
from milp_planner.questions.choices import choices as module
from milp_planner.questions.choices.choices import asking_for, solved_choices, told_apart
from milp_planner.reporting.sheets.words import choice_row
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)


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
    assert "the work of 1.3 units on 1 unit" in rows["todays_fleet"].why  # 13 requests/s on 10


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


OWN = {"own": {"spot too": {"limits.billing.allow": ["dedicated", "spot"]}}}


def test_choices_that_time_left_none_for_are_not_reached_and_nothing_is_listed_for_them(
    thirteen, monkeypatch
):
    asked = problem(13, choices=OWN, today={"usd_per_month": 5000})

    def lists(*given):
        raise AssertionError("nobody has time to list anything")

    monkeypatch.setattr(module, "prepare", lists)
    with counted_from(time.monotonic() - 600):
        found = choices(asked, market(), plan=thirteen.plan, time_limit_s=10)
    said = {row.key: row.verdict for row in found.rows}
    # One at a time: whatever solving or listing would show is open; a bill is a bill.
    assert said.pop("todays_bill") is ChoiceVerdict.FOUND
    assert {"spot", "spot too", "per_token", "half_per_token", "one_provider"} <= {*said}
    assert {*said.values()} == {ChoiceVerdict.NOT_REACHED}


def test_a_choice_that_time_ends_in_is_not_reached_and_the_earlier_ones_stand(
    thirteen, monkeypatch
):
    asking = asking_for(problem(13), market(), thirteen.plan)
    solved = asking.solved

    def late(choice, patch):
        if choice.key == "survives_provider_loss":
            raise OutOfTime
        return solved(choice, patch)

    monkeypatch.setattr(asking, "solved", late)
    said = {row.key: row.verdict for row in told_apart(thirteen.plan, solved_choices(asking))}
    assert said["survives_provider_loss"] is ChoiceVerdict.NOT_REACHED
    assert said["one_provider"] is ChoiceVerdict.FOUND


def test_without_a_plan_there_is_nothing_to_choose():
    found = choices(problem(13, limits={"max_gpus": {"total": 1}}), market())
    assert found.rows == ()
    assert found.to_dict()["status"] == "infeasible"


def test_a_frame_has_one_row_a_choice(thirteen):
    frame = thirteen.to_frame()
    assert list(frame["key"]) == [row.key for row in thirteen.rows]


def places(**groups):
    """The market with the groups of some offerings, by provider and GPU."""
    known = market()
    offers = tuple(
        o.model_copy(update={"group": groups.get(f"{o.provider}_{o.gpu}", "")})
        for o in known.offerings
    )
    return replace(known, offerings=offers)


def of_one_region_group(known, **fields):
    only = {"only": ["one_region_group"]}
    found = choices(problem(13, choices=only, **fields), known)
    return by_key(found).get("one_region_group")


def test_the_cheapest_group_of_regions_is_told_with_its_name():
    # acme's big and bolt's small are the plan, in no one group. us: 2 big, $8.80/h; eu: 5 small,
    # $7.50/h.
    row = of_one_region_group(places(acme_big="uk", bolt_big="us", bolt_small="eu"))
    assert (row.verdict, row.detail) == (ChoiceVerdict.FOUND, "eu")
    assert row.cash_usd_per_month == pytest.approx(5400)
    assert row.is_proven


def test_a_plan_in_one_group_of_regions_already_is_that_choice():
    row = of_one_region_group(places(acme_big="eu", bolt_small="eu", bolt_big="us"))
    assert (row.verdict, row.same_as, row.detail) == (ChoiceVerdict.SAME, "", "eu")


def test_a_place_that_is_not_known_is_in_no_group_of_regions():
    # Where acme's big is, nobody says: bolt in the eu is left, big and small, $5.90/h.
    row = of_one_region_group(places(bolt_small="eu", bolt_big="eu"))
    assert row.cash_usd_per_month == pytest.approx(4248)
    assert of_one_region_group(places()) is None


@pytest.mark.slow
def test_groups_of_regions_stay_within_the_regions_that_are_let_through():
    # $4,000 a month: the plan's $3,960, and no one group's.
    known = places(bolt_small="eu", bolt_big="us", acme_big="uk")
    row = of_one_region_group(known, limits={"budget": {"usd_per_month": 4000}})
    assert row.verdict is ChoiceVerdict.INFEASIBLE
    assert row.why == "no one group of regions that is known can serve it all"
    here = tuple(
        o.model_copy(update={"region": "us-1"}) if o.group == "us" else o for o in known.offerings
    )
    elsewhere = replace(known, offerings=here)
    row = of_one_region_group(elsewhere, limits={"regions": {"allow": ["us-1", "eu-1"]}})
    assert row.detail == "eu"
    row = of_one_region_group(elsewhere, limits={"regions": {"allow": ["us-1"]}})
    assert (row.verdict, row.detail) == (ChoiceVerdict.SAME, "us")


def test_under_a_short_budget_the_group_of_regions_is_the_one_that_serves_most():
    # $3,200: a big serves 10 of 13. us: bolt's for $3,168. eu: two small, 6 of 13, for $2,160.
    short = {"budget": {"usd_per_month": 3200, "when_short": "fair"}}
    row = of_one_region_group(places(bolt_big="us", bolt_small="eu"), limits=short)
    assert (row.detail, row.cash_usd_per_month) == ("us", pytest.approx(3168))


def test_fewer_providers_may_not_serve_less_because_they_cost_less():
    # $4,300: a big and a small serve 13 of 16 for $3,960; a big alone, of one provider, 10 of 16.
    short = {"budget": {"usd_per_month": 4300, "when_short": "fair"}}
    found = by_key(choices(problem(16, limits=short), big_and_small()))
    assert found["fewest_providers"].verdict == "same"
    assert found["fewest_providers"].same_as == ""


def test_a_choice_that_serves_less_says_how_much():
    short = {"budget": {"usd_per_month": 4300, "when_short": "fair"}}
    sheet = decision_sheet(problem(16, limits=short), big_and_small(), reproducible=True)
    [one] = [c for c in sheet.choices or () if c.key == "one_provider"]
    assert one.served_share == pytest.approx(10 / 16)
    assert "serves 62 %: 1 x big acme" in choice_row(sheet, one)[-1]
