"""How old prices are, what rests on old ones, and which day is taken for today."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date, timedelta

import pytest

from milp_planner import (
    Catalog,
    InputError,
    Plan,
    Problem,
    Sheet,
    decision_sheet,
    evaluate,
    load_catalog,
    solve,
)
from milp_planner.plans.consequences import StalePrices
from milp_planner.reporting.formats import FORMATS
from milp_planner.reporting.sheets.text import head_text, sheet_text
from milp_planner.reporting.text.price_ages import stale_words
from milp_planner.today import day_today
from tests.support.builders import BIG, DAY, SMALL, catalog, offering, problem, raw, token_price
from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.toy_cli"]

READ_ON = date(2026, 4, 16)
"""91 days after 15 January and 55 after 20 February, the days of the prices below."""


def aged(read_on: date | None = READ_ON) -> Catalog:
    """Big: 10 requests/s for $4/h, of 15 January. Small: 3 for $1.50/h, of 20 February."""
    small = offering("bolt", "small", 1.5).model_copy(update={"as_of": date(2026, 2, 20)})
    known = catalog([offering("acme", "big", 4.0), small], [raw("big", 10), raw("small", 3)])
    return replace(known, read_on=read_on)


def thirteen(**policy: object) -> Problem:
    # One big and one small serve 13 requests/s: $2,880 + $1,080 = $3,960 a month.
    return problem(13, policy=policy)


# ---- what rests on old prices


def test_the_money_on_old_prices_and_what_a_rise_of_a_fifth_costs():
    # Big is 91 days old: $2,880 of $3,960, 72.7 %; a fifth more of it is $576.
    stale = solve(thirteen(), aged()).stale_prices
    assert stale == StalePrices(90.0, 91, 2880.0, 3960.0)
    assert (stale.share, stale.if_risen_usd_per_month) == pytest.approx((0.72727, 4536), rel=1e-4)


@pytest.mark.parametrize(
    ("stale_after", "usd", "oldest"),
    [("91d", None, None), ("90 days", 2880, 91), ("55 d", 2880, 91), ("54days", 3960, 91)],
)
def test_a_price_is_old_once_it_is_older_than_the_problem_allows(stale_after, usd, oldest):
    stale = solve(thirteen(stale_after=stale_after), aged()).stale_prices
    assert (stale and stale.usd_per_month, stale and stale.oldest_days) == (usd, oldest)


def test_the_rise_is_what_the_same_fleet_costs_at_the_risen_prices():
    # The old price made a fifth dearer in the catalog, and the fleet priced again by `evaluate`:
    # the work that spot loses follows the rent. $2,880 x 1.03 + $1,080 = $4,046.40 before.
    spot = offering("acme", "big", 4.0, billing="spot")
    known = replace(aged(), offerings=(spot, aged().offerings[1]))
    asked = problem(
        13, policy={"spot_loss": "3%"}, limits={"billing": {"allow": ["spot", "dedicated"]}}
    )
    fleet = {BIG: 1, SMALL: 1}
    now = evaluate(asked, fleet, known)
    assert now.cash_usd_per_month == pytest.approx(4046.4)
    dearer = spot.model_copy(update={"usd_per_hour": 4.8})
    risen = evaluate(asked, fleet, replace(known, offerings=(dearer, known.offerings[1])))
    assert now.plan.stale_prices is not None
    assert now.plan.stale_prices.if_risen_usd_per_month == pytest.approx(risen.cash_usd_per_month)


def test_old_prices_of_tokens_are_at_stake_too():
    # 13 requests/s of two tokens, $2 per million requests: 33.696 million, $67.392 a month.
    limits = {"billing": {"allow": ["per_token"]}}
    known = replace(aged(), token_prices=(token_price("tokn", 1.0),))
    stale = solve(problem(13, limits=limits), known).stale_prices
    assert stale is not None
    assert stale.if_risen_usd_per_month == pytest.approx(1.2 * 67.392)


def test_what_is_owned_is_paid_already_and_does_not_become_dearer():
    owned = offering("acme", "big", 4.0, billing="owned")
    known = replace(aged(), offerings=(owned, *aged().offerings[1:]))
    plan = solve(thirteen(), known)
    assert [p.price_age_days for p in plan.purchases] == [91, 55]
    assert plan.stale_prices is None


def test_a_catalog_built_in_code_knows_no_day_and_its_plans_no_ages():
    plan = solve(thirteen(), aged(read_on=None))
    assert [p.price_age_days for p in plan.purchases] == [None, None]
    assert plan.stale_prices is None
    assert "  age  " not in FORMATS["text"](plan)


def test_no_price_is_younger_than_today():
    plan = solve(thirteen(), aged(DAY - timedelta(days=9)))
    assert [p.price_age_days for p in plan.purchases] == [0, 0]


# ---- where it is said


def test_the_text_says_it_once_below_the_headline_and_every_age_in_its_row():
    text = FORMATS["text"](solve(thirteen(), aged()))
    first, second, *_ = text.splitlines()
    assert first.startswith("Optimal plan: $3,960 per month")
    assert second == (
        "Old prices: $2,880 of $3,960 (73 %) rest on prices older than 90 days, up to 91; if these "
        "have risen by 20 %, the same fleet costs $4,536 per month."
    )
    assert text.count("older than") == 1
    ages = {line.split()[-4]: line.split()[-3:-1] for line in text.splitlines() if " d  " in line}
    assert ages == {"4.00": ["91", "d"], "1.50": ["55", "d"]}


def test_words_are_right_where_all_is_old_and_where_a_day_is_the_limit():
    assert stale_words(StalePrices(1.0, 1_200, 50.0, 50.0), 2) == (
        "All $50.00 rest on prices older than 1 day, up to 1,200; if these have risen by 20 %, "
        "the same fleet costs $60.00 per month."
    )


def test_the_sheet_says_it_in_its_answer_and_counts_days_of_its_own():
    # The sheet's day counts, whatever the catalog was read on: 92 days after 15 January.
    sheet = decision_sheet(thirteen(), aged(), as_of=date(2026, 4, 17), with_choices=False)
    head = " ".join(head_text(sheet).split())
    assert "$2,880 of $3,960 (73 %) rest on prices older than 90 days, up to 92;" in head
    assert sheet_text(sheet).count("older than 90 days") == 1
    assert "$1,080 on prices 56 days old, $2,880 on prices 92 days old." in sheet_text(sheet)
    stale = sheet.to_dict()["answer"]["stale_prices"]
    assert (stale["usd_per_month"], stale["rise"], stale["if_risen_usd_per_month"]) == (
        pytest.approx((2880, 0.2, 4536))
    )
    assert Sheet.from_dict(sheet.to_dict()) == sheet


def test_the_sheet_asks_whether_a_price_still_holds_once_it_is_old():
    asks = {
        stale_after: [
            a.offering
            for a in decision_sheet(
                thirteen(stale_after=stale_after), aged(), as_of=READ_ON, with_choices=False
            ).asks
            if "still holds" in a.question
        ]
        for stale_after in ("90d", "30d", "100d")
    }
    assert asks == {"90d": [BIG], "30d": [BIG, SMALL], "100d": []}


def test_the_sheet_asks_for_units_for_the_term_that_they_are_bound_for():
    # 13 requests/s take two big ones: the one that there is by the month, and one for a year at $5.
    known = aged()
    month = known.offerings[0].model_copy(update={"max_units": 1})
    year = offering("acme", "big", 5.0, billing="reserved_1y")
    known = replace(known, offerings=(month, year.model_copy(update={"as_of": date(2025, 12, 1)})))
    asked = problem(13, limits={"billing": {"allow": ["dedicated", "reserved_1y"]}})
    (ask,) = decision_sheet(asked, known, as_of=READ_ON, with_choices=False).asks
    assert ask.question == (
        "1 unit at once, for 12 months; what it is called there; "
        "the prices of 2025-12-01 and 2026-01-15 still hold"
    )


def test_the_document_holds_it_and_reads_back():
    plan = solve(thirteen(), aged())
    document = json.loads(FORMATS["json"](plan))
    assert [p["price_age_days"] for p in document["purchases"]] == [91, 55]
    assert document["stale_prices"]["if_risen_usd_per_month"] == pytest.approx(4536)
    read = Plan.from_dict(plan.to_dict())
    assert read.stale_prices == plan.stale_prices
    assert read.to_dict() == plan.to_dict()
    header, *rows = FORMATS["csv"](plan).splitlines()
    column = header.split(",").index("price_age_days")
    assert [row.split(",")[column] for row in rows] == ["91", "55"]


def test_catalog_show_gives_the_age_beside_the_day(run):
    said = run("catalog", "show", BIG, "--catalog", "toy", "--as-of", "2026-04-16")[1]
    assert "price age days  91" in said
    found = json.loads(run("catalog", "show", "big", "--catalog", "toy", "--json")[1])
    assert found["cheapest_offerings_by_billing"][0]["price_age_days"] >= 91
    listed = run("candidates", "toy.yaml", "--json", "--as-of", "2026-04-16")[1]
    ages = {
        c["offering"]: c["price_age_days"] for c in json.loads(listed)["workloads"][0]["candidates"]
    }
    assert ages == {BIG: 91, "bolt/small/us-1": 55}


# ---- how it is asked


def test_an_age_needs_a_unit_that_is_known(run, folder):
    for written, complaint in (
        ("90", "an age needs a unit: write '90d' or '90 days'"),
        ("3 months", "'3 months' has no known unit; use one of d, day, days"),
        ("soon", "'soon' is not an age; write '90d' or '90 days'"),
        ("-1d", "must be at least 0"),
    ):
        text = PROBLEM.replace("policy: {", f"policy: {{stale_after: {written}, ")
        (folder / "old.yaml").write_text(text)
        code, _, err = run("solve", "old.yaml")
        assert (code, complaint in err) == (2, True), err
        assert "policy.stale_after" in err


def test_a_changed_problem_keeps_the_age_that_it_was_given():
    asked = thirteen(stale_after="30d").changed({"workloads.chat.traffic.growth": 1.0})
    assert asked.policy.stale_after_days == 30
    assert asked.changed({"policy.stale_after": "2 days"}).policy.stale_after_days == 2


# ---- which day today is


def test_source_date_epoch_is_today_where_no_day_is_named(run, monkeypatch):
    # 1776297600 is 16 April 2026, 00:00 UTC.
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1776297600")
    assert day_today() == READ_ON
    assert load_catalog("inference-atlas").read_on == READ_ON
    found = json.loads(run("solve", "toy.yaml", "--json")[1])
    assert [p["price_age_days"] for p in found["purchases"]] == [91, 55]
    named = json.loads(run("solve", "toy.yaml", "--json", "--as-of", "2026-04-17")[1])
    assert [p["price_age_days"] for p in named["purchases"]] == [92, 56]


def test_the_clock_is_today_where_the_variable_is_not_there(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert date.today() - day_today() <= timedelta(days=1)
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    assert date.today() - day_today() <= timedelta(days=1)


@pytest.mark.parametrize("given", ["yesterday", "-5", "1.5", "9" * 30, "²"])
def test_a_variable_that_is_no_day_is_an_error_of_the_user(given, run, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", given)
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH: expected whole seconds since 1970"):
        day_today()
    code, _, err = run("solve", "toy.yaml")
    assert (code, "--as-of" in err) == (2, True)
