"""What each budget buys: every step between two budgets, found by solving again.

    B ← high;  repeat   plan at B has cash c  →  the step begins at c exactly;  B ← c - δ

The plan at B serves as much as B pays for, at the least score, so no budget below its cash buys the
same. δ is a cent, or what solvers cannot tell from nothing at large amounts. Where per-token use,
or units of a batch by the minute, let the served share grow with every cent there are no steps;
such a stretch is sampled, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Literal

from milp_planner.candidates.records import PlanningInput
from milp_planner.deadline import OutOfTime, began_s, until
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.inputs.problem.records import Budget, Problem
from milp_planner.inputs.reading.arguments import check_number
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.program.language.rule import Rule
from milp_planner.milp.program.lexicographic import Held, Stage, stages_of
from milp_planner.plans.plain import as_plot
from milp_planner.plans.records import Plan, Purchase, Status
from milp_planner.questions.solve import provenance_of
from milp_planner.solving.checks.arguments import SolverChoice, catalog_for
from milp_planner.solving.checks.own_rules import held_to
from milp_planner.solving.prepare import prepare
from milp_planner.solving.re_solve import (
    SHARE_TOLERANCE,
    Resolver,
    cash_of,
    cash_only,
    fleet_line,
    score_of,
    served_share,
    settings_of,
    without_budget,
)
from milp_planner.solving.results import NOT_SOLVED, Query, SearchResult
from milp_planner.solving.stages import as_much_as_can_be
from milp_planner.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

CENT = 0.01
MOST_USD = 1e12
BUDGET_TOLERANCE = 3e-6
"""Share of a budget that the solvers, and the re-check of a plan, take for nothing."""

LEAST_GAIN = 1e-3
"""Share of the demand by which the next step of a single budget serves more."""

SAMPLES = 50
"""Budgets at which a stretch without steps is looked at, over the whole range."""

MOST_STEPS = 500

WhenShort = Literal["fair", "priority"]


@dataclass(frozen=True)
class BudgetStep:
    """What the least budget that buys it buys."""

    budget_usd: float
    """Cash of the plan: no smaller budget buys the same."""

    served_share: float
    """Smallest share of any workload's peak that is served, in any block."""

    shares: Mapping[str, float]
    """The same by workload."""

    requests_share: float
    """Share of the month's requests that is served, all workloads together."""

    score_usd: float
    fleet: str
    is_step: bool
    """False in a stretch where the served share grows with every cent."""

    proven: bool
    plan: Plan


class FrontierEnd(Enum):
    """Why a search for steps ended before the smallest budget."""

    OTHER_LIMITS = "other_limits"
    """No smaller budget keeps the other limits."""

    TIME_LIMIT = "time_limit"
    MOST_STEPS = "most_steps"


@dataclass(frozen=True)
class Unfinished:
    """Where a search for steps ended, and why."""

    reason: FrontierEnd
    budget_usd: float
    """The budget it ended at, USD/month."""


@dataclass(frozen=True)
class Frontier:
    """Every step between two budgets, the smallest first."""

    low_usd: float
    high_usd: float
    steps: tuple[BudgetStep, ...]
    smallest_budget_usd: float | None
    """Cash of the cheapest plan that serves everything; None when there is none."""

    unfinished: Unfinished | None = None
    """What was not reached; None when every step was found."""

    def to_frame(self) -> DataFrame:
        """One row per step."""
        from pandas import DataFrame

        return DataFrame([step_dict(step) for step in self.steps])

    def plot(self, ax: Axes | None = None) -> Axes:
        """What each budget serves, as a staircase.

        ax: matplotlib's; default: new ones. Returns them. Raises InputError without a step,
        PlannerError without matplotlib: `pip install 'milp-planner[plot]'`.
        """
        return as_plot(self, ax)


def step_dict(step: BudgetStep) -> dict[str, Any]:
    """The step as a flat row."""
    return {
        "budget_usd_per_month": step.budget_usd,
        "served_share": step.served_share,
        "served_requests_share": step.requests_share,
        "score_usd_per_month": step.score_usd,
        "gpus": step.plan.gpus,
        "fleet": step.fleet,
        "is_step": step.is_step,
        "proven": step.proven,
    }


