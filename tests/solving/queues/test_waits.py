"""Wishes for the wait: fleets found are the cheapest of all mixes that the formulas let through."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import replace

import pytest

from milp_planner import (
    InputError,
    Latency,
    Status,
    TimeNotJudged,
    Trace,
    WaitKept,
    diagnose,
    evaluate,
    explain_limits,
    prepare,
    solve,
    warning_lines,
)
from milp_planner.candidates.queues import pool_of, queue_wishes
from milp_planner.questions.sheet.risks import wishes_of
from milp_planner.questions.solve import provenance_of
from milp_planner.serving.queues.pools import MARGIN, Pool, QueueWish, cut_of, keeps
from milp_planner.serving.queues.sizes import lognormal_sizes, lognormal_work
from milp_planner.solving.assembly.verify import violations
from milp_planner.solving.first_plan import FirstPlan
from milp_planner.solving.re_solve import settings_of
from milp_planner.solving.search import Search
from milp_planner.traffic.digest import digest
from tests.support.builders import BIG, catalog, offering, problem, raw, token_price
from tests.support.oracles.queue_oracle import Kind, Wished, cheapest_usd, late_share

HOURS = 720
KINDS = {
    "big": Kind(10, 64, 4.0, "acme"),
    "small": Kind(3, 8, 1.5, "bolt"),
    "mid": Kind(6, 16, 2.6, "cant"),
}
P99 = {"wait": {"p99": "1s"}}


def market(kinds=KINDS, **fields):
    return catalog(
        [offering(kind.group, name, kind.usd) for name, kind in kinds.items()],
        [raw(name, kind.rate) for name, kind in kinds.items()],
        **fields,
    )


def asked(load, latency, kinds=KINDS, **fields):
    rates = [
        {"gpu": name, "requests_per_second": kind.rate, "in_flight": kind.places}
        for name, kind in kinds.items()
    ]
    return problem(
        load, chat={"rates": rates, "latency": latency, **fields.pop("chat", {})}, **fields
    )


def units_of(plan):
    return {p.candidate.gpu: p.units for p in plan.purchases}


def usd_of(plan):
    return plan.score_usd_per_month / HOURS


def same_as_all_mixes(plan, load, kinds, wished, **how):
    """Within 1/1,000 of the load: what the planner's own slack lets pass."""
    least = cheapest_usd(load * (1 - 1e-3), list(kinds.values()), wished, **how)
    most = cheapest_usd(load, list(kinds.values()), wished, **how)
    assert least - 1e-9 <= usd_of(plan) <= most + 1e-9
    assert plan.status is Status.OPTIMAL


def random_kinds(rng):
    found = {}
    for name, group in zip(("big", "small", "mid"), ("acme", "bolt", "cant"), strict=True):
        places = rng.choice((8, 16, 42, 64))
        rate = places / rng.uniform(3, 12)
        found[name] = Kind(rate, places, round(places**0.8 / 8 * rng.uniform(0.8, 1.25), 2), group)
    return found


def p99_wait(wished_s):
    known = lognormal_sizes(1.0), lognormal_work(((1.0, 1.0),), 1.0)
    return QueueWish("wait", wished_s, 0.99, 1.0, *known)


def test_the_tail_is_what_plain_loops_say():
    # 3 requests/s on 8 places and 10 on 64: full at 13, here 10.
    wish = p99_wait(1.0)
    late = late_share(10, 13, 72, 1.0)
    assert keeps(Pool(13, 72, 1.0), 10, wish) == (late <= MARGIN * 0.01)
    for load in (9.0, 10.0, 11.0):
        late = late_share(load, 13, 72, 1.0)
        assert keeps(Pool(13, 72, 1.0), load, wish._replace(share=1 - 2.1 * late))
        assert not keeps(Pool(13, 72, 1.0), load, wish._replace(share=1 - 1.9 * late))


def test_a_tangent_holds_every_pool_that_keeps_the_wish():
    rng = random.Random(3)
    for _ in range(6):
        load = rng.uniform(2, 30)
        alone = rng.choice((0.4, 1.0))
        wish = p99_wait(rng.choice((0.3, 2.0)))._replace(share=0.95)
        cut = cut_of(Pool(1.0, rng.uniform(3, 20), alone), load, wish)
        for _ in range(12):
            pool = Pool(load * rng.uniform(1.01, 1.4), round(load * rng.uniform(3, 30)), alone)
            if keeps(pool, load, wish):
                assert cut.per_rate * pool.full_rate + cut.per_place * pool.places >= 1 - 1e-9


