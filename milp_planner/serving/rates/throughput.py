"""At what rate a replica serves requests of one size: measured, else calibrated, else estimated.

    measured    the user's rows of this LLM, GPU, precision and tensor parallel at the request size,
                or at two sizes with it in between; rows that others published of this very size,
                engine and settings
    published   rows of this size that others published of another engine or other settings, moved
                to the deployment asked about along the estimate
    raw         a nominal rate that the catalog states; used where no time per token is wished
    calibrated  the estimate × what the user's related rows say of it
    estimated   the estimate of `roofline.py`

The source is part of every answer, and two sources are never averaged. A rate is planned at a
quantile of measured ÷ predicted (`derate.py`): a confidence of p90 plans on the value that 90 % of
cases exceed, the 10th percentile.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement
from milp_planner.inputs.catalog.tensor_groups import is_moe
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.serving import derate as evidence_of
from milp_planner.serving.gpu_formats import unable
from milp_planner.serving.memory import MemoryFit, fit, room
from milp_planner.serving.operating_point import (
    OperatingPoint,
    Question,
    Rejection,
    Source,
    describe,
    rate_only,
    too_slow,
)
from milp_planner.serving.rates.calibration import Calibrations, Scaled
from milp_planner.serving.rates.checked_range import outside_checked_range
from milp_planner.serving.rates.doubtful_rows import DoubtfulRow, SlowRow
from milp_planner.serving.rates.measured import LengthOnly, Speed
from milp_planner.serving.rates.records import MeasuredRows, ReplicaRows, canonical_precision
from milp_planner.serving.rates.row_answers import (
    ROUNDING,
    RowsOf,
    answer_at,
    best_answer,
    faster_with_fewer,
    judged_by_estimate,
    limited_by,
    other_engine,
    point_at,
    rows_near,
    within,
)
from milp_planner.serving.rates.worse_hardware import is_worse
from milp_planner.serving.roofline import Roofline, missing_for_estimate, roofline
from milp_planner.serving.weights import WEIGHT_BYTES

__all__ = ["ROUNDING", "OperatingPoint", "Rejection", "ServingModel", "default_precisions"]

FEWER_GPUS = (1, 2, 4)

NOTICED = 1.01
"""Two rates within 1 % of one another are as good as equal."""

NOT_MODELLED = ("disaggregated prefill and decode",)


class _Near(NamedTuple):
    """What rows say about a question."""

    rows: ReplicaRows
    found: list[RowsOf]
    target: Speed


class ServingModel:
    """What a catalog says about speed. Answers are kept: asking again costs a look-up."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog
        self._rows = MeasuredRows(catalog, self._speed_at)
        self._answers: dict[Question, OperatingPoint | Rejection] = {}
        self._estimates: dict[tuple[object, ...], Roofline] = {}
        self._own: dict[DeploymentSettings, Calibrations] = {}

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
        settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
    ) -> OperatingPoint | Rejection:
        """The rate of one replica within the wished latency, or the reason why there is none.

        `quantile` is that of measured ÷ predicted to plan on: 0.10 is a confidence of p90, the rate
        that 90 % of cases exceed. `raw_multiplier` is the traffic pattern's efficiency × batch
        multiplier and acts on raw rows alone. `ttft_limit_s` binds where ttft was measured, and
        elsewhere by the estimate of an idle replica: a warning then says that it is not verified.
        `settings` says what engine serves.
        """
        question = _question(
            llm, gpu, precision, tensor_parallel, input_tokens, output_tokens, quantile, settings
        )._replace(
            tpot_limit_s=tpot_limit_s, ttft_limit_s=ttft_limit_s, raw_multiplier=raw_multiplier
        )
        answer = self._answers.get(question)
        if answer is None:
            answer = self._within_ttft(self._answer(question, llm, gpu), question, llm, gpu)
            if isinstance(answer, OperatingPoint) and answer.source != "raw":
                said = (*answer.warnings, *self._beside_worse(question, llm, gpu, answer))
                answer = replace(answer, warnings=said)
            self._answers[question] = answer
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
        settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
    ) -> OperatingPoint | Rejection:
        """How one replica serves with `concurrency` requests in flight, or why it cannot.

        The rate is measured, published, calibrated or estimated as for `operating_point`, but at
        the concurrency asked for, also beyond the engine's default limit of sequences.
        """
        q = _question(
            llm, gpu, precision, tensor_parallel, input_tokens, output_tokens, quantile, settings
        )
        unfit = _cannot_serve(q, llm, gpu)
        if unfit:
            return Rejection(unfit)
        memory = fit(llm, gpu, precision, tensor_parallel, q.tokens, settings)
        measured = self._from_rows(q, llm, gpu, memory, concurrency) if memory.weights_fit else None
        if measured is not None:
            return measured
        if not memory.fits:
            return Rejection(memory.reason, memory=memory)
        if settings.max_sequences is not None and concurrency > settings.max_sequences:
            most = f"max_sequences is {settings.max_sequences:,}"
            return Rejection(f"{concurrency:,.0f} requests in flight, {most}", memory=memory)
        if concurrency > room(llm, gpu, precision, tensor_parallel, q.tokens, settings):
            return Rejection(_no_room(memory, concurrency), memory=memory)
        missing = missing_for_estimate(llm, gpu)
        if missing:
            return Rejection(f"no measured rate of {llm.id} on {gpu.id}, and {missing}")
        return self._estimated_at(q, llm, gpu, concurrency)

    def planned_rates(
        self,
        llm: Llm,
        gpu: Gpu,
        precision: str,
        tensor_parallel: int,
        input_tokens: float,
        output_tokens: float,
        numbers: Sequence[int],
        *,
        quantile: float = evidence_of.DEFAULT_QUANTILE,
        settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
    ) -> list[float | None]:
        """Planned requests/s with each of `numbers` in flight, as `at` answers one by one.

        None where it cannot serve so many.
        """
        q = _question(
            llm, gpu, precision, tensor_parallel, input_tokens, output_tokens, quantile, settings
        )
        if _cannot_serve(q, llm, gpu):
            return [None] * len(numbers)
        memory = fit(llm, gpu, precision, tensor_parallel, q.tokens, settings)
        near = self._near(q, llm, gpu, memory) if memory.weights_fit else None
        if near is not None:
            return [answer_at(near.found, q, n)[1].planned_requests_per_second for n in numbers]
        if not memory.fits or missing_for_estimate(llm, gpu):
            return [None] * len(numbers)
        most = room(llm, gpu, precision, tensor_parallel, q.tokens, settings)
        most = min(most, settings.max_sequences or most)
        speed = self._scaled(q, llm, gpu)
        derate = evidence_of.derate(speed.calibration.evidence, q.trust, q.quantile)
        return [None if n > most else speed.requests_per_second(n) * derate for n in numbers]

    def estimate(
        self,
        llm: Llm,
        gpu: Gpu,
        precision: str,
        tensor_parallel: int,
        input_tokens: float,
        output_tokens: float,
        settings: DeploymentSettings = DEFAULT_DEPLOYMENT,
    ) -> Roofline:
        """The bare estimate, kept. Raises ValueError where the catalog does not know enough."""
        size = input_tokens, output_tokens
        key = (llm.id, gpu.id, precision, tensor_parallel, *size, settings)
        found = self._estimates.get(key)
        if found is None:
            found = roofline(llm, gpu, precision, tensor_parallel, *size, settings)
            self._estimates[key] = found
        return found

    def set_aside(self) -> Iterator[DoubtfulRow]:
        """Every published row that is not believed, with the reason."""
        return self._rows.set_aside()

    def slow(self, *, every: bool = False) -> Iterator[SlowRow]:
        """A user's own rows, or all, that are far below the estimate at their own point."""
        return self._rows.slow(every=every)

    def _answer(self, q: Question, llm: Llm, gpu: Gpu) -> OperatingPoint | Rejection:
        unfit = _cannot_serve(q, llm, gpu)
        if unfit:
            return Rejection(unfit)
        memory = fit(llm, gpu, q.precision, q.tensor_parallel, q.tokens, q.settings)
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
        if raw and q.settings.units_joined == 1 and (missing or q.tpot_limit_s is None):
            return _from_raw(q, raw)
        if missing:
            return Rejection(f"no measured rate of {llm.id} on {gpu.id}, and {missing}")
        return self._from_estimate(q, llm, gpu, memory)

    def _within_ttft(
        self, answer: OperatingPoint | Rejection, q: Question, llm: Llm, gpu: Gpu
    ) -> OperatingPoint | Rejection:
        if q.ttft_limit_s is None or missing_for_estimate(llm, gpu):
            return answer
        return judged_by_estimate(answer, q, self._estimate_of(llm, gpu, q).ttft_advice_s)

    def _from_estimate(
        self, q: Question, llm: Llm, gpu: Gpu, memory: MemoryFit
    ) -> OperatingPoint | Rejection:
        speed = self._scaled(q, llm, gpu)
        n = within(speed, q.tpot_limit_s, memory.sequences)
        if n < 1:
            return too_slow(q, speed.tpot_s(1), memory)
        return self._estimated_at(q, llm, gpu, n)

    def _estimated_at(self, q: Question, llm: Llm, gpu: Gpu, n: float) -> OperatingPoint:
        estimate, speed = self._estimate_of(llm, gpu, q), self._scaled(q, llm, gpu)
        calibration = speed.calibration
        source: Source = "calibrated" if calibration.rows else "estimated"
        point = point_at(q, speed, n, source, calibration.evidence, calibration.detail)
        unchecked = outside_checked_range(q, gpu, n, self._rows.gpus_in_closed_loop)
        warnings = (*point.warnings, *unchecked)
        return replace(
            point,
            ttft_s=estimate.ttft_advice_s,
            bottleneck=estimate.bottleneck(n),
            warnings=warnings,
            rows=calibration.measured,
        )

    def _scaled(self, q: Question, llm: Llm, gpu: Gpu) -> Scaled:
        estimate = self._estimate_of(llm, gpu, q)
        return Scaled(estimate, self._calibrations(q.settings).of(self._rows.key(llm, gpu, q)))

    def _from_rows(
        self, q: Question, llm: Llm, gpu: Gpu, memory: MemoryFit, n: float | None = None
    ) -> OperatingPoint | Rejection | None:
        """What rows say with n in flight, or at the best number: the user's own, else published
        ones of the very size; None where there is none."""
        near = self._near(q, llm, gpu, memory)
        if near is None:
            return None
        found = near.found
        answer = best_answer(found, q, memory) if n is None else answer_at(found, q, n)[1]
        if isinstance(answer, Rejection):
            return answer
        said = (*answer.warnings, *other_engine(q, found), *near.rows.warnings)
        if n is not None:
            said = (*said, *faster_with_fewer(found, q, answer, n))
        return replace(answer, bottleneck=limited_by(near.target, answer, memory), warnings=said)

    def _near(self, q: Question, llm: Llm, gpu: Gpu, memory: MemoryFit) -> _Near | None:
        rows = self._rows.of(llm, gpu, q)
        if rows is None:
            return None
        target = self._speed_at(llm, gpu, q)
        known = None if isinstance(target, LengthOnly) else target
        for groups in (rows.own, rows.published):
            found = rows_near(groups, q, known, memory)
            if found:
                return _Near(rows, found, target)
        return None

    def _speed_at(self, llm: Llm, gpu: Gpu, q: Question) -> Speed:
        if missing_for_estimate(llm, gpu):
            return LengthOnly(q.output_tokens)
        return self._estimate_of(llm, gpu, q)

    def _estimate_of(self, llm: Llm, gpu: Gpu, q: Question) -> Roofline:
        size = q.input_tokens, q.output_tokens
        return self.estimate(llm, gpu, q.precision, q.tensor_parallel, *size, q.settings)

    def _beside_worse(
        self, q: Question, llm: Llm, gpu: Gpu, found: OperatingPoint
    ) -> Iterator[str]:
        """Both figures, where hardware that is no better promises more than this: by its rows;
        fewer of the same GPUs over PCIe, where splitting costs more than it gains; or a worse GPU
        by the estimate, where this one stands on rows that others published."""
        on_rows = found.source == "published"
        lesser = [g for g in self.catalog.gpus.values() if on_rows and is_worse(g, gpu)]
        fewer = [n for n in FEWER_GPUS if n < q.tensor_parallel and gpu.is_on_pcie]
        points = [
            *((o, tp, self._from_rows_on(q, llm, o, tp)) for o, tp in self._worse(llm, gpu, q)),
            *((gpu, tp, self._answer_on(q, llm, gpu, tp)) for tp in fewer),
            *(
                (g, q.tensor_parallel, self._answer_on(q, llm, g, q.tensor_parallel))
                for g in lesser
            ),
        ]
        for other, tp, point in points:
            if not isinstance(point, OperatingPoint):
                continue
            here, there = found.planned_requests_per_second, point.planned_requests_per_second
            if there > here * NOTICED:
                yield (
                    f"{gpu.id} tp {q.tensor_parallel} is planned at {here:.3g} requests/s "
                    f"({found.source}), {other.id} tp {tp} at {there:.3g} ({point.source})"
                )

    def _worse(self, llm: Llm, gpu: Gpu, q: Question) -> Iterator[tuple[Gpu, int]]:
        """Replicas with rows that cannot serve more; on PCIe those with fewer GPUs come apart."""
        for other, tp in self._rows.worse_replicas(llm, gpu, q):
            apart = other.id == gpu.id and gpu.is_on_pcie and tp in FEWER_GPUS
            if not apart:
                yield other, tp

    def _answer_on(
        self, q: Question, llm: Llm, gpu: Gpu, tp: int
    ) -> OperatingPoint | Rejection | None:
        """The answer for a replica of fewer GPUs, whatever it stands on; None of joined units."""
        if q.settings.units_joined > 1:
            return None
        return self._answer(_asked_of(q, llm, gpu, tp), llm, gpu)

    def _from_rows_on(self, q: Question, llm: Llm, gpu: Gpu, tp: int) -> OperatingPoint | None:
        asked = _asked_of(q, llm, gpu, tp)
        memory = fit(llm, gpu, q.precision, tp, q.tokens, q.settings)
        found = self._from_rows(asked, llm, gpu, memory) if memory.weights_fit else None
        return found if isinstance(found, OperatingPoint) else None

    def _calibrations(self, settings: DeploymentSettings) -> Calibrations:
        if settings not in self._own:
            self._own[settings] = Calibrations(self._rows.own_points(settings))
        return self._own[settings]


