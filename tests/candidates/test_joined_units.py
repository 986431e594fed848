"""Replicas over several units of one offering: memory, speed, price, quotas and refusals.

`big` has 120 B parameters, 240 GB in bf16 = 223.5 GiB: 55.9 GiB on each of 4 boxes of 80 GiB, and
more than the 72 GiB that an engine takes of a box where there are only 2.
"""

from __future__ import annotations

from typing import Any

import pytest

from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.evaluate import evaluate
from milp_planner.questions.solve import solve
from milp_planner.serving.memory import fit
from milp_planner.serving.operating_point import OperatingPoint
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.serving.roofline import Roofline, roofline
from milp_planner.solving.prepare import prepare
from tests.support.serving.toys import box, catalog, rent, toy

BIG = toy(id="big", parameters_b=120.0)
ACROSS = DeploymentSettings(units_per_replica=2, pipeline_parallel=1)
STAGED = DeploymentSettings(units_per_replica=2, pipeline_parallel=2)


def pairs(**fields: Any) -> Catalog:
    """Units of 2 boxes, $5 an hour."""
    return catalog(llms=[BIG], offerings=[rent(5.0, gpus_per_unit=2, **fields)])


def problem(deployment: dict[str, Any] | None = None, **fields: Any) -> Problem:
    chat: dict[str, Any] = {
        "name": "chat",
        "llm": "big",
        "precision": ["bf16"],
        "traffic": {"kind": "requests_per_second", "requests_per_second": 0.5},
        "requests": {"input_tokens": 800, "output_tokens": 200},
        "deployment": {"units_per_replica": 2} if deployment is None else deployment,
    }
    if "tensor_parallel" in fields:
        chat["tensor_parallel"] = fields.pop("tensor_parallel")
    return Problem(workloads=[chat], alternatives={"count": 0}, **fields)


def estimate(tensor_parallel: int, settings: DeploymentSettings | None = None) -> Roofline:
    replica = toy(), box(), "bf16", tensor_parallel, 800, 200
    return roofline(*replica, settings) if settings else roofline(*replica)


def test_two_units_hold_what_one_cannot_at_the_price_of_two() -> None:
    alone = solve(problem({}), pairs())
    assert alone.cash_usd_per_month is None
    plan = solve(problem(), pairs())
    (bought,) = plan.purchases
    assert (bought.candidate.units_joined, bought.candidate.gpus_per_unit) == (2, 4)
    assert bought.candidate.replicas_per_unit == 1
    assert bought.gpus == 4 * bought.units
    # 2 units at $5 for 720 hours are $7,200 a replica.
    assert plan.cash_usd_per_month == pytest.approx(7200 * bought.units)
    assert Plan.from_dict(plan.to_dict()).purchases[0].candidate.units_joined == 2


def test_both_ways_to_split_are_tried_and_a_stated_one_binds() -> None:
    for stages, tensor_parallel in ((1, 4), (2, 2)):
        stated = {"units_per_replica": 2, "pipeline_parallel": stages}
        (k,) = prepare(problem(stated), pairs()).candidates.candidates
        assert (k.tensor_parallel, k.pipeline_parallel) == (tensor_parallel, stages)
        (named,) = prepare(
            problem(tensor_parallel=[tensor_parallel]), pairs()
        ).candidates.candidates
        assert named.requests_per_second == k.requests_per_second
    (best, *_) = prepare(problem(), pairs()).candidates.candidates
    assert best.requests_per_second >= k.requests_per_second


def test_a_tensor_parallel_of_16_joins_two_nodes_of_8_and_no_smaller_units() -> None:
    wide = toy(id="big", parameters_b=400.0, attention_heads=16)  # 745 GiB of 8 × 72 = 576
    nodes = catalog(
        llms=[wide],
        offerings=[rent(20.0, gpus_per_unit=8), rent(5.0, gpus_per_unit=2, name="pair")],
    )
    given = prepare(problem({}, tensor_parallel=[8, 16]), nodes)
    (k,) = given.candidates.candidates
    assert (k.tensor_parallel, k.units_joined, k.usd_per_hour) == (16, 2, 40.0)
    assert {row.offering.id for row in given.candidates.turned_down} == {"acme/pair/eu-1"}


