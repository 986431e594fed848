"""Prices on quotas: a bound that no plan is below, and fleets that keep the quotas."""

from __future__ import annotations

import random
from fractions import Fraction
from itertools import product

import pytest

from milp_planner import prepare
from milp_planner.candidates.records import hours_held, is_elastic
from milp_planner.milp.curves.linked.by_prices import by_prices
from milp_planner.milp.curves.linked.priced import PRICE_UNIT, PricedCover
from milp_planner.milp.curves.linked.reading import linked_covers_of
from milp_planner.milp.program.limits.quotas import user_quotas
from milp_planner.milp.program.model import build_model
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload

DAY_AND_NIGHT = {
    "kind": "profile",
    "requests_per_day": 86_400 * 6,
    "weights": [1] * 12 + [2] * 12,
    "max_blocks": 2,
}
"""4 requests/s for half of the day, 8 for the other."""


def two_under_one_quota(most=4):
    # Acme: 3 requests/s for $1/h, so many of them at most; bolt: 4 requests/s for $2.10/h.
    boxes = catalog(
        [
            offering("acme", "a", 1.0, billing="autoscaling"),
            offering("bolt", "b", 2.1, billing="autoscaling"),
        ],
        [raw("a", 3), raw("b", 4)],
    )
    workloads = [{**workload(1, name), "traffic": DAY_AND_NIGHT} for name in ("chat", "code")]
    limits = {"max_gpus": {"per_provider": {"acme": most}}}
    return problem(workloads=workloads, limits=limits, policy={"share": "none"}), boxes


def linked_of(question, rented):
    asked = prepare(question, rented)
    return linked_covers_of(build_model(asked, asked.candidates.candidates))


def test_the_bound_is_the_best_that_prices_give():
    # By night two of acme's each: $4/h, four in all. By day each wants 8: three of acme's for $3,
    # two and one of bolt's for $4.10, or two of bolt's for $4.20. With $0.40 more for each of
    # acme's both cost $4.20 at least: 8.40 less the four at $0.40, $6.80/h. More or less is lower:
    # at 0.4 + p the least is still 4.20, at 0.4 - p it is 4.20 - 3p. The best plan is one of each,
    # $7.20/h. 360 h each.
    found = by_prices(linked_of(*two_under_one_quota()))
    assert float(found.best.usd) == pytest.approx(360 * (4 + 6.8), rel=1e-4)
    assert found.best.usd <= 360 * (4 + 6.8)
    assert found.usd_per_month == pytest.approx(360 * (4 + 7.2))
    assert found.bound_usd == pytest.approx(found.usd_per_month)  # as all that is cheaper is listed
    by_provider = {"acme": [0, 0], "bolt": [0, 0]}
    for k, on in found.solution.units.items():
        by_provider[k.provider] = [a + b for a, b in zip(by_provider[k.provider], on, strict=True)]
    assert sorted(by_provider["acme"]) == [3, 4]
    assert sorted(by_provider["bolt"]) == [0, 2]


def test_a_workload_at_prices_costs_what_its_units_and_their_quotas_do():
    cover = PricedCover(linked_of(*two_under_one_quota()).covers[0])
    assert cover.at({}).least_usd == pytest.approx(360 * (2 + 3))
    # $180 more a unit of acme's in one block is $0.50 an hour there
    by_night = {link: int(180 / PRICE_UNIT) for link in (0, 1)}
    assert float(cover.at(by_night).least_usd) == pytest.approx(360 * (2.1 + 4.2))


def test_what_a_fleet_may_use_that_costs_no_more_is_known():
    found = by_prices(linked_of(*two_under_one_quota()))
    every = {k.provider for k in found.used_within(found.usd_per_month)}
    assert every == {"acme", "bolt"}
    assert {k.provider for k in found.used_within(float(found.best.usd) - 1)} == set()


def test_where_no_fleet_serves_there_is_no_bound():
    boxes = catalog([offering("acme", "a", 1.0)], [raw("a", 3)])
    two = problem(workloads=[workload(1, "chat"), workload(2, "code")], limits={"max_gpus": {}})
    linked = linked_of(two, boxes)
    assert linked is None  # nothing links them
    with_quota = two.changed({"limits.max_gpus": {"total": 1}, "policy.share": "none"})
    found = by_prices(linked_of(with_quota, boxes))
    assert found.solution is None  # each wants one: the quota is broken by every fleet


@pytest.mark.parametrize(
    "fields",
    [
        {"limits": {"max_gpus": {"total": 9}, "budget": {"usd_per_month": 9_000}}},
        {"limits": {"max_gpus": {"total": 9}, "providers": {"max_share": "60%"}}},
        {"limits": {"max_gpus": {"total": 9}, "survive_loss_of": "provider"}},
        {
            "limits": {"max_gpus": {"total": 9}},
            "policy": {"penalties": {"scaling": {"above_gpus": 1, "usd_per_gpu": 9}}},
        },
    ],
)
def test_what_is_more_than_loads_and_quotas_is_left_to_the_engines(fields):
    two = problem(workloads=[workload(5, "chat"), workload(7, "code")], **fields)
    assert linked_of(two, big_and_small()) is None


