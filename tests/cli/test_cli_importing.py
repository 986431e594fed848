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


def test_two_catalogs_are_told_apart(run):
    code, out, _ = run("catalog", "diff", "market", "inference-atlas")
    assert code == 0
    assert "llms: 5 added" in out
    code, out, _ = run("catalog", "diff", "market", "inference-atlas", "--json")
    assert code == 0
    assert {row["key"] for row in json.loads(out)["added"]} >= {"llama_70b", "a100-80gb"}
    assert run("catalog", "diff", "market", "market") == (0, "the catalogs are the same\n", "")
