"""A price list replaces what the catalog below it has of that provider and billing."""

from __future__ import annotations

import json
import os
from datetime import date
from pathlib import Path

import pytest

from milp_planner import Catalog, InputError, load_catalog, load_problem, solve
from milp_planner.inputs.catalog.diff import catalog_diff
from milp_planner.inputs.imports.dating import day_of
from milp_planner.inputs.imports.gpuhunt import import_gpuhunt
from milp_planner.inputs.imports.litellm import import_litellm
from milp_planner.inputs.imports.provider_names import provider_of
from milp_planner.inputs.imports.skypilot import import_skypilot
from milp_planner.reporting.text.inputs.catalog import show_dict
from tests.support.catalog_files import SOURCED, TODAY, WHOLE, write

DAY = date(2026, 8, 20)
OWN = "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
LOWEST = f"""\
{OWN}acme,old-l4,eu-1,dedicated,l4-24gb,1,0.50,{SOURCED}
acme,l4-box,eu-1,dedicated,l4-24gb,1,0.60,{SOURCED}
acme,l4-box,eu-1,spot,l4-24gb,1,0.20,{SOURCED}
acme,l4-box,eu-1,reserved_1y,l4-24gb,1,0.40,{SOURCED}
beta,l4-box,eu-1,dedicated,l4-24gb,1,0.90,{SOURCED}
"""
HEADER = "InstanceType,AcceleratorName,AcceleratorCount,GpuInfo,Price,SpotPrice,Region\n"
LIST = f"{HEADER}L4-Box,L4,1,,0.70,,eu-1\nL4-pair,L4,2,,1.40,,eu-1\nodd,K80,1,,9,,eu-1\n"
MINE = "field,value\nname,low\nextends,none\n"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Acme sells one L4 on demand in two ways, spot and reserved; beta sells one."""
    files = WHOLE | {"catalog.csv": MINE, "offerings.csv": LOWEST}
    return write(tmp_path / "base", files)


def listed(folder: Path, text: str = LIST, name: str = "acme") -> Path:
    return write(folder / name, {"vms.csv": text}) / "vms.csv"


def sold(catalog: Catalog) -> dict[str, float]:
    return {f"{o.id} {o.billing}": o.usd_per_hour for o in catalog.offerings}


# --- What is retired --------------------------------------------------------------------------


def test_a_list_owns_its_provider_and_billing_and_nothing_else(tmp_path: Path, base: Path) -> None:
    done = import_skypilot([listed(tmp_path)], tmp_path / "new", base=base, as_of=DAY)
    loaded = load_catalog(tmp_path / "new", as_of=TODAY)
    assert sold(loaded) == {
        "acme/l4-box/eu-1 dedicated": 0.70,  # replaced
        "acme/l4-box/eu-1 reserved_1y": 0.40,  # the list has no reservations
        "acme/l4-box/eu-1 spot": 0.20,  # nor spot prices
        "acme/l4-pair/eu-1 dedicated": 1.40,  # new
        "beta/l4-box/eu-1 dedicated": 0.90,  # another's
    }
    assert [(row.id, why) for row, why in loaded.retired] == [
        ("acme/old-l4/eu-1", "by SkyPilot catalog, vms.csv of 2026-08-20")
    ]
    (change,) = done.sellers
    assert (change.provider, change.billing) == ("acme", "dedicated")
    assert (change.added, change.replaced, change.unnamed) == (1, 1, ("acme/old-l4/eu-1",))


def test_the_counts_of_a_plan_are_true(tmp_path: Path, base: Path) -> None:
    import_skypilot([listed(tmp_path)], tmp_path / "new", base=base, as_of=DAY)
    loaded = load_catalog(tmp_path / "new", as_of=TODAY)
    assert (loaded.overlaid.added, loaded.overlaid.replaced, loaded.overlaid.retired) == (1, 1, 1)
    assert loaded.overlaid.said == "1 row added, 1 replaced, 1 retired"
    assert loaded.overrides == 2
    assert load_catalog(base).overlaid.said == ""


def test_what_a_list_does_not_name_may_be_kept_and_is_named(tmp_path: Path, base: Path) -> None:
    done = import_skypilot([listed(tmp_path)], tmp_path / "new", base=base, as_of=DAY, keep=True)
    loaded = load_catalog(tmp_path / "new", as_of=TODAY)
    assert "acme/old-l4/eu-1 dedicated" in sold(loaded)
    assert not (tmp_path / "new" / "retired.csv").exists()
    assert done.lines()[-1] == (
        "  acme dedicated: 1 new, 1 replaced, "
        "1 kept though the list does not name them (acme/old-l4/eu-1)"
    )


def test_the_report_says_the_day_and_what_is_retired_and_names_all_when_asked(
    tmp_path: Path, base: Path
) -> None:
    text = LIST + "odd-2,K80,1,,9,,eu-1\n"
    file = listed(tmp_path, text)
    done = import_skypilot([file], tmp_path / "new", base=base, as_of=DAY)
    assert done.lines() == [
        f"{tmp_path / 'new'}: 2 rows in offerings.csv, 2 left out",
        f"  2  GPU not in the catalog (for example {file}:4 odd: K80)",
        "  prices of 2026-08-20 (as asked)",
        "  acme dedicated: 1 new, 1 replaced, 1 retired (acme/old-l4/eu-1)",
    ]
    assert done.lines(verbose=True)[1:4] == [
        "  2  GPU not in the catalog:",
        f"       {file}:4 odd: K80",
        f"       {file}:5 odd-2: K80",
    ]


def test_a_plan_pays_the_list_and_not_what_it_replaced(tmp_path: Path, base: Path) -> None:
    import_skypilot([listed(tmp_path)], tmp_path / "new", base=base, as_of=DAY)
    text = """
