"""Large problems are solved in stages and in parts, with the optimum of the whole."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from milp_planner import Penalties, Status, prepare, solve
from milp_planner.inputs.problem.policies import may_be_short
from milp_planner.milp.presolve.lazy_rows import independent, only_blocks
from milp_planner.milp.program.model import build_model
from milp_planner.solving import parts as staged
from milp_planner.solving.results import NOT_SOLVED
from tests.support.builders import big_and_small, catalog, offering, problem, raw, workload
from tests.support.random_problems import planned, random_case

FEW, MANY = range(50), range(720)
DAY_AND_NIGHT = {
    "kind": "profile",
    "requests_per_day": 86_400 * 6,
    "weights": [1] * 12 + [2] * 12,
    "max_blocks": 2,
}
"""4 requests/s for half of the day, 8 for the other."""


def take_all_for_large(monkeypatch):
    """Solve small problems in stages too, and never fall back on the whole."""
    monkeypatch.setattr(staged, "LARGE", 0)
    monkeypatch.setattr(staged, "LARGE_GROUP", 0)
    violations = staged.violations

    def none_at_all(given, plan):
        assert violations(given, plan) == []
        return []

    monkeypatch.setattr(staged, "violations", none_at_all)


def groups(question, rented, part_of):
    asked = prepare(question, rented)
    return independent(build_model(asked, asked.candidates.candidates), part_of)


def by_workload(workload, _):
    return workload


def by_block(_, t):
    return t


# --- What is linked -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [("chat",), ("code",)]),
        ({"providers": {"max_share": "60%"}}, [("chat",), ("code",)]),
        ({"max_gpus": {"total": 9}}, [("chat", "code")]),
        ({"budget": {"usd_per_month": 9_000}}, [("chat", "code")]),
        ({"providers": {"max_count": 1}}, [("chat", "code")]),
    ],
)
def test_a_limit_over_all_workloads_links_them(limits, expected):
    two = problem(workloads=[workload(5, "chat"), workload(7, "code")], limits=limits)
    assert groups(two, big_and_small(), by_workload) == expected


@pytest.mark.parametrize(
    ("billing", "fields", "expected"),
    [
        ("autoscaling", {}, [(0,), (1,)]),
        ("autoscaling", {"limits": {"max_gpus": {"total": 9}}}, [(0,), (1,)]),
        ("dedicated", {}, [(0, 1)]),
        ("dedicated", {"policy": {"switch_off_dedicated": True}}, [(0, 1)]),
        ("autoscaling", {"limits": {"budget": {"usd_per_month": 9_000}}}, [(0, 1)]),
        (
            "autoscaling",
            {"policy": {"penalties": {"scaling": {"above_gpus": 1, "usd_per_gpu": 9}}}},
            [(0, 1)],
        ),
    ],
)
def test_what_is_held_or_counted_all_month_links_the_blocks(billing, fields, expected):
    boxes = catalog([offering("acme", "a", 1.0, billing=billing)], [raw("a", 3)])
    question = problem(chat={"traffic": DAY_AND_NIGHT}, **fields)
    assert groups(question, boxes, by_block) == expected


def test_a_workload_that_is_idle_in_a_block_is_no_part_of_it():
    by_day = {**DAY_AND_NIGHT, "weights": [0] * 12 + [1] * 12}
    two = problem(
        workloads=[
            {**workload(1, "chat"), "traffic": DAY_AND_NIGHT},
            {**workload(1, "code"), "traffic": by_day},
        ]
    )
    asked = prepare(two, big_and_small())
    idle = asked.schedule.demands["code"].peak.index(0.0)
    night = only_blocks(asked, [idle])
    assert [w.name for w in night.problem.workloads] == ["chat"]
    assert {k.workload for k in night.candidates.candidates} == {"chat"}


# --- The optimum of the whole -------------------------------------------------------------------


def two_under_one_quota():
    # Acme: 3 requests/s for $1/h, four of them at most; bolt: 4 requests/s for $2.10/h.
    # By night chat and code want 4 each: two of acme's each, $4/h. By day they want 8 each: three
    # of acme's for one, two of bolt's for the other, $7.20/h. 360 h each: $4,032.
    boxes = catalog(
        [
            offering("acme", "a", 1.0, billing="autoscaling"),
            offering("bolt", "b", 2.1, billing="autoscaling"),
        ],
        [raw("a", 3), raw("b", 4)],
    )
    workloads = [{**workload(1, name), "traffic": DAY_AND_NIGHT} for name in ("chat", "code")]
    limits = {"max_gpus": {"per_provider": {"acme": 4}}}
    return problem(workloads=workloads, limits=limits), boxes


def test_blocks_under_one_quota_are_solved_apart(monkeypatch):
    take_all_for_large(monkeypatch)
    plan = solve(*two_under_one_quota())
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified
    assert plan.cash_usd_per_month == pytest.approx(360 * (4 + 7.2))
    units = [sum(p.units_by_block[t] for p in plan.purchases) for t in (0, 1)]
    assert sorted(units) == [4, 5]
    # two programs, each of two workloads with two offerings
    assert plan.proof.columns == 8


@pytest.mark.parametrize(("bolt", "expected"), [(3, {"acme", "bolt"}), (5, {"acme"})])
def test_a_quota_that_fractions_come_near_to_is_in_force_beside_one_that_binds(bolt, expected):
    # By day 16 requests/s: 12 on four of acme's, 4 on one of bolt's, a third or a fifth of those.
    question, rented = two_under_one_quota()
    limits = {"max_gpus": {"per_provider": {"acme": 4, "bolt": bolt}}}
    asked = prepare(question.changed({"limits": limits}), rented)
    search = SimpleNamespace(
        instance=asked, is_stopped=False, seconds_left=60.0, settings=SimpleNamespace(cancel=None)
    )
    quotas = staged._binding_quotas(search).quotas
    assert quotas == {f"max_gpus.per_provider {name}" for name in expected}


def test_a_bound_is_kept_where_time_ends_before_a_plan_of_all_quotas(monkeypatch):
    question, rented = two_under_one_quota()
    plan = solve(question, rented)
    found = replace(NOT_SOLVED, status=Status.FEASIBLE, plan=plan, bound=4_000.0)
    search = SimpleNamespace(instance=prepare(question, rented), is_stopped=True)
    monkeypatch.setattr(staged, "_binding_quotas", lambda _: SimpleNamespace(quotas=frozenset()))
    monkeypatch.setattr(staged, "_solve_stage", lambda *_: found)
    monkeypatch.setattr(staged, "broken_quotas", lambda *_: {"max_gpus.per_provider acme"})
    kept = staged._in_stages(search)
    assert (kept.status, kept.plan, kept.bound) == (Status.NO_PLAN, None, 4_000.0)


def test_a_part_without_proof_has_what_time_the_others_leave(monkeypatch):
    take_all_for_large(monkeypatch)
    solve_part, limits_s = staged._solve_part, []

    def first_unproven(search, part, limit_s):
        limits_s.append(limit_s)
        answer = solve_part(search, part, limit_s)
        if len(limits_s) > 1:
            return answer
        return replace(answer, status=Status.FEASIBLE, bound=0.0)

    monkeypatch.setattr(staged, "_solve_part", first_unproven)
    plan = solve(*two_under_one_quota(), time_limit_s=60)
    assert plan.status is Status.OPTIMAL
    half, rest, again = limits_s
    assert half <= 30 < rest
    assert 30 < again <= rest


def solved_in_parts(question, rented, monkeypatch):
    """The plan of a problem taken for a large one, and whether it had several parts."""
    joined, calls = staged._joined, []

    def counted(*args):
        calls.append(args)
        return joined(*args)

    with monkeypatch.context() as patched:
        take_all_for_large(patched)
        patched.setattr(staged, "_joined", counted)
        _, plan = planned(question, rented)
    return plan, bool(calls)


def paid_by_the_hour(rented):
    """The catalog with everything that is held on demand sold by the hour."""
    rows = [
        row.model_copy(update={"billing": "autoscaling"}) if row.billing == "dedicated" else row
        for row in rented.offerings
    ]
    return replace(rented, offerings=tuple({row.key: row for row in rows}.values()))


def same_in_parts(seeds, monkeypatch):
    """Solve each problem at once and in parts; how many had several parts."""
    several = 0
    for seed in seeds:
        question, rented = random_case(seed)
        if may_be_short(question):
            continue  # never solved in stages
        if seed % 2:  # so that blocks come apart
            policy = question.policy.model_copy(update={"penalties": Penalties()})
            question = question.model_copy(update={"policy": policy, "current_fleet": ()})
            rented = paid_by_the_hour(rented)
        _, whole = planned(question, rented, break_ties=False)
        apart, had_several = solved_in_parts(question, rented, monkeypatch)
        several += had_several
        assert apart.status is whole.status, seed
        if whole.status is Status.OPTIMAL:
            score = pytest.approx(whole.score_usd_per_month, rel=1e-8, abs=0.02)
            assert apart.score_usd_per_month == score, seed
            assert apart.bound == score, seed
    return several


@pytest.mark.parametrize(
    ("limits", "parts"),
    [
        ({"providers": {"max_share": "60%"}}, 2),
        ({"survive_loss_of": "provider"}, 4),  # and without, to tell what that costs
        ({"max_gpus": {"total": 9}}, 1),
    ],
)
def test_what_nothing_links_is_solved_apart_at_any_size(limits, parts, monkeypatch):
    two = problem(workloads=[workload(9, "chat"), workload(7, "code")], limits=limits)
    whole = solve(two, big_and_small())
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)
    solve_part, solved = staged._solve_part, []
    monkeypatch.setattr(
        staged, "_solve_part", lambda *given: solved.append(given) or solve_part(*given)
    )
    plan = solve(two, big_and_small())
    # one program for all of a small problem with quotas: they wait only where that pays
    assert len(solved) == (0 if "max_gpus" in limits else parts)
    assert plan.status is whole.status is Status.OPTIMAL
    assert plan.proof.certified_by == ("cbc", "highs")
    assert plan.score_usd_per_month == pytest.approx(whole.score_usd_per_month)


def test_columns_for_routes_make_a_program_large_too(monkeypatch):
    # Two workloads of three classes on two offerings: 4 columns for units, 12 for routes.
    sizes = ((1, 1), (10, 10), (100, 100))
    classes = [
        {"input_tokens": i, "output_tokens": o, "share": s}
        for (i, o), s in zip(sizes, (0.5, 0.25, 0.25), strict=True)
    ]
    rented = catalog(
        [offering("acme", "a", 1.0), offering("bolt", "b", 2.1)],
        [raw(gpu, rate, size=size) for gpu, rate in (("a", 3), ("b", 7)) for size in sizes],
    )
    two = problem(
        workloads=[{**workload(9, name), "requests": classes} for name in ("chat", "code")]
    )
    whole = solve(two, rented)
    assert whole.proof.columns == 16
    solve_part, solved = staged._solve_part, []
    monkeypatch.setattr(
        staged, "_solve_part", lambda *given: solved.append(given) or solve_part(*given)
    )
    for most, parts in ((16, 0), (15, 2)):
        monkeypatch.setattr(staged, "MOST_COLUMNS", most)
        plan = solve(two, rented)
        assert len(solved) == parts
        assert plan.score_usd_per_month == pytest.approx(whole.score_usd_per_month)


def test_ties_of_what_runs_today_are_broken_over_all_of_it(monkeypatch):
    running = [{"offering": "bolt/small/eu-1", "units": 1, "workload": "chat"}]
    two = problem(workloads=[workload(9, "chat"), workload(7, "code")], current_fleet=running)
    monkeypatch.setattr(staged, "MOST_COLUMNS", 0)
    monkeypatch.setattr(staged, "_solve_part", None)
    assert solve(two, big_and_small()).status is Status.OPTIMAL


@pytest.mark.slow
def test_parts_have_the_optimum_of_the_whole(monkeypatch):
    assert same_in_parts(FEW, monkeypatch) >= 3


@pytest.mark.slow
def test_parts_of_many_problems_have_the_optimum_of_the_whole(monkeypatch):
    assert same_in_parts(MANY, monkeypatch) >= 50
