"""Reading YAML: what is understood, what is refused, and where it stands."""

from __future__ import annotations

import time

import pytest
import yaml

from milp_planner import InputError
from milp_planner.inputs.reading import strict_yaml
from milp_planner.inputs.reading.strict_yaml import Document, read_yaml

ANCHORS = "YAML anchors and aliases (& and *) are not supported"


def read(text: str) -> Document:
    return read_yaml("x.yaml", text=text)


def refusal(text: str) -> str:
    """The faults of a text, as printed."""
    with pytest.raises(InputError) as caught:
        read(text)
    return str(caught.value)


either_parser = pytest.mark.usefixtures("each_parser")


# What is understood


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("5", 5),
        ("-3", -3),
        ("+3", 3),
        ("0", 0),
        ("1_000", 1_000),
        ("1.5", 1.5),
        ("5.", 5.0),
        (".5", 0.5),
        ("1e6", 1e6),
        ("-2.5E-3", -0.0025),
        ("1_000.5", 1_000.5),
        ("true", True),
        ("False", False),
        ("null", None),
        ("~", None),
        ("", None),
    ],
)
def test_numbers_true_false_and_null_are_what_they_look_like(written, value):
    found = read(f"key: {written}").data["key"]
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    "written",
    [
        *("yes", "no", "on", "off", "Y", "n"),
        *("010", "0o10", "0x1F", "0b11", "12:30", "1:2:3.5"),
        *("2026-05-24", "2026-05-24T10:00:00Z"),
        *(".inf", "-.inf", ".nan", "nan", "1e999", "1_", "1__0", "1.2.3", "."),
        *("5M", "800ms", "60%", "llama-3.3-70b", "eu-*", "a:b", "٣"),
    ],
)
def test_everything_else_stays_the_text_that_it_is(written):
    assert read(f"key: {written}").data == {"key": written}


@pytest.mark.parametrize("written", ["5", "true", "null", "~", "1e6", "", "<<"])
def test_what_stands_in_quotes_is_text(written):
    assert read(f"key: '{written}'").data == {"key": written}
    assert read(f'key: "{written}"').data == {"key": written}
    assert read(f"'{written}': 1").data == {written: 1}


@pytest.mark.parametrize("digits", [310, 400, 5_000])
def test_a_number_too_large_for_a_float_stays_text(digits):
    assert read(f"key: {'9' * digits}").data == {"key": "9" * digits}


def test_a_large_number_that_a_float_can_hold_is_an_integer():
    assert read(f"key: 1{'0' * 299}").data == {"key": 10**299}


@either_parser
def test_lists_and_keys_nest_in_both_notations():
    text = "a:\n  - b: 1\n    c: [x, {d: 2}]\n  - e\nf: |\n  two\n  lines\n"
    assert read(text).data == {"a": [{"b": 1, "c": ["x", {"d": 2}]}, "e"], "f": "two\nlines\n"}


def test_a_byte_order_mark_and_foreign_line_ends_are_fine():
    document = read("\ufeffa: 1\r\nb: 2\rc: 3\n")
    assert document.data == {"a": 1, "b": 2, "c": 3}
    assert document.at(("c",)) == (3, 1)


def test_a_version_line_is_fine():
    assert read("%YAML 1.2\n---\na: 1\n").data == {"a": 1}


# Where it stands


@either_parser
def test_every_key_entry_and_value_has_its_line_and_column():
    document = read("a:\n  - b: 1\n    c: [x, {d: 2}]\n")
    assert document.positions == {
        ("a",): (1, 1),
        ("a", 0): (2, 5),
        ("a", 0, "b"): (2, 5),
        ("a", 0, "c"): (3, 5),
        ("a", 0, "c", 0): (3, 9),
        ("a", 0, "c", 1): (3, 12),
        ("a", 0, "c", 1, "d"): (3, 13),
    }
    assert document.value_at(("a", 0, "b")) == (2, 8)
    assert document.value_at(("a", 0, "c", 1, "d")) == (3, 16)


def test_columns_count_characters_and_not_bytes():
    assert read("{größe😀: 1, b: 2}").at(("b",)) == (1, 13)


def test_what_is_not_in_the_file_stands_where_it_would_have_to_be():
    document = read("a: 1\nb:\n  - c: 2\n")
    assert document.at(("b", 0, "d", "e")) == (3, 5)
    assert document.at(("z",)) == document.at(()) == (0, 0)


