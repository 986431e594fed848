"""Futures in which not all can be served, with `when_short`, against every fleet of each."""

from __future__ import annotations

from itertools import product
from random import Random
from typing import Any

import pytest

from milp_planner import Plan, RecordInputError, Status, reason_lines, solve, warning_lines
from milp_planner.futures.blocks import nothing_found
from milp_planner.futures.optimum import NOTHING_ASKED, FuturesOptimizer
from milp_planner.solving.stages import OF_A_STAGE
from tests.support.builders import catalog, offering, problem, raw, workload

RATE, HOURS = 3.0, 720
RENT, BIND = 3.1, 2.0
"""Requests/s of a unit, and USD per hour of one, on demand and reserved."""

TOLERANCE = 3e-7


def sold() -> Any:
    rows = [
        offering("acme", "big", RENT),
        offering("acme", "big", BIND, name="bound", billing="reserved_1y"),
    ]
    return catalog(rows, [raw("big", RATE), raw("big", 2.0, size=(1, 3))])


def asked(futures: Any, loads: Any, limits: Any, **fields: Any) -> Any:
    """futures: (name, probability, factor on the traffic). loads: by name, with a priority."""
    each = [workload(rate, name, priority=rank) for name, (rate, rank) in loads.items()]
    named = [{"name": n, "probability": p, "traffic": times} for n, p, times in futures]
    limits = {"billing": {"allow": ["dedicated", "reserved_1y"]}, **limits}
    return problem(workloads=each, futures=named, limits=limits, **fields)


def ways(future: Any, loads: Any, bound: int, most_gpus: int, budget: float) -> Any:
    """(unserved share of each workload, USD a month) of all that a future may do with so many
    units bound: which workload each serves, and what is rented beside."""
    names = [*loads]
    for mine in product(range(bound + 1), repeat=len(names)):
        if sum(mine) != bound:
            continue
        for rented in product(range(most_gpus - bound + 1), repeat=len(names)):
            usd = HOURS * (bound * BIND + sum(rented) * RENT)
            if bound + sum(rented) > most_gpus or usd > budget + 1e-6:
                continue
            short = [
                max(0.0, 1 - RATE * (a + b) / (loads[name][0] * future[2]))
                for name, a, b in zip(names, mine, rented, strict=True)
            ]
            yield short, usd


def best_of_all(
    futures: Any, loads: Any, most_gpus: int, budgets: Any, by_priority: bool
) -> tuple[list[float], float, int]:
    """(what each stage reaches, USD a month on average, units bound) of every fleet there is."""
    names = [*loads]
    ranks = {name: loads[name][1] if by_priority else 1 for name in names}
    found = []
    for bound in range(most_gpus + 1):
        options = [
            list(ways(one, loads, bound, most_gpus, usd))
            for one, usd in zip(futures, budgets, strict=True)
        ]
        for chosen in product(*options):
            key: list[float] = []
            for rank in sorted(set(ranks.values())):
                mine = [i for i, name in enumerate(names) if ranks[name] == rank]
                volume = sum(loads[names[i]][0] for i in mine)
                key.append(max(short[i] for short, _ in chosen for i in mine))
                key.append(
                    sum(
                        one[1] * sum(loads[names[i]][0] * short[i] for i in mine) / volume
                        for one, (short, _) in zip(futures, chosen, strict=True)
                    )
                )
            usd = sum(one[1] * paid for one, (_, paid) in zip(futures, chosen, strict=True))
            found.append(([round(share, 9) for share in key], round(usd, 6), bound))
    return min(found)


def reached(plan: Plan, futures: Any, loads: Any, by_priority: bool) -> list[float]:
    """What each stage comes to in a plan."""
    ranks = {name: loads[name][1] if by_priority else 1 for name in loads}
    short = [{w.name: w.shortfall_share for w in one.workloads} for one in plan.in_futures]
    key = []
    for rank in sorted(set(ranks.values())):
        mine = [name for name in loads if ranks[name] == rank]
        volume = sum(loads[name][0] for name in mine)
        key.append(max(one[name] for one in short for name in mine))
        each = (sum(loads[name][0] * one[name] for name in mine) / volume for one in short)
        key.append(sum(p * part for (_, p, _), part in zip(futures, each, strict=True)))
    return key


