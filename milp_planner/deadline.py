"""One deadline for all that a question does: whatever works long asks for it now and then.

    with until(ends_s, cancel):     # a reading of `time.monotonic`
        for row in rows:
            check()                 # raises OutOfTime once time is up

A search sets it; loops that build, prune or list check it; whoever holds a plan already catches
`OutOfTime` and gives that. Solvers have time limits of their own, and what reads and verifies their
plans never checks: a plan that was found in time is not thrown away.
"""

from __future__ import annotations

import contextlib
import math
import threading
import time
from collections.abc import Iterable, Iterator
from contextvars import ContextVar
from typing import TypeVar

Item = TypeVar("Item")

_ends_s: ContextVar[float] = ContextVar("ends_s", default=math.inf)
_cancel: ContextVar[threading.Event | None] = ContextVar("cancel", default=None)
_spared_s: ContextVar[float] = ContextVar("spared_s", default=-math.inf)
_began_s: ContextVar[float | None] = ContextVar("began_s", default=None)


class OutOfTime(Exception):
    """Time was up in the middle of work; nothing is wrong, and nothing was found."""


@contextlib.contextmanager
def until(ends_s: float, cancel: threading.Event | None = None) -> Iterator[None]:
    """Inside the block `check` raises after `ends_s`, or once `cancel` is set; an earlier deadline
    around the block stands."""
    ends = _ends_s.set(min(ends_s, _ends_s.get()))
    cancelled = _cancel.set(cancel if cancel is not None else _cancel.get())
    try:
        yield
    finally:
        _ends_s.reset(ends)
        _cancel.reset(cancelled)


@contextlib.contextmanager
def sparing(cpu_s: float) -> Iterator[None]:
    """Inside the block time is not up before this thread has had so much of a processor: for a
    little work that must be done even where a busy machine let the deadline pass before it began.
    """
    spared = _spared_s.set(time.thread_time() + cpu_s)
    try:
        yield
    finally:
        _spared_s.reset(spared)


def cancel_asked() -> threading.Event | None:
    """What asks the work around this to stop, where something may: see `until`."""
    return _cancel.get()


def is_up() -> bool:
    """True once time is up, also for work that is spared."""
    return time.monotonic() >= _ends_s.get()


def check() -> None:
    """Raise OutOfTime when time is up, or somebody asked to stop."""
    cancel = _cancel.get()
    if cancel is not None and cancel.is_set():
        raise OutOfTime
    if is_up() and time.thread_time() >= _spared_s.get():
        raise OutOfTime


def seconds_left() -> float:
    """Time until `check` raises, for what has a time limit of its own."""
    return max(0.0, _ends_s.get() - time.monotonic())


def checked(items: Iterable[Item]) -> Iterator[Item]:
    """The same items, with a `check` before each."""
    for item in items:
        check()
        yield item


@contextlib.contextmanager
def counted_from(began_s: float) -> Iterator[None]:
    """Inside the block, time limits began then: reading the files counts, too."""
    began = _began_s.set(began_s)
    try:
        yield
    finally:
        _began_s.reset(began)


def began_s() -> float:
    """When the question now asked began: see `counted_from`; else now."""
    began = _began_s.get()
    return time.monotonic() if began is None else began
