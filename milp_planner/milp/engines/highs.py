"""Runs HiGHS on an MPS file, inside this process: the certifier beside CBC.

Presolve is off: every wrong answer of HiGHS 1.13 that is known to us came from presolve, and
without it none was seen in 12,618 models. One thread, so that a run can be repeated. HiGHS lets
go of the interpreter lock while it runs, and asks `cancel` from its own callbacks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from milp_planner.milp.engines.outcome import (
    FEW_COLUMNS,
    HIGHS,
    ROW_TOLERANCE,
    EngineStatus,
    SolverRun,
    StopReason,
    fault_in_values,
    seconds_since,
)

ABSOLUTE_GAP = 1e-6  # objective units; HiGHS's default, said here because the proof rests on it
RELATIVE_NOISE = 1e-9  # of the objective: the last digits of a sum of doubles
WIDER_TOLERANCE = 1e-6
"""For whole numbers, where HiGHS ended with a bound below its plan: its own default.

Where costs are all multiples of one amount, HiGHS looks only for plans that are a whole step
cheaper, to within this tolerance. With `ROW_TOLERANCE` the last digits of a double hide the very
next step: of fleets at steps of $3,024, 30,240 was its best where 27,216.000000001 was left.
"""

SMALL_HEURISTICS = ("rins", "rens", "root_reduced_cost")
"""Searches for plans that solve parts of the program again, left out of small programs.

