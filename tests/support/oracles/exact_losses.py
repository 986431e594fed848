"""What is left of a plan after a loss, in exact numbers; of several classes by a linear program."""

from __future__ import annotations

from fractions import Fraction

import highspy

from milp_planner.candidates.records import Candidate
from tests.support.oracles.exact_numbers import TOLERANCE, exact


def spare_of(fleet, k: Candidate, t: int) -> Fraction:
    """Requests/s of an account that nobody uses, in equal parts to whoever may."""
    sharing = [o for o in fleet.instance.candidates.candidates if o.offering == k.offering]
    used = sum(
        share * fleet.peak(other.workload, q, at)
        for (other, q, at), share in fleet.share.items()
        if at == t and other.offering == k.offering
    )
    return max(Fraction(0), exact(k.offering.max_requests_per_minute) / 60 - used) / len(sharing)


def times_served(
    fleet, name: str, rest: list[Candidate], spare: dict[str, Fraction], t: int
) -> Fraction:
    """How many times over the rest serves what a block is served; of one class it is exact.

    spare: requests/s of any class that accounts take on beside what they serve.
    """
    wanted = {
        q: (1 - fleet.unserved(name, q, t)) * fleet.peak(name, q, t)
        for q in range(len(fleet.demand(name).classes))
        if fleet.unserved(name, q, t) < 1 - TOLERANCE
    }
    if len(fleet.demand(name).classes) == 1:
        total = sum((fleet.capacity(k, t, part=False) for k in rest), Fraction(0))
        return (total + sum(spare.values())) / wanted[0]
    return exact(_most_times(fleet, wanted, rest, spare, t)) * (1 + Fraction(1, 10**7))


def _most_times(
    fleet,
    wanted: dict[int, Fraction],
    rest: list[Candidate],
    spare: dict[str, Fraction],
    t: int,
) -> float:
    """A linear program: the most times that everything wanted is served, all of it shared out."""
    lp = highspy.Highs()
    lp.silent()
    times, served = lp.addVariable(obj=-1.0), {q: [] for q in wanted}
    for k in rest:
        if k.offering.billing == "per_token":
            for q, parts in served.items():
                most = fleet.share.get((k, q, t), Fraction(0)) * fleet.peak(k.workload, q, t)
                parts.append(lp.addVariable(ub=float(most)))
            continue
        work = []
        for q, parts in served.items():
            if fleet.rate(k, q):
                parts.append(lp.addVariable())
                work.append(parts[-1] * float(1 / fleet.rate(k, q)))
        if work:
            lp.addConstr(sum(work) <= fleet.units[k][t])
    for most in spare.values():
        taken = {q: lp.addVariable() for q in served}
        lp.addConstr(sum(taken.values()) <= float(most))
        for q, parts in served.items():
            parts.append(taken[q])
    for q, parts in served.items():
        lp.addConstr(sum(parts) - float(wanted[q]) * times >= 0)
    lp.run()
    return -float(lp.getInfo().objective_function_value)
