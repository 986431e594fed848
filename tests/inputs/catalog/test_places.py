"""Where regions are: groups and countries for all providers, whatever they call their regions."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from milp_planner import Catalog, Problem, load_catalog, solve
from milp_planner.candidates.filters import NAMES_OF, is_ruled_out
from milp_planner.inputs.catalog.identity.places import Place, Places
from milp_planner.inputs.problem.records import Filter
from milp_planner.plans.sentences import warning_lines
from milp_planner.solving.prepare import prepare
from tests.support.builders import catalog, offering, problem, raw
from tests.support.catalog_files import OFFERINGS, TODAY, WHOLE, faults, write

MARKET = load_catalog()
SHIPPED = Path(__file__).resolve().parents[3] / "catalogs" / "market"


def place(provider: str, region: str, country: str = "fi", group: str = "eu") -> Place:
    return Place(provider=provider, region=region, country=country, group=group, source="test")


def four() -> Catalog:
    """One GPU of 10 requests/s at four prices: acme in London and Helsinki, bolt in Helsinki and
    in a place that it does not state."""
    london = {"country": "gb", "group": "uk", "metro": "london"}
    helsinki = {"country": "fi", "group": "eu", "metro": "helsinki"}
    return catalog(
        [
            offering("acme", "big", 2.0, region="eu-west", **london),
            offering("acme", "big", 3.0, region="eu-north", **helsinki),
            offering("bolt", "big", 4.0, region="hel-1", **helsinki),
            offering("bolt", "big", 1.0, region="global"),
        ],
        [raw("big", 10)],
    )


def asked(rate: float = 10, **limits: object) -> Problem:
    return problem(rate, limits=limits)


def bought(asked_for: Problem) -> list[str]:
    plan = solve(asked_for, four())
    return sorted(f"{p.candidate.provider} {p.candidate.region}" for p in plan.purchases)


def noted(**regions: list[str]) -> list[str]:
    return [*prepare(asked(regions=regions), four()).candidates.notes]


# --- The table --------------------------------------------------------------------------------


def test_every_shipped_region_has_a_row_but_those_that_are_not_stated() -> None:
    rows = [*MARKET.offerings, *MARKET.token_prices]
    without = {(row.provider, row.region) for row in rows if not (row.country and row.group)}
    assert {region for _, region in without} == {"global"}


def test_misleading_names_are_where_they_are() -> None:
    found = {o.region: (o.country, o.group) for o in MARKET.offerings if o.provider == "aws"}
    assert found["eu-west-2"] == ("gb", "uk")
    assert found["eu-central-2"] == ("ch", "efta")
    assert found["us-east-1-qro-1"] == ("mx", "latam")
    assert found["us-east-1-lim-1"] == ("pe", "latam")
    assert found["us-east-1-scl-1"] == ("cl", "latam")
    assert found["eu-west-3-wl1-cmn1"] == ("ma", "africa")
    assert found["eu-west-3-wl1-dss1"] == ("sn", "africa")
    places = {(o.provider, o.region): o.place for o in MARKET.offerings}
    assert places["aws", "us-east-1.use1-az1"] == places["aws", "us-east-1"] == "us/washington"
    assert places["azure", "eastus"] == places["gcp", "us-east4"] == "us/washington"


def test_a_country_is_in_one_group() -> None:
    rows = [*MARKET.offerings]
    groups = {(row.country, row.group) for row in rows if row.country}
    assert len(groups) == len({country for country, _ in groups})


def test_regions_that_price_lists_have_and_the_shipped_prices_do_not_are_placed_too() -> None:
    # As SkyPilot's and gpuhunt's lists name them, slugged as imports do.
    rows = csv.DictReader((SHIPPED / "places.csv").open(encoding="utf-8"))
    places = Places.of(Place(**{**row, "metro": row["metro"] or ""}) for row in rows)
    wanted = {
        ("vast-ai", "denmark-dk-eu"): ("dk", "eu"),
        ("vast-ai", "switzerland-ch-eu"): ("ch", "efta"),
        ("vast-ai", "us-na"): ("us", "us"),
        ("vast-ai", "british-columbia-ca-na"): ("ca", "ca"),
        ("vast-ai", "pas-de-calais-fr-eu"): ("fr", "eu"),
        ("vast-ai", "vietnam-vn-as"): ("vn", "asia"),
        ("lambda", "europe-central-1"): ("de", "eu"),
        ("lambda", "me-west-1"): ("il", "middle-east"),
        ("runpod", "eu-ro-1"): ("ro", "eu"),
        ("runpod", "eur-is-1"): ("is", "efta"),
        ("runpod", "us-tx-3"): ("us", "us"),
        ("runpod", "cz"): ("cz", "eu"),
    }
    found = {key: places.find(*key) for key in wanted}
    assert {k: p and (p.country, p.group) for k, p in found.items()} == wanted
    assert places.find("vast-ai", "global") is None
    assert places.find("vast-ai", "somewhere-zz-eu") is None


def test_a_name_goes_before_the_region_of_a_zone_and_that_before_patterns() -> None:
    places = Places.of(
        [
            place("acme", "*", "us", "us"),
            place("acme", "n-*", "se"),
            place("acme", "n-1"),
            place("acme", "n-1.far", "no", "efta"),
        ]
    )

    def country(region: str) -> str:
        found = places.find("acme", region)
        return found.country if found else ""

    assert [country(r) for r in ("n-1", "n-1.a", "n-1.far", "n-2", "x")] == [
        *("fi", "fi", "no", "se", "us")
    ]
    assert places.find("bolt", "n-1") is None


def test_a_folder_of_ones_own_may_place_its_regions(tmp_path: Path) -> None:
    rows = "provider,region,country,group,source\nacme,eu-1,ie,eu,contract\n"
    write(tmp_path / "own", WHOLE | {"places.csv": rows, "offerings.csv": OFFERINGS})
    known = load_catalog("own", base=tmp_path, as_of=TODAY)
    assert {o.provider: o.group for o in known.offerings} == {"acme": "eu", "beta": ""}


def test_a_wrong_group_is_said_with_its_line(tmp_path: Path) -> None:
    rows = "provider,region,country,group,source\nacme,eu-1,ie,europe,contract\n"
    assert "own/places.csv:2: group: 'europe' is not one of 'eu', " in faults(tmp_path, places=rows)


# --- Limits -----------------------------------------------------------------------------------


def test_a_region_that_no_table_places_is_out_of_a_group_and_that_is_said() -> None:
    known = four()
    odd = offering("coil", "big", 0.5, region="site-7")
    known = replace(known, offerings=(*known.offerings, odd))
    asked_for = asked(regions={"allow": ["eu"]})
    assert [k.region for k in prepare(asked_for, known).candidates.candidates] == [
        "eu-north",
        "hel-1",
    ]
    assert [*prepare(asked_for, known).candidates.notes] == [
        "limits.regions.allow: where coil site-7 is, is not known, so that it is in no group; "
        "name it, or place it in a places.csv, to take it in"
    ]
    assert len(prepare(asked(regions={"allow": ["gb"]}), known).candidates.notes) == 1
    for regions in ({"allow": ["eu", "site-7"]}, {"allow": ["hel-1"]}, {"deny": ["uk", "global"]}):
        assert not prepare(asked(regions=regions), known).candidates.notes


def test_a_group_and_a_country_are_those_of_all_providers() -> None:
    assert bought(asked(regions={"allow": ["eu"]})) == ["acme eu-north"]
    assert bought(asked(regions={"allow": ["fi"]}, providers={"deny": ["acme"]})) == ["bolt hel-1"]
    assert bought(asked(regions={"allow": ["uk"]})) == ["acme eu-west"]
    assert bought(asked(regions={"deny": ["uk", "global"]})) == ["acme eu-north"]


def test_what_has_no_known_place_is_in_no_group_unless_named() -> None:
    assert bought(asked(regions={"allow": ["eu", "global"]})) == ["bolt global"]
    assert bought(asked(regions={"deny": ["eu", "uk"]})) == ["bolt global"]
    assert noted(deny=["eu", "uk"]) == [
        "limits.regions.deny: what bolt sell without saying where stays; "
        "deny global to leave it out"
    ]
    assert noted(deny=["eu", "global"]) == []
    assert noted(allow=["eu", "global"]) == []


def test_a_pattern_of_a_group_is_the_group_and_what_it_names_elsewhere() -> None:
    assert bought(asked(regions={"allow": ["eu-*"]})) == ["acme eu-west"]  # London, by its name
    assert bought(asked(regions={"allow": ["eu-*"]}, providers={"deny": ["acme"]})) == [
        "bolt hel-1"  # Helsinki, by its place
    ]
    assert noted(allow=["eu-*"]) == [
        "limits.regions.allow: eu-* means the group eu, and regions elsewhere of that name "
        "(acme eu-west); write eu"
    ]


def test_a_pattern_that_misses_providers_of_its_group_is_warned_of() -> None:
    assert noted(allow=["eu-n*"]) == [
        "limits.regions.allow: eu-n* matches no region of bolt in eu; write eu"
    ]
    assert noted(allow=["eu-n*", "hel-*"]) == []
    assert noted(allow=["eu-north"]) == []  # a name is meant as it stands
    plan = solve(asked(regions={"allow": ["eu-n*"]}), four())
    assert warning_lines(plan) == (
        "limits.regions.allow: eu-n* matches no region of bolt in eu; write eu",
    )


def test_places_are_lost_and_counted_whoever_is_there() -> None:
    # Helsinki alone: acme's loss leaves bolt's GPU, the loss of Helsinki nothing.
    known, there = four(), {"allow": ["fi"]}
    assert solve(asked(regions=there, survive_loss_of="provider"), known).status.has_plan
    assert not solve(asked(regions=there, survive_loss_of="region"), known).status.has_plan
    both = asked(regions={"allow": ["eu", "uk"]}, survive_loss_of="region")
    plan = solve(both, known)
    assert {p.candidate.place for p in plan.purchases} == {"gb/london", "fi/helsinki"}
    assert {loss.lost for loss in plan.worst_losses} <= {"gb/london", "fi/helsinki"}
    one = asked(
        20,
        regions={"allow": ["fi"], "max_count": 1},
        max_units={"acme/*": 1, "bolt/*": 1},
    )
    assert solve(one, known).status.has_plan  # two regions, one place


def test_a_diagnosis_says_which_regions_to_allow() -> None:
    none = asked(regions={"allow": ["eu", "uk"], "deny": ["eu", "uk"]}).changed(
        {"limits.regions.allow": []}
    )
    none = none.changed({"limits.providers.deny": ["bolt"]})
    plan = solve(none, four())
    assert plan.diagnosis is not None
    for change in plan.diagnosis.changes:
        assert solve(none.changed(change.patch), four()).status.has_plan


# --- The shipped market: one answer, however it is asked --------------------------------------


def left(**kept: list[str]) -> set[tuple[str, str]]:
    wish = Filter(**kept)
    rows = MARKET.offerings
    return {(o.provider, o.region) for o in rows if not is_ruled_out("regions", wish, o)}


def test_the_group_by_name_or_pattern_holds_every_european_region_that_can_be_spelled_out() -> None:
    own = ["fin-*", "europe-*", "northeurope", "westeurope", "francecentral", "polandcentral"]
    own += ["germanywestcentral", "germanynorth", "swedencentral", "italynorth", "spaincentral"]
    by_pattern, spelled = left(allow=["eu-*"]), left(allow=["eu-*", *own])
    places = {(o.provider, o.region): o.group for o in MARKET.offerings}
    assert {at for at in spelled - by_pattern} == {
        at
        for at in spelled
        if at[1] in ("europe-west2", "europe-west6")  # London and Zurich
    }
    assert {places[at] for at in left(allow=["eu"])} == {"eu"}
    assert left(allow=["eu"]) <= by_pattern


def test_no_american_region_is_left_once_us_is_denied() -> None:
    for deny in (["us"], ["us-*"]):
        rows = {(o.provider, o.region): o.country for o in MARKET.offerings}
        assert "us" not in {rows[at] for at in left(deny=deny)}
    assert ("azure", "eastus") not in left(deny=["us-*"])
    assert ("aws", "us-east-1-lim-1") in left(deny=["us"])


def test_every_region_has_its_own_name_first() -> None:
    assert all(NAMES_OF["regions"](o)[0] == o.region for o in MARKET.offerings)
