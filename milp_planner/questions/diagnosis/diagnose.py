"""Why there is no plan: which limits conflict, and the smallest changes that give one.

Limits are dropped one after another as long as there is still no plan; those that cannot be dropped
conflict, and every one of them is needed for that (a deletion filter). A change that gives a plan
alone must be one of these, or of what holds without being written, so only these are searched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.patching import Patch
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.program.families import limits_of
from milp_planner.milp.program.language.loosening import CashLimit, LimitInForce
from milp_planner.plans.diagnosis import Change, Diagnosis
from milp_planner.plans.reasons import CatalogTooSmall, LimitInTheWay, NoFleet, Reason
from milp_planner.plans.records import Plan, Provenance
from milp_planner.questions.diagnosis.joining import joined_units
from milp_planner.questions.diagnosis.levers import changes_of_levers, other_billings
from milp_planner.questions.diagnosis.misfit import fits_of
from milp_planner.questions.diagnosis.smallest_change import Trials, smallest_change
from milp_planner.questions.diagnosis.stock import has_stock, too_few
from milp_planner.solving.re_solve import Resolver, cash_of, fleet_line, stranded
from milp_planner.solving.results import Settings

MOST_PAIRS = 120
"""Pairs of limits that are looked at for a smaller conflict or a cheaper combination."""


def diagnosis_of(
    instance: PlanningInput, settings: Settings, provenance: Provenance, brief: Reason
) -> Diagnosis:
    """What stands in the way of a plan, within the settings' time limit.

    `brief` is the reason known before it, which stands unless a better one is found.
    """
    names = tuple(stranded(instance))
    exact = replace(settings, gap=0.0)
    trials = Trials(Resolver(instance, exact, provenance))
    search = _Diagnosing(trials, limits_of(instance), instance)
    found = search.run(Diagnosis(brief))
    found = replace(found, headline=_headline(found, instance, trials.resolver))
    return replace(found, fits=tuple(fit for name in names for fit in fits_of(instance, name)))


@dataclass
class _Diagnosing:
    """One diagnosis on its way."""

    trials: Trials
    limits: Sequence[LimitInForce]
    instance: PlanningInput
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
                yield from other_billings(self.trials, limit, change)
        yield from changes_of_levers(self.trials, self.instance)
        joined = joined_units(self.trials, self.instance)
        if joined is not None:
            yield joined

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


def _headline(found: Diagnosis, instance: PlanningInput, resolver: Resolver) -> Reason:
    """The one reason to begin with: what was known before, or what the search for it found."""
    if not isinstance(found.headline, NoFleet):
        return found.headline
    if len(found.conflict) == 1:
        return LimitInTheWay(*found.conflict[0])
    if found.conflict or found.changes or found.not_reached:
        return found.headline
    stocked = any(has_stock(k) for k in instance.candidates.candidates)
    return CatalogTooSmall(too_few(resolver, instance)) if stocked else found.headline
