"""Commands that are forked off one process which has imported everything.

A fresh Python takes a second of a processor before a command begins; a fork takes none. But for the
imports it is as fresh as one: no cache is filled, no engine runs, signals are at their defaults.
The server watches over every process that comes of a command, also after its parent died.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import pkgutil
import select
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.support.toy import ROOT

LONGEST_S = 120.0
"""An end that takes longer is a hang, on however busy a machine."""

LEFT_S = 10.0
"""How long what a command leaves running may take to be gone: an idle worker leaves when its stdin
ends, on a busy machine not at once."""

CRASHED = 70
"""What a command ends with that lets an exception through."""

HANGS = "this command hangs"
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
NS_PER_S = 1e9
PR_SET_CHILD_SUBREAPER = 36
"""As `linux/prctl.h` has it: orphans of this process's children become its own children."""

ON_PURPOSE = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True)
class End:
    """How a command ended, and what its end took from the signal on."""

    code: int
    """As `subprocess` has it: negative for a signal."""

    was_sent: bool
    """The signal came while it ran."""

    whole_s: float
    """Seconds from its first line to its end."""

    end_s: float
    """From the signal on."""

    waited_s: float
    """Of these, seconds in which its main thread was ready to run and had no processor."""

    cpu_s: float
    """What it and all that came of it had of a processor from the signal on."""

    left: tuple[str, ...]
    """Command lines of processes that were still there a while after it ended, if any."""


class WarmCommands:
    """The client: starts the server, and asks it for one command after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def end(
        self,
        arguments: Sequence[str],
        folder: Path,
        output: tuple[Path, Path],
        number: signal.Signals | None = None,
        after_s: float = 0.0,
    ) -> End:
        """How a command ends that runs in `folder` and gets a signal `after_s` from its first line.

        Its temp folder is `temp` beside `folder`; `output` gets stdout and stderr.
        """
        request = {
            "arguments": list(arguments),
            "folder": str(folder),
            "temp": str(folder.parent / "temp"),
            "output": [str(path) for path in output],
            "number": number,
            "after_s": after_s,
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps(request), file=self._process.stdin, flush=True)
        answer = json.loads(self._process.stdout.readline())
        return End(**{**answer, "left": tuple(answer["left"])})


@contextlib.contextmanager
def warm_commands() -> Iterator[WarmCommands]:
    """A server, which ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.support.signalled.warm"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_PROXY": "*"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield WarmCommands(process)
        assert process.stdin is not None
        process.stdin.close()


# ---- the server


def serve() -> None:
    """Answer requests until stdin ends."""
    import_everything()
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        print(json.dumps(asdict(ended(json.loads(line)))), file=answers, flush=True)


def import_everything() -> None:
    """Import what commands import when they run; as in them, not highspy and what it brings."""
    sys.modules.setdefault("highspy", None)  # type: ignore[arg-type]  # as Python documents it
    for name in ("cli", "reporting", "solving", "milp", "replaying", "inputs", "questions"):
        package = importlib.import_module(f"milp_planner.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)


def ended(request: dict[str, Any]) -> End:
    """How the command of one request ended."""
    child = fork(request)
    began_s = time.monotonic()
    pidfd = os.pidfd_open(child)
    try:
        was_sent = request["number"] is not None and not has_ended(pidfd, request["after_s"])
        cpu_s_before, waited_s_before = cpu_s_of(child), waited_s_of(child)
        sent_s = time.monotonic()
        if was_sent:
            os.kill(child, request["number"])
        assert has_ended(pidfd, LONGEST_S), HANGS
        ended_s = time.monotonic()
    finally:
        os.close(pidfd)
    waited_s = waited_s_of(child) - waited_s_before
    _, status, used = os.wait4(child, 0)
    left, cpu_s_of_orphans = orphans()
    return End(
        code=os.waitstatus_to_exitcode(status),
        was_sent=was_sent,
        whole_s=ended_s - began_s,
        end_s=ended_s - sent_s,
        waited_s=waited_s,
        cpu_s=used.ru_utime + used.ru_stime + cpu_s_of_orphans - cpu_s_before,
        left=tuple(left),
    )


def fork(request: dict[str, Any]) -> int:
    """A child that is about to run the command's first line; its process id.

    Signals that come before it is there wait for it.
    """
    reading, writing = os.pipe()
    signal.pthread_sigmask(signal.SIG_BLOCK, ON_PURPOSE)
    child = os.fork()
    if not child:
        os.close(reading)
        become(request, writing)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ON_PURPOSE)
    os.close(writing)
    os.read(reading, 1)
    os.close(reading)
    return child


def become(request: dict[str, Any], ready: int) -> None:
    """Be the command of a request, and end with its exit code, as `python -m milp_planner` does."""
    from milp_planner.cli import run

    nothing = os.open(os.devnull, os.O_RDONLY)
    out, err = (os.open(path, os.O_WRONLY | os.O_CREAT) for path in request["output"])
    for standard, opened in enumerate((nothing, out, err)):
        os.dup2(opened, standard)
        os.close(opened)
    os.chdir(request["folder"])
    os.environ["TMPDIR"], tempfile.tempdir = request["temp"], None
    sys.argv = ["milp-planner", *request["arguments"]]
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    try:
        os.write(ready, b".")
        os.close(ready)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ON_PURPOSE)
        os._exit(run())
    except KeyboardInterrupt:  # before the first handler; Python ends itself by the signal, too
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGINT)
    except BaseException:
        traceback.print_exc()
        os._exit(CRASHED)


def has_ended(pidfd: int, within_s: float) -> bool:
    """Whether a process ends within a while; it is not collected."""
    return bool(select.select([pidfd], [], [], within_s)[0])


def descendants(pid: int) -> Iterator[int]:
    """All processes that came of one and are there, itself first."""
    yield pid
    with contextlib.suppress(OSError):  # gone meanwhile
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield from descendants(int(child))


def cpu_s_of(pid: int) -> float:
    """What a process and all that came of it have had of a processor."""
    ticks = 0
    for each in descendants(pid):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))  # user and system, own and of children that ended
    return ticks / TICKS_PER_S


def waited_s_of(pid: int) -> float:
    """How long the main thread of a process was ready to run and had no processor."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / NS_PER_S


def orphans() -> tuple[list[str], float]:
    """Collect what a command left running: command lines of what stays, which is killed, and what
    all the others had of a processor."""
    until_s, cpu_s = time.monotonic() + LEFT_S, 0.0
    while time.monotonic() < until_s:
        try:
            pid, _, used = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return [], cpu_s
        if pid:
            cpu_s += used.ru_utime + used.ru_stime
        else:
            time.sleep(0.002)
    left = [pid for child in children() for pid in descendants(child)]
    lines = [Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ") for pid in left]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.wait4(-1, 0)
    return lines, cpu_s


def children() -> list[int]:
    """Children of this process."""
    me = os.getpid()
    return [int(pid) for pid in Path(f"/proc/{me}/task/{me}/children").read_text().split()]


if __name__ == "__main__":
    serve()
