"""A folder for a solver's files that is gone afterwards, whenever a signal comes."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A new folder in the temp folder, only for this user; removed with all that is in it.

    `tempfile.TemporaryDirectory` leaves it behind when Ctrl-C comes just after it was made or
    while it is being removed. Here its name is known before it is made, and a removal that is
    interrupted is begun again.
    """
    folder = Path(tempfile.gettempdir()) / f"milp-planner-{secrets.token_hex(16)}"
    try:
        folder.mkdir(mode=0o700)
        yield folder
    finally:
        try:
            _remove(folder)
        except BaseException:
            _remove(folder)
            raise


def _remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
