"""Slips of the pen in a user's own figures are asked about wherever they enter."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from statistics import median_low

import pytest

from milp_planner import InputError, calibrate, load_catalog
from milp_planner.candidates.doubts import unlikely_times
from milp_planner.cli import main
from milp_planner.inputs.doubtful_prices import doubtful_prices, told_prices
from milp_planner.inputs.problem.load import load_problem
from milp_planner.serving.rates.doubtful_rows import told_slow
from milp_planner.serving.rates.throughput import ServingModel
from tests.support.serving.toys import CSV_FILES, write_folder

TODAY = date(2026, 8, 31)
PRICES = CSV_FILES["offerings.csv"].splitlines()[0]
ROWS = (
    "llm,gpu,precision,tensor_parallel,input_tokens,output_tokens,concurrency,"
    "output_tokens_per_second,as_of,source"
)
PROBLEM = """\
schema_version: 1
name: toys
catalog: toys
workloads:
  - name: chat
    llm: toy
    traffic: {kind: requests_per_second, requests_per_second: 1}
    requests: {input_tokens: 800, output_tokens: 200}
"""

STRICT = "policy: {penalties: {strict_latency: {usd: 500}}}\n"
"""What a requirement steers."""


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Bolt rents four GPUs for $12 an hour, $3 each; acme one for $3.60."""
    write_folder(tmp_path / "toys")
    (tmp_path / "toys.yaml").write_text(PROBLEM)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def overlay(toys: Path, rows: str = "", measured: str = "") -> Path:
    mine = toys / "mine"
    mine.mkdir(exist_ok=True)
    (mine / "catalog.csv").write_text("field,value\nextends,../toys\n")
    if rows:
        (mine / "offerings.csv").write_text(f"{PRICES},price_acknowledged\n{rows}")
    if measured:
        (mine / "measurements.csv").write_text(f"{ROWS}\n{measured}")
    return mine


def asked(toys: Path, rows: str) -> list[str]:
    return [*told_prices(doubtful_prices(load_catalog(overlay(toys, rows), as_of=TODAY)))]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (
            "bolt,quad,us-1,dedicated,box,4,3.00,2026-08-01,me,",
            "bolt/quad/us-1 billed dedicated: $0.75 per GPU is 0.25 times the $3 of "
            "bolt/quad/eu-1; is it the price of one GPU? usd_per_hour is that of a unit of 4 GPUs; "
            "if it is right, write true under price_acknowledged",
        ),
        (
            "bolt,one,eu-1,dedicated,box,1,12.00,2026-08-01,me,",
            "bolt/one/eu-1 billed dedicated: $12 per GPU is 4 times the $3 of "
            "bolt/quad/eu-1; is it the price of a whole node? usd_per_hour is that of a unit of "
            "1 GPU; if it is right, write true under price_acknowledged",
        ),
        (  # five times, which is no number of GPUs here
            "bolt,quad,us-1,dedicated,box,4,60.00,2026-08-01,me,",
            "bolt/quad/us-1 billed dedicated: $15 per GPU is 5 times the $3 of "
            "bolt/quad/eu-1; is it the price of several units? usd_per_hour is that of a unit of "
            "4 GPUs; if it is right, write true under price_acknowledged",
        ),
        (  # two GPUs for the price of one: half of it each
            "acme,duo,eu-1,dedicated,box,2,3.60,2026-08-01,me,",
            "acme/duo/eu-1 billed dedicated: $1.8 per GPU is 0.5 times the $3.6 of "
            "acme/box/eu-1; is it the price of one GPU? usd_per_hour is that of a unit of 2 GPUs; "
            "if it is right, write true under price_acknowledged",
        ),
        (  # the row that it replaces says $12
            "bolt,quad,eu-1,dedicated,box,4,3.00,2026-08-01,me,",
            "bolt/quad/eu-1 billed dedicated: $0.75 per GPU is 0.25 times the $3 of "
            "bolt/quad/eu-1 (test); is it the price of one GPU? usd_per_hour is that of a unit of "
            "4 GPUs; if it is right, write true under price_acknowledged",
        ),
    ],
)
def test_a_price_of_another_unit_names_both_rows(toys: Path, row: str, said: str) -> None:
    assert asked(toys, f"{row}\n") == [said]


