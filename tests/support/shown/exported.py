"""A plan to export, made by hand, and readers of what was exported that know nothing of it."""

from __future__ import annotations

import math
import re
import shlex
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

from milp_planner import (
    Candidate,
    DeployedLlm,
    DeploymentSettings,
    Plan,
    Purchase,
    RatePoint,
    RequestClass,
    Route,
    TimeBlock,
)
from tests.support.builders import offering, token_price
from tests.support.sample_plans import plan, workload_plan

DAYTIME, NIGHT = TimeBlock("day", 360.0), TimeBlock("night", 360.0)
SHORT, LONG = RequestClass("1500/300", 1500, 300, 0.8), RequestClass("6000/500", 6000, 500, 0.2)
CLOCK = (1,) * 8 + (0,) * 12 + (1,) * 4
"""Day from 8 to 20 h."""

SETTINGS = DeploymentSettings(engine_version="0.11.0")
LLAMA = DeployedLlm("meta-llama/Llama-3.3-70B-Instruct", "bf16", 131072, SETTINGS)


def candidate(
    provider: str, name: str, gpu: str, gpus: int, tensor_parallel: int, rate: float, **fields: Any
) -> Candidate:
    """Replicas of `tensor_parallel` GPUs that serve `rate` requests/s each, 40 in flight."""
    joined = fields.pop("units_joined", 1)
    stages = fields.pop("pipeline_parallel", 1)
    row = {"billing": "dedicated", "region": "us-east-1", "instance_type": name, **fields}
    return Candidate(
        workload="chat",
        offering=offering(provider, gpu, 10.0, gpus_per_unit=gpus, name=name.lower() or gpu, **row),
        precision="fp8",
        tensor_parallel=tensor_parallel,
        replicas_per_unit=gpus * joined // (tensor_parallel * stages),
        points=tuple(RatePoint(rate, 0.8, 39.2, 0.04, 0.5, True, "measured") for _ in "ab"),
        shares=(0.8, 0.2),
        classes=(SHORT, LONG),
        units_joined=joined,
        pipeline_parallel=stages,
        deployment=SETTINGS.label,
    )


RESERVED = candidate("aws", "p5.48xlarge", "h100-80gb-sxm", 8, 2, rate=2.0, billing="reserved_1y")
"""4 replicas a unit."""

SPOT = candidate("aws", "g6e.12xlarge", "l40s-48gb", 4, 4, rate=1.0, billing="spot")
ON_DEMAND = candidate("aws", "g6e.12xlarge", "l40s-48gb", 4, 4, rate=1.0)
JOINED = candidate(
    "gcp", "a3-highgpu-8g", "h100-80gb-sxm", 8, 8, rate=3.0, units_joined=2, pipeline_parallel=2
)
NAMELESS = candidate("acme", "", "l40s-48gb", 4, 4, rate=1.0)
"""Of a provider that no tool knows, without an instance type."""

API = Candidate(
    workload="chat",
    offering=token_price("together", 0.9, "llama-3.3-70b", note="meta-llama/Llama-3.3-70B-Turbo"),
    precision="",
    tensor_parallel=0,
    replicas_per_unit=0,
    points=(),
    shares=(0.8, 0.2),
    classes=(SHORT, LONG),
    usd_per_request=(0.001, 0.003),
)


def bought(k: Candidate, *units: int, cash: float | None = None) -> Purchase:
    """Units by day and by night, 360 hours of each, at 10 USD an hour."""
    paid = sum(units) * 360 * 10.0 * k.units_joined if cash is None else cash
    return Purchase(k, units, (360.0, 360.0), paid, 0.25)


def fleet(*purchases: Purchase, deployed: DeployedLlm | None = LLAMA, **fields: Any) -> Plan:
    """A plan of these purchases; each serves the same share of every class."""
    share = 1 / len(purchases)
    routes = tuple(
        Route(p.candidate, q, block, share, share * q.share * rate)
        for block, rate in ((DAYTIME, 20.0), (NIGHT, 5.0))
        for q in (SHORT, LONG)
        for p in purchases
    )
    values = {
        "blocks": (DAYTIME, NIGHT),
        "block_by_hour": CLOCK,
        "routes": routes,
        "workloads": (workload_plan(deployed=deployed, ttft_wish_s=2.0),),
    }
    return plan(*purchases, **{**values, **fields})


def mixed() -> Plan:
    """Reserved all day, spot by day, one on demand: what most formats can say."""
    return fleet(bought(RESERVED, 1, 1), bought(SPOT, 3, 0), bought(ON_DEMAND, 1, 1))


Pool = tuple[str, int, int]
"""(repository of the LLM, replicas, GPUs of all of them)."""


