"""How answers change with questions: no oracle says what is right, only what must not happen.

Random problems of every feature are asked twice, the second time with one thing changed: tightened,
scaled, permuted, split in two, or with one more offering.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from milp_planner import Catalog, Problem, Status
from tests.support.builders import catalog, offering, problem, raw, token_price, workload
from tests.support.oracles.reading.reader_cases import wide_case
from tests.support.random_problems import planned

FEW, MANY = range(7000, 7008), range(7000, 7150)


def score(asked: Problem, rented: Catalog) -> float:
    """USD/month of what is proven; infinite where there is no plan, NaN where nothing is proven."""
    _, plan = planned(asked, rented, time_limit_s=15)
    if plan.status is Status.INFEASIBLE:
        return math.inf
    return plan.score_usd_per_month if plan.status is Status.OPTIMAL else math.nan


def no_dearer(one: float, other: float) -> bool:
    """True unless `one` is proven to be above `other`."""
    return not one > other + 0.02 + 2e-6 * abs(other if other < math.inf else 0.0)


def same(one: float, other: float) -> bool:
    return no_dearer(one, other) and no_dearer(other, one)


def cases(seeds: range) -> Iterator[tuple[int, random.Random, Problem, Catalog]]:
    """Problems in which more money buys no less: a budget that is short takes what it can get."""
    for seed in seeds:
        asked, rented = wide_case(seed)
        budget = asked.limits.budget
        if budget is None or budget.when_short == "fail":
            yield seed, random.Random(f"change {seed}"), asked, rented


def quick_and_slow(check: Callable[[range], None]) -> Callable[[range], None]:
    """A test over few problems, and over many when asked."""
    many = pytest.param(MANY, marks=pytest.mark.slow, id="many")
    return pytest.mark.parametrize("seeds", [pytest.param(FEW, id="few"), many])(check)


# ---- tighter is never cheaper


def tightened(chance: random.Random, asked: Problem, rented: Catalog) -> Iterator[dict[str, Any]]:
    """Changes of which each takes plans away or charges more for some."""
    limits, policy = asked.limits, asked.policy
    highest = policy.utilization.ceiling or policy.utilization.target
    name = chance.choice(asked.workloads).name
    w = asked.workload(name)
    yield {"policy.utilization": {"target": 0.5, "ceiling": round(0.9 * highest, 3)}}
    yield {f"workloads.{name}.min_replicas": w.min_replicas + 1}
    yield {f"workloads.{name}.latency.max_band": "low"}
    yield {
        "limits.max_spot_share": 0.9
        * (1 if limits.max_spot_share is None else limits.max_spot_share)
    }
    yield {"limits.providers.max_share": 0.8 * (limits.providers.max_share or 1.0)}
    for which in ("providers", "regions", "gpus"):
        most = getattr(limits, which).max_count
        yield {f"limits.{which}.max_count": 2 if most is None else max(1, most - 1)}
    if limits.survival is None:
        kind = chance.choice(["provider", "region", "offering"])
        yield {"limits.survive_loss_of": {"kind": kind, "share": 0.4}}
    elif limits.survival.share < 1:
        yield {"limits.survive_loss_of": {"kind": limits.survival.kind, "share": 1.0}}
    total = limits.max_gpus.total
    yield {"limits.max_gpus.total": 8 if total is None else max(0, total - 1)}
    some = chance.choice(rented.offerings)
    yield {"limits.max_units": {**limits.max_units, some.id: 0}}
    yield {"limits.billing.allow": [b for b in limits.billing.allow if b != some.billing]}
    cash = 5000.0 if limits.budget is None else 0.8 * limits.budget.usd_per_month
    yield {"limits.budget": {"usd_per_month": cash, "when_short": "fail"}}
    if asked.current_fleet:
        most = asked.switching.max_units_changed
        yield {"switching.max_units_changed": 3 if most is None else max(0, most - 1)}
        yield {"switching.usd_per_unit_added": asked.switching.usd_per_unit_added + 100}
    if policy.switch_off_dedicated:
        yield {"policy.switch_off_dedicated": False}
    yield {"policy.spot_loss": policy.spot_loss + 0.1}
    penalties = policy.active_penalties
    if penalties.overload is not None:
        usd = 2 * penalties.overload.usd_at_full_load
        yield {"policy.penalties.overload.usd_at_full_load": usd}
    if penalties.scaling is not None:
        yield {"policy.penalties.scaling.above_gpus": 0}
    if penalties.shortfall is not None:
        yield {"policy.penalties.shortfall": None}
    for w in asked.workloads:
        yield {f"workloads.{w.name}.traffic.growth": 1.2}


@quick_and_slow
def test_a_tighter_problem_is_never_cheaper_and_a_looser_one_never_dearer(seeds):
    for seed, chance, asked, rented in cases(seeds):
        before = score(asked, rented)
        for change in chance.sample(list(tightened(chance, asked, rented)), 3):
            assert no_dearer(before, score(asked.changed(change), rented)), (seed, change)


# ---- one more offering is never dearer


@pytest.mark.slow
@quick_and_slow
def test_one_more_offering_is_never_dearer(seeds):
    for seed, chance, asked, rented in cases(seeds):
        like = chance.choice(rented.offerings)
        other = {
            "provider": chance.choice(["acme", "dune"]),
            "name": "other",
            "usd_per_hour": round(like.usd_per_hour * chance.choice([0.5, 0.9, 1.1]), 3),
            "gpus_per_unit": chance.choice([1, 2]),
        }
        more = replace(rented, offerings=(*rented.offerings, like.model_copy(update=other)))
        assert no_dearer(score(asked, more), score(asked, rented)), seed


# ---- prices in another currency


def times(asked: Problem, rented: Catalog, k: float) -> tuple[Problem, Catalog]:
    """Every price and every sum of money k times."""
    document = asked.model_dump(mode="json", by_alias=True)

    def scaled(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: scaled(v, name) for name, v in value.items()}
        if isinstance(value, list):
            return [scaled(v) for v in value]
        is_money = key.startswith(("usd", "max_usd")) and isinstance(value, int | float)
        return k * value if is_money else value

    rows = [o.model_copy(update={"usd_per_hour": k * o.usd_per_hour}) for o in rented.offerings]
    prices = [
        p.model_copy(
            update={
                "usd_per_m_input_tokens": k * p.usd_per_m_input_tokens,
                "usd_per_m_output_tokens": k * p.usd_per_m_output_tokens,
            }
        )
        for p in rented.token_prices
    ]
    other = replace(rented, offerings=tuple(rows), token_prices=tuple(prices))
    return Problem(**scaled(document)), other


@quick_and_slow
def test_prices_that_are_all_scaled_scale_the_score(seeds):
    for seed, chance, asked, rented in cases(seeds):
        k = chance.choice([0.25, 3.7, 130.0])
        assert same(score(asked, rented), score(*times(asked, rented, k)) / k), (seed, k)


# ---- another order


@quick_and_slow
def test_the_order_of_workloads_classes_and_offerings_does_not_matter(seeds):
    for seed, chance, asked, rented in cases(seeds):
        document = asked.model_dump(mode="json", by_alias=True)
        chance.shuffle(document["workloads"])
        for w in document["workloads"]:
            chance.shuffle(w["requests"])
        offerings, rates = list(rented.offerings), list(rented.measurements)
        chance.shuffle(offerings)
        chance.shuffle(rates)
        other = replace(rented, offerings=tuple(offerings), measurements=tuple(rates))
        assert same(score(asked, rented), score(Problem(**document), other)), seed


# ---- a workload in two


UNLINKED = dict.fromkeys(
    (
        *("switching", "limits.budget", "limits.max_units", "limits.max_gpus"),
        *("limits.providers.max_count", "limits.regions.max_count", "limits.gpus.max_count"),
    )
)
"""Without what links workloads."""


def unlinked(asked: Problem, rented: Catalog) -> tuple[Problem, Catalog]:
    """The first workload alone, whose copies would not be in each other's way."""
    document = asked.model_dump(mode="json", by_alias=True)
    document["workloads"], document["current_fleet"] = document["workloads"][:1], []
    alone = Problem(**document).changed(UNLINKED)
    rows = tuple(o.model_copy(update={"max_units": None}) for o in rented.offerings)
    prices = [p.model_copy(update={"max_requests_per_minute": None}) for p in rented.token_prices]
    return alone, replace(rented, offerings=rows, token_prices=tuple(prices))


