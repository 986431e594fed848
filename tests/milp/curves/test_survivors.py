"""The cheapest fleet of one class that survives any loss: by hand, and against every fleet."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from milp_planner import Problem, Status, solve
from milp_planner.milp.curves.listed import left, lists, survivors
from milp_planner.milp.curves.listed.losses import Grouped
from milp_planner.milp.curves.listed.reading import Covering, GpuPrice
from milp_planner.milp.curves.listed.search import Listed
from milp_planner.milp.curves.listed.survivors import cheapest_survivor
from milp_planner.milp.program.routes import covered
from milp_planner.solving import optimum
from tests.support.builders import catalog, offering, problem, raw

SIZE, LONG = (1, 1), (10, 10)


def grouped(held, elastic, hours, asked, left) -> Grouped:
    """held, elastic: (group, what a unit carries, USD/month or USD/hour) of each kind. What is
    carried, asked for and left is a number, or one for each of several rows."""
    blocks = range(len(hours))
    names = tuple(f"h{j}" for j in range(len(held)))
    in_blocks = tuple(tuple(f"e{j}-{t}" for t in blocks) for j in range(len(elastic)))
    kinds = [*held, *elastic]
    groups = tuple(group for group, *_ in kinds)
    carries = np.array([np.atleast_1d(carried) for _, carried, _ in kinds], dtype=float)
    asked, left = (np.array([np.atleast_1d(x) for x in of], dtype=float) for of in (asked, left))
    covering = Covering(
        held=names,
        elastic=in_blocks,
        held_usd=np.array([usd for *_, usd in held], dtype=float),
        elastic_usd=np.array([usd for *_, usd in elastic], dtype=float),
        hours=np.array(hours, dtype=float),
        rows=tuple(np.array(rows_of(groups, carries, asked[t], left[t])) for t in blocks),
        most=dict.fromkeys(itertools.chain(names, *in_blocks), math.inf),
        gpus=GpuPrice(np.zeros(len(names) + len(in_blocks)), 0.0, 0.0),
    )
    return Grouped.scaled(covering, groups, carries, asked, left)


def rows_of(groups, carries, asked, left):
    """Those of a program in one block: what is asked for, and what is left after each loss."""
    rows = list(np.minimum(1, carries / asked).T)
    for lost in sorted(set(groups) - {""}):
        stays = np.array([[own != lost] for own in groups])
        rows += list((np.minimum(1, carries / left) * stays).T)
    return rows


def on(values) -> dict[str, float]:
    return {name: units for name, units in values.items() if units}


def test_what_is_lost_must_be_left_elsewhere():
    # 4 requests/s are asked for, and 3 must be left without a or b. Two large units at a do all the
    # work of four small ones for less; without them 3 must be left at b: $200 + $180. One large
    # unit, for $100, leaves 2 of the 5 that it takes: of the small ones three, for $180.
    asked = grouped([("a", 2, 100), ("b", 1, 60)], [], [720], [4], [3])
    values, usd = cheapest_survivor(asked)
    assert usd == pytest.approx(2 * 100 + 3 * 60)
    assert on(values) == {"h0": 2, "h1": 3}


def test_blocks_rent_beside_what_is_held():
    # By night 1 request/s must be left, by day 2. One held unit at a carries 2: by night what must
    # be left beside it is 1 at another, for 620 hours, by day 2, for 100 hours at $1/h each. A held
    # unit at b for $300 saves 1 of that at all times, $720.
    asked = grouped([("a", 2, 400), ("b", 1, 300)], [("c", 1, 1.0)], [620, 100], [1, 2], [1, 2])
    values, usd = cheapest_survivor(asked)
    assert usd == pytest.approx(400 + 300 + 100)
    assert on(values) == {"h0": 1, "h1": 1, "e0-1": 1}


def test_what_no_loss_takes_is_left():
    # Two spot units and one that is not: without spot 1 must be left.
    asked = grouped([("spot", 1, 10), ("", 1, 100)], [], [720], [3], [1])
    values, usd = cheapest_survivor(asked)
    assert usd == pytest.approx(120)
    assert on(values) == {"h0": 2, "h1": 1}


def test_one_group_alone_never_survives():
    assert cheapest_survivor(grouped([("a", 1, 10)], [], [720], [1], [0.5])) is None


def test_by_two_rows_the_cheapest_by_either_is_not_enough():
    # Three providers sell what does all of the first row and half of the second, or the other way
    # round, for $100, and what does all of both for $150. Either row alone is kept by two units for
    # $200. After a loss both must be: one that does all at each of two providers.
    kinds = [("a", (2, 1), 100), ("b", (2, 1), 100), ("c", (1, 2), 100)]
    kinds += [(who, (2, 2), 150) for who in "abc"]
    first = [(who, carried[0], usd) for who, carried, usd in kinds]
    assert cheapest_survivor(grouped(first, [], [720], [2], [2]))[1] == pytest.approx(200)
    both = grouped(kinds, [], [720], [(2, 2)], [(2, 2)])
    assert cheapest_survivor(both)[1] == pytest.approx(300)


def test_whatever_else_the_program_asks_for_is_kept():
    # Two units of b, of which nothing is known but the program's row.
    asked = grouped([("a", 1, 10), ("b", 1, 20)], [], [720], [1], [1])
    rows = np.vstack([*asked.covering.rows, [0.0, 0.5]])
    more = replace(asked, covering=replace(asked.covering, rows=(rows,)))
    assert cheapest_survivor(asked)[1] == pytest.approx(30)
    values, usd = cheapest_survivor(more)
    assert usd == pytest.approx(50)
    assert on(values) == {"h0": 1, "h1": 2}


def test_more_units_than_a_column_may_have_leave_a_bound():
    asked = grouped([("a", 1, 10), ("b", 1, 20)], [], [720], [3], [1])
    few = replace(asked, covering=replace(asked.covering, most={"h0": 1, "h1": 9}))
    assert on(cheapest_survivor(asked)[0]) == {"h0": 2, "h1": 1}
    assert cheapest_survivor(few) == ({}, pytest.approx(40))


def drawn(seed: int, by_hours: str = "d e", rows: int = 1) -> Grouped:
    """A few kinds at three groups and, elastic, at two; some are beyond any loss."""
    rng = random.Random(seed)
    at = ["a", "b", "c", ""] if seed % 3 == 0 else ["a", "b", "c"]

    def kind(groups, usd):
        carried = [rng.choice([0.3, 0.5, 1.0, 1.7, 4.0]) for _ in range(rows)]
        if rows > 1 and rng.random() < 0.3:
            carried[rng.randrange(rows)] = 0.0
        return rng.choice(groups), carried, usd

    held = [kind(at, rng.randint(20, 300)) for _ in range(rng.randint(1, 3))]
    elastic = [kind(by_hours.split(), rng.randint(1, 9) / 10) for _ in range(rng.randint(0, 2))]
    loads = [rng.uniform(0.5, 2.5) for _ in range(rng.randint(1, 3))]
    share = rng.choice([0.5, 0.8, 1.0])
    return grouped(
        held,
        elastic,
        [rng.choice([30, 200, 360]) for _ in loads],
        [[load / 0.75] * rows for load in loads],
        [[load * share] * rows for load in loads],
    )


def survives(asked: Grouped, t: int, counts):
    """(fleets,): whether units of each kind keep all of a block. counts: (fleets, kinds)."""
    each = np.array(counts)[:, :, None] * asked.carries
    enough, names = 1 - 1e-9, np.array(asked.groups)
    keeps = (each.sum(axis=1) >= asked.asked[t] * enough).all(axis=1)
    for lost in set(asked.groups) - {""}:
        left = each[:, names != lost].sum(axis=1)
        keeps &= (left >= asked.left[t] * enough).all(axis=1)
    return keeps


def by_every_fleet(asked: Grouped) -> float:
    """The least USD/month of any fleet of up to 9 units of a kind."""
    covering, kinds = asked.covering, len(asked.groups)
    held = len(covering.held)
    counts = np.array(list(itertools.product(range(10), repeat=kinds)))
    elastic_usd = counts[:, held:] @ covering.elastic_usd
    usd = counts.reshape(10**held, -1, kinds)[:, 0, :held] @ covering.held_usd
    for t, hours in enumerate(covering.hours):
        costs = np.where(survives(asked, t, counts), elastic_usd, np.inf)
        usd = usd + hours * costs.reshape(10**held, -1).min(axis=1)
    return float(usd.min())


@pytest.mark.parametrize("seed", range(30))
@pytest.mark.parametrize("steps", [(200, 163), (9, 7)])
@pytest.mark.parametrize("rows", [1, 3])
def test_no_fleet_is_cheaper(seed, steps, rows, monkeypatch):
    monkeypatch.setattr(survivors, "STEPS", steps[0])
    monkeypatch.setattr(survivors, "OTHER_STEPS", steps[1])
    asked = drawn(seed, rows=rows)
    every, found = by_every_fleet(asked), cheapest_survivor(asked)
    if found is None:
        assert math.isinf(every)
        return
    values, usd = found
    assert usd == pytest.approx(every)
    bounds = [0.0]
    assert survivors.fleet_of(asked, bounds) is not None
    assert max(bounds) <= every + 1e-6
    covering = asked.covering
    for t in range(len(covering.hours)):
        names = (*covering.held, *(columns[t] for columns in covering.elastic))
        assert survives(asked, t, [[values[name] for name in names]]).all()


@pytest.mark.parametrize("seed", range(40))
def test_what_is_held_and_elastic_may_be_lost_together(seed):
    asked = drawn(seed, by_hours="a b")
    every, found = by_every_fleet(asked), cheapest_survivor(asked)
    if found is None:
        assert math.isinf(every)
    elif found[0]:
        assert found[1] == pytest.approx(every)
    else:
        assert 0 < found[1] <= every + 1e-6


@pytest.mark.parametrize("seed", range(12))
def test_fleets_that_are_too_many_leave_a_bound(seed, monkeypatch):
    asked = drawn(seed)
    every = by_every_fleet(asked)
    monkeypatch.setattr(left, "MOST_PAIRS", 3)
    found = cheapest_survivor(asked)
    if found is None:
        assert math.isinf(every)
    else:
        assert found[1] <= every + 1e-6
        assert not found[0] or found[1] == pytest.approx(every)


# --- as the answer to problems ------------------------------------------------------------------


@pytest.fixture
def always(monkeypatch):
    """However few columns a program has; its general lists, which would do as well, are closed."""
    monkeypatch.setattr(optimum, "FEW_COLUMNS", 0)
    monkeypatch.setattr(lists, "cheapest_cover", lambda *_: Listed({}, 0.0))


def market(seed: int, *, autoscaling: str):
    """Three providers with two GPUs each by the month, and those of `autoscaling` by the hour."""
    rng = random.Random(seed)
    gpus = [f"g{i}" for i in range(6)]
    offers = [
        offering(f"p{i % 3}", gpu, rng.randint(10, 60) / 10, region=f"r{i % 2}")
        for i, gpu in enumerate(gpus)
    ]
    offers += [
        offering(who, gpu, rng.randint(10, 60) / 10, billing="autoscaling", region="r3")
        for who in autoscaling.split()
        for gpu in gpus[:2]
    ]
    if seed % 2:
        offers.append(offering("p0", gpus[0], 0.8, billing="spot", region="r0"))
    rates = [raw(gpu, rng.choice([2, 4, 8, 11]), size=SIZE) for gpu in gpus]
    rates += [raw(gpu, rng.choice([1, 2, 3]), size=LONG) for gpu in gpus]
    return catalog(offers, rates)


def day(seed: int, limits, **chat) -> Problem:
    rng = random.Random(1000 + seed)
    traffic = {
        "kind": "profile",
        "requests_per_day": 86_400 * rng.randint(4, 15),
        "weights": [rng.choice([1, 2, 3]) for _ in range(24)],
        "max_blocks": 3,
    }
    allowed = ["dedicated", "autoscaling", "spot"]
    return problem(
        chat={"traffic": traffic, **chat},
        limits={"billing": {"allow": allowed}, **limits},
    )


KINDS = ("provider", "offering", "region", "spot")


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_solver_alone_finds_the_same(seed, kind, share, always):
    rented = market(seed, autoscaling="p3 p4")
    asked = day(seed, {"survive_loss_of": {"kind": kind, "share": share}})
    mine = solve(asked, rented, alternatives=0)
    other = solve(asked, rented, alternatives=0, solver="highs")
    assert mine.status is other.status is Status.OPTIMAL
    assert mine.proof.certified_by == ("capacity curves",)
    assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("share", [1.0, 0.6])
@pytest.mark.parametrize("kind", ["provider", "spot"])
def test_a_solver_alone_finds_the_same_of_two_classes(seed, share, kind, always, monkeypatch):
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)
    requests = [
        {"input_tokens": 1, "output_tokens": 1, "share": 0.75},
        {"input_tokens": 10, "output_tokens": 10, "share": 0.25},
    ]
    rented = market(seed, autoscaling="p3 p4")
    limits = {"survive_loss_of": {"kind": kind, "share": share}}
    asked = day(seed, limits, requests=requests)
    mine = solve(asked, rented, alternatives=0)
    other = solve(asked, rented, alternatives=0, solver="highs")
    assert mine.status is other.status is Status.OPTIMAL
    assert mine.proof.certified_by == ("capacity curves",)
    assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month)


@pytest.mark.parametrize("seed", range(4))
def test_what_is_held_and_rented_at_one_provider_is_lost_together(seed, monkeypatch):
    monkeypatch.setattr(optimum, "FEW_COLUMNS", 0)
    rented = market(seed, autoscaling="p0 p1")
    asked = day(seed, {"survive_loss_of": "provider"})
    mine = solve(asked, rented, alternatives=0)
    other = solve(asked, rented, alternatives=0, solver="highs")
    assert mine.status is other.status is Status.OPTIMAL
    assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month)


@pytest.mark.parametrize("seed", range(3))
def test_a_quota_beside_it_goes_to_solvers(seed, always):
    asked = day(seed, {"survive_loss_of": "provider", "max_gpus": {"total": 4}})
    mine = solve(asked, market(seed, autoscaling="p3"), alternatives=0)
    other = solve(asked, market(seed, autoscaling="p3"), alternatives=0, solver="highs")
    assert mine.status == other.status
    if mine.status is Status.OPTIMAL:
        assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month)


@pytest.mark.parametrize("seed", range(3))
def test_replicas_are_asked_for_beside_it(seed, always):
    rented = market(seed, autoscaling="p3")
    asked = day(seed, {"survive_loss_of": "provider"}).changed({"workloads.chat.min_replicas": 5})
    mine = solve(asked, rented, alternatives=0)
    other = solve(asked, rented, alternatives=0, solver="highs")
    assert mine.status is other.status is Status.OPTIMAL
    assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month)
