"""Workloads whose utilization has a price, by how hot they may run: by hand, against every fleet,
and as the answer to whole problems."""

from __future__ import annotations

import itertools
import math
import random

import pytest

from milp_planner import Problem, Status, prepare, solve
from milp_planner.candidates.records import is_elastic
from milp_planner.milp.curves.listed import blocks
from milp_planner.milp.program.routes import covered
from milp_planner.questions.solve import provenance_of, settings_of
from milp_planner.solving import parts, priced
from milp_planner.solving.priced import priced_by_utilization
from milp_planner.solving.soft import by_utilization as soft
from tests.support.builders import big_and_small, catalog, offering, problem, raw, with_tokens

HOT = {"utilization": {"target": 0.75, "ceiling": 1.0}}


def ramp(usd, above=0.8):
    return {"overload": {"above": above, "usd_at_full_load": usd}}


def hot(rate=10, **penalties) -> Problem:
    """Up to 100 %, with these penalties, and a strict latency requirement where that has one."""
    chat = {"latency": {"requirement": "200ms"}} if "strict_latency" in penalties else {}
    return problem(rate, policy={**HOT, "penalties": penalties}, chat=chat)


def looked_for(asked: Problem, rented=None, limit_s=60.0):
    """What is said of a problem before pruning."""
    given = prepare(asked, big_and_small() if rented is None else rented)
    how = settings_of(asked)
    return priced_by_utilization(given, provenance_of(given, how), limit_s)


def best_usd(asked: Problem, rented=None) -> float:
    found = looked_for(asked, rented).result
    assert found.status is Status.OPTIMAL
    assert found.proof.certified_by == ("capacity curves",)
    return found.score_usd_per_month


def test_a_ramp_is_paid_as_long_as_it_is_cheaper_than_a_unit():
    # 10 requests/s. Big, $2,880, runs at 100 %; with a small one, $1,080, at 77 %.
    assert best_usd(hot(**ramp(1_079))) == pytest.approx(2_880 + 1_079)
    assert best_usd(hot(**ramp(1_081))) == pytest.approx(2_880 + 1_080)


def test_part_of_a_ramp_is_paid():
    # Four small ones, $4,320, carry 12 and run at 75 % with 9 requests/s; three, $3,240, at 100 %;
    # big at 90 %, half of the ramp. Big and small at 69 %, $3,960.
    assert best_usd(hot(9, **ramp(2_000))) == pytest.approx(2_880 + 1_000)
    assert best_usd(hot(9, **ramp(2_200))) == pytest.approx(3_960)


def test_the_high_band_has_a_price_of_its_own():
    # At 77 %, big and small owe the band; at 75 % no fleet is cheaper than big and two small.
    strict = {"strict_latency": {"usd": 700}}
    assert best_usd(hot(**ramp(2_000), **strict)) == pytest.approx(3_960 + 700)
    strict = {"strict_latency": {"usd": 1_100}}
    assert best_usd(hot(**ramp(2_000), **strict)) == pytest.approx(2_880 + 2 * 1_080)


def test_gpus_beyond_a_count_have_a_price_beside_it():
    # Big and small are one GPU more than big alone.
    few = {"scaling": {"above_gpus": 1, "usd_per_gpu": 100}}
    assert best_usd(hot(**ramp(1_179), **few)) == pytest.approx(2_880 + 1_179)
    assert best_usd(hot(**ramp(1_181), **few)) == pytest.approx(3_960 + 100)


def test_what_is_of_another_kind_is_left_to_the_engines():
    assert looked_for(problem()) is None  # nothing has such a price
    assert looked_for(hot(scaling={"above_gpus": 1, "usd_per_gpu": 100})) is None
    with_apis = hot(**ramp(1_000)).changed({"limits.billing.allow": ["dedicated", "per_token"]})
    assert looked_for(with_apis, with_tokens()) is None
    short = {"shortfall": {"usd_per_million_requests": 100}}
    assert looked_for(hot(**ramp(1_000), **short)) is None
    survives = hot(**ramp(1_000)).changed({"limits.survive_loss_of": "provider"})
    assert looked_for(survives) is None  # what is left is held against how hot units may run


def test_a_plan_that_fails_its_check_is_none(monkeypatch):
    monkeypatch.setattr(priced, "keeps_all", lambda *given: False)
    assert looked_for(hot(**ramp(1_000))) is None


# --- against every fleet ------------------------------------------------------------------------


def drawn(seed: int):
    """A day in one or two blocks, two or three kinds of units, and one to three penalties."""
    rng = random.Random(seed)
    gpus = [f"g{i}" for i in range(rng.randint(2, 3))]
    offers = [
        offering(
            f"p{i}",
            gpu,
            rng.randint(10, 50) / 10,
            billing=rng.choice(["dedicated", "autoscaling"]),
            gpus_per_unit=rng.choice([1, 1, 2]),
        )
        for i, gpu in enumerate(gpus)
    ]
    rented = catalog(offers, [raw(gpu, rng.choice([2, 3, 5, 8])) for gpu in gpus])
    penalties = ramp(rng.choice([300, 2_000, 9_000]), rng.choice([0.0, 0.6, 0.8]))
    if rng.random() < 0.5:
        penalties |= {"strict_latency": {"usd": rng.choice([100, 900])}}
    if rng.random() < 0.5:
        penalties |= {"scaling": {"above_gpus": rng.randint(0, 2), "usd_per_gpu": 400}}
    traffic = {
        "kind": "profile",
        "requests_per_day": 86_400 * rng.randint(3, 8),
        "weights": [1] * 12 + [rng.choice([1, 2])] * 12,
        "max_blocks": 2,
    }
    chat = {"traffic": traffic, "latency": {"requirement": "200ms"}}
    if "strict_latency" not in penalties:
        del chat["latency"]
    return problem(policy={**HOT, "penalties": penalties}, chat=chat), rented


