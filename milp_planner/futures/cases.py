"""Each future as a question of its own: its traffic, its prices, and the budget where it holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from milp_planner.candidates.listing import Lister, lister_of
from milp_planner.candidates.own_terms import closest_match, too_dear
from milp_planner.candidates.records import Candidate, CandidateList, PlanningInput, TurnedDown
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.commitments import Commitment
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.uncertain.futures import EVERY, FutureCase
from milp_planner.lazily import dataclass, replace
from milp_planner.plans.records import Plan
from milp_planner.solving.checks.names import future_faults
from milp_planner.solving.prepare import Outline, checked_problem, listed, outline_of
from milp_planner.solving.re_solve import repriced_candidate
from milp_planner.traffic.month import Schedule

Outliner = Callable[[Problem, Catalog], Outline]


@dataclass(frozen=True)
class Case:
    """A future, ready to be planned."""

    future: FutureCase
    instance: PlanningInput

    @property
    def name(self) -> str:
        """What the problem calls it."""
        return self.future.name

    @property
    def probability(self) -> float:
        """How likely it is."""
        return self.future.probability


def check_names(problem: Problem, catalog: Catalog) -> None:
    """Raise InputError for names that the catalog does not know, in futures and over months too."""
    faults = [*future_faults(problem, catalog)] if problem.futures else []
    if faults:
        raise InputError(faults)
    open_ended = problem.futures or problem.horizon
    checked_problem(without_futures(problem) if open_ended else problem, catalog)


def cases_of(problem: Problem, catalog: Catalog) -> tuple[Case, ...]:
    """Every future, in the order of the problem; raises InputError with the future's name."""
    if faults := [*future_faults(problem, catalog)]:
        raise InputError(faults)
    lister = lister_of(catalog)
    return tuple(case_of(problem, catalog, future, lister) for future in problem.futures)


def case_of(
    problem: Problem,
    catalog: Catalog,
    future: FutureCase,
    lister: Lister,
    outlined: Outliner = outline_of,
) -> Case:
    """One future, ready to be planned; raises InputError, which names it.

    outlined: `outline_of_known` of a problem whose names are known, which is faster.
    """
    asked = problem_in(problem, future)
    try:
        how = partial(_uncapped, lister) if future.prices else lister
        instance = listed(outlined(asked, catalog), how)
    except InputError as error:
        raise InputError(
            replace(fault, message=f"{fault.message} (in future {future.name!r})")
            for fault in error.faults
        ) from None
    return Case(future, _at_its_prices(instance, partial(_times, future.prices)))


def mean_case(problem: Problem, catalog: Catalog, lister: Lister) -> Case:
    """The mean of the futures, as if it were one: mean traffic, at mean prices."""
    futures = problem.futures
    times = {
        w.name: sum(f.probability * f.times(w.name) for f in futures) for w in problem.workloads
    }
    mean = FutureCase(name="mean", probability=1, workloads=times)
    case = case_of(problem, catalog, mean, lister)

    def factor(k: Candidate) -> float:
        return sum(f.probability * _times(f.prices, k) for f in futures)

    return Case(mean, _at_its_prices(case.instance, factor))


def problem_in(problem: Problem, future: FutureCase) -> Problem:
    """What a future asks by itself."""
    workloads = tuple(
        w.model_copy(
            update={
                "traffic": w.traffic.model_copy(
                    update={"growth": w.traffic.growth * future.times(w.name)}
                )
            }
        )
        for w in problem.workloads
    )
    budget = problem.limits.budget
    if budget is not None:
        holds = budget.futures in (EVERY, future.name)
        budget = budget.model_copy(update={"futures": EVERY}) if holds else None
    limits = problem.limits.model_copy(update={"budget": budget})
    paid = tuple(_on_demand(one) for one in problem.commitments)
    update = {"workloads": workloads, "limits": limits, "commitments": paid}
    nothing = {"futures": (), "risk": None, "value": None}
    nothing |= {"horizon": None, "known_from_months": None}
    policy = problem.policy
    if policy.share is None:  # not where several futures hold the same units
        policy = policy.model_copy(update={"share": "none"})
    return problem.model_copy(update={**update, "policy": policy, **nothing})


def _on_demand(paid: Commitment) -> Commitment:
    """Units that are paid already, as units on demand: they are nothing to be committed to."""
    if paid.billing is not None or paid.units is None:
        return paid
    return paid.model_copy(update={"billing": "dedicated"})


def leading_problem(problem: Problem, plan: Plan) -> Problem:
    """What is asked in the future that the plan is of; without a plan, what is asked today."""
    told = plan.futures
    named = (one for one in problem.futures if told is not None and one.name == told.leading)
    future = next(named, None)
    return without_futures(problem) if future is None else problem_in(problem, future)


def without_futures(problem: Problem) -> Problem:
    """The question as if traffic and prices were known to stay as they are."""
    return problem_in(problem, FutureCase(name="today", probability=1))


def _uncapped(
    lister: Lister, problem: Problem, schedule: Schedule, catalog: Catalog
) -> CandidateList:
    """Listed without the cap on prices, which is asked once the prices are those of the future."""
    limits = problem.limits.model_copy(update={"max_usd_per_gpu_hour": None})
    return lister(problem.model_copy(update={"limits": limits}), schedule, catalog)


def _at_its_prices(instance: PlanningInput, factor: Callable[[Candidate], float]) -> PlanningInput:
    """The candidates as they are paid in the future; those above the cap are turned down."""
    listed = instance.candidates
    limits = instance.problem.limits
    kept: list[Candidate] = []
    dear: dict[tuple[str, str, str], TurnedDown] = {}
    for k in listed.candidates:
        times = factor(k)
        priced = k if times == 1 else repriced_candidate(k, times)
        if why := too_dear(limits, priced.offering):
            dear[k.workload, *k.offering.key] = TurnedDown(k.workload, priced.offering, why)
        else:
            kept.append(priced)
    turned_down = (*listed.turned_down, *dear.values())
    candidates = replace(listed, candidates=tuple(kept), turned_down=turned_down)
    return replace(instance, candidates=candidates)


def _times(prices: Mapping[str, float], k: Candidate) -> float:
    """Factor on the price of a candidate; what binds costs what it does today."""
    pattern = "" if k.mode.binds else closest_match(prices, k.offering)
    return prices[pattern] if pattern else 1.0
