"""`python -m milp_planner` is the command line."""

import sys

from milp_planner.cli import run

if __name__ == "__main__":
    sys.exit(run())
