"""A plan as plain data: one document ready for JSON, and one flat row per purchase.

To add a figure to every report, add it to `plan_dict`; the text report picks its own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from milp_planner.candidates.batch.documents import batch_dicts
from milp_planner.candidates.records import Candidate, RatePoint, TurnedDown, gpus_of_unit
from milp_planner.candidates.sharing.documents import gpu_set_label, shared_dict
from milp_planner.inputs.catalog.records import TokenPrice
from milp_planner.plans.consequences import CommitmentUse, DocumentParts, StalePrices, UnitChange
from milp_planner.plans.deployed.documents import deployed_dict
from milp_planner.plans.diagnosis import Change, Diagnosis
from milp_planner.plans.differences import trade, what_changed
from milp_planner.plans.futures.documents import futures_dict
from milp_planner.plans.held import changes
from milp_planner.plans.measure_next import measure_next
from milp_planner.plans.plain import clean, plain_data
from milp_planner.plans.proof import catalog_dict
from milp_planner.plans.records import EngineReport, Plan, Proof, Purchase, Route, WorkloadPlan
from milp_planner.plans.sentences import (
    alternatives_text,
    reason_lines,
    sentence,
    warning_lines,
)

DOCUMENT_VERSION = 1
"""Raised when a key of the document changes its meaning or goes."""


def plan_schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a plan's document.

    Returns plain data, ready for JSON, as `milp-planner schema --of plan` prints it.

    Raises nothing: it reads no input.

    >>> from milp_planner import plan_schema
    >>> plan_schema()["properties"]["document_version"]["const"]
    1
    """
    from milp_planner.plans.schema import PlanDocument  # slow to import, and seldom asked

    written = PlanDocument.model_json_schema()
    written["properties"]["document_version"] = {"const": DOCUMENT_VERSION, "type": "integer"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **written}


def plan_dict(plan: Plan, *, reproducible: bool = False) -> dict[str, Any]:
    """The plan as one document; `reproducible` leaves out what differs from run to run."""
    summed_up = plan.as_read or _summed_up(plan)
    document = {
        "document_version": DOCUMENT_VERSION,
        "name": plan.name,
        "status": plan.status.value,
        **_headline(plan),
        "tokens_per_month": plan.tokens_per_month,
        "gpus": plan.gpus,
        "providers": plan.providers,
        "costs_usd_per_month": dict(plan.costs),
        "purchases": [
            {**purchase_dict(p), "classes": _classes(p.candidate)} for p in plan.purchases
        ],
        "shared_units": [shared_dict(one, plan.blocks) for one in plan.shared_units],
        "workloads": [_workload_dict(w) for w in plan.workloads],
        "blocks": [{"name": block.name, "hours": block.hours} for block in plan.blocks],
        "block_by_hour": plan.block_by_hour,
        "routes": [_route_dict(route) for route in plan.routes],
        "changes_from_today": [_unit_change_dict(change) for change in plan.changes],
        "batch_work": batch_dicts(plan.batch_runs, plan.purchases, plan.blocks),
        "commitments": [_commitment_dict(one) for one in plan.commitments],
        "futures": futures_dict(plan.futures),
        "resilience": _resilience_dict(plan),
        "stale_prices": _stale_dict(plan.stale_prices),
        "alternatives": summed_up.alternatives,
        "alternatives_note": alternatives_text(plan),
        "reasons": reason_lines(plan),
        "diagnosis": None if plan.diagnosis is None else diagnosis_dict(plan.diagnosis),
        "measure_next": summed_up.measure_next,
        "turned_down": summed_up.turned_down,
        "warnings": warning_lines(plan),
        "not_included": plan.not_included,
        "proof": _proof_dict(plan, reproducible),
        "provenance": _provenance_dict(plan),
    }
    return clean(document)


def _summed_up(plan: Plan) -> DocumentParts:
    """The parts of the document that tell less than the plan knows."""
    return DocumentParts(
        alternatives=tuple(
            _alternative_dict(plan, other, rank)
            for rank, other in enumerate(plan.alternatives, start=2)
        ),
        turned_down=turned_down_dict(plan.turned_down),
        measure_next=_measure_dict(plan),
    )


def _unit_change_dict(change: UnitChange) -> dict[str, Any]:
    return {**asdict(change), "keep": change.keep, "add": change.add, "remove": change.remove}


