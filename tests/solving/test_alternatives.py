"""Next-best plans: equal to brute force, in order, told in words; and stopped half-way."""

from __future__ import annotations

import pytest

from milp_planner import Alternatives, Status, prepare, solve
from milp_planner.plans.differences import combines, trade, what_changed
from milp_planner.plans.sentences import alternatives_text
from milp_planner.questions.solve import plan_of, provenance_of
from milp_planner.reporting.text.plans.alternatives import alternative_lines
from milp_planner.solving.assembly.verify import violations
from milp_planner.solving.results import Settings
from milp_planner.solving.search import Search
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.oracles.cases import Api, Case, Offer
from tests.support.oracles.next_best_cases import (
    DIFFERENCES,
    check_against_brute_force,
    load_of,
    planned,
    units_of_plan,
)

pytest_plugins = ["tests.support.toy_cli"]

# --- What the list holds ----------------------------------------------------------------------


def fleets_of(plan):
    """(score, units by offering) of the plan and its alternatives."""
    return [
        (
            round(p.score_usd_per_month / 720, 2),
            {q.candidate.offering.id.split("/")[1]: q.units for q in p.purchases},
        )
        for p in (plan, *plan.alternatives)
    ]


def test_counts_are_the_next_cheapest_minimal_fleets():
    # 13 requests/s of big (10 for $4/h) and small (3 for $1.50/h). Three big would contain two.
    question = problem(13, alternatives={"count": 9, "differ_by": "counts"})
    plan = solve(question, big_and_small())
    assert fleets_of(plan) == [
        (5.5, {"big": 1, "small": 1}),
        (7.5, {"small": 5}),
        (8.0, {"big": 2}),
    ]
    assert alternatives_text(plan) == "no further plan differs by counts"


def test_the_same_offerings_in_other_numbers_are_no_other_set():
    # a: 10 for $4, b: 6 for $2.50. 16 requests/s: a + b $6.50, then 3 b $7.50, then 2 a $8.
    boxes = catalog(
        [offering("acme", "a", 4.0), offering("bolt", "b", 2.5)], [raw("a", 10), raw("b", 6)]
    )
    plan = solve(problem(22, alternatives={"count": 5}), boxes)
    assert fleets_of(plan) == [(9.0, {"a": 1, "b": 2}), (10.0, {"b": 4}), (12.0, {"a": 3})]
    counts = solve(problem(22, alternatives={"count": 1, "differ_by": "counts"}), boxes)
    assert fleets_of(counts)[1] == (10.0, {"b": 4})


def test_providers_and_gpus_compare_their_own_sets():
    boxes = catalog(
        [offering("acme", "a", 4.0), offering("acme", "b", 4.5), offering("bolt", "a", 5.0)],
        [raw("a", 10), raw("b", 10)],
    )

    def bought(differ_by):
        asked = problem(10, alternatives={"count": 5, "differ_by": differ_by})
        plan = solve(asked, boxes)
        return [p.purchases[0].candidate.offering.id for p in (plan, *plan.alternatives)]

    assert bought("offerings") == ["acme/a/eu-1", "acme/b/eu-1", "bolt/a/eu-1"]
    assert bought("providers") == ["acme/a/eu-1", "bolt/a/eu-1"]
    assert bought("gpus") == ["acme/a/eu-1", "acme/b/eu-1"]


def test_per_workload_an_exchange_between_workloads_is_another_set():
    # Each box carries either workload. The names {a, b} are the same whoever uses which.
    boxes = catalog(
        [offering("acme", "a", 4.0, max_units=1), offering("bolt", "b", 4.0, max_units=1)],
        [raw("a", 10), raw("b", 10)],
    )
    workloads = [workload(10, "chat"), workload(10, "code")]
    together = problem(workloads=workloads, alternatives={"count": 3})
    assert not solve(together, boxes).alternatives
    apart = problem(workloads=workloads, alternatives={"count": 3, "per_workload": True})
    plan = solve(apart, boxes)
    assert [p.score_usd_per_month for p in plan.alternatives] == [pytest.approx(8 * 720)]


