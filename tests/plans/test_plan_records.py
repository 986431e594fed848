"""Records make documents of themselves without knowing who writes them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from milp_planner import Diagnosis
from milp_planner.plans.plain import plain_data
from milp_planner.plans.reasons import Said


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
