"""The `latency:` of a workload: times that its users should feel, as means or by percentile."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, model_validator

from milp_planner.errors import RecordError
from milp_planner.inputs.reading.records import Frozen
from milp_planner.units import Seconds

SHARES = {
    "p50": 0.50,
    "p75": 0.75,
    "p90": 0.90,
    "p95": 0.95,
    "p98": 0.98,
    "p99": 0.99,
    "p999": 0.999,
}
"""Share of the requests that a percentile is about, by its name."""

Time = Annotated[Seconds, Field(gt=0)]


class TimeWish(NamedTuple):
    """A time, and the share of the requests that must keep it."""

    percentile: str
    """A key of `SHARES`."""

    wished_s: float

    @property
    def share(self) -> float:
        """0.99 for a p99."""
        return SHARES[self.percentile]


class Percentiles(Frozen):
    """Times that a share of the requests must keep, `{p50: 200ms, p99: 2s}`."""

    p50_s: Time | None = Field(default=None, validation_alias="p50", serialization_alias="p50")
    p75_s: Time | None = Field(default=None, validation_alias="p75", serialization_alias="p75")
    p90_s: Time | None = Field(default=None, validation_alias="p90", serialization_alias="p90")
    p95_s: Time | None = Field(default=None, validation_alias="p95", serialization_alias="p95")
    p98_s: Time | None = Field(default=None, validation_alias="p98", serialization_alias="p98")
    p99_s: Time | None = Field(default=None, validation_alias="p99", serialization_alias="p99")
    p999_s: Time | None = Field(default=None, validation_alias="p999", serialization_alias="p999")
    """That of 999 of 1,000 requests."""

    @property
    def wishes(self) -> tuple[TimeWish, ...]:
        """Those stated, the lowest percentile first."""
        stated = ((name, getattr(self, f"{name}_s")) for name in SHARES)
        return tuple(TimeWish(name, seconds) for name, seconds in stated if seconds is not None)

    @model_validator(mode="after")
    def _each_says_something(self) -> Self:
        if not self.wishes:
            raise RecordError("write a percentile and its time, such as p99: 1s")
        for one, higher in zip(self.wishes, self.wishes[1:], strict=False):
            if one.wished_s >= higher.wished_s:
                raise RecordError(
                    f"{one.wished_s:g} s says nothing beside {higher.percentile}, which keeps "
                    f"{higher.wished_s:g} s",
                    at=(one.percentile,),
                    clashes_with=(higher.percentile,),
                )
        return self


class Latency(Frozen):
    """What the workload's users should feel."""

    requirement_s: Seconds | None = Field(
        default=None, validation_alias="requirement", serialization_alias="requirement"
    )
    """Below 300 ms the workload is strict, which matters to a penalty only: without
    `policy.penalties.strict_latency` it is refused."""

    tpot_s: Seconds | None = Field(
        default=None, validation_alias="tpot", serialization_alias="tpot"
    )
    """Mean time per output token; bounds the operating point of every replica."""

    ttft_s: Seconds | None = Field(
        default=None, validation_alias="ttft", serialization_alias="ttft"
    )
    """Time to first token, of a replica at full load where measured, else of an idle one by the
    estimate, which is then said to be one."""

    wait: Percentiles | None = None
    """From a request's arrival until a replica admits it, by percentile: `{p99: 1s}`. Kept by
    queueing formulas, for one least-in-flight router before all replicas of the workload."""

    max_band: Literal["low", "medium", "high"] | None = None
    """Highest latency band: low is utilization up to 50 %, medium up to 75 %."""

    @property
    def judges_queues(self) -> bool:
        """True where a wish depends on how long requests queue."""
        return self.wait is not None
