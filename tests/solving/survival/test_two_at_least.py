"""A row that tightens survival cuts off no fleet that survives."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import prepare, solve
from milp_planner.candidates.rerouting import most_served
from milp_planner.milp.program.limits.survival import LossSurvived
from milp_planner.milp.program.model import build_model
from tests.support.builders import big_and_small, catalog, offering, problem, raw, with_tokens
from tests.support.examples import tries

SURVIVE = {"survive_loss_of": "provider"}


def rows_of(question, rented):
    """The model, and the rows of losses that say two are needed."""
    asked = prepare(question, rented)
    model = build_model(asked, asked.candidates.candidates)
    return model, [row for row in LossSurvived().rows(model.fleet) if row.name.endswith("two")]


def test_two_units_that_could_each_do_all_are_needed():
    # 9 requests/s: big carries 10, small 3. r = 1, so that half of 9 counts as all: a small one
    # for 2 × 3 / 9 = 2 / 3.
    model, (row,) = rows_of(problem(9, limits=SURVIVE), big_and_small())
    counted = {model.fleet.meaning[v.name]: 2 * c for v, c in row.terms.items()}
    assert sorted(counted.values()) == pytest.approx([2 / 3, 1])
    assert row.right == 1


@pytest.mark.parametrize(
    ("question", "rented"),
    [
        (problem(9), big_and_small()),
        (problem(9, limits={"survive_loss_of": "spot"}), big_and_small()),
        (
            problem(9, limits={**SURVIVE, "billing": {"allow": ["dedicated", "per_token"]}}),
            with_tokens(),
        ),
        (
            problem(
                9,
                limits=SURVIVE,
                policy={"penalties": {"shortfall": {"usd_per_million_requests": 9}}},
            ),
            big_and_small(),
        ),
    ],
)
def test_there_is_none_where_it_would_not_hold(question, rented):
    assert rows_of(question, rented)[1] == []


units = st.tuples(st.sampled_from(["acme", "bolt", "coda"]), st.sampled_from([1.0, 2.3, 4.0, 7.1]))


@given(
    st.lists(units, min_size=2, max_size=4),
    st.sampled_from([2.0, 3.9, 6.5]),
    st.sampled_from([0.4, 0.5, 0.8, 1.0]),
    st.sampled_from([0.6, 1.0]),
)
@tries(1)
def test_every_fleet_that_survives_keeps_it(some, load, share, target):
    rates = {f"gpu{i}": rate for i, (_, rate) in enumerate(some)}
    boxes = catalog(
        [offering(seller, f"gpu{i}", 1.0) for i, (seller, _) in enumerate(some)],
        [raw(gpu, rate) for gpu, rate in rates.items()],
    )
    limits = {"survive_loss_of": {"kind": "provider", "share": share}}
    model, rows = rows_of(problem(load, limits=limits, target=target), boxes)
    (row,) = rows
    columns = {k: column for (k, _, _), column in model.fleet.units.items()}
    for on in product(range(5), repeat=len(columns)):
        fleet = dict(zip(columns, on, strict=True))
        carried = sum(k.mix_requests_per_second * n for k, n in fleet.items())
        left = [
            sum(k.mix_requests_per_second * n for k, n in fleet.items() if k.provider != lost)
            for lost in {k.provider for k in fleet}
        ]
        if target * carried >= load and min(left) >= share * load:
            assert sum(row.terms[columns[k]] * n for k, n in fleet.items()) >= 1 - 1e-9


two_rates = st.tuples(
    st.sampled_from(["acme", "bolt"]), st.sampled_from([1.5, 4.0]), st.sampled_from([0.5, 1.2, 3.0])
)


@given(
    st.lists(two_rates, min_size=2, max_size=3),
    st.sampled_from([2.0, 3.9]),
    st.sampled_from([0.5, 1.0]),
    st.sampled_from([0.6, 1.0]),
)
@tries(0.5)
def test_by_any_weights_every_fleet_that_survives_keeps_it(some, load, share, target):
    sizes = [(1, 1), (10, 10)]
    boxes = catalog(
        [offering(seller, f"gpu{i}", 1.0 + i) for i, (seller, *_) in enumerate(some)],
        [
            raw(f"gpu{i}", rate, size=size)
            for i, (_, *rates) in enumerate(some)
            for rate, size in zip(rates, sizes, strict=True)
        ],
    )
    requests = [{"input_tokens": i, "output_tokens": o, "share": 0.5} for i, o in sizes]
    limits = {"survive_loss_of": {"kind": "provider", "share": share}}
    question = problem(load, chat={"requests": requests}, limits=limits, target=target)
    model, rows = rows_of(question, boxes)
    columns = {k: column for (k, _, _), column in model.fleet.units.items()}
    wanted = (load / 2, load / 2)

    def times(fleet):
        return most_served(wanted, [(n, k.requests_per_second) for k, n in fleet], (0, 0)).times

    assert len(rows) > 0
    for on in product(range(4), repeat=len(columns)):
        fleet = list(zip(columns, on, strict=True))
        left = [
            times([(k, n) for k, n in fleet if k.provider != lost])
            for lost in {k.provider for k in columns}
        ]
        if target * times(fleet) >= 1 and min(left) >= share:
            for row in rows:
                assert sum(row.terms[columns[k]] * n for k, n in fleet) >= 1 - 1e-9


def test_the_optimum_is_the_same_without_it(monkeypatch):
    question = problem(9, limits=SURVIVE)
    with_it = solve(question, big_and_small())
    monkeypatch.setattr("milp_planner.milp.program.limits.survival._two_at_least", lambda *_: ())
    assert solve(question, big_and_small()).costs == with_it.costs
