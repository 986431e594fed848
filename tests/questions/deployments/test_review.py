"""A week of metrics against a plan: what broke, by how much, and what it costs by solving again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from milp_planner import InputError, Plan, solve
from milp_planner.cli import main
from milp_planner.questions.deployments.review import Review, review
from milp_planner.reporting.text.questions.review import review_text
from tests.futures.test_commit_or_rent import ON_DEMAND as ON_DEMAND_L40S
from tests.futures.test_commit_or_rent import RESERVED, commit_or_rent, l40s
from tests.support.builders import big_and_small, problem
from tests.support.shown.exported import ON_DEMAND, bought, fleet

# 13 requests/s are a big unit (10 requests/s, 4 USD/h) and a small one (3, 1.50): 3,960 USD.
ASKED, KNOWN = problem(13), big_and_small()


@pytest.fixture(scope="module")
def plan() -> Plan:
    return Plan.from_dict(json.loads(json.dumps(solve(ASKED, KNOWN).to_dict())))


def answer(value: float) -> dict[str, Any]:
    points = [[1793577600 + 60 * i, str(value)] for i in range(60)]
    return {"status": "success", "data": {"result": [{"metric": {}, "values": points}]}}


def metrics(folder: Path, **rates: float) -> Path:
    path = folder / "metrics.json"
    path.write_text(json.dumps({name: answer(value) for name, value in rates.items()}))
    return path


def counters(folder: Path, **growth: float) -> Path:
    """All counters of vLLM in one answer, on two pods, each growing by so much a minute."""
    series = [
        {
            "metric": {"__name__": f"vllm:{name}", "pod": pod},
            "values": [[1793577600 + 60 * i, str(i * value / 2)] for i in range(60)],
        }
        for name, value in growth.items()
        for pod in "ab"
    ]
    path = folder / "metrics.json"
    path.write_text(json.dumps({"status": "success", "data": {"result": series}}))
    return path


def by_name(found: Review) -> dict[str, tuple[float, float, bool]]:
    return {one.name: (one.planned, one.measured, one.broke) for one in found.assumptions}


def test_what_was_planned_and_is_so_holds(plan: Plan, tmp_path: Path) -> None:
    path = metrics(tmp_path, requests=13.5, prompt_tokens=13.5, generation_tokens=13.5)
    found = review(plan, path)
    assert found.hours == 1
    assert found.broken == ()
    assert by_name(found)["peak rate"] == (13, 13.5, False)
    assert by_name(found)["input of a request"] == (1, pytest.approx(1), False)
    assert "every assumption holds" in review_text(found)


def test_a_higher_peak_broke_and_costs_what_solving_for_it_costs(
    plan: Plan, tmp_path: Path
) -> None:
    # 20 requests/s are two big units: 8 USD/h, 5,760 a month, 1,800 more.
    path = metrics(tmp_path, requests=20, prompt_tokens=20, generation_tokens=20)
    found = review(plan, path, problem=ASKED, catalog=KNOWN)
    (broken,) = found.broken
    assert (broken.name, broken.measured) == ("peak rate", 20)
    assert broken.distance == pytest.approx(20 / 13 - 1)
    assert broken.usd_per_month == pytest.approx(1800)
    assert found.together_usd_per_month == pytest.approx(1800)
    said = review_text(found)
    assert (
        "broke  peak rate: planned 13, measured 20 requests/s (+54%): $1,800 a month more" in said
    )


def test_a_lower_peak_broke_too_and_costs_less(plan: Plan, tmp_path: Path) -> None:
    # 6 requests/s are two small units, 3 USD/h: 2,160 a month, 1,800 less.
    found = review(plan, metrics(tmp_path, requests=6), problem=ASKED, catalog=KNOWN)
    (broken,) = found.broken
    assert broken.usd_per_month == pytest.approx(-1800)
    assert found.not_told == ("input of a request", "output of a request")


def test_without_the_problem_no_cost_is_guessed(plan: Plan, tmp_path: Path) -> None:
    found = review(plan, metrics(tmp_path, requests=20))
    assert [one.usd_per_month for one in found.broken] == [None]
    assert "What it costs: give --problem FILE" in review_text(found)


def test_wishes_and_the_cache_are_held_against_their_own_measure(tmp_path: Path) -> None:
    # Wished for: tpot 50 ms, ttft 2 s; nothing of the input is planned to be cached.
    path = metrics(
        tmp_path,
        requests=5.787,
        prompt_tokens=5.787 * 2400,
        generation_tokens=5.787 * 340,
        prompt_tokens_cached=5.787 * 1200,
        time_per_output_token=0.08,
        time_to_first_token=0.5,
    )
    found = review(fleet(bought(ON_DEMAND, 1, 1)), path)
    assert [one.name for one in found.broken] == ["prefix cache", "tpot wish"]
    assert by_name(found)["prefix cache"] == (0.0, pytest.approx(0.5), True)
    assert by_name(found)["tpot wish"] == (0.05, pytest.approx(0.08), True)
    assert by_name(found)["ttft wish"] == (2.0, pytest.approx(0.5), False)
    # 80 % have 1500/300 tokens, 20 % 6000/500: 2400 and 340 on average.
    assert by_name(found)["input of a request"] == (pytest.approx(2400), pytest.approx(2400), False)


def test_names_and_kinds_that_do_not_fit_are_refused(plan: Plan, tmp_path: Path) -> None:
    path = metrics(tmp_path, requests=20)
    with pytest.raises(
        InputError, match="workload: the plan has no workload 'chatt'; did you mean"
    ):
        review(plan, path, workload="chatt")
    single = tmp_path / "t.csv"
    single.write_text("arrival,input_tokens,output_tokens\n0,1,1\n")
    with pytest.raises(InputError, match="holds single requests, not counts by the time"):
        review(plan, single)


def test_the_command_exits_4_where_an_assumption_broke(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "plan.json").write_text(json.dumps(plan.to_dict()))
    words = ["review", str(tmp_path / "plan.json"), str(metrics(tmp_path, requests=13))]
    assert main(words) == 0
    metrics(tmp_path, requests=20)
    assert main([*words, "--json"]) == 4
    assert main([*words, "--tolerance", "60%"]) == 0
    out = capsys.readouterr().out
    assert '"broke": true' in out


def test_means_of_histograms_are_held_against_the_wishes(tmp_path: Path) -> None:
    # 600 requests a minute: 1500 s to first tokens are 2.5 s each; 180,000 tokens in 7,200 s are
    # 40 ms each. Wished for: 2 s and 50 ms.
    path = counters(
        tmp_path,
        request_success_total=600,
        prompt_tokens_total=600 * 2400,
        generation_tokens_total=600 * 340,
        time_to_first_token_seconds_sum=1500,
        time_to_first_token_seconds_count=600,
        inter_token_latency_seconds_sum=7200,
        inter_token_latency_seconds_count=180_000,
        time_per_output_token_seconds_sum=99_999,
        time_per_output_token_seconds_count=1,
        num_requests_running=4000,
    )
    found = by_name(review(fleet(bought(ON_DEMAND, 10, 10)), path))
    assert found["ttft wish"] == (2.0, pytest.approx(2.5), True)
    assert found["tpot wish"] == (0.05, pytest.approx(0.04), False)
    # 2400 + 340 are the means of 80 % of 1500 + 300 and 20 % of 6000 + 500.
    assert found["input of a request"] == (2400, pytest.approx(2400), False)
    assert found["output of a request"] == (340, pytest.approx(340), False)


def test_over_futures_the_average_is_compared(tmp_path: Path) -> None:
    # 200 requests/s were planned for base, 150 come: 4, 14 and 42 units in place of 5, 19 and 56.
    # Bound are 5 units then and 4 now, $844.15 each; on demand one is $1,339.92, in base 14 then
    # and 10 now, in the hit 51 and 38.
    asked = commit_or_rent()
    made = solve(asked, l40s(), alternatives=0)
    path = metrics(tmp_path, requests=150, prompt_tokens=150, generation_tokens=150)
    found = review(made, path, problem=asked, catalog=l40s())
    less = (5 - 4) * 720 * RESERVED + (0.4 * (14 - 10) + 0.2 * (51 - 38)) * 720 * ON_DEMAND_L40S
    assert by_name(found)["peak rate"] == (200, pytest.approx(150), True)
    assert found.together_usd_per_month == pytest.approx(-less, abs=0.1)
    assert found.futures == 3
    assert f"${less:,.0f} a month less, on average over 3 futures." in review_text(found)


def test_a_problem_over_months_is_refused_with_what_to_leave_out(tmp_path: Path) -> None:
    asked = ASKED.changed({"horizon": {"months": 2}})
    path = metrics(tmp_path, requests=26, prompt_tokens=26, generation_tokens=26)
    with pytest.raises(InputError) as refused:
        review(solve(ASKED, KNOWN), path, problem=asked, catalog=KNOWN)
    assert "horizon: this is asked of one month, not of several" in str(refused.value)
    assert "leave horizon out" in str(refused.value)
