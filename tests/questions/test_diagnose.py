"""Diagnose: which limits conflict, and the smallest changes that give a plan; all solved again."""

from __future__ import annotations

import itertools
import json

import pytest

from milp_planner import NoFleet, NothingServes, Status, diagnose, prepare, reason_lines, solve
from milp_planner.inputs.problem.patching import patched
from milp_planner.milp.program.model import build_model
from milp_planner.plans.sentences import sentence
from tests.questions.test_explain import timed, timed_problem
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)

pytest_plugins = ["tests.support.toy_cli"]

MONTH = 720


def assert_proven(asked, boxes, diagnosis):
    """Every change gives a plan at the cash it says, and the next smaller one gives none."""
    for change in diagnosis.changes:
        plan = solve(patched(asked, change.patch), boxes, alternatives=0)
        assert plan.cash_usd_per_month == pytest.approx(change.cash_usd_per_month), change
        if change.too_little is not None:
            less = solve(patched(asked, change.too_little), boxes, diagnose=False)
            assert less.status is Status.INFEASIBLE, change
        assert change.proven
    if diagnosis.combination:
        together = {k: v for change in diagnosis.combination for k, v in change.patch.items()}
        plan = solve(patched(asked, together), boxes, alternatives=0)
        assert plan.cash_usd_per_month == pytest.approx(diagnosis.combination_usd_per_month)
        for change in diagnosis.combination:
            alone = solve(patched(asked, change.patch), boxes, diagnose=False)
            assert alone.status is Status.INFEASIBLE, change


def texts(changes):
    return [change.text for change in changes]


# ---- single changes


def test_a_problem_with_a_plan_has_no_diagnosis():
    assert diagnose(problem(13), big_and_small()) is None
    assert solve(problem(13), big_and_small()).diagnosis is None


@pytest.mark.slow
def test_a_short_budget_is_raised_to_the_cent():
    asked = problem(13, limits={"budget": {"usd_per_month": 2000}})
    found = diagnose(asked, big_and_small())
    assert found.conflict == (("limits.budget.usd_per_month", "$2,000"),)
    assert texts(found.changes) == ["raise the budget by $1,960 to $3,960"]
    assert found.changes[0].too_little == {"limits.budget.usd_per_month": 3959.99}
    assert_proven(asked, big_and_small(), found)
    assert reason_lines(solve(asked, big_and_small())) == (
        "the cheapest plan costs $3,960.00 per month, $1,960.00 above the budget of $2,000.00",
    )


def test_a_quota_is_raised_by_as_few_as_will_do():
    # 13 requests/s from small alone need five.
    asked = problem(13, limits={"max_gpus": {"per_gpu": {"small": 2, "big": 0}}})
    found = diagnose(asked, big_and_small())
    assert dict(found.conflict) == {
        "limits.max_gpus.per_gpu.small": "2 GPUs",
        "limits.max_gpus.per_gpu.big": "0 GPUs",
    }
    assert found.is_smallest
    # One big beside two small serves 16.
    assert texts(found.changes) == ["allow 1 more big (1 in all)", "allow 3 more small (5 in all)"]
    assert_proven(asked, big_and_small(), found)


@pytest.mark.parametrize(
    ("limits", "text"),
    [
        ({"max_gpus": {"total": 1}}, "allow 1 more GPU (2 in all)"),
        (
            {"providers": {"allow": ["bolt"]}, "max_gpus": {"per_provider": {"bolt": 1}}},
            "allow 4 more GPUs at bolt (5 in all)",
        ),
        (
            {"gpus": {"deny": ["big"]}, "max_units": {"bolt/*": 4}},
            "allow 1 more unit of bolt/* (5 in all)",
        ),
        (
            {"max_gpus": {"per_gpu": {"big": 1, "small": 1}}, "providers": {"max_count": 1}},
            "allow 2 providers",
        ),
        ({"gpus": {"deny": ["big"]}, "max_units": {"bolt/*": 4}}, "allow big"),
        ({"gpus": {"allow": ["big"]}, "max_units": {"acme/*": 1}}, "allow small"),
        (
            {"providers": {"max_share": 0.6}, "max_gpus": {"total": 2}},
            "let one provider serve 77 %",
        ),
    ],
)
def test_each_limit_has_its_own_smallest_change(limits, text):
    asked = problem(13, limits=limits)
    found = diagnose(asked, big_and_small())
    assert text in texts(found.changes)
    assert_proven(asked, big_and_small(), found)


