"""Ctrl-C at every single moment of a piece of code, one after another."""

from __future__ import annotations

import dis
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType, ModuleType
from typing import Any

MOST_MOMENTS = 20_000

LOOKS_AFTER = ("CALL", "RESUME", "JUMP_BACKWARD")
"""Instructions, by how their names begin, after which Python looks whether a signal has come."""


def interrupts(action: Callable[[], object], *modules: ModuleType) -> Iterator[int]:
    """Call `action` again and again, each time with Ctrl-C one moment later, until it ends before.

    A moment is one at which Python looks for signals in a function of `modules`. Yields after each
    call that was interrupted, with the number of the moment: whoever asks looks at what is left.
    """
    files = {module.__file__ for module in modules}
    for moment in range(MOST_MOMENTS):
        if not _was_interrupted(action, files, moment):
            return
        yield moment
    raise AssertionError("it never ends")


def _was_interrupted(action: Callable[[], object], files: set[str | None], moment: int) -> bool:
    moments = 0
    after: dict[FrameType, str] = {}

    def watch(frame: FrameType, event: str, argument: object) -> Any:
        nonlocal moments
        if frame.f_code.co_filename not in files:
            return None
        frame.f_trace_opcodes = True
        if event == "opcode":
            moments += after.get(frame, "").startswith(LOOKS_AFTER)
            after[frame] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
            if moments == moment + 1:
                sys.settrace(None)
                signal.raise_signal(signal.SIGINT)
        return watch

    before = sys.gettrace()
    sys.settrace(watch)
    try:
        action()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(before)
    return moments > moment
