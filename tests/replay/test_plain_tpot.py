"""A plain tpot is judged in a replay at the speed at which plans hold it."""

from __future__ import annotations

import pytest

from milp_planner import ReplayWish, replay, solve
from milp_planner.reporting.text.questions.replay import wish_text
from tests.solving.queues.test_apart import asked, sold

ONLY = {"limits": {"gpus": {"allow": ["bytes"]}}}


def test_what_a_plan_holds_at_the_expected_speed_is_judged_at_it() -> None:
    # Planned on are slower replicas than expected: 1 ÷ slowed times as long a token.
    question = asked({"tpot": "500ms"}, **ONLY)
    plan = solve(question, sold(), alternatives=0)
    point = plan.purchases[0].candidate.points[1]
    (w,) = plan.workloads
    assert w.tpot_s is not None
    assert w.tpot_s <= 0.5
    same = ReplayWish("tpot", 0.5)
    sent = {"requests": 3_000, "seeds": 1}
    done = replay(plan, question, sold(), wishes=[same], **sent)
    held, beside = done.wishes
    assert 0 < held.slowed < 1
    assert held.slowed == pytest.approx(point.derate, rel=0.2)
    # The same requests: asked of the replay itself the wish is of the replayed speed.
    assert beside.slowed == 1
    assert held.reached_s == pytest.approx(beside.reached_s * held.slowed)
    assert held.reached_s <= w.tpot_s * 1.05
    assert " at the expected speed, at which plans hold it (" in wish_text(held)
    assert "expected" not in wish_text(beside)
    expected = replay(plan, question, sold(), expected_speed=True, **sent)
    assert expected.wishes[0].slowed == 1


@pytest.mark.slow
def test_a_plan_just_beyond_its_wish_as_replayed_keeps_it_as_it_is_held() -> None:
    free = solve(asked({}, **ONLY), sold(), alternatives=0)
    first = replay(
        free, asked({}, **ONLY), sold(), wishes=[ReplayWish("tpot", 9.0)], requests=3_000, seeds=1
    )
    replayed_s = first.wishes[0].reached_s
    # 5 % less than what the slow replicas of the replay take: more than they take as expected.
    wish = f"{0.95e3 * replayed_s:.6g}ms"
    question = asked({"tpot": wish}, **ONLY)
    done = replay(free, question, sold(), requests=3_000, seeds=1)
    assert done.keeps_all_wishes
