"""A rule is one object: complete over the schema, closed by default, the same however reduced."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import create_model

from milp_planner import (
    InputError,
    Limits,
    Problem,
    Row,
    Rule,
    Status,
    count_terms,
    evaluate,
    explain_limits,
    prepare,
    solve,
    what_if,
)
from milp_planner.cli import main
from milp_planner.inputs.problem.keys import leaves, set_keys
from milp_planner.inputs.reading.records import Frozen, Renamed
from milp_planner.milp.presolve.dominance import prune
from milp_planner.milp.program.families import (
    CONSTRAINTS,
    COST_TERMS,
    DECIDED_BEFORE,
    NO_RULE,
    limits_of,
    sets_unknown_keys,
    unanswered,
)
from tests.milp.test_constraints import ASKED
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload

# --- complete over the schema -------------------------------------------------------------------


def test_every_key_of_a_problem_has_a_rule_or_a_reason_why_it_needs_none():
    assert unanswered(Problem) == frozenset()
    assert all(reason for reason in NO_RULE.values())


def test_rules_and_reasons_name_keys_that_there_are():
    keys = leaves(Problem)
    answered = {key for one in (*CONSTRAINTS, *DECIDED_BEFORE, *COST_TERMS) for key in one.keys}
    assert answered <= keys
    for key in NO_RULE:
        assert key in keys or any(leaf.startswith(key.removesuffix("*")) for leaf in keys), key
    assert not answered & set(NO_RULE)


def test_a_key_that_nobody_answers_for_is_found_however_deep():
    deeper = create_model("Deeper", __base__=Limits, most_watts=(float | None, None))
    wider = create_model("Wider", __base__=Problem, limits=(deeper, deeper()))
    assert unanswered(wider) == {"limits.most_watts"}
    asked = wider(workloads=[workload(13)], limits={"most_watts": 700})
    assert sets_unknown_keys(asked)
    assert not sets_unknown_keys(wider(workloads=[workload(13)]))


def test_while_such_a_key_is_set_nothing_stands_in_for_anything():
    deeper = create_model("Deeper", __base__=Limits, most_watts=(float | None, None))
    wider = create_model("Wider", __base__=Problem, limits=(deeper, deeper()))
    twin = offering("acme", "big", 4.0, region="eu-2")
    boxes = replace(big_and_small(), offerings=(*big_and_small().offerings, twin))
    kept = {}
    for watts in (None, 700):
        given = prepare(wider(workloads=[workload(13)], limits={"most_watts": watts}), boxes)
        kept[watts] = len(prune(given, given.candidates.candidates).kept)
    assert kept == {None: 2, 700: 3}


def test_what_a_block_says_counts_as_set_also_where_it_says_the_default():
    said = problem(10, policy={"penalties": {"scaling": {}}})
    keys = {key for key in set_keys(said) if key.startswith("policy.penalties")}
    assert keys == {
        "policy.penalties.scaling.above_gpus",
        "policy.penalties.scaling.usd_per_gpu",
        "policy.penalties.scaling.per",
    }


# --- the same plan, however reduced -------------------------------------------------------------


def elsewhere(rented):
    """The same offerings again: in another region, and under another name."""
    there = [row.model_copy(update={"region": "aa-9"}) for row in rented.offerings]
    renamed = [row.model_copy(update={"name": f"{row.name}-z"}) for row in rented.offerings]
    return replace(rented, offerings=(*rented.offerings, *there, *renamed))


@pytest.mark.parametrize("family", ASKED)
def test_every_rule_gives_one_plan_with_all_reductions_and_with_none(family):
    case = ASKED[family]
    for rented in (case.rented, elsewhere(case.rented)):
        reduced, whole = (
            solve(case.question, rented, merge_twins=merged, diagnose=False)
            for merged in (True, False)
        )
        assert reduced.status is whole.status is Status.OPTIMAL
        assert reduced.score_usd_per_month == pytest.approx(whole.score_usd_per_month)
        assert whole.cash_usd_per_month <= case.usd + 0.01  # more is sold there, none is dearer


def test_without_reductions_twins_stay_in_the_list():
    rented = elsewhere(big_and_small())
    question = problem(13, alternatives={"count": 3})
    reduced, whole = (solve(question, rented, merge_twins=merged) for merged in (True, False))
    assert len({plan.purchases[0].candidate.region for plan in reduced.alternatives}) == 1
    assert all(p.score_usd_per_month == pytest.approx(3_960) for p in whole.alternatives)


# --- a count of regions, a count of types -------------------------------------------------------


def two_regions():
    """Big at eu-1, small for $1.40/h at aa-1 and for $1.50/h at eu-1."""
    return ASKED["RegionCount"].rented


@pytest.mark.parametrize("merge_twins", [True, False])
def test_one_region_is_one_region(merge_twins):
    # 13 requests/s: one of each, $5.50/h; five small, $7.50/h. Small is first by name at aa-1.
    question = problem(13, limits={"regions": {"max_count": 1}})
    small = [offering("bolt", "small", 1.5, region=region) for region in ("aa-1", "eu-1")]
    rented = catalog([offering("acme", "big", 4.0), *small], [raw("big", 10), raw("small", 3)])
    plan = solve(question, rented, merge_twins=merge_twins)
    assert plan.cash_usd_per_month == pytest.approx(3_960)
    assert {p.candidate.region for p in plan.purchases} == {"eu-1"}


@pytest.mark.slow
def test_a_count_of_regions_that_cannot_be_kept_is_named_with_what_would_do():
    # Without aa-1 and with one of each at most there is big alone, 10 of 13 requests/s.
    rented = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5, region="aa-1")],
        [raw("big", 10), raw("small", 3)],
    )
    limits = {"regions": {"max_count": 1}, "max_units": {"*": 2}, "gpus": {"max_count": 2}}
    question = problem(13, limits={**limits, "max_gpus": {"per_gpu": {"big": 1}}})
    plan = solve(question, rented)
    assert plan.status is Status.INFEASIBLE
    changes = {change.path: change.text for change in plan.diagnosis.changes}
    assert changes["limits.regions.max_count"] == "allow 2 regions"


def test_explain_prices_a_count_of_regions_and_of_types():
    # Two regions save nothing here; four small at aa-1 cost $4,032, one of each $3,960.
    question = problem(12, limits={"regions": {"max_count": 1}, "gpus": {"max_count": 1}})
    costs = {row.path: row for row in explain_limits(question, two_regions()).rows}
    assert costs["limits.gpus.max_count"].usd_per_month == pytest.approx(4_032 - 3_960)
    assert costs["limits.regions.max_count"].usd_per_month == 0
    assert costs["limits.regions.max_count"].value == "1 region"
    assert costs["limits.gpus.max_count"].value == "1 GPU type"


def test_the_old_word_for_a_count_still_counts():
    assert problem(10, limits={"providers": {"at_most": 2}}).limits.providers.max_count == 2
    with pytest.raises(InputError, match="at_most"):
        problem(10, limits={"providers": {"at_most": 2, "max_count": 3}})


def test_old_words_are_noted_at_their_lines(tmp_path, capsys):
    text = (Path(__file__).parents[2] / "problems" / "quickstart.yaml").read_text()
    file = tmp_path / "old.yaml"
    file.write_text(text + "limits:\n  spot_share: 50%\n  providers: {at_most: 2}\n")
    assert main(["check", str(file)]) == 0
    lines = len(text.splitlines())
    assert [line for line in capsys.readouterr().err.splitlines() if "note" in line] == [
        f"note: {file}:{lines + 2}:3: limits.spot_share is called max_spot_share now",
        f"note: {file}:{lines + 3}:15: limits.providers.at_most is called max_count now",
    ]


def test_every_record_that_has_old_words_reads_them():
    def all_of(record):
        yield record
        for derived in record.__subclasses__():
            yield from all_of(derived)

    spelled_otherwise = {record for record in all_of(Frozen) if record.old_words}
    assert {record.__name__ for record in spelled_otherwise} >= {"CountedFilter", "Limits"}
    assert all(issubclass(record, Renamed) for record in spelled_otherwise)


# --- rules of one's own -------------------------------------------------------------------------


class OneSmall(Rule):
    """At most one small at bolt."""

    def rows(self, fleet):
        for t in range(len(fleet.blocks)):
            small = [(k, 1.0) for k in fleet.candidates if k.gpu == "small"]
            yield Row.at_most(f"small {t}", count_terms(fleet, small, t), 1)

    def violations(self, given, plan):
        small = sum(p.units for p in plan.purchases if p.candidate.gpu == "small")
        if small > 1:
            yield f"{small} small, more than 1"


class AtLeast(Rule):
    """Some units of a type must be there, however many that is."""

    def __init__(self, gpu, units):
        self.gpu, self.least = gpu, units

    def rows(self, fleet):
        units = [(k, 1.0) for k in fleet.candidates if k.gpu == self.gpu]
        for t in range(len(fleet.blocks)):
            yield Row.at_least(f"{self.gpu} {t}", count_terms(fleet, units, t), self.least)

    def violations(self, given, plan):
        units = sum(p.units for p in plan.purchases if p.candidate.gpu == self.gpu)
        if units < self.least:
            yield f"{units} {self.gpu}, fewer than {self.least}"


def test_a_rule_of_ones_own_binds_everywhere():
    # 12 requests/s: four small $4,320 or one of each $3,960. Two big, $5,760, have no small.
    question = problem(6, limits={"gpus": {"deny": ["big"]}})
    assert solve(question, big_and_small()).cash_usd_per_month == pytest.approx(2_160)
    plan = solve(question, big_and_small(), rules=[OneSmall])
    assert plan.status is Status.INFEASIBLE
    assert [change.path for change in plan.diagnosis.changes] == ["rules.OneSmall", "limits.gpus"]
    breaches = evaluate(question, {"bolt/small/eu-1": 2}, big_and_small(), rules=[OneSmall])
    assert ("OneSmall", "2 small, more than 1") in {
        (b.family, b.message) for b in breaches.breaches
    }


def test_a_rule_of_ones_own_has_its_price():
    # 6 requests/s: two small $2,160; with one small at most, a big, $2,880.
    costs = explain_limits(problem(6), big_and_small(), rules=[OneSmall])
    mine = next(row for row in costs.rows if row.path == "rules.OneSmall")
    assert (mine.value, mine.usd_per_month) == ("At most one small at bolt", pytest.approx(720))
    patches = {"more": {"workloads.chat.min_replicas": 2}}
    [row] = what_if(problem(6), patches, big_and_small(), rules=[OneSmall]).rows
    assert row.plan.cash_usd_per_month == pytest.approx(2_880 + 1_080)


@pytest.mark.parametrize("merge_twins", [True, False])
def test_a_rule_may_ask_for_more_units_than_the_demand(merge_twins):
    # 3 requests/s is one small; nine are asked for.
    rules = [AtLeast("small", 9)]
    plan = solve(problem(3), big_and_small(), rules=rules, merge_twins=merge_twins)
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"small": 9}


def test_nothing_stands_in_for_anything_under_a_rule_that_does_not_say_what_may():
    rented = elsewhere(big_and_small())
    given = prepare(problem(12).with_rules([OneSmall]), rented)
    assert len(prune(given, given.candidates.candidates).kept) == 6


def test_rules_are_checked_like_any_argument():
    with pytest.raises(TypeError, match=r"rules: expected a milp_planner\.Rule, not 'int'"):
        solve(problem(6), big_and_small(), rules=[int])
    with pytest.raises(TypeError, match="two rules are named 'AtLeast'"):
        solve(problem(6), big_and_small(), rules=[AtLeast("big", 1), AtLeast("small", 1)])


# --- loosening ----------------------------------------------------------------------------------


def test_limits_nearest_to_a_wish_are_loosened_first_and_money_last():
    question = problem(
        workloads=[
            workload(6, "chat", min_replicas=2, latency={"max_band": "low", "tpot": "50ms"}),
            workload(6, "code", min_replicas=3),
        ],
        limits={
            "budget": {"usd_per_month": 9_000},
            "providers": {"max_count": 2, "max_share": 0.9},
            "max_gpus": {"total": 9},
            "regions": {"deny": ["aa-*"]},
        },
    )
    assert [limit.path for limit in limits_of(prepare(question, two_regions()))] == [
        "workloads.chat.min_replicas",
        "workloads.chat.latency.tpot",
        "workloads.chat.latency.max_band",
        "workloads.code.min_replicas",
        "policy.utilization.target",
        "limits.billing.allow",
        "limits.regions",
        "limits.providers.max_share",
        "limits.providers.max_count",
        "limits.max_gpus.total",
        "limits.budget.usd_per_month",
    ]


class Careful(Rule):
    """A rule that answers for nothing."""

    keys: ClassVar[frozenset[str]] = frozenset()


def test_a_rule_that_says_nothing_is_refused_by_name():
    with pytest.raises(NotImplementedError, match="Careful says no rows"):
        list(Careful().rows(None))
    with pytest.raises(NotImplementedError, match="Careful checks no plan"):
        list(Careful().violations(None, None))
