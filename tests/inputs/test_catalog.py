"""Reading catalogs: layers, aliases, and every fault with its file and line."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from milp_planner.errors import InputError
from milp_planner.inputs.catalog.checks import most_tokens_per_second
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Catalog, Measurement

TODAY = date(2026, 9, 1)
SOURCED = "2026-08-01,price list"

GPUS = f"""\
id,vendor,memory_gib,memory_bandwidth_gb_per_s,bf16_tflops,fp8_tflops,as_of,source
h100-80gb-pcie,nvidia,80,2000,756,1513,{SOURCED}
h100-80gb-sxm,nvidia,80,3350,989,1978,{SOURCED}
h100-94gb-nvl,nvidia,94,3900,,,{SOURCED}
l4-24gb,nvidia,24,300,121,242,{SOURCED}
"""
LLMS = f"""\
id,same_shape_as,hf_id,parameters_b,active_parameters_b,hidden_size,vocabulary,context_tokens,as_of,source
small-8b,,maker/Small-8B,8.5,8.5,4000,125000,32768,{SOURCED}
tuned-8b,small-8b,,,,,,8192,{SOURCED}
"""
OFFERINGS = f"""\
provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source
acme,big,eu-1,dedicated,h100-80gb-sxm,8,24,{SOURCED}
beta,big,us-1,dedicated,h100-80gb-sxm,8,32,{SOURCED}
beta,big,us-1,spot,h100-80gb-sxm,8,9,{SOURCED}
"""
TOKEN_PRICES = f"""\
provider,llm,usd_per_m_input_tokens,usd_per_m_output_tokens,usd_per_m_cached_tokens,as_of,source
acme,small-8b,0.1,0.2,0.05,{SOURCED}
"""
MEASUREMENTS = f"""\
llm,gpu,precision,tensor_parallel,regime,input_tokens,output_tokens,concurrency,\
output_tokens_per_second,ttft_s,tpot_s,as_of,source
small-8b,h100-80gb-sxm,bf16,1,fixed_concurrency,1000,200,8,700,0.1,0.011,{SOURCED}
"""
WHOLE = {
    "catalog.csv": "field,value\nname,tiny\nversion,3\nextends,none\n",
    "gpus.csv": GPUS,
    "llms.csv": LLMS,
    "offerings.csv": OFFERINGS,
    "token_prices.csv": TOKEN_PRICES,
    "measurements.csv": MEASUREMENTS,
}


def write(folder: Path, files: dict[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def load(folder: Path, **files: str) -> Catalog:
    """The whole small catalog, with the files given (`offerings=...`) in place of its own."""
    write(folder / "own", WHOLE | {f"{name}.csv": text for name, text in files.items()})
    return load_catalog("own", base=folder, as_of=TODAY)


def faults(folder: Path, **files: str) -> str:
    with pytest.raises(InputError) as caught:
        load(folder, **files)
    return str(caught.value)


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


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    text = faults(tmp_path, offerings=OFFERINGS + "\n" * 5_000_000)
    assert text == "own/offerings.csv: is larger than 5 MB, the most that is read"


def test_too_many_offerings_are_refused(tmp_path: Path) -> None:
    rows = "".join(f"p,n{i},r,spot,l4-24gb,1,1,2026-08-01,s\n" for i in range(20_000))
    text = faults(tmp_path, offerings=OFFERINGS + rows)
    assert "the catalog has more than 20,000 offerings, the most that is read" in text


# --- Rows that cannot be read -----------------------------------------------------------------

CELL_FAULTS = {
    "usd_per_hour: must be greater than 0 (is 0)": ("sxm,8,24", "sxm,8,0"),
    "usd_per_hour: must be greater than 0 (is -3)": ("sxm,8,24", "sxm,8,-3"),
    "usd_per_hour: must be a finite number (is inf)": ("sxm,8,24", "sxm,8,inf"),
    "usd_per_hour: '$24' is not a number; write 1000 or 0.35": ("sxm,8,24", "sxm,8,$24"),
    "gpus_per_unit: must be at least 1 (is 0)": ("sxm,8,24", "sxm,0,24"),
    "gpus_per_unit: '1.5' is not a whole number": ("sxm,8,24", "sxm,1.5,24"),
    "gpus_per_unit: required": ("sxm,8,24", "sxm,,24"),
    "as_of: '1 August' is not a date; write it as 2026-08-21": ("2026-08-01", "1 August"),
    "as_of: required": ("2026-08-01", ""),
    "as_of: 2026-09-02 is in the future (today is 2026-09-01)": ("2026-08-01", "2026-09-02"),
    "source: required": ("price list", ""),
    "provider: use lower-case letters, digits and '.', '_', '+', '-' (found 'Acme')": (
        "acme",
        "Acme",
    ),
    "gpu: 'h100' is ambiguous; write h100-80gb-pcie, h100-80gb-sxm or h100-94gb-nvl": (
        "h100-80gb-sxm",
        "h100",
    ),
    "gpu: 'h100-80gb-sxn' is not in the catalog; did you mean 'h100-80gb-sxm'?": (
        "h100-80gb-sxm",
        "h100-80gb-sxn",
    ),
    "has 10 columns, the header has 9; quote a text that holds a comma": (
        "price list",
        "price list, page 2",
    ),
}


@pytest.mark.parametrize(("message", "change"), CELL_FAULTS.items(), ids=list(CELL_FAULTS))
def test_a_wrong_cell_is_reported_with_its_line(
    tmp_path: Path, message: str, change: tuple[str, str]
) -> None:
    header, first, *rest = OFFERINGS.splitlines()
    wrong = "\n".join([header, *rest, first.replace(*change)])
    assert f"own/offerings.csv:4: {message}" in faults(tmp_path, offerings=wrong).splitlines()


def test_an_unknown_billing_lists_the_known(tmp_path: Path) -> None:
    text = faults(tmp_path, offerings=OFFERINGS.replace("spot", "weekly"))
    assert "own/offerings.csv:4: billing: 'weekly' is not one of 'dedicated', 'autoscaling'" in text


def test_an_unknown_llm_is_answered_with_near_ones(tmp_path: Path) -> None:
    text = faults(tmp_path, token_prices=TOKEN_PRICES.replace("small-8b", "smal-8b"))
    assert "own/token_prices.csv:2: llm: 'smal-8b' is not in the catalog; did you mean" in text
    assert "'small-8b'" in text


def test_all_faults_of_all_files_come_at_once(tmp_path: Path) -> None:
    text = faults(
        tmp_path,
        offerings=OFFERINGS.replace("sxm,8,24", "sxm,8,-1").replace(
            "big,us-1,spot", "Big,us-1,spot"
        ),
        token_prices=TOKEN_PRICES.replace("0.2", "0"),
        measurements=MEASUREMENTS.replace("sxm,bf16", "sxm,bf17"),
    )
    assert text.splitlines() == [
        "own/offerings.csv:2: usd_per_hour: must be greater than 0 (is -1)",
        "own/offerings.csv:4: name: use lower-case letters, digits and '.', '_', '+', '-' "
        "(found 'Big')",
        "own/token_prices.csv:2: usd_per_m_output_tokens: must be greater than 0 (is 0)",
        "own/measurements.csv:2: precision: 'bf17' is not one of bf16, fp16, fp8, int8, mxfp4, "
        "nvfp4, int4",
    ]


def test_one_row_shows_all_its_faults(tmp_path: Path) -> None:
    wrong = OFFERINGS.replace("h100-80gb-sxm,8,24", "h1000,0,-1")
    assert len(faults(tmp_path, offerings=wrong).splitlines()) == 3


def test_broken_definitions_do_not_make_every_row_unknown(tmp_path: Path) -> None:
    text = faults(tmp_path, gpus=GPUS.replace("sxm,nvidia,80", "sxm,nvidia,-80"))
    assert text == "own/gpus.csv:3: memory_gib: must be greater than 0 (is -80)"


def test_columns_are_checked_by_name(tmp_path: Path) -> None:
    text = faults(tmp_path, offerings=OFFERINGS.replace("usd_per_hour", "usd_per_hours"))
    assert text.splitlines() == [
        "own/offerings.csv:1: usd_per_hours: unknown column; did you mean 'usd_per_hour'?",
        "own/offerings.csv:1: usd_per_hour: this column is required",
    ]
    text = faults(tmp_path, offerings=OFFERINGS.replace("region", "name"))
    assert "own/offerings.csv:1: name: this column is given twice" in text


def test_the_override_mark_is_not_a_column(tmp_path: Path) -> None:
    text = faults(tmp_path, offerings="override," + OFFERINGS)
    assert "own/offerings.csv:1: override: unknown column" in text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "own/offerings.csv: file is empty; its first line names the columns"),
        (b"provider\n\xff\n", "own/offerings.csv:2: not UTF-8 text"),
        (b"provider\nac\0me\n", "own/offerings.csv:2: control characters are not allowed"),
        (
            OFFERINGS.encode() + b'"acme',
            "own/offerings.csv:5: not valid CSV: unexpected end of data",
        ),
    ],
)
def test_what_is_not_a_table_says_so(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path / "own", WHOLE)
    (tmp_path / "own" / "offerings.csv").write_bytes(content)
    with pytest.raises(InputError) as caught:
        load_catalog("own", base=tmp_path, as_of=TODAY)
    assert str(caught.value) == message


DUPLICATES = {
    "offerings": "'acme/big/eu-1' billed dedicated is given twice (first on line 2)",
    "token_prices": "'acme/small-8b/global' billed per_token is given twice (first on line 2)",
    "gpus": "'h100-80gb-pcie' is given twice (first on line 2)",
    "llms": "'small-8b' is given twice (first on line 2)",
    "measurements": "this measurement of 'small-8b' on 'h100-80gb-sxm' is given twice "
    "(first on line 2)",
}


@pytest.mark.parametrize("table", DUPLICATES)
def test_a_key_may_be_given_once(tmp_path: Path, table: str) -> None:
    text = WHOLE[f"{table}.csv"]
    line = text.count("\n") + 1
    twice = text + text.splitlines()[1] + "\n"
    message = f"own/{table}.csv:{line}: {DUPLICATES[table]}"
    assert message in faults(tmp_path, **{table: twice})


def test_a_shape_must_be_known_and_not_borrowed_itself(tmp_path: Path) -> None:
    llms = LLMS.replace("tuned-8b,small-8b", "tuned-8b,small-9b")
    llms += f"third-8b,tuned-8b,,,,,,,{SOURCED}\n"
    lines = faults(tmp_path, llms=llms).splitlines()
    assert lines[0].startswith("own/llms.csv:3: same_shape_as: 'small-9b' is not in the catalog")
    assert lines[1] == (
        "own/llms.csv:4: same_shape_as: 'tuned-8b' takes its own shape from 'small-9b'; name that"
    )


# --- What is implausible ----------------------------------------------------------------------


def test_a_node_price_entered_as_a_gpu_price_is_caught(tmp_path: Path) -> None:
    # The providers' medians are $3, $4 and $24.10 per GPU; 6 times the middle one is $24.
    row = f"gamma,one,us-1,dedicated,h100-80gb-sxm,1,24.1,{SOURCED}\n"
    text = faults(tmp_path, offerings=OFFERINGS + row)
    assert text.splitlines()[0] == (
        "own/offerings.csv:5: usd_per_hour: $24.10 per GPU is 6 times the median of $4.00 for "
        "h100-80gb-sxm on demand (3 providers)"
    )
    assert "write true under price_acknowledged" in text


def test_a_gpu_price_entered_as_a_node_price_is_caught(tmp_path: Path) -> None:
    row = f"gamma,eight,us-1,dedicated,h100-80gb-sxm,8,3,{SOURCED}\n"
    text = faults(tmp_path, offerings=OFFERINGS + row)
    assert "$0.38 per GPU is 0.12 times the median of $3.00" in text


def test_a_far_price_that_is_acknowledged_passes(tmp_path: Path) -> None:
    header, *rows = OFFERINGS.splitlines()
    far = f"gamma,one,us-1,dedicated,h100-80gb-sxm,1,99,{SOURCED}"
    lines = [f"{header},price_acknowledged", *(f"{row}," for row in rows), f"{far},true"]
    catalog = load(tmp_path, offerings="\n".join(lines))
    assert catalog.offerings[-1].price_acknowledged


def test_spot_and_owned_are_not_compared_with_on_demand(tmp_path: Path) -> None:
    rows = (
        f"acme,big,eu-1,spot,h100-80gb-sxm,8,2,{SOURCED}\n"
        f"rig,mine,eu-1,owned,h100-80gb-sxm,8,0.5,{SOURCED}\n"
    )
    assert len(load(tmp_path, offerings=OFFERINGS + rows).offerings) == 5


def test_a_provider_with_many_regions_has_one_voice(tmp_path: Path) -> None:
    # Without that the median would be beta's $19, and acme's $3 below a sixth of it.
    rows = "".join(f"beta,b,us-{i},dedicated,h100-80gb-sxm,1,19,{SOURCED}\n" for i in range(2, 9))
    assert len(load(tmp_path, offerings=OFFERINGS + rows).offerings) == 10


def test_a_rate_above_the_memory_bandwidth_is_caught(tmp_path: Path) -> None:
    # 8.5e9 parameters less an input embedding of 125,000 × 4,000 = 0.5e9 leave 16 GB in bf16.
    # 3,350 GB/s reads them 209.4 times a second, for 8 requests at once: 1,675 tokens/s.
    fine = MEASUREMENTS.replace(",700,0.1,0.011,", ",1675,,,")
    assert load(tmp_path, measurements=fine).measurements[0].output_tokens_per_second == 1675
    text = faults(tmp_path, measurements=fine.replace("1675", "1843"))
    assert text.splitlines()[0] == (
        "own/measurements.csv:2: output_tokens_per_second: 1,843 is above the physical bound of "
        "1,675: 8 requests in flight, and each step reads at least 16.0 GB of weights"
    )


def test_a_rate_above_the_arithmetic_peak_is_caught(tmp_path: Path) -> None:
    # 989e12 ÷ (2 × 8e9) = 61,812.5 tokens/s at any concurrency.
    offline = MEASUREMENTS.replace(
        "fixed_concurrency,1000,200,8,700,0.1,0.011", "offline_max,9,9,,{},,"
    )
    assert load(tmp_path, measurements=offline.format(61_812)).measurements
    text = faults(tmp_path, measurements=offline.format(69_000))
    assert "69,000 is above the physical bound of 61,812: 16.0 GFLOP per token at 989" in text


def test_the_bound_is_unknown_without_parameters_or_peaks(tmp_path: Path) -> None:
    catalog = load(tmp_path)
    known = catalog.measurements[0]
    assert most_tokens_per_second(known, catalog) == (
        pytest.approx(1675),
        "8 requests in flight, and each step reads at least 16.0 GB of weights",
    )
    for change in ({"llm": "other"}, {"gpu": "other"}, {"basis": "raw"}):
        assert most_tokens_per_second(known.model_copy(update=change), catalog) is None
    nvl: Measurement = known.model_copy(update={"gpu": "h100-94gb-nvl", "concurrency": None})
    assert most_tokens_per_second(nvl, catalog) is None  # no peak given


def test_times_in_milliseconds_are_caught(tmp_path: Path) -> None:
    text = faults(tmp_path, measurements=MEASUREMENTS.replace("0.011", "11"))
    assert text.splitlines() == [
        "own/measurements.csv:2: tpot_s: 11 s per token lets 8 requests give 0.727 tokens/s, "
        "not 700",
        "  hint: times are in seconds",
    ]


def test_a_measured_rate_needs_shape_and_concurrency(tmp_path: Path) -> None:
    bare = MEASUREMENTS.replace("1000,200,8,", ",,,")
    need = "required, a throughput means nothing without it"
    assert faults(tmp_path, measurements=bare).splitlines() == [
        f"own/measurements.csv:2: concurrency: {need}",
        f"own/measurements.csv:2: input_tokens: {need}",
        f"own/measurements.csv:2: output_tokens: {need}",
    ]


def test_an_unknown_regime_lists_the_known(tmp_path: Path) -> None:
    text = faults(tmp_path, measurements=MEASUREMENTS.replace("fixed_concurrency", "closed"))
    assert "regime: 'closed' is not one of fixed_concurrency, static_batch" in text


def test_a_raw_rate_needs_neither_and_may_stand_for_any_llm(tmp_path: Path) -> None:
    raw = (
        "llm,gpu,precision,tensor_parallel,output_tokens_per_second,basis,as_of,source\n"
        f"*,l4-24gb,bf16,1,500000,raw,{SOURCED}\n"
    )
    catalog = load(tmp_path, measurements=raw)
    assert catalog.measurements_by_llm["*"][0].basis == "raw"
    text = faults(tmp_path, measurements=MEASUREMENTS.replace("small-8b", "*"))
    assert "llm: '*' is for raw rows; name the LLM that was measured" in text


# --- Anything at all --------------------------------------------------------------------------

CELL = st.sampled_from(["", "0", "-1", "nan", "1e400", "*", "h100", "small-8b", "{gt}", '"', "é\r"])
SPOILT = st.one_of(
    st.binary(max_size=60),
    st.lists(st.lists(CELL, max_size=14).map(",".join), max_size=4).map("\n".join).map(str.encode),
)


@settings(max_examples=150, deadline=None)
@given(
    table=st.sampled_from(sorted(WHOLE)),
    cut=st.integers(0, 400),
    length=st.integers(0, 40),
    spoilt=SPOILT,
)
def test_whatever_a_file_holds_it_is_read_or_refused(
    table: str, cut: int, length: int, spoilt: bytes
) -> None:
    with TemporaryDirectory() as folder:
        write(Path(folder) / "own", WHOLE)
        content = WHOLE[table].encode()
        (Path(folder) / "own" / table).write_bytes(content[:cut] + spoilt + content[cut + length :])
        with suppress(InputError):
            assert load_catalog("own", base=Path(folder), as_of=TODAY).name
