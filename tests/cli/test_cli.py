"""The command line: every command, every exit code, both streams, and no traceback."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import sys
from dataclasses import replace
from typing import Any

import pytest

from milp_planner import Status
from milp_planner.cli import entry, main
from milp_planner.cli.parts import exit_codes
from milp_planner.cli.parts.signals import Terminated, signals_exit_at_once, signals_raise
from milp_planner.questions import solve as planner
from milp_planner.questions.sheet import builder as sheets
from milp_planner.reporting.formats import FORMATS
from tests.support.toy import CATALOG, PROBLEM, raising, write

pytest_plugins = ["tests.support.toy_cli"]


# ---- solve


def test_solve_prints_the_plan_and_nothing_else(run):
    code, out, err = run("solve", "toy.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("Optimal plan: $3,960 per month ($58.76 per 1M tokens)\ncertified by CBC")
    assert "What else there is" in out
    assert "1 x big" in out
    assert "1 x small" in out
    assert "Catalog toy 7" in out


def test_json_is_one_document_on_stdout(run):
    code, out, err = run("solve", "toy.yaml", "--json")
    found = json.loads(out)
    assert (code, err) == (0, "")
    assert found["cash_usd_per_month"] == 3960
    assert [(p["offering"], p["units"]) for p in found["purchases"]] == [
        ("acme/big/eu-1", 1),
        ("bolt/small/us-1", 1),
    ]


@pytest.mark.parametrize("name", list(FORMATS))
def test_every_format_is_reproducible_and_named_in_the_help(run, name):
    first = run("solve", "toy.yaml", "--format", name, "--reproducible")
    assert first == run("solve", "toy.yaml", "-f", name, "--reproducible")
    assert first[0] == 0
    assert name in run("solve", "--help")[1]


def test_the_output_file_decides_the_format(run, folder):
    assert run("solve", "toy.yaml", "--output", "plan.csv") == (0, "", "wrote plan.csv\n")
    rows = list(csv.DictReader(io.StringIO((folder / "plan.csv").read_text())))
    assert [row["offering"] for row in rows] == ["acme/big/eu-1", "bolt/small/us-1"]
    assert run("solve", "toy.yaml", "-o", "plan.json")[0] == 0
    assert json.loads((folder / "plan.json").read_text())["status"] == "optimal"
    assert run("solve", "toy.yaml", "-o", "plan.txt", "--reproducible")[0] == 0
    assert (folder / "plan.txt").read_text() == run("solve", "toy.yaml", "--reproducible")[1]
    assert run("solve", "toy.yaml", "-o", "plan.txt", "--range", "--quiet") == (0, "", "")
    assert "p50" in (folder / "plan.txt").read_text()
    assert run("solve", "toy.yaml", "-o", "plan.MD")[2].endswith("wrote plan.MD\n")
    assert (folder / "plan.MD").read_text().startswith("### toy: Optimal plan")


@pytest.mark.parametrize(
    ("output", "ending"), [("plan.pdf", "the ending .pdf is not known"), ("plan", "has no ending")]
)
def test_an_ending_that_names_no_format_is_refused_before_solving(run, folder, output, ending):
    code, out, err = run("solve", "toy.yaml", "-o", output)
    endings = ".html, .htm, .md, .json, .csv, .txt"
    expected = f"--output {output}: {ending}; give one of {endings}, or say --format\n"
    assert (code, out, err) == (2, "", expected)
    assert not (folder / output).exists()
    assert run("solve", "toy.yaml", "-o", output, "--json")[0] == 0
    assert json.loads((folder / output).read_text())["status"] == "optimal"
    code, _, err = run("what-if", "toy.yaml", "--traffic", "1", "-o", "rows.md")
    assert (code, "give one of .json, .csv, .txt" in err) == (2, True)


@pytest.mark.parametrize("name", ["no.json", "no.md", "no.txt", "no.csv"])
def test_what_says_why_there_is_no_plan_is_named(run, folder, name):
    (folder / "none.yaml").write_text(f"{PROBLEM}\nlimits: {{max_gpus: {{total: 1}}}}\n")
    code, out, err = run("solve", "none.yaml", "-o", name)
    assert (code, out) == (3, "")
    assert err.endswith(f"wrote {name}, which says why there is no plan\n")
    assert (folder / name).exists()


def test_the_problem_may_come_from_standard_input(run, monkeypatch):
    stdin = io.TextIOWrapper(io.BytesIO(PROBLEM.encode()), encoding="utf-8")
    monkeypatch.setattr(sys, "stdin", stdin)
    code, out, _ = run("solve", "-", "--json")
    assert code == 0
    assert json.loads(out)["cash_usd_per_month"] == 3960


def test_a_catalog_folder_is_relative_to_the_problem(run, folder, monkeypatch):
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    assert run("solve", "../toy.yaml", "--quiet")[0] == 0


def test_options_override_the_file(run):
    found = json.loads(run("solve", "toy.yaml", "--json", "--alternatives", "0")[1])
    assert found["alternatives"] == []
    found = json.loads(run("solve", "toy.yaml", "--json", "--gap", "1%", "--time-limit", "9")[1])
    assert found["provenance"]["gap_asked"] == 0.01
    assert found["provenance"]["time_limit_s"] == 9
    options = ("--alternatives", "5", "--differ-by", "providers", "--per-workload")
    found = json.loads(run("solve", "toy.yaml", "--json", *options)[1])
    # With two providers there are three sets: both, acme alone and bolt alone.
    assert [a["cash_usd_per_month"] for a in found["alternatives"]] == [5400, 5760]


def test_one_solver_alone_says_so(run):
    found = json.loads(run("solve", "toy.yaml", "--json", "--solver", "highs")[1])
    assert [engine["name"] for engine in found["proof"]["engines"]] == [
        "HiGHS"
    ] * 2  # in other units, too
    assert not found["proof"]["certified"]
    assert "\noptimal by HiGHS alone, gap 0 %" in run("solve", "toy.yaml", "--solver", "highs")[1]
    plain = run("solve", "toy.yaml", "--solver", "highs", "--format", "text")[1]
    assert "optimal by HiGHS alone" in plain


def test_an_overlay_replaces_a_price(run, folder):
    (folder / "mine").mkdir()
    offerings = CATALOG["offerings.csv"].replace("big,1,4,", "big,1,2,").splitlines(True)[:2]
    (folder / "mine" / "offerings.csv").write_text("".join(offerings))
    found = json.loads(run("solve", "toy.yaml", "--json", "--overlay", "mine")[1])
    # One big at $2 and one small at $1.50 cost $3.50/h.
    assert found["cash_usd_per_month"] == 3.5 * 720
    assert found["provenance"]["catalog"]["overrides"] == 1


# ---- exit codes


def test_exit_3_is_proven_infeasible_with_reasons(run, folder):
    file = write(folder, "poor.yaml", "policy:", "limits: {budget: {usd_per_month: 100}}\npolicy:")
    code, out, err = run("solve", file)
    assert (code, err) == (exit_codes.INFEASIBLE, "")
    assert out.startswith("No plan: the cheapest plan costs $3,960")
    code, out, _ = run("solve", file, "--json")
    assert code == exit_codes.INFEASIBLE
    assert json.loads(out)["status"] == "infeasible"


def test_exit_4_is_a_cost_above_the_limit(run):
    code, out, err = run("solve", "toy.yaml", "--json", "--max-cost", "3000")
    assert code == exit_codes.GATE
    message = (
        "Over the limit: the cheapest plan costs $3,960 per month, $960 above --max-cost 3000."
    )
    assert err == f"{message}\n"
    assert json.loads(out)["failed_gates"] == [message]
    assert run("solve", "toy.yaml", "--max-cost", "3960")[0] == 0


def test_exit_4_is_a_price_too_old(run):
    # On 1 March the price of big is 45 days old and that of small 9.
    options = ("--as-of", "2026-03-01", "--max-price-age")
    code, _, err = run("solve", "toy.yaml", *options, "44d")
    assert code == exit_codes.GATE
    assert err == (
        "Old prices: prices of 1 used offering are up to 45 days old (limit 44): acme/big/eu-1\n"
    )
    assert run("solve", "toy.yaml", *options, "45d")[0] == 0


def test_exit_4_is_an_estimate_where_measurements_are_asked_for(run):
    code, _, err = run("solve", "toy.yaml", "--fail-on-estimates")
    assert code == exit_codes.GATE
    assert err == "Estimates: 2 of 2 throughput rows used are not measured (raw).\n"


@pytest.fixture
def solved_as(monkeypatch):
    """Make `solve` give the toy's plan with other fields."""
    genuine = sheets.solve_until

    def pretend(**fields: Any) -> None:
        def solve(*arguments: Any, **options: Any) -> Any:
            return replace(genuine(*arguments, **options), **fields)

        monkeypatch.setattr(sheets, "solve_until", solve)

    return pretend


