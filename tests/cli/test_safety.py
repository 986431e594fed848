"""No name from a file steers a sink; files are written whole or not at all, never over others."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import os
import re
import tempfile
from pathlib import Path
from typing import Any

import pytest

from milp_planner import InputError
from milp_planner.cli import main
from milp_planner.cli.commands import init
from milp_planner.cli.parts import exit_codes, streams
from milp_planner.inputs.catalog.writing import new_folder
from milp_planner.questions import solve as planner
from tests.support import builders
from tests.support.toy import CATALOG, PROBLEM, raising

pytest_plugins = ["tests.support.toy_cli"]

MARKUP = "[red]x[/red]"
LINK = "<a href='javascript:x'>"
FORMULA = '=HYPERLINK("http://x")'
REVERSED = "\u202egnp"
HIDDEN = "a\u200bb\ufeffc\u2066d"
HOSTILE = (MARKUP, LINK, FORMULA, REVERSED, HIDDEN)

STEERS = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Control characters, invisible ones and those that turn a line round; line breaks are fine."""


def quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


@pytest.fixture
def hostile(folder):
    """The toy catalog with every free text of it put to bad use, one text after the other."""

    def lay(text: str) -> None:
        files = dict(CATALOG)
        for name in files:
            files[name] = files[name].replace(",test\n", f",{quoted(text)}\n")
        files["gpus.csv"] = files["gpus.csv"].replace("big,acme,", f"big,{quoted(text)},")
        files["catalog.csv"] = (
            f"field,value\nname,{quoted(text)}\nversion,{quoted(text)}\n"
            f"description,{quoted(text)}\nextends,none\n"
        )
        for name, content in files.items():
            (folder / "toy" / name).write_text(content, encoding="utf-8")

    return lay


COMMANDS = (
    ("solve", "toy.yaml", "--alternatives", "2"),
    ("solve", "toy.yaml", "--json"),
    ("solve", "toy.yaml", "--format", "csv"),
    ("check", "toy.yaml"),
    ("check", "toy.yaml", "--json"),
    ("candidates", "toy.yaml", "--all"),
    ("candidates", "toy.yaml", "--json"),
    ("catalog", "list", "--catalog", "toy"),
    ("catalog", "list", "gpus", "--catalog", "toy"),
    ("catalog", "list", "offerings", "--catalog", "toy", "--json"),
    ("catalog", "show", "big", "--catalog", "toy"),
    ("catalog", "show", "acme/big/eu-1", "--catalog", "toy"),
    ("catalog", "check", "toy"),
)


@pytest.mark.parametrize("text", HOSTILE, ids=["markup", "html", "formula", "bidi", "hidden"])
def test_no_text_of_a_catalog_steers_a_terminal_or_a_spreadsheet(run, hostile, text):
    hostile(text)
    for arguments in COMMANDS:
        code, out, err = run(*arguments)
        assert code == 0, err
        assert not STEERS.search(out + err), arguments
        if "--json" in arguments:
            assert out.isascii()
            json.loads(out)
        if "csv" in arguments:
            cells = [cell for row in csv.reader(io.StringIO(out)) for cell in row]
            assert not any(re.match(r"[=+@\t\r]|-(?![\d.])", cell) for cell in cells)


def test_markup_is_shown_as_the_text_that_it_is(run, hostile):
    hostile(MARKUP)
    assert MARKUP in run("catalog", "show", "big", "--catalog", "toy")[1]
    assert f"Catalog {MARKUP} {MARKUP} (sha " in " ".join(run("solve", "toy.yaml")[1].split())
    assert f"Catalog {MARKUP} {MARKUP} (sha " in run("solve", "toy.yaml", "-f", "text")[1]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: toy", 'name: "%s"'),
        ("llm: tiny", 'llm: "%s"'),
        ("- name: chat", '- name: "%s"'),
        ("catalog: toy", 'catalog: "%s"'),
        ("policy:", 'limits: {regions: {allow: ["%s"]}}\npolicy:'),
        ("policy:", 'limits: {max_units: {"%s": 1}}\npolicy:'),
        ("policy:", '"%s": 1\npolicy:'),
    ],
)
@pytest.mark.parametrize("text", HOSTILE, ids=["markup", "html", "formula", "bidi", "hidden"])
def test_no_text_of_a_problem_steers_a_terminal(run, folder, old, new, text):
    content = PROBLEM.replace(old, new % text.replace('"', '\\"'))
    (folder / "x.yaml").write_text(content, encoding="utf-8")
    for arguments in (("check", "x.yaml"), ("solve", "x.yaml", "--json")):
        code, out, err = run(*arguments)
        assert code == exit_codes.INPUT
        assert not STEERS.search(out + err)


