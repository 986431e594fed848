"""What owned hardware costs when capital costs something, and something is left in the end."""

from __future__ import annotations

import pytest

from milp_planner import InputError, load_catalog, owned_usd_per_hour

YEAR = 8_760


@pytest.mark.parametrize(
    ("purchase", "years", "residual", "rate", "usd_per_hour"),
    [
        (262_800, 3, 0, 0, 10),
        # A tenth is left: nine tenths in three years.
        (262_800, 3, 26_280, 0, 9),
        # One year at 10 %: 1.1 x $87,600 - $8,760.
        (87_600, 1, 8_760, 0.10, 10),
    ],
)
def test_the_year_pays_the_purchase_back(purchase, years, residual, rate, usd_per_hour):
    found = owned_usd_per_hour(purchase, years, residual_usd=residual, cost_of_capital=rate)
    assert found == pytest.approx(usd_per_hour)


@pytest.mark.parametrize("rate", [1e-12, 0.01, 0.08, 1.0])
def test_all_years_are_worth_the_purchase_today(rate):
    a_year = owned_usd_per_hour(50_000, 5, residual_usd=4_000, cost_of_capital=rate) * YEAR
    worth = sum(a_year / (1 + rate) ** year for year in range(1, 6)) + 4_000 / (1 + rate) ** 5
    assert worth == pytest.approx(50_000)


def test_a_row_with_more_left_than_paid_is_refused_at_its_line(tmp_path):
    files = {
        "catalog.csv": "field,value\nname,own\nversion,1\ndate,2026-01-01\nextends,none\n",
        "gpus.csv": "id,vendor,as_of,source\nbox,x,2026-01-01,t\n",
        "owned.csv": "provider,name,gpu,gpus_per_unit,purchase_usd,lifetime_years,residual_usd,"
        "as_of,source\nlab,box,box,1,100,3,200,2026-01-01,t\n",
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(InputError) as error:
        load_catalog(tmp_path)
    assert "owned.csv:2: residual_usd: must be at most purchase_usd (100)" in str(error.value)


def test_more_left_than_paid_is_refused():
    with pytest.raises(ValueError, match="residual_usd must be at most purchase_usd"):
        owned_usd_per_hour(10, 1, residual_usd=11)
