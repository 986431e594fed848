"""What a problem's `risk:` makes of what its futures cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from milp_planner.candidates.records import PlanningInput
from milp_planner.futures.cases import Case
from milp_planner.inputs.problem.records import Problem
from milp_planner.inputs.problem.uncertain.futures import Risk, Value
from milp_planner.milp.futures.measures import Measure, of_costs


def measure_of(
    problem: Problem,
    cases: Sequence[Case],
    alone: Sequence[float | None],
    risk: Risk | None = None,
) -> Measure:
    """What is made small over futures of a month. alone: no plan of each future by itself costs
    less, USD/month; where that is not known, 0. risk: default: the problem's own."""
    probabilities = tuple(case.probability for case in cases)

    def worth(of: Measure) -> Iterator[float]:
        return (value_usd(case.instance, of) for case in cases)

    risk = problem.risk if risk is None else risk
    return measure_by(risk, problem.value, probabilities, alone, worth)


def measure_by(
    risk: Risk | None,
    value: Value | None,
    probabilities: tuple[float, ...],
    alone: Sequence[float | None],
    worth_of: Callable[[Measure], Iterable[float]],
) -> Measure:
    """What is made small. worth_of: what all traffic of each future is worth where it is served."""
    if risk is None or risk.measure == "expected":
        return of_costs(probabilities)
    tail = risk.tail if risk.measure == "cvar" else None
    if risk.of == "regret":
        constants = tuple(-max(0.0, usd or 0.0) for usd in alone)
        return Measure(probabilities, risk.weight, tail, constants)
    if risk.of == "margin" and value is not None:
        worth = Measure(
            probabilities,
            usd_per_million_requests=value.usd_per_million_requests or 0.0,
            usd_per_million_tokens=value.usd_per_million_tokens or 0.0,
        )
        constants = tuple(-usd for usd in worth_of(worth))
        return replace(
            worth, weight=risk.weight, tail=tail, constants=constants, shift=min(constants)
        )
    return Measure(probabilities, risk.weight, tail, (0.0,) * len(probabilities))


def value_usd(instance: PlanningInput, worth: Measure) -> float:
    """What all traffic of a month is worth where it is served, USD."""
    schedule = instance.schedule
    return sum(
        q.share * schedule.requests_per_month(name, t) * worth.usd_per_request(q)
        for name, demand in schedule.demands.items()
        for t in range(len(schedule.blocks))
        for q in demand.classes
    )
