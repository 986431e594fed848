"""Progress bars on a terminal's stderr; one steps aside for what goes to stdout."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn
    from rich.status import Status


@contextlib.contextmanager
def counted(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """Inside the block, `done(n)` shows that n of the total are; None where nobody looks."""
    if quiet or not _is_terminal():
        yield None
        return
    with _counting(what, total) as (_, done):
        yield done


@contextlib.contextmanager
def counted_and_read(
    what: str, total: int, *, quiet: bool
) -> Iterator[Callable[[int], None] | None]:
    """The same, and a bar that takes its place while a long trace is read."""
    if quiet or not _is_terminal():
        yield None
        return
    with _counting(what, total) as (progress, done), reading(quiet=False, beside=progress):
        yield done


@contextlib.contextmanager
def _counting(what: str, total: int) -> Iterator[tuple[Progress, Callable[[int], None]]]:
    from rich.progress import BarColumn, SpinnerColumn, TextColumn

    share = TextColumn("{task.percentage:>3.0f} %")
    with _progress(SpinnerColumn(), _name(), BarColumn(), share) as progress:
        task = progress.add_task(what, total=total)
        yield progress, lambda n: progress.update(task, completed=n)


@contextlib.contextmanager
def bar(what: str, total: int, *, quiet: bool) -> Iterator[Callable[[Callable[[], None]], None]]:
    """Inside the block, calling `step(write)` writes something and moves the bar on by one."""
    if quiet or not _is_terminal():
        yield lambda write: write()
        return
    from rich.progress import BarColumn, MofNCompleteColumn

    with _progress(_name(), MofNCompleteColumn(), BarColumn()) as progress:
        task = progress.add_task(what, total=total)

        def step(write: Callable[[], None]) -> None:
            progress.stop()  # or the bar would be in the middle of what is written
            write()
            progress.advance(task)
            progress.start()

        yield step


@contextlib.contextmanager
def reading(*, quiet: bool, beside: Status | Progress | None = None) -> Iterator[None]:
    """Inside the block, a bar shows how far a long trace is read; `beside` steps aside for it."""
    if quiet or not _is_terminal():
        yield
        return
    from milp_planner.traffic.sources.opening import watched

    shown = _Reading(beside)
    try:
        with watched(shown.see):
            yield
    finally:
        shown.end()


class _Reading:
    """A bar for one file at a time; there is none until a file is long enough to be told of."""

    def __init__(self, beside: Status | Progress | None) -> None:
        self.beside = beside
        self.path: Path | None = None
        self.bar = contextlib.ExitStack()
        self.done: Callable[[int], None] | None = None

    def see(self, path: Path, read: int, total: int) -> None:
        """So many bytes of so many are read."""
        if path != self.path:
            self.end()
            self.path = path
            if self.beside is not None:
                self.beside.stop()
            self.done = self.bar.enter_context(counted(f"reading {path.name}", total, quiet=False))
        if self.done is not None:
            self.done(read)
        if read >= total:
            self.end()

    def end(self) -> None:
        """Take the bar away, and let what stepped aside come back."""
        if self.path is None:
            return
        self.path = self.done = None
        self.bar.close()
        if self.beside is not None:
            self.beside.start()


def _is_terminal() -> bool:
    try:
        return sys.stderr is not None and sys.stderr.isatty()
    except ValueError:  # closed
        return False


def _name() -> ProgressColumn:
    """What is counted, as it stands: no name from a file is read as markup."""
    from rich.progress import TextColumn

    return TextColumn("{task.description}", markup=False)


def _progress(*columns: ProgressColumn) -> Progress:
    """A bar on stderr with the time at its end, which leaves nothing behind."""
    from rich.console import Console
    from rich.progress import Progress, TimeElapsedColumn

    return Progress(
        *(*columns, TimeElapsedColumn()),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
