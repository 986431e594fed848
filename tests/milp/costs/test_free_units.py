"""Units at a price of 0 are paid already: so many as are stated, told as used and as idle."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from milp_planner import InputError, Plan, Problem, Status, solve
from milp_planner.plans.reading import read_plan
from milp_planner.reporting.text.plans.table import plan_text
from tests.support.builders import catalog, offering, problem, raw, token_price
from tests.support.builders import workload as workload_of
from tests.support.catalog_files import OFFERINGS, TOKEN_PRICES, faults, load

FREE, CHEAP = "acme/free/eu-1", "bolt/cheap/eu-1"
HOW_MANY = (
    "0 is the price of units that are paid already; say how many there are under max_units, or "
    "write what they are listed at, and in the problem "
    "commitments: [{offering: PROVIDER/NAME/REGION, units: 2, until: 2027-12-31}]"
)
HOW_MUCH = (
    "0 is the price of what an account may have for nothing; say how much that is under "
    "max_requests_per_minute"
)


def two_for_nothing(**fields: Any):
    """One request/s each: two at acme that are paid already, others for $6/h at bolt."""
    free = offering("acme", "box", 0.0, **{"name": "free", "max_units": 2, **fields})
    own = catalog([free, offering("bolt", "box", 6.0, name="cheap")], [raw("box", 1)])
    return replace(own, read_on=date(2026, 3, 1))


def units(plan: Plan) -> dict[str, int]:
    return {p.candidate.offering.id: p.units for p in plan.purchases}


# --- units ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("peak", "fleet", "usd", "used"),
    [(1, {FREE: 1}, 0, 720), (2, {FREE: 2}, 0, 1_440), (3, {FREE: 2, CHEAP: 1}, 4_320, 1_440)],
)
def test_they_come_first_cost_nothing_and_are_no_more_than_stated(
    peak: int, fleet: dict[str, int], usd: float, used: float
) -> None:
    plan = solve(problem(peak), two_for_nothing())
    assert plan.status is Status.OPTIMAL
    assert units(plan) == fleet
    assert plan.cash_usd_per_month == pytest.approx(usd)
    (use,) = plan.commitments
    assert (use.offering, use.units, use.paid, use.used) == (FREE, 2, 1_440, used)
    assert read_plan(plan.to_dict()).to_dict() == plan.to_dict()


def test_the_plan_says_what_is_idle() -> None:
    said = plan_text(solve(problem(1), two_for_nothing()))
    line = f"2 units of {FREE} dedicated: 50 % used; 720 of 1,440 unit-hours paid for nothing"
    assert f"Paid already: {line}" in said
    said = plan_text(solve(problem(2), two_for_nothing()))
    assert f"Paid already: 2 units of {FREE} dedicated: all used\n" in said


def test_they_stay_where_no_unit_of_todays_fleet_is_cheaper() -> None:
    runs = [{"offering": FREE, "units": 2, "workload": "chat"}]
    plan = solve(problem(2, current_fleet=runs), two_for_nothing())
    assert [(c.keep, c.add, c.remove) for c in plan.changes] == [(2, 0, 0)]


def test_a_commitment_to_them_covers_what_has_a_price() -> None:
    # One unit of anything is paid: the one that costs something.
    paid = [{"offering": "*", "units": 1}]
    plan = solve(problem(4, commitments=paid), two_for_nothing())
    assert units(plan) == {FREE: 2, CHEAP: 2}
    assert plan.cash_usd_per_month == pytest.approx(4_320)
    assert [use.used for use in plan.commitments] == [720, 1_440]


def test_units_of_several_gpus_at_no_price_are_shared() -> None:
    # 3 + 5 requests/s on one node of 8, 6 on the other: rented, they would cost 14 x $4,320.
    loads = [workload_of(3, "chat"), workload_of(5, "math"), workload_of(6, "code")]
    plan = solve(problem(workloads=loads), two_for_nothing(gpus_per_unit=8))
    assert plan.cash_usd_per_month == 0
    assert [use.share for use in plan.commitments] == [1.0]


def test_as_by_trying_every_fleet() -> None:
    """Some free units, some cheap, some dear that carry two, load by load."""
    dear = offering("dell", "large", 10.0, name="dear")
    for stock, peak in product((0, 1, 3), (1, 2, 3, 4, 5)):
        own = two_for_nothing(max_units=stock)
        rates = (*own.measurements, raw("large", 2))
        own = catalog([*own.offerings, dear], [*rates])
        least = min(
            720 * (6 * cheap + 10 * larger)
            for free, cheap, larger in product(range(stock + 1), range(6), range(4))
            if free + cheap + 2 * larger >= peak
        )
        plan = solve(problem(peak), own)
        assert plan.cash_usd_per_month == pytest.approx(least), (stock, peak)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"max_units": None}, HOW_MANY),
        ({"billing": "spot"}, "0 is the price of units that are paid already, and spot is not"),
    ],
)
def test_without_a_count_they_are_refused_in_code_too(fields: dict[str, Any], said: str) -> None:
    allowed = {"billing": {"allow": ["dedicated", "spot"]}}
    with pytest.raises(InputError) as refused:
        solve(problem(1, limits=allowed), two_for_nothing(**fields))
    assert said in str(refused.value)


def test_in_a_file_they_say_how_many(tmp_path: Path) -> None:
    header, first, *rest = OFFERINGS.splitlines()
    free = first.replace("sxm,8,24", "sxm,8,0")
    assert free != first
    text = "\n".join([header, *rest, free])
    assert f"own/offerings.csv:4: usd_per_hour: {HOW_MANY}" in faults(tmp_path, offerings=text)


def test_in_a_file_with_a_count_they_are_no_quote_of_what_is_sold(tmp_path: Path) -> None:
    # The same GPUs in the same place, named differently by another list: two things, one paid.
    header, first, *rest = OFFERINGS.splitlines()
    listed = first.split(",")[1]
    ours = first.replace(listed, "ours", 1).replace("sxm,8,24", "sxm,8,{}")
    ours = ours.replace("price list", "our contract")
    for price, names in ((0, {"ours", listed}), (23, {listed})):
        rows = [f"{header},max_units", *(f"{row}," for row in (first, *rest)), ours + ",2"]
        own = load(tmp_path / str(price), offerings="\n".join(rows).format(price))
        mine = {o.name for o in own.offerings if o.gpus_per_unit == 8 and o.billing == "dedicated"}
        assert mine & {"ours", listed} == names


OWNED = "provider,name,gpu,gpus_per_unit,purchase_usd,lifetime_years,max_units,as_of,source\n"


def test_what_is_written_off_says_how_many_there_are(tmp_path: Path) -> None:
    row = OWNED + "our-lab,rack,h100-80gb-sxm,8,0,3,{},2026-08-01,own books\n"
    (rack,) = (o for o in load(tmp_path / "a", owned=row.format(2)).offerings if o.name == "rack")
    assert (rack.billing, rack.usd_per_hour, rack.max_units) == ("owned", 0, 2)
    said = faults(tmp_path, owned=row.format(""))
    assert f"own/owned.csv:2: purchase_usd: {HOW_MANY}" in said


# --- quotes --------------------------------------------------------------------------------------


def test_a_quote_of_nothing_is_so_many_units() -> None:
    quote = {"offering": CHEAP, "term": "12 months", "usd_per_gpu_hour": 0, "units": 1}
    plan = solve(problem(4, quotes=[quote]), two_for_nothing())
    assert units(plan) == {FREE: 2, CHEAP: 1, "bolt/cheap+quote1/eu-1": 1}
    assert plan.cash_usd_per_month == pytest.approx(4_320)
    assert [(use.billing, use.used) for use in plan.commitments] == [
        ("dedicated", 1_440),
        ("committed", 720),
    ]


def test_a_quote_of_nothing_without_a_count_is_refused() -> None:
    quote = {"offering": CHEAP, "term": "12 months", "usd_per_gpu_hour": 0}
    with pytest.raises(InputError, match=r"quotes\[0\].usd_per_gpu_hour: 0 is the price of units"):
        Problem(**problem(1).model_dump(by_alias=True) | {"quotes": [quote]})


# --- per token -----------------------------------------------------------------------------------


def test_tokens_at_no_price_go_as_far_as_their_rate_limit() -> None:
    # 60 a minute are one request/s of three: the other two take a unit each.
    own = two_for_nothing(max_units=0)
    own = replace(own, token_prices=(token_price("tokn", 0.0, max_requests_per_minute=60),))
    allowed = {"billing": {"allow": ["dedicated", "per_token"]}}
    plan = solve(problem(3, limits=allowed), own)
    assert units(plan)[CHEAP] == 2
    assert plan.cash_usd_per_month == pytest.approx(8_640)


def test_tokens_at_no_price_without_a_limit_are_refused(tmp_path: Path) -> None:
    own = replace(two_for_nothing(), token_prices=(token_price("tokn", 0.0),))
    allowed = {"billing": {"allow": ["dedicated", "per_token"]}}
    with pytest.raises(InputError) as refused:
        solve(problem(3, limits=allowed), own)
    assert HOW_MUCH in str(refused.value)
    header, first, *_ = TOKEN_PRICES.splitlines()
    at = header.split(",").index("usd_per_m_output_tokens")
    free = ",".join("0" if i == at else cell for i, cell in enumerate(first.split(",")))
    said = faults(tmp_path, token_prices=f"{header}\n{free}\n")
    assert f"own/token_prices.csv:2: usd_per_m_output_tokens: {HOW_MUCH}" in said
