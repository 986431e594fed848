"""Plan, export, read back: what the files say equals the plan, by readers that know no export."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from milp_planner import Plan, load_problem, solve
from tests.support.shown.exported import (
    JOINED,
    LLAMA,
    RESERVED,
    SETTINGS,
    alike_in,
    bought,
    documents,
    fleet,
    mixed,
    pools_in,
    pools_in_dstack,
    pools_in_kubernetes,
    pools_in_llm_d,
    pools_in_scripts,
    pools_in_skyserve,
    pools_in_stack,
)

READERS = {
    "vllm": pools_in_scripts,
    "kubernetes": pools_in_kubernetes,
    "aibrix": pools_in_kubernetes,
    "llm-d": pools_in_llm_d,
    "production-stack": pools_in_stack,
    "dstack": pools_in_dstack,
    "skyserve": pools_in_skyserve,
}


@pytest.fixture(scope="module", params=["quickstart", "three-llms", "day-and-night"])
def solved(request: pytest.FixtureRequest) -> Plan:
    """A shipped problem's plan, as its document tells it."""
    plan = solve(load_problem(f"problems/{request.param}.yaml"), alternatives=0)
    return Plan.from_dict(plan.to_dict())


@pytest.mark.parametrize("name", READERS)
def test_counts_gpus_and_llms_of_a_shipped_problem_come_back(
    name: str, solved: Plan, tmp_path: Path
) -> None:
    solved.export(name, tmp_path / "out")
    expected = alike_in(solved) if name == "skyserve" else pools_in(solved)
    assert READERS[name](tmp_path / "out") == expected


@pytest.mark.parametrize("name", ["hpa", "keda"])
def test_autoscalers_end_at_the_replicas_of_the_deployments_that_they_name(
    name: str, solved: Plan, tmp_path: Path
) -> None:
    most = {
        "hpa": lambda spec: spec["maxReplicas"],
        "keda": lambda spec: spec["maxReplicaCount"],
    }[name]
    solved.export("kubernetes", tmp_path / "pods")
    deployed = {
        (one["kind"], one["metadata"]["name"]): one["spec"]["replicas"]
        for one in documents(tmp_path / "pods")
        if one["kind"] in ("Deployment", "LeaderWorkerSet")
    }
    solved.export(name, tmp_path / "out")
    specs = [one["spec"] for one in documents(tmp_path / "out")]
    targets = [spec["scaleTargetRef"] for spec in specs]
    found = {
        (target["kind"], target["name"]): most(spec)
        for target, spec in zip(targets, specs, strict=True)
    }
    assert found == deployed


def test_gpus_come_back_from_node_pools_and_from_dynamos_budget(
    solved: Plan, tmp_path: Path
) -> None:
    # Readers count GPUs of all units, or of all replicas: none of these plans leaves GPUs idle.
    expected = Counter(
        gpus for (_, _, gpus), count in pools_in(solved).items() for _ in range(count)
    )
    solved.export("karpenter", tmp_path / "nodes")
    pools = documents(tmp_path / "nodes")
    limits = Counter(int(n) for one in pools for n in one["spec"]["limits"].values())
    solved.export("dynamo", tmp_path / "dynamo")
    budgets = Counter(one["max_gpu_budget"] for one in documents(tmp_path / "dynamo"))
    assert limits == budgets == expected


def test_routers_name_services_that_are_there_and_their_weights_are_whole(
    solved: Plan, tmp_path: Path
) -> None:
    for name in ("kubernetes", "httproute", "litellm"):
        solved.export(name, tmp_path / name)
    services = {
        one["metadata"]["name"]: one["spec"]["ports"][0]["port"]
        for one in documents(tmp_path / "kubernetes")
        if one["kind"] == "Service"
    }
    named = set()
    for route in documents(tmp_path / "httproute"):
        (rule,) = route["spec"]["rules"]
        assert sum(backend["weight"] for backend in rule["backendRefs"]) == 1000
        named |= {(backend["name"], backend["port"]) for backend in rule["backendRefs"]}
    assert named == {*services.items()}
    (config,) = documents(tmp_path / "litellm")
    bases = {one["litellm_params"]["api_base"] for one in config["model_list"]}
    assert bases <= {f"http://{name}:{port}/v1" for name, port in services.items()}
    repositories = {one["model_info"]["base_model"] for one in config["model_list"]}
    assert repositories == {hf_id for hf_id, _, _ in pools_in(solved)}


def test_sglangs_commands_come_back_too(tmp_path: Path) -> None:
    told = replace(LLAMA, settings=SETTINGS.model_copy(update={"engine": "sglang"}))
    plan = fleet(bought(RESERVED, 2, 2), bought(JOINED, 1, 1), deployed=told)
    plan.export("sglang", tmp_path / "out")
    found: Counter[tuple[str, int, int]] = Counter()
    for path in (tmp_path / "out").glob("*.sh"):
        text = path.read_text()
        value = dict(pairwise(shlex.split(text, comments=True)))
        said = " ".join(line.removeprefix("# ") for line in text.splitlines() if line[:1] == "#")
        times = int(re.search(r"Run it (\d+) time", said)[1])
        gpus = int(value["--tp-size"]) * int(value.get("--pp-size", 1))
        found[value["--model-path"], times, times * gpus] += 1
    assert found == pools_in(plan)


def test_replicas_that_stand_several_on_a_unit_or_span_units_come_back(tmp_path: Path) -> None:
    # Two units of 8 GPUs with 4 replicas each; one replica over 2 units of 8.
    plan = fleet(bought(RESERVED, 2, 2), bought(JOINED, 1, 1))
    llama = "meta-llama/Llama-3.3-70B-Instruct"
    assert pools_in(plan) == {(llama, 8, 16): 1, (llama, 1, 16): 1}
    for name in ("vllm", "kubernetes", "llm-d"):
        plan.export(name, tmp_path / name)
        assert READERS[name](tmp_path / name) == pools_in(plan), name


def test_skyserve_counts_alike_replicas_together(tmp_path: Path) -> None:
    # 3 spot and 1 on demand of the same shape are one service of 4 units.
    mixed().export("skyserve", tmp_path / "out")
    llama = "meta-llama/Llama-3.3-70B-Instruct"
    assert pools_in_skyserve(tmp_path / "out") == {(llama, 4, 8): 1, (llama, 4, 16): 1}


def test_weights_come_back_as_shares(tmp_path: Path) -> None:
    # Three purchases serve a third each: thousandths are 334, 333 and 333.
    mixed().export("litellm", tmp_path / "out")
    (config,) = documents(tmp_path / "out")
    weights = [one["litellm_params"]["weight"] for one in config["model_list"]]
    assert sorted(weights) == [333, 333, 334]


def test_cost_rows_sum_to_the_bill(solved: Plan, tmp_path: Path) -> None:
    import csv

    solved.export("focus", tmp_path / "out")
    with open(tmp_path / "out" / "focus.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(float(row["BilledCost"]) for row in rows) == pytest.approx(
        solved.cash_usd_per_month, abs=0.01
    )
    assert {row["ProviderName"] for row in rows if row["ProviderName"]} == {*solved.providers}
