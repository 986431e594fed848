"""What a user reads of a wrong Python call."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import numpy
import pytest

from milp_planner import (
    InputError,
    Problem,
    RequestSize,
    RequestsPerSecond,
    Scenario,
    budget_frontier,
    calibrate,
    confidence_range,
    diagnose,
    estimate,
    evaluate,
    explain,
    explain_limits,
    load_catalog,
    load_problem,
    load_scenarios,
    measure_next,
    owned_usd_per_hour,
    prepare,
    scenario_grid,
    what_if,
)
from milp_planner.inputs.reading.arguments import check_number
from milp_planner.questions import solve as planner
from milp_planner.solving.checks.arguments import check_settings
from tests.support import builders

# ---- Python calls


def test_a_problem_and_a_catalog_are_told_from_anything_else():
    good, known = builders.problem(13), builders.big_and_small()
    for problem, catalog, words in (
        (None, known, "expected a Problem, as load_problem() gives, not NoneType"),
        ({}, known, "expected a Problem, as load_problem() gives, not dict"),
        (known, good, "expected a Problem, as load_problem() gives, not Catalog"),
        (good, None, "expected a Catalog, as load_catalog() gives, not NoneType"),
        (good, "market", "expected a Catalog, as load_catalog() gives, not str"),
    ):
        with pytest.raises(TypeError) as caught:
            prepare(problem, catalog)
        assert isinstance(caught.value, InputError)
        (fault,) = caught.value.faults
        assert fault.message == words
        assert fault.path in ("problem", "catalog")
        assert fault.hint == f"give what milp_planner.load_{fault.path}() returns"


@pytest.mark.parametrize(
    "call",
    [
        lambda problem, catalog: planner.solve(problem, catalog),
        lambda problem, catalog: diagnose(problem, catalog),
        lambda problem, catalog: evaluate(problem, None, catalog),
        lambda problem, catalog: what_if(problem, [], catalog),
        lambda problem, catalog: explain(problem, catalog, gpu="big"),
        lambda problem, catalog: explain_limits(problem, catalog),
        lambda problem, catalog: budget_frontier(problem, 1, 2, catalog),
        lambda problem, catalog: confidence_range(problem, catalog),
    ],
    ids=["solve", "diagnose", "evaluate", "what_if", "explain", "limits", "frontier", "confidence"],
)
@pytest.mark.parametrize("wrong", [(None, None), ({}, None), ("x.yaml", None), (None, "market")])
def test_every_call_says_which_argument_is_wrong(call, wrong):
    for given in (wrong, (builders.problem(13), wrong[1] or 5)):
        with pytest.raises(InputError, match=r"expected a (Problem|Catalog), as load_"):
            call(*given)


WHOLE = {"llm": "chat", "gpu": "big", "input_tokens": 1, "output_tokens": 1}
RANGE = "must be greater than 0 (is"


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda c: estimate(**WHOLE | {"llm": None}, catalog=c),
            "llm: expected text, not NoneType",
        ),
        (lambda c: estimate(**WHOLE | {"gpu": 5}, catalog=c), "gpu: expected text, not int"),
        (
            lambda c: estimate(**WHOLE, precision="int3", catalog=c),
            "precision: 'int3' is not one of bf16, fp16, fp8, int8, nvfp4, mxfp4, int4, fp32; "
            "did you mean 'int8'?",
        ),
        (
            lambda c: estimate(**WHOLE, tensor_parallel=0, catalog=c),
            "tensor_parallel: must be at least 1 (is 0)",
        ),
        (
            lambda c: estimate(**WHOLE, tensor_parallel=1.5, catalog=c),
            "tensor_parallel: expected a whole number, not float",
        ),
        (
            lambda c: estimate(**WHOLE | {"output_tokens": 0}, catalog=c),
            f"output_tokens: {RANGE} 0)",
        ),
        (
            lambda c: estimate(**WHOLE | {"input_tokens": 10**400}, catalog=c),
            f"input_tokens: must be at most 100000000 (is 1{'0' * 56}...)",
        ),
        (
            lambda c: estimate(**WHOLE, concurrency=float("nan"), catalog=c),
            "concurrency: must be a number (is nan)",
        ),
        (
            lambda c: estimate(**WHOLE, confidence="p90", catalog=c),
            "confidence: expected a number, not str",
        ),
        (
            lambda c: estimate(**WHOLE, confidence=90, catalog=c),
            "confidence: must be less than 1 (is 90)",
        ),
        (
            lambda c: estimate(**WHOLE, catalog="market"),
            "catalog: expected a Catalog, as load_catalog() gives, not str\n"
            "  hint: give what milp_planner.load_catalog() returns",
        ),
        (lambda c: calibrate("x.yaml"), "files: expected a list of files, not one"),
        (lambda c: calibrate({}), "files: expected a list of files, not dict"),
        (lambda c: calibrate([None]), "files[0]: expected text or a path, not NoneType"),
        (lambda c: calibrate([""]), "files[0]: '' is not a file name"),
        (lambda c: calibrate(["nope.csv"]), "nope.csv: file not found"),
        (lambda c: calibrate([], out=5), "out: expected text or a path, not int"),
        (
            lambda c: calibrate([], tensor_parallel="2"),
            "tensor_parallel: expected a whole number, not str",
        ),
        (
            lambda c: calibrate([], overlays=["nope"]),
            "nope: there is no such folder; an overlay is a folder of CSV files",
        ),
        (lambda c: load_catalog(overlays=[5]), "overlays[0]: expected text or a path, not int"),
        (
            lambda c: load_catalog(as_of=datetime(2026, 11, 1)),
            "as_of: expected a date, not datetime",
        ),
        (lambda c: scenario_grid(budgets=5), "budgets: expected a list of numbers, not int"),
        (lambda c: scenario_grid(budgets=["100"]), "budgets[0]: expected a number, not str"),
        (
            lambda c: scenario_grid(traffic=[float("inf")]),
            "traffic[0]: must be at most 1000000000000 (is inf)",
        ),
        (lambda c: scenario_grid(targets=[1, 75]), "targets[1]: must be at most 1 (is 75)"),
        (lambda c: scenario_grid(without="gpu:big"), "without: expected a list of names, not one"),
        (lambda c: scenario_grid(without=[[]]), "without: an entry names nothing"),
        (lambda c: scenario_grid(prices=[2.0]), "prices: expected lists by name, not list"),
        (
            lambda c: scenario_grid(prices={"acme/*": "80%"}),
            "prices['acme/*']: expected a list of values, not one",
        ),
        (
            lambda c: scenario_grid(prices={"acme/*": ["x"]}),
            "prices['acme/*']: 'x' is not a number; write 1000, 1_000 or 1k",
        ),
        (
            lambda c: scenario_grid(named=["x"]),
            "scenario: expected a Scenario, as load_scenarios() gives, not str\n"
            "  hint: give what milp_planner.load_scenarios() returns",
        ),
        (
            lambda c: planner.solve(builders.problem(13), c, time_limit_s=10**400),
            f"time_limit_s: is too large (is 1{'0' * 56}...)",
        ),
        (lambda c: explain(builders.problem(13), c, gpu=5), "gpu: expected text, not int"),
        (
            lambda c: explain(builders.problem(13), c, provider=b"acme"),
            "provider: expected text, not bytes",
        ),
        (
            lambda c: budget_frontier(builders.problem(13), "1k", 2000, c),
            "low_usd: expected a number, not str",
        ),
        (lambda c: budget_frontier(builders.problem(13), 1, 0, c), f"high_usd: {RANGE} 0)"),
        (lambda c: owned_usd_per_hour(None, 3), "purchase_usd: expected a number, not NoneType"),
        (lambda c: load_catalog(""), "name_or_folder: must not be empty"),
        (lambda c: load_problem(""), "load_problem takes a file name, which must not be empty"),
        (
            lambda c: what_if(builders.problem(13), {"a": 5}, c),
            "scenarios['a']: expected keys, not int",
        ),
        (
            lambda c: load_scenarios(None, builders.problem(13)),
            "load_scenarios takes a file name, not NoneType",
        ),
        (
            lambda c: load_scenarios("s.yaml", {}),
            "problem: expected a Problem, as load_problem() gives, not dict\n"
            "  hint: give what milp_planner.load_problem() returns",
        ),
        (
            lambda c: measure_next(None),
            "plan: expected a Plan, as solve() gives, not NoneType\n"
            "  hint: give what milp_planner.solve() returns",
        ),
    ],
)
def test_a_value_of_the_wrong_type_from_python_is_told_by_its_argument(call, words):
    with pytest.raises(InputError) as caught:
        call(builders.big_and_small())
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("fleet", "words"),
    [
        (5, "fleet: expected units by offering, not int"),
        ([("acme/big/eu-1", 1)], "fleet: expected units by offering, not list"),
        ({5: 1}, "fleet: expected text, not int"),
        (
            {"acme/big/eu-1": None},
            "fleet: acme/big/eu-1: units are whole numbers from 0 to 1,000,000 (is None)",
        ),
        (
            {"acme/big/eu-1": "2"},
            "fleet: acme/big/eu-1: units are whole numbers from 0 to 1,000,000 (is '2')",
        ),
    ],
)
def test_a_fleet_of_the_wrong_type_is_told(fleet, words):
    with pytest.raises(InputError) as caught:
        evaluate(builders.problem(13), fleet, builders.big_and_small())
    assert str(caught.value) == words


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"traffic": "2x"}, "traffic: expected a number, not str"),
        ({"traffic": -1}, "traffic: must be greater than 0 (is -1)"),
        ({"without": "gpu:big"}, "without: expected a list of names, not one"),
        ({"without": 5}, "without: expected a list of names, not int"),
        ({"prices": 5}, "prices: expected keys, not int"),
        (
            {"prices": {"acme/*": "x"}},
            "prices['acme/*']: 'x' is not a number; write 1000, 1_000 or 1k",
        ),
        ({"patch": 5}, "patch: expected keys, not int"),
    ],
)
def test_a_scenario_of_wrong_types_fails_in_its_own_row(wrong, words):
    found = what_if(builders.problem(13), [Scenario(name="a", **wrong)], builders.big_and_small())
    assert [(row.status, row.error) for row in found.rows] == [("failed", words)]


def test_numbers_of_other_packages_and_generators_are_taken():
    found = scenario_grid(budgets=numpy.array([100, 200]), traffic=(n for n in [numpy.float32(2)]))
    assert [(s.budget_usd, s.traffic) for s in found] == [(100.0, 2.0), (200.0, 2.0)]
    check_number("tp", numpy.int64(2), least=1, whole=True)
    with pytest.raises(TypeError, match="tp: expected a whole number, not bool"):
        check_number("tp", numpy.bool_(True), least=1, whole=True)
    size = RequestSize(input_tokens=numpy.int64(1500), output_tokens=numpy.float32(300))
    assert (size.input_tokens, size.output_tokens) == (1500, 300)
    assert {type(size.input_tokens), type(size.output_tokens)} <= {int, float}


def test_what_runs_scenarios_side_by_side_must_be_an_executor():
    wrong: Any = 5
    with pytest.raises(TypeError, match=r"executor: expected an executor of .*, not int"):
        what_if(builders.problem(13), [], builders.big_and_small(), wrong)


def test_a_record_built_in_code_gives_every_fault_with_its_path():
    with pytest.raises(InputError) as caught:
        Problem(name="Chat #1", workload=[], workloads=[{"name": "chat", "lllm": "toy"}])
    faults = {fault.path: fault for fault in caught.value.faults}
    assert faults["name"].message == ("use lower-case letters, digits and '-' (found 'Chat #1')")
    assert faults["workload"].message == "unknown key; did you mean 'workloads'?"
    assert faults["workloads[0].lllm"].message == "unknown key; did you mean 'llm'?"
    assert not any(fault.file or fault.line for fault in caught.value.faults)


def test_a_part_built_in_code_is_refused_by_its_own_path():
    with pytest.raises(InputError, match=r"^requests_per_second: must be greater than 0"):
        RequestsPerSecond(kind="requests_per_second", requests_per_second=-3)


@pytest.mark.parametrize(
    ("setting", "value", "kind", "words"),
    [
        ("time_limit_s", -1, InputError, "time_limit_s: must be greater than 0 (is -1)"),
        ("time_limit_s", 0, InputError, "time_limit_s: must be greater than 0 (is 0)"),
        ("time_limit_s", float("nan"), InputError, "time_limit_s: must be a number (is nan)"),
        ("time_limit_s", "60s", TypeError, "time_limit_s: expected a number, not str"),
        ("time_limit_s", True, TypeError, "time_limit_s: expected a number, not bool"),
        ("gap", float("nan"), InputError, "gap: must be a number (is nan)"),
        ("gap", 2, InputError, "gap: must be at most 1 (is 2)"),
        ("gap", -0.1, InputError, "gap: must be at least 0 (is -0.1)"),
        ("alternatives", -1, InputError, "alternatives: must be at least 0 (is -1)"),
        ("alternatives", 201, InputError, "alternatives: must be at most 200 (is 201)"),
        ("alternatives", 1.5, TypeError, "alternatives: expected a whole number, not float"),
        ("solver", "x", InputError, "solver: 'x' is not one of both, cbc, highs"),
        ("solver", "hihgs", InputError, "did you mean 'highs'?"),
        ("solver", "", InputError, "solver: '' is not one of both, cbc, highs"),
        ("solver", 5, TypeError, "solver: expected text, not int"),
    ],
)
def test_a_setting_from_python_is_checked(setting, value, kind, words):
    with pytest.raises(kind) as caught:
        check_settings(**{setting: value})
    assert words in str(caught.value)


def test_settings_in_range_pass():
    check_settings()
    check_settings(time_limit_s=0.5, gap=1, alternatives=0, solver="cbc")


@pytest.mark.parametrize("source", [None, 5, b"x", {}])
def test_a_file_name_is_text_or_a_path(source):
    with pytest.raises(TypeError, match="load_problem takes a file name, not"):
        load_problem(source)
    with pytest.raises(TypeError, match="load_problem takes text as str, not bytes"):
        load_problem("x.yaml", text=b"a: 1")


def test_without_a_file_faults_have_a_path_and_no_line():
    limits = {"regions": {"allow": ["mars"]}}
    with pytest.raises(InputError) as caught:
        prepare(builders.problem(13, limits=limits), builders.big_and_small())
    assert str(caught.value) == "limits.regions.allow: no region 'mars'"
