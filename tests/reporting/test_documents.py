"""JSON, CSV and frames of plans built by hand, and names that mean no good."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import replace

import pytest

from milp_planner import Said, Status
from milp_planner.plans.document import (
    PURCHASE_COLUMNS,
    plan_dict,
    purchase_dict,
)
from milp_planner.reporting.documents.options import DEFAULTS, ReportOptions
from milp_planner.reporting.formats import FORMATS
from tests.support.builders import DAY, offering
from tests.support.sample_plans import (
    ORIGIN,
    PROVEN,
    candidate,
    document,
    no_plan,
    plan,
    purchase,
    workload_plan,
)

# ---- JSON


def test_the_document_is_the_plan_in_full_precision():
    found = document(plan())
    assert found["status"] == "optimal"
    assert found["cash_usd_per_month"] == found["bound_usd_per_month"] == 5.98 * 720 + 2520
    assert found["gap"] == 0.0
    assert [p["cash_usd_per_month"] for p in found["purchases"]] == [5.98 * 720, 2520.0]
    assert found["purchases"][0]["classes"] == [
        {
            "share": 1.0,
            "unit_requests_per_second": 6.0,
            "concurrency_per_replica": 24,
            "tpot_s": 0.0497,
            "ttft_s": None,
            "ttft_measured": False,
            "derate": 0.83,
            "source": "estimated",
            "detail": "",
            "engine": "",
            "engines": [],
        }
    ]
    assert found["proof"]["certified_by"] == ["cbc", "highs"]
    assert found["provenance"]["catalog"]["sha256"].startswith("3f9c2e1a")
    assert found["provenance"]["solver"] == ["CBC 2.10.3", "HiGHS 1.13.1"]
    assert found["not_included"] == [
        *("egress", "storage", "support", "tax", "staff", "network latency"),
        "start-up and model loading",
    ]
    assert found["failed_gates"] == []


def test_the_document_holds_no_minus_zero_and_nothing_that_is_not_finite():
    costs = {"rent": 6825.6, "switching": -0.0, "scaling": float("nan"), "x": float("inf")}
    written = FORMATS["json"](plan(costs=costs), DEFAULTS)
    assert "-0.0" not in written
    found = json.loads(written, parse_constant=lambda name: pytest.fail(name))
    assert found["costs_usd_per_month"] == {
        "rent": 6825.6,
        "switching": 0.0,
        "scaling": None,
        "x": None,
    }


def test_the_document_of_an_infeasible_problem_has_the_same_keys():
    infeasible = document(no_plan(Status.INFEASIBLE, "no fleet"))
    assert infeasible.keys() == document(plan()).keys()
    assert infeasible["cash_usd_per_month"] is None
    assert infeasible["reasons"] == ["no fleet"]


def test_to_dict_and_the_json_report_agree():
    given = plan(alternatives=(plan(),))
    found = document(given)
    del found["failed_gates"]
    assert given.to_dict() == plan_dict(given) == found


def test_failed_gates_are_in_the_document():
    assert document(plan(), ReportOptions(failed_gates=("too dear",)))["failed_gates"] == [
        "too dear"
    ]


# ---- CSV and frames


def test_csv_has_one_row_per_purchase_with_the_columns_of_the_frame():
    given = plan()
    rows = list(csv.DictReader(io.StringIO(FORMATS["csv"](given, DEFAULTS))))
    assert [row["offering"] for row in rows] == ["runpod/b200/eu-1", "nebius/h200/eu-1"]
    assert float(rows[0]["cash_usd_per_month"]) == 5.98 * 720
    assert list(rows[0]) == list(PURCHASE_COLUMNS) == list(given.to_frame().columns)


def test_csv_without_a_plan_is_the_header_alone():
    lines = FORMATS["csv"](no_plan(Status.INFEASIBLE), DEFAULTS).splitlines()
    assert lines == [",".join(PURCHASE_COLUMNS)]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", " =", "\uff1d"])
def test_a_spreadsheet_never_runs_a_name(start):
    nasty = offering("acme", "b200", 1.0).model_copy(update={"source": f"{start}cmd|'/c calc'!A1"})
    given = plan(purchase(replace(candidate(), offering=nasty)))
    [row] = csv.DictReader(io.StringIO(FORMATS["csv"](given, DEFAULTS)))
    assert row["price_source"].startswith("'")


def test_a_negative_number_stays_a_number_in_csv():
    given = plan(replace(purchase(candidate()), cash_usd_per_month=-1.5))
    [row] = csv.DictReader(io.StringIO(FORMATS["csv"](given, DEFAULTS)))
    assert row["cash_usd_per_month"] == "-1.5"


def test_a_row_holds_strings_and_numbers_only():
    row = purchase_dict(purchase(candidate()))
    assert {type(value) for value in row.values()} <= {str, int, float, bool, type(None)}
    assert row["price_as_of"] == DAY.isoformat()


# ---- names that mean no good


NASTY = "\x1b[31mred\x07\r\n\u202egnp\u009b2J[bold]"


@pytest.mark.parametrize("name", list(FORMATS))
def test_no_name_steers_a_terminal(name):
    nasty = offering("acme", "b200", 1.0).model_copy(update={"region": NASTY, "gpu": NASTY})
    k = replace(candidate(), offering=nasty, precision=NASTY)
    given = plan(
        purchase(k),
        workloads=(workload_plan(llm=NASTY),),
        proof=replace(PROVEN, notes=(NASTY,)),
        provenance=replace(ORIGIN, catalog_name=NASTY),
        alternatives=(plan(),),
        alternatives_notes=(Said(NASTY),),
    )
    shown = FORMATS[name](given, DEFAULTS)
    assert not {"\x1b", "\x07", "\r", "\u202e", "\u009b"} & set(shown)
    assert "[bold]" in shown


def test_a_plan_says_what_is_known_of_the_prices_it_pays() -> None:
    quoted = "quoted for one GPU, smallest count sold not stated"
    bought = (
        purchase(candidate("akash", "l4", count_assumed=True, note="cheapest live offer")),
        purchase(candidate("fal", "h200", count_assumed=True)),
        purchase(candidate("verda", "b200")),  # nothing to say
        purchase(candidate("vultr", "h200", count_assumed=True)),
    )
    text = FORMATS["text"](plan(*bought))
    assert (
        "\n\nAbout these prices\n"
        f"  akash/l4/eu-1: {quoted}; cheapest live offer\n"
        f"  fal/h200/eu-1, vultr/h200/eu-1: {quoted}\n\n"
    ) in text
    notes = [purchase_dict(p)["price_note"] for p in bought]
    assert notes == [f"{quoted}; cheapest live offer", quoted, "", quoted]
    assert "About these prices" not in FORMATS["text"](plan(bought[2]))
