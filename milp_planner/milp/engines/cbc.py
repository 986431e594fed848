"""Runs CBC on an MPS file: finds it, starts it, and says honestly what it found.

PuLP would report a plan found at the time limit as optimal, and a time limit inside preprocessing
as infeasible. Here the status comes from three things that must agree: CBC's solution file, its
binary twin with every digit, and its log. Whatever does not fit is `FAILED` with a reason.
"""

from __future__ import annotations

import contextlib
import functools
import os
import re
import shutil
import signal
import struct
import subprocess
import threading
import time
from array import array
from collections.abc import Sequence
from pathlib import Path

from milp_planner.errors import input_error
from milp_planner.lazily import dataclass, replace
from milp_planner.milp.engines.child import Ended, run_child
from milp_planner.milp.engines.outcome import (
    CBC,
    FEW_COLUMNS,
    KILLED_BY_SYSTEM,
    KILLED_LATE,
    OUT_OF_MEMORY,
    ROW_TOLERANCE,
    EngineStatus,
    SolverRun,
    StopReason,
    fault_in_values,
    seconds_since,
    whole_share_in,
)
from milp_planner.milp.engines.scratch import scratch_folder

ENVIRONMENT_VARIABLE = "MILP_PLANNER_CBC"
OLDEST_CBC_ON_PATH = (2, 10, 10)  # older ones on PATH are no better than PuLP's own 2.10.3

CAREFUL = ("-preprocess", "off", "-probing", "off")
"""What makes CBC 2.10.3 right. Of 4,000 random fleet models it was wrong on 17 as it comes and on 8
with preprocessing off; with both off on none of 18,000, at the same speed. What is left is a crash
on 0.2 %, all of them infeasible."""

SEARCH_ONLY = (
    *(*CAREFUL, "-heuristicsOnOff", "off"),
    *("-roundingHeuristic", "on", "-greedyHeuristic", "on"),
    *("-passCuts", "10"),
)
"""For small models: branching finds their plans sooner than diving for them does. As right as the
careful settings on 2,000 random fleet models, and up to twice as fast on many request classes. The
two quick heuristics that stay give a plan at a time limit, where without any there was none. Ten
rounds of cuts at the root instead of a hundred halve the time of next-best plans."""

WITHOUT_CUTS = (*SEARCH_ONLY, "-cutsOnOff", "off")
"""For small models of which no more than a tenth is whole numbers: a few kinds of units, and who of
them serves which of many classes. Cuts find little there and fill every row: without them 66 such
models took 4.3 s instead of 6.9 s, with the same answers."""

MOSTLY_SHARES = 0.1

OTHERWISE = ("-preprocess", "off", "-heuristicsOnOff", "off")
"""As right as the above, by another way through the search."""

AFTER_A_CRASH = ()
"""CBC as it comes: it does not crash where the careful settings do."""

NO_MEMORY_WORDS = ("bad_alloc", "out of memory", "Out of memory")
"""What CBC, or the C++ below it, prints when it gets no memory."""

SHELL_SIGNAL_BASE = 128  # a wrapper script ends with this plus the number of the signal

VERSION_TIMEOUT_S = 10.0
LEAST_TIME_LIMIT_S = 0.01
NO_BOUND = 1e49  # CBC writes 1e50 for "none"
BOUND_ROUNDING = 0.0005  # the log prints bounds with three decimals

MODEL_FILE, SOLUTION_FILE, BINARY_FILE, LOG_FILE = "model.mps", "plan.txt", "plan.bin", "log.txt"


@dataclass(frozen=True)
class CbcBinary:
    """A CBC that runs on this machine."""

    path: str
    version: str
    """As it prints it: `2.10.3`, `devel`."""

    origin: str
    """Where it was found: `solver setting`, `MILP_PLANNER_CBC`, `PATH` or `PuLP`."""


