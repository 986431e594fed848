"""What the commitments are worth beside others, all of it solved: nothing is read from duals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from math import log

from milp_planner.candidates.listing import lister_of
from milp_planner.candidates.records import Candidate
from milp_planner.futures.blocks import FuturesAnswer, committed_in
from milp_planner.futures.cases import Case, mean_case
from milp_planner.futures.measures import measure_of
from milp_planner.futures.optimum import FuturesOptimizer
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Alternatives, Problem
from milp_planner.inputs.problem.uncertain.futures import Risk
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.futures.joint import Asked, Committed
from milp_planner.milp.futures.measures import Measure, of_costs
from milp_planner.milp.futures.pruning import Key, binds
from milp_planner.milp.program.refinement import tolerance_usd
from milp_planner.plans.futures.records import (
    CaseKind,
    Commitment,
    CommitmentCase,
    CommittedUnits,
    FutureOutcome,
    FuturesPlan,
)
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.parts import first_answer
from milp_planner.solving.re_solve import fleet_line
from milp_planner.solving.results import SearchResult
from milp_planner.solving.search import Search

OTHER_RISKS = (
    Risk(measure="cvar", of="cost", weight=0.5),
    Risk(measure="worst", of="cost"),
    Risk(measure="worst", of="regret"),
)
"""Measures beside the mean that the table tells the commitments of."""


@dataclass
class Comparison:
    """The futures of a problem, solved again and again."""

    problem: Problem
    catalog: Catalog
    cases: Sequence[Case]
    alone: Sequence[SearchResult]
    optimizer: FuturesOptimizer
    measure: Measure
    answer: FuturesAnswer
    _known: dict[tuple[int, frozenset[tuple[Key, int]], bool], float | None] = field(
        default_factory=dict
    )

    @cached_property
    def probabilities(self) -> tuple[float, ...]:
        """How likely each future is."""
        return tuple(case.probability for case in self.cases)

    @cached_property
    def leading(self) -> int:
        """The most likely future; of equals the one most like today, then the first."""

        def likeness(f: int) -> tuple[float, float, int]:
            return self.probabilities[f], -abs(log(self.traffic(self.cases[f]))), -f

        return max(range(len(self.cases)), key=likeness)

    @cached_property
    def offerings(self) -> Mapping[Key, Candidate]:
        """A candidate of every offering that binds."""
        return {
            k.offering.key: k
            for case in self.cases
            for k in case.instance.candidates.candidates
            if binds(k)
        }

    def brief(self, *, idle: bool = True) -> FuturesPlan:
        """The commitments, and what each future comes to; with `idle` what it could do without."""
        risk = self.problem.risk
        assert self.answer.minimised_usd is not None
        return FuturesPlan(
            leading=self.cases[self.leading].name,
            committed=self.shown(self.answer.committed),
            outcomes=tuple(self._outcomes(idle)),
            expected_usd_per_month=self.mean(self.answer.costs),
            minimised_usd_per_month=self.answer.minimised_usd,
            bound_usd_per_month=self.answer.bound_usd,
            measure="expected" if risk is None else risk.measure,
            measured_on="" if risk is None else risk.of or "",
            level=None if self.measure.tail is None else 1 - self.measure.tail,
            weight=1.0 if risk is None else risk.weight,
        )

    def shown(self, committed: Committed) -> Commitment:
        """The commitments as a plan tells them, by name."""
        return tuple(self._units(key, n) for key, n in sorted(committed.items()) if n)

    def _units(self, key: Key, units: int) -> CommittedUnits:
        k = self.offerings[key]
        hours = self.problem.policy.hours_per_month
        number = getattr(k.offering, "quote", 0)
        return CommittedUnits(
            offering=key[0],
            billing=key[1],
            units=units,
            usd_per_month=units * hours * k.usd_per_hour / k.units_joined,
            months=k.commitment_months,
            gpu=k.gpu,
            upfront=self.problem.quotes[number - 1].upfront if number else 0.0,
        )

    def _outcomes(self, idle: bool) -> Iterator[FutureOutcome]:
        for f, (case, plan) in enumerate(zip(self.cases, self.answer.plans, strict=True)):
            yield FutureOutcome(
                name=case.name,
                probability=case.probability,
                traffic=self.traffic(case),
                usd_per_month=plan.score_usd_per_month or 0.0,
                cash_usd_per_month=plan.cash_usd_per_month or 0.0,
                alone_usd_per_month=self._alone_usd(f),
                idle_usd_per_month=self.idle_usd(f, self.answer.committed) if idle else None,
                rented=_rented(plan),
                shortfall_share=max((w.shortfall_share for w in plan.workloads), default=0.0),
            )

    def traffic(self, case: Case) -> float:
        """Requests of a month over those of a month as stated."""
        schedule = case.instance.schedule
        names = [w.name for w in self.problem.workloads]
        blocks = range(len(schedule.blocks))
        volume = {n: sum(schedule.requests_per_month(n, t) for t in blocks) for n in names}
        stated = sum(volume[n] / case.future.times(n) for n in names)
        return sum(volume.values()) / stated if stated else 1.0

    def _alone_usd(self, f: int) -> float | None:
        """The least that a future costs by itself, where it is proven."""
        known = self.alone[f]
        return known.score_usd_per_month if known.status is Status.OPTIMAL else None

    def mean(self, costs: Sequence[float]) -> float:
        """The average over the futures."""
        return sum(p * usd for p, usd in zip(self.probabilities, costs, strict=True))

    # ---- what other commitments come to

    def cost(self, f: int, committed: Committed, *, at_most: bool = False) -> float | None:
        """The least that a future costs with these commitments; None where there is no plan.

        at_most: only those of them are paid that it makes use of.
        """
        mine = {key: n for key, n in committed.items() if n}
        known = f, frozenset(mine.items()), at_most
        if known not in self._known:
            keys = frozenset(mine)
            asked = Asked(None if at_most else mine, {}, mine if at_most else None, keys=keys)
            found = self.optimizer.proven(of_costs([1.0]), asked, [f])
            self._known[known] = None if found is None else found.costs[0]
        return self._known[known]

    def idle_usd(self, f: int, committed: Committed) -> float | None:
        """What a future pays for commitments that it could do without."""
        if not any(committed.values()):
            return 0.0
        paid, needed = self.cost(f, committed), self.cost(f, committed, at_most=True)
        return None if paid is None or needed is None else max(0.0, paid - needed)

    def case(
        self, kind: CaseKind, committed: Committed, of: str = "", risk: Risk | None = None
    ) -> CommitmentCase:
        """These commitments in every future."""
        costs = [self.cost(f, committed) for f in range(len(self.cases))]
        if kind == "chosen":  # known, though not proven to be the least in each future
            pairs = zip(costs, self.answer.costs, strict=True)
            costs = [usd if least is None else least for least, usd in pairs]
        regrets = [
            usd - alone
            for f, usd in enumerate(costs)
            if usd is not None and (alone := self._alone_usd(f)) is not None
        ]
        known = [usd for usd in costs if usd is not None]
        complete = len(known) == len(costs)
        return CommitmentCase(
            kind=kind,
            of=of,
            committed=self.shown(committed),
            usd_per_month={one.name: usd for one, usd in zip(self.cases, costs, strict=True)},
            expected_usd_per_month=self.mean(known) if complete else None,
            largest_regret_usd_per_month=(
                max(0.0, *regrets) if complete and len(regrets) == len(costs) else None
            ),
            level=None if risk is None or risk.measure != "cvar" else 1 - risk.tail,
            weight=None if risk is None else risk.weight,
        )

    def told(self, next_best: int = 0) -> FuturesPlan:
        """The table, what knowing more is worth, and when other commitments are right."""
        found = self.brief()
        cases = (
            self.case("chosen", self.answer.committed),
            *self._next(next_best),
            *self._made_otherwise(),
        )
        by_mean = next((one for one in cases if one.kind == "expected"), cases[0])
        least = by_mean.expected_usd_per_month
        mean = next((one.expected_usd_per_month for one in cases if one.kind == "mean"), None)
        alone = [self._alone_usd(f) for f in range(len(self.cases))]
        known = [usd for usd in alone if usd is not None]
        perfect = self.mean(known) if len(known) == len(alone) else None
        no_regret, holds = self._no_regret()
        return replace(
            found,
            cases=cases,
            stochastic_value_usd_per_month=_above(mean, least),
            information_value_usd_per_month=_above(least, perfect),
            no_regret=self.shown(no_regret),
            no_regret_holds=holds,
        )

    def _next(self, count: int) -> Iterator[CommitmentCase]:
        """The best commitments but for those told already."""
        excluded = [self.answer.committed]
        for _ in range(count):
            asked = Asked(excluded=tuple(excluded))
            found = self.optimizer.proven(self.measure, asked)
            if found is None:
                return
            excluded.append(found.committed)
            yield self.case("next", found.committed)

    def _made_otherwise(self) -> Iterator[CommitmentCase]:
        """Commitments made for the mean, for one future, for none, and by other measures."""
        if (mean := self._of_the_mean()) is not None:
            yield self.case("mean", mean)
        for one, alone in zip(self.cases, self.alone, strict=True):
            if alone.status is Status.OPTIMAL:
                yield self.case("future", committed_in(alone.known), one.name)
        yield self.case("nothing", {})
        if self.measure.weight:
            found = self.optimizer.proven(of_costs(self.probabilities))
            if found is not None:
                yield self.case("expected", found.committed)
        for risk in OTHER_RISKS:
            measure = measure_of(self.problem, self.cases, [one.bound for one in self.alone], risk)
            found = self.optimizer.proven(measure)
            if found is not None and risk.measure != "expected":
                yield self.case(risk.measure, found.committed, risk.of or "", risk)

    def _of_the_mean(self) -> Committed | None:
        """What a plan made for the mean traffic at mean prices commits to; None without time."""
        if self.optimizer.session.is_stopped:
            return None
        case = mean_case(self.problem, self.catalog, lister_of(self.catalog))
        settings = replace(
            self.optimizer.settings, time_limit_s=self.optimizer.session.seconds_left
        )
        search = Search(case.instance, settings, self.optimizer.provenance, Alternatives(count=0))
        found = first_answer(search)
        return committed_in(found.known) if found.status is Status.OPTIMAL else None

    def _no_regret(self) -> tuple[Committed, bool | None]:
        """What the plans of all futures by themselves have in common, and whether it costs none.

        With unlike units the least of each offering need not be right anywhere: so every future is
        solved again with that much at least.
        """
        proven = all(one.status is Status.OPTIMAL for one in self.alone)
        plans = [committed_in(one.known) for one in self.alone] if proven else []
        common = (
            {key: n for key in plans[0] if (n := min(plan.get(key, 0) for plan in plans))}
            if plans
            else {}
        )
        if not common:
            return {}, None
        for f in range(len(self.cases)):
            alone = self._alone_usd(f)
            asked = Asked(least=common, keys=frozenset(common))
            found = self.optimizer.proven(of_costs([1.0]), asked, [f])
            if alone is None or found is None:
                return common, None
            if found.costs[0] > alone + tolerance_usd(alone):
                return common, False
        return common, True


def _above(usd: float | None, least: float | None) -> float | None:
    """By how much one amount is above another, where both are known."""
    return None if usd is None or least is None else max(0.0, usd - least)


def _rented(plan: Plan) -> str:
    """What is done beside the commitments, on one line."""
    rented = replace(plan, purchases=tuple(p for p in plan.purchases if not binds(p.candidate)))
    return fleet_line(rented)
