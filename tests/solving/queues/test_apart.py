"""A wish for a wait that the best plan without it keeps, by routing classes apart, changes no plan.

`flops` serves long prompts for half of what they cost on `bytes`, and `bytes` answers of many
tokens for less than two thirds of what they cost on `flops`: together they are cheaper only where
a router tells both apart. Units are filled to 65 %, as `flops` comes to less than planned where
prompts wait for chunks of their prefill.
"""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from itertools import chain
from operator import ge, mul

import pytest

from milp_planner import (
    Problem,
    Status,
    WaitIdle,
    WaitKept,
    evaluate,
    explain_limits,
    prepare,
    replay,
    solve,
    warning_lines,
)
from milp_planner.replaying.engine import Endpoints, send
from milp_planner.replaying.replica import ReplicaSpeed
from milp_planner.solving.checks.queueing import OwnMixes, judged_after
from milp_planner.solving.search import Search
from tests.solving.queues.test_idle import same
from tests.solving.queues.test_waits import units_of
from tests.support.serving.toys import box, catalog, rent

SIZES = (
    {"input_tokens": 4000, "output_tokens": 5, "share": 0.5},
    {"input_tokens": 100, "output_tokens": 400, "share": 0.5},
)
SHARED = {"policy": {"routing": "shared"}}
KEPT = {"wait": {"p99": "2s"}}


def sold():
    """`flops` holds little, and its memory is slow: each at a dollar an hour, or half of it."""
    slow = {"bf16_tflops": 400, "memory_bandwidth_gb_per_s": 300, "memory_gib": 24}
    fast = {"bf16_tflops": 80, "memory_bandwidth_gb_per_s": 3000}
    return catalog(
        gpus=[box(id="flops", **slow), box(id="bytes", **fast)],
        offerings=[
            rent(1.0, name="flops", gpu="flops"),
            rent(0.5, name="bytes", gpu="bytes", provider="bolt"),
        ],
    )


TRAFFIC = {"kind": "requests_per_second", "requests_per_second": 40}


def asked(latency, more=(), **fields):
    chat = {"name": "chat", "llm": "toy", "traffic": TRAFFIC, "requests": SIZES, "latency": latency}
    chat |= dict(more)
    fields["policy"] = {"utilization": {"target": 0.65}} | fields.get("policy", {})
    return Problem.model_validate(
        {"schema_version": 1, "name": "n", "catalog": "x", "workloads": [chat], **fields}
    )


def kept_of(plan):
    return [said for said in plan.warnings if isinstance(said, WaitKept)]


def test_what_the_best_plan_without_a_wish_keeps_it_keeps():
    without = solve(asked({}), sold(), alternatives=0)
    found = solve(asked(KEPT), sold(), alternatives=1)
    same(found, without)
    assert found.status is Status.OPTIMAL
    assert found.proof.certified
    (said,) = kept_of(found)
    assert said.reached_s <= said.wished_s == 2
    # Of the long prompts all go to flops; of the others most to bytes, by the plan's own routes.
    sent = {
        (r.request_class.name, r.candidate.offering.id): r.share for r in without.routes if r.share
    }
    assert {row[:2]: pytest.approx(row[2]) for row in said.sent_by_class} == sent
    (line,) = (line for line in warning_lines(found) if "p99 wait" in line)
    assert line.endswith("4000/5 100 % to acme/flops/eu-1")
    assert "; kept where the router knows the sizes, tokens: 100/400 " in line
    # Every next-best plan says that it keeps the wish, too.
    assert all(kept_of(other) for other in found.alternatives)


NAMES = {"acme/flops/eu-1": 1.0, "bolt/bytes/eu-1": 0.5}
"""USD an hour."""


