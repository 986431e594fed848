"""`import`, `catalog import` and `catalog diff` on the command line."""

from __future__ import annotations

import json

pytest_plugins = ["tests.support.toy_cli"]

MELANGE = {
    "gpu_info": {
        "A10G": {"cost": 1.01, "tputs": [[2, 1], [5, 2]]},
        "A100-80GB": {"cost": 3.67, "tputs": [[20, 20], [40, 20]]},
    },
    "workload_distribution": [[0.2, 0.1], [0.5, 0.2]],
    "total_request_rate": 30.0,
    "slice_factor": 1,
}

SKYPILOT = """\
InstanceType,vCPUs,MemoryGiB,AcceleratorName,AcceleratorCount,GpuInfo,Price,SpotPrice,Region,AvailabilityZone
p5.48xlarge,192,2048,H100,8,,98.32,30.1,us-east-1,us-east-1a
odd.large,1,1,Foo,1,,1,,us-east-1,us-east-1a
"""


def test_another_planners_input_becomes_a_problem_that_plans(run, folder):
    (folder / "melange.json").write_text(json.dumps(MELANGE))
    code, out, err = run("import", "melange", "melange.json", "--out", "mine")
    assert (code, out) == (0, "mine/problem.yaml\n")
    assert "the file states no request sizes" in err
    code, out, _ = run("solve", "mine/problem.yaml", "--json", "--alternatives", "0")
    assert code == 0
    # 1 A10G and 1 A100: $4.68 an hour.
    assert round(json.loads(out)["cash_usd_per_month"] / 720, 4) == 4.68


def test_an_import_never_overwrites(run, folder):
    (folder / "melange.json").write_text(json.dumps(MELANGE))
    (folder / "mine").mkdir()
    code, out, err = run("import", "melange", "melange.json", "--out", "mine")
    assert (code, out) == (2, "")
    assert "mine" in err


def test_a_price_list_becomes_an_overlay_that_passes_the_check(run, folder):
    (folder / "aws.csv").write_text(SKYPILOT)
    code, out, _ = run("catalog", "import", "skypilot", "aws.csv", "--out", "prices")
    assert code == 0
    assert out.splitlines()[0] == "prices: 2 rows in offerings.csv, 1 left out"
    assert "GPU not in the catalog" in out
    assert run("catalog", "check", "prices")[0] == 0


HF_CONFIG = {
    "model_type": "llama",
    "num_hidden_layers": 2,
    "hidden_size": 1000,
    "num_attention_heads": 10,
    "num_key_value_heads": 2,
    "intermediate_size": 3000,
    "vocab_size": 5000,
    "max_position_embeddings": 4096,
}


def test_an_llm_is_read_from_its_config_and_shown(run, folder):
    (folder / "config.json").write_text(json.dumps(HF_CONFIG))
    asked = ("catalog", "import", "hf", "config.json", "--out", "mine")
    code, _, err = run(*asked)
    assert (code, err) == (
        2,
        "config.json: does not say which LLM it is of\n"
        "  hint: add --hf-id PUBLISHER/NAME, its name on Hugging Face\n",
    )
    code, out, _ = run(*asked, "--hf-id", "maker/Toy-33M")
    assert code == 0
    # 32.8 M parameters at 2 bytes
    assert out.splitlines() == [
        "mine: 1 LLM in llms.csv",
        "  toy-33m: 0.032805 B parameters, 0.032805 B active; bf16, 0.1 GB (0.1 GiB)",
    ]
    code, out, _ = run("catalog", "show", "maker/Toy-33M-FP8", "--catalog", "mine")
    assert code == 0
    assert "dense mlp" in out or "dense_mlp" in out
    assert "no: 10 attention heads" in out  # on 4 GPUs
    assert "maker/Toy-33M config.json" in out


def test_a_name_on_hugging_face_is_for_llms(run, folder):
    (folder / "aws.csv").write_text(SKYPILOT)
    code, _, err = run(
        "catalog", "import", "skypilot", "aws.csv", "--out", "x", "--hf-id", "maker/toy"
    )
    assert (code, err) == (2, "--hf-id: is for hf, and this is skypilot\n")


def test_two_catalogs_are_told_apart(run):
    code, out, _ = run("catalog", "diff", "market", "inference-atlas")
    assert code == 0
    assert "llms: 5 added" in out
    code, out, _ = run("catalog", "diff", "market", "inference-atlas", "--json")
    assert code == 0
    assert {row["key"] for row in json.loads(out)["added"]} >= {"llama_70b", "a100-80gb"}
    assert run("catalog", "diff", "market", "market") == (0, "the catalogs are the same\n", "")


def test_a_list_may_be_anothers_and_keep_what_it_does_not_name(run, folder):
    (folder / "list.csv").write_text(SKYPILOT)
    asked = ("catalog", "import", "skypilot", "list.csv", "--as-of", "2026-08-20")
    code, out, _ = run(*asked, "--provider", "aws", "--keep", "--verbose", "--out", "x")
    assert code == 0
    lines = out.splitlines()
    assert lines[1:4] == [
        "  1  GPU not in the catalog:",
        "       list.csv:3 odd.large: Foo",
        "  prices of 2026-08-20 (as asked)",
    ]
    assert lines[4].startswith("  aws dedicated: 0 new, 1 replaced, ")
    assert "kept though the list does not name them (aws/" in lines[4]


def test_options_of_price_lists_are_for_price_lists(run, folder):
    (folder / "config.json").write_text(json.dumps(HF_CONFIG))
    asked = ("catalog", "import", "hf", "config.json", "--hf-id", "a/b", "--out", "x", "--keep")
    assert run(*asked)[::2] == (2, "--keep: is for price lists, and this is hf\n")
    (folder / "prices.json").write_text("{}")
    asked = ("catalog", "import", "litellm", "prices.json", "--out", "x", "--provider", "aws")
    assert run(*asked)[2] == "--provider: is for lists of GPUs; litellm names its providers\n"
