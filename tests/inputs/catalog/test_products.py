"""One product, many quotes: which rows are of one product, and which price counts."""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterable
from datetime import date
from pathlib import Path

import pytest

from milp_planner import Catalog, InputError, Problem, explain, load_catalog, solve
from milp_planner.inputs.catalog.records import Offering
from milp_planner.reporting.text.inputs.catalog import show_dict, show_text
from tests.support.catalog_files import TODAY, WHOLE, write

HEAD = (
    "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,max_units,count_assumed,"
    "as_of,source"
)
ROOT = Path(__file__).resolve().parents[3]


def row(
    name: str,
    usd: float | str,
    as_of: str,
    source: str,
    *,
    region: str = "fin-1",
    gpus: int = 1,
    billing: str = "dedicated",
    max_units: int | str = "",
    one_gpu: bool = False,
    provider: str = "acme",
) -> str:
    """A line of offerings.csv: an H100 SXM at acme unless it says otherwise."""
    assumed = "true" if one_gpu else ""
    unit = f"{billing},h100-80gb-sxm,{gpus},{usd},{max_units},{assumed}"
    return f"{provider},{name},{region},{unit},{as_of},{source}"


def market(folder: Path, rows: Iterable[str], *overlays: Iterable[str]) -> Catalog:
    """The small catalog with these offerings alone, and overlays of more."""
    write(folder / "own", WHOLE | {"offerings.csv": "\n".join([HEAD, *rows, ""])})
    tops = []
    for number, lines in enumerate(overlays):
        manifest = "field,value\nextends,none\n"
        files = {"catalog.csv": manifest, "offerings.csv": "\n".join([HEAD, *lines, ""])}
        tops.append(write(folder / f"over{number}", files))
    return load_catalog("own", base=folder, overlays=tops, as_of=TODAY)


def prices(catalog: Catalog) -> dict[str, float]:
    return {f"{o.id} {o.billing}": o.usd_per_hour for o in catalog.offerings}


OLD, NEW = "2025-12-02", "2026-05-24"
GPU = "h100-80gb-sxm"


@pytest.mark.parametrize(("old", "new"), [(2.59, 3.39), (3.39, 2.59)])
def test_the_newest_of_two_lists_prices_counts_cheaper_or_dearer(tmp_path, old, new):
    catalog = market(tmp_path, [row("1h100", old, OLD, "list a"), row("h100-1x", new, NEW, "b")])
    (offering,) = catalog.offerings
    # Both are the provider's own names: the newer quote's is kept, of rows of one folder.
    assert (offering.id, offering.usd_per_hour, offering.as_of) == (
        *("acme/h100-1x/fin-1", new),
        date.fromisoformat(NEW),
    )
    assert offering.ids == ("acme/h100-1x/fin-1", "acme/1h100/fin-1")
    (other,) = offering.also_quoted
    assert (other.usd_per_hour, other.as_of.isoformat(), other.source) == (old, OLD, "list a")


def test_the_providers_own_name_is_kept_and_not_the_gpus(tmp_path):
    catalog = market(tmp_path, [row("1h100", 2.59, OLD, "a"), row(GPU, 3.39, NEW, "b")])
    assert prices(catalog) == {"acme/1h100/fin-1 dedicated": 3.39}


def test_on_one_day_the_dearer_quote_counts(tmp_path):
    catalog = market(tmp_path, [row("x", 2.0, NEW, "a"), row("y", 3.0, NEW, "b")])
    assert [o.usd_per_hour for o in catalog.offerings] == [3.0]


def test_on_one_day_a_quote_with_a_place_counts_before_one_without(tmp_path):
    rows = [row("x", 2.0, NEW, "a"), row(GPU, 3.0, NEW, "b", region="global")]
    assert prices(market(tmp_path, rows)) == {"acme/x/fin-1 dedicated": 2.0}


def test_what_one_list_names_side_by_side_is_two_products(tmp_path):
    rows = [row("small-host", 2.0, NEW, "a"), row("large-host", 3.0, NEW, "a")]
    assert len(market(tmp_path, rows).offerings) == 2
    # Told apart once, they are apart everywhere: elsewhere two lists have one of them each.
    rows += [row("small-host", 2.5, OLD, "b", region="us-1")]
    rows += [row("large-host", 2.2, NEW, "c", region="us-1")]
    catalog = market(tmp_path, rows)
    assert len(catalog.offerings) == 4
    assert not any(o.also_quoted for o in catalog.offerings)


