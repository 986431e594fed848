"""The workflow in the documents does what is said of it: plans, compares, fails where it must."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import readme
import yaml

from tests.support.toy import ENVIRONMENT, PROBLEM, write

pytest_plugins = ["tests.support.toy_cli"]

COMMANDS = Path(readme.ROOT) / "milp_planner" / "cli" / "README.md"
PLANNER = f"""#!/bin/sh
exec {sys.executable} -c 'import sys; from milp_planner.cli import main; sys.exit(main())' "$@"
"""


def steps() -> list[dict[str, object]]:
    """The steps of the one workflow shown."""
    [shown] = [text for text in readme.blocks(COMMANDS, "yaml") if "jobs:" in text]
    return yaml.safe_load(shown)["jobs"]["plan"]["steps"]


@pytest.fixture
def workflow(folder):
    """Runs the step that plans, in a folder with problem.yaml."""
    (folder / "bin").mkdir()
    planner = folder / "bin" / "milp-planner"
    planner.write_text(PLANNER)
    planner.chmod(0o755)
    (folder / "problem.yaml").write_text(PROBLEM)

    def run() -> int:
        [script] = [str(s["run"]) for s in steps() if "milp-planner solve" in str(s.get("run"))]
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        environment = {**ENVIRONMENT, "PATH": path, "GITHUB_STEP_SUMMARY": "summary.md"}
        return subprocess.run(["bash", "-e", "-c", script], cwd=folder, env=environment).returncode

    return run


@pytest.mark.slow
def test_the_workflow_compares_with_last_weeks_plan_and_fails_where_it_says(workflow, folder):
    # 13 requests/s: $3,960. The first week is set beside itself.
    assert workflow() == 0
    last = "**Monthly cost stays at $3,960.**\n"
    assert (folder / "plan.md").read_text().endswith(last)
    # 20 requests/s: 2 big, $5,760, 45 % more: exit 4, and the comment is there all the same.
    write(folder, "problem.yaml", "requests_per_second: 13", "requests_per_second: 20")
    assert workflow() == 4
    last = "**Monthly cost will increase by $1,800 (+45 %)**\n"
    assert (folder / "plan.md").read_text().endswith(last)
    assert (folder / "summary.md").read_text().endswith(last)


@pytest.mark.slow
def test_a_problem_without_a_plan_ends_the_workflow_with_3_and_the_comment_says_why(
    workflow, folder
):
    assert workflow() == 0
    (folder / "problem.yaml").write_text(f"{PROBLEM}\nlimits: {{max_gpus: {{total: 1}}}}\n")
    assert workflow() == 3
    first, _, why, *_, last = (folder / "plan.md").read_text().splitlines()
    assert first == "### toy: no plan (infeasible)"
    assert why == r"- no fleet keeps limits.max\_gpus.total: 1 GPU"
    assert last == (
        "**Monthly cost cannot be compared: the new document has no plan (infeasible).**"
    )