@pytest.mark.parametrize(
    "row",
    [
        "bolt,quad,us-1,dedicated,box,4,3.00,2026-08-01,me,true",  # looked at
        "bolt,quad,us-1,dedicated,box,4,6.00,2026-08-01,me,",  # half: no multiple of 4
        "bolt,one,eu-1,dedicated,box,1,11.00,2026-08-01,me,",
        "acme,duo,eu-1,dedicated,box,2,4.50,2026-08-01,me,",
        "cold,quad,eu-1,dedicated,box,4,3.00,2026-08-01,me,",  # nothing else of that provider
        "bolt,quad,us-1,spot,box,4,3.00,2026-08-01,me,",  # spot beside spot
    ],
)
def test_a_price_that_may_well_be_is_not_asked_about(toys: Path, row: str) -> None:
    assert asked(toys, f"{row}\n") == []


def test_of_many_prices_the_first_are_named(toys: Path) -> None:
    rows = [f"bolt,quad,us-{i},dedicated,box,4,3,2026-08-01,me,\n" for i in range(1, 6)]
    calm = [f"bolt,quad,as-{i},dedicated,box,4,12,2026-08-01,me,\n" for i in range(1, 8)]
    told = asked(toys, "".join((*rows, *calm)))
    assert len(told) == 4
    assert told[3] == (
        "2 more prices are as far from what the same provider asks for that GPU elsewhere"
    )


def test_the_middle_of_the_others_is_that_of_a_plain_count(toys: Path) -> None:
    # each price against the lower median of all the others, counted anew for each
    prices = (12, 3, 12.5, 60, 11, 12, 13, 2.9, 24, 12)
    rows = "".join(
        f"bolt,quad,us-{i},dedicated,box,4,{usd},2026-08-01,me,\n" for i, usd in enumerate(prices)
    )
    loaded = load_catalog(overlay(toys, rows), as_of=TODAY)
    mine = [o for o in loaded.offerings if o.provider == "bolt" and o.billing == "dedicated"]
    expected = {}
    for o in mine:
        others = [p.usd_per_gpu_hour for p in mine if p is not o]
        ratio = o.usd_per_gpu_hour / median_low(others)
        is_slip = not 1 / 4 < ratio < 4 or abs(ratio / 4 - 1) < 0.05 or abs(ratio * 4 - 1) < 0.05
        if o.override and is_slip:
            expected[o.id] = ratio
    found = {d.offering.id: d.ratio for d in doubtful_prices(loaded)}
    assert found == pytest.approx(expected)
    assert len(found) == 3  # 3, 60 and 2.9 beside 12


SLIP = "bolt,quad,us-1,dedicated,box,4,3.00,2026-08-01,me,\n"
QUAD = "bolt/quad/us-1 billed dedicated: $0.75 per GPU is 0.25 times"


