"""Each engine by itself: what it says, what of it is believed, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from milp_planner import InputError
from milp_planner.milp.engines import certify, child
from milp_planner.milp.engines.cbc import (
    CAREFUL,
    SEARCH_ONLY,
    WITHOUT_CUTS,
    CbcBinary,
    find_cbc,
    run_cbc,
    usual_settings,
)
from milp_planner.milp.engines.certify import solve_certified
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import (
    EngineStatus,
    SolverRun,
    fault_in_values,
    whole_share_in,
)
from tests.support.processes import is_gone
from tests.support.small_models import (
    Model,
    covering,
    fractional,
    hopeless,
    infeasible,
    many_ties,
    slow,
    unbounded,
)

OPTIMAL, FEASIBLE = EngineStatus.OPTIMAL, EngineStatus.FEASIBLE
INFEASIBLE, NO_SOLUTION = EngineStatus.INFEASIBLE, EngineStatus.NO_SOLUTION
FAILED = EngineStatus.FAILED

CBC = find_cbc()

needs_cbc = pytest.mark.skipif(CBC is None, reason="no CBC runs on this machine")
plays_cbc = pytest.mark.skipif(os.name != "posix", reason="plays CBC with shell scripts")

Engine = Callable[..., SolverRun]


def by_cbc(mps: Path, **asked: object) -> SolverRun:
    assert CBC is not None
    return run_cbc(mps, executable=CBC.path, **{"columns": (), "time_limit_s": 10.0, **asked})  # type: ignore[arg-type]


def by_highs(mps: Path, **asked: object) -> SolverRun:
    return run_highs(mps, **{"time_limit_s": 10.0, **asked})  # type: ignore[arg-type]


@pytest.fixture(params=[pytest.param(by_cbc, marks=needs_cbc), by_highs], ids=["cbc", "highs"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return request.param


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all temporary files go, with a space in its name; empty again after a run."""
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


# --- one engine ---------------------------------------------------------------------------------


def test_values_come_back_by_column_name_with_the_proof(engine: Engine, tmp_path: Path) -> None:
    outcome = engine(covering().write(tmp_path / "m.mps"), columns=["x000000", "x000001"])
    assert outcome.status is OPTIMAL
    assert outcome.values == pytest.approx({"x000000": 1, "x000001": 1})
    assert outcome.objective == pytest.approx(5.0)
    assert outcome.bound == pytest.approx(5.0)
    assert outcome.version[0].isdigit()
    assert outcome.reason == ""


def test_continuous_values_keep_every_digit(engine: Engine, tmp_path: Path) -> None:
    outcome = engine(fractional().write(tmp_path / "m.mps"))
    assert outcome.status is OPTIMAL
    assert outcome.values["x000000"] == pytest.approx(13 / 8, rel=1e-14)
    assert outcome.bound == pytest.approx(4.875, rel=1e-14)


def test_a_model_without_whole_solutions_is_infeasible(engine: Engine, tmp_path: Path) -> None:
    outcome = engine(infeasible().write(tmp_path / "m.mps"))
    assert (outcome.status, outcome.values, outcome.bound) == (INFEASIBLE, {}, None)


def test_an_unbounded_model_is_a_failure_with_a_reason(engine: Engine, tmp_path: Path) -> None:
    outcome = engine(unbounded().write(tmp_path / "m.mps"))
    assert (outcome.status, outcome.reason) == (FAILED, "infeasible or unbounded")


def test_a_plan_at_the_time_limit_is_feasible_with_a_bound(engine: Engine, tmp_path: Path) -> None:
    model = slow()
    outcome = engine(model.write(tmp_path / "m.mps"), time_limit_s=0.4)
    assert (outcome.status, outcome.reason) == (FEASIBLE, "time limit")
    assert model.judge(outcome.values) == pytest.approx(outcome.objective)
    assert outcome.bound is not None
    assert outcome.objective is not None
    assert 0 <= outcome.bound < outcome.objective


def test_no_plan_at_the_time_limit_gives_no_values(engine: Engine, tmp_path: Path) -> None:
    outcome = engine(hopeless().write(tmp_path / "m.mps"), time_limit_s=0.3)
    assert (outcome.status, outcome.reason) == (NO_SOLUTION, "time limit")
    assert outcome.values == {}
    assert outcome.bound is None or outcome.bound < 40
    assert outcome.seconds < 2


