"""What only shows after hours: signals at any moment, and thousands of solves in one process.

Run with `pytest -m soak -s`; `SOAK_SHARE=0.1` in the environment runs a tenth, `-k signal` the
signals alone, `-k "signal and replay"` those of one command. Figures are printed.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from milp_planner import Status, solve
from tests.support.builders import big_and_small, problem
from tests.support.random_problems import random_case
from tests.support.signalled.commands import (
    CODES,
    COMMANDS,
    arguments,
    lay,
    look_at,
    price_list,
    read,
)
from tests.support.signalled.fresh import fresh_end
from tests.support.signalled.warm import End, WarmCommands, warm_commands

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts in /proc"),
]

SHARE = float(os.environ.get("SOAK_SHARE", "1"))
SIGNALS, SOLVES = max(1, round(200 * SHARE)), max(40, round(5_000 * SHARE))
FRESH_SIGNALS = max(1, round(8 * SHARE))

MEASURED_EVERY = 50
"""Signals after which it is measured again how long a command takes: the machine may be busier."""

STARTS_S, STARTED_S = 0.05, 1.0
"""Until the first Python itself starts, before any line of ours, and answers a signal in its own
way; about the second, on a busy machine, all is imported and a command begins."""

MOST_CPU_S = 1.0
"""The longest end, of a processor: what a busy machine adds is not ours."""

MOST_GROWTH_KIB = 24 * 1024


class Place(NamedTuple):
    """Where commands run: what they read, and where their price list is."""

    inputs: Path
    url: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    inputs = tmp_path_factory.mktemp("inputs")
    lay(inputs)
    with price_list() as url:
        yield Place(inputs, url)


@pytest.fixture(scope="module")
def warm() -> Iterator[WarmCommands]:
    with warm_commands() as warm:
        yield warm


class Checked:
    """A folder for one run of a command, and what must be so in it afterwards."""

    def __init__(self, home: Path) -> None:
        self.folder, self.temp = home / "here", home / "temp"
        self.output = home / "out", home / "err"
        self.folder.mkdir()
        self.temp.mkdir()

    def look(self, moment: str) -> None:
        """Nothing half is left, and nobody was shown a traceback."""
        out, err = (path.read_bytes() for path in self.output)
        moment = f"{moment} {err.decode()}"
        assert b"Traceback" not in err, moment
        assert os.listdir(self.temp) == [], moment
        look_at(self.folder, moment)
        read(out, moment)


def warm_end(
    warm: WarmCommands,
    place: Place,
    command: str,
    number: signal.Signals | None = None,
    after_s: float = 0.0,
) -> End:
    """How a command ends; what it leaves is looked at."""
    with tempfile.TemporaryDirectory() as name:
        checked = Checked(Path(name))
        words = arguments(command, *place)
        end = warm.end(words, checked.folder, checked.output, number, after_s)
        moment = f"{command}, {number!r} after {after_s:.4f} s: {end}"
        checked.look(moment)
        assert end.left == (), moment
        return end


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_signal_at_any_moment_of_any_long_command_leaves_nothing(
    command: str, place: Place, warm: WarmCommands
) -> None:
    moments = random.Random(command)
    before = sorted(place.inputs.rglob("*"))
    ends: list[End] = []
    late = 0
    while len(ends) < SIGNALS:
        if len(ends) % MEASURED_EVERY == 0:
            usual = warm_end(warm, place, command)
        number = moments.choice(list(CODES))
        end = warm_end(warm, place, command, number, moments.uniform(0, usual.whole_s))
        assert end.code in (usual.code, -number, CODES[number]), (command, number.name, end)
        if end.was_sent:
            ends.append(end)
        late += not end.was_sent
        assert late <= SIGNALS
    assert sorted(place.inputs.rglob("*")) == before
    stopped = [end for end in ends if end.code != usual.code]
    slowest = max(ends, key=lambda end: end.end_s - end.waited_s)
    cpu_s = max(end.cpu_s for end in ends)
    print(
        f"\n{command}: {len(stopped)} of {SIGNALS} stopped it, {late} more came too late; the end "
        f"took at most {max(end.end_s for end in ends):.2f} s, "
        f"{slowest.end_s - slowest.waited_s:.2f} s without waiting for a processor, "
        f"{cpu_s:.2f} s of one"
    )
    assert stopped
    assert cpu_s < MOST_CPU_S


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_signal_while_a_command_starts_leaves_nothing(command: str, place: Place) -> None:
    moments = random.Random(f"fresh {command}")
    for _ in range(FRESH_SIGNALS):
        number = moments.choice(list(CODES))
        after_s = moments.uniform(STARTS_S, STARTED_S)
        with tempfile.TemporaryDirectory() as name:
            checked = Checked(Path(name))
            words = arguments(command, *place)
            code = fresh_end(words, checked.folder, checked.output, number, after_s)
            if code != -number:  # Python's own answer, before a line of ours
                checked.look(f"{command}, {number!r} after {after_s:.3f} s: {code}")
            assert code in (0, 3, 4, -number, CODES[number])


def counts() -> tuple[int, int, int, int]:
    """Memory in KiB, descriptors, threads and child processes of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory_kib = pages * resource.getpagesize() // 1024
    children = sum(
        len((task / "children").read_text().split()) for task in Path("/proc/self/task").iterdir()
    )
    return memory_kib, len(os.listdir("/proc/self/fd")), threading.active_count(), children


def test_thousands_of_solves_in_one_process_leave_nothing_behind() -> None:
    rented = big_and_small()
    seen = []
    for i in range(SOLVES):
        if i % 10 == 9:  # some of every feature, with whichever answer
            solve(*random_case(i), time_limit_s=5, alternatives=1)
        else:
            solver = ("both", "cbc", "highs")[i % 3]
            plan = solve(problem(13 + i % 5), rented, solver=solver)  # type: ignore[arg-type]
            assert plan.status is Status.OPTIMAL
        if i % max(1, SOLVES // 20) == 0 or i == SOLVES - 1:
            seen.append(counts())
            print(f"\n{i + 1} solves: {seen[-1][0]} KiB, {seen[-1][1:]}", end="")
    warm, last = seen[len(seen) // 4], seen[-1]
    assert last[0] - warm[0] < MOST_GROWTH_KIB
    assert last[1] <= warm[1] + 2  # an idle worker has two pipes
    assert last[2] <= warm[2]
    assert last[3] <= warm[3] + 1