def random_case(seed):
    """Two workloads in two blocks, two sellers of held and of elastic units, and quotas."""
    chance = random.Random(seed)
    speed = {"gpu0": chance.choice([2.0, 3.0]), "gpu1": chance.choice([3.5, 5.0])}
    rented = [
        offering(
            *(f"seller{i}", gpu, round(rate * chance.uniform(0.3, 0.7), 2)),
            billing=billing,
            gpus_per_unit=1 + (gpu == "gpu1"),
        )
        for i, billing in enumerate(("dedicated", "autoscaling"))
        for gpu, rate in speed.items()
    ]
    rented.append(offering("seller2", "gpu0", speed["gpu0"], billing="autoscaling"))
    asked = [workload(1, name, traffic=_traffic(chance)) for name in ("chat", "code")]
    quotas = {
        "total": chance.randint(5, 9),
        "per_provider": {"seller0": chance.randint(0, 3), "seller1": chance.randint(1, 4)},
    }
    limits = {"max_gpus": quotas, "billing": {"allow": ["dedicated", "autoscaling"]}}
    question = problem(workloads=asked, limits=limits, policy={"share": "none"})
    return question, catalog(rented, [raw(gpu, rate) for gpu, rate in speed.items()])


def _traffic(chance):
    low, high = chance.choice([(0, 3), (1, 2), (2, 3), (1, 5)])
    return {
        "kind": "profile",
        "requests_per_day": chance.choice([1.5, 2.5, 3.5]) * 86_400,
        "weights": [low] * 12 + [high] * 12,
        "max_blocks": 2,
    }


def fleets_of(asked, name, t, elastic):
    """(what they carry, USD, units by candidate) of all fleets that are worth a look."""
    demand, limit = asked.schedule.demands[name], asked.problem.policy.utilization.highest
    peak = demand.highest_peak if t is None else demand.peak[t]
    some = [
        k
        for k in asked.candidates.candidates
        if k.workload == name and is_elastic(asked.problem, k) is elastic
    ]
    ranges = (range(int(peak / (limit * k.mix_requests_per_second)) + 2) for k in some)
    for on in product(*ranges):
        units = {k: n for k, n in zip(some, on, strict=True) if n}
        hours = {
            k: hours_held(asked, k) if t is None else asked.schedule.blocks[t].hours for k in units
        }
        yield (
            sum(n * limit * k.mix_requests_per_second for k, n in units.items()),
            sum(n * k.usd_per_hour * hours[k] for k, n in units.items()),
            units,
        )


def brute_force(asked):
    """(USD, candidates) of the best fleets of two workloads under quotas; None where none fits."""
    names = list(asked.schedule.demands)
    held = {name: list(fleets_of(asked, name, None, False)) for name in names}
    blocks = range(len(asked.schedule.blocks))
    elastic = {(n, t): list(fleets_of(asked, n, t, True)) for n in names for t in blocks}
    quotas = [(weight, limit) for _, weight, limit in user_quotas(asked.problem)]

    def keeps(*fleets):
        rented = [(k, n) for units in fleets for k, n in units.items()]
        return all(sum(w(k) * n for k, n in rented) <= limit for w, limit in quotas)

    best = None
    for one, other in product(held[names[0]], held[names[1]]):
        if not keeps(one[2], other[2]) or (best and one[1] + other[1] >= best[0]):
            continue
        usd, used = one[1] + other[1], {*one[2], *other[2]}
        for t in blocks:
            options = [
                [
                    e
                    for e in elastic[name, t]
                    if mine[0] + e[0] >= asked.schedule.demands[name].peak[t] * (1 - 1e-9)
                ]
                for name, mine in zip(names, (one, other), strict=True)
            ]
            pairs = sorted(product(*options), key=lambda pair: pair[0][1] + pair[1][1])
            pair = next((p for p in pairs if keeps(one[2], other[2], p[0][2], p[1][2])), None)
            if pair is None:
                break
            usd, used = usd + pair[0][1] + pair[1][1], used | {*pair[0][2], *pair[1][2]}
        else:
            if best is None or usd < best[0] - 1e-9:
                best = usd, used
    return best


@pytest.mark.parametrize("seed", range(24))  # in 14 a quota has a price
def test_the_bound_is_never_above_the_best_of_all_fleets(seed):
    asked = prepare(*random_case(seed))
    linked = linked_covers_of(build_model(asked, asked.candidates.candidates))
    best = brute_force(asked)
    found = by_prices(linked)
    if best is None:
        assert found is None or found.solution is None
        return
    usd, used = best
    assert found.bound_usd <= usd * (1 + 1e-9)
    assert found.bound_usd == pytest.approx(usd, abs=1e-3)  # nothing is cheaper, by lists
    assert used <= found.used_within(usd * (1 + 1e-9))
    assert found.usd_per_month == pytest.approx(usd)  # small as they are, all are known
    rented = found.solution.units.items()
    for _, weight, limit in user_quotas(asked.problem):
        for t in range(linked.blocks):
            assert sum(weight(k) * on[t] for k, on in rented) <= limit


def test_prices_are_whole_multiples_so_that_sums_are_exact():
    found = by_prices(linked_of(*two_under_one_quota()))
    assert all(isinstance(n, int) for n in found.best.prices.values())
    assert isinstance(found.best.usd, Fraction)


def test_prices_of_another_program_find_a_fleet_by_what_the_links_are_called():
    found = by_prices(linked_of(*two_under_one_quota()))
    again = by_prices(linked_of(*two_under_one_quota()), like=found)
    assert again.usd_per_month == pytest.approx(found.usd_per_month)
    assert again.bound_usd <= found.bound_usd * (1 + 1e-9)
    assert again.bound_usd == pytest.approx(found.bound_usd, rel=1e-3)