def _commitment_dict(use: CommitmentUse) -> dict[str, Any]:
    until = None if use.until is None else use.until.isoformat()
    return {**asdict(use), "until": until, "unused": use.unused, "share": use.share}


def _resilience_dict(plan: Plan) -> dict[str, Any] | None:
    """What is left after the worst loss, and what that costs; None where none need be survived."""
    cost = plan.resilience
    if cost is None and not plan.worst_losses:
        return None
    return {
        "costs_usd_per_month": None if cost is None else cost.usd_per_month,
        "costs_share": None if cost is None else cost.share,
        "score_without_usd_per_month": None if cost is None else cost.without_limit_usd,
        "proven": None if cost is None else cost.proven,
        "worst_losses": [
            {**asdict(loss), "share": loss.share, "utilization": loss.utilization}
            for loss in plan.worst_losses
        ],
    }


def _stale_dict(stale: StalePrices | None) -> dict[str, Any] | None:
    """What rests on old prices; None where nothing does."""
    if stale is None:
        return None
    return {
        **asdict(stale),
        "share": stale.share,
        "rise": stale.rise,
        "if_risen_usd_per_month": stale.if_risen_usd_per_month,
    }


def _measure_dict(plan: Plan) -> dict[str, Any] | None:
    """The one measurement that would tighten the plan most."""
    found = measure_next(plan)
    if found is None:
        return None
    return {**asdict(found), "at_stake_usd_per_month": found.at_stake_usd_per_month}


def purchase_dict(p: Purchase) -> dict[str, Any]:
    """One purchase as a flat row of strings and numbers; the columns of CSV and `to_frame`."""
    return clean({name: value(p) for name, value in PURCHASE_COLUMNS.items()})


def turned_down_dict(turned_down: Sequence[TurnedDown]) -> dict[str, Any]:
    """How many offerings were turned down, and why, the commonest reason first."""
    examples: dict[tuple[str, str], str] = {}
    for row in turned_down:
        examples.setdefault((row.workload, reason_kind(row.reason)), row.reason)
    counts = Counter((row.workload, reason_kind(row.reason)) for row in turned_down)
    by_reason = sorted(counts.items(), key=lambda item: (item[0][0], -item[1], item[0][1]))
    return {
        "count": len(turned_down),
        "by_reason": [
            {"workload": workload, "reason": kind, "count": n, "example": examples[workload, kind]}
            for (workload, kind), n in by_reason
        ],
    }


def diagnosis_dict(diagnosis: Diagnosis) -> dict[str, Any]:
    """Why there is no plan, as plain data."""
    return clean(
        {
            "headline": sentence(diagnosis.headline),
            "is_smallest": diagnosis.is_smallest,
            "fits": [asdict(fit) for fit in diagnosis.fits],
            "conflict": [{"path": path, "value": value} for path, value in diagnosis.conflict],
            "changes": [_change_dict(change, True) for change in diagnosis.changes],
            "combination": [_change_dict(change, False) for change in diagnosis.combination],
            "combination_usd_per_month": diagnosis.combination_usd_per_month,
            "not_reached": diagnosis.not_reached,
        }
    )


def _change_dict(change: Change, is_enough: bool) -> dict[str, Any]:
    return {**asdict(change), "is_enough": is_enough}


def reason_kind(reason: str) -> str:
    """The reason without its names and numbers, so that like reasons can be counted.

    `l4-24gb tp 1 fp8: weights 67.2 GiB do not fit in 21.6 GiB` -> `weights … GiB do not fit in …`.
    """
    kind = re.sub(r"^\S+(?: tp \d+ \S+)?: ", "", reason).split("; ")[0]
    kind = re.sub(r"\s*\([^()]*\)$", "", kind)
    kind = re.sub(r"^(billing )?\S+ (is (?:not in|denied by) )", r"\1… \2", kind)
    kind = re.sub(r"[^\s,;]*\d[^\s,;]*(?: [×x] [^\s,;]*\d[^\s,;]*)*", "…", kind)
    return re.sub(r"… GiB$", "…", kind)


def _headline(plan: Plan) -> dict[str, Any]:
    return {
        "cash_usd_per_month": plan.cash_usd_per_month,
        "score_usd_per_month": plan.score_usd_per_month,
        "bound_usd_per_month": plan.bound,
        "gap": plan.gap,
        "usd_per_million_tokens": plan.usd_per_million_tokens,
    }


