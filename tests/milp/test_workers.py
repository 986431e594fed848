"""HiGHS's worker processes: what a broken one is taken for, and that none stays behind."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from milp_planner.milp.engines import child, highs_worker, scratch, workers
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import EngineStatus, SolverRun
from milp_planner.milp.engines.workers import Command, highs_command
from tests.support.processes import is_gone
from tests.support.small_models import covering, slow

pytestmark = pytest.mark.skipif(os.name != "posix", reason="plays workers with signals")

OPTIMAL, FEASIBLE = EngineStatus.OPTIMAL, EngineStatus.FEASIBLE
NO_SOLUTION, FAILED = EngineStatus.NO_SOLUTION, EngineStatus.FAILED

ANSWER = {
    "status": "kOptimal",
    "version": "1.13.1",
    "iterations": 3,
    "objective": 5.0,
    "bound": 5.0,
    "whole": True,
    "names": ["x000000", "x000001"],
    "values": [1.0, 1.0],
}
"""One big and one small: 13 requests/s for $5, as HiGHS says it."""


def playing(folder: Path, script: str) -> Command:
    """The command of a worker that runs `script` for every request; `answer(…)` replies."""
    path = folder / "worker.py"
    path.write_text(
        "import json, os, signal, sys, time\n"
        "def answer(said): print(said if isinstance(said, str) else json.dumps(said), flush=True)\n"
        f"GOOD = json.loads({json.dumps(ANSWER)!r})\n"
        "for line in sys.stdin:\n"
        "    if line == 'stop\\n': continue\n"
        "    request = json.loads(line)\n"
        + "".join(f"    {part}\n" for part in script.splitlines())
    )
    return (sys.executable, "-I", "-S", str(path))


def by_played(folder: Path, script: str, time_limit_s: float = 20.0) -> SolverRun:
    mps = covering().write(folder / "m.mps")
    command = playing(folder, script)
    return run_highs(mps, columns=["x000000"], time_limit_s=time_limit_s, worker=command)


@pytest.fixture
def temp(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where all temporary files go, with a space in its name; empty again after a run."""
    folder = tmp_path / "a b"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_an_honest_worker_is_believed(tmp_path: Path) -> None:
    outcome = by_played(tmp_path, "answer(GOOD)")
    assert (outcome.status, outcome.objective, outcome.bound) == (OPTIMAL, 5.0, 5.0)


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed: SIGSEGV"),
        ("os.kill(os.getpid(), signal.SIGABRT)", "crashed: SIGABRT"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed by the system: most often because"),
        ("os._exit(0)", "ended without an answer"),
        ("os._exit(3)", "ended with exit code 3"),
        (
            "print('{\"status\": \"kOpt', end='', flush=True); os._exit(0)",
            "ended without an answer",
        ),
        ("answer('')", "was stopped: its answer is out of form"),
        ("answer('Segmentation fault')", "was stopped: its answer is out of form"),
        ("answer('[1, 2]')", "was stopped: its answer is out of form"),
        ("answer({})", "answered what cannot be read: KeyError"),
        ("answer({**GOOD, 'values': [1.0]})", "answered what cannot be read: ValueError"),
        ("answer({**GOOD, 'values': ['a', 'b']})", "answered what cannot be read: ValueError"),
        ("answer({**GOOD, 'iterations': None})", "answered what cannot be read: TypeError"),
        ("answer({**GOOD, 'objective': float('nan')})", "gives no finite cost"),
        ("answer({**GOOD, 'values': [float('inf'), 1.0]})", "column 'x000000' is inf"),
        ("answer({**GOOD, 'names': [], 'values': []})", "says optimal but gives no feasible"),
        ("answer({**GOOD, 'names': ['y', 'z']})", "no value for column 'x000000'"),
        ("answer({**GOOD, 'status': 'kSolveError'})", "kSolveError"),
        ("answer({**GOOD, 'status': 'kMemoryLimit'})", "memory ran out"),
        ("answer({'status': 'memory'})", "memory ran out"),
    ],
)
def test_a_broken_worker_is_a_failure_with_a_reason(
    tmp_path: Path, temp: Path, script: str, reason: str
) -> None:
    outcome = by_played(tmp_path, script)
    assert outcome.status is FAILED
    assert outcome.reason.startswith(reason)
    assert outcome.values == {}
    assert list(temp.iterdir()) == []


