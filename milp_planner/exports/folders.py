"""A folder of exported files: written whole or not at all, and never over somebody else's."""

from __future__ import annotations

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from milp_planner.drafts import gone_at_last, take_place
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
    draft = target.parent / f"{TEMPORARY}{secrets.token_hex(8)}"
    made, former = draft / "new", draft / "former"
    try:
        with gone_at_last(draft, unless=lambda: former.exists() and not target.exists()):
            draft.mkdir(mode=0o700)
            made.mkdir()
            for name, text in files.items():
                (made / name).write_text(text, encoding="utf-8", newline="")
            take_place(made, target, former)
    except OSError as error:
        raise _unwritable(folder, error) from error


def _unwritable(folder: Path, error: OSError) -> PlannerError:
    return PlannerError(f"{folder}: cannot be written: {error.strerror or error}")
