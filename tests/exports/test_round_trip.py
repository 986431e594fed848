"""Plan, export, read back: what the files say equals the plan, by readers that know no export."""

from __future__ import annotations

from pathlib import Path

import pytest

from milp_planner import Plan, load_problem, solve
from tests.support.shown.exported import (
    JOINED,
    RESERVED,
    alike_in,
    bought,
    documents,
    fleet,
    mixed,
    pools_in,
    pools_in_dstack,
    pools_in_kubernetes,
    pools_in_llm_d,
    pools_in_scripts,
    pools_in_skyserve,
    pools_in_stack,
)

READERS = {
    "vllm": pools_in_scripts,
    "kubernetes": pools_in_kubernetes,
    "aibrix": pools_in_kubernetes,
    "llm-d": pools_in_llm_d,
    "production-stack": pools_in_stack,
    "dstack": pools_in_dstack,
    "skyserve": pools_in_skyserve,
}


@pytest.fixture(scope="module", params=["quickstart", "three-llms", "day-and-night"])
def solved(request: pytest.FixtureRequest) -> Plan:
    """A shipped problem's plan, as its document tells it."""
    plan = solve(load_problem(f"problems/{request.param}.yaml"), alternatives=0)
    return Plan.from_dict(plan.to_dict())


@pytest.mark.parametrize("name", READERS)
def test_counts_gpus_and_llms_of_a_shipped_problem_come_back(
    name: str, solved: Plan, tmp_path: Path
) -> None:
    solved.export(name, tmp_path / "out")
    expected = alike_in(solved) if name == "skyserve" else pools_in(solved)
    assert READERS[name](tmp_path / "out") == expected


def test_replicas_that_stand_several_on_a_unit_or_span_units_come_back(tmp_path: Path) -> None:
    # Two units of 8 GPUs with 4 replicas each; one replica over 2 units of 8.
    plan = fleet(bought(RESERVED, 2, 2), bought(JOINED, 1, 1))
    llama = "meta-llama/Llama-3.3-70B-Instruct"
    assert pools_in(plan) == {(llama, 8, 16): 1, (llama, 1, 16): 1}
    for name in ("vllm", "kubernetes", "llm-d"):
        plan.export(name, tmp_path / name)
        assert READERS[name](tmp_path / name) == pools_in(plan), name


def test_skyserve_counts_alike_replicas_together(tmp_path: Path) -> None:
    # 3 spot and 1 on demand of the same shape are one service of 4 units.
    mixed().export("skyserve", tmp_path / "out")
    llama = "meta-llama/Llama-3.3-70B-Instruct"
    assert pools_in_skyserve(tmp_path / "out") == {(llama, 4, 8): 1, (llama, 4, 16): 1}


def test_weights_come_back_as_shares(tmp_path: Path) -> None:
    # Three purchases serve a third each: thousandths are 334, 333 and 333.
    mixed().export("litellm", tmp_path / "out")
    (config,) = documents(tmp_path / "out")
    weights = [one["litellm_params"]["weight"] for one in config["model_list"]]
    assert sorted(weights) == [333, 333, 334]


def test_cost_rows_sum_to_the_bill(solved: Plan, tmp_path: Path) -> None:
    import csv

    solved.export("focus", tmp_path / "out")
    with open(tmp_path / "out" / "focus.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert sum(float(row["BilledCost"]) for row in rows) == pytest.approx(
        solved.cash_usd_per_month, abs=0.01
    )
    assert {row["ProviderName"] for row in rows if row["ProviderName"]} == {*solved.providers}
