"""`check`, `candidates` and `solve --range` keep the time limit, and name what they left open."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from milp_planner import Status, confidence_range, decision_sheet, solve
from milp_planner.candidates import listing
from milp_planner.candidates.listing import list_candidates
from milp_planner.cli.parts import clock, exit_codes
from milp_planner.deadline import OutOfTime, check, counted_from, until
from milp_planner.questions import confidence
from milp_planner.questions.row_worth import RowWorth
from milp_planner.questions.sheet import builder
from milp_planner.reporting.documents.range_dict import range_dict
from milp_planner.reporting.sheets.text import sheet_text
from milp_planner.reporting.text.confidence import range_lines, row_worth_line
from milp_planner.solving.results import Interrupted
from milp_planner.traffic.month import make_schedule
from tests.support.builders import big_and_small, problem, raw, workload
from tests.support.toy import ENVIRONMENT

pytest_plugins = ["tests.support.toy_cli"]

AT_ONCE = "--time-limit=1us"
"""Over before the catalog is read."""

TWO = """  - name: search
    llm: tiny
    traffic: {kind: requests_per_second, requests_per_second: 5}
    requests: {input_tokens: 1, output_tokens: 1}
policy:"""


@pytest.fixture
def two(folder, monkeypatch):
    """A problem of two workloads; time is up when the second one's turn comes."""
    text = (folder / "toy.yaml").read_text()
    (folder / "two.yaml").write_text(text.replace("policy:", TWO))
    listed_for = listing._listed_for

    def late(w, *given):
        if w.name == "search":
            raise OutOfTime
        return listed_for(w, *given)

    monkeypatch.setattr(listing, "_listed_for", late)
    return "two.yaml"


# ---- listing in time


def test_a_listing_in_time_has_what_was_listed_and_names_the_rest():
    asked = problem(workloads=[workload(13), workload(5, "search")])
    given = asked, make_schedule(asked), big_and_small()
    whole = list_candidates(*given)
    in_time = list_candidates(*given, in_time=True)
    assert [k.id for k in in_time.candidates] == [k.id for k in whole.candidates]
    assert (len(whole.candidates), in_time.not_reached) == (4, ())
    assert whole.not_reached == ()
    with until(time.monotonic() - 1):
        none = list_candidates(*given, in_time=True)
        with pytest.raises(OutOfTime):
            list_candidates(*given)
    assert (none.candidates, none.turned_down) == ((), ())
    assert none.not_reached == ("chat", "search")


# ---- check


def test_check_that_is_out_of_time_counts_nothing_and_does_not_say_that_nothing_serves(run):
    code, out, err = run("check", "toy.yaml", AT_ONCE)
    assert (code, err) == (exit_codes.NO_PLAN, "")
    assert out.startswith("toy: the problem is in order\n")
    assert re.search(r"chat +tiny +1 +13\.0 req/s +67\.4 M +- +-\n", out)
    assert out.endswith("\nLeft open by the time limit: what serves chat.\n")


def test_what_was_listed_is_held_against_bounds_though_time_is_up(run, monkeypatch):
    listed_for = listing._listed_for

    def until_the_end(*given):
        found = listed_for(*given)
        while True:  # time is up with the last workload
            try:
                check()
            except OutOfTime:
                return found

    monkeypatch.setattr(listing, "_listed_for", until_the_end)
    code, out, _ = run("check", "toy.yaml", "--json", "--time-limit=200ms")
    assert (code, json.loads(out)["not_reached"]) in ((0, []), (6, ["chat"]))


def test_check_says_which_workloads_it_counted(run, two):
    code, out, _ = run("check", two, "--json")
    found = json.loads(out)
    assert (code, found["valid"], found["not_reached"]) == (6, True, ["search"])
    assert [w["candidates"] for w in found["workloads"]] == [2, None]
    assert [w["turned_down"] for w in found["workloads"]] == [0, None]


def test_check_of_what_nothing_serves_is_exit_3_whatever_else_is_left_open(run, folder, two):
    text = (folder / two).read_text().replace("llm: tiny", "llm: lonely", 1)
    (folder / two).write_text(text)
    code, _, err = run("check", two)
    assert code == exit_codes.INFEASIBLE
    assert "nothing that is allowed can serve workload 'chat'" in err
    assert "search" not in err


def test_the_problems_own_time_limit_holds_for_a_listing_too(run, folder):
    with (folder / "toy.yaml").open("a") as file:
        file.write("solver: {time_limit: 1us}\n")
    assert run("check", "toy.yaml")[0] == exit_codes.NO_PLAN
    assert run("check", "toy.yaml", "--time-limit", "1h")[0] == exit_codes.FOUND


# ---- candidates


def test_candidates_that_are_out_of_time_name_what_they_left_open(run):
    code, out, err = run("candidates", "toy.yaml", AT_ONCE)
    assert (code, err) == (exit_codes.NO_PLAN, "")
    assert out == "Left open by the time limit: what serves chat.\n"


def test_candidates_of_the_workloads_that_were_listed_are_shown_whole(run, two):
    code, out, _ = run("candidates", two)
    assert code == exit_codes.FOUND
    assert out.startswith("chat  tiny: 2 candidates, 0 offerings turned down\n")
    assert out.endswith("\n\nLeft open by the time limit: what serves search.\n")
    found = json.loads(run("candidates", two, "--json")[1])
    assert [w["name"] for w in found["workloads"]] == ["chat"]
    assert found["not_reached"] == ["search"]


def test_candidates_of_one_workload_say_nothing_of_another_that_is_left_open(run, two):
    code, out, _ = run("candidates", two, "--workload", "chat")
    assert (code, "Left open" in out) == (exit_codes.FOUND, False)
    assert run("candidates", two, "--workload", "search")[0] == exit_codes.NO_PLAN


