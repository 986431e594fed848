"""Concurrent users: how many of them one replica holds, so that each gets the speed wished for.

With n requests in flight a replica finishes X(n) of them per second, each after S(n) = n/X(n)
seconds (Little's law; S is prefill and all output tokens). Q·n requests share the n places:

    speed    O / (Q·S(n)) ≥ tokens/s per user                  O output tokens of a request
    wait     t_p + (Q − 1)·S(n) ≤ longest wait                 t_p time to the first token, Q ≥ 1
    users    Q·n ÷ requests per user                           of one replica

The largest Q that keeps both is taken for every batch n, and the best batch for every replica
configuration; the program then counts replicas. Rates are derated before, so that the speed is kept
with the confidence asked for. A replica whose first token takes longer than may be waited, by its
rows or else by the estimate of an idle one, holds nobody.

Exact for a curve on which X(n) does not fall: capacity then grows with n as long as Q ≥ 1, so the
best batch is the largest with Q ≥ 1. Powers of two are tried too, for measured curves that fall.
"""

from __future__ import annotations

from math import log2
from typing import TypeGuard

from milp_planner.candidates.records import Candidate, RatePoint
from milp_planner.inputs.catalog.records import Gpu, Llm
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.inputs.problem.traffic import ConcurrentUsers
from milp_planner.lazily import dataclass, replace
from milp_planner.serving import infrascale
from milp_planner.serving.derate import DEFAULT_QUANTILE
from milp_planner.serving.gpu_formats import TERA
from milp_planner.serving.memory import fit
from milp_planner.serving.operating_point import OperatingPoint, Rejection
from milp_planner.serving.rates.throughput import ROUNDING, ServingModel
from milp_planner.serving.roofline import GB, largest_within, missing_for_estimate
from milp_planner.serving.weights import WEIGHT_BYTES

LEAST_QUEUE = 1 - 1e-9


@dataclass(frozen=True)
class Held:
    """What one replica holds at one batch."""

    point: OperatingPoint
    batch: int
    queue: float
    """Q, the requests that share a place."""

    users: float


@dataclass(frozen=True)
class Replica:
    """A replica configuration and what its users wish."""

    model: ServingModel
    llm: Llm
    gpu: Gpu
    precision: str
    tensor_parallel: int
    input_tokens: float
    output_tokens: float
    wish: ConcurrentUsers
    tpot_limit_s: float | None = None
    quantile: float = DEFAULT_QUANTILE
    settings: DeploymentSettings = DEFAULT_DEPLOYMENT
    ttft_limit_s: float | None = None

    def held(self, n: int) -> Held | Rejection:
        """The users that a batch of n holds, or why it cannot run."""
        size = self.input_tokens, self.output_tokens
        point = self.model.at(
            self.llm,
            self.gpu,
            self.precision,
            self.tensor_parallel,
            *size,
            n,
            quantile=self.quantile,
            settings=self.settings,
        )
        if isinstance(point, Rejection):
            return point
        tpot_s, limit_s = point.tpot_s or 0.0, self.tpot_limit_s
        if limit_s is not None and tpot_s > limit_s * ROUNDING:
            wished = f"{1e3 * limit_s:g} ms"
            fastest = f"the fastest {1e3 * tpot_s:.1f} ms per token"
            times = tpot_s / limit_s
            return Rejection(f"{fastest} is above the wished {wished}", tpot_s, times)
        first_s, most_s = self._first_token_s(point), self.ttft_limit_s
        if most_s is not None and first_s > most_s * ROUNDING:
            how = "measured" if point.ttft_measured else "estimated"
            reason = f"the {how} ttft {first_s:.3g} s is above the wished {most_s:g} s"
            return Rejection(reason, times_missed=first_s / most_s)
        return self._queued(replace(point, ttft_s=first_s), n)

    def best(self) -> Held | Rejection:
        """The batch that holds the most users, or why none keeps the wishes."""
        alone = self.held(1)
        if isinstance(alone, Rejection):
            return alone
        if not is_kept(alone):
            speed = self.output_tokens * alone.point.planned_requests_per_second
            first_s = alone.point.ttft_s or 0.0
            return missed(self.wish, first_s, speed, measured=alone.point.ttft_measured)
        tried = (self.held(n) for n in self.batches())
        kept = [held for held in tried if is_kept(held)]
        return max(kept, key=lambda held: (held.users, -held.batch))

    def batches(self) -> list[int]:
        """Powers of two that fit, and the largest batch that keeps the wishes."""
        tokens = self.input_tokens + self.output_tokens
        replica = self.llm, self.gpu, self.precision, self.tensor_parallel
        fitting = fit(*replica, tokens, self.settings)
        most = max(1, fitting.sequences)
        largest = largest_within(lambda n: 0.0 if is_kept(self.held(int(n))) else 1.0, 0.5, most)
        return sorted({2**b for b in range(most.bit_length())} | {max(1, largest)})

    def _first_token_s(self, point: OperatingPoint) -> float:
        """The first token's time by the rows, else by the estimate, else 0 s: not known."""
        if point.ttft_s is not None or missing_for_estimate(self.llm, self.gpu):
            return point.ttft_s or 0.0
        replica = self.llm, self.gpu, self.precision, self.tensor_parallel
        size = self.input_tokens, self.output_tokens
        return self.model.estimate(*replica, *size, self.settings).ttft_advice_s

    def _queued(self, point: OperatingPoint, n: int) -> Held:
        service_s = n / point.planned_requests_per_second
        queue = self.output_tokens / (service_s * self.wish.tokens_per_s)
        most_s, first_s = self.wish.longest_wait_s, point.ttft_s or 0.0
        if most_s is not None:
            is_late = first_s > most_s * ROUNDING
            queue = 0.0 if is_late else min(queue, 1 + max(0.0, most_s - first_s) / service_s)
        return Held(point, n, queue, queue * n / self.wish.requests_per_user)


