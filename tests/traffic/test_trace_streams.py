"""Long traces are added up chunk by chunk: whatever the chunks, the same digest."""

from __future__ import annotations

import gzip
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from milp_planner import InputError, Trace
from milp_planner.cli.parts import bars
from milp_planner.traffic import tally
from milp_planner.traffic.classes import bin_sizes
from milp_planner.traffic.digest import digest, hour_rates
from milp_planner.traffic.digested import TraceDigest
from milp_planner.traffic.sources import opening
from milp_planner.traffic.trace import read_requests
from tests.support.traffic_builders import HEADER, faults, write

DAY_S = 86_400


def rows_of(arrivals_s: Sequence[float], seed: int = 1) -> list[tuple[float, int, int]]:
    sizes = np.random.default_rng(seed).lognormal([7, 4], 1, (len(arrivals_s), 2)).astype(int)
    return [(round(a, 3), i, o) for a, (i, o) in zip(arrivals_s, sizes.tolist(), strict=True)]


def in_chunks(path: Path, rows: int, monkeypatch: Any, **fields: Any) -> tuple[TraceDigest, ...]:
    """The digest of a file as one chunk, and in chunks of so many rows; named apart, as a digest
    of the same file is kept."""
    other = path.with_name(f"chunks_{path.name}")
    other.write_bytes(path.read_bytes())
    whole = digest(path, Trace(file="x", **fields))
    monkeypatch.setattr(tally, "CHUNK_ROWS", rows)
    return whole, replace(digest(other, Trace(file="x", **fields)), file=str(path))


@pytest.mark.parametrize("span_s", [5_000, 3 * DAY_S, 9 * DAY_S])
@pytest.mark.parametrize("jitter_s", [0, 100])
def test_chunks_change_nothing_of_a_file_near_sorted_by_time(
    span_s: int, jitter_s: int, tmp_path: Path, monkeypatch: Any
) -> None:
    draw = np.random.default_rng(span_s)
    arrivals = np.sort(draw.uniform(0, span_s, 4_000)) + draw.uniform(0, jitter_s, 4_000)
    path = write(tmp_path, rows_of(arrivals.tolist()))
    whole, chunks = in_chunks(path, 37, monkeypatch, classes=5, percentile=0.99)
    assert chunks == whole
    assert len(whole.bins) == 5


def test_the_gaps_of_a_minute_are_told_across_chunks(tmp_path: Path, monkeypatch: Any) -> None:
    bursts = [10.0 * k + 0.01 * d for k in range(60) for d in range(10)]
    whole, chunks = in_chunks(write(tmp_path, rows_of(bursts)), 7, monkeypatch)
    assert chunks == whole
    # 59 gaps a minute: 54 of 0.01 s, 5 of 9.91 s, whose mean is 50.09 ÷ 59
    mean = 50.09 / 59
    scv = (54 * 0.01**2 + 5 * 9.91**2) / 59 / mean**2 - 1
    assert chunks.gaps_scv == pytest.approx(scv, rel=1e-6)


def test_a_long_file_out_of_order_loses_its_gaps_and_nothing_else_and_says_so(
    tmp_path: Path, monkeypatch: Any
) -> None:
    # newest first: the first chunk of 100 rows begins half an hour in, and minutes that are counted
    # from it are not those from the first arrival
    drawn = np.random.default_rng(4).uniform(7, 1_900, 1_000).round(3)
    arrivals = np.sort(drawn)[::-1].tolist()
    path = write(tmp_path, rows_of(arrivals))
    whole, chunks = in_chunks(path, 100, monkeypatch, classes=3, percentile=0.99)
    (said,) = set(chunks.doubts) - set(whole.doubts)
    late = int((drawn < 21 * 60).sum())  # the latest is in minute 31
    assert said == (
        f"{late} of 1,000 arrivals come more than 10 minutes after later ones; how much gaps vary "
        "is told without them; sort the file by time"
    )
    assert replace(chunks, doubts=whole.doubts, gaps_scv=whole.gaps_scv) == whole
    assert whole.hours == hour_rates(np.array(arrivals), 0.99)[2]  # from the first arrival


