"""What a trace's rows add up to, a chunk at a time: its memory does not grow with the rows.

Kept are the requests of every minute, the counts of every pair of (input, output) tokens, and the
arrivals of the last minutes, whose gaps are told once their minute is over. A file of one chunk is
told exactly in any order of its rows. In a longer one, rates, sizes and totals are exact in any
order too; only the gaps leave out a request that comes more than `LATE_MINUTES` after a later one,
and how many there were is counted. Beyond `MOST_PAIRS` pairs, lengths of the same seven leading
bits share a cell, 1/64 wide at most; its tokens are summed, so that totals stay exact.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass
from milp_planner.traffic.sources.sizes import MOST_TOKENS
from milp_planner.units import SECONDS_PER_HOUR

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

CHUNK_ROWS = 1_000_000
MOST_PAIRS = 1_000_000
LEADING_BITS = 7
LATE_MINUTES = 10
"""Minutes behind the latest arrival for which arrivals are held back, and may come in any order."""

SECONDS_PER_MINUTE = 60
NO_CLOCK_S = 25 * SECONDS_PER_HOUR
"""A trace that is longer has a clock: it covers every hour of the day."""

LEAST_GAPS = 20
"""Gaps of a minute that tell how much they vary."""

MOST_SCV = 100.0


class Counts:
    """How often whole numbers occurred, ascending."""

    def __init__(self) -> None:
        import numpy as np

        self.keys = np.zeros(0, dtype=np.int64)
        self.counts = np.zeros(0, dtype=np.int64)

    def add(self, keys: NDArray[int64]) -> None:
        """Count some more."""
        import numpy as np

        more, times = np.unique(keys, return_counts=True)
        if not len(self.keys):
            self.keys, self.counts = more, times
            return
        merged = np.union1d(self.keys, more)
        counts = np.zeros(len(merged), dtype=np.int64)
        counts[np.searchsorted(merged, self.keys)] = self.counts
        counts[np.searchsorted(merged, more)] += times
        self.keys, self.counts = merged, counts

    def dense(self) -> tuple[int, NDArray[int64]]:
        """(least key, counts of it and every next whole number)."""
        import numpy as np

        first = int(self.keys[0])
        counts = np.zeros(int(self.keys[-1]) - first + 1, dtype=np.int64)
        counts[self.keys - first] = self.counts
        return first, counts


@dataclass(frozen=True)
class Sizes:
    """The (input, output) sizes of requests: a row for each pair, or for each cell of pairs."""

    sizes: NDArray[int64]
    """Tokens, (rows, 2): of a cell, its mean rounded."""

    counts: NDArray[int64]
    """Requests of each."""

    sums: NDArray[int64]
    """Tokens, (rows, 2), summed over the requests."""

    least: NDArray[int64]
    most: NDArray[int64]


class _SizeCounts:
    """Counts pairs of sizes; once they are too many, sums and extremes of their cells."""

    def __init__(self) -> None:
        self.pairs = Counts()
        self.cells: Sizes | None = None

    def add(self, inputs: NDArray[int64], outputs: NDArray[int64]) -> None:
        self.pairs.add(inputs * (MOST_TOKENS + 1) + outputs)  # one whole number: fast to sort
        if len(self.pairs.keys) > MOST_PAIRS:
            self.cells = self._in_cells(self._of_pairs())
            self.pairs = Counts()

    def told(self) -> Sizes:
        """All sizes, by input, then output."""
        pairs = self._of_pairs()
        return pairs if self.cells is None else self._in_cells(pairs)

    def _of_pairs(self) -> Sizes:
        import numpy as np

        sizes = np.stack(np.divmod(self.pairs.keys, MOST_TOKENS + 1), axis=1)
        counts = self.pairs.counts
        return Sizes(sizes, counts, sizes * counts[:, None], sizes, sizes)

    def _in_cells(self, pairs: Sizes) -> Sizes:
        """The pairs together with the cells there are."""
        import numpy as np

        parts = [pairs] if self.cells is None else [self.cells, pairs]
        counts, sums, least, most = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("counts", "sums", "least", "most")
        )
        corners = _leading(least)
        keys = corners[:, 0] * (MOST_TOKENS + 1) + corners[:, 1]
        order = np.argsort(keys, kind="stable")
        starts = np.flatnonzero(np.diff(keys[order], prepend=-1))
        counts, sums = np.add.reduceat(counts[order], starts), np.add.reduceat(sums[order], starts)
        means = (sums + counts[:, None] // 2) // counts[:, None]
        least = np.minimum.reduceat(least[order], starts)
        return Sizes(means, counts, sums, least, np.maximum.reduceat(most[order], starts))


def _leading(lengths: NDArray[int64]) -> NDArray[int64]:
    """Lengths cut to their leading bits; short ones stay as they are."""
    import numpy as np

    shift = np.maximum(np.frexp(lengths.astype(np.float64))[1] - LEADING_BITS, 0).astype(np.int64)
    return np.asarray((lengths >> shift) << shift)


class _Gaps:
    """Gaps within minutes, told once no earlier arrival is waited for."""

    def __init__(self) -> None:
        import numpy as np

        self.held = np.zeros(0)
        self.open_from = -math.inf
        self.late = 0
        self.counted = self.total = 0.0

    def add(self, arrival_s: NDArray[float64]) -> None:
        import numpy as np

        in_time = arrival_s // SECONDS_PER_MINUTE >= self.open_from
        self.late += len(arrival_s) - int(in_time.sum())
        self.held = np.concatenate([self.held, arrival_s[in_time]])
        latest = float(arrival_s.max()) // SECONDS_PER_MINUTE
        self._close(latest - LATE_MINUTES)

    def scv(self) -> float:
        """Weighed by the requests of the minutes, from 1 to 100; closes all minutes."""
        self._close(math.inf)
        return min(MOST_SCV, max(1.0, self.total / self.counted)) if self.counted else 1.0

    def _close(self, before: float) -> None:
        """Tell the gaps of the minutes before that one."""
        import numpy as np

        if before <= self.open_from:
            return
        self.open_from = before
        ordered = np.sort(self.held)
        minutes = np.floor(ordered / SECONDS_PER_MINUTE)
        end = int(np.searchsorted(minutes, before))
        self.held = ordered[end:].copy()
        if not end:
            return
        starts = np.flatnonzero(np.diff(minutes[:end], prepend=minutes[0] - 1))
        for mine in np.split(ordered[:end], starts[1:]):
            gaps = np.diff(mine)
            if len(gaps) >= LEAST_GAPS and gaps.mean() > 0:
                self.counted += len(gaps)
                self.total += len(gaps) * float(gaps.var() / gaps.mean() ** 2)


class Tally:
    """Adds up the rows of a trace.

    origin_s: its first arrival, where that is known; else that of the first chunk is taken for it.
    """

    def __init__(self, origin_s: float | None = None) -> None:
        self.origin_s = origin_s
        self.first_s, self.last_s = math.inf, -math.inf
        self.requests = self.input_tokens = self.output_tokens = 0
        self.without_input = self.without_output = 0
        self.are_whole = True
        """Whether all arrivals are whole seconds."""
        self.minutes = Counts()
        """Requests by minute since the midnight that arrivals count from."""
        self.elapsed: Counts | None = Counts()
        """Requests by minute since the first arrival; None of a trace that has a clock anyway."""
        self._sizes = _SizeCounts()
        self._gaps = _Gaps()
        self._row_s: float | None = None
        self._gap_s: float | None = None
        self._is_even = True

    def add(
        self, arrival_s: NDArray[float64], inputs: NDArray[int64], outputs: NDArray[int64]
    ) -> None:
        """Take a chunk: arrivals in seconds, tokens of the same rows."""
        import numpy as np

        self.add_arrivals(arrival_s)
        self.input_tokens += int(inputs.sum())
        self.output_tokens += int(outputs.sum())
        self.without_input += int((inputs == 0).sum())
        self.without_output += int((outputs == 0).sum())
        self.are_whole = self.are_whole and bool(np.all(arrival_s % 1 == 0))
        self._look_at_gaps(arrival_s)
        self._sizes.add(inputs, outputs)
        self._gaps.add(arrival_s)

    def add_arrivals(self, arrival_s: NDArray[float64]) -> None:
        """Take arrivals alone, for the rates of hours."""
        import numpy as np

        self.requests += len(arrival_s)
        self.first_s = min(self.first_s, float(arrival_s.min()))
        self.last_s = max(self.last_s, float(arrival_s.max()))
        if self.origin_s is None:
            self.origin_s = self.first_s
        self.minutes.add(np.floor(arrival_s / SECONDS_PER_MINUTE).astype(np.int64))
        if self.last_s - self.first_s > NO_CLOCK_S:
            self.elapsed = None
        if self.elapsed is not None:
            self.elapsed.add(((arrival_s - self.origin_s) // SECONDS_PER_MINUTE).astype(np.int64))

    @property
    def began_earlier(self) -> bool:
        """Whether minutes since the first arrival were counted from another: add up once more."""
        return self.elapsed is not None and self.first_s != self.origin_s

    @property
    def same_gap_s(self) -> float | None:
        """Seconds between all arrivals in the order of the rows, where they are the same."""
        return self._gap_s if self._is_even else None

    @property
    def late(self) -> int:
        """Requests whose gaps are not told, as they come long after later ones."""
        return self._gaps.late

    def gaps_scv(self) -> float:
        """Squared coefficient of variation of the gaps within minutes, weighed by their requests.

        From minute to minute rates differ, which the peak rate already counts. Minutes of few
        requests tell nothing; where all are, and where gaps vary less than Poisson's, it is 1.
        """
        return self._gaps.scv()

    def sizes(self) -> Sizes:
        """The sizes of all requests, by input, then output."""
        return self._sizes.told()

    def _look_at_gaps(self, arrival_s: NDArray[float64]) -> None:
        import numpy as np

        if not self._is_even:
            return
        before = [] if self._row_s is None else [self._row_s]
        gaps = np.diff(np.concatenate([before, arrival_s]))
        self._row_s = float(arrival_s[-1])
        if len(gaps):
            self._gap_s = float(gaps[0]) if self._gap_s is None else self._gap_s
            self._is_even = bool((gaps == self._gap_s).all())
