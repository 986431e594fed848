"""Rent that is paid already, and does not depend on what is used of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from milp_planner.candidates.paying.commitments import (
    Covered,
    Key,
    commitments_of,
    covered,
    is_free,
)
from milp_planner.candidates.records import Candidate, PlanningInput, UnitsOn
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.records import Problem
from milp_planner.milp.program.language.cost import CashTerm
from milp_planner.milp.program.language.rule import FREE, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.milp.program.rules.commitments import Commitments, rented
from milp_planner.plans.consequences import CommitmentUse
from milp_planner.plans.records import Purchase, Route
from milp_planner.traffic.month import TimeBlock


class CommitmentsPaid(CashTerm):
    """−Σ_cot g_c h_t c_o f_cot: the rent of units that are covered, g_c the part of the month that
    is paid; see `Commitments`."""

    name = "commitments"
    keys = Commitments.keys

    def is_told(self, problem: Problem) -> bool:
        return bool(problem.commitments)

    def terms(self, fleet: Fleet) -> Terms:
        of_key = {k.offering.key: k for k in fleet.candidates}
        return {
            column: -sum(fleet.blocks[t].hours for t in blocks) * one.saved_by(rented(of_key[key]))
            for (one, key, blocks), column in fleet.covered.items()
        }

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """What is covered of a stand-in, `Commitments` says."""
        return FREE

    def shared_usd(
        self,
        instance: PlanningInput,
        purchases: Sequence[Purchase],
        routes: Sequence[Route],
        shared: Sequence[UnitsOn],
    ) -> Mapping[Candidate, float]:
        """Units of an offering bear what is covered of it in proportion; of those that replicas
        share, these do by the GPUs that they hold."""
        saved: dict[Candidate, float] = {}
        whole = [*(p for p in purchases if not p.candidate.part_of_unit), *shared]
        for t, block in enumerate(instance.schedule.blocks):
            on = units_on(whole, t, block)
            by_key: dict[Key, float] = {}
            for (one, key), units in covered(commitments_of(instance), on).items():
                usd = units * one.saved_by(on[key][0]) * block.hours
                by_key[key] = by_key.get(key, 0.0) + usd
            units_of = _units_of(purchases, shared, t, block)
            for k, units in units_of.items():
                if units and k.offering.key in by_key:
                    part = units / on[k.offering.key][1]
                    saved[k] = saved.get(k, 0.0) - part * by_key[k.offering.key]
        return saved


def _units_of(
    purchases: Sequence[Purchase], shared: Sequence[UnitsOn], t: int, block: TimeBlock
) -> dict[Candidate, float]:
    """Units that each purchase has in a block, or its part of those that it shares."""
    rented = {one.candidate.offering.key: one.units_by_block[t] for one in shared}
    gpus: dict[Key, int] = {}
    for p in purchases:
        if p.candidate.part_of_unit:
            key = p.candidate.offering.key
            gpus[key] = gpus.get(key, 0) + p.candidate.gpus_per_unit * p.units_by_block[t]
    return {
        k: rented[k.offering.key] * k.gpus_per_unit * units / gpus[k.offering.key]
        if k.part_of_unit and units
        else float(k.units_joined * time)
        for k, units, time in (
            (p.candidate, p.units_by_block[t], _time_on(p, t, block)) for p in purchases
        )
    }


def units_on(
    rented: Sequence[UnitsOn], t: int, block: TimeBlock
) -> dict[Key, tuple[Offering, float]]:
    """Units on in a block by offering, over all workloads; of a batch's for the time on in it."""
    on: dict[Key, tuple[Offering, float]] = {}
    for p in rented:
        k = p.candidate
        if isinstance(k.offering, Offering) and p.units_by_block[t]:
            _, before = on.get(k.offering.key, (k.offering, 0.0))
            on[k.offering.key] = k.offering, before + k.units_joined * _time_on(p, t, block)
    return on


def _time_on(p: UnitsOn, t: int, block: TimeBlock) -> float:
    """Units' time of a block that is paid for."""
    return p.units_by_block[t] * p.hours_by_block[t] / block.hours


def commitments_used(
    instance: PlanningInput, rented: Sequence[UnitsOn]
) -> tuple[CommitmentUse, ...]:
    """What is used of every commitment, in order, and of all units at a price of 0."""
    return (*_uses(instance, rented), *_free_uses(instance, rented))


def _uses(instance: PlanningInput, rented: Sequence[UnitsOn]) -> Iterator[CommitmentUse]:
    paid = commitments_of(instance)
    on = [units_on(rented, t, block) for t, block in enumerate(instance.schedule.blocks)]
    by_block: list[Covered] = [covered(paid, units) for units in on]
    hours = [block.hours for block in instance.schedule.blocks]
    for one in paid:
        used = saved = 0.0
        for t, found in enumerate(by_block):
            for (other, key), units in found.items():
                if other.number == one.number:
                    offering, _ = on[t][key]
                    used += hours[t] * one.month_share * units * one.taken_by(offering)
                    saved += hours[t] * units * one.saved_by(offering)
        asked = one.commitment
        yield CommitmentUse(
            offering=asked.offering,
            billing=asked.billing or "",
            units=asked.units,
            usd_per_hour=asked.usd_per_hour,
            until=asked.until,
            paid=one.amount * one.month_share * sum(hours),
            used=used,
            saved_usd_per_month=saved,
        )


def _free_uses(instance: PlanningInput, rented: Sequence[UnitsOn]) -> Iterator[CommitmentUse]:
    """What is used of units at a price of 0 that could serve some workload."""
    blocks = instance.schedule.blocks
    free: dict[Key, Offering] = {
        o.key: o
        for k in instance.candidates.candidates
        if isinstance(o := k.offering, Offering) and is_free(o)
    }
    on = [units_on(rented, t, block) for t, block in enumerate(blocks)] if free else []
    for key, offering in sorted(free.items()):
        units = offering.max_units or 0
        used = (found[key][1] if key in found else 0.0 for found in on)
        yield CommitmentUse(
            offering=offering.id,
            billing=offering.billing,
            units=units,
            usd_per_hour=None,
            until=None,
            paid=units * sum(block.hours for block in blocks),
            used=sum(block.hours * n for block, n in zip(blocks, used, strict=True)),
            saved_usd_per_month=0.0,
        )