@pytest.mark.parametrize(
    ("load", "wait_s", "burstiness", "target", "differ_by"),
    [
        (6, 2, 1, 0.9, "counts"),  # a fleet that is passed over keeps the wish with a unit more
        (9, 2, 1, 0.98, "counts"),
        # or where all classes are sent alike
        pytest.param(6, 0.1, 2, 0.98, "counts", marks=pytest.mark.slow),
        # the best of all without the wish misses it
        pytest.param(14, 0.5, 1, 0.9, "offerings", marks=pytest.mark.slow),
        pytest.param(9, 0.5, 2, 0.98, "counts", marks=pytest.mark.slow),
    ],
)
def test_plans_are_the_best_of_all_fleets_that_keep_the_wish(
    load, wait_s, burstiness, target, differ_by
):
    traffic = {
        "kind": "requests_per_second",
        "requests_per_second": load,
        "burstiness": burstiness,
    }
    policy = {"utilization": {"target": target}}
    listed = {"alternatives": {"count": 2, "differ_by": differ_by}, "policy": policy}
    question = asked({"wait": {"p99": wait_s}}, {"traffic": traffic}, **listed)
    plan = solve(question, sold())
    fleets = itertools.product(range(12), range(24))
    dearer = iter(sorted((sum(map(mul, NAMES.values(), one)), one) for one in fleets))
    found = []

    def is_new(fleet):
        if differ_by == "offerings" and [*map(bool, fleet)] in [[*map(bool, e)] for e in found]:
            return False
        return not any(all(map(ge, fleet, e)) for e in found)

    def keeps(fleet):
        units = {name: n for name, n in zip(NAMES, fleet, strict=True) if n}
        return any(fleet) and evaluate(question, units, sold()).keeps_all_limits

    for one in (plan, *plan.alternatives):
        usd, fleet = next(row for row in dearer if is_new(row[1]) and keeps(row[1]))
        assert one.cash_usd_per_month / 720 == pytest.approx(usd)
        bought = units_of(one).get("flops", 0), units_of(one).get("bytes", 0)
        assert is_new(bought)
        found.append(bought)
        if bought != fleet:  # of equal price: the other may come next
            dearer = chain([(usd, fleet)], dearer)
    assert len(found) == 3


def test_one_router_that_is_asked_for_sends_all_classes_alike_and_costs_more():
    found = solve(asked(KEPT, **SHARED), sold(), alternatives=0)
    assert found.score_usd_per_month > solve(asked(KEPT), sold()).score_usd_per_month
    (said,) = kept_of(found)
    assert said.sent_by_class == ()


