"""Units of one workload near to its cheapest at prices: all that cost no more than an amount above.

With r what is still needed, in steps of a grid on which units count to the next step above,

    G_j(r) = min(G_{j+1}(r), p_j + G_j(r − a_j)),      G_J(r) = Σ_t e_t(λ_t − R + r)

is no more than any fleet owes at the prices for the rest of its held units and for what is elastic:
so held units are listed kind by kind while what they cost and G is no more than is asked. Of those
that carry as much, cost as much and use as much of every link, or less, one is enough.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import check, checked
from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.linked.priced import Counted, PricedAt, Stairs, TooMany
from milp_planner.milp.curves.listed.tables import steps_down, with_kind
from milp_planner.milp.curves.staircase import Kind

if TYPE_CHECKING:
    from numpy import float64, intp
    from numpy.typing import NDArray

MOST_LISTED, MOST_COMPARED = 200_000, 2_000
"""Lists of units at once beyond which this is left to others, and up to which each is compared with
each."""

MOST_TRIED = 5_000
"""Numbers of units that are tried in one block, likewise."""

NOISE = 1e-9
"""Relative: what sums of doubles may be off."""

Uses = tuple[int, ...]
"""What is used of each link, in its units."""


class Near(NamedTuple):
    """Some units, held or of one block."""

    usd: float
    """What a fleet with them costs at least, above the cheapest of all."""

    uses: Uses
    carries: int
    units: Mapping[int, int]
    """By kind."""


@dataclass(frozen=True)
class NearAt:
    """A workload at prices, for the links that are looked at."""

    at: PricedAt
    links: Mapping[int, Fraction]
    """By number, what their uses count in."""

    steps: int
    """Of the grid."""

    dearest_first: bool
    """Whether kinds are listed so, or the other way."""

    _blocks: dict[tuple[int, int], _Block] = field(default_factory=dict)
    _elastic_kinds: dict[int, tuple[Sequence[Kind], Stairs, list[int]]] = field(
        default_factory=dict
    )

    def held_within(self, usd: float) -> list[Near]:
        """Held units of fleets that cost at most so much above the cheapest.

        Raises TooMany, or OutOfTime.
        """
        import numpy as np

        least = float(self.at.cheapest[0].value * self._usd_unit)
        most = least + usd + NOISE * least
        lists = _Lists.none(len(self._kinds))
        for level in range(len(self._kinds)):
            lists = self._with_kind(lists, level, most)
        counts = lists.counts[np.argsort(lists.counts @ self._paid, kind="stable")]
        found = (self._near(list(map(int, row))) for row in checked(counts))
        return [one for one in found if one is not None and one.usd <= usd + NOISE * least]

    def block(self, t: int, lacking: int, usd: float) -> Sequence[Near]:
        """Elastic units of a block which carry what is lacking for at most so much above the
        cheapest that do, the cheapest of each use of the links. Raises TooMany, or OutOfTime."""
        key = t, max(0, lacking)
        if key not in self._blocks or self._blocks[key].usd < usd:
            check()
            self._blocks[key] = _Block(usd, tuple(self._elastic(t, lacking, usd)))
        return self._blocks[key].near

    @cached_property
    def _usd_unit(self) -> Fraction:
        return self.at.of.usd_unit

    @cached_property
    def _kinds(self) -> tuple[int, ...]:
        """Held kinds that none of the others takes the place of, in the order of the lists."""
        kept = self._alone(self.at.of.held)
        sign = -1 if self.dearest_first else 1
        return tuple(sorted(kept, key=lambda i: (sign * self.at.held.kinds[i].cost, i)))

    @cached_property
    def _uses(self) -> NDArray[intp]:
        """(kinds, links)."""
        import numpy as np

        rows = [self._uses_of(self.at.of.held[i]) for i in self._kinds]
        return np.array(rows, dtype=np.intp).reshape(len(rows), len(self.links))

    @cached_property
    def _paid(self) -> NDArray[float64]:
        """(kinds,): USD/month at the prices."""
        return self._usd_of(self.at.held.kinds[i].cost for i in self._kinds)

    @cached_property
    def _costs(self) -> NDArray[float64]:
        """(kinds,): USD/month without prices."""
        return self._usd_of(self.at.of.held[i].cost for i in self._kinds)

    @cached_property
    def _carried(self) -> NDArray[float64]:
        """(kinds,): parts of the most that is asked for."""
        import numpy as np

        most = self.at.of.most
        return np.array([self.at.of.held[i].capacity / most for i in self._kinds])

    @cached_property
    def _tables(self) -> tuple[NDArray[float64], ...]:
        """G by level, (steps + 1,) each."""
        import numpy as np

        tables = [self._elastic_least()[:, None]]
        kinds = zip(self._paid[::-1], self._carried[::-1], strict=True)
        for paid, carried in kinds:
            tables.append(with_kind(tables[-1], float(paid), np.array([carried * self.steps])))
        return tuple(table[:, 0] for table in reversed(tables))

    def _elastic_least(self) -> NDArray[float64]:
        """G_J."""
        import numpy as np

        most, of = self.at.of.most, self.at.of
        grid = np.arange(self.steps + 1) / self.steps
        total = np.zeros(self.steps + 1)
        for t, need in of.needs.items():
            steps = self.at.elastic[t].stairs.steps
            carried = np.array([step.capacity / most for step in steps])
            usd = np.array([*self._usd_of(step.cost for step in steps), np.inf])
            left = need / most - 1 + grid - NOISE
            total += usd[np.searchsorted(carried, np.maximum(left, 0.0))]
        return total

    def _with_kind(self, lists: _Lists, level: int, most: float) -> _Lists:
        """The lists with any number of a kind, as far as they come to no more than `most`."""
        import numpy as np

        kept, more = [], lists.counts
        while len(more):
            check()
            kept.append(more[self._least(more, level + 1) <= most])
            more = more[more @ self._carried < 1]
            more = more + (np.arange(len(self._kinds)) == level)
            more = more[self._least(more, level) <= most]
            if len(more) + sum(map(len, kept)) > MOST_LISTED:
                raise TooMany
        counts = np.concatenate(kept) if kept else lists.counts[:0]
        return _Lists(counts).sparse(self._carried, self._costs, self._uses)

    def _least(self, counts: NDArray[intp], level: int) -> NDArray[float64]:
        """(lists,): what each comes to at least with kinds from a level on, USD/month."""
        left = steps_down((1 - counts @ self._carried) * self.steps)
        least: NDArray[float64] = counts @ self._paid + self._tables[level][left]
        return least

    def _near(self, counts: Sequence[int]) -> Near | None:
        """One list in whole numbers; None where elastic units are not enough beside it."""
        of, units = self.at.of, dict(zip(self._kinds, counts, strict=True))
        carries = sum(of.held[i].capacity * n for i, n in units.items())
        value = sum(self.at.held.kinds[i].cost * n for i, n in units.items())
        for t, need in of.needs.items():
            least = self.at.elastic[t].least(need - carries)
            if least is None:
                return None
            value += least
        above = (value - self.at.cheapest[0].value) * self._usd_unit
        uses = self._uses.T @ counts
        return Near(
            float(above), tuple(map(int, uses)), carries, {i: n for i, n in units.items() if n}
        )

    def _elastic(self, t: int, lacking: int, usd: float) -> Iterator[Near]:
        units, least = self.at.of.elastic[t], self.at.elastic[t].least(lacking)
        if least is None:
            return
        kinds, free, linked = self._kinds_of_block(t)
        within = least + int(Fraction(usd) / self._usd_unit) + 1
        cheapest: dict[Uses, tuple[int, dict[int, int]]] = {}
        tried = count()

        def more(at: int, left: int, paid: int, numbers: dict[int, int]) -> None:
            if next(tried) > MOST_TRIED:
                raise TooMany
            rest = self.at.elastic[t].least(left)
            if rest is None or paid + rest > within:
                return
            if at < len(linked) and left > 0:
                i = linked[at]
                for n in range(-(-left // units[i].capacity) + 1):
                    also = paid + n * kinds[i].cost
                    if also > within:
                        break
                    more(at + 1, left - n * units[i].capacity, also, {**numbers, i: n})
                return
            step = free.stairs.reaching(left)
            if step is None:
                return
            uses = self._uses_together(units, numbers)
            if uses not in cheapest or paid + step.cost < cheapest[uses][0]:
                cheapest[uses] = paid + step.cost, {**numbers, **free.units(step)}

        more(0, lacking, 0, {})
        for uses, (value, numbers) in cheapest.items():
            mine = {i: n for i, n in numbers.items() if n}
            carries = sum(units[i].capacity * n for i, n in mine.items())
            yield Near(float((value - least) * self._usd_unit), uses, carries, mine)

    def _uses_together(self, units: Sequence[Counted], numbers: Mapping[int, int]) -> Uses:
        total = [0] * len(self.links)
        for i, n in numbers.items():
            for r, one in enumerate(self._uses_of(units[i])):
                total[r] += n * one
        return tuple(total)

    def _kinds_of_block(self, t: int) -> tuple[Sequence[Kind], Stairs, list[int]]:
        """Elastic kinds; the staircase of those that use no link, and the numbers of the others."""
        if t not in self._elastic_kinds:
            units, kinds = self.at.of.elastic[t], self.at.elastic[t].kinds
            linked = [i for i in self._alone(units) if any(self._uses_of(units[i]))]
            free = [i for i, one in enumerate(units) if not any(self._uses_of(one))]
            stairs = Stairs.among(kinds, free, self.at.of.most)
            self._elastic_kinds[t] = kinds, stairs, linked
        return self._elastic_kinds[t]

    def _alone(self, units: Sequence[Counted]) -> list[int]:
        """Kinds that no other does all the work of for no more, with no more of any link."""
        kept: list[int] = []
        order = sorted(
            range(len(units)),
            key=lambda i: (units[i].cost, sum(self._uses_of(units[i])), -units[i].capacity, i),
        )
        for i in order:
            if not any(self._stands_in(units[j], units[i]) for j in kept):
                kept.append(i)
        return kept

    def _stands_in(self, one: Counted, other: Counted) -> bool:
        count = -(-min(other.capacity, self.at.of.most) // one.capacity)
        pairs = zip(self._uses_of(one), self._uses_of(other), strict=True)
        return count * one.cost <= other.cost and all(count * a <= b for a, b in pairs)

    def _uses_of(self, one: Counted) -> Uses:
        uses = one.unit.uses
        return tuple(int(uses.get(link, 0) / unit) for link, unit in self.links.items())

    def _usd_of(self, costs: Iterable[int]) -> NDArray[float64]:
        import numpy as np

        return np.array([float(cost * self._usd_unit) for cost in costs], dtype=float)


class _Block(NamedTuple):
    usd: float
    """Up to what it is listed."""

    near: Sequence[Near]


class _Lists(NamedTuple):
    counts: NDArray[intp]
    """(lists, kinds)."""

    @classmethod
    def none(cls, kinds: int) -> _Lists:
        """One list, of no units."""
        import numpy as np

        return cls(np.zeros((1, kinds), dtype=np.intp))

    def sparse(
        self, carried: NDArray[float64], costs: NDArray[float64], of_unit: NDArray[intp]
    ) -> _Lists:
        """Without those that another takes the place of, or most of these."""
        import numpy as np

        if not len(self.counts):
            return self
        # in floats sums depend on the order of terms: what is equal must come out so
        carries = np.minimum(np.round(self.counts @ carried, 12), 1.0)
        usd, uses = np.round(self.counts @ costs, 6), self.counts @ of_unit
        order = np.lexsort((-carries, usd, *uses.T))
        carries, usd, uses = carries[order], usd[order], uses[order]
        kept = _rising(carries, _firsts(uses))
        order, carries, usd, uses = order[kept], carries[kept], usd[kept], uses[kept]
        if len(order) <= MOST_COMPARED:
            kept = np.ones(len(order), dtype=bool)
            for i in range(len(order)):
                others = (carries >= carries[i]) & (usd <= usd[i]) & kept
                others &= (uses <= uses[i]).all(axis=1)
                others[i] = False
                kept[i] = not others.any()
            order = order[kept]
        return _Lists(self.counts[order])


def _firsts(rows: NDArray[intp]) -> NDArray[intp]:
    """Numbers of the first rows of those that are the same; they are sorted."""
    import numpy as np

    new = np.ones(len(rows), dtype=bool)
    new[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return np.flatnonzero(new)


def _rising(values: NDArray[float64], firsts: NDArray[intp]) -> NDArray[intp]:
    """Numbers of the values that are above all before them in their group."""
    import numpy as np

    kept = []
    for low, high in zip(firsts, [*firsts[1:], len(values)], strict=True):
        group = values[low:high]
        before = np.concatenate([[-1.0], np.maximum.accumulate(group)[:-1]])
        kept.append(low + np.flatnonzero(group > before))
    return np.concatenate(kept)