def in_parts(asked: Problem, *factors: float) -> Problem:
    """Copies of the only workload, each with so many times its traffic."""
    document = asked.model_dump(mode="json", by_alias=True)
    (w,) = document["workloads"]
    document["workloads"] = [
        {**w, "name": f"part-{i}", "traffic": {**w["traffic"], "growth": factor}}
        for i, factor in enumerate(factors)
    ]
    return Problem(**document)


@quick_and_slow
def test_two_workloads_that_nothing_links_cost_what_they_cost_alone(seeds):
    for seed, _, asked, rented in cases(seeds):
        alone, offered = unlinked(asked, rented)
        once, twice = score(in_parts(alone, 1), offered), score(in_parts(alone, 1, 1), offered)
        assert same(2 * once, twice), seed


@quick_and_slow
def test_a_workload_is_never_dearer_whole_than_in_two_halves(seeds):
    # The halves' units serve the whole at no higher utilization, keep its shares and survive its
    # losses. GPUs beyond a count are the exception: each half has a count of its own.
    for seed, _, asked, rented in cases(seeds):
        one = asked.changed({"policy.penalties.scaling": None})
        document = one.model_dump(mode="json", by_alias=True)
        document["workloads"], document["current_fleet"] = document["workloads"][:1], []
        document["switching"] = {}
        whole = Problem(**document)
        halves = score(in_parts(whole, 0.5, 0.5), rented)
        assert no_dearer(score(in_parts(whole, 1), rented), halves), seed