def test_a_wish_that_it_does_not_keep_is_in_the_program(monkeypatch):
    question = asked(KEPT)
    freed = judged_after(prepare(question, sold()), {"chat"})
    found = solve(question, sold(), alternatives=0)
    assert not OwnMixes.of(freed).missed(found)
    # With half of the units each is sent more than it completes.
    fewer = tuple(
        replace(p, units_by_block=tuple(units // 2 for units in p.units_by_block))
        for p in found.purchases
    )
    assert OwnMixes.of(freed).missed(replace(found, purchases=fewer)) == {"chat"}
    together = solve(asked(KEPT, **SHARED), sold(), alternatives=0)
    everywhere = frozenset({("chat", 0)})
    monkeypatch.setattr("milp_planner.solving.search.MOST_PASSED", 2)
    monkeypatch.setattr(OwnMixes, "missed_in", lambda self, plan: everywhere)
    missed = solve(question, sold(), alternatives=0)
    same(missed, together)
    assert kept_of(missed) == kept_of(together)
    (said,) = (note for note in missed.proof.notes if "looked at" in note)
    assert said == (
        "'chat': plans that route its classes apart were no longer looked at after 2 of them, none "
        "of which keeps its wishes for times in queues; one that does may cost less than this "
        "plan, the best where every replica is sent all classes"
    )
    assert missed.status is Status.OPTIMAL
    assert not any("looked at" in note for note in (*found.proof.notes, *together.proof.notes))


def test_where_time_ends_such_a_look_the_proof_says_so(monkeypatch):
    everywhere = frozenset({("chat", 0)})
    monkeypatch.setattr(OwnMixes, "missed_in", lambda self, plan: everywhere)
    is_stopped = Search.is_stopped
    monkeypatch.setattr(
        Search,
        "is_stopped",
        property(lambda search: search.mixes is not None or is_stopped.fget(search)),
    )
    missed = solve(asked(KEPT), sold(), alternatives=0)
    (said,) = (note for note in missed.proof.notes if "looked at" in note)
    assert "looked at when their part of the time limit was up, after 1 of them, none" in said


def test_a_plan_whose_classes_are_sent_alike_says_that_one_router_is_enough():
    # Where only flops is sold there is nothing to tell apart.
    only = {"limits": {"gpus": {"allow": ["flops"]}}}
    found = solve(asked(KEPT, **only), sold(), alternatives=0)
    together = solve(asked(KEPT, **only, **SHARED), sold(), alternatives=0)
    assert units_of(found) == units_of(together)
    (said,), (other,) = kept_of(found), kept_of(together)
    assert said == other


@pytest.mark.slow
def test_a_replay_routes_as_the_plan_does_and_keeps_the_wish():
    question = asked(KEPT)
    found = solve(question, sold(), alternatives=0)
    done = replay(found, question, sold(), requests=8_000, seeds=1)
    assert (done.router, done.keeps_all_wishes) == ("per_class", True)
    # With as many of each class everywhere, bytes would be sent prompts that it has no time for.
    blind = replay(found, question, sold(), requests=8_000, seeds=1, router="per_offering")
    assert not blind.keeps_all_wishes


def test_what_a_wish_costs_that_binds_nothing_is_nothing_down_to_what_the_plan_keeps():
    question = asked({"wait": {"p99": "60s"}})
    (cost,) = (row for row in explain_limits(question, sold()).rows if "wait" in row.path)
    assert cost.usd_per_month == 0


def test_the_fleet_of_such_a_plan_is_judged_by_its_own_routes():
    question = asked(KEPT)
    found = solve(question, sold(), alternatives=0)
    assert not evaluate(question, found, sold()).breaches
    (breach,) = evaluate(asked(KEPT, **SHARED), found, sold()).breaches[:1]
    assert "p99 wait" in breach.message or "utilization" in breach.message


def beside_a_batch(wish, requests=20_000, size=(100, 10)):
    night = {"kind": "batch", "requests": requests, "deadline": "24h"}
    sizes = {"input_tokens": size[0], "output_tokens": size[1]}
    batch = {"name": "night", "llm": "toy", "traffic": night, "requests": sizes}
    chat = asked(wish).model_dump(mode="json", exclude_unset=True)["workloads"]
    return solve(asked({}).changed({"workloads": [*chat, batch]}), sold(), alternatives=0)


def bought_for_each(plan):
    return {(p.candidate.workload, p.candidate.gpu): p.units for p in plan.purchases}


def test_beside_batches_a_wish_that_is_kept_apart_sends_no_class_elsewhere():
    alone = solve(asked({}), sold(), alternatives=0)
    found = beside_a_batch(KEPT)
    # None of the units whose waits are judged does it: one more of the cheaper does.
    assert found.status is Status.OPTIMAL
    assert [units_of(alone)[name] for name in ("flops", "bytes")] == [17, 7]
    mine = {("chat", "flops"): 17, ("chat", "bytes"): 7}
    assert bought_for_each(found) == mine | {("night", "bytes"): 1}
    assert kept_of(found)
    # Nobody waits for ten minutes even where the batch is done by the same units.
    loose = beside_a_batch({"wait": {"p99": "600s"}})
    assert bought_for_each(loose) == bought_for_each(beside_a_batch({})) == mine
    assert any("binds nothing" in line for line in warning_lines(loose))
    # Nor does a whole request take ten hours, at six seconds a token between such batches.
    loose = beside_a_batch({"request": {"p95": "10h"}})
    assert bought_for_each(loose) == mine
    assert any("binds nothing" in line for line in warning_lines(loose))


def test_a_batch_of_slower_requests_leaves_less_that_nobody_waits_for():
    # A prompt of 20,000 tokens takes five times as long as one of 4,000, the longest of the chat.
    wish = {"wait": {"p99": "200s"}}
    idle = [
        [said.least_s for said in plan.warnings if isinstance(said, WaitIdle)]
        for plan in (beside_a_batch(wish), beside_a_batch(wish, 1_000, (20_000, 10)))
    ]
    assert idle[0] == pytest.approx([116], rel=0.01)
    assert idle[1] == []


def surviving(share):
    return {"limits": {"survive_loss_of": {"kind": "offering", "share": share}}}


def test_a_wish_that_is_kept_after_losses_too_changes_no_plan():
    without = solve(asked({}, **surviving(0.2)), sold(), alternatives=0)
    found = solve(asked(KEPT, **surviving(0.2)), sold(), alternatives=0)
    same(found, without)
    assert kept_of(found)
    together = solve(asked(KEPT, limits=surviving(0.2)["limits"], **SHARED), sold(), alternatives=0)
    assert together.score_usd_per_month > 1.2 * found.score_usd_per_month


def test_a_wish_that_is_not_kept_after_a_loss_is_in_the_program():
    found = solve(asked(KEPT, **surviving(0.2)), sold(), alternatives=0)
    # Without flops the 11 units of bytes have to serve 8 requests/s, and come to 8.99 when full:
    # of 40 that is 22.5 %.
    for share, missed in ((0.2, set()), (0.226, {"chat"})):
        freed = judged_after(prepare(asked(KEPT, **surviving(share)), sold()), {"chat"})
        assert OwnMixes.of(freed).missed(found) == missed
    more = solve(asked(KEPT, **surviving(0.226)), sold(), alternatives=0)
    assert units_of(more)["bytes"] > units_of(found)["bytes"]


def test_where_queues_replace_the_target_or_one_router_is_asked_for_wishes_are_in_the_program():
    queues = {"policy": {"utilization": {"by": "queues"}}}
    assert prepare(asked(KEPT), sold()).candidates.before_queues
    for fields in (queues, SHARED):
        assert not prepare(asked(KEPT, **fields), sold()).candidates.before_queues


def test_each_class_goes_where_its_shares_say():
    # Class 0 goes to replica 0 alone; of class 1 a quarter does.
    speeds = [ReplicaSpeed((1e-6,) * 8)] * 2
    ways = Endpoints((0, 1), (0.0,), ((0.5, 0.5),), (((1.0, 0.0), (0.25, 0.75)),))
    n, rng = 4000, random.Random(3)
    classes = [rng.randrange(2) for _ in range(n)]
    arrivals = [float(i) for i in range(n)]
    slow = [1e6 * speeds[0].decode_step_s[0]] * n
    done = send(
        *(arrivals, [0.0] * n, slow, [ReplicaSpeed((1e-6,) * 8), ReplicaSpeed((2e-6,) * 8)]),
        router="per_class",
        endpoints=ways,
        classes=classes,
    )
    took = [left - first for left, first in zip(done.left_s, done.first_token_s, strict=True)]
    on_first = [t == pytest.approx(min(took), rel=1e-6) for t in took]
    assert all(here for here, q in zip(on_first, classes, strict=True) if q == 0)
    of_one = [here for here, q in zip(on_first, classes, strict=True) if q == 1]
    assert sum(of_one) / len(of_one) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize("routing", [None, "shared"])
def test_what_a_loss_leaves_is_no_slower_for_what_is_lost(routing):
    # Alone, a request takes seven tenths of its time in a full flops and one in a full bytes.
    # Without flops 4 bytes keep the wait of half the load, as fast as they are.
    policy = {"utilization": {"target": 0.75}} | ({} if routing is None else {"routing": routing})
    steady = {"kind": "requests_per_second", "requests_per_second": 5.2}
    wish = {"wait": {"p999": 3.0}, "tpot": 0.077}
    question = asked(wish, {"traffic": steady}, **surviving(0.5)).changed({"policy": policy})
    found = solve(question, sold(), alternatives=0)
    assert found.status is Status.OPTIMAL
    assert evaluate(question, found, sold()).keeps_all_limits
    usd = found.cash_usd_per_month / 720
    for flops, bytes_ in itertools.product(range(int(usd) + 1), range(int(2 * usd) + 1)):
        units = {"acme/flops/eu-1": flops, "bolt/bytes/eu-1": bytes_}
        fleet = {name: count for name, count in units.items() if count}
        if fleet and usd - 1.01 < flops + bytes_ / 2 < usd - 1e-9:
            assert not evaluate(question, fleet, sold()).keeps_all_limits