@pytest.mark.parametrize("name", ["x\x1b[31m.yaml", "x\u202e.yaml", "x\n.yaml", "=1+1", "\udcff"])
def test_no_file_name_steers_a_terminal(run, name):
    for arguments in (("solve", name), ("solve", "toy.yaml", "--overlay", name), ("init", name)):
        code, out, err = run(*arguments)
        assert code in (exit_codes.FOUND, exit_codes.INPUT)
        assert not STEERS.search(out + err)


# ---- files


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


FAILURES = {
    "a full disk while writing": ("write", OSError(28, "No space left on device")),
    "Ctrl-C while writing": ("write", KeyboardInterrupt()),
    "a full disk at the end": ("replace", OSError(28, "No space left on device")),
    "Ctrl-C at the end": ("replace", KeyboardInterrupt()),
}


@pytest.mark.parametrize("failure", list(FAILURES))
@pytest.mark.parametrize("existing", [True, False])
def test_a_failure_in_the_middle_leaves_neither_half_a_file_nor_a_temporary_one(
    run, folder, monkeypatch, failure, existing
):
    where, error = FAILURES[failure]
    if existing:
        (folder / "plan.json").write_text("old")
    before = names_in(folder)
    with monkeypatch.context() as patch:
        if where == "replace":
            patch.setattr(os, "replace", raising(error))
        else:
            break_writing(patch, error)
        code = main(["solve", "toy.yaml", "--output", "plan.json"])
    expected = exit_codes.INPUT if isinstance(error, OSError) else exit_codes.INTERRUPTED
    assert code == expected
    assert names_in(folder) == before
    if existing:
        assert (folder / "plan.json").read_text() == "old"


def break_writing(patch: pytest.MonkeyPatch, error: BaseException) -> None:
    """Every file that `streams` opens takes half of what it is given, and then fails."""
    genuine = open

    def opened(*arguments: Any, **options: Any) -> Any:
        file = genuine(*arguments, **options)
        write = file.write

        def half(text: str) -> None:
            write(text[: len(text) // 2])
            file.flush()
            raise error

        file.write = half
        return file

    patch.setattr(streams, "open", opened, raising=False)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_init_writes_a_whole_file_or_none(folder, monkeypatch, error):
    break_writing(monkeypatch, error)
    assert main(["init", "new.yaml"]) in (exit_codes.INPUT, exit_codes.INTERRUPTED)
    assert not (folder / "new.yaml").exists()


@pytest.mark.parametrize("name", ["toy.yaml", "toy", "link"])
def test_init_never_overwrites(run, folder, name):
    (folder / "link").symlink_to("elsewhere")
    code, _, err = run("init", name)
    assert (code, err) == (exit_codes.INPUT, f"{name}: exists already; give another name\n")
    assert (folder / "toy.yaml").read_text() == PROBLEM
    assert not (folder / "elsewhere").exists()


@pytest.fixture
def unsolved(monkeypatch):
    monkeypatch.setattr(planner, "solve", raising(AssertionError("not reached")))


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("toy.yaml", "is the input file; give another name"),
        ("./toy/../toy.yaml", "is the input file; give another name"),
        ("link.yaml", "is the input file; give another name"),
        ("hard.yaml", "is the input file; give another name"),
        ("toy/gpus.csv", "is a file of a catalog; give another name"),
        ("base/offerings.csv", "is a file of a catalog; give another name"),
        ("toy/new.csv", "would lie among the files of the catalog toy; give another folder"),
        ("toylink/x.csv", "would lie among the files of the catalog toy; give another folder"),
        (
            "mine/offerings.csv",
            "would lie among the files of the catalog mine; give another folder",
        ),
        ("toy", "is a directory; give a file"),
        ("no/x.json", "there is no directory no"),
        ("toy.yaml/x.json", "there is no directory toy.yaml"),
        ("x" * 300, "File name too long"),
    ],
)
def test_no_input_is_ever_overwritten(run, folder, unsolved, output, words):
    (folder / "link.yaml").symlink_to("toy.yaml")
    (folder / "hard.yaml").hardlink_to(folder / "toy.yaml")
    (folder / "toylink").symlink_to("toy")
    for name in ("mine", "base"):
        (folder / name).mkdir()
        (folder / name / "gpus.csv").write_text(CATALOG["gpus.csv"])
    (folder / "base" / "offerings.csv").write_text(CATALOG["offerings.csv"])
    code, out, err = run("solve", "toy.yaml", "--overlay", "mine", "--output", output)
    assert (code, out) == (exit_codes.INPUT, "")
    assert err.endswith(f": {words}\n")
    assert (folder / "toy.yaml").read_text() == PROBLEM
    assert {path.name: path.read_text() for path in (folder / "toy").iterdir()} == CATALOG