def test_exit_5_is_a_missing_proof_that_was_required(run, solved_as):
    solved_as(status=Status.FEASIBLE, lower_bound_usd_per_month=3900.0)
    code, out, _ = run("solve", "toy.yaml")
    assert code == 0
    assert out.startswith("Best plan found: $3,960 per month")
    # (3960 - 3900) / 3960 = 1.5 %
    assert "gap 1.5 %" in out
    code, out, err = run("solve", "toy.yaml", "--require-optimal")
    assert code == exit_codes.UNPROVEN
    assert "Not proven" in err
    assert out.startswith("Best plan found")


@pytest.mark.slow
def test_a_plan_within_the_gap_asked_for_is_proof_enough(run, solved_as):
    solved_as(status=Status.FEASIBLE, lower_bound_usd_per_month=3900.0)
    assert run("solve", "toy.yaml", "--require-optimal", "--gap", "2%")[0] == 0
    assert run("solve", "toy.yaml", "--require-optimal", "--gap", "1%")[0] == exit_codes.UNPROVEN


def test_exit_6_is_no_plan_without_proof(run, solved_as):
    nothing = dict.fromkeys(
        ("cash_usd_per_month", "score_usd_per_month", "lower_bound_usd_per_month")
    )
    solved_as(status=Status.NO_PLAN, purchases=(), workloads=(), alternatives=(), **nothing)
    code, out, _ = run("solve", "toy.yaml", "--max-cost", "1")
    assert code == exit_codes.NO_PLAN
    assert out.startswith("No plan found before the solvers stopped")


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (KeyboardInterrupt(), exit_codes.INTERRUPTED, "interrupted\n"),
        (Terminated(), exit_codes.TERMINATED, "terminated\n"),
        (
            ZeroDivisionError("division\nby zero"),
            exit_codes.BUG,
            "this is a bug in milp-planner: ZeroDivisionError: division by zero\n"
            "  hint: --debug shows where\n",
        ),
    ],
)
def test_whatever_is_raised_becomes_one_exit_code(run, monkeypatch, error, code, words):
    monkeypatch.setattr(sheets, "solve_until", raising(error))
    assert run("solve", "toy.yaml") == (code, "", words)


