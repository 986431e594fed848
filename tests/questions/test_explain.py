"""Explain: why not, at which price, under which traffic, at what cost; all checked another way."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import Catalog, Gpu, InputError, Status, explain, explain_limits, solve
from milp_planner.inputs.problem.patching import patched
from milp_planner.questions.sweeps.market import repriced_catalog
from milp_planner.reporting.text.questions.explain import limit_costs_text, why_not_text
from milp_planner.solving.re_solve import scaled_traffic
from tests.support.builders import (
    SOURCE,
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
    token_price,
    workload,
)
from tests.support.examples import slow_tries, tries
from tests.support.oracles.cases import Case, Load, Offer, as_input
from tests.support.oracles.oracle import feasible_fleets
from tests.support.serving.known_llms import LLAMA_8B

pytest_plugins = ["tests.support.toy_cli"]

MONTH = 720


def uses(plan, gpu):
    return any(p.candidate.gpu == gpu for p in plan.purchases)


# ---- forced in


def test_what_is_dearer_is_forced_in_to_see_by_how_much():
    # 10 requests/s: one big, $4/h. Four small are $6/h; one beside the big ($5.50/h) is idle.
    why = explain(problem(10), big_and_small(), gpu="small")
    assert why.verdict == "dearer"
    assert why.plan.cash_usd_per_month == pytest.approx(4 * MONTH)
    assert why.forced.cash_usd_per_month == pytest.approx(6 * MONTH)
    assert why.extra_usd == pytest.approx(2 * MONTH)
    assert uses(why.forced, "small")
    assert why_not_text(why).splitlines() == [
        "gpu small is not in the plan: feasible but dearer, +$1,440 per month (+50 %).",
        "  the plan        $2,880  per month  1 x big acme",
        "  with gpu small  $4,320  per month  4 x small bolt",
        "Best use: chat on bolt/small/eu-1, dedicated: $1,080 per month for 3.00 req/s, "
        "or $360 per month for 1 req/s of capacity.",
        "It enters below $1.00 per GPU-hour (now $1.50, -33 %), first with bolt/small/eu-1.",
        "It enters when traffic grows to 1.01 times today's; not yet at 1 times.",
    ]


def test_what_would_stand_idle_even_when_free_is_said():
    # One big serves it all; three small at most serve 9 of 10, so a big stays and no small helps.
    limits = {"max_units": {"bolt/small/eu-1": 3}}
    why = explain(problem(10, limits=limits), big_and_small(), gpu="small")
    assert (why.verdict, why.forced, why.entry_price) == ("idle", None, None)
    assert why_not_text(why).startswith(
        "gpu small would stand idle in any plan: even free it would save nothing.\n"
    )


@pytest.mark.slow
def test_what_costs_more_to_switch_to_than_it_could_save_is_dearer_not_idle():
    # The big one runs already, $2,880. Four small ones serve as much: rent $4,320, and $1,000 to
    # add each. Even free they would cost $4,000, so no price brings them in.
    why = explain(
        problem(
            10,
            current_fleet=[{"offering": "acme/big/eu-1", "workload": "chat", "units": 1}],
            switching={"usd_per_unit_added": 1000},
        ),
        big_and_small(),
        gpu="small",
    )
    assert (why.verdict, why.entry_price) == ("dearer", None)
    assert why.extra_usd == pytest.approx(4_320 + 4_000 - 2_880)


def test_the_best_use_is_where_a_request_costs_least():
    use = explain(problem(10), big_and_small(), offering="bolt/*").best_use
    assert (use.workload, use.offering) == ("chat", "bolt/small/eu-1")
    assert use.requests_per_second == pytest.approx(3)
    assert use.usd_per_month == pytest.approx(1.5 * MONTH)
    assert use.usd_per_request_per_second == pytest.approx(0.5 * MONTH)


def test_what_is_in_the_plan_is_left_out_to_see_what_it_saves():
    why = explain(problem(10), big_and_small(), provider="acme")
    assert why.verdict == "used"
    assert why.without.cash_usd_per_month == pytest.approx(6 * MONTH)
    assert why.extra_usd == pytest.approx(2 * MONTH)


def test_what_cannot_be_left_out_is_said():
    limits = {"max_units": {"bolt/small/eu-1": 3}}
    why = explain(problem(10, limits=limits), big_and_small(), gpu="big")
    assert (why.verdict, why.without) == ("used", None)
    assert "Without it there is no plan." in why_not_text(why)


def test_what_is_turned_down_has_its_reasons():
    limits = {"providers": {"deny": ["bolt"]}}
    why = explain(problem(10, limits=limits), big_and_small(), gpu="small")
    assert why.verdict == "turned down"
    assert [(r.offerings, r.reason) for r in why.refusals] == [
        (1, "bolt is denied by limits.providers.deny (bolt)")
    ]
    assert why_not_text(why).splitlines()[0] == (
        "gpu small is turned down: 1 offering, none of use."
    )


def test_what_no_plan_may_use_is_impossible():
    # Big serves it all; one GPU leaves no room for a small one, which alone serves too little.
    why = explain(problem(10, limits={"max_gpus": {"total": 1}}), big_and_small(), gpu="small")
    assert (why.verdict, why.forced, why.entry_price) == ("impossible", None, None)


def test_without_a_plan_there_is_nothing_to_compare_with():
    why = explain(problem(10, limits={"max_gpus": {"total": 0}}), big_and_small(), gpu="small")
    assert (why.verdict, why.plan.status) == ("no plan", Status.INFEASIBLE)
    assert "no fleet keeps limits.max_gpus.total: 0 GPUs" in why_not_text(why)


@pytest.mark.parametrize(
    ("subject", "message"),
    [
        ({"gpu": "bigg"}, "no gpu 'bigg' in the catalog 'in-code'; did you mean 'big'?"),
        ({"offering": "acme/small"}, "no offering 'acme/small'"),
        ({}, "give one of an offering, a GPU type and a provider"),
        ({"gpu": "big", "provider": "acme"}, "give one of"),
    ],
)
def test_an_unknown_subject_is_an_error(subject, message):
    with pytest.raises(InputError) as error:
        explain(problem(10), big_and_small(), **subject)
    assert message in str(error.value)


def test_a_dearer_twin_is_forced_in_though_nothing_else_needs_it():
    twins = catalog([offering("acme", "big", 4.0), offering("bolt", "big", 5.0)], [raw("big", 10)])
    why = explain(problem(25), twins, offering="bolt/big/eu-1")
    # Three big: two at $4 and one at $5.
    assert why.forced.cash_usd_per_month == pytest.approx(13 * MONTH)
    assert why.entry_price.usd_per_hour == pytest.approx(4.0)
    assert why.entry_price.is_verified


def test_a_forced_unit_may_serve_any_workload():
    boxes = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.5)],
        [raw("big", 10), raw("small", 3), raw("small", 4, llm="other"), raw("big", 8, llm="other")],
    )
    asked = problem(workloads=[workload(10, "chat"), workload(8, "code", llm="other")])
    # Two small serve the code for $3/h instead of $4: in the plan. Without: $8/h.
    why = explain(asked, boxes, gpu="small")
    assert (why.verdict, why.extra_usd) == ("used", pytest.approx(MONTH))
    why = explain(asked, boxes, gpu="big")
    assert why.verdict == "used"


# ---- the price at which it enters


def test_it_enters_where_its_fleet_costs_as_much_as_the_best_without_it():
    # Four small replace the big at $4/h ÷ 4 = $1.00/h.
    price = explain(problem(10), big_and_small(), gpu="small").entry_price
    assert price.usd_per_hour == price.usd_per_gpu_hour == pytest.approx(1.0)
    assert price.now_usd_per_gpu_hour == pytest.approx(1.5)
    assert price.factor == pytest.approx(2 / 3)
    assert price.is_verified
    assert_flips(problem(10), big_and_small(), "bolt/small/eu-1", price.usd_per_gpu_hour, "small")


def assert_flips(asked, boxes, offering_id, usd_per_gpu_hour, gpu):
    """A cent less per hour and it is in the plan; a cent more and it is not."""
    for cent, expected in ((-0.01, True), (0.01, False)):
        dearer = repriced_catalog(boxes, {offering_id: usd_per_gpu_hour + cent})
        assert uses(solve(asked, dearer, alternatives=0), gpu) is expected


def test_the_entry_price_of_units_of_several_gpus_is_told_per_gpu():
    boxes = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 9.0, gpus_per_unit=4)],
        [raw("big", 10), raw("small", 3)],
    )
    # One unit of four small serves 12: it enters at $4/h, $1 per GPU; sold at $9.
    price = explain(problem(10), boxes, provider="bolt").entry_price
    assert (price.usd_per_hour, price.usd_per_gpu_hour) == (pytest.approx(4), pytest.approx(1))
    assert price.now_usd_per_gpu_hour == pytest.approx(2.25)


@pytest.mark.slow
def test_a_price_per_token_enters_too():
    rented = big_and_small()
    sold = catalog(list(rented.offerings), list(rented.measurements), [token_price("api", 1000.0)])
    asked = problem(10, limits={"billing": {"allow": ["dedicated", "per_token"]}})
    # 10 requests/s are 51.84 M tokens a month: $51,840. A big costs $2,880, which is $55.56 per 1M.
    why = explain(asked, sold, provider="api")
    assert why.entry_price.factor == pytest.approx(2880 / 51_840, rel=1e-4)
    assert why.entry_price.usd_per_hour is None
    assert why.entry_price.is_verified


@st.composite
def cases(draw):
    rates = [draw(st.sampled_from([2.0, 3.0, 5.5, 7.0])) for _ in range(3)]
    prices = [draw(st.sampled_from([1.0, 1.7, 2.3, 3.1])) for _ in range(3)]
    return rates, prices, draw(st.sampled_from([4.0, 9.0, 12.5]))


@tries(0.02)
@given(cases())
def test_the_entry_price_agrees_with_brute_force(case):
    check_the_entry_price_agrees_with_brute_force(case)


@pytest.mark.slow
@slow_tries(0.6)
@given(cases())
def test_the_entry_price_agrees_with_brute_force_in_many_cases(case):
    check_the_entry_price_agrees_with_brute_force(case)


def check_the_entry_price_agrees_with_brute_force(case):
    rates, prices, rate = case
    offers = (Offer("acme", n, usd, (r,)) for n, usd, r in zip("abc", prices, rates, strict=True))
    case = Case(tuple(offers), (Load(((rate,),)),))
    why = explain(*as_input(case), gpu="c")
    fleets = [(usd, units[2][0]) for usd, (units,) in feasible_fleets(case, 7)]
    without = min(usd for usd, n in fleets if not n)
    using = [(usd - MONTH * n * prices[2], n) for usd, n in fleets if n]
    using = [(rest, n) for rest, n in using if rest < without - 0.01]  # not as an idle extra
    if not using:
        assert (why.verdict, why.forced, why.entry_price) == ("idle", None, None)
        return
    forced = min(rest + MONTH * n * prices[2] for rest, n in using)
    if why.verdict == "used":
        assert forced <= without + 0.01
        return
    assert why.forced.cash_usd_per_month == pytest.approx(forced)
    enters = max((without - rest) / MONTH / n for rest, n in using)
    assert why.entry_price.usd_per_hour == pytest.approx(enters, abs=1e-4)
    assert why.entry_price.is_verified


# ---- the traffic at which it enters


def test_it_enters_when_traffic_outgrows_the_best_without_it():
    why = explain(problem(10), big_and_small(), gpu="small")
    traffic = why.entry_traffic
    # Beyond 10 requests/s a big and a small cost less than two big.
    assert traffic.not_at <= 1.0 < traffic.factor <= 1.01
    assert uses(solve(scaled_traffic(problem(10), traffic.factor), big_and_small()), "small")
    assert not uses(solve(scaled_traffic(problem(10), traffic.not_at), big_and_small()), "small")


def test_less_traffic_may_bring_it_in_as_well():
    limits = {"max_gpus": {"total": 1}}
    traffic = explain(problem(10, limits=limits), big_and_small(), gpu="small").entry_traffic
    # One GPU: small serves up to 3 requests/s, and is cheaper than big there.
    assert 0.297 <= traffic.factor <= 0.3 <= traffic.not_at <= 0.303


# ---- limits


def test_each_limit_costs_what_solving_without_it_saves():
    # 13 requests/s: big and small $5.50/h; no small: two big $8/h.
    limits = {"gpus": {"deny": ["small"]}, "max_gpus": {"total": 5}}
    costs = explain_limits(problem(13, limits=limits), big_and_small())
    rows = {row.path: row for row in costs.rows}
    denied = rows["limits.gpus"]
    assert (denied.value, denied.fleet_without) == ("deny small", "1 x big acme + 1 x small bolt")
    assert denied.usd_per_month == pytest.approx(2.5 * MONTH)
    assert denied.share == pytest.approx(2.5 / 8)
    total = rows["limits.max_gpus.total"]
    assert (total.usd_per_month, total.binds_from, total.more) == (0.0, "2 GPUs", None)
    assert costs.rows[0] is denied


def test_one_more_unit_of_a_quota_saves_what_solving_says():
    # Small is the cheapest per request here: 5 small $5/h; 4 small and a big $8/h.
    boxes = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.0)],
        [raw("big", 10), raw("small", 3)],
    )
    limits = {"max_units": {"bolt/small/eu-1": 1}}
    costs = explain_limits(problem(15, limits=limits), boxes)
    row = next(r for r in costs.rows if r.path == "limits.max_units.bolt/small/eu-1")
    # 15: one small and two big $9/h (13 is not enough); two small and one big 16 for $6/h.
    assert row.usd_per_month == pytest.approx(8 * MONTH - 5 * MONTH)
    assert (row.more, row.more_saves_usd) == (1, pytest.approx(2 * MONTH))


def test_a_unit_of_two_gpus_needs_two_more_of_the_quota():
    boxes = catalog(
        [offering("acme", "big", 4.0), offering("bolt", "small", 1.0, gpus_per_unit=2)],
        [raw("big", 10), raw("small", 5)],
    )
    # Small: 10 requests/s for $1/h and two GPUs; only one GPU may be had, so big at $4/h.
    costs = explain_limits(problem(10, limits={"max_gpus": {"total": 1}}), boxes)
    row = next(r for r in costs.rows if r.path == "limits.max_gpus.total")
    assert (row.usd_per_month, row.more, row.more_saves_usd) == (3 * MONTH, 1, 3 * MONTH)


def test_ten_percent_more_traffic_costs_what_solving_says():
    # 10 requests/s: big $4/h. 11: big and small $5.50/h.
    costs = explain_limits(problem(10), big_and_small())
    assert costs.growth_usd_per_month == pytest.approx(1.5 * MONTH)


def test_limits_that_cost_nothing_are_told_from_where_they_would():
    costs = explain_limits(problem(10, limits={"budget": {"usd_per_month": 9999}}), big_and_small())
    row = next(r for r in costs.rows if r.path == "limits.budget.usd_per_month")
    assert (row.usd_per_month, row.binds_from) == (0.0, "$2,880")
    text = limit_costs_text(costs)
    assert "limits.budget.usd_per_month" in text
    assert "not binding" in text
    assert "until $2,880" in text
    assert "10 % more traffic costs +$1,080 per month." in text


def timed() -> Catalog:
    """An 8B on two GPU types whose speed is estimated: the slow one is the cheaper."""
    fast = {"memory_gib": 80, "memory_bandwidth_gb_per_s": 3000, "bf16_tflops": 900}
    slow = {"memory_gib": 48, "memory_bandwidth_gb_per_s": 600, "bf16_tflops": 300}
    return Catalog.of(
        gpus=[
            Gpu(id="fast", vendor="test", **fast, **SOURCE),
            Gpu(id="slow", vendor="test", **slow, **SOURCE),
        ],
        llms=[LLAMA_8B],
        offerings=[offering("acme", "fast", 6.0), offering("bolt", "slow", 0.5)],
    )


def timed_problem(tpot: str, **fields):
    chat = workload(1, llm="llama-8b", requests={"input_tokens": 500, "output_tokens": 200})
    return problem(workloads=[{**chat, "latency": {"tpot": tpot}}], **fields)


def test_a_wish_is_not_binding_until_the_tightest_that_costs_nothing():
    asked = timed_problem("200ms")
    row = next(r for r in explain_limits(asked, timed()).rows if r.path.endswith("tpot"))
    assert row.usd_per_month == 0
    tightest = float(row.binds_from.removesuffix(" ms"))
    free = solve(asked, timed()).cash_usd_per_month
    at, below = (
        solve(patched(asked, {"workloads.chat.latency.tpot": f"{ms}ms"}), timed())
        for ms in (tightest, tightest - 1)
    )
    assert at.cash_usd_per_month == pytest.approx(free)
    assert below.cash_usd_per_month > free


@pytest.mark.slow
def test_a_short_budget_is_noted():
    limits = {"budget": {"usd_per_month": 2000, "when_short": "fair"}, "max_gpus": {"total": 9}}
    costs = explain_limits(problem(13, limits=limits), big_and_small())
    assert "Note: the budget is short" in limit_costs_text(costs)


# ---- from the command line


def test_explain_says_why_not(run):
    code, out, err = run("explain", "toy.yaml", "--gpu", "small")
    assert (code, err) == (0, "")
    assert out.startswith("gpu small is in the plan: 1 x big acme + 1 x small bolt.\n")
    assert "Without it the plan costs $5,760 (+$1,800): 2 x big acme." in out
    document = json.loads(run("explain", "toy.yaml", "--provider", "bolt", "--json")[1])
    assert document["extra_usd_per_month"] == pytest.approx(1800)


def test_explain_tells_what_limits_cost(run, folder):
    text = (folder / "toy.yaml").read_text()
    (folder / "eu.yaml").write_text(text + "limits: {regions: {allow: [eu-*]}}\n")
    code, out, _ = run("explain", "eu.yaml", "--limits")
    assert code == 0
    line = next(line for line in out.splitlines() if "limits.regions" in line)
    assert "allow eu-*" in line
    assert line.endswith("+$1,800  (+31 %)  1 x big acme + 1 x small bolt")
    found = json.loads(run("explain", "eu.yaml", "--limits", "--json")[1])
    assert found["limits"][0]["usd_per_month"] == pytest.approx(1800)


def test_explain_without_a_plan_exits_3(run, folder):
    text = (folder / "toy.yaml").read_text()
    (folder / "no.yaml").write_text(text + "limits: {max_gpus: {total: 1}}\n")
    for what in (["--limits"], ["--gpu", "small"]):
        code, out, _ = run("explain", "no.yaml", *what)
        assert code == 3
        assert "allow 1 more GPU (2 in all)" in out


@pytest.mark.parametrize("arguments", [(), ("--limits", "--gpu", "big"), ("--gpu", "biggg")])
def test_explain_asks_for_one_thing(run, arguments):
    code, out, err = run("explain", "toy.yaml", *arguments)
    assert (code, out) == (2, "")
    assert "give one of" in err or "no gpu 'biggg'" in err