def test_every_joined_unit_counts_in_quotas_and_changes() -> None:
    (k,) = prepare(problem(), pairs()).candidates.candidates[:1]
    load = 1.5 * k.requests_per_second[0] * 0.75
    traffic = {"kind": "requests_per_second", "requests_per_second": load}
    busy = problem().changed({"workloads.chat.traffic": traffic})
    assert solve(busy, pairs()).purchases[0].units == 2  # 4 units of the offering
    for limits in ({"max_units": {"acme/*": 3}}, {"max_gpus": {"total": 7}}):
        assert solve(busy.changed({"limits": limits}), pairs()).cash_usd_per_month is None
    assert solve(busy, pairs(max_units=3)).cash_usd_per_month is None
    assert solve(busy, pairs(max_units=4)).cash_usd_per_month == 2 * 7200
    today = {"current_fleet": [{"offering": "acme/box/eu-1", "units": 3, "workload": "chat"}]}
    (change,) = solve(busy.changed(today), pairs()).changes
    assert (change.today, change.planned) == (3, 4)


def test_each_joined_unit_is_a_change_that_is_counted_and_paid() -> None:
    def with_most(changed: int) -> Plan:
        switching = {"usd_per_unit_added": 100, "max_units_changed": changed}
        return solve(problem(switching=switching), pairs())

    plan = with_most(4)  # two replicas of two units
    assert plan.costs["switching"] == pytest.approx(400)
    assert plan.score_usd_per_month == pytest.approx(2 * 7200 + 400)
    assert with_most(3).status is Status.INFEASIBLE


def test_a_fleet_given_by_hand_counts_units_of_the_offering() -> None:
    found = evaluate(problem(), {"acme/box/eu-1": 2}, pairs())
    assert found.cash_usd_per_month == pytest.approx(7200)
    with pytest.raises(InputError, match="multiples of 2 \\(is 3\\)"):
        evaluate(problem(), {"acme/box/eu-1": 3}, pairs())


def test_what_cannot_be_joined_says_what_would_do() -> None:
    (row,) = prepare(problem(tensor_parallel=[8]), pairs()).candidates.turned_down
    said = "2 joined units of 2 GPUs make tp 4 or tp 2 x pp 2; tensor_parallel names 8"
    assert row.reason == said
    (row,) = prepare(problem(), pairs(max_units=1)).candidates.turned_down
    assert row.reason == "2 units are joined, and 1 can be had (max_units)"
    with pytest.raises(InputError, match="joined only where GPUs are rented"):
        problem(limits={"billing": {"allow": ["per_token"]}})


def test_stages_divide_memory_by_layers() -> None:
    whole = fit(toy(), box(), "bf16", 1, 1000)
    halves = fit(toy(), box(), "bf16", 1, 1000, STAGED)
    assert halves.weights_gib == pytest.approx(whole.weights_gib / 2)
    assert halves.kv_gib_per_sequence == pytest.approx(whole.kv_gib_per_sequence / 2)
    # 10 layers on 3 stages: the largest holds 4.
    thirds = DeploymentSettings(units_per_replica=3, pipeline_parallel=3)
    assert fit(toy(), box(), "bf16", 1, 1000, thirds).weights_gib == pytest.approx(
        0.4 * whole.weights_gib
    )


def test_a_stage_works_on_its_share_of_the_sequences_and_a_token_takes_one_hop() -> None:
    # Stated 50 GB/s: 1,000 · 2 bytes at 25 GB/s attained are 0.08 µs a token; a hop is 30 µs; the
    # host works 50 µs on the second sequence. Each stage reads half the weights twice per token.
    stated = STAGED.model_copy(update={"gb_per_s_between_units": 50.0})
    alone, staged = estimate(1), estimate(1, stated)
    assert staged.decode_step_s(2) - alone.decode_step_s(1) == pytest.approx(80.08e-6)
    assert staged.prefill_s - alone.prefill_s == pytest.approx(30e-6 * 0 + 800 * 0.08e-6)
    # The prefill of another request holds up one stage of two.
    waits = staged.tpot_s(2) - staged.decode_step_s(2)
    assert waits == pytest.approx(staged.prefill_s / 2 / 200)
    assert staged.peak_flops == 2 * alone.peak_flops
    assert staged.requests_per_second(64) > alone.requests_per_second(64)


