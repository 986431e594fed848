"""dstack: a fleet and a service for each pool."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from milp_planner.exports.kinds.commands import argument_lines
from milp_planner.exports.parts.engines import PORT, command_of
from milp_planner.exports.parts.names import DSTACK_BACKENDS, EVERYWHERE, gpu_names
from milp_planner.exports.parts.pools import (
    Pool,
    plan_lines,
    pool_lines,
    pools_of,
    unique_names,
)
from milp_planner.exports.parts.whole_units import check_whole_units
from milp_planner.exports.parts.words import Words
from milp_planner.exports.parts.writing import yaml_document
from milp_planner.plans.records import Plan

LONGEST_NAME = 41
"""Characters that dstack 0.22 takes in the name of a fleet or a run."""

SERVING = "-serve"
"""Ends the name of a service: a run is called otherwise than its fleet."""


def dstack_files(plan: Plan, words: Words) -> dict[str, str]:
    """`NAME.fleet.dstack.yml` and `NAME.service.dstack.yml` for each pool."""
    pools = pools_of(plan)
    check_whole_units(pools, "A dstack service runs each replica on one instance")
    names = unique_names((pool.name for pool in pools), LONGEST_NAME - len(SERVING))
    named = dict(zip(names, pools, strict=True))
    fleets = {f"{name}.fleet.dstack.yml": _fleet(name, pool, words) for name, pool in named.items()}
    return fleets | {
        f"{name}.service.dstack.yml": _service(name, pool, words) for name, pool in named.items()
    }


def _fleet(name: str, pool: Pool, words: Words) -> str:
    k, o = pool.candidate, pool.candidate.offering
    by_block = pool.units_by_block
    fewest, most = min(by_block), max(by_block)
    backend = DSTACK_BACKENDS.get(o.provider)
    if backend is None:
        backend = words.word(f"DSTACK-BACKEND-OF-{o.provider}", f"dstack's way to {o.provider}")
    instance = getattr(o, "instance_type", "")
    data = {
        "type": "fleet",
        "name": name,
        "nodes": f"{fewest}..{most}",
        "backends": [backend],
        **({"regions": [k.region]} if k.region not in EVERYWHERE else {}),
        **({"instance_types": [instance]} if instance else {}),
        "resources": {"gpu": _gpu(pool, words)},
        "spot_policy": _spot(pool),
    }
    reason = f"nodes {fewest}..{most}: the fewest and the most units of any time block."
    return yaml_document(data, [*plan_lines(pool.plan), "", *pool_lines(pool), reason])


def _gpu(pool: Pool, words: Words) -> str:
    k = pool.candidate
    name = gpu_names(k.gpu).dstack
    if not name:
        name = words.word(f"DSTACK-NAME-OF-{k.gpu}", f"what dstack calls {k.gpu}")
    return f"{name}:{k.gpus_per_unit}"


def _spot(pool: Pool) -> str:
    return "spot" if pool.candidate.mode.interruptible else "on-demand"


def _service(name: str, pool: Pool, words: Words) -> str:
    per_unit = pool.candidate.replicas_per_unit
    command = command_of(pool, words, copies=per_unit)
    fewest, most = min(pool.units_by_block), max(pool.units_by_block)
    scaled = fewest < most
    run = shlex.join(command.words) or words.word("COMMAND", "what serves on the port")
    scaling: dict[str, Any] = {}
    if scaled and pool.workload.unit == "requests/s":
        target = float(f"{pool.target_rate * per_unit:.6g}")
        scaling = {"scaling": {"metric": "rps", "target": target}}
    count: int | str = f"{fewest}..{most}" if scaling else most
    data = {
        "type": "service",
        "name": f"{name}{SERVING}",
        "image": command.image,
        "env": {"HF_TOKEN": ""},
        "commands": [run],
        "port": PORT,
        "model": pool.workload.llm,
        "fleets": [name],
        "resources": {"gpu": _gpu(pool, words)},
        "spot_policy": _spot(pool),
        "replicas": count,
        **scaling,
    }
    reasons = [*argument_lines(pool, command), "", *_service_lines(pool, bool(scaling))]
    return yaml_document(data, [*plan_lines(pool.plan), "", *pool_lines(pool), "", *reasons])


def _service_lines(pool: Pool, scaled: bool) -> Iterator[str]:
    per_unit, w = pool.candidate.replicas_per_unit, pool.workload
    if per_unit > 1:
        yield f"A replica here is a unit: {per_unit} replicas of the plan behind one port."
    blocks = zip(pool.plan.blocks, pool.units_by_block, strict=True)
    yield f"Units by time block of the plan: {', '.join(f'{b.name} {n}' for b, n in blocks)}."
    if scaled:
        yield (
            f"target {pool.target_rate * per_unit:.6g} requests/s: what a unit serves at full load "
            f"x {w.utilization_limit:.3g}, the utilization that the plan allows. Scaling needs a "
            "dstack gateway."
        )
    yield "Gated weights need a token: dstack apply --env HF_TOKEN=... -f this file."