def test_a_bare_gpu_beside_a_variant_is_what_other_lists_mean(tmp_path):
    # List b tells the plain card from the bridged one; list a's own name is of the plain card.
    rows = [row("n1", 1.0, OLD, "a"), row(GPU, 1.9, NEW, "b"), row("bridged", 2.4, NEW, "b")]
    catalog = market(tmp_path, rows)
    assert prices(catalog) == {
        "acme/bridged/fin-1 dedicated": 2.4,
        "acme/n1/fin-1 dedicated": 1.9,
    }


def test_other_billings_gpus_per_unit_and_places_are_other_products(tmp_path):
    rows = [
        row("x", 2.0, OLD, "a"),
        row("y", 1.0, NEW, "b", billing="spot"),
        row("z", 4.0, NEW, "c", gpus=2),
        row("v", 3.0, NEW, "d", region="us-1"),
        row("w", 3.0, NEW, "e", provider="beta"),
    ]
    assert len(market(tmp_path, rows).offerings) == 5


# ---- what a quote leaves open


def test_a_quote_without_a_place_is_of_the_place_where_it_is_sold(tmp_path):
    rows = [row("1h100", 2.59, OLD, "a"), row(GPU, 3.39, NEW, "b", region="global")]
    (offering,) = market(tmp_path, rows).offerings
    assert (offering.id, offering.usd_per_hour) == ("acme/1h100/fin-1", 3.39)
    assert offering.price_note == "quoted without a region"
    older = [row("1h100", 2.59, NEW, "a"), row(GPU, 3.39, OLD, "b", region="global")]
    assert prices(market(tmp_path, older)) == {"acme/1h100/fin-1 dedicated": 2.59}


def test_a_quote_without_a_place_is_of_its_own_where_prices_differ_by_place(tmp_path):
    rows = [row("x", 2.0, OLD, "a"), row("x", 2.2, OLD, "a", region="us-1")]
    rows += [row(GPU, 1.5, NEW, "b", region="global")]
    assert prices(market(tmp_path, rows)) == {
        "acme/h100-80gb-sxm/global dedicated": 1.5,
        "acme/x/fin-1 dedicated": 2.0,
        "acme/x/us-1 dedicated": 2.2,
    }
    rows[1] = row("x", 2.0, OLD, "a", region="us-1")
    assert {o.usd_per_hour for o in market(tmp_path, rows).offerings} == {1.5}


def test_a_quote_for_one_gpu_is_of_all_sizes_where_the_price_per_gpu_is_one(tmp_path):
    sizes = [row(f"{n}h100", 2 * n, OLD, "a", gpus=n) for n in (1, 2, 8)]
    newer = row(GPU, 3, NEW, "b", region="global", one_gpu=True)
    catalog = market(tmp_path, [*sizes, newer])
    # $3 per GPU: 3, 6 and 24 for units of 1, 2 and 8.
    assert [o.usd_per_hour for o in catalog.offerings] == [3, 6, 24]
    assert not any(o.count_assumed for o in catalog.offerings)
    assert catalog.offerings[2].price_note == (
        "quoted without a region; 8 times the price quoted for one GPU"
    )
    # Its id is that of one GPU, as ever.
    assert catalog.offering_ids["acme/h100-80gb-sxm/global"] == ("acme/1h100/fin-1",)


def test_a_quote_for_one_gpu_is_of_one_gpu_where_large_units_are_cheaper(tmp_path):
    sizes = [row("1h100", 2, OLD, "a"), row("8h100", 14, OLD, "a", gpus=8)]
    catalog = market(tmp_path, [*sizes, row(GPU, 3, NEW, "b", one_gpu=True)])
    assert [o.usd_per_hour for o in catalog.offerings] == [3, 14]


def test_one_size_alone_says_nothing_of_others(tmp_path):
    rows = [row("8h100", 16, OLD, "a", gpus=8), row(GPU, 3, NEW, "b", one_gpu=True)]
    catalog = market(tmp_path, rows)
    assert [(o.gpus_per_unit, o.usd_per_hour) for o in catalog.offerings] == [(8, 16), (1, 3)]


# ---- overlays


def test_an_overlays_row_under_one_of_the_ids_replaces_the_product_whatever_the_days(tmp_path):
    rows = [row("1h100", 2.59, OLD, "a"), row(GPU, 3.39, NEW, "b")]
    catalog = market(tmp_path, rows, [row("1h100", 1.0, "2025-01-01", "offer")])
    (offering,) = catalog.offerings
    assert (offering.usd_per_hour, offering.override, catalog.notes) == (1.0, True, ())
    assert [q.usd_per_hour for q in offering.also_quoted] == [3.39, 2.59]


