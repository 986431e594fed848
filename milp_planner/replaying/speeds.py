"""How the replicas of a plan serve: their rates at full load as curves over the requests in flight.

A plan knows a candidate at its full load: so many in flight, so many requests per second, planned
with the confidence asked for. Below that, the serving model says how long a request takes with b in
flight; all of it is scaled so that the curve meets the plan's rate at full load. Of the time of a
request, b·t_p is the prefill of all b and the rest decoding:

    s(b) = Σ_q share_q · b/X_q(b),   t_d(b) = (s(b) − b·t_p) ÷ O

Prefill in chunks takes turns with decoding. Where prompts wait, a step carries c seconds of them
and takes t_d(d) + c, so that c/t_p prompts follow each other in a step, and no more than
d* = O·c/t_p answers are being written. With more in flight the replica gets no faster than

    X* = 1 ÷ (t_p + (t_p/c)·t_d(d*))

A replica of which nothing but a rate is known serves one request at a time: the cautious reading.
Where the requests in flight at a stated rate are known, each takes as long alone as beside others.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from math import floor, inf

from milp_planner.candidates.records import Candidate, RatePoint
from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm
from milp_planner.inputs.problem.deployment import DeploymentSettings
from milp_planner.inputs.problem.records import Problem
from milp_planner.lazily import dataclass
from milp_planner.replaying.replica import ReplicaSpeed
from milp_planner.serving.derate import planning_quantile
from milp_planner.serving.engines import prefill_batch_tokens
from milp_planner.serving.memory import fit
from milp_planner.serving.queues.chain import ReplicaQueue
from milp_planner.serving.rates.throughput import ServingModel
from milp_planner.serving.roofline import missing_for_estimate
from milp_planner.traffic.schedule import RequestClass

MOST_PREFILL = 0.95
"""Share of a request's time that its batch's prefill may take, so that decoding keeps some."""


@dataclass(frozen=True)
class MeanRequest:
    """The mean of a workload's requests."""

    input_tokens: float
    output_tokens: float

    @classmethod
    def of(cls, classes: Sequence[RequestClass]) -> MeanRequest:
        """Of request classes, by their shares."""
        return cls(
            sum(q.share * q.input_tokens for q in classes),
            sum(q.share * q.output_tokens for q in classes),
        )


@dataclass(frozen=True)
class Served:
    """A candidate's replica as the replay runs it, and as the formulas see it."""

    candidate: Candidate
    speed: ReplicaSpeed
    mean: MeanRequest
    rate_only: bool
    """Nothing but a rate is known of it; waits are those of one request at a time."""

    restart_s: float = 0.0
    """From when a lost one is switched on again to its first request."""

    @property
    def prefill_s(self) -> float:
        """t_p, of the mean request   [s]."""
        return self.speed.prefill_s_per_token * self.mean.input_tokens

    @cached_property
    def service_s(self) -> tuple[float, ...]:
        """s(b) for b = 1 … S   [s]."""
        return tuple(
            self.mean.output_tokens * step + b * self.prefill_s
            for b, step in enumerate(self.speed.decode_step_s, 1)
        )

    @cached_property
    def taking_turns_s(self) -> tuple[float, ...]:
        """s(b) for b = 1 … S where prompts wait for the chunks of those before   [s]."""
        most = self.most_rate
        return tuple(max(s, b / most) for b, s in enumerate(self.service_s, 1))

    @property
    def most_rate(self) -> float:
        """X*, requests/s, whoever is in flight; infinite where prefill stops all decoding."""
        prefill_s, chunk_s, steps_s = self.prefill_s, self.speed.chunk_s, self.speed.decode_step_s
        if prefill_s <= 0 or chunk_s == inf:
            return inf
        decoding = self.mean.output_tokens * chunk_s / prefill_s
        below = min(max(1, floor(decoding)), self.speed.places)
        above = min(below + 1, self.speed.places)
        part = min(1.0, max(0.0, decoding - below))
        step_s = steps_s[below - 1] + part * (steps_s[above - 1] - steps_s[below - 1])
        return 1 / (prefill_s + prefill_s / chunk_s * step_s)

    @property
    def full_rate(self) -> float:
        """Requests/s of a full replica, as planned."""
        return self.speed.places / self.service_s[-1]

    def queue(self, replicas: int) -> ReplicaQueue:
        """So many of them, for the formulas."""
        return ReplicaQueue(replicas, self.taking_turns_s)


def served_by(
    candidate: Candidate,
    problem: Problem,
    classes: Sequence[RequestClass],
    catalog: Catalog,
    model: ServingModel,
    *,
    expected: bool = False,
) -> Served:
    """The replica of a candidate that a plan rents: as fast as planned, or as expected without the
    plan's caution.

    Raises KeyError for a candidate of a workload that the problem has not.
    """
    mean = MeanRequest.of(classes)
    rate = candidate.part_requests_per_second / candidate.replicas_per_unit
    if expected:
        rate /= mean_derate(candidate)
    if problem.workload(candidate.workload).rates is not None:
        places = candidate.points[0].concurrency
        return _at_its_rate(candidate, mean, rate, None if places is None else int(places))
    llm = catalog.llm(candidate.llm or problem.workload(candidate.workload).llms[0])
    gpu = catalog.gpus.get(candidate.gpu)
    known = [point.concurrency for point in candidate.serving_points]
    if llm is None or gpu is None or None in known:
        return _at_its_rate(candidate, mean, rate)
    asked = _Asked(candidate, problem, classes, llm, gpu, model, mean)
    curve = asked.curve(rate)
    return _at_its_rate(candidate, mean, rate) if curve is None else curve