def test_a_hotter_band_or_a_higher_target_may_do():
    # One big: 7 of 10 requests/s is 70 %, above the low band's half.
    asked = problem(7, chat={"latency": {"max_band": "low"}}, limits={"max_gpus": {"total": 1}})
    found = diagnose(asked, big_and_small())
    assert "accept medium for chat" in texts(found.changes)
    assert_proven(asked, big_and_small(), found)
    asked = problem(7, target=0.5, limits={"max_gpus": {"total": 1}})
    found = diagnose(asked, big_and_small())
    assert "plan for a utilization of 70 %" in texts(found.changes)
    assert_proven(asked, big_and_small(), found)


def test_fewer_replicas_may_do():
    asked = problem(10, chat={"min_replicas": 3}, limits={"max_gpus": {"total": 2}})
    found = diagnose(asked, big_and_small())
    assert texts(found.changes) == [
        "ask for 2 replicas of chat",
        "allow 1 more GPU (3 in all)",
    ]
    assert_proven(asked, big_and_small(), found)


def test_surviving_a_smaller_loss_may_do():
    # Big and small: without big 3 of 10 requests/s are left, 30 %.
    limits = {"survive_loss_of": "provider", "max_units": {"acme/*": 1, "bolt/*": 1}}
    asked = problem(10, limits=limits)
    found = diagnose(asked, big_and_small())
    assert "let 30 % of the peak be left after the loss of a provider" in texts(found.changes)
    assert_proven(asked, big_and_small(), found)


@pytest.mark.slow
def test_a_billing_not_allowed_may_do():
    boxes = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.0, billing="spot")],
        [raw("big", 10), raw("small", 5)],
    )
    asked = problem(10, limits={"budget": {"usd_per_month": 2000}})
    found = diagnose(asked, boxes)
    assert texts(found.changes) == [
        "allow spot billing",
        "raise the budget by $880 to $2,880",
    ]
    assert_proven(asked, boxes, found)
    reasons = reason_lines(solve(asked, boxes))
    assert reasons[1] == "Any one of these gives a plan:"
    assert reasons[2].split() == [
        *("limits.billing.allow", "allow", "spot", "billing"),
        *("$1,440", "per", "month"),
    ]


# ---- conflicts and combinations


def test_limits_that_do_not_matter_are_not_blamed():
    limits = {
        "max_gpus": {"total": 1, "per_provider": {"acme": 9}},
        "budget": {"usd_per_month": 50_000},
        "regions": {"allow": ["eu-*"]},
    }
    found = diagnose(problem(13, limits=limits), big_and_small())
    assert found.conflict == (("limits.max_gpus.total", "1 GPU"),)
    assert found.is_smallest


def test_a_smaller_conflict_is_found_beside_a_larger_one():
    # The budget alone is too small; so are the quotas of both GPU types together.
    limits = {
        "max_gpus": {"per_gpu": {"big": 0, "small": 2}},
        "budget": {"usd_per_month": 3000},
    }
    found = diagnose(problem(13, limits=limits), big_and_small())
    assert found.conflict == (("limits.budget.usd_per_month", "$3,000"),)


