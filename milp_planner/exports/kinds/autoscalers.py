"""The plan as a contract for autoscalers: floors, ceilings and targets, each with its reason.

KEDA ScaledObjects, HorizontalPodAutoscalers, Karpenter NodePools and the configuration of Dynamo's
planner, one file for each pool.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from milp_planner.errors import input_error
from milp_planner.exports.kinds.kubernetes import (
    INSTANCE,
    PRODUCT,
    REGION,
    autoscaler,
    labels,
    node_selector,
    scale_target,
    scaling_lines,
)
from milp_planner.exports.parts.engines import check_engine
from milp_planner.exports.parts.hours import TIME_ZONE, windows
from milp_planner.exports.parts.metrics import query
from milp_planner.exports.parts.names import KARPENTER_CLASSES, gpu_names
from milp_planner.exports.parts.pools import (
    Pool,
    counted,
    plan_lines,
    pool_lines,
    pools_of,
    shared_by,
)
from milp_planner.exports.parts.words import Words
from milp_planner.exports.parts.writing import yaml_document
from milp_planner.plans.records import Plan

CAPACITY_TYPES = {
    "spot": ("spot",),
    "reserved_1y": ("reserved", "on-demand"),
    "reserved_3y": ("reserved", "on-demand"),
    "committed": ("reserved", "on-demand"),
}
"""Karpenter's words for a way to pay; all else is `on-demand`.

Reserved there is what the node class selects of capacity reservations; a commitment that is a
discount alone runs as on demand.
"""

DYNAMO_BACKENDS = {"vllm": "vllm", "sglang": "sglang", "tensorrt-llm": "trtllm"}


def each_pool(
    plan: Plan, words: Words, write: Callable[[Pool, Words], str], ending: str = "yaml"
) -> dict[str, str]:
    """One file for each pool."""
    return {f"{pool.name}.{ending}": write(pool, words) for pool in pools_of(plan)}


def hpa_files(plan: Plan, words: Words) -> dict[str, str]:
    """A HorizontalPodAutoscaler for each pool."""

    def write(pool: Pool, words: Words) -> str:
        reasons = [*plan_lines(plan), "", *pool_lines(pool), "", *scaling_lines(pool)]
        return yaml_document(autoscaler(pool), reasons)

    return each_pool(plan, words, write)


def keda_files(plan: Plan, words: Words) -> dict[str, str]:
    """A KEDA ScaledObject for each pool: by the load, and by the plan's hours."""
    return each_pool(plan, words, _scaled_object)


def _scaled_object(pool: Pool, words: Words) -> str:
    address = words.word("PROMETHEUS-ADDRESS", "your Prometheus, such as http://prometheus:9090")
    by_load = {
        "type": "prometheus",
        "metadata": {
            "serverAddress": address,
            "query": query(pool),
            "threshold": f"{pool.target_rate:.6g}",
        },
    }
    hours = windows(pool.plan.block_by_hour, pool.replicas_by_block)
    floor = _keda_floor(pool)
    by_hour = [
        {
            "type": "cron",
            "metadata": {
                "timezone": TIME_ZONE,
                "start": window.cron_start,
                "end": window.cron_end,
                "desiredReplicas": str(window.replicas),
            },
        }
        for window in hours
        if window.replicas > floor
    ]
    data = {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {
            "name": pool.name,
            "labels": labels(pool),
            "annotations": {"scaledobject.keda.sh/transfer-hpa-ownership": "true"},
        },
        "spec": {
            "scaleTargetRef": scale_target(pool),
            "advanced": {"horizontalPodAutoscalerConfig": {"name": pool.name}},
            "minReplicaCount": floor,
            "maxReplicaCount": max(1, pool.most),
            "triggers": [by_load, *by_hour],
        },
    }
    return yaml_document(data, [*plan_lines(pool.plan), "", *pool_lines(pool), *_keda_lines(pool)])


def _keda_floor(pool: Pool) -> int:
    """The fewest replicas; 0 only where hours bring them back, as no pod tells a load then."""
    timed = bool(windows(pool.plan.block_by_hour, pool.replicas_by_block))
    return pool.fewest if timed else max(1, pool.fewest)


def _keda_lines(pool: Pool) -> Iterator[str]:
    blocks = zip(pool.plan.blocks, pool.replicas_by_block, strict=True)
    yield f"Replicas by time block: {', '.join(f'{b.name} {count}' for b, count in blocks)}."
    yield (
        f"minReplicaCount {_keda_floor(pool)} and maxReplicaCount {max(1, pool.most)}: the fewest "
        "and the most of any block; above the most the plan's money and stock end."
    )
    yield (
        "transfer-hpa-ownership: KEDA refuses what another HorizontalPodAutoscaler scales; that of "
        f"`export kubernetes`, {pool.name}, becomes its own."
    )
    if _keda_floor(pool) > pool.fewest:
        yield (
            "The plan has none in its emptiest block. Without pods nothing tells the load, and the "
            "plan knows no hours to bring them back: one stays."
        )
    yield (
        f"threshold {pool.target_rate:.6g}: {pool.rate:.4g} {pool.workload.unit} of a replica at "
        f"full load x {pool.workload.utilization_limit:.3g}, what the plan allows."
    )
    if windows(pool.plan.block_by_hour, pool.replicas_by_block):
        yield (
            f"cron: the plan's hours, before the load comes. They are those of the problem's "
            f"profile, taken for {TIME_ZONE}: a profile names no zone."
        )


