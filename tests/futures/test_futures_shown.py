"""What the command, the sheet, the report and the document say of several futures."""

from __future__ import annotations

import json
import re

import jsonschema
import pytest

from milp_planner import Sheet, decision_sheet, load_problem, plan_schema, sheet_schema
from milp_planner.cli.parts import exit_codes
from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.toy_cli"]

# Big under the quote is $2.80/h. Nothing committed: $1.50/h in few, $5.50/h in base, $3.90 on
# average. One: $2.80/h, and a small one at $1.50/h in base: $3.70 on average, $2,664 a month.
UNCERTAIN = (
    PROBLEM
    + """\
quotes: [{offering: acme/big/eu-1, term: 12 months, discount: 30%, upfront: 50%}]
futures:
  - {name: few, probability: 40%, traffic: 20%}
  - {name: base, probability: 60%}
"""
)
HEAD = "Optimal commitments: $2,664 per month on average over 2 futures"
BOUND = (
    "Commit to 1 x acme/big+quote1/eu-1 committed ($24,192 over 12 months, $12,096 of it at once)."
)


@pytest.fixture
def uncertain(folder):
    (folder / "uncertain.yaml").write_text(UNCERTAIN)
    return "uncertain.yaml"


def test_the_sheet_begins_with_what_to_commit_to(run, uncertain):
    code, out, _ = run("solve", uncertain, "--reproducible")
    assert code == 0
    assert out.startswith(HEAD + "\n")
    plain = " ".join(out.split())
    assert BOUND in plain
    assert "few 40 % x 0.2 2,016 936 936 nothing" in plain
    assert "base 60 % x 1 3,096 0 0 1 x small bolt" in plain
    assert "Below: the plan in future base, the most likely one." in plain


def test_a_report_says_it_in_tables_and_a_comment_in_sentences(run, uncertain, folder):
    assert run("solve", uncertain, "-o", "report.html")[0] == 0
    page = re.sub(r"<[^>]+>|\s+", " ", (folder / "report.html").read_text())
    page = re.sub(" +", " ", page)
    assert " few 40 % x 0.2 2,016 936 936 nothing " in page
    assert " base 60 % x 1 3,096 0 0 1 x small bolt " in page
    assert " In future base, the most likely one: 2 GPUs at acme, bolt" in page
    assert re.search(r"What to buy in base .* Together \$3,096 ", page)
    code, comment, _ = run("solve", uncertain, "--format", "markdown")
    assert code == 0
    assert "In few (40 %) it is \\$2,016 a month, nothing beside." in comment
    assert "In base (60 %) it is \\$3,096 a month, 1 x small bolt rented beside." in comment


def test_the_document_keeps_to_its_schema_and_a_gate_reads_the_average(run, uncertain):
    code, out, _ = run("solve", uncertain, "--json", "--max-cost", "2700")
    document = json.loads(out)
    assert code == 0
    jsonschema.Draft202012Validator(plan_schema()).validate(document)
    assert document["futures"]["committed"][0]["owed_usd"] == pytest.approx(24_192)
    assert run("solve", uncertain, "--json", "--max-cost", "2600")[0] == exit_codes.GATE


def test_a_sheet_is_read_back_as_it_was_written(uncertain):
    sheet = decision_sheet(load_problem(uncertain))
    document = json.loads(json.dumps(sheet.to_dict()))
    jsonschema.Draft202012Validator(sheet_schema()).validate(document)
    assert Sheet.from_dict(document) == sheet
    assert sheet.futures is not None
    assert [one.name for one in sheet.futures.outcomes] == ["few", "base"]


def test_check_shows_the_month_as_stated_and_says_so(run, uncertain):
    code, out, err = run("check", uncertain)
    assert code == 0
    assert "the problem is in order" in out
    assert "solve plans over the futures few, base" in err


def test_another_question_says_that_it_is_of_one_month(run, uncertain):
    code, _, err = run("explain", uncertain, "--limits")
    assert code == exit_codes.INPUT
    assert err.startswith("uncertain.yaml:13:3: futures: this is asked of a month that is known")


def test_among_several_problems_it_is_the_row_of_the_average(run, uncertain):
    code, out, _ = run("solve", "toy.yaml", uncertain)
    assert code == 0
    rows = [" ".join(line.split()) for line in out.splitlines()]
    assert rows[2] == "uncertain.yaml 2,664 2 1 x big acme committed + 1 x small bolt, in base"


def test_a_comparison_of_plans_names_the_future_that_they_are_of(run, uncertain):
    assert run("solve", uncertain, "--json", "-o", "plan.json")[0] == 0
    code, out, _ = run("diff", "plan.json", "plan.json")
    assert code == 0
    assert "in base: $3,096 per month" in out  # on average it is $2,664


def test_a_problem_over_months_among_others_says_in_a_line_that_it_goes_by_itself(run, folder):
    (folder / "year.yaml").write_text(PROBLEM + "horizon: {months: 12}\n")
    code, out, err = run("solve", "year.yaml", "year.yaml")
    assert (code, err) == (exit_codes.INPUT, "")
    assert out.count("failed: it is planned over months: solve it by itself, for its calendar") == 2
    assert "\\x0a" not in out