def test_where_no_single_change_does_the_cheapest_combination_is_told():
    # Small alone: five for $5,400. With one big: $3,960, and the cheapest of all plans.
    limits = {
        "max_gpus": {"per_gpu": {"big": 0, "small": 2}},
        "budget": {"usd_per_month": 3000},
    }
    asked = problem(13, limits=limits)
    found = diagnose(asked, big_and_small())
    assert found.changes == ()
    assert texts(found.combination) == [
        "raise the budget by $960 to $3,960",
        "allow 1 more big (1 in all)",
    ]
    assert found.combination_usd_per_month == pytest.approx(3960)
    assert_proven(asked, big_and_small(), found)
    reasons = reason_lines(solve(asked, big_and_small()))
    assert "No single change gives a plan. These together do, for $3,960 per month:" in reasons


def test_a_cheaper_combination_outside_the_conflict_is_found():
    # $100 rents nothing, whatever written limit is loosened: that is the conflict. A big is $2,880.
    # The API serves 51.84 M tokens for $51.84, but its provider and its billing are not allowed.
    rented = big_and_small()
    sold = catalog(list(rented.offerings), list(rented.measurements), [token_price("api", 1.0)])
    limits = {
        "providers": {"allow": ["acme", "bolt"]},
        "max_gpus": {"total": 0},
        "budget": {"usd_per_month": 100},
    }
    asked = problem(10, limits=limits)
    found = diagnose(asked, sold)
    assert (found.changes, found.conflict) == ((), (("limits.budget.usd_per_month", "$100"),))
    assert texts(found.combination) == ["allow per_token billing", "allow api"]
    assert found.combination_usd_per_month == pytest.approx(51.84)
    assert_proven(asked, sold, found)


def test_too_few_providers_for_their_shares_are_told_without_a_search():
    # 30 % each needs four providers (three serve 90 %); two may be had, who could serve 50 % each.
    sellers = ("acme", "bolt", "core", "dune")
    boxes = catalog([offering(seller, "big", 4.0) for seller in sellers], [raw("big", 10)])
    asked = problem(10, limits={"providers": {"max_share": 0.3, "max_count": 2}})
    found = diagnose(asked, boxes)
    assert texts(found.changes) == ["let one provider serve 50 %", "allow 4 providers"]
    assert [change.cash_usd_per_month for change in found.changes] == [5760, 11_520]
    assert_proven(asked, boxes, found)
    given = prepare(asked, boxes)
    rows = build_model(given, given.candidates.candidates).describe()
    assert "ProviderCount enough:" in rows
    assert ">= 4" in rows


def test_three_limits_may_have_to_be_loosened_together():
    limits = {
        "max_units": {"acme/*": 0, "bolt/*": 0},
        "max_gpus": {"total": 1},
        "budget": {"usd_per_month": 100},
    }
    asked = problem(13, limits=limits)
    found = diagnose(asked, big_and_small())
    assert found.changes == ()
    assert len(found.combination) == 3
    assert_proven(asked, big_and_small(), found)


def test_where_nothing_helps_nothing_is_promised():
    lonely = catalog([offering("acme", "big", 4.0)], [raw("big", 10, size=(5, 5))])
    plan = solve(problem(13), lonely)
    assert plan.status is Status.INFEASIBLE
    assert (plan.diagnosis.conflict, plan.diagnosis.changes) == ((), ())
    assert plan.diagnosis.combination == ()


def test_a_catalog_with_too_few_units_is_said_so():
    few = catalog([offering("acme", "big", 4.0, max_units=1)], [raw("big", 10)])
    assert reason_lines(solve(problem(13), few)) == (
        "the catalog has too few units (max_units): with 1 more of acme/big/eu-1 dedicated (2 in "
        "all) there is a plan",
    )


# ---- a workload that fits nowhere


