"""What held units of all workloads may use together of links, and the least that comes with it.

    F_i(u) = min over units near to the cheapest of the first i workloads, which use u, of Σ ρ_w

workload by workload, as far as that, with what no more workloads can do without by any one link,
is no more than is asked: a label is what is used, and what is left of a link has its price.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from milp_planner.deadline import check
from milp_planner.lazily import dataclass
from milp_planner.milp.curves.linked.near import Near
from milp_planner.milp.curves.linked.priced import TooMany

if TYPE_CHECKING:
    from numpy import float64, int64, intp
    from numpy.typing import NDArray

MOST_LABELS = 1_000_000
"""Ways to use links together beyond which this is left to others."""

MOST_KEYS = 2**62
"""Of what 64 bits tell apart."""

NOISE = 1e-6
"""USD by which sums of doubles may be off."""


@dataclass(frozen=True)
class Link:
    """One that is looked at."""

    number: int
    unit: Fraction
    """What its uses count in."""

    most: int
    usd: float
    """The price of a unit of its uses."""

    is_held: bool
    """Whether held units use it."""

    block: int | None
    """In which elastic units use it; None for held ones alone."""


class Stage(NamedTuple):
    """What held units of the workloads before some may use together."""

    keys: NDArray[int64]
    """Rising."""

    usd: NDArray[float64]
    """The least that comes with each."""


@dataclass(frozen=True)
class Held:
    """Held units of one workload near to its cheapest."""

    workload: int
    near: Sequence[Near]
    keys: NDArray[int64]
    """What they use."""

    usd: NDArray[float64]
    uses: NDArray[intp]
    """(near, links)."""

    @classmethod
    def of(cls, workload: int, near: Sequence[Near], links: Sequence[Link]) -> Held:
        """Raises TooMany."""
        import numpy as np

        uses = np.array([one.uses for one in near], dtype=np.intp).reshape(len(near), len(links))
        return cls(workload, near, keys_of(uses, links), np.array([one.usd for one in near]), uses)

    def among(self, numbers: Sequence[int]) -> Held:
        """Those with these numbers."""
        rows, near = list(numbers), [self.near[nth] for nth in numbers]
        return Held(self.workload, near, self.keys[rows], self.usd[rows], self.uses[rows])

    def cheapest_of_each(self) -> Iterator[tuple[float, NDArray[intp]]]:
        """What may be used, with the least that comes with it."""
        seen: set[int] = set()
        for nth in self.usd.argsort(kind="stable").tolist():
            if int(self.keys[nth]) not in seen:
                seen.add(int(self.keys[nth]))
                yield float(self.usd[nth]), self.uses[nth]


def places(links: Sequence[Link]) -> list[int]:
    """What one of each link counts in a key: twice as far apart as need be, so that no difference
    of keys is taken for another; 0 where held units use none. Raises TooMany."""
    found, place = [], 1
    for link in links:
        found.append(place if link.is_held else 0)
        place *= 2 * (link.most + 1) if link.is_held else 1
    if place >= MOST_KEYS:
        raise TooMany
    return found


def keys_of(uses: NDArray[intp], links: Sequence[Link]) -> NDArray[int64]:
    """One number for each row of uses. Raises TooMany."""
    import numpy as np

    keys: NDArray[int64] = uses.astype(np.int64) @ np.array(places(links), dtype=np.int64)
    return keys


def left_usd(keys: NDArray[int64], links: Sequence[Link]) -> NDArray[float64]:
    """What is left of links that held units alone use, at their prices."""
    import numpy as np

    usd = np.zeros(len(keys))
    for place, link in zip(places(links), links, strict=True):
        if link.block is None:
            usd += (link.most - keys // place % (2 * (link.most + 1))) * link.usd
    return usd


def stages_of(held: Sequence[Held], links: Sequence[Link], usd: float) -> list[Stage] | None:
    """Those before each workload, and after the last; None where nothing costs so little. Raises
    TooMany, or OutOfTime."""
    import numpy as np

    most = np.array([link.most for link in links], dtype=np.intp)
    rests = _rests(held, links)
    uses, above = np.zeros((1, len(links)), dtype=np.intp), np.zeros(1)
    stages = [Stage(np.zeros(1, dtype=np.int64), above)]
    for one, rest in zip(held, rests[1:], strict=True):
        parts = []
        for more_usd, more in one.cheapest_of_each():
            check()
            also, least = uses + more, above + more_usd
            kept = (also <= most).all(axis=1) & (least <= usd + NOISE)
            also, least = also[kept], least[kept]
            kept = _with_rest(also, least, most, rest) <= usd + NOISE
            parts.append((also[kept], least[kept]))
            if sum(len(part[1]) for part in parts) > MOST_LABELS:
                raise TooMany
        uses = np.concatenate([part[0] for part in parts])
        above = np.concatenate([part[1] for part in parts])
        if not len(above):
            return None
        keys = keys_of(uses, links)
        order = firsts(keys, above)
        uses, above = uses[order], above[order]
        stages.append(Stage(keys[order], above))
    return stages


def firsts(keys: NDArray[int64], usd: NDArray[float64]) -> NDArray[intp]:
    """Numbers of the cheapest of each key, by key."""
    import numpy as np

    order = np.lexsort((usd, keys))
    first = np.ones(len(order), dtype=bool)
    first[1:] = keys[order][1:] != keys[order][:-1]
    return order[first]


def _with_rest(
    uses: NDArray[intp],
    usd: NDArray[float64],
    most: NDArray[intp],
    rest: Sequence[NDArray[float64]],
) -> NDArray[float64]:
    """With the least that must come, by any one link."""
    import numpy as np

    least = usd
    for r, of_left in enumerate(rest):
        least = np.maximum(least, usd + of_left[most[r] - uses[:, r]])
    return least


def _rests(held: Sequence[Held], links: Sequence[Link]) -> list[list[NDArray[float64]]]:
    """By workload and link: the least that comes with the workloads from there on, and with what
    they leave of the link, by how much of it is left for them."""
    import numpy as np

    last: list[NDArray[float64]] = []
    for link in links:
        last.append(np.arange(link.most + 1.0) * (link.usd if link.block is None else 0.0))
    rests = [last]
    for one in reversed(held):
        now: list[NDArray[float64]] = []
        for r, after in enumerate(rests[-1]):
            least: dict[int, float] = {}
            for n, usd in zip(one.uses[:, r].tolist(), one.usd.tolist(), strict=True):
                least[n] = min(usd, least.get(n, math.inf))
            rest = np.full(len(after), math.inf)
            for n, usd in least.items():
                if n < len(after):
                    rest[n:] = np.minimum(rest[n:], usd + after[: len(after) - n])
            now.append(rest)
        rests.append(now)
    return rests[::-1]
