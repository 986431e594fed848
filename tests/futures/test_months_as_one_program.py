"""Months with rules that link them: one program, held against trying everything.

The oracle below knows one workload, two kinds of units to rent and one to sign for, and counts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from itertools import product
from math import inf
from typing import Any

import pytest

from milp_planner import Calendar, Catalog, InputError, Proof, Status, plan_months
from milp_planner.futures.months.optimum import MonthsAnswer, MonthsOptimizer
from milp_planner.reporting.text.plans.calendar import calendar_text
from tests.futures.test_calendar import signed
from tests.support.builders import catalog, offering, problem, raw, workload

BIG, SMALL = 3.0, 1.7
"""USD/h on demand; big carries 2 requests/s, small 1."""

BOUND = 0.6 * BIG
"""USD/h of a big unit that is signed for two months."""

MONTH = 720
MOST_SIGNED, MOST_RENTED = 3, 4
CHANCES = {"low": 0.6, "high": 0.4}
COURSES = {"low": (1.0, 0.5, 0.5), "high": (1.0, 1.5, 2.0)}
TERM, MONTHS, LOAD = 2, 3, 3.0


@dataclass(frozen=True)
class Case:
    """What is asked, in the words of the oracle."""

    at_end: str = "extend"
    known_from: int | None = None
    trend: float = 1.0
    added: float = 0.0
    removed: float = 0.0
    most_changed: int | None = None
    most_big: float = inf
    budget: float = inf
    risk: tuple[str, str, float | None, float] = ("expected", "", None, 1.0)
    """Measure, of, level, weight."""

    value: float = 0.0
    """USD per million requests."""

    def problem(self) -> Any:
        futures = [{"name": n, "probability": p} for n, p in CHANCES.items()]
        fields: dict[str, Any] = {"limits": {}, "switching": {}}
        if self.most_big < inf:
            fields["limits"]["max_gpus"] = {"per_gpu": {"big": int(self.most_big)}}
        if self.budget < inf:
            fields["limits"]["budget"] = {"usd_per_month": self.budget}
        if self.added or self.removed:
            fields["switching"] |= {
                "usd_per_unit_added": self.added,
                "usd_per_unit_removed": self.removed,
            }
        if self.most_changed is not None:
            fields["switching"]["max_units_changed"] = self.most_changed
        measure, of, level, weight = self.risk
        if measure != "expected":
            fields["risk"] = {"measure": measure, "of": of, "weight": weight}
            fields["risk"] |= {} if level is None else {"level": level}
        if self.value:
            fields["value"] = {"usd_per_million_requests": self.value}
        if self.known_from is not None:
            fields["known_from"] = f"{self.known_from} months"
        return problem(
            LOAD,
            futures=futures,
            quotes=[{"offering": "acme/*", "term": f"{TERM} months", "discount": 0.4}],
            horizon={
                "months": MONTHS,
                "at_end": self.at_end,
                "price_trend": self.trend - 1,
                "futures": {n: {"traffic": list(course)} for n, course in COURSES.items()},
            },
            **fields,
        )

    # ---- by trying everything

    def least(self) -> float:
        """What is made small."""
        alone = [min(self.cost(name, s) for s in self._all(range(MONTHS))) for name in CHANCES]
        known = MONTHS if self.known_from is None else self.known_from
        return min(
            self.measured(
                [
                    min(
                        self.cost(name, (*now, *later)) for later in self._all(range(known, MONTHS))
                    )
                    for name in CHANCES
                ],
                alone,
            )
            for now in self._all(range(known))
        )

    def _all(self, months: range) -> Iterator[tuple[int, ...]]:
        return product(range(MOST_SIGNED + 1), repeat=len(months))

    def measured(self, costs: list[float], alone: list[float]) -> float:
        measure, of, level, weight = self.risk
        less = {"regret": alone, "margin": [self.worth(name) for name in CHANCES]}
        counted = [z - c for z, c in zip(costs, less.get(of, (0, 0)), strict=True)]
        chances = list(CHANCES.values())
        mean = sum(p * z for p, z in zip(chances, counted, strict=True))
        if measure == "expected" or inf in counted:
            return mean
        if measure == "worst":
            return (1 - weight) * mean + weight * max(counted)
        assert level is not None
        left, tail = 1 - level, 0.0
        for z, p in sorted(zip(counted, chances, strict=True), reverse=True):
            tail, left = tail + z * min(p, left), left - min(p, left)
        return (1 - weight) * mean + weight * tail / (1 - level)

    def worth(self, name: str) -> float:
        return sum(LOAD * c * MONTH * 3600 / 1e6 * self.value for c in self.courses(name))

    def courses(self, name: str) -> list[float]:
        after = TERM - 1 if self.at_end == "extend" else 0
        return [*COURSES[name], *[COURSES[name][-1]] * after]

    def cost(self, name: str, starts: tuple[int, ...]) -> float:
        """The least of all months of a future, by what is rented in each."""
        paths: dict[tuple[int, int, int], float] = {(0, 0, 0): 0.0}
        for i, course in enumerate(self.courses(name)):
            bound = sum(n for m, n in enumerate(starts) if m <= i < m + TERM)
            later: dict[tuple[int, int, int], float] = {}
            for before, paid in paths.items():
                for now, usd in self._months(LOAD * course, bound, i):
                    moves = self._moves(before, now) if i < MONTHS else 0.0
                    if usd + moves > self.budget * (1 + 1e-9) and i < MONTHS:
                        continue
                    later[now] = min(later.get(now, inf), paid + usd + moves)
            paths = later
        owed = sum(n * max(0, m + TERM - MONTHS) * BOUND * MONTH for m, n in enumerate(starts))
        return min(paths.values(), default=inf) + (owed if self.at_end == "full" else 0.0)

    def _months(
        self, load: float, bound: int, i: int
    ) -> Iterator[tuple[tuple[int, int, int], float]]:
        more = range(MOST_SIGNED + 1) if i >= MONTHS else range(1)
        for big, small, extra in product(range(MOST_RENTED), range(MOST_RENTED + 2), more):
            carries = 2 * (bound + extra + big) + small
            if carries < load - 1e-9 or bound + extra + big > self.most_big:
                continue
            rent = (big * BIG + small * SMALL) * self.trend**i
            yield (bound, big, small), MONTH * (rent + (bound + extra) * BOUND)

    def _moves(self, before: tuple[int, int, int], now: tuple[int, int, int]) -> float:
        changes = [b - a for a, b in zip(before, now, strict=True)]
        if self.most_changed is not None and sum(map(abs, changes)) > self.most_changed:
            return inf
        gone = -sum(c for c in changes if c < 0)
        return self.added * sum(c for c in changes if c > 0) + self.removed * gone


def sold() -> Catalog:
    rows = [offering("acme", "big", BIG), offering("bolt", "small", SMALL)]
    return catalog(rows, [raw("big", 2), raw("small", 1)])


CASES = {
    "a quota": Case(most_big=2, trend=0.9),
    "a quota, told after a month": Case(most_big=2, known_from=1, at_end="pro_rata"),
    "a budget": Case(budget=5_000, at_end="full"),
    "moves": Case(added=700, removed=400, known_from=1),
    "moves and a budget": Case(added=700, removed=400, budget=5_400, at_end="pro_rata"),
    "few changes": Case(most_changed=3, at_end="full"),
    "the worst cost": Case(budget=1e6, risk=("worst", "cost", None, 1.0)),
    "a tail of cost": Case(
        budget=1e6, risk=("cvar", "cost", 0.5, 0.5), known_from=2, at_end="full"
    ),
    "the worst regret": Case(budget=1e6, risk=("worst", "regret", None, 1.0), at_end="pro_rata"),
    "a tail of regret": Case(
        budget=1e6, risk=("cvar", "regret", 0.7, 0.6), trend=1.1, known_from=1
    ),
    "a margin": Case(budget=1e6, risk=("worst", "margin", None, 1.0), value=900.0, trend=0.95),
}


FAST = ("a quota, told after a month", "moves and a budget", "a tail of cost")


def slow_unless(name: str) -> object:
    return name if name in FAST else pytest.param(name, marks=pytest.mark.slow)


@pytest.mark.parametrize("name", [*map(slow_unless, CASES)])
def test_one_program_finds_what_trying_everything_finds(name):
    case = CASES[name]
    found = plan_months(case.problem(), sold(), gap=1e-9)
    assert found is not None
    assert found.proof.programs == 1
    assert found.proof.counted_usd == pytest.approx(case.least(), rel=1e-7)
    assert found.proof.bound_usd == pytest.approx(found.proof.counted_usd, rel=1e-6)
    assert found.proof.program_engines == ("cbc", "highs")


UNSUPPORTED = ("the worst regret",)
"""No weights of the futures make the best schedule the cheapest: there the program finds it."""


@pytest.mark.parametrize(
    "name",
    ["a tail of cost", "the worst regret", "a margin"]
    + [
        pytest.param(name, marks=pytest.mark.slow)
        for name in ("the worst cost", "a tail of regret")
    ],
)
def test_a_risk_alone_takes_no_program(name):
    case = replace(CASES[name], budget=inf)
    found = plan_months(case.problem(), sold(), gap=1e-6)
    assert found is not None
    assert found.proof.programs == (name in UNSUPPORTED)
    least = case.least()
    assert found.proof.bound_usd <= least + 1e-6 * max(1.0, abs(least))
    assert found.proof.counted_usd == pytest.approx(least, rel=1e-6, abs=1e-6)
    if name not in UNSUPPORTED:
        assert (found.proof.rents_checked, found.proof.rents) == (2, 2)
    # What the futures count makes the risk, by the oracle's own arithmetic.
    zero = [0.0] * len(CHANCES)
    counted = [future.counted_usd for future in found.futures]
    again = replace(case, risk=(case.risk[0], "cost", *case.risk[2:]))
    assert again.measured(counted, zero) == pytest.approx(found.proof.counted_usd)


# --- by hand -------------------------------------------------------------------------------------


def only_big(**fields: Any) -> Catalog:
    return catalog([offering("acme", "big", BIG, **fields)], [raw("big", 2)])


def over(months: int, asked: dict[str, Any], rows: Catalog, **horizon: Any) -> Calendar:
    horizon = {"months": months, "at_end": "pro_rata", **horizon}
    found = plan_months(problem(**({"rate": 4.0} | asked), horizon=horizon), rows)
    assert found is not None
    return found


def test_what_a_quota_links_is_signed_for_together():
    # Two units for a and one for b, or the other way round: three for two months at 60 % of
    # $2,160. By itself each has its second one in every other case alone, and rents it then.
    asked = {
        "workloads": [workload(2.0, "a"), workload(2.0, "b")],
        "futures": [
            {"name": "more-a", "probability": 0.5, "workloads": {"a": 2.0}},
            {"name": "more-b", "probability": 0.5, "workloads": {"b": 2.0}},
        ],
        "quotes": [{"offering": "acme/*", "term": "2 months", "discount": 0.4}],
    }
    linked = over(2, asked | {"limits": {"max_gpus": {"per_gpu": {"big": 3}}}}, only_big())
    assert signed(linked) == {"more-a": {1: 3}, "more-b": {1: 3}}
    assert linked.usd == pytest.approx(2 * 3 * 0.6 * 2_160)
    assert {s.workload for s in linked.common} == {""}
    apart = over(2, asked, only_big())
    assert signed(apart) == {"more-a": {1: 2}, "more-b": {1: 2}}
    assert apart.usd == pytest.approx(2 * (2 * 0.6 * 2_160 + 2_160))
    assert "what is signed for one serves it alone" in calendar_text(apart)
    assert "A unit serves one workload here: policy.share holds for" in calendar_text(apart)
    assert "what is signed for one serves it alone" not in calendar_text(linked)


def test_what_runs_today_is_there_and_moves_are_told():
    # Two big carry 4. One is added, dropped for a month at half the load and added again: $1,500.
    # To keep it idle for that month would be $2,160.
    asked = {
        "current_fleet": [{"offering": "acme/big/eu-1", "workload": "chat", "units": 1}],
        "switching": {"usd_per_unit_added": 700, "usd_per_unit_removed": 100},
    }
    found = over(3, asked, only_big(), traffic=[1, 0.5, 1])
    [only] = found.futures
    assert [m.moves_usd for m in only.months] == [700, 100, 700]
    assert [m.rent_usd for m in only.months] == pytest.approx([4_320, 2_160, 4_320])
    assert found.usd == pytest.approx(5 * 2_160 + 1_500)
    text = calendar_text(found)
    assert "moving them costs nothing" not in text
    assert "One program over all months and futures (" in text
    assert " columns): proven by CBC and HiGHS." in text


def test_what_is_paid_already_ends_on_its_day():
    # 45 days are a month and a half: the unit is free, half free, and paid in full.
    asked = {
        "rate": 2.0,
        "commitments": [{"offering": "acme/*", "units": 1, "until": "2026-04-14"}],
    }
    found = over(3, asked, replace(only_big(), read_on=date(2026, 3, 1)))
    assert [m.usd for m in found.futures[0].months] == pytest.approx([0, 1_080, 2_160])


def test_owned_units_stay_and_of_few_there_are_only_so_many():
    # 5 requests/s: two on the one owned unit, two on the one big that there is, one on a small one.
    rows = [
        offering("own", "big", 1.0, billing="owned", max_units=1),
        offering("acme", "big", BIG, max_units=1),
        offering("bolt", "small", 10.0),
    ]
    rows_of = catalog(rows, [raw("big", 2), raw("small", 1)])
    found = over(2, {"rate": 5.0}, rows_of, at_end="full")
    assert signed(found) == {"base": {1: 1}}
    assert found.usd == pytest.approx(2 * 720 * (1 + 3 + 10))
    assert found.owed_usd == 0
    assert "Sign now: 1 x own/big/eu-1 owned to stay ($720 per month)." in calendar_text(found)


def test_traffic_that_stays_unserved_is_told_and_its_price_is_beside_the_money():
    # A month pays for one big: of 4 requests/s two, in the second month of 6 a third.
    asked = {
        "limits": {"budget": {"usd_per_month": 2_500}},
        "policy": {"penalties": {"shortfall": {"usd_per_million_requests": 1_000}}},
    }
    found = over(2, asked, only_big(), traffic=[1, 1.5])
    months = found.futures[0].months
    assert [m.usd for m in months] == pytest.approx([2_160, 2_160])
    assert [m.shortfall_share for m in months] == pytest.approx([1 / 2, 2 / 3])
    # 2 and 4 requests/s for 2,592,000 s at $1,000 a million.
    assert [m.penalties_usd for m in months] == pytest.approx([5_184, 10_368])
    assert found.proof.counted_usd == pytest.approx(2 * 2_160 + 15_552)
    text = calendar_text(found)
    assert "Penalties beside it: $15,552." in text
    assert "Unserved: up to 67 % of the peak, in 2 months, first in month 1." in text


def test_a_month_without_a_plan_is_named():
    asked = {"limits": {"max_gpus": {"per_gpu": {"big": 2}}}}
    with pytest.raises(InputError, match="month 3 of future 'base' has no plan even by itself"):
        over(3, asked, only_big(), traffic=[1, 1, 1.5])


def test_where_time_ends_there_are_signings_and_what_none_comes_below(monkeypatch):
    case = CASES["a quota"]
    whole = MonthsOptimizer.best

    def until_late(self: MonthsOptimizer, measure: Any, **how: Any) -> MonthsAnswer:
        if how.get("alone"):
            return whole(self, measure, **how)
        return MonthsAnswer(Status.NO_PLAN, Proof(certified=False, certified_by=()))

    monkeypatch.setattr(MonthsOptimizer, "best", until_late)
    found = plan_months(case.problem(), sold())
    assert found is not None
    # Each month by itself: what is signed had by the month.
    least = case.least()
    assert found.proof.bound_usd <= least <= found.proof.counted_usd * (1 + 1e-9)
    assert found.proof.bound_usd > 0.9 * least
    assert found.proof.program_engines == ()
    assert "columns): not proven: it ended before that." in calendar_text(found)


def test_a_term_is_over_after_its_months():
    # Two months at 60 % of $2,160, then one rented: to sign anew would be 1.2 times that.
    asked = {
        "rate": 2.0,
        "quotes": [{"offering": "acme/*", "term": "2 months", "discount": 0.4}],
        "limits": {"budget": {"usd_per_month": 3_000}},
    }
    found = over(3, asked, only_big(), at_end="full")
    assert [m.bound_units for m in found.futures[0].months] in ([1, 1, 0], [0, 1, 1])
    assert found.usd == pytest.approx(2 * 0.6 * 2_160 + 2_160)
    assert found.owed_usd == 0
