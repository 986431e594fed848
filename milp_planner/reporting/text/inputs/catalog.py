"""Views of a catalog: what is in it, and all that is known about one entry.

To add a list, write a function from catalog to records and name it in `LISTS`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from milp_planner.candidates.filters import sold_in
from milp_planner.errors import did_you_mean, input_error
from milp_planner.inputs.catalog.identity.names import did_you_mean_llm
from milp_planner.inputs.catalog.records import (
    Catalog,
    Gpu,
    Llm,
    Measurement,
    Offering,
    TokenPrice,
)
from milp_planner.inputs.catalog.tensor_groups import GROUPS
from milp_planner.inputs.reading.records import Frozen
from milp_planner.plans.consequences import age_days
from milp_planner.plans.plain import clean
from milp_planner.reporting.text.inputs.llm_sheet import llm_sheet
from milp_planner.reporting.text.records import record_lines, table_lines
from milp_planner.reporting.text.wording import escape
from milp_planner.units import unit_price_shown

CHEAPEST_SHOWN = 5
"""Offerings per billing in the view of a GPU."""

Records = list[dict[str, Any]]


def overview(catalog: Catalog) -> dict[str, Any]:
    """Counts, version, hash and the span of the prices' dates."""
    dates = [row.as_of for row in sold_in(catalog)]
    return clean(
        {
            "catalog": catalog.name,
            "version": catalog.version,
            "sha256": catalog.sha256,
            "llms": len(catalog.llms),
            "gpus": len(catalog.gpus),
            "offerings": len(catalog.offerings),
            "token_prices": len(catalog.token_prices),
            "measurements": len(catalog.measurements),
            "providers": len(catalog.providers),
            "overrides": catalog.overrides,
            "retired": len(catalog.retired),
            "oldest_price": min(dates).isoformat() if dates else None,
            "newest_price": max(dates).isoformat() if dates else None,
            "left_out": len(catalog.notes),
        }
    )


def list_llms(catalog: Catalog) -> Records:
    """Every LLM with its size and how often it was measured."""
    rows = catalog.measurements_by_llm
    return [
        {
            "id": llm.id,
            "parameters_b": llm.parameters_b,
            "active_b": llm.active_parameters_b,
            "precision": llm.native_precision,
            "attention": llm.attention,
            "context_tokens": llm.context_tokens,
            "measured_rows": len(rows.get(llm.id, ())),
            "as_of": llm.as_of.isoformat(),
        }
        for llm in catalog.llms.values()
    ]


def list_gpus(catalog: Catalog) -> Records:
    """Every GPU with its peaks and its cheapest price by the hour."""
    cheapest: dict[str, float] = {}
    for offering in catalog.offerings:
        price = offering.usd_per_gpu_hour
        if offering.billing == "dedicated" and price < cheapest.get(offering.gpu, float("inf")):
            cheapest[offering.gpu] = price
    counts = Counter(offering.gpu for offering in catalog.offerings)
    return [
        {
            "id": gpu.id,
            "vendor": gpu.vendor,
            "memory_gib": gpu.memory_gib,
            "bandwidth_gb_per_s": gpu.memory_bandwidth_gb_per_s,
            "bf16_tflops": gpu.bf16_tflops,
            "fp8_tflops": gpu.fp8_tflops,
            "offerings": counts[gpu.id],
            "dedicated_from_usd_per_gpu_hour": cheapest.get(gpu.id),
        }
        for gpu in catalog.gpus.values()
    ]


def list_offerings(catalog: Catalog) -> Records:
    """Every offering with its price."""
    return [_offering_row(catalog, offering) for offering in catalog.offerings]


def list_providers(catalog: Catalog) -> Records:
    """Everyone who rents GPUs or sells tokens, and how much of it."""
    return [_provider_row(catalog, provider) for provider in catalog.providers]


def show_dict(catalog: Catalog, name: str) -> dict[str, Any]:
    """All that is known about one LLM, GPU or offering; raises InputError if there is none."""
    llm = catalog.llm(name)
    if llm is not None:
        return clean(_llm_document(catalog, llm))
    gpus = catalog.gpus_named(name)
    if len(gpus) > 1:
        raise input_error(f"{name!r} is ambiguous; write one of {', '.join(gpus)}")
    if gpus:
        return clean(_gpu_document(catalog, catalog.gpus[gpus[0]]))
    offered = [row for row in sold_in(catalog) if name in row.ids]
    gone = [(row, {"retired": said}) for row, said in catalog.retired if name in row.ids]
    if offered or gone:
        told = [*((row, {}) for row in offered), *gone]
        billings = [{**_facts(row), **_age(catalog, row), **more} for row, more in told]
        return clean({"kind": "offering", "id": name, "billings": billings})
    known = [*catalog.llms, *catalog.llm_aliases, *catalog.gpus, *catalog.gpu_aliases]
    known += sorted(catalog.offering_ids)
    near = did_you_mean_llm(name, catalog.llms) or did_you_mean(name, known, 3)
    raise input_error(f"no LLM, GPU or offering {name!r} in catalog {catalog.name}{near}")


def show_text(document: Mapping[str, Any]) -> str:
    """A document of `show_dict` for people: facts, then tables."""
    kind, name = escape(document["kind"]), escape(document["id"])
    lines = [f"{kind} {name}"]
    for title, part in document.items():
        if isinstance(part, Mapping):
            lines += ["", *record_lines(part)]
        elif title == "billings":
            for record in part:
                lines += ["", *_billing_lines(record)]
        elif isinstance(part, Sequence) and not isinstance(part, str) and part:
            lines += ["", f"  {title.replace('_', ' ')}", *table_lines(part, indent="    ")]
    return "\n".join(lines) + "\n"