@pytest.mark.parametrize("seed", range(4))
def test_the_fleet_is_the_cheapest_of_all_mixes(seed):
    _the_cheapest_of_all_mixes(random.Random(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 140))
def test_the_fleet_is_the_cheapest_of_all_mixes_whatever_they_are(seed):
    _the_cheapest_of_all_mixes(random.Random(seed))


def _the_cheapest_of_all_mixes(rng):
    kinds, load = random_kinds(rng), rng.uniform(2, 20)
    wishes = {"p99": rng.choice((0.3, 1.0, 4.0))}
    if rng.random() < 0.3:
        wishes["p50"] = wishes["p99"] / 20
    target, left = rng.choice((0.75, 1.0)), rng.choice((0.0, 0.0, 0.5))
    shares = {"p50": 0.5, "p99": 0.99}
    limits = {"survive_loss_of": {"kind": "provider", "share": left}} if left else {}
    found = solve(asked(load, {"wait": wishes}, kinds, target=target, limits=limits), market(kinds))
    how = {"target": target, "left": left}
    wished = Wished(waits=[(w, shares[p]) for p, w in wishes.items()])
    same_as_all_mixes(found, load, kinds, wished, **how)


@pytest.mark.parametrize("seed", range(2))
def test_whole_requests_are_kept_by_the_cheapest_of_all_mixes(seed):
    _whole_requests(random.Random(seed))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(200, 220))
def test_whole_requests_are_kept_by_the_cheapest_of_all_mixes_whatever_they_are(seed):
    _whole_requests(random.Random(seed))


def _whole_requests(rng):
    kinds, load = random_kinds(rng), rng.uniform(2, 12)
    name, share = rng.choice((("p95", 0.95), ("p90", 0.9), ("", 0.0)))
    longest = max(kind.places / kind.rate for kind in kinds.values())
    wish = (3.2 if share else 1.2) * longest * rng.uniform(0.7, 1.5)
    said = {"request": {name: wish} if name else wish}
    wished = Wished(requests=[(wish, share)])
    if rng.random() < 0.5:
        said["wait"], wished = 0.4, wished._replace(waits=[(0.4, 0.0)])
    found = solve(asked(load, said, kinds), market(kinds))
    if found.status is Status.INFEASIBLE:
        assert cheapest_usd(load, list(kinds.values()), wished) == math.inf
    else:
        same_as_all_mixes(found, load, kinds, wished)


def test_a_tighter_wish_and_burstier_requests_are_never_cheaper():
    def usd(wish, burstiness=1):
        traffic = {
            **{"kind": "requests_per_second", "requests_per_second": 20},
            "burstiness": burstiness,
        }
        latency = {"wait": wish} if wish else {}
        return usd_of(solve(asked(20, latency, chat={"traffic": traffic}), market()))

    # 20 requests/s: two big, full; with a p99 of a second one small beside.
    prices = [usd(None), usd({"p99": "1s"}), usd({"p99": "200ms"}), usd({"p999": "200ms"})]
    assert prices[:2] == [pytest.approx(8.0), pytest.approx(9.5)]
    assert prices == sorted(prices)
    bursty = [prices[1], usd({"p99": "1s"}, 2), usd({"p99": "1s"}, 4)]
    assert bursty == sorted(bursty)
    assert bursty[0] < bursty[-1]


def test_the_target_binds_beside_a_wish_unless_queues_replace_it():
    # 40 requests/s: at 75 % six big at least, 53.3 of 60; queues let five of them, 50, carry it.
    at_target = solve(asked(40, P99, target=0.75), market())
    by_queues = solve(
        asked(40, P99, target=0.75).changed(
            {"policy.utilization": {"by": "queues", "target": None}}
        ),
        market(),
    )
    assert at_target.workloads[0].utilization <= 0.75
    assert 0.75 < by_queues.workloads[0].utilization < 1
    assert usd_of(by_queues) < usd_of(at_target)
    assert by_queues.workloads[0].utilization_limit == 1.0


def test_every_block_has_a_pool_of_its_own():
    # By the hour: 12 hours of a weight of 3 and 12 of 1, 2 requests/s on average: 3 and 1.
    profile = {"kind": "profile", "requests_per_day": 2 * 86_400, "weights": [3] * 12 + [1] * 12}
    elastic = catalog(
        [
            offering(kind.group, name, kind.usd, billing="autoscaling")
            for name, kind in KINDS.items()
        ],
        [raw(name, kind.rate) for name, kind in KINDS.items()],
    )
    found = solve(asked(1, P99, chat={"traffic": profile}), elastic)
    by_block = [cheapest_usd(load, list(KINDS.values()), Wished([(1.0, 0.99)])) for load in (3, 1)]
    assert found.score_usd_per_month == pytest.approx(360 * sum(by_block))


