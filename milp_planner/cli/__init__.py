"""The command line. Nothing here plans; every command reads, calls the library, and writes.

To add a command, write a function that returns its exit code and name it in `app.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from milp_planner.cli.parts.clock import counted_from_process_start
from milp_planner.cli.parts.signals import leave, signals_exit_at_once

__all__ = ["main", "run"]


def run() -> int:
    """Run the command line of `sys.argv` as a process of its own, which ends with its exit code."""
    with counted_from_process_start():
        code = main()
    return leave(code)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` by default, and return its exit code."""
    if argv is None:
        _leave_out_highspy()
    with signals_exit_at_once():
        from milp_planner.cli.entry import run_command_line
    return run_command_line(argv)


def _leave_out_highspy() -> None:
    """Keep PuLP from importing highspy, and NumPy with it: HiGHS runs in a worker process.

    Only in a process of our own: who uses the library may want PuLP's HiGHS.
    """
    sys.modules.setdefault("highspy", None)  # type: ignore[arg-type]  # as Python documents it
