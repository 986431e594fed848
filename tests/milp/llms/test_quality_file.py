"""Figures of quality come out of a file that the problem names, and the plan says which."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from milp_planner import InputError, Status, load_problem, solve, what_if
from milp_planner.inputs.reading.files import only_these
from milp_planner.plans.sentences import warning_lines
from milp_planner.questions.sweeps.scenarios import scenario_grid
from tests.support.builders import catalog, offering, raw

GOOD, LEAN = "rich", "lean"

ASKED = """\
schema_version: 1
name: asked
catalog: market
workloads:
  - name: chat
    llm: {any_of: [rich, lean], %s}
    traffic: {kind: requests_per_second, requests_per_second: 6}
    requests: {input_tokens: 1, output_tokens: 1}
policy: {utilization: {target: 100%%}}
alternatives: {count: 0}
"""
FROM = "quality_from: {file: scores.csv, llm_column: Model, quality_column: Average}"
SCORES = "Rank,Model,Average\n1,Rich,0.9\n2,other,\n3,lean,0.6\n"


def boxes():
    """A box for $2/h does 1 request/s of the good LLM, or 3 of the lean one."""
    rates = [raw("box", 1.0, llm=GOOD), raw("box", 3.0, llm=LEAN)]
    return catalog([offering("acme", "box", 2.0)], rates)


def asked(folder: Path, scores: str | None = SCORES, llm: str = f"at_least: 0.75, {FROM}"):
    if scores is not None:
        (folder / "scores.csv").write_text(scores)
    (folder / "asked.yaml").write_text(ASKED % llm)
    return load_problem(folder / "asked.yaml")


def units(plan: Any) -> dict[str, int]:
    return {p.candidate.llm: p.units for p in plan.purchases}


def test_figures_are_read_beside_the_problem_and_the_plan_says_where(tmp_path):
    # Three good ones, and a lean one for the other three: a mean of 0.75.
    plan = solve(asked(tmp_path), boxes())
    assert units(plan) == {GOOD: 3, LEAN: 1}
    assert (
        "'chat' is served 50.0 % by lean, 50.0 % by rich: a mean quality of 0.75 as stated in "
        "column Average of scores.csv, at least 0.75 is asked"
    ) in warning_lines(plan)


def test_figures_of_the_problem_stand_before_those_of_the_file(tmp_path):
    # With 0.75 the lean one is as good as asked.
    question = asked(tmp_path, llm=f"quality: {{lean: 0.75}}, at_least: 0.75, {FROM}")
    assert units(solve(question, boxes())) == {LEAN: 2}


def test_each_is_held_against_the_file(tmp_path):
    assert units(solve(asked(tmp_path, llm=f"each: 0.7, {FROM}"), boxes())) == {GOOD: 6}


def test_questions_that_solve_again_read_it_too(tmp_path):
    rows = what_if(asked(tmp_path), scenario_grid(traffic=[1, 2]), boxes()).rows
    assert [row.gpus for row in rows] == [4, 8]


@pytest.mark.parametrize(
    ("scores", "llm", "said"),
    [
        (None, f"at_least: 0.7, {FROM}", "scores.csv: file not found"),
        ("a,b\n", f"at_least: 0.7, {FROM}", "has no column 'Model', 'Average'"),
        (
            SCORES,
            f"at_least: 0.95, {FROM}",
            "asked.yaml:6:43: workloads[0].llm.at_least: no LL",
        ),
        (SCORES.replace("0.6", ""), FROM, "llm.quality_from: scores.csv states none of lean"),
        (SCORES.replace("0.6", "-1"), FROM, "scores.csv:4: Average: must be at least 0 (is -1)"),
        (SCORES.replace("0.6", "best"), FROM, "scores.csv:4: Average: 'best' is not a number"),
        (SCORES + "4,RICH,0.8\n", FROM, "scores.csv:5: Average: RICH has 0.8 here, and 0.9 on li"),
        (SCORES + "4,rich\n", FROM, "scores.csv:5: has 2 columns, the header has 3"),
    ],
)
def test_a_file_that_does_not_state_them_is_refused(tmp_path, scores, llm, said):
    question = asked(tmp_path, scores, llm)
    with pytest.raises(InputError) as error:
        solve(question, boxes())
    assert said in str(error.value)


def test_a_question_from_outside_opens_no_file_by_its_name(tmp_path):
    question = asked(tmp_path)
    with only_these({}), pytest.raises(InputError) as error:
        solve(question, boxes())
    assert "may name no file of this machine" in str(error.value)


def test_without_a_file_the_plan_names_none(tmp_path):
    question = asked(tmp_path, llm="quality: {rich: 0.9, lean: 0.6}")
    plan = solve(question, replace(boxes()))
    assert plan.status is Status.OPTIMAL
    assert any(line.endswith("a mean quality of 0.6 as stated") for line in warning_lines(plan))