# ---- --range


def test_a_range_that_time_left_nothing_for_names_what_it_left_open():
    rented = big_and_small()
    asked = problem(13)
    plan = solve(asked, rented, alternatives=0)
    with counted_from(time.monotonic() - 600):
        found = confidence_range(asked, rented, plan=plan, time_limit_s=10)
    assert found.planned.status is Status.OPTIMAL
    assert (found.median.status, found.low.status) == (Status.NO_PLAN, Status.NO_PLAN)
    assert (found.mix_changes, found.counts_change) == (None, None)
    left = ("p50 of measured ÷ estimated", "p5 of measured ÷ estimated")
    names = tuple(f"without {worth.name}" for worth in found.rows)
    assert found.rows
    assert found.not_reached == (*left, *names)
    assert found.most_influential is None
    document = range_dict(found)
    assert (document["mix_changes"], document["not_reached"]) == (None, [*left, *names])
    said = "\n".join(range_lines(found))
    assert re.search(r"p50 of measured ÷ estimated +not reached", said)
    assert "Whether the mix changes within the range is left open." in said
    assert "no plan was found in time" in said
    assert "no plan." not in said
    assert f"Left open by the time limit or the solvers: {'; '.join((*left, *names))}." in said


def test_every_solve_of_a_range_ends_at_the_same_moment(monkeypatch):
    ends = []
    solved = confidence.solve_until

    def noted(asked, rows, settings, *given, **named):
        ends.append(settings.ends_s)
        return solved(asked, rows, settings, *given, **named)

    monkeypatch.setattr(confidence, "solve_until", noted)
    began_s = time.monotonic() - 5
    with counted_from(began_s):
        found = confidence_range(problem(13), big_and_small(), time_limit_s=600)
    assert found.not_reached == ()
    assert set(ends) == {began_s + 600}
    assert len(ends) == 3 + len(found.rows)


def test_a_range_within_the_gap_that_was_asked_for_leaves_nothing_open():
    found = confidence_range(problem(13), big_and_small())
    plan = found.median.plan
    within = replace(
        plan,
        status=Status.FEASIBLE,
        lower_bound_usd_per_month=(plan.score_usd_per_month or 0) * 0.99,
        provenance=replace(plan.provenance, gap_asked=0.02),
    )
    median = replace(found.median, plan=within)
    assert replace(found, median=median).not_reached == ()
    short = replace(within, provenance=replace(within.provenance, gap_asked=0.0))
    open_ = replace(found, median=replace(found.median, plan=short))
    assert open_.not_reached == ("p50 of measured ÷ estimated",)


def test_a_row_that_there_was_no_time_for_is_not_said_to_leave_no_plan():
    plan = confidence.not_prepared(
        problem(13), big_and_small(), confidence.settings_of(problem(13))
    )
    worth = RowWorth(raw("big", 10), 100.0, plan, 3960.0)
    assert row_worth_line(worth).endswith(" no plan was found in time.")
    assert not worth.is_answered


def test_the_plan_is_printed_when_somebody_stops_the_range(run, monkeypatch):
    other = solve(problem(3), big_and_small())

    def stopped(*given, **named):
        raise Interrupted(other, KeyboardInterrupt())  # of another quantile

    monkeypatch.setattr(confidence, "confidence_range", stopped)
    code, out, err = run("solve", "toy.yaml", "--range", "--json")
    assert (code, err) == (exit_codes.INTERRUPTED, "interrupted\n")
    assert json.loads(out)["cash_usd_per_month"] == pytest.approx(3960)


# ---- from where it counts


def test_a_limit_counts_from_the_start_of_the_process_and_elsewhere_from_the_call():
    now_s = time.monotonic()
    assert clock.command_began_s() >= now_s
    with clock.counted_from_process_start():
        assert clock.command_began_s() < now_s
    assert clock.command_began_s() >= now_s


def test_a_whole_process_counts_its_imports(folder):
    seen = (
        "import time, milp_planner.cli as cli; from milp_planner.cli.parts import clock; "
        "from milp_planner.cli import entry; now = time.monotonic(); "
        "entry.run_command_line = lambda argv: print(clock.command_began_s() < now) or 0; cli.run()"
    )
    out = subprocess.run(
        [sys.executable, "-c", seen], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    assert out.stdout == "True\n"


# ---- what is told beside a plan


def test_what_losses_leave_is_told_after_the_limit_where_that_takes_little():
    plan = solve(problem(13), big_and_small(), alternatives=0)
    asked = {"plan": plan, "time_limit_s": 10, "with_choices": False}
    with counted_from(time.monotonic() - 600):
        sheet = decision_sheet(problem(13), big_and_small(), **asked)
    assert [loss.lost for loss in sheet.risks.losses] == ["acme/big/eu-1", "acme"]


def test_what_losses_leave_is_left_open_where_it_takes_long(monkeypatch):
    monkeypatch.setattr(builder, "LOSSES_CPU_S", 0.0)
    plan = solve(problem(13), big_and_small(), alternatives=0)
    asked = {"plan": plan, "time_limit_s": 10, "with_choices": False}
    with counted_from(time.monotonic() - 600):
        sheet = decision_sheet(problem(13), big_and_small(), **asked)
        fixed = decision_sheet(problem(13), big_and_small(), **asked, reproducible=True)
    assert sheet.risks.losses == ()
    said = "Left open by the time limit: what is left when a unit or a provider is lost"
    assert sheet.risks.notes[-1] == said
    assert said in " ".join(sheet_text(sheet).split())
    assert (len(fixed.risks.losses), said in fixed.risks.notes) == (2, False)
