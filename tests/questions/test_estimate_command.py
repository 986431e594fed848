"""`milp-planner estimate`: what it prints, and what it refuses."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import fields
from pathlib import Path

import pytest

from milp_planner.cli import main
from milp_planner.cli.parts.deployment_options import EngineOptions
from milp_planner.inputs.problem.deployment import DeploymentSettings
from tests.support.serving.toys import write_folder

# ---- the command


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    folder = write_folder(tmp_path / "toys")

    def run_it(*arguments: str) -> tuple[int, str, str]:
        code = main(["estimate", "--catalog", str(folder), *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run_it


ONE = ("--llm", "toy", "--gpu", "box", "--input", "800", "--output", "200")


def test_one_deployment_is_a_few_lines(run) -> None:
    code, out, err = run(*ONE, "--batch", "16")
    lines = out.splitlines()
    assert code == 0
    assert lines[0] == (
        "toy bf16 on 1 x box, 800/200 tokens, 16 requests in flight; vLLM, default settings"
    )
    assert lines[1] == (
        # the toy of the files has a feed-forward part of 299,166: 31.95 GiB of activations more
        "fits: weights 16.8 + KV 0.1 + reserve 36.6 = 53.5 of 72.0 GiB      n_max 1024"
    )
    assert "bottleneck compute" in lines[2]
    assert lines[2].endswith("estimated, p10 0.72")
    assert "(advice, not measured)" in lines[3]
    assert lines[4].endswith("at $3.00/h (bolt/quad/eu-1 dedicated, 1/4 of a unit of 4 GPUs)")
    assert "box has no measured relative" in err


def test_every_key_of_a_deployment_is_an_option(capsys: pytest.CaptureFixture[str]) -> None:
    assert {field.name for field in fields(EngineOptions)} == {*DeploymentSettings.model_fields}
    for command in ("estimate", "calibrate"):
        main([command, "--help"])
        helped = capsys.readouterr().out
        for name in DeploymentSettings.model_fields:
            assert f"--{name.replace('_', '-')}" in helped, (command, name)


def test_joined_units_are_options(run) -> None:
    joined = ("--units-per-replica", "2", "--gb-per-s-between-units", "25")
    _, out, err = run(*ONE, "--tp", "8", *joined)
    lines = out.splitlines()
    assert lines[0].startswith("toy bf16 on 8 x box, 800/200 tokens")
    assert lines[0].endswith("default settings, 2 units joined, 25 GB/s per GPU between them")
    assert lines[4].endswith("at $24.00/h (bolt/quad/eu-1 dedicated, 2 units of 4 GPUs)")
    assert "joined units" in err
    _, staged, _ = run(*ONE, "--tp", "4", "--units-per-replica", "2", "--pipeline-parallel", "2")
    assert "toy bf16 on 8 x box" in staged
    assert "2 units joined, pipeline parallel 2" in staged
    assert run(*ONE, "--units-per-replica", "9")[0] == 2
    code, _, err = run(
        *ONE, "--tp", "4", "--units-per-replica", "2", "--offering", "bolt/quad/eu-1"
    )
    assert code == 2
    assert "2 joined units of bolt/quad/eu-1 have 8 GPUs, a replica of them these 4" in err


def test_what_fits_and_is_not_served_says_why(run) -> None:
    gpu = ("--catalog", "market", "--gpu", "t4-16gb", "--precision", "bf16", "--batch", "1")
    _, out, _ = run("--llm", "llama-3.2-3b", "--input", "800", "--output", "200", *gpu)
    assert out.splitlines()[1] == (
        "fits: weights 6.0 + KV 0.1 + reserve 2.5 = 8.6 of 14.4 GiB      not served: "
        "t4-16gb has no bf16 (compute capability 7.5, 8.0 has it); fp16 runs there"
    )


def test_several_make_a_table_with_their_reasons_below(run) -> None:
    code, out, _ = run(
        "--llm", "toy,big", "--gpu", "box,tub", "--input", "800", "--output", "200",
        "--batch", "1,16", "--tp", "1,2",
    )  # fmt: skip
    lines = out.splitlines()
    assert code == 0
    assert len([line for line in lines[1:17] if line.startswith(("  toy ", "  big "))]) == 16
    assert lines[0].split()[:5] == ["LLM", "GPU", "precision", "tp", "batch"]
    why = "weights 167.6 GiB do not fit in 21.6 GiB; the smallest that fits: "
    assert any(line.startswith(f"  big bf16 on 1 x tub: {why}") for line in lines)
    assert lines[-1] == "  vLLM, default settings"


def test_json_and_csv_have_every_figure(run) -> None:
    code, out, _ = run(*ONE, "--batch", "1,4", "--json", "--usd-per-hour", "$3.60")
    rows = json.loads(out)["estimates"]
    assert code == 0
    assert [row["concurrency"] for row in rows] == [1, 4]
    # tuned, 10.525 ms; by default 0.75 · 0.5 ms of kernels and 30 µs more
    assert rows[0]["tpot_s"] == pytest.approx(10.93e-3)
    assert rows[0]["deployment"] == "vLLM, default settings"
    assert (rows[0]["usd_per_hour"], rows[0]["price_of"]) == (3.6, "as given")
    assert json.loads(out)["not_modelled"] == ["disaggregated prefill and decode"]
    table = list(csv.DictReader(io.StringIO(run(*ONE, "--batch", "1,4", "--csv")[1])))
    assert [row["concurrency"] for row in table] == ["1", "4"]
    assert float(table[0]["tpot_s"]) == pytest.approx(10.93e-3)


@pytest.mark.parametrize(
    ("options", "label", "faster"),
    [
        (("--tuning", "tuned"), "vLLM, tuned", True),
        (("--engine", "sglang", "--tuning", "tuned"), "SGLang, tuned", True),
        (("--engine", "tensorrt-llm"), "TensorRT-LLM, tuned", True),
        (("--engine-version", "0.6.3"), "vLLM 0.6.3, default settings", False),
        (("--prefix-cache-share", "50%"), "vLLM, default settings, 50% of the input cached", True),
        (
            ("--speculative", "3x0.7"),
            "vLLM, default settings, 3 draft tokens, 70% accepted as stated",
            True,
        ),
        (("--kv-precision", "fp8"), "vLLM, default settings, fp8 KV cache", True),
    ],
)
def test_the_deployment_acts_and_is_printed(run, options, label, faster) -> None:
    plain = json.loads(run(*ONE, "--batch", "16", "--json")[1])["estimates"][0]
    row = json.loads(run(*ONE, "--batch", "16", *options, "--json")[1])["estimates"][0]
    assert row["deployment"] == label
    assert (row["requests_per_second"] > plain["requests_per_second"]) == faster


def test_what_takes_memory_leaves_room_for_fewer(run) -> None:
    def most(*options: str) -> int:
        long = ("--llm", "toy", "--gpu", "box", "--input", "80000", "--output", "2000")
        return json.loads(run(*long, *options, "--json")[1])["estimates"][0]["sequences"]

    assert most("--memory-share", "0.5") < most()
    assert most("--lora", "64x64") < most()
    assert most("--max-sequences", "7") == 7
    assert most("--kv-precision", "fp8") > most()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--engine", "tgi"), "engine: 'tgi' is not one of vllm, sglang, tensorrt-llm"),
        (("--engine", "tensorrt-llm", "--tuning", "default"), "has no default settings"),
        (("--lora", "8"), "--lora: two numbers such as 8x16 (is 8)"),
        (("--speculative", "3x1.2"), "acceptance"),
        (("--max-sequences", "0"), "must be greater than 0"),
        (("--memory-share", "0"), "memory_share"),
    ],
)
def test_a_deployment_that_cannot_be_is_refused(run, options, words) -> None:
    code, out, err = run(*ONE, *options)
    assert (code, out) == (2, "")
    assert words in err


def test_experts_are_spread_only_where_there_are_some(run) -> None:
    _, out, _ = run(*ONE, "--expert-parallel")
    assert "does not fit: expert_parallel: toy has no experts" in out


def test_power_and_depreciation_price_a_local_deployment(run) -> None:
    given = ("--purchase-usd", "26280", "--lifetime-years", "3", "--usd-per-kwh", "0.20")
    code, out, _ = run(*ONE, "--batch", "1", *given, "--pue", "1.5", "--json")
    row = json.loads(out)["estimates"][0]
    assert code == 0
    assert row["usd_per_hour"] == pytest.approx(1 + 0.5 * 0.20 * 1.5)  # the GPU's 500 W
    assert row["price_of"] == "owned, over 3 years, 500 W"


def test_an_offering_names_its_gpu_and_price(run) -> None:
    given = ("--llm", "toy", "--input", "800", "--output", "200", "--batch", "1", "--json")
    code, out, _ = run(*given, "--offering", "bolt/quad/eu-1", "--billing", "spot", "--tp", "2")
    row = json.loads(out)["estimates"][0]
    assert code == 0
    assert (row["gpu"], row["usd_per_hour"]) == ("box", 2.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--llm", "tooy"), "--llm: 'tooy' is not in the catalog; did you mean 'toy'?"),
        (("--gpu", "bix"), "--gpu: 'bix' is not in the catalog; did you mean 'box'?"),
        (("--batch", "1,x"), "'x' is not a number"),
        (("--batch", "0"), "must be greater than 0 (is 0)"),
        (("--tp", "1.5"), "--tp: whole numbers above 0, such as 1,4,8 (is 1.5)"),
        (("--tp", "65"), "--tp: must be at most 64 (is 65)"),
        (("--precision", "int3"), "--precision: 'int3' is not one of bf16, fp16, fp8"),
        (("--usd-per-hour", "1", "--provider", "acme"), "give one price"),
        (("--provider", "acmee"), "no provider 'acmee'; did you mean 'acme'?"),
        (
            ("--offering", "bolt/quad/eu-1", "--tp", "8"),
            "--tp: bolt/quad/eu-1 has 4 GPUs, fewer than these 8",
        ),
        (("--watts", "100"), "--usd-per-kwh: required with --watts"),
        (("--purchase-usd", "1", "--pue", "0.5"), "pue must be at least 1"),
        (("--confidence", "p100"), "--confidence: from p0 to p99"),
        (("--json", "--csv"), "--json and --csv contradict each other"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_printed(run, arguments, words) -> None:
    given = dict(zip(ONE[::2], ONE[1::2], strict=True))
    for option in arguments[::2]:
        given.pop(option, None)
    flat = [word for pair in given.items() for word in pair]
    code, out, err = run(*flat, *arguments)
    assert code == 2
    assert words in err
    assert out == "" or "--json" in arguments