def test_a_bound_that_is_no_number_is_no_bound(tmp_path: Path) -> None:
    outcome = by_played(tmp_path, "answer({**GOOD, 'bound': float('nan')})")
    assert (outcome.status, outcome.objective, outcome.bound) == (FEASIBLE, 5.0, None)


def test_a_lie_about_the_cost_is_left_to_the_judge(tmp_path: Path) -> None:
    outcome = by_played(tmp_path, "answer({**GOOD, 'objective': 1.0, 'bound': 1.0})")
    assert (outcome.status, outcome.objective) == (OPTIMAL, 1.0)
    assert covering().judge(outcome.values) == 5.0


def test_a_worker_that_hangs_is_killed_with_all_it_started(tmp_path: Path, temp: Path) -> None:
    script = (
        "for number in (signal.SIGINT, signal.SIGTERM): signal.signal(number, signal.SIG_IGN)\n"
        "import subprocess; other = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{other.pid}}')\n"
        "time.sleep(60)"
    )
    outcome = by_played(tmp_path, script, time_limit_s=1.0)
    assert (outcome.status, outcome.reason) == (
        NO_SOLUTION,
        "killed: it did not stop at its time limit",
    )
    assert all(is_gone(int(pid)) for pid in (tmp_path / "pids").read_text().split())
    assert list(temp.iterdir()) == []


def test_the_best_plan_that_a_killed_worker_wrote_down_is_read(tmp_path: Path) -> None:
    script = (
        "path = request['options']['mip_improving_solution_file']\n"
        "head = 'Objective {}\\n# Columns 2\\nx000000 {}\\n'\n"
        "whole = head.format(6, 0) + 'x000001 3\\n' + head.format(5, 1) + 'x000001 1\\n'\n"
        "open(path, 'w').write(whole + head.format(4, 1))\n"
        "time.sleep(60)"
    )
    outcome = by_played(tmp_path, script, time_limit_s=0.5)
    assert (outcome.status, outcome.objective) == (FEASIBLE, 5.0)
    assert outcome.values == {"x000000": 1.0, "x000001": 1.0}
    assert outcome.bound is None  # nothing is proven


def test_a_worker_that_is_slow_to_quit_is_asked_and_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "LEAST_INTERRUPT_GRACE_S", 20.0)
    monkeypatch.setattr(child, "INTERRUPT_GRACE_S", 20.0)
    script = "sys.stdin.readline(); answer({**GOOD, 'status': 'kInterrupt', 'bound': 4.0})"
    outcome = by_played(tmp_path, script, time_limit_s=0.2)
    assert (outcome.status, outcome.objective, outcome.bound) == (FEASIBLE, 5.0, 4.0)


def test_a_cancelled_run_of_a_worker_that_hangs_ends(tmp_path: Path) -> None:
    cancel = threading.Event()
    threading.Timer(0.2, cancel.set).start()
    mps = covering().write(tmp_path / "m.mps")
    began_s = time.monotonic()
    outcome = run_highs(
        mps, time_limit_s=600, worker=playing(tmp_path, "time.sleep(600)"), cancel=cancel
    )
    assert outcome.status is NO_SOLUTION
    assert time.monotonic() - began_s < 300  # far from the limit, however busy the machine


def test_runs_share_one_worker_and_a_killed_one_is_replaced(tmp_path: Path) -> None:
    script = f"open({str(tmp_path / 'pids')!r}, 'a').write(f'{{os.getpid()}} ')\nanswer(GOOD)"
    mps = covering().write(tmp_path / "m.mps")
    command = playing(tmp_path, script)
    for _ in range(3):
        assert run_highs(mps, time_limit_s=20, worker=command).status is OPTIMAL
    first = (tmp_path / "pids").read_text().split()
    assert len(first) == 3
    assert len(set(first)) == 1
    os.kill(int(first[0]), 9)
    assert is_gone(int(first[0]))
    assert run_highs(mps, time_limit_s=20, worker=command).status is OPTIMAL
    assert len(set((tmp_path / "pids").read_text().split())) == 2


