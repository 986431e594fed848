"""A good fleet of a large program, step by step, and programs as plain numbers."""

from __future__ import annotations

import math
import random

import pytest

from milp_planner import Status, prepare, solve
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.presolve import held_first as steps
from milp_planner.milp.presolve.held_first import elastic_columns, held_first
from milp_planner.milp.presolve.numbers import Column, NumberRow, Numbers
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.routes import covered
from milp_planner.solving import optimum
from tests.support.builders import catalog, offering, problem, raw, workload

DAY_AND_NIGHT = {
    "kind": "profile",
    "requests_per_day": 86_400 * 6,
    "weights": [1] * 12 + [2] * 12,
    "max_blocks": 2,
}
"""4 requests/s for half of the day, 8 for the other."""

SIZES = ((1, 1), (10, 10))
HALVES = [{"input_tokens": i, "output_tokens": o, "share": 0.5} for i, o in SIZES]


def held_and_elastic():
    """4 requests/s of either class for $1/h all month, or for $1.50/h by the hour."""
    return catalog(
        [
            offering("acme", "a", 1.0),
            offering("bolt", "b", 1.5, billing="autoscaling"),
        ],
        [raw(gpu, 4, size=size) for gpu in "ab" for size in SIZES],
    )


def modelled(question, rented):
    ready = prepare(question, rented)
    return build_model(ready, ready.candidates.candidates)


@pytest.fixture
def in_steps(monkeypatch):
    """However few columns there are."""
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)
    monkeypatch.setattr(steps, "LEAST_ELASTIC", 1)


# --- plain numbers ------------------------------------------------------------------------------


def test_what_is_held_leaves_programs_that_nothing_links():
    # a + b ≥ 3, b + c ≥ 4, d ≥ 1: with b at 2, a ≥ 1, c ≥ 2 and d ≥ 1 are three programs.
    free = Column(0.0, math.inf, True, 1.0)
    numbers = Numbers(
        dict.fromkeys("abcd", free),
        {
            "first": NumberRow("G", 3.0, {"a": 1.0, "b": 1.0}),
            "second": NumberRow("G", 4.0, {"b": 1.0, "c": 1.0}),
            "third": NumberRow("G", 1.0, {"d": 1.0}),
        },
    )
    assert [set(part.columns) for part in numbers.apart()] == [{"a", "b", "c"}, {"d"}]
    parts = list(numbers.holding({"b": 2.0}).apart())
    assert [(set(part.columns), [row.right for row in part.rows.values()]) for part in parts] == [
        ({"a"}, [1.0]),
        ({"c"}, [2.0]),
        ({"d"}, [1.0]),
    ]
    assert numbers.usd({"a": 1, "b": 2, "c": 2, "d": 1}) == 6


def test_numbers_are_the_program_that_they_are_of(tmp_path):
    model = modelled(
        problem(chat={"traffic": DAY_AND_NIGHT, "requests": HALVES}), held_and_elastic()
    )
    whole, plain = tmp_path / "whole.mps", tmp_path / "plain.mps"
    model.write_mps(whole)
    Numbers.of(model).write_mps(plain)
    one, other = (run_highs(mps, time_limit_s=60) for mps in (whole, plain))
    assert one.objective == pytest.approx(other.objective)
    assert Numbers.of(model).usd(other.values) == pytest.approx(other.objective)


# --- the steps ----------------------------------------------------------------------------------


def test_what_is_held_is_chosen_first_then_every_block_its_own(in_steps):
    # One of acme's carries the night, $720; by day one more is $720 held, or 360 h × $1.50 = $540.
    question = problem(chat={"traffic": DAY_AND_NIGHT, "requests": HALVES})
    model = modelled(question, held_and_elastic())
    assert len(elastic_columns(model.fleet)) == 2
    found = held_first(model, 60.0)
    assert found is not None
    assert Numbers.of(model).usd(found.values) == pytest.approx(720 + 540)
    # Fractions cost as much: what is held serves for $180 a request/s, by day alone it is $135.
    assert found.bound == pytest.approx(720 + 540)


def test_a_block_for_which_nothing_is_left_makes_no_fleet(in_steps):
    question = problem(
        chat={"traffic": DAY_AND_NIGHT, "requests": HALVES}, limits={"max_gpus": {"total": 1}}
    )
    assert held_first(modelled(question, held_and_elastic()), 60.0) is None


def test_no_time_makes_no_fleet(in_steps):
    question = problem(chat={"traffic": DAY_AND_NIGHT, "requests": HALVES})
    assert held_first(modelled(question, held_and_elastic()), 0.0) is None


def drawn(seed: int):
    """Two workloads of two classes by day and night, under a quota that may bind."""
    chance = random.Random(seed)
    gpus = "abc"
    rented = catalog(
        [
            offering(
                chance.choice(["acme", "bolt"]),
                gpu,
                chance.choice([1.0, 1.7, 2.9]),
                billing=chance.choice(["dedicated", "autoscaling"]),
                name=f"{gpu}{i}",
            )
            for i, gpu in enumerate(gpus + gpus)
        ],
        [raw(gpu, chance.choice([1.5, 2, 3, 5.5]), size=size) for gpu in gpus for size in SIZES],
    )
    loads = [
        {
            **workload(1, name),
            "requests": HALVES,
            "traffic": {**DAY_AND_NIGHT, "requests_per_day": 86_400 * chance.choice([3, 6, 7])},
        }
        for name in ("chat", "code")
    ]
    limits = {"max_gpus": {"per_provider": {"acme": chance.choice([2, 4, 9])}}}
    return problem(workloads=loads, limits=limits), rented


@pytest.mark.parametrize("seeds", [range(3), pytest.param(range(3, 60), marks=pytest.mark.slow)])
def test_steps_keep_every_row_and_change_no_optimum(seeds, in_steps, monkeypatch):
    called = []
    monkeypatch.setattr(optimum, "held_first", lambda *a: called.append(a) or held_first(*a))
    for seed in seeds:
        question, rented = drawn(seed)
        plan = solve(question, rented, diagnose=False)
        with monkeypatch.context() as explicit:  # columns for routes, and no steps
            explicit.setattr(covered, "MOST_ROUTES", 10_000)
            whole = solve(question, rented, diagnose=False)
        assert plan.status is whole.status
        model = modelled(question, rented)
        found = held_first(model, 60.0)
        if whole.status is not Status.OPTIMAL:
            assert found is None, seed
            continue
        assert plan.score_usd_per_month == pytest.approx(whole.score_usd_per_month), seed
        if found is None:
            continue  # what is held leaves some block nothing
        values = found.values
        usd = Numbers.of(model).usd(values)
        assert found.bound <= min(usd, whole.score_usd_per_month) * (1 + 1e-9), seed
        for row in Numbers.of(model).rows.values():
            side = sum(c * values[name] for name, c in row.terms.items())
            assert {
                "G": side >= row.right - 1e-6,
                "L": side <= row.right + 1e-6,
                "E": side == pytest.approx(row.right),
            }[row.sense], seed
    assert called
