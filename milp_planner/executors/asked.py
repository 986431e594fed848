"""Which executor the work around this was given: see `spread_over`.

It is asked for where something is about to be solved that can be solved side by side. A task on a
worker is given none: it solves what it has where it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import Executor
from contextvars import ContextVar

from milp_planner.errors import argument_error

_asked: ContextVar[Executor | None] = ContextVar("executor", default=None)


@contextlib.contextmanager
def spread_over(executor: Executor | None) -> Iterator[None]:
    """Inside the block what can be solved side by side is solved on `executor`; None: here, unless
    a block around this one says otherwise.

    Raises ArgumentError for what is no executor.
    """
    check_executor(executor)
    asked = _asked.set(_asked.get() if executor is None else executor)
    try:
        yield
    finally:
        _asked.reset(asked)


def executor_asked() -> Executor | None:
    """What the block around this is spread over; None: nothing is sent anywhere."""
    return _asked.get()


def check_executor(executor: object) -> None:
    """Raise ArgumentError for what is neither an executor nor None."""
    if executor is not None and not hasattr(executor, "submit"):
        raise argument_error(
            f"expected an executor of concurrent.futures, not {type(executor).__name__}",
            path="executor",
        )
