"""A wish for a time in queues that nothing could miss changes no plan, and the plan says so."""

from __future__ import annotations

import random

import pytest

from milp_planner import WaitIdle, evaluate, explain_limits, solve, warning_lines
from milp_planner.milp.program.rules.latency_wishes import time_step_ms
from milp_planner.questions.sheet.risks import wishes_of
from tests.candidates import test_wishes_kept as wishes_kept
from tests.solving.queues.test_waits import asked, market, random_kinds, units_of
from tests.support.builders import catalog, offering, problem, raw, token_price

HOURS = ({"wait": {"p99": "1h"}}, {"wait": "1h"}, {"request": {"p95": "1h"}}, {"ttft": "1h"})
WITH_APIS = {"limits": {"billing": {"allow": ["dedicated", "per_token"]}}}
LOOSE_S = {"1h": 3600, "60s": 60, "500ms": 0.5, "3s": 3}
SHORT_AND_LONG = [
    {"share": 0.5, "input_tokens": 1, "output_tokens": 1},
    {"share": 0.5, "input_tokens": 1, "output_tokens": 9},
]


def same(plan, other):
    assert plan.score_usd_per_month == other.score_usd_per_month
    assert units_of(plan) == units_of(other)
    assert [(r.candidate.id, r.request_class, r.share) for r in plan.routes] == [
        (r.candidate.id, r.request_class, r.share) for r in other.routes
    ]


@pytest.mark.parametrize("seed", range(3))
def test_an_hour_changes_no_plan_of_one_class_with_an_api_or_without(seed):
    rng = random.Random(seed)
    kinds, load = random_kinds(rng), rng.uniform(2, 20)
    # Tokens for next to nothing, at about the price of replicas, and dearer.
    tokens = {"token_prices": [token_price("tokn", (0.01, 0.08, 10)[seed])]}
    for fields, known in (({}, {}), (WITH_APIS, tokens)):
        sold = market(kinds, **known)
        without = solve(asked(load, {}, kinds, target=0.75, **fields), sold)
        for latency in HOURS:
            same(solve(asked(load, latency, kinds, target=0.75, **fields), sold), without)


def classes_asked(latency):
    """6 requests/s, half of them short, half long."""
    return problem(6, target=0.75, chat={"requests": SHORT_AND_LONG, "latency": latency})


def sold_to_classes():
    """short serves 8 short ones/s or 1 long, long 1 short/s or 8 long, both for $1 an hour; even
    2 of each for $1.50."""
    rates = {"short": (8, 1), "long": (1, 8), "even": (2, 2)}
    sizes = [(1, 1), (1, 9)]
    return catalog(
        [offering("acme", name, 1.5 if name == "even" else 1.0) for name in rates],
        [
            raw(name, r, size=s)
            for name, both in rates.items()
            for r, s in zip(both, sizes, strict=True)
        ],
    )


def test_an_hour_does_not_route_classes_alike():
    # 3 short ones/s take 3/8 of a short unit, 3 long ones as much of a long: one each, $2. Alike, a
    # unit of each serves 2 ÷ (9/16) requests/s in all at 100 %: 6 ÷ 0.75 take five.
    without = solve(classes_asked({}), sold_to_classes())
    assert without.score_usd_per_month == pytest.approx(2 * 720)
    for latency in HOURS[:2]:
        same(solve(classes_asked(latency), sold_to_classes()), without)


def test_a_plan_says_that_a_wish_binds_nothing_and_until_when_that_holds():
    question = classes_asked(HOURS[0])
    found = solve(question, sold_to_classes())
    (idle,) = (said for said in found.warnings if isinstance(said, WaitIdle))
    assert (idle.workload, idle.what, idle.wished_s, idle.unknown) == ("chat", "p99 wait", 3600, ())
    (line,) = (said for said in warning_lines(found) if "binds nothing" in said)
    assert line.startswith(
        "'chat': the p99 wait of 3.6e+03 s binds nothing: no replica that may be"
    )
    (row,) = wishes_of(found)
    assert (row.asked_s, row.expected_s, row.not_judged_on) == (3600, idle.least_s, ())
    (cost,) = (
        one for one in explain_limits(question, sold_to_classes()).rows if "wait" in one.path
    )
    assert cost.usd_per_month == 0
    assert cost.binds_from is not None
    # At that value it still changes nothing.
    at = {"wait": {"p99": cost.binds_from}}
    same(solve(classes_asked(at), sold_to_classes()), found)
    assert not evaluate(
        question, {"acme/short/eu-1": 1, "acme/long/eu-1": 1}, sold_to_classes()
    ).breaches


def test_of_an_api_the_plan_says_that_its_waits_are_not_judged():
    sold = market(token_prices=[token_price("tokn", 1e-4)])
    found = solve(asked(9, HOURS[0], target=0.75, **WITH_APIS), sold)
    (idle,) = (said for said in found.warnings if isinstance(said, WaitIdle))
    assert idle.unknown == ("tokn/tiny/global",)
    (row,) = wishes_of(found)
    assert row.not_judged_on == idle.unknown
    # A second is not beyond what replicas could make it: there only replicas serve.
    short = solve(asked(9, {"wait": {"p99": "1s"}}, target=0.75, **WITH_APIS), sold)
    assert {p.candidate.provider for p in short.purchases} <= {"acme", "bolt", "cant"}


def _toy(metric, wish):
    """A question of one workload, and what is sold for it."""
    if metric in ("tpot", "ttft"):
        return wishes_kept.changed(wishes_kept.problem(), **{metric: wish}), wishes_kept.catalog()
    return asked(2.2, {metric: wish}, target=0.75), market()  # one small: 73 % of 3 requests/s


@pytest.mark.slow
@pytest.mark.parametrize(
    ("metric", "loose", "percentile"),
    [
        *(("wait", "1h", "p99"), ("request", "60s", "p95")),
        *(("tpot", "500ms", ""), ("ttft", "3s", "")),
    ],
)
def test_just_beyond_the_time_until_which_a_wish_binds_nothing_it_does(metric, loose, percentile):
    def wished(said):
        return _toy(metric, {percentile: said} if percentile else said)

    question, sold = wished(loose)
    key = ".".join(filter(None, (metric, percentile)))
    rows = explain_limits(question, sold).rows
    (row,) = (one for one in rows if one.path == f"workloads.chat.latency.{key}")
    assert row.usd_per_month == 0
    number, unit = row.binds_from.split()
    step_s = time_step_ms(LOOSE_S[loose]) / 1000
    at_s = float(number) / (1000 if unit == "ms" else 1)
    before, at, beyond = (
        solve(*wished(said)).score_usd_per_month
        for said in (loose, row.binds_from, f"{at_s - step_s:.10g}s")
    )
    assert at == pytest.approx(before)
    assert beyond is None or beyond > before + 0.005
