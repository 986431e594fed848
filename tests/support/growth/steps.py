"""Counts the lines of the planner that run: the same on every machine, whatever else it does."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import milp_planner

_HOME = str(Path(milp_planner.__file__).parent)


def steps_of(run: Callable[[], object]) -> int:
    """Lines of the planner that run, each time a loop comes round to one, in this thread."""
    steps = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal steps
        if not frame.f_code.co_filename.startswith(_HOME):
            return None
        steps += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        run()
    finally:
        sys.settrace(before)
    return steps


def growth(steps: Iterable[int]) -> float:
    """For sizes n, 2n and 4n: how many times the first doubling the second one adds.

    2 where steps grow with the size, 4 where with its square; what is done once does not count.
    """
    one, two, four = steps
    return (four - two) / (two - one)
