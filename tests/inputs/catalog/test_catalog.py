"""Reading catalogs: layers, aliases, and every fault with its file and line."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from milp_planner.errors import InputError
from milp_planner.inputs.catalog import files
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Catalog
from tests.support.catalog_files import (
    MEASUREMENTS,
    OFFERINGS,
    SOURCED,
    TODAY,
    TOKEN_PRICES,
    WHOLE,
    faults,
    load,
    write,
)

# --- What is read -----------------------------------------------------------------------------


def test_a_folder_is_read_into_records_in_a_fixed_order(tmp_path: Path) -> None:
    catalog = load(tmp_path)
    assert (catalog.name, catalog.version, catalog.overrides) == ("tiny", "3", 0)
    assert [o.key for o in catalog.offerings] == [
        ("acme/big/eu-1", "dedicated"),
        ("beta/big/us-1", "dedicated"),
        ("beta/big/us-1", "spot"),
    ]
    assert catalog.offerings[0].usd_per_gpu_hour == 3.0
    assert catalog.token_prices[0].usd_per_m_cached_tokens == 0.05
    assert catalog.providers == ("acme", "beta")
    assert catalog.offerings[0].as_of == date(2026, 8, 1)


def test_an_llm_takes_the_shape_and_the_measurements_of_another(tmp_path: Path) -> None:
    catalog = load(tmp_path)
    tuned = catalog.llms["tuned-8b"]
    assert (tuned.parameters_b, tuned.context_tokens, tuned.hf_id) == (8.5, 8192, "")
    assert catalog.measurements_by_llm["tuned-8b"] == catalog.measurements


def test_an_llm_is_found_by_its_hugging_face_name_and_by_aliases(tmp_path: Path) -> None:
    catalog = load(tmp_path, llm_aliases="alias,llm\nSmall,small-8b\n")
    for name in ("small-8b", "maker/Small-8B", "Small"):
        found = catalog.llm(name)
        assert found is not None
        assert found.id == "small-8b"
    assert catalog.llm("large") is None


def test_a_gpu_is_found_by_any_spelling_that_is_clear(tmp_path: Path) -> None:
    catalog = load(tmp_path, gpu_aliases="alias,gpu\nh100-nvl,h100-94gb-nvl\n")
    assert catalog.gpus_named("L4") == ("l4-24gb",)
    assert catalog.gpus_named("H100 NVL") == ("h100-94gb-nvl",)
    assert catalog.gpus_named("h100-80gb") == ("h100-80gb-pcie", "h100-80gb-sxm")
    assert catalog.gpus_named("a100") == ()


def test_aliases_in_rows_become_ids(tmp_path: Path) -> None:
    row = f"acme,small,eu-1,dedicated,L4,1,0.7,{SOURCED}\n"
    prices = TOKEN_PRICES.replace("small-8b", "maker/Small-8B")
    catalog = load(tmp_path, offerings=OFFERINGS + row, token_prices=prices)
    assert catalog.offerings[1].gpu == "l4-24gb"
    assert catalog.token_prices[0].llm == "small-8b"


def test_the_hash_is_that_of_the_files(tmp_path: Path) -> None:
    first = load(tmp_path / "a").sha256
    assert load(tmp_path / "b").sha256 == first
    assert load(tmp_path / "c", offerings=OFFERINGS.replace("24", "25")).sha256 != first


def test_byte_order_marks_blank_lines_and_quoted_line_breaks_are_fine(tmp_path: Path) -> None:
    offerings = "\ufeff" + OFFERINGS.replace("\n", "\n\n")
    offerings += 'acme,"x1",eu-1,dedicated,l4-24gb,1,"0.7",2026-08-01,"a page\nof two lines"\n'
    assert len(load(tmp_path, offerings=offerings).offerings) == 4


# --- Layers -----------------------------------------------------------------------------------


def test_a_folder_adds_to_and_replaces_rows_of_the_catalog_it_extends(tmp_path: Path) -> None:
    write(tmp_path / "base", WHOLE)
    own = OFFERINGS.splitlines()[0] + (
        f"\nacme,big,eu-1,dedicated,h100-80gb-sxm,8,20,{SOURCED}"
        f"\nacme,rig,eu-1,owned,l4-24gb,1,0.1,{SOURCED}\n"
    )
    manifest = "field,value\nname,mine\nextends,../base\n"
    write(tmp_path / "mine", {"catalog.csv": manifest, "offerings.csv": own})

    catalog = load_catalog("mine", base=tmp_path, as_of=TODAY)

    assert (catalog.name, catalog.overrides, len(catalog.offerings)) == ("tiny + mine", 2, 4)
    assert [(o.id, o.usd_per_hour) for o in catalog.offerings if o.override] == [
        ("acme/big/eu-1", 20.0),
        ("acme/rig/eu-1", 0.1),
    ]


def test_overlays_lie_on_top_in_their_order(tmp_path: Path) -> None:
    write(tmp_path / "own", WHOLE)
    two_rows = "\n".join(OFFERINGS.splitlines()[:2])
    overlays = [
        write(tmp_path / f"at-{price}", {"offerings.csv": two_rows.replace(",24,", f",{price},")})
        for price in (21, 22)
    ]
    catalog = load_catalog("own", base=tmp_path, overlays=overlays, as_of=TODAY)
    assert catalog.offerings[0].usd_per_hour == 22.0
    assert catalog.overrides == 1
    assert catalog.name == "tiny + at-21 + at-22"


def test_an_overlay_may_bring_a_gpu_an_llm_and_measurements_of_its_own(tmp_path: Path) -> None:
    write(tmp_path / "own", WHOLE)
    overlay = write(
        tmp_path / "lab",
        {
            "gpus.csv": f"id,vendor,as_of,source\nx1-64gb,acme,{SOURCED}\n",
            "llms.csv": f"id,same_shape_as,as_of,source\nours-8b,small-8b,{SOURCED}\n",
            "measurements.csv": MEASUREMENTS.replace("h100-80gb-sxm", "x1").replace(
                "small-8b", "ours-8b"
            ),
        },
    )
    catalog = load_catalog("own", base=tmp_path, overlays=[overlay], as_of=TODAY)
    assert {m.gpu for m in catalog.measurements_by_llm["small-8b"]} == {"h100-80gb-sxm", "x1-64gb"}
    assert catalog.overrides == 3


def test_a_shipped_catalog_is_the_same_whatever_was_made_of_it_before(tmp_path: Path) -> None:
    # Its rows are read once in a process; a catalog read by itself is what it must be.
    row = f"acme,big,eu-1,dedicated,h100-80gb-sxm,8,24,{SOURCED}"
    overlay = write(
        tmp_path / "mine",
        {
            "offerings.csv": f"{OFFERINGS.splitlines()[0]}\n{row}\n",
            "llms.csv": f"id,same_shape_as,as_of,source\nours-8b,llama-3.1-8b,{SOURCED}\n",
        },
    )

    def alone(*overlays: Path) -> Catalog:
        files._known.clear()
        return load_catalog(overlays=overlays, as_of=TODAY)

    plain, laid = alone(), alone(overlay)
    again = load_catalog(as_of=TODAY)
    assert again == plain
    again.llms.clear()  # type: ignore[attr-defined]
    again.gpu_aliases.clear()  # type: ignore[attr-defined]
    assert load_catalog(overlays=[overlay], as_of=TODAY) == laid
    assert load_catalog(as_of=TODAY) == plain
    later = load_catalog(as_of=date(2027, 1, 1))
    assert (later.read_on, later.offerings) == (date(2027, 1, 1), plain.offerings)


def test_names_of_sellers_that_an_overlay_brings_are_read_in_the_rows_below(tmp_path: Path) -> None:
    provider = load_catalog(as_of=TODAY).offerings[0].provider
    header = "alias,provider,relation,source\n"
    overlay = write(tmp_path / "mine", {"seller_aliases.csv": f"{header}{provider},acme,same,x\n"})
    renamed = load_catalog(overlays=[overlay], as_of=TODAY)
    assert (provider in renamed.providers, "acme" in renamed.providers) == (False, True)
    assert provider in load_catalog(as_of=TODAY).providers


def test_a_folder_without_a_manifest_extends_the_market(tmp_path: Path) -> None:
    row = f"acme,big,eu-1,dedicated,h100-80gb-sxm,8,24,{SOURCED}"
    write(tmp_path / "mine", {"offerings.csv": f"{OFFERINGS.splitlines()[0]}\n{row}\n"})
    catalog = load_catalog(tmp_path / "mine", as_of=TODAY)
    assert (catalog.name, catalog.overrides) == ("market + mine", 1)
    assert len(catalog.gpus) == 44


def test_a_missing_price_is_unavailable_and_never_free(tmp_path: Path) -> None:
    unpriced = OFFERINGS.replace("sxm,8,32,", "sxm,8,,")
    catalog = load(tmp_path, offerings=unpriced)
    assert [o.id for o in catalog.offerings] == ["acme/big/eu-1", "beta/big/us-1"]
    assert catalog.offerings[1].billing == "spot"
    assert catalog.notes == ("own/offerings.csv: 1 unavailable for want of a price (line 3)",)


def test_an_overlay_without_the_price_takes_the_offering_away(tmp_path: Path) -> None:
    write(tmp_path / "own", WHOLE)
    row = OFFERINGS.splitlines()[1].replace(",24,", ",,")
    overlay = write(tmp_path / "o", {"offerings.csv": f"{OFFERINGS.splitlines()[0]}\n{row}\n"})
    catalog = load_catalog("own", base=tmp_path, overlays=[overlay], as_of=TODAY)
    assert [o.provider for o in catalog.offerings] == ["beta", "beta"]


def test_an_overlay_is_blamed_for_its_own_rows_only(tmp_path: Path) -> None:
    # Four more providers at $20 make $20 the median, and acme's $3 is less than a sixth of it.
    write(tmp_path / "own", WHOLE)
    rows = "".join(
        f"{p},big,us-1,dedicated,h100-80gb-sxm,8,160,{SOURCED}\n" for p in ("c", "d", "e", "f")
    )
    overlay = write(tmp_path / "o", {"offerings.csv": f"{OFFERINGS.splitlines()[0]}\n{rows}"})
    catalog = load_catalog("own", base=tmp_path, overlays=[overlay], as_of=TODAY)
    assert len(catalog.offerings) == 7


# --- Folders that cannot be read --------------------------------------------------------------


def test_an_unknown_name_is_answered_with_the_nearest_and_all_known() -> None:
    with pytest.raises(InputError) as caught:
        load_catalog("markt")
    assert str(caught.value).startswith("catalog: no catalog 'markt'; did you mean 'market'?")
    assert "the shipped ones are inference-atlas, market" in str(caught.value)


def test_a_file_is_not_a_catalog(tmp_path: Path) -> None:
    (tmp_path / "prices.csv").write_text("a,b\n")
    with pytest.raises(InputError, match=r"prices\.csv: is not a folder"):
        load_catalog("prices.csv", base=tmp_path)


def test_a_folder_without_tables_says_what_it_looked_for(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty/: holds none of catalog\.csv, gpus\.csv"):
        load_catalog("empty", base=tmp_path)


def test_a_misspelt_file_is_not_passed_over(tmp_path: Path) -> None:
    text = faults(tmp_path, offering=OFFERINGS)
    assert "own/offering.csv: unknown file; did you mean 'offerings.csv'?" in text


def test_catalogs_that_extend_one_another_end(tmp_path: Path) -> None:
    for name, other in (("a", "../b"), ("b", "../a")):
        write(tmp_path / name, {"catalog.csv": f"field,value\nextends,{other}\n"})
    with pytest.raises(InputError, match="'extends' leads through more than 10 folders"):
        load_catalog("a", base=tmp_path)


def test_a_manifest_names_its_faults(tmp_path: Path) -> None:
    manifest = "field,value\nnam,x\ndate,today\nversion,1\nversion,2\n"
    text = faults(tmp_path, catalog=manifest)
    assert "own/catalog.csv:2: nam: unknown field; did you mean 'name'?" in text
    assert "own/catalog.csv:3: date: 'today' is not a date; write it as 2026-08-21" in text
    assert "own/catalog.csv:5: version: given twice (first on line 4)" in text


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may read everything")
def test_an_unreadable_file_is_named(tmp_path: Path) -> None:
    write(tmp_path / "own", WHOLE)
    (tmp_path / "own" / "gpus.csv").chmod(0)
    with pytest.raises(InputError, match=r"own/gpus\.csv: permission denied"):
        load_catalog("own", base=tmp_path)


def test_too_many_offerings_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("milp_planner.inputs.catalog.files.MAX_OFFERINGS", 4)
    rows = "".join(f"p,n{i},r,spot,l4-24gb,1,1,2026-08-01,s\n" for i in range(2))
    text = faults(tmp_path, offerings=OFFERINGS + rows)  # three and two
    assert "the catalog has more than 4 offerings, the most that is read" in text
