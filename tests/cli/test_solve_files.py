"""`solve` of no file, of several, and of folders."""

from __future__ import annotations

import csv
import io
import json

import pytest

from milp_planner.cli.parts import exit_codes
from tests.support.toy import PROBLEM, write

pytest_plugins = ["tests.support.toy_cli"]

# The toy's 13 requests/s cost $3,960 a month; 3 take one small one: 1.5 x 720 = $1,080.
ROWS = """\
  problem     $/month  GPUs  in the plan
  few.yaml      1,080     1  1 x small bolt
  toy.yaml      3,960     2  1 x big acme + 1 x small bolt
"""


@pytest.fixture
def few(folder):
    return write(folder, "few.yaml", "requests_per_second: 13", "requests_per_second: 3")


def test_a_bare_solve_takes_the_problem_of_this_folder(run, folder):
    code, out, err = run("solve")
    assert (code, out) == (exit_codes.INPUT, "")
    assert err == (
        "FILE: none is named, and there is no problem.yaml in this folder\n"
        "  hint: milp-planner init writes one; milp-planner plan asks from one line\n"
    )
    (folder / "problem.yaml").write_text(PROBLEM)
    named = run("solve", "problem.yaml", "--no-choices", "--reproducible")
    assert run("solve", "--no-choices", "--reproducible") == named
    assert named[0] == 0


def test_several_files_and_folders_are_a_row_each(run, folder, few):
    (folder / "scenarios.yaml").write_text("more: {traffic: 2}\n")  # no problem: no workloads
    code, out, err = run("solve", few, "toy.yaml")
    assert (code, err, out) == (0, "", ROWS)
    assert run("solve", ".", "-o", "rows.txt")[:2] == (0, "")
    assert (folder / "rows.txt").read_text() == ROWS


def test_rows_are_one_json_document_or_csv(run, few):
    code, out, _ = run("solve", few, "toy.yaml", "--json")
    rows = json.loads(out)["rows"]
    assert (code, [row["set_problem"] for row in rows]) == (0, [few, "toy.yaml"])
    assert [row["cash_usd_per_month"] for row in rows] == [1080, 3960]
    as_csv = csv.DictReader(io.StringIO(run("solve", few, "toy.yaml", "--format", "csv")[1]))
    assert [row["cash_usd_per_month"] for row in as_csv] == ["1080.0", "3960.0"]


def test_the_faults_of_all_files_are_told_before_any_is_solved(run, folder, few):
    write(folder, "wrong.yaml", "llm: tiny", "llm: tinny")
    code, out, err = run("solve", few, "wrong.yaml", "absent.yaml")
    assert (code, out) == (exit_codes.INPUT, "")
    assert "wrong.yaml:6:10: workloads[0].llm: " in err
    assert "absent.yaml: file not found" in err


def test_the_exit_code_is_the_worst_of_all_rows(run, folder, few):
    code, _, err = run("solve", few, "toy.yaml", "--max-cost", "2000")
    assert code == exit_codes.GATE
    assert err.startswith("toy.yaml: Over the limit: the cheapest plan costs $3,960 per month")
    write(folder, "poor.yaml", "policy:", "limits: {budget: {usd_per_month: 10}}\npolicy:")
    code, out, _ = run("solve", few, "toy.yaml", "poor.yaml", "--max-cost", "2000", "--quiet")
    assert code == exit_codes.INFEASIBLE
    assert "  poor.yaml          -     -  no plan: " in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("toy.yaml", "toy.yaml", "--replay"), "--replay is of one problem; name one file"),
        (("toy.yaml", "toy.yaml", "--jobs", "2"), "--jobs is of one problem; name one file"),
        ((".", "--format", "sheet"), "'sheet' is not one of text, json, csv"),
        (("toy.yaml", "-"), "standard input is one problem; solve it by itself"),
        (("toy",), "toy: no problem in this folder: no YAML file with workloads"),
    ],
)
def test_what_is_of_one_problem_is_refused_of_several(run, words, said):
    code, out, err = run("solve", *words)
    assert (code, out) == (exit_codes.INPUT, "")
    assert said in err
