"""The answer of the serving model: a rate with its latency, source and error, or a reason."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, NamedTuple

from milp_planner.inputs.catalog.records import Measurement
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.lazily import dataclass
from milp_planner.serving import derate as evidence_of
from milp_planner.serving.derate import Trust
from milp_planner.serving.memory import MemoryFit

Source = Literal["measured", "published", "calibrated", "estimated", "raw"]
"""published: measured by others in another deployment, and moved to this one by the estimate."""


@dataclass(frozen=True)
class EngineRate:
    """What rows of one engine measured for a replica at one request size and number in flight."""

    engine: str
    concurrency: float
    """Requests in flight: of the operating point, or the nearest that two engines measured."""

    least_requests_per_second: float
    most_requests_per_second: float
    """Of several deployments of the engine."""


@dataclass(frozen=True)
class OperatingPoint:
    """How one replica serves requests of one size."""

    requests_per_second: float
    """Rate of one replica at full load, before the derate."""

    derate: float
    """Factor on the rate for the confidence asked for."""

    concurrency: float | None
    """Requests in flight; None where the row states none."""

    tpot_s: float | None
    """Mean time per output token, in seconds; None where nothing is known of it."""

    ttft_s: float | None
    """Time to first token, in seconds: advice, unless measured."""

    ttft_measured: bool
    source: Source
    source_detail: str
    """Which rows, from where and when."""

    evidence: str
    """The kind of evidence; see `derate.py`."""

    error_band: tuple[float, float]
    """Measured ÷ this rate at its 5th and 95th percentile."""

    bottleneck: str = ""
    """What takes most of a token's time: weights, kv, compute or overhead; '' where not known."""

    warnings: tuple[str, ...] = ()
    rows: tuple[Measurement, ...] = ()
    """The measurements that the rate stands on; none where it is estimated."""

    engines: tuple[EngineRate, ...] = ()
    """What each engine was measured at here, where rows of several engines exist."""

    @property
    def engine(self) -> str:
        """The engine of the rows; '' where there are none, or where they do not name it."""
        return engine_of(self.rows)

    @property
    def planned_requests_per_second(self) -> float:
        """The rate to plan on: rate × derate."""
        return self.requests_per_second * self.derate


@dataclass(frozen=True)
class Rejection:
    """Why a replica cannot serve requests of one size."""

    reason: str
    """One sentence with the numbers."""

    fastest_tpot_s: float | None = None
    """The least time per token it can reach, in seconds, where that is what failed."""

    times_missed: float | None = None
    """What is reached ÷ what is wished, where a wish is what failed: above 1."""

    memory: MemoryFit | None = None


class Question(NamedTuple):
    """What is asked: a replica, a request size and the wishes; ids in place of records."""

    llm: str
    gpu: str
    precision: str
    tensor_parallel: int
    input_tokens: float
    output_tokens: float
    tpot_limit_s: float | None = None
    ttft_limit_s: float | None = None
    quantile: float = evidence_of.DEFAULT_QUANTILE
    raw_multiplier: float = 1.0
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT
    trust: Trust = Trust()
    """What decides how far an estimate of it is trusted."""

    @property
    def tokens(self) -> float:
        """Tokens of one request, input and output."""
        return self.input_tokens + self.output_tokens


def engine_of(rows: Iterable[Measurement]) -> str:
    """The engines of the rows, without repeats."""
    return ", ".join(sorted({row.engine for row in rows} - {""}))


def rate_only(
    q: Question, rate: float, source: Source, evidence: str, detail: str
) -> OperatingPoint:
    """A point of which only the rate is known."""
    wish = f"ttft wish {q.ttft_limit_s or 0:g} s is not verified: no measured ttft"
    return OperatingPoint(
        requests_per_second=rate,
        derate=evidence_of.derate(evidence, q.trust, q.quantile),
        concurrency=None,
        tpot_s=None,
        ttft_s=None,
        ttft_measured=False,
        source=source,
        source_detail=detail,
        evidence=evidence,
        error_band=evidence_of.error_band(evidence, q.trust),
        warnings=() if q.ttft_limit_s is None else (wish,),
    )


def too_slow(q: Question, fastest_tpot_s: float, memory: MemoryFit) -> Rejection:
    """One request alone already takes longer per token than wished."""
    wished = 1e3 * (q.tpot_limit_s or 0.0)
    reason = (
        f"the fastest {1e3 * fastest_tpot_s:.1f} ms per token is above the wished {wished:g} ms"
    )
    times = fastest_tpot_s / (q.tpot_limit_s or fastest_tpot_s)
    return Rejection(reason, fastest_tpot_s, times, memory=memory)


def ttft_too_long(
    q: Question, ttft_s: float, memory: MemoryFit | None, *, measured: bool = True
) -> Rejection:
    """The least time to first token is above the wish."""
    how = "fastest measured" if measured else "estimated"
    wished_s = q.ttft_limit_s or ttft_s
    reason = f"the {how} ttft {ttft_s:.3g} s is above the wished {wished_s:g} s"
    return Rejection(reason, times_missed=ttft_s / wished_s, memory=memory)


def describe(rows: Iterable[Measurement]) -> str:
    """How many rows, of which LLM in which engine, from where, and when the newest is from."""
    found = list(rows)
    sources = sorted({row.source.split(" ")[0] for row in found})
    llms = ", ".join(sorted({row.llm for row in found}))
    count = "1 row" if len(found) == 1 else f"{len(found)} rows"
    newest = max(row.as_of for row in found).isoformat()
    engines = engine_of(found)
    run_in = f" in {engines}" if engines else ""
    return f"{count} of {llms}{run_in}, {'; '.join(sources)}, newest {newest}"