@pytest.mark.slow
def test_a_wish_that_nothing_meets_is_told_per_gpu_and_size():
    asked = timed_problem("4ms")
    found = diagnose(asked, timed())
    assert isinstance(found.headline, NothingServes)
    assert sentence(found.headline) == ("workload 'chat' cannot be served by any allowed offering")
    assert [(fit.gpu, fit.tensor_parallel) for fit in found.fits] == [("fast", 1), ("slow", 1)]
    assert "ms per token is above the wished 4 ms" in found.fits[0].reason
    needed_ms = found.fits[0].fastest_tpot_s * 1000
    [change] = found.changes
    assert change.path == "workloads.chat.latency.tpot"
    told_ms = float(change.patch[change.path].removesuffix("ms"))
    assert needed_ms <= told_ms < needed_ms + 0.1
    assert change.text == f"accept a tpot of {told_ms:g} ms for chat"
    assert_proven(asked, timed(), found)
    reasons = reason_lines(solve(asked, timed()))
    assert reasons[1].startswith("  fast tp 1  bf16  the fastest")
    assert reasons[1].endswith("<- nearest")
    assert reasons[-1].split("  ")[1] == "workloads.chat.latency.tpot"


def test_a_gpu_that_is_denied_is_named():
    asked = timed_problem("10ms", limits={"gpus": {"deny": ["fa*"]}})
    found = diagnose(asked, timed())
    assert dict(found.conflict) == {
        "workloads.chat.latency.tpot": "10 ms",
        "limits.gpus": "deny fa*",
    }
    assert "allow fast" in texts(found.changes)
    assert_proven(asked, timed(), found)
    assert [fit.gpu for fit in found.fits] == ["slow"]


def test_two_workloads_may_both_be_stranded():
    slow = {"llm": "llama-8b", "requests": {"input_tokens": 500, "output_tokens": 200}}
    asked = problem(
        workloads=[
            workload(1, "chat", **slow, latency={"tpot": "4ms"}),
            workload(1, "code", **slow, latency={"tpot": "3ms"}),
        ]
    )
    found = diagnose(asked, timed())
    assert {fit.workload for fit in found.fits} == {"chat", "code"}
    assert found.changes == ()
    assert {c.path for c in found.combination} == {
        "workloads.chat.latency.tpot",
        "workloads.code.latency.tpot",
    }
    assert_proven(asked, timed(), found)


# ---- what time does not allow, and reports


def test_what_the_time_limit_cut_short_is_named():
    from milp_planner.questions.diagnosis.diagnose import diagnosis_of
    from milp_planner.questions.solve import provenance_of
    from milp_planner.solving.prepare import prepare
    from milp_planner.solving.re_solve import settings_of

    asked = problem(13, limits={"max_gpus": {"total": 1}})
    given_ = prepare(asked, big_and_small())
    how = settings_of(asked, time_limit_s=1e-6)
    found = diagnosis_of(given_, how, provenance_of(given_, how), NoFleet())
    assert found.changes == ()
    assert not found.is_smallest
    assert "further single changes" in found.not_reached


def test_trials_ask_for_scores_and_do_not_break_ties(monkeypatch):
    def broken(*arguments):
        raise AssertionError("ties are broken, which takes longer than the plan itself")

    monkeypatch.setattr("milp_planner.solving.search.next_of", broken)
    found = diagnose(problem(13, limits={"max_gpus": {"total": 1}}), big_and_small())
    assert texts(found.changes) == ["allow 1 more GPU (2 in all)"]


def test_the_diagnosis_is_in_the_document_and_a_frame(run, folder):
    text = (folder / "toy.yaml").read_text()
    (folder / "no.yaml").write_text(text + "limits: {max_gpus: {total: 1}}\n")
    code, out, _ = run("solve", "no.yaml", "--json")
    assert code == 3
    document = json.loads(out)["diagnosis"]
    assert document["conflict"] == [{"path": "limits.max_gpus.total", "value": "1 GPU"}]
    assert document["changes"][0]["patch"] == {"limits.max_gpus.total": 2}
    _, out, _ = run("solve", "no.yaml")
    assert out.startswith("No plan: no fleet keeps limits.max_gpus.total: 1 GPU.")
    assert (
        "This gives a plan, for so much a month\n"
        "  $3,960  allow 1 more GPU (2 in all) (limits.max_gpus.total, now 1 GPU):\n"
        "          1 x big acme + 1 x small bolt\n"
    ) in out
    code, out, _ = run("solve", "no.yaml", "--format", "text")
    assert "  This gives a plan:\n" in out
    assert "limits.max_gpus.total  allow 1 more GPU (2 in all)  $3,960 per month" in out
    frame = diagnose(problem(13, limits={"max_gpus": {"total": 1}}), big_and_small()).to_frame()
    assert list(frame["text"]) == ["allow 1 more GPU (2 in all)"]
    assert list(frame["is_enough"]) == [True]


