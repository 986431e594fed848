"""What-if: patches, scenarios, grids, budgets, break-evens; figures solved again another way."""

from __future__ import annotations

import csv
import io
import itertools
import json
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas
import pytest

from milp_planner import (
    InputError,
    Problem,
    RowStatus,
    Scenario,
    load_problem,
    load_scenarios,
    scenario_grid,
    solve,
    what_if,
)
from milp_planner.inputs.problem.patching import patched, plain_document
from milp_planner.questions.sweeps.market import repriced_catalog
from milp_planner.questions.sweeps.what_if import How, rows_of
from milp_planner.reporting.text.questions.what_if import (
    what_if_csv,
)
from tests.support.builders import (
    big_and_small,
    catalog,
    offering,
    problem,
    raw,
)

pytest_plugins = ["tests.support.toy_cli"]

preparing = sys.modules["milp_planner.solving.prepare"]  # the package exports its function

ROOT = Path(__file__).resolve().parents[2]
MONTH = 720


# ---- patches


def test_a_patch_sets_what_it_names_and_nothing_else():
    changed = patched(
        problem(13, limits={"max_gpus": {"total": 9}}),
        {
            "limits.budget.usd_per_month": 8000,
            "limits.max_units.acme/p5.48xlarge/eu-1": 2,
            "workloads.chat.latency.tpot": "50ms",
            "workloads[0].min_replicas": 3,
            "limits.max_gpus": {"per_gpu": {"big": 4}},
        },
    )
    assert changed.limits.budget.usd_per_month == 8000
    assert changed.limits.max_units == {"acme/p5.48xlarge/eu-1": 2}
    assert changed.limits.max_gpus.total == 9
    assert changed.limits.max_gpus.per_gpu == {"big": 4}
    assert (changed.workloads[0].latency.tpot_s, changed.workloads[0].min_replicas) == (0.05, 3)


def test_none_takes_a_key_back_to_its_default():
    limited = problem(13, limits={"budget": {"usd_per_month": 9}, "max_gpus": {"total": 9}})
    changed = patched(limited, {"limits.budget": None, "limits.max_gpus.total": None})
    assert changed.limits.budget is None
    assert changed == problem(13)


@pytest.mark.parametrize("path", sorted((ROOT / "problems").rglob("*.yaml")), ids=lambda p: p.stem)
def test_an_empty_patch_changes_nothing(path):
    shipped = load_problem(path)
    same = [Problem.model_validate(plain_document(shipped)), patched(shipped, {})]
    assert [p.model_dump() for p in same] == [shipped.model_dump()] * 2


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ({"limit.budget": 3}, "limit: unknown key; did you mean 'limits'?"),
        ({"limits.budget.usd_per_month": -3}, "must be"),
        ({"workloads.cat.min_replicas": 3}, "no entry is named 'cat'; did you mean 'chat'?"),
        ({"workloads[7].min_replicas": 3}, "there is no entry 7: the list has 1"),
        ({"workloads.chat.llm.size": 3}, "workloads[0].llm is 'tiny', which has no keys"),
    ],
)
def test_a_patch_that_does_not_fit_says_where(patch, message):
    with pytest.raises(InputError) as error:
        patched(problem(13), patch)
    assert message in str(error.value)


# ---- scenarios


def test_rows_are_what_solving_the_changed_problem_gives():
    asked = problem(13)
    rows = what_if(
        asked,
        scenario_grid(traffic=[1, 2], limits={"max_gpus.total": [2, 3]}, targets=[0.5]),
        big_and_small(),
    ).rows
    assert len(rows) == 2 * 3 * 2
    for row, (rate, gpus, target) in zip(
        rows, itertools.product([13, 26], [None, 2, 3], [1.0, 0.5]), strict=True
    ):
        limits = {"max_gpus": {"total": gpus}} if gpus else {}
        plan = solve(problem(rate, target=target, limits=limits), big_and_small(), diagnose=False)
        assert row.status == plan.status.value
        assert row.cash_usd == plan.cash_usd_per_month


def test_what_is_lost_is_not_used():
    asked = problem(13, limits={"providers": {"allow": ["acme", "bolt"]}})
    lost = [["provider:bolt"], ["gpu:big"], ["offering:acme/*"], ["provider:bolt", "gpu:big"]]
    rows = what_if(asked, scenario_grid(without=lost), big_and_small()).rows
    # As it is: one of each. Without small: two big. Without big: five small.
    assert [row.cash_usd for row in rows] == pytest.approx(
        [5.5 * MONTH, 8 * MONTH, 7.5 * MONTH, 7.5 * MONTH, None]
    )
    assert rows[-1].status == "infeasible"
    assert "cannot be served by any allowed offering" in rows[-1].error


