"""Names that are not known are one error with its place, not a failed row for each scenario."""

from __future__ import annotations

import pytest

from milp_planner import InputError, Scenario, load_scenarios, what_if
from tests.support.builders import big_and_small, problem
from tests.support.toy import write

pytest_plugins = ["tests.support.toy_cli"]

WRONG = """\
schema_version: 1
scenarios:
  fine: {traffic: 2, limits.providers.allow: [acme]}
  typo: {limits.providers.allow: [acmee], limits.max_gpus.total: 8}
  inside:
    limits: {gpus: {deny: [bigg]}}
  lost: {without: [gpu:bigg]}
  priced: {prices: {acme/bigg*: 2}}
"""


def test_every_unknown_name_in_a_scenario_file_is_told_at_its_place():
    with pytest.raises(InputError) as caught:
        load_scenarios("mine.yaml", problem(13), text=WRONG, catalog=big_and_small())
    faults = caught.value.faults
    assert [(fault.line, fault.path) for fault in faults] == [
        (4, "scenarios.typo['limits.providers.allow']"),
        (6, "scenarios.inside.limits"),
        (7, "scenarios.lost.without"),
        (8, "scenarios.priced.prices"),
    ]
    words = ["no provider 'acmee'", "no GPU 'bigg'", "no gpu 'bigg'", "no offering 'acme/bigg*'"]
    for fault, said in zip(faults, words, strict=True):
        assert said in fault.message


def test_without_a_catalog_names_wait_until_they_are_solved():
    assert len(load_scenarios("mine.yaml", problem(13), text=WRONG)) == 5


def test_what_a_scenario_changes_may_name_what_the_catalog_has():
    fine = "{schema_version: 1, scenarios: {one: {limits.gpus.allow: [big], without: [gpu:small]}}}"
    [one] = load_scenarios("mine.yaml", problem(13), text=fine, catalog=big_and_small())
    assert one.name == "one"


def test_an_unknown_name_in_the_problem_is_raised_once_and_makes_no_rows():
    asked = problem(13, limits={"providers": {"allow": ["acmee"]}})
    with pytest.raises(InputError, match="no provider 'acmee'"):
        what_if(asked, [Scenario("a"), Scenario("b")], big_and_small())


def test_the_command_ends_with_one_error_for_either_file(run, folder):
    wrong = write(folder, "wrong.yaml", "policy:", "limits: {gpus: {deny: [bigg]}}\npolicy:")
    code, out, err = run("what-if", wrong, "--traffic", "1,2,3")
    assert (code, out, err.count("no GPU 'bigg'")) == (2, "", 1)
    (folder / "mine.yaml").write_text(WRONG.replace("acme/bigg*", "acme/*").replace("bigg", "big"))
    code, out, err = run("what-if", "toy.yaml", "--scenario", "mine.yaml")
    assert (code, out) == (2, "")
    where = "mine.yaml:4:34: scenarios.typo['limits.providers.allow']"
    assert err == f"{where}: no provider 'acmee'; closest: acme\n"
