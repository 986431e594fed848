"""What a user reads of a wrong command line, stream or Python call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy
import pytest

from milp_planner.cli.commands import authoring
from milp_planner.cli.parts import exit_codes
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.owned import owned_usd_per_hour
from milp_planner.inputs.problem.load import load_problem
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.traffic import RequestSize, RequestsPerSecond
from milp_planner.inputs.reading.arguments import check_number
from milp_planner.plans.measure_next import measure_next
from milp_planner.questions import solve as planner
from milp_planner.questions.confidence import confidence_range
from milp_planner.questions.deployments.calibrate import calibrate
from milp_planner.questions.deployments.estimate import estimate
from milp_planner.questions.evaluate import evaluate
from milp_planner.questions.reasons.explain import explain
from milp_planner.questions.reasons.limit_costs import explain_limits
from milp_planner.questions.solve import diagnose
from milp_planner.questions.sweeps.frontier import budget_frontier
from milp_planner.questions.sweeps.scenarios import Scenario, load_scenarios, scenario_grid
from milp_planner.questions.sweeps.what_if import what_if
from milp_planner.solving.checks.arguments import check_settings
from milp_planner.solving.prepare import prepare
from tests.support import builders
from tests.support.toy import ENVIRONMENT

pytest_plugins = ["tests.support.refusing"]


# ---- pipes, devices, rights


def test_a_pipe_that_nobody_writes_to_is_not_waited_for(run, folder):
    os.mkfifo(folder / "pipe")
    expected = "pipe: is a named pipe\n  hint: give it as standard input: - < pipe\n"
    assert run("check", "pipe") == (exit_codes.INPUT, "", expected)
    code, _, err = run("solve", "toy.yaml", "--output", "pipe")
    assert (code, err) == (exit_codes.INPUT, "--output pipe: is a pipe that nobody reads\n")
    (folder / "mine").mkdir()
    os.mkfifo(folder / "mine" / "offerings.csv")
    code, _, err = run("check", "toy.yaml", "--overlay", "mine")
    assert code == exit_codes.INPUT
    assert err == "mine/offerings.csv: is not a file; a catalog is a folder of CSV files\n"
    assert run("catalog", "check", "mine")[2] == err


def test_devices_are_read_no_further_than_a_file(run):
    assert "file is empty" in run("check", "/dev/null")[2]
    if Path("/dev/zero").exists():
        assert run("check", "/dev/zero")[2] == "/dev/zero: file is larger than 5 MB\n"


@pytest.fixture
def without_rights(run, folder, monkeypatch):
    """A folder that may not be written to; for root, as somebody whom permissions bind."""
    run("solve", "toy.yaml")  # imports all that there is to import, which may be closed to others
    example = authoring.example()  # and so may be the file it is read from
    monkeypatch.setattr(authoring, "example", lambda: example)
    with tempfile.TemporaryDirectory() as closed:
        shutil.copytree(folder, closed, dirs_exist_ok=True)
        monkeypatch.chdir(closed)
        os.chmod(closed, 0o555)
        is_root = os.getuid() == 0
        if is_root:
            os.setresgid(65534, 65534, 0)
            os.setresuid(65534, 65534, 0)
        try:
            yield Path(closed)
        finally:
            if is_root:
                os.setresuid(0, 0, 0)
                os.setresgid(0, 0, 0)
            os.chmod(closed, 0o755)


def test_where_nothing_may_be_written_is_told_before_solving(run, without_rights):
    expected = "--output plan.json: its directory may not be written to\n"
    assert run("solve", "toy.yaml", "-o", "plan.json") == (exit_codes.INPUT, "", expected)
    expected = "new.yaml: cannot be written: Permission denied\n"
    assert run("init", "new.yaml") == (exit_codes.INPUT, "", expected)


def test_a_file_that_may_not_be_read_is_told(run, folder, monkeypatch):
    def forbidden(*_args: object, **_kwargs: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    assert run("check", "toy.yaml")[2] == "toy.yaml: permission denied\n"


# ---- flags


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--time-limit", "0"), "must be greater than 0s (is 0)"),
        (("--time-limit", "-5s"), "must be greater than 0s (is -5s)"),
        (("--time-limit", "1e400"), "'1e400' is too large"),
        (("--time-limit", "nan"), "'nan' is not a time"),
        (("--gap", "2"), "must be from 0 to 1, or 0% to 100% (is 2)"),
        (("--gap", "nan"), "'nan' is not a share; write 60% or 0.6"),
        (("--alternatives", "-1"), "must be a whole number from 0 to 100 (is -1)"),
        (("--alternatives", "\u0661"), "must be a whole number from 0 to 100 (is \u0661)"),
        (("--alternatives", "9" * 5000), "must be a whole number from 0 to 100 (is 999"),
        (("--max-cost", "$"), "'$' is not a number"),
        (("--max-price-age", "60.5"), "a time needs a unit: write '60.5d'"),
        (("--as-of", "20260801"), "'20260801' is not a date; write 2026-08-31"),
        (("--as-of", "2026-02-30"), "'2026-02-30' is not a date; write 2026-08-31"),
        (("--format", "xml"), "'xml' is not one of text, json, csv"),
        (("--nope",), "No such option: --nope"),
        (("toy.yaml",), "Got unexpected extra argument(s) (toy.yaml)"),
        (("-",), "Got unexpected extra argument(s) (-)"),
        (("--json=1",), "'--json' does not take a value"),
    ],
    ids=lambda value: " ".join(value)[:24] if isinstance(value, tuple) else "",
)
def test_a_flag_out_of_range_names_the_range(run, arguments, words):
    code, out, err = run("solve", "toy.yaml", *arguments)
    assert (code, out) == (exit_codes.INPUT, "")
    assert words in err
    assert err.endswith("--help\n")
    code, out, _ = run("solve", "toy.yaml", *arguments, "--json")
    assert code == exit_codes.INPUT
    said = json.loads(out)["error"]["message"]
    assert words in said or "--json and --format xml contradict each other" in said


def test_a_number_of_jobs_out_of_range_names_the_range(run):
    for given in ("0", "65", "x"):
        code, out, err = run("what-if", "toy.yaml", "--traffic", "1", "--jobs", given)
        assert (code, out) == (exit_codes.INPUT, "")
        assert f"'--jobs': must be a whole number from 1 to 64 (is {given})\n" in err


ESTIMATE = (
    "estimate",
    "--llm",
    "tiny",
    "--gpu",
    "big",
    "--input",
    "1",
    "--output",
    "1",
    "--catalog",
    "toy",
)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((*ESTIMATE, "--tp", "0"), "--tp: must be greater than 0 (is 0)"),
        (
            (*ESTIMATE, "--concurrency", "x"),
            "--concurrency: 'x' is not a number; write 1000, 1_000 or 1k",
        ),
        ((*ESTIMATE, "--llm", ""), "--llm: must not be empty"),
        ((*ESTIMATE, "--catalog", ""), "--catalog: must not be empty"),
        ((*ESTIMATE, "--overlay", "toi"), "--overlay toi: there is no such folder"),
        (("calibrate", "own.csv", "--tp", "2,4"), "--tp: one number, that of the replica (is 2,4)"),
        (("calibrate", "toy"), "toy: is a directory; give a file\n"),
        (("calibrate", "empty.yaml"), "empty.yaml: file is empty\n"),
        (("calibrate", "list.yaml"), "list.yaml:1:1: expected keys such as 'measurements:', found"),
        (
            ("what-if", "toy.yaml", "--scenario", "list.yaml"),
            "list.yaml:1:1: expected keys such as 'scenarios:', found a list\n",
        ),
        (("import",), "Missing argument 'peer'. Choose from: melange, aibrix\n"),
        (
            ("evaluate", "toy.yaml", "--fleet", "acme/big/eu-1=1.5"),
            "fleet: acme/big/eu-1: units are whole numbers from 0 to 1,000,000 (is 1.5)\n",
        ),
        (
            ("evaluate", "toy.yaml", "--fleet", f"acme/big/eu-1={'9' * 400}"),
            "units are whole numbers from 0 to 1,000,000 (is 999",
        ),
        (
            ("evaluate", "toy.yaml", "--fleet", f"acme/big/eu-1={'9' * 5000}"),
            "is neither a whole number of units nor a share such as 20%\n",
        ),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, tuple) else "",
)
def test_an_argument_of_another_command_is_told_by_its_name(run, folder, arguments, words):
    (folder / "empty.yaml").touch()
    (folder / "list.yaml").write_text("- a\n")
    code, out, err = run(*arguments)
    assert (code, out) == (exit_codes.INPUT, "")
    assert words in err
    assert "init" not in err


@pytest.mark.parametrize("flags", [("-qfjson",), ("-qf", "json"), ("-fjson",), ("--format=json",)])
def test_json_asked_for_in_any_spelling_gives_a_document_of_the_error(run, flags):
    code, out, _ = run("solve", "nope.yaml", *flags)
    assert code == exit_codes.INPUT
    assert json.loads(out)["error"]["faults"][0]["file"] == "nope.yaml"


# ---- streams, as only a process can show


@pytest.mark.parametrize(
    ("redirections", "code", "words"),
    [
        ("- <&-", exit_codes.INPUT, b"<stdin>: there is no standard input\n"),
        ("- </dev/null", exit_codes.INPUT, b"<stdin>: file is empty\n"),
        ("toy.yaml >&-", 0, b""),
        ("nope.yaml 2>&-", exit_codes.INPUT, b""),
        ("<(cat toy.yaml) --catalog toy", 0, b""),
    ],
)
def test_closed_streams_and_pipes_end_in_the_right_code(folder, redirections, code, words):
    command = f"exec '{sys.executable}' -m milp_planner check {redirections}"
    done = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=ENVIRONMENT, capture_output=True, timeout=60
    )
    assert done.returncode == code
    assert done.stderr.startswith(words)
    assert b"Traceback" not in done.stderr


def test_what_the_system_refuses_is_no_bug_of_ours(run, monkeypatch):
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device", "/tmp/x")

    monkeypatch.setattr("milp_planner.questions.solve.solve", refuse)
    code, _, err = run("solve", "toy.yaml")
    assert code == exit_codes.INPUT
    assert err == (
        "the system refused: No space left on device: /tmp/x\n  hint: --debug shows where\n"
    )


# ---- Python calls


def test_a_problem_and_a_catalog_are_told_from_anything_else():
    good, known = builders.problem(13), builders.big_and_small()
    for problem, catalog, words in (
        (None, known, "expected a Problem, as load_problem() gives, not NoneType"),
        ({}, known, "expected a Problem, as load_problem() gives, not dict"),
        (known, good, "expected a Problem, as load_problem() gives, not Catalog"),
        (good, None, "expected a Catalog, as load_catalog() gives, not NoneType"),
        (good, "market", "expected a Catalog, as load_catalog() gives, not str"),
    ):
        with pytest.raises(TypeError) as caught:
            prepare(problem, catalog)
        assert isinstance(caught.value, InputError)
        (fault,) = caught.value.faults
        assert fault.message == words
        assert fault.path in ("problem", "catalog")
        assert fault.hint == f"give what milp_planner.load_{fault.path}() returns"


@pytest.mark.parametrize(
    "call",
    [
        lambda problem, catalog: planner.solve(problem, catalog),
        lambda problem, catalog: diagnose(problem, catalog),
        lambda problem, catalog: evaluate(problem, None, catalog),
        lambda problem, catalog: what_if(problem, [], catalog),
        lambda problem, catalog: explain(problem, catalog, gpu="big"),
        lambda problem, catalog: explain_limits(problem, catalog),
        lambda problem, catalog: budget_frontier(problem, 1, 2, catalog),
        lambda problem, catalog: confidence_range(problem, catalog),
    ],
    ids=["solve", "diagnose", "evaluate", "what_if", "explain", "limits", "frontier", "confidence"],
)
@pytest.mark.parametrize("wrong", [(None, None), ({}, None), ("x.yaml", None), (None, "market")])
def test_every_call_says_which_argument_is_wrong(call, wrong):
    for given in (wrong, (builders.problem(13), wrong[1] or 5)):
        with pytest.raises(InputError, match=r"expected a (Problem|Catalog), as load_"):
            call(*given)


WHOLE = {"llm": "chat", "gpu": "big", "input_tokens": 1, "output_tokens": 1}
RANGE = "must be greater than 0 (is"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda c: estimate(**WHOLE | {"llm": None}, catalog=c),
            "llm: expected text, not NoneType",
        ),
        (lambda c: estimate(**WHOLE | {"gpu": 5}, catalog=c), "gpu: expected text, not int"),
        (
            lambda c: estimate(**WHOLE, precision="int3", catalog=c),
            "precision: 'int3' is not one of bf16, fp16, fp8, nvfp4, mxfp4, int4; "
            "did you mean 'int4'?",
        ),
        (
            lambda c: estimate(**WHOLE, tensor_parallel=0, catalog=c),
            "tensor_parallel: must be at least 1 (is 0)",
        ),
        (
            lambda c: estimate(**WHOLE, tensor_parallel=1.5, catalog=c),
            "tensor_parallel: expected a whole number, not float",
        ),
        (
            lambda c: estimate(**WHOLE | {"output_tokens": 0}, catalog=c),
            f"output_tokens: {RANGE} 0)",
        ),
        (
            lambda c: estimate(**WHOLE | {"input_tokens": 10**400}, catalog=c),
            f"input_tokens: must be at most 100000000 (is 1{'0' * 56}...)",
        ),
        (
            lambda c: estimate(**WHOLE, concurrency=float("nan"), catalog=c),
            "concurrency: must be a number (is nan)",
        ),
        (
            lambda c: estimate(**WHOLE, confidence="p90", catalog=c),
            "confidence: expected a number, not str",
        ),
        (
            lambda c: estimate(**WHOLE, confidence=90, catalog=c),
            "confidence: must be less than 1 (is 90)",
        ),
        (
            lambda c: estimate(**WHOLE, catalog="market"),
            "catalog: expected a Catalog, as load_catalog() gives, not str\n"
            "  hint: give what milp_planner.load_catalog() returns",
        ),
        (lambda c: calibrate("x.yaml"), "files: expected a list of files, not one"),
        (lambda c: calibrate({}), "files: expected a list of files, not dict"),
        (lambda c: calibrate([None]), "files[0]: expected text or a path, not NoneType"),
        (lambda c: calibrate([""]), "files[0]: '' is not a file name"),
        (lambda c: calibrate(["nope.csv"]), "nope.csv: file not found"),
        (lambda c: calibrate([], out=5), "out: expected text or a path, not int"),
        (
            lambda c: calibrate([], tensor_parallel="2"),
            "tensor_parallel: expected a whole number, not str",
        ),
        (
            lambda c: calibrate([], overlays=["nope"]),
            "nope: there is no such folder; an overlay is a folder of CSV files",
        ),
        (lambda c: load_catalog(overlays=[5]), "overlays[0]: expected text or a path, not int"),
        (
            lambda c: load_catalog(as_of=datetime(2026, 11, 1)),
            "as_of: expected a date, not datetime",
        ),
        (lambda c: scenario_grid(budgets=5), "budgets: expected a list of numbers, not int"),
        (lambda c: scenario_grid(budgets=["100"]), "budgets[0]: expected a number, not str"),
        (
            lambda c: scenario_grid(traffic=[float("inf")]),
            "traffic[0]: must be at most 1000000000000 (is inf)",
        ),
        (lambda c: scenario_grid(targets=[1, 75]), "targets[1]: must be at most 1 (is 75)"),
        (lambda c: scenario_grid(without="gpu:big"), "without: expected a list of names, not one"),
        (lambda c: scenario_grid(without=[[]]), "without: an entry names nothing"),
        (lambda c: scenario_grid(prices=[2.0]), "prices: expected lists by name, not list"),
        (
            lambda c: scenario_grid(prices={"acme/*": "80%"}),
            "prices['acme/*']: expected a list of values, not one",
        ),
        (
            lambda c: scenario_grid(prices={"acme/*": ["x"]}),
            "prices['acme/*']: 'x' is not a number; write 1000, 1_000 or 1k",
        ),
        (
            lambda c: scenario_grid(named=["x"]),
            "scenario: expected a Scenario, as load_scenarios() gives, not str\n"
            "  hint: give what milp_planner.load_scenarios() returns",
        ),
        (
            lambda c: planner.solve(builders.problem(13), c, time_limit_s=10**400),
            f"time_limit_s: is too large (is 1{'0' * 56}...)",
        ),
        (lambda c: explain(builders.problem(13), c, gpu=5), "gpu: expected text, not int"),
        (
            lambda c: explain(builders.problem(13), c, provider=b"acme"),
            "provider: expected text, not bytes",
        ),
        (
            lambda c: budget_frontier(builders.problem(13), "1k", 2000, c),
            "low_usd: expected a number, not str",
        ),
        (lambda c: budget_frontier(builders.problem(13), 1, 0, c), f"high_usd: {RANGE} 0)"),
        (lambda c: owned_usd_per_hour(None, 3), "purchase_usd: expected a number, not NoneType"),
        (lambda c: load_catalog(""), "name_or_folder: must not be empty"),
        (lambda c: load_problem(""), "load_problem takes a file name, which must not be empty"),
        (
            lambda c: what_if(builders.problem(13), {"a": 5}, c),
            "scenarios['a']: expected keys, not int",
        ),
        (
            lambda c: load_scenarios(None, builders.problem(13)),
            "load_scenarios takes a file name, not NoneType",
        ),
        (
            lambda c: load_scenarios("s.yaml", {}),
            "problem: expected a Problem, as load_problem() gives, not dict\n"
            "  hint: give what milp_planner.load_problem() returns",
        ),
        (
            lambda c: measure_next(None),
            "plan: expected a Plan, as solve() gives, not NoneType\n"
            "  hint: give what milp_planner.solve() returns",
        ),
    ],
)
def test_a_value_of_the_wrong_type_from_python_is_told_by_its_argument(call, words):
    with pytest.raises(InputError) as caught:
        call(builders.big_and_small())
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        (5, "fleet: expected units by offering, not int"),
        ([("acme/big/eu-1", 1)], "fleet: expected units by offering, not list"),
        ({5: 1}, "fleet: expected text, not int"),
        (
            {"acme/big/eu-1": None},
            "fleet: acme/big/eu-1: units are whole numbers from 0 to 1,000,000 (is None)",
        ),
        (
            {"acme/big/eu-1": "2"},
            "fleet: acme/big/eu-1: units are whole numbers from 0 to 1,000,000 (is '2')",
        ),
    ],
)
def test_a_fleet_of_the_wrong_type_is_told(fleet, words):
    with pytest.raises(InputError) as caught:
        evaluate(builders.problem(13), fleet, builders.big_and_small())
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"traffic": "2x"}, "traffic: expected a number, not str"),
        ({"traffic": -1}, "traffic: must be greater than 0 (is -1)"),
        ({"without": "gpu:big"}, "without: expected a list of names, not one"),
        ({"without": 5}, "without: expected a list of names, not int"),
        ({"prices": 5}, "prices: expected keys, not int"),
        (
            {"prices": {"acme/*": "x"}},
            "prices['acme/*']: 'x' is not a number; write 1000, 1_000 or 1k",
        ),
        ({"patch": 5}, "patch: expected keys, not int"),
    ],
)
def test_a_scenario_of_wrong_types_fails_in_its_own_row(wrong, words):
    found = what_if(builders.problem(13), [Scenario(name="a", **wrong)], builders.big_and_small())
    assert [(row.status, row.error) for row in found.rows] == [("failed", words)]


def test_numbers_of_other_packages_and_generators_are_taken():
    found = scenario_grid(budgets=numpy.array([100, 200]), traffic=(n for n in [numpy.float32(2)]))
    assert [(s.budget_usd, s.traffic) for s in found] == [(100.0, 2.0), (200.0, 2.0)]
    check_number("tp", numpy.int64(2), least=1, whole=True)
    with pytest.raises(TypeError, match="tp: expected a whole number, not bool"):
        check_number("tp", numpy.bool_(True), least=1, whole=True)
    size = RequestSize(input_tokens=numpy.int64(1500), output_tokens=numpy.float32(300))
    assert (size.input_tokens, size.output_tokens) == (1500, 300)
    assert {type(size.input_tokens), type(size.output_tokens)} <= {int, float}


def test_what_runs_scenarios_side_by_side_must_be_an_executor():
    wrong: Any = 5
    with pytest.raises(TypeError, match=r"executor: expected an executor of .*, not int"):
        what_if(builders.problem(13), [], builders.big_and_small(), wrong)


def test_a_record_built_in_code_gives_every_fault_with_its_path():
    with pytest.raises(InputError) as caught:
        Problem(name="Chat #1", workload=[], workloads=[{"name": "chat", "lllm": "toy"}])
    faults = {fault.path: fault for fault in caught.value.faults}
    assert faults["name"].message == ("use lower-case letters, digits and '-' (found 'Chat #1')")
    assert faults["workload"].message == "unknown key; did you mean 'workloads'?"
    assert faults["workloads[0].lllm"].message == "unknown key; did you mean 'llm'?"
    assert not any(fault.file or fault.line for fault in caught.value.faults)


def test_a_part_built_in_code_is_refused_by_its_own_path():
    with pytest.raises(InputError, match=r"^requests_per_second: must be greater than 0"):
        RequestsPerSecond(kind="requests_per_second", requests_per_second=-3)


@pytest.mark.parametrize(
    ("setting", "value", "kind", "words"),
    [
        ("time_limit_s", -1, InputError, "time_limit_s: must be greater than 0 (is -1)"),
        ("time_limit_s", 0, InputError, "time_limit_s: must be greater than 0 (is 0)"),
        ("time_limit_s", float("nan"), InputError, "time_limit_s: must be a number (is nan)"),
        ("time_limit_s", "60s", TypeError, "time_limit_s: expected a number, not str"),
        ("time_limit_s", True, TypeError, "time_limit_s: expected a number, not bool"),
        ("gap", float("nan"), InputError, "gap: must be a number (is nan)"),
        ("gap", 2, InputError, "gap: must be at most 1 (is 2)"),
        ("gap", -0.1, InputError, "gap: must be at least 0 (is -0.1)"),
        ("alternatives", -1, InputError, "alternatives: must be at least 0 (is -1)"),
        ("alternatives", 101, InputError, "alternatives: must be at most 100 (is 101)"),
        ("alternatives", 1.5, TypeError, "alternatives: expected a whole number, not float"),
        ("solver", "x", InputError, "solver: 'x' is not one of both, cbc, highs"),
        ("solver", "hihgs", InputError, "did you mean 'highs'?"),
        ("solver", "", InputError, "solver: '' is not one of both, cbc, highs"),
        ("solver", 5, TypeError, "solver: expected text, not int"),
    ],
)
def test_a_setting_from_python_is_checked(setting, value, kind, words):
    with pytest.raises(kind) as caught:
        check_settings(**{setting: value})
    assert words in str(caught.value)


def test_settings_in_range_pass():
    check_settings()
    check_settings(time_limit_s=0.5, gap=1, alternatives=0, solver="cbc")


@pytest.mark.parametrize("source", [None, 5, b"x", {}])
def test_a_file_name_is_text_or_a_path(source):
    with pytest.raises(TypeError, match="load_problem takes a file name, not"):
        load_problem(source)
    with pytest.raises(TypeError, match="load_problem takes text as str, not bytes"):
        load_problem("x.yaml", text=b"a: 1")


def test_without_a_file_faults_have_a_path_and_no_line():
    limits = {"regions": {"allow": ["mars"]}}
    with pytest.raises(InputError) as caught:
        prepare(builders.problem(13, limits=limits), builders.big_and_small())
    assert str(caught.value) == "limits.regions.allow: no region 'mars'"