def test_a_fault_can_be_made_for_a_value_and_for_a_key():
    document = read("limits:\n  budget: 5\n")
    path = ("limits", "budget")
    assert str(document.fault(path, "is wrong")) == "x.yaml:2:11: limits.budget: is wrong"
    at_key = document.fault(path, "is wrong", "mend it", at_key=True)
    assert str(at_key) == "x.yaml:2:3: limits.budget: is wrong\n  hint: mend it"


def test_a_printed_path_is_found_again():
    document = read("limits:\n  max_units:\n    aws/p5/us: 5\n    b: 6\nlimit: 3\n")
    assert document.named("limits.max_units['aws/p5/us']") == (3, 16)
    assert document.named("limits.max_units.b.c[0]") == (4, 8)
    assert document.named("limit") == (5, 8)
    assert document.named("nothing.like.it") == (0, 0)


# What is refused


@either_parser
@pytest.mark.parametrize("text", ["", "\n\n", "# only a comment\n", "---\n", "\ufeff"])
def test_an_empty_file_is_refused(text):
    expected = "x.yaml: file is empty\n  hint: milp-planner init writes an example"
    assert refusal(text) == expected


@either_parser
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("- a\n", "a list"),
        ("[a]", "a list"),
        ("hello", "'hello'"),
        ("5", "5"),
        ("null", "nothing"),
    ],
)
def test_the_top_level_must_be_keys(text, found):
    assert refusal(text) == f"x.yaml:1:1: expected keys such as 'workloads:', found {found}"


@either_parser
def test_a_second_document_is_refused():
    assert refusal("a: 1\n---\nb: 2\n") == "x.yaml:2:1: only one YAML document per file"


@either_parser
def test_a_key_given_twice_is_refused_with_its_first_line():
    text = "a:\n  latency: 1\n  b: 2\n  latency: 3\na: 4\n"
    assert refusal(text) == (
        "x.yaml:4:3: 'latency' is given twice (first on line 2)\n"
        "x.yaml:5:1: 'a' is given twice (first on line 1)"
    )


def test_a_key_is_the_same_with_and_without_quotes():
    assert refusal("a: 1\n'a': 2\n") == "x.yaml:2:1: 'a' is given twice (first on line 1)"


@either_parser
def test_anchors_and_aliases_are_refused():
    assert refusal("a: &x [1]\nb: *x\n") == (
        f"x.yaml:1:4: {ANCHORS}\n  hint: write the value out\n"
        f"x.yaml:2:4: {ANCHORS}\n"
        "  hint: write the value out; a text that starts with * needs quotes: '*'"
    )


@either_parser
@pytest.mark.parametrize("text", ["a: [*]", "a: [*-us]", "a: [*.east]"])
def test_a_pattern_that_starts_with_a_star_is_told_to_use_quotes(text):
    assert refusal(text).startswith(f"x.yaml:1:5: {ANCHORS}\n  hint: write the value out; a text")


