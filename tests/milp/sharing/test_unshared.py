"""Before the program of all workloads: would any of them share, at its part of the price?"""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import Status, solve
from milp_planner.milp.presolve import folding
from milp_planner.solving import parts, search, together
from milp_planner.solving.results import NOT_SOLVED, SearchResult
from tests.milp.sharing import test_folding as hourly
from tests.milp.sharing import test_shared_by_default as by_default
from tests.milp.sharing.test_shared_units import NODE, nodes, two

LOOKED_AT = ["survival", "share", "spot", "count", "replicas", "on_demand", "target", "scaling"]
LOOKED_AT += ["strict", "overload"]


@pytest.fixture(autouse=True)
def _small_programs_are_looked_at_too(monkeypatch):
    monkeypatch.setattr(together, "MOST_COLUMNS", 0)
    monkeypatch.setattr(parts, "MOST_COLUMNS", 0)


@pytest.fixture
def of_all(monkeypatch):
    """Nothing is put together out of what each may choose: the program of all decides."""
    monkeypatch.setattr(search, "best_together", lambda *told: None)


@pytest.fixture
def answers(monkeypatch):
    """What was found before the program of all, one after another."""
    found = []
    answer_apart = search.answer_apart

    def noted(asked, answer):
        found.append(answer_apart(asked, answer))
        return found[-1]

    monkeypatch.setattr(parts, "answer_apart", noted)
    return found


def shares(answers) -> list[Status]:
    return [one.status for one in answers if one is not None]


def test_where_a_whole_node_is_no_dearer_for_one_nothing_more_is_solved(answers):
    # 75 requests/s are eight GPUs each: both fill a node, shared or not.
    plan = solve(two(75, 75, share=None), nodes())
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(2 * NODE)
    assert not plan.shared_units
    assert shares(answers) == [Status.OPTIMAL]


def test_where_a_part_of_a_node_is_cheaper_the_program_of_all_decides(answers, of_all):
    # An eighth of a node for each is a quarter of its price: a bound that no plan reaches.
    plan = solve(two(share=None), nodes())
    assert plan.cash_usd_per_month == pytest.approx(NODE)
    (known,) = [one for one in answers if one is not None]
    assert known.status is Status.FEASIBLE
    assert known.bound == pytest.approx(NODE / 4)
    assert known.score_usd_per_month == pytest.approx(2 * NODE)


def test_where_nobody_can_fill_what_a_part_leaves_units_of_ones_own_are_proven(answers, of_all):
    # One fills a node, and the other, at an eighth of a node, would have a second to itself.
    plan = solve(two(75, 1, share=None), nodes())
    (known,) = [one for one in answers if one is not None]
    assert known.bound == pytest.approx(NODE * 9 / 8)
    assert (plan.status, plan.bound) == (Status.OPTIMAL, pytest.approx(2 * NODE))
    assert plan.proof.certified


def test_what_takes_no_part_of_a_unit_is_solved_once(monkeypatch, of_all):
    solved, reused = [], []
    solve_part, learn = parts._solve_part, search.Search.learn

    def noted(asked, part, limit_s):
        solved.append(part.key[0])
        return solve_part(asked, part, limit_s)

    def of_two(asked, freed, fractions):  # the other's plan takes no part of a unit
        learn(asked, freed, [k for k in fractions if k.workload == "code"])
        reused.extend(names for names, _ in asked.parts.reused)

    monkeypatch.setattr(parts, "_solve_part", noted)
    monkeypatch.setattr(search.Search, "learn", of_two)
    solve(two(75, 1, share=None), nodes())
    assert reused == [("chat",)]
    assert solved == [("chat",), ("code",), ("code",), ("chat", "code")]


def test_a_plan_that_takes_parts_of_units_is_a_bound_and_no_plan(monkeypatch):
    seen = []
    learn = search.Search.learn
    monkeypatch.setattr(
        search.Search, "learn", lambda asked, *given: (learn(asked, *given), seen.append(asked))
    )
    solve(two(75, 1, share=None), nodes())
    (asked,) = [one for one in seen if one.instance.candidates.parts]
    assert not asked.parts.reused
    least = {names: round(usd) for names, usd in asked.parts.known.least.items()}
    assert least == {("chat",): NODE, ("code",): NODE / 8}
    assert asked.optimizer.known is asked.parts.known


