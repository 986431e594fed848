"""Of signings in one program that cost the same: the fewest dollars bound, the first by name."""

from __future__ import annotations

from typing import Any

import pytest

from milp_planner import Calendar, plan_months
from milp_planner.futures.months.optimum import MonthsOptimizer
from tests.support.builders import catalog, offering, problem, raw

MONTHS = 4
HOUR = 3.0
"""USD of a unit on demand, which carries 2 requests/s."""


def planned(*quotes: dict[str, Any], solver: Any = None, **fields: Any) -> Calendar:
    """One program: a price on changes links the months, and nothing changes here."""
    asked = problem(
        4.0,
        quotes=[*quotes],
        horizon={"months": MONTHS, "at_end": "pro_rata"},
        switching={"usd_per_unit_added": 5.0},
        **fields,
    )
    rows = [offering(name, "big", HOUR) for name in ("acme", "bolt")]
    found = plan_months(asked, catalog(rows, [raw("big", 2)]), gap=1e-9, solver=solver)
    assert found is not None
    assert found.proof.programs == 1
    return found


def quote(provider: str, months: int, discount: float) -> dict[str, Any]:
    return {"offering": f"{provider}/*", "term": f"{months} months", "discount": discount}


SAME = {"offering": "acme/*", "term": "2 months", "usd_per_gpu_hour": HOUR}
"""A quote at the price of on demand."""


def signed(found: Calendar) -> list[tuple[int, int, str, int | None]]:
    return sorted((s.month, s.units, s.offering, s.term_months) for s in found.common)


SOLVERS = pytest.mark.parametrize("solver", ["cbc", "highs", None])


@SOLVERS
def test_what_costs_as_much_to_rent_is_not_bound(solver):
    found = planned(SAME, solver=solver)
    assert signed(found) == []
    assert found.usd == pytest.approx(MONTHS * 2 * 720 * HOUR + 10)


@SOLVERS
def test_of_terms_that_cost_the_same_the_one_that_binds_less_is_signed(solver):
    # Four months in one go; or three and, of the next three, the one that counts: six are bound.
    found = planned(quote("acme", 3, 0.25), quote("bolt", 4, 0.25), solver=solver)
    assert signed(found) == [(1, 2, "bolt/big+quote2/eu-1", 4)]


@SOLVERS
@pytest.mark.parametrize("first", ["acme", "bolt"])
def test_of_the_same_amount_the_first_by_name_is_signed(solver, first):
    # Two and two units of either: whichever quote comes first in the file.
    names = [first, "bolt" if first == "acme" else "acme"]
    few = [{**quote(name, 4, 0.25), "units": 2} for name in names]
    number = 1 + names.index("acme")
    found = planned(*few, solver=solver)
    assert signed(found) == [(1, 2, f"acme/big+quote{number}/eu-1", 4)]


def test_one_that_costs_less_is_signed_though_it_binds_more():
    found = planned(quote("acme", 3, 0.25), quote("bolt", 4, 0.2501))
    assert signed(found) == [(1, 2, "bolt/big+quote2/eu-1", 4)]
    found = planned(quote("acme", 3, 0.2501), quote("bolt", 4, 0.25))
    assert [units for _, units, _, _ in signed(found)] == [2, 2]


def test_without_time_to_look_what_was_found_first_stands(monkeypatch):
    whole = MonthsOptimizer.best

    def once(self: MonthsOptimizer, *of: Any, **how: Any) -> Any:
        if "within_usd" in how:
            how["session"].ends_s = 0.0
        return whole(self, *of, **how)

    monkeypatch.setattr(MonthsOptimizer, "best", once)
    found = planned(SAME)
    assert found.usd == pytest.approx(MONTHS * 2 * 720 * HOUR + 10)
    assert found.is_proven
