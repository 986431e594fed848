"""Why there is no plan: which limits conflict, and the smallest changes that give one.

Limits are dropped one after another as long as there is still no plan; those that cannot be dropped
conflict, and every one of them is needed for that (a deletion filter). A change that gives a plan
alone must be one of these, or of what holds without being written, so only these are searched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.catalog.records import Catalog, Offering
from milp_planner.inputs.problem.patching import Patch
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.families import limits_of
from milp_planner.milp.program.language.loosening import CashLimit, LimitInForce
from milp_planner.milp.program.language.rule import Rule
from milp_planner.plans.records import Change, Diagnosis, Misfit, Plan, Provenance
from milp_planner.questions.re_solve import Resolver, cash_of, fleet_line, stranded
from milp_planner.questions.reasons.misfit import fits_of
from milp_planner.questions.reasons.smallest_change import Trials, smallest_change
from milp_planner.solving.arguments import catalog_for
from milp_planner.solving.own_rules import held_to
from milp_planner.solving.results import Settings

MOST_PAIRS = 120
"""Pairs of limits that are looked at for a smaller conflict or a cheaper combination."""

MOST_FITS_SHOWN = 12


def diagnose(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    time_limit_s: float | None = None,
    solver: str | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
) -> Diagnosis | None:
    """Why `problem` has no plan, and what would give one; None when it has a plan.

    Raises InputError as `solve` does.
    """
    from milp_planner.questions.solve import solve

    catalog = catalog_for(problem, catalog)
    plan = solve(
        held_to(problem, rules),
        catalog,
        time_limit_s=time_limit_s,
        solver=solver,
        alternatives=0,
    )
    return plan.diagnosis


def diagnosis_of(
    given: PlanningInput, settings: Settings, provenance: Provenance, headline: str
) -> Diagnosis:
    """What stands in the way of a plan, within the settings' time limit."""
    names = tuple(stranded(given))
    exact = replace(settings, gap=0.0)
    search = _Diagnosing(Trials(Resolver(given, exact, provenance)), limits_of(given))
    found = search.run(Diagnosis(headline))
    return replace(found, fits=tuple(fit for name in names for fit in fits_of(given, name)))


@dataclass
class _Diagnosing:
    """One diagnosis on its way."""

    trials: Trials
    limits: Sequence[LimitInForce]
    not_reached: list[str] = field(default_factory=list)

    def run(self, diagnosis: Diagnosis) -> Diagnosis:
        """The conflict, then single changes, then, without any, a combination."""
        conflict = self._conflict()
        smallest = False
        if conflict:
            conflict, smallest = self._smaller(conflict)
        self._note("whether every one of these limits is needed for the conflict")
        changes = [*self._single_changes(conflict)]
        self._note("further single changes")
        together, usd = ((), None) if changes else self._combination(conflict)
        self._note("combinations of changes")
        return replace(
            diagnosis,
            conflict=tuple((limit.path, limit.said) for limit in conflict),
            is_smallest=smallest,
            changes=tuple(sorted(changes, key=lambda c: (c.cash_usd_per_month, c.path))),
            combination=together,
            combination_usd_per_month=usd,
            not_reached=tuple(self.not_reached),
        )

    @property
    def _written(self) -> list[LimitInForce]:
        return [limit for limit in self.limits if not limit.by_default]

    def _note(self, what: str) -> None:
        if self.trials.was_cut_short:
            self.not_reached.append(what)
            self.trials.was_cut_short = False

    def _conflict(self) -> list[LimitInForce]:
        """Limits none of which can be kept out; empty when it is not the limits."""
        dropped: list[LimitInForce] = []
        for limit in self._written:
            if self.trials.is_infeasible(*_free([*dropped, limit])):
                dropped.append(limit)
        return [limit for limit in self._written if limit not in dropped]

    def _smaller(self, conflict: list[LimitInForce]) -> tuple[list[LimitInForce], bool]:
        """A conflict of fewer limits, where there is one; True when none is smaller."""
        for size in range(1, len(conflict)):
            if math.comb(len(self._written), size) > MOST_PAIRS:
                return conflict, False
            for few in itertools.combinations(self._written, size):
                others = [limit for limit in self._written if limit not in few]
                if self.trials.is_infeasible(*_free(others)):
                    return list(few), True
        return conflict, not self.trials.was_cut_short

    def _single_changes(self, conflict: Sequence[LimitInForce]) -> Iterator[Change]:
        by_default = [limit for limit in self.limits if limit.by_default]
        for limit in (*conflict, *by_default):
            change = smallest_change(self.trials, limit)
            if change is not None:
                yield change

    def _combination(
        self, conflict: Sequence[LimitInForce]
    ) -> tuple[tuple[Change, ...], float | None]:
        """The cheapest pair of limits to loosen, else as few as will do; made small in turn."""
        if self.trials.plan(*_free(self.limits)) is None:
            return (), None
        chosen = self._cheapest_pair(conflict) or self._few()
        changes: list[Change] = []
        chosen.sort(key=lambda limit: not isinstance(limit, CashLimit))  # the cheapest plan decides
        for i, limit in enumerate(chosen):
            fixed = [change.patch for change in changes]
            change = smallest_change(self.trials, limit, *fixed, *_free(chosen[i + 1 :]))
            if change is None:
                return (), None
            changes.append(change)
        plan = self.trials.plan(*(change.patch for change in changes))
        if plan is None:
            return (), None
        done = (
            replace(change, cash_usd_per_month=cash_of(plan), fleet=fleet_line(plan))
            for change in changes
        )
        return tuple(done), cash_of(plan)

    def _cheapest_pair(self, conflict: Sequence[LimitInForce]) -> list[LimitInForce] | None:
        others = [limit for limit in self.limits if limit not in conflict]
        pairs = itertools.combinations([*conflict, *others], 2)  # those in conflict first
        found: list[tuple[Plan, list[LimitInForce]]] = []
        for pair in itertools.islice(pairs, MOST_PAIRS):
            plan = self.trials.plan(*_free(pair))
            if plan is not None:
                found.append((plan, list(pair)))
        best = min(found, key=lambda item: cash_of(item[0]), default=None)
        return None if best is None else best[1]

    def _few(self) -> list[LimitInForce]:
        """Limits that must all be loosened, those that hold by default spared first."""
        loosened = list(self.limits)
        for limit in sorted(self.limits, key=lambda limit: not limit.by_default):
            fewer = [other for other in loosened if other is not limit]
            if self.trials.plan(*_free(fewer)) is not None:
                loosened = fewer
        return loosened


