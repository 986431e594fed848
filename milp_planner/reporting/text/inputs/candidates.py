"""What could serve each workload at what price, and why every other offering cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from milp_planner.candidates.records import Candidate, PlanningInput, TurnedDown
from milp_planner.inputs.problem.records import Workload
from milp_planner.plans.document import clean, turned_down_dict
from milp_planner.reporting.text.records import table_lines
from milp_planner.reporting.text.wording import count, escape, number, plural
from milp_planner.traffic.month import hours_per_month
from milp_planner.units import SECONDS_PER_HOUR

CANDIDATES_SHOWN = 20


def candidates_dict(instance: PlanningInput, workloads: Sequence[str]) -> dict[str, Any]:
    """Candidates, cheapest capacity first, and offerings turned down, as plain data."""
    return clean(
        {
            "name": instance.problem.name,
            "warnings": [*instance.candidates.warnings, *instance.candidates.notes],
            "workloads": [_workload_dict(instance, w) for w in _chosen(instance, workloads)],
        }
    )


def candidates_text(instance: PlanningInput, workloads: Sequence[str], *, everything: bool) -> str:
    """The same for people; the first candidates only, unless everything is asked for."""
    documents = [_workload_dict(instance, w) for w in _chosen(instance, workloads)]
    return "\n\n".join("\n".join(_lines(document, everything)) for document in documents) + "\n"


def candidate_dict(k: Candidate, hours: float) -> dict[str, Any]:
    """One candidate as a flat row; prices are for a month of `hours` hours."""
    per_token = k.mode.per_token
    return {
        "offering": k.offering.id,
        "region": k.region,
        "billing": k.offering.billing,
        "gpus": None if per_token else k.gpus_per_unit,
        "precision": k.precision,
        "tensor_parallel": k.tensor_parallel or None,
        "replicas": k.replicas_per_unit or None,
        "requests_per_second": None if per_token else k.part_requests_per_second,
        "usd_per_hour": None if per_token else k.usd_per_hour,
        "usd_per_request_per_second_month": usd_per_request_per_second(k, hours),
        "tpot_s": max((p.tpot_s for p in k.points if p.tpot_s is not None), default=None),
        "source": ", ".join(k.sources) or "provider",
        "price_as_of": k.offering.as_of.isoformat(),
    }


def usd_per_request_per_second(k: Candidate, hours: float) -> float:
    """USD per month for 1 request/s of capacity, or of use where paid by the token."""
    if k.mode.per_token:
        per_request = sum(
            share * price for share, price in zip(k.shares, k.usd_per_request, strict=True)
        )
        return per_request * SECONDS_PER_HOUR * hours
    return k.usd_per_hour * hours / k.part_requests_per_second


def _chosen(instance: PlanningInput, names: Sequence[str]) -> list[Workload]:
    return [w for w in instance.problem.workloads if not names or w.name in names]


def _workload_dict(instance: PlanningInput, w: Workload) -> dict[str, Any]:
    hours = hours_per_month(instance.problem)
    mine = [k for k in instance.candidates.candidates if k.workload == w.name]
    mine.sort(key=lambda k: (usd_per_request_per_second(k, hours), k.id))
    turned_down = [row for row in instance.candidates.turned_down if row.workload == w.name]
    return {
        "name": w.name,
        "llm": w.llm,
        "candidates": [candidate_dict(k, hours) for k in mine],
        "turned_down": {**turned_down_dict(turned_down), "offerings": [*_rows(turned_down)]},
    }


def _rows(turned_down: Iterable[TurnedDown]) -> Iterator[dict[str, Any]]:
    for row in turned_down:
        yield {
            "offering": row.offering.id,
            "billing": row.offering.billing,
            "reason": row.reason,
        }


def _lines(document: dict[str, Any], everything: bool) -> Iterator[str]:
    candidates, turned_down = document["candidates"], document["turned_down"]
    yield (
        f"{escape(document['name'])}  {escape(document['llm'])}: "
        f"{plural(len(candidates), 'candidate')}, "
        f"{plural(turned_down['count'], 'offering')} turned down"
    )
    if turned_down["count"]:
        yield "\n  Turned down, by reason"
        yield from _counts(turned_down["by_reason"])
    shown = candidates if everything else candidates[:CANDIDATES_SHOWN]
    if shown:
        yield "\n  Candidates, cheapest capacity first: a unit at full load, all month"
        yield from table_lines([_short(row) for row in shown], indent="    ")
    if len(candidates) > len(shown):
        yield f"    and {count(len(candidates) - len(shown))} more; --all lists every one"
    if everything and turned_down["offerings"]:
        yield "\n  Every offering turned down"
        yield from table_lines(turned_down["offerings"], indent="    ")


def _counts(by_reason: Iterable[dict[str, Any]]) -> list[str]:
    return table_lines(
        [
            {"offerings": row["count"], "reason": row["reason"], "for_example": row["example"]}
            for row in by_reason
        ],
        indent="    ",
    )


def _short(row: dict[str, Any]) -> dict[str, Any]:
    tpot_s = row["tpot_s"]
    return {
        "offering": row["offering"],
        "billing": row["billing"],
        "GPUs": row["gpus"],
        "precision": row["precision"],
        "tp": row["tensor_parallel"],
        "req/s": _figure(row["requests_per_second"]),
        "$/h": row["usd_per_hour"],
        "$/month per req/s": _figure(row["usd_per_request_per_second_month"]),
        "tpot ms": _figure(None if tpot_s is None else tpot_s * 1000),
        "throughput": row["source"],
    }


def _figure(value: float | None) -> str | None:
    return None if value is None else number(value)
