"""The family that charges the overload of a workload: tangents of a convex ramp, and levels."""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.problem.policies import can_overload
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.rows import GE, LE, Row
from milp_planner.milp.program.language.rule import Structural
from milp_planner.milp.program.language.variables import (
    LEAST_UTILIZATION,
    Fleet,
    Level,
    Terms,
    add,
    is_ramp_convex,
)
from milp_planner.plans.records import Plan


class OverloadRamp(Structural):
    """What a workload's utilization is beyond the threshold a of its ramp, o_w as a share of 1 - a.

    All load on units, with a tangent at every u_0:

        (1 - a) o_w + u_0² θ_wt ≥ 2 u_0 - a                         ∀ w, t, u_0     [utilization]
        one class:  θ_wt = Σ_k μ_k n_kt ÷ λ_t
        several:    Σ_k z_qkt ≥ θ_wt,   Σ_q (λ_qt ÷ μ_kq) z_qkt ≤ min(1, Σ_q λ_qt ÷ μ_kq ÷ a) n_kt

    θ is how many times the demand the units could serve, so that utilization is 1 ÷ θ: convex, and
    2 u_0 - u_0² θ is its tangent at θ = 1 ÷ u_0. θ is concave in the units, as the optimum of a
    linear program is in its right-hand side. Beyond 1 ÷ a it need not count, nor what a unit adds
    beyond that alone.

    A share 1 - v per token or unserved, by level l with floor f_l:

        (1 - a) o_w ≥ Σ_l (f_l - a) y_wl                                            [utilization]
        (1 - a) o_w ≥ (f_l - a) y_wl + (2 u_0 - f_l) v_wlt - u_0² θ_wlt    ∀ l, t, u_0 at the level
        Σ_l v_wlt + Σ_k x_kt + s_t ≥ 1,    v_wlt ≤ y_wl,    v_wlt ≤ Σ_k min(1, u_l μ_k ÷ λ_t) n_klt

    Utilization is v ÷ θ, not convex; but from f up it is at least f (1 - v) + v² ÷ θ, which is (it
    is f and v ÷ θ, mixed by v). With several classes the first row stands alone.
    """

    def columns(self, fleet: Fleet) -> None:
        for w in fleet.problem.workloads:
            if can_overload(fleet.problem, w):
                _add_columns(fleet, w)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.overload:
            convex = is_ramp_convex(fleet.instance, fleet.problem.workload(w))
            if not convex:
                yield _floors(fleet, w)
            for t in fleet.busy(w):
                if fleet.routed(w):
                    yield from _spread(fleet, w, t) if convex else ()
                elif not convex:
                    yield from _level_tangents(fleet, w, t)
                for u in fleet.tangents[w] if convex else ():
                    yield _tangent(fleet, w, t, u)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # it defines a cost; the plan is charged by its utilization

    def is_unbounded(self, instance: PlanningInput) -> bool:
        """True where cooler units could be worth it than those that the bound knows."""
        ramp = instance.problem.policy.active_penalties.overload
        is_cold = ramp is not None and ramp.above < LEAST_UTILIZATION
        return is_cold and any(
            can_overload(instance.problem, w) for w in instance.problem.workloads
        )


def _add_columns(fleet: Fleet, w: Workload) -> None:
    fleet.overload[w.name] = fleet.column(f"overload[{w.name}]", None, integer=False)
    if is_ramp_convex(fleet.instance, w):
        _add_headroom(fleet, w)
    elif not fleet.routed(w.name):
        for level in range(len(fleet.levels[w.name])):
            for t in fleet.busy(w.name):
                meaning = f"on units[{w.name} {fleet.blocks[t].name} level {level}]"
                fleet.on_units[w.name, level, t] = fleet.column(meaning, 1, integer=False)


def _add_headroom(fleet: Fleet, w: Workload) -> None:
    if not fleet.routed(w.name):
        return
    for t in fleet.busy(w.name):
        at = fleet.blocks[t].name
        most = fleet.most_headroom if fleet.most_headroom < math.inf else None
        fleet.headroom[w.name, t] = fleet.column(f"headroom[{w.name} {at}]", most, integer=False)
    for k, q, t in [key for key in fleet.shares if key[0].workload == w.name]:
        meaning = f"spread[{k.id} {fleet.blocks[t].name} class {q}]"
        fleet.spread[k, q, t] = fleet.column(meaning, None, integer=False)


def _threshold(fleet: Fleet) -> float:
    ramp = fleet.problem.policy.active_penalties.overload
    assert ramp is not None
    return ramp.above


