"""Kubernetes manifests: a Deployment, or a LeaderWorkerSet where a replica spans units, with its
Service, its node selector and its HorizontalPodAutoscaler, one file for each pool.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from milp_planner.exports.kinds.commands import argument_lines
from milp_planner.exports.parts.engines import PORT, Command, command_of, node_arguments
from milp_planner.exports.parts.metrics import METRICS, query
from milp_planner.exports.parts.names import EVERYWHERE, gpu_names, is_label
from milp_planner.exports.parts.pools import Pool, plan_lines, pool_lines, pools_of
from milp_planner.exports.parts.words import Words
from milp_planner.exports.parts.writing import yaml_document, yaml_documents
from milp_planner.plans.records import Plan

INSTANCE = "node.kubernetes.io/instance-type"
REGION = "topology.kubernetes.io/region"
PRODUCT = "nvidia.com/gpu.product"
AMD_PRODUCT = "amd.com/gpu.product-name"


def kubernetes_files(plan: Plan, words: Words) -> dict[str, str]:
    """`NAME.yaml` for each pool."""
    return {f"{pool.name}.yaml": _manifests(pool, words) for pool in pools_of(plan)}


def _manifests(pool: Pool, words: Words) -> str:
    command = command_of(pool, words)
    spread = pool.nodes_per_replica > 1
    workload = _leader_worker_set(pool, command, words) if spread else _deployment(pool, command)
    if not spread:
        workload["spec"]["template"]["spec"]["nodeSelector"] = node_selector(pool, words)
    reasons = [*plan_lines(pool.plan), "", *pool_lines(pool), "", *argument_lines(pool, command)]
    return yaml_documents(
        [
            yaml_document(workload, [*reasons, TOKEN_LINE]),
            yaml_document(service(pool)),
            yaml_document(autoscaler(pool), scaling_lines(pool)),
        ]
    )


def labels(pool: Pool) -> dict[str, str]:
    """What the pods of a pool are found by, and the workload that they serve."""
    workload = pool.workload.name
    named = {"milp-planner/workload": workload} if is_label(workload) else {}
    return {"app": pool.name, **named}


def node_selector(pool: Pool, words: Words) -> dict[str, str]:
    """The nodes of the offering: instance type and region, else the product of the GPU.

    The product is a label of NVIDIA's GPU feature discovery, which clusters need not run.
    """
    k, o = pool.candidate, pool.candidate.offering
    product = gpu_names(k.gpu)
    found = {}
    instance = getattr(o, "instance_type", "")
    is_known = bool(instance) and is_label(instance)
    if is_known:
        found[INSTANCE] = instance
    elif o.billing != "owned":
        found[INSTANCE] = words.word(
            f"INSTANCE-TYPE-OF-{o.provider}-{k.gpu}",
            f"what {o.provider} calls a unit of {k.gpus_per_unit} x {k.gpu} ({o.id})",
        )
    if product.product and not is_known:
        found[PRODUCT if product.resource.startswith("nvidia") else AMD_PRODUCT] = product.product
    if k.region not in EVERYWHERE and is_label(k.region):
        found[REGION] = k.region
    return found


def container(pool: Pool, command: Command, extra: tuple[tuple[str, ...], ...] = ()) -> Any:
    """The container that serves, on the GPUs of one node."""
    resource = gpu_names(pool.candidate.gpu).resource
    gpus = {resource: str(pool.gpus_per_node)}
    arguments = [word for argument in (*command.arguments, *extra) for word in argument]
    started = {"command": list(command.program), "args": arguments} if command.program else {}
    return {
        "name": "engine",
        "image": command.image,
        **started,
        "env": [TOKEN],
        "ports": [{"name": "http", "containerPort": PORT}],
        "resources": {"requests": gpus, "limits": dict(gpus)},
        "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
    }


READY: dict[str, Any] = {"httpGet": {"path": "/health", "port": "http"}, "periodSeconds": 10}
START: dict[str, Any] = {**READY, "failureThreshold": 360}
"""Loading weights may take an hour."""

SHM = {"name": "shm", "emptyDir": {"medium": "Memory"}}

TOKEN = {
    "name": "HF_TOKEN",
    "valueFrom": {"secretKeyRef": {"name": "hf-token", "key": "token", "optional": True}},
}
TOKEN_LINE = (
    "Gated weights are fetched with HF_TOKEN, from the Secret `hf-token` where there is one: "
    "kubectl create secret generic hf-token --from-literal=token=..."
)

ROLLED_OUT: dict[str, Any] = {
    "strategy": {
        "type": "RollingUpdate",
        "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1},
    },
    "progressDeadlineSeconds": 3900,
}
"""A new replica takes the GPUs of an old one: the plan has none to spare. It may load an hour."""

SPOT_TAINTS = {"azure": ("kubernetes.azure.com/scalesetpriority", "spot")}
"""Taints that a provider's Kubernetes puts on nodes that it may take away."""


def pod_spec(pool: Pool, command: Command) -> dict[str, Any]:
    """The pod of a replica on one node."""
    serving = {**container(pool, command), "startupProbe": START, "readinessProbe": READY}
    return {"containers": [serving], "volumes": [SHM], **_scheduled(pool)}


