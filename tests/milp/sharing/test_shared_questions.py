"""What-if and diagnosis where units are shared: a node of eight GPUs is $5,760 a month."""

from __future__ import annotations

import pytest

from milp_planner import diagnose, what_if
from tests.milp.sharing.test_shared_units import NODE, nodes, two


def test_more_traffic_takes_another_node_once_the_first_is_full():
    # Eight times as much is 40 and 40 requests/s, four GPUs each; nine times is five each.
    grown = {
        f"x{times}": {f"workloads.{name}.traffic.growth": times for name in ("chat", "code")}
        for times in (1, 8, 9)
    }
    frame = what_if(two(), grown, nodes()).to_frame()
    assert [*frame["cash_usd_per_month"]] == pytest.approx([NODE, NODE, 2 * NODE])


def test_a_quota_below_one_node_is_raised_to_one():
    found = diagnose(two(limits={"max_gpus": {"total": 7}}), nodes())
    (change,) = found.changes
    assert change.path == "limits.max_gpus.total"
    assert change.cash_usd_per_month == pytest.approx(NODE)
    assert "allow 1 more GPU (8 in all)" in change.text
