"""What a sheet says that each wish for a time is judged on."""

from __future__ import annotations

from dataclasses import replace

from milp_planner.questions.sheet.risks import wishes_of
from tests.support.shown.exported import ON_DEMAND, RESERVED, bought, fleet


def estimated(k):
    return replace(k, points=tuple(replace(point, source="estimated") for point in k.points))


def asking(plan):
    """For 50 ms a token."""
    return replace(plan, workloads=tuple(replace(w, tpot_wish_s=0.05) for w in plan.workloads))


def test_a_wish_is_measured_only_where_every_rate_of_the_workload_is():
    measured, guessed = bought(ON_DEMAND, 1, 1), bought(estimated(RESERVED), 1, 1)
    for purchases, expected in (
        ([measured], True),
        ([guessed], False),
        ([measured, guessed], False),
    ):
        wish, *_ = wishes_of(asking(fleet(*purchases)))
        assert (wish.what, wish.asked_s, wish.measured) == ("tpot", 0.05, expected)
