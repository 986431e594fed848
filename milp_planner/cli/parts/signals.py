"""Ctrl-C and SIGTERM: one path for both, so that every solver is stopped and nothing is left."""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import NoReturn, TextIO

from milp_planner.cli.parts import exit_codes
from milp_planner.errors import PlannerError, SolverError

Handler = Callable[[int, FrameType | None], object]

EXITS = {
    signal.SIGINT: (exit_codes.INTERRUPTED, b"interrupted\n"),
    signal.SIGTERM: (exit_codes.TERMINATED, b"terminated\n"),
}

TOOLS = 6
"""As many numbers does Python have for those who watch a process."""

LONGEST_JOIN_S = 10.0
"""How long the end waits for threads; solvers that were told to stop are killed well before."""

LONGEST_START_S = 0.1
"""How long the end waits for a thread to start, which may never have been told to."""

LONGEST_WAIT_S = 0.5
"""How long a signal waits for an answer that is being written, and one that is written after it."""

AGAIN_S = 0.002
"""After so long a signal is sent again that was raised where Python ignores what is raised."""

_raised: list[signal.Signals] = []
"""Signals that were raised in the command that runs, the first before the next."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, taken down the same path as Ctrl-C."""


@contextlib.contextmanager
def signals_raise() -> Iterator[None]:
    """Inside the block SIGTERM raises `Terminated`, and Ctrl-C KeyboardInterrupt, as ever where
    nobody else handles it; what is printed after either is not waited for long."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        _raised.append(signal.Signals(number))
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    _raised.clear()
    with contextlib.ExitStack() as stack:
        stack.enter_context(_handled(signal.SIGTERM, stop))
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            stack.enter_context(_handled(signal.SIGINT, stop))
        stack.enter_context(_ignored_ones_come_again())
        yield


def told_as(error: BaseException) -> BaseException:
    """What an error is of: the signal that was raised before it, which compiled modules turn into
    an error of their own where they call Python, or the error itself.

    A file that cannot be written stays what it is: what stands so far is written after a signal.
    """
    if not _raised or isinstance(error, KeyboardInterrupt) or _is_of_a_file(error):
        return error
    return Terminated() if _raised[0] == signal.SIGTERM else KeyboardInterrupt()


def _is_of_a_file(error: BaseException) -> bool:
    """Whether the system refused it, and we say so: the solvers' errors come of signals, too."""
    caused = isinstance(error.__cause__ or error.__context__, OSError)
    return caused and isinstance(error, PlannerError) and not isinstance(error, SolverError)


@contextlib.contextmanager
def _ignored_ones_come_again() -> Iterator[None]:
    """What is raised while an object is taken down, or in the depth of a compiled module, Python
    only reports and goes on: a signal that was raised there is sent again, from a thread beside."""
    before = sys.unraisablehook

    def heed(ignored: sys.UnraisableHookArgs) -> None:
        if not isinstance(ignored.exc_value, KeyboardInterrupt):
            before(ignored)
            return
        _raised.clear()
        terminated = isinstance(ignored.exc_value, Terminated)
        number = signal.SIGTERM if terminated else signal.SIGINT
        heeded = threading.Event()  # until then it would be raised in here, and lost again
        threading.Thread(target=_send_after, args=(heeded, number), daemon=True).start()
        heeded.set()

    sys.unraisablehook = heed
    try:
        yield
    finally:
        sys.unraisablehook = before


def _send_after(heeded: threading.Event, number: signal.Signals) -> None:
    """To the main thread, which may wait for the system and is woken by it, where that can be."""
    heeded.wait()
    time.sleep(AGAIN_S)
    main = threading.main_thread().ident
    if hasattr(signal, "pthread_kill") and main is not None:
        signal.pthread_kill(main, number)
    else:
        signal.raise_signal(number)


