"""Other markets for a problem: things that cannot be had, and other prices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Any

from milp_planner.candidates.filters import is_meant, place_names, sold_in
from milp_planner.candidates.own_terms import under_terms
from milp_planner.errors import did_you_mean, input_error, nearest
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.catalog.records import Catalog, Offering, TokenPrice
from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.inputs.problem.prices import OwnTerms
from milp_planner.inputs.problem.records import Problem
from milp_planner.units import parse_number, parse_share

LIST_PRICES = OwnTerms()

Price = float | str
"""USD per GPU and hour, or a share of today's price such as `80%`."""

KINDS: dict[str, tuple[str, Callable[[Catalog], Iterable[str]]]] = {
    "provider": ("providers", lambda c: c.providers),
    "region": ("regions", lambda c: {n for row in sold_in(c) for n in place_names(row)}),
    "gpu": ("gpus", lambda c: c.gpus),
    "offering": ("offerings", lambda c: c.offering_ids),
}
"""What can be lost, beside a billing: the limit that denies it, and the names there are."""


def denying(problem: Problem, catalog: Catalog, lost: str) -> Problem:
    """The problem without a kind of thing, `gpu:h100*`; InputError for what there is none of."""
    kind, _, name = lost.partition(":")
    if kind == "billing":
        return _without_billing(problem, name)
    if kind not in KINDS or not name:
        known = ", ".join(f"{k}:NAME" for k in (*KINDS, "billing"))
        raise input_error(f"without: {lost!r} is not one of {known}")
    limit, names_in = KINDS[kind]
    name = catalog.sellers.name(name) if kind == "provider" else catalog.sellers.id(name)
    names = {name, *(catalog.gpus_named(name) if kind == "gpu" else ())}
    known_names = list(names_in(catalog))
    found = [n for n in sorted(names) if any(fnmatchcase(k, n) for k in known_names)]
    if not found:
        raise input_error(f"without: no {kind} {name!r}{did_you_mean(name, known_names)}")
    kept = getattr(problem.limits, limit)
    allow = tuple(name for name in kept.allow if name not in found)
    deny = [_pattern(name) if kept.allow and not allow else name for name in found]
    update = {"allow": allow or kept.allow, "deny": (*kept.deny, *deny)}
    return _with_limits(problem, {limit: kept.model_copy(update=update)})


def _pattern(name: str) -> str:
    """The name as a pattern: a name that is all that is allowed may not be denied as well."""
    return f"[{name[0]}]{name[1:]}"


def _without_billing(problem: Problem, name: str) -> Problem:
    if name not in BILLING_MODES:
        raise input_error(f"without: no billing {name!r}{did_you_mean(name, BILLING_MODES)}")
    left = tuple(b for b in allowed_billings(problem) if b != name)
    if not left:
        raise input_error(f"without: {name} is the only billing that the problem allows")
    return with_billings(problem, left)


def with_billings(problem: Problem, billings: Iterable[str]) -> Problem:
    """The problem with these ways to pay allowed."""
    billing = problem.limits.billing.model_copy(update={"allow": tuple(billings)})
    return _with_limits(problem, {"billing": billing})


def _with_limits(problem: Problem, update: Mapping[str, Any]) -> Problem:
    limits = problem.limits.model_copy(update=dict(update))
    return problem.model_copy(update={"limits": limits})


def repriced_catalog(
    catalog: Catalog, prices: Mapping[str, Price], terms: OwnTerms = LIST_PRICES
) -> Catalog:
    """The catalog with other prices; raises InputError for a pattern that matches nothing.

    What is paid is changed: a share is of the price under `terms`, and terms no longer act on it.
    """
    for spelled, price in prices.items():
        pattern = catalog.sellers.id(spelled)
        matches = [row for row in sold_in(catalog) if is_meant("offerings", pattern, row)]
        if not matches:
            ids = set(catalog.offering_ids)
            near = nearest(pattern, ids) or [i for i in sorted(ids) if pattern in i][:1]
            closest = f"; closest: {near[0]}" if near else ""
            raise input_error(f"prices: no offering {pattern!r}{closest}")
        rented = [row for row in matches if isinstance(row, Offering)]
        if rented and _share_of_today(price) is None:
            matches = [*rented]  # a price per GPU-hour is not meant for what is paid per token
        paid = (under_terms(terms, row, catalog.read_on) for row in matches)
        changed = {row.key: _repriced(row, price) for row in paid}
        catalog = replace(
            catalog,
            offerings=tuple(changed.get(row.key, row) for row in catalog.offerings),
            token_prices=tuple(changed.get(row.key, row) for row in catalog.token_prices),
            overrides=catalog.overrides + len(changed),
            overlaid=replace(catalog.overlaid, replaced=catalog.overlaid.replaced + len(changed)),
        )
    return catalog


def _repriced(row: Offering | TokenPrice, price: Price) -> Any:
    update: dict[str, Any] = {"override": True, "note": "price changed by a scenario"}
    factor = _share_of_today(price)
    if isinstance(row, Offering):
        hourly = float(price) * row.gpus_per_unit if factor is None else row.usd_per_hour * factor
        return row.model_copy(update={**update, "usd_per_hour": hourly})
    if factor is None:
        raise input_error(f"prices: {row.id} is paid per token; write a share, such as 80%")
    update["usd_per_m_input_tokens"] = row.usd_per_m_input_tokens * factor
    update["usd_per_m_output_tokens"] = row.usd_per_m_output_tokens * factor
    return row.model_copy(update=update)


def _share_of_today(price: Price) -> float | None:
    return parse_share(price) if isinstance(price, str) and price.endswith("%") else None


def read_price(text: str) -> Price:
    """`2.10` -> 2.1, `80%` -> `80%`; raises ValueError in the reader's words."""
    value = parse_share(text) if text.endswith("%") else parse_number(text.removeprefix("$"))
    if not 0 < value < float("inf"):
        raise ValueError(f"a price must be greater than 0 (is {text})")
    return text if text.endswith("%") else value
