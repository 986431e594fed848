"""What stands in each kind of file, in numbers that can be done in the head."""

from __future__ import annotations

import csv
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from milp_planner import DeployedLlm, DeploymentSettings, InputError, Plan
from tests.support.shown.exported import (
    API,
    JOINED,
    LLAMA,
    NAMELESS,
    ON_DEMAND,
    RESERVED,
    SETTINGS,
    SPOT,
    bought,
    documents,
    fleet,
    mixed,
)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out"


def exported(plan: Plan, name: str, folder: Path) -> list[dict[str, Any]]:
    plan.export(name, folder)
    return documents(folder)


def of_kind(found: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (one,) = (d for d in found if d.get("kind") == kind)
    return one


def argument(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def deployed(**settings: Any) -> DeployedLlm:
    return replace(LLAMA, settings=SETTINGS.model_copy(update=settings))


def command(plan: Plan, folder: Path, name: str = "vllm") -> list[str]:
    plan.export(name, folder)
    (file,) = folder.glob("*.sh")
    return shlex.split(file.read_text(), comments=True)


def test_a_command_has_the_plans_numbers(out: Path) -> None:
    words = command(fleet(bought(RESERVED, 1, 1)), out)
    assert words[:4] == ["exec", "vllm", "serve", "meta-llama/Llama-3.3-70B-Instruct"]
    assert argument(words, "--tensor-parallel-size") == "2"
    assert argument(words, "--quantization") == "fp8"  # published in bf16, planned in fp8
    # The longest class has 6000 + 500 tokens on average; 39.2 of them, half of each there, are
    # 127,400 tokens in the cache, 124 x 1024 and some. The LLM takes 131,072.
    assert argument(words, "--max-model-len") == "126976"
    assert argument(words, "--max-num-seqs") == "40"  # 39.2 in flight
    assert argument(words, "--gpu-memory-utilization") == "0.9"
    assert "--kv-cache-dtype" not in words


def test_a_comment_gives_the_reason_of_each_number(out: Path) -> None:
    fleet(bought(RESERVED, 1, 1)).export("vllm", out)
    said = " ".join(next(out.glob("*.sh")).read_text().replace("\n#", "").split())
    for reason in (
        "4 replicas of llama-3.3-70b in fp8 on 1 unit of aws/p5.48xlarge/us-east-1",
        "A replica serves 2 requests/s with 40 requests in flight (measured, derate 0.8)",
        "loads it to 0.75 of that, 1.5 requests/s",
        "Length 126,976: so much the cache surely holds at the planned rate; llama-3.3-70b takes "
        "131,072. Lower it to your longest request: the longest class of requests has 6,500 tokens",
        "Sequences 40: as many as the planned rate has in flight",
        "Run it 4 times, each on 2 GPUs of its own, 4 to a unit",
    ):
        assert reason in said


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kv_precision": "fp8"}, ["--kv-cache-dtype", "fp8"]),
        ({"max_sequences": 12}, ["--max-num-seqs", "12"]),
        ({"memory_share": 0.8}, ["--gpu-memory-utilization", "0.8"]),
        ({"expert_parallel": True}, ["--enable-expert-parallel"]),
        ({"prefix_cache_share": 0.3}, ["--enable-prefix-caching"]),
    ],
)
def test_a_setting_becomes_its_argument(
    settings: dict[str, Any], words: list[str], out: Path
) -> None:
    found = command(fleet(bought(RESERVED, 1, 1), deployed=deployed(**settings)), out)
    at = found.index(words[0])
    assert found[at : at + len(words)] == words


def test_sglang_has_its_own_names(out: Path) -> None:
    plan = fleet(bought(RESERVED, 1, 1), deployed=deployed(engine="sglang", kv_precision="fp8"))
    words = command(plan, out, "sglang")
    for name, value in (
        ("--model-path", "meta-llama/Llama-3.3-70B-Instruct"),
        ("--tp-size", "2"),
        ("--context-length", "126976"),
        ("--max-running-requests", "40"),
        ("--mem-fraction-static", "0.9"),
        ("--kv-cache-dtype", "fp8_e4m3"),
    ):
        assert argument(words, name) == value


