"""The programs of one future or month, and what is told of several solved as one program."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.lazily import dataclass, field, replace
from milp_planner.milp.engines.certify import BOTH, solve_certified
from milp_planner.milp.engines.outcome import HIGHS, EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.futures.blocks import JoinedBlocks, bound_columns
from milp_planner.milp.futures.joint import Committed
from milp_planner.milp.futures.pruning import Key, binds
from milp_planner.milp.presolve.unit_bounds import raised
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.read_solution import modelled_costs
from milp_planner.milp.program.refinement import tolerance_usd, unknown_to
from milp_planner.plans.proof import relative_gap
from milp_planner.plans.records import Plan, Proof, Status
from milp_planner.solving.assembly.verify import as_far_as_comparable, verify, violations
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import Query, Session, Settings, proof_by

ANY, ANY_SHORT = Query(), Query(exact_shortfalls=True)
SAME_USD = 0.005


class BlockOptimizer(Optimizer):
    """The programs of one future; what its plans taught the next ones is kept here."""

    _wanted: dict[Key, int] | None = None
    _program: FleetModel | None = None

    @property
    def query(self) -> Query:
        """Any plan, its shortfalls without a solver's noise where stages make them small."""
        return ANY_SHORT if may_be_short(self.instance.problem) else ANY

    def program(self) -> FleetModel:
        """The program of the future by itself; built anew once more is known."""
        if self._program is None:
            self._program = self.model(self.query)
        return self._program

    def teach(self, model: FleetModel, run: CertifiedRun) -> bool:
        """True where the run's plan fails a loss as programs know it from now on."""
        return self._renewed(self.has_learned(model, run.values, self.query))

    def charge(self, model: FleetModel, run: CertifiedRun, plan: Plan) -> bool:
        """True where the next program charges more of what the plan owes."""
        return self._renewed(self._has_refined(model, run, plan))

    def judged(self, model: FleetModel, values: Mapping[str, float]) -> Plan | None:
        """The plan of what a solver says; None where it breaks a rule that programs know."""
        plan = self.plan_from(model, values, self.query)
        return None if violations(self.instance, plan, beside=unknown_to(model)) else plan

    def wants(self, model: FleetModel) -> dict[Key, int]:
        """Units of each offering that binds that any plan of the future can want."""
        alone: dict[Key, int] = {}
        together: dict[Key, int] = {}
        for key, column, joined in bound_columns(model):
            units = joined * round(column.upBound)
            alone[key] = max(alone.get(key, 0), units)
            together[key] = together.get(key, 0) + units
        if self._wanted is None:  # before it has room for what other futures want
            self._wanted = together
        return highest([self._wanted, alone])

    def give_room(self, room: Mapping[Candidate, int]) -> bool:
        """Let there be more units; True where that is news."""
        before = self._room
        self._room = raised(before, room)
        return self._renewed(self._room != before)

    def _renewed(self, knows_more: bool) -> bool:
        if knows_more:
            self._program = None
        return knows_more


@dataclass(frozen=True)
class FuturesAnswer:
    """The best commitments that were looked for, and what is done in each future."""

    status: Status
    proof: Proof
    committed: Committed = field(default_factory=dict)
    plans: tuple[Plan, ...] = ()
    """One a future, in order; none without a plan."""

    counted: tuple[float, ...] = ()
    """What each future counts under the measure, USD/month."""

    minimised_usd: float | None = None
    bound_usd: float | None = None
    """Nothing that was looked for comes to less."""

    is_tie: bool = False
    """Whether other commitments that owe more come to as much."""

    def is_proven(self, gap: float = 0.0) -> bool:
        """True where it is the best, or within the gap that was asked for."""
        if self.status is Status.OPTIMAL:
            return bool(self.plans)
        found = relative_gap(self.minimised_usd, self.bound_usd)
        return bool(self.plans) and found is not None and found <= gap

    @property
    def costs(self) -> tuple[float, ...]:
        """What each future costs, USD/month: cash and penalties."""
        return tuple(plan.score_usd_per_month or 0.0 for plan in self.plans)


Answer = TypeVar("Answer", bound=FuturesAnswer)


def with_room(
    blocks: Sequence[BlockOptimizer], wanted: Committed
) -> tuple[list[FleetModel], dict[Key, int]]:
    """The blocks' programs, each with room for what any of them wants of what binds; and how much
    that is. wanted: units that are asked for beside."""
    models = [block.program() for block in blocks]
    most = highest(block.wants(one) for block, one in zip(blocks, models, strict=True))
    most = highest([most, wanted])
    if any([block.give_room(room_for(block, most)) for block in blocks]):  # all of them
        models = [block.program() for block in blocks]
    return models, most


