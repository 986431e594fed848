"""Programs that have rows by prices of classes instead of columns for who serves whom."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from pathlib import Path

import highspy
import pytest

from milp_planner import Problem, Status, prepare, solve
from milp_planner.milp.curves.listed import lists
from milp_planner.milp.engines.outcome import EngineStatus
from milp_planner.milp.program.enough_units import with_enough_units
from milp_planner.milp.program.language.class_prices import ClassPrices
from milp_planner.milp.program.levels import Splits
from milp_planner.milp.program.model import build_model
from milp_planner.milp.program.routed_fleets import learn_prices, with_routes
from milp_planner.milp.program.routes import covered, rows
from milp_planner.milp.program.routes.rows import price_row
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.solving import optimum
from tests.support.builders import catalog, offering, problem, raw, token_price

SHORT, LONG = (1, 1), (10, 10)
HALVES = [
    {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
    {"input_tokens": 10, "output_tokens": 10, "share": 0.5},
]
GOLDEN = Path(__file__).parents[2] / "golden" / "class-prices.lp.txt"


@pytest.fixture
def by_prices(monkeypatch):
    """However few columns that saves."""
    monkeypatch.setattr(covered, "MOST_ROUTES", 0)


@pytest.fixture
def knows_little(by_prices, monkeypatch):
    """Each class alone, and every request alike, are all prices that a fresh program knows."""
    monkeypatch.setattr(rows, "FIRST_WORK", 0)


def two_kinds(**fields):
    """Fast: 8 short requests/s or 2 long ones. Even: 4 of either kind."""
    return catalog(
        [offering("acme", "fast", 3.0), offering("bolt", "even", 4.0)],
        [raw("fast", 8), raw("fast", 2, size=LONG), raw("even", 4), raw("even", 4, size=LONG)],
        **fields,
    )


def asked(rate=8.0, **fields) -> Problem:
    return problem(rate, chat={"requests": HALVES}, **fields)


def modelled(given: Problem, rented, splits=None):
    ready = prepare(given, rented)
    return build_model(ready, ready.candidates.candidates, splits)


def of_gpu(model, **units):
    """A fleet of so many units by GPU, in every block."""
    blocks = len(model.fleet.blocks)
    return FleetSolution(
        {k: (units[k.gpu],) * blocks for k in model.fleet.candidates if units.get(k.gpu)}
    )


def test_each_class_goes_to_what_is_good_at_it(by_prices):
    # 4 short requests/s are half the work of one fast unit, 4 long ones all of one even: $7/h.
    plan = solve(asked(), two_kinds())
    assert (plan.status, plan.score_usd_per_month) == (Status.OPTIMAL, pytest.approx(7 * 720))
    routes = {(r.candidate.gpu, r.request_class.input_tokens): r.share for r in plan.routes}
    assert routes["even", 10] > 0.7  # the load is spread: fast takes some of the long ones


def test_a_row_counts_a_unit_by_the_class_that_it_is_worth_most_for(by_prices):
    # π = (½, 1½), which is 1 a request of the mix: 8 requests/s are worth 8. A fast unit serves 8
    # short ones, worth 4, or 2 long ones, worth 3; an even one 4 long ones, worth 6.
    model = modelled(asked(), two_kinds())
    row = price_row(model.fleet, "chat", ClassPrices((0.5, 1.5)), 0)
    worth = {k.gpu: row.terms[c] for (k, _, _), c in model.fleet.units.items()}
    assert worth == {"fast": pytest.approx(4 / 8), "even": pytest.approx(6 / 8)}
    assert row.right == pytest.approx(1)


def test_a_unit_counts_for_no_more_than_its_provider_may_serve(by_prices):
    # With every request worth 1 an even unit serves 4 of 5 requests/s, but bolt may serve 60 %.
    model = modelled(asked(5, limits={"providers": {"max_share": 0.6}}), two_kinds())
    row = price_row(model.fleet, "chat", ClassPrices((1, 1)), 0)
    worth = {k.gpu: row.terms[c] for (k, _, _), c in model.fleet.units.items()}
    assert worth == {"fast": pytest.approx(0.6), "even": pytest.approx(0.6)}


def test_what_a_group_is_charged_frees_its_share(by_prices):
    # Requests that bolt serves are worth nothing: the others must do the 40 % that it may not.
    model = modelled(asked(5, limits={"providers": {"max_share": 0.6}}), two_kinds())
    prices = ClassPrices((1, 1), (("ProviderShare", "bolt", 1.0),))
    row = price_row(model.fleet, "chat", prices, 0)
    worth = {k.gpu: row.terms[c] for (k, _, _), c in model.fleet.units.items()}
    assert worth == {"fast": pytest.approx(1), "even": 0}  # 8 of 5 × 0.4 = 2 requests/s, capped


def test_a_fleet_that_has_too_little_teaches_the_price_by_which_it_has(knows_little):
    # Two fast units carry 16 short requests/s and 4 long ones, but not 4 of each.
    model, splits = modelled(asked(), two_kinds()), Splits()
    assert learn_prices(splits, model, of_gpu(model, fast=2))
    (prices,) = splits.prices["chat"]
    # work: a short one takes 1/8 of a unit, a long one 1/2; 4 and 4 of them 2 1/2 units
    assert prices.by_class == pytest.approx((0.4, 1.6))
    row = price_row(model.fleet, "chat", prices, 0)
    worth = {k.gpu: row.terms[c] for (k, _, _), c in model.fleet.units.items()}
    assert 2 * worth["fast"] == pytest.approx(2 / 2.5)


def test_what_has_enough_teaches_nothing_and_is_routed(by_prices):
    model, splits = modelled(asked(), two_kinds()), Splits()
    enough = of_gpu(model, fast=1, even=1)
    assert not learn_prices(splits, model, enough)
    shares = with_routes(model, enough).shares
    for q in range(2):
        assert sum(x for (_, p, _), x in shares.items() if p == q) == pytest.approx(1)


def test_a_class_of_next_to_no_requests_is_served_too(by_prices):
    # 4 short requests/s and 1 long one are half a fast unit each. One request in 10¹³ is between.
    sizes = [{"input_tokens": n, "output_tokens": n} for n in (1, 10, 2)]
    shares = [0.8 - 1e-13, 0.2, 1e-13]
    classes = [{**q, "share": share} for q, share in zip(sizes, shares, strict=True)]
    rates = [raw("fast", 8), raw("fast", 2, size=LONG), raw("fast", 6, size=(2, 2))]
    rented = catalog([offering("acme", "fast", 3.0)], rates)
    plan = solve(problem(5, chat={"requests": classes}), rented)
    assert plan.score_usd_per_month == pytest.approx(3 * 720)
    assert sum(r.share for r in plan.routes if r.request_class.input_tokens == 2) == 1


def test_a_price_that_is_known_and_broken_all_the_same_gives_the_routes_columns(knows_little):
    model, splits = modelled(asked(), two_kinds()), Splits()
    learn_prices(splits, model, of_gpu(model, fast=2))
    model = modelled(asked(), two_kinds(), splits)
    assert not model.fleet.routed("chat")
    assert learn_prices(splits, model, of_gpu(model, fast=2))
    assert splits.routed == {"chat"}
    assert modelled(asked(), two_kinds(), splits).fleet.routed("chat")


def test_units_are_added_until_everything_can_be_routed(by_prices):
    # Two fast units lack half a unit's work on long requests: one more fast one does it for $3/h.
    model = modelled(asked(), two_kinds())
    grown = with_enough_units(model, of_gpu(model, fast=2))
    assert {k.gpu: on for k, on in grown.units.items()} == {"fast": (3,)}


def test_no_more_units_are_added_than_a_quota_leaves(by_prices):
    # acme has no third GPU, so that half a unit's work on long requests falls to one even, $4/h.
    limits = {"max_gpus": {"per_provider": {"acme": 2}}}
    model = modelled(asked(limits=limits), two_kinds())
    grown = with_enough_units(model, of_gpu(model, fast=2))
    assert {k.gpu: on for k, on in grown.units.items()} == {"fast": (2,), "even": (1,)}
    none = modelled(asked(limits={"max_gpus": {"total": 2}}), two_kinds())
    assert with_enough_units(none, of_gpu(none, fast=2)) is None


@pytest.mark.parametrize(
    "fields",
    [
        {"policy": {"penalties": {"shortfall": {"usd_per_million_requests": 50}}}},
        {
            "policy": {
                "utilization": {"target": 0.75, "ceiling": 0.95},
                "penalties": {"overload": {}},
            }
        },
        {"limits": {"budget": {"usd_per_month": 100, "when_short": "fair"}}},
        {"policy": {"share": "units"}},
    ],
    ids=["shortfall", "overload", "short budget", "shared units"],
)
def test_what_prices_have_no_proof_for_keeps_its_columns(by_prices, fields):
    assert modelled(asked(), two_kinds()).fleet.prices
    assert not modelled(asked(**fields), two_kinds()).fleet.prices


def test_few_columns_are_kept_as_they_are():
    model = modelled(asked(), two_kinds())
    assert model.fleet.routed("chat")
    assert not model.fleet.prices


def test_the_program_by_prices_is_unchanged(by_prices, update_golden):
    """Two blocks, two classes, a share, units and tokens: read the difference."""
    day = {
        "kind": "profile",
        "requests_per_day": 12 * (2 + 4) * 3_600,
        "weights": [1] * 12 + [2] * 12,
    }
    limits = {
        "providers": {"max_share": 0.6},
        "billing": {"allow": ["dedicated", "per_token"]},
    }
    given = problem(chat={"requests": HALVES, "traffic": day}, limits=limits)
    text = modelled(given, two_kinds(token_prices=[token_price("tokn", 10)])).describe()
    if update_golden:
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")


# ---- by enumeration, routes asked of a linear program of its own


def random_problem(seed: int):
    """(problem, catalog) of one block: two or three classes, three offerings, maybe a share."""
    chance = random.Random(seed)
    sizes = [SHORT, LONG, (100, 20)][: chance.choice([1, 2, 3])]
    parts = [chance.choice([1, 2, 3]) for _ in sizes]
    requests = [
        {"input_tokens": i, "output_tokens": o, "share": part / sum(parts)}
        for (i, o), part in zip(sizes, parts, strict=True)
    ]
    gpus = ["a", "b", "c"]
    rates = [
        raw(gpu, chance.choice([1.5, 2, 3, 5.5]), size=size)
        for gpu in gpus
        for size in sizes
        if chance.random() < 0.85 or size == sizes[0]
    ]
    offerings = [
        offering(chance.choice(["acme", "bolt"]), gpu, chance.choice([1.0, 1.7, 2.9]))
        for gpu in gpus
    ]
    share = chance.choice([None, 0.5, 0.7, 0.9])
    limits = {} if share is None else {"providers": {"max_share": share}}
    load = chance.choice([2.0, 4.0, 5.0])
    return problem(load, chat={"requests": requests}, target=0.75, limits=limits), catalog(
        offerings, rates
    )


def can_be_routed(given, counts) -> bool:
    """Whether so many units serve everything: a linear program from the problem's own words."""
    demand, share = given.schedule.demands["chat"], given.problem.limits.providers.max_share
    lp = highspy.Highs()
    lp.silent()
    cells = {}
    for k, _ in counts:
        for q, rate in enumerate(k.requests_per_second):
            if rate > 0:
                cells[k, q] = lp.addVariable(lb=0)  # requests/s
    for q, one in enumerate(demand.classes):
        mine = [x for (_, p), x in cells.items() if p == q]
        if not mine:
            return False
        lp.addConstr(sum(mine) == one.share * demand.peak[0])
    for k, n in counts:
        mine = [x * (1 / k.requests_per_second[q]) for (j, q), x in cells.items() if j is k]
        if mine:
            lp.addConstr(sum(mine) <= 0.75 * n)
    for provider in {k.provider for k, _ in counts} if share else ():
        mine = [x for (k, _), x in cells.items() if k.provider == provider]
        if mine:
            lp.addConstr(sum(mine) <= share * demand.peak[0])
    lp.run()
    return lp.getModelStatus() == highspy.HighsModelStatus.kOptimal