def find_cbc(explicit: str | None = None) -> CbcBinary | None:
    """The CBC to use: `explicit`, then MILP_PLANNER_CBC, then PATH (2.10.10 or newer), then PuLP's.

    None when this machine has none (PuLP brings none for some). A CBC that was asked for by name
    and does not run raises InputError: falling back in silence would answer another question.
    """
    asked = (
        (explicit, "solver setting"),
        (os.environ.get(ENVIRONMENT_VARIABLE), ENVIRONMENT_VARIABLE),
    )
    for name, origin in asked:
        if name:
            return _asked_for(name, origin)
    on_path = _binary(shutil.which("cbc"), "PATH")
    if on_path and _version_numbers(on_path.version) >= OLDEST_CBC_ON_PATH:
        return on_path
    return _binary(_pulps_own(), "PuLP")


def run_cbc(
    mps: Path,
    *,
    columns: Sequence[str],
    time_limit_s: float,
    executable: str,
    gap: float = 0.0,
    seed: int = 0,
    other_settings: bool = False,
    cancel: threading.Event | None = None,
) -> SolverRun:
    """What CBC says of the model in `mps`; never raises for what CBC does.

    columns: names that must have a value. gap: relative, of the objective; 0 asks for a proof.
    other_settings: a second way to the same answer, for when the first is in doubt. cancel: set it
    from any thread to end CBC at once. CBC is killed when it stays on for 2 s after its time limit.
    """
    started_s = time.monotonic()
    limit_s = max(time_limit_s, LEAST_TIME_LIMIT_S)
    cancel = cancel or threading.Event()
    settings = OTHERWISE if other_settings else usual_settings(mps, len(columns))
    asked = _Asked(mps, columns, limit_s, gap, seed, settings)
    outcome = _run_once(executable, asked, cancel)
    if outcome.crashed and (left_s := limit_s - seconds_since(started_s)) > 0:
        asked = replace(asked, time_limit_s=left_s, settings=AFTER_A_CRASH)
        outcome = _run_once(executable, asked, cancel)
    return replace(outcome, seconds=seconds_since(started_s))


def usual_settings(mps: Path, columns: int) -> tuple[str, ...]:
    """CBC's first settings for a model of so many columns."""
    if columns > FEW_COLUMNS:
        return CAREFUL
    return WITHOUT_CUTS if whole_share_in(mps) <= MOSTLY_SHARES else SEARCH_ONLY


# --- finding it ---------------------------------------------------------------------------------


def _asked_for(name: str, origin: str) -> CbcBinary:
    binary = _binary(shutil.which(name), origin)
    if binary is None:
        raise input_error(
            f"{origin} names {name!r}, which does not run as CBC",
            hint="leave it out to use the CBC that comes with PuLP",
        )
    return binary


def _binary(path: str | None, origin: str) -> CbcBinary | None:
    """The CBC at `path` with its version; None when nothing runs there."""
    if not path or not os.access(path, os.X_OK):
        return None
    path = os.path.abspath(path)
    version = _version(path, os.stat(path).st_mtime_ns)
    return CbcBinary(path, version, origin) if version else None