def _workload_dict(w: WorkloadPlan) -> dict[str, Any]:
    return {
        "name": w.name,
        "llm": w.llm,
        "unit": w.unit,
        "peak_requests_per_second": w.peak_requests_per_second,
        "capacity_requests_per_second": w.capacity_requests_per_second,
        "utilization": w.utilization,
        "utilization_limit": w.utilization_limit,
        "band": str(w.band),
        "tpot_s": w.tpot_s,
        "tpot_wish_s": w.tpot_wish_s,
        "ttft_s": w.ttft_s,
        "ttft_wish_s": w.ttft_wish_s,
        "ttft_verified": w.ttft_verified,
        "strict": w.strict,
        "shortfall_share": w.shortfall_share,
        "tokens_per_month": w.tokens_per_month,
        "cash_usd_per_month": w.cash_usd_per_month,
        "usd_per_million_tokens": w.usd_per_million_tokens,
        "penalties_usd_per_month": dict(w.penalties),
        "is_batch": w.is_batch,
        "deployed": deployed_dict(w.deployed),
    }


def _classes(k: Candidate) -> list[dict[str, Any]]:
    return [
        {"share": share, **_point_dict(point, k.replicas_per_unit)}
        for share, point in zip(k.shares, k.points, strict=bool(k.points))
    ]


def _point_dict(point: RatePoint, replicas_per_unit: int) -> dict[str, Any]:
    return {
        "unit_requests_per_second": replicas_per_unit * point.requests_per_second,
        "concurrency_per_replica": point.concurrency,
        "tpot_s": point.tpot_s,
        "ttft_s": point.ttft_s,
        "ttft_measured": point.ttft_measured,
        "derate": point.derate,
        "source": point.source,
        "detail": point.detail,
        "engine": point.engine,
        "engines": [asdict(one) for one in point.engines],
    }


def _route_dict(route: Route) -> dict[str, Any]:
    k = route.candidate
    return {
        "workload": k.workload,
        "block": route.block.name,
        "class": route.request_class.name,
        "offering": k.offering.id,
        "billing": k.offering.billing,
        "precision": k.precision,
        "tensor_parallel": k.tensor_parallel,
        "llm": k.llm,
        "share": route.share,
        "peak_requests_per_second": route.requests_per_second,
        **({"part_of_gpus": gpus_of_unit(k)} if k.part_of_unit else {}),
        **({"gpu_set": gpu_set_label(k)} if k.gpu_set else {}),
    }


def _alternative_dict(plan: Plan, other: Plan, rank: int) -> dict[str, Any]:
    return {
        "rank": rank,
        "status": other.status.value,
        **_headline(other),
        "extra_score_usd_per_month": _minus(other.score_usd_per_month, plan.score_usd_per_month),
        "extra_cash_usd_per_month": _minus(other.cash_usd_per_month, plan.cash_usd_per_month),
        "certified": other.proof.certified,
        "gpus": other.gpus,
        "providers": other.providers,
        "bands": {w.name: str(w.band) for w in other.workloads},
        "what_changed": what_changed(plan, other),
        "trade": trade(plan, other),
        "changes": changes(plan, other),
        "purchases": [purchase_dict(p) for p in other.purchases],
        "shared_units": [shared_dict(one, other.blocks) for one in other.shared_units],
    }


def _proof_dict(plan: Plan, reproducible: bool) -> dict[str, Any]:
    proof: Proof = plan.proof
    return {
        "certified": proof.certified,
        "certified_by": proof.certified_by,
        "unconfirmed": proof.unconfirmed,
        "score_usd_per_month": plan.score_usd_per_month,
        "bound_usd_per_month": plan.bound,
        "gap": plan.gap,
        "engines": [_engine_dict(engine, reproducible) for engine in proof.engines],
        "rows": proof.rows,
        "columns": proof.columns,
        "notes": proof.notes,
        **({} if reproducible else {"seconds": proof.seconds}),
    }


def _engine_dict(engine: EngineReport, reproducible: bool) -> dict[str, Any]:
    return {
        "name": engine.name,
        "version": engine.version,
        "status": engine.status,
        "objective": engine.objective,
        "bound": engine.bound,
        **({} if reproducible else {"seconds": engine.seconds}),
    }


def _provenance_dict(plan: Plan) -> dict[str, Any]:
    origin = plan.provenance
    return {
        "planner_version": origin.planner_version,
        "catalog": catalog_dict(origin),
        "problem_sha256": origin.problem_sha256,
        "oldest_price": origin.oldest_price or None,
        "solver": [f"{engine.name} {engine.version}" for engine in plan.proof.engines],
        "seed": origin.seed,
        "time_limit_s": origin.time_limit_s,
        "gap_asked": origin.gap_asked,
    }


