"""A catalog's measurements, grouped by the replica configuration that they measured.

A user's own rows, from an overlay, go before the published ones of the same replica: they were made
with the user's engine, and a faster stranger says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement
from milp_planner.serving.calibration import RatedPoint, ReplicaKey, Shape, shape_of
from milp_planner.serving.measured import (
    CLOSED_LOOP,
    OFFLINE,
    Curve,
    Speed,
    build_curves,
    looks_speculative,
)
from milp_planner.serving.memory import room
from milp_planner.serving.operating_point import Question
from milp_planner.serving.roofline import missing_for_estimate

SpeedAt = Callable[[Llm, Gpu, Question], Speed]
"""The estimate for a replica and request size, or its stand-in."""


@dataclass(frozen=True)
class ReplicaRows:
    """The rows of one replica configuration."""

    curves: tuple[tuple[Curve, ...], ...]
    """One group of curves per engine."""

    offline: tuple[Measurement, ...]
    """Rates with an endless queue."""

    estimable: bool
    """Whether the rows can be compared with an estimate, and so calibrate it."""

    warnings: tuple[str, ...]
    room: Callable[[float], float]
    """Sequences of so many tokens that the replica can hold."""


class MeasuredRows:
    """Look-ups over the measurements of a catalog."""

    def __init__(self, catalog: Catalog, speed_at: SpeedAt) -> None:
        self._catalog = catalog
        self._speed_at = speed_at
        self._shapes: dict[str, Shape] = {}

    def of(self, llm: Llm, gpu: Gpu, q: Question) -> tuple[ReplicaRows, ...]:
        """The rows of a replica configuration: the user's own first, then the published ones.

        LLMs of equal architecture share their rows.
        """
        return self._replicas.get(self.key(llm, gpu, q), ())

    def key(self, llm: Llm, gpu: Gpu, q: Question) -> ReplicaKey:
        """What rows must share to measure the same replica."""
        if llm.id not in self._shapes:
            self._shapes[llm.id] = shape_of(llm)
        return self._shapes[llm.id], gpu.id, canonical_precision(q.precision), q.tensor_parallel

    def raw(self, llm: Llm, gpu: Gpu, q: Question) -> Measurement | None:
        """The LLM's own nominal rate, at this request size or any; else the rate for any LLM."""
        for name in (llm.id, "*"):
            rows = self._raw.get((name, gpu.id), ())
            sizes = {(row.input_tokens, row.output_tokens): row for row in rows}
            found = sizes.get((q.input_tokens, q.output_tokens)) or sizes.get((None, None))
            if found:
                return found
        return None

    @cached_property
    def gpus_in_closed_loop(self) -> frozenset[str]:
        """GPUs on which the estimate can be compared with measurements."""
        rows = (row for row in self._catalog.measurements if row.basis == "measured")
        return frozenset(row.gpu for row in rows if row.regime in CLOSED_LOOP)

    def rated_points(self) -> Iterator[RatedPoint]:
        """Every closed-loop point that can be compared with an estimate.

        With more in flight than fit in memory a part waits: such a point says nothing of speed.
        """
        for key, parts in self._replicas.items():
            rows = next((part for part in parts if part.curves), parts[0])
            curves = [curve for group in rows.curves for curve in group]
            for curve in curves if rows.estimable else ():
                room = rows.room(curve.input_tokens + curve.output_tokens)
                for point in curve.points:
                    if point.concurrency <= room:
                        yield RatedPoint(key, point)

    @cached_property
    def _raw(self) -> dict[tuple[str, str], list[Measurement]]:
        aliases = self._catalog.llm_aliases
        groups: dict[tuple[str, str], list[Measurement]] = {}
        for row in self._catalog.measurements:
            if row.basis == "raw":
                groups.setdefault((aliases.get(row.llm, row.llm), row.gpu), []).append(row)
        return groups

    @cached_property
    def _replicas(self) -> dict[ReplicaKey, tuple[ReplicaRows, ...]]:
        groups: dict[ReplicaKey, list[Measurement]] = {}
        records: dict[ReplicaKey, tuple[Llm, Gpu]] = {}
        for row in self._catalog.measurements:
            llm, gpu = self._catalog.llm(row.llm), self._catalog.gpus.get(row.gpu)
            if row.basis == "measured" and llm and gpu:
                key = self.key(llm, gpu, question_of(row))
                groups.setdefault(key, []).append(row)
                records[key] = llm, gpu
        return {key: self._own_first(*records[key], rows) for key, rows in groups.items()}

    def _own_first(
        self, llm: Llm, gpu: Gpu, rows: Sequence[Measurement]
    ) -> tuple[ReplicaRows, ...]:
        parts = [r for r in rows if r.override], [r for r in rows if not r.override]
        return tuple(self._replica(llm, gpu, part) for part in parts if part)

    def _replica(self, llm: Llm, gpu: Gpu, rows: Sequence[Measurement]) -> ReplicaRows:
        question = question_of(rows[0])

        def speed(input_tokens: float, output_tokens: float) -> Speed:
            size = question._replace(input_tokens=input_tokens, output_tokens=output_tokens)
            return self._speed_at(llm, gpu, size)

        kept: list[tuple[Curve, ...]] = []
        warnings: list[str] = []
        for engine, group in by_engine(rows).items():
            curves = build_curves(group, speed)
            if looks_speculative(llm, curves) and not rows[0].override:
                warnings.append(set_aside(llm, gpu, engine, len(group)))
            elif curves:
                kept.append(curves)
        return ReplicaRows(
            curves=tuple(kept),
            offline=tuple(r for r in rows if r.regime == OFFLINE and has_size(r)),
            estimable=not missing_for_estimate(llm, gpu),
            warnings=tuple(warnings),
            room=lambda tokens: room(
                llm, gpu, question.precision, question.tensor_parallel, tokens
            ),
        )


def canonical_precision(precision: str) -> str:
    """fp16 is served as bf16: the same bytes at the same rate."""
    return "bf16" if precision == "fp16" else precision


def question_of(row: Measurement) -> Question:
    """The replica and request size of a row."""
    return Question(
        row.llm,
        row.gpu,
        canonical_precision(row.precision),
        row.tensor_parallel,
        row.input_tokens or 1.0,
        row.output_tokens or 1.0,
    )


def by_engine(rows: Iterable[Measurement]) -> dict[str, list[Measurement]]:
    """Closed-loop rows by engine: a curve through two engines would be nobody's."""
    groups: dict[str, list[Measurement]] = {}
    for row in rows:
        if row.regime in CLOSED_LOOP:
            groups.setdefault(row.engine, []).append(row)
    return groups


def has_size(row: Measurement) -> bool:
    """Whether the row says for what request size it holds."""
    return row.input_tokens is not None and row.output_tokens is not None


def set_aside(llm: Llm, gpu: Gpu, engine: str, rows: int) -> str:
    """Said with every answer that the rows could have given."""
    count = "1 row" if rows == 1 else f"{rows} rows"
    return (
        f"{count} of {llm.id} on {gpu.id} with {engine} set aside: "
        "too fast for plain decoding, and speculative decoding is not modelled"
    )
