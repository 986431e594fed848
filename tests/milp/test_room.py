"""No bound on units rules out a better fleet: brute force where limits ask for more than the load,
or say who may serve how much of it.

The oracle is given the planner's score and tries every fleet that costs less: none may keep all
limits. Where the planner says that there is no plan, no fleet of up to so many units may.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from milp_planner import Status, reason_lines, solve
from tests.support.builders import catalog, offering, problem, raw
from tests.support.examples import slow_tries, tries

HOURS = 720
MOST_FLEETS = 60_000
MOST_UNITS = 14
"""Units of each box that are tried where the planner finds no plan."""


@dataclass(frozen=True)
class Box:
    provider: str
    rate: float
    usd_per_hour: float
    gpus: int = 1
    spot: bool = False
    region: str = "eu-1"


@dataclass(frozen=True)
class Rules:
    load: float
    ceiling: float = 1.0
    max_share: float | None = None
    spot_share: float | None = None
    survive: tuple[str, float] | None = None
    min_replicas: int = 1
    max_band: str | None = None
    overload: tuple[float, float] | None = None

    @property
    def limit(self) -> float:
        bands = {"low": 0.5, "medium": 0.75}
        return min(self.ceiling, bands.get(self.max_band, self.ceiling))


NAMES = {
    "provider": lambda i, box: box.provider,
    "region": lambda i, box: (box.provider, box.region),
    "offering": lambda i, box: i,
}


def keeps(boxes: tuple[Box, ...], rules: Rules, units: tuple[int, ...]) -> bool:
    """True when the fleet keeps every limit, in plain words."""
    held = [n * box.rate for n, box in zip(units, boxes, strict=True)]
    if rules.load > rules.limit * served(boxes, rules, held) * (1 + 1e-9):
        return False
    if sum(n * box.gpus for n, box in zip(units, boxes, strict=True)) < rules.min_replicas:
        return False
    if rules.survive is not None:
        kind, share = rules.survive
        names = [NAMES[kind](i, box) for i, box in enumerate(boxes)]
        for lost in set(names):
            left = sum(h for h, name in zip(held, names, strict=True) if name != lost)
            if left * (1 + 1e-9) < share * rules.load:
                return False
    return True


def served(boxes: tuple[Box, ...], rules: Rules, held: list[float]) -> float:
    """Requests/s at 100 % when no provider, and no spot, serves more than its share of them.

    By halving: R can be served where what providers may serve of it, spot and the rest apart, flows
    through boxes that carry so much.
    """
    low, high = 0.0, sum(held)
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _flows(boxes, rules, held, middle) else (low, middle)
    return high


def _flows(boxes: tuple[Box, ...], rules: Rules, held: list[float], rate: float) -> bool:
    names = sorted({box.provider for box in boxes})
    of_one = rate if rules.max_share is None else rules.max_share * rate
    of_spot = rate if rules.spot_share is None else rules.spot_share * rate
    kinds = {name: [0.0, 0.0] for name in names}
    for box, carried in zip(boxes, held, strict=True):
        kinds[box.provider][box.spot] += carried
    rest = [min(kinds[name][False], of_one) for name in names]
    more = [min(kinds[n][True], of_one - r) for n, r in zip(names, rest, strict=True)]
    return sum(rest) + min(sum(more), of_spot) >= rate * (1 - 1e-12)


def score(boxes: tuple[Box, ...], rules: Rules, units: tuple[int, ...]) -> float:
    """Rent and the overload ramp, USD/month."""
    rent = sum(HOURS * n * box.usd_per_hour for n, box in zip(units, boxes, strict=True))
    if rules.overload is None:
        return rent
    above, usd = rules.overload
    held = [n * box.rate for n, box in zip(units, boxes, strict=True)]
    u = rules.load / served(boxes, rules, held)
    return rent + max(0.0, usd * (u - above) / (1 - above))


def cheaper_fleets(boxes: tuple[Box, ...], rules: Rules, below: float | None):
    """Every fleet that costs less than `below`; without it, of up to `MOST_UNITS` of each."""
    most = [
        MOST_UNITS if below is None else int(below / (HOURS * box.usd_per_hour)) for box in boxes
    ]
    for units in itertools.product(*(range(n + 1) for n in most)):
        if any(units) and (below is None or score(boxes, rules, units) < below - 1.5):
            yield units


def planned(boxes: tuple[Box, ...], rules: Rules):
    rows = [
        offering(
            box.provider,
            f"gpu{i}",
            box.usd_per_hour,
            billing="spot" if box.spot else "dedicated",
            gpus_per_unit=box.gpus,
            region=box.region,
        )
        for i, box in enumerate(boxes)
    ]
    rates = [raw(f"gpu{i}", box.rate / box.gpus) for i, box in enumerate(boxes)]
    limits = {"billing": {"allow": ["dedicated", "spot"]}}
    if rules.max_share is not None:
        limits["providers"] = {"max_share": rules.max_share}
    if rules.spot_share is not None:
        limits["max_spot_share"] = rules.spot_share
    if rules.survive is not None:
        limits["survive_loss_of"] = dict(zip(("kind", "share"), rules.survive, strict=True))
    policy = {"spot_loss": 0, "utilization": {"target": min(0.75, rules.ceiling)}}
    policy["utilization"]["ceiling"] = rules.ceiling
    if rules.overload is not None:
        above, usd = rules.overload
        policy["penalties"] = {"overload": {"above": above, "usd_at_full_load": usd}}
    chat = {"min_replicas": rules.min_replicas}
    if rules.max_band is not None:
        chat["latency"] = {"max_band": rules.max_band}
    question = problem(rules.load, limits=limits, policy=policy, chat=chat)
    return solve(question, catalog(rows, rates), diagnose=False)


@st.composite
def cases(draw):
    rates = draw(st.lists(st.sampled_from([1.0, 2.0, 3.0, 5.0, 7.0, 11.0]), min_size=2, max_size=3))
    boxes = tuple(
        Box(
            draw(st.sampled_from(["acme", "bolt", "core"])),
            rate,
            round(rate * draw(st.sampled_from([0.3, 0.4, 0.7, 1.5])), 2),
            draw(st.sampled_from([1, 1, 2])),
            draw(st.sampled_from([False, False, True])),
            draw(st.sampled_from(["eu-1", "us-1"])),
        )
        for rate in rates
    )
    sometimes = st.sampled_from([True, False, False])
    soft = draw(sometimes)
    rules = Rules(
        load=draw(st.sampled_from([1.0, 3.0, 6.5, 10.0])),
        ceiling=1.0 if soft else draw(st.sampled_from([0.75, 1.0])),
        max_share=draw(st.sampled_from([None, 0.5, 0.6, 0.8])),
        spot_share=draw(st.sampled_from([None, None, 0.0, 0.3, 0.5])),
        survive=(
            (draw(st.sampled_from(list(NAMES))), draw(st.sampled_from([0.5, 1.0])))
            if draw(sometimes)
            else None
        ),
        min_replicas=draw(st.sampled_from([1, 1, 3, 6])),
        max_band=draw(st.sampled_from([None, None, "low", "medium"])),
        overload=(draw(st.sampled_from([0.01, 0.5, 0.9])), 500.0) if soft else None,
    )
    return boxes, rules


def check(case: tuple[tuple[Box, ...], Rules]) -> None:
    boxes, rules = case
    plan = planned(boxes, rules)
    if plan.status is Status.INFEASIBLE:
        assert not any(keeps(boxes, rules, units) for units in cheaper_fleets(boxes, rules, None))
        return
    assert plan.status is Status.OPTIMAL
    bought = [0] * len(boxes)
    for p in plan.purchases:
        bought[int(p.candidate.gpu.removeprefix("gpu"))] += p.units
    assert keeps(boxes, rules, tuple(bought))
    total = plan.score_usd_per_month
    assert score(boxes, rules, tuple(bought)) == pytest.approx(total, abs=0.01)
    most = 1
    for box in boxes:
        most *= int(total / (HOURS * box.usd_per_hour)) + 1
    if most <= MOST_FLEETS:
        better = [u for u in cheaper_fleets(boxes, rules, total) if keeps(boxes, rules, u)]
        assert not better, (total, better[:3])


@tries(0.6, suppress_health_check=list(HealthCheck))
@given(cases())
def test_no_cheaper_fleet_keeps_all_limits(case):
    check(case)


@pytest.mark.slow
@slow_tries(30, suppress_health_check=list(HealthCheck))
@given(cases())
def test_no_cheaper_fleet_keeps_all_limits_in_thousands_of_cases(case):
    check(case)


def test_shares_that_no_numbers_keep_are_proven_to_have_no_plan():
    boxes = catalog(
        [offering("acme", "a", 4.0), offering("bolt", "b", 2.5)], [raw("a", 8), raw("b", 5.556)]
    )
    plan = solve(problem(10, limits={"providers": {"max_share": 0.4}}), boxes)
    assert plan.status is Status.INFEASIBLE
    assert reason_lines(plan)[0] == "no fleet keeps limits.providers.max_share: 40 %"


def test_a_short_budget_serves_what_shares_leave_of_it():
    # Half of 5 requests/s from each of two: one big and one small, $3,960. With a dollar less there
    # is one provider alone, who may serve half of what is served: nothing.
    boxes = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3)],
    )

    def unserved(usd):
        limits = {
            "providers": {"max_share": 0.5},
            "budget": {"usd_per_month": usd, "when_short": "fair"},
        }
        return solve(problem(5, limits=limits), boxes).workloads[0].shortfall_share

    assert unserved(3_960) == 0
    assert unserved(3_959) == pytest.approx(1)
