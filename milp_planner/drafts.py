"""Files and folders that are whole or not there, whenever Ctrl-C comes.

Ctrl-C comes between any two steps, also between making something and keeping in mind that it is to
be removed. So what is made is named first, what is to be removed is removed again where that was
interrupted, and what is still there at the end of the process is removed then.
"""

from __future__ import annotations

import atexit
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_to_go: dict[Path, tuple[int, Callable[[], bool]]] = {}
"""Folders that are to be removed: by which process, as a fork has none of its parent's, and what
says whether one is to stay."""


@contextmanager
def gone_at_last(folder: Path, unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """At the end of the block the folder is removed with all that is in it, if it is there.

    unless: says at the end that it is to stay.
    """
    _to_go[folder] = os.getpid(), unless
    try:
        yield
    finally:
        try:
            _let_go(folder)
        except BaseException:
            _let_go(folder)
            raise


def take_place(made: Path, target: Path, former: Path) -> None:
    """`made` is called `target` from here on; what `target` was, if it was there, is `former`.

    After a fault or Ctrl-C it is back in its place; where that cannot be, it is still `former`.
    """
    try:
        if target.exists():
            target.rename(former)
        made.rename(target)
    except BaseException:
        if not target.exists():
            with suppress(OSError):
                former.rename(target)
        raise


def _let_go(folder: Path) -> None:
    maker, unless = _to_go.get(folder, (0, bool))
    if maker == os.getpid() and not unless():
        _remove(folder)
    _to_go.pop(folder, None)


def _remove(folder: Path) -> None:
    """Not by `shutil.rmtree`: where Ctrl-C comes, it may close a file twice, and says that."""
    for home, folders, files in os.walk(folder, topdown=False):
        for name in files:
            with suppress(OSError):
                os.unlink(os.path.join(home, name))
        for name in folders:
            with suppress(OSError):
                os.rmdir(os.path.join(home, name))
    with suppress(OSError):
        os.rmdir(folder)


@atexit.register
def _let_all_go() -> None:
    """What an interrupt kept in the frames of its traceback, whose blocks have not ended."""
    for folder in [*_to_go]:
        _let_go(folder)
