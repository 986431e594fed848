"""What workloads cost at least, as rows of the program in which they may share units."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from milp_planner import prepare
from milp_planner.milp.presolve.dominance import prune
from milp_planner.milp.presolve.lazy_rows import only_blocks
from milp_planner.milp.presolve.least_costs import costs_by_workload, hold_least
from milp_planner.milp.program.model import FleetModel, build_model
from milp_planner.solving.results import KnownParts
from tests.milp.sharing.test_shared_units import NODE, nodes, two
from tests.support.builders import problem, workload


def program(**policy) -> FleetModel:
    instance = prepare(two(share=None, policy=policy), nodes())
    return build_model(instance, tuple(prune(instance, instance.candidates.candidates).kept))


def test_a_replica_costs_its_part_of_the_unit_and_a_unit_of_ones_own_all_of_it():
    model = program()
    known = costs_by_workload(model)
    assert known is not None
    for (k, _, _), units in model.fleet.units.items():
        part = k.gpus_per_unit / 8 if k.part_of_unit else 1
        assert known[k.workload][units] == pytest.approx(part * NODE)
    assert {k.part_of_unit for k, _, _ in model.fleet.units} == {True, False}


def test_what_is_known_becomes_rows_of_like_size():
    model = program()
    before = len(model.row_meaning)
    names = sorted({k.workload for k in model.fleet.candidates})
    hold_least(model, {(names[0],): NODE / 8, tuple(names): NODE})
    told = [*model.row_meaning.values()][before:]
    assert told == [f"least cost {names[0]}", f"least cost {' '.join(names)}"]
    rows = [*model.lp.constraints()][before:]
    assert [0.0 - row.constant for row in rows] == pytest.approx([1, 1], rel=1e-5)


def test_nothing_is_held_where_anything_but_units_costs():
    model = program(penalties={"scaling": {"above_gpus": 1, "usd_per_gpu": 300}})
    assert costs_by_workload(model) is None
    before = len(model.row_meaning)
    hold_least(model, {(model.fleet.candidates[0].workload,): NODE})
    assert len(model.row_meaning) == before


def by_day():
    day = {"kind": "profile", "requests_per_day": 4e5, "weights": [1] * 12 + [2] * 12}
    loads = [
        {**workload(5, name), "traffic": {**day, "max_blocks": 2}} for name in ("chat", "code")
    ]
    return prepare(problem(workloads=loads), nodes())


def test_plans_of_all_blocks_are_none_of_some_of_them():
    # Whether blocks are solved apart goes by the size of a program, larger with parts of units.
    instance = by_day()
    every = tuple(block.name for block in instance.schedule.blocks)
    whole = {(name,): SimpleNamespace(plan=name) for name in ("chat", "code")}
    known = KnownParts(own={(names, every): one for names, one in whole.items()})
    assert known.own_of(instance) == [*whole.values()]
    assert known.own_of(only_blocks(instance, [0])) == []


def test_nothing_is_held_over_several_blocks():
    instance = by_day()
    model = build_model(instance, tuple(prune(instance, instance.candidates.candidates).kept))
    assert len(model.fleet.blocks) == 2
    before = len(model.row_meaning)
    hold_least(model, {("chat",): NODE})
    assert len(model.row_meaning) == before
