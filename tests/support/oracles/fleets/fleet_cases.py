"""Random small fleets with all that is paid, owed and limited at once: one workload, one class.

Three kinds of units at most, each at a seller of its own, and perhaps an API; loads by the hour of
the day. A seed always gives the same case.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from milp_planner import Catalog, Problem
from tests.support.builders import catalog, offering, problem, raw, token_price

TODAY = date(2026, 3, 1)
DAYS = 30
SELLERS = ("acme", "bolt", "core")


@dataclass(frozen=True)
class Kind:
    """What one seller has: one request/s or so for a price."""

    seller: str
    billing: str
    rate: float
    usd: float
    stock: int | None
    billed_by: str | None = None
    kilowatts: float | None = None
    idle_usd: float | None = None
    busy_usd: float | None = None


@dataclass(frozen=True)
class Committed:
    """What is paid already at a seller, until a day of March."""

    seller: str
    units: int | None
    usd_per_hour: float | None
    discount: float
    day: int | None


@dataclass(frozen=True)
class FleetCase:
    """One question; what is None is not asked."""

    hours: tuple[int, ...]
    """Mean requests/s in each hour of the day."""

    burst: float
    kinds: tuple[Kind, ...]
    ready_min: int | None = None
    switch_off: bool | None = None
    committed: Committed | None = None
    on_demand: int = 0
    replicas: int = 1
    survive: tuple[str, float] | None = None
    kilowatts: float | None = None
    power_by_load: bool = False
    today: tuple[str, int] | None = None
    switching: dict[str, float] = field(default_factory=dict)
    volume: tuple[str, float, float] | None = None
    """(seller or *, USD a month, share off what is beyond)."""

    api: tuple[float, float | None] | None = None
    """(USD for 1M tokens, requests a minute)."""

    spot_loss: float = 0.0


def fleet_case(seed: int) -> FleetCase:
    """A question."""
    chance = random.Random(f"fleet {seed}")
    levels = [chance.choice([0, 1, 2, 3, 4]) for _ in range(chance.choice([1, 2, 3]))]
    levels = levels if any(levels) else [2]
    kinds = tuple(_kind(chance, who) for who in SELLERS[: chance.choice([2, 3])])
    names = [kind.seller for kind in kinds]
    paid = [kind.seller for kind in kinds if kind.billing != "spot"]
    committed = _committed(chance, paid) if paid and chance.random() < 0.5 else None
    bought = [kind.seller for kind in kinds if kind.billing != "owned"]
    volume = None
    if bought and committed is None and chance.random() < 0.3:
        who = chance.choice([*bought, "*"])
        volume = who, chance.choice([200.0, 800.0]), chance.choice([0.2, 0.5])
    owned = any(kind.billing == "owned" for kind in kinds)
    is_known = chance.random() < 0.3
    switching = {
        "usd_per_unit_added": chance.choice([0, 20, 300]),
        "usd_per_unit_removed": chance.choice([0, 50]),
        "max_units_changed": chance.choice([None, None, 1, 2]),
    }
    return FleetCase(
        hours=tuple(level for level in levels for _ in range(24 // len(levels))),
        burst=chance.choice([1, 1, 1.5]),
        kinds=kinds,
        ready_min=chance.choice([None, None, 6, 30, 90, 240]),
        switch_off=chance.choice([None, None, True, False]),
        committed=committed,
        on_demand=chance.choice([0, 0, 0, 1, 2]),
        replicas=chance.choice([1, 1, 1, 1, 2]),
        survive=_survival(chance),
        kilowatts=chance.choice([1.0, 2.0, 3.0]) if chance.random() < 0.25 else None,
        power_by_load=owned and chance.random() < 0.5,
        today=(chance.choice(names), chance.choice([1, 2])) if is_known else None,
        switching={k: v for k, v in switching.items() if is_known and v is not None},
        volume=volume,
        api=(chance.choice([20, 60, 150, 400]), chance.choice([None, 60, 120]))
        if chance.random() < 0.3
        else None,
        spot_loss=chance.choice([0, 0, 0.1]),
    )


def _kind(chance: random.Random, seller: str) -> Kind:
    billing = chance.choice(["dedicated", "dedicated", "autoscaling", "spot", "owned"])
    rate = chance.choice([1.0, 1.5, 2.0])
    part = {"spot": 0.6, "autoscaling": 1.2}.get(billing, 1.0)
    usd = round(rate * part * chance.uniform(0.5, 2.0), 2)
    stock = chance.choice([None, None, 1, 2])
    if billing == "owned":
        draw = {"kilowatts": chance.choice([1.0, 2.0, None])}
        usds = {"idle_usd": round(0.8 * usd, 3), "busy_usd": round(1.3 * usd, 3)}
        return Kind(seller, billing, rate, usd, stock, **draw, **usds)
    billed_by = chance.choice([None, None, "second", "month"]) if billing == "dedicated" else None
    return Kind(seller, billing, rate, usd, stock, billed_by)


def _committed(chance: random.Random, sellers: list[str]) -> Committed:
    who, day = chance.choice(sellers), chance.choice([None, 15, 6])
    if chance.random() < 0.3:
        amount = chance.choice([0.5, 1.0, 2.0])
        return Committed(who, None, amount, chance.choice([0.2, 0.5]), day)
    return Committed(who, chance.choice([1, 2]), None, 0.0, day)


def _survival(chance: random.Random) -> tuple[str, float] | None:
    if chance.random() < 0.7:
        return None
    return chance.choice(["spot", "provider"]), chance.choice([1.0, 0.5])


# --- as a problem and a catalog ------------------------------------------------------------------


def as_asked(case: FleetCase) -> tuple[Problem, Catalog]:
    """The case as the planner is asked it."""
    allow = ["dedicated", "autoscaling", "spot", "owned", "per_token"]
    limits: dict[str, Any] = {"billing": {"allow": allow if case.api else allow[:-1]}}
    if case.on_demand:
        limits["min_on_demand_replicas"] = case.on_demand
    if case.survive:
        limits["survive_loss_of"] = dict(zip(("kind", "share"), case.survive, strict=True))
    if case.kilowatts:
        limits["max_power_kw"] = case.kilowatts
    traffic = {
        "kind": "profile",
        "requests_per_day": sum(case.hours) * 3_600,
        "weights": list(case.hours),
        "burst_factor": case.burst,
        "max_blocks": 24,
    }
    asked = problem(
        chat={"traffic": traffic, "min_replicas": case.replicas},
        policy=_policy(case),
        limits=limits,
        **_terms(case),
    )
    return asked, _rented(case)


def _rented(case: FleetCase) -> Catalog:
    rows = [
        offering(
            kind.seller,
            f"gpu-{kind.seller}",
            kind.usd,
            billing=kind.billing,
            max_units=kind.stock,
            billed_by=kind.billed_by,
            kilowatts=kind.kilowatts,
            idle_usd_per_hour=kind.idle_usd,
            busy_usd_per_hour=kind.busy_usd,
        )
        for kind in case.kinds
    ]
    rates = [raw(f"gpu-{kind.seller}", kind.rate) for kind in case.kinds]
    tokens = []
    if case.api:
        usd, a_minute = case.api
        limit = {} if a_minute is None else {"max_requests_per_minute": a_minute}
        tokens = [token_price("tokn", usd, **limit)]
    return replace(catalog(rows, rates, tokens), read_on=TODAY)


def _policy(case: FleetCase) -> dict[str, Any]:
    policy: dict[str, Any] = {"power_by_load": case.power_by_load, "spot_loss": case.spot_loss}
    if case.ready_min is not None:
        policy["start_up"] = [{"ready_after": f"{case.ready_min}min"}]
    return policy | {"switch_off_dedicated": case.switch_off}


def _terms(case: FleetCase) -> dict[str, Any]:
    terms: dict[str, Any] = {"switching": case.switching}
    if case.committed:
        paid = case.committed
        one: dict[str, Any] = {"offering": f"{paid.seller}/*", "units": paid.units}
        if paid.units is None:
            one |= {"usd_per_hour": paid.usd_per_hour, "discount": paid.discount}
        terms["commitments"] = [one | ({"until": f"2026-03-{paid.day:02}"} if paid.day else {})]
    if case.today:
        who, units = case.today
        (billing,) = (kind.billing for kind in case.kinds if kind.seller == who)
        row = {"offering": f"{who}/gpu-{who}/eu-1", "billing": billing}
        terms["current_fleet"] = [{**row, "units": units, "workload": "chat"}]
    if case.volume:
        who, above, off = case.volume
        pattern = who if who == "*" else f"{who}/*"
        terms["prices"] = {"volume": {pattern: [{"above": above, "discount": off}]}}
    return terms
