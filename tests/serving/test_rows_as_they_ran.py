"""What a row states of its deployment: units joined, the share of memory, the most in flight.

`big` has 120 B parameters, 240 GB in bf16: 4 boxes of 80 GiB in two units of 2 hold it.
"""

from __future__ import annotations

from math import exp, log
from pathlib import Path
from typing import Any

import pytest

from milp_planner import calibrate as calibrate_files
from milp_planner.cli import main
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.catalog.records import Measurement
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.serving.memory import fit
from milp_planner.serving.operating_point import OperatingPoint
from milp_planner.serving.rates.throughput import ServingModel
from tests.support.serving.toys import box, catalog, measured, toy, write_folder

BIG = toy(id="big", parameters_b=120.0)
ACROSS = DeploymentSettings(units_per_replica=2, pipeline_parallel=1)
STAGED = DeploymentSettings(units_per_replica=2, pipeline_parallel=2)


def own(tokens_per_second: float, **fields: Any) -> Measurement:
    return measured(tokens_per_second, override=True, **fields)


def on_four(tokens_per_second: float, **fields: Any) -> Measurement:
    """Eight in flight on tp 4 over two units of two boxes."""
    given = {"llm": "big", "tensor_parallel": 4, "concurrency": 8, "units_per_replica": 2}
    return own(tokens_per_second, **{**given, **fields})


def at(
    *rows: Measurement,
    tp: int = 4,
    n: float = 8,
    tokens: tuple[float, float] = (800, 200),
    settings: DeploymentSettings = ACROSS,
) -> OperatingPoint:
    model = ServingModel(catalog(*rows, llms=[BIG, toy()]))
    found = model.at(BIG, box(), "bf16", tp, *tokens, n, settings=settings)
    assert isinstance(found, OperatingPoint)
    return found


def test_a_row_of_joined_units_measures_them_and_neither_one_unit_nor_other_stages() -> None:
    row = on_four(300)
    found = at(row)
    # 300 tokens/s of 200 tokens a request
    assert (found.source, found.requests_per_second) == ("measured", 1.5)
    assert at(row, settings=DEFAULT_DEPLOYMENT).source == "estimated"
    # another tensor parallel of joined units carries 0.6 of the logarithm over
    staged, bare = (at(*rows, tp=2, settings=STAGED) for rows in ((row,), ()))
    factor = 1.5 / at().requests_per_second
    assert staged.source == "calibrated"
    assert staged.requests_per_second == pytest.approx(bare.requests_per_second * factor**0.6)


def test_rows_of_one_unit_say_nothing_of_joined_ones_and_the_other_way_round() -> None:
    alone = on_four(300, units_per_replica=None)
    assert at(alone).source == "estimated"
    assert at(alone, settings=DEFAULT_DEPLOYMENT).source == "measured"
    far = 8000, 200
    assert at(alone, tokens=far).source == "estimated"
    assert at(on_four(300), tokens=far, settings=DEFAULT_DEPLOYMENT).source == "estimated"
    assert at(on_four(300), tokens=far).source == "calibrated"


def test_two_points_of_one_size_over_one_and_two_units_are_two_rows() -> None:
    assert on_four(300).key != on_four(300, units_per_replica=None).key
    assert on_four(300, pipeline_parallel=2, tensor_parallel=2).gpus == on_four(300).gpus == 4


def test_what_ran_with_more_of_the_memory_does_not_prove_that_it_fits_in_less() -> None:
    # 80,200 tokens of 10,000 bytes are 0.75 GiB; 0.90 of 80 GiB less 16.8 of weights and about 2
    # of reserve hold 70 of them, 0.50 hold 28
    size = {"input_tokens": 80_000, "output_tokens": 200, "concurrency": 60}
    half = DeploymentSettings(memory_share=0.5)
    held = fit(toy(), box(), "bf16", 1, 80_200, half).sequences
    assert 20 < held < 40

    def in_flight(row: Measurement) -> float | None:
        model = ServingModel(catalog(row))
        found = model.operating_point(toy(), box(), "bf16", 1, 80_000, 200, settings=half)
        assert isinstance(found, OperatingPoint)
        return found.concurrency

    assert in_flight(own(9, **size, memory_share=0.9)) == held
    assert in_flight(own(9, **size, memory_share=0.5)) == 60
    assert in_flight(own(9, **size)) == 60  # made in the deployment asked about, as far as it says


