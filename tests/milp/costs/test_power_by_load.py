"""Power of owned units counts by the load that they carry, where that is asked for and stated."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import InputError, Plan, Status, evaluate, load_catalog, prepare, solve
from milp_planner.milp.presolve.dominance import prune
from tests.support.builders import catalog, offering, problem, raw
from tests.support.examples import tries

HALF_DAYS = {
    "kind": "profile",
    "requests_per_day": 12 * (1 + 3) * 3_600,
    "weights": [1] * 12 + [3] * 12,
    "max_blocks": 2,
}
"""1 request/s by night, 3 by day."""


def own(name: str, price: float, idle: float, busy: float, gpu: str = "box"):
    return offering(
        "own",
        gpu,
        price,
        name=name,
        billing="owned",
        idle_usd_per_hour=idle,
        busy_usd_per_hour=busy,
    )


def asked(traffic: dict[str, Any] = HALF_DAYS, **fields: Any):
    policy = {"power_by_load": True, **fields.pop("policy", {})}
    return problem(chat={"traffic": traffic}, policy=policy, **fields)


def units(plan: Plan) -> dict[str, int]:
    return {p.candidate.offering.name: p.units for p in plan.purchases}


def boxes(*rows, **rates: float):
    return catalog(list(rows), [raw(gpu, rate) for gpu, rate in (rates or {"box": 1}).items()])


def test_a_unit_pays_power_for_what_it_carries():
    # Three units, $1 idle and $3 busy an hour; busy for 48 h a day: 72 x $1 + 48 x $2.
    rented = boxes(own("lab", 2.5, 1.0, 3.0))
    plan = solve(asked(), rented)
    assert plan.status is Status.OPTIMAL
    assert units(plan) == {"lab": 3}
    assert plan.cash_usd_per_month == pytest.approx(30 * (72 + 96))
    assert plan.costs["rent"] == pytest.approx(3 * 720 * 2.5)
    assert plan.costs["power_by_load"] == pytest.approx(30 * (72 + 96) - 3 * 720 * 2.5)
    assert plan.purchases[0].cash_usd_per_month == pytest.approx(30 * (72 + 96))
    flat = solve(asked(policy={"power_by_load": False}), rented)
    assert flat.cash_usd_per_month == pytest.approx(3 * 720 * 2.5)
    assert "power_by_load" not in flat.costs


def test_the_load_goes_to_whom_it_takes_the_least_power():
    # By night one of the two kinds can rest: the lean one works for $0.5, the other for $2 an hour.
    rows = own("hot", 9.0, 1.0, 3.0), own("lean", 9.0, 1.0, 1.5)
    question = asked(limits={"max_units": {"own/lean/*": 2}})
    plan = solve(question, boxes(*rows))
    assert units(plan) == {"hot": 1, "lean": 2}
    # night: 12 h of lean; day: 24 h of lean and 12 of hot
    assert plan.cash_usd_per_month == pytest.approx(30 * (72 + 36 * 0.5 + 12 * 2))
    night = [r for r in plan.routes if r.block.name == "load-2"]
    assert {r.candidate.offering.name for r in night} == {"lean"}


def test_what_is_idle_for_long_is_worth_owning():
    # Always busy, one of one's own costs $72 a day and one for rent $60; busy for 12 h, $48.
    rented = boxes(own("lab", 3.0, 1.0, 3.0), offering("acme", "box", 2.5, name="rent"))
    assert units(solve(asked(), rented)) == {"lab": 2, "rent": 1}
    assert units(solve(asked(policy={"power_by_load": False}), rented)) == {"rent": 3}


def test_what_draws_more_for_a_request_does_not_stand_in_for_what_draws_less():
    rented = boxes(own("hot", 2.0, 1.0, 3.0), own("lean", 2.1, 1.1, 1.5))
    for by_load, kept in ((True, {"hot", "lean"}), (False, {"hot"})):
        given_ = prepare(asked(policy={"power_by_load": by_load}), rented)
        left = prune(given_, given_.candidates.candidates).kept
        assert {k.offering.name for k in left} == kept


OWNED = (
    "provider,name,gpu,gpus_per_unit,purchase_usd,lifetime_years,full_watts,idle_watts,usd_per_kwh,"
    "pue,facilities_usd_per_month,staff_usd_per_month,as_of,source"
)


def folder(tmp_path: Path, row: str) -> Path:
    files = {
        "catalog.csv": "field,value\nname,own\nversion,1\ndate,2026-01-01\nextends,none\n",
        "gpus.csv": "id,vendor,as_of,source\nbox,x,2026-01-01,t\n",
        "llms.csv": "id,as_of,source\ntiny,2026-01-01,t\n",
        "owned.csv": f"{OWNED}\n{row},2026-01-01,t\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_a_row_of_owned_hardware_states_both_draws_facilities_and_staff(tmp_path):
    # $1 of capital, 1 and 4 kW x 1.5 x $0.10; $72 of space and $144 of hands are $0.3 an hour.
    row = "lab,box,box,1,26280,3,4000,1000,0.10,1.5,72,144"
    (o,) = load_catalog(folder(tmp_path, row)).offerings
    assert o.idle_usd_per_hour == pytest.approx(1 + 0.15 + 0.3)
    assert o.busy_usd_per_hour == pytest.approx(1 + 0.60 + 0.3)
    assert o.usd_per_hour == o.busy_usd_per_hour  # no average is stated
    assert "4,000 W" in o.note
    assert "facilities $72, staff $144" in o.note


def test_an_idle_draw_above_the_full_one_is_refused(tmp_path):
    with pytest.raises(InputError) as error:
        load_catalog(folder(tmp_path, "lab,box,box,1,26280,3,4000,5000,0.10,1.5,0,0"))
    assert "owned.csv:2: idle_watts: must be at most full_watts (4000)" in str(error.value)


def test_power_by_load_that_nothing_states_or_covers_is_refused():
    stated, silent = boxes(own("lab", 2.0, 1.0, 3.0)), boxes(offering("acme", "box", 1.0))
    with pytest.raises(InputError) as error:
        solve(asked(), silent)
    assert "policy.power_by_load: no owned unit states what it draws idle" in str(error.value)
    with pytest.raises(InputError) as error:
        solve(asked().changed({"policy.penalties.overload": {}}), stated)
    assert "together with policy.penalties.overload yet" in str(error.value)
    with pytest.raises(InputError) as error:
        evaluate(asked(), {"own/lab/eu-1": {"chat": 3}}, stated)
    assert "evaluate: who works when is not answered where power counts by load" in str(error.value)


# --- against trying every fleet ------------------------------------------------------------------


@tries(0.1, deadline=None)
@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 2.0, 3.0]), min_size=1, max_size=3).filter(any),
    st.sampled_from([1.0, 1.4]),
    st.tuples(st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.0, 1.0, 3.0])),
    st.tuples(st.sampled_from([0.6, 1.2]), st.sampled_from([0.2, 2.0])),
    st.sampled_from([1.0, 1.7]),
    st.sampled_from([0.8, 1.5, 3.0]),
)
def test_power_agrees_with_trying_every_fleet(loads, burst, big, small, rate, rent):
    """Two kinds of one's own and one rented; whom it costs least works first, in every hour."""
    hours = [load for load in loads for _ in range(24 // len(loads))]
    traffic = {
        "kind": "profile",
        "requests_per_day": sum(hours) * 3_600,
        "weights": hours,
        "burst_factor": burst,
        "max_blocks": 24,
    }
    kinds = [(big[0], big[1], rate), (small[0], small[1], 1.0), (rent, 0.0, 1.0)]
    rented = boxes(
        own("big", 5.0, big[0], big[0] + big[1], "big"),
        own("small", 0.9, small[0], small[0] + small[1]),
        offering("acme", "box", rent, name="rent"),
        big=rate,
        box=1,
    )
    most = [int(max(hours) * burst / speed) + 2 for *_, speed in kinds]
    best = float("inf")
    for counts in itertools.product(*map(range, most)):
        fleet = sorted(zip(kinds, counts, strict=True), key=lambda one: one[0][1] / one[0][2])
        usd, is_served = sum(24 * idle * n for (idle, _, _), n in fleet), True
        for load in hours:
            left = load * burst
            for (_, work, speed), n in fleet:
                part = min(left, n * speed)
                usd, left = usd + part / burst / speed * work, left - part
            is_served &= left <= 1e-9
        best = min(best, usd) if is_served else best
    for pruning in (True, False):
        plan = solve(asked(traffic), rented, pruning=pruning, diagnose=False)
        assert plan.status is Status.OPTIMAL
        assert plan.cash_usd_per_month == pytest.approx(30 * best, abs=0.01)