def test_the_only_provider_allowed_may_be_lost():
    asked = problem(13, limits={"providers": {"allow": ["bolt"]}})
    rows = what_if(asked, scenario_grid(without=["provider:bolt"]), big_and_small()).rows
    assert [row.status for row in rows] == ["optimal", "infeasible"]


def test_a_price_is_per_gpu_and_hour_or_a_share_of_todays():
    boxes = catalog([offering("acme", "big", 8.0, gpus_per_unit=4)], [raw("big", 10)])
    assert [
        repriced_catalog(boxes, {"acme/*": price}).offerings[0].usd_per_hour
        for price in (1.5, "50%")
    ] == [6.0, 4.0]
    rows = what_if(problem(13), scenario_grid(prices={"acme/big/eu-1": [1.0, "25%"]}), boxes).rows
    assert [row.cash_usd for row in rows] == [8 * MONTH, 4 * MONTH, 2 * MONTH]


def test_a_scenario_that_fails_says_so_and_the_rest_go_on():
    scenarios = [
        Scenario("lost", without=("provider:acmee",)),
        Scenario("wrong", {"limits.max_gpus.total": "many"}),
        Scenario("free", prices={"nowhere/*": 1.0}),
        Scenario("fine"),
    ]
    rows = what_if(problem(13), scenarios, big_and_small()).rows
    assert [row.status for row in rows] == [*[RowStatus.FAILED] * 3, "optimal"]
    assert rows[0].error == "without: no provider 'acmee'; did you mean 'acme'?"
    assert "limits.max_gpus.total: 'many' is not a number" in rows[1].error
    assert rows[2].error.startswith("prices: no offering 'nowhere/*'")


def test_scenarios_by_name_are_patches():
    result = what_if(
        problem(13),
        {"double": {"traffic": 2}, "small only": {"limits.gpus.allow": ["small"]}},
        big_and_small(),
    )
    assert [(row.scenario, row.cash_usd) for row in result.rows] == [
        ("double", pytest.approx(11 * MONTH)),
        ("small only", pytest.approx(7.5 * MONTH)),
    ]


def test_an_executor_gives_the_same_rows():
    scenarios = scenario_grid(traffic=[1, 2], budgets=[5000])
    alone = what_if(problem(13), scenarios, big_and_small())
    with ThreadPoolExecutor(2) as executor:
        together = what_if(problem(13), scenarios, big_and_small(), executor)
    assert alone.to_dict() == together.to_dict()


@pytest.mark.slow
def test_an_executor_of_processes_gives_the_same_rows():
    from concurrent.futures import ProcessPoolExecutor
    from multiprocessing import get_context

    scenarios = scenario_grid(budgets=[2000, 5000])
    alone = what_if(problem(13), scenarios, big_and_small())
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as executor:
        together = what_if(problem(13), scenarios, big_and_small(), executor)
    assert alone.to_dict() == together.to_dict()


def test_scenarios_share_candidates_where_these_cannot_differ(monkeypatch):
    listed = []
    counted = preparing.list_candidates

    def counting(*given):
        listed.append(1)
        return counted(*given)

    monkeypatch.setattr(preparing, "list_candidates", counting)
    grid = scenario_grid(budgets=[2500, 3960], limits={"max_gpus.total": [2]}, targets=[0.9])
    assert [row.error for row in what_if(problem(13), grid, big_and_small()).rows] == [""] * 8
    # Once for the problem as it is. Another target is another list: once to find the smallest
    # budget with each of two totals, and once for each of the four rows.
    assert len(listed) == 1 + 2 + 4


def test_a_name_that_is_not_known_is_found_though_candidates_are_shared():
    scenarios = {"typo": {"limits.max_units": {"acme/bigg/eu-1": 2}}, "fine": {}}
    typo, fine = what_if(problem(13), scenarios, big_and_small()).rows
    assert (typo.status, fine.status) == (RowStatus.FAILED, "optimal")
    assert "no offering 'acme/bigg/eu-1'" in typo.error


def test_a_sweep_that_is_cancelled_ends_without_plans():
    cancel = threading.Event()
    cancel.set()
    scenarios = scenario_grid(traffic=[1, 2])
    rows = rows_of(problem(13), scenarios, big_and_small(), how=How(cancel=cancel))
    assert [(row.status, row.error) for row in rows] == [("no_plan", "stopped early")] * 2


def test_a_grid_too_large_is_refused():
    with pytest.raises(InputError, match="1,600 scenarios are asked for, more than 1,000"):
        scenario_grid(budgets=range(1, 41), traffic=range(1, 41))


