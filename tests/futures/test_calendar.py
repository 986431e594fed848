"""Commitments over months, from the problem to the calendar."""

from __future__ import annotations

import json
from typing import Any

import pytest

from milp_planner import Calendar, InputError, Problem, plan_months, solve
from milp_planner.reporting.text.plans.calendar import calendar_text
from tests.futures.test_commit_or_rent import (
    BASE,
    FLOP,
    HIT,
    ON_DEMAND,
    RENT_OR_BIND,
    RESERVED,
    commit_or_rent,
    future,
    l40s,
)
from tests.support.builders import catalog, offering, problem, raw, workload

BOUND, RENTED = 720 * RESERVED, 720 * ON_DEMAND
YEAR = {"months": 12, "at_end": "pro_rata"}


def signed(calendar: Calendar) -> dict[str, dict[int, int]]:
    """Units by month, for each future."""
    return {
        f.name: {m.month: sum(s.units for s in m.signed) for m in f.months if m.signed}
        for f in calendar.futures
    }


@pytest.fixture(scope="module")
def told() -> Calendar:
    asked = commit_or_rent(horizon=YEAR, known_from="3 months")
    found = plan_months(asked, l40s())
    assert found is not None
    return found


def test_who_knows_after_three_months_signs_the_rest_then(told):
    # 5 units in the flop, 19 in base, 56 in a hit: 14 and 51 more once it is known.
    assert signed(told) == {"flop": {1: 5}, "base": {1: 5, 4: 14}, "hit": {1: 5, 4: 51}}
    # 0.4 × 14 + 0.2 × 51 = 15.8 units rented for three months, bound for nine.
    assert told.usd == pytest.approx(5 * BOUND * 12 + 15.8 * (3 * RENTED + 9 * BOUND))
    assert told.usd == pytest.approx(234_199, abs=1)
    assert told.proof.counted_usd == pytest.approx(told.usd)
    assert told.proof.gap < 1e-3
    assert (told.proof.rents_checked, told.proof.rents) == (3, 3)
    assert told.proof.engines == ("cbc", "highs")


def test_the_calendar_says_what_is_owed_and_what_waiting_is_worth(told):
    flop, base, hit = told.futures
    # Signed in month 4 for twelve months: three of them are left.
    assert (flop.owed_usd, base.owed_usd) == (0, pytest.approx(14 * BOUND * 3))
    assert told.owed_usd == pytest.approx(0.4 * base.owed_usd + 0.2 * hit.owed_usd)
    # Where nobody ever knows: 5 units, and 15.8 rented on average for the whole year.
    assert told.unknown_usd == pytest.approx(5 * BOUND * 12 + 15.8 * RENTED * 12)
    assert told.unknown_usd == pytest.approx(304_698, abs=1)
    month = base.months[2]
    assert (month.bound_units, month.rented[0].units, month.traffic) == (5, 14, 1.0)
    assert month.usd == pytest.approx(5 * BOUND + 14 * RENTED)
    assert [(s.month, s.units) for s in told.common] == [(1, 5)]


def test_the_calendar_as_a_frame_has_a_row_for_each_future_and_month(told):
    frame = told.to_frame()
    assert len(frame) == 3 * 12
    by_future = frame.groupby("future")["usd"].sum()
    assert [by_future[f.name] for f in told.futures] == pytest.approx([f.usd for f in told.futures])


def test_the_calendar_in_words(told):
    text = calendar_text(told)
    assert "$234,199 in 12 months on average over 3 futures" in text
    assert "Sign now: 5 x aws/g6e.xlarge/" in text
    assert "In flop (40 %), known after 3 months, nothing more." in text
    assert "In hit (20 %), known after 3 months, sign 51 x aws/g6e.xlarge/" in text
    assert " reserved_1y in month 4 " in text
    assert "To know the future after 3 months is worth $70,499" in text
    rows = [line for line in text.splitlines() if line.strip().startswith("4 ")]
    assert len(rows) == 3
    assert "-14" in rows[1]  # what was rented goes when it is signed for
    assert "were solved again by CBC and HiGHS, to the same sum" in text


