"""What an API asks for input tokens that it finds in its cache."""

from __future__ import annotations

import pytest

from milp_planner import solve
from tests.support.builders import catalog, offering, problem, raw, token_price

SIZE = {"input_tokens": 50_000, "output_tokens": 500}


@pytest.mark.parametrize(
    ("share", "cached", "usd"),
    [
        # 0.1 requests/s are 259,200 a month; a box carries 0.2 for 720 · $15
        (0.0, {"usd_per_m_cached_tokens": 0.3}, 10_800.0),  # at the API 0.15 + 0.0075 each: $40,824
        (0.9, {}, 10_800.0),  # no price of its own: the same as any other token
        (0.9, {"usd_per_m_cached_tokens": 0.3}, 9_331.2),  # 0.015 + 0.0135 + 0.0075
    ],
)
def test_cached_tokens_have_their_own_price_where_an_api_has_one(share, cached, usd):
    sold = catalog(
        [offering("acme", "box", 15.0)],
        [raw("box", 0.2, size=(50_000, 500))],
        [token_price("echo", 15.0, usd_per_m_input=3.0, **cached)],
    )
    asked = problem(
        0.1,
        chat={"requests": SIZE, "deployment": {"prefix_cache_share": share}},
        limits={"billing": {"allow": ["dedicated", "per_token"]}},
    )
    assert solve(asked, sold).cash_usd_per_month == pytest.approx(usd)
