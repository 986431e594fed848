"""After a loss the classes are routed again over what is left."""

from __future__ import annotations

import pytest

from milp_planner import Status, evaluate, prepare, solve
from milp_planner.milp.program.solution import FleetSolution
from milp_planner.questions.solve import provenance_of
from milp_planner.solving.assembly.assemble import assemble
from milp_planner.solving.assembly.spare_units import with_spare_units
from milp_planner.solving.assembly.verify import violations
from milp_planner.solving.re_solve import settings_of
from tests.support.builders import catalog, offering, problem, raw, workload

HALVES = [
    {"input_tokens": 1, "output_tokens": 1, "share": 0.5},
    {"input_tokens": 10, "output_tokens": 10, "share": 0.5},
]
LIMITS = {"survive_loss_of": "provider"}
"""Specialists: a does 10 of the short requests and 1 of the long, b the reverse."""


def specialists(**usd):
    return catalog(
        [
            offering(provider, gpu, usd.get(provider, 1.0))
            for provider in ("acme", "bolt")
            for gpu in ("a", "b")
        ],
        [
            raw("a", 10, size=(1, 1)),
            raw("a", 1, size=(10, 10)),
            raw("b", 1, size=(1, 1)),
            raw("b", 10, size=(10, 10)),
        ],
    )


def asked(**limits):
    return problem(workloads=[workload(20, requests=HALVES)], limits={**LIMITS, **limits})


def test_each_provider_alone_serves_all_with_one_specialist_of_each_kind():
    # One a and one b serve ten and ten. Twice that, at $720 each: $2,880.
    plan = solve(asked(), specialists())
    assert plan.status is Status.OPTIMAL
    assert plan.score_usd_per_month == pytest.approx(2_880)
    assert {p.candidate.offering.id: p.units for p in plan.purchases} == {
        "acme/a/eu-1": 1,
        "acme/b/eu-1": 1,
        "bolt/a/eu-1": 1,
        "bolt/b/eu-1": 1,
    }


def test_half_may_be_left():
    # One a, one b serve all; either provider alone must serve 5 and 5. Both kinds of one provider
    # leave nothing when it is lost, one of each leaves ρ (10 ÷ 10 + 10 ÷ 1) = 1, a tenth and less.
    # Three units: a and b of one, and of the other 6 units of one kind: ρ = 6 ÷ 11 ≥ 0.5: 8 units.
    # Or a and b of both: 4 units.
    plan = solve(asked(survive_loss_of={"kind": "provider", "share": 0.5}), specialists())
    assert plan.score_usd_per_month == pytest.approx(2_880)


def test_what_is_left_is_told_of_a_fleet_that_does_not_survive():
    # Without acme two a are left: ρ (10 ÷ 10 + 10 ÷ 1) = 2, so 20 × 2 ÷ 11 = 3.63636.
    fleet = {"acme/a/eu-1": 1, "acme/b/eu-1": 1, "bolt/a/eu-1": 2}
    found = evaluate(asked(), fleet, specialists())
    assert [b.message for b in found.breaches if "acme" in b.message] == [
        "workload 'chat' without provider acme keeps 3.63636 of 20 requests/s in block active"
    ]
    fleet = {"acme/a/eu-1": 1, "acme/b/eu-1": 1, "bolt/a/eu-1": 1, "bolt/b/eu-1": 1}
    assert evaluate(asked(), fleet, specialists()).keeps_all_limits


def test_next_best_plans_survive_too():
    shop = specialists(acme=1.2)
    plan = solve(asked(), shop, alternatives=3)
    assert len(plan.alternatives) == 3
    for other in plan.alternatives:
        fleet = {p.candidate.offering.id: p.units for p in other.purchases}
        assert evaluate(asked(), fleet, shop).keeps_all_limits


def test_spare_units_make_a_fleet_survive():
    given = prepare(asked(), specialists())
    fleet = {"acme/a/eu-1": 1, "acme/b/eu-1": 1}
    plan = evaluate(asked(), fleet, specialists()).plan
    solution = FleetSolution({p.candidate: p.units_by_block for p in plan.purchases})
    more = with_spare_units(given, plan, solution)
    assert more is not None
    units = {k.offering.id: max(on) for k, on in more.units.items()}
    again = evaluate(asked(), units, specialists())
    assert again.keeps_all_limits


def test_where_there_is_nobody_else_no_spare_units_do():
    shop = catalog([offering("acme", "a", 1.0)], [raw("a", 10), raw("a", 10, size=(10, 10))])
    given = prepare(asked(), shop)
    plan = evaluate(asked(), {"acme/a/eu-1": 2}, shop).plan
    solution = FleetSolution({p.candidate: p.units_by_block for p in plan.purchases})
    assert with_spare_units(given, plan, solution) is None


def on_demand_and_spot():
    """A box of 1 request/s, $3 an hour on demand and $1 as spot, of one provider."""
    return catalog(
        [offering("acme", "box", 3.0), offering("acme", "box", 1.0, billing="spot")],
        [raw("box", 1)],
    )


@pytest.mark.parametrize(
    ("share", "on_demand"), [("30%", 1), ("33%", 1), ("34%", 2), ("60%", 2), ("100%", 3)]
)
def test_enough_for_a_share_of_the_peak_is_never_spot(share, on_demand):
    # 3 requests/s; without spot 3 x share must be left. All three on demand leave no need of spot.
    limits = {
        "billing": {"allow": ["dedicated", "spot"]},
        "survive_loss_of": {"kind": "spot", "share": share},
    }
    plan = solve(problem(3, limits=limits), on_demand_and_spot())
    assert plan.status is Status.OPTIMAL
    assert {p.candidate.offering.billing: p.units for p in plan.purchases} == {
        "dedicated": on_demand,
        **({"spot": 3 - on_demand} if on_demand < 3 else {}),
    }
    assert [loss.lost for loss in plan.worst_losses] == (["all spot"] if on_demand < 3 else [])


def test_spot_alone_does_not_survive_its_loss():
    limits = {"billing": {"allow": ["spot"]}, "survive_loss_of": "spot"}
    plan = solve(problem(3, limits=limits), on_demand_and_spot())
    assert plan.status is Status.INFEASIBLE
    found = evaluate(problem(3, limits=limits), {"acme/box/eu-1@spot": 3}, on_demand_and_spot())
    assert [breach.message for breach in found.breaches] == [
        "workload 'chat' without all spot keeps 0 of 3 requests/s in block active",
    ]


@pytest.mark.parametrize(
    ("share", "said"),
    [
        # 10 short requests/s of 20: what a solver may miss in a row is a millionth of all, 2e-5/s.
        (1.5e-6, []),
        (
            1e-3,
            ["workload 'chat' without provider acme keeps 0 of 0.01 requests/s in block active"],
        ),
    ],
)
def test_crumbs_that_a_short_budget_serves_need_not_survive(share, said):
    # One a of acme serves next to nothing of the short requests, and bolt nothing at all.
    given = prepare(asked(budget={"usd_per_month": 720, "when_short": "fair"}), specialists())
    (a,) = [k for k in given.candidates.candidates if k.offering.id == "acme/a/eu-1"]
    unserved = {("chat", 0, 0): 1 - share, ("chat", 1, 0): 1.0}
    solution = FleetSolution({a: (1,)}, {(a, 0, 0): share}, unserved)
    plan = assemble(given, solution, provenance_of(given, settings_of(given.problem)))
    assert violations(given, plan) == said