def test_a_term_is_told_apart_by_what_it_counts_after_the_end():
    three_years = [
        offering("aws", "l40s-48gb", ON_DEMAND, name="g6e.xlarge"),
        offering("aws", "l40s-48gb", 0.43 * ON_DEMAND, name="g6e.xlarge", billing="reserved_3y"),
    ]
    rows = catalog(three_years, [raw("l40s-48gb", 14.4)])
    limits = {"billing": {"allow": ["dedicated", "reserved_3y"]}}
    asked = problem(
        200, target=0.75, futures=(FLOP, BASE, HIT), limits=limits, horizon={"months": 12}
    )
    found = plan_months(asked, rows)
    # Base and hit save 12 × 57 % × 0.6 months of rent, the flop pays 36 × 43 % × 0.4 for nothing.
    assert set(map(str, signed(found).values())) == {"{1: 5}"}
    others = {end.at_end: (end.is_same, end.units_now) for end in found.other_ends}
    assert others == {"pro_rata": (False, 19), "full": (False, 0)}
    text = calendar_text(found)
    assert "count (at_end: pro_rata), sign 19 units now and 0 later on average instead" in text
    assert "(at_end: full), sign nothing instead." in text


def test_one_future_that_grows_needs_no_probabilities():
    horizon = {"months": 3, "traffic": [1, 2, 1.5], "price_trend": "-10%/month"}
    asked = problem(200, target=0.75, limits=RENT_OR_BIND, horizon=horizon)
    rows = catalog([offering("aws", "l40s-48gb", ON_DEMAND)], [raw("l40s-48gb", 14.4)])
    [base] = plan_months(asked, rows).futures
    # 200, 400 and 300 requests/s at 10.8 a unit take 19, 38 and 28.
    assert [m.rent_usd for m in base.months] == pytest.approx(
        [19 * RENTED, 38 * RENTED * 0.9, 28 * RENTED * 0.81]
    )
    assert [m.traffic for m in base.months] == [1, 2, 1.5]


def test_futures_have_their_own_prices_and_courses():
    grows = {"months": 2, "growth": "100%/month", "futures": {"flop": {"growth": "-50%/month"}}}
    cheap = future("flop", 0.5, 0.5, prices={"*": "50%"})
    asked = commit_or_rent(cheap, future("base", 0.5), horizon=grows | {"at_end": "full"})
    found = plan_months(asked, l40s())
    flop, base = found.futures
    # 100 and 50 requests/s take 10 and 5 units, 200 and 400 take 19 and 38.
    assert [m.rent_usd for m in flop.months] == pytest.approx([5 * RENTED, 2.5 * RENTED])
    assert [m.rent_usd for m in base.months] == pytest.approx([19 * RENTED, 38 * RENTED])


def test_quotes_are_signed_for_no_more_than_there_are():
    quote = {"offering": "aws/*", "term": "1 month", "discount": "50%", "units": 4}
    asked = problem(200, target=0.75, quotes=[quote], horizon={"months": 2, "at_end": "full"})
    rows = catalog([offering("aws", "l40s-48gb", ON_DEMAND)], [raw("l40s-48gb", 14.4)])
    found = plan_months(asked, rows)
    assert signed(found) == {"base": {1: 4, 2: 4}}
    assert found.usd == pytest.approx(2 * (4 * RENTED / 2 + 15 * RENTED))


