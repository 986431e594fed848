"""Random months of one load, and the comparison of the planner with brute force."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from milp_planner import Status, solve
from tests.support.oracles.cases import (
    BILLINGS,
    MONTH_HOURS,
    Api,
    Case,
    Load,
    Offer,
    Terms,
    as_input,
)
from tests.support.oracles.month_oracle import cheapest_month

PROVIDERS = ("acme", "bolt", "core")

LIMITS: dict[str, st.SearchStrategy[Any]] = {
    "min_replicas": st.sampled_from([2, 3]),
    "max_gpus": st.sampled_from([2, 4]),
    "max_units_of_first": st.sampled_from([0, 1]),
    "most_providers": st.just(1),
    "provider_share": st.sampled_from([0.5, 0.6, 0.75]),
    "spot_share": st.sampled_from([0.0, 0.3, 0.5]),
    "on_demand": st.sampled_from([1, 2, 3]),
    "survive": st.tuples(
        st.sampled_from(["provider", "region", "offering", "spot"]), st.sampled_from([0.4, 1.0])
    ),
    "budget": st.sampled_from([1500.0, 3000.0, 5000.0]),
    "most_changed": st.sampled_from([1, 2, 4]),
}
PENALTIES: dict[str, st.SearchStrategy[Any]] = {
    "overload": st.tuples(st.sampled_from([0.8, 0.9]), st.sampled_from([300.0, 2000.0, 20_000.0])),
    "scaling": st.tuples(st.sampled_from([0, 2, 3]), st.sampled_from([150.0, 900.0])),
    "strict_usd": st.sampled_from([100.0, 700.0, 30_000.0]),
}


def up_to_two(names: Collection[str]) -> st.SearchStrategy[list[str]]:
    """None, one or two of the names."""
    return st.lists(st.sampled_from(sorted(names)), max_size=2, unique=True)


@st.composite
def offers(draw: st.DrawFn) -> tuple[Offer, ...]:
    """Two or three offers, at most one of them elastic: the month stays small enough to try."""
    count = draw(st.integers(2, 3))
    elastic = draw(st.sampled_from([None, *range(count)]))
    found = []
    for i in range(count):
        gpus = draw(st.sampled_from([1, 1, 2]))
        found.append(
            Offer(
                provider=draw(st.sampled_from(PROVIDERS)),
                region=draw(st.sampled_from(["eu-1", "us-1"])),
                gpu=f"gpu{i}",
                rates=(gpus * draw(st.sampled_from([2.0, 3.0, 5.5, 7.0])),),
                usd_per_hour=gpus * draw(st.sampled_from([1.0, 1.7, 2.3, 3.1])),
                gpus=gpus,
                billing=draw(st.sampled_from(["autoscaling", "spot"]))
                if i == elastic
                else "dedicated",
            )
        )
    return tuple(found)


@st.composite
def blocks(draw: st.DrawFn) -> dict[str, Any]:
    """The hours and the load of one block, or of two of which the second may be idle."""
    burst = draw(st.sampled_from([1.0, 1.25]))
    peak = draw(st.sampled_from([4.0, 6.5, 9.0]))
    if draw(st.booleans()):
        return {"hours": (MONTH_HOURS,), "loads": (Load(((peak,),), burst=burst),)}
    low = peak * draw(st.sampled_from([0.0, 0.3, 0.6]))
    hours = 30.0 * draw(st.sampled_from([6, 12, 16]))
    load = Load(((peak,), (low,)), burst=burst)
    return {"hours": (hours, MONTH_HOURS - hours), "loads": (load,)}


def case_of(
    rented: tuple[Offer, ...], month: dict[str, Any], limits: dict[str, Any], api: Api | None = None
) -> Case:
    """The case; two limits are of its load and of its first offer."""
    load = replace(month["loads"][0], min_replicas=limits.pop("min_replicas", 1))
    if "max_units_of_first" in limits:
        limits["max_units"] = ((rented[0].id, limits.pop("max_units_of_first")),)
    apis = () if api is None else (api,)
    return Case(rented, (load,), Terms(**limits), apis, month["hours"])


def tempting(limit: str, rented: tuple[Offer, ...]) -> tuple[Offer, ...]:
    """The offers, such that there is something for the limit to forbid."""
    if limit == "most_providers":
        return tuple(replace(o, provider=p) for o, p in zip(rented, PROVIDERS, strict=False))
    if limit in ("spot_share", "on_demand"):
        first, *others = rented
        cheap = replace(first, billing="spot", usd_per_hour=first.usd_per_hour / 2)
        return (cheap, *(replace(o, billing="dedicated") for o in others))
    return rented


@st.composite
def hard_months(draw: st.DrawFn, always: str) -> Case:
    """That limit and up to two others, nothing priced but rent, spot loss and switching."""
    rented = tempting(always, draw(offers()))
    chosen = [always, *draw(up_to_two(LIMITS.keys() - {always}))]
    limits = {name: draw(LIMITS[name]) for name in chosen}
    if "most_changed" in limits or draw(st.booleans()):
        limits["today"] = tuple(draw(st.sampled_from([0, 1, 3])) for _ in rented)
        limits["usd_added"] = draw(st.sampled_from([0.0, 120.0]))
        limits["usd_removed"] = draw(st.sampled_from([0.0, 900.0]))
    limits["spot_loss"] = draw(st.sampled_from([0.0, 0.1]))
    limits["ceiling"] = draw(st.sampled_from([0.75, 1.0]))
    return case_of(rented, draw(blocks()), limits)


@st.composite
def soft_months(draw: st.DrawFn) -> Case:
    """Penalties, a ceiling above the target, and perhaps tokens or a priced shortfall."""
    chosen = draw(st.sets(st.sampled_from(sorted(PENALTIES)), min_size=1, max_size=3))
    extra = {name: draw(PENALTIES[name]) for name in sorted(chosen)}
    sink = draw(st.sampled_from(["", "", "tokens", "shortfall", "both"]))
    tokens = None
    if sink in ("tokens", "both"):
        usd = draw(st.sampled_from([2e-5, 1e-4, 4e-4]))
        tokens = Api("tokn", usd, draw(st.sampled_from([1.5, 600.0])))
    if sink in ("shortfall", "both"):
        extra["shortfall_usd"] = draw(st.sampled_from([5e-5, 2e-4]))
    extra["ceiling"] = draw(st.sampled_from([0.95, 1.1, 1.3]))
    return case_of(draw(offers()), draw(blocks()), extra, tokens)


@st.composite
def hot_months_with_overflow(draw: st.DrawFn) -> Case:
    """A gentle ramp, and tokens or a priced shortfall that cost about as much: heat is shared."""
    above = draw(st.sampled_from([0.7, 0.8, 0.9]))
    terms = {
        "ceiling": draw(st.sampled_from([1.1, 1.3])),
        "overload": (above, draw(st.sampled_from([100.0, 250.0, 600.0, 1500.0]))),
        "strict_usd": draw(st.sampled_from([None, 150.0])),
        "shortfall_usd": draw(st.sampled_from([None, 3e-4])),
    }
    tokens = None
    if terms["shortfall_usd"] is None or draw(st.booleans()):
        usd = draw(st.sampled_from([1.7e-4, 2.5e-4, 4e-4]))
        tokens = Api("tokn", usd, draw(st.sampled_from([0.7, 600.0])))
    return case_of(draw(offers()), draw(blocks()), terms, tokens)


@st.composite
def billed_months(draw: st.DrawFn) -> Case:
    """Every way to pay at once: held, elastic and switched off units, and perhaps tokens."""
    stops = draw(st.booleans())
    rented = []
    for offer in draw(offers()):
        billing = draw(st.sampled_from(BILLINGS))
        rented.append(replace(offer, billing=billing, stops=stops and billing == "dedicated"))
    usd = draw(st.sampled_from([2e-5, 1e-4, 1.7e-4, 2.5e-4]))
    most = draw(st.sampled_from([1.5, 4.0, 600.0]))
    tokens = draw(st.sampled_from([None, Api("tokn", usd, most)]))
    spot_loss = draw(st.sampled_from([0.0, 0.1]))
    spot_share = draw(st.sampled_from([None, 0.5]))
    share = None if tokens else spot_share
    terms = {"ceiling": 0.75, "spot_loss": spot_loss, "spot_share": share}
    return case_of(tuple(rented), draw(blocks()), terms, tokens)


@st.composite
def short_months(draw: st.DrawFn) -> Case:
    """A budget that may be short, and up to one limit besides."""
    names = ("most_providers", "survive", "max_units_of_first", "spot_share")
    chosen = draw(st.sets(st.sampled_from(names), max_size=1))
    limits = {name: draw(LIMITS[name]) for name in sorted(chosen)}
    limits["budget"] = draw(st.sampled_from([500.0, 1300.0, 2600.0, 4000.0]))
    limits["ceiling"] = draw(st.sampled_from([0.75, 1.0]))
    limits["when_short"] = "fair"
    return case_of(draw(offers()), draw(blocks()), limits)


def assert_plan_is_cheapest(case: Case, most: int) -> None:
    """The planner finds what brute force finds, which tries up to `most` units of an offering."""
    plan = solve(*as_input(case), solver="highs", diagnose=False)
    best = cheapest_month(case, most)
    if any(p.units > most for p in plan.purchases):
        assert plan.score_usd_per_month is not None
        assert best is None or plan.score_usd_per_month <= best * (1 + 1e-6)
    elif best is None:
        assert plan.status is Status.INFEASIBLE
    else:
        assert plan.status is Status.OPTIMAL
        assert plan.score_usd_per_month == pytest.approx(best, rel=1e-6, abs=0.01)
