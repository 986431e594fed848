"""Waits and admissible loads: closed forms, published tables, and what must never get worse."""

from __future__ import annotations

import heapq
import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner.serving.queues.chain import ReplicaQueue, pool_rates, waiting_share
from milp_planner.serving.queues.gaps import decay_per_s, gamma_phases, incomplete_beta
from milp_planner.serving.queues.places import places_by_tokens
from milp_planner.serving.queues.pools import Pool, QueueWish, log_missed
from milp_planner.serving.queues.sizes import lognormal_sizes, lognormal_work, sizes_of
from milp_planner.serving.queues.wait import (
    admissible_load,
    is_judged,
    wait_quantile_s,
    waits_beyond,
)
from tests.support.examples import tries

EXPONENTIAL = sizes_of(-np.log((np.arange(200_000) + 0.5) / 200_000))


def one(load: float) -> np.ndarray:
    return np.array([load])


def erlang_c(servers: int, offered: float) -> float:
    """P(wait) of M/M/c, by the recursion of Erlang's B: B_n = a·B/(n + a·B)."""
    blocked = 1.0
    for n in range(1, servers + 1):
        blocked = offered * blocked / (n + offered * blocked)
    return blocked / (1 - offered / servers * (1 - blocked))


def table_pool(slots: int, per_place_ms: float, replicas: int) -> np.ndarray:
    """Mean output 300, tpot = 20 ms + t₁·b: the pools of the table of allowed utilization."""
    service_s = [300 * (0.02 + 1e-3 * per_place_ms * b) for b in range(1, slots + 1)]
    return pool_rates([ReplicaQueue(replicas, service_s)])


# ---- how arrivals bunch


def test_the_incomplete_beta_function_of_the_arcsine_law() -> None:
    # I_x(½, ½) = 2/π · arcsin √x
    for x in (0.0, 0.01, 0.3, 0.5, 0.77, 0.999, 1.0):
        assert incomplete_beta(0.5, 0.5, x) == pytest.approx(2 / math.pi * math.asin(math.sqrt(x)))


@pytest.mark.parametrize("scv", [1.2, 2.25, 4.0, 9.0])
def test_the_phases_of_gamma_gaps_keep_mass_and_mean(scv: float) -> None:
    weights, rates = gamma_phases(scv)
    assert sum(weights) == pytest.approx(1)
    assert sum(p / nu for p, nu in zip(weights, rates, strict=True)) == pytest.approx(1)
    # E[g²] = 2·Σ p/ν²; cells keep means, so that the spread can only shrink, and by little
    second = 2 * sum(p / nu**2 for p, nu in zip(weights, rates, strict=True))
    assert 0.96 * (1 + scv) < second <= 1 + scv + 1e-9


def test_smooth_gaps_are_no_mixture_and_count_as_poisson() -> None:
    with pytest.raises(ValueError, match="up to 1"):
        gamma_phases(1.0)
    rates = pool_rates([ReplicaQueue(1, [1.0] * 5)])
    assert waiting_share(one(3.0), rates, 0.5) == waiting_share(one(3.0), rates, 1.0)


def test_long_waits_of_poisson_arrivals_thin_out_at_the_idle_rate() -> None:
    assert decay_per_s(one(3.0), 5.0, 1.0)[0] == 2.0
    assert decay_per_s(one(6.0), 5.0, 4.0)[0] == 0.0


# ---- how likely an arrival is to wait


@pytest.mark.parametrize(("servers", "offered"), [(1, 0.7), (8, 6.4), (42, 37.8), (300, 290.0)])
def test_equal_service_times_give_erlangs_c(servers: int, offered: float) -> None:
    rates = pool_rates([ReplicaQueue(1, [1.0] * servers)])
    assert waiting_share(one(offered), rates)[0] == pytest.approx(erlang_c(servers, offered))


