"""What is made small over several futures, in plain arithmetic: the mean, the tail or the worst."""

from __future__ import annotations

from collections.abc import Sequence

from milp_planner.lazily import dataclass
from milp_planner.traffic.month import RequestClass


@dataclass(frozen=True)
class Measure:
    """How what futures count is made one number."""

    probabilities: tuple[float, ...]
    weight: float = 0.0
    """Of the risk; the mean is the rest."""

    tail: float | None = None
    """Probability of the worst futures whose mean the risk is; None: it is the worst one."""

    constants: tuple[float, ...] = ()
    """What is taken from a future's costs, below 0, or added to them, USD/month."""

    usd_per_million_requests: float = 0.0
    usd_per_million_tokens: float = 0.0
    """What served traffic is worth, where that counts."""

    shift: float = 0.0
    """No future counts less, USD/month."""

    def usd_per_request(self, of: RequestClass) -> float:
        """What a served request of a class is worth."""
        return (self.usd_per_million_requests + self.usd_per_million_tokens * of.tokens) / 1e6

    def mean(self, counted: Sequence[float]) -> float:
        """Σ_f p_f Z_f."""
        return sum(p * z for p, z in zip(self.probabilities, counted, strict=True))

    def risk(self, counted: Sequence[float]) -> float:
        """The worst, or the mean of the worst part of the probability."""
        if self.tail is None:
            return max(counted)
        left, total = self.tail, 0.0
        for z, p in sorted(zip(counted, self.probabilities, strict=True), reverse=True):
            part = min(p, left)
            total, left = total + part * z, left - part
        return total / self.tail

    def minimised(self, counted: Sequence[float]) -> float:
        """What plans are compared by."""
        mean = self.mean(counted)
        return mean if self.weight == 0 else mean + self.weight * (self.risk(counted) - mean)

    @property
    def offset(self) -> float:
        """What the program leaves out of it because it is the same for all plans."""
        mean = sum(p * c for p, c in zip(self.probabilities, self.constants, strict=True))
        return (1 - self.weight) * mean + self.weight * self.shift


def of_costs(probabilities: Sequence[float]) -> Measure:
    """The mean of what the futures cost."""
    return Measure(tuple(probabilities), constants=(0.0,) * len(probabilities))
