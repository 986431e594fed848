"""What each limit costs, by solving without it; what loosening by one saves, what growth costs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from milp_planner.deadline import OutOfTime, began_s, until
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.patching import patched
from milp_planner.inputs.problem.policies import check_by_cost, is_sharing_open
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.milp.program.families import limits_of
from milp_planner.milp.program.language.loosening import CashLimit, LimitInForce, SteppedLimit
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.shared_scope import may_share
from milp_planner.plans.plain import clean
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.diagnosis.levers import Lever, switched_off
from milp_planner.questions.solve import provenance_of, solve
from milp_planner.solving.checks.arguments import SolverChoice, catalog_for
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.prepare import outline_of, prepare, unlisted
from milp_planner.solving.re_solve import (
    LEAST_S,
    Resolver,
    cash_of,
    fleet_line,
    scaled_traffic,
    score_of,
    served_share,
    settings_of,
)
from milp_planner.units import usd_shown

if TYPE_CHECKING:
    from pandas import DataFrame

SAME_USD = 0.01
"""Scores closer than this are the same."""

GROWTH = 1.1
"""The traffic whose cost is told: 10 % more."""

MORE_TRAFFIC = "10 % more traffic"

MORE_UNITS = (1, 2, 4, 8)
"""Steps by which a quota is raised until one saves something; GPUs come in such boxes."""


@dataclass(frozen=True)
class LimitCost:
    """What one limit costs."""

    path: str
    value: str
    by_default: bool
    """True for what holds without being written."""

    usd_per_month: float | None
    """How much less the best plan scores without it; None when that was not reached."""

    share: float | None
    """The same as a share of the plan's score."""

    fleet_without: str = ""
    """The best fleet without it, where that is another one."""

    binds_from: str | None = None
    """Of a limit that costs nothing: the tightest value that still costs nothing."""

    more: int | None = None
    """Of a quota that costs something: the least of 1, 2, 4 and 8 more that saves anything."""

    more_saves_usd: float | None = None
    """What that saves, USD/month."""

    by_switching_off_usd: float | None = None
    """How much of it `policy.switch_off_dedicated` would save as well, USD/month; None where that
    saves nothing by itself, where nothing follows the load without the limit, or not reached."""


