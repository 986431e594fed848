"""Ctrl-C and SIGTERM at any moment: nothing left, the right exit code, whole output or none."""

# ruff: noqa: PT012 - what comes after the signal is what is tested

from __future__ import annotations

import errno
import fcntl
import json
import os
import random
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from pathlib import Path

import pytest

from milp_planner.cli import entry
from milp_planner.cli.parts import exit_codes, signals
from milp_planner.cli.parts.signals import Terminated, signals_raise, signals_wait
from milp_planner.errors import PlannerError
from milp_planner.milp.engines.scratch import scratch_folder
from tests.support.signalled.fresh import PYTHON_STARTS
from tests.support.toy import CATALOG, PROBLEM

ROOT = Path(__file__).parents[2]
CODES = {signal.SIGINT: exit_codes.INTERRUPTED, signal.SIGTERM: exit_codes.TERMINATED}
QUICKSTART = str(ROOT / "problems" / "quickstart.yaml")
COMMANDS = {
    "solve": ("solve", QUICKSTART, "--json", "--alternatives", "5"),
    "text": ("solve", QUICKSTART),
    "what-if": ("what-if", QUICKSTART, "--traffic", "1,2,3", "--jobs", "2", "--json"),
    "toy": ("solve", "toy.yaml", "--json"),
}
LONGEST_S = 120.0  # a stop that takes longer is a hang, on however busy a machine
SEED, MOMENTS = 9, 60


