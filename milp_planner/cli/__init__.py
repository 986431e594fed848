"""The command line. Nothing here plans; every command reads, calls the library, and writes.

To add a command, write a function that returns its exit code and name it in `app.py`.
"""

from milp_planner.cli.entry import main

__all__ = ["main"]