def test_an_all_reduce_between_units_takes_their_network() -> None:
    # 2 · 10 layers · 1,000 · 2 bytes = 40,000 bytes, sent once: 0.167 µs at 0.8 of 300 GB/s,
    # 1.6 µs at half of 50 GB/s, 3.2 µs at half of 25; 20 all-reduces of 30 µs in every step.
    inside, across = estimate(2), estimate(2, ACROSS)
    slow = estimate(2, ACROSS.model_copy(update={"gb_per_s_between_units": 25.0}))
    assert across.per_sequence_s - inside.per_sequence_s == pytest.approx(1.6e-6 - 40_000 / 240e9)
    assert slow.per_sequence_s - across.per_sequence_s == pytest.approx(1.6e-6)
    assert across.overhead_s - inside.overhead_s == pytest.approx(20 * 30e-6)


def test_an_assumed_network_is_told_and_widens_the_estimate() -> None:
    model = ServingModel(catalog())
    replica = toy(), box(), "bf16", 2, 800, 200
    alone = model.operating_point(*replica)
    assumed = model.operating_point(*replica, settings=ACROSS)
    said = "50 GB/s per GPU between joined units of box are assumed"
    assert any(said in w for w in assumed.warnings)
    assert assumed.derate < alone.derate
    stated = ACROSS.model_copy(update={"gb_per_s_between_units": 50.0})
    told = model.operating_point(*replica, settings=stated)
    assert told.requests_per_second == assumed.requests_per_second
    assert not any(said in w for w in told.warnings)


def test_a_diagnosis_joins_as_few_units_as_hold_what_none_does_alone() -> None:
    # 111.8 GiB on each of 2 boxes, 72 usable; 55.9 on each of 4
    plan = solve(problem({}), pairs())
    assert plan.diagnosis is not None
    path = "workloads.chat.deployment.units_per_replica"
    change = next(c for c in plan.diagnosis.changes if c.path == path)
    assert (change.now, change.patch) == ("1 unit", {path: 2})
    assert (change.text, change.too_little) == ("join 2 units to one replica", None)
    assert change.proven
    joined = solve(problem(), pairs())
    assert change.cash_usd_per_month == joined.cash_usd_per_month
    # 240 B parameters, 447 GiB: 111.8 on each of 4 boxes, 74.5 of 6 in 3 units; 55.9 of 8 in 4
    twice = catalog(llms=[toy(id="big", parameters_b=240.0)], offerings=[rent(5, gpus_per_unit=2)])
    diagnosis = solve(problem({}), twice).diagnosis
    assert diagnosis is not None
    change = next(c for c in diagnosis.changes if c.path == path)
    assert (change.patch, change.too_little) == ({path: 4}, {path: 3})


def test_no_diagnosis_joins_units_for_what_is_slow_or_joined_already() -> None:
    slow = problem({}).changed({"workloads.chat.latency.tpot": "1ms"})
    known = catalog(llms=[toy(id="big")], offerings=[rent(5, gpus_per_unit=2)])
    for asked, on in ((slow, known), (problem({"units_per_replica": 1}), pairs())):
        diagnosis = solve(asked, on).diagnosis
        assert diagnosis is not None
        assert "deployment" not in " ".join(change.path for change in diagnosis.changes)


def test_what_is_assumed_of_joined_units_is_said() -> None:
    known = pairs()
    stated = ACROSS.model_copy(update={"gb_per_s_between_units": 25.0})
    for settings, network in ((ACROSS, True), (stated, False)):
        replica = BIG, known.gpus["box"], "bf16", 4, 800, 200
        found = ServingModel(known).operating_point(*replica, settings=settings)
        said = " ".join(found.warnings) if isinstance(found, OperatingPoint) else ""
        assert "30 µs a message between joined units and 0.25 of spread are assumed" in said
        assert ("GB/s per GPU between joined units of box are assumed" in said) == network