def test_two_halves_that_are_served_per_token_cost_what_the_whole_does():
    # $200 per million requests of two tokens, 5.184 million a month: $1,036.80, in one or in two.
    allowed = {"billing": {"allow": ["per_token"]}}
    rented = catalog([], [], [token_price("tokn", 100)])
    whole = problem(2, limits=allowed)
    assert score(whole, rented) == pytest.approx(1036.8)
    assert score(in_parts(whole, 0.5, 0.5), rented) == pytest.approx(1036.8)


# ---- GPUs that serve one class only


def specialists(seed: int) -> tuple[list[float], Catalog, dict[str, Any]]:
    """Rates of three classes, offerings of which each can serve one of them, and limits."""
    chance = random.Random(f"specialists {seed}")
    sizes = ((1, 1), (10, 10), (100, 20))
    offers, rates = [], []
    for q, size in enumerate(sizes):
        for i in range(2):
            gpu = f"gpu{q}{i}"
            speed = chance.choice([2.0, 3.0, 5.5, 7.0])
            rates.append(raw(gpu, speed, size=size))
            usd = round(speed * chance.uniform(0.3, 0.7), 2)
            billing = chance.choice(["dedicated", "autoscaling", "spot"])
            offers.append(offering(("acme", "bolt")[i], gpu, usd, billing=billing))
    limits: dict[str, Any] = {"billing": {"allow": ["dedicated", "autoscaling", "spot"]}}
    if chance.random() < 0.5:
        limits["survive_loss_of"] = chance.choice(["provider", "offering"])
    if chance.random() < 0.5:
        limits["max_units"] = {chance.choice(offers).id: 1}
    return [chance.choice([1.0, 4.0, 6.5]) for _ in sizes], catalog(offers, rates), limits


@pytest.mark.slow
@quick_and_slow
def test_classes_that_no_gpu_shares_cost_what_they_cost_alone(seeds):
    sizes = ((1, 1), (10, 10), (100, 20))
    for seed in seeds:
        rates, rented, limits = specialists(seed)
        classes = [
            {"input_tokens": i, "output_tokens": o, "share": rate / sum(rates)}
            for (i, o), rate in zip(sizes, rates, strict=True)
        ]
        mixed = problem(workloads=[workload(sum(rates), requests=classes)], limits=limits)
        alone = [
            problem(
                workloads=[workload(rate, requests=[{**one, "share": 1.0}])],
                limits=limits,
            )
            for rate, one in zip(rates, classes, strict=True)
        ]
        assert same(score(mixed, rented), sum(score(one, rented) for one in alone)), seed
