"""What is applied starts: names that must agree do, and nothing asks for what the plan has not."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from milp_planner import InputError, Plan
from milp_planner.inputs.problem.deployment import Lora, Speculative
from tests.support.builders import token_price
from tests.support.sample_plans import workload_plan
from tests.support.shown.exported import (
    API,
    JOINED,
    LLAMA,
    ON_DEMAND,
    RESERVED,
    SETTINGS,
    SPOT,
    bought,
    candidate,
    documents,
    fleet,
    mixed,
)

AZURE_SPOT = candidate(
    "azure", "Standard_ND96isr_H100_v5", "h100-80gb-sxm", 8, 8, 3.0, billing="spot"
)
GPU_TAINT = {"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}


def exported(plan: Plan, name: str, folder: Path) -> list[dict[str, Any]]:
    folder.mkdir(exist_ok=True)
    plan.export(name, folder / name)
    return documents(folder / name)


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in found if one["kind"] == kind]


def two_workloads() -> Plan:
    """Chat and code, each on a unit of its own."""
    code = replace(ON_DEMAND, workload="code")
    plan = fleet(bought(ON_DEMAND, 1, 1), bought(code, 1, 1))
    workloads = (*plan.workloads, workload_plan(name="code", deployed=LLAMA))
    return replace(plan, workloads=workloads)


def test_no_two_routes_claim_the_same_host_and_path(tmp_path: Path) -> None:
    routes = exported(two_workloads(), "httproute", tmp_path)
    claimed = [
        (host, match["path"]["value"])
        for route in routes
        for host in route["spec"].get("hostnames", ["any"])
        for rule in route["spec"]["rules"]
        for match in rule["matches"]
    ]
    assert sorted(claimed) == [
        ("replace-with-host-of-chat", "/v1"),
        ("replace-with-host-of-code", "/v1"),
    ]
    (alone,) = exported(fleet(bought(ON_DEMAND, 1, 1)), "httproute", tmp_path / "alone")
    assert "hostnames" not in alone["spec"]


def test_keda_takes_over_the_autoscaler_that_stands_beside_the_deployment(tmp_path: Path) -> None:
    plan = fleet(bought(SPOT, 3, 1))
    (autoscaler,) = of_kind(exported(plan, "kubernetes", tmp_path), "HorizontalPodAutoscaler")
    (scaled,) = exported(plan, "keda", tmp_path)
    assert scaled["metadata"]["annotations"] == {
        "scaledobject.keda.sh/transfer-hpa-ownership": "true"
    }
    own = scaled["spec"]["advanced"]["horizontalPodAutoscalerConfig"]["name"]
    assert own == autoscaler["metadata"]["name"]
    assert scaled["spec"]["scaleTargetRef"] == autoscaler["spec"]["scaleTargetRef"]


def test_a_commitment_without_a_reservation_runs_on_demand(tmp_path: Path) -> None:
    for k, kinds in ((RESERVED, ["reserved", "on-demand"]), (ON_DEMAND, ["on-demand"])):
        (pool,) = exported(fleet(bought(k, 1, 1)), "karpenter", tmp_path / k.offering.billing)
        wanted = {r["key"]: r["values"] for r in pool["spec"]["template"]["spec"]["requirements"]}
        assert wanted["karpenter.sh/capacity-type"] == kinds


def test_aibrix_finds_the_service_by_the_name_of_the_model(tmp_path: Path) -> None:
    found = exported(mixed(), "aibrix", tmp_path)
    (service,) = of_kind(found, "Service")
    model = service["metadata"]["name"]
    assert service["spec"]["selector"] == {"model.aibrix.ai/name": model}
    deployments = of_kind(found, "Deployment")
    assert len(deployments) == 3
    for one in deployments:
        pod = one["spec"]["template"]
        assert pod["metadata"]["labels"]["model.aibrix.ai/name"] == model
        assert one["metadata"]["labels"]["model.aibrix.ai/name"] == model
        arguments = pod["spec"]["containers"][0]["args"]
        at = arguments.index("--served-model-name")
        assert arguments[at + 1 : at + 3] == ["llama-3.3-70b", model]


def test_workloads_of_one_llm_are_models_apart_in_aibrix(tmp_path: Path) -> None:
    services = of_kind(exported(two_workloads(), "aibrix", tmp_path), "Service")
    assert sorted(one["metadata"]["name"] for one in services) == ["chat", "code"]


@pytest.mark.parametrize("name", ["kubernetes", "aibrix"])
def test_a_new_replica_waits_for_the_gpus_of_an_old_one(name: str, tmp_path: Path) -> None:
    for one in of_kind(exported(mixed(), name, tmp_path), "Deployment"):
        assert one["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
        probe = one["spec"]["template"]["spec"]["containers"][0]["startupProbe"]
        longest_s = probe["periodSeconds"] * probe["failureThreshold"]
        assert longest_s <= one["spec"]["progressDeadlineSeconds"]


def test_weights_that_are_gated_can_be_fetched_and_others_need_no_secret(tmp_path: Path) -> None:
    plan = fleet(bought(RESERVED, 1, 1), bought(JOINED, 1, 1))
    found = exported(plan, "kubernetes", tmp_path)
    (deployment,), (group,) = of_kind(found, "Deployment"), of_kind(found, "LeaderWorkerSet")
    template = group["spec"]["leaderWorkerTemplate"]
    pods = [deployment["spec"]["template"], template["leaderTemplate"], template["workerTemplate"]]
    for spec in (pod["spec"] for pod in pods):
        (token,) = spec["containers"][0]["env"]
        assert token["name"] == "HF_TOKEN"
        assert token["valueFrom"]["secretKeyRef"]["optional"] is True
        assert spec["enableServiceLinks"] is False  # VLLM_PORT of a Service named vllm stops vLLM
    (values,) = exported(mixed(), "production-stack", tmp_path)
    for one in values["servingEngineSpec"]["modelSpec"]:
        assert [variable["name"] for variable in one["env"]] == ["HF_TOKEN"]


def test_pods_may_stand_on_nodes_that_are_tainted(tmp_path: Path) -> None:
    spot = {
        "key": "kubernetes.azure.com/scalesetpriority",
        "operator": "Equal",
        "value": "spot",
        "effect": "NoSchedule",
    }
    plan = fleet(bought(AZURE_SPOT, 1, 1))
    (deployment,) = of_kind(exported(plan, "kubernetes", tmp_path), "Deployment")
    assert deployment["spec"]["template"]["spec"]["tolerations"] == [GPU_TAINT, spot]
    (values,) = exported(plan, "production-stack", tmp_path)
    assert values["servingEngineSpec"]["modelSpec"][0]["tolerations"] == [GPU_TAINT, spot]
    (aws,) = of_kind(
        exported(fleet(bought(SPOT, 1, 1)), "kubernetes", tmp_path / "a"), "Deployment"
    )
    assert aws["spec"]["template"]["spec"]["tolerations"] == [GPU_TAINT]


def test_gpus_of_a_pod_of_llm_d_have_shared_memory(tmp_path: Path) -> None:
    (values,) = exported(fleet(bought(RESERVED, 1, 1)), "llm-d", tmp_path)
    (engine,) = values["decode"]["containers"]
    assert engine["volumeMounts"] == [{"name": "shm", "mountPath": "/dev/shm"}]
    assert values["decode"]["volumes"] == [{"name": "shm", "emptyDir": {"medium": "Memory"}}]


@pytest.mark.parametrize("unit", ["tokens/s", "users"])
def test_skyserve_has_one_number_where_it_cannot_scale(unit: str, tmp_path: Path) -> None:
    # Its loader refuses a range without a target of requests a second.
    counted = mixed()
    plan = replace(counted, workloads=(replace(counted.workloads[0], unit=unit),))
    plan.export("skyserve", tmp_path / "out")
    services = {
        path.stem: yaml.safe_load(path.read_text())["service"]
        for path in (tmp_path / "out").glob("*.yaml")
    }
    policy = services["chat-l40s-48gb"]["replica_policy"]
    assert (policy["min_replicas"], policy["max_replicas"]) == (4, 4)
    assert services["chat-h100-80gb-sxm"] == {
        "readiness_probe": {"path": "/v1/models", "initial_delay_seconds": 3600},
        "replicas": 1,
    }


def test_a_command_is_one_line_for_the_shell_whatever_a_workload_is_called(tmp_path: Path) -> None:
    odd = replace(ON_DEMAND, workload="chat $(rm)", llm="lean")
    plan = fleet(bought(odd, 1, 1))
    told = (workload_plan(name="chat $(rm)", deployed=LLAMA),)
    replace(plan, workloads=told).export("vllm", tmp_path / "out")
    (script,) = (tmp_path / "out").glob("*.sh")
    words = shlex.split(script.read_text(), comments=True)
    at = words.index("--served-model-name")
    assert words[at + 1 : at + 3] == ["lean", "chat $(rm)"]
    assert "'chat $(rm)'" in script.read_text()


def by_day_on_both() -> Plan:
    """Two pools share the day; by night all goes to the one that is reserved."""
    plan = fleet(bought(RESERVED, 1, 1), bought(SPOT, 3, 0))
    routes = (
        replace(r, requests_per_second=5.0 if r.candidate is RESERVED else 0.0)
        if r.block.name == "night"
        else r
        for r in plan.routes
    )
    return replace(plan, routes=tuple(routes))


def test_a_route_follows_the_hours_lest_pools_that_are_off_are_asked(tmp_path: Path) -> None:
    by_day_on_both().export("httproute", tmp_path / "out")
    routes = {
        path.stem: yaml.safe_load(path.read_text()) for path in (tmp_path / "out").glob("*.yaml")
    }
    assert {route["metadata"]["name"] for route in routes.values()} == {"chat"}
    weights = {
        name: [backend["weight"] for backend in route["spec"]["rules"][0]["backendRefs"]]
        for name, route in routes.items()
    }
    assert weights == {"chat": [500, 500], "chat-in-day": [500, 500], "chat-in-night": [1000]}
    lines = (tmp_path / "out" / "schedule.crontab").read_text().splitlines()
    assert lines[-3:] == [
        "CRON_TZ=Etc/UTC",
        "0 8 * * * kubectl apply -f chat-in-day.yaml",
        "0 20 * * * kubectl apply -f chat-in-night.yaml",
    ]


def test_litellm_says_what_its_one_file_cannot_follow(tmp_path: Path) -> None:
    by_day_on_both().export("litellm", tmp_path / "out")
    text = (tmp_path / "out" / "config.yaml").read_text()
    said = "In block night the weights of chat are 1000 at aws/p5.48xlarge/us-east-1."
    assert said in text.replace("\n# ", " ")
    same = mixed()
    same.export("httproute", tmp_path / "same")  # the same weights at all hours
    assert sorted(path.name for path in (tmp_path / "same").iterdir()) == ["README.md", "chat.yaml"]


@pytest.mark.parametrize(("asked", "taken"), [(8, "8"), (10, "16"), (200, "256"), (512, "512")])
def test_vllm_takes_but_some_ranks_of_adapters(asked: int, taken: str, tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"lora": Lora(adapters=4, rank=asked)})
    plan = fleet(bought(RESERVED, 1, 1), deployed=replace(LLAMA, settings=settings))
    plan.export("vllm", tmp_path / "out")
    (script,) = (tmp_path / "out").glob("*.sh")
    words = shlex.split(script.read_text(), comments=True)
    assert words[words.index("--max-lora-rank") + 1] == taken


def test_a_rank_that_vllm_does_not_take_is_refused(tmp_path: Path) -> None:
    settings = SETTINGS.model_copy(update={"lora": Lora(adapters=4, rank=1024)})
    plan = fleet(bought(RESERVED, 1, 1), deployed=replace(LLAMA, settings=settings))
    said = r"workloads\.chat\.deployment\.lora\.rank: vLLM takes adapters of a rank up to 512"
    with pytest.raises(InputError, match=said):
        plan.export("vllm", tmp_path / "out")


def test_names_are_no_longer_than_dstack_takes(tmp_path: Path) -> None:
    long = "a-workload-with-a-name-that-says-all-of-it"
    names = [long, f"{long}-twice"]
    plan = fleet(*(bought(replace(ON_DEMAND, workload=name), 1, 1) for name in names))
    told = tuple(workload_plan(name=name, deployed=LLAMA) for name in names)
    found = exported(replace(plan, workloads=told), "dstack", tmp_path)
    called = [one["name"] for one in found]
    assert len({*called}) == 4
    # dstack 0.22, `core/services`: what a fleet and a run may be called.
    assert all(re.fullmatch("[a-z][a-z0-9-]{1,40}", name) for name in called)


def test_sglang_is_told_the_steps_of_a_draft_and_asked_for_its_algorithm(tmp_path: Path) -> None:
    # It refuses a number of draft tokens alone: 3 steps in one branch draft 3, and 1 is verified.
    update = {"engine": "sglang", "speculative": Speculative(acceptance=0.7, draft=3)}
    told = replace(LLAMA, settings=SETTINGS.model_copy(update=update))
    found = fleet(bought(RESERVED, 1, 1), deployed=told).export("sglang", tmp_path / "out")
    (script,) = (tmp_path / "out").glob("*.sh")
    words = shlex.split(script.read_text(), comments=True)
    value = dict(pairwise(words))
    assert value["--speculative-num-steps"] == "3"
    assert value["--speculative-eagle-topk"] == "1"
    assert value["--speculative-num-draft-tokens"] == "4"
    assert value["--speculative-algorithm"] in found.to_replace


@pytest.mark.parametrize(
    ("in_flight", "context", "shared", "taken"),
    [
        (39.2, 131_072, 0.0, 126_976),  # 39.2 x 3250 = 127,400: 124 x 1024
        (39.2, 32_768, 0.0, 32_768),  # all that the LLM takes
        (39.2, 131_072, 0.5, 63_488),  # half of each is shared: 63,700, 62 x 1024 of it
        (1.0, 131_072, 0.0, 7_168),  # one is in flight: the longest class, 7 x 1024
        (1.0, 6_600, 0.0, 6_600),
        (None, 131_072, 0.0, 7_168),
        (39.2, None, 0.0, 7_168),  # it is not known how long a request the LLM takes
    ],
)
def test_requests_longer_than_the_mean_are_taken_where_the_cache_holds_them(
    in_flight: float | None, context: int | None, shared: float, taken: int, tmp_path: Path
) -> None:
    points = tuple(replace(point, concurrency=in_flight) for point in RESERVED.points)
    settings = SETTINGS.model_copy(update={"prefix_cache_share": shared})
    told = replace(LLAMA, settings=settings, context_tokens=context)
    plan = fleet(bought(replace(RESERVED, points=points), 1, 1), deployed=told)
    plan.export("vllm", tmp_path / "out")
    (script,) = (tmp_path / "out").glob("*.sh")
    words = shlex.split(script.read_text(), comments=True)
    assert words[words.index("--max-model-len") + 1] == str(taken)


@pytest.mark.parametrize(
    ("provider", "model", "access"),
    [
        ("together", "together_ai", {"api_key": "os.environ/TOGETHER_API_KEY"}),
        (
            "azure",
            "azure_ai",
            {
                "api_base": "os.environ/AZURE_AI_API_BASE",
                "api_key": "os.environ/AZURE_AI_API_KEY",
            },
        ),
        (
            "vertex",
            "vertex_ai",
            {
                "vertex_project": "os.environ/VERTEXAI_PROJECT",
                "vertex_location": "os.environ/VERTEXAI_LOCATION",
            },
        ),
    ],
)
def test_an_api_is_reached_with_what_its_provider_wants(
    provider: str, model: str, access: dict[str, str], tmp_path: Path
) -> None:
    sold = replace(API, offering=token_price(provider, 0.9, "llama-3.3-70b", note="llama"))
    (config,) = exported(fleet(bought(sold, 0, 0)), "litellm", tmp_path)
    (entry,) = config["model_list"]
    assert entry["litellm_params"] == {"model": f"{model}/llama", **access, "weight": 1000}
