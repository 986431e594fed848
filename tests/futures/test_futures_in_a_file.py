"""What a problem says of futures, risk and quotes: read as written, refused with its place."""

from __future__ import annotations

import pytest

from milp_planner import InputError, Plan, RecordInputError, load_catalog, load_problem, solve
from milp_planner.inputs.problem.fingerprint import problem_sha256
from milp_planner.plans.reading import read_plan
from milp_planner.reporting.text.plans.table import plan_text
from tests.support.builders import BIG, big_and_small, problem
from tests.support.toy import CATALOG

WORKLOAD = """\
schema_version: 1
workloads:
  - name: chat
    llm: llama-3.1-8b
    traffic: {kind: requests_per_second, requests_per_second: 10}
    requests: {input_tokens: 800, output_tokens: 100}
"""
FUTURES = """\
futures:
  - {name: base, probability: 60%}
  - {name: double, probability: 30%, traffic: 2.0, prices: {"*": 90%}}
  - {name: flop, probability: 10%, traffic: 30%, workloads: {chat: 0.1}}
"""


def read(text):
    return load_problem("futures.yaml", text=WORKLOAD + text)


def said(text):
    with pytest.raises(InputError) as error:
        read(text)
    return str(error.value)


def test_futures_are_read_as_written():
    base, double, flop = read(FUTURES).futures
    assert (base.probability, base.times("chat"), dict(base.prices)) == (0.6, 1.0, {})
    assert (double.times("chat"), double.prices) == (2.0, {"*": 0.9})
    # a workload that is named goes by its own factor, not by both
    assert (flop.traffic, flop.times("chat"), flop.times("other")) == (0.3, 0.1, 0.3)


def test_risk_and_quotes_are_read_as_written():
    asked = read(
        FUTURES + "risk: {measure: cvar, of: margin, level: 80%, weight: 0.5}\n"
        "value: {usd_per_million_tokens: $2}\n"
        "quotes: [{offering: 'aws/*', term: 1 year, discount: 30%, upfront: 20%, units: 4}]\n"
    )
    assert asked.risk is not None
    assert asked.risk.tail == pytest.approx(0.2)
    assert asked.value is not None
    assert asked.value.usd_per_million_tokens == 2
    (quote,) = asked.quotes
    assert (quote.term_months, quote.discount, quote.upfront, quote.units) == (12, 0.3, 0.2, 4)


def test_a_problem_without_futures_hashes_as_before():
    assert problem_sha256(problem(10)) == problem_sha256(problem(10, futures=(), quotes=()))


