"""Whatever comes as YAML, the outcome is a document or an input error."""

from __future__ import annotations

import contextlib
import json
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from milp_planner import InputError
from milp_planner.inputs.reading import strict_yaml
from milp_planner.inputs.reading.strict_yaml import Document, read_yaml

either_parser = pytest.mark.usefixtures("each_parser")


def read(text: str) -> Document:
    return read_yaml("x.yaml", text=text)


def check_outcome(text: str) -> None:
    outcome = outcome_of(text)
    if isinstance(outcome, InputError):
        assert outcome.faults
        assert str(outcome).replace("\n", "").isprintable()
    else:
        check_plain(outcome.data)
        assert type(outcome.data) is dict


def outcome_of(text: str) -> Document | InputError:
    try:
        return read(text)
    except InputError as error:
        return error


def children_of(value: object) -> list[tuple[str | int, object]]:
    if isinstance(value, dict):
        return list(value.items())
    return list(enumerate(value)) if isinstance(value, list) else []


def check_plain(value: object) -> None:
    assert type(value) in (dict, list, str, int, float, bool, type(None))
    for step, child in children_of(value):
        assert type(step) in (str, int)
        check_plain(child)


@pytest.mark.slow
@given(st.text())
@example("a: !!python/object/apply:os.system ['true']")
@example("\ud800: 1")
def test_any_text_is_a_document_or_an_input_error(text):
    check_outcome(text)


@given(st.binary())
@example(b"\xff\xfea\x00:\x00")
def test_any_bytes_are_a_document_or_an_input_error(content):
    with contextlib.suppress(InputError):
        check_outcome(strict_yaml._decoded(content, "x.yaml"))


PIECES = [
    *("a", "b: ", "- ", "? ", ": ", "{", "}", "[", "]", ",", "\n", "\n  ", "\n    ", "\t", " "),
    *("&x ", "*x", "!t ", "!!int ", "'", '"', "|\n", ">-\n", "#", "%", "@", "`", "---\n", "...\n"),
    *("<<: ", "1", "1.5", "yes", "null", "~", ".inf", "010", "\\x00", "\r", "\ufeff", "é", "😀"),
]


@either_parser
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_text_made_of_yaml_is_a_document_or_an_input_error(text):
    check_outcome(text)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=string.printable[:95])
)
TREES = st.dictionaries(
    st.text(alphabet=string.ascii_letters, min_size=1),
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(alphabet=string.ascii_letters, min_size=1), inner, max_size=4)
        ),
        max_leaves=8,
    ),
    min_size=1,
    max_size=4,
)


@either_parser
@given(TREES)
def test_plain_data_written_as_json_reads_as_itself(data):
    document = read(json.dumps(data))
    assert document.data == data
    check_positions(document, data, ())


def check_positions(document: Document, value: object, path: strict_yaml.Steps) -> None:
    assert path in document.value_positions
    for step, child in children_of(value):
        assert (*path, step) in document.positions
        check_positions(document, child, (*path, step))
