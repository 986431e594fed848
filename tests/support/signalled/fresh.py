"""Commands as a shell starts them, each in a fresh Python."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.support.signalled.warm import LONGEST_S
from tests.support.toy import ROOT

LEFT_S = 10.0


def fresh_end(
    arguments: Sequence[str],
    folder: Path,
    output: tuple[Path, Path],
    number: signal.Signals,
    after_s: float,
) -> int:
    """The exit code of a command that runs in `folder` and gets a signal `after_s` from its start.

    Its temp folder is `temp` beside `folder`; `output` gets stdout and stderr. What is left running
    of it after a while is an AssertionError.
    """
    temp = folder.parent / "temp"
    with output[0].open("wb") as out, output[1].open("wb") as err:
        process = subprocess.Popen(
            [sys.executable, "-m", "milp_planner", *arguments],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temp), "NO_PROXY": "*"},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        process.send_signal(number)
    process.wait(LONGEST_S)
    until_s = time.monotonic() + LEFT_S  # a worker that was idle leaves when its stdin ends
    while (left := list(of_temp(temp))) and time.monotonic() < until_s:
        time.sleep(0.05)
    assert not left, left
    return process.returncode


def of_temp(temp: Path) -> Iterator[str]:
    """Command lines of processes that were started with this temp folder."""
    mark = f"TMPDIR={temp}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                line = (process / "cmdline").read_text().replace("\0", " ")
                if line:
                    yield line
        except OSError:  # gone, or not ours
            continue
