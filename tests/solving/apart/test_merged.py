"""Lists of parts merged: the next plan is the one that listing every fleet of all finds."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from milp_planner.milp.program.exclusion import DIFFERENCES, Difference
from milp_planner.solving.apart.merged import Merged, NextOfParts
from milp_planner.solving.apart.served import Found, Served, Spare

Units = Mapping[tuple[str, str], tuple[int, ...]]
"""On in each block, by workload and offering."""

PROVIDERS = {"a": "acme", "b": "bolt", "c": "acme", "d": "coda"}
GPUS = {"a": "l4", "b": "l4", "c": "h100", "d": "h200"}


def kind(workload: str, name: str) -> Any:
    offering = SimpleNamespace(id=name, billing="dedicated")
    mode = SimpleNamespace(per_token=False)
    told = {"provider": PROVIDERS[name], "gpu": GPUS[name], "id": f"{name} {workload}"}
    return SimpleNamespace(offering=offering, workload=workload, mode=mode, **told)


def plan_of(units: Units, usd: float) -> Any:
    bought = [
        SimpleNamespace(candidate=kind(*key), units_by_block=on)
        for key, on in units.items()
        if any(on)
    ]
    return SimpleNamespace(rented=bought, purchases=bought, score_usd_per_month=usd, units=units)


class Part:
    """A workload that is listed whole: every fleet of up to three units of each kind."""

    def __init__(self, name: str, rng: random.Random, difference: Difference, hours: list[float]):
        self.workloads = frozenset([name])
        self.difference = difference
        blocks = range(len(hours))
        offered = rng.sample("abcd", 2)
        price = {offer: rng.choice([1.0, 1.3, 1.7, 2.0, 2.9]) for offer in offered}
        carries = {offer: rng.choice([0.5, 0.8, 1.1, 2.0]) for offer in offered}
        rests = {offer: len(hours) > 1 and rng.random() < 0.5 for offer in offered}
        needed = [rng.choice([1.0, 1.5, 2.4]) for _ in blocks]
        self.units = [
            Spare(
                sum(price[offer] * hours[t] for t in on),
                name_of(difference, name, offer),
                kind(name, offer),
                frozenset(((offer, "dedicated", name), t) for t in on),
            )
            for offer in offered
            for on in ([[t] for t in blocks] if rests[offer] else [list(blocks)])
        ]
        choices = [
            itertools.product(range(4), repeat=len(hours))
            if rests[offer]
            else [(n,) * len(hours) for n in range(4)]
            for offer in offered
        ]
        self.fleets = sorted(
            (
                plan_of(
                    {(name, offer): on for offer, on in zip(offered, counts, strict=True)},
                    sum(
                        price[offer] * on[t] * hours[t]
                        for offer, on in zip(offered, counts, strict=True)
                        for t in blocks
                    ),
                )
                for counts in itertools.product(*choices)
                if all(
                    sum(carries[offer] * on[t] for offer, on in zip(offered, counts, strict=True))
                    >= needed[t]
                    for t in blocks
                )
            ),
            key=lambda plan: plan.score_usd_per_month,
        )
        self.is_priced = True

    def bring_back(self, earlier: Sequence[Any]) -> None:
        pass  # nothing stands in for anything

    def next_of(self, known: Sequence[Served], *, at_length: bool) -> Found:
        plans = [one.plan for one in known]
        return self._first(lambda plan: all(allows(self.difference, plan, one) for one in plans))

    def others_of(self, one: Served, known: Sequence[Served]) -> Found:
        plans = [one.plan, *(other.plan for other in known)]
        return self._first(
            lambda plan: (
                names(self.difference, plan) == one.names
                and not any(contains(plan, other) for other in plans)
            )
        )

    def more_than(self, one: Served, have: frozenset[str], known: Sequence[Served]) -> Found:
        return self._first(
            lambda plan: (
                contains(plan, one.plan)
                and not names(self.difference, plan) <= have
                and not any(contains(plan, other.plan) for other in known)
            )
        )

    def spares(self) -> Sequence[Spare] | None:
        return self.units if self.is_priced else None

    def _first(self, is_one: Any) -> Found:
        plan = next((plan for plan in self.fleets if is_one(plan)), None)
        if plan is None:
            return Found(None, math.inf)
        served = Served.of(plan, self.difference)
        return Found(served, served.usd)


# --- what a next-best plan is, in a few lines of its own ------------------------------------------


def name_of(difference: Difference, workload: str, offer: str) -> str:
    plain = {"providers": PROVIDERS[offer], "gpus": GPUS[offer]}
    named = plain.get(difference.differ_by, f"{offer} dedicated")
    return f"{workload}: {named}" if difference.per_workload else named


def names(difference: Difference, plan: Any) -> frozenset[str]:
    if difference.differ_by == "counts":
        return frozenset()
    return frozenset(
        name_of(difference, workload, offer)
        for (workload, offer), on in plan.units.items()
        if any(on)
    )


def contains(plan: Any, other: Any) -> bool:
    return all(
        n >= m
        for key, on in other.units.items()
        for n, m in zip(plan.units.get(key, (0,) * len(on)), on, strict=True)
    )


def allows(difference: Difference, plan: Any, earlier: Any) -> bool:
    is_another_set = names(difference, plan) != names(difference, earlier)
    return not contains(plan, earlier) and (difference.differ_by == "counts" or is_another_set)


def every_fleet(parts: Sequence[Part]) -> list[Any]:
    """All of them, as far as each part's first hundred go, the cheapest first."""
    shown = [part.fleets[: 100 if len(parts) == 2 else 30] for part in parts]
    dearest = min(
        fleets[-1].score_usd_per_month
        + sum(other[0].score_usd_per_month for other in shown if other is not fleets)
        for fleets in shown
    )
    joined = (
        plan_of(
            {key: on for plan in plans for key, on in plan.units.items()},
            sum(plan.score_usd_per_month for plan in plans),
        )
        for plans in itertools.product(*shown)
    )
    below = (plan for plan in joined if plan.score_usd_per_month < dearest)
    return sorted(below, key=lambda plan: plan.score_usd_per_month)


