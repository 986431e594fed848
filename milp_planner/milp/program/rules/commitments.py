"""How many units are paid already, of those that are on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pulp

from milp_planner.candidates.paying.commitments import (
    PaidCommitment,
    commitments_of,
    covered,
    covering,
)
from milp_planner.candidates.records import (
    Candidate,
    PlanningInput,
    is_elastic,
    rests_when_idle,
)
from milp_planner.inputs.catalog.records import Offering
from milp_planner.milp.program.language.rows import LE, Row
from milp_planner.milp.program.language.rule import FREE, Standing, Structural
from milp_planner.milp.program.language.variables import Fleet, Terms, add
from milp_planner.plans.records import Plan

Key = tuple[str, str]
"""(offering id, billing)."""


class Commitments(Structural):
    """A commitment covers no more than it is of, and only units that are on.

        Σ_o a_co f_cot ≤ A_c  ∀ c, t                               [units, or USD/h]
        Σ_c f_cot ≤ Σ_{k ∈ o} m_k n_kt  ∀ o, t                     [units]

    f_cot is units of offering o that commitment c covers; A_c its units, of which each takes
    a_co = 1, or its USD an hour, of which each takes its price less the discount. What is covered
    saves its rent (see `CommitmentsPaid`), so that as much is covered as the rows let be. Blocks in
    which all columns that may be covered are the same share their f. Elastic units of a batch count
    for the units' time of a block that they are on, e_kt (see `BatchWork`): one may be on after the
    other.
    """

    keys = frozenset(
        (
            *("commitments.offering", "commitments.billing", "commitments.units"),
            *("commitments.usd_per_hour", "commitments.discount", "commitments.until"),
        )
    )

    def columns(self, fleet: Fleet) -> None:
        for blocks, key, candidates, paid in _parts(fleet):
            for one in paid:
                meaning = f"covered[{one.number} {' '.join(key)} {_named(fleet, blocks)}]"
                most = one.amount / one.taken_by(rented(candidates[0]))
                fleet.covered[one, key, blocks] = fleet.column(meaning, most, integer=False)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        taken: dict[tuple[PaidCommitment, tuple[int, ...]], Terms] = {}
        for blocks, key, candidates, paid in _parts(fleet):
            on: Terms = {}
            for k in candidates:
                for column in _paid(fleet, k, blocks[0]):
                    add(on, column, -float(k.units_joined))
            mine = {one: fleet.covered[one, key, blocks] for one in paid}
            name = f"{' '.join(key)} {_named(fleet, blocks)}"
            yield Row(name, {**on, **dict.fromkeys(mine.values(), 1.0)}, LE, 0.0)
            for one, column in mine.items():
                taken.setdefault((one, blocks), {})[column] = one.taken_by(rented(candidates[0]))
        for (one, blocks), terms in taken.items():
            yield Row(f"{one.number} {_named(fleet, blocks)}", terms, LE, one.amount)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # it defines what is saved; `verify` recomputes that

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in is covered by the same commitments, in the same hours, unit for unit.

        Of replicas that share units it is the units that are covered.
        """
        mine = covering(commitments_of(instance), k)
        if k.part_of_unit or not mine:
            return Standing(same=FREE.same, uses=(0.0,))
        problem = instance.problem
        hours = is_elastic(problem, k), rests_when_idle(problem, k)
        numbers = tuple(one.number for one in mine)
        return Standing(same=(numbers, hours), uses=(float(k.units_joined),))


Part = tuple[tuple[int, ...], Key, list[Candidate], tuple[PaidCommitment, ...]]
"""(blocks, offering, its candidates that may be on in them, the commitments that may cover it)."""


def _parts(fleet: Fleet) -> Iterator[Part]:
    """What may be covered: blocks in which the same columns are on, offering by offering."""
    paid = commitments_of(fleet.instance)
    offerings: dict[Key, list[Candidate]] = {}
    for k in fleet.rentable if paid else ():
        if covering(paid, k):
            offerings.setdefault(k.offering.key, []).append(k)
    alike: dict[frozenset[object], list[int]] = {}
    for t in range(len(fleet.blocks)):
        every = (k for candidates in offerings.values() for k in candidates)
        columns = frozenset(column for k in every for column in _paid(fleet, k, t))
        alike.setdefault(columns, []).append(t)
    for blocks in map(tuple, alike.values()):
        for key, candidates in offerings.items():
            if any(True for k in candidates for _ in fleet.units_on(k, blocks[0])):
                yield blocks, key, candidates, covering(paid, candidates[0])


def _paid(fleet: Fleet, k: Candidate, t: int) -> Iterator[pulp.LpVariable]:
    """The columns of what is paid for in a block: units, of a batch the time that they are on."""
    running = fleet.running.get((k, t))
    yield from (units for _, units in fleet.units_on(k, t)) if running is None else (running,)


def covered_anew(fleet: Fleet, values: Mapping[str, float]) -> Mapping[str, float]:
    """The columns with as much covered of the units that are on in them as there can be."""
    paid = commitments_of(fleet.instance)
    found = dict.fromkeys((column.name for column in fleet.covered.values()), 0.0)
    for blocks in dict.fromkeys(blocks for _, _, blocks in fleet.covered):
        on: dict[Key, tuple[Offering, float]] = {}
        for k in fleet.rentable:
            paid_for = [values.get(n.name, 0.0) for n in _paid(fleet, k, blocks[0])]
            whole = paid_for if (k, blocks[0]) in fleet.running else map(round, paid_for)
            units = k.units_joined * sum(whole)
            before = on.get(k.offering.key, (rented(k), 0.0))[1]
            on[k.offering.key] = rented(k), before + units
        for (one, key), units_covered in covered(paid, on).items():
            found[fleet.covered[one, key, blocks].name] = units_covered
    return {**values, **found}


def rented(k: Candidate) -> Offering:
    """The offering of a candidate that is paid by the unit."""
    assert isinstance(k.offering, Offering)
    return k.offering


def _named(fleet: Fleet, blocks: tuple[int, ...]) -> str:
    first, more = fleet.blocks[blocks[0]].name, len(blocks) - 1
    return f"{first} and {more} more" if more else first
