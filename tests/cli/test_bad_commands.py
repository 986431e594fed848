"""What a user reads of a wrong command line, stream or Python call."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from milp_planner.cli.commands import init
from milp_planner.cli.parts import exit_codes
from tests.support.toy import ENVIRONMENT

pytest_plugins = ["tests.support.spoilt.refusing"]


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
    example = init.example()  # and so may be the file it is read from
    monkeypatch.setattr(init, "example", lambda: example)
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
        (("--alternatives", "-1"), "must be a whole number from 0 to 200 (is -1)"),
        (("--alternatives", "\u0661"), "must be a whole number from 0 to 200 (is \u0661)"),
        (("--alternatives", "9" * 5000), "must be a whole number from 0 to 200 (is 999"),
        (("--max-cost", "$"), "'$' is not a number"),
        (("--max-price-age", "60.5"), "a time needs a unit: write '60.5d'"),
        (("--as-of", "20260801"), "'20260801' is not a date; write 2026-08-31"),
        (("--as-of", "2026-02-30"), "'2026-02-30' is not a date; write 2026-08-31"),
        (("--format", "xml"), "'xml' is not one of text, json, csv"),
        (("--nope",), "No such option: --nope"),
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

    monkeypatch.setattr("milp_planner.questions.sheet.builder.solve_until", refuse)
    code, _, err = run("solve", "toy.yaml")
    assert code == exit_codes.INPUT
    assert err == (
        "the system refused: No space left on device: /tmp/x\n  hint: --debug shows where\n"
    )