def _free(limits: Sequence[LimitInForce]) -> list[Patch]:
    return [limit.free for limit in limits]


# ---- in words


def diagnosis_lines(diagnosis: Diagnosis, brief: Sequence[str]) -> Iterator[str]:
    """The diagnosis as lines, beginning with the `brief` reasons known before it."""
    if diagnosis.fits:
        heads = [line for line in brief if not line.startswith(" ")]
        yield from heads[:1]
        yield from _fit_lines(diagnosis.fits)
        yield from heads[1:]
    else:
        yield diagnosis.headline
        yield from brief[1:]
    if len(diagnosis.conflict) > 1 and not diagnosis.fits:
        yield f"{_conflict_head(diagnosis)}:"
        yield from _columns([["", path, value] for path, value in diagnosis.conflict])
    if diagnosis.changes and not _is_said(diagnosis):
        several = len(diagnosis.changes) > 1
        yield "Any one of these gives a plan:" if several else "This gives a plan:"
        yield from _change_lines(diagnosis.changes)
    if diagnosis.combination:
        usd = diagnosis.combination_usd_per_month or 0.0
        yield f"No single change gives a plan. These together do, for {_usd(usd)} per month:"
        yield from _columns([["", c.path, c.text] for c in diagnosis.combination])
    if diagnosis.not_reached:
        yield f"Left open by the time limit or the solvers: {'; '.join(diagnosis.not_reached)}"


def headline_of(diagnosis: Diagnosis, brief: Sequence[str], given: PlanningInput) -> str:
    """Why there is no plan, on one line."""
    if brief[0] != NO_FLEET:
        return brief[0]
    if len(diagnosis.conflict) == 1:
        path, value = diagnosis.conflict[0]
        return f"no fleet keeps {path}: {value}"
    if diagnosis.conflict or diagnosis.changes or diagnosis.not_reached:
        return NO_FLEET
    stocked = any(_has_stock(k) for k in given.candidates.candidates)
    return "the catalog has too few units (max_units)" if stocked else NO_FLEET


def _has_stock(k: Candidate) -> bool:
    return isinstance(k.offering, Offering) and k.offering.max_units is not None


NO_FLEET = "no fleet keeps all limits together"


def _conflict_head(diagnosis: Diagnosis) -> str:
    count = len(diagnosis.conflict)
    return f"These {count} limits cannot be kept together"


def _is_said(diagnosis: Diagnosis) -> bool:
    """True where the headline about the budget has said the only change already."""
    only = diagnosis.changes[0].path if len(diagnosis.changes) == 1 else ""
    return only == "limits.budget.usd_per_month" and len(diagnosis.conflict) == 1


def _change_lines(changes: Sequence[Change]) -> Iterator[str]:
    yield from _columns(
        [["", c.path, c.text, f"{_usd(c.cash_usd_per_month)} per month"] for c in changes]
    )


def _fit_lines(fits: Sequence[Misfit]) -> Iterator[str]:
    nearest = next((i for i, fit in enumerate(fits) if fit.fastest_tpot_s is not None), None)
    rows = [
        [
            "",
            f"{fit.gpu} tp {fit.tensor_parallel}",
            fit.precision,
            fit.reason + ("    <- nearest" if i == nearest else ""),
        ]
        for i, fit in enumerate(fits[:MOST_FITS_SHOWN])
    ]
    yield from _columns(rows)
    if len(fits) > MOST_FITS_SHOWN:
        yield f"  and {len(fits) - MOST_FITS_SHOWN} more replica sizes"


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()


def _usd(amount: float) -> str:
    return f"${amount:,.0f}"
