"""A good fleet of a large program, step by step: what is held first, then every block by itself.

Units held all month are whole numbers over all blocks; once they are known, blocks are apart. So
fractions of elastic units are enough to choose them by, each block then chooses its own elastic
units, and what is left to gain is looked for in one workload after another, or in a third of the
blocks, with all else as it is. (Relaxation induced and large neighbourhoods: Danna, Rothberg and Le
Pape 2005; Shaw 1998.) Nothing is proven here: it is a fleet to begin with.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Iterator, Mapping
from typing import NamedTuple

from milp_planner.lazily import dataclass
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.presolve.lazy_rows import relaxed_values
from milp_planner.milp.presolve.numbers import Numbers
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.milp.program.model import FleetModel

LEAST_ELASTIC = 300
"""Columns of elastic units from which steps pay: with fewer the engines are as quick."""

HELD_GAP, BLOCK_GAP, NEAR_GAP = 0.004, 1e-4, 1e-3
HELD_OF_TIME, NEAR_OF_TIME = 0.4, 0.2
"""Parts of the time for what is held, and at most for one neighbourhood."""

WINDOWS = 3
"""Parts of the blocks that are looked at one after another where there is one workload."""

LEAST_GAIN = 1e-3
"""Relative: what a look at all neighbourhoods must gain for another one."""

PATIENCE = 4
"""Times its equal part of the time that a block may take at most."""

LEAST_S = 0.05

NOISE = 1e-7
"""Relative: what a solver's tolerance of its rows may take off the cost of fractions."""


@dataclass(frozen=True)
class _Clock:
    ends_s: float
    cancel: threading.Event | None

    @property
    def left_s(self) -> float:
        stopped = self.cancel is not None and self.cancel.is_set()
        return 0.0 if stopped else max(0.0, self.ends_s - time.monotonic())


def steps_pay(model: FleetModel) -> bool:
    """True where there are both units that are held and many that are not."""
    elastic = elastic_columns(model.fleet)
    held = (one for one in model.fleet.units.values() if one.name not in elastic)
    return len(elastic) >= LEAST_ELASTIC and next(held, None) is not None


def elastic_columns(fleet: Fleet) -> set[str]:
    """Names of the columns of units that are on in one block alone."""
    blocks: dict[str, int] = {}
    for column in (*fleet.units.values(), *fleet.shared.values()):
        blocks[column.name] = 0
    for (_, _, t), column in fleet.units.items():
        blocks[column.name] |= 1 << t
    for (_, t), column in fleet.shared.items():
        blocks[column.name] |= 1 << t
    return {name for name, of in blocks.items() if of.bit_count() == 1}


class Steps(NamedTuple):
    """A fleet, and what is known of the best."""

    values: Mapping[str, float]
    """Of all columns."""

    bound: float | None
    """What fractions of units cost: no fleet costs less. None where that was not found in time."""


def held_first(
    model: FleetModel, time_limit_s: float, cancel: threading.Event | None = None
) -> Steps | None:
    """A fleet; None where some block has none, or time ends before there is any."""
    clock = _Clock(time.monotonic() + time_limit_s, cancel)
    numbers, elastic = Numbers.of(model), elastic_columns(model.fleet)
    relaxed = relaxed_values(model, clock.left_s, cancel)
    bound = None if relaxed is None else numbers.usd(relaxed) * (1 - NOISE)
    loose = numbers.in_parts(elastic)
    values = _solved(loose, clock, HELD_OF_TIME * clock.left_s, HELD_GAP)
    if values is None:
        return None
    chosen = {name: values[name] for name, one in loose.columns.items() if one.whole}
    parts = list(numbers.holding(chosen).apart())
    for nth, part in enumerate(parts):
        found = _solved(part, clock, PATIENCE * clock.left_s / (len(parts) - nth), BLOCK_GAP)
        if found is None:
            return None
        chosen |= found
    around = list(_neighbourhoods(model.fleet, elastic))
    return Steps(_improved(numbers, chosen, around, clock), bound)


def _improved(
    numbers: Numbers,
    values: Mapping[str, float],
    neighbourhoods: Collection[frozenset[str]],
    clock: _Clock,
) -> Mapping[str, float]:
    """The values, or cheaper ones, once each set of columns was free in turn, until that gains next
    to nothing."""
    usd = numbers.usd(values)
    while clock.left_s >= LEAST_S:
        before_usd = usd
        for fixed in neighbourhoods:
            near = numbers.holding({name: values[name] for name in fixed})
            found = _solved(near, clock, NEAR_OF_TIME * clock.left_s, NEAR_GAP)
            if found is not None and near.usd(found) < near.usd(values):
                values = {**values, **found}
        usd = numbers.usd(values)
        if before_usd - usd <= LEAST_GAIN * abs(usd):
            break
    return values


def _neighbourhoods(fleet: Fleet, elastic: Collection[str]) -> Iterator[frozenset[str]]:
    """What stays as it is while the rest is looked at again: the other workloads, or the elastic
    units of other blocks."""
    names = [w.name for w in fleet.problem.workloads]
    if len(names) > 1:
        of: dict[str, set[str]] = {name: set() for name in names}
        for columns in (fleet.units, fleet.shares):
            for (k, _, _), column in columns.items():
                of[k.workload].add(column.name)
        every = frozenset().union(*of.values())
        yield from (every - of[name] for name in names)
        return
    peaks = fleet.demand(names[0]).peak
    order = sorted(range(len(peaks)), key=lambda t: (-peaks[t], t))
    for nth in range(WINDOWS):
        free = set(order[nth * len(order) // WINDOWS : (nth + 1) * len(order) // WINDOWS])
        yield frozenset(
            column.name
            for (_, _, t), column in fleet.units.items()
            if column.name in elastic and t not in free
        )


def _solved(
    numbers: Numbers, clock: _Clock, time_limit_s: float, gap: float
) -> dict[str, float] | None:
    """Values of the columns, whole where they must be; None where none are found in time."""
    if not numbers.rows:
        return {
            name: one.low if one.usd >= 0 else one.high for name, one in numbers.columns.items()
        }
    if clock.left_s < LEAST_S:
        return None
    with scratch_folder() as folder:
        mps = folder / "part.mps"
        numbers.write_mps(mps)
        run = run_highs(
            mps,
            time_limit_s=min(time_limit_s, clock.left_s),
            gap=gap,
            presolve=True,
            cancel=clock.cancel,
        )
    if not run.values:
        return None
    return {
        name: round(run.values.get(name, one.low)) if one.whole else run.values.get(name, one.low)
        for name, one in numbers.columns.items()
    }
