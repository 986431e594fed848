"""Requests through replicas: small ones by hand, closed forms inside their intervals, losses."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from milp_planner.replaying.engine import ROUTERS, Endpoints, ReplayRouter, Switch, send
from milp_planner.replaying.replica import Journeys, ReplicaSpeed
from milp_planner.serving.queues.chain import ReplicaQueue, pool_rates
from milp_planner.serving.queues.sizes import lognormal_sizes
from milp_planner.serving.queues.wait import admissible_load

BATCHES = 20
T_95 = 2.093  # Student's t, 19 degrees of freedom


def mean_and_interval(values: np.ndarray) -> tuple[float, float]:
    """The mean without its first tenth, and the 95 % half-width by batch means."""
    counted = values[len(values) // 10 :]
    means = [batch.mean() for batch in np.array_split(counted, BATCHES)]
    return float(np.mean(means)), T_95 * float(np.std(means, ddof=1)) / math.sqrt(BATCHES)


def poisson(
    rate: float,
    sizes: Callable[[np.random.Generator, int], np.ndarray],
    replicas: list[ReplicaSpeed],
    *,
    n: int = 100_000,
    router: ReplayRouter = "central",
    seed: int = 7,
) -> tuple[np.ndarray, Journeys]:
    """Poisson arrivals of so many tokens each; arrival times and journeys."""
    rng = np.random.default_rng(seed)
    arrivals = np.cumsum(rng.exponential(1 / rate, n))
    tokens = sizes(rng, n).tolist()
    return arrivals, send(arrivals.tolist(), [0.0] * n, tokens, replicas, router=router)


def exponential(rng: np.random.Generator, n: int) -> np.ndarray:
    return rng.exponential(1, n)


def lognormal(cv: float) -> Callable[[np.random.Generator, int], np.ndarray]:
    spread = math.sqrt(math.log(1 + cv * cv))
    return lambda rng, n: rng.lognormal(-spread * spread / 2, spread, n)


# ---- by hand


def test_two_requests_share_a_replica_and_a_third_waits() -> None:
    # alone a token takes 1 s, two at once 2 s each
    replica = ReplicaSpeed((1.0, 2.0))
    found = send([0.0, 1.0, 2.0], [0.0] * 3, [3.0, 2.0, 1.0], [replica])
    # A gets a token until 1, then half a token a second: 2 left at 1, done at 5; so is B, which
    # needs 2 from 1 on. C waits from 2 to 5, and is then alone.
    assert found.left_s == [5.0, 5.0, 6.0]
    assert found.admitted_s == [0.0, 1.0, 5.0]


def test_a_prompt_is_prefilled_in_chunks_that_slow_decoding() -> None:
    # a step takes 1 s, with a chunk of 1 s of prefill 2 s
    replica = ReplicaSpeed((1.0, 1.0), prefill_s_per_token=1.0, chunk_s=1.0)
    found = send([0.0, 4.0], [2.0, 3.0], [10.0, 1.0], [replica])
    # A alone: prefilled at 2, from then on a token a second. At 4 B's prompt of 3 s begins: three
    # steps of 2 s until 10, in which A gets 3 tokens; A has 5, needs 5 more until 15, B 1 until 11
    assert found.first_token_s == [2.0, 10.0]
    assert found.left_s == [15.0, 11.0]


def test_without_chunks_a_prompt_stops_all_decoding() -> None:
    replica = ReplicaSpeed((1.0, 1.0), prefill_s_per_token=1.0)
    found = send([0.0, 4.0], [2.0, 3.0], [10.0, 1.0], [replica])
    # A stands still from 4 to 7: 2 + 10 + 3
    assert (found.first_token_s, found.left_s) == ([2.0, 7.0], [15.0, 8.0])


def test_tokens_of_the_cache_bind_before_places_and_a_giant_goes_in_alone() -> None:
    replica = ReplicaSpeed((1.0,) * 4, kv_tokens=10)
    found = send([0.0, 0.0, 0.0], [4.0, 4.0, 90.0], [2.0, 2.0, 10.0], [replica])
    # 6 + 6 tokens do not fit in 10; 100 never do, so that one goes into the empty replica
    assert found.admitted_s == [0.0, 2.0, 4.0]
    assert found.left_s == [2.0, 4.0, 14.0]


def test_a_lost_replica_begins_its_requests_anew_elsewhere() -> None:
    replicas = [ReplicaSpeed((1.0,))] * 2
    lost = Switch(3.0, 0, on=False, lost=True)
    found = send([0.0, 1.0], [0.0] * 2, [5.0, 5.0], replicas, switches=[lost])
    # the first loses 3 s of work, waits until the second leaves at 6, and is done at 11
    assert found.left_s == [11.0, 6.0]
    assert (found.admitted_s, found.replica, found.restarts) == ([6.0, 1.0], [1, 1], 1)


def test_a_replica_switched_off_finishes_what_is_in_it_and_hands_on_its_queue() -> None:
    replicas = [ReplicaSpeed((1.0,))] * 2
    switches = [Switch(1.5, 0, on=False)]
    found = send([0.0, 0.5, 1.0], [0.0] * 3, [4.0, 2.0, 1.0], replicas, switches=switches)
    # the third queued at the first replica, moves at 1.5 to the second and starts when it is free
    assert found.left_s == [4.0, 2.5, 3.5]
    assert found.replica == [0, 1, 1]


def test_requests_that_never_start_are_told_as_infinite() -> None:
    replicas = [ReplicaSpeed((1.0,))]
    found = send([0.0, 5.0], [0.0] * 2, [1.0, 1.0], replicas, switches=[Switch(2.0, 0, on=False)])
    assert found.left_s == [1.0, math.inf]
    assert (found.admitted_s[1], found.replica[1]) == (math.inf, -1)


def test_a_replica_that_comes_later_takes_who_was_stranded() -> None:
    replicas = [ReplicaSpeed((1.0,))]
    found = send([0.0], [0.0], [1.0], replicas, switches=[Switch(7.0, 0, on=True)])
    assert (found.admitted_s, found.left_s) == ([7.0], [8.0])


@pytest.mark.parametrize("router", ROUTERS)
def test_every_request_leaves_once_whatever_routes_it(router: ReplayRouter) -> None:
    replicas = [ReplicaSpeed((1.0,) * 3, 0.1, 0.5, 40), ReplicaSpeed((2.0,) * 6, 0.1, 0.5)]
    rng = np.random.default_rng(3)
    arrivals = np.cumsum(rng.exponential(0.4, 2_000))
    tokens = rng.integers(1, 9, 2_000).astype(float).tolist()
    switches = [
        Switch(100.0, 1, on=False, lost=True),
        Switch(130.0, 1, on=True),
        Switch(300.0, 0, on=False),
        Switch(330.0, 0, on=True),
    ]
    found = send(arrivals.tolist(), tokens, tokens, replicas, router=router, switches=switches)
    gates = np.array([found.arrived_s, found.admitted_s, found.first_token_s, found.left_s])
    assert np.isfinite(gates).all()
    assert (np.diff(gates, axis=0) >= -1e-9).all()
    assert {*found.replica} == {0, 1}
    assert found.restarts > 0


# ---- closed forms


def erlang_c(servers: int, offered: float) -> float:
    terms = [offered**n / math.factorial(n) for n in range(servers + 1)]
    last = terms.pop() / (1 - offered / servers)
    return last / (sum(terms) + last)


@pytest.mark.parametrize(("servers", "rate"), [(1, 0.7), (8, 6.4), (42, 37.8)])
def test_waits_of_m_m_c(servers: int, rate: float) -> None:
    arrivals, found = poisson(rate, exponential, [ReplicaSpeed((1.0,) * servers)])
    waits = np.array(found.admitted_s) - arrivals
    waiting = erlang_c(servers, rate)
    mean, half = mean_and_interval(waits)
    assert mean == pytest.approx(waiting / (servers - rate), abs=half)
    share, half = mean_and_interval(waits > 0)
    assert share == pytest.approx(waiting, abs=half)


def test_waits_of_m_d_1() -> None:
    arrivals, found = poisson(0.8, lambda rng, n: np.ones(n), [ReplicaSpeed((1.0,))])
    mean, half = mean_and_interval(np.array(found.admitted_s) - arrivals)
    assert mean == pytest.approx(0.8 / (2 * 0.2), abs=half)  # ρ ÷ 2(1 − ρ)


@pytest.mark.parametrize("cv", [0.0, 1.0, 2.0])
def test_shared_processors_take_the_same_time_whatever_the_sizes(cv: float) -> None:
    # M/G/1-PS: d requests take d seconds a token; the mean sojourn is 1 ÷ (1 − ρ)
    shared = ReplicaSpeed(tuple(float(d) for d in range(1, 400)))
    arrivals, found = poisson(0.6, lognormal(cv), [shared])
    mean, half = mean_and_interval(np.array(found.left_s) - arrivals)
    assert mean == pytest.approx(1 / 0.4, abs=half)


def test_with_places_for_all_the_number_inside_is_poisson() -> None:
    # M/G/∞: 20 a second for a second each, whatever the sizes; by Little from the sojourns
    arrivals, found = poisson(20.0, lognormal(2.0), [ReplicaSpeed((1.0,) * 200)])
    sojourn, half = mean_and_interval(np.array(found.left_s) - arrivals)
    assert 20 * sojourn == pytest.approx(20, abs=20 * half)
    assert (np.array(found.admitted_s) == arrivals).all()


# ---- formula beside simulation


def missed_share(replicas: int, slots: int, step_ms: float, load: float, n: int) -> float:
    """Of the requests, the share that waited over a second at that load."""
    speed = ReplicaSpeed(tuple(0.02 + 1e-3 * step_ms * b for b in range(1, slots + 1)))
    spread = lognormal(1.0)
    arrivals, found = poisson(load, lambda rng, n: 300 * spread(rng, n), [speed] * replicas, n=n)
    return mean_and_interval(np.array(found.admitted_s) - arrivals > 1.0)[0]


def admissible_to_simulated(replicas: int, slots: int, step_ms: float, n: int) -> float:
    """A ÷ the load at which one of a hundred simulated requests waits over a second."""
    service_s = [300 * (0.02 + 1e-3 * step_ms * b) for b in range(1, slots + 1)]
    rates = pool_rates([ReplicaQueue(replicas, service_s)])
    low, high = 0.0, float(rates[-1])
    for _ in range(9):
        middle = (low + high) / 2
        kept = missed_share(replicas, slots, step_ms, middle, n) <= 0.01
        low, high = (middle, high) if kept else (low, middle)
    return admissible_load(1.0, 0.99, rates, lognormal_sizes(1.0), margin=1) / low


@pytest.mark.parametrize(("replicas", "slots", "step_ms"), [(1, 42, 0.5), (2, 16, 1.0)])
def test_the_admissible_load_is_near_the_simulated_one(
    replicas: int, slots: int, step_ms: float
) -> None:
    assert 0.95 <= admissible_to_simulated(replicas, slots, step_ms, 30_000) <= 1.06


def test_round_robin_makes_a_pool_wait_longer_than_least_in_flight() -> None:
    speed = [ReplicaSpeed(tuple(0.02 + 5e-4 * b for b in range(1, 43)))] * 4
    spread = lognormal(1.0)
    full = 4 * 42 / (300 * (0.02 + 5e-4 * 42))

    def p99(router: ReplayRouter) -> float:
        sizes = lambda rng, n: 300 * spread(rng, n)  # noqa: E731
        arrivals, found = poisson(0.92 * full, sizes, speed, router=router)
        return float(np.quantile((np.array(found.admitted_s) - arrivals)[10_000:], 0.99))

    assert p99("round_robin") > 2 * p99("least")
    assert p99("random") > p99("round_robin")


def test_endpoints_are_sent_their_shares_and_those_that_are_off_nothing():
    # A request a second, none of which meets another: three quarters to the first for 1,000 s, then
    # a quarter; from 1,500 s on the first is away, and all go to the second.
    n = 2_000
    arrivals = [float(i) for i in range(n)]
    endpoints = Endpoints(of=(0, 1), from_s=(0.0, 1_000.0), shares=((3.0, 1.0), (1.0, 3.0)))
    found = send(
        *(arrivals, [0.0] * n, [1.0] * n, [ReplicaSpeed((0.1,))] * 2),
        router="per_offering",
        switches=(Switch(1_500.0, 0, on=False),),
        endpoints=endpoints,
    )
    first = [sum(r == 0 for r in found.replica[a:b]) for a, b in ((0, 1000), (1000, 1500))]
    assert first == [pytest.approx(750, abs=45), pytest.approx(125, abs=32)]
    assert set(found.replica[1_501:]) == {1}