def test_an_overlays_row_under_another_name_is_one_more_quote(tmp_path):
    older = market(tmp_path, [row("1h100", 2.59, NEW, "a")], [row("mine", 1.0, OLD, "offer")])
    assert prices(older) == {"acme/1h100/fin-1 dedicated": 2.59}
    assert older.notes == (
        "acme/mine/fin-1: its price does not count, another quote of the product is newer",
    )
    newer = market(tmp_path, [row("1h100", 2.59, OLD, "a")], [row("mine", 1.0, NEW, "offer")])
    assert prices(newer) == {"acme/1h100/fin-1 dedicated": 1.0}
    same_day = market(tmp_path, [row("1h100", 2.59, NEW, "a")], [row("mine", 1.0, NEW, "offer")])
    assert prices(same_day) == {"acme/1h100/fin-1 dedicated": 1.0}


def test_a_row_without_a_price_takes_the_product_away_under_whatever_id(tmp_path):
    rows = [row("1h100", 2.59, OLD, "a"), row(GPU, 3.39, NEW, "b")]
    for name in ("1h100", GPU):
        catalog = market(tmp_path, rows, [row(name, "", NEW, "no longer sold")])
        assert catalog.offerings == ()


def test_a_quota_holds_under_whatever_id_it_is_stated(tmp_path):
    rows = [row("1h100", 2.59, NEW, "a"), row(GPU, 3.39, OLD, "b", region="global")]
    quota = row(GPU, 3.39, OLD, "our quota", region="global", max_units=1)
    (offering,) = market(tmp_path, rows, [quota]).offerings
    assert (offering.id, offering.max_units) == ("acme/1h100/fin-1", 1)
    higher = row("1h100", 2.59, OLD, "our new quota", max_units=8)
    (offering,) = market(tmp_path, rows, [quota], [higher]).offerings
    assert offering.max_units == 8


def test_machines_of_ones_own_are_never_one(tmp_path):
    head = "provider,name,region,gpu,gpus_per_unit,purchase_usd,lifetime_years,as_of,source"
    racks = [f"lab,rack-{n},cellar,{GPU},8,87600,1,{NEW},books {n}" for n in (1, 2)]
    files = WHOLE | {"owned.csv": "\n".join([head, *racks, ""]), "offerings.csv": f"{HEAD}\n"}
    write(tmp_path / "own", files)
    assert len(load_catalog("own", base=tmp_path, as_of=TODAY).offerings) == 2


# ---- who counts products


def problem(**limits: object) -> Problem:
    """5 requests/s, of which one GPU serves 2 at full load: 3 units at least."""
    return Problem.model_validate(
        {
            "workloads": [
                {
                    "name": "chat",
                    "llm": "any",
                    "traffic": {"kind": "requests_per_second", "requests_per_second": 5},
                    "requests": {"input_tokens": 100, "output_tokens": 10},
                    "rates": [{"gpu": GPU, "requests_per_second": 2}],
                }
            ],
            "policy": {"utilization": {"target": "100%"}},
            "limits": limits,
            "alternatives": {"count": 2},
        }
    )


@pytest.fixture
def twice(tmp_path):
    """One product under two names, and a second one at beta."""
    rows = [row("1h100", 2.0, OLD, "a"), row(GPU, 2.0, NEW, "b")]
    return market(tmp_path, [*rows, row("b1", 5.0, NEW, "a", provider="beta")])


def test_no_plan_survives_the_loss_of_the_one_product_by_its_second_name(twice):
    alone = {"providers": {"allow": ["acme"]}, "survive_loss_of": "offering"}
    assert solve(problem(**alone), twice).status.value == "infeasible"
    plan = solve(problem(survive_loss_of="offering"), twice)
    assert {p.candidate.offering.id for p in plan.purchases} == {
        *("acme/1h100/fin-1", "beta/b1/fin-1")
    }


@pytest.mark.parametrize("pattern", ["acme/1h100/fin-1", "acme/h100-80gb-sxm/*"])
def test_limits_by_either_id_bind_the_product(twice, pattern):
    plan = solve(problem(max_units={pattern: 2}), twice)
    bought = {p.candidate.offering.provider: p.units for p in plan.purchases}
    assert bought == {"acme": 2, "beta": 1}  # 3 units, 2 of the cheap ones
    plan = solve(problem(offerings={"deny": [pattern]}), twice)
    assert {p.candidate.offering.provider for p in plan.purchases} == {"beta"}
    plan = solve(problem(offerings={"allow": [pattern]}), twice)
    assert {p.candidate.offering.provider for p in plan.purchases} == {"acme"}


def test_alternatives_do_not_differ_by_the_second_name(twice):
    plan = solve(problem(), twice)
    sets = [{p.candidate.offering.id for p in other.purchases} for other in plan.alternatives]
    assert sets == [{"acme/1h100/fin-1", "beta/b1/fin-1"}, {"beta/b1/fin-1"}]


