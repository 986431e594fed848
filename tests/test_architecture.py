"""The structure that a reader relies on, and that each of its rules is seen to fail.

The rules are in `tests/support/structure.py`. What breaks one today is listed below with the reason
why it stays; a listed finding that is gone has to leave the list.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.structure import (
    MOST_FILES,
    MOST_LINES,
    RULES,
    Rule,
    Tree,
    a_file_is_read_in_one_sitting,
    a_folder_is_seen_at_a_glance,
    columns_only_in_reporting,
    dataclasses_are_written_late,
    dollars_only_in_reporting,
    every_file_is_in_a_wing,
    examples_are_counted_in_one_place,
    imports_run_downwards,
    no_circle_of_files,
    no_circle_of_folders,
    nothing_turns_on_sentences,
    only_milp_knows_the_solvers,
    read_tree,
)

ROOT = Path(__file__).resolve().parents[1]

AS_IT_IS = "`as it is` is the name of the case without a change; rows are looked up by it"

KNOWN: dict[Rule, dict[str, str]] = {
    columns_only_in_reporting: {
        "milp_planner/cli/app.py": "the exit codes of --help, which loads no reporting",
        "milp_planner/milp/program/mps_file.py": "an MPS file is written in columns",
        "milp_planner/study/accuracy.py": "the study prints its own tables of errors",
    },
    nothing_turns_on_sentences: {
        "milp_planner/inputs/reading/strict_yaml.py": "the YAML parser says its faults in words",
        "milp_planner/milp/engines/cbc.py": "the first line of CBC's solution file is in words",
        "milp_planner/plans/reading.py": "a plan's document tells an assumed count by its note",
        "milp_planner/serving/derate.py": "the kinds of evidence are words, held in constants",
        "milp_planner/study/sources.py": "a collection names whose runs it holds in a note",
        "milp_planner/study/samples.py": "`not stated` is what a column of the samples says",
        "milp_planner/questions/sweeps/scenarios.py": AS_IT_IS,
        "milp_planner/questions/sweeps/rows.py": AS_IT_IS,
        "milp_planner/reporting/text/questions/what_if.py": AS_IT_IS,
    },
}
"""By rule: the file, and why what it does stays."""


def name_of(rule: Rule) -> str:
    return rule.__name__


@pytest.fixture(scope="module")
def checkout() -> Tree:
    return read_tree(ROOT)


@pytest.mark.parametrize("rule", RULES, ids=name_of)
def test_the_checkout_keeps(rule: Rule, checkout: Tree) -> None:
    known = KNOWN.get(rule, {})
    assert [str(finding) for finding in rule(checkout) if finding.file not in known] == []


@pytest.mark.parametrize("rule", KNOWN, ids=name_of)
def test_what_is_listed_as_known_is_still_there(rule: Rule, checkout: Tree) -> None:
    assert {finding.file for finding in rule(checkout)} >= KNOWN[rule].keys()


def lines(count: int) -> str:
    return "x = 1\n" * count


IN_A_FUNCTION = "def f():\n    from milp_planner.plans import records\n"
FOR_TYPES_ALONE = (
    "from typing import TYPE_CHECKING\n"
    "if TYPE_CHECKING:\n    from milp_planner.plans.records import Plan\n"
)
PLANS = {"milp_planner/plans/records.py": "class Plan: ..."}
CATALOG, PROBLEM = "milp_planner/inputs/catalog", "milp_planner/inputs/problem"

BROKEN: list[tuple[Rule, Tree, str]] = [
    (
        imports_run_downwards,
        {"milp_planner/inputs/load.py": "import milp_planner.plans.records", **PLANS},
        "milp_planner/inputs/load.py:1: may not import milp_planner.plans.records",
    ),
    (
        imports_run_downwards,
        {"milp_planner/inputs/load.py": IN_A_FUNCTION, **PLANS},
        "milp_planner/inputs/load.py:2: may not import milp_planner.plans.records",
    ),
    (
        imports_run_downwards,
        {"milp_planner/traffic/blocks.py": FOR_TYPES_ALONE, **PLANS},
        "milp_planner/traffic/blocks.py:3: may not import milp_planner.plans.records",
    ),
    (
        imports_run_downwards,
        {"milp_planner/units.py": "from .plans import records", **PLANS},
        "milp_planner/units.py:1: may not import milp_planner.plans.records",
    ),
    (
        every_file_is_in_a_wing,
        {"milp_planner/gadgets/one.py": ""},
        "milp_planner/gadgets/one.py:1: gadgets has no place in the order of wings",
    ),
    (
        no_circle_of_files,
        {
            "milp_planner/plans/a.py": "from milp_planner.plans.b import x",
            "milp_planner/plans/b.py": "from milp_planner.plans.c import x",
            "milp_planner/plans/c.py": "def f():\n    from . import a",
            "milp_planner/plans/d.py": "from milp_planner.plans import a",  # only looks on
        },
        "milp_planner/plans/a:1: files in a circle: "
        "milp_planner.plans.a, milp_planner.plans.b, milp_planner.plans.c",
    ),
    (
        # No file of theirs is in a circle: each folder has one that imports and one that does not.
        no_circle_of_folders,
        {
            f"{CATALOG}/a.py": "from milp_planner.inputs.problem import b",
            f"{CATALOG}/b.py": "",
            f"{PROBLEM}/a.py": "from milp_planner.inputs.catalog import b",
            f"{PROBLEM}/b.py": "",
        },
        f"{CATALOG}:1: folders in a circle: {CATALOG}, {PROBLEM}",
    ),
    (
        # A folder and its own sub-folder.
        no_circle_of_folders,
        {
            "milp_planner/inputs/a.py": "from milp_planner.inputs.catalog import a",
            "milp_planner/inputs/b.py": "",
            f"{CATALOG}/a.py": "",
            f"{CATALOG}/b.py": "from milp_planner.inputs import b",
        },
        f"milp_planner/inputs:1: folders in a circle: milp_planner/inputs, {CATALOG}",
    ),
    (
        only_milp_knows_the_solvers,
        {"milp_planner/solving/search.py": "def f():\n    import pulp as p"},
        "milp_planner/solving/search.py:2: imports pulp outside of milp/",
    ),
    (
        only_milp_knows_the_solvers,
        {"milp_planner/cli/app.py": "from highspy.highs import Highs"},
        "milp_planner/cli/app.py:1: imports highspy outside of milp/",
    ),
    (
        dataclasses_are_written_late,
        {"milp_planner/plans/records.py": "from dataclasses import dataclass, replace"},
        "milp_planner/plans/records.py:1: dataclass is not from milp_planner.lazily",
    ),
    (
        a_file_is_read_in_one_sitting,
        {"milp_planner/units.py": lines(MOST_LINES + 1)},
        "milp_planner/units.py:451: 451 lines, over 450",
    ),
    (
        a_file_is_read_in_one_sitting,
        {"tests/test_units.py": lines(MOST_LINES + 2)},
        "tests/test_units.py:452: 452 lines, over 450",
    ),
    (
        a_folder_is_seen_at_a_glance,
        {f"tests/golden/{i}.txt": "" for i in range(MOST_FILES + 1)},
        "tests/golden:1: 17 files, over 16",
    ),
    (
        examples_are_counted_in_one_place,
        {"tests/test_units.py": "@settings(max_examples=60)\ndef test(): ..."},
        "tests/test_units.py:1: counts its own examples",
    ),
    (
        columns_only_in_reporting,
        {"milp_planner/questions/explain.py": "f'{name:{width}}  {rate:.2f}'"},
        "milp_planner/questions/explain.py:1: pads a column",
    ),
    (
        columns_only_in_reporting,
        {"milp_planner/solving/assembly/notes.py": "f'{rate:>8.2f}'"},
        "milp_planner/solving/assembly/notes.py:1: pads a column",
    ),
    (
        columns_only_in_reporting,
        {"milp_planner/plans/records.py": "name.ljust(8)"},
        "milp_planner/plans/records.py:1: pads with ljust",
    ),
    (
        dollars_only_in_reporting,
        {"milp_planner/questions/explain.py": "f'costs ${usd:,.2f} a month'"},
        "milp_planner/questions/explain.py:1: writes an amount with its $",
    ),
    (
        dollars_only_in_reporting,
        {"milp_planner/solving/assembly/notes.py": "'costs ${:,.2f}'.format(usd)"},
        "milp_planner/solving/assembly/notes.py:1: is a template of an amount with its $",
    ),
    *(
        (
            nothing_turns_on_sentences,
            {"milp_planner/plans/records.py": text},
            f"milp_planner/plans/records.py:1: turns on a sentence: {text}",
        )
        for text in (
            "'priced' in plan.price_note",
            "'per token' in reason",
            "said == 'the time limit ended the search'",
            "said in ('', 'no plan was found')",
            "said.startswith('no plan')",
            "reason.endswith('infeasible')",
        )
    ),
    (
        nothing_turns_on_sentences,
        {"milp_planner/plans/records.py": "ENDED = 'time limit reached'\nsaid == ENDED"},
        "milp_planner/plans/records.py:2: turns on a sentence: said == ENDED",
    ),
    (
        nothing_turns_on_sentences,
        {
            "milp_planner/plans/reasons.py": "ENDED = 'time limit reached'",
            "milp_planner/plans/records.py": "from milp_planner.plans.reasons import ENDED as end\n"
            "said != end",
        },
        "milp_planner/plans/records.py:2: turns on a sentence: said != end",
    ),
    (
        nothing_turns_on_sentences,
        {"milp_planner/plans/records.py": "match said:\n    case 'no plan':\n        pass"},
        "milp_planner/plans/records.py:2: turns on 'no plan'",
    ),
]


@pytest.mark.parametrize(
    ("rule", "tree", "finding"),
    BROKEN,
    ids=[f"{name_of(r)}-{i}" for i, (r, *_) in enumerate(BROKEN)],
)
def test_a_package_that_breaks_one_rule_is_found_by_that_rule_alone(
    rule: Rule, tree: Tree, finding: str
) -> None:
    found = [(name_of(other), str(said)) for other in RULES for said in other(tree)]
    assert found == [(name_of(rule), finding)]


def test_every_rule_is_seen_to_fail() -> None:
    assert {rule for rule, *_ in BROKEN} == set(RULES)


def test_what_the_rules_allow_is_not_found() -> None:
    allowed = {
        "milp_planner/__init__.py": "from milp_planner.plans.records import Plan",
        "milp_planner/milp/engines/cbc.py": "import pulp",
        "milp_planner/plans/records.py": "from milp_planner.inputs import load\n"
        "f'{usd:,.2f} USD'; status == 'optimal'; '/' in name; '.' in text",
        "milp_planner/inputs/load.py": "SCHEMA = '$schema'",
        "milp_planner/plans/sentences.py": "f'{name:{width}} costs ${usd:,.2f}'",
        "milp_planner/reporting/text/table.py": "f'{name:<8} ${usd:.2f}'; name.rjust(3)",
        "tests/benchmarks/bench_long.py": lines(MOST_LINES + 50),
    }
    assert [str(finding) for rule in RULES for finding in rule(allowed)] == []