def test_one_server_waits_as_m_m_1_and_as_m_d_1() -> None:
    rates = pool_rates([ReplicaQueue(1, [0.5])])
    assert waiting_share(one(1.4), rates)[0] == pytest.approx(0.7)
    # M/M/1: P(W > w) = ρ·exp(−(μ − λ)w)
    beyond = waits_beyond(3.0, one(1.4), rates, EXPONENTIAL)[0]
    assert beyond == pytest.approx(0.7 * math.exp(-0.6 * 3), rel=0.01)
    # M/D/1 at ρ = 0.95: P(W > w) ≈ (1 − ρ)/(ρ·e^(θs) − 1) · exp(−θw), θ = λ(e^(θs) − 1) = 0.2071/s,
    # so that the p99 is ln(93.2) ÷ 0.2071 = 21.9 s, about half of what exponential sizes give
    assert wait_quantile_s(0.99, 1.9, rates, lognormal_sizes(0)) == pytest.approx(21.9, rel=0.05)
    assert wait_quantile_s(0.99, 1.9, rates, EXPONENTIAL) == pytest.approx(
        math.log(95) / 0.1, rel=0.01
    )


def test_with_places_to_spare_nobody_waits() -> None:
    # M/G/∞ holds 50 on average, with a deviation of √50 = 7: 100 are 7 of those away
    rates = pool_rates([ReplicaQueue(1, [1.0] * 100)])
    assert waiting_share(one(50.0), rates)[0] < 1e-9
    assert wait_quantile_s(0.99, 50.0, rates) == 0.0


def test_from_the_full_rate_on_everybody_waits_for_ever() -> None:
    rates = pool_rates([ReplicaQueue(2, [1.0] * 4)])
    assert list(waiting_share(np.array([8.0, 9.0]), rates, 4.0)) == [1.0, 1.0]
    assert wait_quantile_s(0.5, 8.0, rates) == math.inf
    with pytest.raises(ValueError, match="needs a place"):
        pool_rates([])


@pytest.mark.parametrize(("scv", "load"), [(2.25, 0.6), (4.0, 0.8), (9.0, 0.5)])
def test_one_server_under_gamma_gaps_waits_as_often_as_g_m_1(scv: float, load: float) -> None:
    # σ = (1 + (1 − σ)·c²/ρ)^(−1/c²), by bisection between 0 and 1
    low, high = 0.0, 1 - 1e-9
    for _ in range(80):
        sigma = (low + high) / 2
        above = (1 + (1 - sigma) * scv / load) ** (-1 / scv) > sigma
        low, high = (sigma, high) if above else (low, sigma)
    rates = pool_rates([ReplicaQueue(1, [1.0])])
    assert waiting_share(one(load), rates, scv)[0] == pytest.approx(sigma, rel=0.01)
    assert decay_per_s(one(load), 1.0, scv)[0] == pytest.approx(1 - sigma, rel=1e-6)


def simulated_waiting_share(servers: int, load: float, scv: float, seed: int) -> float:
    """Of 200,000 arrivals of GI/M/c with gamma gaps, the share that find all servers busy."""
    rng, free, now, waited = random.Random(seed), [0.0] * servers, 0.0, 0
    for _ in range(200_000):
        now += rng.gammavariate(1 / scv, scv) / load
        waited += free[0] > now
        heapq.heapreplace(free, max(now, free[0]) + rng.expovariate(1.0))
    return waited / 200_000


@pytest.mark.parametrize(("servers", "load", "scv"), [(3, 2.1, 4.0), (8, 6.0, 9.0)])
def test_many_servers_under_gamma_gaps_wait_as_often_as_simulated(
    servers: int, load: float, scv: float
) -> None:
    rates = pool_rates([ReplicaQueue(1, [1.0] * servers)])
    found = waiting_share(one(load), rates, scv)[0]
    assert found == pytest.approx(simulated_waiting_share(servers, load, scv, 5), abs=0.012)


def test_unlike_replicas_are_filled_to_the_same_share() -> None:
    # 1 × 2 places of 1 s and 1 × 4 of 2 s: full, 2/1 + 4/2; half full, 1/1 + 2/2
    rates = pool_rates([ReplicaQueue(1, [1.0] * 2), ReplicaQueue(1, [2.0] * 4)])
    assert (len(rates), rates[-1], rates[2]) == (6, pytest.approx(4), pytest.approx(2))


