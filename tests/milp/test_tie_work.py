"""A tie is looked for as long as a bounded amount of work, and never by the clock."""

from __future__ import annotations

import time
from itertools import pairwise

import pytest

from milp_planner import Status, solve
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.outcome import EngineStatus, StopReason
from milp_planner.milp.presolve import ties
from milp_planner.solving import tie_break
from tests.support.builders import catalog, offering, problem, raw

RATES = (3, 4, 5, 6, 7, 8)


def same_price_per_capacity():
    """Six boxes at $0.25 per request/s: many mixes carry 29 requests/s for $7.25/h."""
    rows = [offering(f"p{rate}", f"g{rate}", rate / 4) for rate in RATES]
    return catalog(rows, [raw(f"g{rate}", rate) for rate in RATES])


def fleet(plan):
    return {p.candidate.gpu: p.units for p in plan.purchases}


def test_of_many_ties_the_preferred_is_found():
    # Three boxes carry 24 at most. Of four, 29 = 3 x 8 + 5 = 3 x 7 + 8 use two providers; by name
    # p5 comes first.
    plan = solve(problem(29), same_price_per_capacity())
    assert fleet(plan) == {"g5": 1, "g8": 3}
    assert plan.cash_usd_per_month == pytest.approx(7.25 * 720)


@pytest.mark.parametrize("count", [0, 2])
def test_a_look_that_is_too_much_work_leaves_a_proven_plan(monkeypatch, count):
    monkeypatch.setattr(ties, "MOST_WORK", 1)
    monkeypatch.setattr(ties, "MOST_ITERATIONS", 0)
    question = problem(29, alternatives={"count": count})
    one, other = (solve(question, same_price_per_capacity()) for _ in range(2))
    assert one.status is Status.OPTIMAL
    assert one.cash_usd_per_month == one.bound == pytest.approx(7.25 * 720)
    assert all(a.status is Status.OPTIMAL for a in one.alternatives)
    scores = [p.score_usd_per_month for p in (one, *one.alternatives)]
    assert all(after >= before - 0.005 for before, after in pairwise(scores))
    assert [fleet(p) for p in (one, *one.alternatives)] == [
        fleet(p) for p in (other, *other.alternatives)
    ]


def test_a_tie_of_a_slow_machine_is_broken_alike(monkeypatch):
    # Every look at the clock is half a second after the last one: time flies, within the limit.
    quick = solve(problem(29), same_price_per_capacity(), time_limit_s=3_600)
    ticks = iter(range(10**6))
    monkeypatch.setattr(time, "monotonic", lambda: next(ticks) / 2)
    slow = solve(problem(29), same_price_per_capacity(), time_limit_s=3_600)
    assert fleet(slow) == fleet(quick) == {"g5": 1, "g8": 3}


def test_a_run_ends_at_its_nodes_and_says_so(tmp_path):
    # Whole numbers of these five that sum to 89,643,481 do not exist; branching finds out slowly.
    weights = (12_223, 12_224, 36_674, 61_119, 85_569)
    mps = tmp_path / "model.mps"
    columns = "\n".join(f"    x{i}  r  {w}\n    x{i}  c  1" for i, w in enumerate(weights))
    bounds = "\n".join(f" UI b x{i} 9999" for i in range(len(weights)))
    mps.write_text(
        f"NAME m\nROWS\n N c\n E r\nCOLUMNS\n    M1 'MARKER' 'INTORG'\n{columns}\n"
        f"    M2 'MARKER' 'INTEND'\nRHS\n    rhs r 89643481\nBOUNDS\n{bounds}\nENDATA\n"
    )
    outcome = run_highs(mps, time_limit_s=30, nodes=20)
    assert outcome.status is EngineStatus.NO_SOLUTION
    assert outcome.reason is StopReason.NODE_LIMIT
    assert outcome.iterations > 0


@pytest.mark.parametrize("most_columns", [300, 0])
def test_at_equal_cost_the_fleet_of_today_stays(monkeypatch, most_columns):
    # 2 requests/s: two small ones at $1/h each, as today, or one big one at $2/h. Fewer GPUs would
    # be preferred, but it takes two units away and adds one, and saves nothing.
    monkeypatch.setattr(tie_break, "MOST_COLUMNS", most_columns)
    sold = catalog(
        [offering("acme", "big", 2.0), offering("acme", "small", 1.0)],
        [raw("big", 2), raw("small", 1)],
    )
    running = [{"offering": "acme/small/eu-1", "units": 2, "workload": "chat"}]
    assert fleet(solve(problem(2), sold)) == {"big": 1}
    plan = solve(problem(2, current_fleet=running), sold)
    assert fleet(plan) == {"small": 2}
    assert plan.status is Status.OPTIMAL
    assert plan.cash_usd_per_month == pytest.approx(2.0 * 720)
    assert [(c.today, c.planned) for c in plan.changes] == [(2, 2)]
