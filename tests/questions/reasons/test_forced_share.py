"""What is forced in serves a whole workload, or the share that is stated; never a sliver."""

from __future__ import annotations

import json
from itertools import product
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import explain, prepare
from milp_planner.questions.reasons.forced_share import cheapest_with_share
from milp_planner.questions.solve import provenance_of
from milp_planner.reporting.text.questions.explain import why_not_text
from milp_planner.solving.re_solve import Resolver, settings_of
from tests.support.builders import catalog, offering, problem, raw, token_price, workload
from tests.support.examples import tries

pytest_plugins = ["tests.support.toy_cli"]

MONTH = 720


def twins():
    return catalog([offering("acme", "big", 4.0), offering("bolt", "big", 5.0)], [raw("big", 10)])


def test_a_provider_serves_a_whole_workload():
    # 25 requests/s: 3 big at acme, $12/h; all of it at bolt, $15/h.
    why = explain(problem(25), twins(), provider="bolt")
    assert (why.verdict, why.share, why.forced_workload) == ("dearer", 1.0, "chat")
    assert why.forced.cash_usd_per_month == pytest.approx(15 * MONTH)
    assert why.extra_usd == pytest.approx(3 * MONTH)
    assert why_not_text(why).splitlines()[2] == (
        "  with provider bolt for all of chat  $10,800  per month  3 x big bolt"
    )


def test_a_share_that_is_stated_is_served_and_no_more_need_be():
    # 40 % of 25 requests/s are 10, one big at bolt; 41 % take two.
    for share, usd in ((0.40, 13), (0.41, 14)):
        why = explain(problem(25), twins(), provider="bolt", share=share)
        assert why.forced.cash_usd_per_month == pytest.approx(usd * MONTH)
    assert "with provider bolt for 41 % of chat" in why_not_text(why)


@pytest.mark.slow
def test_an_api_serves_a_whole_workload_and_no_sliver():
    # 10 requests/s: a big, $2,880 a month; tokens at $100 per million are 10 × $518.40.
    known = catalog([offering("acme", "big", 4.0)], [raw("big", 10)], [token_price("tokn", 100)])
    asked = problem(10, limits={"billing": {"allow": ["dedicated", "per_token"]}})
    for subject in ({"provider": "tokn"}, {"offering": "tokn/*"}):
        why = explain(asked, known, **subject)
        assert why.forced.cash_usd_per_month == pytest.approx(5184)
        assert why.verdict == "dearer"


def test_the_workload_that_costs_least_to_move_is_moved():
    # Bolt is $1/h dearer a big: 2 for chat, 1 for code; the code moves.
    known = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "big", 5.0)],
        [raw("big", 10), raw("big", 10, llm="other")],
    )
    asked = problem(workloads=[workload(20, "chat"), workload(8, "code", llm="other")])
    why = explain(asked, known, provider="bolt")
    assert (why.forced_workload, round(why.extra_usd)) == ("code", MONTH)


def test_where_no_plan_has_it_serve_as_much_that_is_said():
    limits = {"max_units": {"bolt/*": 1}}
    why = explain(problem(25, limits=limits), twins(), provider="bolt")
    assert (why.verdict, why.forced_workload) == ("dearer", "")
    assert why.forced.cash_usd_per_month == pytest.approx(13 * MONTH)
    assert "No plan within the limits has it serve all of a workload." in why_not_text(why)


def test_what_is_in_the_plan_may_be_asked_to_serve_more():
    # 13 requests/s: acme's big and bolt's small, $5.50/h; all at acme, 2 big, $8/h.
    known = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3)],
    )
    why = explain(problem(13), known, provider="acme", share=1.0)
    assert why.verdict == "used"
    assert "Serving all of chat the plan costs $5,760 (+$1,800): 2 x big acme." in why_not_text(why)


def test_cash_and_score_are_both_shown_where_they_differ():
    # One big for 10 requests/s; at bolt four small, of which three are fined $500 each.
    known = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3)],
    )
    fines = {"scaling": {"above_gpus": 1, "usd_per_gpu": 500}}
    policy = {"utilization": {"target": 1.0}, "penalties": fines}
    lines = why_not_text(explain(problem(10, policy=policy), known, provider="bolt")).splitlines()
    assert lines[:3] == [
        "provider bolt is not in the plan: feasible but dearer, +$2,940 per month (+102 %).",
        "  the plan                            $2,880  per month  score $2,880  1 x big acme",
        "  with provider bolt for all of chat  $4,320  per month  score $5,820  4 x small bolt",
    ]


@tries(0.25)
@given(
    rates=st.tuples(st.integers(2, 9), st.integers(2, 9)),
    prices=st.tuples(st.integers(2, 12), st.integers(2, 12)),
    load=st.integers(5, 30),
    percents=st.sampled_from([10, 25, 50, 80, 100]),
)
def test_the_cheapest_plan_with_a_share_is_that_of_every_fleet_tried(rates, prices, load, percents):
    known = catalog(
        [offering("acme", "big", prices[0] + 0.01), offering("bolt", "small", prices[1])],
        [raw("big", rates[0]), raw("small", rates[1])],
    )
    instance = prepare(problem(load), known)
    settings = settings_of(instance.problem)
    resolver = Resolver(instance, settings, provenance_of(instance, settings))
    found, is_late = cheapest_with_share(resolver, lambda k: k.provider == "bolt", percents / 100)
    best = inf
    for big, small in product(range(16), range(16)):
        able = small * rates[1] >= load * percents / 100 - 1e-9
        if able and big * rates[0] + small * rates[1] >= load:
            best = min(best, big * (prices[0] + 0.01) + small * prices[1])
    assert not is_late
    assert found.plan.cash_usd_per_month == pytest.approx(best * MONTH)


def test_the_command_takes_a_share(run):
    document = json.loads(
        run("explain", "toy.yaml", "--gpu", "big", "--share", "100%", "--json")[1]
    )
    # all of 13 requests/s on big: 2 of them, $5,760
    assert (document["share"], document["forced_usd_per_month"]) == (1, 5760)
    code, _, err = run("explain", "toy.yaml", "--limits", "--share", "10%")
    assert (code, "--share is of an offering" in err) == (2, True)
    code, _, err = run("explain", "toy.yaml", "--gpu", "big", "--share", "120%")
    assert (code, "share: must be at most 1" in err) == (2, True)