def test_a_bug_gives_a_document_too(run, monkeypatch):
    monkeypatch.setattr(planner, "solve", raising(ZeroDivisionError("oops")))
    code, out, _ = run("solve", "toy.yaml", "--json")
    assert code == exit_codes.BUG
    assert json.loads(out)["error"]["exit_code"] == exit_codes.BUG


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback_wherever_it_stands(folder, capsys, monkeypatch, place):
    monkeypatch.setattr(sheets, "solve_until", raising(ZeroDivisionError("oops")))
    words = ["solve", "toy.yaml"]
    assert main(["--debug", *words] if place == "before" else [*words, "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_sigterm_is_exit_143_and_the_handler_is_put_back(run, monkeypatch):
    def solve(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sheets, "solve_until", solve)
    assert run("solve", "toy.yaml") == (exit_codes.TERMINATED, "", "terminated\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_while_importing_a_signal_ends_the_process_at_once(monkeypatch):
    # An exception would not do: PuLP's imports swallow any.
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(os, "write", lambda *words: None)
    with signals_raise(), signals_exit_at_once():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert left == [exit_codes.TERMINATED, exit_codes.INTERRUPTED]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with signals_raise():
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)


def test_every_exit_code_is_explained_in_the_help(run):
    code, out, _ = run("--help")
    assert code == 0
    for number in (0, 1, 2, 3, 4, 5, 6, 130, 141, 143):
        assert re.search(rf"^ +{number}  \w", out, re.MULTILINE), number


# ---- input errors


def test_faults_go_to_stderr_and_into_the_document(run, folder):
    file = write(folder, "bad.yaml", "llm: tiny", "llm: tinny")
    code, out, err = run("solve", file, "--json")
    assert code == exit_codes.INPUT
    [fault] = json.loads(out)["error"]["faults"]
    assert fault["path"] == "workloads[0].llm"
    assert "did you mean 'tiny'" in fault["message"]
    assert "workloads[0].llm: 'tinny' is not in the catalog 'toy'" in err
    assert run("solve", file)[:2] == (exit_codes.INPUT, "")


def test_a_file_that_is_not_there_is_named_with_its_neighbour(run):
    code, out, err = run("check", "toy.yml")
    assert (code, out) == (exit_codes.INPUT, "")
    assert err == "toy.yml: file not found\n  hint: did you mean toy.yaml?\n"


def test_a_check_tells_settings_that_change_no_plan(run, folder):
    said = (
        "policy.routing: per_offering changes a replay's router only: no wish for a wait or for "
        "whole requests has queues judged"
    )
    write(folder, "own.yaml", "policy: {", "policy: {routing: per_offering, ")
    code, out, err = run("check", "own.yaml")
    assert (code, err) == (exit_codes.FOUND, f"warning: {said}\n")
    assert json.loads(run("check", "own.yaml", "--json")[1])["warnings"] == [said]
    assert run("check", "own.yaml", "--quiet") == (code, out, "")
    assert said not in run("check", "toy.yaml")[2]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check"], "Missing "),
        (["check", "toy.yaml", "-"], "Got unexpected extra argument(s) (-)"),
        (["solve", "toy.yaml", "--foo"], "No such option"),
        (["slove"], "No such command 'slove'"),
        (["solve", "toy.yaml", "--time-limit", "0"], "must be greater than 0s (is 0)"),
        (["solve", "toy.yaml", "--time-limit", "soon"], "not"),
        (["solve", "toy.yaml", "--gap", "2"], "must be from 0 to 1, or 0% to 100% (is 2)"),
        (["solve", "toy.yaml", "--alternatives", "-1"], "from 0 to 200 (is -1)"),
        (["solve", "toy.yaml", "--differ-by", "x"], "'counts', 'offerings', 'providers', 'gpus'"),
        (["solve", "toy.yaml", "--solver", "x"], "'both', 'cbc', 'highs'"),
        (["solve", "toy.yaml", "--max-cost", "-5"], "must be greater than 0 (is -5)"),
        (["solve", "toy.yaml", "--max-price-age", "60"], "a time needs a unit: write '60d'"),
        (["solve", "toy.yaml", "--as-of", "soon"], "'soon' is not a date"),
        (["solve", "toy.yaml", "--format", "xml"], "'xml' is not one of text, json, csv"),
        (["solve", "toy.yaml", "--json", "-f", "csv"], "--json and --format csv contradict"),
        (["candidates", "toy.yaml", "--workload", "chatt"], "did you mean 'chat'?"),
        (["catalog", "list", "cars"], "'llms', 'gpus', 'offerings', 'providers'"),
        (["catalog", "show", "bigg", "--catalog", "toy"], "did you mean 'big'?"),
    ],
)
def test_a_wrong_command_line_is_exit_2_and_says_what_is_allowed(run, arguments, words):
    code, out, err = run(*arguments)
    assert code == exit_codes.INPUT
    assert words in err
    if "--json" in arguments:
        assert json.loads(out)["error"]["exit_code"] == exit_codes.INPUT
    else:
        assert out == ""


def test_a_usage_error_with_json_is_a_document_too(run):
    code, out, _ = run("check", "--json")
    assert code == exit_codes.INPUT
    assert "Missing " in json.loads(out)["error"]["message"]


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        (["solve", "x", "--json"], True),
        (["solve", "x", "-f", "json"], True),
        (["solve", "x", "--format=json"], True),
        (["solve", "x", "--format", "csv"], False),
        (["solve", "json"], False),
    ],
)
def test_json_is_recognised_without_a_parser(arguments, wanted):
    assert entry.wants_json(arguments) is wanted


@pytest.mark.parametrize("command", [(), ("catalog",)])
def test_no_command_is_the_help_on_stderr(run, command):
    code, out, err = run(*command)
    assert (code, out) == (exit_codes.INPUT, "")
    assert err.startswith(" ".join(["Usage: milp-planner", *command]))


def test_names_on_stderr_cannot_steer_a_terminal(run):
    code, _, err = run("solve", "x\x1b[31m.yaml")
    assert code == exit_codes.INPUT
    assert "x\\x1b[31m.yaml: file not found" in err
    assert "\x1b" not in err
