"""What all tasks share, on its way to workers: it travels once, and each worker opens it once.

A worker is a process of its own, here or on another machine. What it opened it keeps, for the tasks
that follow; the last two at most, as a sweep that has ended is asked for no more.
"""

from __future__ import annotations

import hashlib
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from milp_planner._version import __version__
from milp_planner.errors import PlannerError
from milp_planner.lazily import dataclass

Task = TypeVar("Task")
Answer = TypeVar("Answer")

MOST_OPEN: Final = 2

_open: OrderedDict[str, Any] = OrderedDict()
_opening = threading.Lock()


class Parcel(Protocol):
    """Something that a task gets, in place of what all tasks share."""

    def opened(self) -> Any:
        """What was packed."""


@dataclass(frozen=True)
class Here:
    """For threads of this process: nothing is packed."""

    content: Any

    def opened(self) -> Any:
        """The content itself."""
        return self.content


@dataclass(frozen=True)
class Packed:
    """The content as bytes, beside the version that wrote them."""

    data: bytes
    key: str
    version: str = __version__

    def opened(self) -> Any:
        """The content: unpacked by the first task of a worker, there for the others.

        Raises PlannerError where the worker has another version of the planner.
        """
        return _opened_once(self.key, self.version, lambda: self.data)


@dataclass(frozen=True)
class InFile:
    """The same in a file, for processes of this machine: no task carries it."""

    path: Path
    key: str
    version: str = __version__

    def opened(self) -> Any:
        """As of `Packed`. Raises OSError where the file is gone."""
        return _opened_once(self.key, self.version, self.path.read_bytes)


def packed(content: Any) -> Packed:
    """The content as bytes."""
    data = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    return Packed(data, hashlib.sha256(data).hexdigest())


def _opened_once(key: str, version: str, data: Callable[[], bytes]) -> Any:
    if version != __version__:
        raise PlannerError(
            f"the worker has milp-planner {__version__}, the caller {version}; "
            "install the same version on both"
        )
    with _opening:  # several threads of one worker
        if key not in _open:
            _open[key] = pickle.loads(data())
            while len(_open) > MOST_OPEN:
                _open.popitem(last=False)
        return _open[key]


@dataclass(frozen=True)
class Answers(Generic[Answer]):
    """Of tasks that were run one after another."""

    known: tuple[Answer, ...]
    error: Exception | None = None
    """What the task after those raised; the others were not run."""


def run_tasks(
    run: Callable[[Any, Task], Answer], parcel: Parcel, tasks: Sequence[Task]
) -> Answers[Answer]:
    """A few tasks, on a worker."""
    shared = parcel.opened()
    known: list[Answer] = []
    try:
        for task in tasks:
            known.append(run(shared, task))
    except Exception as error:
        return Answers(tuple(known), error)
    return Answers(tuple(known))