def test_nested_aliases_are_refused_before_they_multiply():
    levels = [f"l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert refusal("\n".join(["l0: &l0 [lol]", *levels])).endswith("more")


@either_parser
@pytest.mark.parametrize(
    ("tag", "shown"),
    [
        ("!env", "!env"),
        ("!!python/object/apply:os.system", "!!python/object/apply:os.system"),
        ("!!str", "!!str"),
        ("!<tag:foo>", "tag:foo"),
        ("!", "!"),
    ],
)
def test_tags_are_refused(tag, shown):
    assert refusal(f"a: {tag} x\n") == f"x.yaml:1:4: YAML tags are not supported: {shown}"


def test_a_tag_on_keys_and_lists_is_refused_too():
    assert refusal("!a x: !b [1]\n").count("YAML tags are not supported") == 2


def test_a_tag_directive_is_refused_before_the_parser_counts_them():
    assert refusal("%TAG ! tag:x\n---\na: 1\n") == "x.yaml:1:1: YAML tags are not supported: %TAG"


@either_parser
def test_merge_keys_are_refused():
    expected = "x.yaml:1:1: YAML merge keys (<<) are not supported\n  hint: write the keys out"
    assert refusal("<<: {a: 1}\n") == expected


@either_parser
def test_a_key_that_is_not_text_is_refused():
    assert refusal("1: a\ntrue: b\n1.5: c\n? [d]\n: e\n") == (
        "x.yaml:1:1: a key must be text, found 1\n  hint: quote it: '1'\n"
        "x.yaml:2:1: a key must be text, found true\n  hint: quote it: 'true'\n"
        "x.yaml:3:1: a key must be text, found 1.5\n  hint: quote it: '1.5'\n"
        "x.yaml:4:3: a key must be text, found a list"
    )


def test_words_and_dates_are_fine_as_keys():
    assert read("yes: 1\n2026-05-24: 2\n").data == {"yes": 1, "2026-05-24": 2}


@pytest.mark.parametrize("digits", ["000", "500"])
def test_a_comma_for_thousands_within_braces_is_explained(digits):
    assert refusal(f"{{tokens: 1,{digits}}}") == (
        f"x.yaml:1:12: a key must be text, found {digits}\n  hint: write 1000 or 1_000, not 1,000"
    )


@pytest.mark.parametrize("character", ["\0", "\x1b", "\x7f", "\x85", "\x9b", "\u2028", "\ud800"])
def test_control_characters_are_refused_with_their_line(character):
    assert refusal(f"a: 1\nb: x{character}y\n") == (
        f"x.yaml:2: control characters are not allowed\n  hint: U+{ord(character):04X} in column 5"
    )


@either_parser
def test_control_characters_from_escapes_are_refused_as_well():
    assert refusal('a: 1\nb: "\\e[31m"\n') == (
        "x.yaml:2: control characters are not allowed\n  hint: U+001B, from an escape"
    )


@pytest.mark.parametrize(("indent", "column"), [("\t", 1), ("  \t", 3), ("\t\t", 1)])
def test_a_tab_that_indents_is_refused(indent, column):
    expected = f"x.yaml:2:{column}: not valid YAML: tab character; indent with spaces"
    assert refusal(f"a:\n{indent}b: 1\n") == expected


def test_a_tab_within_a_line_is_fine():
    assert read("a:\t1 # one\tcomment\n").data == {"a": 1}


@either_parser
def test_an_unclosed_bracket_says_what_was_expected_and_where_it_was_opened():
    text = refusal("a: [1,\n  2\nb: 3\n")
    assert text.startswith("x.yaml:3:2: not valid YAML: ")
    assert "expected ',' or ']'" in text
    assert text.endswith("hint: while parsing a flow sequence, which starts on line 1")


@either_parser
def test_an_unclosed_quote_says_where_it_was_opened():
    text = refusal("a: 1\nb: 'x\nc: 2\n")
    assert "unexpected end of stream" in text
    assert text.endswith("hint: while scanning a quoted scalar, which starts on line 2")


@either_parser
def test_a_colon_within_a_text_is_explained():
    assert refusal("a: b: c\n") == (
        "x.yaml:1:5: not valid YAML: mapping values are not allowed "
        f"{'in this context' if hasattr(yaml, 'CSafeLoader') else 'here'}\n"
        "  hint: check the indentation, and quote a text that holds ': '"
    )


def test_a_text_that_starts_with_a_special_character_is_explained():
    assert refusal("a: @x\n") == (
        "x.yaml:1:4: not valid YAML: found character that cannot start any token\n"
        "  hint: quote a text that starts with a special character"
    )


def test_faults_before_a_syntax_error_are_told_too():
    text = refusal("a: 1\na: !x 2\nb: [\n")
    assert [line.split(": ")[0] for line in text.splitlines() if "hint" not in line] == [
        "x.yaml:2:1",
        "x.yaml:2:4",
        "x.yaml:4:1",
    ]


# Limits of size


@either_parser
def test_thirty_two_levels_are_allowed_and_no_more():
    assert read("a: " + "[" * 31 + "]" * 31).data["a"]
    assert refusal("a: " + "[" * 32 + "]" * 32) == "x.yaml:1:35: nested deeper than 32 levels"


def test_too_many_values_are_refused(monkeypatch):
    monkeypatch.setattr(strict_yaml, "MOST_NODES", 5)
    assert read("a: [1, 2]").data  # the whole, one key, a list and its two entries are five
    assert refusal("a: [1, 2, 3]") == "x.yaml:1:11: more than 5 values"


def test_too_large_a_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / "x.yaml").write_text("# " + "x" * 5_000_000)
    with pytest.raises(InputError, match=r"x\.yaml: file is larger than 5 MB"):
        read_yaml(tmp_path / "x.yaml")
    assert refusal("# " + "x" * 5_000_000) == "x.yaml: file is larger than 5 MB"


@pytest.mark.parametrize(
    "text",
    ["[" * 4_000_000, "- " * 2_000_000, "? " * 2_000_000, "&a " * 900_000, "%TAG !a b\n" * 9_000],
    ids=["brackets", "dashes", "question marks", "anchors", "directives"],
)
def test_a_file_made_to_keep_the_parser_busy_is_refused_soon(text):
    start = time.perf_counter()
    refusal(text)
    assert time.perf_counter() - start < 5
