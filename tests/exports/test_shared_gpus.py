"""What is told of LLMs that share GPUs: text, document, sheet, and files of other tools."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from milp_planner import InputError, Plan, solve
from milp_planner.plans.sentences import warning_lines
from milp_planner.questions.sheet.alone import sheet_of_plan
from milp_planner.reporting.sheets.text import sheet_text
from milp_planner.reporting.text.plans.table import plan_text
from tests.support.builders import DAY
from tests.support.serving.shared_gpus import (
    halves,
    known_llms,
    on_gpus,
    rented,
    service,
    services,
    two_llms,
)


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
    (block,) = document["shared_units"][0]["blocks"]
    assert [[one["gpu_set"] for one in unit] for unit in block["units"]] == [[label, label]]
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


def test_a_part_that_differs_from_block_to_block_is_no_pool(tmp_path: Path):
    # Four times as much of a GPU by day as by night, and the other way round.
    alone = solve(two_llms().changed({"policy.share": "none"}), known_llms())
    rate = alone.workloads[0].capacity_requests_per_second
    day = {"chat": halves(0.5 * rate, 0.1 * rate), "code": halves(0.1 * rate, 0.5 * rate)}
    plan = solve(two_llms(day), known_llms())
    assert len(plan.purchases) == 4
    with pytest.raises(InputError, match="its part of a GPU's time differs from block to block"):
        plan.export("vllm", tmp_path / "out")
    plan.export("focus", tmp_path / "costs")


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
