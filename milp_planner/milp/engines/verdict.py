"""What the claims of several runs are worth, held against the best plan that passed the judge.

    z* = least judged objective          a plan that exists, at that price
    bound ≥ z* − tolerance               the run proves z*
    bound > z* + tolerance               the run is wrong: z* is cheaper than it says can be

Where runs dispute each other, or one engine stands alone, a proof takes two runs that agree.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.engines.outcome import ENGINE_NAMES, EngineStatus, SolverRun

Judge = Callable[[Mapping[str, float]], float | None]
"""Exact objective of the integer-rounded values, or None when they break a rule."""

TOLERANCE = 0.005  # objective units: half a cent of a dollar
RELATIVE_TOLERANCE = 1e-9  # of the objective: doubles summed over many columns

UNFINISHED = (EngineStatus.FEASIBLE, EngineStatus.NO_SOLUTION)
REPEATED = "solved again with other settings"
NOT_REPEATED = "not solved again: no time was left"
NOT_CONFIRMED = "asked again whether anything is cheaper: not finished"
NOTHING_CHEAPER = "that nothing is cheaper is proven"
NO_TIME_TO_CONFIRM = "not asked again whether anything is cheaper: no time was left"


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

    unconfirmed: bool = False
    """True where an engine that stands alone proved it in one run, and no second one came to an
    end."""

    notes: tuple[str, ...] = ()
    """What a reader should know of how it was found; no times, so that output can be compared."""

    seconds: float = 0.0
    """Wall time."""

    @property
    def certified(self) -> bool:
        """Whether two engines prove the status independently."""
        return len(self.certified_by) > 1


# --- what their claims are worth ----------------------------------------------------------------


@dataclass(frozen=True)
class Judged:
    """A run, and the exact objective of its values: None without values or when they fail."""

    outcome: SolverRun
    objective: float | None

    @property
    def is_refused(self) -> bool:
        return bool(self.outcome.values) and self.objective is None

    @property
    def says_infeasible(self) -> bool:
        return self.outcome.status is EngineStatus.INFEASIBLE

    @property
    def claim(self) -> str:
        if self.says_infeasible:
            return "that there is no plan"
        return f"that nothing costs less than {self.outcome.bound:,.2f}"


@dataclass(frozen=True)
class Rules:
    """How claims are held against the best plan that passed."""

    judge: Judge
    gap: float
    tolerance: float | None
    cost_factor: float = 1.0
    """What the run's program has its costs multiplied by."""

    known: float | None = None
    """What a plan at hand costs, beyond which engines may look no further."""

    def judged(self, outcome: SolverRun) -> Judged:
        """The run with what its values cost exactly; figures that are none are left out."""
        outcome = replace(
            outcome,
            objective=self._unscaled(outcome.objective),
            bound=self._unscaled(outcome.bound),
        )
        outcome = self._as_far_as_known(outcome)
        objective = self.judge(outcome.values) if outcome.has_values else None
        return Judged(outcome, None if objective is None or math.isnan(objective) else objective)

    def _as_far_as_known(self, outcome: SolverRun) -> SolverRun:
        """The run, which may have left out all that costs as much as the plan at hand: that there
        is none, or none cheaper than its own, is a proof of no more than that plan."""
        known = self.known
        if known is None:
            return outcome
        if outcome.status is EngineStatus.INFEASIBLE:
            return replace(outcome, status=EngineStatus.NO_SOLUTION, bound=known)
        if outcome.bound is None or outcome.bound <= known:
            return outcome
        return replace(outcome, status=EngineStatus.FEASIBLE, bound=known)

    def proves_known(self, run: Judged) -> bool:
        """Whether the run proves that nothing is cheaper than the plan at hand."""
        return self.known is not None and self.proves(run, self.known)

    def is_dearer(self, objective: float | None) -> bool:
        """Whether a plan, or none, is worth less than the one at hand."""
        if self.known is None:
            return False
        return objective is None or objective > self.known + self.tolerance_at(self.known)

    def _unscaled(self, figure: float | None) -> float | None:
        return None if figure is None or not math.isfinite(figure) else figure / self.cost_factor

    def as_if_over_all(self, run: Judged, known: float) -> Judged:
        """A run over what is cheaper than `known`, told as one over everything: where it finds
        nothing it proves `known`."""
        outcome = run.outcome
        if run.says_infeasible:
            proof = replace(outcome, status=EngineStatus.OPTIMAL, objective=known, bound=known)
            return Judged(proof, None)
        bound = None if outcome.bound is None else min(outcome.bound, known)
        return Judged(replace(outcome, bound=bound), run.objective)

    def stands_alone(self, runs: Sequence[Judged]) -> Judged | None:
        """The run that claims a proof, where no other engine has anything to say; of a plan at
        hand, where no other proves it."""
        if self.known is not None:
            proofs = [run for run in runs if self.proves_known(run)]
            dearer = all(self.is_dearer(run.objective) for run in runs)
            return proofs[0] if dearer and len(proofs) == 1 else None
        able = [run for run in runs if run.outcome.status is not EngineStatus.FAILED]
        if len(able) != 1:
            return None
        claims = able[0].says_infeasible or (
            able[0].objective is not None and self.proves(able[0], able[0].objective)
        )
        return able[0] if claims else None

    def tolerance_at(self, objective: float) -> float:
        if self.tolerance is not None:
            return self.tolerance
        return max(TOLERANCE, RELATIVE_TOLERANCE * abs(objective))

    def is_done(self, run: Judged) -> bool:
        """Whether the engine came to its gap by itself, with a plan that passed."""
        bound, objective = run.outcome.bound, run.objective
        objective = self.known if self.is_dearer(objective) else objective
        if bound is None or objective is None:
            return False
        return bound >= objective - max(self.tolerance_at(objective), self.gap * abs(objective))

    def proves(self, run: Judged, best: float) -> bool:
        bound = run.outcome.bound
        return bound is not None and abs(bound - best) <= self.tolerance_at(best)

    def agrees(self, run: Judged, best: float | None) -> bool:
        """Whether the run proves what is known: `best`, or without one that there is no plan."""
        if self.is_dearer(best):
            return self.proves_known(run)
        return run.says_infeasible if best is None else self.proves(run, best)

    def is_caught_out(self, run: Judged, best: float) -> bool:
        bound = run.outcome.bound
        too_high = bound is not None and bound > best + self.tolerance_at(best)
        return run.says_infeasible or too_high

    def disputes(self, runs: Sequence[Judged], best: float | None = None) -> list[str]:
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


