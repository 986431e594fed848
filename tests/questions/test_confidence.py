"""How far a plan rests on estimates: its range, and the one measurement worth making."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from milp_planner.cli import main
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.measure_next import measure_next
from milp_planner.plans.records import Plan
from milp_planner.questions.confidence import confidence_range, weightiest_row
from milp_planner.questions.row_worth import without
from milp_planner.questions.solve import solve
from milp_planner.reporting.documents.range_dict import range_dict
from milp_planner.reporting.text.confidence import range_lines, row_worth_line
from milp_planner.serving.rates.throughput import OperatingPoint, ServingModel
from tests.support.builders import big_and_small
from tests.support.builders import problem as raw_problem
from tests.support.serving.known_llms import toy
from tests.support.serving.toys import CSV_FILES, box, catalog, measured, rent, write_folder


def problem(rate: float, *sizes: tuple[float, float, float], **fields: Any) -> Problem:
    """`toy` in bf16 on one GPU, up to 100 % utilization; 800/200 tokens unless said otherwise."""
    requests = [
        {"input_tokens": i, "output_tokens": o, "share": share}
        for i, o, share in sizes or ((800, 200, 1.0),)
    ]
    chat = {
        "name": "chat",
        "llm": "toy",
        "precision": ["bf16"],
        "tensor_parallel": [1],
        "traffic": {"kind": "requests_per_second", "requests_per_second": rate},
        "requests": requests,
    }
    policy = {"utilization": {"target": 1.0}}
    return Problem(workloads=[chat], policy=policy, alternatives={"count": 0}, **fields)


def most(known: Catalog, quantile: float) -> float:
    """Requests/s that one replica is planned at."""
    asked = toy(), box(), "bf16", 1, 800, 200
    point = ServingModel(known).operating_point(*asked, quantile=quantile)
    assert isinstance(point, OperatingPoint)
    return point.planned_requests_per_second


# ---- the range


def test_counts_follow_the_quantile_and_the_mix_stays() -> None:
    # dense, default settings: spread 0.1991; 10 replicas at the median are
    # 10 · exp(1.4149 · 0.1991) = 13.25 at p10, and 10 · exp(1.8946 · 0.1991) = 14.58 at p5
    known = catalog()
    found = confidence_range(problem(10 * most(known, 0.5)), known)
    assert [case.quantile for case in found.cases] == [0.5, 0.1, 0.05]
    assert [case.fleet[0][1] for case in found.cases] == [10, 14, 15]
    assert found.median.cash_usd_per_month == pytest.approx(10 * 3.6 * 720)
    assert found.low.cash_usd_per_month == pytest.approx(15 * 3.6 * 720)
    assert (found.mix_changes, found.counts_change) == (False, True)


def test_a_measured_offering_wins_when_the_estimate_is_poor() -> None:
    # box was measured, its twin tub is 5 % cheaper. At the median tub serves as much; at p10 it is
    # planned at 0.72 of it and box at 0.94, so that box serves a request for less
    one = most(catalog(), 0.5)
    row = measured(one * 200, concurrency=1024, override=True)
    offerings = [rent(3.6), rent(3.42, gpu="tub", name="tub")]
    known = catalog(row, gpus=[box(), box(id="tub")], offerings=offerings)
    found = confidence_range(problem(100 * one), known)
    assert {key[1] for key in found.median.mix} == {"acme/tub/eu-1"}
    assert "acme/box/eu-1" in {key[1] for key in found.planned.mix}
    assert found.mix_changes


def test_the_plan_at_hand_is_not_solved_again() -> None:
    known = catalog()
    asked = problem(1)
    plan = solve(asked, known)
    assert confidence_range(asked, known, plan=plan).planned.plan is plan


def test_a_poor_outcome_may_have_no_plan() -> None:
    known = catalog()
    budget = {"budget": {"usd_per_month": 14 * 3.6 * 720}}
    found = confidence_range(problem(10.4 * most(known, 0.5), limits=budget), known)
    # 10.4 · 1.458 is more than 14 replicas, 10.4 · 1.325 is not
    assert found.planned.cash_usd_per_month == pytest.approx(14 * 3.6 * 720)
    assert found.low.cash_usd_per_month is None
    assert found.low.fleet == ()


# ---- the one measurement


def test_the_largest_spend_times_what_is_held_back_is_named() -> None:
    known = catalog()
    plan = solve(problem(3 * most(known, 0.1)), known)
    found = measure_next(plan)
    assert found is not None
    assert found.text == "box tp 1 at 800/200 tokens"
    assert (found.workload, found.llm, found.precision) == ("chat", "toy", "bf16")
    assert found.usd_per_month == pytest.approx(plan.cash_usd_per_month)
    held_back = 1 - math.exp(-0.041 - 1.4149 * 0.1991)
    assert found.at_stake_usd_per_month == pytest.approx(
        held_back * plan.cash_usd_per_month, rel=1e-3
    )
    assert plan.to_dict()["measure_next"]["at_stake_usd_per_month"] == pytest.approx(
        found.at_stake_usd_per_month
    )


def test_a_class_counts_by_the_time_it_takes() -> None:
    # as many long requests as short ones: the long ones take most of the time
    plan = solve(problem(5, (800, 200, 0.5), (50, 10, 0.5)), catalog())
    found = measure_next(plan)
    assert found is not None
    assert found.text == "box tp 1 at 800/200 tokens"
    (bought,) = plan.purchases
    long, short = bought.candidate.requests_per_second
    share = (1 / long) / (1 / long + 1 / short)
    assert found.usd_per_month == pytest.approx(share * bought.cash_usd_per_month)


def test_what_is_measured_or_stated_needs_no_measurement() -> None:
    assert measure_next(solve(raw_problem(13), big_and_small())) is None
    row = measured(1000, concurrency=256, override=True)
    plan = solve(problem(1), catalog(row))
    assert plan.purchases[0].candidate.sources == ("measured",)
    assert measure_next(plan) is None
    assert plan.to_dict()["measure_next"] is None


# ---- the command

QUESTION = """\
schema_version: 1
name: toys
catalog: toys
workloads:
  - name: chat
    llm: toy
    precision: [bf16]
    tensor_parallel: [1]
    traffic: {kind: requests_per_second, requests_per_second: 50}
    requests: {input_tokens: 800, output_tokens: 200}
