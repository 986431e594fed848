"""A calendar as JSON and as Markdown: every key has its schema, and the same twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from milp_planner import Calendar, calendar_schema, plan_months
from milp_planner.reporting.sheets.calendar import calendar_markdown
from milp_planner.reporting.sheets.markdown import MOST_CHARACTERS
from tests.futures.test_commit_or_rent import commit_or_rent, l40s

pytest_plugins = ["tests.support.toy_cli"]

YEAR = {"months": 4, "at_end": "pro_rata"}
SWITCHING = {"usd_per_unit_added": 10.0}
"""What programs alone know."""


def planned(**asked: Any) -> Calendar:
    found = plan_months(
        commit_or_rent(**({"horizon": YEAR, "known_from": "1 month"} | asked)), l40s()
    )
    assert found is not None
    return found


@pytest.fixture(scope="module")
def told() -> Calendar:
    return planned()


def paths(value: Any, at: str = "") -> Iterator[str]:
    """`futures[].months[].usd`, and so on: every key of a document."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (f"{at}.{key}", *paths(inner, f"{at}.{key}"))
    elif isinstance(value, list):
        for inner in value:
            yield from paths(inner, f"{at}[]")


@pytest.mark.parametrize(
    "asked",
    [{}, {"risk": {"measure": "cvar", "of": "regret", "level": "80%"}}, {"switching": SWITCHING}],
)
def test_a_calendar_keeps_to_its_schema(asked):
    document = json.loads(json.dumps(planned(**asked).to_dict()))
    validator = jsonschema.Draft202012Validator(calendar_schema())
    validator.validate(document)
    for path in {path for path in paths(document) if path.count(".") == 1}:
        without = {key: value for key, value in document.items() if key != path[1:]}
        assert not validator.is_valid(without), path
    assert not validator.is_valid({**document, "nonsense": 1})
    assert not validator.is_valid({**document, "calendar_version": 2})


def test_the_document_says_what_it_was_made_from(told):
    origin = told.to_dict()["provenance"]
    assert origin["catalog"]["sha256"] == l40s().sha256
    assert origin["oldest_price"] == min(one.priced_on for one in told.rests_on)
    [signed] = [s for s in told.to_dict()["futures"][0]["months"][0]["signed"]]
    assert signed["owed_usd"] == pytest.approx(12 * signed["usd_per_month"])


def test_markdown_has_a_table_for_each_future(told):
    text = calendar_markdown(told)
    assert text.startswith("### problem: \\$")
    assert "- Sign now: " in text
    for name in ("flop", "base", "hit"):
        assert f"**{name}, " in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert len(tables) == 3 * (2 + 4 + 1)  # heads, months and their sum
    assert {line.count("|") for line in tables} == {10}
    assert "- a: aws/g6e.xlarge/" in text
    assert "Not included: " in text
    assert "$" not in text.replace("\\$", "")  # two of them would be mathematics


def test_markdown_of_more_futures_than_have_room_names_how_many_are_left_out(told):
    many = tuple(replace(told.futures[0], name=f"f{i}") for i in range(500))
    text = calendar_markdown(replace(told, futures=many, known_from_months=None))
    assert len(text) < MOST_CHARACTERS
    shown = text.count("| month |")
    assert 50 < shown < 500
    assert f"and {500 - shown} more futures, whose months `--json` has" in text


@pytest.fixture
def asked(folder: Path) -> str:
    lines = (folder / "toy.yaml").read_text().splitlines()
    kept = [line for line in lines if not line.startswith("alternatives")]
    added = [
        "futures: [{name: base, probability: 60%}, {name: hit, probability: 40%, traffic: 2}]",
        "horizon: {months: 3, growth: 10%/month}",
        "switching: {usd_per_unit_added: 1}",
        "",
    ]
    (folder / "months.yaml").write_text("\n".join([*kept, *added]))
    return "months.yaml"


@pytest.mark.parametrize("form", ["text", "json", "markdown", "html"])
def test_a_calendar_is_the_same_bytes_twice(run, asked, form):
    once, again = (run("solve", asked, "--format", form, "--reproducible") for _ in range(2))
    assert (once[0], once[2]) == (0, "")
    assert once == again


def test_the_ending_says_the_format(run, folder, asked):
    code, out, err = run("solve", asked, "-o", "year.md")
    assert (code, out) == (0, "")
    assert "year.md" in err
    assert (folder / "year.md").read_text().startswith("### ")
    code, _, err = run("solve", asked, "-o", "year.csv")
    assert code == 2
    assert "a calendar is written as text, markdown, json or html, not csv" in err
