"""Leaving candidates out changes no optimum, no next-best plan and no tie."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from milp_planner import load_catalog, load_problem, prepare, solve
from milp_planner.milp.presolve.dominance import prune, without_twins
from milp_planner.milp.program import families
from milp_planner.milp.program.costs.shortfall import Shortfall
from milp_planner.milp.program.costs.spot_loss import SpotLoss
from milp_planner.milp.program.limits.quotas import Quotas
from tests.support.builders import (
    OF_ONE_MONTH,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.examples import slow_tries, tries

PROBLEMS = Path(__file__).resolve().parents[2] / "problems"
GPUS = {"a": 1.0, "b": 1.7, "c": 2.6}
"""Relative speed."""


def kept(question, rented) -> list[str]:
    """Offerings that are left after pruning."""
    asked = prepare(question, rented)
    pruned = prune(asked, asked.candidates.candidates)
    return [k.offering.id for k in pruned.kept]


# --- Who stands in for whom -------------------------------------------------------------------


def test_what_is_dearer_and_slower_is_left_out():
    boxes = catalog(
        [offering("acme", "a", 2.0), offering("bolt", "b", 1.9)], [raw("a", 3), raw("b", 4)]
    )
    assert kept(problem(10), boxes) == ["bolt/b/eu-1"]


def test_several_small_units_stand_in_for_a_big_one_but_not_the_other_way_round():
    # Four of one GPU cost as much as a unit of four, and can also be bought singly.
    one, four = offering("acme", "a", 1.0), offering("acme", "a", 4.0, name="x4", gpus_per_unit=4)
    assert kept(problem(10), catalog([one, four], [raw("a", 3)])) == ["acme/a/eu-1"]
    cheaper = offering("acme", "a", 3.9, name="x4", gpus_per_unit=4)
    both = ["acme/a/eu-1", "acme/x4/eu-1"]
    assert kept(problem(10), catalog([one, cheaper], [raw("a", 3)])) == both


def test_of_equal_prices_at_two_providers_both_stay():
    # With one of acme's other boxes, acme's makes one provider fewer: a tie may need either.
    boxes = catalog([offering("acme", "a", 1.0), offering("bolt", "a", 1.0)], [raw("a", 3)])
    assert kept(problem(10), boxes) == ["acme/a/eu-1", "bolt/a/eu-1"]


def test_limited_stock_stands_in_for_nothing():
    boxes = catalog(
        [offering("acme", "a", 1.0, max_units=2), offering("bolt", "a", 2.0)], [raw("a", 3)]
    )
    assert kept(problem(10), boxes) == ["acme/a/eu-1", "bolt/a/eu-1"]


@pytest.mark.parametrize(
    "limits",
    [
        {"max_gpus": {"per_provider": {"acme": 2}}},
        {"max_units": {"acme/*": 2}},
        {"providers": {"max_count": 1}},
        {"providers": {"max_share": "60%"}},
        {"survive_loss_of": "provider"},
    ],
)
def test_a_limit_on_the_cheaper_one_keeps_the_dearer_one(limits):
    boxes = catalog([offering("acme", "a", 1.0), offering("bolt", "a", 2.0)], [raw("a", 3)])
    assert kept(problem(10), boxes) == ["acme/a/eu-1"]
    assert kept(problem(10, limits=limits), boxes) == ["acme/a/eu-1", "bolt/a/eu-1"]


@pytest.mark.parametrize(
    ("rule", "key", "question"),
    [
        (Quotas, "limits.max_gpus.total", {"limits": {"max_gpus": {"total": 64}}}),
        (SpotLoss, "policy.spot_loss", {"policy": {"spot_loss": "3%"}}),
        (
            Shortfall,
            "policy.penalties.shortfall.usd_per_million_requests",
            {"policy": {"penalties": {"shortfall": {"usd_per_million_requests": 5e6}}}},
        ),
    ],
)
def test_a_key_that_no_rule_answers_for_turns_pruning_off(monkeypatch, rule, key, question):
    # Whoever adds a limit on units would else lose the unit of four to four units of one.
    one, four = offering("acme", "a", 1.0), offering("acme", "a", 4.0, name="x4", gpus_per_unit=4)
    twin = offering("acme", "a", 1.0, region="eu-2")
    boxes = catalog([one, four, twin], [raw("a", 3)])
    two = [workload(10), workload(10, "other")]
    asked = prepare(problem(workloads=two, **question), boxes)
    candidates = asked.candidates.candidates
    assert len(prune(asked, candidates).kept) == 2

    monkeypatch.setattr(rule, "keys", rule.keys - {key})
    monkeypatch.setattr(families, "unanswered", families.unanswered.__wrapped__)
    found = prune(asked, candidates)
    assert (len(found.kept), found.twins) == (6, {})
    unset = prepare(problem(workloads=two), boxes)
    assert len(prune(unset, unset.candidates.candidates).kept) == 2


EIGHT_QUIET_HOURS = workload(
    traffic={
        "kind": "profile",
        "requests_per_day": 136 * 3600,
        "weights": [1] * 8 + [8] * 16,
    }
)
"""Eight hours a day at 1 request/s, sixteen at 8."""


def held_and_elastic(**limits):
    """Acme's b, held all month, costs $720; a, as fast, $960 for the quiet hours alone.

    But b is there in the busy hours as well, where c is needed. Without b, a for $960 and c for
    $24,000 take four GPUs at any time; c alone costs $36,000.
    """
    elastic = {"billing": "autoscaling", "gpus_per_unit": 4}
    boxes = catalog(
        [
            offering("acme", "a", 4.0, **elastic),
            offering("acme", "b", 1.0, gpus_per_unit=4),
            offering("acme", "c", 50.0, **elastic),
        ],
        [raw("a", 0.5), raw("b", 0.5), raw("c", 2.0)],
    )
    limits = {"billing": {"allow": ["dedicated", "autoscaling"]}, **limits}
    return {"workloads": [EIGHT_QUIET_HOURS], "limits": limits}, boxes


@pytest.mark.parametrize("limits", [{"max_gpus": {"total": 4}}, {"max_units": {"acme/*": 1}}])
def test_what_is_held_all_month_stands_in_for_nothing_elastic_where_it_uses_up_a_limit(limits):
    fields, boxes = held_and_elastic()
    assert kept(problem(**fields), boxes) == ["acme/b/eu-1"]
    fields, boxes = held_and_elastic(**limits)
    assert kept(problem(**fields), boxes) == ["acme/a/eu-1", "acme/b/eu-1", "acme/c/eu-1"]


def test_where_what_is_held_would_take_too_many_gpus_the_elastic_one_is_found():
    fields, boxes = held_and_elastic(max_gpus={"total": 4})
    plan = solve(problem(**fields, alternatives={"count": 0}), boxes)
    units = {p.candidate.gpu: p.units_by_block for p in plan.purchases}
    assert units == {"a": (0, 1), "c": (1, 0)}  # the busy hours first
    assert plan.cash_usd_per_month == pytest.approx(24_960)


def test_under_a_share_limit_units_stand_in_for_others_of_their_provider():
    # Three replicas, no more than 60 % served by one provider. Two of acme's small ones are as many
    # replicas as its box of two, for half the money: they serve what it would have, and no more.
    boxes = catalog(
        [
            offering("acme", "a", 1.0),
            offering("acme", "b", 4.0, gpus_per_unit=2),
            offering("bolt", "c", 10.0),
        ],
        [raw("a", 10), raw("b", 5), raw("c", 10)],
    )
    limits = {"providers": {"max_share": "60%"}}
    question = problem(10, chat={"min_replicas": 3}, limits=limits)
    assert kept(question, boxes) == ["acme/a/eu-1", "bolt/c/eu-1"]
    plan = solve(question, boxes)
    assert {p.candidate.gpu: p.units for p in plan.purchases} == {"a": 2, "c": 1}
    assert plan.cash_usd_per_month == pytest.approx(12 * 720)


def test_per_token_offerings_and_the_running_fleet_always_stay():
    boxes = catalog(
        [offering("acme", "a", 1.0), offering("bolt", "a", 9.0)],
        [raw("a", 3)],
        [token_price("echo", 900.0)],
    )
    running = [{"offering": "bolt/a/eu-1", "workload": "chat", "units": 1}]
    limits = {"billing": {"allow": ["dedicated", "per_token"]}}
    question = problem(10, limits=limits, current_fleet=running)
    assert kept(question, boxes) == ["acme/a/eu-1", "bolt/a/eu-1", "echo/tiny/global"]


def test_what_an_earlier_plan_used_no_longer_stands_in():
    # bolt is left out for acme; once acme is used, the next-best plan is bolt's.
    boxes = catalog([offering("acme", "a", 1.0), offering("bolt", "a", 1.5)], [raw("a", 10)])
    plan = solve(problem(10, alternatives={"count": 3}), boxes)
    assert [p.providers for p in (plan, *plan.alternatives)] == [("acme",), ("bolt",)]


def test_twins_are_named_by_the_one_that_stands_for_them():
    regions = ["eu-3", "eu-1", "eu-2"]
    boxes = catalog([offering("acme", "a", 1.0, region=r) for r in regions], [raw("a", 10)])
    asked = prepare(problem(10), boxes)
    found = without_twins(asked, asked.candidates.candidates)
    assert found.twins == {"acme/a/eu-1": ("acme/a/eu-2", "acme/a/eu-3")}
    assert [k.region for k in found.kept] == ["eu-1"]


@pytest.mark.parametrize(
    ("hosts", "bought"),
    [
        # (host memory in GiB, vCPUs) of eu-1, eu-2 and eu-3; nothing known comes last.
        ([(None, None), (64, 8), (128, 4)], "acme/a/eu-3"),
        ([(128, None), (128, 8), (64, 16)], "acme/a/eu-2"),
        ([(None, None), (None, 8), (None, 8)], "acme/a/eu-2"),
        ([(64, 8), (64, 8), (64, 8)], "acme/a/eu-1"),
    ],
)
@pytest.mark.parametrize("sellers", [("acme",) * 3, ("acme", "acme", "acme2")])
def test_of_equals_the_one_with_the_better_host_is_bought(hosts, bought, sellers):
    # Twins of one provider are told apart by pruning, those of two by programs of their own.
    rows = [
        offering(seller, "a", 1.0, region=f"eu-{i}", host_memory_gib=memory, vcpus=vcpus)
        for i, (seller, (memory, vcpus)) in enumerate(zip(sellers, hosts, strict=True), 1)
    ]
    plan = solve(problem(10, alternatives={"count": 0}), catalog(rows, [raw("a", 10)]))
    assert [p.candidate.region for p in plan.purchases] == [bought[-4:]]


def test_a_host_counts_by_the_gpu():
    # 4 GPUs on 256 GiB are 64 GiB a GPU: less than the 96 GiB of the units of one.
    four = offering("acme", "a", 4.0, name="x4", gpus_per_unit=4, host_memory_gib=256)
    rows = [four, offering("bolt", "a", 1.0, host_memory_gib=96)]
    plan = solve(problem(40, alternatives={"count": 0}), catalog(rows, [raw("a", 10)]))
    assert [(p.candidate.provider, p.units) for p in plan.purchases] == [("bolt", 4)]


# --- With and without -------------------------------------------------------------------------


@st.composite
def limits_of_all_kinds(draw):
    def maybe(values):
        return draw(st.none() | st.sampled_from(values))

    limits = {
        "billing": {"allow": ["dedicated", "autoscaling", "spot", "reserved_1y", "per_token"]},
        "providers": {"max_count": maybe([1, 2]), "max_share": maybe(["50%", "75%"])},
        "max_gpus": {
            "total": maybe([6, 12]),
            "per_provider": draw(st.sampled_from([{}, {}, {"acme": 2}, {"bolt": 4}])),
            "per_gpu": draw(st.sampled_from([{}, {}, {"a": 3}])),
        },
        "max_units": draw(st.sampled_from([{}, {}, {"*/eu-1": 2}, {"acme/*": 1}])),
        "max_spot_share": maybe(["0%", "50%"]),
        "survive_loss_of": draw(st.sampled_from(["none", "none", "provider", "region"])),
    }
    if draw(st.integers(0, 3)) == 0:
        limits["budget"] = {"usd_per_month": draw(st.sampled_from([3_000, 9_000]))}
    return limits


@st.composite
def rich_problems(draw):
    """Four to seven offerings of all billings, two classes, two workloads, an idle block."""
    rows = {}
    for i in range(draw(st.integers(4, 7))):
        gpu = draw(st.sampled_from(sorted(GPUS)))
        gpus = draw(st.sampled_from([1, 1, 2, 4]))
        price = gpus * GPUS[gpu] * draw(st.sampled_from([0.5, 0.5, 0.6, 0.81, 1.0]))
        row = offering(
            ["acme", "bolt", "coda"][i % 3],
            gpu,
            round(price, 2),
            name=f"{gpu}-{gpus}-{i % 2}",
            gpus_per_unit=gpus,
            region=draw(st.sampled_from(["eu-1", "eu-2"])) if i else "eu-1",
            billing=draw(
                st.sampled_from(["dedicated", "dedicated", "autoscaling", "spot", "reserved_1y"])
            ),
            max_units=draw(st.sampled_from([None, None, None, 2])),
        )
        rows[row.key] = row
    several = draw(st.booleans())
    sizes = [(1, 1), (10, 10)] if several else [(1, 1)]
    rates = [
        raw(gpu, speed * rate, size=size)
        for gpu, speed in GPUS.items()
        for size, rate in zip(sizes, [3.0, 1.0], strict=False)
    ]
    requests = [{"input_tokens": i, "output_tokens": o, "share": 1 / len(sizes)} for i, o in sizes]
    names = ["chat", "code"][: draw(st.integers(1, 2))]
    workloads = []
    for name in names:
        daily = draw(st.sampled_from([400_000, 900_000, 2_000_000]))
        pattern = {"active_ratio": draw(st.sampled_from([1.0, 0.5])), "burst_factor": 1.5}
        traffic = {"kind": "tokens_per_day", "tokens_per_day": daily, "pattern": pattern}
        replicas = draw(st.sampled_from([1, 1, 2]))
        workloads.append(
            workload(name=name, traffic=traffic, requests=requests, min_replicas=replicas)
        )
    policy = {"spot_loss": draw(st.sampled_from([0.0, 0.1]))}
    question = problem(
        workloads=workloads,
        policy=policy,
        limits=draw(limits_of_all_kinds()),
        alternatives={"count": 2, "differ_by": draw(st.sampled_from(["offerings", "providers"]))},
    )
    tokens = [token_price("echo", 100.0)] if draw(st.booleans()) else []
    return question, catalog(list(rows.values()), rates, tokens)


def bought(plan):
    return {(p.candidate.id, p.units_by_block) for p in plan.purchases}


def same_with_and_without(question, rented, **options):
    one = solve(question, rented, diagnose=False, **options)
    other = solve(question, rented, diagnose=False, pruning=False, **options)
    assert one.status is other.status
    assert one.score_usd_per_month == pytest.approx(other.score_usd_per_month, abs=0.01)
    assert bought(one) == bought(other)
    scores = [[p.score_usd_per_month for p in found.alternatives] for found in (one, other)]
    assert scores[0] == pytest.approx(scores[1], abs=0.01)
    assert one.alternatives_notes == other.alternatives_notes


@pytest.mark.slow
@tries(0.35, suppress_health_check=list(HealthCheck))
@given(rich_problems())
def test_pruning_changes_no_plan(case):
    same_with_and_without(*case)


@pytest.mark.slow
@slow_tries(10, suppress_health_check=list(HealthCheck))
@given(rich_problems())
def test_pruning_changes_none_of_a_thousand_plans(case):
    same_with_and_without(*case)


def test_pruning_changes_nothing_about_the_quickstart():
    question = load_problem(PROBLEMS / "quickstart.yaml")
    same_with_and_without(question, load_catalog(question.catalog), alternatives=0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "path", [path for path in OF_ONE_MONTH if path.parent == PROBLEMS], ids=lambda path: path.stem
)
def test_pruning_changes_nothing_about_the_shipped_problems(path):
    question = load_problem(path)
    one, other = (
        solve(question, alternatives=0, time_limit_s=600, pruning=pruning)
        for pruning in (True, False)
    )
    assert one.score_usd_per_month == pytest.approx(other.score_usd_per_month, abs=0.01)
