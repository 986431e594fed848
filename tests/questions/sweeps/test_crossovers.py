"""From which volume on which way to pay is the cheapest: by hand, and at every multiple tried."""

from __future__ import annotations

import itertools
import json
import math

import pytest

from milp_planner import ArgumentError, InputError, Sheet, crossovers, decision_sheet
from milp_planner.questions.sweeps import ways as sweep
from milp_planner.reporting.sheets.markdown import sheet_markdown
from milp_planner.reporting.sheets.text import sheet_text
from milp_planner.reporting.text.questions.crossovers import crossovers_text
from tests.support.builders import big_and_small, catalog, offering, problem, raw, token_price

pytest_plugins = ["tests.support.toy_cli"]

TOKEN_USD = 518.4
"""A month of one request/s at $100 per 1M tokens."""


@pytest.fixture(autouse=True)
def a_hundredth(monkeypatch):
    """Stretches are halved to a hundredth, not a thousandth: that takes fewer solves."""
    monkeypatch.setattr(sweep, "PRECISION", 0.01)


def market(*rows, usd_per_m: float = 100):
    """Big for $4/h, small for $1.50/h, an API, and what is named besides."""
    rented = [offering("acme", "big", 4.0), offering("bolt", "small", 1.5)]
    rates = [raw("big", 10), raw("small", 3)]
    return catalog([*rented, *rows], rates, [token_price("tokn", usd_per_m)])


def own(usd: float = 2.0, units: int = 3):
    return offering("own", "big", usd, billing="owned", max_units=units)


def test_every_way_pays_from_its_volume_on():
    # Tokens cost a small, $1,080, at 2.08 requests/s; a small carries 3, an own big, $1,440, 10;
    # three of these carry 30.
    found = crossovers(problem(13), 0.1, 3, market(own()))
    assert [one.way for one in found.stretches] == ["per token", "rented", "owned", "rented"]
    assert all(one.proven for one in found.stretches)
    assert found.complete
    ends = [one.to_factor for one in found.stretches]
    exact = [1080 / TOKEN_USD / 13, 3 / 13, 30 / 13, 3]
    assert ends == pytest.approx(exact, rel=0.011)
    assert found.stretches[1].fleet == "1 x small bolt"
    assert found.stretches[2].from_usd_per_month == pytest.approx(1440)
    assert found.stretches[2].to_usd_per_month == pytest.approx(3 * 1440)
    assert {way.name: way.needs for way in found.ways} == {
        "per token": ("per_token",),
        "rented": (),
        "owned": (),
    }
    text = crossovers_text(found)
    assert "problem: the cheapest way to pay, by multiples of the traffic" in text
    assert "per token takes per_token in limits.billing.allow." in text


def test_a_crossover_is_known_to_a_thousandth(monkeypatch):
    monkeypatch.setattr(sweep, "PRECISION", 1e-3)
    found = crossovers(problem(13), 0.1, 0.2, market())
    assert [one.way for one in found.stretches] == ["per token", "rented"]
    assert found.stretches[0].to_factor == pytest.approx(1080 / TOKEN_USD / 13, rel=1.1e-3)


def test_every_billing_can_be_set_beside_the_others():
    # Autoscaling for $2 is dearer than on demand; a big reserved for $3.10 is cheaper than three
    # small.
    rows = [
        offering("acme", "small", 2.0, billing="autoscaling"),
        offering("acme", "big", 3.1, billing="reserved_1y"),
    ]
    found = crossovers(problem(10), 0.25, 1, market(*rows, usd_per_m=9000), by="billing")
    assert [one.way for one in found.stretches] == ["dedicated", "reserved 1y"]
    assert found.stretches[0].to_factor == pytest.approx(0.6, rel=0.011)
    assert {way.name for way in found.ways} == {
        *("dedicated", "autoscaling", "reserved 1y", "per token")
    }


def test_where_nothing_serves_so_much_it_is_said():
    few = catalog([offering("acme", "big", 4.0, max_units=2)], [raw("big", 10)])
    found = crossovers(problem(10), 1, 4, few)
    assert [one.way for one in found.stretches] == ["rented", ""]
    assert found.stretches[0].to_factor == pytest.approx(2, rel=0.011)
    assert "Nothing else than rented can serve it." in crossovers_text(found)
    assert "nothing serves it" in crossovers_text(found)


def test_what_work_does_not_reach_is_not_complete(monkeypatch):
    monkeypatch.setattr(sweep, "MOST_SOLVES", 5)
    found = crossovers(problem(13), 0.1, 3, market(own()))
    assert not found.complete
    assert not all(one.proven for one in found.stretches)
    assert "Not complete: time or work ended" in crossovers_text(found)
    assert "(not proven)" in crossovers_text(found)


