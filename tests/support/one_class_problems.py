"""Random problems that nothing links: one class each, held and elastic units, no limit in force."""

from __future__ import annotations

import random
from typing import Any

from milp_planner import Catalog, Problem
from tests.support.builders import catalog, offering, problem, raw, workload

HELD_OR_NOT = ("dedicated", "autoscaling", "reserved_1y", "spot")


def one_class_case(
    seed: int, workloads: int = 2, blocks: int = 3, **fields: Any
) -> tuple[Problem, Catalog]:
    """A problem and its catalog; a seed always gives the same. fields: of the problem."""
    chance = random.Random(seed)
    speed = {gpu: chance.choice([2.0, 3.0, 5.5, 7.0]) for gpu in ("gpu0", "gpu1", "gpu2")}
    rented = {}
    for i in range(chance.randint(3, 6)):
        gpu = chance.choice(sorted(speed))
        gpus = chance.choice([1, 1, 2])
        billing = chance.choice(HELD_OR_NOT)
        price = round(speed[gpu] * gpus * chance.uniform(0.3, 0.7), 2)
        row = offering(f"seller{i}", gpu, price, billing=billing, gpus_per_unit=gpus)
        rented[row.key] = row
    allowed = {"billing": {"allow": list(HELD_OR_NOT)}}
    asked = [workload(1, f"w{i}", traffic=_traffic(chance, blocks)) for i in range(workloads)]
    policy = {"share": "none", **fields.pop("policy", {})}
    limits = {**allowed, **fields.pop("limits", {})}
    target = chance.choice([0.8, 1.0])
    rates = [raw(gpu, rate) for gpu, rate in sorted(speed.items())]
    question = problem(workloads=asked, limits=limits, policy=policy, target=target, **fields)
    return question, catalog(list(rented.values()), rates)


def _traffic(chance: random.Random, blocks: int) -> dict[str, Any]:
    levels = [chance.choice([0, 1, 2, 3, 5]) for _ in range(blocks)]
    hours = [level for level in levels for _ in range(24 // blocks)]
    return {
        "kind": "profile",
        "requests_per_day": chance.choice([2.0, 4.0, 6.5]) * 86_400,
        "weights": hours if any(hours) else [1] * 24,
        "max_blocks": blocks,
    }