def test_a_running_fleet_may_bear_the_other_id(twice):
    running = [{"offering": "acme/h100-80gb-sxm/fin-1", "workload": "chat", "units": 3}]
    asked = problem().changed({"current_fleet": running, "switching": {"usd_per_unit_added": 1000}})
    plan = solve(asked, twice)
    assert not any(change.planned != change.today for change in plan.changes)
    assert plan.costs["switching"] == 0
    doubled = [*running, {"offering": "acme/1h100/fin-1", "workload": "chat", "units": 1}]
    with pytest.raises(InputError, match=r"is given twice \(first as current_fleet\[0\]\); add"):
        solve(asked.changed({"current_fleet": doubled}), twice)


def test_an_id_of_several_places_names_none_of_them(tmp_path):
    rows = [row("x", 2.0, OLD, "a"), row("x", 2.0, OLD, "a", region="us-1")]
    catalog = market(tmp_path, [*rows, row(GPU, 1.5, NEW, "b", region="global")])
    running = [{"offering": "acme/h100-80gb-sxm/global", "workload": "chat", "units": 3}]
    with pytest.raises(
        InputError, match=r"sold in several places; write one of acme/x/fin-1, acme/x/us-1"
    ):
        solve(problem().changed({"current_fleet": running}), catalog)
    # A limit by that id is about all of them.
    plan = solve(problem(max_units={"acme/h100-80gb-sxm/global": 3}), catalog)
    assert sum(p.units for p in plan.purchases) == 3


def test_explain_and_show_answer_to_either_id(twice):
    why = explain(problem(), twice, offering="acme/h100-80gb-sxm/fin-1")
    assert why.verdict.value == "used"
    text = show_text(show_dict(twice, "acme/h100-80gb-sxm/fin-1"))
    assert "also known as: acme/h100-80gb-sxm/fin-1\n" in text
    assert f"also quoted: $2 per hour on {OLD} (as acme/1h100/fin-1, a)\n" in text


# ---- the shipped catalogs


@pytest.fixture(scope="module")
def shipped() -> Catalog:
    return load_catalog("market")


def quotes() -> list[dict[str, str]]:
    with (ROOT / "catalogs/market/offerings.csv").open(encoding="utf-8") as lines:
        return list(csv.DictReader(lines))


def test_no_two_shipped_offerings_are_one_product(shipped):
    """Two that share provider, GPU, size, billing and place are side by side in one list."""
    lists = defaultdict(set)
    for q in quotes():
        lists[q["provider"], q["gpu"], q["source"], q["as_of"]].add(q["name"])
    groups = defaultdict(list)
    for o in shipped.offerings:
        groups[o.provider, o.gpu, o.gpus_per_unit, o.billing, o.region].append(o)
    for (provider, gpu, *_), group in groups.items():
        for o in group:
            for other in group:
                names = {o.name, other.name}
                beside = any(
                    names <= listed for key, listed in lists.items() if key[:2] == (provider, gpu)
                )
                assert beside, f"{o.id} and {other.id} are one product"
    merged = {(o.provider, o.gpu) for o in shipped.offerings if o.also_quoted}
    assert {provider for provider, _ in merged} == {"verda", "hyperstack", "jarvislabs", "lambda"}


def test_no_shipped_price_is_older_than_another_quote_of_its_product(shipped):
    for o in shipped.offerings:
        assert all(quote.as_of <= o.as_of for quote in o.also_quoted), o.id


def test_every_shipped_quote_is_seen_in_a_product_and_its_id_names_one(shipped):
    by_id: dict[tuple[str, str], list[Offering]] = defaultdict(list)
    for o in shipped.offerings:
        for id_ in o.ids:
            by_id[id_, o.billing].append(o)
    for q in quotes():
        key = f"{q['provider']}/{q['name']}/{q['region']}", q["billing"]
        found = by_id[key]
        assert found, key
        seen = [
            p for o in found for p in (o.usd_per_hour, *(x.usd_per_hour for x in o.also_quoted))
        ]
        assert float(q["usd_per_hour"]) in seen, key


def test_a_dearer_newer_quote_is_not_undercut_by_the_larger_units_of_the_older_list(shipped):
    """Units of verda cost one price per GPU whatever their size, and the newer one holds."""
    per_gpu = defaultdict(set)
    for o in shipped.offerings:
        if o.provider == "verda" and o.billing == "dedicated":
            per_gpu[o.gpu].add(round(o.usd_per_gpu_hour, 2))
    assert per_gpu["b200-180gb-sxm"] == {4.89}
    assert per_gpu["h200-141gb-sxm"] == {3.39}