def budget_frontier(
    problem: Problem,
    low_usd: float,
    high_usd: float,
    catalog: Catalog | None = None,
    *,
    when_short: WhenShort = "fair",
    time_limit_s: float | None = None,
    solver: SolverChoice | None = None,
    rules: Iterable[Rule | type[Rule]] = (),
) -> Frontier:
    """Every budget between `low_usd` and `high_usd` at which more can be had.

    low_usd, high_usd: USD per month. catalog: default: the one that the problem names. when_short:
    how a budget that does not pay for everything is shared out, where the problem does not say so
    itself: fairly over the workloads, or by priority. time_limit_s: seconds for the whole search,
    from the largest budget downwards; solver: which engines. Both stand for the problem's own
    settings where they are given. rules: rules of your own, beside the limits.

    Returns a Frontier: its first step is what `low_usd` itself buys. Steps closer than a cent, or
    three millionths of the budget, are one. `unfinished` says where the search ended.

    Raises InputError for budgets out of range; else as `solve` does, ArgumentError and SolverError
    too.

    >>> from milp_planner import budget_frontier, load_problem
    >>> problem = load_problem("problems/inference-atlas/llama-8b-steady.yaml")
    >>> found = budget_frontier(problem, 500, 2000)
    >>> [(step.budget_usd, step.served_share) for step in found.steps]
    [(0, 0), (1260.0, 1.0)]
    """
    problem = held_to(problem, rules)
    catalog = catalog_for(problem, catalog)
    check_number("low_usd", low_usd, least=0.0, most=MOST_USD)
    check_number("high_usd", high_usd, above=0.0, most=MOST_USD)
    low_usd, high_usd = float(low_usd), float(high_usd)
    short = problem.limits.budget.when_short if problem.limits.budget else "fail"
    ask = when_short if short == "fail" else short
    said = problem.policy.when_short
    if said is not None and said != "fail":
        ask = said
    began = began_s()
    settings = settings_of(problem, time_limit_s=time_limit_s, gap=0.0, solver=solver, began=began)
    try:
        with until(settings.ends_s):
            instance = prepare(with_budget(problem, high_usd, ask), catalog)
    except OutOfTime:
        late = Unfinished(FrontierEnd.TIME_LIMIT, high_usd)
        return Frontier(low_usd, high_usd, (), None, late)
    resolver = Resolver(instance, settings, provenance_of(instance, settings))
    smallest = smallest_budget(resolver)
    found: list[BudgetStep] = []
    unfinished: Unfinished | None = None
    for step in _downwards(resolver, low_usd, high_usd, smallest):
        if isinstance(step, Unfinished):
            unfinished = step
        elif found and _is_same(found[-1], step):
            found[-1] = step
        else:
            found.append(step)
    return Frontier(low_usd, high_usd, tuple(reversed(found)), smallest, unfinished)


def with_budget(
    problem: Problem, usd: float, when_short: Literal["fail", "fair", "priority"]
) -> Problem:
    """The problem with this budget, which is no excuse for another limit where the problem does not
    say so itself."""
    budget = Budget(usd_per_month=usd, when_short=when_short)
    changes = {"limits": problem.limits.model_copy(update={"budget": budget})}
    if not may_be_short(problem):
        policy = problem.policy.model_copy(update={"when_short": "fail"})
        return problem.model_copy(update={**changes, "policy": policy})
    return problem.model_copy(update=changes)


def smallest_budget(resolver: Resolver) -> float | None:
    """The least cash per month that serves everything; None when nothing does, or unknown."""
    plan = cheapest_plan(resolver)
    return None if plan is None else cash_of(plan)


def cheapest_plan(resolver: Resolver) -> Plan | None:
    """The plan of the least cash that serves everything; None when nothing does, or unknown."""
    return resolver.answer(cash_only(without_budget(resolver.problem))).plan


def _downwards(
    resolver: Resolver, low_usd: float, high_usd: float, smallest_usd: float | None
) -> Iterator[BudgetStep | Unfinished]:
    """Steps from the largest budget to the smallest, and where the search ended early."""
    budget = high_usd
    for _ in range(MOST_STEPS):
        answer = best_within(resolver, budget, smallest_usd)
        if answer.plan is None:
            infeasible = answer.status is Status.INFEASIBLE
            reason = FrontierEnd.OTHER_LIMITS if infeasible else FrontierEnd.TIME_LIMIT
            yield Unfinished(reason, budget)
            return
        step = _step(resolver.instance, answer.plan, budget)
        yield step
        if step.budget_usd <= low_usd or budget <= low_usd:
            return
        below = _resolution(step.budget_usd)
        if not step.is_step:
            below = max(below, (high_usd - low_usd) / SAMPLES)
        budget = max(low_usd, step.budget_usd - below)
    yield Unfinished(FrontierEnd.MOST_STEPS, budget)


def steps_at(
    resolver: Resolver, budgets_usd: Iterable[float], smallest_usd: float | None
) -> Iterator[BudgetStep | Unfinished]:
    """What each of some budgets buys, the smallest first, what buys the same once.

    resolver: of a problem with a budget that may be short. Ends at a budget that time left none
    for, and says so; one that the other limits leave no plan is told and passed over.
    """
    before: BudgetStep | None = None
    for budget in budgets_usd:
        answer = best_within(resolver, budget, smallest_usd)
        if answer.plan is None:
            infeasible = answer.status is Status.INFEASIBLE
            reason = FrontierEnd.OTHER_LIMITS if infeasible else FrontierEnd.TIME_LIMIT
            yield Unfinished(reason, budget)
            if infeasible:
                continue
            return
        step = _step(resolver.instance, answer.plan, budget)
        if before is None or not _is_same(step, before):
            yield step
        before = step


