"""A plan of units that workloads share, held against the least that trying every fleet found."""

from __future__ import annotations

import pytest

from milp_planner import Catalog, Plan, Problem, solve


def judged(question: Problem, sold: Catalog, least_usd: float | None, *, seed: int) -> Plan:
    """The plan: it costs so much, None of none, is borne by its purchases and is read back as told.

    seed: of every three problems one is planned without pruning.
    """
    plan = solve(question, sold, pruning=seed % 3 > 0, diagnose=False)
    if least_usd is None:
        assert plan.score_usd_per_month is None
        return plan
    assert plan.score_usd_per_month == pytest.approx(least_usd, abs=0.01)
    assert plan.cash_usd_per_month == pytest.approx(least_usd, abs=0.01)
    borne = sum(p.cash_usd_per_month for p in plan.purchases)
    assert borne == pytest.approx(plan.cash_usd_per_month)
    document = plan.to_dict()
    assert Plan.from_dict(document).to_dict() == document
    return plan
