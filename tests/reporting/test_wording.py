"""Figures, names, reasons and tables as people read them."""

from __future__ import annotations

import pytest

from milp_planner import TurnedDown
from milp_planner.plans.document import reason_kind, turned_down_dict
from milp_planner.reporting.text.records import record_lines, table_lines
from milp_planner.reporting.text.wording import (
    apportion,
    columns,
    duration,
    escape,
    fine_percent,
    hours,
    money,
    money_decimals,
    number,
    percent,
    prices,
    signed_usd,
    usd,
    usd_per_million,
)
from tests.support.builders import offering


def test_escaping_keeps_what_is_harmless():
    assert escape("Größe 4 × 141 GiB…") == "Größe 4 × 141 GiB…"
    assert escape("a\x1b[0m\u202eb\udcff") == "a\\x1b[0m\\u202eb\\udcff"


# ---- reasons


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        (
            "l4-24gb tp 1 fp8: weights 67.2 GiB do not fit in 21.6 GiB",
            "weights … GiB do not fit in …",
        ),
        (
            "h200-141gb tp 2 bf16: weights 131.5 GiB do not fit in 2 × 72.0 GiB",
            "weights … GiB do not fit in …",
        ),
        ("billing spot is not in limits.billing.allow", "billing … is not in limits.billing.allow"),
        ("aws is denied by limits.providers.deny (a*)", "… is denied by limits.providers.deny"),
    ],
)
def test_like_reasons_are_counted_together(reason, kind):
    assert reason_kind(reason) == kind


def test_reasons_are_counted_with_the_commonest_first():
    row = offering("acme", "t4", 0.5)
    reasons = ["t4 tp 1 fp8: weights 9.1 GiB do not fit in 8.0 GiB", "too slow", "too slow"]
    counted = turned_down_dict([TurnedDown("chat", row, reason) for reason in reasons])
    assert counted["count"] == 3
    assert [(r["reason"], r["count"], r["example"]) for r in counted["by_reason"]] == [
        ("too slow", 2, "too slow"),
        ("weights … GiB do not fit in …", 1, reasons[0]),
    ]


# ---- figures


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (usd(6825.6), "$6,826"),
        (usd(8.5), "$8.50"),
        (usd(-64.2), "-$64.20"),
        (usd(-0.001), "$0.00"),
        (usd(0), "$0"),
        (signed_usd(646.7), "+$647"),
        (signed_usd(-646.7), "-$647"),
        (usd_per_million(0.632), "$0.63"),
        (usd_per_million(0.00412), "$0.0041"),
        (percent(0.689), "69 %"),
        (fine_percent(0.0123), "1.2 %"),
        (fine_percent(0.000321), "0.032 %"),
        (fine_percent(0), "0 %"),
        (number(5.787), "5.79"),
        (number(12_345.6), "12,300"),
        (number(0.01234), "0.0123"),
        (number(9.9999), "10.0"),
        (number(0), "0"),
        (duration(0.0497), "49.7 ms"),
        (duration(0.05), "50 ms"),
        (duration(2), "2 s"),
        (hours(2015.66), "2,015.7"),
        (hours(720), "720"),
    ],
)
def test_figures_are_written_for_people(shown, expected):
    assert shown == expected


def test_prices_share_the_decimals_that_the_finest_needs():
    assert prices([3.5, 0.105]) == ["3.500", "0.105"]
    assert prices([3.5, 2]) == ["3.50", "2.00"]
    assert prices([1 / 3]) == ["0.3333"]


def test_apportioned_amounts_sum_to_the_rounded_sum():
    assert apportion([100.4, 100.4, 100.4], 0) == [101, 100, 100]
    assert apportion([0.5, 0.5], 0) == [1, 0]
    assert apportion([], 2) == []
    assert apportion([-0.4, 1.2], 0) == [0, 1]
    # 2956.525 is a hair above that many cents and a half, and shown alone it is $2,956.53
    assert apportion([2956.525], 2) == [2956.53]
    assert money(2956.525, 2) == "2,956.53"


def test_cents_are_shown_where_they_matter():
    assert money_decimals([5000.0, 20.0]) == 0
    assert money_decimals([60.0, 20.0]) == 2
    assert money_decimals([5000.0, 0.4]) == 2
    assert money_decimals([0.0]) == 0


def test_columns_keep_two_spaces_and_no_trailing_blanks():
    assert columns([["a", "10"], ["bcd", ""]], "<>") == ["  a    10", "  bcd"]
    assert columns([], "<>") == []


def test_records_become_a_table_with_numbers_to_the_right():
    rows = [
        {"id": "h100", "usd_per_gpu_hour": 1.99, "as_of": "2026-01-02", "count": 1234},
        {"id": "a100-80gb", "usd_per_gpu_hour": None, "as_of": "2026-01-03", "count": 5},
    ]
    assert table_lines(rows, indent="") == [
        "id         $ per GPU hour  as of       count",
        "h100                 1.99  2026-01-02  1,234",
        "a100-80gb               -  2026-01-03      5",
    ]
    assert table_lines([]) == []
    assert record_lines({"kv_bytes": 327_680.0, "note": "", "moe": True}, indent="") == [
        "KV bytes  327,680",
        "moe       yes",
    ]