@pytest.mark.parametrize("seed", range(8))
def test_rows_by_any_prices_keep_every_fleet_that_can_be_routed(by_prices, seed):
    """Learned prices refuse what cannot be routed, and random ones refuse nothing that can."""
    given = prepare(*random_problem(seed))
    candidates, chance = given.candidates.candidates, random.Random(seed)
    model, splits = build_model(given, candidates), Splits()
    groups = [("ProviderShare", k.provider) for k in candidates]
    tried = [
        ClassPrices(
            tuple(chance.choice([0, 0.3, 1, 2]) for _ in given.schedule.demands["chat"].classes),
            tuple((*group, chance.choice([0.2, 1.0])) for group in dict.fromkeys(groups)),
        )
        for _ in range(4)
    ]
    for counts in itertools.product(range(4), repeat=len(candidates)):
        fleet = FleetSolution({k: (n,) for k, n in zip(candidates, counts, strict=True) if n})
        possible = can_be_routed(given, list(zip(candidates, counts, strict=True)))
        assert learn_prices(splits, model, fleet) is not possible
        splits.routed.clear()
        for prices in [*tried, *splits.prices.get("chat", ())] if possible else ():
            row = price_row(model.fleet, "chat", prices, 0)
            units = zip(candidates, counts, strict=True)
            has = sum(row.terms.get(model.fleet.units[k, 0, 0], 0.0) * n for k, n in units)
            assert has >= row.right - 1e-9


