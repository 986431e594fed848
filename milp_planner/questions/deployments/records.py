"""What is asked about one deployment, and the figures that answer it."""

from __future__ import annotations

from typing import Any, Literal

from milp_planner.candidates.prices import ReplicaPrice
from milp_planner.inputs.catalog.records import Gpu, Llm, TokenPrice
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.lazily import dataclass
from milp_planner.plans.plain import clean
from milp_planner.units import SECONDS_PER_HOUR, TOKENS_PER_MILLION

Verdict = Literal["fits", "marginal", "does not fit", "per token"]
"""per token: served by an API, of which no memory and no speed is known."""


@dataclass(frozen=True)
class Deployment:
    """One LLM on one replica: what is asked about."""

    llm: Llm
    gpu: Gpu
    precision: str
    tensor_parallel: int
    input_tokens: float
    output_tokens: float
    concurrency: float | None = None
    """Requests in flight; None takes as many as fit, within the limits."""

    tpot_limit_s: float | None = None
    latency_limit_s: float | None = None
    """Of a whole request: ttft + (output − 1) · tpot."""

    settings: DeploymentSettings = DEFAULT_DEPLOYMENT

    @property
    def gpus(self) -> int:
        """GPUs of the whole replica: its tensor parallel in each pipeline stage."""
        return self.tensor_parallel * self.settings.stages

    @property
    def tokens(self) -> float:
        """Tokens of one request, input and output."""
        return self.input_tokens + self.output_tokens


@dataclass(frozen=True)
class Estimate:
    """What one deployment does. Figures that cannot be known are None."""

    llm: str
    gpu: str
    """'' where an API serves."""

    precision: str
    """Weight format; `provider` where an API serves."""

    tensor_parallel: int
    """GPUs of the replica, or of each of its pipeline stages; 0 where an API serves."""

    input_tokens: float
    output_tokens: float
    concurrency: float | None

    verdict: Verdict
    reason: str
    """Why it does not fit or cannot be estimated; '' when it can."""

    weights_gib: float | None
    """On each GPU, as the three below."""

    kv_gib: float | None
    """KV cache of all requests in flight."""

    reserve_gib: float | None
    usable_gib: float | None
    sequences: int
    """Most requests of this size held at once, n_max; at most the engine's own limit."""

    deployment: str = ""
    """Engine and settings in words: `vLLM, default settings`."""

    pipeline_parallel: int = 1
    units_joined: int = 1
    """Units of one offering that the replica is spread over."""

    smallest: str = ""
    """The smallest replica that fits, where this one does not; '' where none does."""

    smallest_joined: str = ""
    """The fewest joined units of the same GPU that hold it, where no unit of it alone does."""

    ttft_s: float | None = None
    ttft_measured: bool = False
    tpot_s: float | None = None
    latency_s: float | None = None
    """Of one whole request: ttft + (output − 1) · tpot."""

    output_tokens_per_second: float | None = None
    requests_per_second: float | None = None
    derate: float | None = None
    """Factor on the rate that a plan would apply."""

    error_band: tuple[float, float] | None = None
    """Measured ÷ estimated throughput at its 5th and 95th percentile."""

    source: str = ""
    source_detail: str = ""
    bottleneck: str = ""
    mbu: float | None = None
    """Share of the memory bandwidth that decoding uses, over all the time."""

    mfu: float | None = None
    """Share of the compute peak that useful operations use, prefill included."""

    price: ReplicaPrice | None = None
    token_price: TokenPrice | None = None
    """What an API asks, where one serves."""

    api_usd_per_request: float | None = None
    """Cost of one request at that API, cached tokens at their own price, in USD."""

    warnings: tuple[str, ...] = ()

    @property
    def needed_gib(self) -> float | None:
        """Memory that each GPU needs, in GiB."""
        parts = (self.weights_gib, self.kv_gib, self.reserve_gib)
        return None if None in parts else sum(part or 0.0 for part in parts)

    @property
    def usd_per_request(self) -> float | None:
        """Cost of one request at full load or at the API, in USD."""
        if self.token_price is not None:
            return self.api_usd_per_request
        if self.price is None or not self.requests_per_second:
            return None
        return self.price.usd_per_hour / SECONDS_PER_HOUR / self.requests_per_second

    @property
    def usd_per_million_output_tokens(self) -> float | None:
        """Cost of a million generated tokens at full load, in USD."""
        each = self.usd_per_request
        return None if each is None else each / self.output_tokens * TOKENS_PER_MILLION

    @property
    def usd_per_million_tokens(self) -> float | None:
        """Cost of a million tokens, input and output together, at full load, in USD."""
        each = self.usd_per_request
        tokens = self.input_tokens + self.output_tokens
        return None if each is None else each / tokens * TOKENS_PER_MILLION

    def to_dict(self) -> dict[str, Any]:
        """All figures as one flat row, ready for JSON: GiB on each GPU, seconds, USD, shares."""
        low, high = self.error_band or (None, None)
        return clean(
            {
                "llm": self.llm,
                "gpu": self.gpu,
                "precision": self.precision,
                "tensor_parallel": self.tensor_parallel,
                "pipeline_parallel": self.pipeline_parallel,
                "units_joined": self.units_joined,
                "input_tokens": self.input_tokens,
                "output_tokens": self.output_tokens,
                "concurrency": self.concurrency,
                "deployment": self.deployment,
                "verdict": self.verdict,
                "reason": self.reason,
                "weights_gib_per_gpu": self.weights_gib,
                "kv_gib_per_gpu": self.kv_gib,
                "reserve_gib_per_gpu": self.reserve_gib,
                "needed_gib_per_gpu": self.needed_gib,
                "usable_gib_per_gpu": self.usable_gib,
                "sequences": self.sequences,
                "smallest_that_fits": self.smallest,
                "smallest_joined": self.smallest_joined,
                "ttft_s": self.ttft_s,
                "ttft_measured": self.ttft_measured,
                "tpot_s": self.tpot_s,
                "latency_s": self.latency_s,
                "output_tokens_per_second": self.output_tokens_per_second,
                "requests_per_second": self.requests_per_second,
                "source": self.source,
                "source_detail": self.source_detail,
                "derate": self.derate,
                "error_p5": low,
                "error_p95": high,
                "bottleneck": self.bottleneck,
                "mbu": self.mbu,
                "mfu": self.mfu,
                "usd_per_hour": self.price.usd_per_hour if self.price else None,
                "price_of": self._priced_at,
                "usd_per_request": self.usd_per_request,
                "usd_per_million_output_tokens": self.usd_per_million_output_tokens,
                "usd_per_million_tokens": self.usd_per_million_tokens,
                "warnings": list(self.warnings),
            }
        )

    @property
    def _priced_at(self) -> str:
        if self.token_price is not None:
            return self.token_price.id
        return self.price.label if self.price else ""
