"""The family that charges the overload of a workload: tangents of a convex ramp, and splits."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.policies import can_overload
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.rows import GE, LE, Row
from milp_planner.milp.program.language.rule import Structural
from milp_planner.milp.program.language.variables import (
    LEAST_UTILIZATION,
    Fleet,
    RampSplit,
    Terms,
    Weights,
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

    A share per token or unserved: by weights π of the classes that sum to 1, of which every choice
    holds, with the share V = Σ_q π_q (1 - Σ_k x_qkt - s_qt) on units that could do it
    Θ = Σ_k (max_q π_q μ_kq ÷ λ_qt) n_kt times over, utilization is at least V ÷ Θ:

        (1 - a) o_w ≥ (2 u_0 - a) V - u_0² Θ                        ∀ w, t, u_0     [utilization]
        (1 - a) o_w ≥ (V - a Θ) ÷ θ_i - (1 ÷ √θ_i - √a)² b_i        ∀ i: w, t, π, θ_i
        (1 - a) o_w ≥ (V - c Θ) ÷ θ_i + (c - a) b_i
        θ_i b_i ≤ Θ ≤ θ_i + (Θ_max - θ_i) b_i

    V ÷ Θ is not convex, but V (V ÷ Θ - a) is, and no more than what is charged: the first row. b_i
    says whether Θ is beyond θ_i, where the two rows below are exact. V ÷ Θ - a is (V - a Θ) ÷ Θ, so
    at least (V - a Θ) ÷ θ_i where Θ ≤ θ_i, and less than that by no more than the square elsewhere,
    as V ≤ 1. It is c - a - (c Θ - V) ÷ Θ as well, c the highest utilization, so at least what the
    third row says where Θ ≥ θ_i; elsewhere that says nothing, as V ≤ c Θ. A unit with which nothing
    is charged, whatever is beside it, counts for no more than it takes.

    Where a limit keeps requests from the units that would be least busy, no weights say what is
    charged. The same three rows do for the units of one candidate, whose load they know:
    V = Σ_q (λ_qt ÷ μ_kq) x_qkt units' work, Θ = n_kt, and Σ_q λ_qt ÷ μ_kq where V was 1 at most.
    """

    def columns(self, fleet: Fleet) -> None:
        hot = [w for w in fleet.problem.workloads if can_overload(fleet.problem, w)]
        shares_of: dict[str, list[tuple[Candidate, int, int]]] = {}
        for key in fleet.shares if hot else ():
            shares_of.setdefault(key[0].workload, []).append(key)
        for w in hot:
            _add_columns(fleet, w, shares_of.get(w.name, []))

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.overload:
            if is_ramp_convex(fleet.instance, fleet.problem.workload(w)):
                for t in fleet.busy(w):
                    yield from _spread(fleet, w, t) if fleet.routed(w) else ()
                    yield from (_tangent(fleet, w, t, u) for u in fleet.tangents[w])
                continue
            yield from _by_weights(fleet, w)
            for split in fleet.splits.get(w, ()):
                if (w, split) in fleet.beyond:
                    yield from _split(fleet, w, split)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # it defines a cost; the plan is charged by its utilization

    def is_unbounded(self, instance: PlanningInput) -> bool:
        """True where cooler units could be worth it than those that the bound knows."""
        ramp = instance.problem.policy.active_penalties.overload
        is_cold = ramp is not None and ramp.above < LEAST_UTILIZATION
        return is_cold and any(
            can_overload(instance.problem, w) for w in instance.problem.workloads
        )


def _add_columns(fleet: Fleet, w: Workload, shares: Sequence[tuple[Candidate, int, int]]) -> None:
    fleet.overload[w.name] = fleet.column(f"overload[{w.name}]", None, integer=False)
    if is_ramp_convex(fleet.instance, w):
        _add_headroom(fleet, w, shares)
        return
    for split in fleet.splits.get(w.name, ()):
        if split.candidate is None or list(fleet.units_on(split.candidate, split.t)):
            fleet.beyond[w.name, split] = fleet.column(f"beyond[{w.name} {split.name}]", 1)


def _add_headroom(fleet: Fleet, w: Workload, shares: Sequence[tuple[Candidate, int, int]]) -> None:
    if not fleet.routed(w.name):
        return
    for t in fleet.busy(w.name):
        at = fleet.blocks[t].name
        most = fleet.most_headroom if fleet.most_headroom < math.inf else None
        fleet.headroom[w.name, t] = fleet.column(f"headroom[{w.name} {at}]", most, integer=False)
    for k, q, t in shares:
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
        terms = _times(fleet, workload, t, (1.0,), right / u**2, u**2)
    return _row(fleet, workload, f"{t} {u:g}", terms, right)


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