@contextlib.contextmanager
def signals_exit_at_once() -> Iterator[None]:
    """Inside the block both signals end the process; for imports, when nothing needs cleaning up.

    While PuLP is imported it tries every solver's bindings under bare `except:` clauses, which
    would swallow an exception and go on as if nobody had asked to stop.
    """

    def leave(number: int, frame: FrameType | None) -> NoReturn:
        code, words = EXITS[signal.Signals(number)]
        with contextlib.suppress(OSError, ValueError):
            if _has_room(sys.__stderr__):
                os.write(2, words)
        os._exit(code)

    with _handled(signal.SIGINT, leave), _handled(signal.SIGTERM, leave):
        yield


@contextlib.contextmanager
def signals_wait(most_s: float = LONGEST_WAIT_S) -> Iterator[None]:
    """The first signal waits for the end of the block, so that what it prints is whole.

    Not for ever: a reader that stopped reading would keep us. After `most_s`, or at a second
    signal, it is delivered inside the block. Once a signal was raised, what is still to be printed
    has as long from the start.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in EXITS}
    earlier = _raised[:1]
    came = [*earlier]

    def wait(number: int, frame: FrameType | None) -> None:
        came.append(signal.Signals(number))
        if len(came) > 1:
            deliver(number, frame)
        elif hasattr(signal, "setitimer"):
            signal.setitimer(signal.ITIMER_REAL, most_s)

    def deliver(number: int, frame: FrameType | None) -> None:
        first = came.pop(0)
        came.clear()
        handler = before[first]
        if callable(handler):
            handler(first, frame)
        else:
            signal.signal(first, signal.SIG_DFL)
            signal.raise_signal(first)

    with contextlib.ExitStack() as stack:
        for number in EXITS:
            stack.enter_context(_handled(number, wait))
        if hasattr(signal, "setitimer"):
            stack.enter_context(_handled(signal.SIGALRM, deliver))
            stack.callback(signal.setitimer, signal.ITIMER_REAL, 0)
            if earlier:
                signal.setitimer(signal.ITIMER_REAL, most_s)
        yield
    if came != earlier:
        deliver(came[0], None)


def _has_room(stream: TextIO | None) -> bool:
    """Whether a few words can be written at once; taken for true where that cannot be asked."""
    if stream is None or not hasattr(select, "poll"):
        return stream is not None
    asked = select.poll()
    asked.register(stream.fileno(), select.POLLOUT)
    return bool(asked.poll(0))


def leave(code: int) -> int:
    """End the process with that exit code, now that the answer is out; no signal is heeded more.

    Threads that end solvers are waited for, and what was registered for the end is done. Python
    would go on to take down every record that was read, which takes a quarter of a second of a
    processor, and a busy machine two. It returns the code where somebody watches the process, who
    writes down at its end what was seen.
    """
    for number in EXITS:
        signal.signal(number, signal.SIG_IGN)
    if _is_watched():
        return code
    _join_threads()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)


def _join_threads() -> None:
    """Wait for threads at work, which a Ctrl-C may have left: they remove the files of a solver."""
    ends_s = time.monotonic() + LONGEST_JOIN_S
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            _join(thread, ends_s)


def _join(thread: threading.Thread, ends_s: float) -> None:
    starts_s = time.monotonic() + LONGEST_START_S
    joined = False
    while not joined and time.monotonic() < starts_s:
        try:
            thread.join(max(0.0, ends_s - time.monotonic()))
            joined = True
        except RuntimeError:  # a Ctrl-C came before it was started, or while it starts
            time.sleep(AGAIN_S)


def _is_watched() -> bool:
    """Whether a debugger, a profiler or a measurement of coverage runs, or `python -i` asks on."""
    tools = getattr(sys, "monitoring", None)  # from Python 3.12 on
    named = tools is not None and any(tools.get_tool(number) for number in range(TOOLS))
    return bool(named or sys.gettrace() or sys.getprofile() or sys.flags.inspect)


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
