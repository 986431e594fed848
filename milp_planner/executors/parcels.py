"""What all tasks share, on its way to workers: it travels once, and each worker opens it once.

A worker is a process of its own, here or on another machine. What it opened it keeps, for the tasks
that follow; the last two at most, as a sweep that has ended is asked for no more. Answers come back
with the caller's own objects in place of what was sent: see `Shared`.
"""

from __future__ import annotations

import hashlib
import io
import pickle
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

from milp_planner._version import __version__
from milp_planner.errors import PlannerError
from milp_planner.lazily import dataclass

Task = TypeVar("Task")
Answer = TypeVar("Answer")

MOST_OPEN: Final = 2


class Shared:
    """What all tasks share, of which answers may speak."""

    def spoken_of(self) -> Iterable[object]:
        """What answers name by its number instead of carrying it, always in the same order: what is
        told apart by identity stays what it is."""
        return ()


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

    def opened(self, shared: object) -> Answers[Answer]:
        """The answers themselves."""
        return self


@dataclass(frozen=True)
class PackedAnswers(Generic[Answer]):
    """The same as bytes, with numbers for what was sent."""

    data: bytes

    def opened(self, shared: Shared) -> Answers[Answer]:
        """The answers, with what this process sent."""
        return _Reader(io.BytesIO(self.data), shared).load()  # type: ignore[no-any-return]


class _Writer(pickle.Pickler):
    def __init__(self, file: io.BytesIO, shared: Shared) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self._known = [*shared.spoken_of()]  # which stay, so that no other has their address
        self._number = {id(one): number for number, one in enumerate(self._known)}

    def persistent_id(self, obj: Any) -> int | None:
        return self._number.get(id(obj))


class _Reader(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, shared: Shared) -> None:
        super().__init__(file)
        self._known = [*shared.spoken_of()]

    def persistent_load(self, pid: Any) -> Any:
        return self._known[pid]


def run_tasks(
    run: Callable[[Any, Task], Answer], parcel: Parcel, tasks: Sequence[Task]
) -> Answers[Answer] | PackedAnswers[Answer]:
    """A few tasks, on a worker."""
    shared = parcel.opened()
    answers = _run(run, shared, tasks)
    if isinstance(parcel, Here) or not isinstance(shared, Shared):
        return answers
    file = io.BytesIO()
    _Writer(file, shared).dump(answers)
    return PackedAnswers(file.getvalue())


def _run(
    run: Callable[[Any, Task], Answer], shared: object, tasks: Sequence[Task]
) -> Answers[Answer]:
    known: list[Answer] = []
    try:
        for task in tasks:
            known.append(run(shared, task))
    except Exception as error:
        return Answers(tuple(known), error)
    return Answers(tuple(known))
