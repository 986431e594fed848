"""Catalogs as large as a market: what is read at most, and that reading grows with the rows."""

from __future__ import annotations

import gc
import threading
from pathlib import Path

import pytest

from milp_planner import InputError, load_catalog
from milp_planner.inputs.reading.collecting import no_search_for_garbage
from tests.support.catalog_files import SOURCED, TODAY, WHOLE, faults, write
from tests.support.growth.steps import growth, steps_of

HEADER = WHOLE["offerings.csv"].splitlines(keepends=True)[0]


def rows(count: int, *, provider: str = "p{i}", region: str = "r", price: str = "3") -> str:
    """So many offerings of one GPU each, under names of their own."""
    row = f"{provider},n{{i}},{region},spot,l4-24gb,1,{price},{SOURCED}\n"
    return HEADER + "".join(row.format(i=i) for i in range(count))


def test_a_file_of_offerings_is_refused_from_50_mb_on_and_any_other_from_5(tmp_path: Path) -> None:
    text = faults(tmp_path / "a", offerings=rows(1) + "\n" * 50_000_000)
    assert text == "own/offerings.csv: is larger than 50 MB, the most that is read"
    text = faults(tmp_path / "b", gpus=WHOLE["gpus.csv"] + "\n" * 5_000_000)
    assert text == "own/gpus.csv: is larger than 5 MB, the most that is read"


def test_more_rows_than_a_catalog_may_have_are_refused_before_any_is_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milp_planner.inputs.catalog.csv_rows.MAX_ROWS", 300)  # 296 are places
    assert "more than 300 rows" not in faults(tmp_path / "a", offerings=rows(300, price="no"))
    assert faults(tmp_path / "b", offerings=rows(300, price="no") + "too,few\n") == (
        "own/offerings.csv: has more than 300 rows, the most that is read"
    )


def test_after_faults_enough_the_rest_of_a_file_is_not_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("milp_planner.inputs.catalog.files.ROWS_AT_ONCE", 2)
    monkeypatch.setattr("milp_planner.inputs.catalog.files.ENOUGH_FAULTS", 3)
    said = faults(tmp_path, offerings=rows(6, price="no")).splitlines()
    # Two rows at a time: after lines 2 to 5 there are four faults, more than three.
    wrong = "usd_per_hour: 'no' is not a number; write 1000 or 0.35"
    assert said == [
        *(f"own/offerings.csv:{line}: {wrong}" for line in (2, 3, 4, 5)),
        "own/offerings.csv:6: from here on rows were not looked at, as there are faults enough",
    ]


@pytest.mark.parametrize(
    "kind",
    [
        {},
        {"region": "us-{i}"},
        {"provider": "one", "region": "r{i}"},
        {"provider": "one", "region": "global"},
        {"price": ""},
    ],
    ids=["providers", "places", "of one provider", "without a place", "without a price"],
)
def test_twice_the_offerings_take_twice_the_steps(kind: dict[str, str], tmp_path: Path) -> None:
    somewhere = f"one,n,r,spot,l4-24gb,1,3,{SOURCED}\n"  # which those without a place may be in

    def steps(count: int) -> int:
        files = WHOLE | {"offerings.csv": rows(count, **kind) + somewhere}
        folder = write(tmp_path / str(count), files)
        return steps_of(lambda: load_catalog(folder, as_of=TODAY))

    assert growth(map(steps, (50, 100, 200))) < 2.2


def test_garbage_is_looked_for_again_after_a_catalog_was_read_or_refused(tmp_path: Path) -> None:
    assert gc.isenabled()
    load_catalog(write(tmp_path / "right", WHOLE), as_of=TODAY)
    assert gc.isenabled()
    wrong = write(tmp_path / "wrong", WHOLE | {"offerings.csv": rows(1, price="no")})
    with pytest.raises(InputError):
        load_catalog(wrong, as_of=TODAY)
    assert gc.isenabled()


def test_the_last_of_several_threads_lets_garbage_be_looked_for_again() -> None:
    begun, end = threading.Event(), threading.Event()

    def other() -> None:
        with no_search_for_garbage():
            begun.set()
            end.wait()

    with no_search_for_garbage():
        thread = threading.Thread(target=other)
        thread.start()
        begun.wait()
    assert not gc.isenabled()
    end.set()
    thread.join()
    assert gc.isenabled()
    gc.disable()
    try:
        with no_search_for_garbage():
            pass
        assert not gc.isenabled()  # as whoever runs this process wants it
    finally:
        gc.enable()
