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

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pulp

from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import Key, binds
from milp_planner.milp.program.costs.terms import cash_terms
from milp_planner.milp.program.language.rows import EQ, GE, LE
from milp_planner.milp.program.language.variables import Terms, add, expression, merged
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.mps_file import write_mps
from milp_planner.milp.program.read_solution import modelled_costs

Committed = Mapping[Key, int]
"""Units by offering; what is not there is 0."""


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
    """What the mean over the futures may be, where the commitments are made few or many."""

    extreme: int = 0
    """1: as little is committed to as can be, -1: as much, in USD; 0: the measure is made small."""


@dataclass
class JointModel:
    """The blocks of all futures as one program."""

    blocks: Sequence[FleetModel]
    measure: Measure
    lp: pulp.LpProblem
    asked: Asked = field(default_factory=Asked)
    columns_of: list[dict[str, pulp.LpVariable]] = field(default_factory=list)
    """By block: column of the joint program by the block's own name."""

    committed: dict[Key, pulp.LpVariable] = field(default_factory=dict)
    rows: list[str] = field(default_factory=list)
    _count: int = 0

    @property
    def columns(self) -> list[str]:
        """Names of the columns that rows or costs use."""
        return [variable.name for variable in self.lp.variables()]

    def values_of(self, block: int, values: Mapping[str, float]) -> dict[str, float]:
        """What a solver says of a block, by the block's own names."""
        return {
            own: values[column.name]
            for own, column in self.columns_of[block].items()
            if column.name in values
        }

    def commitments(self, values: Mapping[str, float]) -> dict[Key, int]:
        """Units committed to, by offering, none of 0."""
        units = {key: round(values.get(n.name, 0.0)) for key, n in self.committed.items()}
        return {key: count for key, count in units.items() if count}

    @property
    def is_extreme(self) -> bool:
        """True where commitments are made few or many, and the measure is held."""
        return self.asked.within_usd is not None

    def judged(self, values: Mapping[str, float]) -> float:
        """The objective at whole units, recomputed from what each future costs."""
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

    def lost_usd(self, values: Mapping[str, float]) -> list[float]:
        """By block, what the traffic would be worth that is not served, USD/month."""
        return [
            sum(usd * max(0.0, own.get(short.name, 0.0)) for short, usd in _worth(self, f).items())
            for f in range(len(self.blocks))
            for own in [self.values_of(f, values)]
        ]

    def write_mps(self, path: Path) -> None:
        """Write the program for the solvers; raises OutOfTime when time is up before."""
        write_mps(self.lp, self.rows, path)

    # ---- how it is built

    def column(self, high: float | None, *, integer: bool) -> pulp.LpVariable:
        """A new column between 0 and `high`."""
        kind = pulp.LpInteger if integer else pulp.LpContinuous
        self._count += 1
        return self.lp.add_variable(f"x{self._count:06d}", 0, high, kind)

    def row(self, terms: Terms, sense: int, right: float) -> None:
        """A new row."""
        name = f"r{len(self.rows):06d}"
        self.lp.addConstraint(pulp.LpConstraint(expression(terms), sense, name, right), name)
        self.rows.append(name)

    def terms_in(self, block: int, terms: Terms) -> Terms:
        """A block's terms over the columns of the joint program."""
        mine = self.columns_of[block]
        total: Terms = {}
        for column, coefficient in terms.items():
            add(total, mine[column.name], coefficient)
        return total

    def costs_of(self, block: int) -> Terms:
        """All costs of a block."""
        return self.terms_in(block, merged(self.blocks[block].costs.values()))


def join(
    blocks: Sequence[FleetModel], measure: Measure, most: Committed, asked: Asked
) -> JointModel:
    """The program over all blocks. most: units of each offering that any future can want."""
    model = JointModel(blocks, measure, pulp.LpProblem("futures", pulp.LpMinimize), asked)
    for f in range(len(blocks)):
        _take_in(model, f)
    _link(model, most, asked)
    for earlier in asked.excluded:
        _exclude(model, earlier, most)
    if asked.budget_usd is not None:
        cash = [merged(cash_terms(block.fleet).values()) for block in blocks]
        mean = _mean(model, (model.terms_in(f, one) for f, one in enumerate(cash)))
        model.row({v: c / asked.budget_usd for v, c in mean.items()}, LE, 1.0)
    counted = [_counted(model, f) for f in range(len(blocks))]
    if asked.within_usd is None:
        model.lp.setObjective(expression(_minimised(model, counted)))
        return model
    constant = sum(p * c for p, c in zip(measure.probabilities, measure.constants, strict=True))
    model.row(_mean(model, counted), LE, asked.within_usd - constant)
    model.lp.setObjective(expression(_bound_usd(model, asked.extreme)))
    return model


