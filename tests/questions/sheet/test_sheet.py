"""The decision sheet: one record, its document and its text."""

from __future__ import annotations

import json
import time
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from milp_planner import (
    ArgumentError,
    InputError,
    Sheet,
    decision_sheet,
    load_catalog,
    load_problem,
    sheet_schema,
    solve,
)
from milp_planner.deadline import counted_from
from milp_planner.reporting.html.page import sheet_page
from milp_planner.reporting.sheets.no_plan import no_plan_text
from milp_planner.reporting.sheets.text import head_text, rest_text, sheet_text
from tests.support.builders import DAY, big_and_small, problem, with_tokens
from tests.support.shown.sample_sheets import without_plan

pytest_plugins = ["tests.support.toy_cli"]

PROBLEMS = Path(__file__).resolve().parents[3] / "problems"
TODAY = date(2026, 2, 14)
"""30 days after the prices of the small catalogs."""


@pytest.fixture(scope="module")
def thirteen() -> Sheet:
    # 13 requests/s: one big, $4/h, and one small, $1.50/h: $3,960 a month.
    return decision_sheet(problem(13), with_tokens(), as_of=TODAY)


@pytest.fixture(scope="module")
def quickstart() -> Sheet:
    asked = load_problem(PROBLEMS / "quickstart.yaml")
    return decision_sheet(asked, as_of=TODAY, reproducible=True)


def test_the_answer_and_the_purchases_are_those_of_the_plan(thirteen):
    assert thirteen.answer.cash_usd_per_month == pytest.approx(3960)
    assert [(p.units, p.gpu, p.cash_usd_per_month) for p in thirteen.purchases] == [
        (1, "big", pytest.approx(2880)),
        (1, "small", pytest.approx(1080)),
    ]


def test_prices_are_told_with_their_age(thirteen):
    assert date(2026, 1, 15) == DAY
    assert {p.price_age_days for p in thirteen.purchases} == {30}
    [age] = thirteen.risks.prices_by_age
    assert (age.age_days, age.usd_per_month) == (30, pytest.approx(3960))
    assert "$3,960 on prices 30 days old." in sheet_text(thirteen)


def test_one_failure_leaves_what_the_rest_can_serve(thirteen):
    # Without the big one 3 requests/s are left of 13; each provider has one unit.
    losses = [(loss.kind, loss.lost, loss.left) for loss in thirteen.risks.losses]
    assert losses == [("unit", "acme/big/eu-1", pytest.approx(3)), ("provider", "acme", 3)]
    assert "Losing acme leaves capacity for 23 % of the peak of chat." in " ".join(
        head_text(thirteen).split()
    )


def test_a_sheet_without_choices_says_that_they_were_not_asked():
    sheet = decision_sheet(problem(13), big_and_small(), with_choices=False)
    assert sheet.choices is None
    assert "What else" not in sheet_text(sheet)


def test_what_is_not_allowed_stands_apart(thirteen):
    text = sheet_text(thirteen)
    free, apart = text.split("What the problem does not allow")
    assert "one provider" in free
    assert "per token " in apart
    assert "per token " not in free


@pytest.mark.slow
def test_its_document_keeps_to_the_schema_and_reads_back(thirteen, quickstart):
    validator = jsonschema.Draft202012Validator(sheet_schema())
    for sheet in (thirteen, quickstart):
        document = json.loads(json.dumps(sheet.to_dict()))
        validator.validate(document)
        assert Sheet.from_dict(document) == sheet


def test_a_document_of_another_version_or_kind_is_refused(thirteen):
    with pytest.raises(InputError, match="sheet_version"):
        Sheet.from_dict({**thirteen.to_dict(), "sheet_version": 2})
    with pytest.raises(InputError, match="nonsense"):
        Sheet.from_dict({**thirteen.to_dict(), "nonsense": 1})
    with pytest.raises(ArgumentError, match="expected the keys of a sheet, not list"):
        Sheet.from_dict([])  # type: ignore[arg-type]


