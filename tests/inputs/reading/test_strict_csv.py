"""What is read of another tool's table, and what a user reads where it is none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from milp_planner import InputError
from milp_planner.inputs.reading.files import read_text
from milp_planner.inputs.reading.strict_csv import csv_rows


def rows_of(folder: Path, content: str | bytes) -> list[tuple[int, dict[str, str]]]:
    path = folder / "x.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return list(csv_rows(path, ("name", "price"), numbers=("price", "count")))


def test_rows_have_their_lines_and_other_columns_are_let_through(tmp_path):
    content = '\ufeffname,price,other\r\n a , 1.5 ,"x\ny"\r\n\r\nb,,\r\n'
    assert rows_of(tmp_path, content) == [
        (2, {"name": "a", "price": "1.5", "other": "x\ny"}),
        (5, {"name": "b", "price": "", "other": ""}),
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", ["x.csv:1: has no column 'name', 'price'; is it a file of that format?"]),
        ("name\na\n", ["x.csv:1: has no column 'price'; is it a file of that format?"]),
        ("name,price,name\na,1,b\n", ["x.csv:1: name: this column is given twice"]),
        (
            f"name,price,{'x' * 200_000}\na,1,2\n",
            ["x.csv:1: not valid CSV: field larger than field limit (131072)"],
        ),
        (
            "name,price\na,1\nb,2,3\nc\n",
            [
                "x.csv:3: has 3 columns, the header has 2; quote a text that holds a comma",
                "x.csv:4: has 1 columns, the header has 2; quote a text that holds a comma",
            ],
        ),
        (
            'name,price\na,1\n"b\nc,2\n',
            [
                "x.csv:4: not valid CSV: unexpected end of data",
                "  hint: in the row that starts on line 3",
            ],
        ),
        (
            "name,price,count\na,1.2.3,8\nb,nan,-1\nc,1e999,1e3\nd,1_000,\n",
            [
                "x.csv:2: price: '1.2.3' is not a number; write 1000 or 0.35",
                "x.csv:3: count: must be at least 0 (is -1)",
                "x.csv:3: price: 'nan' is not a number; write 1000 or 0.35",
                "x.csv:4: price: must be a finite number (is 1e999)",
                "x.csv:5: price: '1_000' is not a number; write 1000 or 0.35",
            ],
        ),
        (
            f"name,price\na,{'9' * 10_000}\n",
            [f"x.csv:2: price: must be a finite number (is {'9' * 57}...)"],
        ),
        (b"name,price\n\xe9,1\n", ["x.csv:2: not UTF-8 text", "  hint: save it as UTF-8"]),
        (
            "name,price\na,1\n".encode("utf-16"),
            ["x.csv:1: not UTF-8 text", "  hint: save it as UTF-8"],
        ),
    ],
    ids=lambda value: repr(value[:24]),
)
def test_what_is_no_table_says_where_and_why(tmp_path, monkeypatch, content, said):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as error:
        rows_of(Path(), content)
    assert str(error.value).splitlines() == said


# ---- the file


def refused_file(path: Path) -> str:
    with pytest.raises(InputError) as error:
        read_text(path)
    return str(error.value)


def test_what_is_no_file_is_told_what_it_is(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("prices.csv").write_text("a")
    Path("link").symlink_to("gone")
    os.mkfifo("pipe")
    assert refused_file(Path("price.csv")) == (
        "price.csv: file not found\n  hint: did you mean prices.csv?"
    )
    assert refused_file(Path("link")) == "link: file not found: it is a link to 'gone'"
    assert refused_file(Path(".")) == ".: is a directory; give a file"
    assert refused_file(Path("a\0b")) == "a\\x00b: not a file name"
    assert refused_file(Path("pipe")) == (
        "pipe: is a named pipe\n  hint: write what it gives to a file, and name that"
    )
    if Path("/dev/zero").exists():
        assert refused_file(Path("/dev/zero")) == "/dev/zero: file is larger than 50 MB"


def test_a_file_may_have_all_bytes_that_are_allowed_and_no_more(tmp_path):
    path = tmp_path / "x"
    path.write_text("four")
    assert read_text(path, most_bytes=4) == "four"
    path.write_text("fives")
    with pytest.raises(InputError, match="file is larger than 4e-06 MB"):
        read_text(path, most_bytes=4)


def test_a_pipe_without_a_name_is_read(tmp_path):
    reading, writing = os.pipe()
    os.write(writing, b"name\n")
    os.close(writing)
    try:
        assert read_text(Path(f"/dev/fd/{reading}")) == "name\n"
    finally:
        os.close(reading)
