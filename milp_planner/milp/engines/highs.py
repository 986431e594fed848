"""Runs HiGHS on an MPS file, in a worker process under a watchdog: the certifier beside CBC.

Presolve is off: of 12,618 random models every wrong answer of HiGHS 1.13 came from presolve. One
thread, so that a run can be repeated. It runs outside this process because it can loop for ever
without calling back, where rows hold a share near 100 %.
"""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from milp_planner.milp.engines.highs_worker import MEMORY_RAN_OUT, UNREADABLE
from milp_planner.milp.engines.outcome import (
    FEW_COLUMNS,
    HIGHS,
    KILLED_BY_SYSTEM,
    KILLED_LATE,
    OUT_OF_MEMORY,
    ROW_TOLERANCE,
    EngineStatus,
    SolverRun,
    StopReason,
    fault_in_values,
    seconds_since,
)
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.engines.workers import Command, Reply, asked, highs_command

ABSOLUTE_GAP = 1e-6  # objective units; HiGHS's default, said here because the proof rests on it
RELATIVE_NOISE = 1e-9  # of the objective: the last digits of a sum of doubles
WHOLE_TOLERANCE = 1e-7
"""By how much a number may miss a whole one, and a row be broken, inside the search tree.

With 1e-9, of 135 runs over 45 programs of the shipped catalog 14 called a fleet optimal that was
not, up to 3.2 % too dear, all with shares or spot; with 1e-8, 1e-7 or 1e-6 none, in the same time.
Where in the search they lose it is not known: without steps in the costs 10 of 13 still did.
"""

WIDER_TOLERANCE = 1e-6
"""The same, where HiGHS ended with a bound below its plan: its own default.

Where costs are all multiples of one amount, HiGHS looks only for plans that are a whole step
cheaper, to within this tolerance: of fleets at steps of $3,024, 30,240 was its best where
27,216.000000001 was left.
"""

SMALL_HEURISTICS = ("rins", "rens", "root_reduced_cost", "feasibility_jump")
"""Searches for plans that are left out of small programs.

There the search tree finds plans as soon: ten next-best plans of three workloads take 30 % less
work without those that solve parts of the program again, 59 fleets with many ties 25 % less, with
the same optima. Feasibility jump takes 8 ms of the smallest program, of which all else takes 0.4.
No bound rests on these searches.
"""

INCUMBENT_FILE = "incumbent.txt"
"""Where HiGHS writes every better plan that it finds, so that a run that is killed leaves it."""

STOPPED = {
    "kTimeLimit": StopReason.TIME_LIMIT,
    "kInterrupt": StopReason.CANCELLED,
    "kHighsInterrupt": StopReason.CANCELLED,
    "kSolutionLimit": StopReason.NODE_LIMIT,
}
FAILURES = {
    "kMemoryLimit": OUT_OF_MEMORY,
    MEMORY_RAN_OUT: OUT_OF_MEMORY,
}


def run_highs(
    mps: Path,
    *,
    time_limit_s: float,
    gap: float = 0.0,
    seed: int = 0,
    columns: Sequence[str] = (),
    presolve: bool = False,
    relaxed: bool = False,
    nodes: int | None = None,
    cutoff: float | None = None,
    cancel: threading.Event | None = None,
    worker: Command | None = None,
) -> SolverRun:
    """What HiGHS says of the model in `mps`; never raises for what HiGHS does.

    gap: relative, of the objective; 0 asks for a proof. columns: names that must have a value.
    presolve: another way to the same answer, for when the first is in doubt. relaxed: whole numbers
    may be fractions. nodes: most nodes of the search tree, a limit that no clock moves. cutoff:
    look no further than for what costs less; what is said of all else is not to be believed.
    cancel: set it from any thread to stop the run. worker: the command that starts a worker. HiGHS
    is killed when it stays on after its time limit; a Ctrl-C kills it, and goes on up.
    """
    started_s = time.monotonic()
    options: dict[str, object] = {
        **_options(gap, seed, presolve, nodes, cutoff),
        "solve_relaxation": relaxed,
    }
    try:
        command = highs_command() if worker is None else worker
    except ImportError as error:
        return SolverRun(HIGHS, "", EngineStatus.FAILED, reason=f"highspy does not import: {error}")
    outcome: SolverRun | None = None
    for tolerance in (WHOLE_TOLERANCE, WIDER_TOLERANCE):
        options["mip_feasibility_tolerance"] = tolerance
        left_s = max(0.0, time_limit_s - seconds_since(started_s))
        try:
            said = _run_once(command, mps, options, left_s, columns, cancel or threading.Event())
        except OSError as error:
            said = SolverRun(
                HIGHS, "", EngineStatus.FAILED, reason=f"cannot start HiGHS: {error.strerror}"
            )
        if outcome is None or said.has_values:
            outcome = replace(said, seconds=seconds_since(started_s))
        if gap or not _lost_a_step(said):
            break
    assert outcome is not None
    return outcome


