"""The best plan of one workload whose utilization has a price, by how hot it may run.

    min over u of   φ(u) + p(u)

φ(u) is the least that a plan costs which is nowhere hotter than u, without the penalties that tell
utilizations apart: a problem of rows alone, whose cheapest fleet `milp/curves/listed/` finds. It
falls in steps as u rises, and p, the overload ramp and the price of the high band, only rises. So
plans whose utilization is above l and up to h cost at least φ(h) + p(l), and where the plan of φ(h)
runs at u, none between u and h costs less than it. What is open below is halved, where a cheaper
plan may be first, until there is no such place; of most the lists need only say that nothing there
is cheap enough.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.deadline import OutOfTime, until
from milp_planner.inputs.problem.policies import (
    can_overload,
    has_batches,
    is_strict,
    may_fall_short,
    utilization_limit,
)
from milp_planner.inputs.problem.policy import Penalties, Utilization
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.curves.covering import COVERED
from milp_planner.milp.curves.listed.lists import cheapest_listed
from milp_planner.milp.curves.listed.search import SAME_USD, Listed
from milp_planner.milp.presolve.dominance import prune
from milp_planner.milp.presolve.lazy_rows import relaxed_values
from milp_planner.milp.presolve.routing import balanced
from milp_planner.milp.program.costs.overload import Overload, overload_usd
from milp_planner.milp.program.costs.scaling import Scaling
from milp_planner.milp.program.families import judges_of, sets_unknown_keys
from milp_planner.milp.program.levels import Splits
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.milp.program.read_solution import read_solution
from milp_planner.milp.program.refinement import learn_from_parts
from milp_planner.milp.program.routed_fleets import (
    learn_prices,
    learn_prices_in_part,
    with_routes,
)
from milp_planner.plans.records import MEDIUM_BAND, Plan, Provenance
from milp_planner.solving.assembly.assemble import assemble

KNOWN = frozenset((*COVERED, Overload.__name__, Scaling.__name__))
"""Rules and cost terms that may be in force: all others may read how hot a plan may run."""

CLOSE, STEP = 1e-8, 3e-8
"""Parts of a load that routes may lack, and of a utilization by which the next one looked at is
lower, so that a plan is not found twice."""

MOST_LISTINGS, MOST_LEARNED = 400, 60
"""Of a workload, and of one utilization: beyond, what is open is left to the engines."""


class Stretch(NamedTuple):
    """Utilizations above the one and up to the other, with what no plan in them owes less than
    beside the penalties on utilization, USD/month."""

    above: float
    up_to: float
    least_usd: float


Check = Callable[[PlanningInput, Plan, float], bool]
"""Whether a plan keeps every rule and scores what it is said to."""


class Found(NamedTuple):
    """How far lists came."""

    plan: Plan | None
    """The best that was found, without status or proof."""

    bound_usd: float
    """No plan scores less, USD/month."""

    rows: int
    columns: int
    """Of the program that the plan came from."""


def best_by_utilization(
    instance: PlanningInput, provenance: Provenance, limit_s: float, check: Check
) -> Found | None:
    """The best plan of a problem, as far as lists come within so many seconds; None where they are
    of no use.

    instance: with the candidates that are left by pruning.
    """
    if not _is_one_of_levels(instance):
        return None
    search = _Search(instance, provenance, check)
    try:
        with until(time.monotonic() + limit_s):
            search.run()
    except OutOfTime:
        pass
    except _NotOfRows:
        return None
    if search.plan is None and search.least_usd <= 0:
        return None
    return Found(search.plan, search.least_usd, *search.size)


def _is_one_of_levels(instance: PlanningInput) -> bool:
    """True of a single workload whose utilization has a price, and depends on its units alone."""
    problem = instance.problem
    if len(problem.workloads) != 1 or instance.current_units() or has_batches(problem):
        return False
    (w,) = problem.workloads
    if not any(_prices(instance)) or may_fall_short(problem) or w.latency.judges_queues:
        return False
    if problem.rules or sets_unknown_keys(problem) or problem.policy.utilization.by != "target":
        return False
    if utilization_limit(problem, w) > 1:  # no target is above that
        return False
    if any(k.mode.per_token or k.part_of_unit for k in instance.candidates.candidates):
        return False
    return all(type(judge).__name__ in KNOWN for judge in judges_of(instance))


def _prices(instance: PlanningInput) -> tuple[bool, bool]:
    """Whether an overload, and the high band, have a price for the workload."""
    (w,), penalties = instance.problem.workloads, instance.problem.policy.active_penalties
    highest = utilization_limit(instance.problem, w)
    strict = penalties.strict_latency is not None and is_strict(penalties, w)
    return can_overload(instance.problem, w), strict and highest > MEDIUM_BAND


class _NotOfRows(Exception):
    """The program is one that lists are no use for."""


@dataclass
class _Search:
    instance: PlanningInput
    provenance: Provenance
    check: Check
    plan: Plan | None = None
    size: tuple[int, int] = (0, 0)
    """Rows and columns of the program of the plan."""

    splits: Splits = field(default_factory=Splits)
    """What fleets taught, which holds at every utilization."""

    open: list[Stretch] = field(default_factory=list)
    """Those that may hold a cheaper plan, the last of them the cheapest."""

    closed_usd: float = math.inf
    """What no plan scores less than in the others."""

    listings: int = 0
    has_given_up: bool = False
    """True once lists of a stretch came to no end: what it leaves open no other one mends."""

    @property
    def score_usd(self) -> float:
        """Of the best plan known."""
        score = None if self.plan is None else self.plan.score_usd_per_month
        return math.inf if score is None else score

    @property
    def least_usd(self) -> float:
        """What no plan scores less than."""
        left = (self._least_of(stretch) for stretch in self.open)
        return min(self.closed_usd, self.score_usd, *left, math.inf)

    def run(self) -> None:
        """Look until nothing cheaper can be open; raises OutOfTime, or _NotOfRows."""
        self.open = [Stretch(*ends, 0.0) for ends in pairwise((0.0, *self._edges()))]
        while self.open and self.listings < MOST_LISTINGS and not self.has_given_up:
            self.open.sort(key=self._least_of, reverse=True)
            stretch = self.open[-1]
            if self._least_of(stretch) >= self.score_usd - SAME_USD:
                return
            more = self._looked_at(self._cut(stretch))
            self.open[-1:] = more  # what is left of it: time may be up before that is known

    def _edges(self) -> Iterator[float]:
        """The utilizations between which what one more costs does not jump, rising."""
        (w,), policy = self.instance.problem.workloads, self.instance.problem.policy
        has_ramp, has_band = _prices(self.instance)
        highest, ramp = (
            utilization_limit(self.instance.problem, w),
            policy.active_penalties.overload,
        )
        edges = {MEDIUM_BAND} if has_band else set()
        edges |= {ramp.above} if has_ramp and ramp is not None else set()
        yield from sorted(edge for edge in {*edges, highest} if 0 < edge <= highest)

    def _penalty_usd(self, utilization: float) -> float:
        """What every plan owes that is hotter, USD/month."""
        penalties = self.instance.problem.policy.active_penalties
        _, has_band = _prices(self.instance)
        strict = penalties.strict_latency
        band = strict.usd if has_band and strict is not None and utilization >= MEDIUM_BAND else 0.0
        return overload_usd(penalties, utilization) + band

    def _least_of(self, stretch: Stretch) -> float:
        return stretch.least_usd + self._penalty_usd(stretch.above)

    def _cut(self, stretch: Stretch) -> Stretch:
        """The stretch without utilizations at which its plans owe too much on the ramp alone."""
        ramp = self.instance.problem.policy.active_penalties.overload
        if ramp is None or not ramp.usd_at_full_load or stretch.above < ramp.above:
            return stretch
        room_usd = self.score_usd - self._least_of(stretch)
        hottest = stretch.above + room_usd * (1 - ramp.above) / ramp.usd_at_full_load
        return stretch._replace(up_to=min(stretch.up_to, hottest))

    def _looked_at(self, stretch: Stretch) -> Sequence[Stretch]:
        """What is still open of a stretch."""
        above, highest, _ = stretch
        owed = self._penalty_usd(above)
        below_usd = self.score_usd - owed
        found = self._cheapest(highest, below_usd)
        if found is None:
            raise _NotOfRows
        listed, plan = found
        if plan is None:
            self.closed_usd = min(self.closed_usd, listed.least_usd + owed)
            self.has_given_up = listed.least_usd < below_usd
            return []
        assert plan.score_usd_per_month is not None
        (served,) = plan.workloads
        assert served.utilization is not None
        if plan.score_usd_per_month < self.score_usd:
            self.plan = plan
        below = min(served.utilization, highest) * (1 - STEP)
        self.closed_usd = min(
            self.closed_usd, listed.least_usd + self._penalty_usd(max(below, above))
        )
        if below <= above:
            return []
        half = (above + below) / 2
        least = listed.least_usd
        return Stretch(above, half, least), Stretch(half, below, least)

    def _cheapest(self, utilization: float, below_usd: float) -> tuple[Listed, Plan | None] | None:
        """The cheapest plan that is no hotter and costs less, without the penalties on that; None
        where lists do not say, or where its score is another than they say."""
        cooled = _no_hotter(self.instance, utilization)
        kept = tuple(prune(cooled, cooled.candidates.candidates).kept)
        for _ in range(MOST_LEARNED):
            model = self._taught(cooled, kept)
            self.listings += 1
            listed = cheapest_listed(model, below_usd=below_usd)
            if listed is None or not listed.values:
                return None if listed is None else (listed, None)
            if self._has_learned(model, listed):
                continue
            plan = self._plan(self.instance, model, listed)
            owed = plan.costs.get("overload", 0.0) + plan.costs.get("strict_latency", 0.0)
            if not self.check(self.instance, plan, listed.least_usd + owed):
                return None
            self.size = len(model.row_meaning), len(model.fleet.meaning)
            return listed, plan
        return None

    def _taught(self, cooled: PlanningInput, kept: tuple[Candidate, ...]) -> FleetModel:
        """The program. Fractions of units teach the first."""
        model = build_model(cooled, kept, self.splits)
        if not model.fleet.prices or self.listings:
            return model
        for _ in range(MOST_LEARNED):
            values = relaxed_values(model)
            if values is None or not learn_from_parts(self.splits, model, values):
                return model
            model = build_model(cooled, kept, self.splits)
        return model

    def _has_learned(self, model: FleetModel, listed: Listed) -> bool:
        """True where the fleet has too little, as programs know from now on."""
        solution = read_solution(model, listed.values)
        return learn_prices(self.splits, model, solution) or learn_prices_in_part(
            self.splits, model, listed.values, CLOSE
        )

    def _plan(self, instance: PlanningInput, model: FleetModel, listed: Listed) -> Plan:
        solution = with_routes(model, read_solution(model, listed.values))
        return assemble(instance, balanced(instance, solution), self.provenance)


def _no_hotter(instance: PlanningInput, utilization: float) -> PlanningInput:
    """The problem of plans no hotter than that, without penalties that tell utilizations apart."""
    policy = instance.problem.policy
    changes = {
        "preset": None,
        "penalties": Penalties(scaling=policy.active_penalties.scaling),
        "utilization": Utilization(target=utilization),
    }
    changed = policy.model_copy(update=changes)
    return replace(instance, problem=instance.problem.model_copy(update={"policy": changed}))