def joined(found: NextOfParts, blocks: int) -> Any:
    """What was found, as a plan of all."""
    units: dict[tuple[str, str], list[int]] = {}
    uses = [dict(one.uses) for one in found.parts]
    uses += [dict.fromkeys(spare.uses, 1) for spare in found.spares]
    for used in uses:
        for ((offer, _, workload), t), n in used.items():
            units.setdefault((workload, offer), [0] * blocks)[t] += n
    return plan_of({key: tuple(on) for key, on in units.items()}, found.usd_per_month)


def drawn(seed: int, differ_by: str) -> tuple[list[Part], Difference, random.Random]:
    rng = random.Random(seed)
    difference = Difference(differ_by, rng.random() < 0.2)
    hours = rng.choice([[7.0], [7.0], [2.0, 5.3]])
    several = range(rng.choice([2, 2, 3]))
    return [Part(f"w{i}", rng, difference, hours) for i in several], difference, rng


@pytest.mark.parametrize("differ_by", ["counts", *DIFFERENCES])
@pytest.mark.parametrize("seed", range(12))
def test_each_next_plan_costs_what_the_cheapest_that_is_left_costs(differ_by, seed):
    parts, difference, rng = drawn(seed, differ_by)
    fleets, found = every_fleet(parts), list[Any]()
    merged = Merged(parts, difference)
    blocks = len(next(iter(fleets[0].units.values())))
    for _ in range(8):
        left = [fleet for fleet in fleets if all(allows(difference, fleet, one) for one in found)]
        pending = rng.sample(left[:5], rng.choice([0, 0, 1, 2])) if len(left) > 5 else []
        allowed = [fleet for fleet in left if not any(contains(fleet, one) for one in pending)]
        if not allowed:
            return
        answer = merged.after(found, pending)
        assert answer is not None
        plan = joined(answer, blocks)
        assert plan.score_usd_per_month == pytest.approx(allowed[0].score_usd_per_month, abs=0.006)
        assert all(allows(difference, plan, one) for one in found)
        assert not any(contains(plan, one) for one in pending)
        found.append(plan)


@pytest.mark.parametrize("differ_by", DIFFERENCES)
@pytest.mark.parametrize("seed", range(12, 40))
def test_where_units_have_no_price_of_their_own_parts_tell_as_well(differ_by, seed):
    parts, difference, _ = drawn(seed, differ_by)
    for part in parts:
        part.is_priced = False
    fleets, found = every_fleet(parts), list[Any]()
    merged = Merged(parts, difference)
    blocks = len(next(iter(fleets[0].units.values())))
    for _ in range(6):
        left = [fleet for fleet in fleets if all(allows(difference, fleet, one) for one in found)]
        if not left:
            return
        answer = merged.after(found)
        assert answer is not None
        assert answer.usd_per_month == pytest.approx(left[0].score_usd_per_month, abs=0.006)
        assert not answer.spares
        found.append(joined(answer, blocks))
        assert all(allows(difference, found[-1], one) for one in found[:-1])


def test_a_set_of_names_counts_over_all_parts():
    # `a` is dearer than `b` for both, and carries as much. Once the plans with `b` alone and with
    # both are found, `w0` on `a` and `w1` on `b` has the names of the second: the next one has `a`
    # alone, which costs more.
    difference = Difference("offerings")
    parts = [Part(f"w{i}", random.Random(0), difference, [1.0]) for i in range(2)]
    for i, part in enumerate(parts):
        part.fleets = [
            plan_of({(f"w{i}", "b"): (1,)}, 10.0),
            plan_of({(f"w{i}", "a"): (1,)}, 11.0 + i),
        ]
        part.units = []
    merged, found = Merged(parts, difference), list[Any]()
    for usd in (20.0, 21.0, 23.0):
        answer = merged.after(found)
        assert answer is not None
        assert answer.usd_per_month == usd
        found.append(joined(answer, 1))
    assert merged.after(found) is None


def test_a_unit_more_of_a_new_name_makes_another_plan_of_names_that_were_there():
    # `w0` on three `b` has with `w1` on `a` the names of the first plan. Beside a unit of `c`,
    # which costs 3, it has others, and costs less than what comes after it.
    difference = Difference("offerings")
    parts = [Part(f"w{i}", random.Random(0), difference, [1.0]) for i in range(2)]
    first = [plan_of({("w0", "b"): (1,), ("w0", "a"): (1,)}, 10.0)]
    parts[0].fleets = [*first, plan_of({("w0", "b"): (3,)}, 11.0)]
    parts[1].fleets = [plan_of({("w1", "a"): (1,)}, 10.0), plan_of({("w1", "d"): (1,)}, 20.0)]
    spare = frozenset([(("c", "dedicated", "w1"), 0)])
    parts[0].units = []
    parts[1].units = [Spare(3.0, "c dedicated", kind("w1", "c"), spare)]
    answer = Merged(parts, difference).after(
        [plan_of({("w0", "b"): (1,), ("w0", "a"): (1,), ("w1", "a"): (1,)}, 20.0)]
    )
    assert answer is not None
    assert answer.usd_per_month == 24.0
    assert [one.name for one in answer.spares] == ["c dedicated"]