def _options(
    gap: float, seed: int, presolve: bool, nodes: int | None, cutoff: float | None
) -> dict[str, object]:
    return {
        "output_flag": False,
        "presolve": "on" if presolve else "off",
        "threads": 1,
        "random_seed": seed,
        "mip_rel_gap": gap,
        "mip_abs_gap": ABSOLUTE_GAP,
        "primal_feasibility_tolerance": ROW_TOLERANCE,
        **({} if nodes is None else {"mip_max_nodes": nodes}),
        **({} if cutoff is None else {"objective_bound": cutoff}),
    }


def _run_once(
    command: Command,
    mps: Path,
    options: Mapping[str, object],
    time_limit_s: float,
    columns: Sequence[str],
    cancel: threading.Event,
) -> SolverRun:
    """One run under one set of options."""
    with scratch_folder() as home:
        incumbent = home / INCUMBENT_FILE
        request = {
            "mps": str(mps.absolute()),
            "time_limit_s": time_limit_s,
            "options": {
                **options,
                "mip_improving_solution_save": True,
                "mip_improving_solution_file": str(incumbent),
            },
            "few_columns": 0 if options["presolve"] == "on" else FEW_COLUMNS,
            "options_for_few": {f"mip_heuristic_run_{name}": False for name in SMALL_HEURISTICS},
        }
        reply = asked(command, request, time_limit_s, cancel)
        if reply.answer is None:
            return _without_answer(reply, incumbent, columns, mps)
    try:
        return _read(reply.answer, columns, mps)
    except (KeyError, TypeError, ValueError) as error:
        return _failed(f"answered what cannot be read: {type(error).__name__}: {error}")


# --- reading it ---------------------------------------------------------------------------------


def _read(answer: Mapping[str, Any], columns: Sequence[str], mps: Path) -> SolverRun:
    """The run that a worker's answer tells of; raises for an answer out of form."""
    status = str(answer["status"])
    if status in FAILURES or "version" not in answer:
        return _failed(FAILURES.get(status, status))
    if status == UNREADABLE:
        return _failed(f"cannot read {mps.name}")
    known = SolverRun(
        HIGHS,
        str(answer["version"]),
        EngineStatus.INFEASIBLE,
        iterations=int(answer["iterations"]),
    )
    if status == "kInfeasible":
        return known
    failed = replace(known, status=EngineStatus.FAILED)
    if status in ("kUnbounded", "kUnboundedOrInfeasible"):
        return replace(failed, reason=StopReason.INFEASIBLE_OR_UNBOUNDED)
    if status != "kOptimal" and status not in STOPPED:
        return replace(failed, reason=status)
    values = _values(answer["names"], answer["values"])
    bound = _finite(answer["bound"])
    if not values:
        if status == "kOptimal":
            return replace(failed, reason="says optimal but gives no feasible values")
        return replace(known, status=EngineStatus.NO_SOLUTION, bound=bound, reason=STOPPED[status])
    if fault := fault_in_values(values, columns, mps):
        return replace(failed, reason=fault)
    known = replace(known, values=values, objective=float(answer["objective"]), bound=bound)
    return _judged_by_bound(known, bool(answer["whole"]), STOPPED.get(status, ""))


