"""Both engines together: which of their claims is believed, and what the verdict says of it."""

from __future__ import annotations

import signal
import tempfile
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from milp_planner.milp.engines import certify
from milp_planner.milp.engines.cbc import CbcBinary, find_cbc
from milp_planner.milp.engines.certify import solve_certified
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import EngineStatus, SolverRun
from milp_planner.milp.engines.verdict import CertifiedRun
from tests.support.small_models import Model, covering, random_model, read_model, slow

OPTIMAL, FEASIBLE = EngineStatus.OPTIMAL, EngineStatus.FEASIBLE
INFEASIBLE, NO_SOLUTION = EngineStatus.INFEASIBLE, EngineStatus.NO_SOLUTION
FAILED = EngineStatus.FAILED

needs_cbc = pytest.mark.skipif(find_cbc() is None, reason="no CBC runs on this machine")

OWN_TRAPS = Path(__file__).parents[1] / "data" / "solver_traps"
SHARED_TRAPS = Path(__file__).resolve().parents[3] / "shared" / "cases" / "solver_traps"


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all temporary files go, with a space in its name; empty again after a run."""
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def solved(model: Model, folder: Path, **asked: Any) -> CertifiedRun:
    mps = model.write(folder / "fleet.mps")
    given = {"judge": model.judge, "time_limit_s": 10.0, **asked}
    return solve_certified(mps, list(model.costs), **given)


# --- claims, with engines that say what they are told ---------------------------------------------


def says(status: EngineStatus, price: float | None = None, bound: float | None = None) -> SolverRun:
    """A claim; a plan's only column is its price, negative when it breaks a rule."""
    values = {} if price is None else {"price": price}
    objective = None if price is None else abs(price)
    bound = objective if bound is None and status is OPTIMAL else bound
    return SolverRun("", "1", status, objective, bound, values, seconds=0.01)


def price(values: Mapping[str, float]) -> float | None:
    return values["price"] if values["price"] >= 0 else None


