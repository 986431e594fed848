"""How much is asked, when: the `traffic:` and `requests:` of a workload, as the user writes them.

To add a kind of traffic, add its record to `Traffic` and its reading to `serving/traffic.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from milp_planner.inputs.base import Frozen
from milp_planner.units import NonNegativeNumber, PositiveNumber, Share


class RequestSize(Frozen):
    """Tokens of one request, or of one class of requests."""

    input_tokens: NonNegativeNumber
    output_tokens: PositiveNumber
    share: Annotated[Share, Field(gt=0)] | None = None
    """Share of all requests that are of this class; needed when there are several classes."""


class Pattern(Frozen):
    """How a day's tokens spread over time, after InferenceAtlas."""

    active_ratio: Annotated[Share, Field(gt=0)] = 1.0
    """Share of the month in which there is traffic."""

    burst_factor: Annotated[PositiveNumber, Field(ge=1)] = 1.0
    """Peak rate over mean active rate."""

    efficiency: Annotated[Share, Field(gt=0)] = 1.0
    """Share of a raw throughput that is reached; multiplies `raw` catalog rows only."""

    batch_multiplier: PositiveNumber = 1.0
    """Gain from batching; multiplies `raw` catalog rows only."""


PATTERNS = {
    "steady": Pattern(active_ratio=1.0, burst_factor=1.0, efficiency=0.85, batch_multiplier=1.25),
    "business_hours": Pattern(
        active_ratio=0.238, burst_factor=1.0, efficiency=0.80, batch_multiplier=1.10
    ),
    "bursty": Pattern(active_ratio=0.40, burst_factor=3.0, efficiency=0.70, batch_multiplier=1.35),
}
"""The three patterns of the InferenceAtlas reference."""


class TokensPerDay(Frozen):
    """A daily volume of tokens, input and output together."""

    kind: Literal["tokens_per_day"] = "tokens_per_day"
    tokens_per_day: PositiveNumber
    pattern: Literal["steady", "business_hours", "bursty"] | Pattern = "steady"
    growth: PositiveNumber = 1.0
    """Factor on the whole traffic."""

    @property
    def shape(self) -> Pattern:
        """The pattern as numbers."""
        return PATTERNS[self.pattern] if isinstance(self.pattern, str) else self.pattern


class RequestsPerSecond(Frozen):
    """A rate of requests, all month."""

    kind: Literal["requests_per_second"] = "requests_per_second"
    requests_per_second: PositiveNumber
    """The peak rate, which sizes the fleet."""

    mean_requests_per_second: PositiveNumber | None = None
    """The mean rate, which prices tokens; default: the peak rate."""

    growth: PositiveNumber = 1.0


Traffic = Annotated[TokensPerDay | RequestsPerSecond, Field(discriminator="kind")]
