"""Runs one child process that never outstays its welcome.

It leads a process group of its own, which is killed whatever happens here. When this process is
itself killed, Linux kills the child (`setpriv --pdeathsig`, where that is installed; Python's
`preexec_fn` is not safe beside threads). Elsewhere a child ends by its own time limit.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

GRACE_S = 1.0  # past its time limit, the child is asked to stop (SIGINT) and to write what it has
INTERRUPT_GRACE_S = 1.0  # CBC writes within 0.7 s; after this it is killed
POLL_S = 0.02  # how often the watchdog looks at `cancel`


@dataclass(frozen=True)
class Ended:
    """How the child ended."""

    exit_code: int
    """Negative for a signal, as in `subprocess`."""

    cancelled: bool
    """Killed because `cancel` was set."""

    killed: bool
    """Killed because it stayed on after its time limit."""


def run_child(
    argv: Sequence[str], *, home: Path, log: Path, time_limit_s: float, cancel: threading.Event
) -> Ended:
    """Run `argv` in the directory `home` with its output in `log`, and wait for it.

    Any exception, Ctrl-C included, kills the child before it goes on up. Raises OSError when the
    child cannot be started.
    """
    with log.open("wb") as output:
        child = subprocess.Popen(
            [*_dying_with_us(), *argv],
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C in the terminal reaches us, not the child
        )
    watchdog = _Watchdog(child, time_limit_s, cancel)
    try:
        watchdog.start()
        exit_code = child.wait()
    finally:
        _signal(child, "SIGKILL")
        child.wait()
        watchdog.finished.set()
    watchdog.join()
    return Ended(exit_code, cancelled=watchdog.cancelled, killed=watchdog.killed)


@functools.cache
def _dying_with_us() -> tuple[str, ...]:
    """Words before a command that make Linux kill it when the thread that started it is gone."""
    words = ("setpriv", "--pdeathsig", "KILL")
    if not sys.platform.startswith("linux") or not shutil.which(words[0]):
        return ()
    # some setprivs (busybox) have no such option
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if tried.returncode == 0 else ()


class _Watchdog(threading.Thread):
    """Ends a child that is cancelled, or that stays on after its time limit.

    A thread beside a blocking `wait`, because `wait` with a timeout sleeps up to 50 ms past the
    child's end, five times a small solve.
    """

    def __init__(
        self, child: subprocess.Popen[bytes], time_limit_s: float, cancel: threading.Event
    ) -> None:
        super().__init__(name="child-watchdog", daemon=True)
        self.finished = threading.Event()
        self.cancelled = self.killed = False
        self._child, self._time_limit_s, self._cancel = child, time_limit_s, cancel

    def run(self) -> None:
        """Look after the child until it is gone."""
        started_s = time.monotonic()
        interrupted = False
        while not self.finished.wait(POLL_S):
            overtime_s = time.monotonic() - started_s - self._time_limit_s
            self.cancelled = self._cancel.is_set()
            self.killed = overtime_s > GRACE_S + INTERRUPT_GRACE_S
            if self.cancelled or self.killed:
                _signal(self._child, "SIGKILL")
                return
            if overtime_s > GRACE_S and not interrupted:
                interrupted = True
                _signal(self._child, "SIGINT")


def _signal(child: subprocess.Popen[bytes], name: str) -> None:
    """Send a signal to the child's whole group, if the child is still there."""
    if child.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform != "win32":
            os.killpg(child.pid, getattr(signal, name))
        elif name == "SIGKILL":
            child.kill()
