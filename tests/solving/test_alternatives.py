"""Next-best plans: equal to brute force, in order, told in words; and stopped half-way."""

from __future__ import annotations

import threading
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from milp_planner import Status, prepare, solve
from milp_planner.cli.parts.signals import Terminated
from milp_planner.inputs.problem.records import Alternatives
from milp_planner.plans.differences import combines, trade, what_changed
from milp_planner.plans.sentences import alternatives_text
from milp_planner.questions.solve import plan_of, provenance_of
from milp_planner.reporting.text.plans.alternatives import alternative_lines
from milp_planner.solving.optimum import Optimizer
from milp_planner.solving.results import Interrupted, Settings
from milp_planner.solving.search import Search
from milp_planner.solving.verify import violations
from milp_planner.traffic.month import TimeBlock
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.oracles.next_best import Api, Ask, Box, Case, Fleet, next_best

pytest_plugins = ["tests.support.toy_cli"]

DIFFERENCES = ["counts", "offerings", "providers", "gpus"]

# --- Brute force ------------------------------------------------------------------------------


def question(case: Case, differ_by: str, per_workload: bool, count: int):
    """The case as a problem; its blocks come with `as_input`."""
    penalties = {}
    if case.overload:
        above, usd = case.overload
        penalties["overload"] = {"above": above, "usd_at_full_load": usd}
    if case.strict_usd is not None:
        penalties["strict_latency"] = {"below": "300ms", "usd": case.strict_usd}
    if case.scaling:
        above_gpus, usd = case.scaling
        penalties["scaling"] = {"above_gpus": above_gpus, "usd_per_gpu": usd}
    limits = {
        "billing": {"allow": ["dedicated", "autoscaling", "per_token"]},
        "providers": {"max_count": case.at_most_providers},
        "max_gpus": {"total": case.max_gpus},
        "max_units": {case.boxes[i].id: most for i, most in case.max_units},
    }
    if case.budget is not None:
        limits["budget"] = {"usd_per_month": case.budget}
    if case.survive is not None:
        limits["survive_loss_of"] = case.survive
    latency = {"requirement": "200ms"} if case.strict_usd is not None else {}
    fields = {"latency": latency, "min_replicas": case.min_replicas}
    first = case.boxes[0]
    running = {
        "offering": first.id,
        "billing": first.billing,
        "workload": case.asks[0].name,
        "units": case.today,
    }
    added, removed = case.switching
    return problem(
        workloads=[workload(max(ask.peaks), ask.name, **fields) for ask in case.asks],
        current_fleet=[running] if case.today else [],
        switching={
            "usd_per_unit_added": added,
            "usd_per_unit_removed": removed,
            "max_units_changed": case.most_changed,
        },
        policy={
            "penalties": penalties,
            "utilization": {"target": min(case.ceiling, 0.75), "ceiling": case.ceiling},
        },
        limits=limits,
        alternatives={"count": count, "differ_by": differ_by, "per_workload": per_workload},
    )


def as_input(case: Case, differ_by: str, per_workload: bool, count: int):
    """The case as the planner takes it, with its own blocks."""
    rates = {box.gpu: box.rate / box.gpus for box in case.boxes}
    rented = catalog(
        [
            offering(
                box.provider,
                box.gpu,
                box.usd_per_hour,
                billing=box.billing,
                gpus_per_unit=box.gpus,
            )
            for box in case.boxes
        ],
        [raw(gpu, rate) for gpu, rate in rates.items()],
        [token_price(api.provider, api.usd_per_request * 1e6 / 2) for api in case.apis],
    )
    asked = prepare(question(case, differ_by, per_workload, count), rented)
    blocks = tuple(TimeBlock(f"block {t}", hours) for t, hours in enumerate(case.hours))
    demands = {
        ask.name: replace(
            asked.schedule.demands[ask.name],
            peak=ask.peaks,
            mean=tuple(peak / 2 for peak in ask.peaks),
        )
        for ask in case.asks
    }
    return replace(asked, schedule=replace(asked.schedule, blocks=blocks, demands=demands))


def planned(case: Case, differ_by: str, per_workload: bool, count: int, pruning: bool = True):
    asked = as_input(case, differ_by, per_workload, count)
    how = Settings(time_limit_s=60, gap=0.0, seed=1, pruning=pruning)
    return plan_of(Search(asked, how, provenance_of(asked, how), asked.problem.alternatives))


