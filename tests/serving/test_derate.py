"""How far an estimate is trusted: quantiles of a source not seen yet, and what widens them."""

from __future__ import annotations

from math import exp, sqrt

import pytest

from milp_planner.inputs.problem.deployment import Tier
from milp_planner.serving.derate import (
    ESTIMATED,
    INTERPOLATED,
    MEASURED,
    OTHER_GPU,
    OTHER_TENSOR_PARALLEL,
    PUBLISHED,
    QUANTILES,
    RAW,
    SAME_REPLICA,
    Trust,
    derate,
    error_band,
    planning_quantile,
    student_t_quantile,
    trust_in,
)
from tests.support.serving_toys import box, toy

KINDS = (
    MEASURED,
    INTERPOLATED,
    SAME_REPLICA,
    OTHER_TENSOR_PARALLEL,
    OTHER_GPU,
    PUBLISHED,
    ESTIMATED,
)


def test_a_confidence_of_p90_plans_on_the_tenth_percentile() -> None:
    assert planning_quantile(0.90) == 0.10
    assert planning_quantile(0.50) == 0.50


def test_students_t_with_seven_degrees_of_freedom_is_that_of_the_tables() -> None:
    table = {0.5: 0.0, 0.75: 0.711, 0.9: 1.415, 0.95: 1.895, 0.975: 2.365, 0.99: 2.998}
    for share, value in table.items():
        assert student_t_quantile(share) == pytest.approx(value, abs=0.001)
        assert student_t_quantile(1 - share) == pytest.approx(-value, abs=0.001)


@pytest.mark.parametrize(
    ("tier", "moe", "within"),
    [
        ("tuned", False, 0.09),
        ("tuned", True, 0.21),
        ("default", False, 0.18),
        ("default", True, 0.30),
        ("old", False, 0.41),
    ],
)
def test_an_estimate_is_planned_for_a_source_not_seen_yet(
    tier: Tier, moe: bool, within: float
) -> None:
    # 8 sources scatter by 0.08, and a ninth by √(1 + 1/8) of it; its own runs by `within`
    spread = sqrt(1.125 * 0.08**2 + within**2)
    trust = Trust(moe, tier)
    assert derate(ESTIMATED, trust, 0.10) == pytest.approx(exp(-0.041 - 1.4149 * spread), rel=1e-3)
    assert derate(ESTIMATED, trust, 0.50) == pytest.approx(exp(-0.041))
    assert derate(PUBLISHED, trust, 0.10) == derate(ESTIMATED, trust, 0.10)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("moe", [False, True])
def test_every_share_rises_with_the_quantile_and_is_no_better_than_a_repeated_run(
    kind: str, moe: bool
) -> None:
    shares = [derate(kind, Trust(moe), q) for q in QUANTILES]
    assert shares == sorted(shares)
    assert derate(kind, Trust(moe), 0.10) <= derate(MEASURED, Trust(moe), 0.10)
    assert derate(kind, Trust(moe), 0.10) >= derate(ESTIMATED, Trust(moe), 0.10)
    assert error_band(kind, Trust(moe)) == (shares[0], shares[-1])


def test_a_run_repeated_by_its_user_is_planned_at_0_94_and_a_stated_rate_at_its_word() -> None:
    assert derate(MEASURED, Trust(), 0.10) == pytest.approx(0.94, abs=0.001)
    assert derate(RAW, Trust(), 0.10) == 1.0


def test_beyond_one_and_99_percent_nothing_is_known() -> None:
    assert derate(ESTIMATED, Trust(), 0.0) == derate(ESTIMATED, Trust(), 0.01)
    assert derate(ESTIMATED, Trust(), 1.0) == derate(ESTIMATED, Trust(), 0.99)


def test_what_has_no_measured_relative_widens_the_spread_and_is_named() -> None:
    def reasons(tensor_parallel: int = 1, tokens: float = 100, **fields: object) -> list[str]:
        gpu = box(**{k: v for k, v in fields.items() if k != "parameters_b"})
        llm = toy(parameters_b=fields.get("parameters_b", 9.0))
        found = trust_in(llm, gpu, tensor_parallel, tokens, moe=False, tier="tuned")
        return [w.reason.split(" ")[0] for w in found.widenings]

    assert reasons() == []
    assert reasons(vendor="amd") == ["GPUs"]
    assert reasons(2, interconnect="pcie") == ["tensor"]
    assert reasons(1, interconnect="pcie") == []
    assert reasons(parameters_b=3.9) == ["LLMs"]
    assert reasons(memory_gib=24) == ["GPUs"]
    assert reasons(tokens=16_385) == ["prompts"]
    wide = trust_in(toy(), box(vendor="amd"), 1, 20_000, moe=False, tier="tuned")
    by_hand = sqrt(1.125 * 0.08**2 + 0.09**2 + 0.20**2 + 0.15**2)
    assert wide.spread == pytest.approx(by_hand)
