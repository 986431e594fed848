"""LLMs of several workloads on one GPU: what fits, who is slowed, what is told, what is refused.

Unless said otherwise a GPU has 100 GiB, of which engines take 90, and costs $1/h, $720 a month;
each of two services does 1 request/s on it alone, and takes 40 GiB.
"""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from milp_planner import Catalog, InputError, Llm, Plan, Problem, Status, prepare, solve
from milp_planner.inputs.catalog.records import Gpu
from milp_planner.milp.presolve.worth_sharing import every_part
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.rules.packing import Packing
from milp_planner.plans.sentences import warning_lines
from milp_planner.questions.sheet.alone import sheet_of_plan
from milp_planner.reporting.sheets.text import sheet_text
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.serving.rates.throughput import OperatingPoint, ServingModel
from milp_planner.serving.shared_gpu import MemoryNeed as Need
from milp_planner.serving.shared_gpu import memory_percents, read_gpu_set, time_splits
from tests.support.builders import DAY, SOURCE, gpu, llm, offering

GOLDEN = Path(__file__).parents[2] / "golden" / "shared-gpus.lp.txt"
MONTH = 720.0


def service(name: str, rate: float, gib: float | None = 40, **fields: Any) -> dict[str, Any]:
    measured = {"gpu": "big", "requests_per_second": 1, "memory_gib_per_gpu": gib}
    return {
        "name": name,
        "llm": name,
        "traffic": {"kind": "requests_per_second", "requests_per_second": rate},
        "rates": [measured],
        **fields,
    }


def services(*loads: dict[str, Any], share: str = "gpus", target: float = 1.0, **fields: Any):
    policy = {"share": share, "utilization": {"target": target}, **fields.pop("policy", {})}
    fields.setdefault("alternatives", {"count": 0})
    return Problem(workloads=list(loads), policy=policy, **fields)


def rented(*, gpus: int = 1, usd_per_hour: float = 1.0, **fields: Any) -> Catalog:
    return Catalog.of(
        gpus=[gpu("big", 100)],
        llms=[llm(name) for name in ("chat", "code", "mail")],
        offerings=[offering("acme", "big", usd_per_hour, gpus_per_unit=gpus, **fields)],
    )


def usd(asked: Problem, catalog: Catalog | None = None) -> float | None:
    return solve(asked, catalog or rented(), diagnose=False).cash_usd_per_month


def on_gpus(plan: Plan) -> list[str]:
    """What stands on each GPU in the first block: `chat 43 + code 57`, in percent of its time."""
    return [
        " + ".join(f"{k.workload} {k.gpu_set.of(k.workload).time_percent}" for k, _ in unit)
        for shared in plan.shared_units
        for unit in shared.contents_by_block[0]
        if all(k.gpu_set is not None for k, _ in unit)
    ]


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
    assert list(time_splits([0.3, 0.4])) == [(43, 57), (25, 75), (50, 50), (75, 25)]
    assert list(time_splits([1, 1])) == [(50, 50), (25, 75), (75, 25)]
    assert (20, 30, 50) in list(time_splits([0.2, 0.3, 0.5]))
    assert all(sum(one) == 100 and min(one) > 0 for one in time_splits([1e-6, 1, 1e-3]))


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


def two_llms(**changes: Any) -> Problem:
    def load(name: str) -> dict[str, Any]:
        return {
            "name": name,
            "llm": f"one-b-{name}",
            "traffic": {"kind": "requests_per_second", "requests_per_second": 0.2},
            "requests": {"input_tokens": 500, "output_tokens": 200},
        }

    return services(load("chat"), load("code"), target=0.75).changed(changes)


def known_llms() -> Catalog:
    shape = {"layers": 16, "hidden_size": 2048, "attention_heads": 32, "kv_heads": 8}
    shape |= {"head_dim": 64, "ffn_size": 8192, "vocabulary": 128_256, "attention": "GQA"}
    shape |= {"parameters_b": 1.2, "active_parameters_b": 1.2, "native_precision": "bf16"}
    speed = {"memory_bandwidth_gb_per_s": 1_000, "bf16_tflops": 150, "fp8_tflops": 300}
    return Catalog.of(
        gpus=[Gpu(id="card", vendor="test", memory_gib=24, **speed, **SOURCE)],
        llms=[Llm(id=f"one-b-{name}", **shape, **SOURCE) for name in ("chat", "code")],
        offerings=[offering("acme", "card", 1.0)],
    )


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
        "acme/big/eu-1 (chat as-measured 50% of the time, 40% of the memory; code as-measured 50% "
        "of the time, 40% of the memory): chat takes 60.00 GiB, its part is 40.00 GiB"
    ]