def test_too_many_sizes_share_cells_and_totals_stay_exact(tmp_path: Path, monkeypatch: Any) -> None:
    path = write(tmp_path, rows_of(np.arange(5_000).tolist()))
    exact = digest(path, Trace(file="x", classes=4))
    monkeypatch.setattr(tally, "MOST_PAIRS", 500)
    _, coarse = in_chunks(path, 600, monkeypatch, classes=4)
    for total in ("requests", "input_tokens", "output_tokens"):
        assert getattr(coarse, total) == getattr(exact, total)
        assert sum(getattr(b, total) for b in coarse.bins) == getattr(exact, total)
    assert min(b.shortest for b in coarse.bins)[0] == min(b.shortest for b in exact.bins)[0]
    assert max(b.longest[0] for b in coarse.bins) == max(b.longest[0] for b in exact.bins)
    for mine, theirs in zip(coarse.bins, exact.bins, strict=True):  # cells are 1/64 wide
        mean, true = mine.input_tokens / mine.requests, theirs.input_tokens / theirs.requests
        assert mean == pytest.approx(true, rel=0.05)
        assert mine.requests == pytest.approx(theirs.requests, rel=0.05)


def test_a_cell_holds_lengths_of_the_same_seven_leading_bits(monkeypatch: Any) -> None:
    monkeypatch.setattr(tally, "MOST_PAIRS", 3)
    held = tally.Tally()
    # 256 has nine bits, two more than lead: 256 to 259 share a cell, 260 begins the next
    inputs = np.array([256, 259, 259, 260, 100, 3])
    held.add(np.arange(6.0), inputs, np.array([1, 1, 1, 1, 1, 1]))
    sizes = held.sizes()
    assert sizes.sizes[:, 0].tolist() == [3, 100, 258, 260]  # (256 + 2 x 259) / 3 = 258
    assert sizes.counts.tolist() == [1, 1, 3, 1]
    assert sizes.sums[:, 0].tolist() == [3, 100, 774, 260]
    assert (sizes.least[2, 0], sizes.most[2, 0]) == (256, 259)
    (one,) = bin_sizes(sizes, 1)
    assert (one.requests, one.input_tokens, one.longest) == (6, inputs.sum(), (260, 1))