def verdict_of(
    rounds: Sequence[Sequence[Judged]],
    confirming: Sequence[Judged] | None,
    rules: Rules,
    notes: Sequence[str],
    seconds: float,
) -> CertifiedRun:
    """The best plan that passed with what is proven of it, or what is known without one.

    rounds: the first round, and the one with other settings where there was one. confirming: the
    second run of an engine that stands alone, in other units; empty where no time was left for it,
    None where none was called for.
    """
    first, again = rounds[0], rounds[1:]
    runs = [*first, *(confirming or ()), *(run for one_round in again for run in one_round)]
    best = _best(runs, rules)
    known = _without_plan(runs) if best is None else _with_plan(best, runs, rules)
    if rules.is_dearer(None if best is None else best.objective):
        proofs = [run for run in runs if rules.proves_known(run)]
        if proofs and not rules.disputes(runs):
            known = CertifiedRun(EngineStatus.INFEASIBLE, certified_by=_engines_of(proofs))
    least = None if best is None else best.objective
    notes = [
        *notes,
        *_failures(first),
        *_confirmation(confirming, rules, least),
        *_course(first, confirming or (), again, rules, least),
        *_recomputed(runs, rules),
        *_alone(known, rounds[-1], rules),
    ]
    return replace(
        known,
        engines=tuple(run.outcome for run in runs),
        unconfirmed=bool(known.certified_by) and _is_unconfirmed(confirming, rules, least),
        notes=tuple(dict.fromkeys(notes)),
        seconds=seconds,
    )


class _Plan(NamedTuple):
    objective: float
    values: Mapping[str, float]


def _best(runs: Sequence[Judged], rules: Rules) -> _Plan | None:
    """The cheapest plan that passed; of those that cost the same the first, CBC's before HiGHS's,
    so that neither timing nor the last digit of a double chooses."""
    passed = [_Plan(run.objective, run.outcome.values) for run in runs if run.objective is not None]
    if not passed:
        return None
    least = min(plan.objective for plan in passed)
    return next(p for p in passed if p.objective <= least + rules.tolerance_at(least))


