"""Processes of this machine that are there again after one of them died."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import BrokenExecutor, Executor, Future, ProcessPoolExecutor
from multiprocessing.connection import wait
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

Answer = TypeVar("Answer")

GRACE_S = 0.5
"""How long a worker has to end its solvers, once the process that it works for is gone."""

_stop: threading.Event | None = None


def stop_here() -> threading.Event | None:
    """In a worker: set once the caller wants it to stop, or is gone; elsewhere None."""
    return _stop


class Processes(Executor):
    """`count` processes, each a Python of its own; where one dies, a new pool takes over.

    A pool of `concurrent.futures` takes no task any more once a process of it died. Not forked, as
    the caller has threads.
    """

    def __init__(self, count: int) -> None:
        self._count = count
        self._context = multiprocessing.get_context("spawn")
        self._told, self._telling = self._context.Pipe(duplex=False)
        self._lock = threading.Lock()
        self._pool = self._new_pool()

    @property
    def pool(self) -> ProcessPoolExecutor:
        """The pool that works now."""
        return self._pool

    def submit(self, fn: Callable[..., Answer], /, *args: Any, **kwargs: Any) -> Future[Answer]:
        """As of every executor."""
        with self._lock:
            try:
                return self._pool.submit(fn, *args, **kwargs)
            except BrokenExecutor:
                self._pool.shutdown(wait=False)
                self._pool = self._new_pool()
                return self._pool.submit(fn, *args, **kwargs)

    def places(self) -> int:
        """How many tasks run at the same time."""
        return self._count

    def stop(self) -> None:
        """Ask what runs to end at once, and all that begins later.

        By the end of a pipe: an event would wait for workers that died while they waited for it.
        """
        self._telling.close()

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """As of every executor."""
        self._pool.shutdown(wait=wait, cancel_futures=cancel_futures)

    def _new_pool(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            self._count, mp_context=self._context, initializer=_begin, initargs=(self._told,)
        )


def _begin(told: Connection) -> None:
    """A worker begins: a Ctrl-C in the terminal is the caller's, and without it a worker ends."""
    global _stop
    _stop = threading.Event()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_watch, args=(told, _stop), daemon=True).start()


def _watch(told: Connection, stop: threading.Event) -> None:
    caller = multiprocessing.parent_process()
    gone = [] if caller is None else [caller.sentinel]
    wait([told, *gone])
    stop.set()
    if gone:
        wait(gone)
        time.sleep(GRACE_S)
        os._exit(1)
