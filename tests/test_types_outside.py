"""The package as the type checker of a program that uses it sees it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.scripts import check_types_outside

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (importlib.util.find_spec("mypy") and importlib.util.find_spec("pyright")),
        reason="mypy and pyright are of the dev extra",
    ),
]

FAULTS = """
from milp_planner import Latency, load_problem, solv, solve

Latency(tpo_s=0.05)
solve(load_problem("problem.yaml"), solver="gurobi")
"""


def test_the_readmes_python_passes_mypy_and_pyright():
    assert check_types_outside.main() == 0


def test_a_misspelt_name_key_or_choice_is_found_by_every_checker(tmp_path: Path, capfd):
    check_types_outside.write_settings(tmp_path)
    (tmp_path / "faults.py").write_text(FAULTS, encoding="utf-8")
    assert check_types_outside.check(tmp_path) == len(check_types_outside.CHECKERS)
    printed = capfd.readouterr().out
    for fault in ('has no attribute "solv"', '"solv" is unknown import symbol'):
        assert fault in printed
    assert printed.count("gurobi") >= len(check_types_outside.CHECKERS)
    assert printed.count("tpo_s") >= len(check_types_outside.CHECKERS)
