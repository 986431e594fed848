"""Budgets step by step, and where a fleet and tokens cost the same."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Status, budget_frontier, scenario_grid, solve, what_if
from milp_planner.questions.sweeps.frontier import with_budget
from milp_planner.reporting.text.questions.what_if import (
    RowTable,
    frontier_text,
    staircase,
)
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.examples import slow_tries, tries

pytest_plugins = ["tests.support.toy_cli"]

MONTH = 720

# ---- budgets


def test_every_step_of_the_budget_is_found():
    # Small serves 3 of 13 for $1,080, big 10 for $2,880, one of each all 13.
    found = budget_frontier(problem(13), 100, 9000, big_and_small())
    assert [step.budget_usd for step in found.steps] == pytest.approx([0, 1080, 2160, 2880, 3960])
    assert [step.served_share for step in found.steps] == pytest.approx(
        [0, 3 / 13, 6 / 13, 10 / 13, 1], abs=1e-5
    )
    assert found.smallest_budget_usd == pytest.approx(3960)
    assert all(step.is_step and step.proven for step in found.steps)
    assert found.unfinished is None


def test_the_smallest_budget_minus_a_cent_has_no_plan():
    found = budget_frontier(problem(13), 3000, 5000, big_and_small())
    smallest = found.smallest_budget_usd
    enough = with_budget(problem(13), smallest, "fail")
    assert solve(enough, big_and_small()).cash_usd_per_month == pytest.approx(smallest)
    short = solve(with_budget(problem(13), smallest - 0.01, "fail"), big_and_small())
    assert short.status is Status.INFEASIBLE


def test_a_range_between_two_steps_has_the_step_below_it():
    found = budget_frontier(problem(13), 2200, 2800, big_and_small())
    assert [step.budget_usd for step in found.steps] == pytest.approx([2160])


@pytest.mark.slow
def test_tokens_bought_by_the_cent_are_sampled_and_said_so():
    sold = catalog([offering("acme", "big", 4.0)], [raw("big", 10)], [token_price("api", 1000.0)])
    asked = problem(0.001, limits={"billing": {"allow": ["per_token"]}})
    # 0.001 requests/s of two tokens are 5,184 tokens a month: $5.18 at $1,000 per million.
    found = budget_frontier(asked, 1, 8, sold)
    assert found.smallest_budget_usd == pytest.approx(5.184)
    assert found.steps[-1].budget_usd == pytest.approx(5.184)
    assert found.steps[-1].is_step
    assert not any(step.is_step for step in found.steps[:-1])
    assert [step.served_share for step in found.steps] == pytest.approx(
        [step.budget_usd / 5.184 for step in found.steps], abs=1e-4
    )


@st.composite
def two_workloads(draw):
    rates = [draw(st.sampled_from([2.0, 3.0, 5.5])) for _ in range(2)]
    prices = [draw(st.sampled_from([1.0, 1.7, 2.3])) for _ in range(2)]
    loads = [draw(st.sampled_from([4.0, 6.5])) for _ in range(2)]
    return rates, prices, loads


@pytest.mark.slow
@tries(0.03)
@given(two_workloads())
def test_the_steps_agree_with_brute_force(case):
    check_the_steps_agree_with_brute_force(case)


@pytest.mark.slow
@slow_tries(1)
@given(two_workloads())
def test_the_steps_agree_with_brute_force_in_many_cases(case):
    check_the_steps_agree_with_brute_force(case)


def check_the_steps_agree_with_brute_force(case):
    rates, prices, loads = case
    names = ["a", "b"]
    boxes = catalog(
        [offering("acme", name, usd) for name, usd in zip(names, prices, strict=True)],
        [raw(name, rate) for name, rate in zip(names, rates, strict=True)],
    )
    asked = problem(workloads=[workload(loads[0], "chat"), workload(loads[1], "code")])
    high = 4.0 * MONTH
    found = budget_frontier(asked, 1, high, boxes)
    expected = pareto(rates, prices, loads, high)
    assert [(s.budget_usd, round(s.served_share, 4)) for s in found.steps] == [
        (pytest.approx(usd), round(share, 4)) for usd, share in expected
    ]


def pareto(rates, prices, loads, high):
    """(USD per month, smallest served share) of every fleet that no cheaper one equals.

    Fair: the smallest share counts first, then the share of all requests.
    """
    fleets = []
    for units in itertools.product(range(5), repeat=4):
        usd = MONTH * sum(n * prices[i % 2] for i, n in enumerate(units))
        served = [
            min(1.0, sum(units[2 * w + i] * rates[i] for i in range(2)) / loads[w])
            for w in range(2)
        ]
        total = sum(s * load for s, load in zip(served, loads, strict=True)) / sum(loads)
        if usd <= high:
            fleets.append((usd, (round(min(served), 9), round(total, 9))))
    steps, best = [], (-1.0, -1.0)
    for usd, outcome in sorted(fleets, key=lambda f: (f[0], [-x for x in f[1]])):
        if outcome > best:
            steps.append((usd, outcome[0]))
            best = outcome
    return steps


def test_a_budget_row_says_what_is_served_and_the_next_step():
    result = what_if(problem(13), scenario_grid(budgets=[2500, 3960]), big_and_small())
    short, full = result.rows
    assert (short.cash_usd, short.served_share) == (2160, pytest.approx(6 / 13, abs=1e-5))
    assert short.next_step.budget_usd == pytest.approx(2880)
    assert short.next_step.served_share == pytest.approx(10 / 13, abs=1e-5)
    assert short.usd_per_million_tokens is None
    assert (full.cash_usd, full.served_share, full.next_step) == (3960, 1.0, None)
    assert result.smallest_budgets == {"": 3960}


def test_the_staircase_is_drawn_from_the_least_budget_up():
    # 60 columns of $100 from $1,000 to $6,900: 25 % at once, all from $3,000 on. The axis begins at
    # 10 %, so that 25 % is one level of 9 %, and the tenth is 100 %.
    *lines, axis, labels = list(staircase([(900.0, 0.25), (3000.0, 1.0)], 1000.0, 6900.0))
    assert lines[1] == "  100 % |" + " " * 20 + "#" * 40
    assert lines[-2] == "        |" + " " * 20 + "#" * 40
    assert lines[-1] == "        |" + "#" * 60
    assert axis == "   10 % +" + "-" * 60
    assert labels == "         $1,000" + " " * 14 + "$3,000" + " " * 28 + "$6,900"
    assert max(map(len, [*lines, axis, labels])) < 80


def test_a_staircase_without_a_step_is_not_drawn():
    assert list(staircase([(1000.0, 0.5)], 1000.0, 2000.0)) == []
    assert list(staircase([(900.0, 1.0), (950.0, 1.0)], 1000.0, 2000.0)) == []


def test_a_step_that_serves_more_only_off_the_peak_is_a_step():
    # Half the month 12 requests/s, half 6; small serves 3 for $360 per half month. Fair to the
    # peak, 50 % is two units and one ($1,080); one more in either half leaves 50 % in the other.
    day = {"kind": "profile", "requests_per_day": 777_600, "weights": [12] * 12 + [6] * 12}
    boxes = catalog([offering("bolt", "small", 1.0, billing="autoscaling")], [raw("small", 3)])
    asked = problem(workloads=[{**workload(1), "traffic": day}])
    found = budget_frontier(asked, 1080, 2200, boxes)
    assert [step.budget_usd for step in found.steps] == pytest.approx([1080, 1440, 1800, 2160])
    assert [step.served_share for step in found.steps] == pytest.approx(
        [1 / 2, 1 / 2, 3 / 4, 1], abs=1e-5
    )
    assert [step.requests_share for step in found.steps] == pytest.approx(
        [9 / 18, 12 / 18, 15 / 18, 1], abs=1e-5
    )
    lines = frontier_text(found).splitlines()
    assert lines[:2] == [
        "   from  served  requests  GPUs  in the plan",
        "  1,080  50.0 %    50.0 %     2  2 x small bolt autoscaling",
    ]
    assert lines[2].startswith("  1,440  50.0 %    66.7 % ")
    grid = scenario_grid(budgets=[1100])
    (row,) = what_if(asked, grid, boxes).rows
    assert "50.0 %  17 % more requests for $1,440" in RowTable(grid).line(row)


def test_a_larger_budget_that_buys_the_same_says_so():
    grid = scenario_grid(budgets=[4000, 5000])
    table = RowTable(grid)
    lines = [table.line(row) for row in what_if(problem(13), grid, big_and_small()).rows]
    assert lines[0].endswith("  1 x big acme + 1 x small bolt")
    assert lines[1].endswith("  the same as for 4,000")


def test_a_frontier_is_told_as_text():
    text = frontier_text(budget_frontier(problem(13), 2000, 4000, big_and_small()))
    assert "  2,880  76.9 %     1  1 x big acme\n" in text
    assert "Smallest budget that serves everything: $3,960." in text


# ---- fleet or tokens


def with_tokens():
    """Big and small, and an API at $100 per million tokens: two tokens a request."""
    rented = big_and_small()
    return catalog(list(rented.offerings), list(rented.measurements), [token_price("api", 100.0)])


def test_the_break_even_is_where_fleet_and_tokens_cost_the_same():
    # Per token a request/s costs 2 * 2,592,000 * $100 / 1M = $518.40 a month. At 0.2x of 10
    # requests/s a small does it for $1,080: cheaper than tokens from 1,080 / 518.4 requests/s on.
    result = what_if(problem(10), scenario_grid(traffic=[0.1, 0.2, 1]), with_tokens())
    assert [row.split.fleet_usd for row in result.rows] == pytest.approx([1080, 1080, 2880])
    assert [row.split.per_token_usd for row in result.rows] == pytest.approx([518.4, 1036.8, 5184])
    even = result.break_evens[""]
    exact = 1080 / 518.4 / 10
    assert even.below <= exact <= even.above <= even.below * 1.0011
    factors = scenario_grid(traffic=[even.below, even.above])
    sides = what_if(problem(10), factors, with_tokens()).rows
    assert sides[0].split.difference > 0 >= sides[1].split.difference


def test_the_break_even_is_looked_for_beyond_the_factors_asked():
    result = what_if(problem(10), scenario_grid(traffic=[2, 4]), with_tokens())
    assert result.break_evens[""].above == pytest.approx(1080 / 518.4 / 10, rel=2e-3)


def test_without_an_api_there_is_no_break_even():
    result = what_if(problem(10), scenario_grid(traffic=[1, 2]), big_and_small())
    assert result.break_evens == {"": None}
    assert result.rows[0].split.per_token_usd is None


def test_what_is_told_of_all_rows_names_what_is_changed(run):
    arguments = ("--budget", "9000", "--limit", "max_gpus.total=5")
    _, out, _ = run("what-if", "toy.yaml", *arguments)
    assert "Smallest budget that serves everything: $3,960.\n" in out
    assert "Smallest budget that serves everything (max_gpus.total 5): $3,960.\n" in out
