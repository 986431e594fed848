"""Reads a program of covering problems that rows of quotas link, as what it is.

    min Σ_k H c_k n_k + Σ_kt h_t c_k n_kt,   Σ_k a_k n_kt ≥ λ_t  ∀ w, t,   Σ_k g_rk n_kt ≤ Q_r  ∀ r

All numbers are those of the program's columns and rows, exact for its floats; bounds on single
units are left out, which makes nothing dearer.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import NamedTuple

import pulp

from milp_planner.candidates.records import Candidate, rests_when_idle
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.covering import carried, is_known, rows_beside_coverage
from milp_planner.milp.program.language.rows import LE
from milp_planner.milp.program.language.variables import Fleet, merged
from milp_planner.milp.program.model import FleetModel


class Unit(NamedTuple):
    """A column: units of a candidate, held all month or on in one block."""

    candidate: Candidate
    carries: Fraction
    """What one carries at its highest utilization, requests/s."""

    usd: Fraction
    """What one costs in the month."""

    uses: Mapping[int, Fraction]
    """What one takes of each link, by its number."""


@dataclass(frozen=True)
class LinkedCover:
    """One workload: what may be rented and what its blocks ask for, in exact fractions."""

    workload: str
    held: tuple[Unit, ...]
    elastic: Mapping[int, tuple[Unit, ...]]
    """By block."""

    resting: frozenset[Candidate]
    """Of the held ones those that are off in blocks without load."""

    peaks: Mapping[int, Fraction]
    """Requests/s by block with load."""


@dataclass(frozen=True)
class Linked:
    """The workloads of a program, and what links them."""

    covers: tuple[LinkedCover, ...]
    most: tuple[Fraction, ...]
    """The right side of each link."""

    names: tuple[str, ...]
    """What each link says."""

    blocks: int

    @property
    def rows(self) -> int:
        """How many the program has."""
        return len(self.most) + sum(len(cover.peaks) for cover in self.covers)

    @property
    def columns(self) -> int:
        """How many the program has."""
        return sum(len(cover.held) + sum(map(len, cover.elastic.values())) for cover in self.covers)


def linked_covers_of(model: FleetModel) -> Linked | None:
    """The workloads of a program, with what links them; None where it is anything else."""
    fleet, instance = model.fleet, model.fleet.instance
    if not is_known(instance) or instance.current_units():
        return None
    if {column.name for column in fleet.units.values()} != set(fleet.meaning):
        return None
    links = rows_beside_coverage(model)
    usd = merged(model.costs.values())
    if not links or not all(_is_plain(v, usd.get(v, 0.0)) for v in fleet.units.values()):
        return None
    uses: dict[str, dict[int, Fraction]] = {}
    most: list[Fraction] = []
    for number, name in enumerate(links):
        row = model.lp.get_constraint_by_name(name)
        terms = dict(row.items())
        if row.sense != LE or row.constant > 0 or min(terms.values(), default=0.0) < 0:
            return None
        most.append(-Fraction(row.constant))
        for column, taken in terms.items():
            uses.setdefault(column.name, {})[number] = Fraction(taken)
    costs = {v.name: Fraction(cost) for v, cost in usd.items()}
    covers = tuple(_cover(fleet, w.name, costs, uses) for w in instance.problem.workloads)
    names = tuple(model.row_meaning[name] for name in links)
    return Linked(covers, tuple(most), names, len(fleet.blocks))


def _is_plain(units: pulp.LpVariable, usd: float) -> bool:
    """True of any whole number of units that costs something."""
    return usd > 0 and not units.lowBound and units.cat == pulp.LpInteger


def _cover(
    fleet: Fleet,
    workload: str,
    usd: Mapping[str, Fraction],
    uses: Mapping[str, Mapping[int, Fraction]],
) -> LinkedCover:
    busy, mine = fleet.busy(workload), fleet.gpu_candidates(workload)

    def units(some: Iterable[Candidate], t: int) -> tuple[Unit, ...]:
        found = []
        for k in some:
            rate = Fraction(carried(fleet, k))
            for _, column in fleet.units_on(k, t) if rate > 0 else ():
                found.append(Unit(k, rate, usd[column.name], uses.get(column.name, {})))
        return tuple(found)

    return LinkedCover(
        workload=workload,
        held=units((k for k in mine if not fleet.elastic(k)), busy[0]) if busy else (),
        elastic={t: units((k for k in mine if fleet.elastic(k)), t) for t in busy},
        resting=frozenset(k for k in mine if rests_when_idle(fleet.problem, k)),
        peaks={t: Fraction(fleet.demand(workload).peak[t]) for t in busy},
    )