def start(command: str, folder: Path) -> subprocess.Popen[bytes]:
    """The command line in a process of its own, with an empty temp folder."""
    (folder / "temp").mkdir(exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "temp")}
    return subprocess.Popen(
        [sys.executable, "-m", "milp_planner", *COMMANDS[command]],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def lay_toy(folder: Path) -> None:
    (folder / "toy").mkdir()
    for name, content in CATALOG.items():
        (folder / "toy" / name).write_text(content)
    (folder / "toy.yaml").write_text(PROBLEM)


def working_in(folder: Path) -> list[str]:
    """Processes whose working folder lies in `folder`: CBC runs in its scratch folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            where = os.readlink(process / "cwd")
        except OSError:  # gone, or not ours
            continue
        if where.startswith(str(folder / "temp")):
            found.append(f"{process.name} in {where}")
    return found


def stopped(command: str, number: signal.Signals, after_s: float, folder: Path) -> int:
    """Send the signal after a while, hold all promises against what is left; the exit code."""
    process = start(command, folder)
    try:
        out, err = process.communicate(timeout=after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
        out, err = process.communicate(timeout=LONGEST_S)
    code = process.returncode
    moment = f"{command}, {number.name} after {after_s:.3f} s: exit {code}, {err.decode()}"
    if code == -number or err.startswith(PYTHON_STARTS):
        # before the planner's first line; a shell calls the first 130 or 143 as well
        assert out == b"", moment
        code = CODES[number]
    else:
        assert b"Traceback" not in err, moment
    assert code in (exit_codes.FOUND, CODES[number]), moment
    assert os.listdir(folder / "temp") == [], moment
    assert working_in(folder) == [], moment
    if "--json" in COMMANDS[command] and (out or code == exit_codes.FOUND):
        assert isinstance(json.loads(out), dict), moment
    return code


@pytest.mark.slow
@pytest.mark.parametrize("command", ["solve", "text", "what-if"])
@pytest.mark.parametrize("number", list(CODES), ids=lambda number: number.name)
def test_a_signal_at_any_moment_leaves_nothing_and_gives_its_code(command, number):
    with tempfile.TemporaryDirectory() as name:
        began = os.times()
        assert stopped(command, number, LONGEST_S, Path(name)) == exit_codes.FOUND
        whole_s = os.times().elapsed - began.elapsed
    moments = random.Random(f"{SEED} {command} {number}")
    codes = []
    for _ in range(MOMENTS // 6):
        with tempfile.TemporaryDirectory() as name:
            codes.append(stopped(command, number, moments.uniform(0, whole_s), Path(name)))
    assert CODES[number] in codes


@pytest.mark.parametrize("number", list(CODES), ids=lambda number: number.name)
def test_a_signal_early_on_leaves_nothing_and_gives_its_code(tmp_path, number):
    lay_toy(tmp_path)
    assert stopped("toy", number, 0.15, tmp_path) in (exit_codes.FOUND, CODES[number])


@pytest.mark.parametrize("number", list(CODES), ids=lambda number: number.name)
def test_a_signal_waits_until_the_output_is_whole(number):
    written = []
    with signals_raise(), pytest.raises(KeyboardInterrupt) as caught, signals_wait():
        os.kill(os.getpid(), number)
        written.append("the rest")
    assert written == ["the rest"]
    assert isinstance(caught.value, Terminated) == (number is signal.SIGTERM)


def test_a_second_signal_does_not_wait():
    written = []
    with signals_raise(), pytest.raises(Terminated), signals_wait():
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        written.append("never")
    assert written == []


def test_a_reader_that_stopped_reading_does_not_keep_us():
    reading, writing = os.pipe()
    try:
        with signals_raise(), pytest.raises(Terminated), signals_wait(most_s=0.05):
            os.kill(os.getpid(), signal.SIGTERM)
            os.write(writing, bytes(1_000_000))  # a pipe holds far less
    finally:
        os.close(reading)
        os.close(writing)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_what_is_printed_after_a_signal_is_not_waited_for_for_ever():
    reading, writing = os.pipe()
    try:
        with signals_raise():
            with pytest.raises(Terminated):
                os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(Terminated), signals_wait(most_s=0.05):
                os.write(writing, bytes(1_000_000))
            os.read(reading, 1_000_000)
            with signals_wait(most_s=60):  # what somebody reads is whole
                os.write(writing, b"read")
    finally:
        os.close(reading)
        os.close(writing)
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


@pytest.mark.parametrize("number", list(CODES), ids=lambda number: number.name)
def test_a_signal_ends_a_command_whose_output_nobody_reads_nor_its_last_words(number):
    # Both streams are one pipe, as in `2>&1 | sleep 100`; it holds less than the answer.
    process = subprocess.Popen(
        [sys.executable, "-m", "milp_planner", "catalog", "list", "offerings", "--json"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert process.stdout is not None
    try:
        while not is_full(process.stdout.fileno()):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(timeout=LONGEST_S) == CODES[number]
    finally:
        process.kill()
        process.communicate()


def is_full(pipe: int) -> bool:
    """Whether a pipe holds all it can."""
    waiting = struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, bytes(4)))[0]
    return bool(waiting >= fcntl.fcntl(pipe, fcntl.F_GETPIPE_SZ))


class TakenDown:
    """An object that gets a signal while it is taken down, where Python lets nothing be raised."""

    def __init__(self, number):
        self.number = number

    def __del__(self):
        signal.raise_signal(self.number)


@pytest.mark.parametrize("number", list(CODES), ids=lambda number: number.name)
def test_a_signal_that_python_ignores_comes_again(number, capsys):
    with signals_raise(), pytest.raises(KeyboardInterrupt) as caught:
        TakenDown(number)
        threading.Event().wait(LONGEST_S)
    assert isinstance(caught.value, Terminated) == (number is signal.SIGTERM)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("number", list(CODES), ids=lambda number: number.name)
def test_a_signal_that_comes_out_as_another_error_is_told_as_one(number, monkeypatch, capsys):
    def build(arguments):  # as pydantic's core does with whatever is raised in what it calls
        try:
            signal.raise_signal(number)
        except KeyboardInterrupt:
            raise ValueError("cannot build the validator") from None

    monkeypatch.setattr(entry, "_run", build)
    assert entry.run_command_line(["check"]) == CODES[number]
    assert capsys.readouterr().err in ("interrupted\n", "terminated\n")


def test_a_full_disk_after_a_signal_is_told_as_a_full_disk(monkeypatch, capsys):
    def keep(arguments):  # as a command does with the plan that it has when a signal comes
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            try:
                raise OSError(errno.ENOSPC, "No space left on device")
            except OSError as error:
                raise PlannerError("plan.json: cannot be written: no space left") from error

    monkeypatch.setattr(entry, "_run", keep)
    assert entry.run_command_line(["solve"]) == exit_codes.INPUT
    assert "plan.json: cannot be written: no space left" in capsys.readouterr().err


def test_a_thread_that_is_being_started_is_waited_for_at_the_end(monkeypatch):
    done, never = [], threading.Thread(target=list)
    starting = threading.Thread(target=lambda: (time.sleep(0.02), done.append(True)))
    monkeypatch.setattr(threading, "enumerate", lambda: [never, starting])
    threading.Timer(0.01, starting.start).start()
    signals._join_threads()
    assert done == [True]


def test_what_else_python_ignores_is_reported_as_ever(monkeypatch):
    reported = []
    monkeypatch.setattr(sys, "unraisablehook", lambda ignored: reported.append(ignored.exc_type))

    class Faulty:
        def __del__(self):
            raise ZeroDivisionError

    with signals_raise():
        Faulty()
    assert reported == [ZeroDivisionError]


def test_signals_are_left_alone_outside_the_main_thread():
    done = []

    def write() -> None:
        with signals_wait():
            done.append(True)

    thread = threading.Thread(target=write)
    thread.start()
    thread.join()
    assert done == [True]


def test_a_removal_that_is_interrupted_is_begun_again(monkeypatch, tmp_path):
    calls = []
    remove = os.walk

    def interrupted_once(folder, **options):
        calls.append(folder)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return remove(folder, **options)

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(os, "walk", interrupted_once)
    with pytest.raises(KeyboardInterrupt), scratch_folder() as folder:
        (folder / "fleet.mps").write_text("x")
        assert folder.stat().st_mode & 0o777 == 0o700
    assert list(tmp_path.iterdir()) == []


# ---- the end of a process

ENDING = """
import atexit, os, sys, threading, time
from milp_planner.cli import entry, run
class Slow:
    def __del__(self, write=os.write):
        write(1, b"taken down\\n")
kept = [Slow()]
atexit.register(print, "at the end")
def work():
    time.sleep(0.3)
    print("a thread ends")
def answer(argv):
    sys.stdout.write("answer ")
    sys.stdout.flush()
    threading.Thread(target=work).start()
    return 6
entry.run_command_line = answer
{before}
sys.exit(run())
"""


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ("", "answer a thread ends\nat the end\n"),
        ("sys.setprofile(lambda *event: None)", "answer a thread ends\nat the end\ntaken down\n"),
    ],
    ids=["alone", "watched"],
)
def test_a_process_ends_without_being_taken_down_unless_somebody_watches(before, said):
    ended = subprocess.run(
        [sys.executable, "-c", ENDING.format(before=before)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (6, said, "")