# ---- how sizes spread


def test_equal_sizes_and_exponential_ones_have_known_constants() -> None:
    equal = lognormal_sizes(0)
    assert equal.kappa == pytest.approx(1, abs=0.003)
    # equal sizes: a departure each second; from a random moment V(½) = ½·½, V(1) = 0
    assert equal.variance_at(np.array([0.5, 1.0])) == pytest.approx([0.25, 0.0], abs=0.01)
    assert EXPONENTIAL.kappa == pytest.approx(0.5, abs=0.003)
    assert EXPONENTIAL.variance_at(np.array([0.3, 20.0])) == pytest.approx([0.3, 20.0], rel=0.02)
    with pytest.raises(ValueError, match="mean above 0"):
        sizes_of([0.0])


@pytest.mark.parametrize(
    ("cv", "kappa", "per_time"),
    [
        (0.5, 0.74, (0.90, 0.38, 0.26, 0.25)),
        (1.0, 0.565, (0.90, 0.77, 0.94, 0.98)),
        (2.0, 0.38, (1.0, 1.47, 2.7, 3.3)),
        (4.0, 0.25, (1.3, 2.5, 5.8, 8.2)),
    ],
)
def test_departures_of_lognormal_sizes_look_poisson_at_first_and_like_the_sizes_at_last(
    cv: float, kappa: float, per_time: tuple[float, ...]
) -> None:
    # measured on 300,000 sampled sizes: κ, and V(t)/t at 0.1, 1, 10 and 30 services
    sizes = lognormal_sizes(cv)
    times = np.array([0.1, 1.0, 10.0, 30.0])
    assert sizes.kappa == pytest.approx(kappa, abs=0.02)
    assert list(sizes.variance_at(times) / times) == pytest.approx(list(per_time), rel=0.04)


# ---- the load that a pool may carry

ALLOWED = {
    # (slots, ms per place, c): allowed utilization, %, of 1, 2, 4, 8, 16, 32 replicas, for a p99
    # wait of 0.2, 1 and 5 s
    (8, 1.0, 1): ("40 55 68 77 84 89", "43 60 73 82 88 93", "59 75 85 91 95 97"),
    (8, 1.0, 2): ("12 30 48 62 73 81", "14 34 52 67 78 86", "29 51 69 81 89 94"),
    (42, 0.5, 1): ("74 82 88 92 94 96", "77 85 90 94 96 98", "86 92 95 97 99 99"),
    (42, 0.5, 2): ("57 70 79 86 90 93", "60 73 82 88 92 95", "72 83 90 94 97 98"),
}


@pytest.mark.parametrize("key", ALLOWED, ids=str)
@pytest.mark.parametrize(("row", "wait_s"), [(0, 0.2), (1, 1.0), (2, 5.0)])
def test_the_table_of_allowed_utilization(
    key: tuple[int, float, int], row: int, wait_s: float
) -> None:
    slots, per_place_ms, c = key
    for replicas, percent in zip((1, 4, 16), ALLOWED[key][row].split()[::2], strict=True):
        rates = table_pool(slots, per_place_ms, replicas)
        load = admissible_load(wait_s, 0.99, rates, gaps_scv=c * c, margin=1)
        assert 100 * load / rates[-1] == pytest.approx(float(percent), abs=1)


def test_the_load_found_keeps_the_wish_and_a_little_more_breaks_it() -> None:
    rates = table_pool(16, 1.0, 3)
    load = admissible_load(1.0, 0.95, rates)
    sizes = lognormal_sizes(1.0)
    kept, broken = waits_beyond(1.0, np.array([load, 1.002 * load]), rates, sizes)
    assert kept <= 0.5 * 0.05 < broken  # half of the misses allowed


