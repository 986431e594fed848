"""The command line: every command, every exit code, both streams, and no traceback."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from milp_planner import __version__
from milp_planner.cli import entry, exit_codes, main, streams
from milp_planner.cli.authoring import example, problem_schema
from milp_planner.cli.signals import Terminated, signals_exit_at_once, sigterm_raises
from milp_planner.inputs.load import load_problem
from milp_planner.planning import planner
from milp_planner.planning.plan import Status
from milp_planner.reporting.formats import FORMATS

ROOT = Path(__file__).resolve().parents[1]
PROBLEMS = ROOT / "problems"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}

CATALOG = {
    "catalog.csv": "field,value\nname,toy\nversion,7\nextends,none\n",
    "gpus.csv": "id,vendor,memory_gib,as_of,source\n"
    "big,acme,80,2026-01-15,test\nsmall,acme,24,2026-01-15,test\n",
    "llms.csv": "id,as_of,source\ntiny,2026-01-15,test\nlonely,2026-01-15,test\n",
    "measurements.csv": "llm,gpu,precision,tensor_parallel,input_tokens,output_tokens,"
    "output_tokens_per_second,basis,as_of,source\n"
    "tiny,big,bf16,1,1,1,20,raw,2026-01-15,test\n"
    "tiny,small,bf16,1,1,1,6,raw,2026-01-15,test\n"
    "lonely,big,bf16,1,5,5,20,raw,2026-01-15,test\n",
    "offerings.csv": "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
    "acme,big,eu-1,dedicated,big,1,4,2026-01-15,test\n"
    "bolt,small,us-1,dedicated,small,1,1.5,2026-02-20,test\n",
}
"""Big: 10 requests/s for $4/h. Small: 3 requests/s for $1.50/h, in two-token requests."""

PROBLEM = """\
schema_version: 1
name: toy
catalog: toy
workloads:
  - name: chat
    llm: tiny
    traffic: {kind: requests_per_second, requests_per_second: 13}
    requests: {input_tokens: 1, output_tokens: 1}
