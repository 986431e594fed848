"""`python -m milp_planner.serving.accuracy`, the old name of `milp_planner.study.accuracy`."""

import runpy

if __name__ == "__main__":
    runpy.run_module("milp_planner.study.accuracy", run_name="__main__", alter_sys=True)
