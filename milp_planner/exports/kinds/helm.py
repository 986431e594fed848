"""Values for Helm charts: llm-d's modelservice, one file for each pool; vLLM's production stack,
one file for the whole plan.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from milp_planner.errors import input_error
from milp_planner.exports.kinds.commands import argument_lines
from milp_planner.exports.kinds.kubernetes import (
    ROLLED_OUT,
    SHM,
    START,
    TOKEN,
    TOKEN_LINE,
    labels,
    node_selector,
    scaling_lines,
    tolerations,
)
from milp_planner.exports.parts.engines import (
    PORT,
    Command,
    check_engine,
    command_of,
    node_arguments,
)
from milp_planner.exports.parts.names import gpu_names
from milp_planner.exports.parts.pools import Pool, plan_lines, pool_lines, pools_of
from milp_planner.exports.parts.words import Words
from milp_planner.exports.parts.writing import yaml_document
from milp_planner.plans.records import Plan

REQUEST_CPU, REQUEST_MEMORY = 4, "16Gi"
"""The stack's chart asks for both; no plan knows them, so that they are small."""


def llm_d_files(plan: Plan, words: Words) -> dict[str, str]:
    """`NAME.yaml` for each pool: the values of a release of llm-d-modelservice."""
    pools = pools_of(plan)
    check_engine(pools, "vllm")
    return {f"{pool.name}.yaml": _llm_d(pool, words) for pool in pools}


def _llm_d(pool: Pool, words: Words) -> str:
    command = command_of(pool, words)
    resource = gpu_names(pool.candidate.gpu).resource
    gpus = {resource: str(pool.gpus_per_node)}
    program, arguments = _started(pool, command)
    values = {
        "fullnameOverride": pool.name,
        "multinode": pool.nodes_per_replica > 1,
        "modelArtifacts": {
            "name": pool.workload.llm,
            "uri": f"hf://{command.model}",
            "labels": {**labels(pool), "llm-d.ai/inferenceServing": "true"},
        },
        "accelerator": {"type": resource.partition(".")[0]},
        "routing": {"servicePort": PORT, "proxy": {"enabled": False}},
        "decode": {
            "create": True,
            "replicas": pool.most,
            "nodeSelector": node_selector(pool, words),
            "parallelism": {"tensor": pool.gpus_per_node, "workers": pool.nodes_per_replica},
            "containers": [
                {
                    "name": "vllm",
                    "image": command.image,
                    "modelCommand": "custom",
                    "command": program,
                    "args": arguments,
                    "ports": [{"containerPort": PORT, "name": "metrics", "protocol": "TCP"}],
                    "env": [TOKEN],
                    "resources": {"limits": gpus, "requests": dict(gpus)},
                    "mountModelVolume": False,
                    "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
                }
            ],
            "volumes": [SHM],
            "enableServiceLinks": False,
        },
        "prefill": {"create": False, "replicas": 0},
    }
    reasons = [*plan_lines(pool.plan), "", *pool_lines(pool), "", *argument_lines(pool, command)]
    scaling = list(scaling_lines(pool))
    return yaml_document(values, [*reasons, "", *scaling[:1], *llm_d_lines(pool)])


def _started(pool: Pool, command: Command) -> tuple[list[str], list[str]]:
    """Program and arguments; a shell tells leader and workers apart where a replica has both."""
    arguments = [word for argument in command.arguments for word in argument]
    if pool.nodes_per_replica == 1:
        return list(command.program), arguments
    rank, leader = '"$LWS_WORKER_INDEX"', '"$LWS_LEADER_ADDRESS"'
    joined = node_arguments(command.engine, '"$LWS_GROUP_SIZE"', rank, leader)
    nodes = " ".join(word for argument in joined for word in argument)
    silent = f"$([ {rank} = 0 ] || echo --headless)"
    return ["/bin/sh", "-c"], [f"exec {shlex.join(command.words)} {nodes} {silent}"]


def llm_d_lines(pool: Pool) -> Iterator[str]:
    """What the chart does not hold: who scales it, and where the weights come from."""
    yield (
        f"replicas {pool.most}: of the busiest block. Scale it with `milp-planner export keda` or "
        "`hpa`; the engine fetches the weights itself (mountModelVolume false)."
    )
    yield TOKEN_LINE
    taint = gpu_names(pool.candidate.gpu).resource
    yield f"The chart's values have no tolerations: keep the taint {taint} off the nodes."


def production_stack_files(plan: Plan, words: Words) -> dict[str, str]:
    """`values.yaml`: one entry of `modelSpec` for each pool."""
    pools = pools_of(plan)
    check_engine(pools, "vllm")
    spread = [pool.name for pool in pools if pool.nodes_per_replica > 1]
    if spread:
        raise input_error(
            f"replicas of {', '.join(spread)} span several units, which the chart's values for "
            "one pod cannot say",
            hint="milp-planner export kubernetes writes LeaderWorkerSets",
        )
    reasons = [
        line
        for pool in pools
        for line in (
            *pool_lines(pool),
            *argument_lines(pool, command_of(pool, words)),
            *scaling_lines(pool),
            "",
        )
    ]
    unknown = f"requestCPU {REQUEST_CPU} and requestMemory {REQUEST_MEMORY} are not of the plan."
    scaled = (
        "replicaCount is that of the busiest block. Scale with `milp-planner export keda`; the "
        "chart calls the Deployment of a pool RELEASE-NAME-deployment-vllm."
    )
    specs = [_model_spec(pool, words) for pool in pools]
    started = {"failureThreshold": START["failureThreshold"]}
    rolled = ROLLED_OUT["strategy"]
    values = {
        "servingEngineSpec": {"startupProbe": started, "strategy": rolled, "modelSpec": specs}
    }
    text = yaml_document(values, [*plan_lines(plan), "", *reasons, unknown, scaled, TOKEN_LINE])
    return {"values.yaml": text}


def _model_spec(pool: Pool, words: Words) -> dict[str, Any]:
    command = command_of(pool, words)
    repository, _, tag = command.image.partition(":")
    own = {"--tensor-parallel-size", "--max-model-len", "--max-num-seqs", "--dtype"}
    own |= {"--gpu-memory-utilization", "--host", "--port"}
    config: dict[str, Any] = {
        "tensorParallelSize": pool.candidate.tensor_parallel,
        "gpuMemoryUtilization": float(command.value("--gpu-memory-utilization") or 0),
    }
    for key, name in (("maxModelLen", "--max-model-len"), ("maxNumSeqs", "--max-num-seqs")):
        value = command.value(name)
        if value is not None:
            config[key] = int(value)
    dtype = command.value("--dtype")
    if dtype is not None:
        config["dtype"] = dtype
    config["extraArgs"] = [w for a in command.arguments if a[0] not in own for w in a]
    terms = [
        {"key": key, "operator": "In", "values": [value]}
        for key, value in node_selector(pool, words).items()
    ]
    return {
        "name": pool.name,
        "repository": repository,
        "tag": tag or "latest",
        "modelURL": command.model,
        "replicaCount": pool.most,
        "requestCPU": REQUEST_CPU,
        "requestMemory": REQUEST_MEMORY,
        "requestGPU": pool.gpus_per_replica,
        "requestGPUType": gpu_names(pool.candidate.gpu).resource,
        "nodeSelectorTerms": [{"matchExpressions": terms}],
        "tolerations": tolerations(pool),
        "env": [TOKEN],
        "vllmConfig": config,
    }
