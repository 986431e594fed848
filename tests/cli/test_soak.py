"""What only shows after hours: signals at any moment, and thousands of solves in one process.

Run with `pytest -m soak -s`; `SOAK_SHARE=0.1` in the environment runs a tenth, `-k signal` the
signals alone, `-k "signal and replay"` those of one command. Figures are printed.
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
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from milp_planner import Status, load_catalog, load_problem, solve
from milp_planner.cli.parts import exit_codes
from tests.support.builders import big_and_small, problem
from tests.support.price_server import price_server
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
LONGEST_END_CPU_S = 1.0  # of a processor: what a busy machine adds is not ours
CODES = {
    signal.SIGINT: exit_codes.INTERRUPTED,
    signal.SIGTERM: exit_codes.TERMINATED,
}
COMMANDS = {
    name: line.split()
    for name, line in {
        "solve": "solve {asked} --format json",
        "alone": "solve {asked} --solver highs --format json",
        "alternatives": "solve {asked} --alternatives 30 --format json",
        "range": "solve {asked} --range --format json",
        "infeasible": "solve tight.yaml --format json",
        "sheet": "solve {asked} --format sheet-json",
        "text": "solve {asked}",
        "kept": "solve kept.yaml --replay --format json",
        "plan": "plan --llm llama-3.1-8b --tokens-per-day 5M --no-choices --save new.yaml",
        "report": "report {asked} -o new.html",
        "what-if": "what-if {asked} --traffic 1,2,3,4 --jobs 2 --json",
        "frontier": "what-if {asked} --budget 3000:9000 --json",
        "why-not": "explain {asked} --gpu h100-80gb-sxm --json",
        "limits": "explain {asked} --limits --json",
        "evaluate": "evaluate {asked} --fleet acme/box/eu-1=2 --overlay own --json",
        "candidates": "candidates {asked} --all --json",
        "check": "check {asked} --json",
        "traffic": "traffic {asked} --floor --json",
        "estimate": "estimate --llm llama-3.3-70b,llama-3.1-8b --gpu h100-80gb-sxm,l4-24gb "
        "--input 1500 --output 300 --json",
        "replay": "replay {asked} --requests 200000 --json",
        "tighten": "replay kept.yaml --requests 20000 --tighten --json",
        "calibrate": "calibrate own.csv --out new --json",
        "import": "catalog import gpuhunt acme.csv --out new",
        "refresh": "catalog refresh --source litellm --litellm-url {url}/p.json --out new --json",
        "rows": "catalog check {market} --json",
        "changes": "catalog diff inference-atlas market --json",
    }.items()
}
"""Every command that takes long; `init`, `schema`, `diff` and `catalog list` end at once."""

MOST_GROWTH_KIB = 24 * 1024


def lay(folder: Path) -> None:
    """The quickstart under a budget that pays for nothing, which is diagnosed, and with a wish that
    a replay judges; a price list of ten thousand rows, an overlay, and own measurements."""
    limits = "limits: {budget: {usd_per_month: 500}}\n"
    asked = Path(QUICKSTART).read_text()
    (folder / "tight.yaml").write_text(asked + limits)
    (folder / "kept.yaml").write_text(asked.replace("tpot: 50ms", "tpot: 50ms, wait: {p99: 2s}"))
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


def of_folder(folder: Path) -> Iterator[tuple[str, float]]:
    """Command lines of processes that were started with `folder` as their temp folder, planners and
    workers, and the seconds of a processor that they and their children that ended have had."""
    mark = f"TMPDIR={folder / 'temp'}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                used = (process / "stat").read_text().rpartition(")")[2].split()[11:15]
                line = (process / "cmdline").read_text().replace("\0", " ")
                if line:
                    yield line, sum(map(int, used)) / os.sysconf("SC_CLK_TCK")
        except OSError:  # gone, or not ours
            continue


class End(NamedTuple):
    """How a command ended: its exit code, and what the end took after the signal."""

    code: int
    wall_s: float
    cpu_s: float


def cpu_s_of_ended() -> float:
    """Seconds of a processor that all children of this process that ended have had."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ended(command: str, number: signal.Signals | None, after_s: float, url: str) -> End:
    """How a command ends that gets a signal after a while; what it leaves is looked at."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "temp").mkdir()
        lay(folder)
        before = set(os.listdir(folder))
        given = {"asked": QUICKSTART, "market": ROOT / "catalogs" / "market", "url": url}
        at_first_s = cpu_s_of_ended()
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "milp_planner",
                *(part.format(**given) for part in COMMANDS[command]),
            ],
            cwd=folder,
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TMPDIR": str(folder / "temp"),
                "NO_PROXY": "*",
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        sent_s, until_then_s = time.monotonic(), 0.0
        try:
            out, err = process.communicate(timeout=after_s)
        except subprocess.TimeoutExpired:
            assert number is not None
            until_then_s = sum(cpu_s for _, cpu_s in of_folder(folder))
            process.send_signal(number)
            sent_s = time.monotonic()
            out, err = process.communicate(timeout=LONGEST_S)
        took_s = time.monotonic() - sent_s
        cpu_s = cpu_s_of_ended() - at_first_s - until_then_s
        moment = f"{command}, {number} after {after_s:.3f} s: {process.returncode} {err.decode()}"
        assert b"Traceback" not in err or process.returncode == -(number or 0), moment
        assert os.listdir(folder / "temp") == [], moment
        look_at(folder, set(os.listdir(folder)) - before, moment)
        for _ in range(100):  # a worker that was idle leaves when its stdin ends
            if not (left := [line for line, _ in of_folder(folder)]):
                break
            time.sleep(0.05)
        assert left == [], moment
        if out and not out.startswith(WORDS):
            assert isinstance(json.loads(out), dict | list), moment
        return End(process.returncode, took_s, cpu_s)


WORDS = (b"Optimal plan", b"Best plan found", b"new")
"""What answers in words begin with; all others are JSON."""


def look_at(folder: Path, made: set[str], moment: str) -> None:
    """Everything that a command made is whole."""
    for name in made:
        assert name in ("new", "new.yaml", "new.html"), moment
    if "new" in made:
        load_catalog(folder / "new")
    if "new.yaml" in made:
        load_problem(folder / "new.yaml")
    if "new.html" in made:
        assert (folder / "new.html").read_text().rstrip().endswith("</html>"), moment


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """A server on the loopback with a price list of a thousand APIs."""
    one = {
        "litellm_provider": "deepinfra",
        "mode": "chat",
        "input_cost_per_token": 3e-7,
        "output_cost_per_token": 4e-7,
    }
    prices = {f"deepinfra/llama-3.{i}-70b": one for i in range(1000)}
    with price_server() as server:
        server.answers["/p.json"] = json.dumps(prices).encode()
        yield server.url


@pytest.mark.parametrize("command", list(COMMANDS))
def test_a_signal_at_any_moment_of_any_long_command_leaves_nothing(command: str, url: str) -> None:
    began_s = time.monotonic()
    usual = ended(command, None, LONGEST_S * 10, url).code
    whole_s = time.monotonic() - began_s
    moments = random.Random(command)
    stopped: list[End] = []
    for _ in range(SIGNALS):
        number = moments.choice(list(CODES))
        end = ended(command, number, moments.uniform(STARTS_S, whole_s), url)
        assert end.code in (usual, -number, CODES[number]), (command, number.name, end)
        if end.code != usual:
            stopped.append(end)
    assert stopped
    wall_s, cpu_s = max(end.wall_s for end in stopped), max(end.cpu_s for end in stopped)
    print(
        f"\n{command}: {len(stopped)} of {SIGNALS} stopped it; the end took at most "
        f"{wall_s:.2f} s, {cpu_s:.2f} s of a processor"
    )
    assert cpu_s < LONGEST_END_CPU_S


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