limits: {providers: {allow: [acme]}}
"""


def test_solve_range_prints_three_plans_and_whether_the_mix_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "offerings.csv" in CSV_FILES
    write_folder(tmp_path / "toys")
    (tmp_path / "toys.yaml").write_text(QUESTION)
    monkeypatch.chdir(tmp_path)
    assert main(["solve", "toys.yaml", "--range", "-q"]) == 0
    out = capsys.readouterr().out
    assert "Measure one to tighten it: box tp 1 at 800/200 tokens." in out
    assert "Range over the error of the estimates, solved again" in out
    assert "p10 of measured ÷ estimated (planned)" in out
    assert "The mix does not change within the range" in out
    assert main(["solve", "toys.yaml", "--range", "-q", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert [case["quantile"] for case in document["range"]["cases"]] == [0.5, 0.1, 0.05]
    assert document["range"]["mix_changes"] is False
    assert document["measure_next"]["gpu"] == "box"


# ---- measurements left out


def test_without_its_row_a_plan_costs_what_the_estimate_says() -> None:
    # the row serves ten times the estimate: one box; without it as many as the estimate needs,
    # each at 3.6 · 720 = $2,592
    one = most(catalog(), 0.1)
    row = measured(2000 * one, concurrency=1024, override=True)
    known = catalog(row)
    found = confidence_range(problem(9.5 * one * 0.9), known)
    assert found.planned.fleet[0][1] == 1
    (worth,) = found.rows
    assert found.most_influential is worth
    assert worth.row == row
    assert worth.at_stake_usd_per_month == pytest.approx(2592)
    # 8.55 replicas of the estimate at p10: nine
    assert worth.dearer_usd_per_month == pytest.approx(8 * 2592)
    assert worth.name == "the own row built in code"
    assert worth.what == "toy on box bf16 tp 1, engine not named, 800/200 tokens, 1024 in flight"


def test_the_row_of_a_file_goes_by_its_line(tmp_path: Path) -> None:
    rows = (
        "llm,gpu,precision,tensor_parallel,engine,input_tokens,output_tokens,concurrency,"
        "output_tokens_per_second,as_of,source\n"
        "toy,tub,fp8,1,vllm,800,200,8,100,2026-01-01,test\n"
        "toy,box,bf16,1,vllm,800,200,8,300,2026-01-01,test\n"
    )
    write_folder(tmp_path / "toys", **{"measurements.csv": rows})
    known = load_catalog(tmp_path / "toys")
    found = confidence_range(problem(1), known)
    assert [worth.name for worth in found.rows] == ["row 3 of measurements.csv"]
    again = without(known, found.rows[0].row)
    assert [row.line for row in again.measurements] == [2]


def test_no_plan_without_the_row_is_said_as_that() -> None:
    one = most(catalog(), 0.1)
    row = measured(2000 * one, concurrency=1024, override=True)
    budget = {"budget": {"usd_per_month": 2600}}
    found = confidence_range(problem(8 * one, limits=budget), catalog(row))
    assert found.rows[0].dearer_usd_per_month is None
    said = list(range_lines(found))
    assert said[-1].endswith("1024 in flight) there is no plan.")


def test_a_plan_on_estimates_alone_says_that_there_is_nothing_to_leave_out() -> None:
    found = confidence_range(problem(1), catalog())
    assert (found.rows, found.most_influential) == ((), None)
    said = list(range_lines(found))
    assert said[-1] == "  No measured or published row is used: nothing to leave out."


def test_rows_left_out_are_in_the_document() -> None:
    one = most(catalog(), 0.1)
    known = catalog(measured(2000 * one, concurrency=1024, override=True))
    (row,) = range_dict(confidence_range(problem(8.55 * one), known))["rows_left_out"]
    assert row["dearer_usd_per_month"] == pytest.approx(8 * 2592)
    assert (row["status"], row["line"]) == ("optimal", 0)


def test_an_endless_queue_is_found_again_by_its_row() -> None:
    row = measured(500, concurrency=None, regime="offline_max", override=True)
    known = catalog(row)
    (worth,) = confidence_range(problem(1), known).rows
    assert without(known, worth.row).measurements == ()


def test_the_weightiest_row_alone_takes_one_solve(monkeypatch: pytest.MonkeyPatch) -> None:
    one = most(catalog(), 0.1)
    row = measured(2000 * one, concurrency=1024, override=True)
    small = measured(20, concurrency=1, override=True)
    known = catalog(row, small)
    asked = problem(8.55 * one)
    plan = solve(asked, known)
    solves: list[int] = []

    def counted(*given: object, **fields: object) -> Plan:
        solves.append(1)
        return solve(*given, **fields)

    monkeypatch.setattr("milp_planner.questions.confidence.solve", counted)
    worth = weightiest_row(asked, plan, known)
    assert len(solves) == 1
    assert worth is not None
    assert worth.row == row
    assert row_worth_line(worth).startswith("Without the own row built in code (toy on box bf16")
    whole = confidence_range(asked, known, plan=plan)
    assert worth.dearer_usd_per_month == whole.rows[0].dearer_usd_per_month
    # on estimates alone there is nothing to leave out, and nothing is solved
    solves.clear()
    assert weightiest_row(problem(1), solve(problem(1), catalog()), catalog()) is None
    assert solves == []
