"""From which probability on other commitments are right, and which cost about the same.

Futures are put in the order of their traffic, and the probability q of those from one of them on is
moved, the ratios within and below them kept. What some commitments cost on average is a straight
line in q, and the least over all of them is concave: so two lines cross where the optimum changes,
unless a third is below both there, which a solve at that q tells. Nothing is read from duals.
"""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.deadline import OutOfTime
from milp_planner.futures.compare import Comparison
from milp_planner.lazily import dataclass
from milp_planner.milp.futures.joint import Asked, Committed
from milp_planner.milp.futures.measures import of_costs
from milp_planner.milp.program.refinement import tolerance_usd
from milp_planner.plans.futures.records import FlatRange, Threshold

WITHIN = 0.025
"""Share of the average by which commitments cost about the same."""

MOST_LINES = 12
LEAST_MOVE = 1e-6


@dataclass(frozen=True)
class Cut:
    """The futures from some traffic on, and their probability."""

    comparison: Comparison
    upper: frozenset[int]

    @property
    def now(self) -> float:
        """Their probability as stated."""
        return sum(self.comparison.probabilities[f] for f in self.upper)

    @property
    def names(self) -> tuple[str, ...]:
        """Their names, the one of least traffic first."""
        cases = self.comparison.cases
        busier = sorted(self.upper, key=lambda f: (self.comparison.traffic(cases[f]), f))
        return tuple(cases[f].name for f in busier)

    def probabilities(self, q: float) -> list[float]:
        """Of all futures, where these have q together."""
        stated, now = self.comparison.probabilities, self.now
        return [
            p * q / now if f in self.upper else p * (1 - q) / (1 - now)
            for f, p in enumerate(stated)
        ]

    def best_at(self, q: float) -> Committed | None:
        """The right commitments there."""
        found = self.comparison.optimizer.proven(of_costs(self.probabilities(q)))
        return None if found is None else found.committed

    def cost(self, committed: Committed, q: float) -> float | None:
        """What commitments cost on average there."""
        parts = [self.comparison.cost(f, committed) for f in range(len(self.comparison.cases))]
        known = [usd for usd in parts if usd is not None]
        if len(known) < len(parts):
            return None
        return sum(p * usd for p, usd in zip(self.probabilities(q), known, strict=True))

    def crossing(self, one: Committed, other: Committed) -> float | None:
        """The q at which two commitments cost the same; None where one is always dearer."""
        ends = [(self.cost(one, q), self.cost(other, q)) for q in (0.0, 1.0)]
        (a0, b0), (a1, b1) = ends
        if a0 is None or b0 is None or a1 is None or b1 is None:
            return None
        slope = (a1 - b1) - (a0 - b0)
        return None if slope == 0 else -(a0 - b0) / slope

    def change(self, committed: Committed, end: float) -> Threshold | None:
        """Where other commitments are right on the way from now to `end`; None where none are."""
        at, other = end, self.best_at(end)
        for _ in range(MOST_LINES):
            if other is None or self._is_as_good(committed, other, at):
                return None
            crossing = self.crossing(committed, other)
            if crossing is None or not 0 <= crossing <= 1:
                return None
            at = crossing
            if self.comparison.optimizer.session.is_stopped:
                return None
            better = self.best_at(at)
            if better is None:
                return None
            if self._is_as_good(committed, better, at):
                shown = self.comparison.shown(other)
                return Threshold(self.names, self.now, at, end > self.now, shown)
            other = better
        return None

    def _is_as_good(self, committed: Committed, other: Committed, q: float) -> bool:
        mine, its = self.cost(committed, q), self.cost(other, q)
        return mine is not None and its is not None and mine <= its + tolerance_usd(its)


def thresholds_of(comparison: Comparison) -> Iterator[Threshold]:
    """The nearest changes, up and down, for every cut through the futures; while time lasts."""
    committed = comparison.answer.committed
    for cut in cuts_of(comparison):
        for end in (1.0, 0.0):
            if comparison.optimizer.session.is_stopped:
                return
            if abs(end - cut.now) > LEAST_MOVE:
                found = cut.change(committed, end)
                if found is not None:
                    yield found


def cuts_of(comparison: Comparison) -> Iterator[Cut]:
    """The futures from each traffic on but the least."""
    traffic = [comparison.traffic(case) for case in comparison.cases]
    for least in sorted(set(traffic))[1:]:
        yield Cut(comparison, frozenset(f for f, one in enumerate(traffic) if one >= least))


def flat_range(comparison: Comparison) -> FlatRange | None:
    """The fewest and the most commitments that cost little more, of all that may be committed to:
    also of what others do all for. None where it was not reached."""
    cases = comparison.cases
    least = comparison.mean(comparison.answer.costs)
    if least <= 0:
        return None
    measure = of_costs(comparison.probabilities)
    try:
        offered = comparison.optimizer.offered
    except OutOfTime:
        return None
    found: list[Committed] = []
    for sign in (1, -1):
        asked = Asked(within_usd=(1 + WITHIN) * least, extreme=sign, keys=offered)
        answer = comparison.optimizer.proven(measure, asked)
        if answer is None:
            return None
        found.append(answer.committed)
    fewest, most = (comparison.case("next", one) for one in found)
    quiet = min(range(len(cases)), key=lambda f: (comparison.traffic(cases[f]), f))
    idle = [comparison.idle_usd(quiet, one) for one in found]
    return FlatRange(
        within=WITHIN,
        fewest=fewest,
        most=most,
        most_change=max(_more(one.expected_usd_per_month, least) for one in (fewest, most)),
        idle_in=cases[quiet].name,
        fewest_idle_usd_per_month=idle[0],
        most_idle_usd_per_month=idle[1],
    )


def _more(usd: float | None, least: float) -> float:
    return 0.0 if usd is None else max(0.0, usd / least - 1)


def with_levels(comparison: Comparison) -> tuple[tuple[Threshold, ...], FlatRange | None]:
    """Both, where it is the average alone that counts."""
    if comparison.measure.weight:
        return (), None
    return tuple(thresholds_of(comparison)), flat_range(comparison)
