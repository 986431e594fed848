"""The cheapest of what workloads may choose, on as few whole units as hold their replicas.

With z one for what each workload holds, y for what it has on in a block beside that, and g the GPUs
that its replicas take of a unit of G GPUs for c,

    min Σ c^own z + Σ h_t c^own y + Σ_j H c_j n_j + Σ_jt h_t c_j n_jt,
    Σ z = 1 per workload,    Σ_y of z y = z per block,    Σ g z ≤ G n_j,    Σ g y ≤ G n_jt

Each workload by itself is exact in it, fractions and all; what is left to the engines is how
replicas fill units.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.shared.choices import MOST_OPTIONS, Choice, InBlock
from milp_planner.milp.presolve.numbers import Column, NumberRow, Numbers

NEAR = 1e-6
"""Off what a row asks for, of its largest number, that is rounding."""


class SharedUnit(NamedTuple):
    """What is rented, for replicas to share."""

    gpus: int
    usd: float
    """USD/hour of an elastic one, USD/month of one that is held."""


class Chosen(NamedTuple):
    """What a workload takes."""

    held: Choice
    blocks: tuple[InBlock, ...]


@dataclass(frozen=True)
class Together:
    """The program, and what its columns stand for."""

    numbers: Numbers
    choices: Sequence[Sequence[Choice]]
    held: Mapping[str, tuple[int, int]]
    """Workload and choice, by column."""

    options: Mapping[str, tuple[int, int, int, int]]
    """Workload, choice, block and option, by column; none where there is one only."""

    units: Mapping[str, tuple[int, int | None]]
    """Unit, and the block of elastic ones."""

    def chosen(self, values: Mapping[str, float]) -> list[Chosen]:
        """What the columns say, by workload."""
        taken = {self.held[name] for name in self.held if round(values[name])}
        beside = [self.options[name] for name in self.options if round(values[name])]
        by_block = {(w, z, t): option for w, z, t, option in beside}
        found = []
        for w, z in sorted(taken):
            choice = self.choices[w][z]
            blocks = [one[by_block.get((w, z, t), 0)] for t, one in enumerate(choice.blocks)]
            found.append(Chosen(choice, tuple(blocks)))
        return found

    def judged(self, values: Mapping[str, float]) -> float | None:
        """What whole values cost; None where they break a row."""
        whole = {name: float(round(values[name])) for name in self.numbers.columns}
        for row in self.numbers.rows.values():
            left = sum(number * whole[name] for name, number in row.terms.items()) - row.right
            slack = NEAR * max(map(abs, row.terms.values()))
            if left > slack or (row.sense == "E" and left < -slack):
                return None
        return self.numbers.usd(whole)


def together(
    choices: Sequence[Sequence[Choice]], units: Sequence[SharedUnit], hours: Sequence[float]
) -> Together | None:
    """The program of these choices, by workload; None where it is large."""
    sizes = (len(one) for mine in choices for choice in mine for one in choice.blocks)
    if sum(size for size in sizes if size > 1) > MOST_OPTIONS:
        return None
    columns: dict[str, Column] = {}
    rows: dict[str, NumberRow] = {}
    takes: dict[tuple[int, int | None], dict[str, float]] = {}
    held: dict[str, tuple[int, int]] = {}
    options: dict[str, tuple[int, int, int, int]] = {}

    def take(name: str, gpus: Sequence[int], t: int | None) -> None:
        for j, count in enumerate(gpus):
            if count:
                takes.setdefault((j, t), {})[name] = float(count)

    for w, mine in enumerate(choices):
        names = []
        for z, choice in enumerate(mine):
            check()
            name = f"z{w}_{z}"
            names.append(name)
            held[name] = w, z
            take(name, choice.gpus, None)
            usd = choice.own_usd
            for t, beside in enumerate(choice.blocks):
                if len(beside) == 1:
                    usd += hours[t] * beside[0].own_usd
                    take(name, beside[0].gpus, t)
                    continue
                mine_in_block = {name: -1.0}
                for nth, option in enumerate(beside):
                    own = f"y{w}_{z}_{t}_{nth}"
                    options[own] = w, z, t, nth
                    columns[own] = Column(0.0, 1.0, True, hours[t] * option.own_usd)
                    mine_in_block[own] = 1.0
                    take(own, option.gpus, t)
                rows[f"b{w}_{z}_{t}"] = NumberRow("E", 0.0, mine_in_block)
            columns[name] = Column(0.0, 1.0, True, usd)
        rows[f"w{w}"] = NumberRow("E", 1.0, dict.fromkeys(names, 1.0))
    on = dict(_paid(units, hours, takes, columns, rows))
    return Together(Numbers(columns, rows), choices, held, options, on)


def _paid(
    units: Sequence[SharedUnit],
    hours: Sequence[float],
    takes: Mapping[tuple[int, int | None], dict[str, float]],
    columns: dict[str, Column],
    rows: dict[str, NumberRow],
) -> Iterator[tuple[str, tuple[int, int | None]]]:
    """The columns of units that are paid, and the rows by which they hold what stands on them."""
    for (j, t), terms in takes.items():
        unit = units[j]
        name = f"n{j}" if t is None else f"n{j}_{t}"
        most = math.ceil(sum(terms.values()) / unit.gpus)
        columns[name] = Column(0.0, float(most), True, unit.usd * (1.0 if t is None else hours[t]))
        rows[f"u{name}"] = NumberRow("L", 0.0, {**terms, name: -float(unit.gpus)})
        yield name, (j, t)
