"""Plans built by hand, as reports tell them; and the text and JSON of one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from milp_planner import (
    Candidate,
    EngineReport,
    Plan,
    Proof,
    Provenance,
    Purchase,
    RatePoint,
    RequestClass,
    Route,
    Said,
    Status,
    TimeBlock,
    WorkloadPlan,
)
from milp_planner.reporting.documents.options import DEFAULTS, ReportOptions
from milp_planner.reporting.formats import FORMATS
from tests.support.builders import offering

MONTH = TimeBlock("active", 720.0)
CHAT = RequestClass("1500/300", 1500, 300, 1.0)


def point(rate: float, source: str = "estimated", derate: float = 0.83) -> RatePoint:
    return RatePoint(rate, derate, 24, 0.0497, None, False, source)


def candidate(
    provider: str = "runpod",
    gpu: str = "b200",
    usd_per_hour: float = 5.98,
    rate: float = 6.0,
    source: str = "estimated",
    **fields: Any,
) -> Candidate:
    return Candidate(
        workload="chat",
        offering=offering(provider, gpu, usd_per_hour, **fields),
        precision="fp8",
        tensor_parallel=1,
        replicas_per_unit=fields.get("gpus_per_unit", 1),
        points=(point(rate, source),),
        shares=(1.0,),
    )


def purchase(k: Candidate, units: int = 1, share: float = 1.0) -> Purchase:
    return Purchase(k, (units,), (720.0,), units * 720 * k.usd_per_hour, share)


def workload_plan(**fields: Any) -> WorkloadPlan:
    values: dict[str, Any] = {
        "name": "chat",
        "llm": "llama-3.3-70b",
        "peak_requests_per_second": 5.787,
        "capacity_requests_per_second": 8.4,
        "utilization": 0.689,
        "band": "medium",
        "utilization_limit": 0.75,
        "tpot_s": 0.0497,
        "tpot_wish_s": 0.05,
        "ttft_s": None,
        "ttft_wish_s": None,
        "ttft_verified": False,
        "strict": False,
        "shortfall_share": 0.0,
        "tokens_per_month": 10.8e9,
        "cash_usd_per_month": 6825.6,
    }
    return WorkloadPlan(**{**values, **fields})


ORIGIN = Provenance(
    planner_version="0.1.0",
    catalog_name="market",
    catalog_version="2026.11",
    catalog_sha256="3f9c2e1a" + "0" * 56,
    overrides=0,
    problem_sha256="81e1df25" + "0" * 56,
    oldest_price="2026-05-24",
    seed=1,
    time_limit_s=60,
    gap_asked=0.0,
)

PROVEN = Proof(
    certified=True,
    certified_by=("cbc", "highs"),
    engines=(
        EngineReport("CBC", "2.10.3", "optimal", 6825.6, 6825.6, 0.25),
        EngineReport("HiGHS", "1.13.1", "optimal", 6825.6, 6825.6, 0.125),
    ),
    seconds=0.4,
    rows=3,
    columns=12,
)


def plan(*purchases: Purchase, **fields: Any) -> Plan:
    purchases = purchases or (
        purchase(candidate()),
        purchase(candidate("nebius", "h200", 3.5, 2.4, "measured")),
    )
    cash = sum(p.cash_usd_per_month for p in purchases)
    values: dict[str, Any] = {
        "name": "chat-70b",
        "status": Status.OPTIMAL,
        "score_usd_per_month": cash,
        "cash_usd_per_month": cash,
        "lower_bound_usd_per_month": cash,
        "costs": {"rent": cash, "per_token": 0.0, "switching": 0},
        "purchases": purchases,
        "routes": tuple(Route(p.candidate, CHAT, MONTH, 1.0, 5.787) for p in purchases),
        "workloads": (workload_plan(),),
        "blocks": (MONTH,),
        "proof": PROVEN,
        "provenance": ORIGIN,
    }
    return Plan(**{**values, **fields})


def no_plan(status: Status, *reasons: str, **fields: Any) -> Plan:
    nothing: dict[str, Any] = dict.fromkeys(
        ("score_usd_per_month", "cash_usd_per_month", "lower_bound_usd_per_month")
    )
    empty = {"purchases": (), "routes": (), "workloads": (), "costs": {}}
    return replace(
        plan(), status=status, reasons=tuple(map(Said, reasons)), **{**nothing, **empty, **fields}
    )


def text(given: Plan, options: ReportOptions = DEFAULTS) -> str:
    return FORMATS["text"](given, options)


def document(given: Plan, options: ReportOptions = DEFAULTS) -> dict[str, Any]:
    return json.loads(FORMATS["json"](given, options))
