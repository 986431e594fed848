"""The README is true: its code runs, its file validates, its lists are complete."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from milp_planner import Problem, load_catalog, load_problem, prepare, solve
from milp_planner.cli import main
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.reading.fault_places import written_key
from milp_planner.milp.program.costs.terms import CASH_TERMS, PENALTIES
from milp_planner.milp.program.families import CONSTRAINTS
from milp_planner.reporting.formats import FORMATS

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_the_python_in_the_readme_runs(number, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    exec(compile(blocks("python")[number], "README.md", "exec"), {})


def test_plain_dicts_and_lists_give_the_problem_that_the_readme_builds_of_records():
    # The README builds it in its second block; type checkers want records, Python does not.
    names: dict[str, Any] = {}
    records, _ = blocks("python")[1].split("plan = ")
    exec(compile(records, "README.md", "exec"), names)
    document = {
        "workloads": [
            {
                "name": "chat",
                "llm": "llama-3.3-70b",
                "traffic": {"kind": "requests_per_second", "requests_per_second": 6},
                "requests": {"input_tokens": 1500, "output_tokens": 300},
                "latency": {"tpot_s": 0.05},
            }
        ],
        "limits": {"providers": {"deny": ["vast-ai", "akash"]}, "max_gpus": {"total": 16}},
    }
    assert Problem(**document) == Problem(workloads=(names["chat"],), limits=names["limits"])


def test_the_problem_file_in_the_readme_is_in_order():
    (text,) = blocks("yaml")
    problem = load_problem("README.md", text=text)
    assert prepare(problem, load_catalog()).candidates.candidates


def test_the_problem_file_in_the_readme_names_every_block():
    (text,) = blocks("yaml")
    problem = load_problem("README.md", text=text)
    shown = set(re.findall(r"[a-z_]+", text))
    records = {
        "policy": type(problem.policy),
        "limits": type(problem.limits),
        "latency": type(problem.workloads[0].latency),
        "workload": type(problem.workloads[0]),
        "solver": type(problem.solver),
    }
    explained = set(re.findall(r"`([a-z_.]+)[:`]", README))
    for name, record in records.items():
        keys = {written_key(key, field) for key, field in record.model_fields.items()}
        missing = keys - shown - explained - {k for key in explained for k in key.split(".")}
        assert not missing, f"{name}: {sorted(missing)} not in the README"


def test_every_family_term_and_billing_is_named():
    names = [family.name for family in CONSTRAINTS]
    names += [term.name for term in (*CASH_TERMS, *PENALTIES)]
    names += list(BILLING_MODES)
    assert not [name for name in names if f"`{name}`" not in README]


def test_every_command_is_named():
    from milp_planner.cli.app import app

    commands = [c.name or c.callback.__name__.replace("_", "-") for c in app.registered_commands]
    commands += [group.name for group in app.registered_groups]
    assert not [name for name in commands if f"`{name}" not in README]


def test_the_readme_has_the_two_commands_that_ci_runs():
    ci = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert len(blocks("sh")) == 2
    assert "readme_command 1" in ci
    assert "tests/scripts/test" in ci


def test_the_transcript_in_the_readme_is_what_is_printed():
    (shown,) = [block for block in blocks("") if block.startswith("$ milp-planner solve")]
    plan = solve(load_problem(ROOT / "problems" / "quickstart.yaml"))
    printed = FORMATS["text"](plan).splitlines()
    for line in shown.splitlines()[2:]:  # the headline holds seconds, another line versions
        assert line in printed or line.startswith("Solvers:")


ASKED = [block for block in blocks("") if not block.startswith("$ milp-planner solve")]


def asked(words: str) -> list[str]:
    """The lines that the README shows below the command with these words."""
    (shown,) = [block for block in ASKED if words in block.splitlines()[0]]
    return shown.splitlines()[1:]


@pytest.mark.parametrize("words", ["what-if", "explain"])
def test_every_question_has_a_transcript(words):
    assert any(block.startswith(f"$ milp-planner {words} ") for block in ASKED)


@pytest.mark.parametrize(
    "words",
    [
        "what-if problems/quickstart.yaml --budget 2000,4000,8000",
        "explain problems/quickstart.yaml --limits",
        pytest.param("explain problems/quickstart.yaml --provider lambda", marks=pytest.mark.slow),
    ],
)
def test_an_answer_in_the_readme_is_what_is_printed(words, monkeypatch, capsys):
    monkeypatch.chdir(ROOT)
    assert main([*words.split(), "--quiet"]) == 0
    assert capsys.readouterr().out.splitlines() == asked(words)


def test_the_diagnosis_in_the_readme_is_what_is_printed():
    text = (ROOT / "problems" / "quickstart.yaml").read_text(encoding="utf-8")
    limits = "limits: {max_gpus: {total: 1}}"
    plan = solve(load_problem("no-plan.yaml", text=f"{text}{limits}\n"))
    printed = FORMATS["text"](plan).splitlines()
    for line in asked(limits)[1:]:  # the headline holds seconds, another line versions
        assert line in printed or line.startswith("Solvers:")
