"""The command line. Nothing here plans; every command reads, calls the library, and writes.

To add a command, write a function that returns its exit code and name it in `app.py`.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from milp_planner.cli.parts.clock import counted_from_process_start
from milp_planner.cli.parts.signals import leaving_nothing_to_do, signals_exit_at_once

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line, `sys.argv` by default, and return its exit code."""
    if argv is not None:
        return _run(argv)
    _leave_out_highspy()
    with counted_from_process_start():
        code = _run(None)
    leaving_nothing_to_do()
    return code


def _run(argv: Sequence[str] | None) -> int:
    with signals_exit_at_once():
        from milp_planner.cli.entry import run_command_line
    return run_command_line(argv)


def _leave_out_highspy() -> None:
    """Keep PuLP from importing highspy, and NumPy with it: HiGHS runs in a worker process.

    Only in a process of our own: who uses the library may want PuLP's HiGHS.
    """
    sys.modules.setdefault("highspy", None)  # type: ignore[arg-type]  # as Python documents it
