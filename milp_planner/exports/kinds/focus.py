"""Cost rows for the month ahead, in the columns of FOCUS 1.2 (FinOps Open Cost and Usage
Specification, focus.finops.org); columns that it does not have begin with `x_`.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

from milp_planner.candidates.records import is_part_of
from milp_planner.candidates.sharing.shared_units import part_held, unit_of
from milp_planner.exports.parts.pools import counted
from milp_planner.exports.parts.words import Words
from milp_planner.milp.program.costs.terms import PENALTIES
from milp_planner.plans.records import Plan, Purchase
from milp_planner.today import day_today

COLUMNS = (
    "BilledCost",
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodEnd",
    "BillingPeriodStart",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargeFrequency",
    "ChargePeriodEnd",
    "ChargePeriodStart",
    "CommitmentDiscountCategory",
    "ConsumedQuantity",
    "ConsumedUnit",
    "ContractedCost",
    "ContractedUnitPrice",
    "EffectiveCost",
    "InvoiceIssuerName",
    "ListCost",
    "ListUnitPrice",
    "PricingCategory",
    "PricingCurrency",
    "PricingQuantity",
    "PricingUnit",
    "ProviderName",
    "PublisherName",
    "RegionId",
    "RegionName",
    "ResourceId",
    "ResourceName",
    "ResourceType",
    "ServiceCategory",
    "ServiceName",
    "ServiceSubcategory",
    "SkuId",
    "SkuPriceId",
    "SubAccountId",
    "Tags",
    "x_Forecast",
    "x_Gpus",
    "x_Gpu",
    "x_Llm",
    "x_PriceAsOf",
    "x_Workload",
)
"""FOCUS's in alphabetical order, then our own."""

PRICING = {
    "dedicated": "Standard",
    "autoscaling": "Standard",
    "per_token": "Standard",
    "owned": "Other",
    "spot": "Dynamic",
    "reserved_1y": "Committed",
    "reserved_3y": "Committed",
    "committed": "Committed",
}
"""FOCUS's PricingCategory of a way to pay."""


def focus_files(plan: Plan, words: Words) -> dict[str, str]:
    """`focus.csv`: a row for each purchase, and one for what no purchase carries."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({key: _safe(value) for key, value in row.items()} for row in _rows(plan))
    return {"focus.csv": out.getvalue()}


def _safe(value: Any) -> Any:
    """Texts that a spreadsheet would take for a formula get an apostrophe."""
    is_formula = isinstance(value, str) and value[:1] in tuple("=+-@\t\r")
    return f"'{value}" if is_formula else value


def _rows(plan: Plan) -> Iterator[dict[str, Any]]:
    month = _month_ahead(day_today())
    for p in plan.purchases:
        yield {**month, **_of_purchase(plan, p)}
    rest = (plan.cash_usd_per_month or 0.0) - sum(p.cash_usd_per_month for p in plan.purchases)
    if abs(rest) >= 0.005:
        yield {**month, **_rest(plan, rest)}


def _month_ahead(today: date) -> dict[str, str]:
    first = _next_month(today)
    period = f"{first}T00:00:00Z", f"{_next_month(first)}T00:00:00Z"
    return {
        "BillingPeriodStart": period[0],
        "BillingPeriodEnd": period[1],
        "ChargePeriodStart": period[0],
        "ChargePeriodEnd": period[1],
        "BillingCurrency": "USD",
        "PricingCurrency": "USD",
        "x_Forecast": "true",
    }


def _next_month(day: date) -> date:
    years, month = divmod(day.month, 12)
    return date(day.year + years, month + 1, 1)


def _of_purchase(plan: Plan, p: Purchase) -> dict[str, Any]:
    k, o = p.candidate, p.candidate.offering
    cash, hours = p.cash_usd_per_month, _unit_hours(plan, p)
    llm = k.llm or next((w.llm for w in plan.workloads if w.name == k.workload), "")
    per_token = k.mode.per_token
    listed = getattr(o, "list_usd_per_hour", None)
    unit = unit_of(k)
    price = "" if per_token else unit.usd_per_hour
    list_price = "" if per_token else listed * k.units_joined if listed else unit.usd_per_hour
    what = "part" if k.part_of_unit else "unit"
    quantity = "" if per_token else hours
    list_cost = list_price * hours if isinstance(list_price, float) and hours else cash
    return {
        "BilledCost": _cents(cash),
        "EffectiveCost": _cents(cash),
        "ContractedCost": _cents(cash),
        "ListCost": _cents(max(cash, list_cost)),
        "ContractedUnitPrice": price,
        "ListUnitPrice": list_price,
        "ChargeCategory": "Usage",
        "ChargeDescription": f"{counted(p.units, what)} of {o.id} {o.billing} for {k.workload}",
        "ChargeFrequency": "Usage-Based",
        "CommitmentDiscountCategory": "Usage" if k.commitment_months else "",
        "ConsumedQuantity": quantity,
        "ConsumedUnit": "" if per_token else "Hours",
        "PricingQuantity": quantity,
        "PricingUnit": "Tokens" if per_token else "Hours",
        "PricingCategory": PRICING[o.billing],
        "ProviderName": o.provider,
        "PublisherName": o.provider,
        "InvoiceIssuerName": o.provider,
        "RegionId": k.region,
        "RegionName": k.region,
        "ResourceId": k.id,
        "ResourceName": getattr(o, "name", o.id),
        "ResourceType": "API" if per_token else "GPU instance",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": "LLM inference",
        "SkuId": o.id,
        "SkuPriceId": f"{o.id}/{o.billing}",
        "Tags": json.dumps({"workload": k.workload, "plan": plan.name}),
        "x_Gpu": k.gpu,
        "x_Gpus": p.gpus,
        "x_Llm": llm,
        "x_PriceAsOf": o.as_of.isoformat(),
        "x_Workload": k.workload,
    }


def _unit_hours(plan: Plan, p: Purchase) -> float:
    """Hours of units; of those that it shares the part that it pays, by the GPUs that it holds."""
    k = p.candidate
    if not k.part_of_unit:
        return p.unit_hours
    return sum(
        units * hours * sum(part_held(one) * n for one, n in on if one == k) / held
        for shared in plan.shared_units
        if is_part_of(k, shared.candidate)
        for units, hours, contents in zip(
            shared.units_by_block, shared.hours_by_block, shared.contents_by_block, strict=True
        )
        for on in [[one for unit in contents for one in unit]]
        if (held := sum(part_held(one) * n for one, n in on))
    )


def _rest(plan: Plan, usd: float) -> dict[str, Any]:
    """What is paid and belongs to no purchase: volume discounts, changes of the fleet, and more."""
    penalties = {penalty.name for penalty in PENALTIES}
    terms = [f"{name} {value:.2f}" for name, value in plan.costs.items() if name not in penalties]
    return {
        "BilledCost": _cents(usd),
        "EffectiveCost": _cents(usd),
        "ContractedCost": _cents(usd),
        "ListCost": _cents(usd),
        "ChargeCategory": "Credit" if usd < 0 else "Adjustment",
        "ChargeFrequency": "One-Time",
        "ChargeDescription": f"of no one purchase; USD by term of the plan: {', '.join(terms)}",
        "ServiceCategory": "AI and Machine Learning",
        "ServiceName": "LLM inference",
        "Tags": json.dumps({"plan": plan.name}),
    }


def _cents(usd: float) -> float:
    return round(usd, 6) + 0.0
