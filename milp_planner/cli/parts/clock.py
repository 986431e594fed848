"""When a command began: what a time limit gives is counted from there, imports and all."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from contextvars import ContextVar

_began_s: ContextVar[float | None] = ContextVar("command_began_s", default=None)


@contextlib.contextmanager
def counted_from_process_start() -> Iterator[None]:
    """Inside the block commands began when the process did.

    What a process has had of a processor until now it has taken at least: Python's own start is
    some hundredths of a second, which no clock in it has seen.
    """
    began = _began_s.set(time.monotonic() - time.process_time())
    try:
        yield
    finally:
        _began_s.reset(began)


def command_began_s() -> float:
    """When the command that asks began, a reading of `time.monotonic`; now, in anybody else's
    process."""
    began_s = _began_s.get()
    return time.monotonic() if began_s is None else began_s