def _minus(value: float | None, other: float | None) -> float | None:
    return None if value is None or other is None else value - other


def _highest(values: Iterable[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _usd_per_unit_hour(p: Purchase) -> float | None:
    return None if p.candidate.mode.per_token else p.candidate.usd_per_hour


def _list_usd_per_unit_hour(p: Purchase) -> float | None:
    """What the catalog lists, where the problem's own terms changed it; None where they did not."""
    k = p.candidate
    listed: float | None = getattr(k.offering, "list_usd_per_hour", None)
    if listed is None or not k.part_of_unit:
        return None if listed is None else listed * k.units_joined
    return listed * k.gpus_per_unit / gpus_of_unit(k)


def _usd_per_gpu_hour(p: Purchase) -> float | None:
    hourly = _usd_per_unit_hour(p)
    return None if hourly is None else hourly / p.candidate.gpus_per_unit


def _instance_type_note(p: Purchase) -> str:
    """What to know of a unit whose provider's name no source states; '' where there is one."""
    o = p.candidate.offering
    if isinstance(o, TokenPrice) or o.instance_type or o.billing == "owned":
        return ""
    called = "its list tells the GPU alone" if o.name == o.gpu else f"its list calls it {o.name}"
    return f"no provider name known; {called}"


PURCHASE_COLUMNS: dict[str, Callable[[Purchase], Any]] = {
    "workload": lambda p: p.candidate.workload,
    "provider": lambda p: p.candidate.provider,
    "offering": lambda p: p.candidate.offering.id,
    "region": lambda p: p.candidate.region,
    "billing": lambda p: p.candidate.offering.billing,
    "gpu": lambda p: p.candidate.gpu,
    "gpus_per_unit": lambda p: p.candidate.gpus_per_unit,
    "instance_type": lambda p: getattr(p.candidate.offering, "instance_type", ""),
    "instance_type_note": _instance_type_note,
    "units": lambda p: p.units,
    "gpus": lambda p: p.gpus,
    "precision": lambda p: p.candidate.precision,
    "tensor_parallel": lambda p: p.candidate.tensor_parallel,
    "replicas_per_unit": lambda p: p.candidate.replicas_per_unit,
    "units_joined": lambda p: p.candidate.units_joined,
    "pipeline_parallel": lambda p: p.candidate.pipeline_parallel,
    "part_of_gpus": lambda p: gpus_of_unit(p.candidate) if p.candidate.part_of_unit else 0,
    "gpu_set": lambda p: gpu_set_label(p.candidate),
    "deployment": lambda p: p.candidate.deployment,
    "usd_per_gpu_hour": _usd_per_gpu_hour,
    "usd_per_unit_hour": _usd_per_unit_hour,
    "list_usd_per_unit_hour": _list_usd_per_unit_hour,
    "unit_hours_per_month": lambda p: p.unit_hours,
    "cash_usd_per_month": lambda p: p.cash_usd_per_month,
    "commitment_usd": lambda p: p.commitment_usd,
    "term_months": lambda p: getattr(p.candidate.offering, "term_months", None),
    "requests_share": lambda p: p.requests_share,
    "capacity_requests_per_second": lambda p: p.units * p.candidate.part_requests_per_second,
    "throughput_source": lambda p: "; ".join(p.candidate.sources),
    "derate": lambda p: min((point.derate for point in p.candidate.points), default=None),
    "tpot_s": lambda p: _highest(point.tpot_s for point in p.candidate.points),
    "ttft_s": lambda p: _highest(point.ttft_s for point in p.candidate.points),
    "units_by_block": lambda p: "; ".join(map(str, p.units_by_block)),
    "price_as_of": lambda p: p.candidate.offering.as_of.isoformat(),
    "price_age_days": lambda p: p.price_age_days,
    "price_source": lambda p: p.candidate.offering.source,
    "price_override": lambda p: p.candidate.offering.override,
    "price_note": lambda p: p.candidate.offering.price_note,
    "llm": lambda p: p.candidate.llm,
}
"""The row of a purchase: its columns in order. To add one, add a line."""

plain_data.register(Plan, plan_dict)
plain_data.register(Purchase, purchase_dict)
plain_data.register(Diagnosis, diagnosis_dict)