policy: {utilization: {target: 100%}}
alternatives: {count: 1}
"""
# 13 requests/s: one big and one small, $5.50/h, $3,960 a month; next, two small and one big is
# the same plus a unit, so five small: $7.50/h, $5,400.


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the toy catalog and `toy.yaml`."""
    (tmp_path / "toy").mkdir()
    for name, content in CATALOG.items():
        (tmp_path / "toy" / name).write_text(content)
    (tmp_path / "toy.yaml").write_text(PROBLEM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    """Run a command line in-process: exit code, stdout, stderr."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run_command


def write(folder: Path, name: str, old: str, new: str) -> str:
    """`toy.yaml` with one thing changed, under another name."""
    assert old in PROBLEM
    (folder / name).write_text(PROBLEM.replace(old, new))
    return name


# ---- solve


def test_solve_prints_the_plan_and_nothing_else(run):
    code, out, err = run("solve", "toy.yaml")
    assert (code, err) == (0, "")
    assert out.startswith("Optimal plan: $3,960 per month ($58.76 per 1M tokens)      certified by")
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
    assert run("solve", "toy.yaml", "--output", "plan.csv") == (0, "", "")
    rows = list(csv.DictReader(io.StringIO((folder / "plan.csv").read_text())))
    assert [row["offering"] for row in rows] == ["acme/big/eu-1", "bolt/small/us-1"]
    assert run("solve", "toy.yaml", "-o", "plan.json")[0] == 0
    assert json.loads((folder / "plan.json").read_text())["status"] == "optimal"
    assert run("solve", "toy.yaml", "-o", "plan.txt")[0] == 0
    assert (folder / "plan.txt").read_text().startswith("Optimal plan")


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
    assert [engine["name"] for engine in found["proof"]["engines"]] == ["HiGHS"]
    assert not found["proof"]["certified"]
    assert "proven by HiGHS alone" in run("solve", "toy.yaml", "--solver", "highs")[1]


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
    genuine = planner.solve

    def pretend(**fields: Any) -> None:
        def solve(*arguments: Any, **options: Any) -> Any:
            return replace(genuine(*arguments, **options), **fields)

        monkeypatch.setattr(planner, "solve", solve)

    return pretend


def test_exit_5_is_a_missing_proof_that_was_required(run, solved_as):
    solved_as(status=Status.FEASIBLE, bound=3900.0)
    code, out, _ = run("solve", "toy.yaml")
    assert code == 0
    assert out.startswith("Best plan found: $3,960 per month")
    # (3960 - 3900) / 3960 = 1.5 %
    assert "gap 1.5 %" in out
    code, out, err = run("solve", "toy.yaml", "--require-optimal")
    assert code == exit_codes.UNPROVEN
    assert "Not proven" in err
    assert out.startswith("Best plan found")


def test_a_plan_within_the_gap_asked_for_is_proof_enough(run, solved_as):
    solved_as(status=Status.FEASIBLE, bound=3900.0)
    assert run("solve", "toy.yaml", "--require-optimal", "--gap", "2%")[0] == 0
    assert run("solve", "toy.yaml", "--require-optimal", "--gap", "1%")[0] == exit_codes.UNPROVEN


def test_exit_6_is_no_plan_without_proof(run, solved_as):
    nothing = dict.fromkeys(("cash_usd_per_month", "score_usd_per_month", "bound"))
    solved_as(status=Status.NO_PLAN, purchases=(), workloads=(), alternatives=(), **nothing)
    code, out, _ = run("solve", "toy.yaml", "--max-cost", "1")
    assert code == exit_codes.NO_PLAN
    assert out.startswith("No plan found before the solvers stopped")


def raising(error: BaseException) -> Any:
    def solve(*arguments: Any, **options: Any) -> Any:
        raise error

    return solve


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
    monkeypatch.setattr(planner, "solve", raising(error))
    assert run("solve", "toy.yaml") == (code, "", words)


def test_a_bug_gives_a_document_too(run, monkeypatch):
    monkeypatch.setattr(planner, "solve", raising(ZeroDivisionError("oops")))
    code, out, _ = run("solve", "toy.yaml", "--json")
    assert code == exit_codes.BUG
    assert json.loads(out)["error"]["exit_code"] == exit_codes.BUG


@pytest.mark.parametrize("place", ["before", "after"])
def test_debug_shows_the_traceback_wherever_it_stands(folder, capsys, monkeypatch, place):
    monkeypatch.setattr(planner, "solve", raising(ZeroDivisionError("oops")))
    words = ["solve", "toy.yaml"]
    assert main(["--debug", *words] if place == "before" else [*words, "--debug"]) == 1
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_sigterm_is_exit_143_and_the_handler_is_put_back(run, monkeypatch):
    def solve(*arguments: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()

    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(planner, "solve", solve)
    assert run("solve", "toy.yaml") == (exit_codes.TERMINATED, "", "terminated\n")
    assert signal.getsignal(signal.SIGTERM) is before


def test_while_importing_a_signal_ends_the_process_at_once(monkeypatch):
    # An exception would not do: PuLP's imports swallow any.
    left = []
    monkeypatch.setattr(os, "_exit", left.append)
    monkeypatch.setattr(os, "write", lambda *words: None)
    with sigterm_raises(), signals_exit_at_once():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
    assert left == [exit_codes.TERMINATED, exit_codes.INTERRUPTED]


def test_an_ignored_signal_stays_ignored():
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        with sigterm_raises():
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


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["solve"], "Missing argument 'FILE'"),
        (["solve", "toy.yaml", "--foo"], "No such option: --foo"),
        (["slove"], "No such command 'slove'"),
        (["solve", "toy.yaml", "--time-limit", "0"], "must be greater than 0s (is 0)"),
        (["solve", "toy.yaml", "--time-limit", "soon"], "not"),
        (["solve", "toy.yaml", "--gap", "2"], "must be from 0 to 1, or 0% to 100% (is 2)"),
        (["solve", "toy.yaml", "--alternatives", "-1"], "from 0 to 100 (is -1)"),
        (["solve", "toy.yaml", "--differ-by", "x"], "'counts', 'offerings', 'providers', 'gpus'"),
        (["solve", "toy.yaml", "--solver", "x"], "'both', 'cbc', 'highs'"),
        (["solve", "toy.yaml", "--max-cost", "-5"], "must be greater than 0 (is -5)"),
        (["solve", "toy.yaml", "--max-price-age", "60"], "a time needs a unit: write '60d'"),
        (["solve", "toy.yaml", "--as-of", "soon"], "'soon' is not a date"),
        (["solve", "toy.yaml", "--format", "xml"], "'xml' is not one of text, json, csv"),
        (["solve", "toy.yaml", "--json", "-f", "csv"], "--json and --format csv contradict"),
        (["options", "toy.yaml", "--workload", "chatt"], "did you mean 'chat'?"),
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
    code, out, _ = run("solve", "--json")
    assert code == exit_codes.INPUT
    assert "Missing argument" in json.loads(out)["error"]["message"]


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


def test_no_command_is_the_help_on_stderr(run):
    code, out, err = run()
    assert (code, out) == (exit_codes.INPUT, "")
    assert err.startswith("Usage: milp-planner")


def test_names_on_stderr_cannot_steer_a_terminal(run):
    code, _, err = run("solve", "x\x1b[31m.yaml")
    assert code == exit_codes.INPUT
    assert "x\\x1b[31m.yaml: file not found" in err
    assert "\x1b" not in err


# ---- output


def test_output_never_overwrites_the_problem(run, folder):
    code, out, err = run("solve", "toy.yaml", "--output", "./toy.yaml")
    assert (code, out) == (exit_codes.INPUT, "")
    assert err == "--output toy.yaml: is the input file; give another name\n"
    assert (folder / "toy.yaml").read_text() == PROBLEM


@pytest.mark.parametrize(
    ("output", "words"), [("toy", "is a directory"), ("no/plan.json", "there is no directory no")]
)
def test_an_output_that_cannot_be_is_refused_before_solving(run, monkeypatch, output, words):
    monkeypatch.setattr(planner, "solve", raising(AssertionError("not reached")))
    code, _, err = run("solve", "toy.yaml", "--output", output)
    assert code == exit_codes.INPUT
    assert words in err


def test_output_is_all_or_nothing(folder, monkeypatch):
    target = folder / "plan.json"
    target.write_text("old")

    def replace_fails(*paths: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", replace_fails)
    with pytest.raises(KeyboardInterrupt):
        streams.write_file(target, "new")
    assert target.read_text() == "old"
    assert sorted(path.name for path in folder.iterdir()) == ["plan.json", "toy", "toy.yaml"]


def test_output_keeps_permissions_and_links(folder):
    target, link = folder / "plan.json", folder / "link.json"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    streams.write_file(link, "new")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_device_is_written_to_and_not_replaced(run):
    assert run("solve", "toy.yaml", "--output", os.devnull)[0] == 0
    assert stat.S_ISCHR(os.stat(os.devnull).st_mode)


def test_warnings_are_few_different_and_can_be_silenced(capsys):
    streams.warn([*"aabcdefgh"], quiet=False)
    lines = capsys.readouterr().err.splitlines()
    assert lines[:2] == ["warning: a", "warning: b"]
    assert lines[5:] == ["and 3 more warnings; --json gives them all"]
    streams.warn(["a"], quiet=True)
    assert capsys.readouterr().err == ""


class Stream(io.StringIO):
    """A stand-in for a stream that a person looks at."""

    def isatty(self) -> bool:
        return True


def test_the_headline_is_bold_on_a_terminal_only(monkeypatch):
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    shown, piped = Stream(), io.StringIO()
    for stream in (shown, piped):
        monkeypatch.setattr(sys, "stdout", stream)
        streams.answer_report("Optimal\nrest\n")
    assert shown.getvalue() == "\x1b[1mOptimal\x1b[0m\nrest\n"
    assert piped.getvalue() == "Optimal\nrest\n"


def test_no_color_is_honoured(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    shown = Stream()
    monkeypatch.setattr(sys, "stdout", shown)
    streams.answer_report("Optimal\nrest\n")
    assert shown.getvalue() == "Optimal\nrest\n"


def test_a_stream_that_knows_only_ascii_gets_escapes(monkeypatch):
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    streams.answer("2 × 72 GiB\n")
    sys.stdout.flush()
    assert raw.getvalue() == b"2 \\xd7 72 GiB\n"


# ---- whole processes: what only a process can show


def start(folder: Path, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "milp_planner", *arguments]
    return subprocess.Popen(command, cwd=folder, env=ENVIRONMENT, stderr=subprocess.PIPE, **options)


def test_a_reader_that_goes_away_is_exit_141_and_silence(folder):
    process = start(folder, "catalog", "list", "offerings", stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.close()
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (exit_codes.READER_GONE, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full disk to write to")
def test_a_full_disk_is_said_without_a_traceback(folder):
    with open("/dev/full", "wb") as full:
        process = start(folder, "schema", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == exit_codes.INPUT
    assert err == b"the output cannot be written: No space left on device\n"


# ---- check and options


def test_check_summarises_without_solving(run, folder, monkeypatch):
    monkeypatch.setattr(planner, "solve", raising(AssertionError("not reached")))
    file = write(folder, "limited.yaml", "policy:", "limits: {regions: {allow: [eu-*]}}\npolicy:")
    code, out, err = run("check", file)
    assert (code, err) == (0, "")
    assert out.startswith("toy: the problem is in order\n")
    assert re.search(r"chat +tiny +1 +13\.0 req/s +67\.4 M +1 +1\n", out)
    assert "  limits.regions.allow  eu-*\n" in out
    assert "Catalog toy 7" in out
    assert "2 offerings of 2 providers" in out


def test_check_as_json_gives_figures(run):
    found = json.loads(run("check", "toy.yaml", "--json")[1])
    assert found["valid"] is True
    assert found["blocks"] == [{"name": "active", "hours": 720.0}]
    [chat] = found["workloads"]
    assert (chat["peak_per_second"], chat["candidates"], chat["turned_down"]) == (13.0, 2, 0)
    assert chat["tokens_per_month"] == 13 * 2 * 720 * 3600
    assert found["limits"] == {}


def test_check_of_a_workload_that_nothing_serves_is_exit_3(run, folder):
    file = write(folder, "lonely.yaml", "llm: tiny", "llm: lonely")
    code, _, err = run("check", file)
    assert code == exit_codes.INFEASIBLE
    assert "nothing that is allowed can serve workload 'chat'" in err
    assert run("solve", file)[0] == exit_codes.INFEASIBLE


def test_options_sorts_candidates_by_price_of_capacity(run):
    # Big: 4 x 720 / 10 = $288 per request/s; small: 1.5 x 720 / 3 = $360.
    code, out, _ = run("options", "toy.yaml")
    assert code == 0
    rows = [line.split() for line in out.splitlines() if "/eu-1" in line or "/us-1" in line]
    assert rows == [
        ["acme/big/eu-1", "dedicated", "1", "raw", "1", "10.0", "4.0", "288", "-", "raw"],
        ["bolt/small/us-1", "dedicated", "1", "raw", "1", "3.00", "1.5", "360", "-", "raw"],
    ]


def test_options_gives_every_offering_turned_down_its_reason(run, folder):
    file = write(folder, "denied.yaml", "policy:", "limits: {gpus: {deny: [small]}}\npolicy:")
    _, out, _ = run("options", file, "--all")
    assert "chat  tiny: 1 candidate, 1 offering turned down" in out
    assert "… is denied by limits.gpus.deny" in out
    assert "bolt/small/us-1  dedicated  small is denied by limits.gpus.deny (small)" in out
    [chat] = json.loads(run("options", file, "--json")[1])["workloads"]
    assert chat["turned_down"]["offerings"] == [
        {
            "offering": "bolt/small/us-1",
            "billing": "dedicated",
            "reason": "small is denied by limits.gpus.deny (small)",
        }
    ]
    assert [k["usd_per_request_per_second_month"] for k in chat["candidates"]] == [288.0]


def test_options_of_one_workload(run):
    assert run("options", "toy.yaml", "--workload", "chat")[0] == 0


# ---- init and schema


def test_init_writes_an_example_that_is_in_order_and_never_overwrites(run, folder):
    code, out, err = run("init")
    assert (code, out) == (0, "")
    assert err == "wrote problem.yaml; next: milp-planner solve problem.yaml\n"
    assert load_problem("problem.yaml").name == "example"
    assert run("check", "problem.yaml", "--quiet")[0] == 0
    (folder / "problem.yaml").write_text("mine")
    code, _, err = run("init")
    assert (code, err) == (exit_codes.INPUT, "problem.yaml: exists already; give another name\n")
    assert (folder / "problem.yaml").read_text() == "mine"


def test_init_to_standard_output(run, folder):
    assert run("init", "-") == (0, example(), "")
    assert not (folder / "problem.yaml").exists()


def test_every_commented_line_of_the_example_is_valid_too():
    # Prose starts with a capital letter, a key that is commented out with a small one or a dash.
    text = re.sub(r"(?m)^( *)# (?![A-Z])", r"\1", example())
    text = re.sub(r"(?m)^ *pattern: steady.*\n", "", text)  # the other pattern follows it
    problem = load_problem("all.yaml", text=text)
    assert [w.name for w in problem.workloads] == ["chat", "classify"]
    assert problem.workloads[0].min_replicas == 2
    assert problem.limits.budget is not None
    assert problem.limits.budget.usd_per_month == 20_000
    assert problem.solver.time_limit_s == 60


def test_schema_is_a_draft_2020_12_schema(run):
    code, out, _ = run("schema")
    assert code == 0
    found = json.loads(out)
    assert found["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert found["required"] == ["schema_version", "workloads"]
    Draft202012Validator.check_schema(found)


@pytest.mark.parametrize(
    "path", sorted(PROBLEMS.rglob("*.yaml")), ids=lambda p: str(p.relative_to(PROBLEMS))
)
def test_every_shipped_problem_keeps_to_the_schema(path):
    faults = Draft202012Validator(problem_schema()).iter_errors(yaml.safe_load(path.read_text()))
    assert [fault.message for fault in faults] == []


def test_the_schema_refuses_what_the_planner_refuses():
    validator = Draft202012Validator(problem_schema())
    good = yaml.safe_load(PROBLEM)
    assert validator.is_valid(good)
    assert not validator.is_valid({**good, "limit": {}})
    assert not validator.is_valid({k: v for k, v in good.items() if k != "schema_version"})
    assert not validator.is_valid({**good, "workloads": []})


# ---- catalog


def test_catalog_list_counts_what_there_is(run):
    found = json.loads(run("catalog", "list", "--catalog", "toy", "--json")[1])
    assert (found["catalog"], found["version"]) == ("toy", "7")
    assert (found["gpus"], found["llms"], found["offerings"], found["providers"]) == (2, 2, 2, 2)
    assert (found["oldest_price"], found["newest_price"]) == ("2026-01-15", "2026-02-20")


@pytest.mark.parametrize(
    ("kind", "first"),
    [("llms", "lonely"), ("gpus", "big"), ("offerings", "acme/big/eu-1"), ("providers", "acme")],
)
def test_catalog_list_shows_every_record(run, kind, first):
    code, out, _ = run("catalog", "list", kind, "--catalog", "toy")
    assert code == 0
    assert out.splitlines()[1].split()[0] == first
    assert len(json.loads(run("catalog", "list", kind, "--catalog", "toy", "--json")[1])) == 2


def test_catalog_show_knows_gpus_llms_and_offerings(run):
    _, out, _ = run("catalog", "show", "big", "--catalog", "toy")
    assert out.startswith("GPU big\n")
    assert "acme/big/eu-1" in out
    _, out, _ = run("catalog", "show", "tiny", "--catalog", "toy")
    assert out.startswith("LLM tiny\n")
    assert re.search(r"^ +big +bf16 +1 +1 +20", out, re.MULTILINE)
    found = json.loads(run("catalog", "show", "bolt/small/us-1", "--catalog", "toy", "--json")[1])
    assert [row["usd_per_hour"] for row in found["billings"]] == [1.5]


def test_catalog_check_finds_faults_with_their_line(run, folder):
    code, out, _ = run("catalog", "check", "toy")
    assert code == 0
    assert out.startswith("toy: the catalog is in order\n")
    offerings = folder / "toy" / "offerings.csv"
    offerings.write_text(CATALOG["offerings.csv"].replace(",1.5,", ",-1.5,"))
    code, out, err = run("catalog", "check", "toy")
    assert (code, out) == (exit_codes.INPUT, "")
    assert "toy/offerings.csv:3: usd_per_hour: must be greater than 0" in err


# ---- the rest


def test_the_version_is_the_packages_own(run):
    assert run("--version") == (0, f"milp-planner {__version__}\n", "")


def test_every_command_has_help(run):
    listed = re.findall(r"^  (\w+)  +\w", run("--help")[1].split("Commands:")[1], re.MULTILINE)
    assert listed == ["solve", "check", "options", "init", "schema", "catalog"]
    for command in (*listed, "catalog list", "catalog show", "catalog check"):
        code, out, _ = run(*command.split(), "--help")
        assert code == 0
        assert "Usage: milp-planner" in out


def test_help_imports_nothing_heavy():
    script = (
        "import sys; from milp_planner.cli import main; main(['--help']); "
        "print(sorted({'pandas', 'pulp', 'highspy', 'pydantic', 'yaml', 'numpy', 'rich'}"
        " & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.stdout.endswith("[]\n")
