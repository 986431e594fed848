"""What each measure of risk commits to, against every number of units tried in plain arithmetic."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from milp_planner import Plan, Status, solve
from tests.futures.test_commit_or_rent import (
    ON_DEMAND,
    RESERVED,
    commit_or_rent,
    l40s,
    units,
)

NEEDED = {"flop": 5, "base": 19, "hit": 56}
LIKELY = {"flop": 0.4, "base": 0.4, "hit": 0.2}
TRAFFIC = {"flop": 0.25, "base": 1.0, "hit": 3.0}
BREAK_EVEN = 19 * 720 * RESERVED
"""What base costs at least: traffic worth that in base is worth nothing beyond."""


def cost(name: str, bound: int) -> float:
    return 720 * (RESERVED * bound + ON_DEMAND * max(0, NEEDED[name] - bound))


def counted(of: str, bound: int, times: float) -> dict[str, float]:
    alone = {name: 720 * RESERVED * n for name, n in NEEDED.items()}
    less = {
        "cost": dict.fromkeys(NEEDED, 0.0),
        "regret": alone,
        "margin": {name: times * BREAK_EVEN * TRAFFIC[name] for name in NEEDED},
    }[of]
    return {name: cost(name, bound) - less[name] for name in NEEDED}


def tail_mean(of: dict[str, float], share: float) -> float:
    """The mean of the worst `share` of the probability, an outcome at a time."""
    total, left = 0.0, share
    for name in sorted(of, key=lambda n: -of[n]):
        part = min(left, LIKELY[name])
        total += part * of[name]
        left -= part
    return total / share


@cache
def tried(of: str, measure: str, level: float, weight: float, times: float) -> tuple[int, float]:
    """The number of units, of all up to 59, that comes to least, and what it comes to."""

    def minimised(bound: int) -> float:
        futures = counted(of, bound, times)
        mean = sum(LIKELY[name] * usd for name, usd in futures.items())
        risk = max(futures.values()) if measure == "worst" else tail_mean(futures, 1 - level)
        return (1 - weight) * mean + weight * risk

    best = min(range(60), key=minimised)
    return best, minimised(best)


def asked(of: str, measure: str, level: float, weight: float, times: float) -> Plan:
    risk: dict[str, Any] = {"measure": measure, "of": of, "weight": weight}
    if measure == "cvar":
        risk["level"] = level
    value = {}
    if of == "margin":
        requests = 200 * 3600 * 720
        value = {"value": {"usd_per_million_requests": times * BREAK_EVEN / requests * 1e6}}
    return solve(commit_or_rent(risk=risk, **value), l40s(), diagnose=False)


@pytest.mark.parametrize(
    ("of", "measure", "level", "weight", "times", "right"),
    [
        ("cost", "cvar", 0.5, 0.5, 1, 19),
        ("cost", "worst", 0.9, 1.0, 1, 56),
        ("regret", "cvar", 0.5, 0.5, 1, 10),
        ("regret", "cvar", 0.8, 0.5, 1, 19),
        ("regret", "worst", 0.9, 1.0, 1, 24),
        ("margin", "cvar", 0.9, 0.5, 1, 19),
        ("margin", "cvar", 0.9, 0.5, 1.5, 6),
        ("margin", "worst", 0.9, 1.0, 1.5, 6),
    ],
)
def test_a_measure_commits_to_what_trying_all_says(of, measure, level, weight, times, right):
    best, usd = tried(of, measure, level, weight, times)
    plan = asked(of, measure, level, weight, times)
    assert plan.status is Status.OPTIMAL
    assert plan.futures is not None
    assert plan.futures.minimised_usd_per_month == pytest.approx(usd, abs=0.02)
    assert plan.futures.bound_usd_per_month == pytest.approx(usd, abs=0.02)
    assert (units(plan), best) == (right, right)
    # what does not count for the worst is still no dearer than it must be
    for one in plan.futures.outcomes:
        assert one.usd_per_month == pytest.approx(cost(one.name, right), abs=0.01)