schema_version: 1
catalog: new
workloads:
  - name: w
    llm: svc
    traffic: {kind: requests_per_second, requests_per_second: 1}
    rates: [{gpu: l4-24gb, gpus_per_replica: 1, requests_per_second: 2}]
policy: {utilization: {target: 1}}
"""
    problem = load_problem(tmp_path / "p.yaml", text=text)
    plan = solve(problem, load_catalog(tmp_path / "new", as_of=TODAY))
    # One L4 carries it. The old $0.50 and $0.60 are gone: 0.70 · 720 h.
    assert plan.cash_usd_per_month == pytest.approx(504.0)


def test_a_list_of_tokens_replaces_the_providers_token_prices(tmp_path: Path, base: Path) -> None:
    tokens = "provider,llm,usd_per_m_input_tokens,usd_per_m_output_tokens,as_of,source\n"
    rows = f"acme,small-8b,0.1,0.2,{SOURCED}\nacme,tuned-8b,0.1,0.2,{SOURCED}\n"
    (base / "token_prices.csv").write_text(tokens + rows)
    prices = {"input_cost_per_token": 3e-7, "output_cost_per_token": 4e-7}
    entry = {"litellm_provider": "acme", "mode": "chat", **prices}
    file = tmp_path / "prices.json"
    file.write_text(json.dumps({"acme/small-8b": entry}))
    done = import_litellm([file], tmp_path / "new", base=base, as_of=DAY)
    loaded = load_catalog(tmp_path / "new", as_of=TODAY)
    assert {p.id: p.usd_per_m_input_tokens for p in loaded.token_prices} == {
        "acme/small-8b/global": 0.3
    }
    assert done.sellers[0].unnamed == ("acme/tuned-8b/global",)
    assert "acme/old-l4/eu-1 dedicated" in sold(loaded)  # rented, not sold per token


def test_spot_rows_of_gpuhunt_own_spot(tmp_path: Path, base: Path) -> None:
    header = "instance_name,location,price,gpu_count,gpu_name,gpu_memory,spot\n"
    file = write(tmp_path / "hunt", {"acme.csv": header + "l4-new,eu-1,0.3,1,L4,24,True\n"})
    import_gpuhunt([file / "acme.csv"], tmp_path / "new", base=base, as_of=DAY)
    names = [name for name in sold(load_catalog(tmp_path / "new", as_of=TODAY)) if "acme" in name]
    assert names == [
        "acme/l4-box/eu-1 dedicated",
        "acme/l4-box/eu-1 reserved_1y",
        "acme/l4-new/eu-1 spot",
        "acme/old-l4/eu-1 dedicated",
    ]


# --- retired.csv ------------------------------------------------------------------------------

RETIRED = "provider,billing,gpu,as_of,source\n"


def overlaid(base: Path, *lines: str, **files: str) -> Catalog:
    rows = "".join(f"{line},{SOURCED}\n" for line in lines)
    texts = {"retired.csv": RETIRED + rows} | {f"{n}.csv": text for n, text in files.items()}
    overlay = write(base.parent / "over", texts)
    return load_catalog(base, overlays=[overlay], as_of=TODAY)


def test_a_line_takes_away_by_provider_billing_and_gpu(base: Path) -> None:
    assert "acme/l4-box/eu-1 spot" not in sold(overlaid(base, "acme,spot,"))
    assert "acme/l4-box/eu-1 spot" not in sold(overlaid(base, "acme,spot,l4-*"))
    assert "acme/l4-box/eu-1 spot" in sold(overlaid(base, "acme,spot,h100-*"))


def test_rows_of_the_same_folder_stay(base: Path) -> None:
    own = f"{OWN}acme,l4-box,eu-1,spot,l4-24gb,1,0.25,{SOURCED}\n"
    loaded = overlaid(base, "acme,spot,*", offerings=own)
    assert sold(loaded)["acme/l4-box/eu-1 spot"] == 0.25
    assert loaded.retired == ()
    assert loaded.overlaid.said == "1 row replaced"


def test_a_wrong_line_is_a_fault_with_its_place(base: Path) -> None:
    with pytest.raises(InputError) as error:
        overlaid(base, "acme,rented,*")
    assert "over/retired.csv:2: billing: 'rented' is not one of" in str(error.value)


def test_a_retired_row_is_shown_and_told_in_a_diff(base: Path) -> None:
    loaded = overlaid(base, "acme,spot,*")
    shown = show_dict(loaded, "acme/l4-box/eu-1")
    retired = [row.get("retired") for row in shown["billings"]]
    assert retired == [None, None, "by price list of 2026-08-01"]
    diff = catalog_diff(load_catalog(base, as_of=TODAY), loaded)
    assert diff.lines() == [
        "offerings: 1 removed",
        "  - acme/l4-box/eu-1 spot: $0.2 per unit and hour (retired by price list of 2026-08-01)",
    ]
    assert diff.to_dict()["removed"][0]["why"] == "by price list of 2026-08-01"


# --- Whose it is, and of which day -------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "provider"),
    [
        ("lambda/vms.csv", "lambda"),
        ("lambda-list/vms.csv", "lambda"),
        ("x/gcp_vms_few.csv", "gcp"),
        ("x/vast_vms_few.csv", "vast-ai"),  # SkyPilot's name of it
        ("x/datacrunch.csv", "verda"),
        ("x/aws-and-gcp.csv", "aws-and-gcp"),  # two: taken as it stands
        ("x/unheard-of.csv", "unheard-of"),
    ],
)
def test_a_list_is_of_the_provider_that_its_path_names(path: str, provider: str) -> None:
    known = ("aws", "gcp", "lambda", "vast-ai", "verda")
    assert provider_of(Path(path), None, known, load_catalog().sellers) == provider
    assert (
        provider_of(Path(path), "Lambda Labs".replace(" ", ""), known, load_catalog().sellers)
        == "lambda"
    )


def test_a_list_is_of_the_day_that_it_names_else_of_the_day_it_was_written(tmp_path: Path) -> None:
    today = date(2026, 8, 21)
    for name in ("2026-08-01.csv", "aws_20260801.csv", "20260801-1234/aws.csv"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("")
        assert day_of(file, None, today).day == date(2026, 8, 1), name
        assert day_of(file, DAY, today).day == DAY
    file = tmp_path / "20261224.csv"  # the future says nothing
    file.write_text("")
    noon = 1_785_585_600  # 2026-08-01, 12:00 UTC
    os.utime(file, (noon, noon))
    found = day_of(file, None, today)
    assert (found.day, found.how) == (date(2026, 8, 1), "the day the file was written")
    os.utime(file, (noon + 86_400 * 365, noon + 86_400 * 365))  # a clock ahead of ours
    assert day_of(file, None, today).day == today
