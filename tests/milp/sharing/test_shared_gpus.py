"""LLMs of several workloads on one GPU: what fits, who is slowed, what is told, what is refused.

Unless said otherwise a GPU has 100 GiB, of which engines take 90, and costs $1/h, $720 a month;
each of two services does 1 request/s on it alone, and takes 40 GiB.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from milp_planner import (
    Catalog,
    InputError,
    Plan,
    Problem,
    Status,
    evaluate,
    explain,
    prepare,
    solve,
)
from milp_planner.milp.presolve.worth_sharing import every_part
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.rules.packing import Packing
from milp_planner.questions.reasons.explain import Verdict
from milp_planner.serving.rates.throughput import OperatingPoint, ServingModel
from milp_planner.serving.shared_gpu import MemoryNeed as Need
from milp_planner.serving.shared_gpu import memory_percents, read_gpu_set, time_splits
from tests.support.builders import gpu, llm, offering
from tests.support.serving.shared_gpus import (
    halves,
    known_llms,
    on_gpus,
    rented,
    service,
    services,
    two_llms,
)

GOLDEN = Path(__file__).parents[2] / "golden" / "shared-gpus.lp.txt"
MONTH = 720.0


def usd(asked: Problem, catalog: Catalog | None = None) -> float | None:
    return solve(asked, catalog or rented(), diagnose=False).cash_usd_per_month


def test_two_small_services_share_one_gpu():
    # A GPU of 48 GiB for $2/h. 0.3 and 0.4 requests/s are 0.7 of a GPU that does 1 request/s for
    # either, within the target of 75 %: one GPU, $1,440 a month, in place of two.
    half = {"gpu": "ga", "requests_per_second": 1, "memory_gib_per_gpu": 20}
    loads = [service("svc", 0.3, rates=[half]), service("svc2", 0.4, rates=[half])]
    catalog = Catalog.of(
        gpus=[gpu("ga", 48)], llms=[llm("svc"), llm("svc2")], offerings=[offering("x", "ga", 2.0)]
    )
    plan = solve(services(*loads, target=0.75), catalog)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(1_440)
    assert on_gpus(plan) == ["svc 43 + svc2 57"]
    assert plan.gpus == 1
    # The rent is split as the time is.
    assert [p.cash_usd_per_month for p in plan.purchases] == pytest.approx([619.2, 820.8])
    assert usd(services(*loads, target=0.75, share="units"), catalog) == pytest.approx(2_880)


def test_a_slice_of_a_gpu_is_shared_as_a_whole_one_is():
    # Half a GPU has half the memory and half the speed for $3/h, a whole one costs $8: both
    # services on one half are $2,160 a month, a half each $4,320.
    rates = [
        {"gpu": "whole", "requests_per_second": 2, "memory_gib_per_gpu": 15},
        {"gpu": "half", "requests_per_second": 1, "memory_gib_per_gpu": 15},
    ]
    catalog = Catalog.of(
        gpus=[gpu("whole", 80), gpu("half", 40)],
        llms=[llm("chat"), llm("code")],
        offerings=[offering("acme", "whole", 8.0), offering("acme", "half", 3.0)],
    )
    loads = [service(name, 0.3, rates=rates) for name in ("chat", "code")]
    plan = solve(services(*loads), catalog)
    assert on_gpus(plan) == ["chat 50 + code 50"]
    assert {p.candidate.gpu for p in plan.purchases} == {"half"}
    assert plan.cash_usd_per_month == pytest.approx(3 * MONTH)
    assert usd(services(*loads, share="units"), catalog) == pytest.approx(6 * MONTH)


def test_gpus_are_shared_only_where_the_problem_says_so():
    loads = service("chat", 0.3), service("code", 0.3)
    assert usd(services(*loads)) == pytest.approx(MONTH)
    assert usd(services(*loads, share="units")) == pytest.approx(2 * MONTH)
    assert usd(services(*loads).changed({"policy.share": None})) == pytest.approx(2 * MONTH)


@pytest.mark.parametrize(("gib", "gpus"), [(45, 1), (45.5, 2), (50, 2)])
def test_what_does_not_fit_in_its_memory_shares_no_gpu(gib: float, gpus: int):
    # Of 100 GiB engines take 90: 45 and 45 fit, in whole percents 46 and 46 do not.
    plan = solve(services(service("chat", 0.3, gib), service("code", 0.3, gib)), rented())
    assert plan.gpus == gpus


@pytest.mark.parametrize(("target", "gpus"), [(1.0, 1), (0.91, 1), (0.85, 2)])
def test_the_utilizations_together_stay_within_the_target(target: float, gpus: int):
    # 0.6 and 0.3 of a GPU are 90 % of one; 67 and 33 %, in whole percents.
    loads = service("chat", 0.6), service("code", 0.3)
    assert solve(services(*loads, target=target), rented()).gpus == gpus


def test_three_share_a_gpu_and_no_more():
    small = [service(name, 0.2, 22) for name in ("chat", "code", "mail")]
    assert solve(services(*small), rented()).gpus == 1
    four = Catalog.of(
        gpus=[gpu("big", 100)],
        llms=[llm(name) for name in ("chat", "code", "mail", "news")],
        offerings=[offering("acme", "big", 1.0)],
    )
    assert solve(services(*small, service("news", 0.2, 22)), four).gpus == 2


def test_the_rest_of_a_large_load_shares_a_gpu_with_a_small_one():
    # 1.5 GPUs and half of one: chat has a GPU to itself, and half of another.
    plan = solve(services(service("chat", 1.5), service("code", 0.5)), rented())
    assert plan.gpus == 2
    assert on_gpus(plan) == ["chat 50 + code 50"]


@pytest.mark.parametrize("billing", ["dedicated", "autoscaling"])
def test_who_has_which_part_of_the_time_differs_from_block_to_block(billing: str):
    # 0.8 and 0.2 of a GPU by day, 0.2 and 0.8 by night: peaks of 1.6, and never more than one.
    loads = [
        service("chat", 0, traffic=halves(0.8, 0.2)),
        service("code", 0, traffic=halves(0.2, 0.8)),
    ]
    plan = solve(services(*loads), rented(billing=billing))
    assert plan.cash_usd_per_month == pytest.approx(MONTH)
    (shared,) = plan.shared_units
    assert shared.units_by_block == (1, 1)
    times = [
        [k.gpu_set.of(k.workload).time_percent for k, _ in unit if k.gpu_set is not None]
        for (unit,) in shared.contents_by_block
    ]
    assert sorted(times) == [[20, 80], [80, 20]]
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))).to_dict() == plan.to_dict()


def test_a_gpu_that_is_held_is_paid_while_nobody_serves():
    loads = [service(name, 0, traffic=halves(0.4, 0)) for name in ("chat", "code")]
    held = solve(services(*loads), rented())
    assert held.cash_usd_per_month == pytest.approx(MONTH)
    elastic = solve(services(*loads), rented(billing="autoscaling"))
    assert elastic.cash_usd_per_month == pytest.approx(MONTH / 2)


def test_replicas_share_units_of_several_gpus_as_before():
    # A unit of two GPUs, each of which belongs to one replica.
    plan = solve(services(service("chat", 0.3), service("code", 0.3)), rented(gpus=2))
    assert plan.gpus == 2
    assert not on_gpus(plan)
    assert len(plan.shared_units) == 1


def test_a_quota_and_a_stock_count_the_gpu_once():
    loads = service("chat", 0.3), service("code", 0.3)
    one = {"limits": {"max_gpus": {"total": 1}}}
    assert usd(services(*loads, **one)) == pytest.approx(MONTH)
    assert usd(services(*loads, share="units", **one)) is None
    assert usd(services(*loads), rented(max_units=1)) == pytest.approx(MONTH)


def test_two_replicas_of_each_stand_on_two_gpus():
    loads = [service(name, 0.3, min_replicas=2) for name in ("chat", "code")]
    plan = solve(services(*loads), rented())
    assert plan.gpus == 2
    assert len(on_gpus(plan)) == 2


def test_of_plans_that_cost_the_same_nobody_shares_without_need():
    # One GPU of $2/h for both, or one of $1/h each.
    dear = offering("acme", "big", 2.0, name="dear")
    cheap = offering("acme", "small", 1.0, name="cheap")
    catalog = Catalog.of(
        gpus=[gpu("big", 100), gpu("small", 30)],
        llms=[llm("chat"), llm("code")],
        offerings=[dear, cheap],
    )
    both = [
        {"gpu": name, "requests_per_second": 1, "memory_gib_per_gpu": 25}
        for name in ("big", "small")
    ]
    loads = [service(name, 0.3, rates=both) for name in ("chat", "code")]
    plan = solve(services(*loads), catalog)
    assert plan.cash_usd_per_month == pytest.approx(2 * MONTH)
    assert not plan.shared_units


# ---- parts of a GPU


def test_time_is_split_in_halves_thirds_and_quarters_and_by_load():
    assert list(time_splits([[0.3, 0.4]])) == [(43, 57), (25, 75), (50, 50), (75, 25)]
    assert list(time_splits([[1, 1]])) == [(50, 50), (25, 75), (75, 25)]
    assert (20, 30, 50) in list(time_splits([[0.2, 0.3, 0.5]]))
    assert all(sum(one) == 100 and min(one) > 0 for one in time_splits([[1e-6, 1, 1e-3]]))


def test_memory_is_split_by_need_and_what_is_left_by_time():
    # 20 and 30 of 100 GiB are needed, 40 of the 90 are left: 10 and 30 by time.
    assert memory_percents([Need(20, True), Need(30, True)], (25, 75), 100, 0.9) == (30, 60)
    assert memory_percents([Need(20, True), Need(30, False)], (25, 75), 100, 0.9) == (60, 30)
    assert memory_percents([Need(50, True), Need(41, True)], (50, 50), 100, 0.9) is None


def test_other_words_are_no_set():
    assert read_gpu_set("") is None
    with pytest.raises(ValueError, match="does not say what shares a GPU"):
        read_gpu_set("chat fp8 half of the time")


# ---- LLMs of which the planner knows how fast they are


def test_a_member_is_as_slow_as_if_its_neighbour_were_always_busy():
    plan = solve(two_llms(), known_llms())
    assert plan.gpus == 1
    instance = prepare(two_llms(), known_llms())
    for p in plan.purchases:
        k = p.candidate
        (alone,) = (one for one in instance.candidates.of(k.workload) if one.gpu_set is None)
        (mine,), (whole,) = k.points, alone.points
        assert mine.requests_per_second <= whole.requests_per_second / 2
        assert mine.tpot_s is not None
        assert mine.concurrency is not None
        assert whole.tpot_s is not None
        assert whole.concurrency is not None
        # Less of the memory holds fewer requests: faster steps, in every other turn.
        assert mine.concurrency <= whole.concurrency
        assert mine.tpot_s > whole.tpot_s


def test_a_wish_binds_on_the_speed_beside_others():
    slowest = max(w.tpot_s or 0.0 for w in solve(two_llms(), known_llms()).workloads)
    wish = slowest / 2
    wished = two_llms(**{"workloads.chat.latency.tpot": f"{1000 * wish:.3f}ms"})
    plan = solve(wished, known_llms())
    assert plan.workloads[0].tpot_s is not None
    assert plan.workloads[0].tpot_s <= wish
    # Alone it keeps a wish that it cannot keep in every other turn: a GPU for each.
    (alone,) = (one for one in prepare(two_llms(), known_llms()).candidates.of("chat"))
    model, card = ServingModel(known_llms()), known_llms().gpus["card"]
    chat = known_llms().llms["one-b-chat"]
    fastest = model.at(chat, card, alone.precision, 1, 500, 200, 1)
    assert isinstance(fastest, OperatingPoint)
    assert fastest.tpot_s is not None
    too_fast = two_llms(**{"workloads.chat.latency.tpot": f"{1500 * fastest.tpot_s:.3f}ms"})
    assert solve(too_fast, known_llms()).gpus == 2


def test_what_is_in_flight_fits_in_the_part_of_the_memory():
    instance = prepare(two_llms(), known_llms())
    plan = solve(two_llms(), known_llms())
    assert list(Packing().violations(instance, plan)) == []
    (shared,) = plan.shared_units
    ((first, second),) = shared.contents_by_block[0]
    k = first[0]
    crowded = replace(k, points=tuple(replace(point, concurrency=1e5) for point in k.points))
    told = replace(shared, contents_by_block=((((crowded, 1), second),),))
    broken = replace(plan, shared_units=(told,))
    assert any("its part is" in said for said in Packing().violations(instance, broken))


# ---- the check, without any solver


def checked(**changed: Any) -> list[str]:
    asked = services(service("chat", 0.5), service("code", 0.5))
    plan = solve(asked, rented())
    (shared,) = plan.shared_units
    told = replace(plan, shared_units=(replace(shared, **changed),)) if changed else plan
    return list(Packing().violations(prepare(asked, rented()), told))


def test_a_right_plan_breaks_nothing():
    assert checked() == []


def test_an_llm_that_stands_twice_on_a_gpu_is_seen():
    plan = solve(services(service("chat", 0.5), service("code", 0.5)), rented())
    ((unit,),) = plan.shared_units[0].contents_by_block
    assert any("stands twice" in said for said in checked(contents_by_block=(((unit[0],) * 2,),)))


def test_work_beyond_the_target_is_seen():
    asked = services(service("chat", 0.5), service("code", 0.5))
    plan = solve(asked, rented())
    routes = tuple(replace(r, requests_per_second=0.6) for r in plan.routes)
    (said,) = Packing().violations(prepare(asked, rented()), replace(plan, routes=routes))
    assert said == (
        "acme/big/eu-1 in block active: LLMs have the work of 1.2 GPUs on 1 that they share"
    )


def test_parts_that_are_too_large_are_seen():
    # The same plan, judged where chat takes 60 GiB and engines may take half of a GPU.
    asked = services(service("chat", 0.5), service("code", 0.5))
    plan = solve(asked, rented())
    larger = services(service("chat", 0.5, 60), service("code", 0.5))
    said = list(Packing().violations(prepare(larger, rented()), plan))
    assert said == [
        "acme/big/eu-1 (chat as-measured 40% of the memory; code as-measured 40% of the memory): "
        "chat takes 60.00 GiB, its part is 40.00 GiB"
    ]


# ---- what is refused


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"policy.penalties.scaling": {"above_gpus": 1}}, "policy.penalties.scaling"),
        ({"policy.penalties.overload": {"above": 0.9}}, "policy.penalties.overload"),
        ({"policy.preset": "inference-atlas"}, "policy.preset"),
        ({"policy.switch_off_dedicated": True}, "policy.switch_off_dedicated"),
        ({"objective": "gpus"}, "objective"),
        ({"commitments": [{"offering": "*", "units": 1}]}, "commitments"),
        ({"switching.usd_per_unit_added": 5}, "switching.usd_per_unit_added"),
        ({"policy.start_up": [{"ready_after": "5min"}]}, "policy.start_up"),
    ],
)
def test_what_does_not_know_shared_gpus_is_refused_by_name(changed: dict[str, Any], key: str):
    asked = services(service("chat", 0.3), service("code", 0.3)).changed(changed)
    with pytest.raises(InputError, match="is not planned together with") as caught:
        prepare(asked, rented())
    assert any(key in fault.message for fault in caught.value.faults)


def test_so_many_workloads_are_refused():
    names = [f"w{i}" for i in range(13)]
    catalog = Catalog.of(
        gpus=[gpu("big", 100)],
        llms=[llm(name) for name in names],
        offerings=[offering("acme", "big", 1.0)],
    )
    with pytest.raises(InputError, match="13 workloads: sets of LLMs that share a GPU"):
        prepare(services(*(service(name, 0.1) for name in names)), catalog)


# ---- the program


def test_the_program_is_unchanged(update_golden: bool):
    asked = services(service("chat", 1.5), service("code", 0.5), target=0.75)
    given = prepare(asked, rented())
    listed = given.candidates.candidates
    text = build_model(given, (*listed, *every_part(given, listed))).describe()
    if update_golden:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


# ---- asked about


def test_what_is_dearer_is_forced_in_beside_gpus_that_are_shared():
    # Two GPUs of $648 a month, one of them shared; one of $720 in place of either is $72 more.
    catalog = Catalog.of(
        gpus=[gpu("big", 100)],
        llms=[llm("chat"), llm("code")],
        offerings=[
            offering("acme", "big", 1.0),
            offering("bolt", "big", 0.9, name="auto", billing="autoscaling"),
        ],
    )
    asked = services(service("chat", 1.5), service("code", 0.5))
    found = explain(asked, catalog, offering="acme/big/eu-1")
    assert found.verdict is Verdict.DEARER
    assert found.extra_usd == pytest.approx(72)
    used = explain(asked, catalog, offering="bolt/auto/eu-1")
    assert used.extra_usd == pytest.approx(2 * 72)


def test_a_plan_is_priced_again_and_one_of_other_blocks_is_not():
    asked = services(service("chat", 1.5), service("code", 0.5))
    plan = solve(asked, rented())
    priced = evaluate(asked, plan, rented())
    assert priced.plan.cash_usd_per_month == pytest.approx(plan.cash_usd_per_month)
    assert not priced.breaches
    day = services(
        service("chat", 0, traffic=halves(0.5, 1.5)), service("code", 0, traffic=halves(0.5, 0.2))
    )
    with pytest.raises(InputError, match="told for its own blocks alone"):
        evaluate(day, plan, rented())
    with pytest.raises(InputError, match="is not answered for shared units yet"):
        evaluate(asked, {"chat:acme/big/eu-1": 2}, rented())
