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

n_klt      fleet.units[k, l, t]               units on; replicas, where they share      integer ≥ 0
n_jt       fleet.shared[j, t]                 units on that replicas share              integer ≥ 0
z_wb       fleet.steps[w, b]                  1 if the held capacity is on step b       0 or 1
y_wl       fleet.level_used[w, l]             1 if the workload runs at the level       0 or 1
x_qkt      fleet.shares[k, q, t]              share of the class that the candidate
                                              serves                                    0 ... 1
s_qt       fleet.shortfalls[w, q, t]          share of the class left unserved          0 ... 1
z_i        fleet.used[rule, i]                1 if the name (provider, ...) is used     0 or 1
e_w        fleet.extra_gpus[w]                GPUs beyond the scaling penalty's count  ≥ 0
o_w        fleet.overload[w]                  overload, as a share of the ramp          ≥ 0
θ_wt       fleet.headroom[w, t]               how many times the demand could be served ≥ 0
z_qkt      fleet.spread[k, q, t]              x_qkt × θ_wt                              ≥ 0
b_i        fleet.beyond[w, i]                 1 if θ is beyond a split of it            0 or 1
y_kpt      fleet.pieces[k, …]                 1 if n_kt is in a piece of counts         0 or 1
n_kpt                                         n_kt if it is                             0 ... N_k
y_φt, y_st fleet.used[QueueTimes, w t …]      1 if a replica of φ, of s or more is on   0 or 1
b_ℓt       fleet.used[QueueTimes, w t …]      1 if a load of more than ℓ is served      0 or 1
a_j, r_j   fleet.added[j], fleet.removed[j]   units added to, removed from, today's     ≥ 0
d_j        fleet.handed[j]                    units of a workload that are shared now   ≥ 0
e_kaB      fleet.ahead[k, (a, B)]             units paid for in a that serve in B soon  ≥ 0
z_pi       fleet.bands[p, i]                  part of the spend of a volume discount    0 ... 1
b_pi       fleet.begun[p, i]                  1 if more than the part before is spent   0 or 1
f_cot      fleet.covered[c, o, blocks]        units of an offering that are paid already ≥ 0
e_kt       fleet.running[k, t]                units of a batch that are on, on average  ≥ 0
f_qkt      fleet.meanwhile[k, w, q, t]        batch work that others' units do          ≥ 0

Units that are held are one variable for all blocks, or for all with load where they rest in the
others; elastic ones are one per block with load. With one request class no x is needed but for
per-token candidates, and where a rule is about who serves whom; with one level no y.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

import pulp

from milp_planner.candidates.paying.commitments import PaidCommitment
from milp_planner.candidates.paying.start_up import Ahead
from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    change_key,
    is_elastic,
    rests_when_idle,
)
from milp_planner.candidates.sharing.standing import is_part_of
from milp_planner.deadline import checked
from milp_planner.inputs.problem.policies import can_overload, has_one_router, may_fall_short
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.lazily import dataclass, field
from milp_planner.milp.program.language.class_prices import ClassPrices
from milp_planner.milp.program.language.folds import ElasticFold
from milp_planner.milp.program.language.pieces import CountPiece
from milp_planner.milp.program.language.queue_cuts import QueueCut
from milp_planner.plans.records import SNAP
from milp_planner.traffic.month import Demand, TimeBlock

Terms = dict[pulp.LpVariable, float]
"""A linear expression: coefficient by variable."""


@dataclass(frozen=True)
class Level:
    """A stretch of utilization, above the floor and up to the ceiling; charged at the floor."""

    floor: float
    ceiling: float


Weights = tuple[float, ...]
"""What the request classes count for, none below 0; their sum is 1."""


class RampSplit(NamedTuple):
    """Where what units can serve is split in two, so that the overload ramp is exact there."""

    t: int
    times: float
    """How many times the demand of block `t` units could serve, its classes counted by weights; or
    how many units of the candidate there are."""

    weights: Weights = ()
    candidate: Candidate | None = None

    @property
    def name(self) -> str:
        """Unique in a workload."""
        of = self.weights if self.candidate is None else self.candidate.id
        return f"{self.t} {of} at {self.times:.12g}"


def add(terms: Terms, variable: pulp.LpVariable, coefficient: float) -> None:
    """Add `coefficient * variable` to `terms`."""
    terms[variable] = terms.get(variable, 0.0) + coefficient


