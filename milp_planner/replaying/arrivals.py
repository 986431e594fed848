"""The requests that a replay sends: drawn for stretches of constant rate, or the rows of a trace.

A trace's arrivals, inputs and outputs stay together row by row. In real logs the rate and the mean
length move together, against each other: drawn apart, the same rows wait twelve times as long.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import log, sqrt
from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass
from milp_planner.traffic.rows import Requests
from milp_planner.traffic.schedule import RequestClass

if TYPE_CHECKING:
    from numpy import float64, int64
    from numpy.typing import NDArray

WARM_UP = 0.10
"""Share of the requests, of the first stretch, that fill the empty pool and are not counted."""


@dataclass(frozen=True)
class Stretch:
    """A part of the replay in which units and rate stay as they are."""

    name: str
    start_s: float
    end_s: float
    requests_per_second: float
    block: int
    """The plan's time block, whose units are on."""

    counted: bool = True
    """False for what only fills the pool."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.end_s - self.start_s


@dataclass(frozen=True)
class Sent:
    """Requests in the order of their arrival; all arrays have one entry for each."""

    arrivals_s: NDArray[float64]
    input_tokens: NDArray[float64]
    output_tokens: NDArray[float64]
    first_counted: int
    """Those before it warm up."""

    gaps_scv: float
    """Squared coefficient of variation of the gaps: as drawn, or as the trace has them."""

    classes: NDArray[int64] | None = None
    """The class of each, by its place among the workload's; None of a trace."""

    def __len__(self) -> int:
        return len(self.arrivals_s)


def drawn(
    stretches: Sequence[Stretch],
    classes: Sequence[RequestClass],
    *,
    burstiness: float = 1.0,
    output_cv: float = 1.0,
    seed: int = 1,
) -> Sent:
    """Requests at the rates of the stretches.

    Gaps are gamma with a coefficient of variation of `burstiness`, 1 being Poisson, stretched where
    the rate is low. Outputs are lognormal with a coefficient of variation of `output_cv` around the
    mean of their class; inputs are those of the class.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    ends = np.array([s.end_s for s in stretches])
    volume = np.cumsum([s.seconds * s.requests_per_second for s in stretches])
    total = float(volume[-1])
    shape = 1 / burstiness**2
    gaps = rng.gamma(shape, 1 / shape, int(total + 8 * burstiness * sqrt(total) + 64))
    marks = np.cumsum(gaps)
    marks = marks[marks < total]
    arrivals = np.interp(marks, [0.0, *volume], [stretches[0].start_s, *ends])
    shares = np.array([q.share for q in classes])
    which = rng.choice(len(classes), len(marks), p=shares / shares.sum())
    inputs = np.array([q.input_tokens for q in classes])[which]
    outputs = np.array([q.output_tokens for q in classes])[which]
    spread = sqrt(log(1 + output_cv**2))
    if spread > 0:
        outputs = outputs * rng.lognormal(-spread * spread / 2, spread, len(marks))
    first = _first_counted(stretches, arrivals)
    return Sent(arrivals, inputs, outputs, first, burstiness**2, which)


def recorded(requests: Requests, *, scale: float = 1.0, most: int | None = None) -> Sent:
    """The rows of a trace at their own times after the first one, the first `most` of them.

    scale: times as many requests, by time that passes so much faster; lengths stay with their rows.
    """
    import numpy as np

    order = np.argsort(requests.arrival_s, kind="stable")[:most]
    arrivals = (requests.arrival_s[order] - float(requests.arrival_s[order[0]])) / scale
    gaps = np.diff(arrivals)
    scv = float(gaps.var() / gaps.mean() ** 2) if len(gaps) and gaps.mean() > 0 else 1.0
    return Sent(
        arrivals,
        requests.input_tokens[order].astype(float),
        np.maximum(1.0, requests.output_tokens[order].astype(float)),
        int(WARM_UP * len(order)),
        scv,
    )


def thinned(sent: Sent, kept_share: float, seed: int) -> Sent:
    """A part of the requests, drawn one by one: the rest is served elsewhere."""
    import numpy as np

    if kept_share >= 1 - 1e-12:
        return sent
    kept = np.random.default_rng(seed).random(len(sent)) < kept_share
    return Sent(
        sent.arrivals_s[kept],
        sent.input_tokens[kept],
        sent.output_tokens[kept],
        int(kept[: sent.first_counted].sum()),
        1 + kept_share * (sent.gaps_scv - 1),
    )


def _first_counted(stretches: Sequence[Stretch], arrivals_s: NDArray[float64]) -> int:
    import numpy as np

    first = stretches[0]
    if not first.counted:
        return int(np.searchsorted(arrivals_s, first.end_s))
    return int(WARM_UP * np.searchsorted(arrivals_s, first.end_s))
