"""Spot replicas are taken away at the stated loss, and what that does to each wish is told."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest

from milp_planner import Problem, Replay, ReplayWish, replay, solve
from milp_planner.replaying.timetable import On, ends_by_loss, interrupted, interruptions_per_s
from milp_planner.reporting.text.questions.replay import replay_text
from tests.support.builders import catalog, offering, problem, raw

# spot big: 10 requests/s, one at a time in 0.1 s each, outputs exponential in length


def spot(loss: float = 0.03, **fields: Any) -> Problem:
    return problem(
        7,
        policy={"spot_loss": loss},
        limits={"billing": {"allow": ["dedicated", "spot"]}},
        **fields,
    )


def rented(billing: str = "spot") -> Any:
    return catalog([offering("acme", "big", 1.0, billing=billing)], [raw("big", 10)])


def replayed(asked: Problem, known: Any = None, **how: Any) -> Replay:
    known = known or rented()
    plan = solve(asked, known, alternatives=0)
    return replay(plan, asked, known, **{"requests": 12_000, "seeds": 4, **how})


def test_the_stated_loss_is_what_is_lost() -> None:
    # λ = 0.03 ÷ (0.1 s · (1 + 1²) ÷ 2) = 0.3 a second: 1,080 an hour
    found = replayed(spot()).pools[0]
    assert found.spot is not None
    assert (found.spot.replicas, found.spot.by_stated_loss) == (1, True)
    assert found.spot.per_hour == pytest.approx(1080)
    # 12,000 requests at 7 a second are 1,714 s: 514 interruptions
    assert found.spot.interruptions == pytest.approx(514, rel=0.15)
    # one in 0.7 ÷ 0.97 of the cases loses somebody: busy that share of the time
    assert found.restarts / found.spot.interruptions == pytest.approx(0.7 / 0.97, abs=0.07)
    assert found.never_served == 0


@pytest.mark.parametrize(("service_s", "cv", "ready_s"), [(10, 1, 0), (2, 0, 90), (30, 2, 300)])
def test_work_begun_anew_and_starting_again_come_to_the_share(
    service_s: float, cv: float, ready_s: float
) -> None:
    often = interruptions_per_s(0.04, service_s, cv, ready_s)
    age = service_s * (1 + cv * cv) / 2
    assert often * (age + ready_s) / (1 + often * ready_s) == pytest.approx(0.04)
    assert interruptions_per_s(0.0, service_s, cv, ready_s) == 0


def test_a_replica_that_starts_again_is_not_interrupted_before_it_is_up() -> None:
    # on average up 100 s and then 50 s away: two thirds of the time it takes requests
    hours = interrupted([On(0.0, float("inf"))], 0.01, 50.0, 1e5, random.Random(2))
    up = sum(min(on.end_s, 1e5) - min(on.start_s, 1e5) for on in hours)
    assert up / 1e5 == pytest.approx(2 / 3, abs=0.03)
    assert ends_by_loss([hours]) == pytest.approx(1e5 / 150, rel=0.15)
    assert all(a.end_s + 50 == pytest.approx(b.start_s) for a, b in itertools.pairwise(hours))


def test_what_it_does_to_each_wish_is_told_beside() -> None:
    wishes = [ReplayWish("request", 1.0, 0.95), ReplayWish("wait", 5.0)]
    found = replayed(spot(), wishes=wishes, ready_after_s=2.0)
    for wish in found.wishes:
        assert wish.undisturbed is not None
        assert (wish.reached_s or 0) > (wish.undisturbed.reached_s or 0) > 0
    calm = replayed(spot(0.0), wishes=wishes)
    assert [w.undisturbed for w in calm.wishes] == [None, None]
    # the same requests as without interruptions, to the last digit
    first, same = found.wishes[0].undisturbed, calm.wishes[0]
    assert first is not None
    assert (first.reached_s, first.missed_share) == (same.reached_s, same.missed_share)
    assert "(without interruptions " in replay_text(found)
    assert "what policy.spot_loss comes to: " in replay_text(found)


def test_none_are_told_as_none_and_dedicated_replicas_have_none() -> None:
    assert "never interrupted: policy.spot_loss is 0." in replay_text(replayed(spot(0.0)))
    asked = replayed(spot(), interruptions_per_day=0.0)
    assert "never interrupted: none were asked for." in replay_text(asked)
    held = replayed(spot(), rented("dedicated"))
    assert held.pools[0].spot is None
    assert "Spot:" not in replay_text(held)


def test_so_many_a_day_stand_in_for_the_stated_loss_and_a_seed_repeats_them() -> None:
    often = {"interruptions_per_day": 8640.0, "seed": 7}
    one, same = replayed(spot(), **often), replayed(spot(), **often)
    assert one == same
    assert one.pools[0].spot is not None
    assert one.pools[0].spot.per_hour == pytest.approx(360)
    assert not one.pools[0].spot.by_stated_loss
