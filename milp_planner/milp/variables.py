"""Decision variables, and the symbols every docstring of the program uses.

symbol     in code                            meaning                                   unit
---------  ---------------------------------  ----------------------------------------  ------------
w ∈ W      fleet.problem.workloads            workloads
q ∈ Q_w    fleet.demand(w).classes            request classes
t ∈ T      fleet.blocks                       time blocks
k ∈ K_w    fleet.serving(w)                   candidates that can serve w
l ∈ L_w    fleet.levels[w]                    utilization levels
λ_qt       fleet.peak(w, q, t)                peak rate of a class                      requests/s
v_qt       fleet.volume(w, q, t)              requests of a class per month             requests
μ_kq       k.requests_per_second[q]           capacity of a unit for the class alone    requests/s
μ_k        k.mix_requests_per_second          capacity of a unit for the workload's mix requests/s
u_l        level.ceiling                      highest utilization at the level
g_k        k.gpus_per_unit                    GPUs of a unit
c_k        k.usd_per_hour                     price of a unit                           USD/h
h_t        block.hours                        hours of the block per month              h
N_k        fleet.most_units(k)                most units any plan can want

n_klt      fleet.units[k, l, t]               units on                                  integer ≥ 0
y_wl       fleet.level_used[w, l]             1 if the workload runs at the level       0 or 1
x_qkt      fleet.shares[k, q, t]              share of the class that the candidate
                                              serves                                    0 ... 1
s_qt       fleet.shortfalls[w, q, t]          share of the class left unserved          0 ... 1
z_π        fleet.provider_used[π]             1 if the provider is used                 0 or 1
e_w        fleet.extra_gpus[w]                GPUs beyond the scaling penalty's count  ≥ 0
o_w        fleet.overload[w]                  overload, as a share of the ramp          ≥ 0
θ_wt       fleet.headroom[w, t]               how many times the demand could be served ≥ 0
z_qkt      fleet.spread[k, q, t]              x_qkt × θ_wt                              ≥ 0
v_wlt      fleet.on_units[w, l, t]            share of the load on units, at the level  0 ... 1
a_j, r_j   fleet.added[j], fleet.removed[j]   units added to, removed from, today's     ≥ 0

Units that are held all month are one variable for all blocks; elastic ones are one per block with
load. With one request class no x is needed but for per-token candidates; with one level no y.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import pulp

from milp_planner.inputs.problem import BAND_CEILINGS, Problem, Workload
from milp_planner.planning.plan import SNAP
from milp_planner.serving.candidates import Candidate, PlanningInput
from milp_planner.serving.traffic import Demand, TimeBlock

Terms = dict[pulp.LpVariable, float]
"""A linear expression: coefficient by variable."""


JUST_BELOW = 1e-7
"""Relative distance of a level's floor below the plan it is split for: above solvers' noise."""


@dataclass(frozen=True)
class Level:
    """A stretch of utilization, above the floor and up to the ceiling; charged at the floor."""

    floor: float
    ceiling: float


def add(terms: Terms, variable: pulp.LpVariable, coefficient: float) -> None:
    """Add `coefficient * variable` to `terms`."""
    terms[variable] = terms.get(variable, 0.0) + coefficient


def ceil_snapped(value: float) -> int:
    """`value` rounded up, but 8.0000000001 is 8: floats must not buy a ninth GPU."""
    nearest = round(value)
    return nearest if abs(value - nearest) <= SNAP * max(1.0, abs(value)) else math.ceil(value)


def utilization_limit(problem: Problem, workload: Workload) -> float:
    """The highest utilization the workload may be planned at."""
    limit = problem.policy.utilization.highest
    if workload.latency.max_band in BAND_CEILINGS:
        limit = min(limit, BAND_CEILINGS[workload.latency.max_band])
    return limit


def may_fall_short(problem: Problem) -> bool:
    """True where the user allows unserved requests: at a price, or under a short budget."""
    budget = problem.limits.budget
    return problem.policy.active_penalties.shortfall is not None or (
        budget is not None and budget.when_short != "fail"
    )


def can_overload(problem: Problem, workload: Workload) -> bool:
    """True where the workload may run hot enough for the overload penalty."""
    ramp = problem.policy.active_penalties.overload
    return ramp is not None and ramp.above < min(1.0, utilization_limit(problem, workload))


def is_ramp_convex(given: PlanningInput, workload: Workload) -> bool:
    """True where utilization depends on the units alone: then the ramp is convex in them.

    Requests served per token, or left unserved, take load away from the units; utilization is then
    a ratio of two things that vary, and the ramp is charged by level instead.
    """
    return (
        can_overload(given.problem, workload)
        and not may_fall_short(given.problem)
        and not any(
            k.mode.per_token and k.workload == workload.name for k in given.candidates.candidates
        )
    )


@dataclass
class Fleet:
    """The variables of one program, and the data its rows are written with."""

    given: PlanningInput
    candidates: tuple[Candidate, ...]
    lp: pulp.LpProblem
    levels: Mapping[str, tuple[Level, ...]]
    units: dict[tuple[Candidate, int, int], pulp.LpVariable] = field(default_factory=dict)
    level_used: dict[tuple[str, int], pulp.LpVariable] = field(default_factory=dict)
    shares: dict[tuple[Candidate, int, int], pulp.LpVariable] = field(default_factory=dict)
    shortfalls: dict[tuple[str, int, int], pulp.LpVariable] = field(default_factory=dict)
    provider_used: dict[str, pulp.LpVariable] = field(default_factory=dict)
    extra_gpus: dict[str, pulp.LpVariable] = field(default_factory=dict)
    overload: dict[str, pulp.LpVariable] = field(default_factory=dict)
    headroom: dict[tuple[str, int], pulp.LpVariable] = field(default_factory=dict)
    spread: dict[tuple[Candidate, int, int], pulp.LpVariable] = field(default_factory=dict)
    on_units: dict[tuple[str, int, int], pulp.LpVariable] = field(default_factory=dict)
    added: dict[tuple[str, str, str], pulp.LpVariable] = field(default_factory=dict)
    removed: dict[tuple[str, str, str], pulp.LpVariable] = field(default_factory=dict)
    meaning: dict[str, str] = field(default_factory=dict)
    """What each column is, by its name in the program."""

    tangents: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Utilizations at which the overload ramp has a tangent, by workload."""

    room: Mapping[Candidate, int] = field(default_factory=dict)
    """Least bounds on units, where those from the demand are a guess: see `room.py`."""

    _serving: dict[str, list[Candidate]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for k in self.candidates:
            self._serving.setdefault(k.workload, []).append(k)

    @property
    def problem(self) -> Problem:
        """The question."""
        return self.given.problem

    @property
    def blocks(self) -> tuple[TimeBlock, ...]:
        """The time blocks."""
        return self.given.schedule.blocks

    def serving(self, workload: str) -> list[Candidate]:
        """The candidates of a workload."""
        return self._serving.get(workload, [])

    def demand(self, workload: str) -> Demand:
        """The workload's demand."""
        return self.given.schedule.demands[workload]

    def busy(self, workload: str) -> list[int]:
        """Blocks in which the workload has load."""
        return [t for t, peak in enumerate(self.demand(workload).peak) if peak > 0]

    def peak(self, workload: str, q: int, t: int) -> float:
        """λ_qt, requests/s."""
        demand = self.demand(workload)
        return demand.classes[q].share * demand.peak[t]

    def volume(self, workload: str, q: int, t: int) -> float:
        """v_qt, requests per month."""
        share = self.demand(workload).classes[q].share
        return share * self.given.schedule.requests_per_month(workload, t)

    def classes(self, workload: str) -> range:
        """Indices of the workload's request classes."""
        return range(len(self.demand(workload).classes))

    def routed(self, workload: str) -> bool:
        """True where x says who serves which class; one class needs none."""
        return len(self.demand(workload).classes) > 1

    def elastic(self, k: Candidate) -> bool:
        """True where units may differ from block to block."""
        return is_elastic(self.problem, k)

    def units_on(self, k: Candidate, t: int) -> Iterator[tuple[int, pulp.LpVariable]]:
        """(level, n_klt) of a candidate in a block; nothing where no unit can be on."""
        for level in range(len(self.levels[k.workload])):
            variable = self.units.get((k, level, t))
            if variable is not None:
                yield level, variable

    def gpu_candidates(self, workload: str) -> list[Candidate]:
        """The workload's candidates that are paid by the unit."""
        return [k for k in self.serving(workload) if not k.mode.per_token]

    @property
    def most_headroom(self) -> float:
        """1 ÷ a: θ beyond which the overload ramp charges nothing."""
        ramp = self.problem.policy.active_penalties.overload
        return 1 / ramp.above if ramp is not None and ramp.above > 0 else math.inf

    def column(self, meaning: str, high: float | None, *, integer: bool = True) -> pulp.LpVariable:
        """A new column between 0 and `high`, named by number, with its meaning kept apart."""
        name = f"x{len(self.meaning):06d}"
        self.meaning[name] = meaning
        return self.lp.add_variable(name, 0, high, pulp.LpInteger if integer else pulp.LpContinuous)


def is_elastic(problem: Problem, k: Candidate) -> bool:
    """True where the units of `k` may differ from block to block."""
    return k.mode.elastic or (k.mode.name == "dedicated" and problem.policy.switch_off_dedicated)


def add_variables(
    lp: pulp.LpProblem,
    given: PlanningInput,
    candidates: tuple[Candidate, ...],
    levels: Mapping[str, tuple[Level, ...]],
    room: Mapping[Candidate, int],
) -> Fleet:
    """Create every column of the program over `candidates`."""
    fleet = Fleet(given, candidates, lp, levels, room=room)
    for w in given.problem.workloads:
        _add_levels(fleet, w.name)
        for k in fleet.serving(w.name):
            _add_units(fleet, k)
            _add_shares(fleet, k)
        _add_shortfalls(fleet, w.name)
        if given.problem.policy.active_penalties.scaling is not None:
            fleet.extra_gpus[w.name] = fleet.column(f"extra GPUs[{w.name}]", None, integer=False)
        if can_overload(given.problem, w):
            _add_overload(fleet, w)
    _add_providers(fleet)
    _add_changes(fleet)
    return fleet


def _add_levels(fleet: Fleet, workload: str) -> None:
    levels = fleet.levels[workload]
    if len(levels) == 1:
        return
    for index, level in enumerate(levels):
        meaning = f"level[{workload} up to {level.ceiling:g}]"
        fleet.level_used[workload, index] = fleet.column(meaning, 1)


def _add_units(fleet: Fleet, k: Candidate) -> None:
    if k.mode.per_token:
        return
    several = len(fleet.levels[k.workload]) > 1
    for index, level in enumerate(fleet.levels[k.workload]):
        at = f" up to {level.ceiling:g}" if several else ""
        if not fleet.elastic(k):
            held = fleet.column(f"units[{k.id}{at}]", most_units(fleet, k))
            for t in range(len(fleet.blocks)):
                fleet.units[k, index, t] = held
            continue
        for t in fleet.busy(k.workload):
            meaning = f"units[{k.id} {fleet.blocks[t].name}{at}]"
            fleet.units[k, index, t] = fleet.column(meaning, most_units(fleet, k))


def _add_shares(fleet: Fleet, k: Candidate) -> None:
    if not (k.mode.per_token or fleet.routed(k.workload)):
        return
    for t in fleet.busy(k.workload):
        for q in fleet.classes(k.workload):
            if not (k.mode.per_token or k.requests_per_second[q]):
                continue  # the class cannot be served there
            meaning = f"share[{k.id} {fleet.blocks[t].name} class {q}]"
            fleet.shares[k, q, t] = fleet.column(meaning, 1, integer=False)


def _add_shortfalls(fleet: Fleet, workload: str) -> None:
    if not may_fall_short(fleet.problem):
        return
    for t in fleet.busy(workload):
        for q in fleet.classes(workload):
            meaning = f"shortfall[{workload} {fleet.blocks[t].name} class {q}]"
            fleet.shortfalls[workload, q, t] = fleet.column(meaning, 1, integer=False)


def _add_overload(fleet: Fleet, w: Workload) -> None:
    fleet.overload[w.name] = fleet.column(f"overload[{w.name}]", None, integer=False)
    if is_ramp_convex(fleet.given, w):
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


def _add_providers(fleet: Fleet) -> None:
    if fleet.problem.limits.providers.at_most is None:
        return
    for provider in sorted({k.provider for k in fleet.candidates}):
        fleet.provider_used[provider] = fleet.column(f"provider[{provider}]", 1)


def _add_changes(fleet: Fleet) -> None:
    for current in fleet.given.current_units():
        fleet.removed[current] = fleet.column(f"removed[{' '.join(current)}]", None, integer=False)
    if not tracks_changes(fleet.problem):
        return
    for key in sorted({change_key(k) for k in fleet.candidates if not k.mode.per_token}):
        fleet.added[key] = fleet.column(f"added[{' '.join(key)}]", None, integer=False)


def tracks_changes(problem: Problem) -> bool:
    """True where today's fleet matters to cost or limits."""
    switching = problem.switching
    return bool(
        switching.usd_per_unit_added
        or switching.usd_per_unit_removed
        or switching.max_units_changed is not None
    )


def change_key(k: Candidate) -> tuple[str, str, str]:
    """What counts as the same units today and tomorrow: offering, billing, workload."""
    return k.offering.id, k.offering.billing, k.workload


LEAST_UTILIZATION = 0.05
"""A first guess at how cool units are worth it, where the overload ramp starts lower than this."""

SHARE_ROOM = 4
"""First guess at what a share limit asks for, in multiples of load and largest unit."""


def most_units(fleet: Fleet, k: Candidate) -> int:
    """N_k: the most units of `k` that any optimal plan can want.

    Alone, `k` needs ⌈λ ÷ (u μ)⌉ units at the coolest utilization worth paying for, μ its rate at
    the part of the mix that it can serve, or enough replicas. Any units beyond can be left out of a
    plan: what all other limits ask of `k` is met by then, and nothing is cooler or cheaper for
    them; all but the share limits, where others must match what `k` has. They begin with a guess,
    the load and the largest unit `SHARE_ROOM` times, which `room.py` raises until it is proven.
    Today's units may be worth it.
    """
    demand = fleet.demand(k.workload)
    rate = demand.highest_peak / _coolest(fleet, k.workload)
    limits = fleet.problem.limits
    for share in _shares_in_force(fleet.problem):
        if 0 < share < 1:
            largest = max(c.part_requests_per_second for c in fleet.serving(k.workload))
            ratio = max(share / (1 - share), (1 - share) / share)
            rate = SHARE_ROOM * (rate + largest) * ratio
    if limits.survival is not None:
        rate = max(rate, demand.highest_peak * limits.survival.share)
    per_unit = k.part_requests_per_second
    units = ceil_snapped(rate / per_unit) if per_unit > 0 else 0
    replicas = fleet.problem.workload(k.workload).min_replicas
    units = max(units, ceil_snapped(replicas / k.replicas_per_unit), fleet.room.get(k, 0))
    return max(units, fleet.given.current_units().get(change_key(k), 0))


def _shares_in_force(problem: Problem) -> list[float]:
    limits = problem.limits
    return [s for s in (limits.providers.max_share, limits.spot_share) if s is not None and s < 1]


def has_share_limits(problem: Problem) -> bool:
    """True where capacity beyond the demand can matter, because others may not exceed a share."""
    return any(share > 0 for share in _shares_in_force(problem))


def _coolest(fleet: Fleet, workload: str) -> float:
    """The utilization below which nothing gets cheaper: the first level's, or the ramp's start."""
    coolest = fleet.levels[workload][0].ceiling
    ramp = fleet.problem.policy.active_penalties.overload
    if ramp is not None and can_overload(fleet.problem, fleet.problem.workload(workload)):
        coolest = min(coolest, max(ramp.above, LEAST_UTILIZATION))
    return coolest


def expression(terms: Mapping[pulp.LpVariable, float]) -> pulp.LpAffineExpression:
    """`terms` as PuLP wants them, zeros left out."""
    return pulp.LpAffineExpression([(v, c) for v, c in terms.items() if c != 0])


def merged(parts: Iterable[Terms]) -> Terms:
    """The sum of several expressions."""
    total: Terms = {}
    for part in parts:
        for variable, coefficient in part.items():
            add(total, variable, coefficient)
    return total
