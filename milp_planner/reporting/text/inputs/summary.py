"""What a problem asks, before it is solved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from milp_planner.candidates.records import PlanningInput
from milp_planner.plans.plain import clean
from milp_planner.plans.sentences import sentence
from milp_planner.reporting.text.records import cell, table_lines
from milp_planner.reporting.text.wording import columns, escape, hours, number, plural
from milp_planner.solving.assembly.notes import without_effect

SHA_DIGITS = 8
MOST_NAMES = 10


def summary_dict(instance: PlanningInput) -> dict[str, Any]:
    """The problem's workloads, blocks, candidates and limits as plain data."""
    catalog = instance.catalog
    return clean(
        {
            "name": instance.problem.name,
            "valid": True,
            "warnings": [*instance.candidates.said, *without_effect_lines(instance)],
            "workloads": [*_workloads(instance)],
            "not_reached": [*instance.candidates.not_reached],
            "blocks": [{"name": b.name, "hours": b.hours} for b in instance.schedule.blocks],
            "limits": dict(limits_in_force(instance)),
            "catalog": {
                "name": catalog.name,
                "version": catalog.version,
                "sha256": catalog.sha256,
                "overrides": catalog.overrides,
                "overlaid": catalog.overlaid.said,
                "offerings": len(catalog.offerings),
                "token_prices": len(catalog.token_prices),
                "providers": len(catalog.providers),
            },
        }
    )


def summary_text(instance: PlanningInput) -> str:
    """The same for people."""
    document = summary_dict(instance)
    blocks = ", ".join(f"{escape(b['name'])} {hours(b['hours'])} h" for b in document["blocks"])
    limits = [[name, cell(value)] for name, value in document["limits"].items()]
    lines = [
        f"{escape(instance.problem.name)}: the problem is in order",
        "",
        *table_lines([_short(row) for row in document["workloads"]]),
        "",
        f"Blocks of the month: {blocks}",
        *(["Limits in force", *columns(limits, "<<")] if limits else ["Limits: none"]),
        _catalog_line(document["catalog"]),
        *left_open_lines(document["not_reached"]),
    ]
    return "\n".join(lines) + "\n"


def without_effect_lines(instance: PlanningInput) -> Iterator[str]:
    """Settings of the problem that change no plan of it."""
    return (sentence(remark) for remark in without_effect(instance.problem))


def left_open_lines(not_reached: Sequence[str]) -> Iterator[str]:
    """That time was up before all that serves these workloads was listed; nothing without any."""
    if not_reached:
        names = [escape(name) for name in not_reached[:MOST_NAMES]]
        if len(not_reached) > MOST_NAMES:
            names.append(f"{len(not_reached) - MOST_NAMES} more")
        yield f"Left open by the time limit: what serves {', '.join(names)}."


def workloads_without_candidates(instance: PlanningInput) -> list[str]:
    """Names of the workloads that nothing in the catalog can serve within the limits; of those for
    which all was listed."""
    served = {k.workload for k in instance.candidates.candidates}
    served.update(instance.candidates.not_reached)
    return [w.name for w in instance.problem.workloads if w.name not in served]


def limits_in_force(instance: PlanningInput) -> Iterator[tuple[str, Any]]:
    """`limits.budget.usd_per_month`, 16000: every limit that the problem sets."""
    set_limits = instance.problem.limits.model_dump(
        mode="json", by_alias=True, exclude_defaults=True
    )
    yield from _leaves("limits", set_limits)


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(f"{path}.{name}", item)
    elif value not in (None, [], ()):
        yield path, value


def _workloads(instance: PlanningInput) -> Iterator[dict[str, Any]]:
    candidates = Counter(k.workload for k in instance.candidates.candidates)
    turned_down = Counter(row.workload for row in instance.candidates.turned_down)
    late = instance.candidates.not_reached
    for w in instance.problem.workloads:
        demand = instance.schedule.demands[w.name]
        yield {
            "name": w.name,
            "llm": w.llm_words,
            "classes": len(demand.classes),
            "peak_per_second": demand.highest_peak,
            "counts": demand.unit.removesuffix("/s"),
            "tokens_per_month": instance.schedule.tokens_per_month(w.name),
            "tpot_wish_s": w.latency.tpot_limit_s,
            "ttft_wish_s": w.latency.ttft_limit_s,
            "candidates": None if w.name in late else candidates[w.name],
            "turned_down": None if w.name in late else turned_down[w.name],
        }


def _short(row: Mapping[str, Any]) -> dict[str, Any]:
    unit = {"requests": "req/s", "tokens": "tokens/s"}.get(row["counts"], row["counts"])
    return {
        "workload": row["name"],
        "LLM": row["llm"],
        "classes": row["classes"],
        "peak": f"{number(row['peak_per_second'])} {unit}",
        "tokens per month": f"{number(row['tokens_per_month'] / 1e6)} M",
        "candidates": row["candidates"],
        "turned down": row["turned_down"],
    }


def _catalog_line(catalog: Mapping[str, Any]) -> str:
    sha = f" (sha {catalog['sha256'][:SHA_DIGITS]})" if catalog["sha256"] else ""
    overlaid = f", {catalog['overlaid']}" if catalog["overlaid"] else ""
    tokens = catalog["token_prices"]
    sold = plural(catalog["offerings"], "offering")
    sold += f" and {plural(tokens, 'token price')}" if tokens else ""
    return (
        f"Catalog {escape(catalog['name'])} {escape(catalog['version'])}{sha}: {sold} of "
        f"{plural(catalog['providers'], 'provider')}{overlaid}."
    )