def by_every_fleet(asked: Problem, rented) -> float:
    """The least score of any fleet of up to seven units of a kind, USD/month."""
    given = prepare(asked, rented)
    (demand,), hours = given.schedule.demands.values(), [b.hours for b in given.schedule.blocks]
    kinds, best = given.candidates.candidates, math.inf
    counts = list(itertools.product(range(8), repeat=len(kinds)))
    held = [not is_elastic(asked, k) for k in kinds]
    by_held: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for on in counts:
        key = tuple(n for n, is_held in zip(on, held, strict=True) if is_held)
        by_held.setdefault(key, []).append(on)
    penalties = asked.policy.penalties
    for some in by_held.values():
        for fleet in itertools.product(some, repeat=len(hours)):
            usd = sum(
                h * n * k.usd_per_hour
                for h, on in zip(hours, fleet, strict=True)
                for n, k in zip(on, kinds, strict=True)
            )
            if usd >= best:
                continue
            could = [
                sum(n * k.mix_requests_per_second for n, k in zip(on, kinds, strict=True))
                for on in fleet
            ]
            if not all(could):
                continue
            u = max(peak / c for peak, c in zip(demand.peak, could, strict=True))
            if u > 1 + 1e-9:
                continue
            above = penalties.overload.above
            usd += penalties.overload.usd_at_full_load * max(0.0, (u - above) / (1 - above))
            if penalties.strict_latency is not None and u > 0.75 + 1e-9:
                usd += penalties.strict_latency.usd
            if penalties.scaling is not None:
                gpus = max(
                    sum(n * k.gpus_per_unit for n, k in zip(on, kinds, strict=True)) for on in fleet
                )
                usd += penalties.scaling.usd_per_gpu * max(0, gpus - penalties.scaling.above_gpus)
            best = min(best, usd)
    return best


@pytest.mark.parametrize("seed", range(30))
def test_no_fleet_scores_less(seed):
    asked, rented = drawn(seed)
    assert best_usd(asked, rented) == pytest.approx(by_every_fleet(asked, rented), abs=0.01)


@pytest.mark.parametrize("listings", [1, 2, 4])
@pytest.mark.parametrize("seed", range(6))
def test_what_is_known_before_the_end_is_a_plan_and_a_bound(seed, listings, monkeypatch):
    asked, rented = drawn(seed)
    monkeypatch.setattr(soft, "MOST_LISTINGS", listings)
    known, best = looked_for(asked, rented), by_every_fleet(asked, rented)
    assert known.bound_usd <= best + 0.01
    assert known.result.score_usd_per_month >= best - 0.01
    is_proven = known.bound_usd >= best - 0.02
    assert (known.result.status is Status.OPTIMAL) == is_proven


@pytest.mark.parametrize("seed", range(6))
def test_lists_that_are_too_many_leave_a_bound(seed, monkeypatch):
    asked, rented = drawn(seed)
    monkeypatch.setattr(blocks, "MOST_LISTED", 2)
    known, best = looked_for(asked, rented), by_every_fleet(asked, rented)
    assert known is None or 0 < known.bound_usd <= best + 0.01


def test_without_time_nothing_is_said():
    assert looked_for(hot(**ramp(1_000)), limit_s=0.0) is None


# --- as the answer to problems ------------------------------------------------------------------


@pytest.fixture
def always(monkeypatch):
    """Stages however few columns a program has, and none for routes."""
    monkeypatch.setattr(parts, "MOST_COLUMNS", 0)
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)


def mixed(seed: int):
    """A drawn problem with requests of two sizes, which no GPU serves equally well."""
    asked, rented = drawn(seed)
    rng = random.Random(900 + seed)
    gpus = sorted({o.gpu for o in rented.offerings})
    sizes = [(1, 1), (10, 10)]
    rates = [
        raw(gpu, rng.choice([2, 3, 5, 8]) / (3 if size == sizes[1] else 1), size=size)
        for gpu in gpus
        for size in sizes
    ]
    requests = [
        {"input_tokens": size[0], "output_tokens": size[1], "share": share}
        for size, share in zip(sizes, (0.7, 0.3), strict=True)
    ]
    asked = asked.changed({"workloads.chat.requests": requests})
    return asked, catalog(list(rented.offerings), rates)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("draw", [drawn, mixed])
def test_a_solver_alone_finds_the_same(draw, seed, always):
    asked, rented = draw(seed)
    asked = asked.changed({"workloads.chat.traffic.weights": [1] * 12 + [2] * 12})  # two blocks
    mine = solve(asked, rented, alternatives=0)
    other = solve(asked, rented, alternatives=0, solver="highs")
    assert mine.status == other.status == Status.OPTIMAL
    assert mine.proof.certified_by == ("capacity curves",)
    assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month, abs=0.02)


def test_what_lists_leave_open_goes_to_the_engines(always, monkeypatch):
    asked, rented = drawn(4)
    best = solve(asked, rented, alternatives=0)
    monkeypatch.setattr(soft, "MOST_LISTINGS", 1)
    plan = solve(asked, rented, alternatives=0)
    assert plan.status is Status.OPTIMAL
    assert "capacity curves" not in plan.proof.certified_by
    assert plan.score_usd_per_month == pytest.approx(best.score_usd_per_month)


def test_a_ceiling_above_all_that_units_serve_is_left_to_the_engines():
    hotter = {"utilization": {"target": 0.75, "ceiling": 1.2}, "penalties": ramp(1_000)}
    asked = problem(10, policy=hotter)
    assert looked_for(asked) is None
    assert solve(asked, big_and_small(), alternatives=0).status is Status.OPTIMAL
