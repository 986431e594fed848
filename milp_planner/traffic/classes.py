"""Request classes out of the sizes that a trace has.

Two-dimensional binning: the plane of (input tokens, output tokens) is cut into
rectangles, each time the bin and the cut that take most off the squared distance of the sizes from
their bin's mean, in units of the trace's mean sizes. What a mean size loses is that distance: the
tokens are exact, products of lengths (the KV cache held over a decode) are not. A class has the
mean size of its requests, so that token totals stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass
from milp_planner.traffic.digested import SizeBin
from milp_planner.traffic.tally import Sizes

if TYPE_CHECKING:
    from numpy import bool_, int64
    from numpy.typing import NDArray

LEAST_CLASS_SHARE = 0.005
"""Share of the requests that a class has at least: a handful of outliers makes no class."""

LEAST_OUTPUT_TOKENS = 1.0
"""Mean output of a class, at least, where the trace's own is no less: replicas do generate."""


def bin_sizes(held: Sizes, most: int) -> tuple[SizeBin, ...]:
    """At most `most` bins that hold every request, by mean input, then mean output."""
    import numpy as np

    cutter = _Cutter(held.sizes, held.counts)
    parts = [np.arange(len(held.sizes))]
    cuts = [cutter.best_cut(parts[0])]
    while len(parts) < most:
        widest = max(range(len(parts)), key=lambda i: cuts[i].gain)
        halves = cuts[widest].halves
        if not halves:
            break
        parts[widest : widest + 1] = halves
        cuts[widest : widest + 1] = [cutter.best_cut(half) for half in halves]
    bins = [_bin(held, part) for part in parts]
    return tuple(sorted(bins, key=lambda b: (b.input_tokens / b.requests, b.shortest)))


def _bin(held: Sizes, part: NDArray[int64]) -> SizeBin:
    input_tokens, output_tokens = (int(total) for total in held.sums[part].sum(axis=0))
    low, high = held.least[part].min(axis=0), held.most[part].max(axis=0)
    return SizeBin(
        requests=int(held.counts[part].sum()),
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        shortest=(int(low[0]), int(low[1])),
        longest=(int(high[0]), int(high[1])),
    )


@dataclass(frozen=True)
class _Cut:
    """The best way to cut a bin in two; no halves where none is allowed."""

    gain: float = 0.0
    halves: tuple[NDArray[int64], ...] = ()


class _Cutter:
    """Finds the cut of a bin that takes most off the squared distances from its mean."""

    def __init__(self, sizes: NDArray[int64], counts: NDArray[int64]) -> None:
        mean = counts @ sizes / counts.sum()
        self.counts = counts
        self.sizes = sizes
        self.scaled = sizes / [max(float(mean[0]), 1.0), max(float(mean[1]), 1.0)]
        self.least_requests = LEAST_CLASS_SHARE * float(counts.sum())
        self.least_output = min(LEAST_OUTPUT_TOKENS, float(mean[1]))

    def best_cut(self, part: NDArray[int64]) -> _Cut:
        """The better of the best cuts by input and by output."""
        cuts = (self._best_cut_by(axis, part) for axis in (0, 1))
        return max(cuts, key=lambda cut: cut.gain)

    def _best_cut_by(self, axis: int, part: NDArray[int64]) -> _Cut:
        """For halves of n and m requests, the gain is n m ÷ (n + m) × (distance of means)²."""
        import numpy as np

        part = part[np.argsort(self.sizes[part, axis], kind="stable")]
        counts = self.counts[part]
        below = np.cumsum(counts)[:-1]
        above = counts.sum() - below
        left = np.cumsum(counts[:, None] * self.scaled[part], axis=0)
        distance = left[:-1] / below[:, None] - (left[-1] - left[:-1]) / above[:, None]
        gains = below * above / counts.sum() * (distance**2).sum(axis=1)
        gains[~self._allowed(axis, part, below, above)] = 0.0
        if not gains.any():
            return _Cut()
        best = int(gains.argmax())
        return _Cut(float(gains[best]), (part[: best + 1], part[best + 1 :]))

    def _allowed(
        self, axis: int, part: NDArray[int64], below: NDArray[int64], above: NDArray[int64]
    ) -> NDArray[bool_]:
        """Which cuts fall between two lengths and leave enough on either side."""
        import numpy as np

        lengths = self.sizes[part, axis]
        output = np.cumsum(self.counts[part] * self.sizes[part, 1])
        enough = np.minimum(below, above) >= self.least_requests
        enough &= output[:-1] >= self.least_output * below
        enough &= output[-1] - output[:-1] >= self.least_output * above
        return np.asarray(enough & (lengths[1:] > lengths[:-1]))
