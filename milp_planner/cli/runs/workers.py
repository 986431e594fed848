"""`--jobs` and `--executor`: where a command solves what can be solved side by side."""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager


@contextmanager
def workers(where: str, jobs: int, cancel: threading.Event) -> Iterator[Executor | None]:
    """Threads by default, as CBC and HiGHS are other processes; one of them needs none.

    cancel: set where the block ends early, so that what was begun ends too.
    """
    from milp_planner.executors.places import executor_at

    if where == "threads" and jobs == 1:
        yield None
        return
    with executor_at(where, jobs) as executor:
        try:
            yield executor
        except BaseException:  # Ctrl-C, or the reader went away: end the solvers before leaving
            cancel.set()
            raise


@contextmanager
def spread(where: str, jobs: int) -> Iterator[None]:
    """Inside the block choices, futures and parts are solved there, until it ends early."""
    from milp_planner.deadline import until
    from milp_planner.executors.asked import spread_over

    cancel = threading.Event()
    with workers(where, jobs, cancel) as executor:
        if executor is None:
            yield
            return
        with spread_over(executor), until(math.inf, cancel):
            yield
