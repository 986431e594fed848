"""Two plans held against each other: by hand, as text, Markdown and a gate."""

from __future__ import annotations

import json
import os

import pytest

from milp_planner import ArgumentError, Plan, decision_sheet, plan_diff, solve
from milp_planner.reporting.sheets.diff import diff_text, last_line
from milp_planner.reporting.sheets.markdown import MOST_CHARACTERS, md, sheet_markdown
from tests.support.builders import big_and_small, problem, with_tokens
from tests.support.toy import write

pytest_plugins = ["tests.support.toy_cli"]


@pytest.fixture(scope="module")
def thirteen() -> Plan:
    # One big, $4/h for 10 requests/s, and one small, $1.50/h for 3: $2,880 + $1,080 a month.
    return solve(problem(13), big_and_small())


@pytest.fixture(scope="module")
def twenty() -> Plan:
    # Two big: $5,760 a month.
    return solve(problem(20), big_and_small())


def test_the_bill_grows_by_what_the_purchases_add_up_to(thirteen, twenty):
    found = plan_diff(thirteen, twenty)
    assert found.increase_usd_per_month == pytest.approx(1800)
    assert found.increase_share == pytest.approx(1800 / 3960)
    # One big more, +$2,880; the small one goes, -$1,080.
    assert [(c.gpu, c.units_before, c.units_after) for c in found.changes] == [
        ("big", 1, 2),
        ("small", 1, 0),
    ]
    moved = [c.usd_per_month_after - c.usd_per_month_before for c in found.changes]
    assert sum(moved) == pytest.approx(found.increase_usd_per_month)
    assert last_line(found) == "Monthly cost will increase by $1,800 (+45 %)"
    assert last_line(plan_diff(twenty, thirteen)) == "Monthly cost will decrease by $1,800 (-31 %)"


def test_a_plan_against_itself_or_its_own_sheet_changes_nothing(thirteen):
    sheet = decision_sheet(problem(13), big_and_small(), plan=thirteen, with_choices=False)
    again = Plan.from_dict(json.loads(json.dumps(thirteen.to_dict())))
    for one in (thirteen, sheet, again):
        for other in (thirteen, sheet, again):
            found = plan_diff(one, other)
            assert found.changes == ()
            assert last_line(found) == "Monthly cost stays at $3,960."


def test_an_increase_of_the_limit_itself_is_allowed(thirteen, twenty):
    found = plan_diff(thirteen, twenty)
    assert not found.increases_by_more_than(1800 / 3960)
    assert found.increases_by_more_than(1800 / 3960 - 1e-6)
    assert not plan_diff(twenty, thirteen).increases_by_more_than(0)


def test_what_cannot_be_compared_is_no_small_increase(thirteen):
    none = solve(problem(13).changed({"limits.max_gpus.total": 1}), big_and_small())
    found = plan_diff(thirteen, none)
    assert found.increase_usd_per_month is None
    assert found.increases_by_more_than(100)
    assert last_line(found) == (
        "Monthly cost cannot be compared: the new document has no plan (infeasible)."
    )


def test_only_plans_and_sheets_are_compared(thirteen):
    with pytest.raises(ArgumentError, match="expected a Plan or a Sheet, not dict"):
        plan_diff(thirteen, {})  # type: ignore[arg-type]


def test_the_text_says_what_changes_and_ends_with_the_bill(thirteen, twenty):
    assert diff_text(plan_diff(thirteen, twenty)).splitlines() == [
        "problem: $3,960 per month  ->  problem: $5,760 per month",
        "  what is bought    before  after  $/month",
        "  chat: big acme       1 x    2 x  +$2,880",
        "  chat: small bolt     1 x      -  -$1,080",
        "  The question is another one: the problems differ.",
        "Monthly cost will increase by $1,800 (+45 %)",
    ]


def test_names_in_markdown_are_text_and_nothing_else():
    assert md("a|b `c` <img> @you *x*") == r"a\|b \`c\` \<img\> &#64;you \*x\*"


def test_a_pull_request_reads_headline_purchases_choices_and_last_the_bill(twenty):
    sheet = decision_sheet(problem(13), with_tokens())
    text = sheet_markdown(sheet, plan_diff(twenty, sheet))
    heads = [r"Optimal plan: \$3,960", "what to buy", "what else", "what changes"]
    assert [text.index(head) for head in heads] == sorted(text.index(head) for head in heads)
    assert text.endswith("**Monthly cost will decrease by $1,800 (-31 %)**\n")
    assert len(text) < MOST_CHARACTERS


@pytest.fixture
def documents(run, folder):
    """What is planned for 13 and for 20 requests/s: $3,960 and, two big, $5,760."""
    more = write(folder, "more.yaml", "requests_per_second: 13", "requests_per_second: 20")
    assert run("solve", "toy.yaml", "-o", "old.json")[0] == 0
    assert run("solve", more, "--format", "sheet-json", "-o", "new.json")[0] == 0


def test_diff_fails_above_the_increase_that_is_allowed(run, documents):
    code, out, err = run("diff", "old.json", "new.json", "--fail-if-increase", "45%")
    assert code == 4
    assert out.endswith("\nMonthly cost will increase by $1,800 (+45 %)\n")
    assert err == "Monthly cost will increase by $1,800 (+45 %); allowed: 45 %\n"
    assert run("diff", "old.json", "new.json", "--fail-if-increase", "46%")[0] == 0
    assert run("diff", "new.json", "old.json", "--fail-if-increase", "0%")[0] == 0
    found = json.loads(run("diff", "old.json", "new.json", "--format", "json")[1])
    assert found["increase_usd_per_month"] == pytest.approx(1800)
    markdown = run("diff", "old.json", "new.json", "--format", "markdown")[1]
    assert "| chat: big acme | 1 x | 2 x | +\\$2,880 |" in markdown


@pytest.mark.slow
def test_solve_sets_the_plan_beside_an_earlier_one(run, documents):
    code, out, _ = run("solve", "more.yaml", "-f", "markdown", "--against", "old.json")
    assert code == 0
    assert out.endswith("**Monthly cost will increase by $1,800 (+45 %)**\n")
    code, _, err = run("solve", "more.yaml", "--against", "old.json")
    assert code == 2
    assert "--against is for --format markdown, not sheet" in err


def test_what_is_no_document_of_a_plan_is_said_with_its_file(run, folder, documents):
    code, _, err = run("diff", "old.json", "missing.json")
    assert (code, "missing.json: file not found" in err) == (2, True)
    (folder / "list.json").write_text("[]")
    assert "list.json: is not the document of a plan" in run("diff", "list.json", "old.json")[2]
    (folder / "half.json").write_text('{"a": ')
    assert "not valid JSON" in run("diff", "half.json", "old.json")[2]
    (folder / "twice.json").write_text('{"name": "a", "name": "b"}')
    assert "twice.json:1" in run("diff", "twice.json", "old.json")[2]
    os.mkfifo(folder / "pipe.json")  # to open it would wait for a writer for ever
    assert "pipe.json: is a named pipe" in run("diff", "pipe.json", "old.json")[2]
    (folder / "other.json").write_text('{"a": 1}')
    code, _, err = run("diff", "other.json", "old.json")
    assert (code, err.startswith("other.json")) == (2, True)
    assert "only one of OLD and NEW" in run("diff", "-", "-")[2]