def units_of_plan(plan):
    return {
        (p.candidate.workload, p.candidate.offering.id): p.units_by_block
        if any(p.units_by_block)
        else "per token"
        for p in plan.purchases
    }


def units_of_fleet(fleet: Fleet):
    found = {}
    for ask, part in zip(fleet.case.asks, fleet.parts, strict=True):
        for box, units in zip(fleet.case.boxes, part.units, strict=True):
            if any(units):
                found[ask.name, box.id] = units
        for a in part.apis:
            found[ask.name, f"{fleet.case.apis[a].provider}/tiny/global"] = "per token"
    return found


@st.composite
def cases(draw, prices=(0.83, 1.0, 1.37, 2.0, 2.11, 3.0, 4.2), rates=(2.0, 3.0, 3.7, 5.5)):
    """One or two workloads, one or two blocks, two or three offerings, a limit or two."""
    several = draw(st.sampled_from([False, False, False, True]))
    blocks = draw(st.sampled_from([1, 1, 2]))
    peaks = st.tuples(*[st.sampled_from([1.0, 2.5, 4.0, 6.5, 8.0])] * blocks)
    asks = [Ask(name, draw(peaks)) for name in ["chat", "code"][: 1 + several]]
    if blocks == 2 and draw(st.booleans()):
        asks = [replace(ask, peaks=(ask.peaks[0], 0.0)) for ask in asks]
    boxes = []
    for i in range(2 if several else draw(st.integers(2, 3))):
        gpus = draw(st.sampled_from([1, 1, 2]))
        boxes.append(
            Box(
                draw(st.sampled_from(["acme", "bolt", "coda"])),
                f"gpu{i}",
                draw(st.sampled_from(prices)) * gpus,
                draw(st.sampled_from(rates)) * gpus,
                gpus,
                draw(st.sampled_from([False, False, True])),
            )
        )
    apis = []
    for name in ["echo", "acme"][: 0 if several else draw(st.integers(0, 2))]:
        apis.append(Api(name, draw(st.sampled_from([1e-4, 1.3e-4, 3e-4]))))
    soft = not apis and draw(st.booleans())
    survivable = st.just(None) if apis else st.sampled_from([None] * 5 + ["provider", "offering"])
    rare = st.integers(0, 5).map(lambda n: n == 0)
    return Case(
        hours=(720.0,) if blocks == 1 else (240.0, 480.0),
        asks=tuple(asks),
        boxes=tuple(boxes),
        apis=tuple(apis),
        ceiling=1.0 if soft else draw(st.sampled_from([1.0, 0.75])),
        overload=(0.9, 20_000.0) if soft and draw(st.booleans()) else None,
        strict_usd=draw(st.sampled_from([None, 500.0, 30_000.0])) if soft else None,
        scaling=(2, 300.0) if draw(rare) else None,
        budget=draw(st.sampled_from([4_000.0, 6_000.0])) if draw(rare) else None,
        at_most_providers=1 if draw(rare) else None,
        max_gpus=4 if draw(rare) else None,
        max_units=((0, 1),) if draw(rare) else (),
        min_replicas=draw(st.sampled_from([2, 3])) if draw(rare) else 1,
        survive=draw(survivable),
        **(draw(changing()) if draw(rare) else {}),
    )


def changing():
    """Units that run today, what changing them costs, and how many may change."""
    return st.fixed_dictionaries(
        {
            "today": st.sampled_from([1, 2]),
            "switching": st.sampled_from([(0.0, 0.0), (100.0, 0.0), (50.0, 200.0)]),
            "most_changed": st.sampled_from([None, 0, 2, 4]),
        }
    )


TIED_CASES = cases(prices=(1.0, 2.0), rates=(2.0, 4.0))
"""Few prices and rates: many fleets cost the same."""


