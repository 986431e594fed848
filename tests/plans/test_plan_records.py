"""Records make documents of themselves without knowing who writes them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from milp_planner import Diagnosis, solve
from milp_planner.plans.plain import plain_data
from milp_planner.plans.reasons import Said
from tests.support.builders import big_and_small, problem


def test_records_have_documents_whatever_else_is_imported():
    # a fresh interpreter, in which nobody asks for `plan_dict`
    code = (
        "from milp_planner.plans.diagnosis import Diagnosis; "
        "from milp_planner.plans.reasons import Said; "
        "print(Diagnosis(Said('no fleet')).to_frame().empty)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ran.stdout, ran.stderr) == ("True\n", "")


def test_a_diagnosis_is_plain_data():
    assert plain_data(Diagnosis(Said("no fleet")))["headline"] == "no fleet"


def test_what_is_no_record_of_a_plan_has_no_document():
    with pytest.raises(TypeError, match=r"^int has no document$"):
        plain_data(1)


def test_a_plan_shows_itself_on_one_line():
    # 13 requests/s: one big, $4/h, and one small, $1.50/h
    plan = solve(problem(13), big_and_small())
    assert repr(plan) == (
        "<Plan 'problem', optimal, 3,960.00 USD/month, 2 GPUs at acme, bolt, 0 next-best>"
    )
    nothing = solve(problem(13, limits={"max_gpus": {"total": 1}}), big_and_small())
    assert repr(nothing) == "<Plan 'problem', infeasible, 0 next-best>"
