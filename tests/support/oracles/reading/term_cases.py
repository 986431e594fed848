"""Random problems for readers: LLMs to choose among, batches, commitments, starts and volume."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

from milp_planner import Catalog, Offering, Problem
from tests.support.builders import catalog, offering, problem, raw, token_price, workload
from tests.support.oracles.fleets.fleet_cases import TODAY, as_asked, fleet_case

LLMS = {"rich": 0.9, "fair": 0.8, "lean": 0.6}


def term_case(seed: int) -> tuple[Problem, Catalog]:
    """A problem and its catalog: every second one of a fleet, the others of choices and batches."""
    if seed % 2:
        return as_asked(fleet_case(seed))
    chance = random.Random(f"terms {seed}")
    offers = _offers(chance)
    rates = [
        raw(gpu, round(chance.choice([1.0, 2.5, 4.0]) / (0.5 + quality), 3), llm=llm)
        for gpu in sorted({o.gpu for o in offers})
        for llm, quality in LLMS.items()
    ]
    tokens = [token_price("tokn", chance.choice([30, 90]), llm="fair")]
    rented = replace(catalog(offers, rates, tokens), read_on=TODAY)
    hours = [load for load in chance.choices([0, 1, 2, 4], k=3) for _ in range(8)]
    hours = hours if any(hours) else [1] * 24
    day = {
        "kind": "profile",
        "requests_per_day": sum(hours) * 3_600,
        "weights": hours,
        "burst_factor": chance.choice([1, 1.5]),
        "max_blocks": 24,
    }
    chat = workload(name="chat", llm=_llm(chance), traffic=day)
    others = []
    is_batch = chance.random() < 0.5
    if is_batch:
        others.append(workload(name="night", llm="lean", traffic=_batch(chance)))
    if chance.random() < 0.5:
        others.append(workload(2, "code", llm="lean", min_replicas=chance.choice([1, 1, 2])))
    return problem(
        workloads=[chat, *others],
        policy={
            "utilization": {"target": chance.choice([0.75, 1.0])},
            "switch_off_dedicated": chance.choice([None, True, False]),
            "spot_loss": chance.choice([0, 0.1]),
            **({} if is_batch else _start_up(chance, offers)),
        },
        limits=_limits(chance),
        **_paid(chance, offers, is_batch),
    ), rented


def _offers(chance: random.Random) -> list[Offering]:
    found: dict[tuple[str, str], Offering] = {}
    for _ in range(chance.randint(3, 5)):
        gpu = chance.choice(["box", "big"])
        row = offering(
            chance.choice(["acme", "bolt", "core"]),
            gpu,
            round(chance.uniform(1, 6), 2),
            name=f"{gpu}{chance.choice('ab')}",
            billing=chance.choice(["dedicated", "dedicated", "autoscaling", "spot"]),
            billed_by=chance.choice([None, "second", "month"]),
        )
        found[row.key] = row
    return list(found.values())


def _llm(chance: random.Random) -> Any:
    names = chance.sample(sorted(LLMS), chance.choice([2, 3]))
    best = max(LLMS[name] for name in names)
    wish = chance.choice([{}, {"at_least": 0.7}, {"at_least": 0.75, "each": 0.6}, {"each": 0.7}])
    asked = {key: min(least, best) for key, least in wish.items()}
    return {"any_of": names, "quality": {name: LLMS[name] for name in names}, **asked}


def _batch(chance: random.Random) -> dict[str, Any]:
    hours, start = chance.choice([(24, 0), (10, 20), (8, 8)])
    work = chance.choice([5, 20, 60]) * 3_600
    window = {"deadline": f"{hours}h", "every": "day", "from_hour": start}
    return {"kind": "batch", "requests": work, **window}


def _limits(chance: random.Random) -> dict[str, Any]:
    limits: dict[str, Any] = {
        "billing": {"allow": ["dedicated", "autoscaling", "spot", "per_token"]}
    }
    if chance.random() < 0.3:
        kind, share = chance.choice(["provider", "spot", "offering"]), chance.choice([0.5, 1.0])
        limits["survive_loss_of"] = {"kind": kind, "share": share}
    if chance.random() < 0.2:
        limits["min_on_demand_replicas"] = 1
    if chance.random() < 0.3:
        limits["max_spot_share"] = chance.choice([0.3, 0.6])
    if chance.random() < 0.2:
        limits["providers"] = {"max_share": chance.choice([0.5, 0.8])}
    return limits


def _start_up(chance: random.Random, offers: list[Offering]) -> dict[str, Any]:
    one = {"ready_after": f"{chance.choice([6, 30, 90])}min"}
    other = {"offering": chance.choice(offers).id, "ready_after": "3h"}
    return {"start_up": chance.choice([[], [one], [one, other]])}


def _paid(chance: random.Random, offers: list[Offering], is_batch: bool) -> dict[str, Any]:
    """Commitments, several of which may be about one offering, or discounts by volume."""
    held = [o for o in offers if o.billing != "spot"]
    if held and chance.random() < 0.6:
        names = ["*", *(f"{o.provider}/*" for o in held), *(o.id for o in held)]
        units = {"offering": chance.choice(names), "units": chance.choice([1, 2])}
        usd = {"offering": chance.choice(names), "usd_per_hour": 2, "discount": 0.25}
        ends = {"until": chance.choice(["2026-03-10", "2026-03-20", "2026-05"])}
        until = [units | ends, usd], [units, usd | ends]
        return {"commitments": chance.choice([[units], [usd], [units, usd], *until])}
    if is_batch or chance.random() < 0.4:
        return {}
    tiers = [{"above": 300, "discount": 0.1}, {"above": 2_000, "discount": 0.3}]
    who = f"{chance.choice(offers).provider}/*"
    return {"prices": {"volume": {chance.choice(["*", who]): tiers[: chance.choice([1, 2])]}}}
