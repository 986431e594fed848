"""One engine alone: asked again in other units whether anything is cheaper, and believed twice."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from milp_planner.milp.engines import certify
from milp_planner.milp.engines.certify import solve_certified
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import EngineStatus, SolverRun
from milp_planner.milp.engines.rescaled import write_rescaled
from milp_planner.milp.engines.verdict import CertifiedRun
from tests.milp.test_certify import Told, solved
from tests.milp.test_certify import told as told
from tests.support.small_models import covering, infeasible, many_ties, random_model

OPTIMAL, FEASIBLE = EngineStatus.OPTIMAL, EngineStatus.FEASIBLE
INFEASIBLE, NO_SOLUTION = EngineStatus.INFEASIBLE, EngineStatus.NO_SOLUTION

# --- the program in other units ---------------------------------------------------------------


def test_rows_and_costs_are_multiplied_by_powers_of_two(tmp_path: Path) -> None:
    # 8 x + 5 y ≥ 13 by 1/8 (√(8·5) = 6.3); costs 3 and 2 by 256, so that 3 comes near 1,024
    mps = covering().write(tmp_path / "m.mps")
    assert write_rescaled(mps, tmp_path / "other.mps") == 256.0
    words = [line.split() for line in (tmp_path / "other.mps").read_text().splitlines()]
    assert ["x000000", "r000000", "1.0"] in words
    assert ["x000001", "r000000", "0.625"] in words
    assert ["RHS", "r000000", "1.625"] in words
    assert ["x000000", "OBJ", "768.0"] in words


def test_the_optimum_is_the_same(tmp_path: Path) -> None:
    model = many_ties()
    mps = model.write(tmp_path / "m.mps")
    factor = write_rescaled(mps, tmp_path / "other.mps")
    here, there = (run_highs(tmp_path / name, time_limit_s=60) for name in ("m.mps", "other.mps"))
    assert there.objective == pytest.approx(factor * (here.objective or 0.0))
    assert model.judge(there.values) == pytest.approx(here.objective)


@pytest.mark.parametrize(("below", "least"), [(5.5, 5.0), (5.0, 5.0), (4.99, None)])
def test_a_cutoff_leaves_what_costs_no_more(
    tmp_path: Path, below: float, least: float | None
) -> None:
    # one big and one small cost $5, and nothing else costs less than $6
    mps = covering().write(tmp_path / "m.mps")
    write_rescaled(mps, tmp_path / "other.mps", below=below)
    outcome = run_highs(tmp_path / "other.mps", time_limit_s=60)
    assert (covering().judge(outcome.values) if outcome.values else None) == least


# --- one engine alone -------------------------------------------------------------------------


class Alone:
    """HiGHS alone, which says one thing after another; `below` keeps what it was cut off at."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self._patch = patch
        self.below: list[float | None] = []
        patch.setattr(certify, "write_rescaled", self._rescaled)

    def _rescaled(self, mps: Path, to: Path, *, below: float | None) -> float:
        self.below.append(below)
        return 2.0

    def verdict(self, *said: SolverRun, **asked: Any) -> CertifiedRun:
        left = iter(said)
        self._patch.setattr(certify, "run_highs", lambda mps, **how: next(left))
        given = {"judge": price, "time_limit_s": 5.0, "solver": "highs", **asked}
        return solve_certified(Path("m.mps"), ["price"], **given)


def price(values: Mapping[str, float]) -> float:
    return values["price"]


def says(status: EngineStatus, price: float | None = None, bound: float | None = None) -> SolverRun:
    values = {} if price is None else {"price": price}
    bound = price if status is OPTIMAL else bound
    return SolverRun("highs", "1.13.1", status, objective=price, bound=bound, values=values)


def doubled(run: SolverRun) -> SolverRun:
    """What a run over costs times two says of itself."""
    return replace(
        run,
        objective=None if run.objective is None else 2 * run.objective,
        bound=None if run.bound is None else 2 * run.bound,
    )


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> Alone:
    return Alone(monkeypatch)


