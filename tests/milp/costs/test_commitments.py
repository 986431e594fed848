"""What is paid already costs nothing more, covers what saves most, and is told where it is idle."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from milp_planner import (
    Fleet,
    InputError,
    Plan,
    Row,
    Rule,
    Status,
    count_terms,
    load_catalog,
    prepare,
    solve,
)
from milp_planner.candidates.paying.commitments import month_share
from milp_planner.inputs.problem.commitments import Commitment
from milp_planner.plans.reading import read_plan
from milp_planner.questions.solve import plan_of, provenance_of
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.solving import parts
from milp_planner.solving.re_solve import settings_of
from milp_planner.solving.search import Search
from tests.support.builders import BIG, SMALL, big_and_small, catalog, offering, problem, raw
from tests.support.builders import workload as workload_of

TODAY = date(2026, 3, 1)


def paid(offering: str, units: int, **fields: Any) -> dict[str, Any]:
    return {"offering": offering, "units": units, **fields}


def amount(offering: str, usd_per_hour: float, discount: float, **fields: Any) -> dict[str, Any]:
    return {"offering": offering, "usd_per_hour": usd_per_hour, "discount": discount, **fields}


def dear_and_cheap(**fields: Any):
    """One request/s each: dear for $10/h at acme, cheap for $6/h at bolt; today is 1 March 2026."""
    return replace(
        catalog(
            [
                offering("acme", "box", 10.0, name="dear", **fields),
                offering("bolt", "box", 6.0, name="cheap"),
            ],
            [raw("box", 1)],
        ),
        read_on=TODAY,
    )


DEAR, CHEAP = "acme/dear/eu-1", "bolt/cheap/eu-1"


def units(plan: Plan) -> dict[str, int]:
    return {p.candidate.offering.id: p.units for p in plan.purchases}


# --- units ---------------------------------------------------------------------------------------


def test_paid_units_come_first_however_dear_and_the_rest_is_rented():
    # 3 requests/s: two dear ones are paid, a cheap one costs $6 x 720 h = $4,320.
    plan = solve(problem(3, commitments=[paid(DEAR, 2)]), dear_and_cheap())
    assert plan.status is Status.OPTIMAL
    assert units(plan) == {DEAR: 2, CHEAP: 1}
    assert plan.cash_usd_per_month == pytest.approx(4_320)
    assert plan.costs["rent"] == pytest.approx(18_720)
    assert plan.costs["commitments"] == pytest.approx(-14_400)
    assert [p.cash_usd_per_month for p in plan.purchases] == [0.0, pytest.approx(4_320)]
    (use,) = plan.commitments
    assert (use.paid, use.used, use.unused) == (1_440, 1_440, 0)
    said = plan_text(plan)
    assert f"Paid already: 2 units of {DEAR}: all used, $14,400 less to pay per month" in said
    assert read_plan(plan.to_dict()).to_dict() == plan.to_dict()


def test_a_plan_without_commitments_says_nothing_of_them():
    plan = solve(problem(3), dear_and_cheap())
    assert units(plan) == {CHEAP: 3}
    assert "commitments" not in plan.costs
    assert plan.commitments == ()
    assert "Paid already" not in plan_text(plan)


def test_what_is_paid_for_nothing_is_told():
    # 1 request/s needs one of the three that are paid: 720 of 2,160 unit-hours.
    plan = solve(problem(1, commitments=[paid(DEAR, 3)]), dear_and_cheap())
    assert plan.cash_usd_per_month == 0
    assert (
        "33 % used, $7,200 less to pay per month; 1,440 of 2,160 unit-hours paid for nothing"
        in (plan_text(plan))
    )


def test_running_units_that_are_paid_stay_where_others_are_cheaper_and_where_some_are_idle():
    runs = [{"offering": DEAR, "units": 2, "workload": "chat"}]
    for commitments, kept, usd in (((), {CHEAP: 1}, 4_320), ([paid(DEAR, 2)], {DEAR: 2}, 0)):
        plan = solve(problem(1, commitments=commitments, current_fleet=runs), dear_and_cheap())
        assert units(plan) == kept
        assert plan.cash_usd_per_month == pytest.approx(usd)


def test_units_of_a_pattern_cover_the_dearest_in_all_workloads_together():
    # Two workloads on one cheap each; no more than one dear can be had. One unit is paid of any.
    asked = problem(
        workloads=[workload_of(1, "chat"), workload_of(1, "code")], commitments=[paid("*", 1)]
    )
    plan = solve(asked, dear_and_cheap())
    assert plan.cash_usd_per_month == pytest.approx(4_320)
    assert sum(w.cash_usd_per_month for w in plan.workloads) == pytest.approx(4_320)


@pytest.mark.slow
def test_a_commitment_of_one_billing_covers_no_other():
    # One unit on demand, $10/h, or reserved, $7/h; it is paid only as what the commitment names.
    both = catalog(
        [offering("acme", "box", 10.0), offering("acme", "box", 7.0, billing="reserved_1y")],
        [raw("box", 1)],
    )
    for allowed, named, usd in (
        ("dedicated", "dedicated", 0),
        ("dedicated", "reserved_1y", 7_200),
        ("dedicated", None, 0),
        ("reserved_1y", "dedicated", 5_040),
    ):
        commitments = [paid("acme/box/eu-1", 1, billing=named)]
        asked = problem(1, commitments=commitments, limits={"billing": {"allow": [allowed]}})
        plan = solve(asked, both)
        assert plan.cash_usd_per_month == pytest.approx(usd), (allowed, named)
        assert [one.used for one in plan.commitments] == [0 if usd else 720]


def test_paid_units_need_no_budget():
    budget = {"budget": {"usd_per_month": 4_320}}
    assert not solve(problem(3, limits=budget), dear_and_cheap()).status.has_plan
    asked = problem(3, limits=budget, commitments=[paid(DEAR, 2)])
    assert solve(asked, dear_and_cheap()).cash_usd_per_month == pytest.approx(4_320)


def test_in_every_block_the_dearest_that_is_on_is_covered():
    # Elastic units for $12/h follow the load, held ones for $10/h are on all month. One of any is
    # paid. 1 request/s half the time, 2 the other half: one held and, by day, one elastic.
    rented = catalog(
        [
            offering("acme", "box", 10.0, max_units=1),
            offering("bolt", "box", 12.0, billing="autoscaling"),
        ],
        [raw("box", 1)],
    )
    traffic = {
        "kind": "profile",
        "requests_per_day": 1.5 * 86_400,
        "weights": [1] * 12 + [2] * 12,
        "max_blocks": 2,
    }
    asked = problem(chat={"traffic": traffic}, commitments=[paid("*", 1)])
    plan = solve(asked, rented)
    # Nothing held: by night 1 is covered, by day one of two: $12 x 360 h. Held as well: by night it
    # is covered, by day the elastic one is, and the held one costs $10 x 360 h.
    assert plan.cash_usd_per_month == pytest.approx(3_600)


# --- until a day ---------------------------------------------------------------------------------


def test_a_commitment_that_ends_within_the_month_covers_its_part_of_it():
    # 1 to 6 March is 6 days of 30: a fifth. Dear costs 4/5 of $7,200, cheap $4,320.
    asked = problem(1, commitments=[paid(DEAR, 1, until="2026-03-06")])
    plan = solve(asked, dear_and_cheap())
    assert units(plan) == {CHEAP: 1}
    assert "not used, 144 of 144 unit-hours paid for nothing" in plan_text(plan)
    # Until 15 March it is half: $3,600.
    plan = solve(
        asked.changed({"commitments": [paid(DEAR, 1, until="2026-03-15")]}), dear_and_cheap()
    )
    assert units(plan) == {DEAR: 1}
    assert plan.cash_usd_per_month == pytest.approx(3_600)


def test_one_that_has_ended_counts_no_more_and_says_so():
    plan = solve(problem(1, commitments=[paid(DEAR, 1, until="2026-02-28")]), dear_and_cheap())
    assert units(plan) == {CHEAP: 1}
    assert f"1 unit of {DEAR} until 2026-02-28: it has ended and counts no more" in plan_text(plan)
    assert read_plan(plan.to_dict()).to_dict() == plan.to_dict()


@pytest.mark.parametrize(
    ("until", "share"),
    [(None, 1), ("2026-02-28", 0), ("2026-03-01", 1 / 30), ("2026-03-30", 1), ("2030-01-01", 1)],
)
def test_the_last_day_is_paid(until, share):
    one = Commitment(offering="*", units=1, until=until)
    assert month_share(one, TODAY, 720) == pytest.approx(share)


def test_a_month_stands_for_its_last_day():
    days = {"2026-02": (2026, 2, 28), "2028-02": (2028, 2, 29), "2027-12": (2027, 12, 31)}
    for month, day in days.items():
        assert Commitment(offering="*", units=1, until=month).until == date(*day)
    for wrong in ("2027-13", "0000-01", "2027"):
        with pytest.raises(InputError):
            Commitment(offering="*", units=1, until=wrong)


# --- an amount an hour ---------------------------------------------------------------------------


def test_an_amount_pays_for_its_worth_less_the_discount_part_of_a_unit_too():
    # $7 an hour at 30 % off pays for $10 of $18 an hour; $8 an hour are left, $5,760.
    plan = solve(problem(3, commitments=[amount("*", 7, 0.30)]), dear_and_cheap())
    assert units(plan) == {CHEAP: 3}
    assert plan.cash_usd_per_month == pytest.approx(5_760)
    assert "$7.00 an hour of *: all used, $7,200 less to pay per month" in plan_text(plan)


def test_an_amount_beyond_what_is_on_is_paid_for_nothing():
    # One cheap takes $3 of $12 an hour at 50 % off.
    plan = solve(problem(1, commitments=[amount(CHEAP, 12, 0.5)]), dear_and_cheap())
    assert plan.cash_usd_per_month == 0
    assert "25 % used, $4,320 less to pay per month; 6,480 of 8,640 USD paid for nothing" in (
        plan_text(plan)
    )


def test_units_and_an_amount_share_a_unit_where_that_saves_most():
    # Dear ($10/h) and cheap ($6/h) are on, one unit of either is paid, and $2.50 an hour at half
    # price of dear alone, which is $5/h of it. Half of the unit on each: 5 + 3 + 5 of $16 an hour.
    rented = dear_and_cheap(max_units=1)
    cheap_is_few = [o.model_copy(update={"max_units": 1}) for o in rented.offerings]
    asked = problem(2, commitments=[paid("*", 1), amount(DEAR, 2.5, 0.5)])
    plan = solve(asked, replace(rented, offerings=tuple(cheap_is_few)))
    assert plan.cash_usd_per_month == pytest.approx(3 * 720)


# --- however it is solved ------------------------------------------------------------------------


def test_workloads_that_share_a_commitment_are_solved_together(monkeypatch):
    monkeypatch.setattr(parts, "LARGE", 0)
    asked = problem(
        workloads=[workload_of(1, "chat"), workload_of(1, "code")], commitments=[paid(DEAR, 1)]
    )
    given_ = prepare(asked, dear_and_cheap())
    settings = settings_of(asked, time_limit_s=20)
    search = Search(given_, settings, provenance_of(given_, settings), asked.alternatives)
    plan = plan_of(search)
    # Apart, each would take the one that is paid.
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(4_320)


class SevenUnits(Rule):
    """At least seven units of dear."""

    def rows(self, fleet: Fleet):
        dear = [(k, 1.0) for k in fleet.candidates if k.offering.id == DEAR]
        yield Row.at_least("dear", count_terms(fleet, dear, 0), 7)

    def violations(self, instance, plan):
        count = units(plan).get(DEAR, 0)
        return [] if count >= 7 else [f"{count} units"]


def test_a_rule_may_ask_for_more_than_the_demand_where_units_are_paid():
    asked = problem(1, commitments=[paid(DEAR, 6)])
    plan = solve(asked, dear_and_cheap(), rules=[SevenUnits])
    assert units(plan) == {DEAR: 7}
    assert plan.cash_usd_per_month == pytest.approx(7_200)


# --- what cannot be ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "commitments[0]: write units, or usd_per_hour and its discount: how much is paid"),
        (
            {"units": 1, "usd_per_hour": 3},
            "commitments[0].usd_per_hour: units are paid, or so much an hour; write one",
        ),
        (
            {"usd_per_hour": 3},
            "commitments[0].discount: required beside usd_per_hour: `discount: 30%`",
        ),
        (
            {"units": 1, "discount": 0.3},
            "commitments[0].discount: goes with usd_per_hour; units are paid in full",
        ),
        ({"units": 1, "billing": "spot"}, "commitments[0].billing: nobody commits to spot"),
    ],
)
def test_half_a_commitment_is_refused(fields, said):
    with pytest.raises(InputError) as error:
        problem(1, commitments=[{"offering": BIG, **fields}])
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("named", "said"),
    [
        (paid("acme/bigg/eu-1", 1), "commitments[0].offering: no offering 'acme/bigg/eu-1'"),
        (paid("acme/b?g", 1), "'acme/b?g' matches none of the 2 offerings; closest: acme/big/eu-1"),
        (
            paid(SMALL, 1, billing="reserved_1y"),
            f"commitments[0].billing: {SMALL} is not sold as reserved_1y, only as dedicated",
        ),
    ],
)
def test_a_commitment_to_what_is_not_sold_is_refused(named, said):
    with pytest.raises(InputError) as error:
        solve(problem(1, commitments=[named]), big_and_small())
    assert said in str(error.value)


def test_a_price_of_nothing_without_a_count_shows_the_words_of_a_commitment(tmp_path):
    files = {
        "catalog.csv": "field,value\nname,own\nversion,1\ndate,2026-01-01\nextends,none\n",
        "gpus.csv": "id,vendor,as_of,source\nbox,x,2026-01-01,t\n",
        "llms.csv": "id,as_of,source\ntiny,2026-01-01,t\n",
        "offerings.csv": "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,"
        "source\nacme,box,r,owned,box,1,0,2026-01-01,t\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_catalog(tmp_path)
    assert (
        "offerings.csv:2: usd_per_hour: 0 is the price of units that are paid already; say how "
        "many there are under max_units, or write what they are listed at, and in the problem "
        "commitments: [{offering: PROVIDER/NAME/REGION, units: 2, until: 2027-12-31}]"
    ) in str(error.value)
