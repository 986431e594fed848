"""Work that can wait is done when it is cheapest, and the plan says by whom."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import (
    InputError,
    Plan,
    Status,
    budget_frontier,
    decision_sheet,
    diagnose,
    evaluate,
    prepare,
    solve,
)
from milp_planner.plans.reasons import BatchesDone
from milp_planner.questions.sweeps import frontier
from milp_planner.reporting.text.plans.table import plan_text
from milp_planner.solving.assembly.verify import violations
from milp_planner.solving.checks.batch import window_faults
from milp_planner.traffic.month import TimeBlock, make_schedule
from tests.support.builders import catalog, offering, problem, raw, token_price, workload
from tests.support.examples import tries

HOUR = 3_600
DAY = 24 * HOUR


def day(*weights: int, burst_factor: float = 1.0) -> dict[str, Any]:
    """Requests/s by the hour, on average; as many blocks as there are loads."""
    return {
        "kind": "profile",
        "requests_per_day": sum(weights) * HOUR,
        "weights": list(weights),
        "burst_factor": burst_factor,
        "max_blocks": 24,
    }


def batch(requests: float, deadline: str = "24h", **fields: Any) -> dict[str, Any]:
    return workload(
        name="night",
        traffic={"kind": "batch", "requests": requests, "deadline": deadline, **fields},
    )


HALF_DAYS = day(*[1] * 12, *[3] * 12)
"""A day of 2 requests/s on average, 3 at most: three units of one request/s are idle for a third of
their time."""


def boxes(usd: float = 2.0, spot_usd: float | None = None, **fields: Any):
    """One request/s on demand, and on spot."""
    rows = [offering("acme", "box", usd)]
    if spot_usd is not None:
        rows.append(offering("bolt", "box", spot_usd, billing="spot"))
    return catalog(rows, [raw("box", 1)], **fields)


def asked(*batches: dict[str, Any], traffic: dict[str, Any] = HALF_DAYS, **fields: Any):
    limits = {"billing": {"allow": ["dedicated", "spot", "per_token"]}, **fields.pop("limits", {})}
    workloads = [workload(name="chat", traffic=traffic), *batches]
    return problem(workloads=workloads, limits=limits, **fields)


def units(plan: Plan) -> dict[tuple[str, str], int]:
    return {(p.candidate.workload, p.candidate.offering.billing): p.units for p in plan.purchases}


def test_idle_units_of_another_workload_do_it_for_nothing():
    # Three units have 24 unit-hours left a day: 86,400 requests.
    for requests, fleet in (
        (24 * HOUR, {("chat", "dedicated"): 3}),
        (24 * HOUR + 10, {("chat", "dedicated"): 4}),
    ):
        plan = solve(asked(batch(requests)), boxes())
        assert plan.status is Status.OPTIMAL
        assert sum(units(plan).values()) == sum(fleet.values())
    alone = solve(problem(workloads=[batch(24 * HOUR)]), boxes())
    assert alone.cash_usd_per_month == pytest.approx(2 * 720)


def test_the_plan_says_by_whom_the_batches_are_done():
    # 36 unit-hours a day: 24 idle ones, and 12 of spot for $0.5.
    plan = solve(asked(batch(36 * HOUR)), boxes(spot_usd=0.5))
    assert units(plan) != {}
    (said,) = (one for one in plan.warnings if isinstance(one, BatchesDone))
    # Spot follows chat, too: three units by day, one by night, 48 unit-hours a day. All 84 of them
    # cost $0.5; whose they are makes no difference.
    assert plan.cash_usd_per_month == pytest.approx(84 * 0.5 * 30)
    assert said.by_own + sum(share for _, share in said.by_idle) == pytest.approx(1)
    assert "night" in plan_text(plan)
    assert "work that can wait, 1.50 req/s if spread evenly" in plan_text(plan)


def test_held_units_come_before_spot_and_spot_before_tokens():
    # Chat may use what is on demand alone; the batch has 24 idle unit-hours a day and 12 of spot.
    question = asked(batch(36 * HOUR)).changed(
        {
            "workloads.chat.rates": [{"gpu": "box", "requests_per_second": 1}],
            "workloads.night.rates": [
                {"gpu": "box", "requests_per_second": 1},
                {"gpu": "lean", "requests_per_second": 1},
            ],
        }
    )
    rented = catalog(
        [offering("acme", "box", 2.0), offering("bolt", "lean", 0.5, billing="spot")],
        [raw("box", 1), raw("lean", 1)],
    )
    plan = solve(question, rented)
    assert plan.cash_usd_per_month == pytest.approx(3 * 2 * 720 + 12 * 0.5 * 30)
    (said,) = (one for one in plan.warnings if isinstance(one, BatchesDone))
    assert said.by_idle == (("chat", pytest.approx(2 / 3)),)
    assert said.by_own == pytest.approx(1 / 3)
    assert "66.7 % by units of 'chat' in the time that their own load leaves" in plan_text(plan)
    spot = next(p for p in plan.purchases if p.candidate.workload == "night")
    assert spot.unit_hours == pytest.approx(12 * 30)
    assert spot.cash_usd_per_month == pytest.approx(180)
    again = Plan.from_dict(plan.to_dict())
    assert again.to_dict() == plan.to_dict()
    assert again.batch_runs[0].requests_per_second == plan.batch_runs[0].requests_per_second


def test_what_is_cheaper_per_token_goes_there():
    # An idle hour costs nothing; a request $1e-5 per token of two, $0.02 for 1,000 of them.
    rented = replace(boxes(), token_prices=(token_price("tokn", 1.0),))
    plan = solve(asked(batch(25 * HOUR), limits={"providers": {"max_count": 2}}), rented)
    (said,) = (one for one in plan.warnings if isinstance(one, BatchesDone))
    # chat itself goes to the tokens: 48 h x 3,600 x $2e-6 x 30 = $10.37; a unit is $1,440
    assert said.per_token == pytest.approx(1)
    assert plan.cash_usd_per_month == pytest.approx((48 + 25) * HOUR * 2e-6 * 30)


def test_peaks_leave_what_the_mean_load_leaves():
    # Peaks of 4.5 take five units; they are busy for 48 h of the day on average: 72 are left.
    bursty = day(*[1] * 12, *[3] * 12, burst_factor=1.5)
    for hours, count in ((72, 5), (72.1, 6)):
        plan = solve(asked(batch(hours * HOUR), traffic=bursty), boxes())
        assert sum(units(plan).values()) == count


def test_a_batch_is_done_between_its_hour_and_its_deadline():
    # From 22:00 for 8 h: in two of them nothing is left, in six by night two units are.
    weights = [1] * 12 + [3] * 12
    window = {"every": "day", "from_hour": 22}
    for hours, count in ((12, 3), (12.5, 4)):
        plan = solve(asked(batch(hours * HOUR, "8h", **window), traffic=day(*weights)), boxes())
        assert sum(units(plan).values()) == count
        outside = [t for t, peak in enumerate(_peaks(plan, "night")) if not peak]
        assert outside
    week = solve(
        asked(batch(7 * 12 * HOUR, "48h", every="week", from_hour=120), traffic=day(*[1] * 24)),
        boxes(),
    )
    # 84 h of work in two days take 1.75 units beside the one that chat keeps busy
    assert sum(units(week).values()) == 3


def _peaks(plan: Plan, name: str):
    at = {block.name: 0.0 for block in plan.blocks}
    for run in plan.batch_runs:
        at[run.block.name] += run.requests_per_second
    for route in plan.routes:
        if route.candidate.workload == name:
            at[route.block.name] += route.requests_per_second
    return at.values()


def test_elastic_units_are_paid_for_the_hours_that_they_are_on():
    rented = catalog([offering("bolt", "box", 2.0, billing="autoscaling")], [raw("box", 1)])
    plan = solve(problem(workloads=[batch(6 * HOUR)]), rented)
    assert plan.cash_usd_per_month == pytest.approx(6 * 2 * 30)
    assert plan.purchases[0].hours_by_block == (pytest.approx(180),)
    assert plan.purchases[0].mean_utilization == pytest.approx(1)


def test_a_quota_that_chat_fills_by_day_is_left_to_the_batch_by_night():
    rented = catalog([offering("bolt", "box", 2.0, billing="autoscaling")], [raw("box", 1)])
    other = {**batch(24 * HOUR), "llm": "other"}
    rates = {"rates": [{"gpu": "box", "requests_per_second": 1}]}
    question = asked({**other, **rates}, limits={"billing": {}, "max_gpus": {"total": 3}})
    plan = solve(question, rented)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx((48 + 24) * 2 * 30)
    assert solve(
        question.changed({"workloads.night.traffic.requests": 25 * HOUR}), rented
    ).status is (Status.INFEASIBLE)


def test_wishes_of_whom_the_units_are_for_are_kept_meanwhile():
    given = prepare(asked(batch(HOUR)), boxes())
    (chat,) = (k for k in given.candidates.candidates if k.workload == "chat")
    assert [(one.workload, one.requests_per_second) for one in chat.meanwhile] == [
        ("night", (1.0,))
    ]
    other = prepare(
        asked(batch(HOUR)).changed({"workloads.night.deployment.memory_share": 0.8}), boxes()
    )
    assert not any(k.meanwhile for k in other.candidates.candidates)


def test_next_best_plans_do_as_much_of_a_batch_in_an_hour_as_the_best():
    # The account takes 3 requests/s, by day all of them chat's; by night 2 are left for 24 hours'
    # worth of batches. Code may move to bolt.
    rented = catalog(
        [offering("acme", "box", 2.0), offering("bolt", "box", 3.0)],
        [raw("box", 9, llm="other")],
        [token_price("tokn", 1.0, max_requests_per_minute=180)],
    )
    question = problem(
        workloads=[
            workload(name="chat", traffic=HALF_DAYS),
            batch(24 * HOUR),
            workload(1, "code", llm="other"),
        ],
        limits={"billing": {"allow": ["dedicated", "per_token"]}},
    )
    plan = solve(question, rented, alternatives=1)
    assert plan.status is Status.OPTIMAL
    (other,) = plan.alternatives
    assert other.cash_usd_per_month == pytest.approx(plan.cash_usd_per_month + 720)


def test_any_llm_may_do_a_batch_with_a_mean_to_keep():
    # Half of 24 unit-hours' requests by the rich LLM, one a second, half by the lean one, three.
    llm = {"any_of": ["rich", "lean"], "quality": {"rich": 0.9, "lean": 0.6}, "at_least": 0.75}
    rented = catalog(
        [offering("acme", "box", 2.0, billing="autoscaling")],
        [raw("box", 1, llm="rich"), raw("box", 3, llm="lean")],
    )
    plan = solve(problem(workloads=[{**batch(24 * HOUR), "llm": llm}]), rented)
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx((12 + 4) * 2 * 30)
    assert Plan.from_dict(plan.to_dict()).to_dict() == plan.to_dict()


def test_what_is_left_undone_is_the_least_of_all():
    # Three units by quota: 24 h are left, of 48 asked.
    question = asked(
        batch(48 * HOUR), limits={"max_gpus": {"total": 3}}, policy={"when_short": "priority"}
    ).changed({"workloads.night.priority": 2})
    plan = solve(question, boxes())
    assert {w.name: round(w.shortfall_share, 6) for w in plan.workloads} == {
        "chat": 0,
        "night": 0.5,
    }


def test_a_budget_pays_for_part_of_a_batch_by_the_cent_and_the_idle_time_of_others(monkeypatch):
    monkeypatch.setattr(frontier, "SAMPLES", 3)
    # Three boxes for chat, $4,320, leave a batch 24 of 48 h a day; spot for the rest is $360.
    question = asked(batch(48 * HOUR)).changed(ON_BOX)
    found = budget_frontier(question, 4_400, 4_700, lean_spot())
    assert found.smallest_budget_usd == pytest.approx(4_680)
    assert found.unfinished is None
    assert found.steps[-1].requests_share == pytest.approx(1)
    # chat's 48 h, 24 h in their idle time, and $80 of $360 for the rest
    first = found.steps[0]
    assert not first.is_step
    assert first.requests_share == pytest.approx((72 + 24 * 80 / 360) / 96, abs=1e-4)


ON_BOX = {
    "workloads.chat.rates": [{"gpu": "box", "requests_per_second": 1}],
    "workloads.night.rates": [{"gpu": gpu, "requests_per_second": 1} for gpu in ("box", "lean")],
}


def lean_spot():
    """A box for $2/h, and what serves the batch alone for $0.5/h of spot."""
    rows = [offering("acme", "box", 2.0), offering("bolt", "lean", 0.5, billing="spot")]
    return catalog(rows, [raw("box", 1), raw("lean", 1)])


def test_a_plan_that_does_too_little_is_told_so():
    question = asked(batch(24 * HOUR))
    given = prepare(question, boxes())
    plan = solve(question, boxes())
    lazy = replace(
        plan, batch_runs=(), routes=tuple(r for r in plan.routes if r.candidate.workload == "chat")
    )
    assert "workload 'night' has 0 of its batches of 1/1 done, not all" in violations(given, lazy)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"requests": None}, "tokens or requests is required"),
        ({"tokens": 5}, "tokens and requests cannot both be given"),
        (
            {"deadline": "25h", "every": "day"},
            "a batch must be done before the next one, a day later",
        ),
        ({"deadline": "90min"}, "must be whole hours (is 1.5 h)"),
        ({"deadline": "20d"}, "of a batch a month the deadline is the month, 30d"),
        ({"deadline": "8h", "from_hour": 24}, "a day has no such hour"),
    ],
)
def test_a_batch_that_cannot_be_is_refused(fields, said):
    traffic = {"kind": "batch", "requests": 9, "deadline": "24h", **fields}
    traffic = {key: value for key, value in traffic.items() if value is not None}
    with pytest.raises(InputError) as error:
        asked(workload(name="night", traffic=traffic))
    assert said in str(error.value)


@pytest.mark.parametrize(
    ("changes", "path"),
    [
        ({"policy.share": "gpus"}, "policy.share: gpus"),
        ({"policy.start_up": [{"ready_after": "5min"}]}, "policy.start_up"),
        ({"prices.volume": {"acme/*": [{"above": 9, "discount": 0.1}]}}, "prices.volume"),
        ({"policy.penalties.overload": {}}, "policy.penalties.overload"),
        ({"policy.penalties.scaling": {}}, "policy.penalties.scaling"),
        ({"objective": "gpus"}, "objective"),
        ({"policy.utilization": {"target": 0.5, "ceiling": 0.9}}, "policy.utilization.ceiling"),
    ],
)
def test_what_is_not_decided_beside_batches_is_refused_by_name(changes, path):
    with pytest.raises(InputError) as error:
        solve(asked(batch(HOUR)).changed(changes), boxes(spot_usd=1.0))
    assert "workloads[1].traffic: batches are not planned together with " + path in str(error.value)


def test_batches_want_a_clock_and_days_that_are_alike():
    pattern = {"kind": "tokens_per_day", "tokens_per_day": DAY, "pattern": "business_hours"}
    with pytest.raises(InputError) as error:
        solve(asked(batch(HOUR), traffic=pattern), boxes())
    assert "the other traffic does not tell which hour follows which" in str(error.value)
    assert solve(asked(batch(HOUR, "30d"), traffic=pattern), boxes()).status is Status.OPTIMAL
    with pytest.raises(InputError) as error:
        solve(asked(batch(HOUR), traffic=day(*[1] * 120, *[2] * 48)), boxes())
    assert "a batch every day beside traffic by the week" in str(error.value)


def test_hours_before_and_after_a_deadline_are_not_of_one_block():
    question = asked(batch(HOUR, "5h"))
    schedule = make_schedule(question)
    assert not [*window_faults(question, schedule)]
    blocks = (TimeBlock("even", 360), TimeBlock("odd", 360))
    merged = replace(schedule, blocks=blocks, block_by_hour=(0, 1) * 12)
    (fault,) = window_faults(question, merged)
    assert "hours before and after the deadline were merged into one time block" in fault.message


def test_questions_that_batches_have_no_answer_to_say_so():
    question = asked(batch(HOUR))
    with pytest.raises(InputError) as error:
        evaluate(question, {"acme/box/eu-1": {"chat": 3}}, boxes())
    assert "evaluate: when a fleet does them is not answered for batches yet" in str(error.value)


@pytest.mark.slow
def test_a_sheet_and_a_diagnosis_hold_batches():
    sheet = decision_sheet(asked(batch(36 * HOUR)), boxes(spot_usd=0.5), time_limit_s=20)
    assert sheet.answer.status == "optimal"
    short = asked(batch(36 * HOUR), limits={"billing": {}, "max_gpus": {"total": 3}})
    found = diagnose(short, boxes())
    assert found is not None
    assert "limits.max_gpus.total" in {change.path for change in found.changes}


# --- against trying every fleet ------------------------------------------------------------------


@tries(0.1, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3]), min_size=2, max_size=4).filter(any),
    st.sampled_from([1.0, 1.5]),
    st.sampled_from([0.5, 1.0, 1.6]),
    st.sampled_from([(24, 0), (10, 20), (6, 3)]),
    st.sampled_from([5, 19, 40, 75]),
    st.sampled_from([0.3, 1.7, 4.0]),
    st.sampled_from([0.75, 1.0]),
)
def test_batches_agree_with_trying_every_fleet_hour_by_hour(
    steps, burst, rate, window, work, spot_usd, target
):
    """Chat on demand for $2/h and one request/s; the batch on any, or on spot of its own."""
    loads = [load for load in steps for _ in range(24 // len(steps))]
    loads += [0] * (24 - len(loads))
    hours, start = window
    own = [{"gpu": gpu, "requests_per_second": rate} for gpu in ("box", "lean")]
    night = batch(work * HOUR, f"{hours}h", every="day", from_hour=start)
    question = asked(
        {**night, "rates": own}, traffic=day(*loads, burst_factor=burst), target=target
    )
    question = question.changed(
        {"workloads.chat.rates": [{"gpu": "box", "requests_per_second": 1}]}
    )
    rented = catalog(
        [offering("acme", "box", 2.0), offering("bolt", "lean", spot_usd, billing="spot")],
        [raw("box", 1), raw("lean", 1)],
    )
    may_work = {(start + i) % 24 for i in range(hours)}
    fewest = next(n for n in range(99) if target * n >= max(loads) * burst - 1e-9)
    best = float("inf")
    for chat in range(fewest, fewest + 9):
        spare = sum(rate * (target * chat - loads[h]) for h in may_work)
        for more in range(9):
            left = max(0.0, work - spare - more * hours * rate * target)
            spot = left / (rate * target) * spot_usd
            best = min(best, (chat + more) * 24 * 2 + spot)
    for pruning in (True, False):
        plan = solve(question, rented, pruning=pruning, diagnose=False)
        assert plan.status is Status.OPTIMAL
        assert plan.cash_usd_per_month == pytest.approx(30 * best, rel=1e-4)
