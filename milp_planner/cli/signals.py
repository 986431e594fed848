"""Ctrl-C and SIGTERM: one path for both, so that every solver is stopped and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn

from milp_planner.cli import exit_codes

Handler = Callable[[int, FrameType | None], object]

EXITS = {
    signal.SIGINT: (exit_codes.INTERRUPTED, b"interrupted\n"),
    signal.SIGTERM: (exit_codes.TERMINATED, b"terminated\n"),
}


class Terminated(KeyboardInterrupt):
    """SIGTERM, taken down the same path as Ctrl-C."""


@contextlib.contextmanager
def sigterm_raises() -> Iterator[None]:
    """SIGTERM raises `Terminated` inside the block."""

    def terminate(number: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    with _handled(signal.SIGTERM, terminate):
        yield


@contextlib.contextmanager
def signals_exit_at_once() -> Iterator[None]:
    """Inside the block both signals end the process; for imports, when nothing needs cleaning up.

    While PuLP is imported it tries every solver's bindings under bare `except:` clauses, which
    would swallow an exception and go on as if nobody had asked to stop.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        code, words = EXITS[signal.Signals(number)]
        with contextlib.suppress(OSError):
            os.write(2, words)
        os._exit(code)

    with _handled(signal.SIGINT, leave), _handled(signal.SIGTERM, leave):
        yield


@contextlib.contextmanager
def _handled(number: signal.Signals, handler: Handler) -> Iterator[None]:
    """`handler` in place; not where the signal is ignored, nor outside the main thread."""
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(number) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(number, handler)
    try:
        yield
    finally:
        signal.signal(number, signal.SIG_DFL if before is None else before)