def mean_derate(k: Candidate) -> float:
    """Planned ÷ expected rate for the candidate's own mix, which its speeds are slowed by."""
    able = [
        (share / point.requests_per_second, point.derate)
        for share, point in zip(k.shares, k.points, strict=True)
        if point.requests_per_second > 0
    ]
    return sum(s * derate for s, derate in able) / sum(s for s, _ in able)


def _at_its_rate(
    candidate: Candidate, mean: MeanRequest, rate: float, places: int | None = None
) -> Served:
    """So many requests at a time, one where that is not known, as slow alone as with others."""
    held = places or 1
    speed = ReplicaSpeed((held / (rate * mean.output_tokens),) * held)
    return Served(candidate, speed, mean, rate_only=places is None)


@dataclass(frozen=True)
class _Asked:
    """What the serving model is asked about a candidate."""

    candidate: Candidate
    problem: Problem
    classes: Sequence[RequestClass]
    llm: Llm
    gpu: Gpu
    model: ServingModel
    mean: MeanRequest

    def curve(self, rate: float) -> Served | None:
        """The replica at every number in flight; None where the model knows none."""
        places = self._places()
        known = self._known_service_s(_powers_of_two(places))
        if not known:
            return None
        service_s = _between(known, places)
        scale = places / rate / service_s[-1]
        service_s = [scale * s for s in service_s]
        prefill_s = min(
            scale * self._prefill_s(),
            MOST_PREFILL * min(s / b for b, s in enumerate(service_s, 1)),
        )
        output, per_token = self.mean.output_tokens, prefill_s / max(1e-9, self.mean.input_tokens)
        batch = prefill_batch_tokens(self.gpu, self.settings)
        speed = ReplicaSpeed(
            decode_step_s=tuple((s - b * prefill_s) / output for b, s in enumerate(service_s, 1)),
            prefill_s_per_token=per_token,
            chunk_s=per_token * batch if per_token > 0 else inf,
            kv_tokens=self._kv_tokens(places),
        )
        return Served(self.candidate, speed, self.mean, rate_only=False)

    @property
    def settings(self) -> DeploymentSettings:
        """Of the candidate's replicas, units joined and stages included."""
        stated = self.problem.workload(self.candidate.workload).deployment
        if self.candidate.units_joined == 1:
            return stated
        joined = {
            "units_per_replica": self.candidate.units_joined,
            "pipeline_parallel": self.candidate.pipeline_parallel,
        }
        return stated.model_copy(update=joined)

    def _places(self) -> int:
        """In flight at full load, Σ share·s ÷ Σ share·s/n: long classes are there longer."""
        able = [
            (q.share, point.concurrency, point.concurrency / point.requests_per_second)
            for q, point in zip(self.classes, self.candidate.points, strict=True)
            if point.requests_per_second > 0 and point.concurrency
        ]
        busy = sum(share * s for share, _, s in able)
        return max(1, round(busy / sum(share * s / n for share, n, s in able)))

    def _known_service_s(self, numbers: Sequence[int]) -> dict[int, float]:
        """Σ share·b/X(b) over the classes, by b in flight   [s]; those that can be told."""
        rates = [
            self._rates_of(q, point, numbers)
            for q, point in zip(self.classes, self.candidate.points, strict=True)
        ]
        return {
            b: sum(q.share * b / rate for q, rate in zip(self.classes, at_once, strict=True))
            for b, at_once in zip(numbers, zip(*rates, strict=True), strict=True)
            if all(at_once)
        }

    def _rates_of(self, q: RequestClass, point: RatePoint, numbers: Sequence[int]) -> list[float]:
        """X(b) of one class with so many in flight, requests/s; 0 where nothing tells it.

        So many of its requests may have no room at once, where most others are shorter: then what
        the estimate would give.
        """
        replica = self.llm, self.gpu, self.candidate.precision, self.candidate.tensor_parallel
        size = q.input_tokens, q.output_tokens
        quantile = planning_quantile(self.problem.policy.confidence_share)
        found = self.model.planned_rates(
            *replica, *size, numbers, quantile=quantile, settings=self.settings
        )
        if missing_for_estimate(self.llm, self.gpu):
            return [rate or 0.0 for rate in found]
        derate = point.derate or 1.0
        estimate = self.model.estimate(*replica, *size, self.settings)
        return [
            estimate.requests_per_second(b) * derate if rate is None else rate
            for b, rate in zip(numbers, found, strict=True)
        ]

    def _prefill_s(self) -> float:
        """Of the mean request by the estimate, slowed as the plan's rates are   [s]."""
        if missing_for_estimate(self.llm, self.gpu):
            return 0.0
        replica = self.llm, self.gpu, self.candidate.precision, self.candidate.tensor_parallel
        return sum(
            q.share
            * self.model.estimate(
                *replica, q.input_tokens, q.output_tokens, self.settings
            ).prefill_s
            / (point.derate or 1.0)
            for q, point in zip(self.classes, self.candidate.points, strict=True)
        )

    def _kv_tokens(self, places: int) -> float:
        """Tokens that the cache holds; at least those of the places that the plan counts on."""
        tokens = self.mean.input_tokens + self.mean.output_tokens
        replica = self.llm, self.gpu, self.candidate.precision, self.candidate.tensor_parallel
        memory = fit(*replica, tokens, self.settings)
        if memory.kv_gib_per_sequence <= 0:
            return inf
        return max(places * tokens, memory.free_gib / memory.kv_gib_per_sequence * tokens)


def _powers_of_two(most: int) -> list[int]:
    return sorted({2**k for k in range(most.bit_length())} | {most})


def _between(known: dict[int, float], places: int) -> list[float]:
    """Service times at 1 … places, straight between those known and constant outside."""
    import numpy as np

    numbers = sorted(known)
    found = np.interp(range(1, places + 1), numbers, [known[b] for b in numbers])
    return [float(s) for s in found]
