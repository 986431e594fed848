"""A folder of exported files: written whole or not at all, and never over somebody else's."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from milp_planner.errors import PlannerError

INDEX = "README.md"
"""The file that lists the others; a folder without it is not one of ours."""

TEMPORARY = ".milp-planner-"
LISTED = re.compile(r"^- `([^`]+)`$", re.MULTILINE)


def check_folder(folder: Path, *, overwrite: bool) -> None:
    """Refuse a folder that may not be written, before any work.

    Raises PlannerError where there is a file of that name, where its parent is not there, where it
    holds files and may not be overwritten, and where it holds files that no export has listed.
    """
    try:
        fault = _fault(folder, overwrite)
    except (OSError, ValueError) as error:
        fault = getattr(error, "strerror", None) or str(error)
    if fault:
        raise PlannerError(f"{folder}: {fault}")


def _fault(folder: Path, overwrite: bool) -> str:
    if not folder.exists():
        parent = folder.absolute().parent
        if not parent.is_dir():
            return f"there is no directory {parent}"
        return "" if os.access(parent, os.W_OK) else "its directory may not be written to"
    if not folder.is_dir():
        return "is a file; give a folder"
    held = sorted(path.name for path in folder.iterdir())
    if not held:
        return ""
    if not overwrite:
        return "is not empty; give another folder, or --overwrite"
    others = [name for name in held if name not in listed_files(folder)]
    if others:
        shown = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
        return f"holds what no export wrote: {shown}; give another folder"
    return ""


def listed_files(folder: Path) -> set[str]:
    """The files that the folder's index lists, and itself; none where there is no index."""
    index = folder / INDEX
    if not index.is_file():
        return set()
    return {INDEX, *LISTED.findall(index.read_text(encoding="utf-8", errors="replace"))}


def list_entry(name: str) -> str:
    """A file in the list, as it is read again."""
    return f"- `{name}`\n"


def write_folder(folder: Path, files: Mapping[str, str], *, overwrite: bool) -> None:
    """Write all files, or leave the folder as it was.

    They are written beside it first; then the folders change places.
    """
    check_folder(folder, overwrite=overwrite)
    target = Path(os.path.realpath(folder))
    try:
        made = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent))
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        for name, text in files.items():
            (made / name).write_text(text, encoding="utf-8", newline="")
        made.chmod(0o777 & ~_umask())
        _change_places(made, target)
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _change_places(made: Path, target: Path) -> None:
    """`target` is `made` afterwards; what it was is gone, or back in its place after a fault."""
    if not target.exists():
        made.rename(target)
        return
    earlier = Path(tempfile.mkdtemp(prefix=TEMPORARY, dir=target.parent))
    target.rename(earlier)
    try:
        made.rename(target)
    except BaseException:
        with contextlib.suppress(OSError):
            earlier.rename(target)
        raise
    shutil.rmtree(earlier, ignore_errors=True)


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _unwritable(folder: Path, error: OSError) -> PlannerError:
    return PlannerError(f"{folder}: cannot be written: {error.strerror or error}")
