"""How much is asked, when: the `traffic:` and `requests:` of a workload, as the user writes them.

To add a kind of traffic, add its record to `Traffic` and its reading to
`traffic/curves.py`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from milp_planner.errors import RecordError
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import (
    SECONDS_PER_HOUR,
    NonNegativeNumber,
    PositiveNumber,
    Seconds,
    Share,
    WholeNumber,
)

DAYS_PER_MONTH = 30
"""Days of a month whose volume is stated: the 720 hours that a month has elsewhere."""

CLOCKS = (24, 168)
"""Hours that a clock may have: those of a day, or of a week."""

MaxBlocks = Annotated[WholeNumber, Field(ge=1, le=168)]
"""Most time blocks that a load by the hour may become."""


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


class TrafficKind(Frozen):
    """What all kinds of traffic share."""

    growth: PositiveNumber = 1.0
    """Factor on the whole traffic."""

    burstiness: Annotated[PositiveNumber, Field(ge=1, le=10)] | None = None
    """Coefficient of variation of the gaps between requests, for wishes that queues decide.
    Default: 1, Poisson; of a trace what it shows."""

    brings_classes: ClassVar[bool] = False
    """True when the traffic tells the sizes of its requests, so that `requests:` must not."""

    @property
    def counts_tokens(self) -> bool:
        """True when a volume of tokens is stated, and requests follow from their size."""
        return False


class TokenVolume(TrafficKind):
    """A volume of tokens, input and output together, and how it spreads over time."""

    pattern: Literal["steady", "business_hours", "bursty"] | Pattern = "steady"

    @property
    def shape(self) -> Pattern:
        """The pattern as numbers."""
        return PATTERNS[self.pattern] if isinstance(self.pattern, str) else self.pattern

    @property
    def counts_tokens(self) -> bool:
        """It does."""
        return True

    @property
    def tokens_of_a_day(self) -> float:
        """Tokens of an average day."""
        raise NotImplementedError


class TokensPerDay(TokenVolume):
    """A daily volume of tokens."""

    kind: Literal["tokens_per_day"] = "tokens_per_day"
    tokens_per_day: PositiveNumber

    @property
    def tokens_of_a_day(self) -> float:
        """Tokens of an average day."""
        return self.tokens_per_day


class TokensPerMonth(TokenVolume):
    """A monthly volume of tokens."""

    kind: Literal["tokens_per_month"] = "tokens_per_month"
    tokens_per_month: PositiveNumber
    """In a month of 30 days."""

    @property
    def tokens_of_a_day(self) -> float:
        """Tokens of an average day."""
        return self.tokens_per_month / DAYS_PER_MONTH


class WithoutPattern(TrafficKind):
    """What kinds of traffic share that name no pattern, and so state its factors themselves."""

    efficiency: Annotated[Share, Field(gt=0)] = 1.0
    """Share of a raw throughput that is reached; multiplies `raw` catalog rows only."""

    batch_multiplier: PositiveNumber = 1.0
    """Gain from batching; multiplies `raw` catalog rows only."""


class RequestsPerSecond(WithoutPattern):
    """A rate of requests, all month."""

    kind: Literal["requests_per_second"] = "requests_per_second"
    requests_per_second: PositiveNumber
    """The peak rate, which sizes the fleet."""

    mean_requests_per_second: PositiveNumber | None = None
    """The mean rate, which prices tokens; default: the peak rate."""

    @model_validator(mode="after")
    def _mean_is_not_above_peak(self) -> Self:
        mean, peak = self.mean_requests_per_second, self.requests_per_second
        if mean is not None and mean > peak:
            raise RecordError(
                f"must be at most requests_per_second, the peak (is {mean:g}, the peak {peak:g})",
                at=("mean_requests_per_second",),
            )
        return self


class Profile(WithoutPattern):
    """A daily volume that follows the hours of the day (24 weights) or of the week (168)."""

    kind: Literal["profile"] = "profile"
    requests_per_day: PositiveNumber | None = None
    """Requests of an average day."""

    tokens_per_day: PositiveNumber | None = None
    """Tokens of an average day, input and output together; instead of `requests_per_day`."""

    weights: tuple[NonNegativeNumber, ...]
    """Load of each hour, in any unit: from midnight, or from Monday's midnight."""

    burst_factor: Annotated[PositiveNumber, Field(ge=1)] = 1.0
    """Peak rate of an hour over its mean rate."""

    max_blocks: MaxBlocks = 8

    @property
    def counts_tokens(self) -> bool:
        """True where `tokens_per_day` is given."""
        return self.tokens_per_day is not None

    @model_validator(mode="after")
    def _weights_fit_a_clock(self) -> Self:
        if len(self.weights) not in CLOCKS:
            raise RecordError(
                "needs 24 numbers, the hours of a day, or 168, those of a week "
                f"(has {len(self.weights)})",
                at=("weights",),
            )
        if not any(self.weights):
            raise RecordError("at least one weight must be greater than 0", at=("weights",))
        return self

    @model_validator(mode="after")
    def _one_volume_is_given(self) -> Self:
        if self.requests_per_day is None and self.tokens_per_day is None:
            raise RecordError("requests_per_day or tokens_per_day is required")
        if self.requests_per_day is not None and self.tokens_per_day is not None:
            raise RecordError(
                "requests_per_day and tokens_per_day cannot both be given",
                at=("tokens_per_day",),
                clashes_with=("requests_per_day",),
            )
        return self


