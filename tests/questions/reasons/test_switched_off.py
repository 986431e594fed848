"""What of the cost of a limit is nothing but units that stay on while they are idle."""

from __future__ import annotations

import pytest

from milp_planner import explain_limits
from milp_planner.reporting.text.questions.explain import limit_costs_text
from tests.support.builders import catalog, offering, problem, raw

DAY = {"kind": "profile", "requests_per_day": 12 * 3_600 * 9, "weights": [1] * 12 + [0] * 12}
"""9 requests/s for 12 hours a day."""


def rented():
    """A box of 10 requests/s: $4/h held, $2/h on spot, which follows the load."""
    rows = [offering("acme", "box", 4.0), offering("bolt", "box", 2.0, billing="spot")]
    return catalog(rows, [raw("box", 10)])


def asked(**policy):
    return problem(chat={"traffic": DAY}, policy=policy)


def test_a_way_to_pay_that_follows_the_load_is_not_credited_with_switching_off():
    # Held $2,880. Spot $720, $2,160 less; but on while there is load the held one is $1,440.
    costs = explain_limits(asked(), rented())
    rows = {row.path: row for row in costs.rows}
    assert [row.path for row in costs.rows[:2]] == [
        "limits.billing.allow",
        "policy.switch_off_dedicated",
    ]
    billing = rows["limits.billing.allow"]
    assert billing.usd_per_month == pytest.approx(2_160)
    assert billing.by_switching_off_usd == pytest.approx(1_440)
    assert rows["policy.switch_off_dedicated"].usd_per_month == pytest.approx(1_440)
    assert rows["policy.utilization.target"].by_switching_off_usd is None
    assert "1 x box bolt spot; $1,440 of it is switching off when idle" in limit_costs_text(costs)


def test_where_units_are_off_already_nothing_is_said_of_it():
    costs = explain_limits(asked(switch_off_dedicated=True), rented())
    rows = {row.path: row for row in costs.rows}
    assert rows["limits.billing.allow"].usd_per_month == pytest.approx(720)
    assert rows["limits.billing.allow"].by_switching_off_usd is None
    assert "policy.switch_off_dedicated" not in rows