def test_faults_behind_the_first_chunk_are_told_with_their_lines(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(tally, "CHUNK_ROWS", 10)
    path = write(tmp_path, [*[(k, 5, 1) for k in range(25)], (25, 5, -1), (1e9, 5, 1)])
    said = [f"{path}:27: output_tokens: must be at least 0 (is -1)"]
    assert faults(digest, path, Trace(file="x")) == said
    assert faults(read_requests, path) == said
    path = write(tmp_path, [*[(k, 5, 1) for k in range(25)], (1e9, 5, 1)], name="long.csv")
    assert faults(digest, path, Trace(file="x")) == [f"{path}: spans 11,574 days, more than 3,660"]


def test_what_is_added_up_has_other_limits_than_what_is_kept(
    tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(opening, "MOST_LINES", 5)
    monkeypatch.setattr(opening, "MOST_BYTES", 60)
    path = write(tmp_path, [(k, 5, 1) for k in range(50)])
    assert digest(path, Trace(file="x")).requests == 50
    assert faults(read_requests, path) == [
        f"{path}: is larger than 500 MB; sample it and set scale"
    ]
    monkeypatch.setattr(opening, "MOST_STREAMED_BYTES", 100)
    path = write(tmp_path, [(k, 5, 1) for k in range(51)])
    assert faults(digest, path, Trace(file="x")) == [
        f"{path}: is larger than 20 GB; sample it and set scale"
    ]


def test_an_archive_that_unpacks_to_no_end_is_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(opening, "MOST_BYTES", 1_000_000)
    monkeypatch.setattr(opening, "LOOK_BYTES", 100_000)
    path = tmp_path / "t.csv"
    path.write_bytes(gzip.compress(HEADER.encode() + b"\n" + b"0,5,1\n" * 1_000_000))
    (said,) = faults(digest, path, Trace(file="x"))
    assert said.endswith(": unpacks to more than 100 times its size; give it unpacked")
    path = tmp_path / "long.jsonl"
    line = b'{"timestamp": 0, "input_length": 5, "output_length": 1, "note": "%b"}\n'
    monkeypatch.setattr(opening, "LONGEST_JSON_LINE", 100)
    path.write_bytes(line % b"" + line % (b"x" * 100))
    assert faults(digest, path, Trace(file="x")) == [f"{path}:2: the line is longer than 100 bytes"]


def test_who_watches_is_told_how_far_a_file_is_read(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(opening, "LOOK_BYTES", 1_000)
    seen: list[tuple[Path, int, int]] = []
    path = write(tmp_path, [(k, 5, 1) for k in range(5_000)])
    with opening.watched(lambda *told: seen.append(told)):
        digest(path, Trace(file="x"))
    size = path.stat().st_size
    assert {(file, total) for file, _, total in seen} == {(path, size)}
    read = [done for _, done, _ in seen]
    assert read == sorted(read)
    assert size - 9_300 < read[-2] < size  # what is buffered counts for read
    assert read[-1] == size
    digest(write(tmp_path, [(0, 5, 1)] * 5_000, name="other.csv"), Trace(file="x"))
    assert {file for file, _, _ in seen} == {path}


def bars_shown(monkeypatch: Any) -> list[str]:
    """What each bar that is shown from here on says it counts."""
    shown: list[str] = []
    counted = bars.counted

    def noted(what: str, total: int, *, quiet: bool) -> Any:
        shown.append(what)
        return counted(what, total, quiet=quiet)

    monkeypatch.setattr(bars, "counted", noted)
    return shown


def test_a_bar_shows_a_long_file_on_a_terminal_and_what_turns_steps_aside(
    tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "LOOK_BYTES", 1_000)
    aside: list[str] = []
    status = SimpleNamespace(stop=lambda: aside.append("stop"), start=lambda: aside.append("start"))
    path = write(tmp_path, [(k, 5, 1) for k in range(5_000)])
    with bars.reading(quiet=False, beside=status):
        read_requests(path)
    assert not aside  # in a pipe
    monkeypatch.setattr(bars, "_is_terminal", lambda: True)
    with bars.reading(quiet=True, beside=status):
        read_requests(path)
    assert not aside
    shown = bars_shown(monkeypatch)
    with bars.reading(quiet=False, beside=status):
        read_requests(path)
        assert aside == ["stop", "start"]
    assert (aside, shown) == (["stop", "start"], ["reading trace.csv"])
    bad = write(tmp_path, [*[(k, 5, 1) for k in range(500)], ("\0", 5, 1)], name="bad.csv")
    with pytest.raises(InputError), bars.reading(quiet=False, beside=status):
        read_requests(bad)
    assert aside == ["stop", "start"] * 2
    assert capsys.readouterr().out == ""


def test_a_bar_that_counts_gives_way_to_the_file_that_is_read(
    tmp_path: Path, monkeypatch: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(opening, "LOOK_BYTES", 1_000)
    monkeypatch.setattr(bars, "_is_terminal", lambda: True)
    path = write(tmp_path, [(k, 5, 1) for k in range(5_000)])
    with bars.counted_and_read("replaying", 100, quiet=True) as done:
        assert done is None
    shown = bars_shown(monkeypatch)
    with bars.counted_and_read("replaying", 100, quiet=False) as done:
        assert done is not None
        done(10)
        read_requests(path)  # two bars at once would be an error of theirs
        done(100)
    assert shown == ["reading trace.csv"]
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(tally, "CHUNK_ROWS", 20_000)

    def peak_bytes(rows: int) -> int:
        path = tmp_path / f"{rows}.csv"
        with path.open("w") as file:
            file.write(f"{HEADER}\n")
            file.writelines(f"{k / 10:.1f},{k % 97},{k % 89}\n" for k in range(rows))
        tracemalloc.start()
        try:
            digest(path, Trace(file="x"))
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    peak_bytes(1_000)  # what is imported
    short, long = peak_bytes(60_000), peak_bytes(240_000)
    assert long < 1.2 * short  # 180,000 rows more of 24 bytes were 4.3 MB


def test_a_file_of_requests_beyond_ten_years_is_no_trace(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="spans 11,574 days"):
        digest(write(tmp_path, [(0, 5, 1), (1e9, 5, 1)]), Trace(file="x"))
