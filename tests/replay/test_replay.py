"""Plans replayed request by request: closed forms, wishes, losses, cold starts, determinism."""

from __future__ import annotations

import csv
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from milp_planner import (
    InputError,
    Plan,
    PlannerError,
    Problem,
    Replay,
    ReplayLoss,
    ReplayWish,
    ScalingRules,
    replay,
    solve,
    tighten,
)
from milp_planner.cli.commands import replay as command
from milp_planner.cli.parts import exit_codes
from milp_planner.replaying.figures import mean_of, missed_share, percentile_of
from milp_planner.reporting.text.questions.replay import replay_text, timeline_csv
from tests.support.builders import big_and_small, catalog, offering, problem, raw, with_tokens

pytest_plugins = ["tests.support.toy_cli"]

# `big` serves 10 requests/s, one at a time, in 0.1 s each; `small` 3 requests/s.

DAY = {
    "kind": "profile",
    "requests_per_day": 24 * 3600 * 10,
    "weights": [*[0.5] * 12, *[1.5] * 12],
    "max_blocks": 24,
}


def replayed(asked: Problem, known: Any = None, **how: Any) -> Replay:
    known = big_and_small() if known is None else known
    plan = solve(asked, known, alternatives=0)
    return replay(plan, asked, known, **{"requests": 12_000, **how})


def inside(figure: Any, expected: float) -> bool:
    return bool(abs(figure.value_s - expected) <= 1.5 * figure.half_width_s)


# ---- closed forms


@pytest.mark.parametrize(("output_cv", "factor"), [(0, 1), (1, 2), (1.5, 3.25)])
def test_one_replica_waits_as_pollaczek_and_khinchine_say(output_cv: float, factor: float) -> None:
    # ρ = 0.7, s = 0.1 s: ρ·s·(1 + cv²) ÷ 2(1 − ρ) = 0.11667 s · (1 + cv²)
    found = replayed(problem(7), requests=100_000, seeds=20, output_cv=output_cv).pools[0]
    assert inside(found.means["wait"], 0.7 * 0.1 * factor / (2 * 0.3))
    assert inside(found.means["request"], 0.1 + 0.7 * 0.1 * factor / (2 * 0.3))


def test_gaps_that_bunch_wait_longer_and_even_ones_less() -> None:
    waits = [
        replayed(problem(7), burstiness=c, output_cv=0).pools[0].means["wait"].value_s or 0.0
        for c in (0.5, 1, 2)
    ]
    assert waits[0] < 0.8 * waits[1] < 0.4 * waits[2]


def test_one_queue_before_all_waits_least_and_drawing_lots_most() -> None:
    # 17 requests/s on two big ones
    asked = problem(17)
    means = {
        router: replayed(asked, router=router).pools[0].means["wait"].value_s or 0.0
        for router in ("central", "least", "round_robin", "random")
    }
    assert sorted(means, key=means.__getitem__) == [*means]


# ---- wishes


def test_a_wish_is_judged_by_its_misses_and_a_mean_by_itself() -> None:
    wishes = [
        ReplayWish("wait", 5.0, 0.99),
        ReplayWish("wait", 0.01, 0.99),
        ReplayWish("request", 0.5),
        ReplayWish("request", 0.1),
    ]
    found = replayed(problem(7), wishes=wishes)
    assert [one.kept for one in found.wishes] == [True, False, True, False]
    assert not found.keeps_all_wishes
    # whoever comes while it is busy waits: ρ = 0.7, all but a few of them more than 10 ms
    assert found.wishes[1].missed_share == pytest.approx(0.69, abs=0.03)


def test_the_command_exits_4_where_a_wish_is_missed(run: Any) -> None:
    few = ("--requests", "2000", "--seeds", "2")
    code, out, _ = run("replay", "toy.yaml", *few, "--wish", "request.p95=1ms")
    assert code == exit_codes.GATE
    assert "p95 request of chat" in out
    assert "5.00 % may be: MISSED" in out
    code, out, _ = run("replay", "toy.yaml", *few, "--wish", "chat:request=1h", "--json")
    assert code == exit_codes.FOUND
    assert json.loads(out)["wishes"][0]["kept"] is True


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--wish", "waiting=1s"), "'waiting=1s' is none; write wait.p99=1s"),
        (("--lose", "acme"), "'acme' is none; write provider:NAME"),
        (("--seeds", "0"), "seeds: must be at least 1 (is 0)"),
        (("--plan", "nowhere.json"), "nowhere.json: file not found"),
        (("--plan", "toy.yaml"), "toy.yaml:1:1: not valid JSON"),
    ],
)
def test_a_mistake_is_said_on_one_line(run: Any, options: tuple[str, str], said: str) -> None:
    code, _, err = run("replay", "toy.yaml", *options)
    assert code == exit_codes.INPUT
    assert said in err


