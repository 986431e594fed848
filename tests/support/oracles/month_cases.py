"""Random months for brute force, and the same question for the planner."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import strategies as st

from milp_planner import Catalog, Problem, Status, solve
from tests.support.builders import catalog, offering, problem, raw, token_price, workload
from tests.support.oracles.month_oracle import Block, Case, Offer, Terms, Tokens, cheapest_month

HOURS_PER_DAY = 24
REQUEST_TOKENS = 2
BILLINGS = ("dedicated", "autoscaling", "reserved_1y", "reserved_3y", "spot", "owned")

LIMITS: dict[str, st.SearchStrategy[Any]] = {
    "min_replicas": st.sampled_from([2, 3]),
    "max_gpus": st.sampled_from([2, 4]),
    "max_units_of_first": st.sampled_from([0, 1]),
    "at_most_providers": st.just(1),
    "provider_share": st.sampled_from([0.5, 0.6, 0.75]),
    "spot_share": st.sampled_from([0.0, 0.3, 0.5]),
    "survive": st.tuples(
        st.sampled_from(["provider", "region", "offering"]), st.sampled_from([0.4, 1.0])
    ),
    "budget": st.sampled_from([1500.0, 3000.0, 5000.0]),
    "most_changed": st.sampled_from([1, 2, 4]),
}
PENALTIES: dict[str, st.SearchStrategy[Any]] = {
    "overload": st.tuples(st.sampled_from([0.8, 0.9]), st.sampled_from([300.0, 2000.0, 20_000.0])),
    "scaling": st.tuples(st.sampled_from([0, 2, 3]), st.sampled_from([150.0, 900.0])),
    "strict_usd": st.sampled_from([100.0, 700.0, 30_000.0]),
}


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
                provider=draw(st.sampled_from(["acme", "bolt", "core"])),
                region=draw(st.sampled_from(["eu-1", "us-1"])),
                gpu=f"gpu{i}",
                rate=gpus * draw(st.sampled_from([2.0, 3.0, 5.5, 7.0])),
                usd_per_hour=gpus * draw(st.sampled_from([1.0, 1.7, 2.3, 3.1])),
                gpus=gpus,
                billing=draw(st.sampled_from(["autoscaling", "spot"]))
                if i == elastic
                else "dedicated",
            )
        )
    return tuple(found)


@st.composite
def blocks(draw: st.DrawFn) -> tuple[Block, ...]:
    """One block, or two of which the second may be idle."""
    burst = draw(st.sampled_from([1.0, 1.25]))
    peak = draw(st.sampled_from([4.0, 6.5, 9.0]))
    if draw(st.booleans()):
        return (Block(720.0, peak, peak / burst),)
    low = peak * draw(st.sampled_from([0.0, 0.3, 0.6]))
    hours = 30 * draw(st.sampled_from([6, 12, 16]))
    return (Block(hours, peak, peak / burst), Block(720.0 - hours, low, low / burst))


@st.composite
def hard_months(draw: st.DrawFn) -> Case:
    """Up to three limits at once, nothing priced but rent, spot loss and switching."""
    rented = draw(offers())
    chosen = draw(st.sets(st.sampled_from(sorted(LIMITS)), min_size=1, max_size=3))
    limits = {name: draw(LIMITS[name]) for name in sorted(chosen)}
    if "most_changed" in limits or draw(st.booleans()):
        limits["today"] = tuple(draw(st.sampled_from([0, 1, 3])) for _ in rented)
        limits["usd_added"] = draw(st.sampled_from([0.0, 120.0]))
        limits["usd_removed"] = draw(st.sampled_from([0.0, 900.0]))
    spot_loss = draw(st.sampled_from([0.0, 0.1]))
    ceiling = draw(st.sampled_from([0.75, 1.0]))
    return Case(rented, draw(blocks()), Terms(ceiling=ceiling, spot_loss=spot_loss, **limits))


@st.composite
def soft_months(draw: st.DrawFn) -> Case:
    """Penalties, a ceiling above the target, and perhaps tokens or a priced shortfall."""
    chosen = draw(st.sets(st.sampled_from(sorted(PENALTIES)), min_size=1, max_size=3))
    extra = {name: draw(PENALTIES[name]) for name in sorted(chosen)}
    sink = draw(st.sampled_from(["", "", "tokens", "shortfall", "both"]))
    tokens = None
    if sink in ("tokens", "both"):
        usd = draw(st.sampled_from([2e-5, 1e-4, 4e-4]))
        tokens = Tokens("tokn", usd, draw(st.sampled_from([1.5, 600.0])))
    if sink in ("shortfall", "both"):
        extra["shortfall_usd"] = draw(st.sampled_from([5e-5, 2e-4]))
    ceiling = draw(st.sampled_from([0.95, 1.1, 1.3]))
    return Case(draw(offers()), draw(blocks()), Terms(ceiling=ceiling, **extra), tokens)


@st.composite
def hot_months_with_overflow(draw: st.DrawFn) -> Case:
    """A gentle ramp, and tokens or a priced shortfall that cost about as much: heat is shared."""
    above = draw(st.sampled_from([0.7, 0.8, 0.9]))
    terms = Terms(
        ceiling=draw(st.sampled_from([1.1, 1.3])),
        overload=(above, draw(st.sampled_from([100.0, 250.0, 600.0, 1500.0]))),
        strict_usd=draw(st.sampled_from([None, 150.0])),
        shortfall_usd=draw(st.sampled_from([None, 3e-4])),
    )
    tokens = None
    if terms.shortfall_usd is None or draw(st.booleans()):
        usd = draw(st.sampled_from([1.7e-4, 2.5e-4, 4e-4]))
        tokens = Tokens("tokn", usd, draw(st.sampled_from([0.7, 600.0])))
    return Case(draw(offers()), draw(blocks()), terms, tokens)


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
    tokens = draw(st.sampled_from([None, Tokens("tokn", usd, most)]))
    spot_loss = draw(st.sampled_from([0.0, 0.1]))
    spot_share = draw(st.sampled_from([None, 0.5]))
    terms = Terms(ceiling=0.75, spot_loss=spot_loss, spot_share=None if tokens else spot_share)
    return Case(tuple(rented), draw(blocks()), terms, tokens)


@st.composite
def short_months(draw: st.DrawFn) -> Case:
    """A budget that may be short, and up to one limit besides."""
    names = ("at_most_providers", "survive", "max_units_of_first", "spot_share")
    chosen = draw(st.sets(st.sampled_from(names), max_size=1))
    limits = {name: draw(LIMITS[name]) for name in sorted(chosen)}
    budget = draw(st.sampled_from([500.0, 1300.0, 2600.0, 4000.0]))
    terms = Terms(
        ceiling=draw(st.sampled_from([0.75, 1.0])), budget=budget, when_short="fair", **limits
    )
    return Case(draw(offers()), draw(blocks()), terms)


def as_input(case: Case) -> tuple[Problem, Catalog]:
    """The case as a problem and a catalog."""
    rented = [
        offering(
            o.provider,
            o.gpu,
            o.usd_per_hour,
            billing=o.billing,
            gpus_per_unit=o.gpus,
            region=o.region,
        )
        for o in case.offers
    ]
    rates = [raw(o.gpu, o.rate / o.gpus) for o in case.offers]
    apis = [_token_price(case.tokens)] if case.tokens else []
    chat = workload(
        traffic=_traffic(case.blocks),
        min_replicas=case.terms.min_replicas,
        latency={"requirement": "200ms"},
    )
    question = problem(
        workloads=[chat],
        policy=_policy(case),
        limits=_limits(case),
        current_fleet=_current_fleet(case),
        switching={
            "usd_per_unit_added": case.terms.usd_added,
            "usd_per_unit_removed": case.terms.usd_removed,
            "max_units_changed": case.terms.most_changed,
        },
    )
    return question, catalog(rented, rates, apis)


def _token_price(tokens: Tokens) -> Any:
    usd_per_m = tokens.usd_per_request / REQUEST_TOKENS * 1e6
    return token_price(
        tokens.provider, usd_per_m, max_requests_per_minute=60 * tokens.most_per_second
    )


def _traffic(blocks: tuple[Block, ...]) -> dict[str, Any]:
    first = blocks[0]
    if len(blocks) == 1:
        return {
            "kind": "requests_per_second",
            "requests_per_second": first.peak,
            "mean_requests_per_second": first.mean,
        }
    weights = [b.mean for b in blocks for _ in range(round(b.hours / 30))]
    return {
        "kind": "profile",
        "requests_per_day": 3600 * sum(weights),
        "weights": weights,
        "burst_factor": first.peak / first.mean,
    }


def _policy(case: Case) -> dict[str, Any]:
    terms = case.terms
    penalties: dict[str, Any] = {}
    if terms.overload is not None:
        above, usd = terms.overload
        penalties["overload"] = {"above": above, "usd_at_full_load": usd}
    if terms.scaling is not None:
        above_gpus, usd = terms.scaling
        penalties["scaling"] = {"above_gpus": above_gpus, "usd_per_gpu": usd}
    if terms.strict_usd is not None:
        penalties["strict_latency"] = {"usd": terms.strict_usd}
    if terms.shortfall_usd is not None:
        penalties["shortfall"] = {"usd_per_million_requests": terms.shortfall_usd * 1e6}
    target = min(terms.ceiling, 1.0)
    return {
        "utilization": {"target": target, "ceiling": terms.ceiling},
        "penalties": penalties,
        "spot_loss": terms.spot_loss,
        "switch_off_dedicated": any(o.stops for o in case.offers),
    }


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


def _limits(case: Case) -> dict[str, Any]:
    terms, first = case.terms, case.offers[0]
    limits: dict[str, Any] = {
        "billing": {"allow": [*BILLINGS, "per_token"]},
        "providers": {"max_count": terms.at_most_providers, "max_share": terms.provider_share},
        "spot_share": terms.spot_share,
        "max_gpus": {"total": terms.max_gpus},
    }
    if terms.max_units_of_first is not None:
        name = f"{first.provider}/{first.gpu}/{first.region}"
        limits["max_units"] = {name: terms.max_units_of_first}
    if terms.survive is not None:
        kind, share = terms.survive
        limits["survive_loss_of"] = {"kind": kind, "share": share}
    if terms.budget is not None:
        limits["budget"] = {"usd_per_month": terms.budget, "when_short": terms.when_short}
    return limits


def _current_fleet(case: Case) -> list[dict[str, Any]]:
    return [
        {
            "offering": f"{o.provider}/{o.gpu}/{o.region}",
            "billing": o.billing,
            "units": units,
            "workload": "chat",
        }
        for o, units in zip(case.offers, case.terms.today, strict=bool(case.terms.today))
        if units
    ]
