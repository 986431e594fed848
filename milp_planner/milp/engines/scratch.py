"""A folder for a solver's files that is gone afterwards, whenever a signal comes.

Only SIGKILL, a power cut or memory running out leave one behind; the next process that needs such a
folder sweeps those whose process is gone.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import secrets
import shutil
import stat
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from milp_planner.drafts import gone_at_last

ABANDONED_S = 600.0
"""Age from which a folder without its process is taken for abandoned: a process that this one
cannot see, in a container beside it say, has a while to be done."""

_NAME = re.compile(r"milp-planner-(\d{1,10})-[0-9a-f]{32}")


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder in the temp folder, only for this user; removed with all that is in it.

    `tempfile.TemporaryDirectory` leaves it behind when Ctrl-C comes just after it was made or
    while it is being removed.
    """
    home = _home()
    _sweep_once(home)
    folder = Path(home) / f"milp-planner-{os.getpid()}-{secrets.token_hex(16)}"
    with gone_at_last(folder):
        folder.mkdir(mode=0o700)
        yield folder


def _home() -> str:
    """The temp folder. Python looks for it once, and tries it with a file that a Ctrl-C would leave
    there; so it looks in a thread, in which no signal is raised."""
    if tempfile.tempdir is None:
        search = threading.Thread(target=_look_for_home)
        search.start()
        search.join()
    return tempfile.gettempdir()


def _look_for_home() -> None:
    with contextlib.suppress(OSError):  # there is none: said again to who asked
        tempfile.gettempdir()


def sweep(home: Path) -> None:
    """Remove this user's scratch folders in `home` that are old and whose process is gone."""
    if sys.platform == "win32":  # has no way to ask for a process without touching it
        return
    with contextlib.suppress(OSError), os.scandir(home) as entries:
        for entry in entries:
            found = _NAME.fullmatch(entry.name)
            if found and _is_abandoned(entry, int(found[1])):
                shutil.rmtree(entry.path, ignore_errors=True)


@functools.cache
def _sweep_once(home: str) -> None:
    sweep(Path(home))


def _is_abandoned(entry: os.DirEntry[str], pid: int) -> bool:
    if sys.platform == "win32":
        return False
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError:
        return False
    mine = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
    return mine and time.time() - about.st_mtime > ABANDONED_S and not _is_running(pid)


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:  # somebody else's: the number is in use
        return True
    return True
