"""AIBrix: a Deployment and PodAutoscaler for each pool, the plan's hours as bounds; a Service for
each workload, which has the name of the model as AIBrix's gateway wants it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from milp_planner.errors import input_error
from milp_planner.exports.kinds.commands import argument_lines
from milp_planner.exports.kinds.kubernetes import (
    ROLLED_OUT,
    TOKEN_LINE,
    floor_of,
    node_selector,
    pod_spec,
    scaling_lines,
)
from milp_planner.exports.parts.engines import PORT, command_of
from milp_planner.exports.parts.hours import TIME_ZONE, DayPart, windows
from milp_planner.exports.parts.metrics import engine_metrics
from milp_planner.exports.parts.pools import (
    Pool,
    plan_lines,
    pool_lines,
    pools_of,
    unique_names,
)
from milp_planner.exports.parts.words import Words
from milp_planner.exports.parts.writing import yaml_document, yaml_documents
from milp_planner.plans.records import Plan
from milp_planner.units import HOURS_PER_DAY

MODEL = "model.aibrix.ai/name"
LAST_MINUTE = "23:59"
"""The latest end that a schedule may have; the next begins a minute later."""


def aibrix_files(plan: Plan, words: Words) -> dict[str, str]:
    """`NAME.yaml` for each pool, and `WORKLOAD-service.yaml` for all pools of a workload."""
    pools = pools_of(plan)
    spread = [pool.name for pool in pools if pool.nodes_per_replica > 1]
    if spread:
        raise input_error(
            f"replicas of {', '.join(spread)} span several units",
            hint="milp-planner export kubernetes writes LeaderWorkerSets",
        )
    served = dict.fromkeys(pool.workload.name for pool in pools)
    models = dict(zip(served, unique_names(served), strict=True))
    called = [replace(pool, alias=models[pool.workload.name]) for pool in pools]
    services = {f"{model}-service.yaml": _service(plan, model) for model in models.values()}
    return {f"{pool.name}.yaml": _manifests(pool, words) for pool in called} | services


def _manifests(pool: Pool, words: Words) -> str:
    command = command_of(pool, words)
    named = {"app": pool.name, MODEL: pool.alias, "model.aibrix.ai/port": str(PORT)}
    pod = {**pod_spec(pool, command), "nodeSelector": node_selector(pool, words)}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": pool.name, "labels": named},
        "spec": {
            "replicas": pool.most,
            **ROLLED_OUT,
            "selector": {"matchLabels": {"app": pool.name, MODEL: pool.alias}},
            "template": {"metadata": {"labels": named}, "spec": pod},
        },
    }
    reasons = [*plan_lines(pool.plan), "", *pool_lines(pool), "", *argument_lines(pool, command)]
    return yaml_documents(
        [
            yaml_document(deployment, [*reasons, TOKEN_LINE]),
            yaml_document(_pod_autoscaler(pool), [*scaling_lines(pool), _target_line(pool)]),
        ]
    )


def _service(plan: Plan, model: str) -> str:
    data = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": model, "labels": {MODEL: model}},
        "spec": {
            "selector": {MODEL: model},
            "ports": [{"name": "http", "port": PORT, "targetPort": "http"}],
        },
    }
    reason = (
        f"AIBrix routes requests for the model {model} to the Service of that name: it stands for "
        "all pools of the workload, whose engines answer to the name, too."
    )
    return yaml_document(data, [*plan_lines(plan), "", reason])


def _pod_autoscaler(pool: Pool) -> dict[str, Any]:
    engine = "" if pool.settings is None else pool.settings.engine
    schedules = [
        {
            "name": f"hours-{i}",
            "timezone": TIME_ZONE,
            **({} if part.day is None else {"daysOfWeek": [part.day]}),
            "startTime": f"{part.first:02}:00",
            "endTime": LAST_MINUTE if part.end == HOURS_PER_DAY else f"{part.end:02}:00",
            "minReplicas": max(1, part.replicas),
        }
        for i, part in enumerate(_day_parts(pool), start=1)
    ]
    return {
        "apiVersion": "autoscaling.aibrix.ai/v1alpha1",
        "kind": "PodAutoscaler",
        "metadata": {"name": pool.name},
        "spec": {
            "scalingStrategy": "APA",
            "minReplicas": floor_of(pool),
            "maxReplicas": max(1, pool.most),
            **({"schedules": schedules} if schedules else {}),
            "metricsSources": [
                {
                    "metricSourceType": "pod",
                    "protocolType": "http",
                    "port": str(PORT),
                    "path": "metrics",
                    "targetMetric": engine_metrics(engine).running.partition(":")[2]
                    or engine_metrics(engine).running,
                    "targetValue": f"{_target(pool):g}",
                }
            ],
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": pool.name},
        },
    }


def _day_parts(pool: Pool) -> Iterator[DayPart]:
    """The windows with more replicas than the fewest, none of them across midnight."""
    hours = windows(pool.plan.block_by_hour, pool.replicas_by_block)
    return (part for window in hours if window.replicas > pool.fewest for part in window.by_day())


def _target(pool: Pool) -> float:
    """Requests in flight in a replica above which another is due."""
    return max(1.0, round((pool.in_flight or 1) * pool.workload.utilization_limit, 3))


def _target_line(pool: Pool) -> str:
    return (
        f"targetValue {_target(pool):g}: {pool.in_flight or 1} requests in flight at full load x "
        f"{pool.workload.utilization_limit:.3g}; at less load each is faster, so that fewer fly."
    )
