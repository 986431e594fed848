"""Child processes that never outstay their welcome: CBC, one run each, and HiGHS's workers.

Each leads a process group of its own, which is killed whatever happens here. When this process is
itself killed, Linux kills CBC (`setpriv --pdeathsig`, where that is installed; Python's
`preexec_fn` is not safe beside threads); a worker leaves when its stdin ends. Elsewhere a child
ends by its own time limit.
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
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from milp_planner.lazily import dataclass

GRACE_S = 1.0  # past its time limit, the child is asked to stop and to write what it has
INTERRUPT_GRACE_S = 1.0  # CBC writes within 0.7 s; after this it is killed
LEAST_GRACE_S, LEAST_INTERRUPT_GRACE_S = 0.1, 0.3
GRACE_SHARE = 0.1
"""Grace is this share of the time limit, between the least and the most: who has a second does not
want the answer two seconds later."""

POLL_S = 0.02  # how often the watchdog looks at `cancel`

MEMORY_SHARE = 0.75
"""Of the machine's memory, that one child may take: before the system kills whatever it likes."""

MEMORY_IF_UNKNOWN = 16 * 2**30
CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")


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
    try:
        _bound_memory(child)
        with watched(child, time_limit_s, cancel, lambda: interrupt(child)) as watchdog:
            exit_code = child.wait()
    finally:
        kill(child)
    return Ended(exit_code, cancelled=watchdog.cancelled, killed=watchdog.killed)


@contextlib.contextmanager
def watched(
    child: subprocess.Popen[bytes],
    time_limit_s: float,
    cancel: threading.Event,
    ask_to_stop: Callable[[], object],
    cancel_grace_s: float = 0.0,
) -> Iterator[Watchdog]:
    """Look after the child inside the block: past its time limit it is asked to stop, then killed.

    cancel: ends it at once, or, with `cancel_grace_s`, after so long a time to say what it has. An
    exception inside the block kills the child before it goes on up.
    """
    watchdog = Watchdog(child, time_limit_s, cancel, ask_to_stop, cancel_grace_s)
    try:
        watchdog.start()
        yield watchdog
    except BaseException:
        kill(child)
        raise
    finally:
        watchdog.finished.set()
    watchdog.join()


class Watchdog(threading.Thread):
    """Ends a child that is cancelled, or that stays on after its time limit.

    A thread beside a blocking `wait`, because `wait` with a timeout sleeps up to 50 ms past the
    child's end, five times a small solve.
    """

    def __init__(
        self,
        child: subprocess.Popen[bytes],
        time_limit_s: float,
        cancel: threading.Event,
        ask_to_stop: Callable[[], object],
        cancel_grace_s: float,
    ) -> None:
        super().__init__(name="child-watchdog", daemon=True)
        self.finished = threading.Event()
        self.cancelled = self.killed = False
        self._child, self._cancel = child, cancel
        self._ask_to_stop, self._cancel_grace_s = ask_to_stop, cancel_grace_s
        self._time_limit_s = time_limit_s

    def run(self) -> None:
        """Look after the child until it is gone, or has said what was wanted of it."""
        asked_s: float | None = None
        share_s = GRACE_SHARE * self._time_limit_s
        grace_s = min(GRACE_S, max(LEAST_GRACE_S, share_s))
        patience_s = min(INTERRUPT_GRACE_S, max(LEAST_INTERRUPT_GRACE_S, share_s))
        ends_s = time.monotonic() + self._time_limit_s + grace_s
        while not self.finished.wait(POLL_S):
            now_s = time.monotonic()
            if self._cancel.is_set() and not self.cancelled:
                self.cancelled, ends_s, patience_s = True, now_s, self._cancel_grace_s
            if asked_s is None and now_s >= ends_s:
                asked_s = now_s
                if patience_s > 0:
                    self._ask_to_stop()
            if asked_s is not None and now_s >= asked_s + patience_s:
                self.killed = not self.cancelled
                send(self._child, "SIGKILL")
                return


def interrupt(child: subprocess.Popen[bytes]) -> None:
    """Ask a child to stop as Ctrl-C would; not on Windows, which has no such way."""
    send(child, "SIGINT")


def kill(child: subprocess.Popen[bytes]) -> None:
    """End a child with all that it started, and collect it."""
    send(child, "SIGKILL")
    child.wait()


def send(child: subprocess.Popen[bytes], name: str) -> None:
    """Send a signal to the child's whole group, if the child is still there."""
    if child.poll() is not None:
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        if sys.platform != "win32":
            os.killpg(child.pid, getattr(signal, name))
        elif name == "SIGKILL":
            child.kill()


@functools.cache
def most_memory_bytes() -> int:
    """Address space that one child may take: a share of what this machine or container has."""
    known = [MEMORY_IF_UNKNOWN]
    with contextlib.suppress(OSError, ValueError, AttributeError):
        known = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    with contextlib.suppress(OSError, ValueError):  # `max` where the container has no limit
        known.append(int(CGROUP_LIMIT.read_text(encoding="ascii")))
    return int(MEMORY_SHARE * min(known))


def _bound_memory(child: subprocess.Popen[bytes]) -> None:
    """Hold the child to its memory, where the system lets us."""
    with contextlib.suppress(ImportError, OSError, ValueError, AttributeError):
        import resource

        most = most_memory_bytes()
        resource.prlimit(child.pid, resource.RLIMIT_AS, (most, most))


@functools.cache
def _dying_with_us() -> tuple[str, ...]:
    """Words before a command that make Linux kill it when the thread that started it is gone."""
    words = ("setpriv", "--pdeathsig", "KILL")
    if not sys.platform.startswith("linux") or not shutil.which(words[0]):
        return ()
    # some setprivs (busybox) have no such option
    tried = subprocess.run([*words, "true"], capture_output=True, check=False)
    return words if tried.returncode == 0 else ()
