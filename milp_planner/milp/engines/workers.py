"""Worker processes that serve one run of HiGHS after another, and are killed when they do not.

A worker that answered is kept for the next run, so that its start is paid for once. It is never
shared: whoever runs takes one that is idle, or starts one.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib.machinery
import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from milp_planner.lazily import dataclass
from milp_planner.milp.engines import highs_worker
from milp_planner.milp.engines.child import kill, most_memory_bytes, watched

MOST_IDLE = 2
MOST_RUNS = 200
"""Runs after which a worker is replaced, so that no leak of the engine's adds up."""

CANCEL_GRACE_S = 0.3
"""How long a cancelled run may take to say what it has."""

ENDING_S = 0.5
"""How long a worker whose answer ended may take to be gone, so that it tells by which signal."""

Command = tuple[str, ...]


@dataclass(frozen=True)
class Reply:
    """What came of one request."""

    answer: Mapping[str, Any] | None
    """As the worker wrote it; None when it wrote nothing that can be read."""

    exit_code: int | None
    """Where the worker ended; negative for a signal."""

    cancelled: bool
    killed: bool
    """Killed because it stayed on after its time limit, or after it was cancelled."""

    garbled: bool = False
    """It wrote a line that is no answer; nothing else that it says can be trusted."""


def highs_command() -> Command:
    """The command that starts a worker; ImportError where highspy is not installed."""
    # The path is searched, and the package not imported: that would import NumPy with it.
    package = importlib.machinery.PathFinder.find_spec("highspy")
    if package is None or package.origin is None:
        raise ImportError("No module named 'highspy'")
    folder = Path(package.origin).parent
    for suffix in importlib.machinery.EXTENSION_SUFFIXES:
        if (core := folder / f"_core{suffix}").is_file():
            memory = str(most_memory_bytes())
            return (sys.executable, "-I", "-S", highs_worker.__file__, str(core), memory)
    raise ImportError(f"highspy has no compiled module in {folder}")


def asked(
    command: Command, request: Mapping[str, Any], time_limit_s: float, cancel: threading.Event
) -> Reply:
    """The reply of a worker to one request; it is killed if it keeps neither time nor form.

    Raises OSError when no worker can be started. Any exception, Ctrl-C included, kills the worker
    before it goes on up.
    """
    worker = _IDLE.take(command)
    line = b""
    try:
        with watched(
            worker.process, time_limit_s, cancel, worker.tell_to_stop, CANCEL_GRACE_S
        ) as watchdog:
            with contextlib.suppress(OSError):  # it is gone already
                worker.write(json.dumps(request))
            line = worker.read_line()
    except BaseException:
        worker.kill()
        raise
    answer = _read(line)
    if answer is None and line.endswith(b"\n"):
        worker.kill()
        return Reply(None, None, watchdog.cancelled, watchdog.killed, garbled=True)
    if answer is None:
        exit_code = worker.end()
        return Reply(None, exit_code, watchdog.cancelled, watchdog.killed)
    if watchdog.killed:
        worker.kill()
    else:
        _IDLE.give_back(worker)
    return Reply(answer, None, watchdog.cancelled, killed=False)


def _read(line: bytes) -> Mapping[str, Any] | None:
    with contextlib.suppress(ValueError, RecursionError):
        answer = json.loads(line)
        if isinstance(answer, dict):
            return answer
    return None


class _Worker:
    """One process, and the two pipes to it."""

    def __init__(self, command: Command) -> None:
        self.command, self.runs = command, 0
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # a Ctrl-C in the terminal reaches us, not the worker
            cwd=os.path.abspath(os.sep),
        )

    def write(self, line: str) -> None:
        self.runs += 1
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()

    def read_line(self) -> bytes:
        """What it answers; whatever was written before it ended, where it ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def tell_to_stop(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            assert self.process.stdin is not None
            self.process.stdin.write(highs_worker.STOP.encode() + b"\n")
            self.process.stdin.flush()

    def end(self) -> int:
        """Kill it, unless it is about to end by itself; its exit code."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(ENDING_S)
        return self.kill()

    def kill(self) -> int:
        """Kill it and let go of its pipes; its exit code."""
        kill(self.process)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        return self.process.returncode


class _Idle:
    """Workers that wait for a run, of this process alone: a fork has none of its parent's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._workers: list[_Worker] = []

    def take(self, command: Command) -> _Worker:
        """A worker that waits, or a new one."""
        with self._lock:
            if self._pid != os.getpid():
                self._pid, self._workers = os.getpid(), []
            for worker in self._workers:
                if worker.command == command and worker.process.poll() is None:
                    self._workers.remove(worker)
                    return worker
        return _Worker(command)

    def give_back(self, worker: _Worker) -> None:
        """Keep it for another run, in place of the one that has waited longest where many do."""
        with self._lock:
            surplus = worker
            if worker.runs < MOST_RUNS:
                self._workers.append(worker)
                if len(self._workers) <= MOST_IDLE:
                    return
                surplus = self._workers.pop(0)
        surplus.kill()

    def end_all(self) -> None:
        """End those that wait; they hold nothing that anyone wants."""
        with self._lock:
            workers, self._workers = self._workers, []
        if self._pid == os.getpid():
            for worker in workers:
                worker.kill()


_IDLE = _Idle()
atexit.register(_IDLE.end_all)