# ---- what is told


def test_the_text_says_what_shares_which_gpu_and_that_nobody_measured_it():
    plan = solve(services(service("chat", 0.3), service("code", 0.3)), rented())
    text = plan_text(plan)
    assert "chat 1 x as-measured tp 1 (50 % of its time, 40 % of its memory), code" in text
    assert "chat      shared  50 % of 1 x big" in text
    assert (
        "chat and code share GPUs: no measurement says how fast LLMs are beside one another; each "
        "is planned with its part of the rate that it has alone, and its speed as if all of its "
        "neighbours were always busy"
    ) in warning_lines(plan)


def test_who_shares_no_gpu_is_told_with_the_reason():
    asked = services(service("chat", 0.3), service("code", 0.3, None))
    said = warning_lines(solve(asked, rented()))
    assert (
        "code shares no GPU: how much memory it takes is not known (rates: memory_gib_per_gpu)"
    ) in said
    wished = services(service("chat", 0.3, latency={"tpot": "50ms"}), service("code", 0.3))
    assert any(
        one.startswith("chat shares no GPU: its rates do not say how fast")
        for one in warning_lines(solve(wished, rented()))
    )


def test_the_document_tells_it_and_is_read_back():
    plan = solve(services(service("chat", 1.5), service("code", 0.5)), rented())
    document = json.loads(json.dumps(plan.to_dict()))
    label = (
        "chat as-measured 50% of the time, 40% of the memory; "
        "code as-measured 50% of the time, 40% of the memory"
    )
    assert [one["gpu_set"] for one in document["shared_units"]] == [label]
    assert sorted(p["gpu_set"] for p in document["purchases"]) == ["", label, label]
    read = Plan.from_dict(document)
    assert read.to_dict() == plan.to_dict()
    assert on_gpus(read) == ["chat 50 + code 50"]
    document["purchases"][0]["gpu_set"] = "half of it"
    with pytest.raises(InputError, match="does not say what shares a GPU"):
        Plan.from_dict(document)


def test_the_sheet_tells_it():
    plan = solve(two_llms(), known_llms())
    sheet = sheet_of_plan(plan, DAY)
    (one,) = sheet.shared_units
    assert [(s.workload, s.time_share) for s in one.stands] == [("chat", 0.5), ("code", 0.5)]
    assert all(s.memory_share == pytest.approx(0.45) for s in one.stands)
    assert "(50 % of its time, 45 % of its memory)" in " ".join(sheet_text(sheet).split())


def test_each_command_takes_its_part_of_the_memory(tmp_path: Path):
    plan = solve(two_llms(), known_llms())
    plan.export("vllm", tmp_path / "out")
    for path in (tmp_path / "out").glob("*.sh"):
        text = path.read_text(encoding="utf-8")
        assert "--gpu-memory-utilization 0.45" in text
        other = "code" if path.name.startswith("chat") else "chat"
        assert f"on a GPU on which {other} stands, too" in " ".join(text.replace("\n#", "").split())


@pytest.mark.parametrize("format", ["kubernetes", "llm-d", "aibrix", "keda", "skyserve", "dynamo"])
def test_what_gives_whole_gpus_is_refused(format: str, tmp_path: Path):
    plan = solve(two_llms(), known_llms())
    with pytest.raises(InputError, match="its LLM shares a GPU") as caught:
        plan.export(format, tmp_path / "out")
    assert "milp-planner export vllm can say it" in caught.value.faults[0].hint


def test_costs_are_exported_by_time(tmp_path: Path):
    plan = solve(two_llms(), known_llms())
    plan.export("focus", tmp_path / "out")
    (path,) = (tmp_path / "out").glob("*.csv")
    with path.open(encoding="utf-8", newline="") as file:
        rows = [*csv.DictReader(file)]
    assert [(row["x_Workload"], float(row["BilledCost"])) for row in rows[:2]] == [
        ("chat", 360.0),
        ("code", 360.0),
    ]
    assert [float(row["ConsumedQuantity"]) for row in rows[:2]] == [360.0, 360.0]


# ---- what is refused


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({"policy.penalties.scaling": {"above_gpus": 1}}, "policy.penalties.scaling"),
        ({"policy.penalties.overload": {"above": 0.9}}, "policy.penalties.overload"),
        ({"policy.preset": "inference-atlas"}, "policy.preset"),
        ({"policy.switch_off_dedicated": True}, "policy.switch_off_dedicated"),
        ({"objective": "gpus"}, "objective"),
        ({"limits.min_on_demand_replicas": 2}, "limits.min_on_demand_replicas"),
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
