"""Which quotes are of one product, and which of them counts.

A product is provider x GPU x GPUs per unit x billing x place, whatever a source calls it. Two lists
that name it differently quote one product. One list that names two things side by side sells two:
their hosts, links or tiers differ in what the GPU does not tell (`g5.12xlarge`, `g5.24xlarge`).

A quote that leaves its place open is of the product in every place where the provider sells it, as
long as the price there is the same everywhere. One that leaves open how many GPUs a unit has is of
the units of all sizes, as long as several are quoted at the same price per GPU. Else it is of a
product of its own.

Of a product's quotes the newest counts. On one day the higher layer's does, then one that states
its place, then the dearer: a cheapest plan would buy every price that is too low. A row that an
overlay writes under one of the product's ids replaces it, whatever the days.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from typing import Protocol

from milp_planner.lazily import dataclass

UNKNOWN_PLACE = "global"
"""The region of a quote that states none."""

OWN = "owned"
"""The billing of what a user has: two racks of one kind are two, not two quotes of one. Units at no
price, which are paid already, are so too."""

Cell = tuple[str, int]
"""Where, and how many GPUs a unit has."""

SAME_PRICE = 1.02
"""Prices per GPU this close are one price: lists round the price of a unit to cents."""


class Sold(Protocol):
    """What a quote says, as far as it is compared."""

    @property
    def provider(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def billing(self) -> str: ...
    @property
    def gpu(self) -> str: ...
    @property
    def gpus_per_unit(self) -> int: ...
    @property
    def count_assumed(self) -> bool: ...
    @property
    def usd_per_gpu_hour(self) -> float: ...
    @property
    def as_of(self) -> date: ...
    @property
    def source(self) -> str: ...


@dataclass(frozen=True, eq=False)
class Quoted:
    """One row with a price, and where it stands among the layers of a catalog."""

    record: Sold
    layer: int = 0
    """Its folder among the catalog's, the lowest is 0."""

    replaced: bool = False
    """True where a row of the same key lies above it, beside which it no longer counts."""

    @property
    def cell(self) -> Cell:
        """Where, and how many GPUs a unit has."""
        return self.record.region, self.record.gpus_per_unit

    @property
    def name(self) -> tuple[str, str]:
        """What its source calls it, and where: with the provider, its id."""
        return self.record.name, self.record.region

    @property
    def has_place(self) -> bool:
        """Whether it says where."""
        return self.record.region != UNKNOWN_PLACE

    @property
    def left_open(self) -> int:
        """How much of place and size it does not state."""
        return (self.record.region == UNKNOWN_PLACE) + self.record.count_assumed

    @property
    def names_the_gpu_alone(self) -> bool:
        """True where the source gave no name of the provider's, so that the GPU's id stands."""
        return self.record.name == self.record.gpu

    def may_be_in(self, cell: Cell) -> bool:
        """Whether what it states allows that place and size."""
        region, count = cell
        in_place = self.record.region == region or not self.has_place
        return in_place and (self.record.gpus_per_unit == count or self.record.count_assumed)


@dataclass(frozen=True)
class Product:
    """All quotes of one thing that is sold."""

    region: str
    gpus_per_unit: int
    quotes: tuple[Quoted, ...]

    @property
    def counting(self) -> tuple[Quoted, ...]:
        """The quotes of which the newest counts: from the topmost row that replaces one on."""
        live = {q.name for q in self.quotes if not q.replaced}
        valid = [q for q in self.quotes if not (q.replaced and q.name in live)]
        floor = max((q.layer for q in valid if self._replaces(q)), default=0)
        return tuple(q for q in valid if q.layer >= floor)

    def _replaces(self, q: Quoted) -> bool:
        return any(other.layer < q.layer and other.name == q.name for other in self.quotes)

    @property
    def price(self) -> Quoted:
        """The quote that counts."""
        if len(self.quotes) == 1:
            return self.quotes[0]
        return max(self.counting, key=_newness)

    @property
    def named_by(self) -> Quoted:
        """The quote whose name the product bears: the provider's own, of the lowest layer."""
        cell = self.region, self.gpus_per_unit
        return min(
            (q for q in self.quotes if q.cell == cell and not q.replaced),
            key=lambda q: (
                *(q.names_the_gpu_alone, q.layer, -q.record.as_of.toordinal(), q.record.name),
            ),
        )


def _newness(q: Quoted) -> tuple[int, int, bool, float, str]:
    record = q.record
    return record.as_of.toordinal(), q.layer, q.has_place, record.usd_per_gpu_hour, record.name


def products(quotes: Iterable[Quoted]) -> Iterator[Product]:
    """What the quotes are of, as far as any of them still counts; owned units one by one."""
    quotes = list(quotes)
    owned = {_key(q) for q in quotes if not q.replaced and _is_had(q)}
    alike: dict[tuple[str, str, str], list[Quoted]] = {}
    for q in quotes:
        r = q.record
        if not (owned and _key(q) in owned):
            alike.setdefault((r.provider, r.gpu, r.billing), []).append(q)
        elif not q.replaced:
            yield Product(*q.cell, (q,))
    beside = _SideBySide(q for group in alike.values() for q in group)
    for group in alike.values():
        if len(group) > 1:
            yield from _Sorting(group, beside).products()
        elif not group[0].replaced:
            yield Product(*group[0].cell, (group[0],))


