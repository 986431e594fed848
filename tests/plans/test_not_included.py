"""What no figure of a plan counts is listed, and nothing that is stated."""

from __future__ import annotations

import json

import pytest

from milp_planner import Plan, solve
from milp_planner.inputs.catalog.owned import OwnedUnits
from tests.support.builders import DAY, catalog, offering, problem, raw, token_price

BOUGHT = {"purchase_usd": 26_280, "lifetime_years": 3, "as_of": DAY, "source": "test"}
HANDS = {"usd_per_kwh": 0.1, "watts": 700, "facilities_usd_per_month": 72}


def own(**stated: float):
    """Units of one's own that state so much."""
    return OwnedUnits(
        provider="lab", name="box", gpu="box", gpus_per_unit=1, **BOUGHT, **stated
    ).offering


def left_out(*rows, tokens=(), load=2, **fields):
    known = catalog([*rows], [raw("box", 1)], [*tokens])
    plan = solve(problem(load, **fields), known)
    assert Plan.from_dict(json.loads(json.dumps(plan.to_dict()))).not_included == plan.not_included
    always = ("egress", "storage", "support", "tax")
    assert plan.not_included[:4] == always
    return plan.not_included[4:]


LATE = ("network latency", "start-up and model loading")


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ({}, ("power of owned units where it is not stated",
              "facilities of owned units where it is not stated", "staff")),
        ({"usd_per_kwh": 0.1}, ("power of owned units where it is not stated",
                                "facilities of owned units where it is not stated", "staff")),
        (HANDS, ("staff",)),
        ({**HANDS, "staff_usd_per_month": 144}, ()),
        ({**HANDS, "staff_usd_per_month": 0}, ()),
        ({"usd_per_kwh": 0.1, "idle_watts": 300, "full_watts": 700, "usd_per_month": 90}, ()),
    ],
)  # fmt: skip
def test_what_owned_units_state_is_not_listed(stated, said):
    assert left_out(own(**stated)) == (*said, *LATE)


def test_staff_of_what_is_rented_beside_is_still_left_out():
    # One of one's own, one rented.
    mine = own(**HANDS, staff_usd_per_month=1).model_copy(update={"max_units": 1})
    rented = offering("acme", "box", 9.0)
    assert left_out(mine, rented) == ("staff where it is not stated", *LATE)


def test_what_is_paid_per_token_has_no_price_of_staff():
    allow = {"billing": {"allow": ["per_token"]}}
    assert left_out(tokens=[token_price("tokn", 1)], limits=allow) == ("staff", *LATE)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"ready_after": "5min"}, ()),
        ({"ready_after": "5min", "offering": "bolt/*"},
         ("start-up and model loading where it is not stated",)),
    ],
)  # fmt: skip
def test_start_up_is_listed_where_it_is_not_stated(entry, said):
    day = {"kind": "profile", "requests_per_day": 50_000, "weights": [1] * 12 + [3] * 12}
    rented = offering("acme", "box", 1.0, billing="autoscaling"), offering("bolt", "box", 99.0)
    assert left_out(*rented, chat={"traffic": day}, policy={"start_up": [entry]}) == (
        "staff", "network latency", *said,
    )  # fmt: skip
