"""Other traffic, other budgets and the weightiest measurement on a sheet, by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import decision_sheet, solve
from milp_planner.deadline import OutOfTime
from milp_planner.inputs.reading.field_types import MOST_UNITS
from milp_planner.questions.choices.choices import asking_for
from milp_planner.questions.sheet import left_out
from milp_planner.questions.sheet.beside import beside_choices
from milp_planner.questions.sheet.curves import curves_of
from milp_planner.questions.sheet.left_out import row_left_out
from milp_planner.questions.sweeps.break_even import (
    FleetOrPerToken,
    Ways,
    beyond,
    per_token_only,
)
from milp_planner.reporting.html.page import sheet_page
from milp_planner.reporting.sheets.curves import break_even_words, budget_words, traffic_rows
from milp_planner.reporting.sheets.markdown import sheet_markdown
from milp_planner.reporting.sheets.text import sheet_text
from milp_planner.solving.re_solve import scaled_traffic
from tests.support.builders import big_and_small, problem, stocked, token_price, with_tokens
from tests.support.shown.sample_sheets import full, thirteen


def asked_beside(asked, known, **settings):
    plan = solve(asked, known, alternatives=0)
    return asking_for(asked, known, plan, fixed_work=True, **settings)


def per_token(usd_per_million):
    """Big, small and an API; two tokens a request."""
    return replace(big_and_small(), token_prices=(token_price("tokn", usd_per_million),))


def test_every_multiple_of_the_traffic_costs_what_its_best_fleet_does():
    # 6.5 and 9.75 requests/s: a big. 13: a big and a small. 19.5: two big. 26: two of each.
    # Tokens cost $51.84 a month for one request/s.
    curve = thirteen().traffic
    assert curve is not None
    assert [p.factor for p in curve.points] == [0.5, 0.75, 1, 1.5, 2]
    costs = [p.cash_usd_per_month for p in curve.points]
    assert costs == pytest.approx([2880, 2880, 3960, 5760, 7920])
    assert [p.fleet_usd_per_month for p in curve.points] == pytest.approx(costs)
    tokens = [p.per_token_usd_per_month for p in curve.points]
    assert tokens == pytest.approx([51.84 * 13 * p.factor for p in curve.points])
    assert curve.points[2].fleet == "1 x big acme + 1 x small bolt"


def test_where_tokens_are_cheap_no_break_even_is_seen_up_to_where_it_was_looked_for():
    # At 2x the fleet costs 7,920 / 1,347.84 = 5.88 times as much: looked at 11.75x as well.
    curve = thirteen().traffic
    assert curve is not None
    assert curve.break_even_factor is None
    assert (curve.looked_from_factor, curve.looked_to_factor) == (0.5, pytest.approx(11.75, 1e-3))
    said = "Per token alone costs less at every multiple looked at, from 0.5x to 11.8x."
    assert break_even_words(thirteen()) == said


@pytest.mark.slow
def test_where_tokens_are_dear_a_fleet_pays_from_the_break_even_on():
    # $518.40 a month for one request/s: at 0.5x tokens cost 3,369.60, a big 2,880. Further down a
    # small for $1,080 pays from 1,080 / 518.4 requests/s on, 0.1603 of 13.
    asking = asked_beside(problem(13), per_token(100))
    curve, _ = curves_of(asking)
    assert curve is not None
    exact = 1080 / 518.4 / 13
    assert exact <= curve.break_even_factor <= exact * 1.0011
    assert curve.break_even_usd_per_month == pytest.approx(1080, rel=1.1e-3)
    sheet = thirteen().model_copy(update={"traffic": curve})
    assert break_even_words(sheet) == (
        "A fleet alone costs no more than per token alone from 0.16x on: $1,081 per month."
    )


def test_without_an_api_or_a_fleet_it_is_said_which_cannot_serve_it():
    curve, _ = curves_of(asked_beside(problem(13), big_and_small()))
    sheet = thirteen().model_copy(update={"traffic": curve})
    assert break_even_words(sheet) == "Per token alone cannot serve it."
    assert traffic_rows(sheet)[0][1:3] == ["2,880", "-"]


def test_traffic_that_no_fleet_can_serve_has_no_cost():
    # Two big and three small at most serve 29 requests/s: no 31.5 and no 42. 10.5: a big, a small.
    # 15.75: a big and two small. 21: two big and a small.
    limits = {"max_units": {"bolt/small/*": 3}}
    curve, _ = curves_of(asked_beside(problem(21, limits=limits), stocked()))
    assert [p.cash_usd_per_month for p in curve.points] == pytest.approx(
        [3960, 5040, 6840, None, None]
    )
    sheet = thirteen().model_copy(update={"traffic": curve})
    assert traffic_rows(sheet)[-1][-1] == "no plan"


def test_smaller_budgets_buy_whole_units():
    # Half of $3,960 buys one small, 3 of 13; three quarters a big, 10.
    budgets = thirteen().budgets
    assert budgets is not None
    assert [(s.usd_per_month, s.served_share) for s in budgets.steps] == [
        (pytest.approx(1080), pytest.approx(3 / 13)),
        (pytest.approx(2880), pytest.approx(10 / 13)),
        (pytest.approx(3960), 1.0),
    ]
    assert budgets.smallest_usd_per_month == pytest.approx(3960)
    assert not budgets.complete


def test_a_budget_that_falls_short_stands_among_the_others_and_traffic_is_not_asked():
    # $2,300 buys two small, 6 of 13, between one small for 1,980 and a big for 2,970.
    limits = {"budget": {"usd_per_month": 2300, "when_short": "fair"}}
    traffic, budgets = curves_of(asked_beside(problem(13, limits=limits), big_and_small()))
    assert traffic is None
    assert [round(s.usd_per_month) for s in budgets.steps] == [1080, 2160, 2880, 3960]
    assert budgets.steps[1].served_share == pytest.approx(6 / 13)


def test_what_there_is_no_time_or_work_left_for_is_left_out_whole():
    asking = asked_beside(problem(13), with_tokens())
    asking.most_columns = 0
    assert curves_of(asking) == (None, None)
    assert row_left_out(asking) is None
    late = asked_beside(problem(13), with_tokens(), time_limit_s=1e-6)
    assert curves_of(late) == (None, None)
    assert row_left_out(late) is None


def test_time_that_ends_while_the_row_is_left_out_leaves_it_open(monkeypatch):
    def late(*given):
        raise OutOfTime

    monkeypatch.setattr(left_out, "prepare", late)
    assert row_left_out(asked_beside(problem(13), with_tokens())) is None


def test_the_row_that_most_is_spent_on_is_left_out_and_solved_again():
    # Without the rate of the big one 5 small serve 13 requests/s: $5,400, and not 3,960.
    row = thirteen().risks.row_left_out
    assert row is not None
    assert (row.status, row.cash_usd_per_month) == ("optimal", pytest.approx(5400))
    assert row.extra_usd_per_month == pytest.approx(1440)
    assert row.at_stake_usd_per_month == pytest.approx(2880)
    text = " ".join(sheet_text(thirteen()).split())
    assert "Without the row built in code (tiny on big raw tp 1" in text
    assert ") this plan costs $1,440 more." in text
    assert ") this plan costs $1,440 more." in sheet_markdown(thirteen()).replace("\\", "")
    assert ") this plan costs $1,440 more." in sheet_page(thirteen())


def test_text_shows_multiples_side_by_side():
    text = sheet_text(thirteen())
    [block] = [part for part in text.split("\n\n") if part.startswith("What other traffic")]
    assert block.splitlines() == [
        "What other traffic would cost   0.5x  0.75x     1x   1.5x     2x",
        "  the plan, $/month            2,880  2,880  3,960  5,760  7,920",
        "  per token alone                337    505    674  1,011  1,348",
        "  Per token alone costs less at every multiple looked at, from 0.5x to 11.8x.",
    ]
    [block] = [part for part in text.split("\n\n") if part.startswith("What other budgets")]
    assert block.splitlines() == [
        "What other budgets would serve of the peak",
        "  $1,080   23 %  1 x small bolt",
        "  $2,880   77 %  1 x big acme",
        "  $3,960  100 %  1 x big acme + 1 x small bolt",
        "  Budgets between these may serve more than the one below them.",
    ]


def test_markdown_has_both_as_tables():
    text = sheet_markdown(thirteen())
    assert "| 2x | 7,920 | 1,348 | 2 x big acme + 2 x small bolt |" in text
    assert "| \\$2,880 | 77 % | 1 x big acme |" in text


def test_all_steps_told_need_no_word_of_others():
    assert budget_words(full()) == ""


def test_a_sheet_that_was_stopped_has_no_curves():
    sheet = thirteen().model_copy(update={"traffic": None, "budgets": None})
    plan = solve(problem(13), with_tokens(), alternatives=0)
    stopped = beside_choices(sheet, plan, [], None)
    assert (stopped.traffic, stopped.budgets) == (None, None)
    assert "What other" not in sheet_text(stopped)


def test_the_next_factor_is_where_tokens_would_cost_what_the_fleet_does():
    def known(*pairs):
        return [(f, FleetOrPerToken(fleet, tokens)) for f, fleet, tokens in pairs]

    assert beyond(known((1, 600, 100), (2, 1000, 200))) == 10  # 2 × 1000/200
    assert beyond(known((1, 110, 100))) == 4  # at least a factor of four
    assert beyond(known((1, 50, 100), (2, 60, 200))) == 0.25
    assert beyond(known((1, 110, 100), (2, 150, 200))) is None  # between them
    assert beyond(known((1, None, 100))) is None


def test_a_document_from_before_has_no_row_that_was_left_out():
    document = decision_sheet(problem(13), big_and_small(), with_choices=False).to_dict()
    assert document["risks"]["row_left_out"] is None


@pytest.mark.parametrize("fields", [{}, {"max_requests_per_minute": 700}])
def test_tokens_at_a_multiple_cost_what_solving_that_problem_says(fields):
    # Two APIs, $51.84 and $77.76 a month for one request/s; one of them takes 11.7 requests/s.
    known = with_tokens(**fields)
    known = replace(known, token_prices=(*known.token_prices, token_price("dear", 15)))
    asking = asked_beside(problem(13), known)
    ways = Ways(asking.resolver, problem(13))
    for factor in (0.5, 1, 1.5, 7):
        alone = per_token_only(scaled_traffic(problem(13), factor))
        found = solve(alone, known, alternatives=0).cash_usd_per_month
        assert ways.at(factor).per_token_usd == pytest.approx(found, abs=0.005)


def test_tokens_that_a_budget_does_not_pay_for_are_not_reckoned_in_proportion():
    asked = problem(13, limits={"budget": {"usd_per_month": 1000}})
    ways = Ways(asked_beside(asked, with_tokens()).resolver, asked)
    assert ways.at(1).per_token_usd == pytest.approx(13 * 51.84)
    assert ways.at(2).per_token_usd is None


def test_tokens_under_a_volume_discount_are_not_reckoned_in_proportion():
    # $673.92 at once and $1,347.84 at twice, less half of what is beyond $500.
    volume = {"tokn/*": [{"above": 500, "discount": "50%"}]}
    asked = problem(13, prices={"volume": volume})
    ways = Ways(asked_beside(asked, with_tokens()).resolver, asked)
    for factor in (1, 2):
        spent = 13 * 51.84 * factor
        assert ways.at(factor).per_token_usd == pytest.approx(500 + (spent - 500) / 2)


def test_more_traffic_than_can_be_planned_leaves_its_curve_out():
    # A big is the largest: MOST_UNITS of them serve 1.2 times the traffic, and no more.
    asked = problem(10 * MOST_UNITS / 1.2)
    traffic, budgets = curves_of(asked_beside(asked, big_and_small()))
    assert traffic is None
    assert budgets is not None
