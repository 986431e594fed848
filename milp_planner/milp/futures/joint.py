"""One program over several futures, of which each is a block that `build_model` made.

    min Σ_f p_f Z_f + w (ρ(Z) − Σ_f p_f Z_f)        Z_f what a future counts        [USD/month]
    Σ_{k of o} j_k n_kf = N_o                        ∀ offering o that binds, future f    [units]

N_o is the units of an offering that are committed to, j_k the units of it that are joined to one
of candidate k. So a block pays for all that is committed to, and is a whole plan of its future:
what checks a plan checks each of them. Z_f is the block's costs, less a constant (the cost of a
plan made for that future alone, where regret counts) and less what its served traffic is worth
(where the margin does). The worst is z ≥ Z_f; the mean of the worst part α of the probability is

    ρ(Z) = min_η η + Σ_f p_f ζ_f ÷ α,    ζ_f ≥ Z_f − η,   ζ_f ≥ 0

(R. T. Rockafellar and S. Uryasev, "Optimization of conditional value-at-risk", Journal of Risk 2,
2000). η and z are at least 0: a shift that is below all Z_f is taken off first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pulp

from milp_planner.lazily import dataclass, field
from milp_planner.milp.futures.blocks import JoinedBlocks
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import Key, binds
from milp_planner.milp.futures.short import hold_stages, stage_objective, stage_value
from milp_planner.milp.program.costs.terms import cash_terms
from milp_planner.milp.program.language.rows import EQ, GE, LE
from milp_planner.milp.program.language.variables import Terms, expression, merged
from milp_planner.milp.program.lexicographic import Held, Stage
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.read_solution import modelled_costs

Committed = Mapping[Key, int]
"""Units by offering; what is not there is 0."""


STAYS_MONTHS = 120
"""How long is paid for what has no term, where what is owed is held against other terms."""


@dataclass(frozen=True)
class Asked:
    """What of the commitments is asked beside the futures themselves."""

    fixed: Committed | None = None
    """So many units exactly; None: as many as is best."""

    least: Committed = field(default_factory=dict)
    most: Committed | None = None
    excluded: tuple[Committed, ...] = ()
    """Commitments that were found already: some offering must have another number of units."""

    keys: frozenset[Key] = frozenset()
    """Offerings that are candidates even where others do all that they do."""

    budget_usd: float | None = None
    """Cash that may be spent on average over the futures, USD/month."""

    within_usd: float | None = None
    """What the measure may come to, where the commitments are made few or many."""

    extreme: int = 0
    """1: as little is owed as can be, -1: as much, in USD; 0: the measure is made small."""

    stage: Stage | None = None
    """What is made small in the measure's place, of what is left unserved."""

    held: Held = ()
    """What stages before reached."""


@dataclass
class JointModel(JoinedBlocks):
    """The blocks of all futures as one program: a block each."""

    asked: Asked = field(default_factory=Asked)
    committed: dict[Key, pulp.LpVariable] = field(default_factory=dict)

    def commitments(self, values: Mapping[str, float]) -> dict[Key, int]:
        """Units committed to, by offering, none of 0."""
        units = {key: round(values.get(n.name, 0.0)) for key, n in self.committed.items()}
        return {key: count for key, count in units.items() if count}

    @property
    def is_extreme(self) -> bool:
        """True where commitments are made few or many, and the measure is held."""
        return self.asked.within_usd is not None

    def judged(self, values: Mapping[str, float]) -> float:
        """The objective at whole units, recomputed from what each future costs or leaves out."""
        if self.asked.stage is not None:
            return stage_value(self, self.asked.stage, values)
        if self.is_extreme:
            terms = _bound_usd(self, self.asked.extreme)
            return sum(usd * round(values.get(n.name, 0.0)) for n, usd in terms.items())
        costs = (
            sum(modelled_costs(block, self.values_of(f, values)).values())
            for f, block in enumerate(self.blocks)
        )
        parts = zip(costs, self.measure.constants, self.lost_usd(values), strict=True)
        counted = [usd + constant + lost for usd, constant, lost in parts]
        return self.measure.minimised(counted) - self.measure.offset


def join(
    blocks: Sequence[FleetModel], measure: Measure, most: Committed, asked: Asked
) -> JointModel:
    """The program over all blocks. most: units of each offering that any future can want."""
    lp = pulp.LpProblem("futures", pulp.LpMinimize)
    model = JointModel(blocks, measure, lp, asked=asked)
    for f in range(len(blocks)):
        model.take_in(f)
    _link(model, most, asked)
    for earlier in asked.excluded:
        _exclude(model, earlier, most)
    if asked.budget_usd is not None:
        cash = [merged(cash_terms(block.fleet).values()) for block in blocks]
        mean = model.mean(model.terms_in(f, one) for f, one in enumerate(cash))
        model.row({v: c / asked.budget_usd for v, c in mean.items()}, LE, 1.0)
    hold_stages(model, asked.held)
    if asked.stage is not None:
        model.lp.setObjective(expression(stage_objective(model, asked.stage)))
        return model
    counted = [model.counted(f) for f in range(len(blocks))]
    if asked.within_usd is None:
        model.lp.setObjective(expression(model.minimised(counted)))
        return model
    model.row(model.minimised(counted), LE, asked.within_usd - measure.offset)
    model.lp.setObjective(expression(_bound_usd(model, asked.extreme)))
    return model


def _link(model: JointModel, most: Committed, asked: Asked) -> None:
    """Every future has the same units of what binds."""
    linked = [model.bound_in(f) for f in range(len(model.blocks))]
    for key in sorted({key for mine in linked for key in mine}):
        units = model.column(most.get(key, 0), integer=True)
        model.committed[key] = units
        units.lowBound = asked.least.get(key, 0)
        if asked.most is not None:
            units.upBound = asked.most.get(key, 0)
        if asked.fixed is not None:
            units.lowBound = units.upBound = asked.fixed.get(key, 0)
        for mine in linked:
            model.row({**mine.get(key, {}), units: -1.0}, EQ, 0.0)


def _exclude(model: JointModel, earlier: Committed, most: Committed) -> None:
    """Some offering has fewer units, or more, than in a commitment that was found.

    u ≤ N − v: more than v only where u is 1. M is N's own bound.
    """
    signs: Terms = {}
    for key, units in model.committed.items():
        found, high = earlier.get(key, 0), float(units.upBound)
        if found < high:
            more = model.column(1, integer=True)
            model.row({units: 1.0, more: -(found + 1.0)}, GE, 0.0)
            signs[more] = 1.0
        if found > 0:
            fewer = model.column(1, integer=True)
            model.row({units: 1.0, fewer: high - found + 1.0}, LE, high)
            signs[fewer] = 1.0
    if not signs:  # nothing binds: there is no other commitment
        signs = {model.column(0, integer=False): 1.0}
    model.row(signs, GE, 1.0)


def _bound_usd(model: JointModel, sign: int) -> Terms:
    """What is owed over the terms, USD/h times months."""
    usd: dict[Key, float] = {}
    for k, _, _ in model.blocks[0].fleet.rented():
        if binds(k):
            months = k.commitment_months or STAYS_MONTHS
            usd[k.offering.key] = months * k.usd_per_hour / k.units_joined
    return {units: sign * usd.get(key, 0.0) for key, units in model.committed.items()}