HEAD = "futures.yaml:"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            FUTURES.replace("60%", "70%"),
            "8:3: futures: the probabilities add up to 110 %, not to 100 %",
        ),
        (FUTURES.replace("name: double", "name: base"), "two futures are named 'base'"),
        (FUTURES.replace("flop", "every"), "10:12: futures[2].name: 'every' is no name"),
        (FUTURES.replace("chat: 0.1", "chatt: 0.1"), "no workload 'chatt'; did you mean 'chat'?"),
        (FUTURES.replace("60%", "0"), "futures[0].probability: must be greater than 0"),
        ("risk: {measure: worst, of: cost}\n", "risk: says something of futures, and there are"),
        ("known_from: 3 months\n", "known_from: says something of futures, and there are none"),
        (FUTURES + "known_from: 3 months\n", "known_from: is of a plan over months"),
        (FUTURES + "known_from: 3\n", "a term needs a unit: write '12 months' or '1 year'"),
        (FUTURES + "risk: {measure: cvar}\n", "risk.of: say what the cvar is measured on"),
        (FUTURES + "risk: {of: cost}\n", "risk.of: goes with measure: cvar or worst"),
        (FUTURES + "risk: {measure: worst, of: cost, level: 90%}\n", "risk.level: goes with meas"),
        (FUTURES + "risk: {measure: worst, of: margin}\n", "a margin needs what served traffic is"),
        (FUTURES + "value: {usd_per_million_tokens: 2}\n", "value: counts in a margin alone"),
        (FUTURES + "limits: {budget: {usd_per_month: 9, futures: hit}}\n", "'hit' is not one of"),
        (FUTURES + "objective: gpus\n", "objective: over futures it is cost that counts"),
        (
            FUTURES + "policy: {when_short: fair}\nrisk: {measure: worst, of: regret}\n",
            "risk.of: with when_short futures serve less or more",
        ),
        ("quotes: [{offering: 'aws/*', term: 1 year}]\n", "write usd_per_gpu_hour, or a discount"),
        ("quotes: [{offering: 'aws/*', discount: 9%}]\n", "quotes[0].term: required"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(text, words):
    message = said(text)
    assert words in message
    assert message.startswith(HEAD)


def quoted(**fields):
    return {"offering": BIG, "term": "12 months", **fields}


def test_a_quote_is_a_candidate_of_its_own_that_the_plan_names():
    # 10 requests/s: one big, $4/h on demand, $2.80 under the quote: 720 h are $2,016 a month.
    plan = solve(problem(10, quotes=[quoted(discount=0.3)]), big_and_small())
    (p,) = plan.purchases
    assert p.candidate.offering.id == "acme/big+quote1/eu-1"
    assert plan.cash_usd_per_month == pytest.approx(2_016)
    assert p.commitment_usd == pytest.approx(12 * 2_016)
    text = plan_text(plan)
    assert "commitment: $24,192, paid whether or not the units run" in text
    assert "your quote 1: 12 months; on demand $4 per unit and hour" in text
    again: Plan = read_plan(plan.to_dict())
    assert again.purchases[0].commitment_usd == pytest.approx(12 * 2_016)


def test_no_more_units_are_bought_than_a_quote_offers():
    # 20 requests/s: one big under the quote, $2/h, and one on demand, $4/h: $6 x 720 h.
    plan = solve(problem(20, quotes=[quoted(usd_per_gpu_hour=2, units=1)]), big_and_small())
    bought = {p.candidate.offering.key: p.units for p in plan.purchases}
    assert bought == {("acme/big+quote1/eu-1", "committed"): 1, (BIG, "dedicated"): 1}
    assert plan.cash_usd_per_month == pytest.approx(4_320)


@pytest.mark.parametrize(
    ("quote", "limits", "words"),
    [
        ({"offering": "acme/bigg"}, {}, "quotes[0].offering: no offering 'acme/bigg'; closest: "),
        (
            {},
            {"billing": {"allow": ["dedicated"]}},
            "quotes: quotes are billed committed, which is not in limits.billing.allow",
        ),
    ],
)
def test_a_quote_without_effect_is_refused(quote, limits, words):
    asked = problem(10, quotes=[quoted(discount=0.3) | quote], limits=limits)
    with pytest.raises(InputError) as error:
        solve(asked, big_and_small())
    assert words in str(error.value)


def test_a_quote_with_two_prices_is_refused():
    with pytest.raises(RecordInputError, match="write usd_per_gpu_hour or discount"):
        problem(10, quotes=[quoted(usd_per_gpu_hour=2, discount=0.3)])


def test_a_price_of_a_future_that_nothing_has_is_refused():
    futures = [{"name": "one", "probability": 1, "prices": {"acme/smal*": 0.5}}]
    with pytest.raises(InputError, match=r"futures\[0\].prices\['acme/smal\*'\]: .* matches none"):
        solve(problem(10, futures=futures), big_and_small())


OFFERED = "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,term_months,as_of,source\n"


def catalog_with(folder, billing, months):
    for name, content in CATALOG.items():
        (folder / name).write_text(content)
    row = f"acme,big,eu-1,{billing},big,1,2.5,{months},2026-01-15,test\n"
    (folder / "offerings.csv").write_text(OFFERED + row)
    return load_catalog(folder)


def test_a_row_of_a_catalog_may_have_a_term_of_its_own(tmp_path):
    sold = catalog_with(tmp_path, "committed", 6)
    asked = problem(10, limits={"billing": {"allow": ["committed"]}})
    (p,) = solve(asked, sold).purchases
    assert p.commitment_usd == pytest.approx(6 * 720 * 2.5)
    assert solve(problem(10), sold).purchases == ()  # nobody is bound who did not ask


@pytest.mark.parametrize(
    ("billing", "months", "words"),
    [
        ("committed", "", "term_months: required: how many months a committed unit is paid"),
        ("dedicated", 6, "term_months: goes with billing committed; this row is billed dedicated"),
    ],
)
def test_a_term_goes_with_what_is_committed(tmp_path, billing, months, words):
    with pytest.raises(InputError) as error:
        catalog_with(tmp_path, billing, months)
    assert words in str(error.value)
