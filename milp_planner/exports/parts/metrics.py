"""The load of a pool in the words of its engine's metrics: PromQL, and the names of an adapter."""

from __future__ import annotations

from milp_planner.exports.parts.pools import Pool
from milp_planner.exports.parts.words import MARK
from milp_planner.lazily import dataclass

METRICS = {
    "requests/s": "requests_per_second",
    "tokens/s": "tokens_per_second",
    "users": "requests_in_flight",
}
"""What an adapter makes of the engine's own metrics, by what a plan's rates count."""

RATE_OVER = "2m"
"""Seconds of traffic that a rate looks back on: two scrapes a minute give four points."""


@dataclass(frozen=True)
class EngineMetrics:
    """Names of an engine's counters and gauges."""

    requests: str
    """Requests that have ended, a counter."""

    running: str
    waiting: str
    input_tokens: str
    output_tokens: str


ENGINE_METRICS = {
    "vllm": EngineMetrics(
        "vllm:request_success_total",
        "vllm:num_requests_running",
        "vllm:num_requests_waiting",
        "vllm:prompt_tokens_total",
        "vllm:generation_tokens_total",
    ),
    "sglang": EngineMetrics(
        "sglang:num_requests_total",
        "sglang:num_running_reqs",
        "sglang:num_queue_reqs",
        "sglang:prompt_tokens_total",
        "sglang:generation_tokens_total",
    ),
}
"""By engine. vLLM 0.33 `/metrics`; SGLang 0.5 with `--enable-metrics`."""

UNKNOWN = EngineMetrics(
    *(f"{MARK}{name}-OF-THE-ENGINE" for name in ("REQUESTS", "RUNNING", "WAITING")),
    *(f"{MARK}{name}-TOKENS-OF-THE-ENGINE" for name in ("INPUT", "OUTPUT")),
)


def engine_metrics(engine: str) -> EngineMetrics:
    """The names of an engine's metrics; words to replace where they are not known."""
    return ENGINE_METRICS.get(engine, UNKNOWN)


def query(pool: Pool, *, by_pod: bool = False) -> str:
    """The load of a pool in PromQL, in the unit of its workload."""
    named = engine_metrics("" if pool.settings is None else pool.settings.engine)
    ending = "[0-9]+" if pool.nodes_per_replica > 1 else "[^-]+-[^-]+"  # leaders; replica set, pod
    where = f'{{pod=~"{pool.name}-{ending}"}}'
    over = " by (pod) " if by_pod else ""
    match pool.workload.unit:
        case "users":
            names = named.running, named.waiting
            return " + ".join(f"sum{over}({name}{where})" for name in names)
        case "tokens/s":
            names = named.input_tokens, named.output_tokens
        case _:
            return f"sum{over}(rate({named.requests}{where}[{RATE_OVER}]))"
    return " + ".join(f"sum{over}(rate({name}{where}[{RATE_OVER}]))" for name in names)