def karpenter_files(plan: Plan, words: Words) -> dict[str, str]:
    """A Karpenter NodePool for each pool; one for all that stand on units that they share."""
    pools: dict[object, Pool] = {}
    for pool in pools_of(plan):
        shared = shared_by(pool)
        pools.setdefault(pool.name if shared is None else shared.candidate.offering.key, pool)
    return {f"{pool.name}.yaml": _node_pool(pool, words) for pool in pools.values()}


def _node_pool(pool: Pool, words: Words) -> str:
    k, o = pool.candidate, pool.candidate.offering
    resource = gpu_names(k.gpu).resource
    selector = node_selector(pool, words)
    group, kind = KARPENTER_CLASSES.get(o.provider) or (
        words.word(
            f"NODECLASS-GROUP-OF-{o.provider}", f"the API group of {o.provider}'s node class"
        ),
        words.word(f"NODECLASS-KIND-OF-{o.provider}", f"the kind of {o.provider}'s node class"),
    )
    requirements = [
        {"key": key, "operator": "In", "values": [selector[key]]}
        for key in (INSTANCE, REGION)
        if key in selector
    ]
    capacity = CAPACITY_TYPES.get(o.billing, ("on-demand",))
    requirements.append(
        {"key": "karpenter.sh/capacity-type", "operator": "In", "values": [*capacity]}
    )
    product = {PRODUCT: selector[PRODUCT]} if PRODUCT in selector else {}
    shared = shared_by(pool)
    units = pool.purchase if shared is None else shared
    gpus = pool.most * pool.gpus_per_replica
    asked = f"replicas ask for {gpus} of their GPUs" if shared is None else "shared, see above"
    own = labels(pool) if shared is None else {}
    metadata = {"labels": {**own, **product}} if own or product else {}
    data = {
        "apiVersion": "karpenter.sh/v1",
        "kind": "NodePool",
        "metadata": {"name": pool.name},
        "spec": {
            "template": {
                **({"metadata": metadata} if metadata else {}),
                "spec": {
                    "requirements": requirements,
                    "nodeClassRef": {"group": group, "kind": kind, "name": "default"},
                    "taints": [{"key": resource, "effect": "NoSchedule"}],
                },
            },
            "disruption": {"consolidationPolicy": "WhenEmpty", "consolidateAfter": "5m"},
            "limits": {resource: str(units.gpus)},
        },
    }
    reasons = [
        f"limits {units.gpus}: {counted(units.units, 'unit')} at most, as planned; {asked}.",
        f"capacity-type {' or '.join(capacity)}: the plan pays {o.billing}.",
        "WhenEmpty: moving a replica loads its weights again. The node class `default` is yours.",
    ]
    return yaml_document(data, [*plan_lines(pool.plan), "", *pool_lines(pool), *reasons])


def dynamo_files(plan: Plan, words: Words) -> dict[str, str]:
    """The `--config` of Dynamo's planner for each pool."""
    for engine in {pool.settings.engine for pool in pools_of(plan) if pool.settings is not None}:
        if engine not in DYNAMO_BACKENDS:
            raise input_error(f"Dynamo serves no {engine}", path="deployment.engine")
    untold = tuple(pool for pool in pools_of(plan) if pool.settings is None)
    check_engine(untold, "vllm")
    return each_pool(plan, words, _dynamo)


def _dynamo(pool: Pool, words: Words) -> str:
    w, settings = pool.workload, pool.settings
    assert settings is not None, "checked above"
    wishes = w.ttft_wish_s is not None and w.tpot_wish_s is not None
    target: dict[str, Any] = {"optimization_target": "throughput"}
    if wishes:
        target = {
            "optimization_target": "sla",
            "ttft_ms": round((w.ttft_wish_s or 0) * 1000, 3),
            "itl_ms": round((w.tpot_wish_s or 0) * 1000, 3),
        }
    data = {
        "mode": "agg",
        "backend": DYNAMO_BACKENDS[settings.engine],
        "environment": "kubernetes",
        "model_name": w.llm,
        **target,
        "max_gpu_budget": pool.most * pool.gpus_per_replica,
        "min_gpu_budget": max(1, pool.fewest) * pool.gpus_per_replica,
        "min_endpoint": max(1, pool.fewest),
        "decode_engine_num_gpu": pool.gpus_per_replica,
    }
    reasons = [
        f"max_gpu_budget: {pool.most} replicas of {pool.gpus_per_replica} GPUs, the most of any "
        f"block. min_endpoint {max(1, pool.fewest)}: the fewest of any block.",
        "ttft_ms and itl_ms: the wishes of the problem."
        if wishes
        else "No ttft and tpot are both wished for: `sla` needs both, so that it scales by load.",
    ]
    return yaml_document(data, [*plan_lines(pool.plan), "", *pool_lines(pool), *reasons])
