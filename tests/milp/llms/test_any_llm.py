"""Which of several LLMs serves what is part of the program, with a mean quality to keep."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import (
    InputError,
    Plan,
    Status,
    Verdict,
    diagnose,
    evaluate,
    explain,
    prepare,
    replay,
    solve,
)
from milp_planner.milp.presolve.dominance import prune
from milp_planner.plans.reasons import LlmsChosen
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.reporting.text.questions.explain import why_not_text
from milp_planner.solving.assembly.verify import violations
from milp_planner.solving.first.few import list_few
from milp_planner.solving.prepare import outline_of
from milp_planner.solving.re_solve import cash_of
from tests.support.builders import catalog, offering, problem, raw, token_price, workload
from tests.support.examples import tries

GOOD, LEAN = "rich", "lean"
QUALITY = {GOOD: 0.9, LEAN: 0.6}


def boxes(good: float = 1.0, lean: float = 3.0, **fields: Any):
    """A box for $2/h does so many requests/s of the good LLM, or of the lean one."""
    rates = [raw("box", good, llm=GOOD), raw("box", lean, llm=LEAN)]
    return catalog([offering("acme", "box", 2.0)], rates, **fields)


def asked(load: float = 6, *, traffic: dict[str, Any] | None = None, **wishes: Any):
    llm = {"any_of": [GOOD, LEAN], "quality": QUALITY, **wishes}
    chat = {"llm": llm} if traffic is None else {"llm": llm, "traffic": traffic}
    return problem(load, chat=chat)


def units(plan: Plan) -> dict[str, int]:
    return {p.candidate.llm: p.units for p in plan.purchases}


@pytest.mark.parametrize(
    ("wishes", "fleet"),
    [
        ({}, {LEAN: 2}),
        # 2/3 good ones: 4 of 6 requests/s on 4 boxes, 2 on one.
        ({"at_least": 0.8}, {GOOD: 4, LEAN: 1}),
        ({"at_least": 0.9}, {GOOD: 6}),
        ({"each": 0.7}, {GOOD: 6}),
        # A box of the lean one serves 3 at most: 3 good ones beside it, a mean of 0.75.
        ({"at_least": 0.75}, {GOOD: 3, LEAN: 1}),
        # At 0.75001 a fourth is needed.
        ({"at_least": 0.75001}, {GOOD: 4, LEAN: 1}),
    ],
)
def test_the_cheapest_llms_that_are_as_good_as_asked_serve(wishes, fleet):
    plan = solve(asked(**wishes), boxes())
    assert plan.status is Status.OPTIMAL
    assert units(plan) == fleet
    (said,) = (one for one in plan.warnings if isinstance(one, LlmsChosen))
    assert said.asked == wishes.get("at_least")
    assert said.quality is not None
    assert said.quality >= wishes.get("at_least", 0.6) - 1e-6


def test_the_plan_says_which_serves_how_much_and_its_document_too():
    plan = solve(asked(at_least=0.75), boxes())
    text = plan_text(plan)
    assert "'chat' is served 50.0 % by lean, 50.0 % by rich" in text
    assert "a mean quality of 0.75 as stated, at least 0.75 is asked" in text
    assert "3 x rich raw tp 1" in text
    assert plan.workloads[0].llm == "lean + rich"
    document = plan.to_dict()
    assert {row["llm"] for row in document["purchases"]} == {GOOD, LEAN}
    assert Plan.from_dict(document).to_dict() == document


def test_a_mean_is_kept_over_the_month_not_in_every_hour():
    # 2 requests/s by night, 6 by day: half of 8 must be good. Two boxes all day are 4.
    day = {
        "kind": "profile",
        "requests_per_day": 12 * (2 + 6) * 3_600,
        "weights": [1] * 12 + [3] * 12,
        "max_blocks": 2,
    }
    plan = solve(asked(traffic=day, at_least=0.75), boxes())
    assert units(plan) == {GOOD: 2, LEAN: 2}


def test_an_api_serves_where_that_is_cheaper_and_good_enough():
    # $1e-5 a request of the good LLM, $25.92 a month for one a second; a box costs $1,440.
    tokens = (token_price("tokn", 5.0, llm=GOOD),)
    question = asked(at_least=0.8).changed(
        {"limits.billing": {"allow": ["dedicated", "per_token"]}}
    )
    plan = solve(question, replace(boxes(), token_prices=tokens))
    assert [(p.candidate.llm, p.units) for p in plan.purchases] == [(GOOD, 0)]
    assert plan.cash_usd_per_month == pytest.approx(6 * 720 * 3_600 * 1e-5)


@pytest.mark.parametrize("wishes", [{}, {"at_least": 0.8}])
def test_a_budget_for_no_box_at_all_serves_nothing_of_either_llm(wishes):
    # A box costs $1,440 a month.
    llm = {"any_of": [GOOD, LEAN], "quality": QUALITY, **wishes}
    budget = {"usd_per_month": 1_000, "when_short": "fair"}
    plan = solve(problem(6, chat={"llm": llm}, limits={"budget": budget}), boxes())
    assert (plan.status, plan.purchases) == (Status.OPTIMAL, ())
    assert plan.workloads[0].shortfall_share == 1
    assert plan.workloads[0].deployed.hf_id == ""
    assert f"{GOOD} or {LEAN}" in plan_text(plan)


def test_a_worse_llm_does_not_stand_in_for_a_better_one():
    for wishes, kept in (({}, {LEAN}), ({"at_least": 0.7}, {GOOD, LEAN})):
        given_ = prepare(asked(**wishes), boxes())
        assert {k.llm for k in prune(given_, given_.candidates.candidates).kept} == kept


def test_a_plan_that_is_not_good_enough_is_told_so_and_a_diagnosis_names_the_wish():
    lax, strict = asked(), asked(at_least=0.8)
    plan = solve(lax, boxes())
    given_ = prepare(lax, boxes())
    same = replace(given_, problem=strict)
    assert "workload 'chat' has a mean quality of 0.6, less than 0.8" in violations(same, plan)
    few = strict.changed({"limits.max_gpus": {"total": 3}})
    found = diagnose(few, boxes())
    assert found is not None
    assert "workloads.chat.llm.at_least" in {change.path for change in found.changes}


@pytest.mark.parametrize(
    ("llm", "said"),
    [
        ({"any_of": [GOOD, GOOD]}, "rich is named twice"),
        ({"any_of": [GOOD], "quality": {LEAN: 1}}, "lean is not in any_of"),
        (
            {"any_of": [GOOD, LEAN], "quality": {GOOD: 1}, "at_least": 1},
            "that of lean is not stated",
        ),
        ({"any_of": [GOOD], "quality": {GOOD: 0.5}, "each": 0.6}, "the best is 0.5 (is 0.6)"),
    ],
)
def test_a_choice_that_cannot_be_is_refused(llm, said):
    with pytest.raises(InputError) as error:
        problem(6, chat={"llm": llm})
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"workloads.chat.llm.any_of": [GOOD, "leen"]},
            "workloads[0].llm.any_of[1]: 'leen' is not in",
        ),
        (
            {"workloads.chat.rates": [{"gpu": "box", "requests_per_second": 1}]},
            "workloads[0].rates: rates do not say which LLM they are of",
        ),
        (
            {"workloads.chat.latency.wait": "1s"},
            "workloads[0].latency.wait: one queue before replicas of several LLMs is not judged",
        ),
        ({"policy.share": "gpus"}, "policy.share: gpus is not planned together with any_of yet"),
    ],
)
def test_what_is_not_decided_beside_a_choice_is_refused_by_name(changes, said):
    with pytest.raises(InputError) as error:
        solve(asked().changed({"workloads.chat.llm.quality": None, **changes}), boxes())
    assert said in str(error.value)


def test_questions_that_have_no_answer_yet_say_so():
    question = asked(at_least=0.8)
    with pytest.raises(InputError) as error:
        evaluate(question, {"acme/box/eu-1": {"chat": 3}}, boxes())
    assert "evaluate: which LLM the units of a fleet serve is not answered where LLMs are" in str(
        error.value
    )
    plan = solve(question, boxes())
    with pytest.raises(InputError) as error:
        replay(plan, question, boxes())
    assert "a replay: what goes to which LLM is not answered" in str(error.value)


def test_where_time_is_short_each_of_the_llms_is_listed_for_a_first_plan():
    question = asked(at_least=0.8)
    few = list_few(*outline_of(question, boxes())).candidates
    assert {k.llm for k in few} == {GOOD, LEAN}
    assert solve(question, boxes(), time_limit_s=1.9, diagnose=False).status.has_plan


# --- why something is not in the plan ------------------------------------------------------------


def both_boxes(big_usd: float = 5.0):
    """acme: 1 request/s of the good LLM or 3 of the lean one for $2; bolt: 2 or 8 for more."""
    rates = [raw("box", 1, llm=GOOD), raw("box", 3, llm=LEAN)]
    rates += [raw("big", 2, llm=GOOD), raw("big", 8, llm=LEAN)]
    return catalog([offering("acme", "box", 2.0), offering("bolt", "big", big_usd)], rates)


def fleets(load: float, least: float, big_usd: float):
    """(USD an hour, USD of it at bolt) of every fleet that serves the load as well as asked."""
    good_share = (least - QUALITY[LEAN]) / (QUALITY[GOOD] - QUALITY[LEAN])
    for a, b, c, d in itertools.product(range(8), range(4), range(5), range(3)):
        good, lean = a + 2 * c, 3 * b + 8 * d
        if good >= good_share * load - 1e-9 and good + lean >= load - 1e-9:
            yield 2.0 * (a + b) + big_usd * (c + d), big_usd * (c + d)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("load", "least", "big_usd"), [(6, 0.75, 5.0), (7, 0.8, 6.0), (4, 0.7, 5.5)]
)
def test_what_forces_an_offering_in_is_the_best_fleet_that_needs_it(load, least, big_usd):
    # What is left of a fleet that needs bolt costs less than the best without bolt.
    every = list(fleets(load, least, big_usd))
    best = min(usd for usd, _ in every)
    why = explain(asked(load, at_least=least), both_boxes(big_usd), provider="bolt", share=0.01)
    why = explain(asked(load, at_least=least), both_boxes(big_usd), offering="bolt/big/eu-1")
    assert cash_of(why.plan) == pytest.approx(720 * best)
    if any(mine and usd == best for usd, mine in every):
        assert why.verdict is Verdict.USED
        without = min(usd for usd, mine in every if not mine)
        assert why.extra_usd == pytest.approx(720 * (without - best))
        return
    forced = min(usd for usd, mine in every if mine and usd - mine < best - 1e-6)
    assert why.extra_usd == pytest.approx(720 * (forced - best))
    assert why.best_use is not None
    assert why.best_use.llm == LEAN
    assert "Best use: chat on bolt/big/eu-1, dedicated, serving lean:" in why_not_text(why)


# --- against trying every fleet ------------------------------------------------------------------


@tries(0.1, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 1.0, 2.5, 4.0]), min_size=1, max_size=3).filter(any),
    st.tuples(*[st.sampled_from([0.7, 1.0, 1.9, 3.0])] * 3),
    st.permutations([0.5, 0.7, 0.9]),
    st.sampled_from([None, 0.55, 0.6, 0.7, 0.81, 0.9]),
    st.sampled_from([1.0, 1.6]),
)
def test_choices_agree_with_trying_every_fleet(loads, rates, qualities, at_least, lean_usd):
    """Three LLMs on two types of GPU; of what is on the best serves first in every hour."""
    names = ("a", "b", "c")
    llm = {"any_of": names, "quality": dict(zip(names, qualities, strict=True))}
    if at_least is not None:
        llm["at_least"] = at_least
    hours = [load for load in loads for _ in range(24 // len(loads))]
    traffic = {
        "kind": "profile",
        "requests_per_day": sum(hours) * 3_600,
        "weights": hours,
        "max_blocks": 24,
    }
    question = problem(workloads=[workload(llm=llm, traffic=traffic)])
    # a and b run on box for $2, c on lean
    on = {"a": "box", "b": "box", "c": "lean"}
    usd = {"a": 2.0, "b": 2.0, "c": lean_usd}
    rented = catalog(
        [offering("acme", "box", 2.0), offering("bolt", "lean", lean_usd)],
        [raw(on[n], rate, llm=n) for n, rate in zip(names, rates, strict=True)],
    )
    rate_of, quality_of = dict(zip(names, rates, strict=True)), llm["quality"]
    best_first = sorted(names, key=lambda n: -quality_of[n])
    most = {n: int(max(hours) / rate_of[n]) + 2 for n in names}
    best = float("inf")
    for counts in itertools.product(*(range(most[n]) for n in names)):
        fleet = dict(zip(names, counts, strict=True))
        cost = 720 * sum(usd[n] * count for n, count in fleet.items())
        if cost >= best:
            continue
        good, is_served = 0.0, True
        for load in hours:
            left = load
            for n in best_first:
                part = min(left, fleet[n] * rate_of[n])
                good, left = good + part * quality_of[n], left - part
            is_served &= left <= 1e-9
        if is_served and good >= (at_least or 0) * sum(hours) - 1e-9:
            best = cost
    for pruning in (True, False):
        plan = solve(question, rented, pruning=pruning, diagnose=False)
        assert plan.status is Status.OPTIMAL
        assert plan.cash_usd_per_month == pytest.approx(best, abs=0.01)