def _by_weights(fleet: Fleet, workload: str) -> Iterator[Row]:
    above, splits = _threshold(fleet), fleet.splits.get(workload, ())
    counted = {(split.t, split.weights) for split in splits if split.weights}
    if len(fleet.classes(workload)) == 1:
        counted |= {(t, (1.0,)) for t in fleet.busy(workload)}
    for t, weights in sorted(counted):
        load = _share_on_units(fleet, workload, t, weights)
        for u in fleet.tangents[workload]:
            right = 2 * u - above
            terms = _times(fleet, workload, t, weights, right / u**2, u**2)
            yield _above(fleet, workload, f"{t} {weights} {u:g}", terms, right, load)


def _split(fleet: Fleet, workload: str, split: RampSplit) -> Iterator[Row]:
    """The ramp where Θ is θ_i, and on either side of it."""
    name, at, beyond = split.name, split.times, fleet.beyond[workload, split]
    above, ceiling = _threshold(fleet), fleet.levels[workload][-1].ceiling
    if split.candidate is None:
        times = _times(fleet, workload, split.t, split.weights, fleet.most_headroom)
        load = _share_on_units(fleet, workload, split.t, split.weights)
    else:
        times = {units: 1.0 for _, units in fleet.units_on(split.candidate, split.t)}
        load = _work(fleet, split.candidate, split.t)
    most = sum(part * units.upBound for units, part in times.items())
    yield Row(f"{workload} {name} up to", {**times, beyond: at - most}, LE, at)
    yield Row(f"{workload} {name} from", {**times, beyond: -at}, GE, 0.0)
    below = {units: above / at * part for units, part in times.items()}
    below[beyond] = max(0.0, (load.most / at) ** 0.5 - above**0.5) ** 2
    yield _above(fleet, workload, f"{name} below", below, 1 / at, load)
    beyond_it = {units: ceiling / at * part for units, part in times.items()}
    beyond_it[beyond] = above - ceiling
    yield _above(fleet, workload, f"{name} beyond", beyond_it, 1 / at, load)


class _Load(NamedTuple):
    """V, as a constant and terms, and the most that it can be."""

    constant: float
    terms: Terms
    most: float


def _share_on_units(fleet: Fleet, workload: str, t: int, weights: Weights) -> _Load:
    """What is neither per token nor unserved, its classes counted by weights."""
    terms: Terms = {}
    for q, weight in enumerate(weights):
        off = [fleet.shares.get((k, q, t)) for k in fleet.serving(workload) if k.mode.per_token]
        for share in (*off, fleet.shortfalls.get((workload, q, t))):
            if share is not None and weight:
                add(terms, share, -weight)
    return _Load(sum(weights), terms, sum(weights))


def _work(fleet: Fleet, k: Candidate, t: int) -> _Load:
    """Units' work of a candidate."""
    terms = {
        fleet.shares[k, q, t]: fleet.peak(k.workload, q, t) / k.requests_per_second[q]
        for q in fleet.classes(k.workload)
        if (k, q, t) in fleet.shares
    }
    return _Load(0.0, terms, sum(terms.values()))


def _above(fleet: Fleet, workload: str, name: str, terms: Terms, slope: float, load: _Load) -> Row:
    """(1 - a) o_w + terms ≥ slope × V."""
    for share, part in load.terms.items():
        add(terms, share, -slope * part)
    return _row(fleet, workload, name, terms, slope * load.constant)


def _times(
    fleet: Fleet, workload: str, t: int, weights: Weights, most: float, scale: float = 1.0
) -> Terms:
    """How many times the demand the units of a block could serve, a unit `most` times at most."""
    terms: Terms = {}
    for k in fleet.gpu_candidates(workload):
        part = scale * min(most, times_alone(fleet, k, t, weights))
        terms.update({units: part for _, units in fleet.units_on(k, t)})
    return terms


def times_alone(fleet: Fleet, k: Candidate, t: int, weights: Weights) -> float:
    """max_q π_q μ_kq ÷ λ_qt: how many times the demand a unit could serve of what suits it best.

    One weight is of all classes alike, as one router before all units sends them.
    """
    if len(weights) == 1:
        return k.mix_requests_per_second / fleet.demand(k.workload).peak[t]
    return max(
        weight * rate / fleet.peak(k.workload, q, t) if weight else 0.0
        for q, (weight, rate) in enumerate(zip(weights, k.requests_per_second, strict=True))
    )
