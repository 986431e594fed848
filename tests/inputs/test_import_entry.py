"""Files of other tools with something wrong: a refusal with its place, never a half import."""

from __future__ import annotations

import json
import os
import re

import pytest

from milp_planner.cli.parts import exit_codes
from tests.cli.test_cli_importing import HF_CONFIG

pytest_plugins = ["tests.support.toy_cli"]

SKYPILOT = "InstanceType,AcceleratorName,AcceleratorCount,GpuInfo,Price,SpotPrice,Region\n"
GPUHUNT = "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot,disk_size\n"
GOOD = {
    "skypilot": SKYPILOT + "g6.xlarge,L4,1,,0.8,0.3,us-east-1\n",
    "gpuhunt": GPUHUNT + "l4,us-east-1,0.8,4,16,1,L4,24,False,\n",
    "litellm": json.dumps(
        {
            "deepinfra/llama-3.3-70b": {
                "litellm_provider": "deepinfra",
                "mode": "chat",
                "input_cost_per_token": 1e-7,
                "output_cost_per_token": 3e-7,
            }
        }
    ),
}


@pytest.fixture
def imported(run, folder):
    """Runs `catalog import` on a file of that content."""

    def of(kind: str, content: str, name: str = "list") -> tuple[int, str, str]:
        (folder / name).write_text(content)
        before = sorted(path.name for path in folder.iterdir())
        code, out, err = run("catalog", "import", kind, name, "--out", "new")
        if code != exit_codes.FOUND:
            assert sorted(path.name for path in folder.iterdir()) == before
        return code, out, err

    return of


@pytest.mark.parametrize("kind", GOOD)
def test_the_good_files_are_good(imported, kind):
    code, out, err = imported(kind, GOOD[kind])
    assert (code, err) == (exit_codes.FOUND, "")
    assert out.startswith("new: ")


@pytest.mark.parametrize(
    ("kind", "content", "said"),
    [
        (
            "skypilot",
            SKYPILOT + """p5,H100,8,"{'MemoryInfo': {'SizeInMiB': 81.920.1}}",55,20,us\n""",
            "list:2: GpuInfo: SizeInMiB: '81.920.1' is not a number; write 1000 or 0.35\n",
        ),
        (
            "skypilot",
            GOOD["skypilot"] + "x,L4,1,,1e999,,us\ny,L4,many,,1,-2,us\n",
            "list:3: Price: must be a finite number (is 1e999)\n"
            "list:4: AcceleratorCount: 'many' is not a number; write 1000 or 0.35\n"
            "list:4: SpotPrice: must be at least 0 (is -2)\n",
        ),
        (
            "gpuhunt",
            GPUHUNT + "l4,us,nan,4,16,1,L4,24,False,\n",
            "list:2: price: 'nan' is not a number; write 1000 or 0.35\n",
        ),
        (
            "gpuhunt",
            '"' + "x" * 200_000 + '"\n1\n',
            "list:1: not valid CSV: field larger than field limit (131072)\n",
        ),
        (
            "litellm",
            GOOD["litellm"].replace("1e-07", "1" * 5_000),
            "list:1:103: not valid JSON: a number of more than 300 digits\n",
        ),
        (
            "litellm",
            GOOD["litellm"].replace("1e-07", "1e999"),
            "list:1:103: not valid JSON: 1e999 is too large a number\n",
        ),
        (
            "litellm",
            '{"a": {"mode": "chat"},\n "a": {}}',
            "list:2: 'a' is given twice (first on line 1)\n",
        ),
    ],
)
def test_a_list_with_something_wrong_is_refused_with_file_and_row(imported, kind, content, said):
    assert imported(kind, content) == (exit_codes.INPUT, "", said)


STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\ud800-\udfff]")
ESC = "p5\x1b[31mRED\x1b]0;evil\x07\u202e"


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("skypilot", GOOD["skypilot"] + f"{ESC},{ESC},8,,25,,us\n"),
        ("gpuhunt", GOOD["gpuhunt"] + f"{ESC},us,1,1,1,1,{ESC},80,False,\n"),
        (
            "litellm",
            json.dumps(
                {
                    f"{ESC}/llama-3.3-70b": {
                        "litellm_provider": "acme",
                        "input_cost_per_token": 1e-7,
                        "output_cost_per_token": 3e-7,
                    },
                    ESC: {"mode": "chat", "litellm_provider": ESC},
                }
            ),
        ),
    ],
)
@pytest.mark.parametrize("name", ["list", ESC])
def test_no_name_in_a_list_nor_of_it_steers_a_terminal(imported, run, kind, content, name):
    code, out, err = imported(kind, content, name)
    assert (code, err) == (exit_codes.FOUND, "")
    assert not STEERS.search(out)
    assert r"\x1b[31mRED" in out
    assert run("catalog", "check", "new")[0] == exit_codes.FOUND


def test_no_folder_name_steers_a_terminal(run, folder):
    (folder / "list").write_text(GOOD["skypilot"])
    code, out, _ = run("catalog", "import", "skypilot", "list", "--out", ESC)
    assert code == exit_codes.FOUND
    assert out.startswith(r"p5\x1b[31mRED\x1b]0;evil\x07\u202e: 2 rows")
    for arguments in (("check", ESC), ("list", "--catalog", ESC), ("list", "x", "--catalog", ESC)):
        _, out, err = run("catalog", *arguments)
        assert not STEERS.search(out + err)


def test_a_name_on_two_lines_is_written_on_one(imported, run, folder):
    # its rows would else be counted from the wrong line, and others be left out for them
    two = GOOD["litellm"].replace("deepinfra/", r"deepinfra/a\nb/")
    assert imported("litellm", two)[0] == exit_codes.FOUND
    table = (folder / "new" / "token_prices.csv").read_text()
    assert r"deepinfra/a\nb/llama-3.3-70b" in table
    assert len(table.splitlines()) == 2
    assert run("catalog", "check", "new")[0] == exit_codes.FOUND


@pytest.mark.parametrize(
    "arguments",
    [
        ("catalog", "import", "skypilot", "pipe", "--out", "new"),
        ("catalog", "import", "litellm", "pipe", "--out", "new"),
        (
            "catalog",
            "import",
            "hf",
            "pipe.safetensors",
            "config.json",
            "--hf-id",
            "a/b",
            "--out",
            "new",
        ),
        ("import", "melange", "pipe", "--out", "new"),
        ("import", "aibrix", "pipe", "--out", "new"),
        ("calibrate", "pipe.json"),
        ("calibrate", "pipe.csv"),
        ("calibrate", "pipe.yaml"),
    ],
)
def test_no_pipe_is_waited_for(run, folder, arguments):
    for name in ("pipe", "pipe.json", "pipe.csv", "pipe.yaml", "pipe.safetensors"):
        os.mkfifo(folder / name)
    (folder / "config.json").write_text(json.dumps(HF_CONFIG))
    code, out, err = run(*arguments)
    assert (code, out) == (exit_codes.INPUT, "")
    assert re.match(r"pipe(\.\w+)?: is a named pipe\n  hint: ", err)
