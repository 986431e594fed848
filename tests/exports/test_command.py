"""`milp-planner export` as the shell sees it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from milp_planner.cli import main
from milp_planner.cli.commands.files.export import FORMAT_NAMES
from milp_planner.exports.formats import FORMATS
from tests.support.shown.exported import NAMELESS, ON_DEMAND, bought, fleet


@pytest.fixture
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    for name, k in (("named", ON_DEMAND), ("nameless", NAMELESS)):
        document = fleet(bought(k, 1, 1)).to_dict()
        (tmp_path / f"{name}.json").write_text(json.dumps(document))
    return tmp_path


def test_the_help_lists_every_format() -> None:
    assert tuple(FORMATS) == FORMAT_NAMES


def test_files_are_written_and_counted(in_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", "hpa", "named.json", "-o", "out"]) == 0
    assert capsys.readouterr().err == "2 files in out; README.md lists them\n"
    assert (in_folder / "out" / "chat-aws-l40s-48gb.yaml").exists()


def test_strict_exits_4_where_a_word_has_to_be_replaced(
    in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", "kubernetes", "nameless.json", "-o", "loose"]) == 0
    assert main(["export", "kubernetes", "nameless.json", "-o", "out", "--strict"]) == 4
    said = capsys.readouterr().err
    assert "replace REPLACE-WITH-INSTANCE-TYPE-OF-ACME-L40S-48GB: what acme calls a unit" in said
    assert main(["export", "kubernetes", "named.json", "-o", "whole", "--strict"]) == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["kubernets", "named.json", "-o", "out"], "there is no format 'kubernets'"),
        (["terraform", "named.json", "-o", "out"], "networks and images, of which a plan knows"),
        (["hpa", "missing.json", "-o", "out"], "missing.json: "),
        (["hpa", "named.json", "-o", "named.json"], "named.json: is a file; give a folder"),
        (["sglang", "named.json", "-o", "out"], "its rates are of vLLM, not of SGLang"),
    ],
)
def test_mistakes_exit_2_and_write_nothing(
    words: list[str], said: str, in_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", *words]) == 2
    assert said in capsys.readouterr().err
    assert not (in_folder / "out").exists()
