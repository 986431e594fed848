"""What a solver run gives back, in the same words for CBC and HiGHS.

An engine turns an MPS file into an `SolverRun`. To add one, write a function that returns an
`SolverRun` beside `cbc.py` and `highs.py`, and line it up in `certify.py`. All models minimise.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, StrEnum
from pathlib import Path

from milp_planner.lazily import dataclass, field

CBC = "cbc"
HIGHS = "highs"
ENGINE_NAMES = {CBC: "CBC", HIGHS: "HiGHS"}
"""How an engine is called where people read it."""

ROW_TOLERANCE = 1e-9
"""By how much a plan of an engine may break a row; CBC's may miss a whole number by no more.

The engines' own 1e-6 let a fleet in that is 1e-5 too small where coefficients are near 10, and the
check of the plan, which is relative to the limit, then refuses it: 6 of 1,500 random problems. With
1e-9 none was refused, every answer was the same, and both engines took as long as before.
"""

FEW_COLUMNS = 1_000
"""Up to which the engines are set for small models: branching needs no help to find plans there."""


KILLED_LATE = "killed: it did not stop at its time limit"
OUT_OF_MEMORY = "memory ran out"
KILLED_BY_SYSTEM = "was killed by the system: most often because memory ran out"


class StopReason(StrEnum):
    """Why an engine stopped or failed, where it is one of these, in the words that tell it."""

    TIME_LIMIT = "time limit"
    GAP_REACHED = "gap reached"
    NODE_LIMIT = "node limit"
    CANCELLED = "stopped: its answer was no longer wanted"
    INFEASIBLE_OR_UNBOUNDED = "infeasible or unbounded"


class EngineStatus(Enum):
    """How far one run of one engine came."""

    OPTIMAL = "optimal"
    """The engine says that nothing cheaper exists, and gives values."""

    FEASIBLE = "feasible"
    """Stopped at the gap or a limit, with values."""

    INFEASIBLE = "infeasible"
    """The engine says that no values keep all rows."""

    NO_SOLUTION = "no solution"
    """Stopped before any values were found; nothing is proven."""

    FAILED = "failed"
    """Crashed, did not start, or said something that cannot be used; the reason says what."""


@dataclass(frozen=True)
class SolverRun:
    """What one run of one engine claims; nothing in it has been checked."""

    engine: str
    """`cbc` or `highs`."""

    version: str
    """As the engine prints it; '' when it never came that far."""

    status: EngineStatus

    objective: float | None = None
    """The engine's own figure for its values, in the objective's unit."""

    bound: float | None = None
    """The engine's claim that no plan costs less, in the objective's unit."""

    values: Mapping[str, float] = field(default_factory=dict)
    """Value of every column, by name; empty without a plan."""

    seconds: float = 0.0
    """Wall time."""

    iterations: int = 0
    """Steps of the simplex method, where the engine counts them: work that no clock measures."""

    reason: StopReason | str = ""
    """Why it failed or stopped; what is no `StopReason` is told and never looked into."""

    crashed: bool = False
    """Whether a signal ended it."""

    @property
    def has_values(self) -> bool:
        """Whether there is a plan to look at."""
        return self.status in (EngineStatus.OPTIMAL, EngineStatus.FEASIBLE)

    @property
    def name(self) -> str:
        """The engine's name as people write it."""
        return ENGINE_NAMES.get(self.engine, self.engine)


def fault_in_values(values: Mapping[str, float], columns: Sequence[str], mps: Path) -> str:
    """What makes `values` unusable as a plan for the model in `mps`; '' when nothing does.

    Every one of `columns` must have a number, but for those that the file does not have: PuLP
    leaves out variables that no row and no cost uses.
    """
    for name, value in values.items():
        if not math.isfinite(value):
            return f"column {name!r} is {value}"
    missing = [name for name in columns if name not in values]
    if missing:
        written = set(_columns_in(mps))
        missing = [name for name in missing if name in written]
    return f"no value for column {missing[0]!r}" if missing else ""


def _columns_in(mps: Path) -> Iterator[str]:
    """First words of the lines of the COLUMNS section."""
    with mps.open(encoding="utf-8") as lines:
        for line in _column_lines(lines):
            yield line.split(maxsplit=1)[0]


def _column_lines(lines: Iterator[str]) -> Iterator[str]:
    """The lines of the COLUMNS section."""
    for _ in itertools.takewhile(lambda line: line.rstrip() != "COLUMNS", lines):
        pass
    return itertools.takewhile(lambda line: line.startswith(" "), lines)


def whole_share_in(mps: Path) -> float:
    """Share of the model's columns that must be whole numbers."""
    columns: set[str] = set()
    whole: set[str] = set()
    reading_whole = False
    with mps.open(encoding="utf-8") as lines:
        for line in _column_lines(lines):
            name = line.split(maxsplit=1)[0]
            if "'MARKER'" in line:
                reading_whole = "INTORG" in line
                continue
            columns.add(name)
            if reading_whole:
                whole.add(name)
    return len(whole) / len(columns) if columns else 0.0


def seconds_since(started_s: float) -> float:
    """Wall time since `started_s`, a reading of `time.monotonic`."""
    return time.monotonic() - started_s
