"""The least that is left unserved within a budget, and the cheapest way to leave no more.

    min Σ_wt v_wt s_wt,    Σ costs ≤ B,    s_wt ≤ F

Every workload takes one step of held units and in each block one of elastic ones. With a price y on
what is left unserved the blocks come apart: min Σ costs + y Σ v s − y U bounds what any plan
costs that leaves U. So a choice is out as soon as it takes more than B + y U for the best U known,
with the least of all else; the few that are left are merged, kept where none leaves as little for
less. Where they are too many it is for the solvers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from milp_planner.deadline import check, checked
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.curve import Curve, Priced
from milp_planner.milp.curves.staircase import Step

MOST_LABELS = 20_000
"""Merged choices beyond which it is left to the solvers."""

MOST_PRICES = 60
ROUNDS = 8
"""Widths that are tried below the whole gap of the bound: each twice the last."""

HELD_TOLERANCE = 1e-7
"""Share by which the cheapest way may leave more: as wherever a stage is held."""

SNAP_USD = 1e-9
"""Relative: floats summed over many choices."""


class TooMany(Exception):
    """More choices than are worth merging."""


@dataclass(frozen=True)
class Served:
    """What a budget serves."""

    fleets: tuple[tuple[Curve, Priced], ...]
    unserved: float
    """Share of the requests of the month, the least that there is."""

    usd_per_month: float


class Label(NamedTuple):
    """Choices made so far: what they cost, and what they leave."""

    usd: float
    unserved: float
    before: Label | None = None
    choice: object = None


class Option(NamedTuple):
    """One step of elastic units in a block."""

    usd: float
    unserved: float
    step: Step | None


@dataclass(frozen=True)
class Held:
    """One step of held units, with what each block may add."""

    usd: float
    step: Step
    blocks: Mapping[int, tuple[Option, ...]]

    def least(self, price: float, below: float = float("inf")) -> Label | None:
        """The cheapest choices at a price for what is left; None where they reach `below`."""
        usd, left, value = self.usd, 0.0, self.usd
        for options in self.blocks.values():
            best = min(options, key=lambda option: option.usd + price * option.unserved)
            usd, left = usd + best.usd, left + best.unserved
            value += best.usd + price * best.unserved
            if value >= below:
                return None
        return Label(usd, left)


def least_unserved(
    curves: Sequence[Curve],
    volumes: Sequence[Mapping[int, float]],
    share: Fraction,
    budget: float,
) -> Served | None:
    """The best within the budget that serves `share` of every peak at least.

    volumes: requests per month by block, of each curve, as shares of all. Returns None where there
    are too many choices. Raises OutOfTime when time is up.
    """
    groups = [list(_held(curve, own, share)) for curve, own in zip(curves, volumes, strict=True)]
    allowed = budget * (1 + SNAP_USD)
    price, bound, most = _price(groups, allowed)
    try:
        best = _best(groups, allowed, price, bound, most)
    except TooMany:
        return None
    if best is None:
        return None
    return Served(tuple(_fleets(curves, best)), best.unserved, best.usd)


def _held(curve: Curve, volumes: Mapping[int, float], share: Fraction) -> Iterator[Held]:
    """The steps of held units with which every block can carry its share, up to the first that
    leaves nothing to carry."""
    usd_unit = float(curve.usd_unit)
    least, capacities = curve.needs_for(share), curve.elastic.capacities
    usd = {t: float(hours * curve.usd_unit) for t, hours in curve.hours.items()}
    for held in checked(curve.held.steps):
        blocks: dict[int, tuple[Option, ...]] = {}
        for t, need in curve.needs.items():
            # from the first step that carries the share to the first that carries all
            first = bisect_left(capacities, least[t] - held.capacity)
            last = bisect_left(capacities, need - held.capacity, first)
            blocks[t] = tuple(
                Option(
                    usd[t] * step.cost,
                    volumes[t] * curve.lacking(t, held.capacity + step.capacity),
                    step,
                )
                for step in curve.elastic.steps[first : last + 1]
            )
        if all(blocks.values()):
            yield Held(held.cost * usd_unit, held, blocks)
        if held.capacity >= max(curve.needs.values(), default=0):
            return


def _price(groups: Sequence[Sequence[Held]], budget: float) -> tuple[float, float, float]:
    """(y, the least of Σ costs + y Σ v s, an amount left that the budget pays for).

    Of all prices the one with the highest bound, by secants of the bound's pieces.
    """
    cheap = _at(groups, 0.0)
    dear = _at(groups, float("inf"))
    price = 0.0
    for _ in range(MOST_PRICES):
        if dear.usd <= budget or cheap.unserved <= dear.unserved:
            break
        price = (dear.usd - cheap.usd) / (cheap.unserved - dear.unserved)
        found = _at(groups, price)
        value = found.usd + price * found.unserved
        if value >= (cheap.usd + price * cheap.unserved) * (1 - SNAP_USD):
            break
        if found.usd <= budget:
            cheap = found
        else:
            dear = found
    found = _at(groups, price)
    known = dear.unserved if dear.usd <= budget else cheap.unserved
    return price, found.usd + price * found.unserved, known


def _at(groups: Sequence[Sequence[Held]], price: float) -> Label:
    """The cheapest choices at a price; those that leave least, where it is infinite."""
    usd = left = 0.0
    for group in checked(groups):
        best: Label | None = None
        value = float("inf")
        for held in group:
            if price == float("inf"):
                own = Label(
                    held.usd + sum(o[-1].usd for o in held.blocks.values()),
                    sum(o[-1].unserved for o in held.blocks.values()),
                )
                better = best is None or (own.unserved, own.usd) < (best.unserved, best.usd)
                best = own if better else best
                continue
            if held.usd >= value:
                break
            own_or_none = held.least(price, value)
            if own_or_none is not None:
                best, value = own_or_none, own_or_none.usd + price * own_or_none.unserved
        assert best is not None
        usd, left = usd + best.usd, left + best.unserved
    return Label(usd, left)


def _best(
    groups: Sequence[Sequence[Held]], budget: float, price: float, bound: float, known: float
) -> Label | None:
    """Of the choices that may be best, those that leave least; of these, but for the tolerance
    within which a stage is held, the cheapest.

    What leaves U within the budget has a value of at most B + y U at the price.
    """

    def width_for(left: float) -> float:
        return max(0.0, budget + price * (left + HELD_TOLERANCE) - bound)

    widest = width_for(known) * (1 + SNAP_USD)
    width = widest / 2**ROUNDS
    while True:
        merged = _merged(groups, price, width)
        able = [label for label in merged if label.usd <= budget]
        if not able:
            if width >= widest:
                return None
            width = min(2 * width, widest)
            continue
        least = min(label.unserved for label in able)
        if width_for(least) <= width:
            few = [label for label in able if label.unserved <= least + HELD_TOLERANCE]
            return min(few, key=lambda label: (label.usd, label.unserved))
        width = width_for(least)


def _merged(groups: Sequence[Sequence[Held]], price: float, width: float) -> list[Label]:
    """All choices of all workloads whose value at the price is within `width` of the least, but for
    those that others leave no more than for no more."""
    labels = [Label(0.0, 0.0)]
    value = 0.0
    for group in groups:
        own = _own(group, price, width)
        least = min(one.usd + price * one.unserved for one in own)
        value += least
        labels = _pareto(
            (Label(a.usd + b.usd, a.unserved + b.unserved, a, b) for a in labels for b in own),
            price,
            value + width,
        )
    return labels


def _own(group: Sequence[Held], price: float, width: float) -> list[Label]:
    """The choices of one workload that are within `width` of its cheapest."""
    cheapest = [(held, label) for held in group if (label := held.least(price)) is not None]
    values = [label.usd + price * label.unserved for _, label in cheapest]
    most = min(values) + width * (1 + SNAP_USD) + SNAP_USD
    found: list[Label] = []
    for (held, _), value in zip(cheapest, values, strict=True):
        if value <= most:
            found += _of_blocks(held, price, value, most)
    return _pareto(found, price, most)


def _of_blocks(held: Held, price: float, value: float, most: float) -> list[Label]:
    """The choices with these held units; `value` is that of the cheapest."""
    labels = [Label(held.usd, 0.0, None, held)]
    slack = most - value
    so_far = held.usd
    for options in held.blocks.values():
        values = [option.usd + price * option.unserved for option in options]
        so_far += min(values)
        few = [o for o, v in zip(options, values, strict=True) if v <= min(values) + slack]
        labels = _pareto(
            (Label(a.usd + o.usd, a.unserved + o.unserved, a, o.step) for a in labels for o in few),
            price,
            so_far + slack,
        )
    return labels


def _pareto(labels: Iterator[Label] | list[Label], price: float, most: float) -> list[Label]:
    """Those of value at most `most` that no other leaves no more than for no more."""
    check()
    able = [one for one in labels if one.usd + price * one.unserved <= most]
    kept: list[Label] = []
    for one in sorted(able, key=lambda one: (one.usd, one.unserved)):
        if not kept or one.unserved < kept[-1].unserved:
            kept.append(one)
    if len(kept) > MOST_LABELS:
        raise TooMany
    return kept


def _fleets(curves: Sequence[Curve], best: Label) -> Iterator[tuple[Curve, Priced]]:
    """The fleet of each workload that the choices say."""
    own: list[Label] = []
    at: Label | None = best
    while at is not None and at.before is not None:
        assert isinstance(at.choice, Label)
        own.append(at.choice)
        at = at.before
    for curve, label in zip(curves, reversed(own), strict=True):
        steps: list[Step] = []
        inner: Label = label
        while inner.before is not None:
            assert isinstance(inner.choice, Step)
            steps.append(inner.choice)
            inner = inner.before
        assert isinstance(inner.choice, Held)
        elastic = dict(zip(inner.choice.blocks, reversed(steps), strict=True))
        yield curve, curve.priced(inner.choice.step, elastic)