def test_a_fleet_of_ones_own_is_told_which_wait_it_misses():
    # Of 10 requests/s one big unit carries 9.9, but not with a p99 of a second.
    told = evaluate(asked(9.9, P99), {BIG: 1}, market())
    assert [breach.family for breach in told.breaches] == ["QueueTimes"]
    assert "the p99 wait is" in told.breaches[0].message
    assert "in block active, longer than 1 s" in told.breaches[0].message


@pytest.mark.slow
def test_a_diagnosis_offers_to_wait_longer_and_explain_tells_the_price():
    # One big alone may be had: it carries 9.5 requests/s, but not with a p99 of a tenth second.
    only_one = {"limits": {"max_gpus": {"total": 1}}}
    question = asked(9.5, {"wait": {"p99": "100ms"}}, **only_one)
    assert solve(question, market()).status is Status.INFEASIBLE
    offered = {change.path: change.text for change in diagnose(question, market()).changes}
    assert offered["workloads.chat.latency.wait.p99"].startswith("accept a p99 wait of ")
    assert offered["limits.max_gpus.total"] == "allow 1 more GPU (2 in all)"
    # What a wish costs is solved without it; what does not bind says from when on it would.
    both = explain_limits(asked(20, {"wait": {"p50": "100ms", "p99": "1s"}}), market())
    costs = {row.path: row for row in both.rows}
    assert costs["workloads.chat.latency.wait.p99"].usd_per_month > 0
    assert costs["workloads.chat.latency.wait.p50"].usd_per_month == 0
    assert costs["workloads.chat.latency.wait.p50"].binds_from is not None


def test_what_a_wish_costs_is_told_where_queues_alone_say_how_full_a_fleet_may_be():
    # Two big, full, carry 20 requests/s without the wish, $8; with it there is a small one beside.
    by_queues = {"policy.utilization": {"by": "queues", "target": None}}
    question = asked(20, P99).changed(by_queues)
    (row,) = (one for one in explain_limits(question, market()).rows if "wait" in one.path)
    assert row.path == "workloads.chat.latency.wait.p99"
    assert row.usd_per_month == pytest.approx(1.5 * HOURS)


REFUSED = [
    (
        {"traffic": {"kind": "concurrent_users", "users": 3, "tokens_per_s": 5}, "rates": None},
        {},
        "users ask again when they are answered",
    ),
    ({"rates": [{"gpu": "big", "requests_per_second": 10}]}, {}, "in_flight is required"),
]


@pytest.mark.parametrize(("chat", "fields", "says"), REFUSED)
def test_what_cannot_be_judged_is_refused(chat, fields, says):
    for metric in ("wait", "request"):
        with pytest.raises(InputError, match=says) as refused:
            solve(asked(9, {metric: {"p99": "1s"}}, chat=chat, **fields), market())
        assert f"latency.{metric}" in str(refused.value)


def test_queues_need_a_wish_and_wishes_must_differ():
    with pytest.raises(InputError, match=r"workload 'chat' has no latency\.wait and"):
        solve(problem(policy={"utilization": {"by": "queues"}}), market())
    with pytest.raises(InputError, match="says nothing beside p99, which keeps 1 s"):
        asked(9, {"wait": {"p50": "2s", "p99": "1s"}})
    with pytest.raises(InputError, match="write a percentile and its time"):
        asked(9, {"wait": {}})
    with pytest.raises(InputError, match="queues take its place"):
        problem(policy={"utilization": {"by": "queues", "target": 0.9}})


def test_what_queues_cannot_judge_is_turned_down_with_the_reason():
    few = {**KINDS, "small": Kind(3, 4, 1.5, "bolt")}
    tokens = {"token_prices": [token_price("tokn", 10)]}
    every = {"limits": {"billing": {"allow": ["dedicated", "per_token"]}}}
    found = solve(asked(9, P99, few, **every), market(few, **tokens))
    reasons = {row.offering.provider: row.reason for row in found.turned_down}
    assert reasons["bolt"].startswith("4 requests in flight in a replica")
    assert reasons["tokn"].startswith("how long requests wait there is not known")