def test_every_kind_of_limit_can_be_loosened():
    from milp_planner.milp.program.families import limits_of
    from milp_planner.solving.prepare import prepare

    limits = {
        "budget": {"usd_per_month": 100},
        "providers": {"allow": ["acme", "bolt"], "max_count": 2, "max_share": 0.9},
        "regions": {"deny": ["eu-1"]},
        "gpus": {"allow": ["big"]},
        "offerings": {"deny": ["acme/*"]},
        "billing": {"allow": ["dedicated"]},
        "max_units": {"bolt/*": 1},
        "max_gpus": {"total": 1, "per_provider": {"acme": 1}, "per_gpu": {"big": 1}},
        "max_spot_share": 0.5,
        "survive_loss_of": {"kind": "region", "share": 0.5},
    }
    chat = {
        "min_replicas": 2,
        "tensor_parallel": [1],
        "latency": {"tpot": 0.05, "ttft": 2, "max_band": "low"},
    }
    asked = problem(13, target=0.5, limits=limits, chat=chat, switching={"max_units_changed": 0})
    found = limits_of(prepare(asked, big_and_small()))
    assert len({limit.path for limit in found}) == len(found) == 21
    free = patched(asked, {k: v for limit in found for k, v in limit.free.items()})
    left = limits_of(prepare(free, big_and_small()))
    assert {limit.path for limit in left} <= {"limits.billing.allow", "policy.utilization.target"}
    for one, other in itertools.pairwise(found):
        assert one.path != other.path


# ---- levers that are no limits


def test_a_lever_that_stands_in_no_plans_way_by_its_words_is_found():
    # Half the day has no load: a big for $2,880, half of it for nothing; $1,440 where it is off.
    day = {"kind": "profile", "requests_per_day": 432_000, "weights": [1] * 12 + [0] * 12}
    limits = {"budget": {"usd_per_month": 2000}, "providers": {"allow": ["acme"]}}
    asked = problem(workloads=[workload(traffic=day)], limits=limits)
    found = diagnose(asked, big_and_small())
    [lever] = [c for c in found.changes if c.path == "policy.switch_off_dedicated"]
    assert (lever.now, lever.text) == ("false", "switch off when idle")
    assert lever.cash_usd_per_month == pytest.approx(1440)
    assert_proven(asked, big_and_small(), found)
    without = asked.changed({"limits.budget.usd_per_month": 1000})
    assert all("switch" not in change.text for change in diagnose(without, big_and_small()).changes)


def test_every_way_to_pay_that_gives_a_plan_is_listed():
    # 13 requests/s: a big and a small for $3,960; two big on spot for $1,440; a reserved one and a
    # small for $2,520; tokens for 13 × $51.84. Three years for $4 an hour save nothing.
    sold = catalog(
        [
            *(offering("acme", "big", 4.0), offering("bolt", "small", 1.5)),
            *(offering("acme", "big", 1.0, billing="spot"),),
            *(offering("acme", "big", 2.0, billing="reserved_1y"),),
            *(offering("acme", "big", 4.0, billing="reserved_3y"),),
        ],
        [raw("big", 10), raw("small", 3)],
        [token_price("tokn", 10)],
    )
    asked = problem(13, limits={"budget": {"usd_per_month": 3000}})
    found = diagnose(asked, sold)
    assert [(c.text, round(c.cash_usd_per_month)) for c in found.changes] == [
        ("allow per_token billing", round(13 * 51.84)),
        ("allow spot billing", 1440),
        ("allow reserved_1y billing", 2520),
        ("raise the budget by $960 to $3,960", 3960),
    ]
    assert_proven(asked, sold, found)