def bound_in(plan: Plan) -> int:
    assert plan.futures is not None
    return sum(one.units for one in plan.futures.committed)


def drawn(seed: int) -> Any:
    random = Random(seed)
    p = random.choice([0.2, 0.4, 0.5, 0.7])
    futures = (
        ("low", p, random.choice([0.3, 0.5, 1.0])),
        ("high", 1 - p, random.choice([1.5, 2.0, 3.0])),
    )
    count = random.choice([1, 2])
    loads = {
        name: (random.choice([2.0, 3.5, 5.0, 7.0]), random.choice([1, 2]))
        for name in ["chat", "code"][:count]
    }
    most_gpus = random.choice([2, 3, 4] if count == 2 else [2, 3, 5])
    usd = random.choice([1e9, 1e9, 2_000.0, 4_500.0, 7_000.0])
    where = random.choice(["every", "low", "high"])
    said_by = random.choice(["policy", "budget"])
    return futures, loads, most_gpus, usd, where, said_by, random.choice(["fair", "priority"])


@pytest.mark.parametrize("seed", range(30))
def test_no_fleet_of_any_future_leaves_out_less_or_costs_less(seed):
    futures, loads, most_gpus, usd, where, said_by, word = drawn(seed)
    budget = {"usd_per_month": usd, "futures": where}
    policy = {"when_short": word} if said_by == "policy" else {}
    if said_by == "budget":
        budget["when_short"] = word
    limits = {"max_gpus": {"total": most_gpus}, "budget": budget}
    plan = solve(asked(futures, loads, limits, policy=policy), sold(), diagnose=False)
    budgets = [usd if where in ("every", name) else 1e9 for name, _, _ in futures]
    stages, least, bound = best_of_all(futures, loads, most_gpus, budgets, word == "priority")
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified
    assert plan.futures is not None
    assert reached(plan, futures, loads, word == "priority") == pytest.approx(stages, abs=TOLERANCE)
    assert plan.futures.expected_usd_per_month == pytest.approx(least, abs=0.02)
    assert bound_in(plan) == bound


THREE = (("low", 0.3, 0.5), ("base", 0.5, 1.0), ("high", 0.2, 3.0))
SIX = {"chat": (6.0, 1)}


def test_the_future_that_is_short_leaves_out_what_it_lacks_and_is_named():
    # 18 requests/s are 6 units in the high future, and there are 3: half of it is left out. Low
    # asks 1 unit, base 2, high 3. A unit bound costs 1440, rented 2232: worth it from 65 % on. One
    # is used in every future, a second in 70 of 100 cases, the third in 20.
    plan = solve(
        asked(THREE, SIX, {"max_gpus": {"total": 3}}, policy={"when_short": "fair"}), sold()
    )
    assert plan.status is Status.OPTIMAL
    assert plan.futures is not None
    assert bound_in(plan) == 2
    assert plan.futures.expected_usd_per_month == pytest.approx(2 * 1440 + 0.2 * 2232)
    short = {one.name: one.shortfall_share for one in plan.futures.outcomes}
    assert short == pytest.approx({"low": 0, "base": 0, "high": 0.5}, abs=TOLERANCE)
    warnings = [*warning_lines(plan)]
    assert "future 'high': 50 % of the peak of 'chat' is left unserved" in " ".join(warnings)
    assert "'low'" not in " ".join(warnings)
    assert any("other commitments are not set beside these" in one for one in warnings)
    assert plan.futures.cases == ()
    assert [one.regret_usd_per_month for one in plan.futures.outcomes] == [None] * 3