def test_a_missed_wish_lowers_the_target_until_it_is_kept() -> None:
    # 17 requests/s need two big ones at 100 %, which then wait too long; at 85 % and less another
    asked, known = problem(17), catalog([offering("acme", "big", 4.0)], [raw("big", 10)])
    wish = ReplayWish("wait", 0.5, 0.95)

    def run(plan: Plan, at: Problem) -> Replay:
        return replay(plan, at, known, requests=12_000, wishes=[wish])

    first = run(solve(asked, known, alternatives=0), asked)
    assert not first.keeps_all_wishes
    found = tighten(asked, run, known)
    assert found.keeps_all_wishes
    assert found.targets[0] == 1.0
    # the two run at 85 %: at any target above that nothing changes, so that one round is enough
    assert 0.85 * 0.90 <= found.targets[1] <= 0.85 * 0.985
    assert len(found.targets) == 2
    assert tighten(asked, run, known, rounds=1).targets == (1.0,)


def test_the_command_tightens_and_says_what_it_tried(run: Any) -> None:
    few = ("--requests", "4000", "--seeds", "2", "--tighten")
    code, _, err = run("replay", "toy.yaml", *few, "--wish", "wait.p99=1h")
    assert (code, err) == (exit_codes.FOUND, "")
    code, _, err = run("replay", "toy.yaml", *few, "--wish", "request.p99=1us")
    assert code == exit_codes.GATE
    assert "Utilization targets tried: " in err
    code, _, err = run("replay", "toy.yaml", "--tighten", "--plan", "x.json")
    assert code == exit_codes.INPUT
    assert "--tighten solves again; leave out --plan" in err


# ---- what is lost, and what comes late


def test_a_loss_makes_people_wait_and_nobody_is_dropped() -> None:
    # 17 requests/s over acme's two big ones; bolt's small one of 3 is all that is left
    asked = problem(19, policy={"utilization": {"target": 0.85}})
    plan = solve(asked, big_and_small(), alternatives=0)
    assert {p.candidate.provider for p in plan.purchases} == {"acme", "bolt"}
    usual = replayed(asked)
    lost = replayed(asked, losses=[ReplayLoss("provider", "acme", 600, 60)])
    assert lost.pools[0].never_served == usual.pools[0].never_served == 0
    assert lost.pools[0].restarts > 0
    assert lost.pools[0].figures["wait"][0.99].value_s > 3 * (
        usual.pools[0].figures["wait"][0.99].value_s or 0.0
    )


def test_a_loss_of_what_the_plan_does_not_have_names_what_it_has() -> None:
    with pytest.raises(PlannerError, match="no provider 'aws' in the plan; it has acme"):
        replayed(problem(7), losses=[ReplayLoss("provider", "aws", 0, 1)])


def autoscaled() -> Any:
    return catalog([offering("acme", "big", 4.0, billing="autoscaling")], [raw("big", 10)])


def test_units_that_start_late_leave_the_first_of_a_busy_hour_waiting() -> None:
    # 5 requests/s until noon, 15 from then on: one unit, then two
    asked = problem(chat={"traffic": DAY})
    cold = replayed(asked, autoscaled(), ready_after_s=60, output_cv=0)
    warm = replayed(asked, autoscaled(), output_cv=0)
    noon = [found.pools[0].stretches[12].wait_p99_s or 0.0 for found in (warm, cold)]
    assert 10 * noon[0] < noon[1]
    assert [s.replicas for s in warm.pools[0].stretches] == [*[1.0] * 12, *[2.0] * 12]


def test_what_the_plan_starts_ahead_is_ready_and_what_is_lost_takes_its_time_to_start() -> None:
    # paid from a minute before noon on: there when noon comes. An hour is shortened to 4 minutes,
    # four starts; lost at three for half of it, both are away for a minute more
    asked = problem(chat={"traffic": DAY}, policy={"start_up": [{"ready_after": "1min"}]})
    plain = asked.changed({"policy.start_up": None})
    lost = [ReplayLoss("provider", "acme", 15 * 3600, 1800)]
    ready, free = (
        replayed(one, autoscaled(), losses=lost, output_cv=0, requests=4000, seeds=1)
        for one in (asked, plain)
    )
    noon = [found.pools[0].stretches[12].replicas for found in (ready, free)]
    assert noon == [2, 2]
    away = [found.pools[0].stretches[15].replicas for found in (ready, free)]
    assert away == [pytest.approx(2 * (1 - 3 / 4)), pytest.approx(2 * (1 - 2 / 4))]
    slow = replayed(asked, autoscaled(), ready_after_s=60, output_cv=0, requests=4000, seeds=1)
    assert slow.pools[0].stretches[12].replicas == pytest.approx(1 + 3 / 4)