def missed(
    wish: ConcurrentUsers, first_s: float, tokens_per_s: float, *, measured: bool = False
) -> Rejection:
    """Which wish one request alone on a replica misses, with both numbers."""
    most_s = wish.longest_wait_s
    if most_s is not None and first_s > most_s * ROUNDING:
        how = "measured" if measured else "estimated"
        took = f"the first token of one request alone takes {first_s:.3g} s ({how})"
        return Rejection(
            f"{took}, above the longest wait of {most_s:g} s", times_missed=first_s / most_s
        )
    alone_gets = f"one request alone gets {tokens_per_s:.1f} tokens/s"
    return Rejection(
        f"{alone_gets}, below the wished {wish.tokens_per_s:g} tokens/s per user",
        times_missed=wish.tokens_per_s / tokens_per_s,
    )


def is_kept(held: Held | Rejection) -> TypeGuard[Held]:
    """Whether the batch runs and every request of it keeps the wishes."""
    return isinstance(held, Held) and held.queue >= LEAST_QUEUE


def users_point(replica: Replica) -> RatePoint | Rejection:
    """The users that one replica holds, as a rate counted in users; or why it holds none."""
    held = replica.best()
    if isinstance(held, Rejection):
        return held
    batch = f"batch {held.batch}, queue ratio {held.queue:.4g}"
    point = held.point
    return RatePoint(
        requests_per_second=held.users,
        derate=point.derate,
        concurrency=float(held.batch),
        tpot_s=point.tpot_s,
        ttft_s=point.ttft_s,
        ttft_measured=point.ttft_measured,
        source=point.source,
        detail="; ".join(part for part in (batch, point.source_detail) if part),
        warnings=point.warnings,
        engine=point.engine,
        rows=point.rows,
        service_s=held.batch / point.planned_requests_per_second,
    )