def test_money_on_average_is_spent_where_it_serves_most():
    # $4,000 on average: two units bound are 2880, and all that base and low ask. What is left,
    # $1,120 on average, rents units at 446.40 each in the high future: two, so 4 of its 6 run.
    # A third one bound is 4320, too much.
    limits = {"budget": {"usd_per_month": 4_000, "futures": "expected", "when_short": "fair"}}
    plan = solve(asked(THREE, SIX, limits), sold(), diagnose=False)
    assert plan.status is Status.OPTIMAL
    assert plan.futures is not None
    assert bound_in(plan) == 2
    short = {one.name: one.shortfall_share for one in plan.futures.outcomes}
    assert short == pytest.approx({"low": 0, "base": 0, "high": 1 / 3}, abs=TOLERANCE)


@pytest.mark.parametrize("word", ["fair", "priority"])
@pytest.mark.parametrize("most_gpus", [2, 5])
def test_like_futures_leave_out_what_one_known_month_does(word, most_gpus):
    # Hours of two loads, and requests of two lengths, of which a unit serves unlike many.
    traffic = {
        "kind": "tokens_per_day",
        "tokens_per_day": 6 * 3 * 86_400,
        "pattern": {"active_ratio": 0.5, "burst_factor": 2},
    }
    mix = [
        {"share": 0.5, "input_tokens": 1, "output_tokens": 1},
        {"share": 0.5, "input_tokens": 1, "output_tokens": 3},
    ]
    loads = {"chat": (1, mix), "code": (2, [{"input_tokens": 1, "output_tokens": 1}])}
    each = [
        {**workload(6.0, name, priority=rank), "traffic": traffic, "requests": classes}
        for name, (rank, classes) in loads.items()
    ]
    limits = {
        "max_gpus": {"total": most_gpus},
        "billing": {"allow": ["dedicated", "reserved_1y"]},
    }
    policy = {"when_short": word, "share": "none"}
    known = problem(workloads=each, limits=limits, policy=policy)
    futures = [{"name": n, "probability": p} for n, p in (("a", 0.3), ("b", 0.7))]
    alike = problem(workloads=each, limits=limits, policy=policy, futures=futures)
    one, several = (solve(asks, sold(), diagnose=False) for asks in (known, alike))
    assert one.status is several.status is Status.OPTIMAL
    assert several.futures is not None
    assert several.futures.expected_usd_per_month == pytest.approx(one.score_usd_per_month, 1e-5)
    short = [w.shortfall_share for w in one.workloads]
    assert max(short) > 0.1
    for plan in several.in_futures:
        assert [w.shortfall_share for w in plan.workloads] == pytest.approx(short, abs=1e-5)


@pytest.mark.parametrize("key", [{}, {"risk": {"measure": "worst", "of": "cost", "weight": 0.5}}])
def test_where_everything_can_be_served_it_is_the_plan_without_the_key(key):
    limits = {"max_gpus": {"total": 6}}
    plain = solve(asked(THREE, SIX, limits, **key), sold())
    said = solve(asked(THREE, SIX, limits, policy={"when_short": "fair"}, **key), sold())
    assert said.futures == plain.futures
    assert said.warnings == plain.warnings


def test_a_risk_counts_among_what_leaves_out_the_least():
    # By the worst alone three units would be bound in place of two and one rented in the high
    # future: 4320 against 5112. At 99 % that is 4320 to 0.99 x 5112 + 0.01 x 3326.40.
    risk = {"measure": "worst", "of": "cost", "weight": 0.99}
    limits = {"max_gpus": {"total": 3}}
    plan = solve(asked(THREE, SIX, limits, policy={"when_short": "fair"}, risk=risk), sold())
    assert bound_in(plan) == 3


