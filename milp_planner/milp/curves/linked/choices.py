"""Choices of units that are known: the prices at which they are dearest, and the cheapest of them.

A workload takes one known choice z of held units, and in each block one y of elastic ones. Those
that carry more are needed where less is held: with r(y) what must be held beside y,

    Σ_{y: r(y) > c} y  ≤  Σ_{z: C(z) > c} z      for every c,

which says that block by block enough is carried, with no fraction gained. Both programs are small.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence

from milp_planner.deadline import cancel_asked, seconds_left
from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.linked.priced import PRICE_UNIT, Choice, PricedCover, Prices
from milp_planner.milp.curves.linked.reading import Linked
from milp_planner.milp.engines.highs import run_highs
from milp_planner.milp.engines.scratch import scratch_folder
from milp_planner.milp.presolve.numbers import Column, NumberRow, Numbers

WHOLE_GAP = 1e-4
"""Relative: how near to the cheapest of the known choices is near enough."""

Units = tuple[tuple[int, int], ...]

Chosen = list[tuple[Choice, Mapping[int, Choice]]]
"""Of each workload the held choice, and that of each block."""


@dataclass
class Known:
    """The choices of one workload that are known."""

    of: PricedCover
    held: dict[Units, Choice] = field(default_factory=dict)
    elastic: dict[int, dict[Units, Choice]] = field(default_factory=dict)

    def add(self, choices: Iterable[tuple[int | None, Choice]]) -> bool:
        """Take in choices, (block, elastic units) or (None, held ones); True where any is new."""
        before = self.count
        for t, choice in choices:
            kept = self.held if t is None else self.elastic.setdefault(t, {})
            kept.setdefault(choice.units, choice)
        return self.count > before

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self.held) + sum(map(len, self.elastic.values()))

    @property
    def levels(self) -> list[int]:
        """What the held choices carry, rising."""
        return sorted({choice.carries for choice in self.held.values()})

    def beside(self, t: int, choice: Choice) -> int:
        """What must be held beside elastic units in a block."""
        return max(0, self.of.needs[t] - choice.carries)


def dearest_prices(
    known: Sequence[Known], linked: Linked, most: Mapping[int, float]
) -> tuple[float, Prices] | None:
    """The prices, each at most so much, at which the cheapest known choices cost most, and what
    they cost then less what the links' right sides are worth; None where HiGHS does not say.

        max Σ_w θ_w − Σ_r Q_r π_r,      θ_w ≤ H_z + π g_z + Σ_t η_wt(C_z)   ∀ z,
        η_wt(c) ≤ E_y + π g_y   ∀ y with r(y) ≤ c,      η_wt falling in c
    """
    columns, rows = {}, dict[str, NumberRow]()

    def add(terms: dict[str, float], right: float, uses: Mapping[int, float]) -> None:
        for link, taken in uses.items():
            terms[f"p{link}"] = -taken
        rows[f"r{len(rows)}"] = NumberRow("L", right, terms)

    for link, highest in most.items():
        columns[f"p{link}"] = Column(0.0, highest, False, float(linked.most[link]))
    for w, one in enumerate(known):
        columns[f"w{w}"] = Column(0.0, float("inf"), False, -1.0)
        levels = one.levels
        at = {level: b for b, level in enumerate(levels)}
        for t in one.elastic:
            for b in range(len(levels)):
                columns[f"e{w}_{t}_{b}"] = Column(0.0, float("inf"), False, 0.0)
                if b:
                    add({f"e{w}_{t}_{b}": 1.0, f"e{w}_{t}_{b - 1}": -1.0}, 0.0, {})
            for choice in one.elastic[t].values():
                least = bisect_left(levels, one.beside(t, choice))
                if least < len(levels):
                    add({f"e{w}_{t}_{least}": 1.0}, choice.usd, choice.uses)
        for choice in one.held.values():
            terms = {f"w{w}": 1.0}
            terms |= {f"e{w}_{t}_{at[choice.carries]}": -1.0 for t in one.elastic}
            add(terms, choice.usd, choice.uses)
    values = _solved(Numbers(columns, rows), seconds_left(), 0.0)
    if values is None:
        return None
    prices = {link: round(max(0.0, values[f"p{link}"]) / float(PRICE_UNIT)) for link in most}
    return -Numbers(columns, {}).usd(values), {link: n for link, n in prices.items() if n}


def cheapest_choices(known: Sequence[Known], linked: Linked, time_limit_s: float) -> Chosen | None:
    """The choices that cost least together and keep the links, or nearly; None where none are
    found in time."""
    columns: dict[str, Column] = {}
    rows: dict[str, NumberRow] = {}
    taken: dict[int, dict[str, float]] = {}
    meant: dict[str, Choice] = {}

    def add_row(sense: str, right: float, terms: dict[str, float]) -> None:
        rows[f"r{len(rows)}"] = NumberRow(sense, right, terms)

    def add_column(choice: Choice) -> str:
        name = f"x{len(columns)}"
        columns[name] = Column(0.0, 1.0, True, choice.usd)
        meant[name] = choice
        for link, one in choice.uses.items():
            taken.setdefault(link, {})[name] = one
        return name

    chosen: list[tuple[list[str], dict[int, list[str]]]] = []
    for one in known:
        held = {add_column(choice): choice for choice in one.held.values()}
        add_row("E", 1.0, dict.fromkeys(held, 1.0))
        blocks = {}
        for t, choices in one.elastic.items():
            beside = {add_column(c): one.beside(t, c) for c in choices.values()}
            add_row("E", 1.0, dict.fromkeys(beside, 1.0))
            for below in _steps(one.levels, beside.values()):
                terms = {name: 1.0 for name, need in beside.items() if need > below}
                terms |= {name: -1.0 for name, choice in held.items() if choice.carries > below}
                add_row("L", 0.0, terms)
            blocks[t] = list(beside)
        chosen.append((list(held), blocks))
    for link, terms in taken.items():
        add_row("L", float(linked.most[link]), terms)
    values = _solved(Numbers(columns, rows), time_limit_s, WHOLE_GAP, presolve=True)
    if values is None:
        return None

    def of(names: Iterable[str]) -> Choice:
        return meant[max(names, key=lambda name: values[name])]

    return [(of(held), {t: of(names) for t, names in own.items()}) for held, own in chosen]


def _steps(levels: Sequence[int], needs: Iterable[int]) -> Iterator[int]:
    """Below what the rows are said: 0 and the levels under which some, but not less, is needed."""
    wanted = {need for need in needs if need > 0}
    below = 0
    for level in levels:
        if any(below < need <= level for need in wanted):
            yield below
        below = max(below, level)
    if any(need > below for need in wanted):
        yield below


def _solved(
    numbers: Numbers, time_limit_s: float, gap: float, *, presolve: bool = False
) -> Mapping[str, float] | None:
    """Values of the columns; None where HiGHS has none in time."""
    with scratch_folder() as folder:
        mps = folder / "known.mps"
        numbers.write_mps(mps)
        run = run_highs(
            mps, time_limit_s=time_limit_s, gap=gap, presolve=presolve, cancel=cancel_asked()
        )
    if not run.has_values:
        return None
    return {name: run.values.get(name, one.low) for name, one in numbers.columns.items()}
