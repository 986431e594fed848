"""Lists of what is near to the cheapest at prices: nothing as cheap is missing."""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import product

import pytest

from milp_planner.deadline import OutOfTime
from milp_planner.milp.curves.linked import blocks, held_together, near, together
from milp_planner.milp.curves.linked.by_prices import by_prices
from milp_planner.milp.curves.linked.held_together import Held, Link, keys_of, left_usd, stages_of
from milp_planner.milp.curves.linked.near import Near, NearAt
from milp_planner.milp.curves.linked.priced import PRICE_UNIT, PricedCover, TooMany
from milp_planner.milp.curves.linked.together import Together
from tests.milp.curves.test_linked import linked_of, random_case, two_under_one_quota

STEPS = 300


def at_some_prices(seed):
    """The first workload of a drawn problem, each link at a price of its own."""
    linked = linked_of(*random_case(seed))
    prices = {r: int(40 * (r + 1) / PRICE_UNIT) for r in range(0, len(linked.most), 2)}
    at = PricedCover(linked.covers[0]).at(prices)
    return at, dict.fromkeys(range(len(linked.most)), Fraction(1))


def held_by_trying(at, links, usd):
    """(USD above the cheapest, uses, what they carry) of all held units within an amount."""
    of, most = at.of, at.of.most
    for on in product(*(range(-(-most // one.capacity) + 1) for one in of.held)):
        carries = sum(n * one.capacity for n, one in zip(on, of.held, strict=True))
        value = sum(n * kind.cost for n, kind in zip(on, at.held.kinds, strict=True))
        rest = [at.elastic[t].least(need - carries) for t, need in of.needs.items()]
        if None in rest:
            continue
        above = float((value + sum(rest) - at.cheapest[0].value) * of.usd_unit)
        if above <= usd:
            uses = tuple(
                sum(n * int(one.unit.uses.get(r, 0)) for n, one in zip(on, of.held, strict=True))
                for r in links
            )
            yield above, uses, carries


@pytest.mark.parametrize("dearest_first", [True, False])
@pytest.mark.parametrize("seed", range(12))
def test_no_held_units_are_missing(seed, dearest_first):
    at, links = at_some_prices(seed)
    for usd in (0.0, 200.0, 900.0):
        listed = NearAt(at, links, STEPS, dearest_first).held_within(usd)
        tried = list(held_by_trying(at, links, usd))
        assert {(round(n.usd, 3), n.uses, n.carries) for n in listed} <= {
            (round(above, 3), uses, carries) for above, uses, carries in tried
        }
        for above, uses, carries in tried:
            assert any(
                one.usd <= above + 1e-6
                and one.carries >= min(carries, at.of.most)
                and all(a <= b for a, b in zip(one.uses, uses, strict=True))
                for one in listed
            )


@pytest.mark.parametrize("seed", range(12))
def test_no_elastic_units_are_missing(seed):
    at, links = at_some_prices(seed)
    listed = NearAt(at, links, STEPS, dearest_first=True)
    for t, need in at.of.needs.items():
        for lacking in (need, need // 2, 0):
            found = listed.block(t, lacking, 700.0)
            assert math.isclose(found[0].usd if not lacking else min(n.usd for n in found), 0.0)
            least = at.elastic[t].least(lacking)
            units, kinds = at.of.elastic[t], at.elastic[t].kinds
            for on in product(*(range(-(-lacking // one.capacity) + 1) for one in units)):
                carries = sum(n * one.capacity for n, one in zip(on, units, strict=True))
                value = sum(n * kind.cost for n, kind in zip(on, kinds, strict=True))
                above = float((value - least) * at.of.usd_unit)
                if carries < lacking or above > 700.0:
                    continue
                uses = [
                    sum(n * int(one.unit.uses.get(r, 0)) for n, one in zip(on, units, strict=True))
                    for r in links
                ]
                assert any(
                    one.usd <= above + 1e-6
                    and all(a <= b for a, b in zip(one.uses, uses, strict=True))
                    for one in found
                )


def test_what_is_left_of_a_link_costs_its_price():
    # 5 units of $10 each; one workload may take 2 for nothing or 3 for $4, the other none or 1 for
    # $7. Left are 3 for $30, 2 for $24, 2 for $27 or 1 for $21.
    link = Link(0, Fraction(1), 5, 10.0, is_held=True, block=None)
    one = Held.of(0, [Near(0.0, (2,), 1, {}), Near(4.0, (3,), 1, {})], [link])
    other = Held.of(1, [Near(0.0, (0,), 1, {}), Near(7.0, (1,), 1, {})], [link])
    last = stages_of([one, other], [link], 30.0)[-1]
    totals = last.usd + left_usd(last.keys, [link])
    assert sorted(totals.tolist()) == [21.0, 24.0, 30.0]  # 2 and 1 come to 27, as 3 and 0 do to 24
    assert sorted(stages_of([one, other], [link], 21.0)[-1].usd.tolist()) == [11.0]
    assert stages_of([one, other], [link], 20.0) is None


def test_no_two_uses_have_one_key():
    links = [Link(r, Fraction(1), r + 1, 1.0, is_held=r != 1, block=None) for r in range(3)]
    import numpy as np

    every = np.array(list(product(range(2), [0], range(4))))
    keys = keys_of(every, links)
    assert len(set(keys.tolist())) == len(every)
    differences = {
        int(a - b): tuple(u - v)
        for (a, u), (b, v) in product(zip(keys, every, strict=True), repeat=2)
    }
    assert {n for n in differences if n in set(keys.tolist())} == set(keys.tolist())
    for n in set(keys.tolist()):  # no difference with less than none of a link is taken for a use
        assert min(differences[n]) >= 0


def best_of(linked):
    found = by_prices(linked)
    return found, Together(linked, found.best.at, found.best.prices)


def test_a_fleet_is_found_however_far_above_the_bound_it_looks_first():
    linked = linked_of(*two_under_one_quota())
    found, _ = best_of(linked)
    above = found.usd_per_month - float(found.best.usd)
    for first_usd in (1.0, above - 0.01, above + 0.01, 10 * above):
        again = Together(linked, found.best.at, found.best.prices)
        assert again.cheapest(first_usd) is not None
        assert again.passed_usd == pytest.approx(above, abs=1e-4)


def test_links_without_a_price_are_kept_too():
    # as all prices are left out, the cheapest fleets of all break the quota: it is taken in
    linked = linked_of(*two_under_one_quota())
    found, _ = best_of(linked)
    at = [PricedCover(cover).at({}) for cover in linked.covers]
    free = Together(linked, at, {})
    least = float(sum(one.least_usd for one in at))
    assert free.cheapest(100.0) is not None
    assert least + free.passed_usd == pytest.approx(found.usd_per_month, abs=1e-3)


@pytest.mark.parametrize(
    "limit",
    [
        (near, "MOST_LISTED", 2),
        (near, "MOST_TRIED", 0),
        (held_together, "MOST_KEYS", 1),
        (blocks, "MOST_CELLS", 1),
        (together, "MOST_STATES", 0),
    ],
    ids=lambda limit: limit[1],
)
def test_too_many_lists_are_left_to_the_engines_with_what_is_proven(limit, monkeypatch):
    linked = linked_of(*random_case(13))  # $355 above the bound
    found, search = best_of(linked)
    monkeypatch.setattr(*limit)
    with pytest.raises(TooMany):
        search.cheapest(1.0)
    assert search.passed_usd < found.usd_per_month - float(found.best.usd)
    again = by_prices(linked)
    assert again.usd_per_month == pytest.approx(found.usd_per_month)  # of choices that are known
    assert again.bound_usd < again.usd_per_month - 0.01
    assert again.bound_usd >= math.nextafter(float(again.best.usd), -math.inf)


def test_a_second_count_that_finds_less_proves_nothing(monkeypatch):
    # the first count is made to find a fleet that is too dear: $1,000 above the bound
    search = best_of(linked_of(*two_under_one_quota()))[1]
    within, dearer = together._Search.within, together._Found(1_000.0, [])

    def wrong(self, usd):
        return within(self, usd) if self.steps == together.OTHER_STEPS else dearer

    monkeypatch.setattr(together._Search, "within", wrong)
    monkeypatch.setattr(Together, "_broken", lambda self, fleet: set())
    assert search.cheapest(100.0) is None
    assert search.passed_usd == 0.0


def test_a_fleet_whose_second_count_is_not_done_in_time_is_kept_unproven(monkeypatch):
    linked = linked_of(*random_case(13))
    within = together._Search.within

    def late(self, usd):
        if self.steps == together.OTHER_STEPS:
            raise OutOfTime
        return within(self, usd)

    usd = by_prices(linked).usd_per_month
    monkeypatch.setattr(together._Search, "within", late)
    found = by_prices(linked)
    assert found.usd_per_month == pytest.approx(usd)
    assert found.bound_usd < usd - 0.01
