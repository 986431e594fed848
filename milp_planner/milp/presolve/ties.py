"""Among plans of equal score, prefers fewer changes, GPUs and providers, then the better host.

A few small programs over the same rows, one after another, each held for those that follow:

    the score, no more than it is
    min Σ_j a_j + r_j              units added and removed, where there is a fleet today
    min Σ_{k shared} n_kt          replicas on shared units, where the problem leaves that open;
                                   LLMs on shared GPUs, where it shares those
    min Σ_k g_k max_t n_kt         GPUs, counting each candidate at its most units
    min Σ_π z_π                    providers
    for what comes first of all that can be used:  max n_kt block after block, and so on

What has more host memory for each GPU comes first, then more vCPUs (unknown is least), then names.

None of it shows in a price, and HiGHS alone solves it: a tie is a matter of taste, not of proof.
"""

from __future__ import annotations

import time
from collections.abc import Mapping

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput, is_elastic
from milp_planner.inputs.problem.policies import is_sharing_open, shares_gpus
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass, field
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.program.exclusion import LEAST_TOKEN_SHARE
from milp_planner.milp.program.language.rows import EQ, GE, LE, Row, scaled
from milp_planner.milp.program.language.variables import Terms, merged
from milp_planner.milp.program.limits.changes import change_columns, change_rows
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.peak_gpus import peak_gpus, units_by_block
from milp_planner.plans.changes import unit_change_of
from milp_planner.plans.records import Plan

SCORE_TOLERANCE = 1e-9
HALF = 0.5  # counts are held to within half of one

MOST_WORK = 100_000
"""Nodes of the search tree times columns that one look for a tie may take: a second or two.

Most looks take a single node. Among dozens of offerings at the same price per capacity they might
go on for minutes; what ends them is work and not time, so that a busy machine breaks no tie another
way.
"""

MOST_ITERATIONS = 50_000
"""Steps of the simplex method after which no further program is begun, for the same reason."""

Preference = tuple[int, int, int, int, tuple[tuple[tuple[float, float, str], tuple[int, ...]], ...]]


def preference(instance: PlanningInput, plan: Plan) -> Preference:
    """What ties are broken by, in plain arithmetic: the least of equal plans is preferred."""
    used = []
    for p in plan.purchases:
        elastic = is_elastic(instance.problem, p.candidate)
        units = p.units_by_block if elastic else (p.units,)
        used.append((p.candidate.order, tuple(-n for n in units)))
    runs = bool(instance.current_units())
    changed = sum(map(abs, unit_change_of(instance, plan.rented).values())) if runs else 0
    shared = 0
    if _prefers_apart(instance.problem):
        parts = (p for p in plan.purchases if _counts_shared(instance.problem, p.candidate))
        shared = sum(sum(p.units_by_block) if p.candidate.mode.elastic else p.units for p in parts)
    return changed, shared, plan.gpus, len(plan.providers), tuple(sorted(used))


