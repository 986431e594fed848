"""What is read of JSON, and what a user reads where it is refused."""

from __future__ import annotations

import math

import pytest

from milp_planner import InputError
from milp_planner.inputs.reading import strict_json
from milp_planner.inputs.reading.strict_json import parse_json


def refused(text: str, first_line: int = 1) -> str:
    with pytest.raises(InputError) as error:
        parse_json(text, "x.json", first_line)
    return str(error.value)


def test_plain_data_is_what_the_text_says():
    text = '{"a": [1, -2.5e3, "\\u00e9", true, null], "b": {"a": 12345678901234567890}}'
    assert parse_json(text, "x.json") == {
        "a": [1, -2500.0, "é", True, None],
        "b": {"a": 12345678901234567890},
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "x.json:1:1: not valid JSON: Expecting value"),
        ('{"a": 1,\n "b": }', "x.json:2:7: not valid JSON: Expecting value"),
        ('{"a": 1} {"b": 2}', "x.json:1:10: not valid JSON: Extra data"),
        ('{"a": NaN}', "x.json:1:7: not valid JSON: NaN is not a number"),
        ("[1,\n-Infinity]", "x.json:2:1: not valid JSON: -Infinity is not a number"),
        ("[1,\n  1e999]", "x.json:2:3: not valid JSON: 1e999 is too large a number"),
        ('["1e999",\n  1e999]', "x.json:2:3: not valid JSON: 1e999 is too large a number"),
        (
            f'{{"a":\n {"7" * 10_000}}}',
            "x.json:2:2: not valid JSON: a number of more than 300 digits",
        ),
        (
            f"[0.{'7' * 10_000}]",
            "x.json:1:2: not valid JSON: a number of more than 300 digits",
        ),
        ('{"a": 1,\n "b": 2,\n "a": 3}', "x.json:3: 'a' is given twice (first on line 1)"),
        ('[{"a": 1}, {"a": 2, "a": 3}]', "x.json: 'a' is given twice"),
        (
            '["good", "\\ud800"]',
            "x.json:1:11: not valid JSON: half a character in '\\ud800'",
        ),
        ("[" * 101 + "]" * 101, "x.json: not valid JSON: nested deeper than 100 levels"),
        ("[" * 100_000, "x.json: not valid JSON: nested too deeply"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_refused_has_its_place(text, said):
    assert refused(text) == said


def test_a_text_from_the_middle_of_a_file_counts_its_lines_on():
    assert refused('{"a":\n1e999}', first_line=7).startswith("x.json:8:1: ")


def test_published_configs_may_hold_infinities():
    data = parse_json('{"a": [0.0, -Infinity, NaN]}', "x.json", infinities=True)
    assert data["a"][1] == -math.inf
    assert math.isnan(data["a"][2])


def test_there_are_two_million_values_at_most(monkeypatch):
    monkeypatch.setattr(strict_json, "MOST_VALUES", 6)
    assert parse_json('{"a": [1, 2, 3, 4]}', "x.json")  # the list counts, and the key
    assert refused('{"a": [1, 2, 3, 4, 5]}') == "x.json: not valid JSON: more than 6 values"
