"""Reading YAML from files, folders, pipes and standard input."""

from __future__ import annotations

import io
import os
import sys

import pytest

from milp_planner import InputError
from milp_planner.inputs.reading.strict_yaml import Document, read_yaml

# Reading files


def refused_file(path: object) -> str:
    with pytest.raises(InputError) as caught:
        read_yaml(path)  # type: ignore[arg-type]
    return str(caught.value)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with one file, as the working directory."""
    (tmp_path / "note.yaml").write_text("a: 1\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_file_is_named_as_the_user_named_it(folder):
    assert read_yaml("note.yaml") == Document(
        "note.yaml", {"a": 1}, {("a",): (1, 1)}, {(): (1, 1), ("a",): (1, 4)}
    )


def test_a_missing_file_is_told_with_its_nearest_neighbour(folder):
    expected = "nope.yaml: file not found\n  hint: did you mean note.yaml?"
    assert refused_file("nope.yaml") == expected


def test_the_neighbour_is_told_with_its_folder(folder):
    expected = f"{folder}/nope.yaml: file not found\n  hint: did you mean {folder}/note.yaml?"
    assert refused_file(folder / "nope.yaml") == expected


def test_a_missing_folder_has_no_neighbours(folder):
    assert refused_file("nowhere/x.yaml") == "nowhere/x.yaml: file not found"
    assert refused_file("") == "file not found"


def test_a_file_is_no_folder(folder):
    assert refused_file("note.yaml/x.yaml") == "note.yaml/x.yaml: cannot be read: Not a directory"


def test_a_directory_is_refused(folder):
    (folder / "problems").mkdir()
    assert refused_file("problems") == "problems: is a directory; give one YAML file"


def test_a_file_that_may_not_be_read_is_refused(folder, monkeypatch):
    def forbidden(*_args, **_kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", forbidden)
    assert refused_file("note.yaml") == "note.yaml: permission denied"


def test_impossible_file_names_are_refused():
    assert refused_file("a\0b") == "a\\x00b: not a file name"
    assert refused_file("x" * 5_000).endswith("cannot be read: File name too long")


def test_a_file_that_is_not_utf_8_is_refused(folder):
    (folder / "latin.yaml").write_bytes(b"a: 1\nb: gr\xf6\xdfe\n")
    expected = "latin.yaml:2: not UTF-8 text\n  hint: save it as UTF-8"
    assert refused_file("latin.yaml") == expected
    (folder / "utf16.yaml").write_bytes("a: 1\n".encode("utf-16"))
    assert refused_file("utf16.yaml").startswith("utf16.yaml:1: not UTF-8 text")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_read_like_a_file(folder):
    read_end, write_end = os.pipe()
    os.write(write_end, b"a: 1\n")
    os.close(write_end)
    try:
        assert read_yaml(f"/dev/fd/{read_end}").data == {"a": 1}
    finally:
        os.close(read_end)


# Standard input


class Terminal(io.TextIOWrapper):
    def isatty(self) -> bool:
        return True


def test_a_dash_reads_standard_input(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"a: 1\nb: [\n")))
    assert refused_file("-").startswith("<stdin>:3:1: not valid YAML")
    assert capsys.readouterr() == ("", "")


def test_a_terminal_is_told_how_to_end(monkeypatch, capsys):
    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(b"a: 1\n")))
    assert read_yaml("-").data == {"a": 1}
    expected = "reading the problem from the terminal; end with Ctrl-D\n"
    assert capsys.readouterr() == ("", expected)


def test_standard_input_may_be_replaced_by_text_or_be_closed(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("a: 1\n"))
    assert read_yaml("-").data == {"a": 1}
    sys.stdin.close()
    assert refused_file("-") == "<stdin>: there is no standard input"


def test_with_text_given_nothing_is_read():
    assert read_yaml("-", text="a: 1\n").file == "<stdin>"
    assert read_yaml("missing.yaml", text="a: 1\n").file == "missing.yaml"
