"""A user's own measurements: every format, what is refused, and what the overlay changes."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import date
from math import exp
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from milp_planner import ArgumentError, Replanned, replanned, solve
from milp_planner import calibrate as calibrate_files
from milp_planner.cli import main
from milp_planner.errors import InputError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.inputs.imports.benchmarks import read_measurements
from milp_planner.questions.deployments.calibrate import Calibrated, compare, with_own
from milp_planner.reporting.text.questions.calibrate import calibrated_text
from milp_planner.serving.rates.throughput import OperatingPoint, ServingModel
from tests.support.builders import big_and_small
from tests.support.builders import problem as plain_problem
from tests.support.examples import tries
from tests.support.serving.known_llms import toy
from tests.support.serving.toys import box, catalog, measured, write_folder

TODAY = date(2026, 8, 31)
NAMES = {"llm": "toy", "gpu": "box", "precision": "bf16", "tensor_parallel": 1}

# 16 in flight: the estimate gives 515 tokens/s, see below
YAML = """\
measurements:
  - input_tokens: 800
    output_tokens: 200
    concurrency: 16
    output_tokens_per_second: 400
    tpot: 38ms
    ttft: 1.2s
"""
CSV = (
    "input_tokens,output_tokens,concurrency,output_tokens_per_second,tpot_s,ttft_s\n"
    "800,200,16,400,0.038,1.2\n"
)
VLLM = {
    "date": "20260801-120000",
    "backend": "openai",
    "model_id": "org/toy",
    "request_rate": "inf",
    "max_concurrency": 16,
    "duration": 50.0,
    "completed": 100,
    "total_input_tokens": 80_000,
    "total_output_tokens": 20_000,
    "request_throughput": 2.0,
    "output_throughput": 400.0,
    "total_token_throughput": 2000.0,
    "mean_ttft_ms": 1200.0,
    "mean_tpot_ms": 38.0,
}


def spread(mean: float) -> dict[str, Any]:
    return {"successful": {"mean": mean, "median": mean + 1}, "errored": {"mean": 0.0}}


GUIDELLM = {
    "benchmarks": [
        {
            "config": {"strategy": {"type_": "concurrent", "streams": 16}},
            "start_time": 1785585600.0,  # 2026-08-01T12:00:00Z
            "metrics": {
                "prompt_token_count": spread(800.0),
                "output_token_count": spread(200.0),
                "request_concurrency": spread(15.7),
                "output_tokens_per_second": spread(400.0),
                "time_to_first_token_ms": spread(1200.0),
                "inter_token_latency_ms": spread(38.0),
                "time_per_output_token_ms": spread(44.0),
            },
        }
    ]
}
AIPERF = {
    "input_config": {"endpoint": {"model_names": ["org/toy"]}, "loadgen": {"concurrency": 16}},
    "start_time": "2026-08-01T12:00:00",
    "output_token_throughput": {"unit": "tokens/sec", "avg": 400.0},
    "input_sequence_length": {"unit": "tokens", "avg": 800.0, "p99": 801.0},
    "output_sequence_length": {"unit": "tokens", "avg": 200.0},
    "time_to_first_token": {"unit": "ms", "avg": 1200.0},
    "inter_token_latency": {"unit": "ms", "avg": 38.0},
}


def write(folder: Path, name: str, content: object) -> Path:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def refused(*files: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_measurements(files)
    return str(caught.value).replace(f"{files[0].parent}/", "")


def compared(folder: Path, content: object = YAML, **fields: Any) -> Calibrated:
    name = "m.json" if isinstance(content, dict) else "m.yaml"
    found = read_measurements([write(folder, name, content)])
    return compare(found, fields.pop("known", catalog()), NAMES, today=TODAY, **fields)


# ---- reading


@pytest.mark.parametrize(
    ("name", "content", "engine", "day"),
    [
        ("m.yaml", YAML, "", None),
        ("m.csv", CSV, "", None),
        ("vllm.json", VLLM, "vllm", date(2026, 8, 1)),
        ("sglang.json", {**VLLM, "backend": "sglang"}, "sglang", date(2026, 8, 1)),
        ("guidellm.json", GUIDELLM, "", date(2026, 8, 1)),
        ("aiperf.json", AIPERF, "", date(2026, 8, 1)),
    ],
)
def test_every_format_gives_the_same_row(
    tmp_path: Path, name: str, content: object, engine: str, day: date | None
) -> None:
    (found,) = read_measurements([write(tmp_path, name, content)])
    row = found.row
    assert (row.input_tokens, row.output_tokens, row.concurrency) == (800, 200, 16)
    assert row.output_tokens_per_second == 400
    assert (row.tpot_s, row.ttft_s) == (pytest.approx(0.038), pytest.approx(1.2))
    assert (row.engine, row.as_of) == (engine, day)


def test_appended_results_are_one_row_a_line(tmp_path: Path) -> None:
    lines = "\n".join(json.dumps({**VLLM, "max_concurrency": n}) for n in (1, 4)) + "\n"
    found = read_measurements([write(tmp_path, "all.json", lines)])
    assert [(f.line, f.row.concurrency) for f in found] == [(1, 1), (2, 4)]


def test_an_open_loop_has_the_mean_number_in_flight(tmp_path: Path) -> None:
    entry = {**GUIDELLM["benchmarks"][0], "config": {"strategy": {"type_": "poisson", "rate": 2}}}
    (found,) = read_measurements([write(tmp_path, "g.json", {"benchmarks": [entry]})])
    assert found.row.concurrency == 15.7


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        (
            "v.json",
            {**VLLM, "max_concurrency": None},
            "v.json: concurrency: required, a throughput means nothing without it\n"
            "  hint: run the benchmark with a fixed number of requests in flight",
        ),
        (
            "v.json",
            {**VLLM, "completed": 0},
            "v.json: input_tokens: required, a throughput means nothing without it",
        ),
        (
            "m.yaml",
            YAML.replace("    concurrency: 16\n", ""),
            "m.yaml:2: measurements[0].concurrency: required, a throughput means nothing",
        ),
        ("m.yaml", YAML.replace("38ms", "0.038"), "a time needs a unit"),
        ("m.yaml", YAML.replace("concurrency", "concurency"), "did you mean 'concurrency'?"),
        ("m.csv", CSV.replace(",16,", ",-16,"), "m.csv:2: concurrency: must be greater than 0"),
        ("m.csv", CSV.replace("tpot_s", "tpot"), "m.csv:1: tpot: unknown column"),
        (
            "g.json",
            {"benchmarks": [{"metrics": {}}]},
            "g.json: benchmarks[0].output_tokens_per_second: required",
        ),
        ("x.json", {"a": 1}, "x.json: not the JSON of `vllm bench serve`, GuideLLM or AIPerf"),
        ("x.json", "[1]", "x.json: not the JSON of"),
        ("x.json", "{", "x.json:1:2: not valid JSON"),
        ("x.json", '{"a": NaN}', "not valid JSON: NaN is not a number"),
        ("x.doc", "", "x.doc: give .yaml, .csv, .json, .jsonl, .txt or .log"),
        ("x.txt", "", "x.txt: no result of vllm bench serve, throughput or latency"),
    ],
)
def test_what_cannot_be_read_is_said(tmp_path: Path, name: str, content: object, said: str) -> None:
    assert said in refused(write(tmp_path, name, content))


def test_all_faults_of_all_files_are_said_at_once(tmp_path: Path) -> None:
    bad = write(tmp_path, "a.json", {**VLLM, "max_concurrency": None})
    text = refused(bad, write(tmp_path, "b.txt", ""), tmp_path / "gone.csv")
    assert "b.txt: no result of vllm bench serve" in text
    assert "gone.csv: file not found" in text


# ---- against the estimate


def test_measured_over_estimated_and_what_plans_count_on_before_and_after(tmp_path: Path) -> None:
    (row,) = compared(tmp_path).rows
    # decode 10.08 + 1.75 · 0.5 + 16 · 0.05 ms; prefill 240.2133 + 1.75 · 0.5 ms, 15 of others
    prefill = 240.2133 + 1.75 * 0.5
    tpot = (10 + 16 * 0.005 + 1.75 * 0.5 + 16 * 0.05 + 15 * prefill / 200) * 1e-3
    estimated = 16 * 200 / (200 * tpot + prefill * 1e-3)
    assert row.estimated_tokens_per_second == pytest.approx(estimated, rel=1e-6)
    assert row.ratio == pytest.approx(400 / estimated)
    assert row.before is not None
    assert row.after is not None
    # √(1.125 · 0.08² + 0.18²) = 0.1991 for default settings; 0.0437 for a run repeated
    derate, repeated = exp(-0.041 - 1.4149 * 0.1991), exp(-1.4149 * 0.0437)
    assert (row.before.source, row.after.source) == ("estimated", "measured")
    assert row.before.output_tokens_per_second == pytest.approx(derate * estimated, rel=1e-3)
    assert row.after.output_tokens_per_second == pytest.approx(repeated * 400, rel=1e-3)
    assert row.warnings == ()


def test_another_size_is_calibrated_by_0_6_of_the_logarithm_of_the_factor(tmp_path: Path) -> None:
    found = compared(tmp_path)
    factor = found.rows[0].ratio
    points = [
        ServingModel(known).at(toy(), box(), "bf16", 1, 4000, 900, 8)
        for known in (catalog(), found.catalog)
    ]
    bare, scaled = points
    assert isinstance(bare, OperatingPoint)
    assert isinstance(scaled, OperatingPoint)
    assert scaled.source == "calibrated"
    assert scaled.requests_per_second == pytest.approx(factor**0.6 * bare.requests_per_second)


def test_a_throughput_above_the_physical_bound_is_refused(tmp_path: Path) -> None:
    # a request takes 1,000 · 18 GFLOP and 12.8 GFLOP of attention: 5.55 requests/s at 100 TFLOPS,
    # 1,110 tokens/s; reading at 2 TB/s would allow 1,770
    with pytest.raises(InputError) as caught:
        compared(tmp_path, YAML.replace("400\n", "1500\n").replace("    tpot: 38ms\n", ""))
    text = str(caught.value)
    assert "output_tokens_per_second: 1,500 is above the physical bound of 1,110 tokens/s" in text
    assert "those of the prompts" in text


def test_a_throughput_far_below_the_estimate_is_a_warning(tmp_path: Path) -> None:
    slow = YAML.replace("400\n", "100\n").replace("    tpot: 38ms\n", "")
    (row,) = compared(tmp_path, slow).rows
    (warning,) = row.warnings
    assert warning.startswith("toy on box tp 1, 16 in flight: 0.19 of the estimate; did the client")


def test_draft_tokens_are_said_to_be_outside_the_model(tmp_path: Path) -> None:
    (row,) = compared(tmp_path, {**VLLM, "spec_decode_acceptance_rate": 0.7}).rows
    assert "speculative decoding is not modelled" in row.warnings[0]


def test_names_come_from_the_file_or_the_options_and_are_checked(tmp_path: Path) -> None:
    files = [write(tmp_path, "m.yaml", YAML)]
    with pytest.raises(InputError) as caught:
        compare(read_measurements(files), catalog(), {"llm": "tooy"}, today=TODAY)
    text = str(caught.value)
    assert "measurements[0].llm: 'tooy' is not in the catalog; did you mean 'toy'?" in text
    assert "measurements[0].gpu: required\n  hint: write it in the file, or give --gpu" in text
    assert "measurements[0].tensor_parallel: required" in text
    again = [*files, write(tmp_path, "n.yaml", YAML)]
    with pytest.raises(InputError, match=r"this point is given twice \(first in .*m.yaml:2\)"):
        compare(read_measurements(again), catalog(), NAMES, today=TODAY)


def test_own_rows_replace_the_published_one_of_the_same_point() -> None:
    known = catalog(measured(80, concurrency=8), measured(60, concurrency=4))
    later = with_own(known, [measured(70, concurrency=8)])
    rows = [(m.concurrency, m.output_tokens_per_second, m.override) for m in later.measurements]
    assert rows == [(4, 60, False), (8, 70, True)]


def test_what_files_do_not_say_of_the_deployment_is_an_option(
    toys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = ("m.yaml", "--llm", "toy", "--gpu", "box", "--tp", "1", "--precision", "bf16")
    setup = ("--engine", "vllm", "--engine-version", "0.11.0", "--tuning", "tuned")
    more = ("--kv-precision", "fp8", "--prefix-cache-share", "30%", "--lora", "8x16")
    said = ("calibrate", *one, *setup, *more, "--catalog", "toys", "--out", "mine")
    assert main([*said]) == 0
    capsys.readouterr()
    (row,) = load_catalog("mine").measurements
    assert (row.engine, row.engine_version, row.tuning) == ("vllm", "0.11.0", "tuned")
    assert (row.kv_precision, row.prefix_cache_share, row.lora_adapters) == ("fp8", 0.3, 8)


# ---- the overlay


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write_folder(tmp_path / "toys")
    write(tmp_path, "m.yaml", YAML)
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMAND = ["calibrate", "m.yaml", "--catalog", "toys", "--as-of", "2026-08-31", "--llm", "toy"]
COMMAND += ["--gpu", "box", "--tp", "1", "--precision", "bf16"]


def test_the_overlay_serves_as_overlay_and_as_catalog(
    toys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, "--out", "mine"]) == 0
    out = capsys.readouterr().out
    assert "1 measurement, output tokens/s of one replica; planned at p10" in out
    assert "800/200" in out
    assert "(measured x 0.94)" in out
    assert "Written to mine: use it with --overlay mine" in out
    for known in (
        load_catalog("toys", overlays=[Path("mine")], as_of=TODAY),
        load_catalog("mine", as_of=TODAY),
    ):
        (row,) = known.measurements
        assert (row.llm, row.gpu, row.tensor_parallel, row.concurrency) == ("toy", "box", 1, 16)
        assert (row.output_tokens_per_second, row.tpot_s, row.override) == (400, 0.038, True)
        assert (row.source, row.as_of) == ("own measurement m.yaml", TODAY)
    assert sorted(p.name for p in toys.iterdir()) == ["m.yaml", "mine", "toys"]


def test_an_existing_folder_is_never_touched(
    toys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (toys / "mine").mkdir()
    assert main([*COMMAND, "--out", "mine"]) == 2
    assert "mine: exists already; give another name" in capsys.readouterr().err
    assert list((toys / "mine").iterdir()) == []


def test_rows_that_loading_would_refuse_leave_nothing_behind(toys: Path) -> None:
    # 400 tokens/s with 16 in flight take 40 ms a token on average, not 80
    write(toys, "m.yaml", YAML.replace("38ms", "80ms"))
    with pytest.raises(InputError, match="s per token lets 16 requests give 200"):
        calibrate_files([Path("m.yaml")], **NAMES, catalog="toys", out=Path("mine"), as_of=TODAY)
    assert sorted(p.name for p in toys.iterdir()) == ["m.yaml", "toys"]


def test_without_a_folder_nothing_is_written_and_json_has_it_all(
    toys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*COMMAND, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (row,) = document["measurements"]
    assert document["folder"] is None
    assert row["ratio"] == pytest.approx(400 / row["estimated_tokens_per_second"])
    assert row["planned_after"] == {
        "output_tokens_per_second": pytest.approx(376, rel=1e-3),
        "derate": pytest.approx(0.94, abs=1e-3),
        "source": "measured",
    }
    assert sorted(p.name for p in toys.iterdir()) == ["m.yaml", "toys"]


# ---- whatever a file holds

VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.just([1]),
    st.just({"mean": 1}), st.just({"avg": 2.5, "unit": "s"}), st.just(10**400),
)  # fmt: skip


def scrambled(document: Any) -> st.SearchStrategy[Any]:
    """The document with any of its values replaced."""
    if isinstance(document, dict):
        whole = st.fixed_dictionaries({key: scrambled(value) for key, value in document.items()})
        return st.one_of(whole, whole, whole, VALUES)
    if isinstance(document, list):
        return st.one_of(st.tuples(*map(scrambled, document)).map(list), VALUES)
    return st.one_of(st.just(document), VALUES)


@tries(1.5)
@given(st.one_of(*map(scrambled, (VLLM, GUIDELLM, AIPERF))))
def test_any_document_is_read_or_refused(document: Any) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "m.json"
        path.write_text(json.dumps(document), encoding="utf-8")
        with suppress(InputError):
            found = read_measurements([path])
            assert all(f.row.concurrency and f.row.output_tokens for f in found)


def test_numbers_that_python_does_not_read_are_refused(tmp_path: Path) -> None:
    said = refused(write(tmp_path, "m.json", '{"a": 1' + "0" * 5000 + "}"))
    assert said == "m.json:1:7: not valid JSON: a number of more than 300 digits"


# ---- what becomes of a plan


def test_the_plan_before_and_after_is_told_in_dollars() -> None:
    # 13 requests/s: a big and a small, $3,960; 20: two big, $5,760.
    known = catalog()
    found = Calibrated((), known, 0.1, known)
    one, other = (solve(plain_problem(rate), big_and_small()) for rate in (13, 20))
    told = calibrated_text(found, None, Replanned(one, other))
    assert (
        "The plan of problem becomes 2 x big acme, $5,760 per month.\n"
        "It was 1 x big acme + 1 x small bolt, $3,960 per month.\n"
        "Monthly cost will increase by $1,800 (+45 %)\n"
    ) in told
    same = calibrated_text(found, None, Replanned(one, one))
    assert "The plan of problem stays 1 x big acme + 1 x small bolt, $3,960 per month.\n" in same
    none = solve(plain_problem(13, limits={"max_gpus": {"total": 1}}), big_and_small())
    gone = calibrated_text(found, None, Replanned(one, none))
    assert "The plan of problem becomes none: there is no plan.\n" in gone
    assert Replanned(one, other).to_dict()["increase_usd_per_month"] == pytest.approx(1800)


def test_only_what_calibrate_gave_is_planned_on() -> None:
    with pytest.raises(ArgumentError, match=r"found: expected what calibrate\(\) gave, not int"):
        replanned(plain_problem(13), 3)  # type: ignore[arg-type]
