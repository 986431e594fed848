"""Levers: what each change alone saves, by hand and by solving the file with the change in it."""

from __future__ import annotations

import pytest
import yaml

from milp_planner import Rule, decision_sheet, load_problem, solve
from milp_planner.questions.choices.choices import asking_for
from milp_planner.questions.sheet.levers import levers_of, solved_levers
from milp_planner.reporting.sheets.text import sheet_text
from milp_planner.solving.checks.arguments import catalog_for
from milp_planner.solving.checks.own_rules import held_to
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


def levers(asked, known=None, **settings):
    known = known or market()
    plan = solve(asked, known, alternatives=0)
    return plan, solved_levers(asking_for(asked, known, plan, **settings))


def saved(found):
    return {one.key: round(one.saves_usd_per_month) for one in found}


def test_each_change_saves_what_it_saves_in_the_head():
    # 13 requests/s at one provider: bolt's big and small, $5.90/h. Spot: 2 big, $2.00/h. Per token:
    # 13 × $51.84. Two providers: acme's big and bolt's small, $5.50/h.
    _, found = levers(problem(13, limits={"providers": {"max_count": 1}}))
    assert saved(found) == {
        "api": round(4248 - 13 * 51.84),
        "spot": round(3.90 * 720),
        "without limits.providers.max_count": round(0.40 * 720),
    }
    assert [one.saves_share for one in found] == sorted(
        (one.saves_share for one in found), reverse=True
    )
    assert all(one.proven and one.verdict == "found" for one in found)


def test_a_fuller_fleet_saves_units():
    # 9 requests/s at 50 %: 2 big, $8/h. At 60 %, 15 requests/s: a big and 2 small, $7/h.
    _, found = levers(problem(9, target=0.5))
    assert saved(found)["utilization"] == 720
    [one] = [one for one in found if one.key == "utilization"]
    assert (one.name, one.value) == ("plan for a utilization of 60 %", "60%")


def test_what_is_off_when_idle_saves_the_idle_half():
    # Half the day has no load: 1 big at acme, $2,880, of which $1,440 are paid for nothing.
    day = {"kind": "profile", "requests_per_day": 432_000, "weights": [1] * 12 + [0] * 12}
    _, found = levers(problem(workloads=[workload(traffic=day)]))
    assert saved(found)["switched_off_when_idle"] == 1440


@pytest.mark.slow
@pytest.mark.parametrize("name", ["quickstart", pytest.param("resilient", marks=pytest.mark.slow)])
def test_a_lever_written_into_the_problem_saves_what_it_says(name):
    asked = load_problem(f"problems/{name}.yaml").changed({"solver.time_limit": "600s"})
    plan, found = levers(asked, catalog_for(asked, None), fixed_work=True)
    assert {one.key.split()[0] for one in found} >= {"spot", "utilization", "tpot", "kv_precision"}
    for one in found:
        value = None if one.value == "none" else yaml.safe_load(one.value)
        with_it = solve(asked.changed({one.path: value}), alternatives=0)
        extra = plan.score_usd_per_month - with_it.score_usd_per_month
        assert one.saves_usd_per_month == pytest.approx(extra, abs=0.01), one.name


def test_a_short_budget_has_no_levers():
    short = {"budget": {"usd_per_month": 3000, "when_short": "fair"}}
    assert levers(problem(13, limits=short))[1] == ()


def test_what_there_is_no_time_or_work_left_for_is_told_as_such():
    asked, known = problem(13), market()
    plan = solve(asked, known, alternatives=0)
    asking = asking_for(asked, known, plan, fixed_work=True)
    asking.most_columns = 0
    found = solved_levers(asking)
    assert {one.verdict for one in found} == {"not_reached"}
    assert {one.saves_usd_per_month for one in found} == {None}
    late = asking_for(asked, known, plan, time_limit_s=0.000001)
    assert {one.verdict for one in solved_levers(late)} == {"not_reached"}


@pytest.mark.slow
def test_a_lever_is_named_once():
    asked = load_problem("problems/three-llms.yaml")
    plan = solve(asked, alternatives=0)
    keys = [lever.key for lever in levers_of(asking_for(asked, catalog_for(asked, None), plan))]
    assert len(keys) == len(set(keys))


def test_the_sheet_tells_what_choices_do_not_tell_already():
    asked = problem(13, limits={"providers": {"max_count": 1}})
    text = sheet_text(decision_sheet(asked, market()))
    [told] = [part for part in text.split("\n\n") if part.startswith("What would cost less")]
    assert told.splitlines() == [
        "What would cost less, each change alone",
        "  -$288  -6.8 %  leave out limits.providers.max_count (1 provider): 1 x big acme",
        "                 + 1 x small bolt",
    ]


def test_units_of_several_gpus_are_offered_to_be_shared():
    # Two workloads on a node of eight GPUs each, $8/h, and one would hold both; where the problem
    # leaves it open they are on one already.
    node = catalog([offering("acme", "big", 8.0, gpus_per_unit=8)], [raw("big", 10)])
    left_open = problem(workloads=[workload(5), workload(5, name="code")])
    several = left_open.changed({"policy.share": "none"})
    _, found = levers(several, node)
    assert saved(found)["shared_units"] == 8 * 720
    [one] = [one for one in found if one.key == "shared_units"]
    assert (one.path, one.value, one.saves_share) == ("policy.share", "units", 0.5)
    for asked in (problem(5), left_open, several.changed({"policy.share": "units"})):
        assert "shared_units" not in saved(levers(asked, node)[1])


class Loose(Rule):
    """Asks for nothing; what it counts is not known, so that nobody shares a unit beside it."""

    def rows(self, fleet):
        return iter(())

    def violations(self, instance, plan):
        return iter(())


def test_no_lever_counts_what_sharing_saves():
    # A node for both, $8/h: whatever lever is tried, the other plan shares it as today's does.
    # Where a rule of the user's own keeps them apart, $16/h, it does so beside every lever too.
    node = catalog(
        [
            offering("acme", "big", 8.0, gpus_per_unit=8),
            offering("acme", "big", 8.0, gpus_per_unit=8, billing="spot"),
        ],
        [raw("big", 10)],
    )
    stated = {"billing": {"allow": ["dedicated", "spot"]}, "max_spot_share": "90%"}
    stated |= {"max_units": {"acme/*": 9}, "max_gpus": {"total": 64}, "min_on_demand_replicas": 1}
    asked = problem(workloads=[workload(5), workload(5, name="code")], limits=stated)
    for rules, usd in (((), 8 * 720), ((Loose,), 16 * 720)):
        plan = solve(asked, node, alternatives=0, rules=rules)
        assert plan.cash_usd_per_month == pytest.approx(usd)
        found = solved_levers(asking_for(held_to(asked, rules), node, plan))
        limits = {one.key: one.saves_usd_per_month for one in found if "limits." in one.key}
        assert set(limits) >= {"without limits.max_spot_share", "without limits.max_units.acme/*"}
        assert {*limits.values()} == {0}
