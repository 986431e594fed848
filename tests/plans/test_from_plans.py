"""A plan that was written is where the next one starts: what runs today, and what is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from milp_planner import CurrentUnits, InputError, Plan, Status, current_fleet_of, evaluate, solve
from milp_planner.cli import main
from tests.support.builders import BIG, SMALL, TOKENS, big_and_small, problem, with_tokens
from tests.support.sample_plans import no_plan
from tests.support.shown.exported import JOINED, RESERVED, SPOT, bought, fleet

BOTH = {"billing": {"allow": ["dedicated", "per_token"]}}


def read_back(plan: Plan) -> Plan:
    return Plan.from_dict(json.loads(json.dumps(plan.to_dict())))


def test_what_runs_is_what_was_bought() -> None:
    # 13 requests/s: a big one serves 10, a small one 3.
    plan = read_back(solve(problem(13), big_and_small()))
    assert {(row.offering, row.units) for row in current_fleet_of(plan)} == {(BIG, 1), (SMALL, 1)}


def test_joined_units_count_each_and_units_by_the_hour_count_at_their_most() -> None:
    rows = current_fleet_of(fleet(bought(JOINED, 1, 1), bought(SPOT, 3, 0), bought(RESERVED, 1, 1)))
    joined, spot, reserved = rows
    assert joined == CurrentUnits(
        offering="gcp/a3-highgpu-8g/us-east-1", workload="chat", units=2, billing="dedicated"
    )
    assert (spot.units, spot.billing) == (3, "spot")
    assert reserved.billing == "reserved_1y"


def test_a_plan_from_todays_fleet_keeps_it_where_nothing_changes() -> None:
    plan = solve(problem(13), big_and_small())
    again = problem(13, current_fleet=current_fleet_of(read_back(plan)))
    changes = solve(again, big_and_small()).changes
    assert changes
    assert all(change.today == change.planned for change in changes)


def test_without_a_fleet_nothing_runs() -> None:
    with pytest.raises(InputError, match="there is no fleet in it"):
        current_fleet_of(no_plan(Status.INFEASIBLE))


def test_a_plan_is_judged_as_what_it_buys() -> None:
    asked, known = problem(13), big_and_small()
    plan = solve(asked, known)
    judged = evaluate(asked, read_back(plan), known)
    assert judged.cash_usd_per_month == pytest.approx(plan.cash_usd_per_month)
    assert judged.keeps_all_limits
    # The same fleet at twice the traffic is overrun: 26 requests/s on 13.
    hot = evaluate(problem(26), plan, known)
    assert hot.workload("chat").utilization == pytest.approx(2.0)


def test_what_an_api_serves_of_a_plan_it_serves_when_judged() -> None:
    asked, known = problem(1, limits=BOTH), with_tokens()
    plan = solve(asked, known)  # one request/s: 51.84 USD of tokens, 1,080 of a small unit
    assert plan.purchases[0].candidate.offering.id == TOKENS
    assert evaluate(asked, plan, known).cash_usd_per_month == pytest.approx(51.84)


pytest_plugins = ["tests.support.toy_cli"]


def test_the_commands_start_from_a_written_plan(folder: Path, run) -> None:
    assert main(["solve", "toy.yaml", "--output", "plan.json"]) == 0
    code, out, _ = run("solve", "toy.yaml", "--current", "plan.json", "--json")
    assert code == 0
    changes = json.loads(out)["changes_from_today"]
    assert [(c["offering"], c["today"], c["keep"]) for c in changes] == [
        (BIG, 1, 1),
        ("bolt/small/us-1", 1, 1),
    ]
    code, out, _ = run("evaluate", "toy.yaml", "--fleet", "plan.json", "--json")
    assert code == 0
    assert json.loads(out)["cash_usd_per_month"] == pytest.approx(3960)


def test_a_file_that_is_no_plan_is_refused_by_name(folder: Path, run) -> None:
    (folder / "other.json").write_text('{"a": 1}')
    for words in (("solve", "toy.yaml", "--current"), ("evaluate", "toy.yaml", "--fleet")):
        code, _, err = run(*words, "other.json")
        assert code == 2
        assert "other.json: document: is not the document of a plan" in err
