"""Spoilt files of every format, through every command: an answer or a refusal, and nothing left.

A few run with the slow tests; `pytest -m soak` runs 10,000, `SOAK_SHARE=0.1` a tenth of them.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import random
import re
import resource
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from milp_planner.cli import main
from milp_planner.cli.parts import exit_codes
from tests.support.spoilt.samples import Arguments, Sample, lay, samples
from tests.support.spoilt.spoilers import spoilt

SHARE = float(os.environ.get("SOAK_SHARE", "1"))
MANY, FEW = max(1, round(10_000 * SHARE)), 150
LONGEST_S = 120  # a run that takes longer hangs, on however busy a machine
MOST_GROWTH_KIB = 64 * 1024

ENDS = set(exit_codes.EXIT_CODES) - {
    *(exit_codes.BUG, exit_codes.INTERRUPTED, exit_codes.READER_GONE, exit_codes.TERMINATED)
}
STEERS = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\ud800-\udfff]")
"""What may not reach a terminal; line breaks may."""


class Hangs(BaseException):
    """A run that does not end; no handler of ours swallows it."""


@contextlib.contextmanager
def limited() -> Iterator[None]:
    def stop(*_: object) -> None:
        raise Hangs

    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(LONGEST_S)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def ran(arguments: Arguments) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of a command that is run in this process."""
    out, err = io.StringIO(), io.StringIO()
    with limited(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(list(arguments))
    return code, out.getvalue(), err.getvalue()


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def wrong_with(folder: Path, sample: Sample, arguments: Arguments, content: bytes) -> str:
    """What went wrong when a command read the spoilt file; '' where nothing did."""
    (folder / sample.file).write_bytes(content)
    before = names(folder)
    try:
        code, out, err = ran(arguments)
    except Hangs:
        return f"no end after {LONGEST_S} s"
    finally:
        (folder / sample.file).write_bytes(sample.content)
    left = [name for name in names(folder) if name not in before]
    _remove(folder, left)
    if code not in ENDS:
        return f"exit {code}: {err}"
    if "Traceback" in err:
        return err
    if steers := STEERS.search(out + err):
        return f"{steers[0]!r} is printed: {out + err}"
    if "--json" in arguments and code != exit_codes.INPUT:
        json.loads(out)
    if code == exit_codes.INPUT and not (err or out):
        return "refused without a word"
    if left and (code != exit_codes.FOUND or left[0] != "new"):
        return f"exit {code} left {left}"
    return ""


def _remove(folder: Path, left: list[str]) -> None:
    for name in reversed(left):
        path = folder / name
        path.rmdir() if path.is_dir() and not path.is_symlink() else path.unlink()


def case(seed: int, every: list[Sample]) -> tuple[Sample, Arguments, bytes]:
    """One sample, one of its commands, and its file spoilt."""
    chance = random.Random(seed)
    sample = chance.choice(every)
    arguments = chance.choice(sample.commands)
    return sample, arguments, spoilt(sample.content, chance)


@pytest.fixture
def laid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[Sample]]:
    every = samples()
    lay(tmp_path, every)
    monkeypatch.chdir(tmp_path)
    return tmp_path, every


def unhurried(arguments: Arguments) -> Arguments:
    """With as much time as it takes: what a busy machine finds in a moment is no test."""
    return tuple("100s" if word == "2s" else word for word in arguments)


@pytest.mark.slow
def test_every_good_file_is_read_by_all_its_commands(laid: tuple[Path, list[Sample]]) -> None:
    folder, every = laid
    for sample in every:
        for arguments in sample.commands:
            (folder / sample.file).write_bytes(sample.content)
            before = names(folder)
            code, _, err = ran(unhurried(arguments))
            assert code in (exit_codes.FOUND, exit_codes.GATE), (arguments, err)
            _remove(folder, [name for name in names(folder) if name not in before])


def counts() -> tuple[int, int, int]:
    """Memory in KiB, descriptors and threads of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory_kib = pages * resource.getpagesize() // 1024
    return memory_kib, len(os.listdir("/proc/self/fd")), threading.active_count()


def tried(folder: Path, every: list[Sample], seeds: range) -> Iterator[str]:
    """What went wrong, each with its seed."""
    for seed in seeds:
        sample, arguments, content = case(seed, every)
        if said := wrong_with(folder, sample, arguments, content):
            yield f"seed {seed}, {' '.join(arguments)}, {sample.file}: {said}"


@pytest.mark.slow
def test_a_few_spoilt_files_are_answered_or_refused(laid: tuple[Path, list[Sample]]) -> None:
    assert [*tried(*laid, range(FEW))] == []


@pytest.mark.soak
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts in /proc")
def test_thousands_of_spoilt_files_are_answered_or_refused(
    laid: tuple[Path, list[Sample]],
) -> None:
    wrong: list[str] = []
    step = max(1, MANY // 20)
    seen = []
    for first in range(0, MANY, step):
        seeds = range(first, min(MANY, first + step))
        wrong += tried(*laid, seeds)
        seen.append(counts())
        print(f"\n{seeds.stop} files: {seen[-1]}, {len(wrong)} wrong", end="")
    warm, last = seen[len(seen) // 4], seen[-1]
    assert wrong == []
    assert last[0] - warm[0] < MOST_GROWTH_KIB
    assert last[1] <= warm[1] + 2
    assert last[2] <= warm[2]