def test_no_more_workers_wait_than_are_wanted(tmp_path: Path) -> None:
    mps = covering().write(tmp_path / "m.mps")
    threads = [
        threading.Thread(target=run_highs, args=(mps,), kwargs={"time_limit_s": 60})
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(workers._IDLE._workers) <= workers.MOST_IDLE


def test_a_command_that_does_not_start_is_a_failure(tmp_path: Path) -> None:
    mps = covering().write(tmp_path / "m.mps")
    outcome = run_highs(mps, time_limit_s=5, worker=(str(tmp_path / "nothing"),))
    assert outcome.status is FAILED
    assert outcome.reason == "cannot start HiGHS: No such file or directory"


def test_a_worker_with_too_little_memory_says_so(tmp_path: Path) -> None:
    *words, _ = highs_command()
    mps = slow().write(tmp_path / "m.mps")
    outcome = run_highs(mps, time_limit_s=20, worker=(*words, str(2**20)))
    assert outcome.status is FAILED


def test_the_worker_imports_neither_the_planner_nor_numpy() -> None:
    source = Path(highs_worker.__file__).read_text()
    assert "import milp_planner" not in source
    assert "from milp_planner" not in source
    assert "import numpy" not in source


def test_a_worker_leaves_when_its_python_is_killed(tmp_path: Path) -> None:
    import subprocess

    script = f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\nanswer(GOOD)"
    work = (
        "import sys, pathlib, time; from milp_planner.milp.engines.highs import run_highs; "
        "run_highs(pathlib.Path(sys.argv[1]), time_limit_s=60, worker=tuple(sys.argv[2:])); "
        "print('ready', flush=True); time.sleep(60)"
    )
    mps = covering().write(tmp_path / "m.mps")
    root = str(Path(workers.__file__).parents[3])
    python = subprocess.Popen(
        [sys.executable, "-c", work, str(mps), *playing(tmp_path, script)],
        env={**os.environ, "PYTHONPATH": root},
        stdout=subprocess.PIPE,
    )
    assert python.stdout is not None
    assert python.stdout.readline() == b"ready\n"
    python.kill()
    python.wait()
    python.stdout.close()
    assert is_gone(int((tmp_path / "pid").read_text()))


# --- scratch folders of killed runs -----------------------------------------------------------


def laid(home: Path, pid: int, age_s: float) -> Path:
    folder = home / f"milp-planner-{pid}-{'0' * 31}{pid % 10}"
    folder.mkdir()
    (folder / "model.mps").write_text("rows")
    then_s = time.time() - age_s
    os.utime(folder, (then_s, then_s))
    return folder


def gone_pid() -> int:
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(pid, 0)
    return pid


def test_old_folders_of_processes_that_are_gone_are_swept_and_no_others(tmp_path: Path) -> None:
    old, young = 2 * scratch.ABANDONED_S, scratch.ABANDONED_S / 2
    abandoned = laid(tmp_path, gone_pid(), old)
    running = laid(tmp_path, os.getpid(), old)
    fresh = laid(tmp_path / "", gone_pid(), young)
    foreign = tmp_path / "milp-planner-notes"
    foreign.mkdir()
    link = tmp_path / f"milp-planner-{gone_pid()}-{'f' * 32}"
    link.symlink_to(foreign, target_is_directory=True)
    scratch.sweep(tmp_path)
    assert not abandoned.exists()
    assert running.exists()
    assert fresh.exists()
    assert foreign.exists()
    assert link.is_symlink()


def test_folders_of_another_user_are_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    abandoned = laid(tmp_path, gone_pid(), 2 * scratch.ABANDONED_S)
    monkeypatch.setattr(scratch.os, "getuid", lambda: os.geteuid() + 1)
    scratch.sweep(tmp_path)
    assert abandoned.exists()
