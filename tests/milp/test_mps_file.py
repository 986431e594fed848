"""The planner's own MPS writer writes what PuLP writes, byte for byte, and stops in time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from milp_planner import prepare
from milp_planner.deadline import OutOfTime, until
from milp_planner.milp.program.model import FleetModel, build_model
from tests.support.builders import big_and_small, problem
from tests.support.random_problems import random_case


def model_of(question: object, rented: object) -> FleetModel:
    given = prepare(question, rented)  # type: ignore[arg-type]
    return build_model(given, given.candidates.candidates)


@pytest.mark.parametrize("seed", range(12))
def test_the_text_is_the_one_that_pulp_writes(tmp_path: Path, seed: int) -> None:
    model = model_of(*random_case(seed))
    ours, pulps = tmp_path / "ours.mps", tmp_path / "pulps.mps"
    model.write_mps(ours)
    model.lp.writeMPS(str(pulps))
    assert ours.read_text() == pulps.read_text()


def test_building_and_writing_stop_when_time_is_up(tmp_path: Path) -> None:
    given = prepare(problem(13), big_and_small())
    model = build_model(given, given.candidates.candidates)
    with until(time.monotonic() - 1):
        with pytest.raises(OutOfTime):
            build_model(given, given.candidates.candidates)
        with pytest.raises(OutOfTime):
            model.write_mps(tmp_path / "late.mps")
    model.write_mps(tmp_path / "after.mps")  # nothing of the deadline stays behind
