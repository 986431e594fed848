"""Ctrl-C at every moment of what writes files and folders: the old or the new, whole, no more."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
from pathlib import Path

import pytest

from milp_planner import drafts
from milp_planner.cli.parts import streams
from milp_planner.exports import folders
from milp_planner.inputs.catalog import writing
from milp_planner.milp.engines import scratch
from tests.support.signalled.every_moment import interrupts

OLD, NEW = {"README.md": "old"}, {"README.md": "new", "b.yaml": "new"}


def held(folder: Path) -> dict[str, str]:
    """All files below a folder."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in folder.rglob("*")
        if path.is_file()
    }


def cleared(folder: Path, files: dict[str, str]) -> Path:
    """The folder with these files alone."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return folder


def below(name: str, files: dict[str, str]) -> dict[str, str]:
    return {f"{name}/{file}": text for file, text in files.items()}


def write_file(home: Path) -> None:
    streams.write_file(home / "plan.json", "new")


def write_new_file(home: Path) -> None:
    streams.write_new_file(str(home / "new.yaml"), "new")


def export(home: Path) -> None:
    folders.write_folder(home / "out", NEW, overwrite=True)


def make_catalog(home: Path) -> None:
    with writing.new_folder(home / "out") as folder:
        for name, text in NEW.items():
            (folder / name).write_text(text)


@pytest.mark.parametrize(
    ("write", "old", "new"),
    [
        (write_file, {"plan.json": "old"}, {"plan.json": "new"}),
        (write_new_file, {}, {"new.yaml": "new"}),
        (export, below("out", OLD), below("out", NEW)),
        (export, {}, below("out", NEW)),
        (make_catalog, {}, below("out", NEW)),
    ],
)
def test_an_interrupt_at_any_moment_leaves_the_old_or_the_new(tmp_path, write, old, new):
    home = tmp_path / "home"
    modules = (streams, folders, writing, drafts)
    seen = []
    for moment in interrupts(lambda: write(cleared(home, old)), *modules):
        seen.append(held(home))
        assert seen[-1] in (old, new), moment
        assert len(list(home.iterdir())) == len({name.split("/")[0] for name in seen[-1]}), moment
    assert held(home) == new
    assert new in seen


def test_an_interrupt_at_any_moment_leaves_no_scratch_folder(tmp_path, monkeypatch):
    def use() -> None:
        with scratch.scratch_folder() as folder:
            (folder / "fleet.mps").write_text("x")

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    for moment in interrupts(use, scratch, drafts, contextlib, os):
        drafts._let_all_go()  # as the end of the process does
        assert list(tmp_path.iterdir()) == [], moment
    assert not drafts._to_go


def test_an_interrupt_while_the_temp_folder_is_looked_for_leaves_no_file(tmp_path, monkeypatch):
    def look() -> None:
        tempfile.tempdir = None
        with scratch.scratch_folder():
            pass

    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    others = threading.enumerate()  # of pools that wait for work, and never end
    for moment in interrupts(look, scratch, tempfile):
        for thread in threading.enumerate():  # as the end of a command waits for them
            if thread not in others and not thread.daemon:
                thread.join()
        assert list(tmp_path.iterdir()) == [], moment


def test_a_folder_that_cannot_take_its_place_leaves_what_was_there(tmp_path):
    old = cleared(tmp_path / "old", OLD)
    with pytest.raises(FileNotFoundError):
        drafts.take_place(tmp_path / "never made", old, tmp_path / "former")
    assert held(tmp_path) == below("old", OLD)