def test_arguments_are_those_of_the_engines(tmp_path: Path) -> None:
    full = {
        "kv_precision": "fp8",
        "expert_parallel": True,
        "prefix_cache_share": 0.3,
        "lora": {"adapters": 4, "rank": 16},
        "speculative": {"acceptance": 0.7, "draft": 3},
    }
    for engine, version in (("vllm", "0.33.0"), ("sglang", "0.5.23")):
        settings = DeploymentSettings.model_validate({**full, "engine": engine})
        told = replace(LLAMA, settings=settings)
        # One replica over two units, and one that is alone, have all arguments between them.
        plan = fleet(bought(JOINED, 1, 1), bought(RESERVED, 1, 1), deployed=told)
        plan.export(engine, tmp_path / engine)
        alone = fleet(bought(RESERVED, 1, 1), deployed=told)
        alone.export("dstack", tmp_path / f"{engine}-copies")
        texts = [p.read_text() for p in (tmp_path / engine).glob("*.sh")]
        service = documents(tmp_path / f"{engine}-copies", "*.service.dstack.yml")[0]
        words = [w for t in [*texts, *service["commands"]] for w in shlex.split(t, comments=True)]
        used = {w.rstrip(")") for w in words if w.startswith("--") and " " not in w}
        known = Path(f"tests/data/exports/{engine}-{version}.txt").read_text().split()
        assert len(used) > 15
        assert used <= {*known}


def test_an_engine_that_the_plan_does_not_stand_on_is_refused(out: Path) -> None:
    with pytest.raises(InputError, match=r"workloads\.chat: its rates are of vLLM, not of SGLang"):
        mixed().export("sglang", out)
    assert not out.exists()


def test_another_format_of_weights_has_to_be_named(out: Path) -> None:
    plan = fleet(bought(replace(RESERVED, precision="int4"), 1, 1))
    words = plan.export("vllm", out).to_replace
    assert words == {
        "REPLACE-WITH-INT4-CHECKPOINT-OF-LLAMA-3.3-70B": "a checkpoint of "
        "meta-llama/Llama-3.3-70B-Instruct in int4: it is published in bf16"
    }


def test_a_deployment_has_its_nodes_and_thresholds(out: Path) -> None:
    found = exported(fleet(bought(SPOT, 3, 1)), "kubernetes", out)
    pod = of_kind(found, "Deployment")["spec"]["template"]["spec"]
    # The instance type tells the GPU; its own label is there only where feature discovery runs.
    assert pod["nodeSelector"] == {
        "node.kubernetes.io/instance-type": "g6e.12xlarge",
        "topology.kubernetes.io/region": "us-east-1",
    }
    assert pod["containers"][0]["image"] == "vllm/vllm-openai:v0.11.0"
    scaled = of_kind(found, "HorizontalPodAutoscaler")["spec"]
    assert (scaled["minReplicas"], scaled["maxReplicas"]) == (1, 3)
    # 1 request/s at full load x 75 %.
    assert scaled["metrics"][0]["pods"]["target"]["averageValue"] == "750m"
    service = of_kind(found, "Service")["spec"]
    name = of_kind(found, "Deployment")["metadata"]["name"]
    assert service["selector"] == {"app": name}


def test_a_replica_over_units_is_a_group_with_a_leader(out: Path) -> None:
    found = exported(fleet(bought(JOINED, 1, 1)), "kubernetes", out)
    group = of_kind(found, "LeaderWorkerSet")["spec"]["leaderWorkerTemplate"]
    assert group["size"] == 2
    leader, worker = (
        group[f"{role}Template"]["spec"]["containers"][0]["args"] for role in ("leader", "worker")
    )
    assert argument(leader, "--node-rank") == "0"
    assert argument(leader, "--pipeline-parallel-size") == "2"
    assert argument(worker, "--node-rank") == "$(LWS_WORKER_INDEX)"
    assert "--headless" in worker
    assert "--headless" not in leader
    assert of_kind(found, "Service")["spec"]["selector"]["role"] == "leader"


