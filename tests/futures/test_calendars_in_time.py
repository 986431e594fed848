"""Where time ends early, or Ctrl-C comes, the calendar so far is told, and said to be unproven."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from milp_planner import CalendarInterrupted, Status, plan_months
from milp_planner.cli.parts import exit_codes
from milp_planner.deadline import OutOfTime
from milp_planner.futures.months.optimum import MonthsAnswer, MonthsOptimizer
from milp_planner.milp.months.risk import RiskSearch
from milp_planner.milp.months.search import MonthsSearch
from milp_planner.plans.records import Proof
from milp_planner.reporting.text.plans.calendar import calendar_text
from tests.futures.test_commit_or_rent import ON_DEMAND, RESERVED, commit_or_rent, l40s

pytest_plugins = ["tests.support.toy_cli"]

QUARTER = {"months": 3, "at_end": "pro_rata"}
RENTED = 720 * ON_DEMAND
MEAN_UNITS = 0.4 * 5 + 0.4 * 19 + 0.2 * 56
"""What flop, base and hit rent where nothing is signed."""

SWITCHING = {"usd_per_unit_added": 10.0}
"""What programs alone know; in the first month all of it is added."""


def asked(**fields: Any) -> Any:
    return commit_or_rent(**({"horizon": QUARTER} | fields))


def never(*_: object, **__: object) -> Any:
    raise OutOfTime


def stopped(*_: object, **__: object) -> Any:
    raise KeyboardInterrupt


def test_what_is_enumerated_is_rents_alone_at_first(monkeypatch):
    monkeypatch.setattr(MonthsSearch, "improving", never)
    found = plan_months(asked(), l40s())
    assert found.usd == pytest.approx(3 * MEAN_UNITS * RENTED)
    assert found.common == ()
    assert (found.proof.gap, found.is_proven, found.to_dict()["is_proven"]) == (1.0, False, False)
    text = " ".join(calendar_text(found, 80).split())
    assert "; not proven, and how much less another may count is not known. Nothing is" in text
    assert "Nothing is signed here, and it is not known what signing would save" in text


def test_the_schedule_that_comes_first_stands_where_the_next_has_no_time(monkeypatch):
    whole = MonthsSearch.improving

    def once(self: MonthsSearch, **how: Any) -> Iterator[Any]:
        yield replace(next(whole(self, **how)), bound_usd=1.0)
        raise OutOfTime

    monkeypatch.setattr(MonthsSearch, "improving", once)
    found = plan_months(asked(), l40s())
    assert sum(s.units for s in found.common) > 0
    assert found.proof.bound_usd == 1.0
    assert not found.is_proven


def test_a_program_has_rents_alone_at_first_with_a_bound(monkeypatch):
    monkeypatch.setattr(MonthsOptimizer, "best_in_time", never)
    found = plan_months(asked(switching=SWITCHING), l40s())
    assert found.usd == pytest.approx(MEAN_UNITS * (3 * RENTED + 10))
    proof = found.proof
    assert (proof.programs, proof.program_columns, proof.program_engines) == (1, 0, ())
    # No month costs less than its units bound at 1 / 12 of a year's price.
    bound = 3 * MEAN_UNITS * 720 * RESERVED
    assert 0.8 * bound < proof.bound_usd < bound
    assert "not proven: another may count up to 3" in " ".join(calendar_text(found, 80).split())
    assert ": not proven: it ended before that." in calendar_text(found)


def test_nothing_signed_stands_where_a_program_found_worse_in_time(monkeypatch):
    def worse(self: MonthsOptimizer, measure: Any) -> MonthsAnswer:
        nothing = Proof(certified=False, certified_by=())
        return MonthsAnswer(Status.FEASIBLE, nothing, minimised_usd=1e9, bound_usd=5.0)

    monkeypatch.setattr(MonthsOptimizer, "best_in_time", worse)
    found = plan_months(asked(switching=SWITCHING), l40s())
    assert found.usd == pytest.approx(MEAN_UNITS * (3 * RENTED + 10))
    assert found.proof.bound_usd == 5.0


@pytest.mark.parametrize("of", ["cost", "regret", "margin"])
@pytest.mark.parametrize("beside", [{}, {"switching": SWITCHING}])
def test_what_is_not_bounded_is_not_the_least_under_a_risk_either(monkeypatch, of, beside):
    monkeypatch.setattr(RiskSearch, "best", never)
    monkeypatch.setattr(MonthsOptimizer, "best_in_time", never)
    monkeypatch.setattr(
        "milp_planner.futures.months.programmed.least_usd", never
    )  # nothing bounds it
    worth = {"usd_per_million_requests": 1e6} if of == "margin" else None
    risk = {"measure": "worst", "of": of}
    found = plan_months(asked(risk=risk, value=worth, **beside), l40s())
    added = 10.0 if beside else 0.0
    assert found.usd == pytest.approx(MEAN_UNITS * (3 * RENTED + added))
    assert (found.proof.bound_usd, found.proof.gap, found.is_proven) == (None, None, False)
    assert "not proven, and how much less another may count is not known" in calendar_text(found)


def test_more_moves_than_may_be_leave_no_calendar_of_rents_alone(monkeypatch):
    monkeypatch.setattr(MonthsOptimizer, "best_in_time", never)
    grows = {"months": 2, "traffic": [1, 2], "at_end": "pro_rata"}
    most = {"max_units_changed": 3}
    assert plan_months(asked(horizon=grows, switching=most), l40s()) is None


def test_a_budget_that_rents_break_leaves_no_calendar_of_rents_alone(monkeypatch):
    monkeypatch.setattr(MonthsOptimizer, "best_in_time", never)
    least = {"usd_per_month": MEAN_UNITS * RENTED - 1, "futures": "expected"}
    for more, is_there in ((0.0, False), (2.0, True)):
        budget = {**least, "usd_per_month": least["usd_per_month"] + more}
        limits = {"billing": {"allow": ["dedicated", "reserved_1y"]}, "budget": budget}
        assert (plan_months(asked(limits=limits), l40s()) is not None) == is_there


@pytest.mark.parametrize(
    ("beside", "where", "added"),
    [
        ({}, (MonthsSearch, "improving"), 0.0),
        ({"risk": {"measure": "worst", "of": "cost"}}, (RiskSearch, "best"), 0.0),
        ({"switching": SWITCHING}, (MonthsOptimizer, "best_in_time"), 10.0),
    ],
)
def test_a_ctrl_c_carries_the_calendar_so_far(monkeypatch, beside, where, added):
    monkeypatch.setattr(*where, stopped)
    with pytest.raises(CalendarInterrupted) as caught:
        plan_months(asked(**beside), l40s())
    assert caught.value.calendar.usd == pytest.approx(MEAN_UNITS * (3 * RENTED + added))
    assert not caught.value.calendar.is_proven
    assert type(caught.value.cause) is KeyboardInterrupt


def test_a_ctrl_c_beside_the_calendar_leaves_it_as_it_is(monkeypatch):
    whole = plan_months(asked(known_from="1 month"), l40s())
    monkeypatch.setattr("milp_planner.futures.months.enumerated.best_schedule", stopped)
    with pytest.raises(CalendarInterrupted) as caught:
        plan_months(asked(known_from="1 month"), l40s())
    known = caught.value.calendar
    assert (known.futures, known.is_proven) == (whole.futures, True)
    assert (known.other_ends, known.unknown_usd, known.proof.rents_checked) == ((), None, 0)


def test_a_ctrl_c_before_there_is_a_calendar_carries_none(monkeypatch):
    monkeypatch.setattr(MonthsSearch, "improving", stopped)
    limits = {"billing": {"allow": ["reserved_1y"]}}  # rents alone are not enough
    with pytest.raises(KeyboardInterrupt) as caught:
        plan_months(asked(limits=limits), l40s())
    assert type(caught.value) is KeyboardInterrupt


@pytest.fixture
def months(folder):
    lines = (folder / "toy.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("alternatives")]
    (folder / "months.yaml").write_text("\n".join([*kept, "horizon: {months: 2}", ""]))
    return "months.yaml"


def test_the_command_prints_what_a_ctrl_c_leaves(run, months, monkeypatch):
    monkeypatch.setattr(MonthsSearch, "improving", stopped)
    code, out, err = run("solve", months, "--json")
    assert code == exit_codes.INTERRUPTED
    assert json.loads(out)["is_proven"] is False
    assert "interrupted" in err
    code, out, _ = run("solve", months)
    assert code == exit_codes.INTERRUPTED
    assert "; not proven" in out


def test_the_command_says_that_there_is_no_calendar_yet(run, months, monkeypatch):
    monkeypatch.setattr(MonthsSearch, "rented", never)
    code, out, err = run("solve", months)
    assert (code, out) == (exit_codes.NO_PLAN, "")
    assert "No calendar: time was up before there was one" in err
