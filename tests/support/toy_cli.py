"""Fixtures: a folder with the toy catalog, and a way to run a command line in-process.

A plugin, named in `pytest_plugins` by the tests that want it.
"""

from __future__ import annotations

import pytest

from milp_planner.cli import main
from tests.support.toy import CATALOG, PROBLEM


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the toy catalog and `toy.yaml`."""
    (tmp_path / "toy").mkdir()
    for name, content in CATALOG.items():
        (tmp_path / "toy" / name).write_text(content)
    (tmp_path / "toy.yaml").write_text(PROBLEM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(folder, capsys):
    """Run a command line in-process: exit code, stdout, stderr."""

    def run_command(*arguments: str) -> tuple[int, str, str]:
        code = main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run_command
