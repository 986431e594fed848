"""CBC, HiGHS and a third engine agree, on whole problems and on every program behind them."""

from __future__ import annotations

import importlib.util
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from milp_planner import Status, load_problem, solve
from milp_planner.milp.engines.certify import solve_certified
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.solving import optimum
from tests.support.builders import OF_ONE_MONTH
from tests.support.random_problems import random_case

HERE = Path(__file__).parents[1]
FEW, MANY = range(25), range(300)
MOST_PROGRAMS = 3
"""Programs of one problem that are solved a third time: the first; later ones resemble them."""

TOLERANCE = 1e-6
"""Relative; rows that may be broken by 1e-9 and a price per row leave about this much."""

needs_third = pytest.mark.skipif(
    importlib.util.find_spec("ortools") is None, reason="OR-Tools is not installed"
)


@dataclass(frozen=True)
class Solved:
    """A program as the planner's engines solved it."""

    mps: Path
    verdict: CertifiedRun


class Recorder:
    """Keeps the programs that go to the planner's engines, and what these say."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.solved: list[Solved] = []
        self._folder, self._left = folder, MOST_PROGRAMS
        patch.setattr(optimum, "solve_certified", self._solve)

    def next_problem(self) -> None:
        self._left = MOST_PROGRAMS

    def _solve(self, mps: Path, columns: Sequence[str], **how: Any) -> CertifiedRun:
        verdict = solve_certified(mps, columns, **how)
        if self._left > 0:
            self._left -= 1
            kept = self._folder / f"{len(self.solved):05d}.mps"
            shutil.copy(mps, kept)
            self.solved.append(Solved(kept, verdict))
        return verdict


@pytest.fixture
def recorder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(tmp_path, monkeypatch)


def third_engine(programs: Iterable[Solved]) -> list[dict[str, Any]]:
    """What OR-Tools says of each, in a process of its own."""
    files = [str(program.mps) for program in programs]
    command = [sys.executable, str(HERE / "support/oracles/third_engine.py"), *files]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=600)
    return [json.loads(line) for line in ran.stdout.splitlines()]


def close(one: float, other: float) -> bool:
    return abs(one - other) <= 0.01 + TOLERANCE * abs(other)


def held_against(verdict: CertifiedRun, said: dict[str, Any]) -> str:
    """How far the third engine confirms the verdict: `cp_sat`, `scip`, or `` for not at all.

    CP-SAT solves a relaxation: a bound above the verdict's plan, or no plan where there is one,
    contradicts; a bound below it says nothing, and SCIP must then confirm alone. SCIP contradicts
    by a cheaper plan only: the verdict's plan exists, and SCIP called 15,044.80 the optimum of a
    program where CBC, HiGHS and CP-SAT have 14,894.80.
    """
    cp_sat, scip = said["cp_sat"], said["scip"]
    if verdict.status is EngineStatus.INFEASIBLE:
        by_scip = scip["status"] == "infeasible"
        by_cp_sat = cp_sat["status"] == "infeasible"
    else:
        best = verdict.objective
        assert best is not None
        assert cp_sat["status"] != "infeasible", said
        assert cp_sat.get("bound", best) <= best or close(cp_sat["bound"], best), said
        by_scip = scip["status"] == "optimal" and close(scip["objective"], best)
        by_cp_sat = cp_sat["status"] == "optimal" and close(cp_sat["bound"], best)
        if by_cp_sat and scip.get("objective", 0.0) > best:
            return "cp_sat"
    assert by_scip or scip["status"] == "unknown_status", (verdict, said)
    return "cp_sat" if by_cp_sat else "scip" if by_scip else ""


def confirm(solved: Sequence[Solved]) -> Counter[str]:
    """Assert that the third engine contradicts none, and count who confirms them."""
    proven = (EngineStatus.OPTIMAL, EngineStatus.INFEASIBLE)
    solved = [program for program in solved if program.verdict.status in proven]
    said = third_engine(solved)
    counted: Counter[str] = Counter()
    for program, answer in zip(solved, said, strict=True):
        counted[held_against(program.verdict, answer)] += 1
    return counted


def random_problems_agree(recorder: Recorder, seeds: range) -> Counter[str]:
    for seed in seeds:
        recorder.next_problem()
        plan = solve(*random_case(seed), time_limit_s=20, diagnose=False)
        for note in plan.proof.notes:
            assert "says" not in note, (seed, plan.proof.notes)
    return confirm(recorder.solved)


@pytest.mark.slow
@needs_third
def test_a_third_engine_confirms_random_problems_of_every_feature(recorder):
    counted = random_problems_agree(recorder, FEW)
    assert counted[""] == 0
    assert counted["cp_sat"] >= 0.85 * counted.total() > 20


@needs_third
@pytest.mark.slow
def test_a_third_engine_confirms_three_hundred_random_problems(recorder):
    counted = random_problems_agree(recorder, MANY)
    assert counted[""] <= 0.01 * counted.total()
    assert counted["cp_sat"] >= 0.85 * counted.total() > 300


@pytest.mark.slow
@needs_third
def test_a_third_engine_confirms_every_shipped_problem(recorder):
    for path in OF_ONE_MONTH:
        recorder.next_problem()
        solve(load_problem(path), alternatives=0, diagnose=False)
    counted = confirm(recorder.solved)
    assert counted[""] == 0
    assert counted.total() >= len(OF_ONE_MONTH) - 1  # one is refused before any program


@needs_third
def test_a_wrong_answer_would_be_seen(recorder):
    solve(*random_case(1), diagnose=False)
    (answer,) = third_engine(recorder.solved[:1])
    true = recorder.solved[0].verdict
    assert held_against(true, answer)
    for factor in (0.99, 1.01):
        wrong = CertifiedRun(true.status, true.values, factor * true.objective)
        with pytest.raises(AssertionError):
            held_against(wrong, answer)
    with pytest.raises(AssertionError):
        held_against(CertifiedRun(EngineStatus.INFEASIBLE), answer)


# --- each engine alone --------------------------------------------------------------------------


def each_engine_alone_agrees(seeds: range) -> int:
    """Problems on which CBC alone and HiGHS alone prove what both together prove."""
    proven = 0
    for seed in seeds:
        question, rented = random_case(seed)
        how = {"time_limit_s": 20, "diagnose": False}
        both = solve(question, rented, **how)
        for solver in ("cbc", "highs"):
            alone = solve(question, rented, solver=solver, **how)
            if Status.FEASIBLE in (both.status, alone.status):
                continue  # out of time
            assert alone.status is both.status, (seed, solver)
            assert alone.proof.certified_by in ((solver,), ()), (seed, solver)
            if both.status is Status.OPTIMAL:
                far = abs(alone.score_usd_per_month - both.score_usd_per_month)
                # an overload ramp is charged to a dollar
                assert far <= (1 if both.costs["overload"] else 0.01), (seed, solver)
        proven += both.status is not Status.FEASIBLE
    return proven


@pytest.mark.slow
def test_each_engine_alone_gives_the_same_answer():
    assert each_engine_alone_agrees(FEW) >= 24


@pytest.mark.slow
def test_each_engine_alone_gives_the_same_answer_to_three_hundred_problems():
    assert each_engine_alone_agrees(MANY) >= 290


@pytest.mark.slow
@pytest.mark.parametrize("path", OF_ONE_MONTH, ids=lambda path: path.stem)
def test_each_engine_alone_plans_every_shipped_problem(path):
    question = load_problem(path)
    plans = [
        solve(question, alternatives=0, solver=solver, diagnose=False)
        for solver in ("both", "cbc", "highs")
    ]
    assert len({plan.status for plan in plans}) == 1
    scores = [plan.score_usd_per_month for plan in plans]
    assert scores[1:] == pytest.approx([scores[0]] * 2)