def run_joined(
    model: JoinedBlocks,
    blocks: Sequence[BlockOptimizer],
    judged: Callable[[Mapping[str, float]], float],
    how: Settings,
    session: Session,
    *,
    alone: bool,
) -> CertifiedRun:
    """What the engines say of a program of several blocks, plans that break rules left out.

    judged: the objective of what they say at whole units. alone: one engine's word is enough.
    """

    def judge(values: Mapping[str, float]) -> float | None:
        for b, block in enumerate(blocks):
            if block.judged(model.blocks[b], model.values_of(b, values)) is None:
                return None
        return judged(values)

    with scratch_folder() as folder:
        mps = folder / "futures.mps"
        model.write_mps(mps)
        return solve_certified(
            mps,
            model.columns,
            time_limit_s=session.solver_seconds,
            gap=how.gap,
            seed=how.seed,
            solver=HIGHS if alone and how.solver == BOTH else how.solver,
            judge=judge,
            cancel=session.cancel,
            confirm=not alone,
            patient=how.patient,
        )


def parts_of(model: JoinedBlocks, run: CertifiedRun) -> list[CertifiedRun]:
    """What a run says of each block, by the block's own names."""
    return [replace(run, values=model.values_of(b, run.values)) for b in range(len(model.blocks))]


def verified_plans(
    model: JoinedBlocks, blocks: Sequence[BlockOptimizer], parts: Sequence[CertifiedRun]
) -> list[Plan]:
    """The plan of each block; raises SolverError for one that breaks a rule, or costs more."""
    plans = []
    for block, one, part in zip(blocks, model.blocks, parts, strict=True):
        plan = block.plan_from(one, part.values, block.query)
        said = modelled_costs(one, part.values)
        verify(block.instance, plan, as_far_as_comparable(said, plan, part))
        plans.append(plan)
    return plans


def committed_in(plan: Plan) -> dict[Key, int]:
    """Units of a plan of what binds, by offering."""
    units: dict[Key, int] = {}
    for p in plan.purchases:
        if binds(p.candidate) and p.units:
            key = p.candidate.offering.key
            units[key] = units.get(key, 0) + p.units * p.candidate.units_joined
    return units


def highest(each: Iterable[Mapping[Key, int]]) -> dict[Key, int]:
    """The most units of each offering."""
    most: dict[Key, int] = {}
    for mine in each:
        most = {key: max(most.get(key, 0), mine.get(key, 0)) for key in {**most, **mine}}
    return most


def room_for(block: Optimizer, most: Mapping[Key, int]) -> dict[Candidate, int]:
    """So many units of every candidate that binds as any future can want."""
    return {
        k: -(-most[k.offering.key] // k.units_joined)
        for k in block.pruned.kept
        if binds(k) and k.offering.key in most
    }


def better_of(one: Answer, later: Answer) -> Answer:
    """The cheaper of two answers, with the higher bound."""
    assert one.minimised_usd is not None
    assert later.minimised_usd is not None
    best = later if later.minimised_usd <= one.minimised_usd + SAME_USD else one
    known = [bound for bound in (one.bound_usd, later.bound_usd) if bound is not None]
    return replace(best, bound_usd=max(known, default=None), proof=later.proof, status=later.status)


def is_settled(best: FuturesAnswer) -> bool:
    """True when the bound and the best answer agree, and engines proved the bound."""
    if best.minimised_usd is None or best.bound_usd is None:
        return False
    return best.minimised_usd - best.bound_usd <= tolerance_usd(best.minimised_usd)


def as_proven(best: Answer) -> Answer:
    """The same, with its cost as the bound where it was proven."""
    if best.status is not Status.OPTIMAL:
        return best
    return replace(best, bound_usd=best.minimised_usd)


def nothing_found(status: Status) -> FuturesAnswer:
    """No commitments."""
    return FuturesAnswer(status, Proof(certified=False, certified_by=()))


def without_plan(model: JoinedBlocks, run: CertifiedRun) -> FuturesAnswer:
    """That a run has none."""
    return FuturesAnswer(status_of_none(run), proof_of(model, run), bound_usd=run.bound)


def status_of_none(run: CertifiedRun) -> Status:
    """Of a run that has no plan: whether it proves that there is none."""
    is_proven = run.status is EngineStatus.INFEASIBLE
    return Status.INFEASIBLE if is_proven else Status.NO_PLAN


def proof_of(model: JoinedBlocks, run: CertifiedRun) -> Proof:
    """What engines said of a program of several blocks."""
    return proof_by(run, rows=len(model.rows), columns=len(model.columns))