FILE = """\
schema_version: 1
scenarios:
  eu only:
    limits.regions.allow: [eu-*]
  more and dearer:
    traffic: 2
    prices: {acme/*: 5.00}
    workloads.chat.latency: {tpot: 50ms}
"""


def test_scenarios_are_read_from_a_file():
    eu, more = load_scenarios("s.yaml", problem(13), text=FILE)
    assert (eu.name, eu.patch) == ("eu only", {"limits.regions.allow": ["eu-*"]})
    assert (more.traffic, more.prices) == (2, {"acme/*": 5.0})
    changed, _ = more.applied(problem(13), big_and_small())
    assert changed.workloads[0].latency.tpot_s == 0.05
    rows = what_if(problem(13), [more], big_and_small()).rows
    # 26 requests/s at $5 for big and $1.50 for small: two big and two small.
    assert rows[0].cash_usd == pytest.approx(13 * MONTH)


def test_all_faults_of_a_scenario_file_are_said_with_their_lines():
    text = (
        "schema_version: 1\nscenarios:\n  a:\n    limits.regins.allow: [eu-1]\n"
        "  b:\n    workloads.chat.latency.tpot: 30\n    traffic: -1\n"
        "  c:\n    workloads.cat.priority: 1\n"
    )
    with pytest.raises(InputError) as error:
        load_scenarios("s.yaml", problem(13), text=text)
    lines = str(error.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["4", "6", "7", "9"]
    assert "unknown key; did you mean 'regions'?" in lines[0]
    assert "a time needs a unit" in lines[1]
    assert "must be greater than 0 (is -1)" in lines[2]
    assert "did you mean 'chat'?" in lines[3]


# ---- as a frame, as text, from the command line


@pytest.mark.slow
def test_the_rows_become_a_frame_csv_and_json():
    result = what_if(problem(13), scenario_grid(traffic=[1, 2]), big_and_small())
    frame = result.to_frame()
    assert list(frame["cash_usd_per_month"]) == [3960, 7920]
    assert list(frame["set_traffic"]) == [1.0, 2.0]
    assert list(frame["set_traffic_label"]) == ["1x", "2x"]
    rows = list(csv.DictReader(io.StringIO(what_if_csv(result))))
    assert rows[0]["fleet"] == "1 x big acme + 1 x small bolt"
    assert json.loads(json.dumps(result.to_dict()))["rows"][1]["cash_usd_per_month"] == 7920


def test_what_if_prints_a_row_per_scenario(run):
    code, out, err = run("what-if", "toy.yaml", "--limit", "max_gpus.total=2,1")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "  max_gpus.total    $/month      change  GPUs  in the plan",
        "  as it is            3,960                 2  1 x big acme + 1 x small bolt",
        "  2                   3,960         +$0     2  1 x big acme + 1 x small bolt",
        "  1                       -                 -  "
        "no plan: no fleet keeps all limits together",
    ]


def test_where_penalties_count_rows_show_the_score_and_changes_of_it(run, folder):
    # One big and one small for $3,960; the second GPU is fined $500. Without bolt two big, $5,760.
    fines = "policy.penalties.scaling: {above_gpus: 1, usd_per_gpu: 500}"
    both = f"{{fined: {{{fines}}}, without bolt: {{{fines}, without: provider:bolt}}}}"
    (folder / "s.yaml").write_text(f"{{schema_version: 1, scenarios: {both}}}")
    code, out, _ = run("what-if", "toy.yaml", "--scenario", "s.yaml")
    assert code == 0
    assert out.splitlines() == [
        "  scenario        $/month      score  score change  GPUs  in the plan",
        "  as it is          3,960      3,960                   2  1 x big acme + 1 x small bolt",
        "  fined             3,960      4,460         +$500     2  1 x big acme + 1 x small bolt",
        "  without bolt      5,760      6,260       +$2,300     2  2 x big acme",
    ]


def test_jobs_change_nothing_but_the_time(run):
    arguments = ("what-if", "toy.yaml", "--budget", "2500,4000")
    assert run(*arguments, "--jobs", "2") == run(*arguments)


def test_budgets_are_followed_by_the_smallest_and_a_staircase(run):
    _, out, _ = run("what-if", "toy.yaml", "--budget", "2500,$4k")
    assert "   2,500      2,160   46.2 %  76.9 % for $2,880" in out
    assert "Smallest budget that serves everything: $3,960." in out
    assert "  100 % |" in out
    _, out, _ = run("what-if", "toy.yaml", "--budget", "1000:4000", "--json")
    assert [step["budget_usd_per_month"] for step in json.loads(out)["steps"]] == pytest.approx(
        [0, 1080, 2160, 2880, 3960]
    )