def _values(names: Sequence[str], values: Sequence[float]) -> dict[str, float]:
    named = zip(names, values, strict=True)
    return {str(name): float(value) + 0.0 for name, value in named}  # no -0.0


def _finite(number: float | None) -> float | None:
    """The number; None for none, for NaN and for infinity, which say nothing."""
    return None if number is None or not math.isfinite(number) else float(number)


def _judged_by_bound(run: SolverRun, whole: bool, reason: StopReason | str) -> SolverRun:
    """A run with values, optimal where its own bound says so."""
    objective, bound = run.objective, run.bound
    assert objective is not None
    if not math.isfinite(objective):
        return replace(run, status=EngineStatus.FAILED, values={}, reason="gives no finite cost")
    if not reason and not whole:
        bound = objective  # a model without integers, solved
    proven = not reason and bound is not None and bound >= objective - _noise(objective)
    return replace(
        run,
        status=EngineStatus.OPTIMAL if proven else EngineStatus.FEASIBLE,
        bound=None if bound is None else min(bound, objective),
        reason=reason or ("" if proven else StopReason.GAP_REACHED),
    )


def _lost_a_step(run: SolverRun) -> bool:
    """True where HiGHS says optimal, with a bound below: see `WIDER_TOLERANCE`."""
    return run.status is EngineStatus.FEASIBLE and run.reason is StopReason.GAP_REACHED


def _noise(objective: float) -> float:
    """By how much a bound may stay below an objective that it proves."""
    return max(ABSOLUTE_GAP, RELATIVE_NOISE * abs(objective))


def _version() -> str:
    """As its package says it: for a run that was killed before it could."""
    from importlib.metadata import PackageNotFoundError, version

    with contextlib.suppress(PackageNotFoundError):
        return version("highspy")
    return ""


def _without_answer(reply: Reply, incumbent: Path, columns: Sequence[str], mps: Path) -> SolverRun:
    """What is known of a run that ended without a word: the best plan that it wrote down."""
    if reply.garbled:
        return _failed("was stopped: its answer is out of form")
    if not (reply.cancelled or reply.killed):
        return replace(_failed(_ended_by(reply.exit_code)), crashed=(reply.exit_code or 0) < 0)
    reason = KILLED_LATE if reply.killed else StopReason.CANCELLED
    run = SolverRun(HIGHS, _version(), EngineStatus.NO_SOLUTION, reason=reason)
    found = _last_incumbent(incumbent)
    if found is None or fault_in_values(found[1], columns, mps):
        return run
    objective, values = found
    return replace(run, status=EngineStatus.FEASIBLE, objective=objective, values=values)


def _last_incumbent(path: Path) -> tuple[float, dict[str, float]] | None:
    """Objective and values of the last whole plan in HiGHS's file of improving solutions.

    Plans follow one another: `Objective 6`, `# Columns 2`, then a line for every column.
    """
    found = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        lines = iter(path.read_text(encoding="utf-8", errors="replace").splitlines())
        for line in lines:
            objective = float(line.removeprefix("Objective "))
            count = int(next(lines, "").removeprefix("# Columns "))
            values = dict(_named(lines, count))
            if len(values) != count:
                break
            found = objective, values
    return found


def _named(lines: Iterable[str], count: int) -> Iterable[tuple[str, float]]:
    for _, line in zip(range(count), lines, strict=False):
        name, value = line.split()
        yield name, float(value) + 0.0


def _ended_by(exit_code: int | None) -> str:
    if exit_code is None or exit_code == 0:
        return "ended without an answer"
    if exit_code == -getattr(signal, "SIGKILL", 9):
        return KILLED_BY_SYSTEM
    with contextlib.suppress(ValueError):
        return f"crashed: {signal.Signals(-exit_code).name}"
    return f"ended with exit code {exit_code}"


def _failed(reason: str) -> SolverRun:
    return SolverRun(HIGHS, "", EngineStatus.FAILED, reason=reason)