@functools.cache
def _version(path: str, changed_ns: int) -> str:
    """The version that `path` prints, or '' when it does not run; `changed_ns` renews the cache."""
    try:
        asked = subprocess.run(
            [path, "-quit"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VERSION_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    if asked.returncode != 0:
        return ""
    return _version_in(asked.stdout)


def _version_in(log: str) -> str:
    found = re.search(r"^Version:\s*(\S+)", log, re.MULTILINE)
    return found[1] if found else ""


def _version_numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _pulps_own() -> str | None:
    """Path of the CBC inside PuLP's wheel; PuLP marks it executable when it is imported."""
    try:
        from pulp.apis import coin_api
    except ImportError:
        return None
    return getattr(coin_api, "pulp_cbc_path", None)


# --- running it ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Asked:
    """What one run is asked for."""

    mps: Path
    columns: Sequence[str]
    time_limit_s: float
    gap: float
    seed: int
    settings: tuple[str, ...]


def _run_once(executable: str, asked: _Asked, cancel: threading.Event) -> SolverRun:
    started_s = time.monotonic()
    try:
        if not os.access(executable, os.X_OK):
            raise OSError("it is not there, or not executable")
        with scratch_folder() as home:
            _put_model(asked.mps, home)
            ended = run_child(
                [os.path.abspath(executable), MODEL_FILE, *_options(asked)],
                home=home,
                log=home / LOG_FILE,
                time_limit_s=asked.time_limit_s,
                cancel=cancel,
            )
            return _read(ended, home, asked, seconds_since(started_s))
    except OSError as error:
        return SolverRun(CBC, "", EngineStatus.FAILED, reason=f"cannot run {executable}: {error}")


def _options(asked: _Asked) -> list[str]:
    """CBC reads its command line in order: settings, solve, then the two solution files.

    The text file goes first: CBC 2.10.3 crashes in `-saveSolution` on models found infeasible in
    preprocessing unless `-solution` came before. `-threads 0` is one thread without CBC's
    hand-over between a main and a worker thread, which `-threads 1` pays for at every node.
    """
    settings = {
        "-sec": f"{asked.time_limit_s:.3f}",
        "-timeMode": "elapsed",
        "-threads": "0",
        "-randomSeed": str(asked.seed),
        "-randomCbcSeed": str(asked.seed),
        "-ratioGap": f"{asked.gap:.12g}",
        "-allowableGap": "0",
        "-primalTolerance": f"{ROW_TOLERANCE:g}",
        "-integerTolerance": f"{ROW_TOLERANCE:g}",
    }
    # `all` prints the columns that are zero too
    outputs = ["-printingOptions", "all", "-solution", SOLUTION_FILE, "-saveSolution", BINARY_FILE]
    given = [word for setting in settings.items() for word in setting]
    return [*given, *asked.settings, "-solve", *outputs]


def _put_model(mps: Path, home: Path) -> None:
    """The model under a plain name in CBC's directory, so that no path reaches its parser."""
    try:
        (home / MODEL_FILE).symlink_to(mps.absolute())
    except OSError:  # Windows, without the right to make links
        shutil.copyfile(mps, home / MODEL_FILE)


# --- reading it ---------------------------------------------------------------------------------


class _Unusable(Exception):
    """CBC's files do not hold what they should."""


class _Crashed(_Unusable):
    """A signal ended CBC."""


def _read(ended: Ended, home: Path, asked: _Asked, seconds: float) -> SolverRun:
    """The outcome that the child's exit, its log and its two solution files agree on."""
    log = (home / LOG_FILE).read_text(encoding="utf-8", errors="replace")
    outcome = SolverRun(CBC, _version_in(log), EngineStatus.NO_SOLUTION, seconds=seconds)
    if ended.cancelled:
        return replace(outcome, reason=StopReason.CANCELLED)
    if ended.killed:
        return replace(outcome, reason=KILLED_LATE)
    try:
        if ended.exit_code != 0:
            raise _bad_exit(ended.exit_code, log)
        lines = _solution_lines(home)
        status, reason = _status(lines[0], log, asked, seconds)
        outcome = replace(outcome, status=status, reason=reason)
        if outcome.has_values:
            return _with_plan(outcome, lines, home, log, asked)
        return replace(outcome, bound=_bound(log) if status is EngineStatus.NO_SOLUTION else None)
    except _Unusable as error:
        crashed = isinstance(error, _Crashed)
        return replace(outcome, status=EngineStatus.FAILED, reason=str(error), crashed=crashed)


def _with_plan(
    outcome: SolverRun, lines: list[str], home: Path, log: str, asked: _Asked
) -> SolverRun:
    objective, values = _values(lines, home)
    if fault := fault_in_values(values, asked.columns, asked.mps):
        raise _Unusable(fault)
    bound = objective if outcome.status is EngineStatus.OPTIMAL else _bound(log)
    if bound is None and outcome.reason is StopReason.GAP_REACHED:
        bound = objective - asked.gap * abs(objective)
    bound = None if bound is None else min(bound, objective)
    return replace(outcome, objective=objective, bound=bound, values=values)


def _bad_exit(exit_code: int, log: str) -> _Unusable:
    if any(words in log for words in NO_MEMORY_WORDS):
        return _Unusable(OUT_OF_MEMORY)
    if exit_code == -getattr(signal, "SIGKILL", 9):
        return _Unusable(KILLED_BY_SYSTEM)
    number = -exit_code if exit_code < 0 else exit_code - SHELL_SIGNAL_BASE
    with contextlib.suppress(ValueError):
        return _Crashed(f"crashed: {signal.Signals(number).name}")
    return _Unusable(f"ended with exit code {exit_code}")


def _solution_lines(home: Path) -> list[str]:
    try:
        text = (home / SOLUTION_FILE).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise _Unusable("wrote no solution file") from None
    lines = text.splitlines()
    if not lines:
        raise _Unusable("wrote an empty solution file")
    return lines


def _status(header: str, log: str, asked: _Asked, seconds: float) -> tuple[EngineStatus, str]:
    """Status and reason from the solution's first line, held against the log and the clock."""
    words = header.partition(" - objective value")[0].strip()
    if words == "Optimal":
        if not re.search(r"^(Result - Optimal solution found|Optimal objective)\b", log, re.M):
            raise _Unusable("says optimal, but its log does not")
        # a search that CBC restarted on a smaller model may have stopped at the gap unannounced
        if asked.gap > 0 and re.search(r"^Cbc00(11|44)I ", log, re.M):
            return EngineStatus.FEASIBLE, StopReason.GAP_REACHED
        return EngineStatus.OPTIMAL, ""
    if words == "Optimal (within gap tolerance)":
        return EngineStatus.FEASIBLE, StopReason.GAP_REACHED
    if words in ("Infeasible", "Integer infeasible"):
        # a time limit inside preprocessing is reported as infeasible
        if seconds >= asked.time_limit_s:
            return EngineStatus.NO_SOLUTION, StopReason.TIME_LIMIT
        return EngineStatus.INFEASIBLE, ""
    if words == "Unbounded":  # also said of models found infeasible in preprocessing
        return EngineStatus.FAILED, StopReason.INFEASIBLE_OR_UNBOUNDED
    if words.startswith("Stopped on"):
        late = "on time" in words or seconds >= asked.time_limit_s
        reason = StopReason.TIME_LIMIT if late else words.lower().partition(" (")[0]
        if "no integer solution" in words:  # what follows is the LP's fractional point
            return EngineStatus.NO_SOLUTION, reason
        return EngineStatus.FEASIBLE, reason
    raise _Unusable(f"says {words[:60]!r}, which we do not know")


def _values(lines: list[str], home: Path) -> tuple[float, dict[str, float]]:
    """Objective and values: names from the text file, numbers with all digits from the binary one.

    Raises _Unusable when either file is cut short.
    """
    objective, row_count, numbers = _numbers(home)
    named = lines[1:]
    if len(named) != row_count + len(numbers):
        raise _Unusable(f"wrote {len(named)} of {row_count + len(numbers)} solution lines")
    names = [line.removeprefix("**").split(maxsplit=2)[1] for line in named[row_count:]]
    return objective, dict(zip(names, (number + 0.0 for number in numbers), strict=True))  # no -0.0


def _numbers(home: Path) -> tuple[float, int, list[float]]:
    """Objective, number of rows, and the value of every column, from `-saveSolution`.

    Layout, in the machine's own byte order: int rows, int columns, double objective, then doubles:
    row activities, row duals, column values, reduced costs.
    """
    try:
        data = (home / BINARY_FILE).read_bytes()
        row_count, column_count, objective = struct.unpack_from("=iid", data)
    except (FileNotFoundError, struct.error):
        raise _Unusable("wrote no values") from None
    if len(data) != 16 + 16 * (row_count + column_count):
        raise _Unusable("wrote a truncated solution")
    values = array("d", data[16 + 16 * row_count :][: 8 * column_count])
    return objective, row_count, values.tolist()


def _bound(log: str) -> float | None:
    """The lower bound that the log ends with, rounded down."""
    found = re.findall(r"^Lower bound:\s+(\S+)", log, re.MULTILINE)
    bound = float(found[-1]) if found else NO_BOUND
    return bound - BOUND_ROUNDING if abs(bound) < NO_BOUND else None
