"""`policy.routing: per_offering`: fleets are the cheapest of all mixes whose queues suffice."""

from __future__ import annotations

import math
import random
from typing import NamedTuple

import pytest

from milp_planner import (
    Catalog,
    Plan,
    Problem,
    Status,
    WaitKept,
    diagnose,
    evaluate,
    explain_limits,
    prepare,
    replay,
    solve,
    warning_lines,
)
from milp_planner.questions.solve import provenance_of
from milp_planner.solving.assembly.verify import violations
from milp_planner.solving.first_plan import FirstPlan
from milp_planner.solving.re_solve import settings_of
from tests.solving.queues.test_apart import sold
from tests.solving.queues.test_shares import rented
from tests.solving.queues.test_waits import (
    KINDS,
    P99,
    asked,
    market,
    random_kinds,
    units_of,
    usd_of,
)
from tests.support.builders import catalog, offering, raw
from tests.support.oracles.queue_oracle import (
    Kind,
    Wished,
    carried,
    cheapest_of_own_queues,
    routes_carry,
)
from tests.support.oracles.reading.reader import read

OWN = {"routing": "per_offering"}
SHARES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
HALF = {"providers": {"max_share": 0.5}}
LATE = Wished([(1.0, 0.99)])
MOST = 11


class Case(NamedTuple):
    """A random problem, and the same as the oracle takes it."""

    problem: Problem
    catalog: Catalog
    load: float
    kinds: dict[str, Kind]
    wished: Wished
    how: dict


def case(seed):
    rng = random.Random(f"own {seed}")
    kinds, load = random_kinds(rng), rng.uniform(2, 11)
    waits = {rng.choice(("p95", "p99")): rng.choice((0.3, 1.0, 4.0))}
    if rng.random() < 0.3:
        waits["p50"] = next(iter(waits.values())) / 20
    latency, requests = {"wait": waits}, []
    if rng.random() < 0.3:
        longest = 3.5 * max(kind.places / kind.rate for kind in kinds.values())
        latency["request"], requests = {"p95": longest}, [(longest, 0.95)]
    wished = Wished([(w, SHARES[p]) for p, w in waits.items()], requests)
    left = rng.choice((0.0, 0.0, 0.5))
    target = rng.choice((0.75, 1.0))
    limits = {"survive_loss_of": {"kind": "provider", "share": left}} if left else {}
    how = {"target": target, "left": left}
    kind = rng.choice(("", "", "providers", "spot"))
    spot = ()
    if kind:
        how["share"] = rng.choice((0.45, 0.6))
        how["groups"] = {name: one.group for name, one in kinds.items()}
    if kind == "providers":
        limits["providers"] = {"max_share": how["share"]}
    if kind == "spot":
        spot = rng.sample(sorted(kinds), 1)
        how["groups"] = dict.fromkeys(spot, "spot")
        limits["max_spot_share"] = how["share"]
        limits["billing"] = {"allow": ["dedicated", "spot"]}
    question = asked(load, latency, kinds, target=target, limits=limits, policy=OWN)
    return Case(question, rented(kinds, spot), load, kinds, wished, how)


def is_the_cheapest(one: Case, plan: Plan) -> None:
    """Within 1/1,000 of the load, what the planner's own slack lets pass; and every queue keeps."""
    most = cheapest_of_own_queues(one.load, one.kinds, one.wished, most=MOST, **one.how)
    if plan.status is Status.INFEASIBLE:
        assert most == math.inf
        return
    assert plan.status is Status.OPTIMAL
    assert max(units_of(plan).values()) <= MOST
    least = cheapest_of_own_queues(
        one.load * (1 - 1e-3), one.kinds, one.wished, most=MOST, **one.how
    )
    assert least - 1e-9 <= usd_of(plan) <= most + 1e-9
    sent = [
        (one.kinds[r.candidate.gpu], units_of(plan)[r.candidate.gpu], r.requests_per_second)
        for r in plan.routes
    ]
    assert sum(rate for *_, rate in sent) == pytest.approx(one.load)
    assert routes_carry(sent, one.wished)
    assert read(prepare(one.problem, one.catalog), plan) == []


@pytest.mark.parametrize("seed", [0, 2, 4])
def test_the_fleet_is_the_cheapest_of_all_mixes(seed):
    one = case(seed)
    is_the_cheapest(one, solve(one.problem, one.catalog, alternatives=0))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_the_fleet_is_the_cheapest_of_all_mixes_whatever_they_are(seed):
    one = case(seed)
    is_the_cheapest(one, solve(one.problem, one.catalog, alternatives=0))