def test_a_plan_within_the_gap_is_feasible_with_a_bound(engine: Engine, tmp_path: Path) -> None:
    outcome = engine(slow().write(tmp_path / "m.mps"), gap=0.3)
    assert (outcome.status, outcome.reason) == (FEASIBLE, "gap reached")
    assert outcome.bound is not None
    assert outcome.objective is not None
    assert outcome.bound < outcome.objective <= outcome.bound / 0.7 + 1


def test_a_cancelled_run_ends_at_once(engine: Engine, tmp_path: Path, scratch: Path) -> None:
    cancel = threading.Event()
    mps = slow().write(tmp_path / "m.mps")
    threading.Timer(0.2, cancel.set).start()
    outcome = engine(mps, time_limit_s=60.0, cancel=cancel)
    assert outcome.reason == "stopped: its answer was no longer wanted"
    assert outcome.status in (FEASIBLE, NO_SOLUTION)
    assert outcome.seconds < 2
    assert list(scratch.iterdir()) == []


def test_the_same_question_gets_the_same_answer(engine: Engine, tmp_path: Path) -> None:
    model = many_ties()
    mps = model.write(tmp_path / "m.mps")
    first, second = engine(mps, seed=3), engine(mps, seed=3)
    assert first.objective == pytest.approx(6.0)  # any six of twelve
    assert dict(first.values) == dict(second.values)


def test_engines_print_nothing(
    engine: Engine, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for model in (covering(), infeasible(), unbounded()):
        engine(model.write(tmp_path / "m.mps"))
    assert capfd.readouterr() == ("", "")


def test_a_file_that_is_no_model_is_a_failure(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "m.mps").write_text("nothing of the kind\n")
    outcome = engine(tmp_path / "m.mps")
    assert outcome.status is FAILED
    assert outcome.reason in ("wrote no solution file", "cannot read m.mps")


def test_a_ctrl_c_stops_an_engine_and_goes_on_up(
    engine: Engine, tmp_path: Path, scratch: Path
) -> None:
    mps = slow().write(tmp_path / "m.mps")
    started_s = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        interrupted(lambda: engine(mps, time_limit_s=60.0))
    assert time.monotonic() - started_s < 3
    assert list(scratch.iterdir()) == []


def interrupted(work: Callable[[], object]) -> None:
    """Do `work`, with a Ctrl-C after 0.3 s."""
    main = threading.main_thread().ident
    assert main is not None
    timer = threading.Timer(0.3, signal.pthread_kill, (main, signal.SIGINT))
    timer.start()
    try:
        work()
    finally:
        timer.cancel()


def test_a_missing_value_is_a_fault_unless_the_file_has_no_such_column(tmp_path: Path) -> None:
    mps = covering().write(tmp_path / "m.mps")
    assert fault_in_values({"x000000": 1.0}, ["x000000", "unused"], mps) == ""
    fault = fault_in_values({"x000000": 1.0}, ["x000000", "x000001"], mps)
    assert fault == "no value for column 'x000001'"
    nan = fault_in_values({"x000000": float("nan")}, [], mps)
    assert nan == "column 'x000000' is nan"


# --- a CBC that misbehaves ----------------------------------------------------------------------


def played(folder: Path, script: str, version: str = "2.10.12") -> str:
    """Path of a shell script that plays CBC: `$REAL` is a true one."""
    path = folder / "cbc"
    banner = f'echo "Version: {version}"\n[ "$1" = -quit ] && exit 0\n'
    real = f"REAL='{CBC.path if CBC else 'false'}'\n"
    path.write_text(f"#!/bin/sh\n{banner}{real}{script}\n")
    path.chmod(0o755)
    return str(path)


def by_played(folder: Path, script: str, time_limit_s: float = 5.0) -> SolverRun:
    mps = covering().write(folder / "m.mps")
    return run_cbc(
        mps, columns=["x000000"], time_limit_s=time_limit_s, executable=played(folder, script)
    )


LIE = 'echo "Result - Optimal solution found"; echo "Optimal - objective value 5" > plan.txt\n'
TRUNCATE = '"$REAL" "$@"; head -c {size} {file} > short; mv short {file}'


@plays_cbc
@needs_cbc
@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("kill -SEGV $$", "crashed: SIGSEGV"),
        ("exit 139", "crashed: SIGSEGV"),
        ("exit 0", "wrote no solution file"),
        (": > plan.txt", "wrote an empty solution file"),
        (LIE, "wrote no values"),
        ("echo 'Optimal - objective value 5' > plan.txt", "says optimal, but its log does not"),
        ("echo 'Status unknown - objective value 5' > plan.txt", "says 'Status unknown', which"),
        (TRUNCATE.format(size=40, file="plan.bin"), "wrote a truncated solution"),
        (TRUNCATE.format(size=0, file="plan.bin"), "wrote no values"),
        (TRUNCATE.format(size=80, file="plan.txt"), "wrote 1 of 3 solution lines"),
        ('"$REAL" "$@"; exit 3', "ended with exit code 3"),
    ],
)
def test_a_broken_cbc_is_a_failure_with_a_reason(
    tmp_path: Path, scratch: Path, script: str, reason: str
) -> None:
    outcome = by_played(tmp_path, script)
    assert outcome.status is FAILED
    assert outcome.reason.startswith(reason)
    assert outcome.crashed is (reason == "crashed: SIGSEGV")
    assert outcome.values == {}
    assert outcome.version == "2.10.12"
    assert list(scratch.iterdir()) == []


