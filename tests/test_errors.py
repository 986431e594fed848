"""How faults are printed, and the wording helpers."""

from __future__ import annotations

import importlib
import pickle
import pkgutil
import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import milp_planner
from milp_planner import Fault, InputError, PlannerError, SolverError, errors
from milp_planner.cli import main
from milp_planner.cli.parts import exit_codes
from milp_planner.errors import (
    RecordError,
    argument_error,
    did_you_mean,
    input_error,
    nearest,
    printable,
    readable_path,
)


def fault(line: int = 3, column: int = 7, **changes: str) -> Fault:
    parts = {"file": "x.yaml", "path": "limits.budget", "message": "is wrong", **changes}
    return Fault(line=line, column=column, **parts)


def test_a_fault_says_where_what_and_what_next():
    assert str(fault(hint="mend it")) == "x.yaml:3:7: limits.budget: is wrong\n  hint: mend it"


@pytest.mark.parametrize(
    ("given_fault", "expected"),
    [
        (fault(line=0), "x.yaml: limits.budget: is wrong"),
        (fault(column=0), "x.yaml:3: limits.budget: is wrong"),
        (fault(path=""), "x.yaml:3:7: is wrong"),
        (fault(line=0, file=""), "limits.budget: is wrong"),
    ],
)
def test_a_fault_leaves_out_what_is_not_known(given_fault, expected):
    assert str(given_fault) == expected


def test_a_fault_never_prints_a_control_character_of_the_input():
    evil = fault(
        file="a\x1b]0;x\x07.yaml", path="\x1b[31m", message="two\nlines \u202e", hint="\r\x9b"
    )
    assert str(evil) == (
        "a\\x1b]0;x\\x07.yaml:3:7: \\x1b[31m: two\\nlines \\u202e\n  hint: \\r\\x9b"
    )


ANY_TEXT = st.lists(st.integers(0, 0x10FFFF).map(chr)).map("".join)


@given(ANY_TEXT, ANY_TEXT)
def test_whatever_is_in_a_fault_it_prints_as_one_line_that_can_be_encoded(message, path):
    text = str(fault(message=message, path=path))
    assert all(unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in text)
    text.encode("utf-8")


def test_letters_of_all_languages_are_printed_as_they_are():
    assert printable("größer als 0 — 你好 😀") == "größer als 0 — 你好 😀"


def test_a_fault_as_plain_data_has_null_for_an_unknown_line():
    assert fault(line=0, column=0).to_dict() == {
        "file": "x.yaml",
        "line": None,
        "column": None,
        "path": "limits.budget",
        "message": "is wrong",
        "hint": "",
    }


def test_an_input_error_prints_twenty_faults_and_counts_the_others():
    text = str(InputError(fault(line=n) for n in range(1, 28)))
    assert text.count("is wrong") == 20
    assert text.endswith("x.yaml:20:7: limits.budget: is wrong\nand 7 more")


def test_an_input_error_of_twenty_faults_has_no_more():
    assert "more" not in str(InputError(fault(line=n) for n in range(1, 21)))


def test_an_input_error_can_be_sent_to_another_process():
    error = InputError([fault()])
    assert pickle.loads(pickle.dumps(error)).faults == error.faults


def test_an_input_error_is_the_users_to_mend():
    error = input_error("is wrong", path="limits", file="x.yaml", hint="mend it")
    assert isinstance(error, PlannerError)
    assert str(error) == "x.yaml: limits: is wrong\n  hint: mend it"


def test_a_record_error_is_a_value_error_so_that_validators_may_raise_it():
    error = RecordError("is wrong", at=["classes", 1], hint="mend it")
    assert isinstance(error, ValueError)
    assert (str(error), error.at, error.hint) == ("is wrong", ("classes", 1), "mend it")


def test_the_nearest_names_come_best_first():
    known = ["llama-3.1-8b", "llama-3.3-70b", "llama-3.1-70b", "qwen3-8b"]
    assert nearest("llama-70b", known, most=2) == ["llama-3.3-70b", "llama-3.1-70b"]


def test_a_name_that_is_near_none_gets_no_suggestion():
    assert did_you_mean("zebra", ["llama-3.1-8b"]) == ""
    assert did_you_mean("tpots", ["tpot", "ttft"]) == "; did you mean 'tpot'?"


def test_no_near_name_is_looked_for_when_the_name_is_endless():
    assert nearest("a" * 5_000_000, ["a" * 100]) == []


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        (("workloads", 0, "traffic", "tokens_per_day"), "workloads[0].traffic.tokens_per_day"),
        (("limits", "max_units", "aws/p5/us"), "limits.max_units['aws/p5/us']"),
        (("max_gpus", "per_gpu", "h100-80gb-sxm"), "max_gpus.per_gpu.h100-80gb-sxm"),
        ((0, "name"), "[0].name"),
        (("a.b", ""), "['a.b']['']"),
        ((), ""),
    ],
)
def test_a_path_reads_as_the_reader_would_find_it(steps, expected):
    assert readable_path(steps) == expected


def test_an_endless_key_is_cut():
    assert len(readable_path(("a" * 5_000_000,))) < 300


def drawn_edges() -> set[tuple[str, str]]:
    """(parent, child) of every class in the tree at the top of `errors.py`."""
    drawing = errors.__doc__.split("\n\n")[1]
    edges, above = set(), []
    for line in drawing.splitlines():
        name = re.search(r"\w+", line)
        while above and above[-1][0] >= name.start():
            above.pop()
        if above:
            edges.add((above[-1][1], name[0]))
        above.append((name.start(), name[0]))
    return edges


def real_edges() -> set[tuple[str, str]]:
    """(parent, child) of every error of the package; the command line and the server have own."""
    modules = [m.name for m in pkgutil.walk_packages(milp_planner.__path__, "milp_planner.")]
    own = {"cli", "web", "__main__"}
    library = [importlib.import_module(m) for m in modules if m.split(".")[1] not in own]
    classes = {
        value
        for module in library
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, BaseException)
        if value.__module__.startswith("milp_planner.") and not value.__name__.startswith("_")
    }
    return {(kind.__mro__[1].__name__, kind.__name__) for kind in classes}


def test_the_tree_of_errors_that_is_drawn_is_the_real_one():
    # The two built-in branches are drawn as well, so that the tree has few roots.
    assert drawn_edges() == real_edges() | {("Exception", "ValueError")}


def test_every_error_that_a_user_may_catch_is_public():
    inside = {"ValueError", "RecordError", "OutOfTime", "Forgotten"}
    inside |= {"TooMany", "NotProven", "AskTheWhole", "AllDearer"}
    caught = {child for _, child in drawn_edges()} - inside
    assert caught <= set(milp_planner.__all__)


def test_one_except_catches_what_the_planner_raises():
    for error in (input_error("is wrong"), argument_error("is wrong"), SolverError("is wrong")):
        with pytest.raises(PlannerError):
            raise error


def test_a_failure_of_the_solvers_is_a_planner_error_and_still_no_fault_of_the_user(
    monkeypatch, capsys
):
    def fail(*_: object, **__: object) -> None:
        raise SolverError("the plan breaks its own limits")

    monkeypatch.setattr("milp_planner.questions.sheet.builder.solve_until", fail)
    quickstart = Path(__file__).parents[1] / "problems" / "quickstart.yaml"
    assert main(["solve", str(quickstart), "--quiet"]) == exit_codes.BUG
    assert capsys.readouterr().err == (
        "the solvers failed, which is not your fault: the plan breaks its own limits\n"
    )