def _row(fleet: Fleet, workload: str, name: str, terms: Terms, right: float) -> Row:
    """(1 - a) o_w + terms ≥ right, divided by 1 - a."""
    width = 1 - _threshold(fleet)
    terms = {v: c / width for v, c in terms.items()}
    terms[fleet.overload[workload]] = 1.0
    return Row(f"{workload} {name}", terms, GE, right / width)


def _tangent(fleet: Fleet, workload: str, t: int, u: float) -> Row:
    right = 2 * u - _threshold(fleet)
    if fleet.routed(workload):
        terms: Terms = {fleet.headroom[workload, t]: u * u}
    else:
        terms = _capacity(fleet, workload, t, u, right, range(len(fleet.levels[workload])))
    return _row(fleet, workload, f"{t} {u:g}", terms, right)


def _capacity(fleet: Fleet, workload: str, t: int, u: float, most: float, levels: range) -> Terms:
    """u² Σ_k min(μ_k ÷ λ_t, what makes the row free) n_kt over the units of some levels."""
    terms: Terms = {}
    for k in fleet.gpu_candidates(workload):
        share = k.mix_requests_per_second / fleet.demand(workload).peak[t]
        for level, units in fleet.units_on(k, t):
            if level in levels:
                add(terms, units, min(u * u * share, most))
    return terms


def _spread(fleet: Fleet, workload: str, t: int) -> Iterator[Row]:
    headroom = fleet.headroom[workload, t]
    for q in fleet.classes(workload):
        served: Terms = {headroom: -1.0}
        for k in fleet.serving(workload):
            if (k, q, t) in fleet.spread:
                served[fleet.spread[k, q, t]] = 1.0
        yield Row(f"{workload} {t} class {q}", served, GE, 0.0)
    for k in fleet.serving(workload):
        loads = {
            fleet.spread[k, q, t]: fleet.peak(workload, q, t) / k.requests_per_second[q]
            for q in fleet.classes(workload)
            if (k, q, t) in fleet.spread
        }
        busy = min(1.0, sum(loads.values()) * fleet.most_headroom)
        work: Terms = {**loads, **{units: -busy for _, units in fleet.units_on(k, t)}}
        yield Row(f"{k.id} {t}", work, LE, 0.0)


def _floors(fleet: Fleet, workload: str) -> Row:
    above = _threshold(fleet)
    terms: Terms = {
        fleet.level_used[workload, index]: -max(0.0, level.floor - above)
        for index, level in enumerate(fleet.levels[workload])
        if (workload, index) in fleet.level_used
    }
    return _row(fleet, workload, "floors", terms, 0.0)


def _level_tangents(fleet: Fleet, workload: str, t: int) -> Iterator[Row]:
    above = _threshold(fleet)
    yield _served(fleet, workload, t)
    for index, level in enumerate(fleet.levels[workload]):
        own = range(index, index + 1)
        share = fleet.on_units[workload, index, t]
        used = fleet.level_used.get((workload, index))
        if used is not None:
            yield Row(f"{workload} {t} level {index}", {share: 1.0, used: -1.0}, LE, 0.0)
        yield Row(f"{workload} {t} held {index}", _held(fleet, workload, t, index), LE, 0.0)
        if used is None or level.ceiling <= above:
            continue
        for u in _within(level, fleet.tangents[workload]):
            terms = _capacity(fleet, workload, t, u, 2 * u - above, own)
            terms[share] = -(2 * u - level.floor)
            terms[used] = -(level.floor - above)
            yield _row(fleet, workload, f"{t} {level.ceiling:g} {u:g}", terms, 0.0)


def _held(fleet: Fleet, workload: str, t: int, index: int) -> Terms:
    """What is on the units of a level, less what they can carry there."""
    level = fleet.levels[workload][index]
    terms: Terms = {fleet.on_units[workload, index, t]: 1.0}
    for k in fleet.gpu_candidates(workload):
        usable = level.ceiling * k.mix_requests_per_second / fleet.demand(workload).peak[t]
        for at, units in fleet.units_on(k, t):
            if at == index:
                terms[units] = -min(1.0, usable)
    return terms


def _served(fleet: Fleet, workload: str, t: int) -> Row:
    """Every request is on units, per token or unserved."""
    terms: Terms = {
        fleet.on_units[workload, level, t]: 1.0 for level in range(len(fleet.levels[workload]))
    }
    for k in fleet.serving(workload):
        if (k, 0, t) in fleet.shares:
            terms[fleet.shares[k, 0, t]] = 1.0
    if (workload, 0, t) in fleet.shortfalls:
        terms[fleet.shortfalls[workload, 0, t]] = 1.0
    return Row(f"{workload} {t} served", terms, GE, 1.0)


def _within(level: Level, tangents: tuple[float, ...]) -> list[float]:
    inside = {u for u in tangents if level.floor < u < level.ceiling}
    return sorted(inside | {level.floor, level.ceiling})