def test_a_per_token_offering_is_used_or_not():
    # 14 requests/s: one big carries 10. The API serves the rest ($4,954), nothing, or all ($7,258).
    boxes = catalog([offering("acme", "big", 4.0)], [raw("big", 10)], [token_price("echo", 100.0)])
    limits = {"billing": {"allow": ["dedicated", "per_token"]}}
    plan = solve(problem(14, limits=limits, alternatives={"count": 5}), boxes)
    used = [[p.candidate.provider for p in found.purchases] for found in (plan, *plan.alternatives)]
    assert used == [["acme", "echo"], ["acme"], ["echo"]]


@pytest.mark.slow
def test_alternatives_serve_as_much_as_a_short_budget_pays_for():
    # $3,000 pays one big ($2,880, 10 of 20 requests/s); two small ($2,160) would serve 6.
    budget = {"usd_per_month": 3_000, "when_short": "fair"}
    plan = solve(problem(20, limits={"budget": budget}, alternatives={"count": 3}), big_and_small())
    assert plan.workloads[0].shortfall_share == pytest.approx(0.5, abs=1e-6)
    assert plan.alternatives == ()
    assert alternatives_text(plan) == "no further plan differs by offerings"


def test_every_alternative_is_checked_and_proven_like_the_optimum():
    asked = prepare(problem(31), big_and_small())
    how = Settings(time_limit_s=60, gap=0.0, seed=1)
    wanted = Alternatives(count=6, differ_by="counts")
    plan = plan_of(Search(asked, how, provenance_of(asked, how), wanted))
    assert plan.alternatives
    for other in plan.alternatives:
        assert violations(asked, other) == []
        assert other.status is Status.OPTIMAL
        assert other.bound == other.score_usd_per_month
        assert other.proof.certified_by == ("cbc", "highs")


def test_no_alternatives_are_looked_for_where_none_are_asked():
    plan = solve(problem(13, alternatives={"count": 0}), big_and_small())
    assert (plan.alternatives, alternatives_text(plan)) == ((), "")


# --- Ties -------------------------------------------------------------------------------------


def test_of_equal_scores_fewer_gpus_come_first():
    # One box of two GPUs does as much as two of one, for the same money.
    boxes = catalog(
        [offering("acme", "a", 2.0), offering("zeta", "z", 4.0)], [raw("a", 5), raw("z", 10)]
    )
    plan = solve(problem(10, alternatives={"count": 1}), boxes)
    assert [p.gpus for p in (plan, *plan.alternatives)] == [1, 2]


def test_of_equal_gpus_fewer_providers_come_first():
    # 10 requests/s: a + b or two z, both at $4; but two z are of one provider.
    boxes = catalog(
        [offering("acme", "a", 1.6), offering("bolt", "b", 2.4), offering("zeta", "z", 2.0)],
        [raw("a", 4), raw("b", 6), raw("z", 5)],
    )
    plan = solve(problem(10, alternatives={"count": 1}), boxes)
    assert [p.providers for p in (plan, *plan.alternatives)] == [("zeta",), ("acme", "bolt")]


def test_of_equal_fleets_the_first_by_name_comes_first():
    boxes = [offering(provider, "a", 4.0) for provider in ["coda", "acme", "bolt"]]
    question = problem(10, alternatives={"count": 2})
    for rows in (boxes, boxes[::-1], boxes[1:] + boxes[:1]):
        plan = solve(question, catalog(rows, [raw("a", 10)]))
        bought = [p.providers[0] for p in (plan, *plan.alternatives)]
        assert bought == ["acme", "bolt", "coda"]


def test_scores_less_than_a_cent_apart_are_no_tie():
    # Two replicas are needed, so that a box is. A box of a, $720, is the best of coda alone. Beside
    # a box of b, $4,320, the least share of 1,296,000 requests is 129.6 of them: $0.01296 at echo,
    # $0.01685 at acme, which comes first by name.
    case = Case(
        offers=(Offer("coda", "a", 1.0, (2.0,), gpus=2), Offer("coda", "b", 6.0, (2.0,), gpus=2)),
        loads=(load_of((1.0,), min_replicas=2),),
        apis=(Api("echo", 1e-4), Api("acme", 1.3e-4)),
    )
    plan = planned(case, "providers", True, 3, pruning=False)
    bought = [p.providers for p in (plan, *plan.alternatives)]
    assert bought == [("coda",), ("coda", "echo"), ("acme", "coda")]
    check_against_brute_force(case, "providers", True, pruning=False)


