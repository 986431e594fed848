"""Plans whose workloads share units, as files of other tools.

Two nodes of eight GPUs for $8/h, $5,760 a month each. chat asks for 99 requests/s, which five
replicas of two GPUs carry, four of them a node of its own; the fifth stands beside code's one of
one GPU, and pays two thirds of that node.
"""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from milp_planner import Plan, solve
from milp_planner.candidates.sharing.shared_units import placed
from tests.support.builders import catalog, offering, problem, raw, workload

HOLDS = "1 shared unit holds: chat 1 replica of 2 x big, code 1 replica of 1 x big."


@pytest.fixture(scope="module")
def shared() -> Plan:
    node = offering("acme", "big", 8.0, gpus_per_unit=8, name="node", list_usd_per_hour=10.0)
    rented = catalog([node], [raw("big", 10), raw("big", 22, tensor_parallel=2)])
    asked = problem(workloads=[workload(99, "chat"), workload(5, "code")])
    plan = solve(asked, rented)
    assert plan.cash_usd_per_month == pytest.approx(2 * 5_760)
    assert len(plan.shared_units) == 1
    return plan


def test_node_pools_end_at_the_plans_units_however_many_pools_stand_on_them(
    shared: Plan, tmp_path: Path
) -> None:
    shared.export("karpenter", tmp_path / "out")
    pools = [yaml.safe_load(path.read_text()) for path in (tmp_path / "out").glob("*.yaml")]
    assert [pool["spec"]["limits"] for pool in pools] == [{"nvidia.com/gpu": "8"}] * 2
    (text,) = [t for t in texts(tmp_path / "out") if "parts of shared units" in t]
    assert "limits 8: 1 unit at most, as planned; shared, see above." in text


def test_each_deployment_says_what_stands_on_the_units_that_it_shares(
    shared: Plan, tmp_path: Path
) -> None:
    shared.export("kubernetes", tmp_path / "out")
    told = [" ".join(t.replace("\n# ", " ").split()) for t in texts(tmp_path / "out")]
    assert sorted(HOLDS in text for text in told) == [False, True, True]
    assert sorted("$8.0000 an hour a whole unit" in text for text in told) == [False, True, True]
    assert not any("Start replicas of the most GPUs first" in text for text in told)
    (one,) = shared.shared_units
    k = {c.workload: c for c, _ in one.contents_by_block[0][0]}
    # Two units of eight hold three replicas of four, and four of one, if these stand together.
    many = replace(k["chat"], tensor_parallel=4), replace(k["code"])
    contents = placed(8, ((many[0], 3), (many[1], 4)))
    several = replace(one, units_by_block=(2,), contents_by_block=(contents,))
    replace(shared, shared_units=(several,)).export("kubernetes", tmp_path / "two")
    assert any("Start replicas of the most GPUs first" in text for text in texts(tmp_path / "two"))


def test_cost_rows_of_shared_units_are_unit_hours_at_the_price_of_a_unit(
    shared: Plan, tmp_path: Path
) -> None:
    # Of the 720 hours of the shared node chat pays 480, code 240, at $8 instead of $10.
    shared.export("focus", tmp_path / "out")
    rows = list(csv.DictReader((tmp_path / "out" / "focus.csv").open()))
    found = {
        (row["x_Workload"], row["x_Gpus"]): [
            float(row[name])
            for name in (
                *("PricingQuantity", "ContractedUnitPrice", "BilledCost"),
                *("ListUnitPrice", "ListCost"),
            )
        ]
        for row in rows
    }
    assert found == {
        ("chat", "8"): [720, 8, 5_760, 10, 7_200],
        ("chat", "2"): [480, 8, 3_840, 10, 4_800],
        ("code", "1"): [240, 8, 1_920, 10, 2_400],
    }
    said = {row["ChargeDescription"] for row in rows}
    assert "1 part of acme/node/eu-1 dedicated for code" in said


def texts(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("*.yaml"))]