def default_precisions(llm: Llm, gpu: Gpu) -> tuple[str, ...]:
    """The LLM's own precision, and fp8 where the GPU has it and the weights get smaller by it.

    An LLM in bf16 is served in fp16 on GPUs without bf16.
    """
    native = canonical_precision(llm.native_precision)
    wide = WEIGHT_BYTES.get(native, 0.0) > WEIGHT_BYTES["fp8"]
    if native == "bf16" and unable(gpu, native):
        native = "fp16"
    return (native, "fp8") if wide and gpu.fp8_tflops else (native,)


def _question(
    llm: Llm,
    gpu: Gpu,
    precision: str,
    tensor_parallel: int,
    input_tokens: float,
    output_tokens: float,
    quantile: float,
    settings: DeploymentSettings,
) -> Question:
    trust = evidence_of.trust_in(
        *(llm, gpu, tensor_parallel, input_tokens),
        moe=is_moe(llm),
        tier=settings.tier,
        units_joined=settings.units_joined,
    )
    return Question(
        *(llm.id, gpu.id, precision, tensor_parallel, input_tokens, output_tokens),
        quantile=quantile,
        settings=settings,
        trust=trust,
    )


def _asked_of(q: Question, llm: Llm, gpu: Gpu, tp: int) -> Question:
    """The same question of another replica."""
    return _question(
        *(llm, gpu, q.precision, tp, q.input_tokens, q.output_tokens, q.quantile, q.settings)
    )._replace(tpot_limit_s=q.tpot_limit_s, ttft_limit_s=q.ttft_limit_s)


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


def _from_raw(q: Question, row: Measurement) -> OperatingPoint:
    """A nominal rate: all tokens/s per GPU × tp × efficiency × batch ÷ tokens of a request."""
    tokens_per_second = row.output_tokens_per_second * q.tensor_parallel * q.raw_multiplier
    point = rate_only(q, tokens_per_second / q.tokens, "raw", evidence_of.RAW, describe([row]))
    point = replace(point, rows=(row,))
    if q.tpot_limit_s is None:
        return point
    wish = f"tpot wish {1e3 * q.tpot_limit_s:g} ms is not verified: a raw rate has no latency"
    return replace(point, warnings=(*point.warnings, wish))
