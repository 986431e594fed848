"""CBC solves, HiGHS certifies: one model, two engines side by side, one verdict.

Both engines are wrong now and then, but in 14,046 random models they were never wrong together. So
the caller's `judge` recomputes the values of each exactly, and what each engine claims is held
against the best plan that passed:

    z* = least judged objective          a plan that exists, at that price
    bound ≥ z* − tolerance               the engine proves z*
    bound > z* + tolerance               the engine is wrong: z* is cheaper than it says can be

When an engine is caught out, or its plan does not pass, all solve again with other settings.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import NamedTuple

from milp_planner.milp.engines.cbc import find_cbc, run_cbc
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import (
    CBC,
    ENGINE_NAMES,
    HIGHS,
    EngineStatus,
    SolverRun,
    seconds_since,
)

Judge = Callable[[Mapping[str, float]], float | None]
"""Exact objective of the integer-rounded values, or None when they break a rule."""

BOTH = "both"
SOLVERS = {BOTH: (CBC, HIGHS), CBC: (CBC,), HIGHS: (HIGHS,)}

TOLERANCE = 0.005  # objective units: half a cent of a dollar
RELATIVE_TOLERANCE = 1e-9  # of the objective: doubles summed over many columns
LEAST_PATIENCE_S = 2.0  # how long the slower engine may go on once the faster has its proof, ...
PATIENCE = 4.0  # ... or this many times what the faster took, when that is longer
LEAST_TIME_LEFT_S = 0.05  # with less than this left, nothing is solved again
OTHER_SEED = 7_919  # added to the seed when all solve again
POLL_S = 0.05  # how often `cancel` and the patience are looked at

UNFINISHED = (EngineStatus.FEASIBLE, EngineStatus.NO_SOLUTION)
NO_CBC = "no CBC runs on this machine: HiGHS alone"
STOPPED_EARLY = "stopped early, as asked"
REPEATED = "solved again with other settings"
NOT_REPEATED = "not solved again: no time was left"


@dataclass(frozen=True)
class CertifiedRun:
    """What the engines and the judge together say of a model."""

    status: EngineStatus
    """OPTIMAL and INFEASIBLE are proven; FAILED when no plan passed the judge."""

    values: Mapping[str, float] = field(default_factory=dict)
    """The best values that passed, by column; empty without a plan."""

    objective: float | None = None
    """As judged, not as an engine says it."""

    bound: float | None = None
    """No plan costs less; the objective itself when that is proven optimal."""

    engines: tuple[SolverRun, ...] = ()
    """Every run, in order."""

    certified_by: tuple[str, ...] = ()
    """The engines that prove the status, of `cbc` and `highs`; empty without a proof."""

    notes: tuple[str, ...] = ()
    """What a reader should know of how it was found; no times, so that output can be compared."""

    seconds: float = 0.0
    """Wall time."""

    @property
    def certified(self) -> bool:
        """Whether two engines prove the status independently."""
        return len(self.certified_by) > 1


def solve_certified(
    mps: Path,
    columns: Sequence[str],
    *,
    judge: Judge,
    time_limit_s: float,
    gap: float = 0.0,
    seed: int = 0,
    solver: str = BOTH,
    tolerance: float | None = None,
    cbc_path: str | None = None,
    cancel: threading.Event | None = None,
    nodes: int | None = None,
) -> CertifiedRun:
    """Minimise the model in `mps` with both engines, or with one, and say what is proven.

    columns: names that must have a value, but for those that PuLP left out of the file because no
    row and no cost uses them. judge: called in this thread. gap: relative. tolerance: the
    difference in objective units that counts as none; default max(0.005, 1e-9 |objective|).
    cancel: set it from another thread to stop early with the best so far. nodes: most nodes of
    HiGHS's search tree. A Ctrl-C ends both engines before it goes on up. Raises InputError when a
    CBC asked for by name does not run.
    """
    started_s = time.monotonic()
    runners, notes = _line_up(solver, cbc_path)
    rules = _Rules(judge, gap, tolerance)
    cancel = cancel or threading.Event()
    rounds = [_race(runners, _Asked(mps, columns, gap, seed, nodes), time_limit_s, rules, cancel)]
    left_s = time_limit_s - seconds_since(started_s)
    if rules.disputes(rounds[0]) and left_s > LEAST_TIME_LEFT_S and not cancel.is_set():
        again = _Asked(mps, columns, gap, seed + OTHER_SEED, nodes, other_settings=True)
        rounds.append(_race(runners, again, left_s, rules, cancel))
    if cancel.is_set():
        notes.append(STOPPED_EARLY)
    return _verdict(rounds, rules, notes, seconds_since(started_s))


# --- the engines, side by side ------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """What all engines are asked for in one round."""

    mps: Path
    columns: Sequence[str]
    gap: float
    seed: int
    nodes: int | None = None
    other_settings: bool = False
    """Another way to the same answer: for HiGHS, with its presolve."""


_Runner = Callable[[_Asked, float, threading.Event], SolverRun]


def _line_up(solver: str, cbc_path: str | None) -> tuple[dict[str, _Runner], list[str]]:
    """The engines to run, by name, and a note when CBC is wanted and missing."""
    wanted = SOLVERS[solver]
    runners: dict[str, _Runner] = {}
    if CBC in wanted and (binary := find_cbc(cbc_path)):
        runners[CBC] = _cbc_at(binary.path)
    if HIGHS in wanted or not runners:
        runners[HIGHS] = _highs
    return runners, [NO_CBC] if CBC in wanted and CBC not in runners else []


def _cbc_at(executable: str) -> _Runner:
    def run(asked: _Asked, time_limit_s: float, stop: threading.Event) -> SolverRun:
        return run_cbc(
            asked.mps,
            columns=asked.columns,
            time_limit_s=time_limit_s,
            executable=executable,
            gap=asked.gap,
            seed=asked.seed,
            other_settings=asked.other_settings,
            cancel=stop,
        )

    return run


def _highs(asked: _Asked, time_limit_s: float, stop: threading.Event) -> SolverRun:
    return run_highs(
        asked.mps,
        columns=asked.columns,
        time_limit_s=time_limit_s,
        gap=asked.gap,
        seed=asked.seed,
        presolve=asked.other_settings,
        nodes=asked.nodes,
        cancel=stop,
    )


def _race(
    runners: Mapping[str, _Runner],
    asked: _Asked,
    time_limit_s: float,
    rules: _Rules,
    cancel: threading.Event,
) -> list[_Judged]:
    """One judged run of every engine, in the engines' order.

    They run in threads of their own, so that a Ctrl-C, which Python raises in the main thread,
    finds this one waiting; whatever ends the wait stops the engines before it goes on up.
    """
    stops = {name: threading.Event() for name in runners}
    with ThreadPoolExecutor(len(runners), thread_name_prefix="engine") as pool:
        try:
            futures = {
                pool.submit(run, asked, time_limit_s, stops[name]): stops[name]
                for name, run in runners.items()
            }
            judged = _collect(futures, rules, cancel)
        finally:
            for stop in stops.values():
                stop.set()
    return sorted(judged, key=lambda run: run.outcome.engine)


def _collect(
    futures: Mapping[Future[SolverRun], threading.Event], rules: _Rules, cancel: threading.Event
) -> list[_Judged]:
    """Waits for the engines; once one has its proof, the other has so much longer and no more."""
    judged: list[_Judged] = []
    waiting = set(futures)
    patience_ends_s = math.inf
    while waiting:
        done, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for run in (rules.judged(future.result()) for future in done):
            judged.append(run)
            if rules.is_done(run):
                patience_s = max(LEAST_PATIENCE_S, PATIENCE * run.outcome.seconds)
                patience_ends_s = min(patience_ends_s, time.monotonic() + patience_s)
        if cancel.is_set() or time.monotonic() > patience_ends_s:
            for future in waiting:
                futures[future].set()
    return judged


# --- what their claims are worth ----------------------------------------------------------------


@dataclass(frozen=True)
class _Judged:
    """A run, and the exact objective of its values: None without values or when they fail."""

    outcome: SolverRun
    objective: float | None

    @property
    def is_refused(self) -> bool:
        return self.outcome.has_values and self.objective is None

    @property
    def says_infeasible(self) -> bool:
        return self.outcome.status is EngineStatus.INFEASIBLE

    @property
    def claim(self) -> str:
        if self.says_infeasible:
            return "that there is no plan"
        return f"that nothing costs less than {self.outcome.bound:,.2f}"


@dataclass(frozen=True)
class _Rules:
    """How claims are held against the best plan that passed."""

    judge: Judge
    gap: float
    tolerance: float | None

    def judged(self, outcome: SolverRun) -> _Judged:
        return _Judged(outcome, self.judge(outcome.values) if outcome.has_values else None)

    def tolerance_at(self, objective: float) -> float:
        if self.tolerance is not None:
            return self.tolerance
        return max(TOLERANCE, RELATIVE_TOLERANCE * abs(objective))

    def is_done(self, run: _Judged) -> bool:
        """Whether the engine came to its gap by itself, with a plan that passed."""
        bound, objective = run.outcome.bound, run.objective
        if bound is None or objective is None:
            return False
        return bound >= objective - max(self.tolerance_at(objective), self.gap * abs(objective))

    def proves(self, run: _Judged, best: float) -> bool:
        bound = run.outcome.bound
        return bound is not None and abs(bound - best) <= self.tolerance_at(best)

    def is_caught_out(self, run: _Judged, best: float) -> bool:
        bound = run.outcome.bound
        too_high = bound is not None and bound > best + self.tolerance_at(best)
        return run.says_infeasible or too_high

    def disputes(self, runs: Sequence[_Judged], best: float | None = None) -> list[str]:
        """What runs say that cannot be, in words; `best` defaults to the best of these runs."""
        passed = [run.objective for run in runs if run.objective is not None]
        best = min(passed) if best is None and passed else best
        said = []
        for run in runs:
            if run.is_refused:
                said.append(f"{run.outcome.name} gave a plan that breaks a rule of the model")
            if best is not None and self.is_caught_out(run, best):
                said.append(f"{run.outcome.name} says {run.claim}, but {best:,.2f} is possible")
        return said


# --- the verdict --------------------------------------------------------------------------------


def _verdict(
    rounds: Sequence[Sequence[_Judged]], rules: _Rules, notes: list[str], seconds: float
) -> CertifiedRun:
    """The best plan that passed with what is proven of it, or what is known without one."""
    runs = [run for one_round in rounds for run in one_round]
    best = _best(runs, rules)
    known = _without_plan(runs) if best is None else _with_plan(best, runs, rules)
    notes = [
        *notes,
        *_failures(rounds[0]),
        *_course(rounds, rules, None if best is None else best.objective),
        *_recomputed(runs, rules),
        *_alone(known, rounds[-1]),
    ]
    engines = tuple(run.outcome for run in runs)
    return replace(known, engines=engines, notes=tuple(dict.fromkeys(notes)), seconds=seconds)


class _Plan(NamedTuple):
    objective: float
    values: Mapping[str, float]


def _best(runs: Sequence[_Judged], rules: _Rules) -> _Plan | None:
    """The cheapest plan that passed; of those that cost the same the first, CBC's before HiGHS's,
    so that neither timing nor the last digit of a double chooses."""
    passed = [_Plan(run.objective, run.outcome.values) for run in runs if run.objective is not None]
    if not passed:
        return None
    least = min(plan.objective for plan in passed)
    return next(p for p in passed if p.objective <= least + rules.tolerance_at(least))


def _with_plan(best: _Plan, runs: Sequence[_Judged], rules: _Rules) -> CertifiedRun:
    objective, values = best
    provers = _engines_of(run for run in runs if rules.proves(run, objective))
    if provers:
        return CertifiedRun(
            EngineStatus.OPTIMAL, values, objective, objective, certified_by=provers
        )
    bound = _highest_bound(run for run in runs if not rules.is_caught_out(run, objective))
    return CertifiedRun(EngineStatus.FEASIBLE, values, objective, bound)


def _without_plan(runs: Sequence[_Judged]) -> CertifiedRun:
    """Infeasible when every engine that has an opinion ends by saying so; else unknown."""
    opinions = {run.outcome.engine: run for run in runs if _has_opinion(run)}
    without = {run.outcome.engine for run in runs if run.outcome.status is EngineStatus.NO_SOLUTION}
    if any(run.is_refused for run in opinions.values()):
        return CertifiedRun(EngineStatus.FAILED)
    if opinions and not without - set(opinions):
        return CertifiedRun(EngineStatus.INFEASIBLE, certified_by=_engines_of(opinions.values()))
    if opinions or without:
        return CertifiedRun(EngineStatus.NO_SOLUTION, bound=_highest_bound(runs))
    return CertifiedRun(EngineStatus.FAILED)


def _has_opinion(run: _Judged) -> bool:
    return run.outcome.has_values or run.says_infeasible


def _engines_of(runs: Iterable[_Judged]) -> tuple[str, ...]:
    names = {run.outcome.engine for run in runs}
    return tuple(name for name in ENGINE_NAMES if name in names)


def _highest_bound(runs: Iterable[_Judged]) -> float | None:
    bounds = [run.outcome.bound for run in runs if run.outcome.bound is not None]
    return max(bounds, default=None)


# --- in words -----------------------------------------------------------------------------------


def _failures(runs: Sequence[_Judged]) -> Iterator[str]:
    for run in runs:
        if run.outcome.status is EngineStatus.FAILED:
            yield f"{run.outcome.name} gave no answer: {run.outcome.reason}"


def _course(
    rounds: Sequence[Sequence[_Judged]], rules: _Rules, best: float | None
) -> Iterator[str]:
    """What was in dispute after the first round, and what became of it."""
    disputes = rules.disputes(rounds[0], best)
    if not disputes:
        return
    yield from disputes
    if len(rounds) == 1:
        yield NOT_REPEATED
    elif rules.disputes(rounds[1], best):
        yield f"{REPEATED}: still so"
    elif all(run.says_infeasible if best is None else rules.proves(run, best) for run in rounds[1]):
        yield f"{REPEATED}: settled"
    else:
        yield f"{REPEATED}: not finished"


def _alone(known: CertifiedRun, runs: Sequence[_Judged]) -> Iterator[str]:
    """Who says it alone; that the other failed or differs is said elsewhere."""
    unfinished = [run.outcome for run in runs if run.outcome.status in UNFINISHED]
    if len(known.certified_by) == 1 and len(runs) > 1:
        alone = f"{known.status.value} by {ENGINE_NAMES[known.certified_by[0]]} alone"
        others = [o.name for o in unfinished if o.engine not in known.certified_by]
        yield f"{alone}: {others[0]} had not finished" if others else alone
    if known.status is EngineStatus.NO_SOLUTION:
        for run in runs:
            if run.says_infeasible:
                yield f"{run.outcome.name} says {run.claim}, which nobody could confirm in time"


def _recomputed(runs: Sequence[_Judged], rules: _Rules) -> Iterator[str]:
    """Plans that cost something else than their engine says."""
    for run in runs:
        said, exact = run.outcome.objective, run.objective
        if said is not None and exact is not None and abs(said - exact) > rules.tolerance_at(exact):
            yield f"{run.outcome.name} prices its plan at {said:,.2f}; it costs {exact:,.2f}"
