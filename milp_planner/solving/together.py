"""The best plan of workloads that share units, out of what each of them may choose.

No plan costs a workload less than its replicas at their part of the price do. So where a plan is at
hand, none of another that is cheaper is further above that than the plan is above the sum of all:
what each may choose within so much is listed, and one program puts it together on whole units
(`milp/curves/shared/`). A plan that is none, for what classes need, teaches the rows of all.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from milp_planner.candidates.records import Candidate, PlanningInput, gpus_of_unit
from milp_planner.candidates.sharing.standing import UnitKey, unit_key
from milp_planner.deadline import OutOfTime, seconds_left, until
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.curves.fleets import CURVES
from milp_planner.milp.curves.listed.blocks import TooMany
from milp_planner.milp.curves.listed.reading import Covering, covering_of
from milp_planner.milp.curves.shared.choices import Sharer, Stands
from milp_planner.milp.curves.shared.program import Chosen, SharedUnit, Together, together
from milp_planner.milp.engines.certify import BOTH, solve_certified
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.milp.presolve.part_prices import (
    LARGE,
    at_their_part,
    columns_of,
    counts_units,
    of_one_each,
)
from milp_planner.milp.presolve.stages import Stage, is_long, parts_of
from milp_planner.milp.program.levels import Splits
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.shared_scope import may_share
from milp_planner.plans.records import Plan, Proof, Status
from milp_planner.solving.assembly.verify import keeps_all
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import SAME_USD, Query, SearchResult, proof_by, result_of
from milp_planner.solving.tie_break import MOST_COLUMNS

OF_TIME = 0.8
"""The part of the time left that this may take."""

MOST_ROUNDS = 6
"""Times that a fleet may teach rows."""

SAME_PRICE = 1e-9
"""Relative difference of what a unit costs, as the parts of several workloads say it."""


def best_together(optimizer: Optimizer, apart: SearchResult) -> SearchResult | None:
    """The best plan, or one no dearer than that at hand with a bound; None where it takes the
    program of all.

    apart: the best plan of units of one's own.
    """
    if optimizer.settings.solver != BOTH:
        return None
    try:
        with optimizer.session.in_force(), until(time.monotonic() + OF_TIME * seconds_left()):
            joint = _Joint.of(optimizer)
            return None if joint is None else joint.best(apart)
    except (OutOfTime, TooMany):
        return None


def is_worth_a_look(optimizer: Optimizer) -> bool:
    """True where many columns of several workloads are linked by units that they may share.

    Elastic units that are steps of what is held leave a program that is quick, unless it is large.
    """
    problem = optimizer.instance.problem
    is_open = optimizer.settings.pruning and optimizer.required is None and may_share(problem)
    if not is_open or not optimizer.instance.candidates.parts or counts_units(problem):
        return False
    try:
        with optimizer.session.in_force():
            kept = optimizer.pruned.kept
            if not any(k.part_of_unit for k in kept):
                return False
            if columns_of(optimizer.instance, kept) > LARGE:
                return True
            is_quick = bool(optimizer.folds(Query()))
            return not is_quick and is_long(optimizer.instance, kept, MOST_COLUMNS)
    except OutOfTime:
        return False


class _Workload(NamedTuple):
    """A workload, with replicas at their part of the price."""

    model: FleetModel
    covering: Covering
    stands: Mapping[int, Stands]


@dataclass
class _Joint:
    whole: Optimizer
    """The program of all, which is only read."""

    apart: Sequence[Optimizer]
    stand_in: Mapping[Candidate, Candidate]
    """The replica on a shared unit, of each that is had at its part of the price."""

    units: Sequence[UnitKey]

    @classmethod
    def of(cls, optimizer: Optimizer) -> _Joint | None:
        """None where more than units that are shared links workloads."""
        kept = optimizer.pruned.kept
        parts = [k for k in kept if k.part_of_unit]
        if any(getattr(k.offering, "max_units", None) is not None or k.gpu_set for k in parts):
            return None
        fractions = [*at_their_part(parts)]
        alone = (*(k for k in kept if not k.part_of_unit), *fractions)
        freed = of_one_each(optimizer.instance, alone)
        stage = Stage.of(freed, (), alone)
        found = [*parts_of(stage, curves_above=len(alone) ** 2, blocks_above=len(alone) ** 2)]
        if any(len(part.instance.problem.workloads) > 1 for part in found):
            return None
        splits = Splits(by_prices=True)

        def of_part(instance: PlanningInput) -> Optimizer:
            # a replica has its part of the price only here: it takes the place of nothing
            settings = replace(optimizer.settings, pruning=False, merge_twins=False)
            told = settings, optimizer.provenance, optimizer.session
            return Optimizer(instance, *told, _splits=splits)

        whole = replace(optimizer, _splits=splits)
        units = list(dict.fromkeys(map(unit_key, parts)))
        apart = [of_part(part.instance) for part in found]
        return cls(whole, apart, dict(zip(fractions, parts, strict=True)), units)

    def best(self, apart: SearchResult) -> SearchResult | None:
        """See above. Raises TooMany, and OutOfTime when time is up."""
        for _ in range(MOST_ROUNDS):
            workloads = [self._read(one) for one in self.apart]
            known = [one for one in workloads if one is not None]
            units = self._units(known) if len(known) == len(workloads) else None
            if units is None:
                return None
            asked = self._within(known, units, apart.score_usd_per_month)
            if asked is None:
                return None
            program, least_usd = asked
            run = self._solved(program, apart.score_usd_per_month)
            if not run.values:
                return self._none_cheaper(program, run, apart, least_usd)
            model, on = self._columns(known, program, run.values)
            if self.whole.has_learned(model, on, Query()):
                continue
            plan = self.whole.plan_from(model, on, Query())
            usd = program.judged(run.values)
            is_dear = usd is None or usd > apart.score_usd_per_month + SAME_USD
            if is_dear or not keeps_all(self.whole.instance, plan, usd or 0.0):
                return None
            return self._result(program, run, plan, least_usd)
        return None

    def _read(self, optimizer: Optimizer) -> _Workload | None:
        """Once all is learned that its own cheapest fleet teaches."""
        optimizer.listed(Query())
        model = optimizer.model(Query())
        covering = covering_of(model)
        if covering is None or covering.gpus.usd_each:
            return None
        if len(covering.hours) < len(model.fleet.blocks):
            return None
        named = {column.name: k for (k, _, _), column in model.fleet.units.items()}
        kinds = [named[name] for name in covering.held]
        kinds += [named[columns[0]] for columns in covering.elastic]
        at = {key: j for j, key in enumerate(self.units)}
        stands = {
            nth: Stands(at[unit_key(self.stand_in[k])], k.gpus_per_unit)
            for nth, k in enumerate(kinds)
            if k in self.stand_in
        }
        return _Workload(model, covering, stands)

    def _units(self, workloads: Iterable[_Workload]) -> list[SharedUnit] | None:
        """What units cost; None where that differs by whose replicas stand on them."""
        found: dict[int, tuple[int, float]] = {}
        sizes = {unit_key(k): gpus_of_unit(k) for k in self.stand_in.values()}
        for one in workloads:
            first = len(one.covering.held)
            for nth, stands in one.stands.items():
                gpus = sizes[self.units[stands.unit]]
                usd = one.covering.held_usd, one.covering.elastic_usd
                part = usd[nth >= first][nth - first * (nth >= first)]
                price = float(part) * gpus / stands.gpus
                known = found.setdefault(stands.unit, (gpus, price))
                if not math.isclose(known[1], price, rel_tol=SAME_PRICE):
                    return None
        nobody = (1, 0.0)
        return [SharedUnit(*found.get(j, nobody)) for j in range(len(self.units))]

    def _within(
        self, workloads: Sequence[_Workload], units: Sequence[SharedUnit], most_usd: float
    ) -> tuple[Together, float] | None:
        """The program of what they may choose, and the sum of the least that each costs.

        Listed twice, on two grids in two orders, which must come to the same.
        """
        sharers = [Sharer.of(one.covering, one.stands, len(units)) for one in workloads]
        told = [one for one in sharers if one is not None]
        if len(told) < len(sharers):
            return None
        least = [one.least_usd() for one in told]
        above = max(0.0, most_usd - sum(least))
        limits = [usd + above for usd in least]
        choices = [one.within(usd) for one, usd in zip(told, limits, strict=True)]
        for one, mine, usd in zip(workloads, choices, limits, strict=True):
            again = Sharer.of(one.covering, one.stands, len(units), again=True)
            if again is None or not again.are_among(mine, usd - SAME_USD):
                return None
        hours = workloads[0].covering.hours.tolist()
        program = together(choices, units, hours)
        return None if program is None else (program, sum(least))

    def _solved(self, program: Together, most_usd: float) -> CertifiedRun:
        """The cheapest of the choices that costs less than a plan at hand."""
        settings = self.whole.settings
        with scratch_folder() as folder:
            mps = folder / "together.mps"
            program.numbers.write_mps(mps)
            return solve_certified(
                mps,
                [*program.numbers.columns],
                judge=program.judged,
                time_limit_s=seconds_left(),
                gap=settings.gap,
                seed=settings.seed,
                cancel=settings.cancel,
                known=most_usd,
            )

    def _columns(
        self, workloads: Sequence[_Workload], program: Together, values: Mapping[str, float]
    ) -> tuple[FleetModel, dict[str, float]]:
        """The program of all, and what is chosen as its columns."""
        model = self.whole.model(Query())
        on = dict.fromkeys(model.columns, 0.0)
        for one, chosen in zip(workloads, program.chosen(values), strict=True):
            self._put(one, chosen, model, on)
        keys = {self.units[j]: j for j in range(len(self.units))}
        for (unit, t), column in model.fleet.shared.items():
            j = keys.get(unit_key(unit))
            names = (f"n{j}", f"n{j}_{t}")
            on[column.name] = float(round(max(values.get(name, 0.0) for name in names)))
        return model, on

    def _put(self, one: _Workload, chosen: Chosen, model: FleetModel, on: dict[str, float]) -> None:
        """Write what a workload takes into the columns of the program of all."""
        counts = dict(zip(one.covering.held, chosen.held.counts, strict=True))
        for nth, columns in enumerate(one.covering.elastic):
            counts |= {columns[t]: beside.counts[nth] for t, beside in enumerate(chosen.blocks)}
        for (k, level, t), column in one.model.fleet.units.items():
            mine = model.fleet.units[self.stand_in.get(k, k), level, t]
            on[mine.name] = float(counts[column.name])

    def _none_cheaper(
        self, program: Together, run: CertifiedRun, apart: SearchResult, least_usd: float
    ) -> SearchResult:
        """The plan at hand, proven where none of these choices is cheaper."""
        proof = self._proof(program, run)
        if run.status is EngineStatus.INFEASIBLE:
            return result_of(Status.OPTIMAL, apart.known, proof, apart.score_usd_per_month)
        bound = min(max(least_usd, run.bound or 0.0), apart.score_usd_per_month)
        return result_of(Status.FEASIBLE, apart.known, proof, bound)

    def _result(
        self, program: Together, run: CertifiedRun, plan: Plan, least_usd: float
    ) -> SearchResult:
        proof, score = self._proof(program, run), plan.score_usd_per_month
        assert score is not None, "it keeps all rules"
        if run.status is EngineStatus.OPTIMAL:
            return result_of(Status.OPTIMAL, plan, proof, score)
        bound = min(max(least_usd, run.bound or 0.0), score)
        return result_of(Status.FEASIBLE, plan, proof, bound)

    def _proof(self, program: Together, run: CertifiedRun) -> Proof:
        """By whoever listed the choices, and whoever put them together."""
        size = {"rows": len(program.numbers.rows), "columns": len(program.numbers.columns)}
        proof = proof_by(run, **size)
        by = (CURVES, *proof.certified_by) if proof.certified_by else ()
        return replace(proof, certified_by=by)
