"""What only shows after hours: signals at any moment, and thousands of solves in one process.

Run with `pytest -m soak -s`; `SOAK_SHARE=0.1` in the environment runs a tenth. Figures are printed.
"""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import pytest

from milp_planner import Status, load_catalog, solve
from milp_planner.cli.parts import exit_codes
from tests.support.builders import big_and_small, problem
from tests.support.random_problems import random_case

pytestmark = [
    pytest.mark.soak,
    pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts in /proc"),
]

ROOT = Path(__file__).resolve().parents[2]
QUICKSTART = str(ROOT / "problems" / "quickstart.yaml")
SHARE = float(os.environ.get("SOAK_SHARE", "1"))
STARTS_S = 0.05
"""Until then Python itself starts, before any line of ours, and answers a signal in its own way."""

SIGNALS, SOLVES = max(1, round(200 * SHARE)), max(40, round(5_000 * SHARE))
LONGEST_S = 120.0  # a stop that takes longer is a hang, on however busy a machine
CODES = {
    signal.SIGINT: exit_codes.INTERRUPTED,
    signal.SIGTERM: exit_codes.TERMINATED,
}
COMMANDS = {
    "solve": ("solve", QUICKSTART, "--json"),
    "alone": ("solve", QUICKSTART, "--solver", "highs", "--json"),
    "alternatives": ("solve", QUICKSTART, "--alternatives", "30", "--json"),
    "range": ("solve", QUICKSTART, "--range", "--json"),
    "infeasible": ("solve", "tight.yaml", "--json"),
    "what-if": ("what-if", QUICKSTART, "--traffic", "1,2,3,4", "--jobs", "2", "--json"),
    "frontier": ("what-if", QUICKSTART, "--budget", "3000:9000", "--json"),
    "why-not": ("explain", QUICKSTART, "--gpu", "h100-80gb-sxm", "--json"),
    "limits": ("explain", QUICKSTART, "--limits", "--json"),
    "sheet": ("solve", QUICKSTART, "--format", "sheet-json"),
    "evaluate": (
        "evaluate",
        QUICKSTART,
        "--fleet",
        "acme/box/eu-1=2",
        "--overlay",
        "own",
        "--json",
    ),
    "import": ("catalog", "import", "gpuhunt", "acme.csv", "--out", "new"),
    "calibrate": ("calibrate", "own.csv", "--out", "new", "--json"),
}
MOST_GROWTH_KIB = 24 * 1024


def lay(folder: Path) -> None:
    """The quickstart under a budget that pays for nothing, which is diagnosed; a price list of ten
    thousand rows, an overlay, and measurements of one's own."""
    limits = "limits: {budget: {usd_per_month: 500}}\n"
    (folder / "tight.yaml").write_text(Path(QUICKSTART).read_text() + limits)
    header = "instance_name,location,price,gpu_count,gpu_name,gpu_memory,spot\n"
    rows = (f"l4-{i},eu-{i % 50},0.8,1,L4,24,False\n" for i in range(10_000))
    (folder / "acme.csv").write_text(header + "".join(rows))
    (folder / "own").mkdir()
    (folder / "own" / "offerings.csv").write_text(
        "provider,name,region,billing,gpu,gpus_per_unit,usd_per_hour,as_of,source\n"
        "acme,box,eu-1,dedicated,h200-141gb-sxm,1,3,2026-08-01,test\n"
    )
    (folder / "own.csv").write_text(
        "llm,gpu,precision,tensor_parallel,input_tokens,output_tokens,concurrency,"
        "output_tokens_per_second\n"
        + "".join(f"llama-3.1-8b,l4-24gb,bf16,1,{800 + i},200,16,150\n" for i in range(200))
    )


def of_folder(folder: Path) -> list[str]:
    """Processes that were started with `folder` as their temp folder: planners and workers."""
    mark = f"TMPDIR={folder / 'temp'}".encode()
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # gone, or not ours
            continue
    return [line for line in found if line]


def ended(command: str, number: signal.Signals | None, after_s: float) -> tuple[int, float]:
    """The exit code of a command that gets a signal after a while, and how long it took to end."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "temp").mkdir()
        lay(folder)
        before = set(os.listdir(folder))
        process = subprocess.Popen(
            [sys.executable, "-m", "milp_planner", *COMMANDS[command]],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder / "temp")},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        sent_s = time.monotonic()
        try:
            out, err = process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            assert number is not None
            process.send_signal(number)
            sent_s = time.monotonic()
            out, err = process.communicate(timeout=LONGEST_S)
        took_s = time.monotonic() - sent_s
        moment = f"{command}, {number} after {after_s:.3f} s: {process.returncode} {err.decode()}"
        assert b"Traceback" not in err or process.returncode == -(number or 0), moment
        assert os.listdir(folder / "temp") == [], moment
        made = set(os.listdir(folder)) - before
        assert made <= {"new"}, moment
        if made:  # whole, or not there
            load_catalog(folder / "new")
        for _ in range(100):  # a worker that was idle leaves when its stdin ends
            if not (left := of_folder(folder)):
                break
            time.sleep(0.05)
        assert left == [], moment
        if out and "--out" not in COMMANDS[command]:
            assert isinstance(json.loads(out), dict), moment
        return process.returncode, took_s


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_signal_at_any_moment_of_any_long_command_leaves_nothing(command: str) -> None:
    began_s = time.monotonic()
    usual, _ = ended(command, None, LONGEST_S * 10)
    whole_s = time.monotonic() - began_s
    moments = random.Random(command)
    codes: list[int] = []
    ends_s: list[float] = []
    for _ in range(SIGNALS):
        number = moments.choice(list(CODES))
        code, took_s = ended(command, number, moments.uniform(STARTS_S, whole_s))
        assert code in (usual, -number, CODES[number]), (command, number.name, code)
        if code != usual:
            ends_s.append(took_s)
        codes.append(code)
    stopped = sum(code != usual for code in codes)
    slowest = max(ends_s, default=0.0)
    print(f"\n{command}: {stopped} of {SIGNALS} stopped it, the slowest end {slowest:.2f} s")
    assert stopped


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
