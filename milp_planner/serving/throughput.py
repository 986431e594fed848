"""At what rate a replica serves requests of one size: measured, else calibrated, else estimated.

    measured    rows of this LLM, GPU, precision and tensor parallel at the request size, or at two
                sizes with it in between
    raw         a nominal rate that the catalog states; used where no time per token is wished
    calibrated  the estimate × measured ÷ estimated of one size nearby, else × the geometric mean
                over related rows
    estimated   the estimate of `roofline.py`

The source is part of every answer, and two sources are never averaged. A rate is planned at a
quantile of measured ÷ estimated (`derate.py`): a confidence of p90 plans on the value that 90 % of
cases exceed, the 10th percentile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from math import inf

from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement
from milp_planner.serving import derate as evidence_of
from milp_planner.serving.calibration import Calibrations, Scaled
from milp_planner.serving.measured import (
    NEAR,
    SAME_SIZE,
    LengthOnly,
    MeasuredSpeed,
    Speed,
    distance,
    speed_near,
)
from milp_planner.serving.memory import WEIGHT_BYTES, MemoryFit, fit, is_moe, room
from milp_planner.serving.operating_point import (
    OperatingPoint,
    Question,
    Rejection,
    Source,
    describe,
    rate_only,
    too_slow,
    ttft_too_long,
)
from milp_planner.serving.roofline import (
    Roofline,
    largest_within,
    missing_for_estimate,
    roofline,
    unable,
)
from milp_planner.serving.rows import MeasuredRows, ReplicaRows, canonical_precision

__all__ = ["OperatingPoint", "Rejection", "ServingModel", "default_precisions"]

# Outside these the estimate was not checked against measurements.
MOST_IN_FLIGHT = 512
MOST_TENSOR_PARALLEL = 8
LONGEST_CONTEXT_TOKENS = 32_768

EXTENSION = 2  # a measured curve is carried on to twice its highest concurrency, as calibrated

ROUNDING = 1 + 1e-9  # a wish for exactly the measured time is met

NOT_MODELLED = (
    "speculative decoding",
    "disaggregated prefill and decode",
    "LoRA adapters",
    "prefix caching",
)


class ServingModel:
    """What a catalog says about speed. Answers are kept: asking again costs a look-up."""

    def __init__(self, catalog: Catalog) -> None:
        self._rows = MeasuredRows(catalog, self._speed_at)
        self._answers: dict[Question, OperatingPoint | Rejection] = {}
        self._estimates: dict[tuple[object, ...], Roofline] = {}

    def operating_point(
        self,
        llm: Llm,
        gpu: Gpu,
        precision: str,
        tensor_parallel: int,
        input_tokens: float,
        output_tokens: float,
        *,
        tpot_limit_s: float | None = None,
        ttft_limit_s: float | None = None,
        quantile: float = evidence_of.DEFAULT_QUANTILE,
        raw_multiplier: float = 1.0,
    ) -> OperatingPoint | Rejection:
        """The rate of one replica within the wished latency, or the reason why there is none.

        `quantile` is that of measured ÷ estimated to plan on: 0.10 is a confidence of p90, the rate
        that 90 % of cases exceed. `raw_multiplier` is the traffic pattern's efficiency × batch
        multiplier and acts on raw rows alone. `ttft_limit_s` binds only where ttft was measured;
        elsewhere a warning says that it is not verified.
        """
        question = Question(
            llm.id,
            gpu.id,
            precision,
            tensor_parallel,
            input_tokens,
            output_tokens,
            tpot_limit_s,
            ttft_limit_s,
            quantile,
            raw_multiplier,
            is_moe(llm),
        )
        answer = self._answers.get(question)
        if answer is None:
            answer = self._answers[question] = self._answer(question, llm, gpu)
        return answer

    def at(
        self,
        llm: Llm,
        gpu: Gpu,
        precision: str,
        tensor_parallel: int,
        input_tokens: float,
        output_tokens: float,
        concurrency: float,
        *,
        quantile: float = evidence_of.DEFAULT_QUANTILE,
    ) -> OperatingPoint | Rejection:
        """How one replica serves with `concurrency` requests in flight, or why it cannot.

        The rate is measured, calibrated or estimated as for `operating_point`, but at the
        concurrency asked for, also beyond the engines' default batch limit of 256.
        """
        q = Question(
            llm.id,
            gpu.id,
            precision,
            tensor_parallel,
            input_tokens,
            output_tokens,
            quantile=quantile,
            moe=is_moe(llm),
        )
        unfit = _cannot_serve(q, llm, gpu)
        if unfit:
            return Rejection(unfit)
        memory = fit(llm, gpu, precision, tensor_parallel, q.tokens)
        measured = self._measured_at(q, llm, gpu, concurrency) if memory.weights_fit else None
        if measured is not None:
            return measured
        if not memory.fits:
            return Rejection(memory.reason, memory=memory)
        if concurrency > room(llm, gpu, precision, tensor_parallel, q.tokens):
            return Rejection(_no_room(memory, concurrency), memory=memory)
        missing = missing_for_estimate(llm, gpu)
        if missing:
            return Rejection(f"no measured rate of {llm.id} on {gpu.id}, and {missing}")
        return self._estimated_at(q, llm, gpu, concurrency)

    def estimate(
        self,
        llm: Llm,
        gpu: Gpu,
        precision: str,
        tensor_parallel: int,
        input_tokens: float,
        output_tokens: float,
    ) -> Roofline:
        """The bare estimate, kept. Raises ValueError where the catalog does not know enough."""
        key = (llm.id, gpu.id, precision, tensor_parallel, input_tokens, output_tokens)
        found = self._estimates.get(key)
        if found is None:
            found = self._estimates[key] = roofline(
                llm, gpu, precision, tensor_parallel, input_tokens, output_tokens
            )
        return found

    def _answer(self, q: Question, llm: Llm, gpu: Gpu) -> OperatingPoint | Rejection:
        unfit = _cannot_serve(q, llm, gpu)
        if unfit:
            return Rejection(unfit)
        memory = fit(llm, gpu, q.precision, q.tensor_parallel, q.tokens)
        if not memory.weights_fit:
            return Rejection(memory.reason, memory=memory)
        # a row proves that a replica runs, also where the reserve leaves too little on paper
        measured = self._from_rows(q, llm, gpu, memory)
        if measured is not None:
            return measured
        if not memory.fits:
            return Rejection(memory.reason, memory=memory)
        missing = missing_for_estimate(llm, gpu)
        raw = self._rows.raw(llm, gpu, q)
        if raw and (missing or q.tpot_limit_s is None):
            return _from_raw(q, raw)
        if missing:
            return Rejection(f"no measured rate of {llm.id} on {gpu.id}, and {missing}")
        return self._from_estimate(q, llm, gpu, memory)

    def _from_estimate(
        self, q: Question, llm: Llm, gpu: Gpu, memory: MemoryFit
    ) -> OperatingPoint | Rejection:
        speed = self._scaled(q, llm, gpu)
        n = _most_within(speed, q.tpot_limit_s, memory.sequences)
        if n < 1:
            return too_slow(q, speed.tpot_s(1), memory)
        point = self._estimated_at(q, llm, gpu, n)
        most = self._most_measured(q, llm, gpu, memory)
        if point.planned_requests_per_second <= most:
            return point
        n = largest_within(speed.requests_per_second, most / point.derate, n)
        point = self._estimated_at(q, llm, gpu, max(1, n))
        kept = f"kept to {most:.3g} requests/s: a replica was measured with an endless queue"
        return replace(point, warnings=(*point.warnings, kept))

    def _most_measured(self, q: Question, llm: Llm, gpu: Gpu, memory: MemoryFit) -> float:
        """What a replica served of an endless queue: more than within any wish for latency."""
        for rows in self._rows.of(llm, gpu, q):
            points = self._offline_points(q, llm, gpu, rows, memory)
            rates = [p.planned_requests_per_second for p in points if p.source == "measured"]
            if rates:
                return max(rates)
        return inf

    def _estimated_at(self, q: Question, llm: Llm, gpu: Gpu, n: float) -> OperatingPoint:
        estimate, speed = self._estimate_of(llm, gpu, q), self._scaled(q, llm, gpu)
        calibration = speed.calibration
        source: Source = "calibrated" if calibration.rows else "estimated"
        point = _point(q, speed, n, source, calibration.evidence, calibration.detail)
        warnings = (*point.warnings, *self._outside_checked_range(q, gpu, n))
        return replace(
            point,
            ttft_s=estimate.ttft_advice_s,
            bottleneck=estimate.bottleneck(n),
            warnings=warnings,
        )

    def _scaled(self, q: Question, llm: Llm, gpu: Gpu) -> Scaled:
        calibration = self._calibrations.of(self._rows.key(llm, gpu, q))
        return Scaled(self._estimate_of(llm, gpu, q), calibration)

    def _measured_at(self, q: Question, llm: Llm, gpu: Gpu, n: float) -> OperatingPoint | None:
        """The best engine's point at n in flight, from the user's own rows if there are any."""
        target = self._speed_at(llm, gpu, q)
        for rows in self._rows.of(llm, gpu, q):
            near = (speed_near(c, q.input_tokens, q.output_tokens, target) for c in rows.curves)
            within = [s for s in near if s and n <= EXTENSION * s.highest]
            points = [_measured_point(q, speed, n) for speed in within]
            if points:
                best = max(points, key=lambda point: point.planned_requests_per_second)
                bottleneck = target.bottleneck(n) if isinstance(target, Roofline) else ""
                warnings = (*best.warnings, *rows.warnings)
                return replace(best, bottleneck=bottleneck, warnings=warnings)
        return None

    def _from_rows(
        self, q: Question, llm: Llm, gpu: Gpu, memory: MemoryFit
    ) -> OperatingPoint | Rejection | None:
        """What rows say: the user's own, else published ones; None where none is near the size."""
        for rows in self._rows.of(llm, gpu, q):
            answer = self._best_engine(q, llm, gpu, rows, memory)
            if answer is not None:
                return answer
        return None

    def _best_engine(
        self, q: Question, llm: Llm, gpu: Gpu, rows: ReplicaRows, memory: MemoryFit
    ) -> OperatingPoint | Rejection | None:
        target = self._speed_at(llm, gpu, q)
        near = (speed_near(c, q.input_tokens, q.output_tokens, target) for c in rows.curves)
        answers = [_on_curve(q, speed, memory) for speed in near if speed]
        points = [answer for answer in answers if isinstance(answer, OperatingPoint)]
        if q.tpot_limit_s is None:
            points += self._offline_points(q, llm, gpu, rows, memory)
        if points:
            best = max(points, key=lambda point: point.planned_requests_per_second)
            warnings = (*best.warnings, *rows.warnings)
            return replace(best, bottleneck=_limited_by(target, best, memory), warnings=warnings)
        slow = [answer for answer in answers if isinstance(answer, Rejection)]
        return min(slow, key=lambda r: r.fastest_tpot_s or 0.0, default=None)

    def _offline_points(
        self, q: Question, llm: Llm, gpu: Gpu, rows: ReplicaRows, memory: MemoryFit
    ) -> Iterator[OperatingPoint]:
        """Rates measured with an endless queue, moved along the estimate to this request size."""
        here = self._speed_at(llm, gpu, q)
        n = max(1, memory.sequences)
        for row in rows.offline:
            size = row.input_tokens or 1.0, row.output_tokens or 1.0
            away = distance(size, (q.input_tokens, q.output_tokens))
            if away > NEAR:
                continue
            sized = q._replace(input_tokens=size[0], output_tokens=size[1])
            there = self._speed_at(llm, gpu, sized)
            rate = row.output_tokens_per_second / size[1]
            rate *= here.requests_per_second(n) / there.requests_per_second(n)
            if away <= SAME_SIZE:
                yield rate_only(q, rate, "measured", evidence_of.MEASURED, describe([row]))
            else:
                yield rate_only(q, rate, "calibrated", evidence_of.INTERPOLATED, describe([row]))

    def _speed_at(self, llm: Llm, gpu: Gpu, q: Question) -> Speed:
        if missing_for_estimate(llm, gpu):
            return LengthOnly(q.output_tokens)
        return self._estimate_of(llm, gpu, q)

    def _estimate_of(self, llm: Llm, gpu: Gpu, q: Question) -> Roofline:
        return self.estimate(
            llm, gpu, q.precision, q.tensor_parallel, q.input_tokens, q.output_tokens
        )

    def _outside_checked_range(self, q: Question, gpu: Gpu, n: float) -> Iterator[str]:
        if n > MOST_IN_FLIGHT:
            yield f"{n:,.0f} requests in flight are outside the checked range, 1 to 512"
        if q.tensor_parallel > MOST_TENSOR_PARALLEL:
            yield f"tensor parallel {q.tensor_parallel} is outside the checked range, at most 8"
        if q.tokens > LONGEST_CONTEXT_TOKENS:
            yield f"{q.tokens:,.0f} tokens a request are outside the checked range, at most 32,768"
        if gpu.id not in self._rows.gpus_in_closed_loop:
            yield f"{gpu.id} has no measured relative: the estimate was not checked on it"

    @cached_property
    def _calibrations(self) -> Calibrations:
        return Calibrations(self._rows.rated_points())