def test_the_plan_says_what_queues_allow_and_which_routing_it_needs():
    # Two big and a small: 20 of 23 requests/s. Queues let one big alone run less full than these.
    found = solve(asked(20, P99), market())
    (kept,) = (said for said in found.warnings if isinstance(said, WaitKept))
    assert (kept.workload, kept.what, kept.wished_s, kept.replicas) == ("chat", "p99 wait", 1, 3)
    assert 0 < kept.reached_s <= 1
    assert kept.allowed_alone < kept.allowed
    assert 20 / 23 <= kept.allowed < 1
    assert kept.judged
    (line,) = (said for said in warning_lines(found) if "the p99 wait is" in said)
    assert "1 s is wished; queues allow" in line
    assert "with 3 replicas" in line
    assert line.endswith("with 1, behind one least-in-flight router")


def test_a_trace_tells_how_bunched_its_requests_come(tmp_path):
    # Two at once every 3 s: 39 gaps a minute, 19 of them 3 s and the others 0: 39/19 - 1. Eight at
    # once every 12 s: 39 gaps, 4 of them 12 s: 39/4 - 1.
    def burstiness(at_once, every):
        times = [every * i for i in range(300 // every) for _ in range(at_once)]
        rows = "".join(f"{t},100,10\n" for t in times)
        file = tmp_path / f"{at_once}.csv"
        file.write_text(f"arrival,input_tokens,output_tokens\n{rows}")
        return digest(file, Trace(file=str(file))).gaps_scv

    assert burstiness(2, 3) == pytest.approx(39 / 19 - 1)
    assert burstiness(8, 12) == pytest.approx(39 / 4 - 1)


@pytest.mark.parametrize("seed", range(2))
def test_replicas_that_are_faster_when_emptier_are_mixed_as_all_mixes_say(seed):
    rng = random.Random(seed)
    kinds, load = random_kinds(rng), rng.uniform(4, 14)
    question = asked(load, {"wait": {"p99": "500ms"}, "request": {"p95": "40s"}}, kinds)
    given = prepare(question, market(kinds))
    alone = iter((0.4, 0.6, 1.0))
    told = tuple(
        replace(k, held=replace(k.held, alone=next(alone))) for k in given.candidates.candidates
    )
    given = replace(given, candidates=replace(given.candidates, candidates=told))
    settings = settings_of(question)
    search = Search(given, settings, provenance_of(given, settings), question.alternatives)
    found = search.next()

    def keep(mix):
        on = list(zip(told, mix, strict=True))
        wishes = [wish for _, wish in queue_wishes(given, "chat")]
        return all((pool := pool_of(on, wish)) and keeps(pool, load, wish) for wish in wishes)

    mixes = itertools.product(range(13), repeat=len(told))
    by_price = sorted(
        (sum(k.usd_per_hour * n for k, n in zip(told, mix, strict=True)), mix) for mix in mixes
    )
    able = (
        (usd, mix)
        for usd, mix in by_price
        if sum(k.mix_requests_per_second * n for k, n in zip(told, mix, strict=True)) > load
    )
    best = next(usd for usd, mix in able if keep(mix))
    assert usd_of(found.plan) == pytest.approx(best)


def test_a_plan_is_in_hand_when_time_ends_before_the_solvers():
    # The first fleet is two big, full; with half as many again it keeps the wish.
    given = prepare(asked(20, P99), market())
    settings = settings_of(given.problem)
    first = FirstPlan.of(given).result(provenance_of(given, settings))
    assert first is not None
    assert not violations(given, first.known)
    assert units_of(first.known)["big"] == 3


def test_percentiles_of_tokens_are_held_as_means_and_said_not_to_be_judged():
    # A p99 of the first token is one thing, the wait another: both are in the replay's list.
    latency = Latency(ttft={"p99": "2s"}, tpot={"p50": "30ms", "p99": "50ms"}, wait="200ms")
    assert (latency.ttft_limit_s, latency.tpot_limit_s) == (2.0, 0.03)
    assert [(w.words, w.wished_s) for w in latency.wishes] == [
        *(("p50 tpot", 0.03), ("p99 tpot", 0.05), ("p99 ttft", 2.0), ("mean wait", 0.2)),
    ]
    found = solve(asked(9, {"ttft": {"p99": "2s"}}), market())
    (said,) = (one for one in found.warnings if isinstance(one, TimeNotJudged))
    assert (said.workload, said.what, said.wished_s) == ("chat", "p99 ttft", 2.0)
    (judged,) = wishes_of(found)
    assert judged.not_judged_on == (BIG,)
    assert not judged.measured
