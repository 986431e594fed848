"""What an hour of one replica costs at the offerings of a catalog."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from milp_planner.errors import InputError, input_error, nearest
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.units import TOKENS_PER_MILLION


@dataclass(frozen=True)
class ReplicaPrice:
    """What an hour of a replica costs."""

    usd_per_hour: float
    label: str
    """Whose price it is."""


def cheapest(
    catalog: Catalog, gpu: str, tensor_parallel: int, provider: str | None = None
) -> ReplicaPrice | None:
    """The lowest price without commitment or interruption for a replica; None where none is known.

    A unit of more GPUs is shared by its replicas, all of which are taken to be in use.
    """
    found = [o for o in catalog.offerings if _can_hold(o, gpu, tensor_parallel, provider)]
    if not found:
        return None
    best = min(found, key=lambda o: (_usd_per_replica_hour(o, tensor_parallel), o.key))
    return price_at(best, tensor_parallel)


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


def price_at(offering: Offering, tensor_parallel: int) -> ReplicaPrice:
    """The price of one replica at an offering: the unit's price ÷ the replicas that it holds."""
    label = f"{offering.id} {offering.billing}"
    replicas = offering.gpus_per_unit // tensor_parallel
    if offering.gpus_per_unit > tensor_parallel:
        label += f", 1/{replicas} of a unit of {offering.gpus_per_unit} GPUs"
    return ReplicaPrice(_usd_per_replica_hour(offering, tensor_parallel), label)


def offering_named(catalog: Catalog, name: str, billing: str | None = None) -> Offering:
    """The offering of that id, on demand where it is sold in several ways.

    Raises InputError that names the closest ids, the places, or the ways in which it is sold.
    """
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


def _can_hold(o: Offering, gpu: str, tensor_parallel: int, provider: str | None) -> bool:
    return (
        o.gpu == gpu
        and o.gpus_per_unit >= tensor_parallel
        and BILLING_MODES[o.billing].by_default
        and o.max_units != 0
        and provider in (None, o.provider)
    )


def _usd_per_replica_hour(o: Offering, tensor_parallel: int) -> float:
    return o.usd_per_hour / (o.gpus_per_unit // tensor_parallel)