def ceil_snapped(value: float) -> int:
    """`value` rounded up, but 8.0000000001 is 8: floats must not buy a ninth GPU."""
    nearest = round(value)
    return nearest if abs(value - nearest) <= SNAP * max(1.0, abs(value)) else math.ceil(value)


def is_ramp_convex(instance: PlanningInput, workload: Workload) -> bool:
    """True where utilization depends on the units alone: then the ramp is convex in them.

    Requests served per token, or left unserved, take load away from the units; utilization is then
    a ratio of two things that vary, and the ramp is charged by level instead.
    """
    return (
        can_overload(instance.problem, workload)
        and not may_fall_short(instance.problem)
        and not any(k.mode.per_token for k in instance.candidates.of(workload.name))
    )


class AsksForUnits(Protocol):
    """What a rule is to the columns: see `Rule.asks_for` and `Rule.needs_routes`."""

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Units of `k` alone that the rule can ask for."""

    def needs_routes(self, problem: Problem) -> bool:
        """True where the rule is about who serves whom, so that one class is routed, too."""


@dataclass
class Fleet:
    """The variables of one program, and the data its rows are written with."""

    instance: PlanningInput
    candidates: tuple[Candidate, ...]
    lp: pulp.LpProblem
    levels: Mapping[str, tuple[Level, ...]]
    units: dict[tuple[Candidate, int, int], pulp.LpVariable] = field(default_factory=dict)
    level_used: dict[tuple[str, int], pulp.LpVariable] = field(default_factory=dict)
    shares: dict[tuple[Candidate, int, int], pulp.LpVariable] = field(default_factory=dict)
    shortfalls: dict[tuple[str, int, int], pulp.LpVariable] = field(default_factory=dict)
    used: dict[tuple[str, str], pulp.LpVariable] = field(default_factory=dict)
    extra_gpus: dict[str, pulp.LpVariable] = field(default_factory=dict)
    overload: dict[str, pulp.LpVariable] = field(default_factory=dict)
    headroom: dict[tuple[str, int], pulp.LpVariable] = field(default_factory=dict)
    spread: dict[tuple[Candidate, int, int], pulp.LpVariable] = field(default_factory=dict)
    beyond: dict[tuple[str, RampSplit], pulp.LpVariable] = field(default_factory=dict)
    added: dict[tuple[str, str, str], pulp.LpVariable] = field(default_factory=dict)
    removed: dict[tuple[str, str, str], pulp.LpVariable] = field(default_factory=dict)
    handed: dict[tuple[str, str, str], pulp.LpVariable] = field(default_factory=dict)
    shared: dict[tuple[Candidate, int], pulp.LpVariable] = field(default_factory=dict)
    """Units that replicas of any workload share, by what is rented: see `SharedUnits`."""
    folds: Mapping[str, ElasticFold] = field(default_factory=dict)
    """Of workloads whose elastic units are no columns, but steps of what they hold: `folds.py`."""

    steps: dict[tuple[str, int], pulp.LpVariable] = field(default_factory=dict)
    most_on: dict[Candidate, pulp.LpVariable] = field(default_factory=dict)
    covered: dict[tuple[PaidCommitment, tuple[str, str], tuple[int, ...]], pulp.LpVariable] = field(
        default_factory=dict
    )
    """Of blocks in which the same units are on."""
    bands: dict[tuple[str, int], tuple[pulp.LpVariable, float]] = field(default_factory=dict)
    """(share of a part of the spend, the part in USD), by pattern and number of the part."""

    begun: dict[tuple[str, int], pulp.LpVariable] = field(default_factory=dict)
    ahead: dict[tuple[Candidate, Ahead], pulp.LpVariable] = field(default_factory=dict)
    running: dict[tuple[Candidate, int], pulp.LpVariable] = field(default_factory=dict)
    meanwhile: dict[tuple[Candidate, str, int, int], pulp.LpVariable] = field(default_factory=dict)
    meaning: dict[str, str] = field(default_factory=dict)
    """What each column is, by its name in the program."""
    tangents: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """Utilizations at which the overload ramp has a tangent, by workload."""

    splits: Mapping[str, tuple[RampSplit, ...]] = field(default_factory=dict)
    """Where θ is split, by workload."""

    weights: Mapping[str, tuple[Weights, ...]] = field(default_factory=dict)
    """Weights of the classes by which what is left after a loss is counted, by workload."""

    cuts: Mapping[str, tuple[QueueCut, ...]] = field(default_factory=dict)
    """What is known of the pools that keep a workload's waits."""

    counts: Mapping[str, tuple[tuple[str, int], ...]] = field(default_factory=dict)
    """Units by candidate at which what its own queue carries is exact."""

    pieces: dict[tuple[Candidate, tuple[str, ...]], tuple[CountPiece, ...]] = field(
        default_factory=dict
    )
    """Of the units that some columns are."""

    prices: Mapping[str, Sequence[ClassPrices]] = field(default_factory=dict)
    """Of workloads whose routes are no columns but rows by prices of classes: `routes/rows.py`."""

    room: Mapping[Candidate, int] = field(default_factory=dict)
    """Least bounds on units, where those from the demand are a guess: `presolve/unit_bounds.py`."""

    rules: Sequence[AsksForUnits] = ()
    """The rules in the program, as far as they bound its units or ask for routes."""

    _serving: dict[str, list[Candidate]] = field(default_factory=dict)
    _needs_routes: bool = False

    def __post_init__(self) -> None:
        self._needs_routes = any(rule.needs_routes(self.problem) for rule in self.rules)
        for k in self.candidates:
            self._serving.setdefault(k.workload, []).append(k)

    @property
    def problem(self) -> Problem:
        """The question."""
        return self.instance.problem

    @property
    def blocks(self) -> tuple[TimeBlock, ...]:
        """The time blocks."""
        return self.instance.schedule.blocks

    def serving(self, workload: str) -> list[Candidate]:
        """The candidates of a workload."""
        return self._serving.get(workload, [])

    def demand(self, workload: str) -> Demand:
        """The workload's demand."""
        return self.instance.schedule.demands[workload]

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
        return share * self.instance.schedule.requests_per_month(workload, t)

    def classes(self, workload: str) -> range:
        """Indices of the workload's request classes."""
        return range(len(self.demand(workload).classes))

    def most_share(self, workload: str, t: int) -> float:
        """The most of the load of a block that may be served in it: all of a batch's work."""
        if not self.demand(workload).can_wait:
            return 1.0
        return sum(self.blocks[i].hours for i in self.busy(workload)) / self.blocks[t].hours

    def routed(self, workload: str) -> bool:
        """True where x says who serves which class; one class needs none, but for some rules."""
        if workload in self.prices:
            return False
        if has_one_router(self.problem, self.problem.workload(workload)):
            return False  # one router before all spreads every class by capacity
        return self._needs_routes or len(self.demand(workload).classes) > 1

    def elastic(self, k: Candidate) -> bool:
        """True where units may differ from block to block."""
        return is_elastic(self.problem, k)

    def units_on(self, k: Candidate, t: int) -> Iterator[tuple[int, pulp.LpVariable]]:
        """(level, n_klt) of a candidate in a block; nothing where no unit can be on."""
        if (k, t) in self.shared:
            yield 0, self.shared[k, t]
        for level in range(len(self.levels.get(k.workload, ()))):
            variable = self.units.get((k, level, t))
            if variable is not None:
                yield level, variable

    @property
    def rentable(self) -> list[Candidate]:
        """What is rented by the unit, each unit once, whoever shares it."""
        own = (k for k in self.candidates if not (k.mode.per_token or k.part_of_unit))
        return [*own, *dict.fromkeys(unit for unit, _ in self.shared)]

    def rented(self) -> Iterator[tuple[Candidate, int, pulp.LpVariable]]:
        """(what is rented, block, units on): every unit once, whoever shares it."""
        for (k, _, t), units in self.units.items():
            if not k.part_of_unit:
                yield k, t, units
        for (unit, t), units in self.shared.items():
            yield unit, t, units

    def gpu_candidates(self, workload: str) -> list[Candidate]:
        """The workload's candidates that are paid by the unit."""
        return [k for k in self.serving(workload) if not k.mode.per_token]

    def rate_to_carry(self, workload: str) -> float:
        """Requests/s that units of a workload carry at 100 % where they are coolest worth it."""
        return self.demand(workload).highest_peak / _coolest(self, workload)

    def most_units(self, k: Candidate) -> int:
        """N_k: the most units of `k` that any optimal plan can want.

        Alone, `k` needs ⌈λ ÷ (u μ)⌉ units at the coolest utilization worth paying for, μ its rate
        at the part of the mix that it can serve, or what some rule asks for. Any units beyond can
        be left out of a plan: what all other limits ask of `k` is met by then, and nothing is
        cooler or cheaper for them; all but the rules that are unbounded, which begin with a guess
        that `milp/presolve/unit_bounds.py` raises until it is proven. Of units that replicas share
        none beyond what each kind of replica fills alone, or those of today.
        """
        if not k.workload:
            alone = (one for one in self.candidates if is_part_of(one, k))
            filled = sum(
                math.ceil(self.most_units(one) / (k.gpus_per_unit // one.gpus_per_unit))
                for one in alone
            )
            return max(filled, self.instance.current_units().get(change_key(k), 0))
        per_unit = k.part_requests_per_second
        units = ceil_snapped(self.rate_to_carry(k.workload) / per_unit) if per_unit > 0 else 0
        return max(units, self.room.get(k, 0), *(rule.asks_for(self, k) for rule in self.rules))

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


def add_variables(
    lp: pulp.LpProblem,
    instance: PlanningInput,
    candidates: tuple[Candidate, ...],
    levels: Mapping[str, tuple[Level, ...]],
    room: Mapping[Candidate, int],
    rules: Sequence[AsksForUnits],
    folds: Mapping[str, ElasticFold],
    prices: Mapping[str, Sequence[ClassPrices]],
) -> Fleet:
    """Create the columns that every program has: units, shares and shortfalls."""
    fleet = Fleet(
        instance, candidates, lp, levels, room=room, rules=rules, folds=folds, prices=prices
    )
    for w in instance.problem.workloads:
        _add_levels(fleet, w.name)
        for k in checked(fleet.serving(w.name)):
            _add_units(fleet, k)
            _add_shares(fleet, k)
        _add_shortfalls(fleet, w.name)
    return fleet


def _add_levels(fleet: Fleet, workload: str) -> None:
    levels = fleet.levels[workload]
    if len(levels) == 1:
        return
    for index, level in enumerate(levels):
        meaning = f"level[{workload} up to {level.ceiling:g}]"
        fleet.level_used[workload, index] = fleet.column(meaning, 1)


def _add_units(fleet: Fleet, k: Candidate) -> None:
    if k.mode.per_token or (k.workload in fleet.folds and fleet.elastic(k)):
        return
    several, most = len(fleet.levels[k.workload]) > 1, fleet.most_units(k)
    for index, level in enumerate(fleet.levels[k.workload]):
        at = f" up to {level.ceiling:g}" if several else ""
        if not fleet.elastic(k):
            held = fleet.column(f"units[{k.id}{at}]", most)
            rests = rests_when_idle(fleet.problem, k)
            for t in fleet.busy(k.workload) if rests else range(len(fleet.blocks)):
                fleet.units[k, index, t] = held
            continue
        for t in fleet.busy(k.workload):
            meaning = f"units[{k.id} {fleet.blocks[t].name}{at}]"
            fleet.units[k, index, t] = fleet.column(meaning, most)


def _add_shares(fleet: Fleet, k: Candidate) -> None:
    if not (k.mode.per_token or fleet.routed(k.workload)):
        return
    for t in fleet.busy(k.workload):
        for q in fleet.classes(k.workload):
            if not (k.mode.per_token or k.requests_per_second[q]):
                continue  # the class cannot be served there
            meaning = f"share[{k.id} {fleet.blocks[t].name} class {q}]"
            most = fleet.most_share(k.workload, t)
            fleet.shares[k, q, t] = fleet.column(meaning, most, integer=False)


def _add_shortfalls(fleet: Fleet, workload: str) -> None:
    if not may_fall_short(fleet.problem):
        return
    for t in fleet.busy(workload):
        for q in fleet.classes(workload):
            meaning = f"shortfall[{workload} {fleet.blocks[t].name} class {q}]"
            fleet.shortfalls[workload, q, t] = fleet.column(meaning, 1, integer=False)


def tracks_changes(problem: Problem) -> bool:
    """True where today's fleet matters to cost or limits."""
    switching = problem.switching
    return bool(
        switching.usd_per_unit_added
        or switching.usd_per_unit_removed
        or switching.max_units_changed is not None
    )


LEAST_UTILIZATION = 0.05
"""A first guess at how cool units are worth it, where the overload ramp starts lower than this."""


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
