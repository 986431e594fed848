"""Solves, so many at once and so many in the queue; one that nobody waits for is ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, TypeVar

from starlette.requests import Request

from milp_planner.deadline import until
from milp_planner.web.server.faults import Refused

T = TypeVar("T")

MOST_WAITING = 100
RETRY_AFTER_S = 5
FOREVER = float("inf")

Work = Callable[[threading.Event], T]
"""What is solved in a thread of its own; the event asks it to stop."""


class Gone(Exception):
    """Whoever asked has hung up: there is nobody to answer."""


class Solves:
    """Threads that solve: CBC and HiGHS are processes of their own beside them."""

    def __init__(self, at_once: int | None = None, most_waiting: int = MOST_WAITING) -> None:
        self.at_once = at_once or os.cpu_count() or 1
        self.most_waiting = most_waiting
        self.waiting = 0
        self._free = asyncio.Semaphore(self.at_once)
        self._threads = ThreadPoolExecutor(self.at_once, "solve")
        self._running: set[threading.Event] = set()
        self._closed = False

    async def run(self, request: Request, work: Work[T]) -> T:
        """What `work` gives, after those that came before.

        Raises Refused where too many wait, and Gone, once the work has ended, where whoever asked
        has hung up meanwhile.
        """
        gone = asyncio.ensure_future(_hung_up(request))
        try:
            await self._turn(gone)
            try:
                return await self._in_thread(work, gone)
            finally:
                self._free.release()
        finally:
            gone.cancel()

    def close(self) -> None:
        """End whatever is solved, and take nothing more."""
        self._closed = True
        for cancel in (*self._running,):
            cancel.set()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def join(self) -> None:
        """Wait until the threads have ended."""
        self._threads.shutdown(wait=True)

    async def _turn(self, gone: asyncio.Future[None]) -> None:
        """Wait for a thread."""
        if self._closed or (self._free.locked() and self.waiting >= self.most_waiting):
            text = f"{self.waiting} questions wait already; ask again later"
            raise Refused("busy", text, {"Retry-After": str(RETRY_AFTER_S)})
        turn: asyncio.Future[bool] = asyncio.ensure_future(self._acquired())
        self.waiting += 1
        try:
            await _first(turn, gone)
        except asyncio.CancelledError:
            turn.add_done_callback(self._given_back)
            raise
        finally:
            self.waiting -= 1
            if not turn.done():
                turn.cancel()
        if not turn.done() or turn.cancelled():
            raise Gone
        if gone.done():
            self._free.release()
            raise Gone

    async def _acquired(self) -> bool:
        return await self._free.acquire()

    def _given_back(self, turn: asyncio.Future[bool]) -> None:
        """A turn that came when nobody waited for it any more."""
        if not turn.cancelled():
            self._free.release()

    async def _in_thread(self, work: Work[T], gone: asyncio.Future[None]) -> T:
        """Run it; the thread is free again only once the work has ended."""
        with self._cancel() as cancel:
            context = copy_context()
            running = asyncio.get_running_loop().run_in_executor(
                self._threads, context.run, _cancellable, work, cancel
            )
            try:
                await _first(running, gone)
            finally:
                if not running.done():
                    cancel.set()
                    with contextlib.suppress(Exception):
                        await asyncio.shield(running)
            if cancel.is_set() and gone.done():
                raise Gone
            return await running

    @contextlib.contextmanager
    def _cancel(self) -> Iterator[threading.Event]:
        cancel = threading.Event()
        self._running.add(cancel)
        try:
            yield cancel
        finally:
            self._running.discard(cancel)


def _cancellable(work: Work[T], cancel: threading.Event) -> T:
    with until(FOREVER, cancel):
        return work(cancel)


async def _first(*futures: asyncio.Future[Any]) -> None:
    await asyncio.wait(futures, return_when=asyncio.FIRST_COMPLETED)


async def _hung_up(request: Request) -> None:
    """Return once whoever asked is gone; its body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