def test_no_line_is_wider_than_80_columns(quickstart, thirteen):
    for sheet in (quickstart, thirteen):
        assert max(map(len, sheet_text(sheet).splitlines())) <= 80


def test_the_answer_comes_first_and_the_rest_follows(quickstart):
    assert sheet_text(quickstart) == f"{head_text(quickstart)}\n{rest_text(quickstart)}"


def test_equal_questions_give_equal_bytes():
    one, other = (
        decision_sheet(problem(13), with_tokens(), as_of=TODAY, reproducible=True) for _ in "ab"
    )
    assert one.to_dict() == other.to_dict()
    assert one.proof.seconds is None


def test_the_command_measures_the_planned_shape_and_concurrency(quickstart):
    one = quickstart.measure[0]
    assert f"--max-concurrency {one.concurrency:.0f} " in one.bench_command
    assert "--random-input-len 1500 --random-output-len 300 " in one.bench_command
    assert f"--num-prompts {10 * one.concurrency:.0f}" in one.bench_command
    assert one.if_slower is not None
    # What is slower is never cheaper.
    assert (one.if_slower.extra_usd_per_month or 0.0) >= -0.01


def test_what_time_left_none_for_is_not_said_to_be_impossible():
    asked = load_problem(PROBLEMS / "quickstart.yaml")
    plan = solve(asked, alternatives=0)
    with counted_from(time.monotonic() - 600):
        sheet = decision_sheet(asked, plan=plan, as_of=TODAY)
    text = " ".join(sheet_text(sheet).split())
    assert "20 % less, and no plan was found in the time for choices." in text
    assert "there is no plan" not in text
    assert text.count("not reached in the time for choices") > 3


def result_of(one, share, folder):
    """The file that the benchmark of `one` writes where it prints a share of what it must."""
    requests_per_second = share * one.must_print_requests_per_second
    done = 10 * one.concurrency
    file = folder / "result.json"
    document = {
        "backend": "vllm",
        "max_concurrency": one.concurrency,
        "completed": done,
        "total_input_tokens": done * one.input_tokens,
        "total_output_tokens": done * one.output_tokens,
        "request_throughput": requests_per_second,
        "output_throughput": requests_per_second * one.output_tokens,
        "mean_tpot_ms": 1000 * one.tpot_s,
    }
    file.write_text(json.dumps(document))
    return file


@pytest.mark.slow
def test_calibrate_says_of_the_benchmarks_file_what_the_sheet_said(quickstart, run, tmp_path):
    one, asked = quickstart.measure[0], PROBLEMS / "quickstart.yaml"
    assert one.if_slower is not None
    file = result_of(one, 0.8, tmp_path)
    words = one.calibrate_command.replace("RESULT.json", str(file)).split()
    words[words.index("PROBLEM.yaml")] = str(asked)
    assert words[:2] == ["milp-planner", "calibrate"]
    code, out, _ = run(*words[1:], "--json")
    document = json.loads(out)
    assert code == 0
    assert document["plan"]["before"]["cash_usd_per_month"] == pytest.approx(
        quickstart.answer.cash_usd_per_month
    )
    assert document["plan"]["after"]["cash_usd_per_month"] == pytest.approx(
        one.if_slower.cash_usd_per_month
    )
    [row] = document["measurements"]
    # Where it prints what it must, plans count on as much as before.
    counted = row["planned_after"]["output_tokens_per_second"]
    planned = one.requests_per_second * one.output_tokens
    assert counted == pytest.approx(0.8 * planned)


def test_users_are_measured_in_requests():
    # 25 tokens/s for each of the users that a replica holds are so many answers of 1,024 tokens.
    asked = load_problem(PROBLEMS / "concurrent-users.yaml")
    plan = solve(asked, alternatives=0)
    [one] = decision_sheet(asked, plan=plan, as_of=TODAY, with_choices=False).measure
    held = plan.purchases[0].candidate.points[0].requests_per_second
    assert one.requests_per_second == pytest.approx(held * 25 / 1024)
    assert one.must_print_requests_per_second > one.requests_per_second