def test_keda_has_the_load_and_the_hours(out: Path) -> None:
    (scaled,) = exported(fleet(bought(SPOT, 3, 0)), "keda", out)
    spec = scaled["spec"]
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (0, 3)
    load, hours = spec["triggers"]
    assert load["metadata"]["threshold"] == "0.75"
    assert "chat-aws-l40s-48gb-[^-]+-[^-]+" in load["metadata"]["query"]
    assert hours["metadata"] == {
        "timezone": "Etc/UTC",
        "start": "0 8 * * *",
        "end": "0 20 * * *",
        "desiredReplicas": "3",
    }


def test_keda_keeps_one_where_nothing_would_bring_it_back(out: Path) -> None:
    (scaled,) = exported(fleet(bought(SPOT, 3, 0), block_by_hour=()), "keda", out)
    assert scaled["spec"]["minReplicaCount"] == 1
    assert "nothing tells the load" in next(out.glob("*.yaml")).read_text()


def test_karpenter_ends_at_the_plans_gpus(out: Path) -> None:
    (pool,) = exported(fleet(bought(SPOT, 3, 0)), "karpenter", out)
    assert pool["spec"]["limits"] == {"nvidia.com/gpu": "12"}
    wanted = {r["key"]: r["values"] for r in pool["spec"]["template"]["spec"]["requirements"]}
    assert wanted["karpenter.sh/capacity-type"] == ["spot"]
    assert wanted["node.kubernetes.io/instance-type"] == ["g6e.12xlarge"]


def test_dynamo_has_the_wishes_and_the_gpus(out: Path) -> None:
    (config,) = exported(fleet(bought(RESERVED, 2, 1)), "dynamo", out)
    assert config["optimization_target"] == "sla"
    assert (config["ttft_ms"], config["itl_ms"]) == (2000, 50)
    assert (config["max_gpu_budget"], config["min_endpoint"]) == (16, 4)


def test_aibrix_schedules_end_at_midnight(out: Path) -> None:
    # From 20 h to 8 h it has 2, by day 1: the night is cut in two.
    found = exported(fleet(bought(SPOT, 1, 2)), "aibrix", out)
    schedules = of_kind(found, "PodAutoscaler")["spec"]["schedules"]
    hours = [(s["startTime"], s["endTime"], s["minReplicas"]) for s in schedules]
    assert hours == [("20:00", "23:59", 2), ("00:00", "08:00", 2)]


def test_skyserve_mixes_spot_and_follows_the_hours(out: Path) -> None:
    mixed().export("skyserve", out)
    task = yaml.safe_load((out / "chat-l40s-48gb.yaml").read_text())
    policy = task["service"]["replica_policy"]
    assert (policy["min_replicas"], policy["max_replicas"]) == (1, 4)
    assert policy["base_ondemand_fallback_replicas"] == 1
    assert policy["target_qps_per_replica"] == 0.75
    # Spot and on demand at one place: SkyServe takes no mixture of both, but a number on demand.
    assert task["resources"]["use_spot"] is True
    assert task["resources"]["infra"] == "aws/us-east-1"
    fixed = yaml.safe_load((out / "chat-h100-80gb-sxm.yaml").read_text())
    assert fixed["service"]["replicas"] == 1
    assert "--data-parallel-size 4" in fixed["run"]
    lines = (out / "schedule.crontab").read_text().splitlines()
    assert "0 8 * * * sky serve update -y chat-l40s-48gb chat-l40s-48gb-at-4.yaml" in lines
    assert "0 20 * * * sky serve update -y chat-l40s-48gb chat-l40s-48gb-at-1.yaml" in lines


def test_dstack_has_a_fleet_for_each_service(out: Path) -> None:
    fleet(bought(SPOT, 3, 1)).export("dstack", out)
    (nodes,) = documents(out, "*.fleet.dstack.yml")
    (served,) = documents(out, "*.service.dstack.yml")
    assert nodes["nodes"] == "1..3"
    assert nodes["instance_types"] == ["g6e.12xlarge"]
    assert nodes["spot_policy"] == "spot"
    assert served["fleets"] == [nodes["name"]]
    assert served["replicas"] == "1..3"
    assert served["scaling"] == {"metric": "rps", "target": 0.75}


def test_replicas_over_units_are_refused_where_a_tool_cannot_say_them(out: Path) -> None:
    for name in ("skyserve", "dstack"):
        with pytest.raises(InputError, match="span 2 units of gcp/a3-highgpu-8g/us-east-1"):
            fleet(bought(JOINED, 1, 1)).export(name, out)