def test_a_proof_is_confirmed_when_nothing_cheaper_is_found(alone: Alone) -> None:
    verdict = alone.verdict(says(OPTIMAL, 62.95), says(INFEASIBLE))
    assert (verdict.status, verdict.objective, verdict.bound) == (OPTIMAL, 62.95, 62.95)
    assert (verdict.certified, verdict.certified_by, verdict.notes) == (False, ("highs",), ())
    assert not verdict.unconfirmed
    assert alone.below == [pytest.approx(62.90)]  # ten times half a cent below


def test_a_cheaper_plan_is_taken_and_asked_about_in_turn(alone: Alone) -> None:
    verdict = alone.verdict(says(OPTIMAL, 65.79), doubled(says(OPTIMAL, 62.95)), says(INFEASIBLE))
    assert (verdict.status, verdict.objective, verdict.bound) == (OPTIMAL, 62.95, 62.95)
    assert alone.below == [pytest.approx(65.74), pytest.approx(62.90)]
    assert verdict.notes == (
        "HiGHS says that nothing costs less than 65.79, but 62.95 is possible",
    )


def test_one_word_against_another_is_no_proof(alone: Alone) -> None:
    verdict = alone.verdict(
        says(OPTIMAL, 65.79), doubled(says(OPTIMAL, 62.95)), says(NO_SOLUTION, bound=20.0)
    )
    assert (verdict.status, verdict.objective, verdict.bound) == (FEASIBLE, 62.95, None)
    assert (verdict.certified_by, verdict.unconfirmed) == ((), False)
    assert "asked again whether anything is cheaper: not finished" in verdict.notes


def test_an_engine_that_goes_on_finding_cheaper_plans_proves_nothing(alone: Alone) -> None:
    falling = [says(OPTIMAL, 100.0 - i) for i in range(1, 4)]
    verdict = alone.verdict(says(OPTIMAL, 100.0), *map(doubled, falling))
    assert (verdict.status, verdict.objective, verdict.bound) == (FEASIBLE, 97.0, None)


def test_an_unfinished_second_run_is_told(alone: Alone) -> None:
    verdict = alone.verdict(says(OPTIMAL, 62.95), says(NO_SOLUTION, bound=20.0))
    assert (verdict.status, verdict.certified_by) == (OPTIMAL, ("highs",))
    assert verdict.unconfirmed
    assert verdict.notes == ("asked again whether anything is cheaper: not finished",)


def test_without_time_nothing_is_confirmed_and_that_is_told(alone: Alone) -> None:
    verdict = alone.verdict(says(OPTIMAL, 62.95), time_limit_s=0.01)
    assert verdict.unconfirmed
    assert verdict.notes == ("not asked again whether anything is cheaper: no time was left",)


def test_infeasible_is_asked_again_without_a_cutoff(alone: Alone) -> None:
    verdict = alone.verdict(says(INFEASIBLE), says(INFEASIBLE))
    assert (verdict.status, verdict.certified_by) == (INFEASIBLE, ("highs",))
    assert alone.below == [None]


def test_a_false_infeasible_is_overruled(alone: Alone) -> None:
    verdict = alone.verdict(says(INFEASIBLE), doubled(says(OPTIMAL, 62.95)), says(INFEASIBLE))
    assert (verdict.status, verdict.objective) == (OPTIMAL, 62.95)
    assert verdict.notes[0] == "HiGHS says that there is no plan, but 62.95 is possible"


def test_what_is_unproven_is_not_asked_about(alone: Alone) -> None:
    verdict = alone.verdict(says(FEASIBLE, 62.95, bound=50.0))
    assert (verdict.status, verdict.bound, alone.below) == (FEASIBLE, 50.0, [])


def test_one_word_will_do_where_the_caller_says_so(alone: Alone) -> None:
    verdict = alone.verdict(says(OPTIMAL, 62.95), confirm=False)
    assert (verdict.status, alone.below) == (OPTIMAL, [])


def test_figures_that_are_no_numbers_are_left_out(alone: Alone) -> None:
    nan = float("nan")
    verdict = alone.verdict(replace(says(FEASIBLE, 62.95), bound=nan, objective=nan))
    assert (verdict.status, verdict.objective, verdict.bound) == (FEASIBLE, 62.95, None)
    assert all(run.bound is None for run in verdict.engines)