def _is_had(q: Quoted) -> bool:
    """True for what a user owns, or has paid already."""
    return q.record.billing == OWN or not q.record.usd_per_gpu_hour


def _key(q: Quoted) -> tuple[str, ...]:
    return (q.record.provider, *q.name, q.record.billing)


class _Sorting:
    """Quotes of one provider, GPU and billing, sorted by place and size."""

    def __init__(self, quotes: Sequence[Quoted], beside: _SideBySide) -> None:
        self._beside = beside
        self._cells: dict[Cell, list[Quoted]] = {}
        by_open: tuple[list[Quoted], ...] = ([], [], [])
        for q in quotes:
            by_open[q.left_open].append(q)
        for q in by_open[0]:
            self._cells.setdefault(q.cell, []).append(q)
        for mine in filter(None, by_open[1:]):  # those that leave less open say where to join
            self._add(mine)

    def products(self) -> Iterator[Product]:
        """What is sold in each place and size."""
        for cell, mine in self._cells.items():
            for part in self._beside.parts(mine) if len(mine) > 1 else (mine,):
                for q in part:
                    if not q.replaced and q.cell == cell:
                        yield Product(*cell, tuple(part))
                        break

    def _add(self, quotes: Sequence[Quoted]) -> None:
        for q, prices in zip(quotes, self._prices(quotes), strict=True):
            cells = _joined(q, prices)
            at_home = any(count == q.record.gpus_per_unit for _, count in cells)
            for cell in (*cells, *([] if at_home else [q.cell])):
                self._cells.setdefault(cell, []).append(q)

    def _prices(self, quotes: Sequence[Quoted]) -> list[dict[Cell, float]]:
        """For each of the quotes, which leave as much open, where it may join what is there: with
        the price per GPU that counts among those of one product with it."""
        found: dict[int, dict[Cell, float]] = {id(q): {} for q in quotes}
        for cell, mine in self._cells.items():
            others = [q for q in quotes if q.may_be_in(cell)]
            inside = {id(q) for q in mine if not q.replaced} if others else ()
            for part in self._beside.parts([*mine, *others]) if others else ():
                stated = [q for q in part if id(q) in inside]
                usd = max(stated, key=_newness).record.usd_per_gpu_hour if stated else 0.0
                for q in part if stated else ():
                    if id(q) in found:
                        found[id(q)][cell] = usd
        return [*found.values()]


def _joined(q: Quoted, prices: Mapping[Cell, float]) -> list[Cell]:
    """The places and sizes that a quote is about beyond what it states."""
    several = len({count for _, count in prices}) > 1
    if several and _is_one_price(prices.values()):
        return [*prices]
    own = {cell: usd for cell, usd in prices.items() if cell[1] == q.record.gpus_per_unit}
    return [*own] if _is_one_price(own.values()) else []


def _is_one_price(prices: Iterable[float]) -> bool:
    found = list(prices)
    return bool(found) and max(found) <= SAME_PRICE * min(found)


class _SideBySide:
    """Which names of a provider's units of one GPU some list has beside each other."""

    def __init__(self, quotes: Iterable[Quoted]) -> None:
        self._quotes_of: dict[tuple[str, str], list[Quoted]] = {}
        for q in quotes:
            self._quotes_of.setdefault((q.record.provider, q.record.gpu), []).append(q)
        self._lists_of: dict[tuple[str, str], dict[str, list[int]]] = {}
        """By provider and GPU, once it is asked for: the numbers of a name's lists."""

    def _lists(self, unit: tuple[str, str]) -> dict[str, list[int]]:
        """By name, the numbers of the lists that have it beside another."""
        if unit not in self._lists_of:
            lists: dict[tuple[object, ...], set[str]] = {}
            for q in self._quotes_of[unit]:
                r = q.record
                origin = q.layer, r.source, r.as_of, r.region, r.billing
                lists.setdefault(origin, set()).add(r.name)
            found = self._lists_of[unit] = {}
            unlike = {frozenset(names) for names in lists.values() if len(names) > 1}
            for number, names in enumerate(unlike):
                for name in names:
                    found.setdefault(name, []).append(number)
        return self._lists_of[unit]

    def parts(self, quotes: Sequence[Quoted]) -> Iterable[list[Quoted]]:
        """Quotes of one place and size, by product.

        A name that no list has beside one of the others is one more name of what bears no name but
        the GPU's, or, where nothing is told apart, of the one thing that is sold.
        """
        apart = self._told_apart(quotes)
        plain = {q.record.name for q in quotes if q.names_the_gpu_alone} & apart
        common = next(iter(plain), "")
        found: dict[str, list[Quoted]] = {}
        for q in quotes:
            name = q.record.name if q.record.name in apart else common
            found.setdefault(name, []).append(q)
        return found.values()

    def _told_apart(self, quotes: Sequence[Quoted]) -> set[str]:
        """Those of the names that some list has beside another of them."""
        names = dict.fromkeys(q.record.name for q in quotes)
        if len(names) == 1:
            return set()
        lists = self._lists((quotes[0].record.provider, quotes[0].record.gpu))
        met: dict[int, list[str]] = {}
        for name in names:
            for number in lists.get(name, ()):
                met.setdefault(number, []).append(name)
        return {name for together in met.values() if len(together) > 1 for name in together}