def test_apis_are_routed_with_their_names(out: Path) -> None:
    (config,) = exported(fleet(bought(ON_DEMAND, 1, 1), bought(API, 0, 0)), "litellm", out)
    own, api = config["model_list"]
    assert own["litellm_params"]["api_base"] == "http://chat-aws-l40s-48gb:8000/v1"
    assert api["litellm_params"]["model"] == "together_ai/meta-llama/Llama-3.3-70B-Turbo"
    assert (own["litellm_params"]["weight"], api["litellm_params"]["weight"]) == (500, 500)


def test_a_route_says_which_classes_the_plan_tells_apart(out: Path) -> None:
    plan = fleet(bought(RESERVED, 1, 1), bought(SPOT, 3, 3))
    long_only = tuple(
        replace(r, share=1.0 if r.candidate is RESERVED else 0.0)
        if r.request_class.input_tokens == 6000
        else r
        for r in plan.routes
    )
    replace(plan, routes=long_only).export("httproute", out)
    text = (out / "chat.yaml").read_text()
    assert "#   6000/500: 1 at aws/p5.48xlarge/us-east-1" in text


def test_cost_rows_have_the_months_days_and_the_way_to_pay(
    out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1796083200")  # 2026-12-01
    # Reserved 7200, spot 10,800, on demand 7200 USD; a volume discount takes 1200 off.
    plan = replace(mixed(), cash_usd_per_month=24_000.0, costs={"rent": 25_200.0, "volume": -1200})
    plan.export("focus", out)
    rows = list(csv.DictReader((out / "focus.csv").open()))
    assert [row["PricingCategory"] for row in rows] == ["Committed", "Dynamic", "Standard", ""]
    assert [float(row["BilledCost"]) for row in rows] == [7200, 10_800, 7200, -1200]
    assert rows[3]["ChargeCategory"] == "Credit"
    assert rows[0]["BillingPeriodStart"] == "2027-01-01T00:00:00Z"
    assert rows[0]["BillingPeriodEnd"] == "2027-02-01T00:00:00Z"


def test_a_unit_without_a_name_has_a_word_to_replace(tmp_path: Path) -> None:
    plan = fleet(bought(NAMELESS, 1, 1))
    word = "REPLACE-WITH-INSTANCE-TYPE-OF-ACME-L40S-48GB"
    for name in ("kubernetes", "karpenter", "llm-d", "production-stack", "aibrix"):
        found = plan.export(name, tmp_path / name)
        assert found.to_replace[word].startswith("what acme calls a unit of 4 x l40s-48gb")
        assert word in (tmp_path / name / "README.md").read_text()
    assert "REPLACE-WITH-DSTACK-BACKEND-OF-ACME" in plan.export("dstack", tmp_path / "d").to_replace


def test_where_rates_are_stated_the_image_is_named_by_the_reader(out: Path) -> None:
    plan = fleet(bought(RESERVED, 1, 1), deployed=None)
    words = plan.export("kubernetes", out).to_replace
    assert "REPLACE-WITH-IMAGE-OF-LLAMA-3.3-70B" in words
    with pytest.raises(InputError, match="no engine is known"):
        plan.export("vllm", out.parent / "other")


def test_a_pool_names_its_own_llm_where_any_of_several_serve(out: Path) -> None:
    lean, rich = (replace(ON_DEMAND, llm=name) for name in ("lean", "rich"))
    several = fleet(bought(lean, 1, 1), bought(rich, 1, 1))
    workloads = tuple(
        replace(w, llm="lean + rich", deployed=DeployedLlm("", "", None, SETTINGS))
        for w in several.workloads
    )
    found = replace(several, workloads=workloads).export("vllm", out)
    texts = [path.read_text() for path in sorted(out.glob("*.sh"))]
    assert sorted("--served-model-name lean" in text for text in texts) == [False, True]
    assert not any("lean + rich" in text for text in texts)
    assert {*found.to_replace} == {
        "REPLACE-WITH-REPOSITORY-OF-LEAN",
        "REPLACE-WITH-REPOSITORY-OF-RICH",
    }
