"""How full queueing lets replicas run: more of them share a queue better; held against the loop."""

from __future__ import annotations

import numpy as np
import pytest

from milp_planner import prepare
from milp_planner.inputs.problem.records import Problem
from milp_planner.replaying.allowed import allowed_utilizations, queueing_of
from milp_planner.replaying.engine import send
from milp_planner.replaying.replica import ReplicaSpeed
from milp_planner.reporting.text.inputs.candidates import candidates_text
from milp_planner.serving.queues.places import places_by_tokens
from milp_planner.serving.rates.throughput import ServingModel
from tests.candidates.test_users import problem as users_problem
from tests.support.builders import big_and_small, problem
from tests.support.serving.toys import catalog as toys

STEPS_S = tuple(0.02 + 0.001 * b for b in range(1, 17))
SERVICE_S = tuple(300 * step for step in STEPS_S)
"""16 places, 300 tokens of output, no prefill."""


def test_more_replicas_before_one_router_may_run_fuller() -> None:
    allowed = [one.utilization for one in allowed_utilizations(SERVICE_S, (1, 2, 4, 8), 1.0, 0.99)]
    assert allowed == sorted(allowed)
    assert allowed[0] < 0.65 < 0.85 < allowed[-1] < 1


def test_a_longer_wait_and_fewer_bursts_allow_more() -> None:
    def of_four(wait_s: float, gaps_scv: float = 1.0) -> float:
        (found,) = allowed_utilizations(SERVICE_S, (4,), wait_s, 0.99, gaps_scv)
        return found.utilization

    assert of_four(0.2) < of_four(1) < of_four(5)
    assert of_four(1, gaps_scv=4) < of_four(1)


@pytest.mark.parametrize("replicas", [1, 4])
def test_at_the_load_allowed_the_loop_keeps_the_wish(replicas: int) -> None:
    (found,) = allowed_utilizations(SERVICE_S, (replicas,), 1.0, 0.99)
    load = found.utilization * replicas * 16 / SERVICE_S[-1]
    rng, n = np.random.default_rng(3), 60_000
    arrivals = np.cumsum(rng.exponential(1 / load, n))
    spread = np.sqrt(np.log(2))
    outputs = 300 * rng.lognormal(-spread * spread / 2, spread, n)
    pool = [ReplicaSpeed(STEPS_S)] * replicas
    journeys = send(arrivals.tolist(), [0.0] * n, outputs.tolist(), pool)
    waits = (np.array(journeys.admitted_s) - arrivals)[n // 10 :]
    assert (waits > 1.0).mean() <= 0.01


@pytest.mark.parametrize("places", [30, 100])
def test_a_full_cache_holds_as_many_as_the_formula_says(places: int) -> None:
    # outputs of cv 1 beside 200 tokens of input; everybody is there from the start, so that the
    # replica is as full as it can be until the last ones leave
    rng, n = np.random.default_rng(4), 10_000
    spread = np.sqrt(np.log(2))
    outputs = 300 * rng.lognormal(-spread * spread / 2, spread, n)
    tokens = 200 + outputs
    in_flight = (tokens * outputs).mean() / outputs.mean()
    cache = places * in_flight + (tokens**2).mean() / (2 * tokens.mean())
    replica = ReplicaSpeed((0.02,) * (4 * places), kv_tokens=cache)
    journeys = send([0.0] * n, [200.0] * n, outputs.tolist(), [replica])
    admitted, left = np.array(journeys.admitted_s), np.array(journeys.left_s)
    until = np.quantile(admitted, 0.95)  # Little: time spent inside ÷ time that passed
    start = np.quantile(admitted, 0.15)
    inside = np.clip(np.minimum(left, until) - np.maximum(admitted, start), 0, None).sum()
    seen = inside / (until - start)
    formula = places_by_tokens(cache, tokens, outputs, 4 * places)
    assert formula == places
    assert seen == pytest.approx(formula, rel=0.04)
    assert cache / tokens.mean() > 1.2 * seen


def requests_problem() -> Problem:
    traffic = {"kind": "requests_per_second", "requests_per_second": 2}
    return users_problem(chat={"traffic": traffic})


def test_the_candidates_say_how_full_and_under_which_routing() -> None:
    given = prepare(requests_problem(), toys())
    said = candidates_text(given, [], everything=False, wait_s=2.0)
    assert "Queueing lets replicas of " in said
    assert "for a p99 wait of 2 s: Poisson arrivals, least-in-flight routing" in said
    (k,) = given.candidates.candidates
    model = ServingModel(given.catalog)
    classes = given.schedule.demands["chat"].classes
    found = queueing_of(k, given.problem, classes, given.catalog, model, wait_s=2.0)
    assert found is not None
    assert f"{100 * found.allowed[2].utilization:.0f} % with 4" in said


def test_of_rates_alone_nothing_is_said() -> None:
    given = prepare(problem(7), big_and_small())
    assert "Queueing" not in candidates_text(given, [], everything=False)


def test_of_users_at_once_nothing_is_said() -> None:
    given = prepare(users_problem(), toys())
    assert "Queueing" not in candidates_text(given, [], everything=False)