def default_precisions(llm: Llm, gpu: Gpu) -> tuple[str, ...]:
    """The LLM's own precision, and fp8 where the GPU has it and the weights get smaller by it.

    An LLM in bf16 is served in fp16 on GPUs without bf16.
    """
    native = canonical_precision(llm.native_precision)
    wide = WEIGHT_BYTES.get(native, 0.0) > WEIGHT_BYTES["fp8"]
    if native == "bf16" and unable(gpu, native):
        native = "fp16"
    return (native, "fp8") if wide and gpu.fp8_tflops else (native,)


def _cannot_serve(q: Question, llm: Llm, gpu: Gpu) -> str:
    if unable(gpu, q.precision):
        return unable(gpu, q.precision)
    if q.precision not in WEIGHT_BYTES and llm.recommended_memory_gib is None:
        return f"precision {q.precision} is not one of {', '.join(WEIGHT_BYTES)}"
    if llm.context_tokens is not None and q.tokens > llm.context_tokens:
        return f"a request of {q.tokens:,.0f} tokens exceeds the context of {llm.context_tokens:,}"
    return ""


def _no_room(memory: MemoryFit, concurrency: float) -> str:
    most = int(memory.free_gib / memory.kv_gib_per_sequence)
    return (
        f"{concurrency:,.0f} requests in flight need {memory.needed_gib(concurrency):.1f} GiB "
        f"of {memory.usable_gib:.1f} per GPU; {most:,} fit"
    )