def test_two_workloads_are_planned_side_by_side():
    two = [workload(50, name="a"), workload(200, name="b")]
    asked = problem(
        workloads=two,
        target=0.75,
        limits=RENT_OR_BIND,
        horizon={"months": 12, "at_end": "pro_rata"},
    )
    found = plan_months(asked, l40s())
    assert {(s.workload, s.units) for s in found.common} == {("a", 5), ("b", 19)}
    assert found.usd == pytest.approx(12 * 24 * BOUND)
    assert "for b" in calendar_text(found)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"limits": {"budget": {"usd_per_month": 9, "when_short": "shed"}}},
            "limits.budget.when_short: ",
        ),
        ({"risk": {"measure": "worst", "of": "margin"}}, "risk.of: a margin needs what served"),
        (
            {"commitments": [{"offering": "aws/*", "billing": "reserved_1y", "units": 2}]},
            "commitments[0].billing: what is paid already would be committed to anew",
        ),
        ({"known_from": "12 months"}, "known_from: is not within the horizon"),
        ({"horizon": {"months": 2, "traffic": [1, 2, 3]}}, "horizon.traffic: has 3 factors for 2"),
        (
            {"horizon": {"months": 2, "futures": {"flp": {"growth": 0.1}}}},
            "horizon.futures.flp: no future 'flp'; did you mean 'flop'?",
        ),
        ({"horizon": {"months": 2, "growth": "8%/week"}}, "horizon.growth: '8%/week' is not a"),
    ],
)
def test_what_would_be_without_effect_over_months_is_refused(changed, said):
    with pytest.raises(InputError) as caught:
        commit_or_rent(**({"horizon": YEAR} | changed))
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"today": {"usd_per_month": 5}}, "today: the bill of today is of one month"),
        ({"alternatives": {"count": 2}}, "alternatives: next-best plans are of one month"),
    ],
)
def test_what_is_of_one_month_is_refused_with_what_to_leave_out(changed, said):
    with pytest.raises(InputError) as caught:
        plan_months(commit_or_rent(**({"horizon": YEAR} | changed)), l40s())
    assert said in str(caught.value)


def test_other_questions_say_that_they_are_of_one_month():
    asked: Problem = commit_or_rent(horizon=YEAR)
    with pytest.raises(InputError, match="horizon: this is asked of one month, not of several"):
        solve(asked, l40s())
    with pytest.raises(InputError, match="horizon: there are no months to plan"):
        plan_months(commit_or_rent(), l40s())


pytest_plugins = ["tests.support.toy_cli"]


def test_the_command_prints_a_calendar_for_a_problem_with_a_horizon(run, folder):
    lines = (folder / "toy.yaml").read_text().splitlines()
    asked = [line for line in lines if not line.startswith("alternatives")]
    text = "\n".join([*asked, "horizon: {months: 2, growth: 10%/month}", ""])
    (folder / "months.yaml").write_text(text)
    code, out, err = run("solve", "months.yaml")
    assert (code, err) == (0, "")
    assert "in 2 months" in out.splitlines()[0]
    code, out, _ = run("solve", "months.yaml", "--json")
    document: dict[str, Any] = json.loads(out)
    assert (code, document["document"], document["months"]) == (0, "calendar", 2)
    assert document["usd"] == pytest.approx(sum(m["usd"] for m in document["futures"][0]["months"]))
    code, page, err = run("report", "months.yaml")
    assert (code, err, page[:15]) == (0, "", "<!DOCTYPE html>")
    assert page.count('class="chart"') == 2
    assert page.count('role="rowheader"') == 3  # two months and their sum
    code, _, err = run("solve", "months.yaml", "--replay")
    assert (code, "--replay is of one month, and the problem has a horizon" in err) == (2, True)


@pytest.mark.parametrize(
    ("at_end", "term", "counted"),
    # Five units for a year: $1 an hour each for 12 months, or $0.99 for three times 5 months, of
    # which three months come after the year. All of them owed: 12 x $3,600 against 15 x $3,564.
    [("full", 12, 12 * 3_600), ("pro_rata", 5, 12 * 3_564)],
)
def test_a_shorter_term_is_no_cheaper_where_it_goes_on_longer_in_the_end(at_end, term, counted):
    offer = {"offering": "acme/g1/eu-1"}
    asked = problem(
        5,
        quotes=[
            {**offer, "term": "12 months", "usd_per_gpu_hour": 1.0},
            {**offer, "term": "5 months", "usd_per_gpu_hour": 0.99},
        ],
        horizon={"months": 12, "at_end": at_end},
    )
    sold = catalog([offering("acme", "g1", 3.0)], [raw("g1", 1)])
    found = plan_months(asked, sold)
    assert found is not None
    assert {s.term_months for s in found.common} == {term}
    assert found.proof.counted_usd == pytest.approx(counted)
