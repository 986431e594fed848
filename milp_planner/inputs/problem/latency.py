"""The `latency:` of a workload: times that its users should feel, as means or by percentile."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Literal, NamedTuple, Self

from pydantic import Field, PrivateAttr, model_validator

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

Metric = Literal["wait", "ttft", "tpot", "request"]

Time = Annotated[Seconds, Field(gt=0)]


class TimeWish(NamedTuple):
    """A time that is wished for, and the share of the requests that must keep it."""

    metric: Metric
    percentile: str
    """A key of `SHARES`; '' for the mean."""

    wished_s: float

    @property
    def share(self) -> float | None:
        """0.99 for a p99; None for the mean."""
        return SHARES.get(self.percentile)

    @property
    def words(self) -> str:
        """What it is called: `p99 wait`, `mean request`."""
        name = "p99.9" if self.percentile == "p999" else self.percentile or "mean"
        return f"{name} {self.metric}"

    @property
    def key(self) -> str:
        """Where it stands in `latency:`."""
        return f"{self.metric}.{self.percentile}".rstrip(".")


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
    def stated(self) -> tuple[tuple[str, float], ...]:
        """(percentile, seconds) of those stated, the lowest percentile first."""
        found = ((name, getattr(self, f"{name}_s")) for name in SHARES)
        return tuple((name, seconds) for name, seconds in found if seconds is not None)

    @model_validator(mode="after")
    def _each_says_something(self) -> Self:
        if not self.stated:
            raise RecordError("write a percentile and its time, such as p99: 1s")
        for (one, mine_s), (higher, theirs_s) in pairwise(self.stated):
            if mine_s >= theirs_s:
                raise RecordError(
                    f"{mine_s:g} s says nothing beside {higher}, which keeps {theirs_s:g} s",
                    at=(one,),
                    clashes_with=(higher,),
                )
        return self


class Latency(Frozen):
    """What the workload's users should feel."""

    requirement_s: Seconds | None = Field(
        default=None, validation_alias="requirement", serialization_alias="requirement"
    )
    """Below 300 ms the workload is strict, which matters to a penalty only: without
    `policy.penalties.strict_latency` it is refused."""

    tpot_s: Seconds | Percentiles | None = Field(
        default=None, validation_alias="tpot", serialization_alias="tpot"
    )
    """Mean time per output token, at the expected speed; bounds the operating point of every
    replica. Percentiles bound it as well, and are not judged beyond that, since what comes between
    two tokens are other requests' prompts, of which no formula tells more than the mean: a replay,
    as slow as `policy.confidence` plans on, says what they come to, and `solve --replay` asks for
    less utilization until they are kept."""

    ttft_s: Seconds | Percentiles | None = Field(
        default=None, validation_alias="ttft", serialization_alias="ttft"
    )
    """Time to first token, of a replica at full load where measured, else of an idle one by the
    estimate, which is then said to be one. Percentiles as those of tpot. Where wishes for the wait
    or for whole requests have queues judged, no wait is longer either."""

    wait_s: Time | Percentiles | None = Field(
        default=None, validation_alias="wait", serialization_alias="wait"
    )
    """From a request's arrival until a replica admits it: `{p99: 1s}`, or a plain time for the mean
    at the peak. Kept by queueing formulas, for one least-in-flight router before all replicas."""

    request_s: Time | Percentiles | None = Field(
        default=None, validation_alias="request", serialization_alias="request"
    )
    """From a request's arrival to its last token, in the same way: the wait, and its own prefill
    and decoding at the speed of a replica that is as full as the peak makes it."""

    max_band: Literal["low", "medium", "high"] | None = None
    """Highest latency band: low is utilization up to 50 %, medium up to 75 %."""

    @property
    def tpot_limit_s(self) -> float | None:
        """What the mean time per output token must keep at full load."""
        return _least_s(self.tpot_s)

    @property
    def ttft_limit_s(self) -> float | None:
        """What the time to first token must keep, as far as it is known."""
        return _least_s(self.ttft_s)

    @property
    def wishes(self) -> tuple[TimeWish, ...]:
        """All, the percentiles of each metric from the lowest on."""
        tokens = (*_wishes("tpot", self.tpot_s), *_wishes("ttft", self.ttft_s))
        return (*tokens, *self.queue_wishes)

    @property
    def unjudged(self) -> tuple[TimeWish, ...]:
        """Percentiles that only a replay tells."""
        return tuple(w for w in self.wishes if w.metric in ("tpot", "ttft") and w.percentile)

    @property
    def queue_wishes(self) -> tuple[TimeWish, ...]:
        """Those that depend on how long requests queue."""
        return (*_wishes("wait", self.wait_s), *_wishes("request", self.request_s))

    @property
    def waits_within(self) -> tuple[TimeWish, ...]:
        """Of the first token, those that a wait cannot be longer than, where queues are judged, and
        that no wish for the wait says as well."""
        if not self.asks_queues:
            return ()
        waits = list(_wishes("wait", self.wait_s))
        return tuple(
            first
            for first in _wishes("ttft", self.ttft_s)
            if not any(
                wait.wished_s <= first.wished_s and (wait.share or 0) >= (first.share or 0)
                for wait in waits
            )
        )

    @property
    def asks_queues(self) -> bool:
        """True where a wish depends on how long requests queue."""
        return self.wait_s is not None or self.request_s is not None

    @property
    def judges_queues(self) -> bool:
        """True where the program keeps such a wish by queueing formulas: not where nothing could
        miss it, nor where the plan that is best without it is looked at whether it does."""
        return self.asks_queues and not self._left_out

    @property
    def is_judged_after(self) -> bool:
        """True where the program is without such a wish, and its plan is held against it."""
        return self._left_out == "after"

    def marked(self, *, idle: bool) -> Self:
        """The wishes, known to be kept by whatever may be planned, or not known to be."""
        return self._leaving_out("idle" if idle else "")

    def judged_after(self) -> Self:
        """The wishes, left out of the program: whoever has its plan looks whether that keeps
        them."""
        return self._leaving_out("after")

    def _leaving_out(self, why: Literal["", "idle", "after"]) -> Self:
        if why == self._left_out:
            return self
        found = self.model_copy()
        found._left_out = why
        return found

    _left_out: Literal["", "idle", "after"] = PrivateAttr(default="")


def _least_s(said: float | Percentiles | None) -> float | None:
    return min(s for _, s in said.stated) if isinstance(said, Percentiles) else said


def _wishes(metric: Metric, said: float | Percentiles | None) -> Iterator[TimeWish]:
    if isinstance(said, Percentiles):
        yield from (TimeWish(metric, name, seconds) for name, seconds in said.stated)
    elif said is not None:
        yield TimeWish(metric, "", said)