@pytest.mark.parametrize("bound", [NODE * 1.5, None])
@pytest.mark.parametrize("has_plan", [True, False])
def test_a_plan_of_ones_own_is_proven_by_nothing_less_than_the_program_of_all(
    monkeypatch, of_all, has_plan, bound
):
    best = search.Search.next

    def unfinished(asked):
        result = best(asked)
        if not any(k.part_of_unit for k in asked.instance.candidates.candidates):
            return result
        dear = plan_of_three if has_plan else None
        return SearchResult(Status.FEASIBLE, dear, NOT_SOLVED.proof, bound)

    plan_of_three = replace(solve(two(75, 1, share="none"), nodes()), score_usd_per_month=3 * NODE)
    monkeypatch.setattr(search.Search, "next", unfinished)
    plan = solve(two(75, 1, share=None), nodes())
    assert plan.status is Status.FEASIBLE
    assert not plan.proof.certified_by
    assert plan.score_usd_per_month == pytest.approx(2 * NODE)
    assert plan.bound == pytest.approx(bound or NODE * 9 / 8)


def test_each_look_and_the_program_of_all_may_take_about_as_long(monkeypatch):
    taken = []
    search_of = search._search_of

    def noted(asked, instance, share):
        taken.append(share * (1 - sum(taken)))  # where those before it take all that they may
        return search_of(asked, instance, share)

    monkeypatch.setattr(search, "_search_of", noted)
    solve(two(share=None), nodes())
    assert [*taken, 1 - sum(taken)] == pytest.approx([0.3, 0.35, 0.35])


@pytest.mark.parametrize("usd", [0, 100])
def test_what_each_has_to_itself_is_a_plan_where_time_ends_before_that_of_all(
    monkeypatch, of_all, usd
):
    answer = parts._answer
    monkeypatch.setattr(
        parts,
        "_answer",
        lambda asked: NOT_SOLVED if asked.instance.candidates.parts else answer(asked),
    )
    plan = solve(two(share=None, switching={"usd_per_unit_added": usd}), nodes())
    assert plan.status is Status.FEASIBLE
    assert plan.cash_usd_per_month == pytest.approx(2 * (NODE + usd))
    assert usd or plan.bound == pytest.approx(NODE / 4)


def test_next_best_plans_share_nothing_where_the_best_does_not():
    asked = two(75, 75, share=None, alternatives={"count": 2})
    plan = solve(asked, by_default.singles(1.0))
    apart = solve(asked.changed({"policy.share": "none"}), by_default.singles(1.0))
    assert plan.alternatives
    told = [one.score_usd_per_month for one in plan.alternatives]
    assert told == pytest.approx([one.score_usd_per_month for one in apart.alternatives])


@pytest.mark.parametrize("kind", LOOKED_AT)
def test_no_fleet_scores_less(kind):
    for seed in (5, 7, 8):
        by_default.judged(seed, (kind,))


@pytest.mark.slow
@pytest.mark.parametrize("kind", LOOKED_AT)
def test_no_fleet_of_many_scores_less(kind):
    for seed in range(300, 340):
        by_default.judged(seed, (kind,))


def test_random_plans_are_never_dearer():
    by_default.judged_of_any(9, ties_are_broken=False)


@pytest.mark.slow
def test_many_random_plans_are_never_dearer():
    for seed in range(300, 340):  # in programs that are large a tie is left as it was found
        by_default.judged_of_any(seed, ties_are_broken=False)


@pytest.mark.parametrize("is_large", [False, True])
def test_a_large_program_is_looked_at_also_where_hourly_units_are_steps(
    is_large, answers, monkeypatch
):
    # A unit by the hour carries 5 requests/s for $0.5, a replica on half a node 2.5 for $0.3: that
    # is cheaper than the unit, so it is looked at, and dearer as soon as there are two.
    monkeypatch.setattr(folding, "LEAST_COLUMNS", 0)
    monkeypatch.setattr(together, "LARGE", 0 if is_large else 10**9)
    rates = {(name, gpu): rps for name in hourly.LOADS for gpu, rps in (("small", 5), ("big", 2.5))}
    asked = hourly.asked({"chat": (10, 5), "code": (5, 5)}).changed({"policy.share": None})
    plan = solve(asked, hourly.market(0.6, {"small": 0.5}, rates), diagnose=False)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(hourly.HOURS * 0.5 * (2 + 1 + 1 + 1))
    assert shares(answers) == ([Status.OPTIMAL] if is_large else [])
