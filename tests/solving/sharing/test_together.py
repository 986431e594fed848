"""Workloads that share units, out of what each may choose: by hand, and as the program of all."""

from __future__ import annotations

import random

import numpy as np
import pytest

from milp_planner import Plan, Problem, Status, solve
from milp_planner.milp.curves.shared import choices, program
from milp_planner.milp.curves.shared.choices import Choice, InBlock, not_beaten
from milp_planner.milp.curves.shared.program import SharedUnit, together
from milp_planner.solving import parts, search
from milp_planner.solving import together as joint
from tests.milp.sharing.test_shared_units import NODE, nodes, stands, two
from tests.support.builders import catalog, offering, problem, raw, workload

SHORT, LONG = (1, 1), (10, 10)
CURVES = "capacity curves"


@pytest.fixture(autouse=True)
def _small_programs_are_looked_at_too(monkeypatch):
    monkeypatch.setattr(joint, "MOST_COLUMNS", 0)
    monkeypatch.setattr(parts, "MOST_COLUMNS", 0)


def test_a_node_is_filled_by_two():
    # Half a GPU each: an eighth of a node is the least that each costs, and a node holds both.
    plan = solve(two(share=None), nodes())
    assert plan.status is Status.OPTIMAL
    assert plan.proof.certified_by[0] == CURVES
    assert plan.cash_usd_per_month == pytest.approx(NODE)
    assert stands(plan) == [[("chat", 1, 1), ("code", 1, 1)]]


def test_what_is_cheaper_only_for_parts_of_units_is_left():
    # By itself each is best off with a small unit for $3; two GPUs of a node of eight come to $2
    # at their part, and the node to $8: two of $3 cost less, three more.
    own, half = InBlock(3, 3, (0,), (1, 0)), InBlock(2, 0, (2,), (0, 1))
    each = [Choice(0.0, (0,), (), ((own, half),))]
    node = [SharedUnit(8, 8.0)]
    for many, cheapest in ((2, 6.0), (3, 8.0), (4, 8.0), (5, 8.0 + 3)):
        asked = together([each] * many, node, [1.0])
        assert cheapest == min(
            asked.numbers.usd(values)
            for values in _every(asked)
            if asked.judged(values) is not None
        )


def _every(asked):
    """All values of the columns, as many units as there are to pay."""
    names = list(asked.numbers.columns)
    counts = [range(int(asked.numbers.columns[name].high) + 1) for name in names]
    grid = np.array(np.meshgrid(*counts)).reshape(len(names), -1).T
    return (dict(zip(names, row.tolist(), strict=True)) for row in grid)


def test_of_equal_choices_the_first_stays():
    usd, gpus = np.array([2.0, 1.0, 1.0, 0.5]), np.array([[0], [1], [1], [4]])
    carried = np.array([[1.0], [1.0], [1.0], [0.9]])
    assert not_beaten(usd, gpus, carried) == [3, 1, 0]
    assert not_beaten(usd, gpus, np.zeros((4, 0))) == [3, 1, 0]
    assert not_beaten(usd, np.zeros((4, 0)), carried) == [3, 1]


# --- against the program of all ------------------------------------------------------------------


def market(seed: int):
    """Single GPUs and nodes, some of them spot, held or by the hour; nodes cost less for a GPU."""
    rng = random.Random(seed)
    offers, rates = [], []
    for i in range(rng.randint(2, 3)):
        usd, billing = rng.randint(10, 40) / 10, rng.choice(["dedicated", "autoscaling", "spot"])
        gpus = rng.choice([2, 4])
        node = usd * gpus * rng.choice([0.5, 0.7, 0.9])
        offers.append(offering(f"p{i}", f"g{i}", usd, name="one", billing="autoscaling"))
        whole = {"name": "node", "gpus_per_unit": gpus, "billing": billing}
        offers.append(offering(f"p{i}", f"g{i}", round(node, 2), **whole))
        fast = rng.choice([2, 4, 8])
        rates += [raw(f"g{i}", fast), raw(f"g{i}", fast / rng.choice([2, 3, 5]), size=LONG)]
    return catalog(offers, rates)


def asked(seed: int) -> Problem:
    """Two or three workloads of one or two classes over up to three blocks."""
    rng = random.Random(1000 + seed)
    loads = []
    for name in ("chat", "code", "mail")[: rng.randint(2, 3)]:
        share = rng.choice([0.3, 0.6])
        sizes = [(1, 1, share), (10, 10, 1 - share)] if rng.random() < 0.4 else [(1, 1, 1.0)]
        requests = [{"input_tokens": i, "output_tokens": o, "share": s} for i, o, s in sizes]
        traffic = {
            "kind": "profile",
            "requests_per_day": 86_400 * rng.randint(1, 6),
            "weights": [rng.choice([1, 2, 3]) for _ in range(24)],
            "max_blocks": rng.randint(1, 3),
        }
        loads.append(workload(name=name, traffic=traffic, requests=requests))
    limits = {"billing": {"allow": ["dedicated", "autoscaling", "spot"]}}
    if rng.random() < 0.7:
        limits["spot_share"] = rng.choice([0.4, 0.7])
    return problem(workloads=loads, limits=limits)


def both_ways(seed: int, monkeypatch) -> tuple[Plan, Plan]:
    mine = solve(asked(seed), market(seed), alternatives=0, diagnose=False)
    with monkeypatch.context() as apart:
        apart.setattr(search, "best_together", lambda *told: None)
        other = solve(asked(seed), market(seed), alternatives=0, diagnose=False)
    return mine, other


def are_alike(seeds, monkeypatch) -> int:
    """How many of these are proven out of choices; none scores other than by the program of all."""
    by_choices = 0
    for seed in seeds:
        mine, other = both_ways(seed, monkeypatch)
        assert mine.status == other.status, seed
        assert mine.score_usd_per_month == pytest.approx(other.score_usd_per_month), seed
        by_choices += CURVES in mine.proof.certified_by and len(mine.proof.certified_by) > 1
    return by_choices


def test_the_program_of_all_finds_the_same(monkeypatch):
    assert are_alike(range(5), monkeypatch) > 0


@pytest.mark.slow
def test_the_program_of_all_finds_the_same_of_many(monkeypatch):
    assert are_alike(range(100, 125), monkeypatch) > 5


def test_what_takes_too_many_lists_is_solved_all_the_same(monkeypatch):
    plan = solve(two(share=None), nodes())
    for module, name in (
        (choices, "MOST_HELD"),
        (choices, "MOST_OPTIONS"),
        (program, "MOST_OPTIONS"),
    ):
        monkeypatch.setattr(module, name, -1)
        again = solve(two(share=None), nodes())
        assert again.proof.certified_by == ("cbc", "highs")
        assert again.score_usd_per_month == pytest.approx(plan.score_usd_per_month)


def test_choices_that_another_count_does_not_find_again_prove_nothing(monkeypatch):
    monkeypatch.setattr(choices.Sharer, "are_among", lambda *told: False)
    assert solve(two(share=None), nodes()).proof.certified_by == ("cbc", "highs")
