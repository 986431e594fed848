"""Files and folders that are whole or not there, whenever Ctrl-C comes.

Ctrl-C comes between any two steps, also between making something and keeping in mind that it is to
be removed. So what is made is named first, and what is to be removed is removed again where that
was interrupted.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def gone_at_last(folder: Path, unless: Callable[[], bool] = lambda: False) -> Iterator[None]:
    """At the end of the block the folder is removed with all that is in it, if it is there.

    unless: says at the end that it is to stay.
    """
    try:
        yield
    finally:
        try:
            _remove(folder, unless)
        except BaseException:
            _remove(folder, unless)
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


def _remove(folder: Path, unless: Callable[[], bool]) -> None:
    if not unless():
        shutil.rmtree(folder, ignore_errors=True)
