"""`evaluate` on the command line: the fleet priced, judged, and every limit that it breaks."""

from __future__ import annotations

import json
from pathlib import Path

from milp_planner.cli import main

pytest_plugins = ["tests.support.toy_cli"]

PROBLEM = Path(__file__).resolve().parents[2] / "problems/inference-atlas/llama-70b-bursty.yaml"


def test_a_fleet_is_priced_and_judged(capsys):
    # One A100 at runpod, $1.89/h all month: $1,360.80.
    assert main(["evaluate", str(PROBLEM), "--fleet", "runpod/a100-80gb/global=1"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("This fleet: $1,361 per month. It keeps all limits.\n")


def test_a_fleet_that_breaks_a_limit_says_which_and_ends_in_4(capsys, tmp_path):
    text = PROBLEM.read_text(encoding="utf-8")
    tight = tmp_path / "tight.yaml"
    tight.write_text(text.replace("limits:\n", "limits:\n  budget: {usd_per_month: 1000}\n"))
    assert main(["evaluate", str(tight), "--fleet", "runpod/a100-80gb/global=1"]) == 4
    out = capsys.readouterr().out
    assert "It breaks limits:" in out
    assert "cash is $1,360.80 per month, above the budget of $1,000.00" in out
    assert main(["evaluate", str(tight), "--fleet", "runpod/a100-80gb/global=1", "--json"]) == 4
    document = json.loads(capsys.readouterr().out)
    assert document["breaches"][0]["family"] == "BudgetLimit"


def test_an_unknown_offering_is_an_input_error(capsys):
    assert main(["evaluate", str(PROBLEM), "--fleet", "runpod/a100-80gb/mars=1"]) == 2
    assert "runpod/a100-80gb/mars" in capsys.readouterr().err


def test_a_relative_catalog_is_looked_for_beside_the_problem(run, folder, monkeypatch):
    (folder / "elsewhere").mkdir()
    monkeypatch.chdir(folder / "elsewhere")
    # Two big at $4 an hour for 720 hours.
    code, out, err = run("evaluate", "../toy.yaml", "--fleet", "acme/big/eu-1=2", "--json")
    assert (code, err) == (0, "")
    assert json.loads(out)["cash_usd_per_month"] == 2 * 4 * 720
