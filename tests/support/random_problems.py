"""Random small problems of every feature: blocks, classes, billings, limits, penalties, changes.

A seed always gives the same problem. Rates are `raw` rows, so that a problem says all that matters.
"""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from milp_planner import Catalog, Offering, Plan, PlanningInput, Problem, prepare
from milp_planner.questions.solve import plan_of, provenance_of
from milp_planner.solving.re_solve import settings_of
from milp_planner.solving.search import Search
from tests.support.builders import catalog, offering, raw, token_price, workload

PROVIDERS = ("acme", "bolt", "core")
REGIONS = ("eu-1", "us-1")
SIZES = ((1, 1), (10, 10), (100, 20))
GPU_BILLINGS = ("dedicated", "autoscaling", "reserved_1y", "spot")
ALL_BILLINGS = (*GPU_BILLINGS, "per_token")


def random_case(seed: int) -> tuple[Problem, Catalog]:
    """A problem and its catalog."""
    chance = random.Random(seed)
    sizes = SIZES[: chance.choice([1, 1, 2, 2, 3])]
    offerings, rates = _rented(chance, sizes)
    apis = [token_price("tokn", _price_of_tokens(chance, offerings))] * chance.choice([0, 0, 1])
    if apis and chance.random() < 0.4:
        apis = [apis[0].model_copy(update={"max_requests_per_minute": 60 * chance.choice([2, 5])})]
    rented = catalog(offerings, rates, apis)
    workloads = [_workload(chance, name, sizes) for name in _names(chance)]
    policy = _policy(chance)
    if "strict_latency" not in policy["penalties"]:  # nothing else reads a requirement
        for w in workloads:
            w["latency"].pop("requirement", None)
    problem = Problem(
        name=f"random-{seed}",
        workloads=workloads,
        policy=policy,
        limits=_limits(chance, offerings),
        alternatives={"count": 0},
        **_changes(chance, offerings, workloads),
    )
    return problem, rented


def planned(problem: Problem, rented: Catalog, **settings: Any) -> tuple[PlanningInput, Plan]:
    """The plan of a problem, and the input that its candidates belong to."""
    given = prepare(problem, rented)
    how = replace(settings_of(problem, time_limit_s=20), **settings)
    search = Search(given, how, provenance_of(given, how), problem.alternatives)
    return given, plan_of(search)


def _names(chance: random.Random) -> list[str]:
    return ["chat", "code", "mail"][: chance.choice([1, 1, 2, 2, 3])]


def _rented(
    chance: random.Random, sizes: tuple[tuple[int, int], ...]
) -> tuple[list[Offering], list[Any]]:
    """Three to six offerings of two or three GPU types, and the types' rates by size."""
    types = [f"gpu{i}" for i in range(chance.randint(2, 3))]
    speed = {gpu: chance.choice([2.0, 3.0, 5.5, 7.0, 11.0]) for gpu in types}
    rates = []
    for gpu in types:
        served = [s for s in sizes if chance.random() < 0.9] or [sizes[0]]
        for i, size in enumerate(sizes):
            if size in served:
                rate = speed[gpu] / (1, 3.5, 9)[i] * chance.choice([1, 1, 1.3, 0.8])
                rates.append(raw(gpu, round(rate, 3), size=size))
    offerings: dict[tuple[str, str], Offering] = {}
    for _ in range(chance.randint(3, 6)):
        gpu = chance.choice(types)
        gpus = chance.choice([1, 1, 2, 4])
        billing = chance.choice(GPU_BILLINGS)
        cheaper = {"spot": 0.5, "reserved_1y": 0.7, "autoscaling": 1.3}.get(billing, 1.0)
        price = round(speed[gpu] * gpus * cheaper * chance.uniform(0.3, 0.7), 2)
        row = offering(
            chance.choice(PROVIDERS),
            gpu,
            price,
            billing=billing,
            gpus_per_unit=gpus,
            region=chance.choice(REGIONS),
            name=f"{gpu}x{gpus}",
            max_units=chance.choice([None, None, None, 1, 3]),
        )
        offerings[row.key] = row
    return list(offerings.values()), rates


def _price_of_tokens(chance: random.Random, offerings: list[Offering]) -> float:
    """USD per million tokens: near what a rented unit costs when it is busy."""
    return round(chance.uniform(20, 200), 1)


def _workload(
    chance: random.Random, name: str, sizes: tuple[tuple[int, int], ...]
) -> dict[str, Any]:
    mine = sizes[: chance.randint(1, len(sizes))]
    weights = [chance.choice([1, 2, 3, 5]) for _ in mine]
    requests = [
        {"input_tokens": i, "output_tokens": o, "share": weight / sum(weights)}
        for (i, o), weight in zip(mine, weights, strict=True)
    ]
    latency: dict[str, Any] = {}
    if chance.random() < 0.3:
        latency["max_band"] = chance.choice(["low", "medium", "high"])
    if chance.random() < 0.5:
        latency["requirement"] = chance.choice([0.2, 0.5])
    return workload(
        1,
        name,
        requests=requests,
        traffic=_traffic(chance),
        latency=latency,
        min_replicas=chance.choice([1, 1, 1, 2, 3]),
        priority=chance.choice([1, 1, 2]),
    )


