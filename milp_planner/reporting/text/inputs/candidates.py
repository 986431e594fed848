"""What could serve each workload at what price, and why every other offering cannot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from datetime import date
from typing import Any

from milp_planner.candidates.records import Candidate, PlanningInput, TurnedDown
from milp_planner.inputs.problem.records import Workload
from milp_planner.plans.consequences import age_days
from milp_planner.plans.document import turned_down_dict
from milp_planner.plans.plain import clean
from milp_planner.replaying.allowed import WAIT_S, queueing_of
from milp_planner.reporting.text.inputs.summary import left_open_lines
from milp_planner.reporting.text.records import table_lines
from milp_planner.reporting.text.wording import count, duration, escape, number, percent, plural
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.traffic.month import hours_per_month
from milp_planner.units import SECONDS_PER_HOUR

CANDIDATES_SHOWN = 20


def candidates_dict(
    instance: PlanningInput, workloads: Sequence[str], wait_s: float = WAIT_S
) -> dict[str, Any]:
    """Candidates, cheapest capacity first, and offerings turned down, as plain data.

    wait_s: a p99 wait, for which the cheapest candidate is told how full queueing lets it run.
    """
    return clean(
        {
            "name": instance.problem.name,
            "warnings": [*instance.candidates.said],
            "workloads": [
                _workload_dict(instance, w, wait_s) for w in _chosen(instance, workloads)
            ],
            "not_reached": _not_reached(instance, workloads),
        }
    )


def candidates_text(
    instance: PlanningInput,
    workloads: Sequence[str],
    *,
    everything: bool,
    wait_s: float = WAIT_S,
) -> str:
    """The same for people; the first candidates only, unless everything is asked for."""
    documents = [_workload_dict(instance, w, wait_s) for w in _chosen(instance, workloads)]
    parts = ["\n".join(_lines(document, everything)) for document in documents]
    parts += left_open_lines(_not_reached(instance, workloads))
    return "\n\n".join(parts) + "\n"


def candidate_dict(k: Candidate, hours: float, today: date | None = None) -> dict[str, Any]:
    """One candidate as a flat row; prices are for a month of `hours` hours, ages on a day."""
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
        "price_age_days": None if today is None else age_days(k.offering, today),
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
    late = instance.candidates.not_reached
    named = (w for w in instance.problem.workloads if not names or w.name in names)
    return [w for w in named if w.name not in late]


def _not_reached(instance: PlanningInput, names: Sequence[str]) -> list[str]:
    return [name for name in instance.candidates.not_reached if not names or name in names]


def _workload_dict(instance: PlanningInput, w: Workload, wait_s: float) -> dict[str, Any]:
    hours = hours_per_month(instance.problem)
    mine = sorted(
        instance.candidates.of(w.name),
        key=lambda k: (usd_per_request_per_second(k, hours), k.id),
    )
    turned_down = instance.candidates.turned_down_for(w.name)
    return {
        "name": w.name,
        "llm": w.llm_words,
        "candidates": [candidate_dict(k, hours, instance.catalog.read_on) for k in mine],
        "queueing": _queueing(instance, w, mine, wait_s),
        "turned_down": {**turned_down_dict(turned_down), "offerings": [*_rows(turned_down)]},
    }


def _queueing(
    instance: PlanningInput, w: Workload, cheapest_first: Sequence[Candidate], wait_s: float
) -> dict[str, Any] | None:
    """How full the cheapest may run for a p99 wait; None where the formulas cannot tell."""
    demand = instance.schedule.demands[w.name]
    rented = next((k for k in cheapest_first if not k.mode.per_token), None)
    if rented is None or demand.unit != "requests/s":
        return None
    model = ServingModel(instance.catalog)
    known = instance.problem, demand.classes, instance.catalog, model
    found = queueing_of(rented, *known, wait_s=wait_s)
    return None if found is None else asdict(found)


def _queueing_lines(found: dict[str, Any]) -> Iterator[str]:
    allowed = ", ".join(
        f"{percent(one['utilization'])} with {one['replicas']}" for one in found["allowed"]
    )
    yield f"\n  Queueing lets replicas of {escape(found['offering'])} run as full as"
    yield f"    {allowed}"
    wish = f"p{100 * found['share']:g} wait of {duration(found['wait_s'])}"
    yield f"    for a {wish}: Poisson arrivals, least-in-flight routing"


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
    if document["queueing"] is not None:
        yield from _queueing_lines(document["queueing"])
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
