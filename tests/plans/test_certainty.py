"""No answer is surer than it is: gaps and bounds are numbers or unknown, and headlines say who."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Plan, Proof, Status, decision_sheet, solve
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.engines.verdict import CertifiedRun
from milp_planner.plans.records import EngineReport
from milp_planner.reporting.documents.json import to_json
from milp_planner.reporting.documents.options import DEFAULTS
from milp_planner.reporting.text.plans.table import headline
from milp_planner.solving.assembly.joining import joined_proof
from milp_planner.solving.results import SearchResult
from milp_planner.solving.stages import proven_throughout
from tests.support.builders import big_and_small, problem
from tests.support.examples import tries
from tests.support.sample_plans import PROVEN, no_plan, plan

USD = st.one_of(
    st.none(),
    st.sampled_from([0.0, -0.0, math.nan, math.inf, -math.inf, 5e-324, -1.0]),
    st.floats(min_value=-1e12, max_value=1e12),
)
"""What solvers have been seen to say of bounds."""


@tries(2)
@given(
    status=st.sampled_from([Status.OPTIMAL, Status.FEASIBLE]),
    score=st.one_of(st.just(0.0), st.floats(min_value=0, max_value=1e12)),
    bound=USD,
)
def test_a_gap_is_a_share_or_unknown_and_the_document_is_plain_json(status, score, bound):
    made = plan(status=status, score_usd_per_month=score, lower_bound_usd_per_month=bound)
    gap = made.gap
    assert gap is None or (math.isfinite(gap) and gap >= 0)
    if status is Status.FEASIBLE and gap is not None:
        assert bound is not None
        assert math.isfinite(bound)
    json.dumps(json.loads(to_json(made.to_dict())), allow_nan=False)
    assert "nan" not in headline(made, DEFAULTS).lower()
    assert "inf" not in headline(made, DEFAULTS).lower()


@tries(1)
@given(status=st.sampled_from([Status.INFEASIBLE, Status.NO_PLAN]), bound=USD)
def test_without_a_plan_there_is_no_gap_and_a_bound_only_where_it_is_known(status, bound):
    made = no_plan(status, lower_bound_usd_per_month=bound)
    assert made.gap is None
    json.dumps(json.loads(to_json(made.to_dict())), allow_nan=False)
    assert "nan" not in headline(made, DEFAULTS).lower()


NOTHING_PAID = {"budget": {"usd_per_month": 1, "when_short": "fair"}}
TOO_FEW = {"max_gpus": {"total": 1}}


@pytest.mark.parametrize("limit_s", [1e-6, 60])
@pytest.mark.parametrize("limits", [{}, TOO_FEW, NOTHING_PAID])
def test_every_answer_is_plain_json(limit_s, limits):
    # A plan, none, one that buys nothing for nothing; and whatever can be said without time.
    asked, rented = problem(13, limits=limits), big_and_small()
    found = solve(asked, rented, time_limit_s=limit_s)
    assert found.gap is None or 0 <= found.gap < math.inf
    for document in (
        found.to_dict(),
        decision_sheet(asked, rented, plan=found, with_choices=False).to_dict(),
    ):
        json.dumps(document, allow_nan=False)
    assert Plan.from_dict(found.to_dict()).to_dict() == found.to_dict()


# --- who proves it ------------------------------------------------------------------------------

CBC_ALONE = replace(PROVEN, certified=False, certified_by=("cbc",), engines=PROVEN.engines[:1])


def test_one_proof_that_nothing_confirmed_is_called_unconfirmed():
    words = headline(plan(proof=replace(CBC_ALONE, unconfirmed=True)), DEFAULTS)
    assert "optimal by CBC alone, unconfirmed, gap 0 %" in words
    assert "optimal by CBC alone, gap 0 %" in headline(plan(proof=CBC_ALONE), DEFAULTS)


def test_the_engine_that_had_not_finished_is_named():
    stopped = EngineReport("HiGHS", "1.13.1", "no solution", None, None, 60.0)
    proof = replace(CBC_ALONE, engines=(*CBC_ALONE.engines, stopped))
    assert "optimal by CBC alone, HiGHS unfinished, gap 0 %" in headline(
        plan(proof=proof), DEFAULTS
    )


def test_a_document_keeps_what_is_unconfirmed():
    made = plan(proof=replace(CBC_ALONE, unconfirmed=True))
    assert Plan.from_dict(made.to_dict()).proof.unconfirmed
    assert not Plan.from_dict(plan().to_dict()).proof.unconfirmed


def test_parts_that_different_engines_prove_are_proven_by_each_alone():
    # One half by CBC, one by HiGHS: nobody proves all of it, and nothing is certified.
    highs_alone = replace(CBC_ALONE, certified_by=("highs",), engines=PROVEN.engines[1:])
    both = joined_proof([CBC_ALONE, replace(highs_alone, unconfirmed=True)])
    assert (both.certified, both.certified_by, both.unconfirmed) == (False, ("cbc", "highs"), True)
    words = headline(plan(proof=both), DEFAULTS)
    assert "optimal by CBC or HiGHS alone, unconfirmed" in words


def test_parts_of_which_one_is_not_proven_are_proven_by_nobody():
    nobody = Proof(certified=False, certified_by=())
    assert joined_proof([CBC_ALONE, nobody]).certified_by == ()
    assert joined_proof([PROVEN, CBC_ALONE]).certified_by == ("cbc",)


def _stage(*by: str, unconfirmed: bool = False) -> CertifiedRun:
    """A stage that is proven by these, each in a run of its own."""
    return CertifiedRun(EngineStatus.OPTIMAL, certified_by=by, unconfirmed=unconfirmed)


def _after(*stages: CertifiedRun) -> tuple[SearchResult, str]:
    """A plan that CBC alone proves, held to what these stages reached, and its headline."""
    ran = replace(CBC_ALONE, engines=PROVEN.engines)
    before = plan(proof=ran)
    found = proven_throughout(SearchResult(before.status, before, ran), stages)
    assert found.known.proof == found.proof
    return found, headline(found.known, DEFAULTS)


def test_stages_that_different_engines_prove_are_proven_by_each_alone():
    # The worst share by HiGHS alone, the score by CBC alone: optimal, and never by nobody.
    found, words = _after(_stage("highs", unconfirmed=True), _stage("cbc", "highs"))
    assert (found.proof.certified, found.proof.certified_by) == (False, ("cbc", "highs"))
    assert "optimal by CBC or HiGHS alone, unconfirmed, gap 0 %" in words


def test_stages_that_one_engine_proves_throughout_are_proven_by_it():
    found, words = _after(_stage("cbc"), _stage("cbc", "highs"))
    assert (found.proof.certified, found.proof.certified_by) == (False, ("cbc",))
    assert "optimal by CBC alone, gap 0 %" in words


def test_a_stage_that_nobody_proves_leaves_the_plan_unproven():
    open_end = replace(_stage(), status=EngineStatus.FEASIBLE)
    found, words = _after(_stage("cbc"), open_end)
    assert (found.status, found.proof.certified_by) == (Status.FEASIBLE, ())
    assert "alone" not in words
    assert "certified" not in words


def test_a_headline_names_no_engine_for_what_none_of_them_proved():
    nobody = replace(PROVEN, certified=False, certified_by=())
    assert "by" not in headline(plan(proof=nobody), DEFAULTS).split("gap")[0].split()


def test_a_sheet_says_who_proves_it_as_the_plan_does():
    from milp_planner.reporting.sheets.words import proof_words

    asked, rented = problem(13), big_and_small()
    found = solve(asked, rented, solver="cbc")
    for proof, said in (
        (found.proof, "optimal by CBC alone, gap 0 %"),
        (replace(found.proof, unconfirmed=True), "optimal by CBC alone, unconfirmed, gap 0 %"),
    ):
        sheet = decision_sheet(
            asked, rented, plan=replace(found, proof=proof), with_choices=False, reproducible=True
        )
        assert proof_words(sheet) == said


def test_a_sheet_of_an_unproven_plan_names_nobody_who_proves_it():
    from milp_planner.reporting.sheets.words import proof_words

    asked, rented = problem(13), big_and_small()
    found = solve(asked, rented)
    stopped = EngineReport("CBC", "2.10.3", "feasible", 3960.0, 3000.0, 1.0)
    proof = Proof(certified=False, certified_by=(), engines=(stopped,))
    late = replace(
        found, status=Status.FEASIBLE, proof=proof, lower_bound_usd_per_month=None, alternatives=()
    )
    sheet = decision_sheet(asked, rented, plan=late, with_choices=False, reproducible=True)
    assert proof_words(sheet) == "CBC unfinished, gap unknown"