There the search tree finds them as soon: ten next-best plans of three workloads take 30 % less work
without, 59 fleets with many ties 25 % less, with the same optima. No bound rests on these searches.
"""

LEAST_TIME_LIMIT_S = 0.001  # HiGHS takes 0 as an error in some calls


def run_highs(
    mps: Path,
    *,
    time_limit_s: float,
    gap: float = 0.0,
    seed: int = 0,
    threads: int = 1,
    columns: Sequence[str] = (),
    presolve: bool = False,
    relaxed: bool = False,
    nodes: int | None = None,
    cancel: threading.Event | None = None,
) -> SolverRun:
    """What HiGHS says of the model in `mps`; never raises for what HiGHS does.

    gap: relative, of the objective; 0 asks for a proof. columns: names that must have a value.
    threads: the same number in the whole process, or HiGHS refuses. relaxed: whole numbers may be
    fractions. nodes: most nodes of the search tree, a limit that no clock moves. cancel: set it
    from any thread to stop the run within its next callback (a few ms, more inside one long LP
    step). A Ctrl-C stops it likewise, and then goes on up.
    """
    started_s = time.monotonic()
    try:
        import highspy
    except ImportError as error:
        return SolverRun(HIGHS, "", EngineStatus.FAILED, reason=f"highspy does not import: {error}")
    outcome: SolverRun | None = None
    for tolerance in (ROW_TOLERANCE, WIDER_TOLERANCE):
        highs = highspy.Highs()
        _configure(highs, gap=gap, seed=seed, threads=threads, presolve=presolve)
        highs.setOptionValue("mip_feasibility_tolerance", tolerance)
        highs.setOptionValue("solve_relaxation", relaxed)
        if nodes is not None:
            highs.setOptionValue("mip_max_nodes", nodes)
        # The time limit is set after reading: HiGHS counts reading and then fails to read.
        if highs.readModel(str(mps)) == highspy.HighsStatus.kError:
            return _failed(highs, f"cannot read {mps.name}", started_s)
        if highs.getNumCol() <= FEW_COLUMNS and not presolve:
            for name in SMALL_HEURISTICS:
                highs.setOptionValue(f"mip_heuristic_run_{name}", False)
        left_s = time_limit_s - seconds_since(started_s)
        highs.setOptionValue("time_limit", max(left_s, LEAST_TIME_LIMIT_S))
        _run(highs, cancel or threading.Event())
        read = _read(highs, columns, mps, started_s)
        if outcome is None or read.has_values:
            outcome = read
        if gap or not _lost_a_step(highs):
            break
    assert outcome is not None
    return outcome


def _configure(highs: Any, *, gap: float, seed: int, threads: int, presolve: bool) -> None:
    highs.setOptionValue("output_flag", False)
    highs.setOptionValue("presolve", "on" if presolve else "off")
    highs.setOptionValue("threads", threads)
    highs.setOptionValue("random_seed", seed)
    highs.setOptionValue("mip_rel_gap", gap)
    highs.setOptionValue("mip_abs_gap", ABSOLUTE_GAP)
    highs.setOptionValue("primal_feasibility_tolerance", ROW_TOLERANCE)


def _lost_a_step(highs: Any) -> bool:
    """True where HiGHS says optimal, with a bound below: see `WIDER_TOLERANCE`."""
    import highspy

    bound = _bound(highs)
    if highs.getModelStatus() != highspy.HighsModelStatus.kOptimal or bound is None:
        return False
    objective = highs.getInfo().objective_function_value
    return bool(bound < objective - _noise(objective))


def _noise(objective: float) -> float:
    """By how much a bound may stay below an objective that it proves."""
    return max(ABSOLUTE_GAP, RELATIVE_NOISE * abs(objective))


def _run(highs: Any, cancel: threading.Event) -> None:
    """Run HiGHS in a thread of its own and wait for it.

    Python raises a Ctrl-C in the main thread. If HiGHS ran there, it would be raised inside one of
    HiGHS's callbacks, and would have to fly through its C++; so that thread only waits.
    """
    ended = threading.Event()

    def answer(event: Any) -> None:
        if cancel.is_set() or ended.is_set():
            event.interrupt()

    for question in (highs.cbMipInterrupt, highs.cbSimplexInterrupt, highs.cbIpmInterrupt):
        question.subscribe(answer)
    with ThreadPoolExecutor(1, thread_name_prefix="highs") as pool:
        try:
            pool.submit(highs.run).result()
        finally:
            ended.set()


def _read(highs: Any, columns: Sequence[str], mps: Path, started_s: float) -> SolverRun:
    import highspy

    status = highs.getModelStatus()
    kinds = highspy.HighsModelStatus
    info = highs.getInfo()
    if status == kinds.kInfeasible:
        return _outcome(highs, EngineStatus.INFEASIBLE, started_s)
    if status in (kinds.kUnbounded, kinds.kUnboundedOrInfeasible):
        return _failed(highs, StopReason.INFEASIBLE_OR_UNBOUNDED, started_s)
    stopped = {
        kinds.kTimeLimit: StopReason.TIME_LIMIT,
        kinds.kInterrupt: StopReason.CANCELLED,
        kinds.kSolutionLimit: StopReason.NODE_LIMIT,
    }
    if status != kinds.kOptimal and status not in stopped:
        return _failed(highs, highs.modelStatusToString(status).lower(), started_s)
    if info.primal_solution_status != highspy.SolutionStatus.kSolutionStatusFeasible:
        if status == kinds.kOptimal:
            return _failed(highs, "says optimal but gives no feasible values", started_s)
        reason = stopped[status]
        return _outcome(
            highs, EngineStatus.NO_SOLUTION, started_s, bound=_bound(highs), reason=reason
        )
    values = _values(highs)
    if fault := fault_in_values(values, columns, mps):
        return _failed(highs, fault, started_s)
    return _with_values(highs, values, started_s, reason=stopped.get(status, ""))


def _values(highs: Any) -> dict[str, float]:
    named = zip(highs.getLp().col_names_, highs.getSolution().col_value, strict=True)
    return {name: value + 0.0 for name, value in named}  # no -0.0


def _with_values(
    highs: Any, values: Mapping[str, float], started_s: float, reason: str
) -> SolverRun:
    objective = highs.getInfo().objective_function_value
    bound = _bound(highs)
    if not reason and bound is None:
        bound = objective  # a model without integers, solved
    proven = not reason and bound is not None and bound >= objective - _noise(objective)
    return _outcome(
        highs,
        EngineStatus.OPTIMAL if proven else EngineStatus.FEASIBLE,
        started_s,
        objective=objective,
        bound=None if bound is None else min(bound, objective),
        values=values,
        reason=reason or ("" if proven else StopReason.GAP_REACHED),
    )


def _bound(highs: Any) -> float | None:
    """The lower bound of a model with integers; None for a plain LP, or when there is none yet."""
    bound = float(highs.getInfo().mip_dual_bound)
    _, relaxed = highs.getOptionValue("solve_relaxation")
    whole = len(highs.getLp().integrality_) and not relaxed
    return bound if whole and abs(bound) < highs.inf else None


def _failed(highs: Any, reason: str, started_s: float) -> SolverRun:
    return _outcome(highs, EngineStatus.FAILED, started_s, reason=reason)


def _outcome(highs: Any, status: EngineStatus, started_s: float, **found: Any) -> SolverRun:
    iterations = max(0, highs.getInfo().simplex_iteration_count)
    seconds = seconds_since(started_s)
    return SolverRun(
        HIGHS, highs.version(), status, seconds=seconds, iterations=iterations, **found
    )
