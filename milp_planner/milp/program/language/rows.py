"""Rows of the program, and the sums that rules write them with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pulp

from milp_planner.candidates.records import Candidate
from milp_planner.lazily import dataclass
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.plans.records import Purchase, SharedUnits

LE, EQ, GE = pulp.LpConstraintLE, pulp.LpConstraintEQ, pulp.LpConstraintGE
SENSES = {LE: "<=", EQ: "=", GE: ">="}


@dataclass(frozen=True)
class Row:
    """One row of the program: Σ terms (<=, =, >=) right."""

    name: str
    terms: Terms
    sense: int
    right: float

    @classmethod
    def at_most(cls, name: str, terms: Terms, most: float) -> Row:
        """Σ terms ≤ most."""
        return cls(name, terms, LE, most)

    @classmethod
    def at_least(cls, name: str, terms: Terms, least: float) -> Row:
        """Σ terms ≥ least."""
        return cls(name, terms, GE, least)


def scaled(name: str, terms: Terms, sense: int, right: float) -> Row:
    """The row divided by its right-hand side, so that coefficients stay near 1.

    Not for counts: whole numbers are exact, and a third of one, written with thirteen digits, has
    made HiGHS leave out fleets of exactly three.
    """
    if right <= 0:
        return Row(name, terms, sense, right)
    return Row(name, {v: c / right for v, c in terms.items()}, sense, 1.0)


def distinct(rows: Iterable[Row]) -> Iterator[Row]:
    """`rows` without those that say the same again, as blocks with the same units do."""
    seen: set[tuple[frozenset[tuple[pulp.LpVariable, float]], int, float]] = set()
    for row in rows:
        key = frozenset(row.terms.items()), row.sense, row.right
        if key not in seen:
            seen.add(key)
            yield row


def count_terms(fleet: Fleet, weighted: Iterable[tuple[Candidate, float]], t: int) -> Terms:
    """Σ weight · n_kt over candidates: what a rule of units or GPUs is written with.

    fleet: the columns of a program. weighted: candidates, and what a unit of each counts for. t:
    the number of a time block.

    Returns Terms: coefficients by column. Raises IndexError for a block that is not there.

    >>> from collections.abc import Iterator
    >>> from milp_planner import Fleet, Row, Rule, count_terms
    >>> class FewGpus(Rule):
    ...     def rows(self, fleet: Fleet) -> Iterator[Row]:
    ...         gpus = [(k, float(k.gpus_per_unit)) for k in fleet.candidates]
    ...         yield Row.at_most("GPUs", count_terms(fleet, gpus, 0), 8)
    """
    if t not in range(len(fleet.blocks)):
        raise IndexError(f"there is no block {t}: the month has {len(fleet.blocks)}")
    terms: Terms = {}
    for k, weight in weighted:
        for _, units in fleet.units_on(k, t):
            add(terms, units, weight)
    return terms


def most_at_once(purchases: Iterable[tuple[Purchase | SharedUnits, float]], blocks: int) -> float:
    """Largest Σ weight · units over the blocks."""
    pairs = list(purchases)
    return max(
        (sum(weight * p.units_by_block[t] for p, weight in pairs) for t in range(blocks)),
        default=0.0,
    )
