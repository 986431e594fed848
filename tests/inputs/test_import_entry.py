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


# ---- published configs of LLMs

HUGE = 10**12


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"num_hidden_layers": HUGE},
            f"num_hidden_layers: is {HUGE}, not a whole number from 1 to",
        ),
        ({"num_attention_heads": 0}, "num_attention_heads: is 0, not a whole number above 0"),
        ({"intermediate_size": HUGE}, f"intermediate_size: is {HUGE}, not a whole number"),
        ({"head_dim": "wide"}, "head_dim: is 'wide', not a whole number"),
        ({"text_config": [1]}, "text_config: is a list, not an object"),
        ({"layer_types": [1, 2]}, "layer_types: is a list, not a list of words"),
        ({"layer_types": ["full_attention"] * 5_000}, "layer_types: has more than 1,000 entries"),
        ({"block_configs": [{"attention": {}}]}, "block_configs: is a list, not a list of layers"),
        (
            {"block_configs": [{"attention": {}, "ffn": {}}] * 2},
            "block_configs: n_heads_in_group is missing",
        ),
        (
            {"layers_block_type": "*", "layer_types": ["attention"] * 2},
            "has 1 entries for 2 layers",
        ),
        (
            {"quantization_config": {"config_groups": [1]}},
            "quantization_config.config_groups: is a list, not an object of groups with weights",
        ),
        (
            {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "ignore": ["re:("],
                    "config_groups": {"a": {"weights": {"num_bits": 8, "type": "float"}}},
                }
            },
            "quantization_config: '(' is no regular expression",
        ),
    ],
)
def test_a_config_of_another_shape_says_which_key(run, folder, changed, said):
    (folder / "config.json").write_text(json.dumps(HF_CONFIG | changed))
    asked = ("catalog", "import", "hf", "config.json", "--hf-id", "a/b", "--out", "new")
    code, out, err = run(*asked)
    assert (code, out) == (exit_codes.INPUT, "")
    assert said in err
    assert not (folder / "new").exists()


ASKED = ("catalog", "import", "hf", "config.json", "--hf-id", "a/b", "--out", "new")


def test_a_part_of_no_size_is_left_out(run, folder):
    (folder / "config.json").write_text(json.dumps(HF_CONFIG | {"intermediate_size": 0}))
    assert run(*ASKED)[0] == exit_codes.FOUND
    assert "dense_mlp=" not in (folder / "new" / "llms.csv").read_text()


def test_a_row_that_contradicts_itself_is_told_where_it_would_stand(run, folder):
    (folder / "config.json").write_text(json.dumps(HF_CONFIG | {"num_key_value_heads": 3}))
    code, _, err = run(*ASKED)
    assert code == exit_codes.INPUT
    assert err.startswith("new/llms.csv:2: kv_heads: 10 attention heads do not share 3 KV heads")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        [],
        {"dtype": "BF16"},
        {"dtype": 16, "shape": [1]},
        {"dtype": "BF16", "shape": [-1]},
        {"dtype": "BF16", "shape": [10**9, 10**9]},
    ],
)
def test_a_tensor_without_a_shape_is_told_by_its_name(run, folder, entry):
    (folder / "config.json").write_text(json.dumps(HF_CONFIG))
    header = json.dumps({"lm_head.weight": entry}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header)
    code, _, err = run("catalog", "import", "hf", ".", "--hf-id", "a/b", "--out", "new")
    assert code == exit_codes.INPUT
    assert err == (
        "model.safetensors: ['lm_head.weight']: a tensor has a dtype and a shape of counts\n"
    )
