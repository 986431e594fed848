"""Measured rows as curves: rate and latency against the number of requests in flight.

A curve keeps measured ÷ estimated, not the figures themselves, so that a request size a little
beside the measured one moves along the estimate's shape; at a measured point it returns the row.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Sequence
from math import exp, log, log2
from typing import Protocol

from milp_planner.inputs.catalog.records import Measurement
from milp_planner.lazily import dataclass

CLOSED_LOOP = frozenset({"fixed_concurrency", "steady_state_max_num_seqs"})
"""Regimes that hold the requests in flight constant: rate and time per token both usable."""

OFFLINE = "offline_max"
"""An endless queue: the rate is usable where no time per token is wished."""

SAME_SIZE = log2(1.05)  # sizes that differ by no more are one size: sampled lengths scatter
NEAR = log2(2)  # one size alone carries this far: the split of prefill and decode stays similar
BRACKETED = log2(4)  # two sizes carry this far between them


class Speed(Protocol):
    """What an estimate and its stand-in offer."""

    @property
    def prefill_s(self) -> float: ...

    def tpot_s(self, n: float) -> float: ...

    def requests_per_second(self, n: float) -> float: ...


@dataclass(frozen=True)
class LengthOnly:
    """Stands in where an LLM cannot be estimated: the same tokens/s at every nearby size."""

    output_tokens: float
    prefill_s: float = 1.0

    def tpot_s(self, n: float) -> float:
        """One second, so that a ratio to it is the measured time itself."""
        return 1.0

    def requests_per_second(self, n: float) -> float:
        """n requests that take a second per token."""
        return n / self.output_tokens


@dataclass(frozen=True)
class CurvePoint:
    """One measured row against the estimate at the same point."""

    concurrency: float
    rate_ratio: float
    tpot_ratio: float
    ttft_ratio: float | None
    """Measured ttft ÷ estimated prefill; it grows with the concurrency."""

    row: Measurement | None = None


@dataclass(frozen=True)
class Curve:
    """Rows of one replica configuration, engine and request size, by rising concurrency."""

    input_tokens: float
    output_tokens: float
    points: tuple[CurvePoint, ...]

    def distance(self, input_tokens: float, output_tokens: float) -> float:
        """How far a request size lies from this one; see `distance`."""
        return distance((self.input_tokens, self.output_tokens), (input_tokens, output_tokens))

    def beside(self, n: float) -> tuple[CurvePoint, ...]:
        """The point of n in flight, else those next to it on either side."""
        i = bisect_left([p.concurrency for p in self.points], n)
        if i < len(self.points) and self.points[i].concurrency == n:
            return self.points[i : i + 1]
        return self.points[max(0, i - 1) : i + 1]

    def ratio(self, of: Callable[[CurvePoint], float], n: float) -> float:
        """A ratio at n in flight: log–log between measured points, constant outside."""
        return interpolate_log([(p.concurrency, of(p)) for p in self.points], n)


@dataclass(frozen=True)
class MeasuredSpeed:
    """What rows say about one request size: one curve, or two with it in between."""

    estimate: Speed
    curves: tuple[tuple[float, Curve], ...]
    """Curves with their weights; the weights sum to 1."""

    exact: bool
    """Whether the request size itself was measured."""

    @property
    def prefill_s(self) -> float:
        """Estimated prefill of one request, in seconds."""
        return self.estimate.prefill_s

    @property
    def measured(self) -> bool:
        """Whether the size was measured, or lies between two that were; else one was moved."""
        return self.exact or len(self.curves) > 1

    @property
    def lowest(self) -> float:
        """The least concurrency that was measured."""
        return max(curve.points[0].concurrency for _, curve in self.curves)

    @property
    def highest(self) -> float:
        """The greatest concurrency that was measured."""
        return min(curve.points[-1].concurrency for _, curve in self.curves)

    @property
    def rows(self) -> tuple[Measurement, ...]:
        """The rows behind it."""
        return tuple(p.row for _, curve in self.curves for p in curve.points if p.row)

    def rows_at(self, n: float) -> tuple[Measurement, ...]:
        """The rows that decide the figures at n in flight: of n itself, else those beside it."""
        return tuple(p.row for _, curve in self.curves for p in curve.beside(n) if p.row)

    def measured_concurrencies(self) -> Iterator[float]:
        """Every concurrency that was measured."""
        for _, curve in self.curves:
            for point in curve.points:
                yield point.concurrency

    def tpot_s(self, n: float) -> float:
        """Time per output token with n in flight, in seconds."""
        return self.estimate.tpot_s(n) * self._ratio(lambda p: p.tpot_ratio, n)

    def requests_per_second(self, n: float) -> float:
        """Requests/s with n in flight."""
        return self.estimate.requests_per_second(n) * self._ratio(lambda p: p.rate_ratio, n)

    def ttft_s(self, n: float) -> float | None:
        """Time to first token with n in flight, in seconds; None where it was not measured."""
        if any(point.ttft_ratio is None for _, curve in self.curves for point in curve.points):
            return None
        return self.estimate.prefill_s * self._ratio(lambda p: p.ttft_ratio or 0.0, n)

    def _ratio(self, of: Callable[[CurvePoint], float], n: float) -> float:
        return exp(sum(weight * log(curve.ratio(of, n)) for weight, curve in self.curves))


def distance(one: tuple[float, float], other: tuple[float, float]) -> float:
    """Between two request sizes (input, output tokens), in doublings of the farther dimension."""
    return max(abs(log2(one[0] / other[0])), abs(log2(one[1] / other[1])))


def build_curves(
    rows: Iterable[Measurement], estimate: Callable[[float, float], Speed]
) -> tuple[Curve, ...]:
    """The closed-loop rows of one replica configuration and engine, one curve per request size.

    `estimate(input_tokens, output_tokens)` gives the estimate at a size. Of two rows at one point
    the newer one counts, of one day the slower.
    """
    points: dict[tuple[float, float], dict[float, Measurement]] = {}
    for row in sorted(rows, key=lambda r: (r.as_of, -r.output_tokens_per_second)):
        if row.input_tokens and row.output_tokens and row.concurrency:
            sizes = points.setdefault((row.input_tokens, row.output_tokens), {})
            sizes[row.concurrency] = row
    return tuple(
        Curve(i, o, tuple(curve_point(by_n[n], estimate(i, o)) for n in sorted(by_n)))
        for (i, o), by_n in sorted(points.items())
    )


def curve_point(row: Measurement, estimate: Speed) -> CurvePoint:
    """A closed-loop row against the estimate at its own request size and concurrency."""
    n = row.concurrency or 1.0
    rate = row.output_tokens_per_second / (row.output_tokens or 1.0)
    return CurvePoint(
        concurrency=n,
        rate_ratio=rate / estimate.requests_per_second(n),
        tpot_ratio=measured_tpot_s(row) / estimate.tpot_s(n),
        ttft_ratio=None if row.ttft_s is None else row.ttft_s / estimate.prefill_s,
        row=row,
    )


def measured_tpot_s(row: Measurement) -> float:
    """The row's tpot; by Little's law where it states none: (n/X − ttft) / output, in seconds."""
    if row.tpot_s is not None:
        return row.tpot_s
    output = row.output_tokens or 1.0
    whole = (row.concurrency or 1.0) * output / row.output_tokens_per_second
    return max(whole - (row.ttft_s or 0.0), 0.5 * whole) / output


def speed_near(
    curves: Sequence[Curve], input_tokens: float, output_tokens: float, estimate: Speed
) -> MeasuredSpeed | None:
    """What the curves say about a request size; None when none is near.

    The size itself (within 5 %), else two sizes with it in between and within a factor 4 of it,
    else one size within a factor 2 in input and output. Farther rows calibrate, they do not
    measure: prefill and decode then share the time differently.
    """
    if not curves:
        return None
    nearest = min(curves, key=lambda c: c.distance(input_tokens, output_tokens))
    distance = nearest.distance(input_tokens, output_tokens)
    if distance <= SAME_SIZE:
        return MeasuredSpeed(estimate, ((1.0, nearest),), exact=True)
    pair = _bracket(curves, input_tokens, output_tokens)
    if pair:
        return MeasuredSpeed(estimate, pair, exact=False)
    if distance <= NEAR:
        return MeasuredSpeed(estimate, ((1.0, nearest),), exact=False)
    return None


def interpolate_log(points: Sequence[tuple[float, float]], x: float) -> float:
    """Log–log between rising points (x, y), both positive; constant outside."""
    if x <= points[0][0]:
        return points[0][1]
    if x >= points[-1][0]:
        return points[-1][1]
    after = bisect_left(points, (x,))
    (x0, y0), (x1, y1) = points[after - 1], points[after]
    share = log(x / x0) / log(x1 / x0)
    return exp(log(y0) + share * log(y1 / y0))


def _bracket(
    curves: Sequence[Curve], input_tokens: float, output_tokens: float
) -> tuple[tuple[float, Curve], ...] | None:
    """The closest two curves with the size in between, weighted by nearness."""
    best: tuple[float, tuple[tuple[float, Curve], ...]] | None = None
    for i, one in enumerate(curves):
        near = one.distance(input_tokens, output_tokens)
        if near > BRACKETED:
            continue
        for other in curves[i + 1 :]:
            far = other.distance(input_tokens, output_tokens)
            total = near + far
            if far > BRACKETED or not _between(one, other, input_tokens, output_tokens):
                continue
            if best is None or total < best[0]:
                best = total, ((far / total, one), (near / total, other))
    return best[1] if best else None


def _between(one: Curve, other: Curve, input_tokens: float, output_tokens: float) -> bool:
    slack = 1.05
    return all(
        min(a, b) / slack <= x <= max(a, b) * slack
        for a, b, x in (
            (one.input_tokens, other.input_tokens, input_tokens),
            (one.output_tokens, other.output_tokens, output_tokens),
        )
    )
