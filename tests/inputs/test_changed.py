"""Problem.changed(): a problem with some keys changed, validated like one from a file."""

from __future__ import annotations

import pickle

import pytest

from milp_planner import ArgumentError, InputError, Problem, load_problem
from tests.support.builders import problem

SHORT = problem(13, limits={"budget": {"usd_per_month": 9, "when_short": "fair"}})


def refusal(changes: object, asked: Problem = SHORT) -> str:
    with pytest.raises(InputError) as caught:
        asked.changed(changes)
    return str(caught.value)


def test_a_changed_problem_has_the_new_value_and_keeps_all_else():
    changed = SHORT.changed({"limits.budget.usd_per_month": 2000})
    assert changed.limits.budget.usd_per_month == 2000
    assert changed.limits.budget.when_short == "fair"
    assert changed.changed({"limits.budget.usd_per_month": 9}) == SHORT
    assert SHORT.limits.budget.usd_per_month == 9  # the old one stays as it was


def test_what_is_known_of_workloads_is_found_out_anew_where_they_change():
    asked = problem(13)
    assert asked.workload("chat").traffic.requests_per_second == 13
    faster = asked.model_copy(update={"workloads": problem(17).workloads})
    assert faster.workload("chat").traffic.requests_per_second == 17
    assert asked.workload("chat").traffic.requests_per_second == 13
    with pytest.raises(KeyError, match="batch"):
        faster.workload("batch")


def test_a_problem_that_has_been_asked_for_a_workload_is_the_same_problem():
    asked, fresh = problem(13), problem(13)
    before = pickle.dumps(asked)
    assert asked.workload("chat") is asked.workloads[0]
    assert asked == fresh
    assert pickle.dumps(asked) == before
    assert pickle.loads(before) == asked


def test_a_key_of_a_workload_goes_by_the_workloads_name():
    in_words = SHORT.changed({"workloads.chat.latency.tpot": "50ms"})
    in_numbers = SHORT.changed({"workloads[0].latency.tpot_s": 0.05})
    assert in_words.workload("chat").latency.tpot_s == 0.05
    assert in_words == in_numbers


def test_none_takes_a_key_out_so_that_its_default_holds():
    limited = problem(13, limits={"max_spot_share": 0.3, "max_gpus": {"total": 9}})
    assert limited.changed({"limits.max_spot_share": None, "limits.max_gpus": None}) == problem(13)
    assert SHORT.changed({"limits.budget": None}).limits.budget is None


def test_a_value_of_keys_is_merged_with_what_is_there():
    changed = SHORT.changed(
        {"limits": {"budget": {"when_short": "priority"}, "max_spot_share": 0.5}}
    )
    assert changed.limits.budget.usd_per_month == 9
    assert changed.limits.budget.when_short == "priority"
    assert changed.limits.max_spot_share == 0.5


def test_a_wrong_value_is_refused_with_its_path_the_bound_and_what_was_given():
    # pydantic's model_copy(update={"max_spot_share": 7}) would take 700 % without a word.
    assert refusal({"limits.max_spot_share": "700%"}) == (
        "limits.max_spot_share: must be at most 1 (is 700%)"
    )
    assert refusal({"limits.max_spot_share": 7}) == (
        "limits.max_spot_share: must be at most 1 (is 7)\n  hint: write 7% or 0.07"
    )
    assert refusal({"limits.budget.usd_per_month": 0}) == (
        "limits.budget.usd_per_month: must be greater than 0 (is 0)"
    )


def test_a_wrong_key_is_refused_with_the_nearest_name():
    assert refusal({"limits.bugdet.usd_per_month": 5}) == (
        "limits.bugdet: unknown key; did you mean 'budget'?"
    )
    assert refusal({"workloads.chatt.llm": "tiny"}) == (
        "workloads.chatt.llm: no entry is named 'chatt'; did you mean 'chat'?"
    )


def test_all_faults_are_told_at_once():
    told = refusal({"limits.max_spot_share": "700%", "solver.gap": -1, "alternatives.count": 1000})
    assert told.splitlines() == [
        "limits.max_spot_share: must be at most 1 (is 700%)",
        "alternatives.count: must be at most 200 (is 1000)",
        "solver.gap: must be at least 0 (is -1)",
    ]


def test_values_that_only_together_are_wrong_are_refused():
    assert refusal({"policy.utilization": {"target": 0.9, "ceiling": 0.8}}) == (
        "policy.utilization: ceiling 0.8 is below the target 0.9"
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (None, "changes: expected values by key, not NoneType"),
        ([("limits.max_spot_share", 1)], "changes: expected values by key, not list"),
        ({3: 4}, "changes: expected text, not int"),
        ({"": 4}, "a dotted key must not be empty"),
    ],
)
def test_what_is_no_mapping_by_dotted_keys_is_refused(changes, message):
    assert refusal(changes) == message
    if message.startswith("changes"):
        with pytest.raises(ArgumentError):
            SHORT.changed(changes)


def test_a_changed_problem_is_of_the_same_class_and_file():
    class Mine(Problem):
        """A problem of a user's own."""

    mine = Mine(workloads=SHORT.workloads)
    assert type(mine.changed({"name": "mine"})) is Mine
    read = load_problem("problems/quickstart.yaml")
    assert read.changed({"name": "other"})._origin is read._origin
