"""Cuts of pools of unlike replicas: nobody who keeps the wish is cut off, and who does not is."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest

from milp_planner import prepare
from milp_planner.candidates.queues import pool_of, queue_wishes
from milp_planner.milp.program.language.queue_cuts import (
    counts_at,
    cut_for_all,
    cut_for_some,
    is_for,
    misses,
    others_count,
    traits_of,
)
from milp_planner.serving.queues.pools import Pool, keeps, times_needed
from tests.solving.queues.test_waits import asked, market, random_kinds

ALONE = (0.057, 0.2, 0.6, 0.601, 1.0)


def unlike(rng, latency, load):
    """Three candidates, each as fast when alone as chance says, and the wish of the workload."""
    kinds = random_kinds(rng)
    question = asked(load, latency, kinds)
    given = prepare(question, market(kinds))
    found = [
        replace(k, held=replace(k.held, alone=rng.choice(ALONE)))
        for k in given.candidates.candidates
    ]
    ((_, wish),) = queue_wishes(given, "chat")
    return found, wish, traits_of(question.workloads[0], found)


@pytest.mark.parametrize(
    "latency", [{"wait": {"p99": "500ms"}}, {"wait": "200ms"}, {"request": {"p95": "30s"}}]
)
def test_whoever_keeps_the_wish_has_what_cuts_ask_for(latency):
    rng, seen = random.Random(5), 0
    for _ in range(3):
        load = rng.uniform(4, 20)
        found, wish, traits = unlike(rng, latency, load)
        start = rng.choice(found)
        near = pool_of([(start, load / start.queued_requests_per_second)], wish)
        cut = cut_for_all(near, load, wish, traits)
        for _ in range(12):
            on = [(k, rng.choice((0, 0, 1, 2, 3, 5, 8))) for k in found]
            pool = pool_of(on, wish)
            if pool is None or pool.full_rate < load or not keeps(pool, load, wish):
                continue
            seen += 1
            assert not misses(cut, on)
            mine = cut_for_some(pool, load, wish, traits)
            assert sum(counts_at(mine.only, k) * n for k, n in on) >= 1 - 1e-9
    assert seen > 8


def test_who_has_no_replica_as_slow_has_nearly_what_those_must_have():
    found, wish, _ = unlike(random.Random(2), {"wait": {"p99": "500ms"}}, 9)
    quick = replace(found[0], held=replace(found[0].held, alone=0.2))
    slow = replace(found[1], held=replace(found[1].held, alone=1.0))
    traits = traits_of(
        prepare(asked(9, {"wait": {"p99": "500ms"}}), market()).problem.workloads[0], (quick, slow)
    )
    unit = pool_of([(quick, 1)], wish)
    just_enough = [(quick, times_needed(unit, 9, wish))]
    cut = cut_for_some(unit._replace(alone=1.0), 9, wish, traits)
    has = sum(counts_at(cut.only, k) * n for k, n in just_enough)
    assert 0.8 < others_count(cut, (quick, slow)) <= has < 1


def test_a_pool_of_one_kind_that_misses_the_wish_is_cut_off():
    rng = random.Random(8)
    for _ in range(12):
        load = rng.uniform(4, 20)
        found, wish, traits = unlike(rng, {"wait": {"p99": "500ms"}}, load)
        k = rng.choice(found)
        for units in range(1, 40):
            on = [(k, units)]
            pool = pool_of(on, wish)
            if pool.full_rate > load and not keeps(pool, load, wish):
                assert misses(cut_for_all(pool, load, wish, traits), on)


def test_a_cut_is_for_no_candidate_that_is_faster_than_its_tangents():
    found, wish, traits = unlike(random.Random(1), {"wait": {"p99": "1s"}}, 9)
    slow = [replace(k, held=replace(k.held, alone=0.6)) for k in found]
    traits = (traits[0]._replace(values=[0.6]), traits[1])
    cut = cut_for_all(Pool(10, 64, 0.6), 9, wish, traits)
    assert is_for(cut, slow)
    assert not is_for(cut, [*slow, replace(slow[0], held=replace(slow[0].held, alone=0.2))])
