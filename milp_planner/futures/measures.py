"""What a problem's `risk:` makes of what its futures cost."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.futures.cases import Case
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.uncertain.futures import Risk
from milp_planner.milp.futures.measures import Measure, of_costs


def measure_of(
    problem: Problem,
    cases: Sequence[Case],
    alone: Sequence[float | None],
    risk: Risk | None = None,
) -> Measure:
    """What is made small. alone: no plan of each future by itself costs less, USD/month; where that
    is not known, 0. risk: default: the problem's own."""
    probabilities = tuple(case.probability for case in cases)
    risk = problem.risk if risk is None else risk
    if risk is None or risk.measure == "expected":
        return of_costs(probabilities)
    tail = risk.tail if risk.measure == "cvar" else None
    if risk.of == "regret":
        constants = tuple(-max(0.0, usd or 0.0) for usd in alone)
        return Measure(probabilities, risk.weight, tail, constants)
    if risk.of == "margin" and problem.value is not None:
        worth = Measure(
            probabilities,
            usd_per_million_requests=problem.value.usd_per_million_requests or 0.0,
            usd_per_million_tokens=problem.value.usd_per_million_tokens or 0.0,
        )
        constants = tuple(-value_usd(case, worth) for case in cases)
        return Measure(
            probabilities,
            risk.weight,
            tail,
            constants,
            worth.usd_per_million_requests,
            worth.usd_per_million_tokens,
            min(constants),
        )
    return Measure(probabilities, risk.weight, tail, (0.0,) * len(cases))


def value_usd(case: Case, worth: Measure) -> float:
    """What all traffic of a future is worth where it is served, USD/month."""
    schedule = case.instance.schedule
    return sum(
        q.share * schedule.requests_per_month(name, t) * worth.usd_per_request(q)
        for name, demand in schedule.demands.items()
        for t in range(len(schedule.blocks))
        for q in demand.classes
    )