def _deployment(pool: Pool, command: Command) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": pool.name, "labels": labels(pool)},
        "spec": {
            "replicas": pool.most,
            **ROLLED_OUT,
            "selector": {"matchLabels": {"app": pool.name}},
            "template": {
                "metadata": {"labels": labels(pool)},
                "spec": pod_spec(pool, command),
            },
        },
    }


def _leader_worker_set(pool: Pool, command: Command, words: Words) -> dict[str, Any]:
    size, leader = "$(LWS_GROUP_SIZE)", "$(LWS_LEADER_ADDRESS)"
    selector = node_selector(pool, words)

    def pod(rank: str, *extra: tuple[str, ...], **probes: Any) -> dict[str, Any]:
        joined = (*node_arguments(command.engine, size, rank, leader), *extra)
        serving = {**container(pool, command, joined), **probes}
        return {
            "containers": [serving],
            "volumes": [SHM],
            "nodeSelector": selector,
            **_scheduled(pool),
        }

    silent = (("--headless",),) if command.engine == "vllm" else ()
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": pool.name, "labels": labels(pool)},
        "spec": {
            "replicas": pool.most,
            "leaderWorkerTemplate": {
                "size": pool.nodes_per_replica,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": {
                    "metadata": {"labels": {**labels(pool), "role": "leader"}},
                    "spec": pod("0", startupProbe=START, readinessProbe=READY),
                },
                "workerTemplate": {
                    "metadata": {"labels": {**labels(pool), "role": "worker"}},
                    "spec": pod("$(LWS_WORKER_INDEX)", *silent),
                },
            },
        },
    }


def _scheduled(pool: Pool) -> dict[str, Any]:
    """Engines read variables of the environment, which Services would put there, too."""
    return {"tolerations": tolerations(pool), "enableServiceLinks": False}


def tolerations(pool: Pool) -> list[dict[str, str]]:
    """Of the taints that keep others off nodes with GPUs, and off those that may be taken away."""
    resource = gpu_names(pool.candidate.gpu).resource
    found = [{"key": resource, "operator": "Exists", "effect": "NoSchedule"}]
    spot = SPOT_TAINTS.get(pool.candidate.provider) if pool.candidate.mode.interruptible else None
    if spot is not None:
        key, value = spot
        found.append({"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"})
    return found


def service(pool: Pool) -> dict[str, Any]:
    """One address for all replicas of a pool."""
    selector = {"app": pool.name}
    if pool.nodes_per_replica > 1:
        selector["role"] = "leader"
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": pool.name, "labels": labels(pool)},
        "spec": {
            "selector": selector,
            "ports": [{"name": "http", "port": PORT, "targetPort": "http"}],
        },
    }


def scale_target(pool: Pool) -> dict[str, str]:
    """What is scaled."""
    if pool.nodes_per_replica > 1:
        kind, version = "LeaderWorkerSet", "leaderworkerset.x-k8s.io/v1"
    else:
        kind, version = "Deployment", "apps/v1"
    return {"apiVersion": version, "kind": kind, "name": pool.name}


def floor_of(pool: Pool) -> int:
    """The fewest replicas that an autoscaler may leave: one at least, as it counts from them."""
    return max(1, pool.fewest)


def autoscaler(pool: Pool) -> dict[str, Any]:
    """A HorizontalPodAutoscaler between the plan's fewest and most replicas."""
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": pool.name, "labels": labels(pool)},
        "spec": {
            "scaleTargetRef": scale_target(pool),
            "minReplicas": floor_of(pool),
            "maxReplicas": max(1, pool.most),
            "metrics": [
                {
                    "type": "Pods",
                    "pods": {
                        "metric": {"name": METRICS[pool.workload.unit]},
                        "target": {"type": "AverageValue", "averageValue": milli(pool.target_rate)},
                    },
                }
            ],
        },
    }


def milli(value: float) -> str:
    """A quantity in thousandths, as Kubernetes writes fractions; never 0."""
    return f"{max(1, round(value * 1000))}m"


def scaling_lines(pool: Pool) -> Iterator[str]:
    """The reason of each number of an autoscaler."""
    w, by_block = pool.workload, pool.replicas_by_block
    blocks = ", ".join(
        f"{block.name} {count}" for block, count in zip(pool.plan.blocks, by_block, strict=True)
    )
    mode = pool.candidate.mode
    yield f"Replicas by time block of the plan: {blocks}."
    yield (
        f"minReplicas {floor_of(pool)} and maxReplicas {max(1, pool.most)}: the fewest and the "
        "most of any block" + ("." if mode.elastic else "; other units are paid all the same.")
    )
    if not pool.fewest and pool.most:
        yield "The plan has none in its emptiest block; an HPA keeps one."
    yield (
        f"Target {pool.target_rate:.4g} {w.unit} a replica: {pool.rate:.4g} at full load x "
        f"{w.utilization_limit:.3g}, the utilization that the plan allows. The metric "
        f"{METRICS[w.unit]} is made by an adapter: {query(pool, by_pod=True)}"
    )
