"""A folder is written whole or not at all, and nothing of others is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from milp_planner import ArgumentError, InputError, PlannerError, Status
from milp_planner.exports import folders
from milp_planner.exports.formats import FORMATS
from milp_planner.exports.parts.hours import windows
from milp_planner.exports.parts.pools import plain_name, unique_names
from tests.support.sample_plans import no_plan
from tests.support.shown.exported import API, ON_DEMAND, SPOT, bought, fleet, mixed


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    mixed().export("hpa", tmp_path / "out")  # an empty one is taken
    with pytest.raises(PlannerError, match=r"out: is not empty; give another folder, or --overw"):
        mixed().export("hpa", tmp_path / "out")


def test_an_earlier_export_is_replaced_and_leaves_nothing_behind(tmp_path: Path) -> None:
    mixed().export("hpa", tmp_path / "out")
    assert len(names(tmp_path / "out")) == 4
    fleet(bought(SPOT, 1, 1)).export("hpa", tmp_path / "out", overwrite=True)
    assert names(tmp_path / "out") == {"README.md", "chat-aws-l40s-48gb.yaml"}
    assert names(tmp_path) == {"out"}


def test_a_folder_with_a_file_of_someone_else_is_never_overwritten(tmp_path: Path) -> None:
    mixed().export("hpa", tmp_path / "out")
    (tmp_path / "out" / "mine.yaml").write_text("x")
    before = names(tmp_path / "out")
    with pytest.raises(PlannerError, match=r"holds what no export wrote: mine\.yaml"):
        mixed().export("hpa", tmp_path / "out", overwrite=True)
    assert names(tmp_path / "out") == before


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_write_that_fails_leaves_the_folder_as_it_was(
    overwrite: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    if overwrite:
        fleet(bought(SPOT, 1, 1)).export("hpa", out)
    before = {p.name: p.read_text() for p in out.iterdir()} if overwrite else None

    def full(made: Path, target: Path, former: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(folders, "take_place", full)
    with pytest.raises(PlannerError, match="cannot be written: No space left on device"):
        mixed().export("hpa", out, overwrite=overwrite)
    after = {p.name: p.read_text() for p in out.iterdir()} if out.exists() else None
    assert after == before
    assert names(tmp_path) == ({"out"} if overwrite else set())


def test_a_file_or_a_missing_parent_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(PlannerError, match="is a file; give a folder"):
        mixed().export("hpa", tmp_path / "file")
    with pytest.raises(PlannerError, match="there is no directory"):
        mixed().export("hpa", tmp_path / "no" / "where")


def test_a_format_that_there_is_not_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ArgumentError, match=r"there is no format 'kubernets'; did you mean 'kube"):
        mixed().export("kubernets", tmp_path / "out")


def test_without_a_fleet_there_is_nothing_to_export(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no fleet in it to export: it is infeasible"):
        no_plan(Status.INFEASIBLE).export("hpa", tmp_path / "out")


def test_apis_alone_are_routed_and_not_deployed(tmp_path: Path) -> None:
    plan = fleet(bought(API, 0, 0, cash=100.0))
    with pytest.raises(InputError, match="nothing is rented, APIs serve all of it"):
        plan.export("kubernetes", tmp_path / "out")
    plan.export("litellm", tmp_path / "out")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_lists_its_files_and_writes_the_same_again(name: str, tmp_path: Path) -> None:
    plan = fleet(bought(ON_DEMAND, 1, 1))
    if name == "sglang":
        pytest.skip("the plan stands on vLLM")
    plan.export(name, tmp_path / "one")
    plan.export(name, tmp_path / "two")
    listed = folders.listed_files(tmp_path / "one")
    assert listed == names(tmp_path / "one")
    texts = [{p.name: p.read_text() for p in (tmp_path / n).iterdir()} for n in ("one", "two")]
    assert texts[0] == texts[1]


def test_names_are_those_that_kubernetes_takes() -> None:
    assert plain_name("7B Chat/EU_1") == "p-7b-chat-eu-1"
    assert list(unique_names(["a", "a", "a-2", "a"])) == ["a", "a-2", "a-2-2", "a-3"]
    assert len(next(unique_names(["x" * 99]))) == 50


def test_windows_of_the_clock_wrap_around_midnight() -> None:
    day = [1] * 6 + [0] * 12 + [1] * 6  # block 0 from 6 to 18 h
    found = [(w.cron_start, w.cron_end, w.replicas) for w in windows(day, [5, 2])]
    assert found == [("0 6 * * *", "0 18 * * *", 5), ("0 18 * * *", "0 6 * * *", 2)]
    assert windows(day, [3, 3]) == ()
    assert windows([], [3, 4]) == ()
    week = [0] * 120 + [1] * 48  # Monday to Friday, then the weekend
    found = [(w.cron_start, w.cron_end, w.replicas) for w in windows(week, [5, 2])]
    assert found == [("0 0 * * 1", "0 0 * * 6", 5), ("0 0 * * 6", "0 0 * * 1", 2)]