def _take_in(model: JointModel, f: int) -> None:
    """The columns and rows of a block."""
    block = model.blocks[f]
    mine: dict[str, pulp.LpVariable] = {}
    for variable in block.lp.variables():
        column = model.column(variable.upBound, integer=variable.cat == pulp.LpInteger)
        column.lowBound = variable.lowBound
        mine[variable.name] = column
    model.columns_of.append(mine)
    for name in block.row_meaning:
        row = block.lp.get_constraint_by_name(name)
        model.row({mine[v.name]: c for v, c in row.items()}, row.sense, 0.0 - row.constant)


def bound_columns(block: FleetModel) -> Iterator[tuple[Key, pulp.LpVariable, int]]:
    """(offering, column, units of it that one of the column is) of all that binds, once each."""
    seen: set[str] = set()
    for k, _, column in block.fleet.rented():
        if binds(k) and column.name not in seen:  # what is held is one column in all blocks
            seen.add(column.name)
            yield k.offering.key, column, k.units_joined


def _link(model: JointModel, most: Committed, asked: Asked) -> None:
    """Every future has the same units of what binds."""
    linked: list[dict[Key, Terms]] = []
    for f, block in enumerate(model.blocks):
        mine: dict[Key, Terms] = {}
        for key, column, joined in bound_columns(block):
            own = model.columns_of[f].get(column.name)
            if own is not None:
                add(mine.setdefault(key, {}), own, float(joined))
        linked.append(mine)
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


def _counted(model: JointModel, f: int) -> Terms:
    """Z_f but for its constant."""
    terms = model.costs_of(f)
    for short, usd in _worth(model, f).items():
        add(terms, model.columns_of[f][short.name], usd)
    return terms


def _worth(model: JointModel, f: int) -> Terms:
    """What the traffic is worth that a column of a block leaves unserved."""
    fleet = model.blocks[f].fleet
    return {
        short: usd * fleet.volume(w, q, t)
        for (w, q, t), short in fleet.shortfalls.items()
        if (usd := model.measure.usd_per_request(fleet.demand(w).classes[q]))
    }


def _mean(model: JointModel, parts: Iterable[Terms]) -> Terms:
    total: Terms = {}
    for p, terms in zip(model.measure.probabilities, parts, strict=True):
        for column, coefficient in terms.items():
            add(total, column, p * coefficient)
    return total


def _bound_usd(model: JointModel, sign: int) -> Terms:
    """What is committed to, in USD an hour, and a little of what the futures cost."""
    usd: dict[Key, float] = {}
    for k, _, _ in model.blocks[0].fleet.rented():
        if binds(k):
            usd[k.offering.key] = k.usd_per_hour / k.units_joined
    return {units: sign * usd.get(key, 0.0) for key, units in model.committed.items()}


def _minimised(model: JointModel, counted: Sequence[Terms]) -> Terms:
    """The mean, and the risk as far as it counts, all but constants."""
    measure = model.measure
    weight = measure.weight
    total: Terms = {}
    if weight < 1:
        for column, usd in _mean(model, counted).items():
            add(total, column, (1 - weight) * usd)
    if weight > 0:
        high = model.column(None, integer=False)
        add(total, high, weight)
        for f, terms in enumerate(counted):
            # ζ_f + η − Z_f ≥ constant − shift
            right = measure.constants[f] - measure.shift
            sides = {column: -usd for column, usd in terms.items()}
            sides[high] = 1.0
            if measure.tail is not None:
                above = model.column(None, integer=False)
                sides[above] = 1.0
                add(total, above, weight * measure.probabilities[f] / measure.tail)
            model.row(sides, GE, right)
    return total