def _billing_lines(record: Mapping[str, Any]) -> Iterator[str]:
    """An offering under one billing: its facts, then what else is said of it."""
    apart = ("also_quoted", "other_ids")
    yield from record_lines({name: fact for name, fact in record.items() if name not in apart})
    if record.get("other_ids"):
        yield f"  also known as: {escape(', '.join(record['other_ids']))}"
    for quote in record.get("also_quoted", ()):
        note = f"; {quote['note']}" if quote["note"] else ""
        price, day = unit_price_shown(quote["usd_per_hour"]), quote["as_of"]
        origin = f"as {quote['id']}, {quote['source']}{note}"
        yield f"  also quoted: {price} per hour on {day} ({escape(origin)})"


def _llm_document(catalog: Catalog, llm: Llm) -> dict[str, Any]:
    rows = catalog.measurements_by_llm.get(llm.id, ())
    prices = [price for price in catalog.token_prices if price.llm == llm.id]
    return {
        "kind": "LLM",
        "id": llm.id,
        "facts": _llm_facts(llm),
        **llm_sheet(catalog, llm),
        "also_known_as": [
            {"alias": alias} for alias, id_ in catalog.llm_aliases.items() if id_ == llm.id
        ],
        "measured_on": [*_measured(rows, "gpu")],
        "per_token": [
            {
                "provider": price.provider,
                "region": price.region,
                "usd_per_m_input_tokens": price.usd_per_m_input_tokens,
                "usd_per_m_output_tokens": price.usd_per_m_output_tokens,
                "as_of": price.as_of.isoformat(),
                **_age(catalog, price),
            }
            for price in sorted(prices, key=lambda p: (p.usd_per_m_output_tokens, p.id))
        ],
    }


def _llm_facts(llm: Llm) -> dict[str, Any]:
    """Facts but the parameters by group, which have a table; an API states no format."""
    facts = _facts(llm)
    if llm.parameters_b is None and llm.recommended_memory_gib is None:
        facts.pop("native_precision")
    groups = {f"{group}_b" for group in GROUPS}
    return {name: value for name, value in facts.items() if name not in groups}


def _gpu_document(catalog: Catalog, gpu: Gpu) -> dict[str, Any]:
    mine = [offering for offering in catalog.offerings if offering.gpu == gpu.id]
    rows = [row for row in catalog.measurements if row.gpu == gpu.id]
    return {
        "kind": "GPU",
        "id": gpu.id,
        "facts": {**_facts(gpu), "offerings": len(mine)},
        "cheapest_offerings_by_billing": [*_cheapest(catalog, mine)],
        "measured_llms": [*_measured(rows, "llm")],
    }


def _cheapest(catalog: Catalog, offerings: Iterable[Offering]) -> Iterator[dict[str, Any]]:
    by_billing: dict[str, list[Offering]] = {}
    for offering in offerings:
        by_billing.setdefault(offering.billing, []).append(offering)
    for billing in sorted(by_billing):
        ranked = sorted(by_billing[billing], key=lambda o: (o.usd_per_gpu_hour, o.id))
        yield from (_offering_row(catalog, o) for o in ranked[:CHEAPEST_SHOWN])


def _measured(rows: Iterable[Measurement], by: str) -> Iterator[dict[str, Any]]:
    """One record per thing measured and replica configuration."""
    groups: dict[tuple[str, str, int], list[Measurement]] = {}
    for row in rows:
        key = getattr(row, by), row.precision, row.tensor_parallel
        groups.setdefault(key, []).append(row)
    for (name, precision, tensor_parallel), group in sorted(groups.items()):
        yield {
            by: name,
            "precision": precision,
            "tensor_parallel": tensor_parallel,
            "rows": len(group),
            "most_output_tokens_per_second": max(r.output_tokens_per_second for r in group),
            "newest": max(row.as_of for row in group).isoformat(),
        }


def _offering_row(catalog: Catalog, offering: Offering) -> dict[str, Any]:
    return {
        "offering": offering.id,
        "billing": offering.billing,
        "gpu": offering.gpu,
        "gpus": offering.gpus_per_unit,
        "instance_type": offering.instance_type,
        "usd_per_gpu_hour": offering.usd_per_gpu_hour,
        "usd_per_hour": offering.usd_per_hour,
        "as_of": offering.as_of.isoformat(),
        **_age(catalog, offering),
        "override": offering.override,
        "note": offering.price_note,
    }


def _age(catalog: Catalog, row: Offering | TokenPrice) -> dict[str, Any]:
    """How old a price is, where the catalog knows what day it is."""
    day = catalog.read_on
    return {} if day is None else {"price_age_days": age_days(row, day)}


def _provider_row(catalog: Catalog, provider: str) -> dict[str, Any]:
    mine = [offering for offering in catalog.offerings if offering.provider == provider]
    tokens = [price for price in catalog.token_prices if price.provider == provider]
    days = [row.as_of for row in sold_in(catalog) if row.provider == provider]
    return {
        "provider": provider,
        "offerings": len(mine),
        "gpu_types": len({offering.gpu for offering in mine}),
        "regions": len({offering.region for offering in mine}),
        "token_prices": len(tokens),
        "oldest_price": min(days).isoformat(),
    }


def _facts(record: Frozen) -> dict[str, Any]:
    """Every field that says something, as plain data."""
    nothing: tuple[Any, ...] = (None, "", 0, 0.0, False, [])
    fields = record.model_dump(mode="json")
    return {name: value for name, value in fields.items() if value not in nothing}


LISTS: dict[str, Callable[[Catalog], Records]] = {
    "llms": list_llms,
    "gpus": list_gpus,
    "offerings": list_offerings,
    "providers": list_providers,
}