def check_against_brute_force(case: Case, differ_by: str, per_workload: bool, pruning: bool):
    count = 3
    fleets, ended = next_best(case, differ_by, per_workload, count)
    plan = planned(case, differ_by, per_workload, count, pruning)
    plans = [plan, *plan.alternatives] if plan.status.has_plan else []
    scores = [found.score_usd_per_month for found in plans]
    # The overload ramp is charged to within a dollar at worst: see `milp/program/refinement.py`.
    tolerance = 1.0 if case.overload else 0.001
    assert scores == pytest.approx([fleet.score for fleet in fleets], rel=1e-6, abs=tolerance)
    if not case.overload:
        assert [units_of_plan(p) for p in plans] == [units_of_fleet(f) for f in fleets]
    if plans:
        ends = "" if not ended else f"no further plan differs by {differ_by}"
        assert alternatives_text(plan) == ends
    assert all(p.status is Status.OPTIMAL and p.proof.certified for p in plans)
    assert all(after > before - 0.005 for before, after in pairwise(scores))


EXACT = settings(deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


@settings(EXACT, max_examples=150)
@given(cases(), st.sampled_from(DIFFERENCES), st.booleans(), st.booleans())
def test_the_list_is_the_one_that_brute_force_finds(case, differ_by, per_workload, pruning):
    check_against_brute_force(case, differ_by, per_workload, pruning)


@settings(EXACT, max_examples=60)
@given(TIED_CASES, st.sampled_from(DIFFERENCES), st.booleans(), st.booleans())
def test_ties_are_broken_as_brute_force_breaks_them(case, differ_by, per_workload, pruning):
    check_against_brute_force(case, differ_by, per_workload, pruning)


@pytest.mark.slow
@settings(EXACT, max_examples=2_000)
@given(cases() | TIED_CASES, st.sampled_from(DIFFERENCES), st.booleans(), st.booleans())
def test_thousands_of_lists_are_the_ones_that_brute_force_finds(
    case, differ_by, per_workload, pruning
):
    check_against_brute_force(case, differ_by, per_workload, pruning)


def test_three_replicas_are_three_in_either_engine():
    # Divided by three and written with thirteen digits, the row of replicas made HiGHS leave out
    # fleets of exactly three: it missed a tie here, and below it proved nothing.
    case = Case(
        hours=(720.0,),
        asks=(Ask("chat", (2.5,)),),
        boxes=(
            Box("acme", "a", 1.0, 5.5),
            Box("coda", "b", 2.0, 6.0, gpus=2),
            Box("coda", "c", 1.0, 3.0),
            Box("coda", "d", 0.83, 5.5),
        ),
        apis=(Api("echo", 1.3e-4),),
        ceiling=0.75,
        max_gpus=4,
        min_replicas=3,
    )
    asked = as_input(case, "providers", True, 3)
    how = Settings(time_limit_s=60, gap=0.0, seed=1, solver="highs")
    plan = plan_of(Search(asked, how, provenance_of(asked, how), asked.problem.alternatives))
    fleets, _ = next_best(case, "providers", True, 3)
    found = [units_of_plan(p) for p in (plan, *plan.alternatives)]
    assert found == [units_of_fleet(fleet) for fleet in fleets]


def test_fleets_at_steps_of_one_amount_are_proven_by_both_engines():
    # Every fleet costs a multiple of $3,024, and a unit carries a third of the load. HiGHS, asked
    # for whole numbers to 1e-9, takes the last digits of a bound for a step, and proves nothing.
    case = Case(
        hours=(720.0,),
        asks=(Ask("chat", (3.0,)), Ask("code", (3.0,))),
        boxes=(Box("coda", "a", 4.2, 1.0), Box("acme", "b", 8.4, 1.0)),
    )
    check_against_brute_force(case, "providers", True, pruning=False)


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
        hours=(720.0,),
        asks=(Ask("chat", (1.0,)),),
        boxes=(Box("coda", "a", 1.0, 2.0, gpus=2), Box("coda", "b", 6.0, 2.0, gpus=2)),
        apis=(Api("echo", 1e-4), Api("acme", 1.3e-4)),
        min_replicas=2,
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
        hours=(720.0,),
        asks=(Ask("chat", (8.0,)),),
        boxes=(Box("acme", "a", 1.0, 8.0, gpus=2), Box("acme", "b", 6.0, 4.0, gpus=2)),
        apis=(Api("echo", 1e-4), Api("acme", 1e-4)),
        min_replicas=2,
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


# --- Stopped half-way -------------------------------------------------------------------------


class Stopped(KeyboardInterrupt):
    """What a signal handler may raise."""


def stop_after(monkeypatch, runs, exception):
    """The solvers' run number `runs` and all after it raise `exception`."""
    real, calls = Optimizer._run, []

    def run(self, model, query):
        calls.append(model)
        if len(calls) >= runs:
            raise exception
        return real(self, model, query)

    monkeypatch.setattr(Optimizer, "_run", run)


@pytest.mark.parametrize(("runs", "known"), [(2, 1), (3, 2), (4, 3)])
def test_an_interrupted_search_hands_over_what_is_proven(monkeypatch, runs, known):
    # Every plan is found by one run; the run after it finds the next, and that nothing is tied.
    stop_after(monkeypatch, runs, Stopped())
    question = problem(31, alternatives={"count": 8, "differ_by": "counts"})
    with pytest.raises(Interrupted) as caught:
        solve(question, big_and_small())
    plan = caught.value.plan
    assert isinstance(caught.value.cause, Stopped)
    assert [p.status for p in (plan, *plan.alternatives)] == [Status.OPTIMAL] * known
    assert alternatives_text(plan) == "interrupted: there may be more"
    assert plan.provenance.oldest_price == "2026-01-15"


@pytest.mark.parametrize(
    ("exception", "code", "said"),
    [(KeyboardInterrupt(), 130, "interrupted\n"), (Terminated(), 143, "terminated\n")],
)
def test_an_interrupted_command_prints_what_is_proven(monkeypatch, run, exception, code, said):
    stop_after(monkeypatch, 2, exception)
    ended, out, err = run("solve", "toy.yaml", "--quiet")
    assert (ended, err) == (code, said)
    assert out.startswith("Optimal plan: $3,960 per month")
    assert "\n  interrupted: there may be more\n" in out


def test_a_later_plan_that_is_cheaper_than_an_unproven_one_takes_its_place(monkeypatch):
    # Stopped at a gap, the solvers may find five small ($5,400) before big and small ($3,960).
    real, found = Search._best, []

    def dearest_first(self):
        answer = real(self)
        if found:
            return answer
        found.append(answer)
        self.found.append(answer.plan)
        dear = real(self)
        self.found.clear()
        bound = answer.plan.score_usd_per_month - 1
        plan = replace(dear.plan, status=Status.FEASIBLE, bound=bound)
        return replace(dear, status=Status.FEASIBLE, plan=plan, bound=bound)

    monkeypatch.setattr(Search, "_best", dearest_first)
    plan = solve(problem(13, alternatives={"count": 1}), big_and_small())
    assert [p.score_usd_per_month for p in (plan, *plan.alternatives)] == [3_960, 5_400]
    assert (plan.status, plan.bound) == (Status.FEASIBLE, 3_959)


def test_a_search_interrupted_before_its_first_plan_has_nothing_to_hand_over(monkeypatch):
    stop_after(monkeypatch, 1, Stopped())
    with pytest.raises(Stopped):
        solve(problem(31), big_and_small())


def test_a_cancelled_search_ends_with_what_it_has(monkeypatch):
    cancel = threading.Event()
    real = Optimizer._run

    def run(self, model, query):
        verdict = real(self, model, query)
        cancel.set()
        return verdict

    monkeypatch.setattr(Optimizer, "_run", run)
    question = problem(31, alternatives={"count": 8, "differ_by": "counts"})
    plan = solve(question, big_and_small(), cancel=cancel)
    assert plan.status is Status.OPTIMAL
    assert len(plan.alternatives) < 8
    assert alternatives_text(plan) == "stopped early, as asked: there may be more"


def test_the_time_limit_covers_the_alternatives_too(monkeypatch):
    real = Optimizer._run

    def run(self, model, query):
        verdict = real(self, model, query)
        self.session = replace(self.session, ends_s=0.0)  # the first run took all there was
        return verdict

    monkeypatch.setattr(Optimizer, "_run", run)
    question = problem(31, alternatives={"count": 8, "differ_by": "counts"})
    plan = solve(question, big_and_small())
    assert plan.status is Status.OPTIMAL
    assert plan.alternatives == ()
    assert alternatives_text(plan) == "the time limit ended the search for further plans"