def test_own_queues_cost_more_than_one_before_all_and_the_plan_says_which_it_needs():
    # 20 requests/s: one router fills two big and a small to 20 of 23. Two big by themselves do not
    # keep a p99 of a second at 20 of 20, nor with a small beside; four mid do, $10.40.
    own = solve(asked(20, P99, policy=OWN), market(), alternatives=0)
    shared = solve(asked(20, P99), market(), alternatives=0)
    assert (usd_of(shared), usd_of(own)) == (pytest.approx(9.5), pytest.approx(10.4))
    assert carried(KINDS["big"], 2, LATE) + carried(KINDS["small"], 1, LATE) < 20
    assert carried(KINDS["mid"], 4, LATE) > 20
    (said,) = (one for one in own.warnings if isinstance(one, WaitKept))
    assert (said.offering, said.sent, said.replicas) == (
        "cant/mid/eu-1",
        (("cant/mid/eu-1", 1),),
        4,
    )
    (line,) = (line for line in warning_lines(own) if "the p99 wait is" in line)
    assert "before cant/mid/eu-1 in block active" in line
    assert line.endswith("with 1, behind a least-in-flight router of its own")


def test_every_block_has_queues_of_its_own():
    # By the hour: 12 hours of a weight of 3 and 12 of 1, 4 requests/s on average: 6 and 2.
    profile = {"kind": "profile", "requests_per_day": 4 * 86_400, "weights": [3] * 12 + [1] * 12}
    elastic = catalog(
        [offering(k.group, name, k.usd, billing="autoscaling") for name, k in KINDS.items()],
        [raw(name, kind.rate) for name, kind in KINDS.items()],
    )
    question = asked(1, P99, chat={"traffic": profile}, policy=OWN)
    found = solve(question, elastic, alternatives=0)
    by_block = [cheapest_of_own_queues(load, KINDS, LATE, most=4) for load in (6, 2)]
    assert found.score_usd_per_month == pytest.approx(360 * sum(by_block))
    assert read(prepare(question, elastic), found) == []


def test_all_classes_are_sent_everywhere_alike():
    # Two sizes: whatever the mix, as many of each come to each offering.
    classes = [
        {"input_tokens": 100, "output_tokens": 100, "share": 0.7},
        {"input_tokens": 100, "output_tokens": 500, "share": 0.3},
    ]
    found = solve(
        asked(9, P99, policy=OWN, chat={"requests": classes}, limits=HALF), market(), alternatives=0
    )
    by_offering: dict[str, set[float]] = {}
    for route in found.routes:
        by_offering.setdefault(route.candidate.offering.id, set()).add(round(route.share, 6))
    assert len(by_offering) > 1
    assert all(len(shares) == 1 for shares in by_offering.values())
    (line,) = (line for line in warning_lines(found) if "the p99 wait is" in line)
    for name, shares in by_offering.items():
        assert f"{name} {100 * min(shares):.3g} %" in line.split("; of the requests are sent: ")[1]
    assert sum(min(shares) for shares in by_offering.values()) == pytest.approx(1)


def test_a_fleet_of_ones_own_is_told_before_which_offering_people_wait():
    # Of 10 requests/s one big carries 7.7 or so by itself, a small hardly any.
    fleet = {"acme/big/eu-1": 1, "bolt/small/eu-1": 1}
    assert carried(KINDS["big"], 1, LATE) + carried(KINDS["small"], 1, LATE) < 10
    told = evaluate(asked(10, P99, policy=OWN), fleet, market())
    assert {breach.family for breach in told.breaches} == {"OwnQueues"}
    assert "the p99 wait before " in told.breaches[0].message
    # One router before both fills 13: it keeps the wish.
    assert not evaluate(asked(10, P99), fleet, market()).breaches


@pytest.mark.slow
def test_what_an_endpoint_each_costs_is_told_and_one_router_is_offered():
    # One router: two big and a small, $9.50 an hour; by themselves four mid, $10.40.
    costs = {row.path: row for row in explain_limits(asked(20, P99, policy=OWN), market()).rows}
    assert costs["policy.routing"].usd_per_month == pytest.approx(720 * (10.4 - 9.5))
    # Two big carry 17.5 by themselves, a small 1.4: behind one router the three carry 20.
    few = {"max_gpus": {"total": 3}, "max_units": {"acme/big/eu-1": 2}, "gpus": {"deny": ["mid"]}}
    three = asked(20, P99, policy=OWN, limits=few)
    assert solve(three, market()).status is Status.INFEASIBLE
    offered = {change.path: change.text for change in diagnose(three, market()).changes}
    assert offered["policy.routing"] == "put one router before all replicas of a workload"
    assert offered["workloads.chat.latency.wait.p99"].startswith("accept a p99 wait of ")