def _on_curve(q: Question, speed: MeasuredSpeed, memory: MemoryFit) -> OperatingPoint | Rejection:
    """The operating point on one engine's measured curve, or carried on beyond its end."""
    highest = int(speed.highest if speed.exact else min(speed.highest, max(1, memory.sequences)))
    n = _best_measured(q, speed, highest)
    if n < 1:
        return _not_within(q, speed, memory)
    point = _measured_point(q, speed, n)
    end = min(EXTENSION * int(speed.highest), memory.sequences)
    if n < highest or end <= highest or isinstance(speed.estimate, LengthOnly):
        return point
    further = _most_within(speed, q.tpot_limit_s, end)
    if _ttft_exceeds(q, speed, further):
        return point
    extended = _measured_point(q, speed, further)
    return max(point, extended, key=lambda p: p.planned_requests_per_second)


def _best_measured(q: Question, speed: MeasuredSpeed, highest: int) -> int:
    """The concurrency of the highest rate within the wishes, up to `highest`; 0 when none."""
    end = _most_within(speed, q.tpot_limit_s, highest)
    measured = (int(n) for n in speed.measured_concurrencies())
    choices = {end, 1, *(n for n in measured if 1 <= n <= end)} if end else set()
    within = [n for n in choices if not _ttft_exceeds(q, speed, n)]
    return max(within, key=lambda n: (speed.requests_per_second(n), -n), default=0)