class Told:
    """Two engines that give the outcomes they are told, round by round; `asked` keeps how."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []
        self._patch = patch
        patch.setattr(certify, "write_rescaled", lambda mps, to, below: 1.0)
        patch.setattr(certify, "find_cbc", lambda explicit: CbcBinary("cbc", "2.10.3", "PuLP"))

    def verdict(self, cbc: list[SolverRun], highs: list[SolverRun], **asked: Any) -> CertifiedRun:
        self._tell("cbc", cbc)
        self._tell("highs", highs)
        given = {"judge": price, "time_limit_s": 5.0, **asked}
        return solve_certified(Path("m.mps"), ["price"], **given)

    def _tell(self, name: str, outcomes: list[SolverRun]) -> None:
        left = iter(outcomes)

        def run(mps: Path, **asked: Any) -> SolverRun:
            self.asked.append({"engine": name, **asked})
            return replace(next(left), engine=name)

        self._patch.setattr(certify, f"run_{name}", run)


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    return Told(monkeypatch)


def test_two_proofs_of_one_price_certify_it(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, 62.95)], [says(OPTIMAL, 62.9500001)])
    assert (verdict.status, verdict.objective, verdict.bound) == (OPTIMAL, 62.95, 62.95)
    assert verdict.certified
    assert verdict.certified_by == ("cbc", "highs")
    assert verdict.notes == ()


def test_of_two_plans_at_one_price_cbcs_is_taken(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, 10.004)], [says(OPTIMAL, 10.0)])
    assert verdict.values == {"price": 10.004}
    assert told.verdict([says(OPTIMAL, 10.006)] * 2, [says(OPTIMAL, 10.0)] * 2).objective == 10.0


def test_a_wrong_proof_is_caught_and_settled_by_solving_again(told: Told) -> None:
    verdict = told.verdict(
        [says(OPTIMAL, 65.79), says(OPTIMAL, 62.95)], [says(OPTIMAL, 62.95)] * 2, seed=3
    )
    assert (verdict.objective, verdict.certified_by) == (62.95, ("cbc", "highs"))
    assert verdict.notes == (
        "CBC says that nothing costs less than 65.79, but 62.95 is possible",
        "solved again with other settings: settled",
    )
    assert [o.objective for o in verdict.engines] == [65.79, 62.95, 62.95, 62.95]
    again = [asked for asked in told.asked if asked["seed"] != 3]
    assert {asked["seed"] for asked in again} == {3 + 7919}
    assert [a["other_settings"] for a in again if a["engine"] == "cbc"] == [True]
    assert [a["presolve"] for a in again if a["engine"] == "highs"] == [True]


def test_engines_that_still_differ_leave_one_proof_and_a_note(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, 65.79)] * 2, [says(OPTIMAL, 62.95)] * 2)
    assert (verdict.status, verdict.objective) == (OPTIMAL, 62.95)
    assert verdict.certified_by == ("highs",)
    assert verdict.notes == (
        "CBC says that nothing costs less than 65.79, but 62.95 is possible",
        "solved again with other settings: still so",
        "optimal by HiGHS alone",
    )


def test_a_plan_that_breaks_a_rule_is_never_taken(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, -2.0)] * 2, [says(OPTIMAL, 3.0)] * 2)
    assert (verdict.status, verdict.values, verdict.objective) == (OPTIMAL, {"price": 3.0}, 3.0)
    assert verdict.certified_by == ("highs",)
    assert verdict.notes[0] == "CBC gave a plan that breaks a rule of the model"


def test_when_no_plan_passes_the_verdict_is_a_failure(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, -2.0)] * 2, [says(OPTIMAL, -2.0)] * 2)
    assert (verdict.status, verdict.values, verdict.objective) == (FAILED, {}, None)
    assert "HiGHS gave a plan that breaks a rule of the model" in verdict.notes


def test_a_false_infeasible_is_overruled_by_a_plan(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, 3344.0)] * 2, [says(INFEASIBLE), says(OPTIMAL, 3344.0)])
    assert (verdict.status, verdict.objective) == (OPTIMAL, 3344.0)
    assert verdict.notes[0] == "HiGHS says that there is no plan, but 3,344.00 is possible"
    assert verdict.certified


def test_infeasible_takes_both(told: Told) -> None:
    both = told.verdict([says(INFEASIBLE)], [says(INFEASIBLE)])
    assert (both.status, both.certified_by, both.notes) == (INFEASIBLE, ("cbc", "highs"), ())
    one = told.verdict([says(INFEASIBLE)], [says(NO_SOLUTION, bound=7.0)])
    assert (one.status, one.certified_by, one.bound) == (NO_SOLUTION, (), 7.0)
    assert one.notes == ("CBC says that there is no plan, which nobody could confirm in time",)


def test_infeasible_by_the_only_engine_that_answers_is_said_to_be_so(told: Told) -> None:
    broken = replace(says(FAILED), reason="crashed: SIGSEGV")
    verdict = told.verdict([broken], [says(INFEASIBLE)] * 2)
    assert (verdict.status, verdict.certified, verdict.certified_by) == (
        INFEASIBLE,
        False,
        ("highs",),
    )
    assert verdict.notes == (
        "CBC gave no answer: crashed: SIGSEGV",
        "infeasible by HiGHS alone",
    )


def test_when_both_fail_so_does_the_verdict(told: Told) -> None:
    broken = replace(says(FAILED), reason="infeasible or unbounded")
    verdict = told.verdict([broken], [broken])
    assert verdict.status is FAILED
    assert verdict.notes == (
        "CBC gave no answer: infeasible or unbounded",
        "HiGHS gave no answer: infeasible or unbounded",
    )


def test_the_best_plan_and_the_highest_true_bound_are_kept(told: Told) -> None:
    verdict = told.verdict([says(FEASIBLE, 100, bound=80)], [says(FEASIBLE, 110, bound=90)])
    assert (verdict.status, verdict.objective, verdict.bound) == (FEASIBLE, 100, 90)
    assert verdict.certified_by == ()


def test_a_bound_that_reaches_the_others_plan_proves_it(told: Told) -> None:
    verdict = told.verdict([says(FEASIBLE, 100, bound=80)], [says(FEASIBLE, 110, bound=100)])
    assert (verdict.status, verdict.objective, verdict.certified_by) == (OPTIMAL, 100, ("highs",))
    assert verdict.notes == ("optimal by HiGHS alone: CBC had not finished",)


def test_a_bound_above_a_plan_that_exists_is_not_a_bound(told: Told) -> None:
    low, high = says(FEASIBLE, 100, bound=80), says(FEASIBLE, 110, bound=105)
    verdict = told.verdict([low] * 2, [high, says(FEASIBLE, 110, bound=85)])
    assert (verdict.status, verdict.bound) == (FEASIBLE, 85)
    assert verdict.notes == (
        "HiGHS says that nothing costs less than 105.00, but 100.00 is possible",
        "solved again with other settings: not finished",
    )


def test_a_plan_that_costs_more_than_its_engine_says_is_not_called_optimal(told: Told) -> None:
    dearer = replace(says(OPTIMAL, 101.0), objective=100.0, bound=100.0)
    verdict = told.verdict([dearer], [dearer])
    assert (verdict.status, verdict.objective, verdict.bound) == (FEASIBLE, 101.0, 100.0)
    assert verdict.notes[0] == "CBC prices its plan at 100.00; it costs 101.00"


def test_a_gap_that_was_asked_for_is_feasible_not_optimal(told: Told) -> None:
    verdict = told.verdict(
        [says(FEASIBLE, 100, bound=99)], [says(FEASIBLE, 100, bound=98)], gap=0.02
    )
    assert (verdict.status, verdict.bound, verdict.certified) == (FEASIBLE, 99, False)


def test_the_tolerance_is_half_a_cent_or_the_last_digits_of_a_large_sum(told: Told) -> None:
    assert told.verdict([says(OPTIMAL, 1e8)], [says(OPTIMAL, 1e8 + 0.09)]).certified
    wide = told.verdict([says(OPTIMAL, 10.4)], [says(OPTIMAL, 10.0)], tolerance=0.5)
    assert wide.certified


def test_nothing_is_solved_again_when_no_time_is_left(told: Told) -> None:
    verdict = told.verdict([says(OPTIMAL, 65.79)], [says(OPTIMAL, 62.95)], time_limit_s=0.01)
    # one word against another: 62.95 is the better plan, and nobody has proven it twice
    assert (verdict.status, verdict.objective, verdict.bound) == (FEASIBLE, 62.95, None)
    assert "not solved again: no time was left" in verdict.notes


def test_the_slower_engine_is_waited_for_only_so_long(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def endless(mps: Path, *, cancel: threading.Event, **asked: Any) -> SolverRun:
        assert cancel.wait(5)
        return replace(says(NO_SOLUTION), engine="highs")

    monkeypatch.setattr(certify, "LEAST_PATIENCE_S", 0.2)
    told._tell("cbc", [says(OPTIMAL, 5.0)])
    monkeypatch.setattr(certify, "run_highs", endless)
    started_s = time.monotonic()
    verdict = solve_certified(Path("m.mps"), [], judge=price, time_limit_s=5.0)
    assert 0.2 <= time.monotonic() - started_s < 1.0
    assert (verdict.status, verdict.certified_by) == (OPTIMAL, ("cbc",))
    assert verdict.notes == ("optimal by CBC alone: HiGHS had not finished",)


@pytest.mark.parametrize(
    ("seconds", "waits_s", "confirms_s"), [(0.1, 2, 2), (6, 6, 24), (60, 10, 240)]
)
def test_a_second_proof_is_worth_as_much_time_as_the_first_and_no_more_than_some(
    seconds: float, waits_s: float, confirms_s: float
) -> None:
    asked = certify._Asked(Path("m.mps"), [], 0.0, 1)
    first = replace(says(OPTIMAL, 5.0), seconds=seconds)
    assert asked.patience_s(first) == pytest.approx(waits_s)
    # an engine that stands alone has no other to wait for
    assert asked.confirmation_s(first) == pytest.approx(confirms_s)
    patient = replace(asked, patient=True)
    assert patient.patience_s(first) == patient.confirmation_s(first) == float("inf")


def test_whoever_is_patient_has_the_same_proof_however_late_the_slower_engine_is(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def starved(mps: Path, *, cancel: threading.Event, **asked: Any) -> SolverRun:
        said = says(NO_SOLUTION) if cancel.wait(1.5) else says(OPTIMAL, 5.0)
        return replace(said, engine="highs")

    monkeypatch.setattr(certify, "LEAST_PATIENCE_S", 0.1)
    monkeypatch.setattr(certify, "run_highs", starved)
    told._tell("cbc", [says(OPTIMAL, 5.0)] * 2)
    given: dict[str, Any] = {"judge": price, "time_limit_s": 60.0, "confirm": False}
    assert solve_certified(Path("m.mps"), [], **given).certified_by == ("cbc",)
    patient = solve_certified(Path("m.mps"), [], **given, patient=True)
    assert (patient.certified_by, patient.notes) == (("cbc", "highs"), ())


def test_an_exception_in_the_judge_stops_the_engines_first(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = threading.Event()

    def endless(mps: Path, *, cancel: threading.Event, **asked: Any) -> SolverRun:
        assert cancel.wait(5)
        stopped.set()
        return says(NO_SOLUTION)

    def broken(values: Mapping[str, float]) -> float:
        raise ZeroDivisionError

    told._tell("cbc", [says(OPTIMAL, 5.0)])
    monkeypatch.setattr(certify, "run_highs", endless)
    with pytest.raises(ZeroDivisionError):
        solve_certified(Path("m.mps"), [], judge=broken, time_limit_s=5.0)
    assert stopped.is_set()


# --- both engines -------------------------------------------------------------------------------

TRAPS = {
    "cover_shared_rows": 255.0,
    "quota_probing": 7937.0,
    "quota_false_infeasible": 25408.0,
    "quota_preprocess_off": 1982.0,
    "fixed_charge": 11191.0,
    "infeasible_crash": None,
    "infeasible_highs_presolve": None,
    "share_of_large_units": 161_366.4,
}
SHARED_ANSWERS = {
    "cover_bigU-1105": 55.08,
    "fixed_M1e4-1038": 89.83,
    "fixed_M1e4-1056": 39.80,
    "fixed_int-1114": 62.95,
    "multi_int-1206": 69.10,
    "highs1.13.1_false_infeasible_202679": 3344.0,
    "highs1.15.1_solve_error_200242": 456.0,
    "unknown_status": None,
    "cbcbox_false_infeasible_trickle_M1e6": 3.0,
}


def trapped(path: Path, solver: str = "both") -> CertifiedRun:
    model = read_model(path)
    return solve_certified(
        path, list(model.costs), judge=model.judge, time_limit_s=10.0, solver=solver
    )


@needs_cbc
@pytest.mark.parametrize("solver", ["both", "cbc", "highs"])
@pytest.mark.parametrize("name", sorted(TRAPS))
def test_models_that_break_a_solver_are_solved_right(name: str, solver: str) -> None:
    verdict = trapped(OWN_TRAPS / f"{name}.mps", solver)
    assert verdict.objective == pytest.approx(TRAPS[name])
    assert verdict.status is (INFEASIBLE if TRAPS[name] is None else OPTIMAL)
    assert verdict.certified_by == (("cbc", "highs") if solver == "both" else (solver,))


@pytest.mark.parametrize("seed", range(8))
def test_highs_alone_finds_the_cheapest_fleet_whatever_its_seed(seed: int) -> None:
    # With 1e-9 for whole numbers four of these eight gave 162,259.20 or 162,482.40, as proven.
    run = run_highs(OWN_TRAPS / "share_of_large_units.mps", time_limit_s=60, seed=seed)
    assert run.status is OPTIMAL
    assert run.objective == pytest.approx(161_366.4)
    assert run.bound == pytest.approx(161_366.4)


@needs_cbc
@pytest.mark.skipif(not SHARED_TRAPS.exists(), reason="the shared traps are not here")
@pytest.mark.parametrize("name", sorted(SHARED_ANSWERS))
def test_shared_models_that_broke_a_solver_are_solved_right(name: str) -> None:
    verdict = trapped(SHARED_TRAPS / f"{name}.mps")
    assert verdict.objective == pytest.approx(SHARED_ANSWERS[name])
    assert verdict.certified_by == ("cbc", "highs")


@needs_cbc
def test_random_models_agree_with_brute_force(tmp_path: Path) -> None:
    known = {INFEASIBLE: 0, OPTIMAL: 0}
    for seed in range(40):
        model = random_model(seed)
        verdict, truth = solved(model, tmp_path), model.brute_force()
        assert (verdict.objective, verdict.certified) == (pytest.approx(truth), True), seed
        known[verdict.status] += 1
    assert min(known.values()) > 10


@needs_cbc
def test_many_threads_may_solve_at_once(tmp_path: Path, scratch: Path) -> None:
    def answer(seed: int) -> CertifiedRun:
        folder = tmp_path / str(seed)
        folder.mkdir()
        return solved(random_model(seed), folder)

    with ThreadPoolExecutor(4) as pool:
        verdicts = list(pool.map(answer, range(100, 112)))
    truths = [random_model(seed).brute_force() for seed in range(100, 112)]
    assert [v.objective for v in verdicts] == pytest.approx(truths)
    assert list(scratch.iterdir()) == []


@needs_cbc
def test_a_ctrl_c_stops_both_engines_and_leaves_nothing(tmp_path: Path, scratch: Path) -> None:
    before = threading.active_count()
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(1.0, signal.pthread_kill, (main, signal.SIGINT)).start()
    with pytest.raises(KeyboardInterrupt):
        solved(slow(), tmp_path, time_limit_s=60.0)
    assert list(scratch.iterdir()) == []
    assert threading.active_count() == before


@needs_cbc
def test_the_time_limit_gives_the_best_plan_and_the_best_bound(tmp_path: Path) -> None:
    verdict = solved(slow(), tmp_path, time_limit_s=0.5)
    assert verdict.status is FEASIBLE
    assert verdict.objective == min(o.objective for o in verdict.engines if o.objective is not None)
    assert verdict.bound == max(o.bound for o in verdict.engines if o.bound is not None)
    assert not verdict.certified
    assert verdict.seconds < 2


@needs_cbc
def test_a_cancelled_solve_says_so(tmp_path: Path) -> None:
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    verdict = solved(slow(), tmp_path, time_limit_s=60.0, cancel=cancel)
    assert verdict.notes == ("stopped early, as asked",)
    assert verdict.seconds < 2


def test_without_cbc_highs_solves_alone_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certify, "find_cbc", lambda explicit: None)
    for solver in ("both", "cbc"):
        verdict = solved(covering(), tmp_path, solver=solver)
        assert (verdict.status, verdict.objective) == (OPTIMAL, 5.0)
        assert (verdict.certified, verdict.certified_by) == (False, ("highs",))
        assert verdict.notes == ("no CBC runs on this machine: HiGHS alone",)