def test_what_waits_before_the_engine_says_nothing_of_its_speed() -> None:
    # half of the estimate with 64 in flight, of which the engine took 16 at a time
    model = ServingModel(catalog())
    plain = model.at(toy(), box(), "bf16", 1, 800, 200, 64)
    assert isinstance(plain, OperatingPoint)
    slow = 100 * plain.requests_per_second

    def far(row: Measurement) -> OperatingPoint:
        found = ServingModel(catalog(row)).at(toy(), box(), "bf16", 1, 8000, 200, 8)
        assert isinstance(found, OperatingPoint)
        return found

    bare = model.at(toy(), box(), "bf16", 1, 8000, 200, 8)
    assert isinstance(bare, OperatingPoint)
    assert far(own(slow, concurrency=64, max_sequences=16)).source == "estimated"
    halved = far(own(slow, concurrency=64))
    assert halved.source == "calibrated"
    assert halved.requests_per_second == pytest.approx(
        bare.requests_per_second * exp(0.6 * log(0.5))
    )


def test_an_endless_queue_keeps_as_many_in_flight_as_its_row_says() -> None:
    # at twice the estimate with 4 in flight, the row gives the rate of 4 times 2 at any other n
    model = ServingModel(catalog())
    four = model.at(toy(), box(), "bf16", 1, 800, 200, 4)
    assert isinstance(four, OperatingPoint)
    rate = 2 * 200 * four.requests_per_second
    row = own(rate, regime="offline_max", concurrency=None, max_sequences=4)
    found = ServingModel(catalog(row)).at(toy(), box(), "bf16", 1, 800, 200, 8)
    eight = model.at(toy(), box(), "bf16", 1, 800, 200, 8)
    assert isinstance(found, OperatingPoint)
    assert isinstance(eight, OperatingPoint)
    assert found.requests_per_second == pytest.approx(2 * eight.requests_per_second)


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_folder(tmp_path / "toys")
    header = "input_tokens,output_tokens,concurrency,output_tokens_per_second"
    (tmp_path / "m.csv").write_text(f"{header}\n800,200,8,300\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


REPLICA = ("--llm", "big", "--gpu", "box", "--precision", "bf16", "--catalog", "toys")


def test_calibrate_writes_the_whole_deployment_of_its_runs(
    toys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    engine = ("--memory-share", "95%", "--max-sequences", "64", "--tp", "4")
    network = ("--units-per-replica", "2", "--gb-per-s-between-units", "25")
    assert main(["calibrate", "m.csv", *REPLICA, *engine, *network, "--out", "mine"]) == 0
    assert "(measured x 0.94)" in capsys.readouterr().out
    (row,) = load_catalog("mine").measurements
    assert (row.memory_share, row.max_sequences) == (0.95, 64)
    assert (row.units_per_replica, row.gb_per_s_between_units) == (2, 25)
    assert (row.pipeline_parallel, row.joined) == (None, (2, 1))
    plain = calibrate_files(
        ["m.csv"],
        llm="toy",
        gpu="box",
        precision="bf16",
        tensor_parallel=1,
        deployment=DeploymentSettings(engine="vllm"),
        catalog="toys",
    ).rows[0]
    assert (plain.row.memory_share, plain.row.max_sequences, plain.row.joined) == (
        *(None, None),
        (1, 1),
    )


def test_a_file_says_it_of_each_row_and_what_cannot_be_joined_is_said(toys: Path) -> None:
    (toys / "m.yaml").write_text(
        "measurements:\n"
        "  - {tensor_parallel: 3, units_per_replica: 2, input_tokens: 800, output_tokens: 200,\n"
        "     concurrency: 8, output_tokens_per_second: 300, memory_share: 95%}\n"
        "  - {tensor_parallel: 2, units_per_replica: 4, pipeline_parallel: 2, input_tokens: 800,\n"
        "     output_tokens: 200, concurrency: 8, output_tokens_per_second: 300}\n"
        "  - {tensor_parallel: 4, gb_per_s_between_units: 25, input_tokens: 800,\n"
        "     output_tokens: 200, concurrency: 8, output_tokens_per_second: 300}\n",
        encoding="utf-8",
    )
    with pytest.raises(InputError) as caught:
        calibrate_files(["m.yaml"], llm="big", gpu="box", precision="bf16", catalog="toys")
    text = str(caught.value)
    assert "[0].units_per_replica: 3 GPUs are not spread evenly over 2 units" in text
    assert "[1].pipeline_parallel: a stage is a whole unit: 1, or the 4 units (is 2)" in text
    assert "[2].gb_per_s_between_units: nothing is sent between units where there is one" in text


def test_a_catalog_is_refused_for_the_same(tmp_path: Path) -> None:
    rows = (
        "llm,gpu,precision,tensor_parallel,units_per_replica,input_tokens,output_tokens,"
        "concurrency,output_tokens_per_second,as_of,source\n"
        "toy,box,bf16,3,2,800,200,8,300,2026-01-01,test\n"
    )
    folder = write_folder(tmp_path / "toys", **{"measurements.csv": rows})
    with pytest.raises(InputError, match="units_per_replica: 3 GPUs are not spread evenly over 2"):
        load_catalog(folder)
