"""What the command line writes, where, and how: files, streams, terminals, pipes."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.questions import solve as planner
from tests.support.toy import ENVIRONMENT, PROBLEM, raising

pytest_plugins = ["tests.support.toy_cli"]


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


def test_a_stream_without_a_buffer_gets_the_whole_text_however_little_it_takes_at_a_time(
    monkeypatch,
):
    # A signal ends a write to a pipe half-way; nothing but the buffer, where one is, goes on.
    taken: list[bytes] = []

    class Pipe(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, content: Any) -> int:
            taken.append(bytes(content[:3]))
            return len(taken[-1])

    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(Pipe(), encoding="ascii", newline=""))
    streams.answer("2 × 72 GiB\n")
    assert b"".join(taken) == b"2 \\xd7 72 GiB\n".replace(b"\n", os.linesep.encode())


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