def test_the_timeline_has_a_row_for_every_hour() -> None:
    found = replayed(problem(chat={"traffic": DAY}), autoscaled())
    rows = [*csv.DictReader(timeline_csv(found).splitlines())]
    assert [row["stretch"] for row in rows] == [f"{h:02d}:00" for h in range(24)]
    assert float(rows[0]["utilization"]) == pytest.approx(0.5)
    assert float(rows[23]["utilization"]) == pytest.approx(0.75)
    for row in rows:
        assert float(row["requests_per_second"]) == pytest.approx(
            10 * float(row["utilization"]) * float(row["replicas"]), rel=0.15
        )


PUBLISHED = [20, 15, 12, 10, 8, 12, 25, 40, 70, 95, 120, 140]
PUBLISHED += [160, 180, 200, 185, 170, 150, 120, 100, 80, 60, 40, 25]


def test_an_autoscaler_on_the_published_day_pays_what_was_published() -> None:
    # 2,037 requests/s over the 24 hours; replicas of 10 requests/s at $3.20: 368.5 hours a day
    day = {
        "kind": "profile",
        "requests_per_day": 3600 * sum(PUBLISHED),
        "weights": PUBLISHED,
        "max_blocks": 24,
    }
    asked = problem(target=0.75, chat={"traffic": day, "min_replicas": 2})
    known = catalog([offering("acme", "big", 3.2, billing="autoscaling")], [raw("big", 10)])
    found = replayed(asked, known, autoscaler=ScalingRules())
    (reactive,) = found.reactive
    assert (reactive.events, reactive.peak_replicas) == (13, 28)
    assert reactive.waste == pytest.approx(0.447, abs=5e-4)
    assert reactive.usd_per_month == pytest.approx(30 * 1179.20)
    # with foresight: ⌈rate ÷ 7.5⌉, at least 2, in each hour
    needed = sum(max(2, -(-rate * 10 // 75)) for rate in PUBLISHED)
    assert reactive.plan_usd_per_month == pytest.approx(30 * 3.2 * needed) == pytest.approx(26_976)
    assert max(s.replicas for s in found.pools[0].stretches) == pytest.approx(28)


def test_an_autoscaler_needs_hours_to_follow() -> None:
    with pytest.raises(PlannerError, match="no hours that an autoscaler could follow"):
        replayed(problem(7), autoscaler=ScalingRules())


def log(folder: Path, rows: list[tuple[float, int, int]]) -> Path:
    file = folder / "log.csv"
    lines = [f"{at:.6f},{inputs},{outputs}" for at, inputs, outputs in rows]
    file.write_text("\n".join(["arrival,input_tokens,output_tokens", *lines]) + "\n")
    return file


def test_a_log_is_sent_at_its_own_times_with_its_own_tokens(tmp_path: Path) -> None:
    # big takes 0.1 s a token. One of 1 token a second, but the 30th is of 30: done 3 s later, so
    # that the next ones wait 2 s and 1.1 s, and 0.2 s
    rows = [(float(i), 1, 30 if i == 30 else 1) for i in range(60)]
    asked, known = problem(7), big_and_small()
    plan = solve(asked, known, alternatives=0)
    found = replay(plan, asked, known, trace=log(tmp_path, rows)).pools[0]
    assert found.requests == 54  # a tenth warms up
    assert found.means["wait"].value_s == pytest.approx((2 + 1.1 + 0.2) / 54)
    assert found.figures["wait"][0.99].value_s == pytest.approx(2)
    assert found.figures["request"][0.99].value_s == pytest.approx(3)
    faster = replay(plan, asked, known, trace=log(tmp_path, rows), trace_scale=2).pools[0]
    # half a second apart: the next ones wait 2.5, 2.1, 1.7, ... 0.1 s
    assert faster.means["wait"].value_s == pytest.approx(
        sum([2.5, 2.1, 1.7, 1.3, 0.9, 0.5, 0.1]) / 54
    )


def test_before_unlike_replicas_it_says_why_people_wait_longer_than_by_the_formulas() -> None:
    found = replayed(problem(7))
    (pool,) = found.pools
    assert not pool.is_unlike
    waits = {"formula_wait_p99_s": 2.77, "replayed_wait_p99_s": 4.59}
    unlike = dataclasses.replace(pool, is_unlike=True, **waits)
    said = "Its replicas are unlike: one router before those makes people wait longer"
    assert said in replay_text(dataclasses.replace(found, pools=(unlike,)))
    for quiet in (dataclasses.replace(unlike, is_unlike=False), pool):
        assert said not in replay_text(dataclasses.replace(found, pools=(quiet,)))
    mixed = replayed(problem(13))
    assert mixed.pools[0].is_unlike


def test_a_log_too_short_or_of_several_workloads_is_refused(tmp_path: Path) -> None:
    few = log(tmp_path, [(float(i), 1, 1) for i in range(5)])
    with pytest.raises(PlannerError, match="a replay needs 20 requests"):
        replayed(problem(7), trace=few)
    with pytest.raises(PlannerError, match="leave out the trace"):
        replayed(problem(chat={"traffic": DAY}), autoscaled(), trace=few, autoscaler=ScalingRules())


# ---- what is told


def test_equal_arguments_give_equal_figures_and_another_seed_others() -> None:
    one, same, other = (replayed(problem(7), seed=s) for s in (1, 1, 50))
    assert one == same
    assert one.pools[0].means != other.pools[0].means


def test_a_plan_that_was_written_and_read_replays_the_same() -> None:
    asked, known = problem(7), big_and_small()
    plan = solve(asked, known, alternatives=0)
    again = Plan.from_dict(plan.to_dict())
    one, other = (replay(p, asked, known, requests=2000) for p in (plan, again))
    assert one == other


def test_the_time_limit_ends_it_and_it_says_so() -> None:
    found = replayed(problem(7), requests=60_000, seeds=1, time_limit_s=1e-9)
    assert found.stopped_early
    assert 0 < found.sent < 60_000


def test_what_apis_serve_is_not_replayed_and_is_said() -> None:
    known = with_tokens()
    asked = problem(7, limits={"billing": {"allow": ["dedicated", "per_token"]}})
    plan = solve(asked, known, alternatives=0)
    assert all(p.candidate.mode.per_token for p in plan.purchases)
    assert replay(plan, asked, known).pools == ()


def test_users_at_once_are_refused() -> None:
    from tests.candidates.test_users import problem as users
    from tests.support.serving.toys import catalog as toys

    plan = solve(users(), toys(), alternatives=0)
    with pytest.raises(PlannerError, match="users at once ask again when they are answered"):
        replay(plan, users(), toys())


def test_another_problem_s_plan_is_refused() -> None:
    plan = solve(problem(7), big_and_small(), alternatives=0)
    day = problem(chat={"traffic": DAY})
    with pytest.raises(PlannerError, match="its time blocks are not the problem's"):
        replay(plan, day, big_and_small())
    with pytest.raises(InputError, match="burstiness: must be at most 10"):
        replay(plan, problem(7), big_and_small(), burstiness=11)


# ---- figures


def test_percentiles_are_values_that_occurred_and_never_is_none() -> None:
    values = np.arange(1.0, 101.0)
    assert percentile_of([values], 0.99).value_s == 99
    assert percentile_of([values], 0.5).value_s == 50
    late = np.append(values, [np.inf] * 3)
    assert percentile_of([late], 0.99).value_s is None
    assert percentile_of([late], 0.95).value_s == 98
    assert mean_of([late]).value_s is None
    assert missed_share([late], 99.0)[0] == pytest.approx(4 / 103)


def test_over_seeds_the_interval_is_student_s() -> None:
    # means 1, 2, 3: sd 1, t with 2 degrees of freedom 4.303, ÷ √3
    found = mean_of([np.full(10, float(v)) for v in (1, 2, 3)])
    assert found.value_s == pytest.approx(2)
    assert found.half_width_s == pytest.approx(4.303 / np.sqrt(3))


def test_time_per_token_is_a_mean_over_tokens() -> None:
    # 9 tokens at 1 s, 1 token at 11 s: 2 s a token
    pair = mean_of([np.array([1.0, 11.0])], [np.array([9.0, 1.0])])
    assert pair.value_s == pytest.approx(2)


@pytest.mark.parametrize(("given", "meant"), [((None, None), (3600, 3600)), ((0.0, 60.0), (0, 60))])
def test_a_loss_at_the_start_is_not_the_default(
    given: tuple[float | None, float | None], meant: tuple[float, float]
) -> None:
    lost = command._loss("provider:acme", *given)
    assert (lost.at_s, lost.for_s) == meant


def test_requests_come_as_bunched_as_the_traffic_states_unless_it_is_said_otherwise() -> None:
    bursty = {"kind": "requests_per_second", "requests_per_second": 7, "burstiness": 2}
    stated = replayed(problem(chat={"traffic": bursty}))
    said = replayed(problem(7), burstiness=2)
    calm = replayed(problem(chat={"traffic": bursty}), burstiness=1)
    assert stated.pools[0].means == said.pools[0].means
    assert calm.pools[0].means == replayed(problem(7)).pools[0].means != said.pools[0].means