TimeUnit = Literal["s", "ms", "us"]
"""Unit of arrivals that are plain numbers."""

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class TraceColumns(Frozen):
    """Names of a trace's columns, where they are not among the names known."""

    arrival: ColumnName | None = None
    """Numbers in `unit`, or timestamps such as 2023-11-16T18:17:03."""

    input_tokens: ColumnName | None = None
    output_tokens: ColumnName | None = None
    requests: ColumnName | None = None
    """Where a row is a bucket: the column that counts its requests; tokens are sums then."""


class Trace(WithoutPattern):
    """Recorded traffic: requests with arrival, input and output tokens, or counts of them by time.

    What a file is, its content tells: CSV or JSON lines of requests, usage exports, answers of
    Prometheus' `query_range`, Grafana's CSV.
    """

    kind: Literal["trace"] = "trace"
    file: Annotated[str, Field(min_length=1, max_length=4096)]
    """Gzipped or not; relative to the folder of the problem's file."""

    columns: TraceColumns = TraceColumns()
    unit: TimeUnit | None = None
    """Of arrivals that are numbers; default: as the format or the column's name says, else s."""

    model: ColumnName | None = None
    """The LLM whose rows count, where the file has a column `model`; default: all."""

    requests_per_second: PositiveNumber | None = None
    """Rate of a file that tells the sizes of requests and no times, such as conversations."""

    percentile: Annotated[Share, Field(gt=0)] = 0.99
    """Which percentile of an hour's minute rates is its peak rate; 100% is the busiest minute."""

    scale: PositiveNumber = 1.0
    """Factor on the trace, such as 100 for a sample of 1 in 100 requests."""

    max_blocks: MaxBlocks = 8
    classes: Annotated[WholeNumber, Field(ge=1, le=100)] = 12
    """Most request classes that the sizes may become."""

    brings_classes: ClassVar[bool] = True


class ConcurrentUsers(TrafficKind):
    """So many users at a time, each with a speed and a wait that must be kept."""

    kind: Literal["concurrent_users"] = "concurrent_users"
    users: PositiveNumber
    """Users at the same time; the fleet is sized for all of them."""

    requests_per_user: PositiveNumber = 1.0
    """Requests that a user has open at a time."""

    tokens_per_s: PositiveNumber
    """Generated tokens per second that every request must get, its prefill and waits included."""

    longest_wait_s: Seconds | None = Field(
        default=None, validation_alias="longest_wait", serialization_alias="longest_wait"
    )
    """Most time that a request may wait until its first token; default: any."""


EVERY_HOURS = {"day": 24, "week": 168, "month": DAYS_PER_MONTH * 24}
"""Hours from one batch to the next."""


class Batch(WithoutPattern):
    """Work that can wait: so much of it at a time, again and again, each done by its deadline."""

    kind: Literal["batch"] = "batch"
    tokens: PositiveNumber | None = None
    """Of each batch, input and output together."""

    requests: PositiveNumber | None = None
    """Of each batch; instead of `tokens`."""

    deadline_s: Seconds = Field(validation_alias="deadline", serialization_alias="deadline")
    """From when a batch is handed in until it must be done: whole hours, no longer than `every`."""

    every: Literal["day", "week", "month"] | None = None
    """How often one is handed in; default: the shortest that is no shorter than the deadline."""

    from_hour: Annotated[WholeNumber, Field(ge=0, le=167)] = 0
    """When: the hour of the day, or of the week from Monday's midnight."""

    @property
    def counts_tokens(self) -> bool:
        """True where `tokens` is given."""
        return self.tokens is not None

    @property
    def deadline_hours(self) -> float:
        """The deadline in hours."""
        return self.deadline_s / SECONDS_PER_HOUR

    @property
    def period(self) -> str:
        """`every`, or what it is by default."""
        if self.every is not None:
            return self.every
        longer = (name for name, hours in EVERY_HOURS.items() if hours >= self.deadline_hours)
        return next(longer, "month")

    @property
    def period_hours(self) -> int:
        """Hours from one batch to the next."""
        return EVERY_HOURS[self.period]

    @property
    def waits_all_the_time(self) -> bool:
        """True where a batch may be worked on until the next one comes."""
        return self.deadline_hours == self.period_hours

    def is_open(self, hour: int) -> bool:
        """Whether a batch may be worked on in an hour of the clock, from its first midnight."""
        return (hour - self.from_hour) % self.period_hours < self.deadline_hours

    @model_validator(mode="after")
    def _one_size_is_given(self) -> Self:
        if self.tokens is None and self.requests is None:
            raise RecordError("tokens or requests is required: what a batch holds")
        if self.tokens is not None and self.requests is not None:
            raise RecordError(
                "tokens and requests cannot both be given",
                at=("requests",),
                clashes_with=("tokens",),
            )
        return self

    @model_validator(mode="after")
    def _deadline_fits(self) -> Self:
        if self.deadline_hours > self.period_hours:
            raise RecordError(
                f"a batch must be done before the next one, a {self.period} later "
                f"(is {self.deadline_hours:g} h)",
                at=("deadline",),
            )
        if self.period == "month" and not self.waits_all_the_time:
            raise RecordError(
                "of a batch a month the deadline is the month, 30d; for a shorter one write "
                "every: week",
                at=("deadline",),
            )
        if self.deadline_hours != int(self.deadline_hours):
            raise RecordError(
                f"must be whole hours (is {self.deadline_hours:g} h)", at=("deadline",)
            )
        if self.from_hour >= self.period_hours:
            raise RecordError(f"a {self.period} has no such hour", at=("from_hour",))
        return self


Traffic = Annotated[
    TokensPerDay | TokensPerMonth | RequestsPerSecond | Profile | Trace | Batch | ConcurrentUsers,
    Field(discriminator="kind"),
]
