"""Months and futures as one program: a block for each month of each future, and what is signed.

    min Σ_f p_f Z_f + w (ρ(Z) − Σ_f p_f Z_f),   Z_f = Σ_i block_fi + moves_f + owed_f      [USD]
    Σ_{k of o} j_k n_kfi = Σ_{m ≤ i < m+τ_o} s_omf       ∀ o that binds, f, i             [units]
    a_jfi ≥ P_jfi − P_jf,i−1,   r_jfi ≥ P_jf,i−1 − P_jfi     0 < i < M                      [units]

s_omf is the units of offering o that are signed in month m, the same in all futures until it is
known which one it is; τ_o the months of its term, to the end where it has none. P is the most units
of (offering, billing, workload) that are on in any time block of a month, a and r are added and
removed. A block is a whole plan of its month and pays for what is signed in it, month by month, so
that nothing else of it is paid but, under `full`, what is owed after the last month. After the
horizon, under `extend`, what is signed is had by the month as well: there the first row is ≥.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pulp

from milp_planner.lazily import dataclass, field
from milp_planner.milp.futures.blocks import JoinedBlocks
from milp_planner.milp.futures.joint import STAYS_MONTHS
from milp_planner.milp.futures.measures import Measure
from milp_planner.milp.futures.pruning import Key
from milp_planner.milp.months.records import AtEnd
from milp_planner.milp.program.costs.terms import cash_terms
from milp_planner.milp.program.language.rows import EQ, GE, LE
from milp_planner.milp.program.language.variables import Terms, add, expression, merged
from milp_planner.milp.program.limits.changes import units_on_by_key
from milp_planner.milp.program.model import FleetModel
from milp_planner.milp.program.read_solution import modelled_costs

FIRST_NAMED = 1e-6
"""Share of what is bound for a unit that the last of all that may be signed weighs more."""

Start = tuple[Key, int, int | None]
"""(offering, month that it is signed in, future; None of what is signed in all of them)."""


@dataclass(frozen=True)
class SignedKind:
    """An offering that may be signed for."""

    months: int | None
    """Its term; None of what is there to stay."""

    usd_per_month: float
    is_few: bool = False
    """There are only so many units of it."""


@dataclass(frozen=True)
class MonthsShape:
    """What the blocks of a program are of: all months of the first future, then of the next."""

    futures: int
    months: int
    all_months: int
    branches_at: int
    """The first month whose signings follow the future."""

    at_end: AtEnd
    kinds: Mapping[Key, SignedKind]
    usd_per_unit_added: float = 0.0
    usd_per_unit_removed: float = 0.0
    most_changed: int | None = None
    """Units that may be added and removed from one month to the next."""

    mean_budget_usd: float | None = None
    """Cash of a month of the horizon, on average over the futures."""

    def block(self, future: int, month: int) -> int:
        """Number of the block of a month."""
        return future * self.all_months + month

    def signs(self) -> Iterator[Start]:
        """All that may be signed."""
        for key in sorted(self.kinds):
            for month in range(self.months):
                if month < self.branches_at:
                    yield key, month, None
                else:
                    yield from ((key, month, f) for f in range(self.futures))

    def is_bound(self, start: Start, future: int, month: int) -> bool:
        """Whether a unit that is signed is paid in a month of a future."""
        key, since, of = start
        term = self.kinds[key].months
        return of in (None, future) and since <= month and (term is None or month < since + term)

    def owed_usd(self, start: Start) -> float:
        """What is owed for a unit after the last month, where that counts though it is no use."""
        return self.left_usd(start) if self.at_end == "full" else 0.0

    def left_usd(self, start: Start) -> float:
        """What is still to be paid for a unit when the horizon is over."""
        key, since, _ = start
        kind = self.kinds[key]
        left = 0 if kind.months is None else max(0, since + kind.months - self.months)
        return left * kind.usd_per_month

    def bound_usd(self, start: Start) -> float:
        """What is paid for a unit over all of its term."""
        kind = self.kinds[start[0]]
        return kind.usd_per_month * (STAYS_MONTHS if kind.months is None else kind.months)

    @property
    def counts_moves(self) -> bool:
        """Whether it matters what is added and removed."""
        prices = self.usd_per_unit_added, self.usd_per_unit_removed
        return any(prices) or self.most_changed is not None


@dataclass
class MonthsModel(JoinedBlocks):
    """The blocks of all months and futures as one program."""

    shape: MonthsShape = field(default_factory=lambda: MonthsShape(0, 0, 0, 0, "extend", {}))
    starts: dict[Start, pulp.LpVariable] = field(default_factory=dict)
    added: dict[tuple[int, int], list[pulp.LpVariable]] = field(default_factory=dict)
    """By (future, month)."""

    removed: dict[tuple[int, int], list[pulp.LpVariable]] = field(default_factory=dict)
    within_usd: float | None = None
    """What the measure may come to, where the least is to be bound; else the measure is made small.
    """

    def bound(self) -> Terms:
        """What is bound on average, USD over all terms; of the same amount what comes first by
        offering and month weighs the least, by so little that no other amount is outdone."""
        shape = self.shape
        count = max(1, len(self.starts))
        return {
            column: shape.bound_usd(start)
            * (1 + FIRST_NAMED * rank / count)
            * (1.0 if start[2] is None else self.measure.probabilities[start[2]])
            for rank, (start, column) in enumerate(self.starts.items())
        }

    def signed(self, values: Mapping[str, float]) -> dict[Start, int]:
        """Units that are signed, none of 0."""
        units = {start: round(values.get(n.name, 0.0)) for start, n in self.starts.items()}
        return {start: count for start, count in units.items() if count}

    def judged(self, values: Mapping[str, float]) -> float:
        """The objective at whole units, recomputed from what each month costs."""
        if self.within_usd is not None:
            return sum(usd * round(values.get(n.name, 0.0)) for n, usd in self.bound().items())
        shape, lost = self.shape, self.lost_usd(values)
        signed = self.signed(values)
        counted = list(self.measure.constants)
        for f in range(shape.futures):
            for i in range(shape.all_months):
                b = shape.block(f, i)
                costs = modelled_costs(self.blocks[b], self.values_of(b, values))
                counted[f] += sum(costs.values()) + lost[b]
            moved = self._moves(f, range(shape.months))
            counted[f] += sum(usd * max(0.0, values.get(v.name, 0.0)) for v, usd in moved.items())
            counted[f] += sum(
                units * shape.owed_usd(start)
                for start, units in signed.items()
                if start[2] in (None, f)
            )
        return self.measure.minimised(counted) - self.measure.offset

    def _moves(self, future: int, months: range) -> Terms:
        """What is paid for units that are added and removed."""
        terms: Terms = {}
        for i in months:
            for column in self.added.get((future, i), ()):
                terms[column] = self.shape.usd_per_unit_added
            for column in self.removed.get((future, i), ()):
                terms[column] = self.shape.usd_per_unit_removed
        return terms

    def cash_of(self, future: int, month: int) -> Terms:
        """The cash of a month, moves among it."""
        b = self.shape.block(future, month)
        terms = self.terms_in(b, merged(cash_terms(self.blocks[b].fleet).values()))
        terms.update(self._moves(future, range(month, month + 1)))
        return terms

    def all_of(self, future: int) -> Terms:
        """Z_f but for its constant."""
        total: Terms = {}
        for i in range(self.shape.all_months):
            for column, usd in self.counted(self.shape.block(future, i)).items():
                add(total, column, usd)
        for start, column in self.starts.items():
            if start[2] in (None, future) and (usd := self.shape.owed_usd(start)):
                add(total, column, usd)
        for column, usd in self._moves(future, range(self.shape.months)).items():
            add(total, column, usd)
        return total


def join_months(
    blocks: Sequence[FleetModel],
    measure: Measure,
    shape: MonthsShape,
    most: Mapping[Key, int],
    fixed: Mapping[Start, int] | None = None,
    within_usd: float | None = None,
) -> MonthsModel:
    """The program over all blocks. most: units of each offering that any month can want. fixed: so
    many units are signed exactly. within_usd: see `MonthsModel`."""
    lp = pulp.LpProblem("months", pulp.LpMinimize)
    model = MonthsModel(blocks, measure, lp, shape=shape, within_usd=within_usd)
    for b in range(len(blocks)):
        model.take_in(b)
    for start in shape.signs():
        column = model.column(most.get(start[0], 0), integer=True)
        if fixed is not None:
            column.lowBound = column.upBound = fixed.get(start, 0)
        model.starts[start] = column
    for f in range(shape.futures):
        _link(model, f)
        if shape.counts_moves:
            _count_moves(model, f)
    _keep_budgets(model)
    counted = [model.all_of(f) for f in range(shape.futures)]
    minimised = model.minimised(counted)
    if within_usd is not None:
        model.row(minimised, LE, within_usd - measure.offset)
        minimised = model.bound()
    model.lp.setObjective(expression(minimised))
    return model


def _link(model: MonthsModel, f: int) -> None:
    """What binds in a month is what was signed until then."""
    shape = model.shape
    for i in range(shape.all_months):
        mine = model.bound_in(shape.block(f, i))
        for key, kind in sorted(shape.kinds.items()):
            terms = dict(mine.get(key, {}))
            for start, column in model.starts.items():
                if start[0] == key and shape.is_bound(start, f, i):
                    add(terms, column, -1.0)
            if terms:
                is_over = i >= shape.months and not kind.is_few
                model.row(terms, GE if is_over else EQ, 0.0)


def _count_moves(model: MonthsModel, f: int) -> None:
    """Units added and removed from each month of the horizon to the next."""
    shape = model.shape
    before = _most_on(model, shape.block(f, 0))
    for i in range(1, shape.months):
        now = _most_on(model, shape.block(f, i))
        added, removed = model.added.setdefault((f, i), []), model.removed.setdefault((f, i), [])
        for key in sorted({*before, *now}):
            for columns, plus, minus in ((added, now, before), (removed, before, now)):
                move = model.column(None, integer=False)
                columns.append(move)
                terms: Terms = {move: 1.0}
                for column, units in plus.get(key, {}).items():
                    add(terms, column, -units)
                for column, units in minus.get(key, {}).items():
                    add(terms, column, units)
                model.row(terms, GE, 0.0)
        if shape.most_changed is not None and (added or removed):
            model.row(dict.fromkeys((*added, *removed), 1.0), LE, float(shape.most_changed))
        before = now


def _most_on(model: MonthsModel, b: int) -> dict[tuple[str, str, str], Terms]:
    """The most units on in any time block, by (offering, billing, workload)."""
    found = {}
    for key, on in units_on_by_key(model.blocks[b].fleet).items():
        by_block = [model.terms_in(b, terms) for terms in on]
        found[key] = by_block[0] if len(by_block) == 1 else _largest(model, by_block)
    return found


def _largest(model: MonthsModel, sums: Sequence[Terms]) -> Terms:
    """A column that is the largest of some sums: no less than any, no more than one of them."""
    high = max(sum(c * float(v.upBound) for v, c in terms.items()) for terms in sums)
    most = model.column(high, integer=False)
    chosen = []
    for terms in sums:
        less = {column: -units for column, units in terms.items()}
        model.row({most: 1.0, **less}, GE, 0.0)
        chosen.append(is_it := model.column(1, integer=True))
        model.row({most: 1.0, is_it: high, **less}, LE, high)
    model.row(dict.fromkeys(chosen, 1.0), EQ, 1.0)
    return {most: 1.0}


def _keep_budgets(model: MonthsModel) -> None:
    """On average over the futures; and with what moves cost, which a block does not know."""
    shape = model.shape
    for i in range(shape.months):
        if (budget_usd := shape.mean_budget_usd) is not None:
            mean = model.mean(model.cash_of(f, i) for f in range(shape.futures))
            model.row({v: c / budget_usd for v, c in mean.items()}, LE, 1.0)
        for f in range(shape.futures):
            budget = model.blocks[shape.block(f, i)].fleet.problem.limits.budget
            if budget is not None and model._moves(f, range(i, i + 1)):
                cash = model.cash_of(f, i)
                model.row({v: c / budget.usd_per_month for v, c in cash.items()}, LE, 1.0)
