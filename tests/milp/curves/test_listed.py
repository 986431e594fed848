"""The cheapest fleet of several rows a block, by lists: by hand, and against every fleet."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import numpy as np
import pytest

from milp_planner import Problem, Status, solve
from milp_planner.milp.curves.listed import blocks, search
from milp_planner.milp.curves.listed.reading import Covering, GpuPrice, surrogates_of
from milp_planner.milp.curves.listed.search import cheapest_cover
from milp_planner.milp.curves.listed.tables import least_usd
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.program.routes import covered
from milp_planner.solving import optimum
from tests.support.builders import catalog, offering, problem, raw

SHORT, LONG = (1, 1), (10, 10)
BY_THE_HOUR = ("dedicated", "autoscaling")


def covering(held, elastic, hours, rows, gpus=None, rationed=()) -> Covering:
    """held: USD/month of each kind; elastic: USD/hour; rows: for each block, of all kinds."""
    blocks = range(len(hours))
    names = tuple(f"h{j}" for j in range(len(held)))
    in_blocks = tuple(tuple(f"e{j}-{t}" for t in blocks) for j in range(len(elastic)))
    return Covering(
        held=names,
        elastic=in_blocks,
        held_usd=np.array(held, dtype=float),
        elastic_usd=np.array(elastic, dtype=float),
        hours=np.array(hours, dtype=float),
        rows=tuple(np.array(of_block, dtype=float) for of_block in rows),
        most=dict.fromkeys(itertools.chain(names, *in_blocks), math.inf),
        gpus=GpuPrice(np.zeros(len(held) + len(elastic)), 0.0, 0.0) if gpus is None else gpus,
        rationed=tuple(rationed),
    )


def test_two_rows_take_one_unit_of_each_kind():
    # By night a held unit does all of both rows, and costs what a third of the hours of an elastic
    # one do. By day two units are needed: of the held kind two cost $200, one and an elastic one of
    # $1/h in 90 hours $190.
    asked = covering([100], [1.0], [90, 210], [[[0.5, 0.5], [0.6, 0.5]], [[1.0, 1.0]]])
    values, usd = cheapest_cover(asked)[:2]
    assert usd == pytest.approx(190)
    assert {name for name, on in values.items() if on} == {"h0", "e0-0"}


def test_what_follows_in_all_blocks_is_no_more_than_each_asks_for():
    # A unit that is enough for the small block counts for no more there: the row of the large one,
    # 0.25 n >= 1, says n >= 4 there and 1 in the small one.
    asked = covering([100], [], [360, 360], [[[0.25]], [[1.0]]])
    rows = surrogates_of(asked)
    assert rows.of_unit.tolist() == [[0.25]]
    assert rows.asked.tolist() == [[1.0, 0.25]]


def test_a_gpu_too_many_costs_more_than_a_dearer_unit():
    # Two small units of 4 GPUs at $1/h do the work of a large one of 6 at $2.10/h. In 100 hours
    # they save $10; above 6 GPUs each costs $4 more, two of them $8; then $6, which is $12.
    asked = [[[0.5, 1.0]]], [100]
    gpus = np.array([4.0, 6.0])
    rented = {"held": [100, 210], "elastic": [], "hours": asked[1], "rows": asked[0]}
    _, usd, *_ = cheapest_cover(covering(**rented, gpus=GpuPrice(gpus, 6, 4)))
    assert usd == pytest.approx(208)
    values, usd, *_ = cheapest_cover(covering(**rented, gpus=GpuPrice(gpus, 6, 6)))
    assert usd == pytest.approx(210)
    assert values == {"h0": 0, "h1": 1}


def test_the_block_with_most_gpus_does_with_fewer():
    # In either block two small units of 2 GPUs at $1/h do what a large one of 3 does at $2.40/h:
    # over 200 hours $80 less, over 400 hours $160, and the fourth GPU has a price.
    small_or_large = [[[0.5, 1.0]]] * 2
    gpus = np.array([2.0, 3.0])
    for hours, price, usd in [
        ([100, 100], 79, 2 * 200 + 79),
        ([100, 100], 81, 2 * 240),
        ([100, 300], 159, 200 + 600 + 159),
        ([100, 300], 161, 240 + 720),
    ]:
        asked = covering([], [1.0, 2.4], hours, small_or_large, GpuPrice(gpus, 3, price))
        assert cheapest_cover(asked)[1] == pytest.approx(usd)


def test_nothing_dearer_than_asked_is_looked_for():
    # One unit of $100 is the cheapest fleet.
    asked = covering([100], [], [360], [[[1.0]]])
    assert cheapest_cover(asked, below_usd=101)[:2] == ({"h0": 1}, pytest.approx(100))
    values, least = cheapest_cover(asked, below_usd=99)[:2]
    assert not values
    assert 98.9 < least <= 99


def test_what_rationed_kinds_leave_is_told_by_block():
    # Spot (the second kind) counts in one row alone: the other asks for 2 of 4 units by day, and by
    # night for 2 of 3, of which a small block needs no more than one. Two units by the hour and two
    # of spot cost $2.20/h by day, two and one $2.10/h by night.
    day, night = [[1 / 4, 1 / 4], [1 / 2, 0]], [[1 / 3, 1 / 3], [1 / 2, 0]]
    asked = covering([], [1.0, 0.1], [300, 420], [day, night], rationed=[1])
    rows = surrogates_of(asked)
    nth = rows.of_unit[:, 1].argmax()
    assert rows.asked[nth].tolist() == pytest.approx([1, 3 / 4])
    assert rows.of_others[nth].tolist() == pytest.approx([1 / 2, 1 / 2])
    assert cheapest_cover(asked)[1] == pytest.approx(300 * 2.2 + 420 * 2.1)
    # by the row of all kinds alone four units of spot would do
    assert least_usd(asked, rows, 400)[nth] == pytest.approx(300 * 2.2 + 420 * 2.1, rel=0.01)
    free = replace(asked, rationed=())
    assert least_usd(free, surrogates_of(free), 400)[nth] < 300 * 0.4 + 420 * 0.3 + 1e-6


def drawn(seed: int) -> Covering:
    """A few kinds, blocks and rows; some units are enough alone, some do nothing for a row."""
    rng = random.Random(seed)
    held, elastic = rng.randint(0, 2), rng.randint(0, 2)
    held += not held + elastic
    worth = [
        [rng.choice([0.0, 0.3, 1.0, 1.7, 2.5]) for _ in range(held + elastic)]
        for _ in range(rng.randint(1, 3))
    ]
    for row in worth:
        row[rng.randrange(held + elastic)] = 2.0
    loads = sorted((rng.uniform(0.5, 4) for _ in range(rng.randint(1, 3))), reverse=True)
    rows = [[[min(1.0, a / load) for a in row] for row in worth] for load in loads]
    kinds = range(held, held + elastic) if elastic or len(loads) > 1 else range(held)
    rationed = [j for j in kinds if rng.random() < 0.5]
    if any(a > 0 for j, a in enumerate(worth[0]) if j not in rationed):
        part = rng.choice([0.2, 0.5, 0.9])
        for of_block in rows:
            more = [min(1.0, a / part) for a in of_block[0]]
            of_block.append([0.0 if j in rationed else a for j, a in enumerate(more)])
    return covering(
        [rng.randint(20, 300) for _ in range(held)],
        [rng.randint(1, 9) / 10 for _ in range(elastic)],
        [rng.choice([30, 200, 360]) for _ in loads],
        rows,
        rationed=rationed,
    )


def priced(seed: int) -> Covering:
    """The same, with a price on GPUs beyond a few."""
    rng = random.Random(500 + seed)
    asked = drawn(seed)
    if len(asked.elastic) == 2:  # one that is dearer, and has fewer GPUs
        usd = asked.elastic_usd.min() * np.array([1.0, 1.1])
        rows = [np.hstack([rows[:, :-2], rows[:, [-1, -1]]]) for rows in asked.rows]
        rows = [of_block[of_block.any(axis=1)] for of_block in rows]  # no row that nothing keeps
        asked = replace(asked, elastic_usd=usd, rows=tuple(rows))
    of_kind = np.array([rng.choice([0.0, 1.0, 2.0, 4.0]) for _ in asked.rows[0][0]])
    if len(asked.elastic) == 2:
        of_kind[-2:] = 4.0, 1.0
    return replace(asked, gpus=GpuPrice(of_kind, rng.randint(0, 4), rng.choice([1.0, 20.0, 90.0])))


def by_every_fleet(asked: Covering) -> float:
    """The least USD/month of any fleet of up to 14 units of a kind."""
    first, best = len(asked.held), math.inf
    most, counts = range(100), range(15)
    for held in itertools.product(counts, repeat=first):
        held_usd = sum(n * c for n, c in zip(held, asked.held_usd, strict=True))
        by_gpus = dict.fromkeys(most, held_usd)
        for rows, hours in zip(asked.rows, asked.hours, strict=True):
            costs = dict.fromkeys(most, math.inf)
            for more in itertools.product(counts, repeat=len(asked.elastic)):
                if held_usd < best and all(rows @ (*held, *more) >= 1 - 1e-9):
                    gpus = int(asked.gpus.of_kind @ (*held, *more))
                    usd = hours * sum(m * c for m, c in zip(more, asked.elastic_usd, strict=True))
                    costs[gpus] = min(costs.get(gpus, math.inf), usd)
            least = list(itertools.accumulate((costs[gpus] for gpus in most), min))
            by_gpus = {gpus: by_gpus[gpus] + least[gpus] for gpus in most}
        over = {gpus: max(0.0, gpus - asked.gpus.without_price) for gpus in most}
        best = min(best, *(by_gpus[g] + asked.gpus.usd_each * over[g] for g in most))
    return best


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("draw", [drawn, priced])
def test_no_fleet_is_cheaper(draw, seed):
    asked = draw(seed)
    every = by_every_fleet(asked)
    found = cheapest_cover(asked)
    assert found is None if math.isinf(every) else found[1] == pytest.approx(every)
    for part in (0.0, 0.3, 1.0):
        rows = surrogates_of(asked).at(part * asked.gpus.usd_each)
        assert all(least_usd(asked, rows, 500) <= every + 1e-6)


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("draw", [drawn, priced])
def test_a_coarse_grid_lists_more_and_finds_the_same(draw, seed, monkeypatch):
    asked = draw(seed)
    found = cheapest_cover(asked)
    monkeypatch.setattr(search, "STEPS", 9)
    monkeypatch.setattr(search, "OTHER_STEPS", 7)
    monkeypatch.setattr(search, "COARSE_STEPS", 5)
    monkeypatch.setattr(blocks, "MOST_OF_BLOCK", 0)  # elastic units are listed, too
    again = cheapest_cover(asked)
    assert (found is None) == (again is None)
    if found is not None:
        assert again[1] == pytest.approx(found[1])


@pytest.mark.parametrize("seed", range(12))
def test_lists_that_are_too_many_leave_a_bound(seed, monkeypatch):
    asked = drawn(seed)
    every = by_every_fleet(asked)
    monkeypatch.setattr(blocks, "MOST_LISTED", 2)
    found = cheapest_cover(asked)
    if found is None:
        assert math.isinf(every)
    else:
        values, usd = found[:2]
        assert 0 < usd <= every + 1e-6
        assert usd == pytest.approx(every) or not values


# --- as the answer to problems ------------------------------------------------------------------


@pytest.fixture
def always(monkeypatch):
    """However few columns a program has, and without columns for routes."""
    monkeypatch.setattr(optimum, "FEW_COLUMNS", 0)
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)


def market(seed: int, *more: str):
    """Three providers with two GPUs each, held or by the hour, or paid in other ways as well; no
    two are good at the same."""
    rng = random.Random(seed)
    gpus = [f"g{i}" for i in range(6)]
    offers = [
        offering(
            f"p{i % 3}",
            gpu,
            rng.randint(10, 60) / 10,
            billing=rng.choice([*BY_THE_HOUR, *more]),
        )
        for i, gpu in enumerate(gpus)
    ]
    rates = [
        raw(gpu, rng.choice([2, 4, 8, 11]) / (3 if size == LONG else 1), size=size)
        for gpu in gpus
        for size in (SHORT, LONG)
    ]
    return catalog(offers, rates)


def day(seed: int, **fields) -> Problem:
    rng = random.Random(1000 + seed)
    share = rng.choice([0.3, 0.5, 0.8])
    requests = [
        {"input_tokens": 1, "output_tokens": 1, "share": share},
        {"input_tokens": 10, "output_tokens": 10, "share": 1 - share},
    ]
    traffic = {
        "kind": "profile",
        "requests_per_day": 86_400 * rng.randint(4, 15),
        "weights": [rng.choice([1, 2, 3]) for _ in range(24)],
        "max_blocks": 3,
    }
    return problem(chat={"requests": requests, "traffic": traffic}, **fields)


LIMITS = {
    "plain": {},
    "share": {"limits": {"providers": {"max_share": 0.6}}},
    "survive": {"limits": {"survive_loss_of": "provider"}},
    "spot": {"limits": {"spot_share": 0.5, "billing": {"allow": [*BY_THE_HOUR, "spot"]}}},
}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("limits", LIMITS)
def test_a_solver_alone_finds_the_same(limits, seed, always):
    asked, rented = day(seed, **LIMITS[limits]), market(seed, *["spot"] * (limits == "spot"))
    mine = solve(asked, rented, alternatives=0)
    other = solve(asked, rented, alternatives=0, solver="highs")
    assert mine.status == other.status
    if mine.status is Status.OPTIMAL:
        assert mine.proof.certified_by == ("capacity curves",)
        assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month)


def test_what_takes_too_many_lists_is_solved_all_the_same(always, monkeypatch):
    asked, rented = day(1), market(1)
    listed = solve(asked, rented, alternatives=0)
    monkeypatch.setattr(blocks, "MOST_LISTED", 2)
    plan = solve(asked, rented, alternatives=0)
    assert plan.proof.certified_by == ("cbc", "highs")
    assert plan.score_usd_per_month == pytest.approx(listed.score_usd_per_month)


def test_what_lists_leave_open_has_their_bound(always, monkeypatch):
    # No run of a solver comes to an end; its plan has the bound of the lists.
    asked, rented = day(1), market(1)
    best = solve(asked, rented, alternatives=0)
    certified = optimum.solve_certified

    def unfinished(*args, **fields):
        run = certified(*args, **fields)
        return replace(run, status=EngineStatus.FEASIBLE, bound=1.0, certified_by=())

    monkeypatch.setattr(blocks, "MOST_LISTED", 2)
    monkeypatch.setattr(optimum, "solve_certified", unfinished)
    plan = solve(asked, rented, alternatives=0)
    assert plan.status is Status.FEASIBLE
    assert 100 < plan.lower_bound_usd_per_month <= best.score_usd_per_month


def test_next_best_plans_are_as_proven_by_solvers(always):
    asked, rented = day(2), market(2)
    mine = solve(asked, rented, alternatives=3)
    other = solve(asked, rented, alternatives=3, solver="highs")
    assert [p.score_usd_per_month for p in mine.alternatives] == pytest.approx(
        [p.score_usd_per_month for p in other.alternatives]
    )