@dataclass(frozen=True)
class LimitCosts:
    """What every limit costs, the dearest first."""

    plan: Plan
    rows: tuple[LimitCost, ...]
    growth_usd_per_month: float | None
    """What 10 % more traffic costs; None when no plan serves it, or it was not reached."""

    not_reached: tuple[str, ...] = ()
    note: str = ""
    """Said where the budget is short, so that plans differ in what they serve as well."""

    def to_frame(self) -> DataFrame:
        """One row per limit."""
        from pandas import DataFrame

        return DataFrame([clean(vars(row)) for row in self.rows])

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data."""
        return clean(
            {
                "status": self.plan.status.value,
                "plan_usd_per_month": self.plan.cash_usd_per_month,
                "score_usd_per_month": self.plan.score_usd_per_month,
                "limits": [vars(row) for row in self.rows],
                "ten_percent_more_traffic_usd_per_month": self.growth_usd_per_month,
                "not_reached": self.not_reached,
                "note": self.note,
            }
        )


SHORT_NOTE = "the budget is short: without a limit more may be served instead of less be paid"


def explain_limits(
    problem: Problem,
    catalog: Catalog | None = None,
    *,
    time_limit_s: float | None = None,
    solver: SolverChoice | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
) -> LimitCosts:
    """What each limit in force costs per month, each solved again without it.

    catalog: default: the one that the problem names. time_limit_s: seconds for all solves together;
    solver: which engines. Both stand for the problem's own settings where they are given. rules:
    rules of your own, beside the limits.

    Returns LimitCosts: one row a limit, the dearest first, in USD per month, and what 10 % more
    traffic costs. Where units could be off while idle, that has a row too, and what of another
    limit's cost is nothing else is told beside it. Where units are not shared beside a limit unless
    `policy.share` says so, they are not shared without it either. Where there is no plan, the plan
    in the answer says why, and there are no rows. What the time limit cut short is named in
    `not_reached`.

    Raises InputError, ArgumentError and SolverError as `solve` does.

    >>> from milp_planner import explain_limits, load_problem
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> costs = explain_limits(problem.changed({"limits.providers.deny": ["vast_ai"]}))
    >>> [(row.path, round(row.usd_per_month or 0.0, 2)) for row in costs.rows][:2]
    [('limits.providers', 100.8), ('limits.billing.allow', 0.0)]
    """
    problem = held_to(problem, rules)
    catalog = catalog_for(problem, catalog)
    check_by_cost(problem, "what a limit costs")
    began = began_s()
    settings = settings_of(problem, time_limit_s=time_limit_s, gap=0.0, solver=solver, began=began)
    try:
        with until(settings.ends_s):
            given = prepare(problem, catalog)
    except OutOfTime:
        return _before_all_was_listed(problem, catalog)
    resolver = Resolver(given, settings, provenance_of(given, settings))
    answer = resolver.answer(resolver.problem, break_ties=True)
    if answer.plan is None:
        left_s = max(resolver.seconds_left, LEAST_S)
        return LimitCosts(solve(problem, catalog, time_limit_s=left_s, alternatives=0), (), None)
    pricing = _Pricing(resolver, answer.plan)
    rows = [*pricing.rows()]
    rows.sort(key=lambda row: (-(row.usd_per_month or 0.0), row.path))
    growth = pricing.growth_usd()
    missing = [row.path for row in rows if row.usd_per_month is None]
    if growth is None and resolver.seconds_left <= 0:
        missing.append(MORE_TRAFFIC)
    note = SHORT_NOTE if served_share(answer.plan) < 1 else ""
    return LimitCosts(answer.plan, tuple(rows), growth, tuple(missing), note)


def _before_all_was_listed(problem: Problem, catalog: Catalog) -> LimitCosts:
    """A first plan with the limits that are left open, where time ended before all was listed."""
    plan = solve(problem, catalog, time_limit_s=LEAST_S, alternatives=0, diagnose=False)
    limits = limits_of(unlisted(outline_of(problem, catalog))) if plan.status.has_plan else ()
    missing = [limit.path for limit in limits] + [MORE_TRAFFIC] * plan.status.has_plan
    return LimitCosts(plan, (), None, tuple(missing))


@dataclass
class _Pricing:
    """Prices limits against one plan."""

    resolver: Resolver
    plan: Plan
    _switched: tuple[Lever, Plan] | None = None
    """What turns units off while they are idle, and the best plan with it, where that saves."""

    def rows(self) -> Iterator[LimitCost]:
        """What it costs that units stay on, where it costs anything, and what every limit costs."""
        problem = self.resolver.problem
        for lever in switched_off(problem, len(self.resolver.instance.schedule.blocks)):
            with suppress(InputError):  # beside what it is not planned with yet
                plan = self._solved(lever.patch)
                if plan is not None and (saved := self._saved(plan)) >= SAME_USD:
                    self._switched = lever, plan
                    share = saved / score_of(self.plan)
                    value, by_default = lever.now, problem.policy.switch_off_dedicated is None
                    without = fleet_line(plan)
                    yield LimitCost(lever.path, value, by_default, saved, share, without)
        yield from map(self.cost_of, limits_of(self.resolver.instance))

    def cost_of(self, limit: LimitInForce) -> LimitCost:
        """What the plan would cost less without the limit."""
        free = self._solved(limit.free)
        if free is None:
            return LimitCost(limit.path, limit.said, limit.by_default, None, None)
        saved = self._saved(free)
        score = score_of(self.plan)
        costs = saved >= SAME_USD
        more, more_saves = self._one_more(limit) if costs else (None, None)
        return LimitCost(
            path=limit.path,
            value=limit.said,
            by_default=limit.by_default,
            usd_per_month=saved if costs else 0.0,
            share=saved / score if costs and score > 0 else 0.0,
            fleet_without=fleet_line(free) if costs else "",
            binds_from=None if costs else self._binds_from(limit),
            more=more,
            more_saves_usd=more_saves,
            by_switching_off_usd=self._by_switching_off(limit, free) if costs else None,
        )

    def _solved(self, patch: Any) -> Plan | None:
        """The best plan with a patch; None when there is none, or it is not proven in time.

        What keeps units with one workload each is not what a limit costs: they stay so without it.
        """
        problem = self.resolver.problem
        if is_sharing_open(problem) and not may_share(problem):
            problem = patched(problem, {"policy.share": "none"})
        answer = self.resolver.answer(patched(problem, patch))
        return answer.plan if answer.status is Status.OPTIMAL else None

    def _saved(self, plan: Plan) -> float:
        return score_of(self.plan) - score_of(plan)

    def _by_switching_off(self, limit: LimitInForce, free: Plan) -> float | None:
        """What of the cost of a limit goes once units may be off under it: where the best plan
        without it, `free`, has units that follow the load."""
        if self._switched is None or not any(p.candidate.mode.elastic for p in free.purchases):
            return None
        lever, switched = self._switched
        both = self._solved({**limit.free, **lever.patch})
        if both is None:
            return None
        saved, beyond = self._saved(free), score_of(switched) - score_of(both)
        return min(saved, max(0.0, saved - beyond))

    def _one_more(self, limit: LimitInForce) -> tuple[int | None, float | None]:
        if not isinstance(limit, SteppedLimit) or limit.quota is None:
            return None, None
        for more in MORE_UNITS:
            plan = self._solved(limit.patch(limit.quota + more))
            if plan is not None and self._saved(plan) >= SAME_USD:
                return more, self._saved(plan)
        return None, None

    def _binds_from(self, limit: LimitInForce) -> str | None:
        """The tightest value under which the plan scores no more, by halving."""
        if isinstance(limit, CashLimit):
            return usd_shown(cash_of(self.plan))
        if not isinstance(limit, SteppedLimit) or not limit.tighter:
            return None
        keeps, breaks = -1, len(limit.tighter)
        while breaks - keeps > 1:
            if self.resolver.seconds_left <= 0:
                return None
            middle = (keeps + breaks) // 2
            plan = self._solved(limit.patch(limit.tighter[middle]))
            if plan is not None and -self._saved(plan) < SAME_USD:
                keeps = middle
            else:
                breaks = middle
        return limit.shown(limit.tighter[keeps]) if keeps >= 0 else limit.said

    def growth_usd(self) -> float | None:
        """What 10 % more traffic costs."""
        plan = self.resolver.answer(scaled_traffic(self.resolver.problem, GROWTH)).plan
        return None if plan is None else -self._saved(plan)