@pytest.fixture
def unlisted(by_prices, monkeypatch):
    """The solvers have it: see `milp/curves/listed/`."""
    monkeypatch.setattr(lists, "cheapest_listed", lambda *_: None)


@pytest.mark.parametrize("patient", [False, True])
def test_a_program_by_prices_learns_from_drafts_first_but_where_runs_must_repeat(
    unlisted, monkeypatch, patient
):
    """Which of two engines is first decides nothing that is to be the same every time."""
    certified, hasty = optimum.solve_certified, []

    def solved(*args, **fields):
        hasty.append(fields["hasty"])
        return certified(*args, **fields)

    monkeypatch.setattr(optimum, "solve_certified", solved)
    solve(asked(), two_kinds(), reproducible=patient)
    assert hasty[0] is not patient
    assert not hasty[-1]


def test_the_plan_of_a_draft_is_kept_where_time_ends_after_it(unlisted, monkeypatch):
    certified = optimum.solve_certified

    def solved(*args, **fields):
        run = certified(*args, **fields)
        return run if fields["hasty"] else replace(run, status=EngineStatus.NO_SOLUTION, values={})

    monkeypatch.setattr(optimum, "solve_certified", solved)
    plan = solve(asked(), two_kinds())
    assert (plan.status, plan.score_usd_per_month) == (Status.FEASIBLE, pytest.approx(7 * 720))