def best_within(resolver: Resolver, budget_usd: float, smallest_usd: float | None) -> SearchResult:
    """The best plan of a budget, straight to what it serves where everything is out of reach."""
    known = resolver.problem.limits.budget
    assert known is not None
    problem = with_budget(resolver.problem, budget_usd, known.when_short)
    if smallest_usd is None or budget_usd > smallest_usd - _resolution(smallest_usd):
        return resolver.answer(problem)
    try:
        with resolver.in_force():
            optimizer = resolver.optimizer(resolver.given_for(problem))
    except OutOfTime:
        return NOT_SOLVED
    result, _ = as_much_as_can_be(optimizer, Query())
    return result


def _resolution(usd: float) -> float:
    return max(CENT, BUDGET_TOLERANCE * usd)


def _step(instance: PlanningInput, plan: Plan, budget_usd: float) -> BudgetStep:
    cash = cash_of(plan)
    spends_all = cash > budget_usd - 2 * _resolution(budget_usd)
    by_the_cent = any(p.candidate.mode.per_token or _is_on_in_part(plan, p) for p in plan.purchases)
    short = any(w.shortfall_share > 0 for w in plan.workloads)
    return BudgetStep(
        budget_usd=cash,
        served_share=served_share(plan),
        shares={w.name: 1 - w.shortfall_share for w in plan.workloads},
        requests_share=requests_share(instance, plan),
        score_usd=score_of(plan),
        fleet=fleet_line(plan),
        is_step=not (spends_all and by_the_cent and short),
        proven=plan.status is Status.OPTIMAL,
        plan=plan,
    )


def _is_on_in_part(plan: Plan, purchase: Purchase) -> bool:
    """True of elastic units of a batch, which are paid for the minutes that they are on."""
    paid = zip(plan.blocks, purchase.units_by_block, purchase.hours_by_block, strict=True)
    return any(units and hours < block.hours for block, units, hours in paid)


def _is_same(above: BudgetStep, below: BudgetStep) -> bool:
    """True when the smaller budget buys all that the larger one does."""
    pairs = [(below.shares[name], share) for name, share in above.shares.items()]
    pairs.append((below.requests_share, above.requests_share))
    fully = all(abs(less - more) <= 5 * SHARE_TOLERANCE for less, more in pairs)
    return fully and below.score_usd <= above.score_usd + CENT


# ---- the next step above one budget


def next_step(resolver: Resolver, plan: Plan, most_usd: float) -> BudgetStep | None:
    """The least budget up to `most_usd` that serves at least 0.1 % more than `plan` does.

    `plan` is the best for the resolver's problem. For each stage of `when_short` in turn, what
    earlier stages reached is held, this one must improve, and the cash is minimised; the cheapest
    of these is the step. None when everything is served, or when time is up.
    """
    problem = resolver.problem
    budget = problem.limits.budget
    assert budget is not None
    free = cash_only(with_budget(problem, most_usd + _resolution(most_usd), budget.when_short))
    instance = replace(resolver.instance, problem=free)
    cheapest: float | None = None
    for held in _improvements(instance, plan):
        cash = _least_cash(resolver, instance, held)
        if cash is not None and (cheapest is None or cash < cheapest):
            cheapest = cash
    if cheapest is None:
        return None
    better = best_within(resolver, cheapest + CENT / 2, most_usd).plan
    return None if better is None else _step(instance, better, cash_of(better) + CENT)


def _improvements(instance: PlanningInput, plan: Plan) -> Iterator[Held]:
    held: Held = ()
    for stage in stages_of(instance.problem):
        reached = unserved_share(instance, plan, stage)
        if reached > LEAST_GAIN:
            yield (*held, (stage, reached - LEAST_GAIN))
        elif reached > SHARE_TOLERANCE:
            yield (*held, (stage, 0.0))
        held = (*held, (stage, reached))


def _least_cash(resolver: Resolver, instance: PlanningInput, held: Held) -> float | None:
    plan = resolver.optimizer(instance).best(Query(held=held)).plan
    return None if plan is None else cash_of(plan)


def requests_share(instance: PlanningInput, plan: Plan) -> float:
    """The share of the month's requests that a plan serves, all workloads together."""
    names = tuple(w.name for w in plan.workloads)
    return 1 - unserved_share(instance, plan, Stage("unserved", names))


def unserved_share(instance: PlanningInput, plan: Plan, stage: Stage) -> float:
    """What the stage measures of a plan: the worst share of the peak, or the share of the month."""
    if stage.kind == "worst":
        return max(w.shortfall_share for w in plan.workloads if w.name in stage.workloads)
    served = _served_requests(instance, plan, stage.workloads)
    asked = sum(
        instance.schedule.requests_per_month(name, t)
        for name in stage.workloads
        for t in range(len(plan.blocks))
    )
    return max(0.0, 1 - served / asked) if asked else 0.0


def _served_requests(instance: PlanningInput, plan: Plan, workloads: Sequence[str]) -> float:
    """Requests per month that the plan serves of these workloads, batches by others' units too."""
    beside = sum(
        run.requests_per_second * run.block.hours * SECONDS_PER_HOUR
        for run in plan.batch_runs
        if run.workload in workloads
    )
    return beside + sum(
        r.share
        * r.request_class.share
        * instance.schedule.requests_per_month(r.candidate.workload, plan.blocks.index(r.block))
        for r in plan.routes
        if r.candidate.workload in workloads
    )
