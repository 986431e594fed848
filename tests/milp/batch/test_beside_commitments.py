"""Batches are done on units that are paid already, used or not, by trying every fleet."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Status, solve
from tests.milp.batch.test_batch_work import HOUR, asked, batch, day
from tests.support.builders import catalog, offering, problem, raw
from tests.support.examples import tries


def of_both(auto_usd: float = 3.0):
    """One request/s on demand for $2/h, or on what follows the load."""
    rows = [
        offering("acme", "box", 2.0),
        offering("core", "lean", auto_usd, billing="autoscaling"),
    ]
    return replace(catalog(rows, [raw("box", 1), raw("lean", 1)]), read_on=date(2026, 3, 1))


def test_a_batch_is_done_for_nothing_in_the_time_that_is_paid_already():
    # 30 h of work a day, one unit for 24 of them: six more are paid.
    question = problem(
        workloads=[batch(30 * HOUR)],
        commitments=[{"offering": "core/*", "units": 1}],
        limits={"offerings": {"deny": ["acme/*"]}},
    )
    plan = solve(question, of_both())
    assert plan.cash_usd_per_month == pytest.approx(6 * 3 * 30)
    assert plan.purchases[0].units == 2
    (use,) = plan.commitments
    assert use.share == pytest.approx(1)
    assert use.saved_usd_per_month == pytest.approx(24 * 3 * 30)


@tries(0.08, deadline=None)
@given(
    st.lists(st.sampled_from([0, 1, 2, 3]), min_size=2, max_size=3).filter(any),
    st.sampled_from([0, 1, 2]),
    st.sampled_from([(0, None), (1, None), (2, 15), (4, 6)]),
    st.sampled_from([(24, 0), (10, 20)]),
    st.sampled_from([5, 19, 40, 75]),
    st.sampled_from([0.7, 3.0]),
    st.sampled_from([0.75, 1.0]),
)
def test_commitments_beside_batches_agree_with_trying_every_fleet(
    steps, held, elastic, window, work, auto_usd, target
):
    """Chat on demand; the batch in what it leaves, on more of these, or on what follows it."""
    loads = [load for load in steps for _ in range(24 // len(steps))]
    hours, start = window
    paid, day_of_march = elastic
    until = {} if day_of_march is None else {"until": f"2026-03-{day_of_march:02}"}
    commitments = [
        {"offering": name, "units": n, **more}
        for name, n, more in (("acme/*", held, {}), ("core/*", paid, until))
        if n
    ]
    night = batch(work * HOUR, f"{hours}h", every="day", from_hour=start)
    on = {
        "workloads.chat.rates": [{"gpu": "box", "requests_per_second": 1}],
        "workloads.night.rates": [
            {"gpu": gpu, "requests_per_second": 1} for gpu in ("box", "lean")
        ],
    }
    question = asked(
        night,
        traffic=day(*loads),
        target=target,
        commitments=commitments,
        limits={"billing": {"allow": ["dedicated", "autoscaling"]}},
    )
    may_work = [(start + i) % 24 for i in range(hours)]
    part = 1.0 if day_of_march is None else day_of_march / 30
    best = float("inf")
    for n in range(max(loads), 20):
        if target * n < max(loads) - 1e-9:
            continue
        left = max(0.0, work - sum(target * n - loads[h] for h in may_work)) / target
        at_once = left / hours  # spread evenly no more of it is beyond what is paid
        covered = min(at_once, paid)
        usd = 24 * 2 * max(0, n - held) + hours * auto_usd * (at_once - part * covered)
        best = min(best, usd)
    for pruning in (True, False):
        plan = solve(question.changed(on), of_both(auto_usd), pruning=pruning, diagnose=False)
        assert plan.status is Status.OPTIMAL
        assert plan.cash_usd_per_month == pytest.approx(30 * best, rel=1e-4, abs=0.05)