def pools_in(plan: Plan) -> Counter[Pool]:
    """What a plan runs at its most: the oracle, straight from its records."""
    hf_ids = {w.name: w.deployed.hf_id for w in plan.workloads if w.deployed}
    return Counter(
        (hf_ids[p.candidate.workload], replicas, p.units * p.candidate.gpus_per_unit)
        for p in plan.purchases
        if not p.candidate.mode.per_token
        for replicas in [p.units * p.candidate.replicas_per_unit]
    )


def alike_in(plan: Plan) -> Counter[Pool]:
    """The same where units of one shape count together, in the block that has the most of them."""
    hf_ids = {w.name: w.deployed.hf_id for w in plan.workloads if w.deployed}
    groups: dict[tuple[object, ...], list[Purchase]] = {}
    for p in plan.purchases:
        k = p.candidate
        shape = k.workload, k.gpu, k.gpus_per_unit, k.tensor_parallel, k.precision
        groups.setdefault(shape, []).append(p)
    found: Counter[Pool] = Counter()
    for mine in groups.values():
        k = mine[0].candidate
        units = max(sum(t) for t in zip(*(p.units_by_block for p in mine), strict=True))
        found[hf_ids[k.workload], units * k.replicas_per_unit, units * k.gpus_per_unit] += 1
    return found


def documents(folder: Path, pattern: str = "*.y*ml") -> list[dict[str, Any]]:
    """Every YAML document in a folder."""
    texts = [path.read_text() for path in sorted(folder.glob(pattern))]
    return [one for text in texts for one in yaml.safe_load_all(text)]


def pools_in_kubernetes(folder: Path) -> Counter[Pool]:
    """From Deployments and LeaderWorkerSets."""
    found: Counter[Pool] = Counter()
    for one in documents(folder):
        spec = one.get("spec", {})
        if one["kind"] == "Deployment":
            pods = [spec["template"]["spec"]]
        elif one["kind"] == "LeaderWorkerSet":
            group = spec["leaderWorkerTemplate"]
            worker = group["workerTemplate"]["spec"]
            pods = [group["leaderTemplate"]["spec"]] + [worker] * (group["size"] - 1)
        else:
            continue
        engines = [pod["containers"][0] for pod in pods]
        gpus = sum(int(n) for e in engines for n in e["resources"]["limits"].values())
        found[engines[0]["command"][-1], spec["replicas"], gpus * spec["replicas"]] += 1
    return found


def pools_in_scripts(folder: Path) -> Counter[Pool]:
    """From command lines, and how often each is to be run."""
    found: Counter[Pool] = Counter()
    for path in folder.glob("*.sh"):
        text = path.read_text()
        words = shlex.split(text, comments=True)
        said = " ".join(line.removeprefix("# ") for line in text.splitlines() if line[:1] == "#")
        times = int(re.search(r"Run it (\d+) time", said)[1])
        value = dict(pairwise(words))
        parallel = ("--tensor-parallel-size", "--pipeline-parallel-size")
        gpus = math.prod(int(value.get(name, 1)) for name in parallel)
        found[value["serve"], times, times * gpus] += 1
    return found


def pools_in_llm_d(folder: Path) -> Counter[Pool]:
    """From the chart's values."""
    return Counter(
        (
            one["modelArtifacts"]["uri"].removeprefix("hf://"),
            one["decode"]["replicas"],
            one["decode"]["replicas"]
            * one["decode"]["parallelism"]["tensor"]
            * one["decode"]["parallelism"]["workers"],
        )
        for one in documents(folder)
    )


def pools_in_stack(folder: Path) -> Counter[Pool]:
    """From the production stack's values."""
    (values,) = documents(folder)
    return Counter(
        (one["modelURL"], one["replicaCount"], one["replicaCount"] * one["requestGPU"])
        for one in values["servingEngineSpec"]["modelSpec"]
    )


def pools_in_dstack(folder: Path) -> Counter[Pool]:
    """From services: a replica there is a unit, with a copy for each of its replicas."""
    found: Counter[Pool] = Counter()
    for one in documents(folder, "*.service.dstack.yml"):
        units = int(str(one["replicas"]).rpartition("..")[2])
        found[_unit(one["commands"][0], one["resources"]["gpu"], units)] += 1
    return found


def pools_in_skyserve(folder: Path) -> Counter[Pool]:
    """From services; those of the hours left out."""
    found: Counter[Pool] = Counter()
    for path in folder.glob("*.yaml"):
        if re.search(r"-at-\d+$", path.stem):
            continue
        one = yaml.safe_load(path.read_text())
        said, resources = one["service"], one["resources"]
        units = said.get("replicas", said.get("replica_policy", {}).get("max_replicas"))
        place = resources.get("any_of", [resources])[0]
        found[_unit(one["run"], place["accelerators"], units)] += 1
    return found


def _unit(command: str, gpu: str, units: int) -> Pool:
    words = shlex.split(command)
    value = dict(pairwise(words))
    copies = int(value.get("--data-parallel-size", 1))
    return value["serve"], units * copies, units * int(gpu.rpartition(":")[2])
