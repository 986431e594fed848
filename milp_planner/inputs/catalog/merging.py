"""The offerings of a catalog: one for each product, of all that is quoted for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from milp_planner.inputs.catalog.checks import Row
from milp_planner.inputs.catalog.identity.products import Product, Quoted, products
from milp_planner.inputs.catalog.identity.quotes import Quote
from milp_planner.inputs.catalog.records import Offering
from milp_planner.lazily import dataclass, field, replace

NO_PLACE = "quoted without a region"

OF_THE_PRICE = frozenset(
    ("usd_per_hour", "as_of", "source", "note", "override", "price_acknowledged", "also_quoted")
)
"""Fields that belong to a price, and are never taken from another one's quote."""

OF_ANOTHER_SIZE: Mapping[str, Any] = {"instance_type": "", "vcpus": None, "host_memory_gib": None}
"""What a quote of another number of GPUs does not say of the unit."""


@dataclass
class RentedUnits:
    """What layer after layer of a catalog says of units to rent, beside the rows themselves."""

    depth: int = -1
    """How many layers lie below the one that is read."""

    layer_of: dict[object, int] = field(default_factory=dict)
    """The layer that each row was read from, by key."""

    replaced: list[Quoted] = field(default_factory=list)
    """Rows that one of the same key in a higher layer replaces, and that stay visible in it."""

    def copy(self) -> RentedUnits:
        """Another one that goes on from here."""
        return replace(self, layer_of={**self.layer_of}, replaced=[*self.replaced])

    def begin_layer(self) -> None:
        """From here on rows are of the next layer."""
        self.depth += 1

    def add(self, rows: Mapping[object, Row], merged: Mapping[object, Row]) -> None:
        """Rows that will lie on those merged so far, both by key."""
        for key, row in rows.items():
            new: Offering = row.record
            old = merged[key].record if key in merged else new
            if old is not new and (old.gpu, old.gpus_per_unit) == (new.gpu, new.gpus_per_unit):
                self.replaced.append(Quoted(old, self.layer_of[key], replaced=True))
            self.layer_of[key] = self.depth

    def sold(self, rows: Mapping[object, Row]) -> SoldUnits:
        """What is rented, of the rows in force, by key."""
        below = [q for q in self.replaced if _offering(q).key in rows]
        standing = (Quoted(row.record, self.layer_of[key]) for key, row in rows.items())
        quotes = (*below, *standing)
        return SoldUnits(quotes, tuple(products(quotes)))

    def also_known(self, keys: set[object], merged: Mapping[object, Row]) -> set[object]:
        """The keys of all rows that quote what these rows quote, under whatever name."""
        if not keys:
            return keys
        names = [[(id_, o.billing) for id_ in o.ids] for o in self.sold(merged).offerings]
        same = {key for known in names if keys.intersection(known) for key in known}
        return (keys | same) & merged.keys()


@dataclass(frozen=True)
class SoldUnits:
    """Quotes of units to rent, of `Offering` records, and the products that they are of."""

    quotes: tuple[Quoted, ...] = ()
    products: tuple[Product, ...] = ()

    @property
    def offerings(self) -> Iterator[Offering]:
        """One for each product."""
        for product in self.products:
            only = product.quotes[0].record
            if len(product.quotes) == 1 and isinstance(only, Offering):
                yield only
            else:
                yield _merged(product)

    @property
    def passed_over(self) -> list[str]:
        """Ids of overlays' rows, in force but for a newer price of the same product elsewhere."""
        counting = {id(p.price if len(p.quotes) > 1 else p.quotes[0]) for p in self.products}
        over = (q for q in self.quotes if q.layer and not q.replaced and id(q) not in counting)
        return sorted(_offering(q).id for q in over)


NOTHING_SOLD = SoldUnits()


def _merged(product: Product) -> Offering:
    """The product at the price that counts, with what its other quotes say of the unit."""
    price = product.price
    others = sorted(
        (q for q in product.quotes if q is not price),
        key=lambda q: (q.record.as_of, q.layer, q.record.name),
        reverse=True,
    )
    paid, rest = _as_unit(price, product), [_as_unit(q, product) for q in others]
    named = _offering(product.named_by)
    update: dict[str, Any] = {"name": named.name, "region": product.region}
    update |= dict(_said_by_others(paid, rest))
    update["count_assumed"] = all(o.count_assumed for o in (paid, *rest))
    update |= _units_to_be_had(product)
    ids = dict.fromkeys(_offering(q).id for q in product.quotes if _is_of_size(q, product))
    other_ids = tuple(id_ for id_ in ids if id_ != named.id)
    quoted = tuple(map(_quote, rest))
    return paid.model_copy(update=update | {"other_ids": other_ids, "also_quoted": quoted})


def _as_unit(q: Quoted, product: Product) -> Offering:
    """The quote as one of a unit of the product: at its price per GPU, with what it leaves open."""
    o = _offering(q)
    count = product.gpus_per_unit
    open_ = [NO_PLACE] * (o.region != product.region)
    open_ += [f"{count} times the price quoted for one GPU"] * (not _is_of_size(q, product))
    if not open_:
        return o
    return o.model_copy(
        update={
            "gpus_per_unit": count,
            "usd_per_hour": round(o.usd_per_gpu_hour * count, 6),
            "note": "; ".join(filter(None, (o.note, *open_))),
            **({} if _is_of_size(q, product) else OF_ANOTHER_SIZE),
        }
    )


def _is_of_size(q: Quoted, product: Product) -> bool:
    return q.record.gpus_per_unit == product.gpus_per_unit


def _said_by_others(paid: Offering, rest: Sequence[Offering]) -> Iterator[tuple[str, Any]]:
    """What the quote that counts leaves open of the unit, and a newer one of the others says."""
    for name in Offering.model_fields:
        if name not in OF_THE_PRICE and not getattr(paid, name):
            said = [value for o in rest if (value := getattr(o, name))]
            yield from [(name, said[0])] if said else []


def _units_to_be_had(product: Product) -> dict[str, Any]:
    """A quota is no price: of those stated, the topmost layer's holds, whatever the days."""
    stated = [q for q in product.quotes if not q.replaced and _offering(q).max_units is not None]
    if not stated:
        return {"max_units": None}
    top = max(stated, key=lambda q: (q.layer, q.record.as_of))
    said, price = _offering(top), _offering(product.price)
    return {"max_units": said.max_units, "override": said.override or price.override}


def _quote(o: Offering) -> Quote:
    return Quote(
        id=o.id, usd_per_hour=o.usd_per_hour, as_of=o.as_of, source=o.source, note=o.price_note
    )


def _offering(q: Quoted) -> Offering:
    assert isinstance(q.record, Offering), "only offerings are merged"
    return q.record
