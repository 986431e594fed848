"""Rows by which a program knows that requests can be routed, with no column for who serves whom.

With r_q the part of the requests of a workload that class q is, σ_g the share that a group of its
offerings may serve at most, and v_k the prices v_g of the groups of k together, there are routes in
block t if and only if for all prices π_q ≥ 0 of classes and v_g ≥ 0 of groups

    Σ_k a_k n_kt + Σ_{k per token} Σ_q (π_q − v_k) r_q x_qkt + Σ_q (π_q − Σ_g σ_g v_g) r_q s_qt
        ≥ Σ_q π_q r_q − Σ_g σ_g v_g                  a_k = u max_q max(0, π_q − v_k) μ_kq ÷ λ_t

Proof. y_kq units of k busy on class q route everything if Σ_k μ_kq y_kq covers what of the class is
not served per token and not left out, Σ_q y_kq ≤ u n_kt, and no group serves more than its share.
By Farkas' lemma there is no such y ≥ 0 if and only if some π, v and w_k ≥ (π_q − v_k) μ_kq break
the row with u w_k in place of a_k; the least w_k ≥ 0 is the largest of these. ∎ (Gale, Kuhn, Tucker
1951.) Serving more than the load is no help: less can be served, and no limit minds.

Prices have nothing to do with loads, costs or quotas: those found in one block hold in all, in
next-best plans and in parts. Whatever they are, the row is valid; who found them need not be right.

Units are whole, so that one need not count for more than all that its candidate can be worth:

    min(u_l a_k, c_k) n_klt      c_k = max Σ_q max(0, π_q − v_k) z_q,   z_q ≤ r_q,   Σ_q z_q ≤ σ_k

σ_k is the least share of the groups of k. Proof: what all units of k serve is such a z. ∎ Where
there are only units, one that makes up all of the right side is enough, too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.class_prices import ClassPrices
from milp_planner.milp.program.language.group_rule import GroupRule
from milp_planner.milp.program.language.rows import GE, LE, Row
from milp_planner.milp.program.language.variables import Fleet, Terms, add

LEAST_ASKED = 1e-6
"""Parts of the requests that are next to none: no check of a plan could tell them."""

LEAST = 1e-8
"""The least that a column counts for in a row; less is rounded up to it."""

FIRST_WORK = 3
"""Offerings by whose work a fresh program prices the classes."""


class GroupLimit(NamedTuple):
    """A rule by which no group serves more than a share of a workload's requests."""

    rule: GroupRule
    share: float


def group_limits(problem: Problem, rules: Sequence[object]) -> tuple[GroupLimit, ...]:
    """The limits in force on what a group of offerings serves."""
    found = ((rule, rule.share(problem)) for rule in rules if isinstance(rule, GroupRule))
    return tuple(GroupLimit(rule, share) for rule, share in found if share is not None)


def first_prices(fleet: Fleet, workload: str) -> Iterator[ClassPrices]:
    """Each class alone, every request alike, and the work of the cheapest that serve all."""
    parts = [q.share for q in fleet.demand(workload).classes]
    yield priced(parts, [1.0] * len(parts))
    if len(parts) == 1:
        return
    for q in range(len(parts)):
        yield priced(parts, [float(i == q) for i in range(len(parts))])
    able = [k for k in fleet.gpu_candidates(workload) if k.serves_all]
    cheapest = sorted(able, key=lambda k: (k.usd_per_hour / k.mix_requests_per_second, k.id))
    for k in cheapest[:FIRST_WORK]:
        yield priced(parts, [1 / rate for rate in k.requests_per_second])


def priced(
    parts: Sequence[float],
    by_class: Sequence[float],
    by_group: Sequence[tuple[str, str, float]] = (),
) -> ClassPrices:
    """Prices in proportion to these, of which a request of the mix counts for 1.

    parts: of the requests, by class.
    """
    mean = sum(part * price for part, price in zip(parts, by_class, strict=True))
    of_groups = [(rule, group, round(price / mean, 12)) for rule, group, price in by_group]
    return ClassPrices(
        tuple(round(price / mean, 12) for price in by_class),
        tuple(sorted(one for one in of_groups if one[2] > 0)),
    )