def test_the_command_line_prints_the_answer_then_the_choices(run):
    code, out, err = run("solve", "toy.yaml", "--format", "sheet", "--reproducible")
    assert (code, err) == (0, "")
    assert out.startswith("Optimal plan: $3,960 per month ($58.76 per 1M tokens)\ncertified by")
    assert out.index("What else there is") > out.index("2 GPUs at acme, bolt")
    assert "What else" not in run("solve", "toy.yaml", "-f", "sheet", "--no-choices")[1]


def test_the_command_line_writes_the_sheet_as_json(run):
    code, out, err = run("solve", "toy.yaml", "--format", "sheet-json")
    assert (code, err) == (0, "")
    assert Sheet.from_dict(json.loads(out)).answer.cash_usd_per_month == pytest.approx(3960)
    schema = json.loads(run("schema", "--of", "sheet")[1])
    jsonschema.Draft202012Validator(schema).validate(json.loads(out))


def test_what_if_has_no_sheet(run):
    code, _, err = run("what-if", "toy.yaml", "--traffic", "1", "--format", "sheet")
    assert code == 2
    assert "'sheet' is not one of text, json, csv" in err


def test_a_sheet_without_a_plan_tells_why(run, folder):
    (folder / "poor.yaml").write_text(
        (folder / "toy.yaml").read_text() + "limits: {max_gpus: {total: 1}}\n"
    )
    code, out, _ = run("solve", "poor.yaml", "--format", "sheet")
    assert code == 3
    assert out.startswith("No plan: no fleet keeps limits.max_gpus.total")
    assert max(map(len, out.splitlines())) <= 80


def test_what_each_gpu_lacks_stands_below_a_workload_that_none_serves():
    shipped = PROBLEMS / "inference-atlas" / "llama-405b-steady.yaml"
    sheet = decision_sheet(load_problem(shipped), load_catalog("inference-atlas"))
    first, below, *_ = no_plan_text(sheet).split("\n\n")
    assert first == "No plan: workload 'chat' cannot be served by any allowed offering."
    lacks = "a100-80gb: needs 400 GB, the GPU has 80 GB (4 offerings)"
    assert below.splitlines()[0] == f"  {lacks}"
    assert lacks in sheet_page(sheet)


def test_no_plan_tells_each_change_with_what_it_costs_and_buys():
    # $2,000 is short of $3,960, a big and a small; nothing else is for sale.
    asked = problem(13, limits={"budget": {"usd_per_month": 2000}})
    sheet = decision_sheet(asked, big_and_small(), as_of=TODAY, reproducible=True)
    assert no_plan_text(sheet).split("\n\n")[:2] == [
        "No plan: the cheapest plan costs $3,960.00 per month, $1,960.00 above the budget\n"
        "of $2,000.00.\n"
        "certified by CBC and HiGHS",
        "This gives a plan, for so much a month\n"
        "  $3,960  raise the budget by $1,960 to $3,960 (limits.budget.usd_per_month, now\n"
        "          $2,000): 1 x big acme + 1 x small bolt",
    ]


def test_no_plan_tells_everything_that_a_diagnosis_holds_in_80_columns():
    text = no_plan_text(without_plan())
    assert max(map(len, text.splitlines())) <= 80
    for said in (
        "These 2 limits cannot be kept together",
        "Any one of these gives a plan",
        "No single change gives a plan. These together do",
        "What each replica lacks",
        "Left open by the time limit or the solvers",
        "milp-planner candidates",
    ):
        assert (said in text) is (said != "These 2 limits cannot be kept together")


def test_no_plan_in_time_proves_nothing():
    asked = problem(13, limits={"budget": {"usd_per_month": 2000}})
    sheet = decision_sheet(asked, big_and_small(), time_limit_s=1e-6)
    text = no_plan_text(sheet)
    assert text.startswith("No plan found before the solvers stopped, which does not prove that")
    assert "candidates" not in text