def test_limits_that_no_share_of_the_traffic_keeps_say_so():
    limits = {"max_gpus": {"total": 1}}
    chat = workload(6.0, "chat", min_replicas=2)
    futures = [{"name": "only", "probability": 1}]
    policy = {"when_short": "fair"}
    asks = problem(workloads=[chat], futures=futures, limits=limits, policy=policy)
    plan = solve(asks, sold())
    assert plan.status is Status.INFEASIBLE
    assert "however little of its traffic is served" in " ".join(reason_lines(plan))


def test_where_time_ends_between_stages_the_plans_of_the_last_one_stand_unproven(monkeypatch):
    best = FuturesOptimizer.best

    def in_no_time(self: Any, measure: Any, asked: Any = NOTHING_ASKED, **how: Any) -> Any:
        if asked.held:
            return nothing_found(Status.NO_PLAN)
        return best(self, measure, asked, **how)

    monkeypatch.setattr(FuturesOptimizer, "best", in_no_time)
    limits = {"max_gpus": {"total": 3}}
    plan = solve(asked(THREE, SIX, limits, policy={"when_short": "fair"}), sold())
    assert plan.status is Status.FEASIBLE
    assert not plan.proof.certified
    assert OF_A_STAGE in plan.proof.notes
    assert plan.futures is not None
    assert plan.futures.bound_usd_per_month is None
    short = {one.name: one.shortfall_share for one in plan.futures.outcomes}
    assert short == pytest.approx({"low": 0, "base": 0, "high": 0.5}, abs=TOLERANCE)


def test_requests_that_nothing_serves_are_not_left_out_in_silence():
    chat = {**workload(6.0, "chat"), "requests": {"input_tokens": 7, "output_tokens": 9}}
    futures = [{"name": "only", "probability": 1}]
    policy = {"when_short": "fair"}
    plan = solve(problem(workloads=[chat], futures=futures, policy=policy), sold())
    assert plan.status is Status.INFEASIBLE
    assert "nothing that is allowed can serve" in " ".join(reason_lines(plan))
    mix = [{"share": 0.5, "input_tokens": n, "output_tokens": n} for n in (1, 9)]
    plan = solve(
        problem(workloads=[{**chat, "requests": mix}], futures=futures, policy=policy), sold()
    )
    assert plan.status is Status.INFEASIBLE
    said = "future 'only': nothing that is allowed can serve requests of 9/9 tokens of 'chat'"
    assert said in " ".join(reason_lines(plan))


FAIR = {"policy": {"when_short": "fair"}}
WORST = {"measure": "worst"}


@pytest.mark.parametrize(
    ("fields", "said", "next_"),
    [
        (
            {
                "policy": {"when_short": "fail"},
                "limits": {"budget": {"usd_per_month": 9, "when_short": "fair"}},
            },
            "limits.budget.when_short: over futures money is not told from all else",
            "leave policy.when_short out",
        ),
        (
            {"policy": {"when_short": "fair", "penalties": {"shortfall": {
                "usd_per_million_requests": 9}}}},
            "policy.when_short: over futures what is left unserved has a price or an order",
            "leave out when_short, or policy.penalties.shortfall",
        ),
        (
            {**FAIR, "risk": {**WORST, "of": "regret"}},
            "risk.of: with when_short futures serve less or more, which regret does not tell",
            "write of: cost, or price what is left unserved instead",
        ),
        (
            {
                **FAIR,
                "risk": {**WORST, "of": "margin"},
                "value": {"usd_per_million_requests": 9},
            },
            "risk.of: with when_short futures serve less or more, which margin does not tell",
            "write of: cost, or price what is left unserved instead",
        ),
        (
            {**FAIR, "risk": {**WORST, "of": "cost"}},
            "risk.weight: with when_short the average counts as well",
            "write a weight below 1, as 99%",
        ),
    ],
)  # fmt: skip
def test_what_says_otherwise_what_is_left_out_is_refused(fields, said, next_):
    with pytest.raises(RecordInputError) as refused:
        asked(THREE, SIX, fields.pop("limits", {}), **fields)
    assert said in str(refused.value)
    assert next_ in str(refused.value)
