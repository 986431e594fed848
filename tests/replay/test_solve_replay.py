"""`solve --replay`: the plan printed is the first whose replay keeps every wish, or exit 4."""

from __future__ import annotations

import json
from typing import Any

import pytest

from milp_planner import (
    Catalog,
    Plan,
    Problem,
    Replay,
    ReplayWish,
    TimeNotJudged,
    TimeReplayed,
    replay,
    solve,
    tighten,
)
from milp_planner.cli.parts import bars, exit_codes
from milp_planner.cli.runs import replayed
from milp_planner.questions.in_replay import told_by_replay
from milp_planner.questions.sheet.risks import wishes_of
from milp_planner.reporting.text.questions.tightened import tightened_text
from tests.candidates.test_wishes_kept import changed
from tests.candidates.test_wishes_kept import problem as requests_of_toys
from tests.support.builders import big_and_small, problem
from tests.support.serving.toys import catalog

pytest_plugins = ["tests.support.toy_cli"]

# toy.yaml: 13 requests/s on a big one of 10 and a small one of 3, full to the last: $3,960. Whoever
# comes waits longer and longer; with a second small one they are 81 % full: $5,040.


@pytest.fixture
def wish(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Give the toy problem a wish that its catalog, which knows rates alone, cannot judge."""

    def wish_for(wished: ReplayWish, **how: Any) -> None:
        def run(plan: Plan, asked: Problem, known: Catalog, *_: Any) -> Replay:
            return replay(plan, asked, known, requests=6000, seeds=2, wishes=[wished], **how)

        monkeypatch.setattr(replayed, "_replayed", run)

    return wish_for


def test_a_plan_whose_replay_misses_a_wish_is_solved_again_for_less(run: Any, wish: Any) -> None:
    wish(ReplayWish("wait", 5.0, 0.95))
    code, out, _ = run("solve", "toy.yaml", "--replay", "--format", "text", "--no-choices")
    assert code == exit_codes.FOUND
    plan, said = out.split("\nReplay of ")
    assert "$5,040 per month" in plan.splitlines()[0]
    assert "1  100.0 %   $3,960     2  p95 wait of chat missed" in said
    assert "for $5,040 instead of $3,960 per month." in said


@pytest.mark.slow
def test_what_cannot_be_kept_exits_4_and_says_by_how_much(run: Any, wish: Any) -> None:
    wish(ReplayWish("request", 1e-3, 0.95))
    code, out, err = run("solve", "toy.yaml", "--replay", "--json")
    assert code == exit_codes.GATE
    assert json.loads(out)["status"] == "optimal"
    assert "Not every wish is kept by any of 6 plans, down to a target of " in err
    assert "Replay: p95 request of chat: " in err


def test_a_wish_kept_at_once_changes_nothing(run: Any, wish: Any) -> None:
    wish(ReplayWish("wait", 3600.0, 0.99))
    code, out, err = run("solve", "toy.yaml", "--replay", "--no-choices")
    assert code == exit_codes.FOUND
    assert "3,960" in out
    assert out.endswith("Every wish is kept, at once.\n")
    assert err == ""


def test_a_plan_that_time_ended_with_is_replayed_by_itself(
    run: Any, wish: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fleets = iter(range(9))
    monkeypatch.setattr(replayed, "_fleet", lambda plan: next(fleets))
    wish(ReplayWish("wait", 5.0, 0.95))
    code, _, err = run("solve", "toy.yaml", "--replay", "--json")
    assert code == exit_codes.FOUND
    said = err.split("Time ended with another plan than those replayed; the one printed:")[1]
    assert "p95 wait of chat: " in said.splitlines()[1]
    assert said.splitlines()[1].endswith(": kept")


def test_without_a_wish_it_says_that_there_was_nothing_to_keep(run: Any) -> None:
    code, out, _ = run("solve", "toy.yaml", "--replay", "--format", "text")
    assert code == exit_codes.FOUND
    assert "Nothing was wished" in out


def test_a_problem_without_a_plan_says_why_as_without_a_replay(run: Any, folder: Any) -> None:
    text = (folder / "toy.yaml").read_text() + "limits: {max_gpus: {total: 1}}\n"
    (folder / "none.yaml").write_text(text)
    code, out, _ = run("solve", "none.yaml", "--replay", "--format", "text")
    assert code == exit_codes.INFEASIBLE
    assert out.startswith("No plan: ")


def test_where_lower_targets_have_no_plan_the_last_one_with_one_is_given() -> None:
    # two GPUs at most: at less than 100 % nothing serves 13 requests/s but two big ones, and below
    # 65 % nothing does
    asked = problem(13, limits={"max_gpus": {"total": 2}})
    known = big_and_small()
    late = [ReplayWish("request", 1e-3)]

    def run(plan: Plan, at: Problem) -> Replay:
        return replay(plan, at, known, requests=500, seeds=1, wishes=late)

    found = tighten(asked, run, known, rounds=12)
    assert found.replay is None
    assert not found.keeps_all_wishes
    assert found.best is found.rounds[-2]
    assert found.targets[-1] < 0.65 <= found.best.target
    assert [p.candidate.gpu for p in found.best.plan.purchases] == ["big"]
    assert "there is none." in tightened_text(found)


def test_no_round_is_begun_when_time_is_up() -> None:
    def run(plan: Plan, at: Problem) -> Replay:
        return replay(plan, at, big_and_small(), requests=500, wishes=[ReplayWish("request", 1e-3)])

    found = tighten(problem(13), run, big_and_small(), time_limit_s=0.02)
    assert len(found.rounds) == 1


def test_a_bar_counts_requests_on_a_terminal_and_in_a_pipe_there_is_none(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with bars.counted("replaying", 100, quiet=False) as done:
        assert done is None
    monkeypatch.setattr(bars, "_is_terminal", lambda: True)
    with bars.counted("replaying", 100, quiet=True) as done:
        assert done is None
    with bars.counted("replaying [b]toy[/b]", 100, quiet=False) as done:
        assert done is not None
        done(50)
    assert capsys.readouterr().out == ""


def of_first_tokens(folder: Any, wished: str) -> None:
    """`own.yaml`, the toy with a p99 of the first token."""
    text = (folder / "toy.yaml").read_text()
    latency = f"    latency: {{ttft: {{p99: {wished}}}}}\npolicy"
    (folder / "own.yaml").write_text(text.replace("policy", latency, 1))


@pytest.mark.slow
def test_a_first_token_that_waits_too_long_is_told_in_the_plan(run: Any, folder: Any) -> None:
    # Full to the last, so that whoever comes waits longer and longer: minutes, and never 1 ms.
    of_first_tokens(folder, "1ms")
    code, out, _ = run("solve", "own.yaml", "--replay", "--no-choices")
    assert code == exit_codes.GATE
    head = " ".join(out.split("\n\n")[1].split())
    assert "In a replay the p99 ttft of chat is " in head
    assert ", wished 1 ms: missed." in head
    assert "Not judged" not in head
    written = json.loads(run("solve", "own.yaml", "--replay", "--json")[1])
    (said,) = (one for one in written["warnings"] if "p99 ttft" in one)
    assert " in a replay: missed by " in said


def test_a_wait_that_keeps_it_does_not_say_what_prompts_take(run: Any, folder: Any) -> None:
    # The toy's replicas have rates, and nobody knows how long their prompts take.
    of_first_tokens(folder, "900s")
    code, out, _ = run("solve", "own.yaml", "--replay", "--no-choices")
    assert code == exit_codes.FOUND
    assert "Not judged: the p99 ttft of chat at acme/big/eu-1" in " ".join(out.split())
    assert "1.00 % may be: kept by the wait alone; what prompts take is not known" in out
    assert out.endswith("Every wish is kept, as far as is known, at once.\n")
    replayed = json.loads(run("replay", "own.yaml", "--requests", "900", "--json")[1])
    assert set(replayed["pools"][0]["means"]) == {"wait", "tpot", "request"}
    assert replayed["pools"][0]["stretches"][0]["ttft_p99_s"] is None
    assert replayed["wishes"][0]["only_waits"]


def test_a_replay_of_known_prompts_judges_first_tokens() -> None:
    # Two requests/s of a box that is known to take 0.25 s for a prompt: what its p99 is in a
    # replay stands in the plan, as the replay has it.
    known = catalog()
    question = changed(requests_of_toys(), ttft={"p99": "20s"})
    plan = solve(question, known, alternatives=0)
    (unjudged,) = (one for one in plan.warnings if isinstance(one, TimeNotJudged))
    found = replay(plan, question, known, requests=900, seeds=1)
    told = told_by_replay(plan, found)
    (said,) = (one for one in told.warnings if isinstance(one, TimeReplayed))
    (wish,) = found.wishes
    assert (said.what, said.wished_s, said.kept) == (unjudged.what, unjudged.wished_s, True)
    assert (said.reached_s, said.missed_share) == (wish.reached_s, wish.missed_share)
    assert not wish.only_waits
    (judged,) = wishes_of(told)
    assert (judged.in_replay, judged.expected_s) == ("kept", wish.reached_s)
