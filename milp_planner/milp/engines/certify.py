"""CBC solves, HiGHS certifies: one model, two engines side by side, one verdict.

Each engine is wrong now and then, but in 14,046 random models they were never wrong together. So
the caller's `judge` recomputes the values of each exactly, and what each engine claims is held
against the best plan that passed: see `verdict.py`. When an engine is caught out, or its plan does
not pass, all solve again with other settings. An engine that stands alone, because the other is
absent, broken or not asked, is asked again, in other units, whether anything is cheaper than what
it proves; until it says no.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from milp_planner.lazily import dataclass, replace
from milp_planner.milp.engines.cbc import find_cbc, run_cbc
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import CBC, HIGHS, SolverRun, seconds_since
from milp_planner.milp.engines.rescaled import write_rescaled
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.engines.verdict import CertifiedRun, Judge, Judged, Rules, verdict_of

BOTH = "both"
SOLVERS = {BOTH: (CBC, HIGHS), CBC: (CBC,), HIGHS: (HIGHS,)}

LEAST_PATIENCE_S = 2.0  # how long the slower engine may go on once the faster has its proof, ...
PATIENCE = 1.0  # ... or this many times what the faster took, when that is longer, ...
MOST_PATIENCE_S = 10.0  # ... but for no longer: next-best plans are worth more than a second proof
CONFIRMATION = 4.0  # times what it took an engine that stands alone, for its own second proof
LEAST_TIME_LEFT_S = 0.05  # with less than this left, nothing is solved again
OTHER_SEED = 7_919  # added to the seed when all solve again
MOST_CONFIRMATIONS = 3
MOST_STEPS = 10  # tolerances that a plan must be cheaper by, where one is asked whether any is
POLL_S = 0.05  # how often `cancel` and the patience are looked at

NO_CBC = "no CBC runs on this machine: HiGHS alone"
STOPPED_EARLY = "stopped early, as asked"


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
    confirm: bool = True,
    patient: bool = False,
    hasty: bool = False,
    known: float | None = None,
) -> CertifiedRun:
    """Minimise the model in `mps` with both engines, or with one, and say what is proven.

    columns: names that must have a value, but for those that PuLP left out of the file because no
    row and no cost uses them. judge: called in this thread. gap: relative. tolerance: the
    difference in objective units that counts as none; default max(0.005, 1e-9 |objective|).
    cancel: set it from another thread to stop early with the best so far. nodes: most nodes of
    HiGHS's search tree. confirm: False takes one run's word where one engine stands alone.
    patient: True gives the slower engine all the time there is, so that who proves it does not
    depend on how busy the machine is. hasty: True gives it none: who is first will do.
    known: the objective of a plan at hand that no column says. HiGHS looks no further than for
    what is cheaper, and INFEASIBLE says that nothing is; where one engine has that alone it is
    asked again, as above. A Ctrl-C ends both engines before it goes on up. Raises InputError when
    a CBC asked for by name does not run.
    """
    started_s = time.monotonic()
    runners, notes = _line_up(solver, cbc_path)
    rules = Rules(judge, gap, tolerance, known=known)
    cancel = cancel or threading.Event()
    asked = _Asked(mps, columns, gap, seed, nodes, patient=patient, hasty=hasty, known=known)
    rounds = [_race(runners, asked, time_limit_s, rules, cancel)]

    def left_s() -> float:
        left_s = time_limit_s - seconds_since(started_s)
        return 0.0 if cancel.is_set() or left_s <= LEAST_TIME_LEFT_S else left_s

    again = replace(asked, seed=seed + OTHER_SEED, other_settings=True)
    confirmed: list[Judged] | None = None
    if rules.disputes(rounds[0]):
        if left_s():
            rounds.append(_race(runners, again, left_s(), rules, cancel))
    elif confirm and (alone := rules.stands_alone(rounds[0])):
        only = {alone.outcome.engine: runners[alone.outcome.engine]}
        confirming = _Confirming(only, asked, rules, cancel)
        confirmed = list(confirming.runs(alone, left_s))
    if cancel.is_set():
        notes.append(STOPPED_EARLY)
    return verdict_of(rounds, confirmed, rules, notes, seconds_since(started_s))


@dataclass(frozen=True)
class _Confirming:
    """The only engine, asked again in other units whether anything is cheaper than its plan."""

    only: Mapping[str, _Runner]
    asked: _Asked
    rules: Rules
    cancel: threading.Event

    def runs(self, alone: Judged, left_s: Callable[[], float]) -> Iterator[Judged]:
        """Further runs until one has nothing to add to the one before, or no time is left.

        Each has a few times as long as the one before took: no other engine can prove it.
        """
        before = alone
        for nth in range(1, MOST_CONFIRMATIONS + 1):
            most_s = self.asked.confirmation_s(before.outcome)
            if not left_s():
                return
            least = before.objective if self.rules.known is None else None
            run = self._run(nth, least, min(most_s, left_s()))
            yield run
            if not self.rules.disputes([before, run]) or run.objective is None:
                return
            before = run

    def _run(self, nth: int, known: float | None, time_limit_s: float) -> Judged:
        """The nth further run: over what is cheaper than `known`, or over all where it is None."""
        asked, rules = self.asked, self.rules
        least_step = 0.0 if known is None else MOST_STEPS * rules.tolerance_at(known)
        with scratch_folder() as folder:
            mps = folder / "rescaled.mps"
            below = None if known is None else known - least_step
            factor = write_rescaled(asked.mps, mps, below=below)
            cutoff = None if asked.known is None else asked.known * factor
            seed = asked.seed + nth * OTHER_SEED
            again = replace(asked, mps=mps, seed=seed, known=cutoff)
            units = replace(rules, cost_factor=factor)
            (run,) = _race(self.only, again, time_limit_s, units, self.cancel)
        return run if known is None else rules.as_if_over_all(run, known)


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

    patient: bool = False
    hasty: bool = False
    known: float | None = None
    """What a plan at hand costs, in the units of the program."""

    def patience_s(self, faster: SolverRun) -> float:
        """How long the slower engine may go on once the faster has its proof."""
        if self.hasty:
            return 0.0
        if self.patient:
            return math.inf
        return max(LEAST_PATIENCE_S, min(PATIENCE * faster.seconds, MOST_PATIENCE_S))

    def confirmation_s(self, before: SolverRun) -> float:
        """How long an engine that stands alone may take for a second proof."""
        return math.inf if self.patient else max(LEAST_PATIENCE_S, CONFIRMATION * before.seconds)


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
        cutoff=asked.known,
        cancel=stop,
    )


def _race(
    runners: Mapping[str, _Runner],
    asked: _Asked,
    time_limit_s: float,
    rules: Rules,
    cancel: threading.Event,
) -> list[Judged]:
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
            judged = _collect(futures, asked, rules, cancel)
        finally:
            for stop in stops.values():
                stop.set()
    return sorted(judged, key=lambda run: run.outcome.engine)


def _collect(
    futures: Mapping[Future[SolverRun], threading.Event],
    asked: _Asked,
    rules: Rules,
    cancel: threading.Event,
) -> list[Judged]:
    """Waits for the engines; once one has its proof, the other has so much longer and no more."""
    judged: list[Judged] = []
    waiting = set(futures)
    patience_ends_s = math.inf
    while waiting:
        done, waiting = wait(waiting, timeout=POLL_S, return_when=FIRST_COMPLETED)
        for run in (rules.judged(future.result()) for future in done):
            judged.append(run)
            if rules.is_done(run):
                ends_s = time.monotonic() + asked.patience_s(run.outcome)
                patience_ends_s = min(patience_ends_s, ends_s)
        if cancel.is_set() or time.monotonic() > patience_ends_s:
            for future in waiting:
                futures[future].set()
    return judged