def most_nodes(model: FleetModel) -> int:
    """Nodes of the search tree that one look for a tie in this program may take."""
    return max(1, MOST_WORK // len(model.fleet.meaning))


def preferred(
    model: FleetModel, score: float, *, time_limit_s: float, seed: int, changes_only: bool = False
) -> Mapping[str, float]:
    """Columns of the preferred plan that scores no more than `score`; empty when none is found.

    `changes_only` leaves a tie of plans with as few changes as the solvers found it. Changes the
    model's objective and adds rows: call it last.
    """
    keep = scaled("score", merged(model.costs.values()), LE, score * (1 + SCORE_TOLERANCE))
    model.add_row("Tie", keep)
    programs = _Programs(model, time.monotonic() + time_limit_s, seed)
    wishes = [_changes(model)] if model.fleet.instance.current_units() else []
    if not changes_only and _prefers_apart(model.fleet.problem) and model.fleet.shared:
        wishes.append(_shared(model))
    if not changes_only:
        wishes += [peak_gpus(model, "Tie"), _providers(model)]
    for terms in wishes:
        most = programs.least(terms)
        if most is None:
            return programs.values
        model.add_row("Tie", Row("held", terms, LE, most + HALF))
    if not changes_only:
        _in_order(model, programs)
    return programs.values


@dataclass
class _Programs:
    """Solves one objective after another, and keeps the columns of the last that was proven."""

    model: FleetModel
    ends_s: float
    """When time is up, a reading of `time.monotonic`."""

    seed: int
    values: Mapping[str, float] = field(default_factory=dict)
    iterations: int = 0
    """Work done until now."""

    def least(self, terms: Terms) -> int | None:
        """The least of an expression in whole numbers; None when that takes too much."""
        left_s = self.ends_s - time.monotonic()
        if left_s <= 0 or self.iterations > MOST_ITERATIONS:
            return None
        self.model.minimise(terms)
        nodes = most_nodes(self.model)
        with scratch_folder() as folder:
            mps = folder / "tie.mps"
            self.model.write_mps(mps)
            outcome = run_highs(mps, time_limit_s=left_s, seed=self.seed, nodes=nodes)
        self.iterations += outcome.iterations
        if outcome.has_values and not self.values:
            self.values = outcome.values
        if outcome.status is not EngineStatus.OPTIMAL:
            return None
        self.values = outcome.values
        return round(sum(c * outcome.values[column.name] for column, c in terms.items()))


def _changes(model: FleetModel) -> Terms:
    """Units added to today's fleet and removed from it."""
    fleet = model.fleet
    if not fleet.removed:
        change_columns(fleet)
        for row in change_rows(fleet):
            model.add_row("Tie", row)
    return dict.fromkeys((*fleet.added.values(), *fleet.removed.values()), 1.0)


def _shared(model: FleetModel) -> Terms:
    """Replicas on shared units."""
    fleet = model.fleet
    units = fleet.units.items()
    counted = (column for (k, _, _), column in units if _counts_shared(fleet.problem, k))
    return dict.fromkeys(counted, 1.0)


def _prefers_apart(problem: Problem) -> bool:
    """True where of plans that score the same fewer replicas are to share."""
    return is_sharing_open(problem) or shares_gpus(problem)


def _counts_shared(problem: Problem, k: Candidate) -> bool:
    """True for such a replica: where the problem shares GPUs, one that shares a GPU."""
    return k.gpu_set is not None if shares_gpus(problem) else k.part_of_unit


def _providers(model: FleetModel) -> Terms:
    """Providers used."""
    fleet = model.fleet
    used = {
        provider: fleet.column(f"tie provider[{provider}]", 1)
        for provider in sorted({k.provider for k in fleet.candidates})
    }
    for k in fleet.candidates:
        units = 0.0 if k.mode.per_token else float(fleet.most_units(k))
        for column in _use_columns(model, k):
            most = units or column.upBound
            row = {column: 1.0, used[k.provider]: -most}
            model.add_row("Tie", Row(f"provider {k.id}", row, LE, 0.0))
    return dict.fromkeys(used.values(), 1.0)


def _use_columns(model: FleetModel, k: Candidate) -> list[pulp.LpVariable]:
    if k.mode.per_token:
        return [share for (c, _, _), share in model.fleet.shares.items() if c is k]
    return [column for columns in units_by_block(model, k) for column in columns]


def _in_order(model: FleetModel, programs: _Programs) -> None:
    """Hold as much as can be of what comes first, then of the next, until nothing is left.

    What comes first is one program: of binaries that a use allows, one per candidate, the one of
    least rank is chosen; or, where nothing more can be used, the last.
    """
    fleet = model.fleet
    usable = (k for k in fleet.candidates if _use_columns(model, k))
    ranked = sorted(usable, key=lambda k: k.order)
    chosen = [fleet.column(f"first[{k.id}]", 1) for k in ranked]
    for k, column in zip(ranked, chosen, strict=True):
        model.add_row("Tie", Row(f"first {k.id}", {**_use(model, k), column: -1.0}, GE, 0.0))
    ranks = {column: float(rank) for rank, column in enumerate(chosen)}
    ranks[fleet.column("first[nothing]", 1)] = float(len(chosen))
    model.add_row("Tie", Row("first", dict.fromkeys(ranks, 1.0), EQ, 1.0))
    while (rank := programs.least(ranks)) is not None and rank < len(ranked):
        for column in chosen[: rank + 1]:
            column.upBound = 0
        _hold_most(model, programs, ranked[rank])
        if _uses_none(model, programs.values, ranked[rank + 1 :]):
            return


def _use(model: FleetModel, k: Candidate) -> Terms:
    """1 or more where the candidate is used."""
    weight = 1 / LEAST_TOKEN_SHARE if k.mode.per_token else 1.0
    return dict.fromkeys(_use_columns(model, k), weight)


def _hold_most(model: FleetModel, programs: _Programs, k: Candidate) -> None:
    """As many units of `k` as can be, block after block; a per-token offering is used or not."""
    if k.mode.per_token:
        model.add_row("Tie", Row(f"used {k.id}", _use(model, k), GE, 1.0))
    for columns in units_by_block(model, k):
        least = programs.least(dict.fromkeys(columns, -1.0))
        if least is not None:
            units = dict.fromkeys(columns, 1.0)
            model.add_row("Tie", Row(f"most {k.id}", units, GE, -least - HALF))


def _uses_none(model: FleetModel, values: Mapping[str, float], rest: list[Candidate]) -> bool:
    """True when the plan at hand uses nothing of the rest, so that no other can better it."""
    columns = (column.name for k in rest for column in _use_columns(model, k))
    return all(values[column] < HALF * LEAST_TOKEN_SHARE for column in columns)