def test_of_equal_scores_none_has_a_spare_api():
    # Eight requests/s. A box of a, $720, is the best of acme alone. A box of b, $4,320, carries
    # half of it, an API the rest for $518.40: that must be echo, and nothing is saved or lost where
    # acme's API serves some of it too.
    case = Case(
        offers=(Offer("acme", "a", 1.0, (8.0,), gpus=2), Offer("acme", "b", 6.0, (4.0,), gpus=2)),
        loads=(load_of((8.0,), min_replicas=2),),
        apis=(Api("echo", 1e-4), Api("acme", 1e-4)),
    )
    plan = planned(case, "providers", True, 3, pruning=False)
    [other] = plan.alternatives
    assert other.score_usd_per_month == pytest.approx(4_838.4)
    assert units_of_plan(other) == {
        ("chat", "acme/b/eu-1"): (1,),
        ("chat", "echo/tiny/global"): "per token",
    }
    check_against_brute_force(case, "providers", True, pruning=False)


# --- Twins ------------------------------------------------------------------------------------

TWINS = [
    offering("acme", "a", 4.0, region="eu-1"),
    offering("acme", "a", 4.0, region="eu-2"),
    offering("acme", "a", 4.0, region="eu-1", name="a-metal"),
]


def test_offerings_that_only_their_region_or_name_tells_apart_count_as_one():
    boxes = catalog([*TWINS, offering("bolt", "b", 5.0)], [raw("a", 10), raw("b", 10)])
    for differ_by in DIFFERENCES:
        question = problem(10, alternatives={"count": 5, "differ_by": differ_by})
        plan = solve(question, boxes)
        bought = [p.purchases[0].candidate.offering.id for p in (plan, *plan.alternatives)]
        assert bought == ["acme/a-metal/eu-1", "bolt/b/eu-1"]
        assert alternatives_text(plan).splitlines() == [
            f"no further plan differs by {differ_by}",
            "acme/a-metal/eu-1: the same as acme/a/eu-1, acme/a/eu-2",
        ]


def test_twins_of_one_name_are_told_by_region_and_many_of_them_are_counted():
    rows = [offering("acme", "a", 4.0, region=f"eu-{i}") for i in range(1, 7)]
    plan = solve(problem(10, alternatives={"count": 1}), catalog(rows, [raw("a", 10)]))
    assert alternatives_text(plan).splitlines()[1] == (
        "acme/a/eu-1: the same in eu-2, eu-3, eu-4 and 2 more"
    )


def test_another_price_is_another_offering():
    dearer = [TWINS[0], offering("acme", "a", 4.01, region="eu-2")]
    plan = solve(problem(10, alternatives={"count": 5}), catalog(dearer, [raw("a", 10)]))
    assert [p.purchases[0].candidate.region for p in (plan, *plan.alternatives)] == ["eu-1", "eu-2"]


def test_where_losing_a_region_must_be_survived_regions_are_not_alike():
    limits = {"survive_loss_of": "region"}
    question = problem(10, limits=limits, alternatives={"count": 5})
    plan = solve(question, catalog(TWINS, [raw("a", 10)]))
    assert {p.candidate.region for p in plan.purchases} == {"eu-1", "eu-2"}


def test_stock_of_twins_is_not_shared():
    # One unit in each region: two are needed, so both regions are.
    rows = [offering("acme", "a", 4.0, region=region, max_units=1) for region in ("eu-1", "eu-2")]
    plan = solve(problem(20), catalog(rows, [raw("a", 10)]))
    assert [p.units for p in plan.purchases] == [1, 1]


# --- In words ---------------------------------------------------------------------------------

NAMED = catalog(
    [
        offering("verda", "b200", 4.0),
        offering("runpod", "h100", 2.05),
        offering("acme", "h100", 18.0, gpus_per_unit=8, billing="autoscaling"),
    ],
    [raw("b200", 10), raw("h100", 5)],
)


def test_an_alternative_says_what_changed_and_what_it_trades():
    # 10 requests/s at 100 %: a B200 at $2,880, two H100 at $2,952, eight at $12,960.
    plan = solve(problem(10, alternatives={"count": 2}), NAMED)
    two, eight = plan.alternatives
    assert what_changed(plan, two) == "2 x h100 at runpod instead of 1 x b200 at verda"
    assert trade(plan, two, 0) == "$72 dearer, 1 GPU more"
    assert what_changed(plan, eight) == (
        "1 x 8 x h100 at acme autoscaling instead of 1 x b200 at verda"
    )
    assert trade(plan, eight, 0) == "$10,080 dearer, 7 GPUs more, low band instead of high"


