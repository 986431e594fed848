"""Prices of a user's own that look as if they were typed for one GPU, or for a whole node.

Each is held against the same provider's other prices for that GPU, and against the one that it
replaced. Of the 2,770 prices of `market` that have such others, 18 are four times as far from their
median: reserved machines with sixteen times the host, and spot prices of single zones.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from operator import itemgetter
from statistics import median_low

from milp_planner.inputs.catalog.checks import PRICE_CLASSES
from milp_planner.inputs.catalog.identity.quotes import Quote
from milp_planner.inputs.catalog.records import Catalog, Offering
from milp_planner.lazily import dataclass
from milp_planner.units import unit_price_shown

FARTHEST_FROM_OWN = 4.0
"""Price per GPU ÷ that of the provider's others."""

SAME = 0.05
"""A ratio this near to the number of GPUs of a unit is no other price, but another unit."""

MOST_NAMED = 3

Other = tuple[float, str, int]
"""Price per GPU and hour, whose it is, and GPUs of the unit."""


@dataclass(frozen=True)
class DoubtfulPrice:
    """A price, and another one of its provider that it is far from."""

    offering: Offering
    other: str
    """Id of the other, with its source where it is of the same unit."""

    other_usd_per_gpu_hour: float

    @property
    def ratio(self) -> float:
        """Price per GPU ÷ that of the other."""
        return self.offering.usd_per_gpu_hour / self.other_usd_per_gpu_hour

    def __str__(self) -> str:
        o = self.offering
        mine, theirs = map(unit_price_shown, (o.usd_per_gpu_hour, self.other_usd_per_gpu_hour))
        gpus = "1 GPU" if o.gpus_per_unit == 1 else f"{o.gpus_per_unit} GPUs"
        asked = "one GPU" if self.ratio < 1 else "several units"
        if self.ratio > 1 and o.gpus_per_unit == 1:
            asked = "a whole node"
        return (
            f"{o.id} billed {o.billing}: {mine} per GPU is {self.ratio:.3g} times the {theirs} of "
            f"{self.other}; is it the price of {asked}? usd_per_hour is that of a unit of {gpus}; "
            "if it is right, write true under price_acknowledged"
        )


def doubtful_prices(catalog: Catalog, *, every: bool = False) -> Iterator[DoubtfulPrice]:
    """Those of overlays, or of `every` row."""
    groups: dict[tuple[str, str, str], list[Offering]] = {}
    for o in catalog.offerings:
        if o.billing in PRICE_CLASSES and o.usd_per_hour:
            groups.setdefault((o.provider, o.gpu, PRICE_CLASSES[o.billing]), []).append(o)
    for group in groups.values():
        ranked = sorted(((_price(o), o) for o in group), key=itemgetter(0))
        for rank, (_, o) in enumerate(ranked):
            if (every or o.override) and not o.price_acknowledged:
                yield from _against(o, _replaced(o) or _middle_of_others(ranked, rank))


def told_prices(doubtful: Iterable[DoubtfulPrice]) -> Iterator[str]:
    """One sentence for each of the first, one for the rest."""
    found = list(doubtful)
    yield from map(str, found[:MOST_NAMED])
    if len(found) > MOST_NAMED:
        more = len(found) - MOST_NAMED
        prices = "1 more price is" if more == 1 else f"{more:,} more prices are"
        yield f"{prices} as far from what the same provider asks for that GPU elsewhere"


def _price(o: Offering) -> Other:
    return o.usd_per_gpu_hour, o.id, o.gpus_per_unit


def _named(quote: Quote) -> str:
    return f"{quote.id} ({quote.source})"


def _replaced(o: Offering) -> Other | None:
    """The middle one of the product's other quotes, of which the row that it replaced is one."""
    quotes = [(q.usd_per_hour / o.gpus_per_unit, _named(q), o.gpus_per_unit) for q in o.also_quoted]
    return median_low(quotes) if quotes else None


def _middle_of_others(ranked: Sequence[tuple[Other, Offering]], rank: int) -> Other | None:
    """The lower middle one of all but one, without going through them again."""
    others = len(ranked) - 1
    if not others:
        return None
    middle = (others - 1) // 2
    return ranked[middle if middle < rank else middle + 1][0]


def _against(o: Offering, other: Other | None) -> Iterator[DoubtfulPrice]:
    if other is None:
        return
    usd, name, count = other
    ratio = o.usd_per_gpu_hour / usd
    is_far = not 1 / FARTHEST_FROM_OWN < ratio < FARTHEST_FROM_OWN
    is_of_another_unit = any(
        n > 1 and any(abs(ratio / of - 1) < SAME for of in (n, 1 / n))
        for n in {o.gpus_per_unit, count}
    )
    if is_far or is_of_another_unit:
        yield DoubtfulPrice(o, name, usd)
