"""Puts the catalog's name of a seller where a problem has another one of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.records import Problem


def with_known_sellers(problem: Problem, catalog: Catalog) -> Problem:
    """The problem with every seller under the catalog's name of it: `moonshot` is moonshotai.

    Two spellings of one name with a limit each leave the tighter one.
    """
    sellers, limits, terms = catalog.sellers, problem.limits, problem.prices
    if not sellers.spellings:
        return problem
    changed = limits.model_copy(
        update={
            "providers": _renamed_lists(limits.providers, sellers.name),
            "offerings": _renamed_lists(limits.offerings, sellers.id),
            "max_units": _renamed_keys(limits.max_units, sellers.id),
            "max_gpus": limits.max_gpus.model_copy(
                update={"per_provider": _renamed_keys(limits.max_gpus.per_provider, sellers.name)}
            ),
        }
    )
    prices = terms.model_copy(
        update={
            "discounts": _renamed_keys(terms.discounts, sellers.id),
            "own": _renamed_keys(terms.own, sellers.id),
        }
    )
    fleet = tuple(
        row.model_copy(update={"offering": sellers.id(row.offering)})
        for row in problem.current_fleet
    )
    commitments = tuple(
        one.model_copy(update={"offering": sellers.id(one.offering)}) for one in problem.commitments
    )
    start_up = tuple(
        one.model_copy(update={"offering": sellers.id(one.offering)})
        for one in problem.policy.start_up
    )
    found = {
        "policy": problem.policy.model_copy(update={"start_up": start_up}),
        "limits": changed,
        "prices": prices,
        "current_fleet": fleet,
        "commitments": commitments,
    }
    return problem.model_copy(
        update={name: now for name, now in found.items() if now != getattr(problem, name)}
    )


def _renamed_lists(kept: Any, name: Callable[[str], str]) -> Any:
    """A filter with other names in it, each once."""
    lists = {key: tuple(dict.fromkeys(map(name, getattr(kept, key)))) for key in ("allow", "deny")}
    return kept.model_copy(update=lists)


def _renamed_keys(by_name: Mapping[str, float], name: Callable[[str], str]) -> dict[str, float]:
    renamed: dict[str, float] = {}
    for key, value in by_name.items():
        renamed[name(key)] = min(value, renamed.get(name(key), value))
    return renamed