def _ttft_exceeds(q: Question, speed: MeasuredSpeed, n: float) -> bool:
    if q.ttft_limit_s is None or not speed.measured:
        return False
    ttft = speed.ttft_s(n)
    return ttft is not None and ttft > q.ttft_limit_s


def _not_within(q: Question, speed: MeasuredSpeed, memory: MemoryFit) -> Rejection:
    if q.tpot_limit_s is not None and speed.tpot_s(1) > q.tpot_limit_s:
        return too_slow(q, speed.tpot_s(1), memory)
    return ttft_too_long(q, speed.ttft_s(1) or 0.0, memory)


def _measured_point(q: Question, speed: MeasuredSpeed, n: float) -> OperatingPoint:
    """The point at n: measured inside the rows' range, calibrated on them outside.

    One request size moved along the estimate to another nearby is calibrated too, with the spread
    of such moves, and its ttft is advice: neither was measured.
    """
    detail = describe(speed.rows)
    ttft = speed.ttft_s(n)
    if not speed.lowest <= n <= speed.highest:
        point = _point(q, speed, n, "calibrated", evidence_of.SAME_REPLICA, detail)
        return replace(point, ttft_s=ttft)
    evidence = evidence_of.MEASURED if speed.exact else evidence_of.INTERPOLATED
    point = _point(q, speed, n, "measured" if speed.measured else "calibrated", evidence, detail)
    if ttft is None or not speed.measured:
        return replace(point, ttft_s=ttft)
    return replace(point, ttft_s=ttft, ttft_measured=True, warnings=())