@plays_cbc
@needs_cbc
def test_a_crash_under_the_careful_settings_is_tried_once_more_as_cbc_comes(tmp_path: Path) -> None:
    crash = 'case "$*" in *-preprocess*) kill -SEGV $$;; esac; exec "$REAL" "$@"'
    assert by_played(tmp_path, crash).status is OPTIMAL


@plays_cbc
def test_infeasible_said_after_the_time_limit_is_not_believed(tmp_path: Path) -> None:
    lie = "sleep 0.1; echo infeasible; echo 'Infeasible - objective value 5' > plan.txt"
    early, late = by_played(tmp_path, lie), by_played(tmp_path, lie, time_limit_s=0.05)
    assert early.status is INFEASIBLE
    assert (late.status, late.reason) == (NO_SOLUTION, "time limit")


@plays_cbc
@needs_cbc
def test_a_cbc_that_overstays_is_asked_for_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "GRACE_S", 0.1)
    monkeypatch.setattr(child, "INTERRUPT_GRACE_S", 5.0)
    monkeypatch.setattr(child, "LEAST_INTERRUPT_GRACE_S", 5.0)
    forgets_its_limit = 'shift 3; exec "$REAL" model.mps -sec 60 "$@"'
    mps = slow().write(tmp_path / "m.mps")
    outcome = run_cbc(
        mps, columns=(), time_limit_s=0.5, executable=played(tmp_path, forgets_its_limit)
    )
    assert (outcome.status, outcome.reason) == (FEASIBLE, "time limit")
    assert outcome.seconds < 3


@plays_cbc
def test_a_cbc_that_will_not_stop_is_killed_and_leaves_nothing(
    tmp_path: Path, scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "GRACE_S", 0.1)
    monkeypatch.setattr(child, "INTERRUPT_GRACE_S", 0.1)
    stubborn = f"trap '' INT TERM; sleep 60 & echo $$ $! > '{tmp_path}/pids'; wait; sleep 60"
    outcome = by_played(tmp_path, stubborn, time_limit_s=0.1)
    assert (outcome.status, outcome.reason) == (
        NO_SOLUTION,
        "killed: it did not stop at its time limit",
    )
    assert outcome.seconds < 2
    assert all(is_gone(int(pid), within_s=2) for pid in (tmp_path / "pids").read_text().split())
    assert list(scratch.iterdir()) == []


@pytest.mark.skipif(not child._dying_with_us(), reason="needs Linux and setpriv")
def test_no_cbc_outlives_a_python_that_is_killed(tmp_path: Path) -> None:
    cbc_path = played(tmp_path, f"echo $$ > '{tmp_path}/pid'; exec sleep 60")
    mps = covering().write(tmp_path / "m.mps")
    work = (
        "import sys, pathlib; from milp_planner.milp.engines.cbc import run_cbc; "
        "run_cbc(pathlib.Path(sys.argv[1]), columns=(), time_limit_s=60, executable=sys.argv[2])"
    )
    root = str(Path(certify.__file__).parents[3])
    python = subprocess.Popen(
        [sys.executable, "-c", work, str(mps), cbc_path],
        env={**os.environ, "PYTHONPATH": root, "TMPDIR": str(tmp_path)},
    )
    try:
        written = wait_for(tmp_path / "pid")
    finally:
        python.kill()
        python.wait()
    assert is_gone(int(written), within_s=2)