def infrascale_point(
    llm: Llm,
    gpu: Gpu,
    precision: str,
    gpus: int,
    input_tokens: float,
    output_tokens: float,
    wish: ConcurrentUsers,
) -> RatePoint | Rejection:
    """The same by InfraScale's formulas; memory and peaks are those of the catalog."""
    known = precision if precision in WEIGHT_BYTES else "bf16"
    network, hardware = _network(llm, known), _hardware(gpu)
    if network is None:
        return Rejection(f"parameters, layers or hidden size of {llm.id} are not known")
    if hardware is None:
        return Rejection(f"memory, bandwidth or bf16 peak of {gpu.id} is not known")
    tokens = input_tokens + output_tokens
    asked = infrascale.Wish(wish.tokens_per_s, wish.longest_wait_s, wish.requests_per_user)
    one = infrascale.Node(network, hardware, gpus, 0, tokens, input_tokens)
    if not one.fits:
        held_gb = one.worth * hardware.memory_gb
        return Rejection(f"needs {one.memory_gb:.1f} GB, the node has {held_gb:.1f} GB")
    node = infrascale.best_node(network, hardware, gpus, tokens, input_tokens, asked)
    if node is None:
        return missed(wish, one.prefill_s, one.tokens_per_second(0.0))
    queue = node.largest_queue(asked)
    return RatePoint(
        requests_per_second=node.users(asked),
        derate=1.0,
        concurrency=float(node.batch),
        tpot_s=node.token_s,
        ttft_s=node.prefill_s,
        ttft_measured=False,
        source="estimated",
        detail=f"InfraScale's formulas: batch {node.batch}, queue ratio {queue:.4g}",
    )


def infrascale_said(
    k: Candidate, nodes: int, users: float, wish: ConcurrentUsers, llm: Llm, gpu: Gpu
) -> str:
    """InfraScale's own figures for so many users on so many nodes: S, N, B, Q, speed and wait.

    '' where its formulas did not make the candidate.
    """
    known = k.precision if k.precision in WEIGHT_BYTES else "bf16"
    network, hardware, batch = _network(llm, known), _hardware(gpu), k.points[0].concurrency
    if network is None or hardware is None or not batch or not nodes:
        return ""
    (size,) = k.classes[:1]
    tokens, exponent = size.input_tokens + size.output_tokens, round(log2(batch))
    one = infrascale.Node(network, hardware, k.tensor_parallel, exponent, tokens, size.input_tokens)
    queue = users * wish.requests_per_user / (nodes * one.batch)
    return (
        f"InfraScale for {k.workload} on {k.offering.id}: S {k.tensor_parallel}, N {nodes}, "
        f"B {exponent} (batch {one.batch}), Q {queue:.3g}; each request gets "
        f"{one.tokens_per_second(queue):.3g} tokens/s and waits {one.wait_s(queue):.3g} s at most"
    )


def users_said(k: Candidate, replicas: int, users: float, wish: ConcurrentUsers) -> str:
    """The same figures of replicas that were measured or estimated: Q as the users are spread.

    '' of several sizes at once, which share the replicas in time.
    """
    (point, *others) = k.points
    if others or not point.concurrency or not point.service_s or not replicas:
        return ""
    (size,) = k.classes[:1]
    queue = users * wish.requests_per_user / (replicas * point.concurrency)
    crowd = max(1.0, queue)
    speed = size.output_tokens / (crowd * point.service_s)
    wait_s = (point.ttft_s or 0.0) + (crowd - 1) * point.service_s
    at_least = "at least " * (queue < 1)
    return (
        f"users of {k.workload} on {k.offering.id}: S {k.tensor_parallel}, N {replicas}, "
        f"batch {point.concurrency:g}, Q {queue:.3g}; each request gets {at_least}"
        f"{speed:.3g} tokens/s and waits {wait_s:.3g} s at most"
    )


def _network(llm: Llm, precision: str) -> infrascale.Network | None:
    if llm.parameters_b is None or llm.layers is None or llm.hidden_size is None:
        return None
    size = llm.parameters_b, llm.layers, llm.hidden_size
    return infrascale.Network(*size, WEIGHT_BYTES[precision])


def _hardware(gpu: Gpu) -> infrascale.Hardware | None:
    memory, bandwidth, peak = gpu.memory_gib, gpu.memory_bandwidth_gb_per_s, gpu.bf16_tflops
    if memory is None or bandwidth is None or peak is None:
        return None
    return infrascale.Hardware(memory, peak * TERA, bandwidth * GB)