def test_the_report_gives_amounts_gpus_providers_bands_and_the_trade():
    plan = solve(problem(10, alternatives={"count": 1}), NAMED)
    assert list(alternative_lines(plan)) == [
        "Next-best plans (never an earlier plan plus spare units)",
        "  2  $2,952  +$72  +2.5 %  2 x h100 at runpod instead of 1 x b200 at verda",
        "                           2 GPUs at runpod, high band (100 %): $72 dearer, 1 GPU more",
    ]


def test_the_document_says_the_same():
    plan = solve(problem(10, alternatives={"count": 1}), NAMED)
    [other] = plan.to_dict()["alternatives"]
    assert (other["rank"], other["gpus"], other["providers"]) == (2, 2, ["runpod"])
    assert other["extra_score_usd_per_month"] == pytest.approx(72)
    assert other["bands"] == {"chat": "high"}
    assert other["what_changed"] == "2 x h100 at runpod instead of 1 x b200 at verda"
    assert other["trade"] == "$72.00 dearer, 1 GPU more"


def test_changes_are_told_workload_by_workload():
    boxes = catalog(
        [offering("acme", "a", 4.0), offering("bolt", "b", 5.0)], [raw("a", 10), raw("b", 10)]
    )
    workloads = [workload(10, "chat"), workload(10, "code")]
    asked = problem(workloads=workloads, alternatives={"count": 3, "differ_by": "counts"})
    plan = solve(asked, boxes)
    one = "1 x b at bolt instead of 1 x a at acme"
    assert [what_changed(plan, other) for other in plan.alternatives] == [
        f"code: {one}",
        f"chat: {one}",
        f"chat: {one}; code: {one}",
    ]
    first, second, both = plan.alternatives
    assert combines(plan, both, [first, second]) == (0, 1)
    assert combines(plan, second, [first]) == ()
    lines = list(alternative_lines(plan))
    assert lines[5].startswith("  4  $7,200  +$1,440  +25 %  2 and 3 together")


def test_offerings_that_gpu_and_provider_do_not_tell_apart_are_told_by_region_or_name():
    plan = solve(
        problem(10, alternatives={"count": 1}),
        catalog(
            [offering("acme", "a", 4.0), offering("acme", "a", 4.1, region="eu-2")], [raw("a", 10)]
        ),
    )
    assert what_changed(plan, plan.alternatives[0]) == (
        "1 x a at acme in eu-2 instead of 1 x a at acme in eu-1"
    )


def test_no_alternative_can_be_taken_for_another():
    # The same GPU of the same provider in three regions at three prices.
    rows = [offering("acme", "a", 4 + i / 10, region=f"eu-{i}") for i in range(3)]
    plan = solve(
        problem(10, alternatives={"count": 3}),
        catalog([*rows, offering("bolt", "b", 3.0)], [raw("a", 10), raw("b", 10)]),
    )
    assert [what_changed(plan, other) for other in plan.alternatives] == [
        f"1 x a at acme in eu-{i} instead of 1 x b at bolt" for i in range(3)
    ]


def test_score_and_cash_are_told_apart_where_there_are_penalties():
    # 10 requests/s: one big at 100 % is $2,880 and owes $1,500. Five small, $5,400, run at 67 % and
    # owe nothing. Two small beside the big are cheaper, but are the same plan plus spare units.
    policy = {
        "utilization": {"target": 0.75, "ceiling": 1.0},
        "penalties": {"strict_latency": {"below": "300ms", "usd": 1_500}},
    }
    chat = {"latency": {"requirement": "200ms"}}
    asked = problem(10, policy=policy, chat=chat, alternatives={"count": 1})
    plan = solve(asked, big_and_small())
    [other] = plan.alternatives
    assert trade(plan, other, 0) == (
        "$1,020 dearer, $2,520 more cash, 4 GPUs more, medium band instead of high"
    )
    assert list(alternative_lines(plan))[1] == (
        "  2  score $5,400  +$1,020  +23 %  cash $5,400  +$2,520  +88 %  "
        "5 x small at bolt instead of 1 x big at acme"
    )