def wait_for(path: Path) -> str:
    for _ in range(500):
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.02)
    raise AssertionError(f"{path.name} was never written")


@plays_cbc
def test_when_cbc_breaks_highs_answers_alone_and_says_why(tmp_path: Path) -> None:
    model = covering()
    verdict = solve_certified(
        model.write(tmp_path / "m.mps"),
        list(model.costs),
        judge=model.judge,
        time_limit_s=10.0,
        cbc_path=played(tmp_path, "exit 3"),
    )
    assert (verdict.status, verdict.objective) == (OPTIMAL, 5.0)
    assert verdict.certified_by == ("highs",)
    assert verdict.notes == (
        "CBC gave no answer: ended with exit code 3",
        "optimal by HiGHS alone",
    )


# --- which CBC ----------------------------------------------------------------------------------


@pytest.fixture
def nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No CBC named anywhere, and a PATH with one folder to put one in."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.delenv("MILP_PLANNER_CBC", raising=False)
    monkeypatch.setenv("PATH", str(folder))
    return folder


def test_pulps_own_cbc_is_the_last_resort(nothing_set: Path) -> None:
    binary = find_cbc()
    assert binary is None or (binary.origin, binary.version) == ("PuLP", "2.10.3")


@plays_cbc
def test_a_new_cbc_on_path_comes_before_pulps(nothing_set: Path) -> None:
    path = played(nothing_set, "exit 0")
    assert find_cbc() == CbcBinary(path, "2.10.12", "PATH")


@plays_cbc
@pytest.mark.parametrize("version", ["2.10.8", "2.9.10", "devel"])
def test_an_old_or_unnumbered_cbc_on_path_is_passed_over(nothing_set: Path, version: str) -> None:
    path = played(nothing_set, "exit 0", version)
    binary = find_cbc()
    assert binary is None or binary.path != path


@plays_cbc
def test_a_cbc_named_by_the_environment_or_the_setting_is_taken_whatever_its_version(
    nothing_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = played(tmp_path, "exit 0", "2.9.10")
    assert find_cbc(path) == CbcBinary(path, "2.9.10", "solver setting")
    monkeypatch.setenv("MILP_PLANNER_CBC", path)
    assert find_cbc() == CbcBinary(path, "2.9.10", "MILP_PLANNER_CBC")


def test_a_cbc_that_was_asked_for_and_does_not_run_is_an_error(
    nothing_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hint = "\n  hint: leave it out to use the CBC that comes with PuLP"
    with pytest.raises(InputError) as no_such_file:
        find_cbc("/no/such/cbc")
    said = str(no_such_file.value)
    assert said == "solver setting names '/no/such/cbc', which does not run as CBC" + hint
    monkeypatch.setenv("MILP_PLANNER_CBC", sys.executable)
    with pytest.raises(InputError, match=r"^MILP_PLANNER_CBC names .* does not run as CBC"):
        find_cbc()


# --- settings for what the model is like --------------------------------------------------------


@pytest.mark.parametrize(
    ("shares", "columns", "expected"),
    [
        (9, 10, WITHOUT_CUTS),  # 1 of 10 is a whole number
        (8, 9, SEARCH_ONLY),  # 1 of 9
        (9, 1_001, CAREFUL),
    ],
)
def test_small_models_of_mostly_shares_are_solved_without_cuts(
    tmp_path: Path, shares: int, columns: int, expected: tuple[str, ...]
) -> None:
    names = [f"x{i:06d}" for i in range(shares + 1)]
    ones = dict.fromkeys(names, 1.0)
    mps = Model(ones, ones, [("G", ones, 0.5)], {names[0]}).write(tmp_path / "m.mps")
    assert whole_share_in(mps) == 1 / (shares + 1)
    assert usual_settings(mps, columns) == expected