def route_rows(fleet: Fleet, workload: str) -> Iterator[Row]:
    """What every known price asks for in every block, and what is served per token, at most."""
    limits = group_limits(fleet.problem, fleet.rules)
    known = [_Counted(fleet, workload, prices, limits) for prices in fleet.prices[workload]]
    for t in fleet.busy(workload):
        for number, counted in enumerate(known):
            if not counted.asks_nothing:
                yield counted.row(f"{workload} {t} by prices {number}", t)
        for q in fleet.classes(workload):
            tokens = {
                fleet.shares[k, q, t]: 1.0
                for k in fleet.serving(workload)
                if (k, q, t) in fleet.shares
            }
            if (workload, q, t) in fleet.shortfalls:
                tokens[fleet.shortfalls[workload, q, t]] = 1.0
            if tokens:
                yield Row(f"{workload} {t} {q} shares", tokens, LE, 1.0)


def price_row(fleet: Fleet, workload: str, prices: ClassPrices, t: int) -> Row:
    """What these prices ask for in a block."""
    limits = group_limits(fleet.problem, fleet.rules)
    return _Counted(fleet, workload, prices, limits).row(f"{workload} {t}", t)


class _Counted:
    """What the units of a workload count for by one set of prices, in all of its blocks."""

    def __init__(
        self, fleet: Fleet, workload: str, prices: ClassPrices, limits: Sequence[GroupLimit]
    ) -> None:
        self.fleet, self.workload = fleet, workload
        self.parts = [q.share for q in fleet.demand(workload).classes]
        self.charged = {(rule, group): price for rule, group, price in prices.by_group}
        self.prices, self.limits = prices.by_class, limits
        self.freed = sum(
            limit.share * price
            for limit in limits
            for (rule, _), price in self.charged.items()
            if rule == limit.rule.name
        )
        self.asked = sum(a * b for a, b in zip(self.parts, self.prices, strict=True)) - self.freed
        self.is_of_units = not any(name == workload for name, *_ in fleet.shortfalls) and not any(
            k.mode.per_token for k in fleet.serving(workload)
        )
        self.per_rate = {k: self._of_unit(k) for k in fleet.gpu_candidates(workload)}

    @property
    def asks_nothing(self) -> bool:
        """True where units alone are asked for next to nothing."""
        return self.is_of_units and self.asked < LEAST_ASKED

    def row(self, name: str, t: int) -> Row:
        """The row of a block, divided by what it asks for where that is something.

        What is enough alone counts for exactly 1: the last digits of 1.00000000001 have made HiGHS
        call a dearer fleet optimal. A row of floats is off by less than any solver looks at.
        """
        fleet, load = self.fleet, self.fleet.demand(self.workload).peak[t]
        asked = self.asked if self.asked >= LEAST_ASKED else 1.0
        terms: Terms = {}
        for k, (worth, most) in self.per_rate.items():
            for level, units in fleet.units_on(k, t):
                ceiling = fleet.levels[self.workload][level].ceiling
                add(terms, units, _kept(min(ceiling * worth / load, most) / asked))
        for (k, q), value in self._open(t):
            add(terms, fleet.shares[k, q, t], _kept(value / asked))
        for q, part in enumerate(self.parts):
            short = fleet.shortfalls.get((self.workload, q, t))
            if short is not None:
                add(terms, short, _kept((self.prices[q] - self.freed) * part / asked))
        return Row(name, terms, GE, self.asked / asked)

    def _of_unit(self, k: Candidate) -> tuple[float, float]:
        """(what a unit of 1 is worth for a load of 1 request/s, what all units of it can be)."""
        values = [max(0.0, price - self._charge(k)) for price in self.prices]
        worth = max(v * rate for v, rate in zip(values, k.requests_per_second, strict=True))
        left = min((limit.share for limit in self._limits_of(k)), default=1.0)
        most = 0.0
        for value, part in sorted(zip(values, self.parts, strict=True), reverse=True):
            taken = min(part, left)
            most, left = most + value * taken, left - taken
        return worth, min(most, max(0.0, self.asked)) if self.is_of_units else most

    def _open(self, t: int) -> Iterator[tuple[tuple[Candidate, int], float]]:
        """What is served per token, and what all of a class counts for there."""
        for k in self.fleet.serving(self.workload):
            for q, part in enumerate(self.parts):
                if (k, q, t) in self.fleet.shares:
                    yield (k, q), (self.prices[q] - self._charge(k)) * part

    def _charge(self, k: Candidate) -> float:
        """v_k."""
        return sum(
            self.charged.get((limit.rule.name, limit.rule.group_of(k)), 0.0)
            for limit in self._limits_of(k)
        )

    def _limits_of(self, k: Candidate) -> Iterator[GroupLimit]:
        return (limit for limit in self.limits if limit.rule.group_of(k))


def _kept(value: float) -> float:
    """What a column counts for; next to nothing is rounded up, which no fleet loses by."""
    if value <= 0:
        return 0.0 if value > -LEAST else value
    return max(value, LEAST)
