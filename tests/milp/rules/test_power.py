"""A cap on the power of what is owned."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import Status, diagnose, load_catalog, prepare, solve
from milp_planner.milp.presolve.dominance import prune
from tests.support.builders import catalog, offering, problem, raw

GPUS = "id,vendor,as_of,source\nbox,x,2026-01-01,t\n"
OWNED = (
    "provider,name,region,gpu,gpus_per_unit,purchase_usd,lifetime_years,full_watts,pue,as_of,source"
)


def own_and_rented(own_kw=3.0, lean_kw=1.0):
    """One request/s each: own for $1/h, lean and own for $2/h, rented for $5/h."""
    rows = [
        offering("own", "box", 1.0, name="own", billing="owned", kilowatts=own_kw),
        offering("own", "box", 2.0, name="lean", billing="owned", kilowatts=lean_kw),
        offering("acme", "box", 5.0, name="rented"),
    ]
    return catalog(rows, [raw("box", 1)])


def units(plan):
    return {p.candidate.offering.name: p.units for p in plan.purchases}


def asked(kw, load=4):
    return problem(load, limits={} if kw is None else {"max_power_kw": kw})


@pytest.mark.parametrize(
    ("kw", "fleet"),
    [
        (None, {"own": 4}),
        (12, {"own": 4}),
        # 10 kW: three of 3 kW and one of 1. 7 kW: one of 3 and three of 1 are 6, two of each 8.
        (10, {"own": 3, "lean": 1}),
        (7, {"own": 1, "lean": 3}),
        # 3 kW: three lean ones and one that draws another's power.
        (3, {"lean": 3, "rented": 1}),
        (0.5, {"rented": 4}),
    ],
)
def test_owned_units_draw_no_more_than_there_is(kw, fleet):
    plan = solve(asked(kw), own_and_rented())
    assert plan.status is Status.OPTIMAL
    assert units(plan) == fleet


def test_what_is_not_stated_is_left_out_and_says_so():
    plan = solve(asked(100), own_and_rented(own_kw=None))
    assert units(plan) == {"lean": 4}
    assert "limits.max_power_kw: what it draws is not stated (full_watts of owned.csv)" in {
        row.reason for row in plan.turned_down
    }
    assert units(solve(asked(None), own_and_rented(own_kw=None))) == {"own": 4}


def test_what_draws_more_does_not_stand_in_for_what_draws_less():
    for kw, kept in ((10, {"own", "lean", "rented"}), (None, {"own"})):
        whole = prepare(asked(kw), own_and_rented())
        pruned = prune(whole, whole.candidates.candidates).kept
        assert {k.offering.name for k in pruned} == kept


def test_a_diagnosis_says_how_much_power_would_do():
    rented = own_and_rented()
    owned = replace(rented, offerings=tuple(o for o in rented.offerings if o.billing == "owned"))
    found = diagnose(asked(3), owned)
    assert ("limits.max_power_kw", "3 kW") in found.conflict
    assert "allow 4 kW" in [change.text for change in found.changes]


def test_a_row_of_owned_hardware_draws_what_it_states_times_the_cooling(tmp_path):
    files = {
        "catalog.csv": "field,value\nname,own\nversion,1\ndate,2026-01-01\nextends,none\n",
        "gpus.csv": GPUS,
        "llms.csv": "id,as_of,source\ntiny,2026-01-01,t\n",
        "owned.csv": f"{OWNED}\nlab,box,here,box,1,26280,3,2000,1.5,2026-01-01,t\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    (row,) = load_catalog(tmp_path).offerings
    assert row.kilowatts == pytest.approx(3)
    assert row.usd_per_hour == pytest.approx(1)