def test_a_row_that_failed_makes_the_exit_code_2(run):
    code, out, _ = run("what-if", "toy.yaml", "--without", "provider:acmee,provider:bolt")
    assert code == 2
    assert "failed: without: no provider 'acmee'; did you mean 'acme'?" in out
    assert "2 x big acme" in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to change"),
        (("--budget", "a,b"), "--budget: 'a' is not a number"),
        (("--budget", "5:1:1"), "'5:1:1' is not a range"),
        (("--budget", "1:9", "--traffic", "2"), "stands alone"),
        (("--traffic", "0"), "--traffic: must be greater than 0 (is 0)"),
        (("--traffic", "1,,2"), "has an empty value"),
        (("--target", "120%"), "--target: must be above 0% and at most 100%"),
        (("--price", "acme/*"), "--price: 'acme/*' has no value; write runpod/*=2.10"),
        (("--limit", "max_gpus.total"), "has no value; write max_gpus.total=32,64"),
        (("--jobs", "0"), "--jobs"),
    ],
)
def test_a_sweep_that_cannot_be_read_says_why(run, arguments, message):
    code, out, err = run("what-if", "toy.yaml", *arguments)
    assert (code, out) == (2, "")
    assert message in err


def test_a_scenario_file_is_a_sweep_too(run, folder):
    (folder / "s.yaml").write_text(FILE.replace("[eu-*]", "[us-*]"))
    code, out, _ = run("what-if", "toy.yaml", "--scenario", "s.yaml", "--format", "csv")
    assert code == 0
    rows = list(csv.DictReader(io.StringIO(out)))
    assert [row["set_scenario"] for row in rows] == ["as it is", "eu only", "more and dearer"]
    assert float(rows[1]["cash_usd_per_month"]) == 7.5 * MONTH


# ---- frames: what was set is a number, with its label beside it


@pytest.mark.parametrize(
    ("axes", "column", "numbers", "labels"),
    [
        ({"budgets": [2500, 4000.5]}, "budget", [2500.0, 4000.5], ["2,500", "4,000.5"]),
        ({"targets": [0.6, 0.75]}, "target", [None, 0.6, 0.75], ["as it is", "60 %", "75 %"]),
        (
            {"prices": {"acme/*": [2, "80%"]}},
            "price acme/*",
            [None, 2, 0.8],
            ["as it is", "2", "80%"],
        ),
        (
            {"limits": {"max_gpus.total": [4, None]}},
            "max_gpus.total",
            [None, 4, None],
            ["as it is", "4", "none"],
        ),
        ({"limits": {"spot_share": ["50%"]}}, "spot_share", [None, 0.5], ["as it is", "50%"]),
    ],
)
def test_what_was_set_is_a_number_in_a_frame_with_its_label_beside_it(
    axes, column, numbers, labels
):
    result = what_if(problem(13), scenario_grid(**axes), big_and_small())
    rows = result.to_dict()["rows"]
    assert [row[f"set_{column}"] for row in rows] == numbers
    assert [row[f"set_{column}_label"] for row in rows] == labels
    assert pandas.api.types.is_numeric_dtype(result.to_frame()[f"set_{column}"])


@pytest.mark.parametrize(
    ("axes", "column", "words"),
    [
        ({"without": ["provider:acme"]}, "without", ["as it is", "provider:acme"]),
        ({"limits": {"survive_loss_of": ["none"]}}, "survive_loss_of", ["as it is", "none"]),
        ({"limits": {"regions.allow": [["eu-1"]]}}, "regions.allow", ["as it is", "['eu-1']"]),
        # one word among numbers makes an axis of words: no row is left without what was set
        ({"limits": {"max_gpus.total": [4, "many"]}}, "max_gpus.total", ["as it is", "4", "many"]),
    ],
)
def test_an_axis_of_words_is_its_own_label(axes, column, words):
    result = what_if(problem(13), scenario_grid(**axes), big_and_small())
    frame = result.to_frame()
    assert list(frame[f"set_{column}"]) == words
    assert f"set_{column}_label" not in frame


def test_a_grid_has_the_numbers_of_all_its_axes():
    grid = scenario_grid(traffic=[1, 2], targets=[0.5], without=["gpu:big"])
    assert [scenario.numbers for scenario in grid][:3] == [
        {"traffic": 1.0, "target": None},
        {"traffic": 1.0, "target": 0.5},
        {"traffic": 1.0, "target": None},
    ]
