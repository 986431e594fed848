"""Gates look at what any future, and any month, uses: not at the leading one alone."""

from __future__ import annotations

from datetime import date
from typing import Any

from milp_planner import Catalog, Offering, plan_months, solve
from milp_planner.cli.parts.gates import Gates
from tests.support.builders import catalog, offering, problem, raw

TODAY = date(2026, 11, 1)
FUTURES = [
    {"name": "base", "probability": 0.8},
    {"name": "hit", "probability": 0.2, "traffic": 2.0},
]
STRICT = Gates(None, 30, True, TODAY)


def priced(day: date, provider: str, usd_per_hour: float, **fields: Any) -> Offering:
    return offering(provider, "big", usd_per_hour, **fields).model_copy(update={"as_of": day})


NEW, OLD = date(2026, 10, 20), date(2026, 5, 1)


def sold() -> Catalog:
    """Of the new price there is one unit, which serves 2 requests/s; of the old one any number."""
    rows = [
        priced(NEW, "acme", 1.0, max_units=1),
        priced(OLD, "bolt", 2.0),
    ]
    return catalog(rows, [raw("big", 2)])


def asked(**fields: Any) -> Any:
    return problem(2.0, futures=FUTURES, **fields)


def test_an_old_price_that_only_another_future_pays_is_told():
    plan = solve(asked(), sold())
    assert plan.futures.leading == "base"
    assert [p.candidate.provider for p in plan.purchases] == ["acme"]
    # one day short of half a year: 184 days from May on
    assert [*Gates(None, 30, False, TODAY).failures(plan)] == [
        "Old prices: prices of 1 used offering are up to 184 days old (limit 30): bolt/big/eu-1"
    ]
    assert [line for line in STRICT.failures(plan) if "throughput" in line] == [
        "Estimates: 2 of 2 throughput rows used are not measured (raw)."
    ]


def test_an_old_price_that_only_another_month_pays_is_told():
    grows = {"months": 2, "traffic": [0.5, 1.0], "at_end": "pro_rata"}
    found = plan_months(asked(horizon=grows), sold())
    told = [*STRICT.failures_of_months(found)]
    assert told == [
        "Old prices: prices of 1 used offering are up to 184 days old (limit 30): bolt/big/eu-1",
        "Estimates: 2 of 2 throughput rows used are not measured (raw).",
    ]
    assert {o.offering for o in found.rests_on} == {"acme/big/eu-1", "bolt/big/eu-1"}
    assert [*Gates(None, 200, False, TODAY).failures_of_months(found)] == []


def test_what_is_enumerated_tells_what_it_uses_as_well():
    rows = catalog([priced(OLD, "bolt", 2.0)], [raw("big", 2)])
    found = plan_months(asked(horizon={"months": 2}), rows)
    assert found.proof.programs == 0
    assert [o.priced_on for o in found.rests_on] == ["2026-05-01"]
