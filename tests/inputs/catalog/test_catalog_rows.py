"""Rows of catalogs: every fault with its file and line, and what is implausible."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner.errors import InputError
from milp_planner.inputs.catalog.checks import most_tokens_per_second
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Measurement
from tests.support.catalog_files import (
    GPUS,
    LLMS,
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
from tests.support.examples import tries

# --- Rows that cannot be read -----------------------------------------------------------------

CELL_FAULTS = {
    "usd_per_hour: must be at least 0 (is -0.5)": ("sxm,8,24", "sxm,8,-0.5"),
    "usd_per_hour: must be at least 0 (is -3)": ("sxm,8,24", "sxm,8,-3"),
    "usd_per_hour: must be a finite number (is inf)": ("sxm,8,24", "sxm,8,inf"),
    "usd_per_hour: '$24' is not a number; write 1000 or 0.35": ("sxm,8,24", "sxm,8,$24"),
    "usd_per_hour: must be at most 1e+15 (is 1e308)": ("sxm,8,24", "sxm,8,1e308"),
    "gpus_per_unit: must be at least 1 (is 0)": ("sxm,8,24", "sxm,0,24"),
    "gpus_per_unit: must be at most 1e+15 (is 10000000000000000)": (
        "sxm,8,24",
        f"sxm,1{'0' * 16},24",
    ),
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
        token_prices=TOKEN_PRICES.replace("0.2", "-1"),
        measurements=MEASUREMENTS.replace("sxm,bf16", "sxm,bf17"),
    )
    assert text.splitlines() == [
        "own/offerings.csv:2: usd_per_hour: must be at least 0 (is -1)",
        "own/offerings.csv:4: name: use lower-case letters, digits and '.', '_', '+', '-' "
        "(found 'Big')",
        "own/token_prices.csv:2: usd_per_m_output_tokens: must be at least 0 (is -1)",
        "own/measurements.csv:2: precision: 'bf17' is not one of bf16, fp16, fp8, int8, mxfp4, "
        "nvfp4, int4, fp32",
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
        (b"provider\n\xff\n", "own/offerings.csv:2: not UTF-8 text\n  hint: save it as UTF-8"),
        (
            b"provider\nac\0me\n",
            "own/offerings.csv:2: control characters are not allowed\n  hint: U+0000",
        ),
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
        "  hint: times are in seconds; did you mean 11ms, 0.011 s?",
    ]


def test_a_first_token_that_comes_after_the_whole_request_is_caught(tmp_path: Path) -> None:
    # 8 in flight at 700 tokens/s, 200 tokens each: a request takes 8 * 200 / 700 = 2.286 s
    fine = MEASUREMENTS.replace("0.1,0.011", "2.28,")
    assert load(tmp_path, measurements=fine).measurements[0].ttft_s == 2.28
    text = faults(tmp_path, measurements=MEASUREMENTS.replace("0.1,0.011", "100,"))
    assert text.splitlines() == [
        "own/measurements.csv:2: ttft_s: 100 s to the first token is more than the 2.29 s that "
        "a whole request takes with 8 in flight at 700 tokens/s",
        "  hint: times are in seconds; did you mean 100ms, 0.1 s?",
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


@tries(1.5)
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