def _traffic(chance: random.Random) -> dict[str, Any]:
    rate = chance.choice([1.0, 4.0, 6.5, 9.0])
    kind = chance.choice(["constant", "constant", "profile", "pattern"])
    if kind == "constant":
        mean = chance.choice([None, rate, rate / 2])
        return {
            "kind": "requests_per_second",
            "requests_per_second": rate,
            "mean_requests_per_second": mean,
        }
    if kind == "profile":
        levels = [chance.choice([0, 1, 2, 4]) for _ in range(3)]
        weights = [level for level in levels for _ in range(8)]
        return {
            "kind": "profile",
            "requests_per_day": rate * 86_400 / 2,
            "weights": weights if any(weights) else [1] * 24,
            "burst_factor": chance.choice([1, 1.5]),
            "max_blocks": 3,
        }
    return {
        "kind": "tokens_per_day",
        "tokens_per_day": rate * 86_400,
        "pattern": {"active_ratio": chance.choice([0.25, 0.5, 1.0]), "burst_factor": 1.5},
    }


def _policy(chance: random.Random) -> dict[str, Any]:
    target = chance.choice([0.75, 0.75, 0.9, 1.0])
    utilization: dict[str, Any] = {"target": target}
    penalties: dict[str, Any] = {}
    if chance.random() < 0.35:
        utilization["ceiling"] = chance.choice([1.0, 1.1])
        penalties["overload"] = {"usd_at_full_load": chance.choice([500, 2000, 20_000])}
    if chance.random() < 0.3:
        penalties["scaling"] = {
            "above_gpus": chance.choice([1, 2, 4]),
            "usd_per_gpu": chance.choice([100, 1000]),
        }
    if chance.random() < 0.3:
        penalties["strict_latency"] = {"usd": chance.choice([300, 3000])}
    if chance.random() < 0.2:
        penalties["shortfall"] = {"usd_per_million_requests": chance.choice([50, 300, 3000])}
    return {
        "utilization": utilization,
        "penalties": penalties,
        "switch_off_dedicated": chance.random() < 0.2,
        "spot_loss": chance.choice([0, 0, 0.1]),
        "share": "none",
    }


def _limits(chance: random.Random, offerings: list[Offering]) -> dict[str, Any]:
    limits: dict[str, Any] = {"billing": {"allow": list(ALL_BILLINGS)}}
    providers = sorted({o.provider for o in offerings})
    if chance.random() < 0.25:
        limits["budget"] = {
            "usd_per_month": chance.choice([2000.0, 4000.0, 8000.0]),
            "when_short": chance.choice(["fail", "fail", "fair", "priority"]),
        }
    if chance.random() < 0.2:
        limits["providers"] = {"max_count": chance.choice([1, 2])}
    if chance.random() < 0.15:
        limits.setdefault("providers", {})["max_share"] = chance.choice([0.5, 0.6, 0.8])
    if chance.random() < 0.3:
        limits["max_spot_share"] = chance.choice([0.0, 0.3, 0.5])
    if chance.random() < 0.2:
        limits["survive_loss_of"] = chance.choice(
            ["provider", "region", "offering", {"kind": "offering", "share": 0.5}]
        )
    if chance.random() < 0.2:
        limits["max_units"] = {chance.choice(offerings).id: chance.choice([1, 2])}
    if chance.random() < 0.3:
        limits["max_gpus"] = _gpu_limits(chance, offerings, providers)
    if chance.random() < 0.1:
        limits["regions"] = {"max_count": chance.choice([1, 2])}
    if chance.random() < 0.1:
        limits["gpus"] = {"max_count": chance.choice([1, 2])}
    return limits


def _gpu_limits(
    chance: random.Random, offerings: list[Offering], providers: list[str]
) -> dict[str, Any]:
    kind = chance.choice(["total", "per_provider", "per_gpu"])
    if kind == "total":
        return {"total": chance.choice([3, 6, 10])}
    if kind == "per_provider":
        return {"per_provider": {name: chance.choice([2, 4]) for name in providers[:2]}}
    return {"per_gpu": {chance.choice(offerings).gpu: chance.choice([1, 2, 4])}}


def _changes(
    chance: random.Random, offerings: list[Offering], workloads: list[dict[str, Any]]
) -> dict[str, Any]:
    if chance.random() > 0.25:
        return {}
    row = chance.choice(offerings)
    current = {
        "offering": row.id,
        "billing": row.billing,
        "workload": chance.choice(workloads)["name"],
        "units": chance.choice([1, 2]),
    }
    switching: dict[str, Any] = {
        "usd_per_unit_added": chance.choice([0, 50, 300]),
        "usd_per_unit_removed": chance.choice([0, 100]),
    }
    if chance.random() < 0.5:
        switching["max_units_changed"] = chance.choice([2, 4, 8])
    return {"current_fleet": [current], "switching": switching}
