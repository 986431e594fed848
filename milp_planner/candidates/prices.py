"""What an hour of one replica costs at the offerings of a catalog."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.errors import InputError, input_error, nearest
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.lazily import dataclass
from milp_planner.units import TOKENS_PER_MILLION


@dataclass(frozen=True)
class ReplicaPrice:
    """What an hour of a replica costs."""

    usd_per_hour: float
    label: str
    """Whose price it is."""


def cheapest(
    catalog: Catalog, gpu: str, gpus: int, provider: str | None = None, *, units: int = 1
) -> ReplicaPrice | None:
    """The lowest price without commitment or interruption for a replica of so many GPUs, over so
    many joined units; None where none is known.

    A unit of more GPUs is shared by its replicas, all of which are taken to be in use.
    """
    found = [
        o
        for o in catalog.offerings
        if _may_be_rented(o, gpu, provider) and replicas_in(o, gpus, units)
    ]
    if not found:
        return None
    best = min(found, key=lambda o: (_usd_per_replica_hour(o, gpus, units), o.key))
    return price_at(best, gpus, units)


def replicas_in(offering: Offering, gpus: int, units: int = 1) -> int:
    """Replicas of so many GPUs in a unit; joined units make one of all their GPUs, or none."""
    if units == 1:
        return offering.gpus_per_unit // gpus
    return int(offering.gpus_per_unit * units == gpus)


def api_usd_per_request(
    price: TokenPrice, input_tokens: float, output_tokens: float, cached_share: float = 0.0
) -> float:
    """What one request costs at an API, in USD.

    The share of the input that is found in the prefix cache costs the price of cached tokens where
    the API has one, else that of all input.
    """
    cached_price = price.usd_per_m_cached_tokens
    if cached_price is None:
        cached_price = price.usd_per_m_input_tokens
    cached = cached_share * input_tokens
    usd_per_m = (
        (input_tokens - cached) * price.usd_per_m_input_tokens
        + cached * cached_price
        + output_tokens * price.usd_per_m_output_tokens
    )
    return usd_per_m / TOKENS_PER_MILLION


def why_not_in(offering: Offering, gpus: int, units: int = 1) -> str:
    """Why `replicas_in` is 0, in words."""
    have = offering.gpus_per_unit * units
    if units == 1:
        return f"{offering.id} has {have} GPU{'s' * (have > 1)}, fewer than these {gpus}"
    return f"{units} joined units of {offering.id} have {have} GPUs, a replica of them these {gpus}"


def price_at(offering: Offering, gpus: int, units: int = 1) -> ReplicaPrice:
    """The price of one replica at an offering that holds it: of all joined units, or the unit's
    price ÷ the replicas in it."""
    label = f"{offering.id} {offering.billing}"
    if units > 1:
        label += f", {units} units of {offering.gpus_per_unit} GPUs"
    elif offering.gpus_per_unit > gpus:
        replicas = replicas_in(offering, gpus)
        label += f", 1/{replicas} of a unit of {offering.gpus_per_unit} GPUs"
    return ReplicaPrice(_usd_per_replica_hour(offering, gpus, units), label)


def offering_named(catalog: Catalog, name: str, billing: str | None = None) -> Offering:
    """The offering of that id, on demand where it is sold in several ways.

    Raises InputError that names the closest ids, the places, or the ways in which it is sold.
    """
    name = catalog.sellers.id(name)
    ids = catalog.offering_ids.get(name, ())
    if len(ids) > 1:
        raise input_error(f"{name} is sold in several places; write one of {', '.join(ids)}")
    found: dict[str, Offering] = {o.billing: o for o in catalog.offerings if o.id in ids}
    if not found:
        raise _unknown(catalog, name)
    if billing is not None and billing not in found:
        raise input_error(f"{name} is sold as {', '.join(found)}, not {billing}")
    by_default = (mode for mode, m in BILLING_MODES.items() if m.by_default and mode in found)
    return found[billing or next(by_default, next(iter(found)))]


def _unknown(catalog: Catalog, name: str) -> InputError:
    ids = {o.id for o in catalog.offerings}
    within = sorted(known for known in ids if name in known)[:3]
    near = within or nearest(name, ids, most=2) or list(_containing(ids, name))
    closest = f"; closest: {', '.join(near)}" if near else ""
    return input_error(f"no offering {name!r}{closest}")


def _containing(ids: set[str], name: str) -> Iterator[str]:
    parts = [part for part in name.split("/") if part]
    alike = sorted(id_ for id_ in ids if any(part in id_.split("/") for part in parts))
    yield from alike[:3]


def _may_be_rented(o: Offering, gpu: str, provider: str | None) -> bool:
    return (
        o.gpu == gpu
        and BILLING_MODES[o.billing].by_default
        and o.max_units != 0
        and o.usd_per_hour > 0  # of which there are few, paid already
        and provider in (None, o.provider)
    )


def _usd_per_replica_hour(o: Offering, gpus: int, units: int) -> float:
    return o.usd_per_hour * units / replicas_in(o, gpus, units)
