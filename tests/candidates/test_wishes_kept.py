"""Every wish for a time binds, or is refused; and what cannot be judged is said."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from milp_planner.cli.parts.gates import Gates
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.records import TokenPrice
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.records import Plan, Status
from milp_planner.questions.sheet.builder import decision_sheet
from milp_planner.questions.solve import solve
from milp_planner.reporting.sheets.text import head_text, rest_text
from tests.candidates.test_users import problem as users_problem
from tests.support.serving.toys import SOURCE, catalog

# `toy` on a `box`, 800 tokens in and 200 out in a tuned vLLM: its first token takes 0.2512 s by the
# estimate, and one request alone gets 85.3 tokens/s (see test_users.py)

SPEED, WAIT = "workloads.chat.traffic.tokens_per_s", "workloads.chat.traffic.longest_wait"


def problem() -> Problem:
    """Two requests a second of `toy`."""
    traffic = {"kind": "requests_per_second", "requests_per_second": 2}
    return users_problem(chat={"traffic": traffic})


def changed(asked: Problem, **latency: Any) -> Problem:
    return asked.changed({f"workloads.chat.latency.{key}": s for key, s in latency.items()})


def changes_of(plan: Plan) -> list[tuple[str, str]]:
    assert plan.status is Status.INFEASIBLE
    assert plan.diagnosis is not None
    return [(change.path, change.text) for change in plan.diagnosis.changes]


def test_a_requirement_that_no_penalty_reads_is_refused_and_names_what_would_be_kept() -> None:
    with pytest.raises(InputError) as caught:
        changed(problem(), requirement="100ms")
    (fault,) = caught.value.faults
    assert fault.path == "workloads[0].latency.requirement"
    assert fault.message == (
        "nothing keeps it: it only steers policy.penalties.strict_latency, which is not set; "
        "write ttft for the first token's time, tpot for each further one's, request for all of "
        "it, or set that penalty"
    )
    priced = problem().changed({"policy.penalties.strict_latency.usd": 500})
    assert changed(priced, requirement="100ms").workload("chat").latency.requirement_s == 0.1


@pytest.mark.parametrize("key", ["tpot", "ttft"])
def test_infrascale_refuses_the_wishes_that_its_formulas_do_not_keep(key: str) -> None:
    asked = users_problem(chat={"deployment": {}}, policy={"serving_model": "infrascale"})
    with pytest.raises(InputError, match="keep tokens_per_s and longest_wait alone"):
        changed(asked, **{key: "1s"})


def test_users_faster_than_any_replica_are_told_the_speed_that_there_is() -> None:
    plan = solve(users_problem().changed({SPEED: 100}), catalog())
    assert (SPEED, "accept 85 tokens/s a user for chat") in changes_of(plan)
    assert plan.diagnosis is not None
    assert [fit.reason for fit in plan.diagnosis.fits] == [
        "one request alone gets 85.3 tokens/s, below the wished 100 tokens/s per user"
    ]


def test_users_who_would_wait_less_than_the_first_token_takes_are_told_what_it_takes() -> None:
    asked = users_problem().changed({WAIT: "200ms"})
    assert changes_of(solve(asked, catalog())) == [
        (WAIT, "accept a longest wait of 252 ms for chat")
    ]


def test_under_infrascale_too_the_wait_is_named_and_nothing_else_is_tried() -> None:
    asked = users_problem(chat={"deployment": {}}, policy={"serving_model": "infrascale"})
    plan = solve(asked.changed({WAIT: "1us"}), catalog())
    ((path, _),) = changes_of(plan)
    assert path == WAIT
    assert plan.diagnosis is not None
    assert "above the longest wait of 1e-06 s" in plan.diagnosis.fits[0].reason


def test_a_ttft_below_the_estimate_gives_no_plan_and_the_one_that_would() -> None:
    changes = changes_of(solve(changed(problem(), ttft="200ms"), catalog()))
    assert changes == [("workloads.chat.latency.ttft", "accept a ttft of 252 ms for chat")]


def test_a_wish_judged_on_an_estimate_fails_the_gate_and_is_marked() -> None:
    asked = changed(problem(), ttft="2s")
    plan = solve(asked, catalog())
    gates = Gates(None, None, fail_on_estimates=True, today=date(2026, 1, 1))
    assert next(gates.failures(plan)) == (
        "Estimates: the ttft of chat, wished 2 s, is judged on an estimate of 251 ms."
    )
    assert "Judged on estimates: ttft of chat." in rest_text(decision_sheet(asked, catalog()))


def test_what_an_api_promises_nobody_about_is_said_with_the_answer() -> None:
    # tokens for next to nothing: the API serves all
    price = TokenPrice(
        provider="api",
        llm="toy",
        usd_per_m_input_tokens=1e-6,
        usd_per_m_output_tokens=1e-6,
        **SOURCE,
    )
    known = catalog(token_prices=[price])
    asked = changed(problem(), tpot="50ms").changed({"limits.billing.allow": ["per_token"]})
    said = " ".join(head_text(decision_sheet(asked, known)).split())
    assert "Not judged: the tpot of chat at api/toy/global, wished 50 ms." in said
    gates = Gates(None, None, fail_on_estimates=True, today=date(2026, 1, 1))
    assert [*gates.failures(solve(asked, known))] == [
        "Estimates: the tpot of chat, wished 50 ms, is not judged."
    ]


@pytest.mark.parametrize("loose", [{"tpot": "1h"}, {"ttft": "1h"}])
def test_a_wish_that_cannot_bind_changes_no_plan(loose: dict[str, str]) -> None:
    without, with_it = (solve(one, catalog()) for one in (problem(), changed(problem(), **loose)))
    assert with_it.cash_usd_per_month == without.cash_usd_per_month
    assert [p.units for p in with_it.purchases] == [p.units for p in without.purchases]
