"""What a user reads when a problem file is no YAML of keys, could do harm or cannot be read."""

from __future__ import annotations

import pytest

from milp_planner.cli.parts import exit_codes
from tests.support.toy import PROBLEM

pytest_plugins = ["tests.support.spoilt.refusing"]

# ---- the file


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "x.yaml: file is empty\n  hint: milp-planner init writes an example\n"),
        ("# a\n", "x.yaml: file is empty\n  hint: milp-planner init writes an example\n"),
        ("\n\n", "x.yaml: file is empty\n  hint: milp-planner init writes an example\n"),
        (
            PROBLEM + "\0",
            "x.yaml:11: control characters are not allowed\n  hint: U+0000 in column 1\n",
        ),
        (
            PROBLEM + "# \x1b[31m\n",
            "x.yaml:11: control characters are not allowed\n  hint: U+001B in column 3\n",
        ),
        (PROBLEM + "\tx: 1\n", "x.yaml:11:1: not valid YAML: tab character; indent with spaces\n"),
        (
            PROBLEM + "limits: [1,\n",
            "x.yaml:12:1: not valid YAML: did not find expected node content\n",
        ),
        (
            PROBLEM + 'limits: "abc\n',
            "x.yaml:12:1: not valid YAML: found unexpected end of stream\n"
            "  hint: while scanning a quoted scalar, which starts on line 11\n",
        ),
        (PROBLEM + "name: x\n", "x.yaml:11:1: 'name' is given twice (first on line 2)\n"),
        (PROBLEM + "---\na: 1\n", "x.yaml:11:1: only one YAML document per file\n"),
        ("- a\n", "x.yaml:1:1: expected keys such as 'workloads:', found a list\n"),
        ("hello\n", "x.yaml:1:1: expected keys such as 'workloads:', found 'hello'\n"),
        ("a,b\n1,2\n", "x.yaml:1:1: expected keys such as 'workloads:', found 'a,b 1,2'\n"),
        (PROBLEM.encode("utf-16"), "x.yaml:1: not UTF-8 text\n  hint: save it as UTF-8\n"),
        (
            PROBLEM.replace("tiny", "t\u00efny").encode("latin-1"),
            "x.yaml:6: not UTF-8 text\n  hint: save it as UTF-8\n",
        ),
        (b"\x1f\x8b\x08\x00abc", "x.yaml:1: not UTF-8 text\n  hint: save it as UTF-8\n"),
        ("a: " + "[" * 100, "x.yaml:1:35: nested deeper than 32 levels\n"),
        (
            "\n".join(" " * depth + "a:" for depth in range(200)),
            "x.yaml:33:33: nested deeper than 32 levels\n",
        ),
        ("#" * 5_000_001, "x.yaml: file is larger than 5 MB\n"),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_not_a_yaml_file_of_keys_is_refused(refused, content, expected):
    assert refused(content) == expected


def test_brackets_deeper_than_the_parser_goes_are_refused_alike(refused):
    # where is the parser's: libyaml counts brackets ahead since 0.2.6
    assert refused("a: " + "[" * 100_000).endswith(": nested deeper than 32 levels\n")


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        (
            "&a tiny",
            "x.yaml:6:10: YAML anchors and aliases (& and *) are not supported\n"
            "  hint: write the value out\n",
        ),
        ("!env tiny", "x.yaml:6:10: YAML tags are not supported: !env\n"),
        (
            "!!python/object/apply:os.system [ls]",
            "x.yaml:6:10: YAML tags are not supported: !!python/object/apply:os.system\n",
        ),
        (
            '"\\e[31m"',
            "x.yaml:6: control characters are not allowed\n  hint: U+001B, from an escape\n",
        ),
    ],
)
def test_yaml_that_could_do_harm_is_refused(changed, new, expected):
    assert changed("llm: tiny", f"llm: {new}") == expected


def test_there_are_200000_values_at_most(run, folder):
    (folder / "x.yaml").write_text("a: [" + "1," * 200_000 + "]")
    assert run("check", "x.yaml")[2] == "x.yaml:1:399999: more than 200,000 values\n"


@pytest.mark.parametrize("newline", ["\r\n", "\r"])
def test_foreign_line_ends_and_a_byte_order_mark_change_nothing(run, folder, newline):
    (folder / "x.yaml").write_bytes(("\ufeff" + PROBLEM.replace("\n", newline)).encode())
    assert run("check", "x.yaml") == run("check", "toy.yaml")


def test_a_missing_file_is_told_with_its_neighbour(run):
    expected = "tpy.yaml: file not found\n  hint: did you mean toy.yaml?\n"
    assert run("solve", "tpy.yaml") == (exit_codes.INPUT, "", expected)
    assert run("check", "toy")[2] == "toy: is a directory; give one YAML file\n"
    assert run("solve", "")[2] == "FILE: must not be empty; - reads standard input\n"
    assert run("solve", "a\0b")[2] == "a\\x00b: not a file name\n"


def test_a_link_to_nothing_says_where_it_leads(run, folder):
    (folder / "link.yaml").symlink_to("gone.yaml")
    (folder / "loop.yaml").symlink_to("loop.yaml")
    assert run("solve", "link.yaml")[2] == (
        "link.yaml: file not found: it is a link to 'gone.yaml'\n"
    )
    assert run("solve", "loop.yaml")[2] == (
        "loop.yaml: cannot be read: Too many levels of symbolic links\n"
    )