def test_a_dash_is_standard_output_and_no_file(run, folder):
    before = names_in(folder)
    code, out, err = run("solve", "toy.yaml", "--json", "--output", "-")
    assert (code, err) == (0, "")
    assert json.loads(out)["status"] == "optimal"
    assert names_in(folder) == before


def test_a_new_file_gets_the_rights_of_any_new_file(run, folder):
    mask = os.umask(0o027)
    try:
        assert run("solve", "toy.yaml", "-o", "plan.json")[0] == 0
    finally:
        os.umask(mask)
    assert (folder / "plan.json").stat().st_mode & 0o777 == 0o640


def test_the_example_is_what_init_writes(run, folder):
    assert run("init", "new.yaml")[0] == 0
    assert (folder / "new.yaml").read_text(encoding="utf-8") == init.example()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("step", ["mkdir", "write", "rename"])
def test_a_new_folder_is_whole_or_leaves_nothing(folder, monkeypatch, error, step):
    before = sorted(folder.rglob("*"))

    def fail(*_args: object, **_kwargs: object) -> None:
        raise error

    if step == "rename":
        monkeypatch.setattr(Path, "rename", fail)
    if step == "mkdir":  # of the folder within the draft, the last that is made
        made = Path.mkdir
        monkeypatch.setattr(
            Path, "mkdir", lambda p, *a, **k: fail() if p.name == "new" else made(p, *a, **k)
        )

    def make() -> None:
        with new_folder(folder / "above" / "new") as draft:
            (draft / "table.csv").write_text("a")
            if step == "write":
                fail()

    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else InputError):
        make()
    assert sorted(folder.rglob("*")) == before


# ---- where and how often it runs


def costs(rate: float, **options: Any) -> tuple[str, float | None, list[int]]:
    plan = planner.solve(builders.problem(rate, **options), builders.big_and_small())
    return plan.status.value, plan.cash_usd_per_month, [p.units for p in plan.purchases]


ONE_OF_EACH = ("optimal", 5.5 * 720, [1, 1])  # 13 requests/s are one big and one small


def test_threads_and_an_event_loop_may_solve_side_by_side():
    async def together() -> list[tuple[str, float | None, list[int]]]:
        first = costs(13)  # in the thread of the loop itself
        return [first, *await asyncio.gather(*(asyncio.to_thread(costs, 13) for _ in range(3)))]

    assert asyncio.run(together()) == [ONE_OF_EACH] * 4


def test_a_temporary_folder_that_is_not_there_or_full_is_no_bug_of_ours(run, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    code, out, err = run("solve", "toy.yaml")
    assert (code, out) == (exit_codes.INPUT, "")
    assert err.startswith("the system refused: No such file or directory: ")

    def full(*_args: object, **_kwargs: object) -> None:
        raise OSError(28, "No space left on device", "/tmp/m.mps")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr("milp_planner.milp.program.model.FleetModel.write_mps", full)
    before = sorted(tmp_path.rglob("*"))
    code, out, err = run("solve", "toy.yaml")
    assert (code, out) == (exit_codes.INPUT, "")
    assert err.startswith("the system refused: No space left on device: /tmp/m.mps\n")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_temporary_folder_may_have_any_name_and_is_left_empty(tmp_path, monkeypatch):
    odd = tmp_path / "a b 'c\u00e9"
    odd.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(odd))
    assert costs(13) == ONE_OF_EACH
    assert list(odd.iterdir()) == []


@pytest.mark.parametrize(
    ("rate", "limits", "expected"),
    [
        # One big, $2,880: paid by a budget, or not by one that is half a cent short of it.
        (10, {"budget": {"usd_per_month": 2880 + 1e-5}}, ("optimal", 2880.0, [1])),
        (10, {"budget": {"usd_per_month": 2880 - 5e-3}}, ("infeasible", None, [])),
        # Eight big carry 80 requests/s, and no more.
        (80, {"max_gpus": {"total": 8}}, ("optimal", 8 * 2880.0, [8])),
        (80.001, {"max_gpus": {"total": 8}}, ("infeasible", None, [])),
        # A millionth of a request, and a million of them: 100,000 big.
        (1e-6, {}, ("optimal", 1.5 * 720, [1])),
        (1e6, {}, ("optimal", 100_000 * 2880.0, [100_000])),
    ],
)
def test_at_the_edge_and_at_the_ends_of_the_scale_the_answer_is_right(rate, limits, expected):
    assert costs(rate, limits=limits) == expected