def test_a_plan_is_in_hand_when_time_ends_before_the_solvers():
    given = prepare(asked(20, P99, policy=OWN), market())
    first = FirstPlan.of(given).result(provenance_of(given, settings_of(given.problem)))
    assert first is not None
    assert not violations(given, first.known)


def test_the_replay_routes_as_the_plan_does_and_keeps_its_wish():
    # Half at most of one provider, so that two offerings at least have queues of their own.
    sizes = {"requests": {"input_tokens": 100, "output_tokens": 300}}
    question = asked(12, P99, policy=OWN, limits=HALF, chat=sizes)
    plan = solve(question, market(), alternatives=0)
    found = replay(plan, question, market(), requests=60_000, seeds=1)
    assert found.router == "per_offering"
    assert len(plan.purchases) > 1
    assert found.keeps_all_wishes
    # With lots drawn among replicas the same fleet makes people wait: the router is what counts.
    random_one = replay(plan, question, market(), requests=60_000, seeds=1, router="random")
    assert not random_one.keeps_all_wishes


@pytest.mark.slow
@pytest.mark.parametrize("routing", ["per_offering", "shared"])
def test_where_queues_are_the_target_a_diagnosis_frees_every_wish_at_once(routing):
    # All wishes are in the conflict: without them no queue says how full a replica may be. 10 s are
    # kept, and take 8.8 s in a replay; a request that has a replica to itself takes 9.5 s at p95.
    traffic = {"kind": "requests_per_second", "requests_per_second": 5}
    wishes = {"wait": {"p95": "1s"}, "request": {"p95": "5s"}}
    chat = {"name": "chat", "llm": "toy", "traffic": traffic, "latency": wishes}
    chat["requests"] = {"input_tokens": 200, "output_tokens": 300}
    policy = {"utilization": {"by": "queues"}, "routing": routing}
    question = {"schema_version": 1, "name": "n", "workloads": [chat], "policy": policy}
    found = solve(Problem.model_validate(question), sold(), alternatives=0)
    assert found.status is Status.INFEASIBLE
    assert [path for path, _ in found.diagnosis.conflict] == ["workloads.chat.latency.request.p95"]


@pytest.mark.slow
def test_what_units_carry_next_to_nothing_of_is_no_coefficient():
    # One unit of bytes keeps the wish at 1e-16 of the load: its row was too wide for solvers.
    sizes = [(4000, 5), (100, 400)]
    chat = {"name": "chat", "llm": "toy"}
    chat["traffic"] = {"kind": "requests_per_second", "requests_per_second": 8.4, "burstiness": 1.5}
    chat["requests"] = [{"input_tokens": i, "output_tokens": o, "share": 0.5} for i, o in sizes]
    chat["latency"] = {"wait": {"p99": 0.743}, "request": {"p999": 52.526}}
    policy = {"utilization": {"target": 0.9}, **OWN}
    question = {"schema_version": 1, "name": "n", "workloads": [chat], "policy": policy}
    found = solve(Problem.model_validate(question), sold(), alternatives=0)
    assert found.status in (Status.OPTIMAL, Status.INFEASIBLE)


@pytest.mark.slow
def test_no_end_of_a_wait_without_its_wish_ends_no_diagnosis():
    # Freed of its wait the plan is full, where the wait has no end: longer ones end at an hour.
    traffic = {"kind": "requests_per_second", "requests_per_second": 5.804052317761997}
    wishes = {"wait": {"p99": 2.204}, "request": {"p50": 60.882}}
    chat = {"name": "chat", "llm": "toy", "traffic": traffic, "latency": wishes}
    chat["requests"] = {"input_tokens": 2000, "output_tokens": 300}
    limits = {"survive_loss_of": {"kind": "provider", "share": 0.5}}
    question = {"schema_version": 1, "name": "n", "workloads": [chat], "limits": limits}
    question["policy"] = {"utilization": {"by": "queues"}}
    found = solve(Problem.model_validate(question), sold(), alternatives=0)
    assert found.status is Status.INFEASIBLE
    assert found.diagnosis.conflict
