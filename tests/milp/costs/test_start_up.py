"""Units that are off at times are paid for from before they serve, and the plan says so."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import InputError, Plan, Status, prepare, solve
from milp_planner.milp.presolve.dominance import prune
from milp_planner.reporting.text.plans.table import plan_text
from tests.support.builders import catalog, offering, problem, raw
from tests.support.examples import tries

AUTO, HELD = "acme/auto/eu-1", "bolt/held/eu-1"


def auto_and_held(held_usd: float = 9.0):
    """One request/s each: autoscaling for $10/h, on demand for $9/h."""
    return catalog(
        [
            offering("acme", "box", 10.0, name="auto", billing="autoscaling"),
            offering("bolt", "box", held_usd, name="held"),
        ],
        [raw("box", 1)],
    )


def day(*weights: int) -> dict[str, Any]:
    """Requests/s by the hour; as many blocks as there are loads."""
    return {
        "kind": "profile",
        "requests_per_day": sum(weights) * 3_600,
        "weights": list(weights),
        "max_blocks": 24,
    }


MORNING = day(*[1] * 8, *[3] * 8, *[0] * 8)


def units(plan: Plan) -> dict[str, tuple[int, ...]]:
    return {p.candidate.offering.id: p.units_by_block for p in plan.purchases}


def asked(*entries: dict[str, Any], traffic: dict[str, Any] = MORNING, **policy: Any):
    return problem(chat={"traffic": traffic}, policy={"start_up": entries, **policy})


def test_every_start_costs_what_the_unit_takes_to_be_ready():
    # A day: 1 unit starts at 0:00 and 2 at 8:00, half an hour early: 3 x 0.5 h x $10 x 30 days.
    rented = auto_and_held(held_usd=20)
    free, half = (solve(asked(*entries), rented) for entries in ((), ({"ready_after": "30min"},)))
    assert units(free) == units(half) == {AUTO: (3, 1, 0)}
    assert free.cash_usd_per_month == pytest.approx(32 * 10 * 30)
    assert half.costs["start_up"] == pytest.approx(450)
    assert half.cash_usd_per_month == pytest.approx(9_600 + 450)
    assert half.purchases[0].cash_usd_per_month == pytest.approx(10_050)
    assert "start_up" not in free.costs


def test_what_is_not_included_depends_on_what_is_stated():
    free, half = (solve(asked(*e), auto_and_held()) for e in ((), ({"ready_after": "30min"},)))
    assert "network latency, start-up and model loading." in plan_text(free)
    assert "start-up and model loading" not in plan_text(half)
    assert half.to_dict()["not_included"][-1] == "network latency"


def test_slow_starts_make_units_that_are_held_worth_it():
    # At night 1, by day 2 requests/s for an hour. Held: 2 x $9 x 720 h. Elastic: 25 h a day x $10,
    # and a start of so long a day. 1 held and 1 elastic: (9 x 24 + 10 x (1 + start)) x 30.
    busy = day(2, *[1] * 23)
    for minutes, elastic, usd in ((30, 1, 216 + 15), (360, 1, 216 + 70), (24 * 60, 0, 432)):
        plan = solve(asked({"ready_after": f"{minutes}min"}, traffic=busy), auto_and_held())
        assert plan.cash_usd_per_month == pytest.approx(30 * usd)
        assert units(plan).get(AUTO, (0,))[0] == elastic


def test_a_block_shorter_than_a_start_cannot_be_followed():
    # 2, 1, 2, 1, ... requests/s every hour, and a start of an hour: the second is always paid.
    plan = solve(asked({"ready_after": "1h"}, traffic=day(*[2, 1] * 12)), auto_and_held(15))
    assert units(plan) == {AUTO: (2, 1)}
    assert plan.cash_usd_per_month == pytest.approx(2 * 10 * 720)


def test_units_switched_off_without_load_start_as_well():
    # On for 16 h, off for 8: one start a day of half an hour of $9, three units.
    entries = {"ready_after": "30min", "billing": "dedicated"}
    rented = catalog([offering("bolt", "box", 9.0, name="held")], [raw("box", 1)])
    plan = solve(asked(entries, switch_off_dedicated=True), rented)
    assert plan.costs["start_up"] == pytest.approx(3 * 0.5 * 9 * 30)
    assert solve(asked(entries), rented).costs["start_up"] == 0  # held all month


def test_the_last_entry_that_matches_holds():
    entries = [
        {"ready_after": "1h"},
        {"offering": "acme/*", "ready_after": "30min"},
        {"offering": "acme/*", "billing": "autoscaling", "ready_after": "6min"},
        {"offering": "bolt/*", "ready_after": "2h"},
    ]
    plan = solve(asked(*entries), auto_and_held(held_usd=20))
    assert plan.costs["start_up"] == pytest.approx(3 * 0.1 * 10 * 30)


def test_what_is_ready_late_does_not_stand_in_for_what_is_ready_soon():
    # A day: slow $9 x (32 h + 3 starts of 8 h), but its third unit starts before its second ends;
    # soon $10 x 32 h.
    rented = catalog(
        [
            offering("acme", "box", 9.0, name="slow", billing="autoscaling"),
            offering("bolt", "box", 10.0, name="soon", billing="autoscaling"),
        ],
        [raw("box", 1)],
    )
    question = asked({"offering": "*/slow/*", "ready_after": "8h"})
    whole = prepare(question, rented)
    assert len(prune(whole, whole.candidates.candidates).kept) == 2
    plan = solve(question, rented)
    assert units(plan) == {"bolt/soon/eu-1": (3, 1, 0)}
    assert plan.cash_usd_per_month == pytest.approx(9_600)
    assert units(solve(asked(), rented)) == {"acme/slow/eu-1": (3, 1, 0)}


# --- against brute force: slot by slot of six minutes --------------------------------------------

SLOTS = 10  # an hour


def paid_hours_a_day(by_hour: tuple[int, ...], minutes: int) -> float:
    """Unit-hours of a day, told slot by slot: on is what serves now or is to in so long."""
    serves = [n for n in by_hour for _ in range(SLOTS)]
    more_days, reach = [*serves, *serves], minutes * SLOTS // 60
    return sum(max(more_days[s : s + reach + 1]) for s in range(24 * SLOTS)) / SLOTS


def cheapest_by_trying(loads: tuple[int, ...], minutes: int, usd: tuple[float, float]) -> float:
    """USD per month of the best of all counts of held units and of elastic ones by load."""
    best = float("inf")
    levels = sorted(set(loads) - {0})
    for held in range(max(loads) + 1):
        for counts in itertools.product(range(max(loads) + 1), repeat=len(levels)):
            elastic = dict(zip(levels, counts, strict=True))
            if all(held + n >= load for load, n in elastic.items()):
                by_hour = tuple(elastic.get(load, 0) for load in loads)
                hours = paid_hours_a_day(by_hour, minutes)
                best = min(best, 30 * (24 * held * usd[1] + hours * usd[0]))
    return best


@tries(0.08, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3]), min_size=4, max_size=6).filter(any),
    st.sampled_from([6, 30, 60, 90, 150, 600]),
    st.sampled_from([5.0, 7.0, 9.0]),
)
def test_starts_agree_with_trying_every_fleet_slot_by_slot(steps, minutes, held_usd):
    loads = tuple(load for load in steps for _ in range(24 // len(steps)))
    loads += (0,) * (24 - len(loads))
    # A profile has its blocks by load: hours of one load are one block.
    entry = {"ready_after": f"{minutes}min"}
    for merged in (True, False):
        question = asked(entry, traffic=day(*loads))
        plan = solve(question, auto_and_held(held_usd), merge_twins=merged)
        assert plan.status is Status.OPTIMAL
        usd = cheapest_by_trying(loads, minutes, (10.0, held_usd))
        assert plan.cash_usd_per_month == pytest.approx(usd, abs=0.01)


# --- what cannot be ------------------------------------------------------------------------------


def test_traffic_without_a_clock_is_refused():
    pattern = {
        "kind": "tokens_per_day",
        "tokens_per_day": 86_400,
        "pattern": {"active_ratio": 0.5, "burst_factor": 2},
    }
    with pytest.raises(InputError) as error:
        solve(asked({"ready_after": "5min"}, traffic=pattern), auto_and_held())
    assert (
        "policy.start_up: the traffic does not tell which hour follows which, so nor what starts "
        "when\n  hint: write traffic of kind profile, or leave start_up out"
    ) in str(error.value)
    steady = {"kind": "requests_per_second", "requests_per_second": 2}
    assert solve(asked({"ready_after": "5min"}, traffic=steady), auto_and_held()).costs[
        "start_up"
    ] == pytest.approx(0)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({}, "policy.start_up[0].ready_after: required"),
        ({"ready_after": "25h"}, "policy.start_up[0].ready_after: must be at most"),
        (
            {"offering": "acme/aut/eu-1", "ready_after": "1h"},
            "policy.start_up[0].offering: no offering 'acme/aut/eu-1'",
        ),
        (
            {"billing": "spot", "offering": HELD, "ready_after": "1h"},
            f"policy.start_up[0].billing: {HELD} is not sold as spot, only as dedicated",
        ),
    ],
)
def test_a_start_of_what_is_not_sold_is_refused(entry, said):
    with pytest.raises(InputError) as error:
        solve(asked(entry), auto_and_held())
    assert said in str(error.value)