def test_bursts_before_one_small_replica_are_not_judged() -> None:
    rates = table_pool(8, 1.0, 1)
    load = admissible_load(0.2, 0.99, rates, gaps_scv=9.0)
    assert not is_judged(load, rates, 9.0)
    assert is_judged(load, rates, 1.0)
    assert is_judged(0.11 * rates[-1], rates, 9.0)


@tries(0.3, deadline=None)
@given(
    slots=st.integers(1, 24),
    replicas=st.integers(1, 4),
    wait_s=st.floats(0.05, 8),
    share=st.floats(0.6, 0.995),
    c=st.sampled_from([1.0, 1.5, 2.0, 3.0]),
)
def test_more_replicas_and_patience_carry_more_and_more_bursts_less(
    slots: int, replicas: int, wait_s: float, share: float, c: float
) -> None:
    def load(n: int, w: float, p: float, bursts: float) -> float:
        return admissible_load(w, p, table_pool(slots, 1.0, n), gaps_scv=bursts**2)

    base = load(replicas, wait_s, share, c)
    slack = 1e-4 * table_pool(slots, 1.0, replicas)[-1] + 1e-9
    assert load(replicas + 1, wait_s, share, c) >= base - slack
    assert load(replicas, 1.5 * wait_s, share, c) >= base - slack
    assert load(replicas, wait_s, share - 0.1, c) >= base - slack
    assert load(replicas, wait_s, share, c + 0.5) <= base + slack


# ---- places


def test_places_are_bound_by_slots_or_by_tokens_weighted_by_time() -> None:
    # equal requests of 10 tokens: (1,000 − 100/20) ÷ 10 = 99.5
    assert places_by_tokens(1000, [10.0], [3.0], 256) == 99
    assert places_by_tokens(1000, [10.0], [3.0], 64) == 64
    # 10 and 30 tokens, the long ones three times as long: k* = (10 + 90)/4 = 25, unused
    # (100 + 900)/2 ÷ 40 = 12.5: (1,000 − 12.5) ÷ 25 = 39.5
    assert places_by_tokens(1000, [10.0, 30.0], [1.0, 3.0], 256) == 39
    # below twenty one less: (200 − 12.5) ÷ 25 = 7.5
    assert places_by_tokens(200, [10.0, 30.0], [1.0, 3.0], 256) == 6
    assert places_by_tokens(5, [10.0], [1.0], 256) == 1
    with pytest.raises(ValueError, match="requests of some size"):
        places_by_tokens(5, [], [], 256)


# ---- pools


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metric", ["wait", "request"])
@pytest.mark.parametrize("scv", [1.0, 4.0])
def test_a_pool_that_is_as_good_as_full_has_everybody_late(metric, scv) -> None:
    known = lognormal_sizes(1.0), lognormal_work(((1.0, 1.0),), 1.0)
    pool = Pool(full_rate=3.5, places=100.0, alone=0.2, slowest_s=10.0)
    for load in (math.nextafter(3.5, 0), 3.5 * (1 - 1e-9)):
        mean, most = (QueueWish(metric, 20.0, share, scv, *known) for share in (None, 0.95))
        assert log_missed(pool, load, mean) > 19  # e^19 s, and more
        assert log_missed(pool, load, most) > -1e-6


def test_a_wait_is_reckoned_alike_whatever_else_is_wished():
    # With a wish for whole requests pools have a finer φ, and are quicker when they are emptier.
    known = lognormal_sizes(1.0), lognormal_work(((1.0, 1.0),), 1.0)
    fine, coarse = (Pool(10.0, 32.0, alone, 3.0) for alone in (0.051, 0.1))
    missed = {
        (metric, share): [
            log_missed(pool, 9.0, QueueWish(metric, 2.0, share, 1.0, *known))
            for pool in (fine, coarse)
        ]
        for metric in ("wait", "request")
        for share in (None, 0.99)
    }
    assert missed["wait", None][0] == missed["wait", None][1]
    assert missed["wait", 0.99][0] == missed["wait", 0.99][1]
    assert missed["request", None][0] < missed["request", None][1]