@pytest.mark.parametrize(
    ("ends", "fields", "said"),
    [
        ((1, 1), {}, "must be above from_factor"),
        ((0, 1), {}, "from_factor"),
        ((0.5, 1), {"policy": {"when_short": "fair"}}, "compare what serves everything"),
        ((0.5, 1), {"objective": "gpus"}, "a crossover is about what things cost"),
    ],
)
def test_what_more_traffic_could_make_cheaper_is_refused(ends, fields, said):
    with pytest.raises((ArgumentError, InputError)) as error:
        crossovers(problem(13, **fields), *ends, big_and_small())
    assert said in str(error.value)


# --- against pricing every way at many multiples -------------------------------------------------


def cheapest_at(load: float, own_usd: float, own_units: int, token_usd: float) -> dict[str, float]:
    """USD per month of every way at a load, by trying every fleet."""
    rented = min(
        720 * (4.0 * big + 1.5 * small)
        for big, small in itertools.product(range(8), range(20))
        if 10 * big + 3 * small >= load - 1e-9
    )
    owned = math.ceil(load / 10 - 1e-9)
    return {
        "per token": load * token_usd,
        "rented": rented,
        "owned": 720 * own_usd * owned if owned <= own_units else math.inf,
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("own_usd", "own_units", "usd_per_m"),
    [(3.5, 2, 60), (4.2, 9, 75), (1.0, 1, 20), (3.9, 5, 57)],
)
def test_stretches_agree_with_pricing_every_way_at_many_multiples(own_usd, own_units, usd_per_m):
    found = crossovers(problem(10), 0.1, 3, market(own(own_usd, own_units), usd_per_m=usd_per_m))
    assert found.complete
    token_usd = 720 * 3_600 * 2 * usd_per_m / 1e6
    for i in range(400):
        factor = 0.1 * 30 ** (i / 399)
        priced = cheapest_at(10 * factor, own_usd, own_units, token_usd)
        here = next(s for s in found.stretches if s.from_factor <= factor <= s.to_factor * 1.0001)
        near = min(abs(factor / s.from_factor - 1) for s in found.stretches)
        if near > 0.011 and here.proven:
            assert priced[here.way] <= min(priced.values()) * (1 + 1e-6), factor


def test_the_command_prints_them_as_text_json_and_csv(run):
    code, out, _ = run("what-if", "toy.yaml", "--traffic", "0.5:2")
    assert code == 0
    assert "Nothing else than rented can serve it." in out
    found = json.loads(run("what-if", "toy.yaml", "--traffic", "0.5:2", "--json")[1])
    assert [one["way"] for one in found["stretches"]] == ["rented"]
    rows = run("what-if", "toy.yaml", "--traffic", "0.5:2", "--by", "billing", "--format", "csv")[1]
    assert rows.splitlines()[0].startswith("from_factor,to_factor,from_tokens_per_month")
    for words in (("--traffic", "2:1"), ("--traffic", "1:2", "--by", "hour")):
        assert run("what-if", "toy.yaml", *words)[0] == 2
    assert run("what-if", "toy.yaml", "--traffic", "1:2", "--budget", "9k")[0] == 2


# ---- on the sheet


def sheet_of(rented, **fields):
    asked = problem(13, choices={"only": [], "crossovers": True}, **fields)
    return decision_sheet(asked, rented)


@pytest.mark.slow
def test_the_sheet_says_where_ways_to_pay_cross_where_that_is_asked():
    sheet = sheet_of(market(own()))
    assert sheet.crossovers is not None
    assert [one.way for one in sheet.crossovers.stretches] == [
        "per token",
        "rented",
        "owned",
        "rented",
    ]
    for shown in (sheet_text(sheet), sheet_markdown(sheet)):
        text = " ".join(shown.replace("\\", "").split())
        assert (
            "The cheapest way to pay, by multiples of the traffic: per token from 0.1x ($67" in text
        )
        assert "per month); rented from 0.16" in text
        assert "per token takes per_token in limits.billing.allow." in text
    assert "Which way to pay at which volume" in sheet.to_html()
    assert Sheet.from_dict(json.loads(json.dumps(sheet.to_dict()))) == sheet


def test_a_sheet_without_crossovers_is_told_why():
    short = {"budget": {"usd_per_month": 9_000, "when_short": "fair"}}
    sheet = sheet_of(market(), limits=short)
    assert sheet.crossovers is not None
    assert "crossovers compare what serves everything" in sheet.crossovers.why_none
    assert "this problem may leave requests unserved" in " ".join(sheet_text(sheet).split())
