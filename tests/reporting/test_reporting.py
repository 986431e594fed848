"""Reports of plans built by hand: every format, every total, and names that mean no good."""

from __future__ import annotations

from dataclasses import replace

import pytest

from milp_planner import EngineReport, Proof, Purchase, Said, Status, TimeBlock, TurnedDown
from milp_planner.plans.document import (
    changes,
)
from milp_planner.reporting.documents.options import DEFAULTS, ReportOptions
from milp_planner.reporting.formats import FORMATS
from tests.support.builders import offering, token_price
from tests.support.sample_plans import (
    PROVEN,
    candidate,
    no_plan,
    plan,
    purchase,
    text,
    workload_plan,
)

# ---- the text report


def test_the_report_gives_the_answer_first_and_totals_that_are_sums():
    # 5.98 x 720 = 4305.60, shown 4,306; 3.50 x 720 = 2520; together 6825.60, shown 6,826.
    assert text(plan()) == (
        "Optimal plan: $6,826 per month ($0.63 per 1M tokens)"
        "      certified by CBC and HiGHS, gap 0 %, 0.4 s\n"
        "\n"
        "  workload  units  GPUs      replicas      offering          region  billing"
        "    $/GPU-h  $/month\n"
        "  chat          1  1 x b200  1 x fp8 tp 1  runpod/b200/eu-1  eu-1    dedicated"
        "     5.98    4,306\n"
        "                1  1 x h200  1 x fp8 tp 1  nebius/h200/eu-1  eu-1    dedicated"
        "     3.50    2,520\n"
        f"{'6,826':>96}\n"
        "\n"
        "  chat  llama-3.3-70b: peak 5.79 req/s of 8.40 planned capacity, "
        "utilization 69 % (medium, target 75 %), tpot 49.7 ms at full load (wish 50 ms), "
        "ttft not asked\n"
        "        throughput: 1 of 2 rows measured, planned at 0.83 of it; "
        "1 of 2 rows estimated, planned at 0.83 of it\n"
        "\n"
        "Solvers: CBC 2.10.3 optimal, HiGHS 1.13.1 optimal; 3 rows, 12 columns; seed 1.\n"
        "Not included: egress, storage, support, tax, staff, network latency, start-up and model "
        "loading.\n"
        "Catalog market 2026.11 (sha 3f9c2e1a), oldest price 2026-05-24, "
        "problem sha 81e1df25. milp-planner 0.1.0.\n"
    )


def test_a_reproducible_report_has_no_seconds():
    options = ReportOptions(reproducible=True)
    assert "0.4 s" in text(plan())
    assert "0.4 s" not in text(plan(), options)
    assert "seconds" in FORMATS["json"](plan(), DEFAULTS)
    assert "seconds" not in FORMATS["json"](plan(), options)


def test_rows_that_round_up_together_still_sum_to_their_total():
    # Three times 100.40 is 301.20: one row shows 101 so that the column adds up to 301.
    k = candidate(usd_per_hour=100.4 / 720)
    shown = text(plan(*[purchase(replace(k, tensor_parallel=n)) for n in (1, 2, 4)]))
    amounts = [int(line.split()[-1]) for line in shown.splitlines()[3:7]]
    assert amounts == [101, 100, 100, 301]


def test_a_plan_of_a_few_dollars_shows_cents():
    # 0.05 x 720 = 36.00
    shown = text(plan(purchase(candidate(usd_per_hour=0.05))))
    assert shown.startswith("Optimal plan: $36.00 per month ($0.0033 per 1M tokens)")


def test_a_unit_of_several_gpus_shows_the_price_of_one_gpu():
    shown = text(plan(purchase(candidate(usd_per_hour=20.0, gpus_per_unit=8), units=2)))
    assert "  2  2 x 8 x b200  16 x fp8 tp 1  " in shown
    assert "  2.50  " in shown


def test_penalties_stand_apart_from_cash():
    fined = workload_plan(penalties={"overload": 0.0, "strict_latency": 30_000.0})
    costs = {"rent": 6825.6, "switching": 50.0, "strict_latency": 30_000.0}
    shown = text(
        plan(
            workloads=(fined,),
            costs=costs,
            cash_usd_per_month=6875.6,
            score_usd_per_month=36875.6,
        )
    )
    assert shown.startswith("Optimal plan: $6,876 per month ($0.64 per 1M tokens), and $30,000 of")
    sums = [line.split() for line in shown.splitlines()[5:9]]
    assert sums == [
        ["switching", "50"],
        ["cash", "6,876"],
        ["strict", "latency", "penalty", "30,000"],
        ["score", "36,876"],
    ]


def test_reserved_units_show_their_commitment():
    # 2 USD/h for 720 h is 1,440 a month, 17,280 over the 12 months.
    shown = text(plan(purchase(candidate(usd_per_hour=2.0, billing="reserved_1y"))))
    assert "commitment: $17,280, paid whether or not the units run" in shown


def test_per_token_use_shows_its_share_and_no_utilization():
    k = replace(
        candidate(),
        offering=token_price("together", 0.88),
        tensor_parallel=0,
        replicas_per_unit=0,
        points=(),
        usd_per_request=(0.001584,),
    )
    served = workload_plan(utilization=None, band="not assessed", tpot_s=None)
    shown = text(plan(Purchase(k, (0,), (720.0,), 1500.0, 0.22), workloads=(served,)))
    assert "  chat          -  22 % of requests  per token  together/tiny/global" in shown
    assert "served per token, utilization not assessed, tpot not known (wish 50 ms)" in shown
    assert "throughput:" not in shown


