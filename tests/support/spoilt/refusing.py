"""Fixtures: what the command line says of a wrong input, whichever command reads it.

A plugin, named in `pytest_plugins` by the tests that want it.
"""

from __future__ import annotations

import json

import pytest

from milp_planner.cli.parts import exit_codes
from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.toy_cli"]


@pytest.fixture
def refused(run, folder):
    """What `check` says of a file with that content; `solve` must say the same."""

    def refuse(content: str | bytes, name: str = "x.yaml") -> str:
        data = content if isinstance(content, bytes) else content.encode()
        (folder / name).write_bytes(data)
        code, out, err = run("check", name)
        assert (code, out) == (exit_codes.INPUT, ""), err
        assert run("solve", name) == (code, out, err)
        json_code, document, json_err = run("solve", name, "--json")
        assert (json_code, json_err) == (code, err)
        error = json.loads(document)["error"]
        assert error["exit_code"] == exit_codes.INPUT
        assert error["message"] + "\n" == err
        assert all(fault["message"] in err for fault in error["faults"])
        return err

    return refuse


@pytest.fixture
def changed(refused):
    """What is said of the toy problem with one thing changed."""

    def change(old: str, new: str) -> str:
        assert old in PROBLEM
        return refused(PROBLEM.replace(old, new))

    return change
