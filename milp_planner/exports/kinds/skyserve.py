"""SkyPilot SkyServe: one service for alike replicas of a workload, wherever they are rented.

A service chooses among the places of `any_of` by itself. Where the plan's hours differ there is a
file for each number of replicas, and a crontab that puts them in force.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

from milp_planner.exports.kinds.commands import argument_lines
from milp_planner.exports.parts.engines import PORT, command_of
from milp_planner.exports.parts.hours import TIME_ZONE, windows
from milp_planner.exports.parts.names import EVERYWHERE, SKYPILOT_CLOUDS, skypilot_gpu
from milp_planner.exports.parts.pools import (
    Pool,
    plan_lines,
    pool_lines,
    pools_of,
    unique_names,
)
from milp_planner.exports.parts.whole_units import check_whole_units
from milp_planner.exports.parts.words import Words
from milp_planner.exports.parts.writing import commented, yaml_document
from milp_planner.lazily import dataclass
from milp_planner.plans.records import Plan

START_S = 3600
"""How long a replica may take to load its weights before it counts as broken."""

INSTALLED = {"vllm": "vllm", "sglang": "sglang[all]", "tensorrt-llm": "tensorrt-llm"}


@dataclass(frozen=True)
class Service:
    """Pools whose units are alike: any of them may stand for another."""

    name: str
    pools: tuple[Pool, ...]

    @property
    def units_by_block(self) -> tuple[int, ...]:
        """Units of all its pools in each block; a replica of SkyServe is a unit."""
        return tuple(sum(t) for t in zip(*(p.units_by_block for p in self.pools), strict=True))

    @property
    def on_demand(self) -> int:
        """Units that nobody takes away, in the block that has the fewest."""
        kept = [p.units_by_block for p in self.pools if not p.candidate.mode.interruptible]
        return min(map(sum, zip(*kept, strict=True)), default=0)

    @property
    def has_spot(self) -> bool:
        """Whether some of it is spot."""
        return any(p.candidate.mode.interruptible for p in self.pools)


def skyserve_files(plan: Plan, words: Words) -> dict[str, str]:
    """`NAME.yaml` for each service, `NAME-at-N.yaml` and `schedule.crontab` where hours differ."""
    pools = pools_of(plan)
    check_whole_units(pools, "A SkyServe replica is one instance")
    services = _services(pools)
    files = {f"{one.name}.yaml": _task(one, words) for one in services}
    timed = [one for one in services if windows(plan.block_by_hour, one.units_by_block)]
    for one in timed:
        for units in sorted({w.replicas for w in windows(plan.block_by_hour, one.units_by_block)}):
            files[f"{one.name}-at-{units}.yaml"] = _task(one, words, units)
    if timed:
        files["schedule.crontab"] = _crontab(plan, timed)
    return files


def _services(pools: tuple[Pool, ...]) -> tuple[Service, ...]:
    groups: dict[tuple[object, ...], list[Pool]] = {}
    for pool in pools:
        k = pool.candidate
        shape = k.llm, k.gpu, k.gpus_per_unit, k.precision, k.tensor_parallel, k.replicas_per_unit
        groups.setdefault((pool.workload.name, *shape), []).append(pool)
    names = unique_names(
        f"{mine[0].workload.name}-{mine[0].candidate.gpu}" for mine in groups.values()
    )
    return tuple(
        Service(name, tuple(mine)) for name, mine in zip(names, groups.values(), strict=True)
    )


def _task(service: Service, words: Words, units: int | None = None) -> str:
    first = service.pools[0]
    command = command_of(first, words, copies=first.candidate.replicas_per_unit)
    places = _places(service, words)
    chosen = places[0] if len(places) == 1 else {"any_of": places}
    settings = first.settings
    version = "" if settings is None else settings.engine_version
    package = INSTALLED.get(command.engine, command.image)
    installed = shlex.quote(f"{package}=={version}" if version else package)
    run = shlex.join(command.words) or words.word("COMMAND", "what serves on the port")
    data: dict[str, Any] = {
        "name": service.name,
        "service": {
            "readiness_probe": {"path": "/v1/models", "initial_delay_seconds": START_S},
            **_replicas(service, units),
        },
        "resources": {**chosen, "ports": PORT},
        "envs": {"HF_TOKEN": ""},
        "setup": f"pip install {installed}\n",
        "run": f"{run}\n",
    }
    reasons = [line for pool in service.pools for line in (*pool_lines(pool), "")]
    more = [*argument_lines(first, command), "", *_service_lines(service, units)]
    return yaml_document(data, [*plan_lines(first.plan), "", *reasons, *more])


def _replicas(service: Service, units: int | None) -> dict[str, Any]:
    """Fixed, or between the plan's fewest and most, scaled by requests."""
    by_block = service.units_by_block
    fewest, most = (units, units) if units is not None else (min(by_block), max(by_block))
    spot = {}
    if service.has_spot and most > 0:
        spot = {
            "base_ondemand_fallback_replicas": min(service.on_demand, fewest),
            "dynamic_ondemand_fallback": False,
        }
    if fewest == most and not spot:
        return {"replicas": most}
    policy: dict[str, Any] = {"min_replicas": fewest, "max_replicas": most}
    if service.pools[0].workload.unit == "requests/s":
        policy["target_qps_per_replica"] = float(f"{_target(service):.6g}")
    elif not spot:
        return {"replicas": most}
    else:  # without a target it takes but one number
        policy["min_replicas"] = most
    return {"replica_policy": {**policy, **spot}}


