"""Twice the workloads, blocks or classes take twice the steps: nothing is looked through for each.

Steps are lines of the planner that run: what solvers do is not among them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from milp_planner import Catalog, Offering, Problem, evaluate, prepare, solve
from milp_planner.candidates.builder import excluded_by
from milp_planner.inputs.problem.records import Limits
from milp_planner.questions.solve import workloads_without_candidates
from tests.support.builders import BIG, SMALL, big_and_small
from tests.support.growth.steps import growth, steps_of

LIMITS = {"max_gpus": {"total": 10_000}, "providers": {"max_share": 0.9}}
LINEAR = 2.2
"""Sizes n, 2n and 4n: twice as much is added the second time, four times as much by a square."""


@pytest.fixture(scope="module")
def known() -> Catalog:
    return big_and_small()


def sized(workloads: int = 2, blocks: int = 2, classes: int = 2, **fields: Any) -> Problem:
    weights = [1 + (hour * 7 % 24) / 24 for hour in range(24)]  # 24 different hours
    traffic = {
        "kind": "profile",
        "requests_per_day": 400_000,
        "weights": weights,
        "max_blocks": blocks,
    }
    requests = [
        {"input_tokens": 1 + q, "output_tokens": 1, "share": 1 / classes} for q in range(classes)
    ]
    each = {"llm": "tiny", "traffic": traffic, "requests": requests}
    rows = [{"name": f"w{i}", **each} for i in range(workloads)]
    return Problem(name="p", workloads=rows, alternatives={"count": 0}, **fields)


@pytest.mark.parametrize("grown", ["workloads", "blocks", "classes"])
def test_a_fleet_of_twice_the_size_takes_twice_the_steps_to_judge(
    grown: str, known: Catalog
) -> None:
    def steps(size: int) -> int:
        problem = sized(**{grown: size}, limits=LIMITS)
        fleet = {f"{w.name}:{o}": 50 for w in problem.workloads for o in (BIG, SMALL)}
        return steps_of(lambda: evaluate(problem, fleet, known))

    steps(1 + (grown != "workloads"))  # what is imported on the way
    assert growth(map(steps, (6, 12, 24))) < LINEAR


def test_the_limits_are_held_against_each_offering_once_for_all_workloads(
    known: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def counted(limits: Limits, offering: Offering) -> str:
        asked.append(offering.id)
        return excluded_by(limits, offering)

    monkeypatch.setattr("milp_planner.candidates.listing.excluded_by", counted)
    given = prepare(sized(workloads=3), known)
    assert asked == [BIG, SMALL]
    assert len(given.candidates.candidates) == 6  # two for each of three workloads


def test_twice_the_workloads_take_twice_the_steps_to_list_and_to_plan(known: Catalog) -> None:
    def steps(count: int) -> int:
        problem = sized(workloads=count, blocks=1, classes=1)
        return steps_of(lambda: (prepare(problem, known), solve(problem, known)))

    steps(2)
    assert growth(map(steps, (10, 20, 40))) < LINEAR


def test_fifty_a_hundred_and_two_hundred_workloads_are_looked_through_once(known: Catalog) -> None:
    def sizes() -> Iterator[Problem]:
        yield from (sized(workloads=n, blocks=1, classes=1, limits=LIMITS) for n in (50, 100, 200))

    def judged(problem: Problem) -> int:
        fleet = {f"{w.name}:{BIG}": 50 for w in problem.workloads}
        return steps_of(lambda: evaluate(problem, fleet, known))

    def found(problem: Problem) -> int:
        return steps_of(lambda: [problem.workload(w.name) for w in problem.workloads])

    def unserved(problem: Problem) -> int:
        given = prepare(problem, known)
        return steps_of(lambda: [*workloads_without_candidates(given)])

    judged(next(sizes()))
    for steps in (judged, found, unserved):
        assert growth(map(steps, sizes())) < LINEAR, steps.__name__