def _with_plan(best: _Plan, runs: Sequence[Judged], rules: Rules) -> CertifiedRun:
    objective, values = best
    proofs = [run for run in runs if rules.proves(run, objective)]
    disputed = bool(rules.disputes(runs, objective))
    if proofs and (len(proofs) > 1 or not disputed):
        return CertifiedRun(
            EngineStatus.OPTIMAL, values, objective, objective, certified_by=_engines_of(proofs)
        )
    if proofs:  # one word against another, and neither is worth more
        return CertifiedRun(EngineStatus.FEASIBLE, values, objective)
    bound = _highest_bound(run for run in runs if not rules.is_caught_out(run, objective))
    return CertifiedRun(EngineStatus.FEASIBLE, values, objective, bound)


def _without_plan(runs: Sequence[Judged]) -> CertifiedRun:
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


def _has_opinion(run: Judged) -> bool:
    return run.outcome.has_values or run.says_infeasible


def _engines_of(runs: Iterable[Judged]) -> tuple[str, ...]:
    names = {run.outcome.engine for run in runs}
    return tuple(name for name in ENGINE_NAMES if name in names)


def _highest_bound(runs: Iterable[Judged]) -> float | None:
    bounds = [run.outcome.bound for run in runs if run.outcome.bound is not None]
    return max(bounds, default=None)


# --- in words -----------------------------------------------------------------------------------


def _failures(runs: Sequence[Judged]) -> Iterator[str]:
    for run in runs:
        if run.outcome.status is EngineStatus.FAILED:
            yield f"{run.outcome.name} gave no answer: {run.outcome.reason}"


def _is_unconfirmed(confirming: Sequence[Judged] | None, rules: Rules, best: float | None) -> bool:
    """Whether a second run was called for and did not prove what is known."""
    if confirming is None:
        return False
    return not confirming or not rules.agrees(confirming[-1], best)


def _confirmation(
    confirming: Sequence[Judged] | None, rules: Rules, best: float | None
) -> Iterator[str]:
    """That an engine which stands alone was not asked again, or did not come to an end."""
    if _is_unconfirmed(confirming, rules, best):
        yield NOT_CONFIRMED if confirming else NO_TIME_TO_CONFIRM


def _course(
    first: Sequence[Judged],
    confirming: Sequence[Judged],
    again: Sequence[Sequence[Judged]],
    rules: Rules,
    best: float | None,
) -> Iterator[str]:
    """What was in dispute before all solved with other settings, and what became of it."""
    disputes = rules.disputes([*first, *confirming], best)
    if not disputes:
        return
    yield from disputes
    if not again:
        if not confirming:
            yield NOT_REPEATED
    elif rules.disputes(again[0], best):
        yield f"{REPEATED}: still so"
    elif all(rules.agrees(run, best) for run in again[0]):
        yield f"{REPEATED}: settled"
    else:
        yield f"{REPEATED}: not finished"


def _alone(known: CertifiedRun, runs: Sequence[Judged], rules: Rules) -> Iterator[str]:
    """Who says it alone; that the other failed or differs is said elsewhere."""
    unfinished = [run.outcome for run in runs if run.outcome.status in UNFINISHED]
    if len(known.certified_by) == 1 and len(runs) > 1:
        of_plan_at_hand = rules.known is not None and known.status is EngineStatus.INFEASIBLE
        what = NOTHING_CHEAPER if of_plan_at_hand else known.status.value
        alone = f"{what} by {ENGINE_NAMES[known.certified_by[0]]} alone"
        others = [o.name for o in unfinished if o.engine not in known.certified_by]
        yield f"{alone}: {others[0]} had not finished" if others else alone
    if known.status is EngineStatus.NO_SOLUTION:
        for run in runs:
            if run.says_infeasible:
                yield f"{run.outcome.name} says {run.claim}, which nobody could confirm in time"


def _recomputed(runs: Sequence[Judged], rules: Rules) -> Iterator[str]:
    """Plans that cost something else than their engine says."""
    for run in runs:
        said, exact = run.outcome.objective, run.objective
        if said is not None and exact is not None and abs(said - exact) > rules.tolerance_at(exact):
            yield f"{run.outcome.name} prices its plan at {said:,.2f}; it costs {exact:,.2f}"