@pytest.mark.parametrize("solver", ["cbc", "highs"])
def test_real_engines_confirm_themselves(tmp_path: Path, solver: str) -> None:
    model = covering()
    mps = model.write(tmp_path / "m.mps")
    verdict = solve_certified(
        mps, list(model.costs), judge=model.judge, time_limit_s=60, solver=solver
    )
    assert (verdict.status, verdict.objective) == (OPTIMAL, 5.0)
    assert len(verdict.engines) == 2
    none = infeasible()
    mps = none.write(tmp_path / "none.mps")
    verdict = solve_certified(
        mps, list(none.costs), judge=none.judge, time_limit_s=60, solver=solver
    )
    assert (verdict.status, len(verdict.engines)) == (INFEASIBLE, 2)


# --- beside a plan at hand, beyond which engines need not look ------------------------------------


# the plan at hand costs 8


def test_that_nothing_is_cheaper_is_proven_by_one_engine_in_two_runs(told: Told) -> None:
    # HiGHS may call a dearer plan that it came across optimal, or say that there is none
    runs = [says(OPTIMAL, 9.0), says(INFEASIBLE)]
    verdict = told.verdict([says(FEASIBLE, 10.0, 6.0)], runs, known=8.0)
    assert (verdict.status, verdict.certified_by) == (INFEASIBLE, ("highs",))
    assert not verdict.values
    assert not verdict.unconfirmed
    assert verdict.notes == (
        "that nothing is cheaper is proven by HiGHS alone: CBC had not finished",
    )
    assert [asked["cutoff"] for asked in told.asked if "cutoff" in asked] == [8.0, 8.0]


def test_a_proof_that_no_second_run_confirms_is_told_as_such(told: Told) -> None:
    runs = [says(INFEASIBLE), says(NO_SOLUTION, bound=7.0)]
    verdict = told.verdict([says(NO_SOLUTION)], runs, known=8.0)
    assert (verdict.status, verdict.unconfirmed) == (INFEASIBLE, True)


def test_both_engines_may_prove_that_nothing_is_cheaper(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, 9.0)], [says(INFEASIBLE)], known=8.0)
    assert (verdict.status, verdict.certified_by) == (INFEASIBLE, ("cbc", "highs"))
    assert verdict.notes == ()


def test_a_bound_beyond_the_plan_at_hand_is_no_proof_of_a_dearer_one(told: Told) -> None:
    verdict = told.verdict([says(NO_SOLUTION)], [says(FEASIBLE, 9.0, 7.0)], known=8.0)
    assert (verdict.status, verdict.objective, verdict.bound) == (FEASIBLE, 9.0, 7.0)


def test_a_cheaper_plan_is_proven_like_any_other(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, 5.0)], [says(OPTIMAL, 5.0)], known=8.0)
    assert (verdict.status, verdict.objective) == (OPTIMAL, 5.0)
    assert verdict.certified


def test_a_cheaper_plan_contradicts_the_proof_of_none(told: Told) -> None:
    again = [says(OPTIMAL, 7.0)] * 2
    verdict = told.verdict([says(FEASIBLE, 7.0), again[0]], [says(INFEASIBLE), again[1]], known=8.0)
    assert (verdict.status, verdict.objective) == (OPTIMAL, 7.0)
    assert verdict.notes == (
        "HiGHS says that nothing costs less than 8.00, but 7.00 is possible",
        "solved again with other settings: settled",
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(60))
def test_beside_any_plan_at_hand_the_optimum_is_found_or_that_plan_is_proven(
    seed: int, tmp_path: Path
) -> None:
    model = random_model(seed)
    least = solved(model, tmp_path)
    if least.objective is None:
        return
    for known in (least.objective * 0.9, least.objective, least.objective * 1.2):
        beside = solved(model, tmp_path, known=known)
        if known < least.objective:
            assert beside.status is INFEASIBLE
        else:
            assert beside.objective == pytest.approx(least.objective)
            assert beside.status is OPTIMAL
