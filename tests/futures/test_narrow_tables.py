"""What is printed of futures and months fits a terminal of 80 columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import InputError, Plan
from milp_planner.plans.calendars.records import (
    Calendar,
    CalendarMonth,
    CalendarProof,
    FutureCalendar,
    RentedUnits,
    Signing,
)
from milp_planner.plans.futures.records import CommitmentCase, FutureOutcome, FuturesPlan
from milp_planner.reporting.text.plans.calendar import calendar_text
from milp_planner.reporting.text.plans.futures import futures_lines
from tests.support.sample_plans import ORIGIN

NAMES = ("packet-ai/b200-180gb-sxm/global", "aws/p5e.48xlarge/us-west-2-lax-1")


def month(number: int) -> CalendarMonth:
    rented = tuple(RentedUnits(w, name, "dedicated", 9) for name in NAMES for w in ("a", "b"))
    return CalendarMonth(number, 1.23, (), 134, 113_116.0, 804_292.0, rented)


def calendar() -> Calendar:
    signed = (Signing(1, "chat", NAMES[0], "committed", "b200", 5, 1_000.0, 12),)
    months = (replace(month(1), signed=signed), month(2))
    future = FutureCalendar("a-future-with-a-long-name", 0.4, months, 9.0)
    proof = CalendarProof(6e6, 6e6, 1, 1, ("cbc", "highs"))
    both = future, replace(future, name="other")
    return Calendar("year", None, "extend", both, proof, None, ORIGIN)


def test_a_calendar_fits_and_says_what_its_letters_are():
    lines = calendar_text(calendar(), 80).splitlines()
    assert max(map(len, lines)) <= 80
    rows = [line.split() for line in lines if line.startswith("      1 ")]
    # Eighteen of each, nine a workload.
    assert [row[4:9] for row in rows] == [["18", "a", "+", "18", "b"]] * 2
    assert lines.count("  a: aws/p5e.48xlarge/us-west-2-lax-1 dedicated") == 1
    assert lines.count("  b: packet-ai/b200-180gb-sxm/global dedicated") == 1


def test_a_table_of_many_futures_is_told_in_parts():
    names = [f"future-number-{i}" for i in range(6)]
    fleets = "14 x l40s-48gb aws + 22 x a100-80gb-sxm lambda + 3 x 8 x h100-80gb-sxm coreweave"
    told = FuturesPlan(
        leading=names[0],
        committed=(),
        outcomes=tuple(
            FutureOutcome(n, 1 / 6, 1.0, 22_980.0, 1.0, 1.0, 0.0, fleets) for n in names
        ),
        expected_usd_per_month=1.0,
        minimised_usd_per_month=1.0,
        bound_usd_per_month=1.0,
        cases=(CommitmentCase("mean", "", (), dict.fromkeys(names, 22_980.0), 25_391.0, 9.0),),
    )
    lines = [line for line in futures_lines(told) if line.startswith("  ")]
    assert max(map(len, lines)) <= 80
    said = " ".join(" ".join(lines).split())
    assert said.count("coreweave") == 6
    heads = [line for line in lines if line.startswith("  made for")]
    assert len(heads) == 4  # two names fit beside the words
    assert sum(line.count("future-number-") for line in heads) == 6
    assert "largest regret" in heads[-1]


def test_a_calendar_is_no_plan_and_the_fault_says_what_is():
    with pytest.raises(InputError) as caught:
        Plan.from_dict(calendar().to_dict())
    assert "document: is a calendar, the document of a problem over months" in str(caught.value)
    assert "leave horizon out of the problem and solve it --json" in str(caught.value)