@pytest.mark.parametrize(
    "command",
    [
        ("solve", "toys.yaml", "--overlay", "mine", "--json"),
        ("check", "toys.yaml", "--overlay", "mine", "--json"),
        ("candidates", "toys.yaml", "--overlay", "mine", "--json"),
        ("catalog", "check", "mine", "--json"),
    ],
)
def test_whoever_reads_the_overlay_is_asked_first(
    toys: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    # toy on box: 16 in flight are estimated at 515 tokens/s (test_calibrate)
    overlay(toys, SLIP, "toy,box,bf16,1,800,200,16,51.5,2026-08-01,me\n")
    assert main([*command, "--as-of", "2026-08-31"]) == 0
    out, err = capsys.readouterr()
    told = json.loads(out)["warnings"]
    slow = "toy on box tp 1, 16 in flight: 0.10 of the estimate; did the client"
    assert told[0].startswith(QUAD)
    assert told[1].startswith(slow)
    assert f"warning: {QUAD}" in err
    assert f"warning: {slow}" in err


def test_a_folder_that_stands_alone_is_checked_whole(
    toys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with (toys / "toys" / "offerings.csv").open("a") as file:
        file.write(SLIP.rstrip(",\n") + "\n")
    (toys / "toys" / "measurements.csv").write_text(
        f"{ROWS}\ntoy,box,bf16,1,800,200,16,51.5,2026-08-01,me\n"
    )
    assert main(["catalog", "check", "toys", "--as-of", "2026-08-31"]) == 0
    err = capsys.readouterr().err
    assert f"warning: {QUAD}" in err
    assert "0.10 of the estimate" in err


def test_a_price_list_is_asked_about_when_it_is_imported(
    toys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (toys / "bolt.csv").write_text(
        "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size\n"
        "quad,us-1,3.0,4,16,4,box,80,False,\n"
        "quad,us-2,12.0,4,16,4,box,80,False,\n"
        "quad,us-3,12.0,4,16,4,box,80,False,\n"
    )
    asks = ["catalog", "import", "gpuhunt", "bolt.csv", "--base", "toys", "--out", "list"]
    assert main([*asks, "--as-of", "2026-08-31"]) == 0
    assert f"warning: {QUAD}" in capsys.readouterr().err


def test_a_row_at_a_third_of_the_estimate_is_not_asked_about(toys: Path) -> None:
    mine = overlay(toys, measured="toy,box,bf16,1,800,200,16,160,2026-08-01,me\n")  # 0.31
    model = ServingModel(load_catalog(mine, as_of=TODAY))
    assert [*model.slow()] == []
    (mine / "measurements.csv").write_text(
        f"{ROWS}\n" + "".join(f"toy,box,bf16,1,800,200,{n},5,2026-08-01,me\n" for n in range(1, 6))
    )
    told = [*told_slow(ServingModel(load_catalog(mine, as_of=TODAY)).slow())]
    assert len(told) == 4
    assert told[3].startswith("2 more rows are below 0.3 of the estimate, the lowest at 0.0")


# ---- times


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ("tpot: 50s", "workloads.chat.latency.tpot: 50 s is very long; did you mean 50ms?"),
        ("tpot: 50us", "workloads.chat.latency.tpot: 0.05 ms is very short; did you mean 50ms?"),
        ("ttft: 200s", "workloads.chat.latency.ttft: 200 s is very long; did you mean 200ms?"),
        (
            "requirement: 20min",
            "workloads.chat.latency.requirement: 1200 s is very long; did you mean 1200ms?",
        ),
        ("tpot: 5s", ""),
        ("ttft: 100s", ""),
        ("tpot: 1ms", ""),
    ],
)
def test_a_wish_in_another_unit_is_asked_about(toys: Path, wish: str, said: str) -> None:
    problem = load_problem("toys.yaml", text=PROBLEM + f"    latency: {{{wish}}}\n" + STRICT)
    assert [*unlikely_times(problem)] == ([said] if said else [])


@pytest.mark.parametrize(
    ("times", "said"),
    [
        (
            "tpot: 38s",
            "measurements[0].tpot_s: 38 s per token lets 16 requests give 0.421 tokens/s, not 400\n"
            "  hint: times are in seconds; did you mean 38ms, 0.038 s?",
        ),
        (
            "ttft: 1200s",
            "measurements[0].ttft_s: 1200 s to the first token is more than the 8 s that a whole "
            "request takes with 16 in flight at 400 tokens/s\n"
            "  hint: times are in seconds; did you mean 1200ms, 1.2 s?",
        ),
    ],
)
def test_a_measured_time_in_another_unit_is_refused_at_its_place(
    toys: Path, times: str, said: str
) -> None:
    # 16 in flight at 400 tokens/s, 200 tokens each: 16 * 200 / 400 = 8 s a request
    names = "llm: toy, gpu: box, precision: bf16, tensor_parallel: 1"
    point = "input_tokens: 800, output_tokens: 200, concurrency: 16, output_tokens_per_second: 400"
    Path("m.yaml").write_text(f"measurements:\n  - {{{names}, {point}, {times}}}\n")
    with pytest.raises(InputError) as error:
        calibrate(["m.yaml"], catalog="toys", as_of=TODAY)
    assert str(error.value) == f"m.yaml:2: {said}"
