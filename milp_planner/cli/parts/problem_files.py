"""Which problem files a command line names: one, several, folders of them, or `problem.yaml`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from milp_planner.cli.parts.loading import STDIN

HERE = "problem.yaml"
"""What is solved where no file is named: what `init` writes."""

ENDINGS = (".yaml", ".yml")

_WORKLOADS = re.compile(rb"^(workloads|[\"']workloads[\"'])\s*:", re.MULTILINE)


def is_several(names: Sequence[str]) -> bool:
    """Whether the names stand for more than one problem file: a folder does, whatever it holds."""
    return len(names) > 1 or any(map(_is_folder, names))


def the_file_here() -> str:
    """`problem.yaml`; raises PlannerError where there is none."""
    from milp_planner.errors import PlannerError

    if Path(HERE).exists():
        return HERE
    raise PlannerError(
        f"FILE: none is named, and there is no {HERE} in this folder\n"
        "  hint: milp-planner init writes one; milp-planner plan asks from one line"
    )


def every_file(names: Sequence[str]) -> Iterator[str]:
    """Every problem file that is named, of a folder those that have workloads, sorted by name.

    Raises PlannerError for a folder without any, and for standard input beside other problems.
    """
    from milp_planner.errors import PlannerError

    for name in names:
        if name == STDIN:
            raise PlannerError("FILE: standard input is one problem; solve it by itself")
        if not _is_folder(name):
            yield name
            continue
        found = [str(path) for path in sorted(Path(name).iterdir()) if _is_problem(path)]
        if not found:
            raise PlannerError(f"{name}: no problem in this folder: no YAML file with workloads")
        yield from found


def _is_folder(name: str) -> bool:
    try:
        return bool(name) and Path(name).is_dir()  # "" would be the folder that we are in
    except (OSError, ValueError):  # too long, a NUL
        return False


def _is_problem(path: Path) -> bool:
    """Scenarios and deployments are YAML files, too."""
    if path.suffix.lower() not in ENDINGS or not path.is_file():
        return False
    try:
        return _WORKLOADS.search(path.read_bytes()) is not None
    except OSError:  # it cannot be read, and says so when it is
        return True