def test_units_that_stop_show_their_hours():
    blocks = (TimeBlock("active", 171.0), TimeBlock("idle", 549.0))
    k = candidate(usd_per_hour=2.0, billing="autoscaling")
    bought = Purchase(k, (3, 0), (171.0, 549.0), 3 * 171 * 2.0, 1.0)
    shown = text(plan(bought, blocks=blocks))
    assert "unit-h" in shown
    assert "  513  " in shown
    assert "units by block (active 171 h, idle 549 h): runpod/b200/eu-1 3, 0" in shown


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, "ttft not asked"),
        ({"ttft_wish_s": 2.0}, "ttft not verified (wish 2 s)"),
        ({"ttft_wish_s": 2.0, "ttft_s": 0.4}, "ttft not verified (wish 2 s, estimate 400 ms)"),
        (
            {"ttft_wish_s": 2.0, "ttft_s": 1.25, "ttft_verified": True},
            "ttft 1.25 s measured (wish 2 s)",
        ),
    ],
)
def test_a_ttft_wish_is_verified_or_said_not_to_be(fields, words):
    assert words in text(plan(workloads=(workload_plan(**fields),)))


def test_without_request_sizes_rates_are_in_tokens():
    shown = text(plan(purchase(candidate()), workloads=(workload_plan(unit="tokens/s"),)))
    assert "peak 5.79 tokens/s of" in shown


def test_users_are_counted_as_users():
    shown = text(plan(purchase(candidate()), workloads=(workload_plan(unit="users"),)))
    assert "peak 5.79 users of" in shown


def test_a_plan_without_proof_says_its_gap_and_bound():
    unproven = Proof(False, (), (EngineReport("CBC", "2.10.3", "feasible", 7000, 6600, 60.0),))
    # (6825.60 - 6740) / 6825.60 = 1.25 %
    shown = text(
        plan(
            status=Status.FEASIBLE,
            lower_bound_usd_per_month=6740.0,
            proof=replace(unproven, seconds=60.0),
        )
    )
    assert shown.startswith(
        "Best plan found: $6,826 per month ($0.63 per 1M tokens)"
        "      CBC unfinished, gap 1.3 %, no plan scores below $6,740, 60.0 s\n"
    )


def test_a_proof_by_one_solver_says_so():
    alone = replace(PROVEN, certified=False, certified_by=("highs",), notes=("no CBC runs here",))
    shown = text(plan(proof=alone))
    assert "optimal by HiGHS alone" in shown
    assert "\nNote: no CBC runs here\n" in shown


def test_an_infeasible_problem_gives_its_reasons_and_no_fleet():
    row = TurnedDown("chat", offering("acme", "t4", 0.5), "weights 65.7 GiB do not fit in 14.4 GiB")
    shown = text(
        no_plan(
            Status.INFEASIBLE,
            "the cheapest plan costs $20,236 per month, $4,236 above the budget of $16,000",
            turned_down=(row,),
        )
    )
    assert shown.startswith(
        "No plan: the cheapest plan costs $20,236 per month, $4,236 above the budget of $16,000."
        "      certified by CBC and HiGHS, 0.4 s\n"
    )
    assert "  1 offering turned down; milp-planner candidates gives each its reason.\n" in shown
    assert "workload" not in shown
    assert "Not included" not in shown


def test_stopping_with_nothing_is_not_called_infeasible():
    shown = text(no_plan(Status.NO_PLAN, lower_bound_usd_per_month=512.0))
    assert shown.startswith("No plan found before the solvers stopped, which does not prove that")
    assert "no plan scores below $512" in shown
    assert "certified" not in shown


def test_alternatives_say_what_they_cost_more_and_what_they_change():
    best = plan()
    b200 = best.purchases[0]
    other = plan(b200, purchase(candidate("runpod", "h200", 3.59, 2.4)))
    # 3.59 instead of 3.50 for 720 h: 64.80 more, 0.95 % of 6825.60; one provider instead of two.
    lines = text(
        replace(best, alternatives=(other,), alternatives_notes=(Said("no more"),))
    ).splitlines()
    at = lines.index("Next-best plans (never an earlier plan plus spare units)")
    assert lines[at + 1 : at + 4] == [
        "  2  $6,890  +$64  +0.95 %  1 x h200 at runpod instead of 1 x h200 at nebius",
        "                            2 GPUs at runpod, medium band (69 %): $64 dearer, "
        "1 provider fewer",
        "  no more",
    ]


def test_an_alternative_that_only_runs_fewer_hours_says_so():
    k = candidate(billing="spot")
    day = replace(purchase(k), units_by_block=(2,), hours_by_block=(720.0,))
    half = replace(day, hours_by_block=(360.0,))
    [row] = changes(plan(day), plan(half))
    assert (row["units"], row["unit_hours_per_month"]) == (0, -720)
    assert "leaves out 720 unit-h of b200 at runpod spot" in text(
        plan(day, alternatives=(plan(half),))
    )


def test_the_same_offering_in_another_configuration_is_told_apart():
    one = candidate()
    two = replace(one, precision="bf16")
    shown = text(plan(purchase(one), alternatives=(plan(purchase(two)),)))
    assert "1 x b200 at runpod bf16 tp 1 instead of 1 x b200 at runpod fp8 tp 1" in shown
