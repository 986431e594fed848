"""Shared units under several keys at once, against every fleet filled in every way.

Where sharing is open as well as where it is said, with pruning and without; each plan is read back,
and costs in `evaluate` what it was found to cost.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace

import pytest

from milp_planner import Plan, evaluate, solve
from milp_planner.inputs.problem.records import Problem
from tests.support.oracles.shared_cases import KINDS, as_catalog, as_problem, question
from tests.support.oracles.shared_fleets import Question, scores

NOT_TOGETHER = (
    ({"volume", "commitments"}, "volume"),  # of the same offerings: refused
    ({"volume", "power"}, "volume"),  # volume is of what is on demand
    ({"commitments", "spot"}, "commitments"),  # nobody commits to spot
    ({"commitments", "on_demand"}, "commitments"),
    ({"power", "spot"}, "spot"),  # one says who owns a unit, the other that it may be spot
    ({"power", "on_demand"}, "on_demand"),
)


def drawn(seed: int) -> Question:
    """Two to five kinds of keys, and units at a price of 0 in a third of all."""
    r = random.Random(seed)
    kinds = {*r.sample([*KINDS], r.choice([2, 3, 4, 5]))}
    for together, out in NOT_TOGETHER:
        kinds -= {out} if together <= kinds else set()
    asked = question(seed, sorted(kinds))
    first, *others = asked.sold
    if r.random() < 1 / 3 and first.billing != "spot" and not {"volume", "power"} & kinds:
        first = replace(first, usd_per_hour=0.0, max_units=r.choice([1, 2]))
    return replace(asked, sold=(first, *others))


def problems(asked: Question) -> Iterator[Problem]:
    """Where sharing is said, and where it is open, if units are shared then as well."""
    said = as_problem(asked)
    yield said
    if len(asked.loads) > 1 and all(one.gpus in (1, 2) for one in asked.sold):
        yield said.changed({"policy.share": None})


def judged(seed: int) -> None:
    asked = drawn(seed)
    best = min(scores(asked).values(), default=None)
    rented = as_catalog(asked)
    for one in problems(asked):
        for pruning in (True, False):
            plan = solve(one, rented, pruning=pruning, diagnose=False)
            found = plan.score_usd_per_month
            assert found == (None if best is None else pytest.approx(best, abs=0.01)), seed
        if best is not None:
            document = plan.to_dict()
            again = Plan.from_dict(document)
            assert again.to_dict() == document
            priced = evaluate(one, again, rented)
            assert priced.keeps_all_limits, (seed, priced.breaches)
            assert priced.score_usd_per_month == pytest.approx(best, abs=0.01), seed


@pytest.mark.parametrize("seed", range(4))
def test_no_fleet_scores_less(seed: int) -> None:
    judged(seed)


@pytest.mark.slow
def test_no_fleet_of_many_scores_less() -> None:
    for seed in range(100, 400):
        judged(seed)