def _limited_by(speed: Speed, point: OperatingPoint, memory: MemoryFit) -> str:
    """The bottleneck that the estimate sees at a measured point; '' where there is no estimate."""
    if not isinstance(speed, Roofline):
        return ""
    return speed.bottleneck(point.concurrency or max(1, memory.sequences))


def _point(
    q: Question, speed: Speed, n: float, source: Source, evidence: str, detail: str
) -> OperatingPoint:
    point = rate_only(q, speed.requests_per_second(n), source, evidence, detail)
    return replace(point, concurrency=float(n), tpot_s=speed.tpot_s(n))


def _most_within(speed: Speed, tpot_limit_s: float | None, most: int) -> int:
    if tpot_limit_s is None:
        return most
    return largest_within(speed.tpot_s, tpot_limit_s * ROUNDING, most)


def _from_raw(q: Question, row: Measurement) -> OperatingPoint:
    """A nominal rate: all tokens/s per GPU × tp × efficiency × batch ÷ tokens of a request."""
    tokens_per_second = row.output_tokens_per_second * q.tensor_parallel * q.raw_multiplier
    point = rate_only(q, tokens_per_second / q.tokens, "raw", evidence_of.RAW, describe([row]))
    if q.tpot_limit_s is None:
        return point
    wish = f"tpot wish {1e3 * q.tpot_limit_s:g} ms is not verified: a raw rate has no latency"
    return replace(point, warnings=(*point.warnings, wish))