def _target(service: Service) -> float:
    pool = service.pools[0]
    return min(one.target_rate for one in service.pools) * pool.candidate.replicas_per_unit


def _service_lines(service: Service, units: int | None) -> Iterator[str]:
    by_block = service.units_by_block
    plan, w = service.pools[0].plan, service.pools[0].workload
    told = ", ".join(f"{b.name} {n}" for b, n in zip(plan.blocks, by_block, strict=True))
    yield f"A replica here is a unit. Units by time block of the plan: {told}."
    yield "Gated weights need a token: sky serve up --env HF_TOKEN."
    if units is not None:
        yield f"This file is for the hours with {units}; schedule.crontab says which."
    if w.unit == "requests/s":
        yield (
            f"target_qps_per_replica {_target(service):.6g}: what a unit serves at full load x "
            f"{w.utilization_limit:.3g}, the utilization that the plan allows."
        )
    else:
        yield (
            f"The plan counts {w.unit}, by which SkyServe does not scale: replicas are those of "
            "the busiest block."
        )
    if len(service.pools) > 1:
        split = ", ".join(f"{p.purchase.units} at {p.candidate.offering.id}" for p in service.pools)
        yield f"SkyServe takes the cheapest that is there; the plan has {split}."
    if service.has_spot:
        yield (
            f"base_ondemand_fallback_replicas {service.on_demand}: the units that the plan does "
            "not buy as spot."
        )


def _places(service: Service, words: Words) -> list[dict[str, Any]]:
    """Where its units may be rented, each place once.

    All of them are spot or none is, as SkyServe asks; units on demand are those that
    `base_ondemand_fallback_replicas` counts.
    """
    places = [_place(pool, words, is_spot=service.has_spot) for pool in service.pools]
    return [one for i, one in enumerate(places) if one not in places[:i]]


def _place(pool: Pool, words: Words, *, is_spot: bool) -> dict[str, Any]:
    """Where a unit may be rented, in SkyPilot's words."""
    k, o = pool.candidate, pool.candidate.offering
    gpu, cloud = skypilot_gpu(o.provider, k.gpu), SKYPILOT_CLOUDS.get(o.provider)
    if not gpu:
        gpu = words.word(f"SKYPILOT-NAME-OF-{k.gpu}", f"what SkyPilot calls {k.gpu}")
    if cloud is None:
        cloud = words.word(f"SKYPILOT-INFRA-OF-{o.provider}", f"SkyPilot's way to {o.provider}")
    region = "" if k.region in EVERYWHERE else f"/{k.region}"
    instance = getattr(o, "instance_type", "")
    return {
        "infra": f"{cloud}{region}",
        **({"instance_type": instance} if instance else {}),
        "accelerators": f"{gpu}:{k.gpus_per_unit}",
        "use_spot": is_spot,
    }


def _crontab(plan: Plan, services: list[Service]) -> str:
    lines = [
        f"{window.cron_start} sky serve update -y {one.name} {one.name}-at-{window.replicas}.yaml"
        for one in services
        for window in windows(plan.block_by_hour, one.units_by_block)
    ]
    reasons = [
        *plan_lines(plan),
        f"The plan's hours; a profile names no zone, and they are taken for {TIME_ZONE}.",
    ]
    return commented(reasons) + f"CRON_TZ={TIME_ZONE}\n" + "\n".join(lines) + "\n"
