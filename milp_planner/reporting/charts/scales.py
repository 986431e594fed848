"""From values to places on a chart, and where its axis is marked."""

from __future__ import annotations

import math
from collections.abc import Iterator

from milp_planner.lazily import dataclass

STEPS = (1, 2, 2.5, 5, 10)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` laid out from one place to another."""

    low: float
    high: float
    start: float
    end: float
    is_log: bool = False

    def at(self, value: float) -> float:
        """The place of a value, kept on the axis; to a tenth."""
        low, high, value = (self._seen(v) for v in (self.low, self.high, value))
        share = 0.0 if high <= low else min(1.0, max(0.0, (value - low) / (high - low)))
        return round(self.start + share * (self.end - self.start), 1)

    def _seen(self, value: float) -> float:
        return math.log(max(value, 1e-300)) if self.is_log else value

    def ticks(self, about: int = 4) -> tuple[float, ...]:
        """Round values on the axis, `about` so many."""
        if self.high <= self.low:
            return (self.low,)
        if self.is_log:
            return tuple(self._decades(about))
        step = round_step((self.high - self.low) / about)
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return tuple(round(i * step, 10) for i in range(first, last + 1))

    def _decades(self, about: int) -> Iterator[float]:
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        parts = (1,) if last - first > about else (1, 2, 5) if last - first < 2 else (1, 3)
        for decade in range(first, last + 1):
            for part in parts:
                value = part * 10.0**decade
                if self.low * (1 - 1e-9) <= value <= self.high * (1 + 1e-9):
                    yield value


def round_step(least: float) -> float:
    """The least of 1, 2, 2.5, 5 times a power of ten that is no smaller."""
    power = 10.0 ** math.floor(math.log10(least))
    return next((s * power for s in STEPS if s * power >= least * (1 - 1e-9)), 10 * power)


def path_of(points: list[tuple[float, float]]) -> str:
    """An SVG path through the places."""
    return " ".join(f"{'L' if i else 'M'}{x:g} {y:g}" for i, (x, y) in enumerate(points))
