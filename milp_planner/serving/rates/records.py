"""A catalog's measurements, grouped by the replica configuration that they measured.

A user's own rows, from an overlay, go before the published ones of the same replica: they were made
in the user's deployment, and a faster stranger says nothing of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property

from milp_planner.inputs.catalog.records import Catalog, Gpu, Llm, Measurement
from milp_planner.inputs.problem.deployment import DEFAULT_DEPLOYMENT, DeploymentSettings
from milp_planner.lazily import dataclass
from milp_planner.serving.memory import fit, room
from milp_planner.serving.operating_point import Question
from milp_planner.serving.rates.calibration import RatedPoint, ReplicaKey, Shape, shape_of
from milp_planner.serving.rates.doubtful_rows import (
    Doubt,
    DoubtfulRow,
    SlowRow,
    doubtful,
    drafts_tokens,
    slow_rows,
    told_together,
)
from milp_planner.serving.rates.measured import CLOSED_LOOP, OFFLINE, Speed
from milp_planner.serving.rates.row_groups import RowGroup, grouped
from milp_planner.serving.rates.worse_hardware import is_worse
from milp_planner.serving.roofline import Roofline, missing_for_estimate

SpeedAt = Callable[[Llm, Gpu, Question], Speed]
"""The estimate for a replica and request size, or its stand-in."""


@dataclass(frozen=True)
class ReplicaRows:
    """The rows of one replica configuration."""

    own: tuple[RowGroup, ...]
    published: tuple[RowGroup, ...]
    estimable: bool
    """Whether the rows can be compared with an estimate, and so calibrate it."""

    set_aside: tuple[DoubtfulRow, ...]
    """Published rows that are not believed."""
    llm: Llm
    gpu: Gpu

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is said with every answer that the rows set aside could have given."""
        return tuple(told_together(self.set_aside, f" of {self.llm.id} on {self.gpu.id}"))


@dataclass(frozen=True)
class _Estimates:
    """The estimate of each row of one replica configuration, in its own deployment."""

    llm: Llm
    gpu: Gpu
    question: Question
    speed_at: SpeedAt

    def speed(self, i: float, o: float, settings: DeploymentSettings) -> Speed:
        """At a request size."""
        asked = self.question._replace(input_tokens=i, output_tokens=o, settings=settings)
        return self.speed_at(self.llm, self.gpu, asked)

    def held(self, tokens: float, settings: DeploymentSettings) -> int:
        """Sequences of that many tokens that fit."""
        q = self.question
        found = fit(self.llm, self.gpu, q.precision, q.tensor_parallel, tokens, settings)
        return found.sequences

    def grouped(self, rows: Iterable[Measurement]) -> tuple[RowGroup, ...]:
        """Rows by owner and deployment."""
        return grouped(rows, self.speed, self.held)

    def of(self, row: Measurement) -> Roofline | None:
        """The estimate of a row; None where the catalog does not know enough."""
        size = row.input_tokens or 1.0, row.output_tokens or 1.0
        found = self.speed(*size, self._ran_in(row))
        return found if isinstance(found, Roofline) else None

    def in_flight(self, row: Measurement) -> float:
        """Requests that the replica worked on: those stated, or of an endless queue what fits."""
        tokens = (row.input_tokens or 1.0) + (row.output_tokens or 1.0)
        return row.concurrency or max(1.0, float(self.held(tokens, self._ran_in(row))))

    def _ran_in(self, row: Measurement) -> DeploymentSettings:
        (group,) = self.grouped([row])
        return group.ran_in(self.question.settings)


class MeasuredRows:
    """Look-ups over the measurements of a catalog."""

    def __init__(self, catalog: Catalog, speed_at: SpeedAt) -> None:
        self._catalog = catalog
        self._speed_at = speed_at
        self._shapes: dict[str, Shape] = {}
        self._known: dict[ReplicaKey, ReplicaRows] = {}

    def of(self, llm: Llm, gpu: Gpu, q: Question) -> ReplicaRows | None:
        """The rows of a replica configuration; LLMs of equal architecture share their rows."""
        key = self.key(llm, gpu, q)
        if key not in self._rows:
            return None
        if key not in self._known:
            self._known[key] = self._replica(key)
        return self._known[key]

    def key(self, llm: Llm, gpu: Gpu, q: Question) -> ReplicaKey:
        """What rows must share to measure the same replica."""
        if llm.id not in self._shapes:
            self._shapes[llm.id] = shape_of(llm)
        joined = q.settings.units_joined, q.settings.stages
        precision = canonical_precision(q.precision)
        return self._shapes[llm.id], gpu.id, precision, q.tensor_parallel, joined

    def raw(self, llm: Llm, gpu: Gpu, q: Question) -> Measurement | None:
        """The LLM's own nominal rate, at this request size or any; else the rate for any LLM."""
        for name in (llm.id, "*"):
            rows = self._raw.get((name, gpu.id), ())
            sizes = {(row.input_tokens, row.output_tokens): row for row in rows}
            found = sizes.get((q.input_tokens, q.output_tokens)) or sizes.get((None, None))
            if found:
                return found
        return None

    def set_aside(self) -> Iterator[DoubtfulRow]:
        """Every published row that is not believed, for `catalog check`."""
        for key in self._rows:
            llm, gpu = self._records[key]
            q = question_of(self._rows[key][0])
            known = self.of(llm, gpu, q)
            yield from known.set_aside if known else ()

    def slow(self, *, every: bool = False) -> Iterator[SlowRow]:
        """A user's own rows, or all, that are far below the estimate."""
        for key, rows in self._rows.items():
            asked = [row for row in rows if every or row.override]
            if asked and not missing_for_estimate(*self._records[key]):
                estimates = self._estimates(key)
                yield from slow_rows(asked, estimates.of, estimates.in_flight)

    def worse_replicas(self, llm: Llm, gpu: Gpu, q: Question) -> Iterator[tuple[Gpu, int]]:
        """Replicas with rows of this LLM and precision that cannot serve more than this one: the
        same GPUs but fewer, or as many of a GPU that is no better in anything."""
        shape, _, precision, tp, joined = self.key(llm, gpu, q)
        for other_id, other_tp in self._replicas_of.get((shape, precision, joined), ()):
            other = self._catalog.gpus[other_id]
            fewer = other_id == gpu.id and other_tp < tp
            if fewer or (other_tp == tp and is_worse(other, gpu)):
                yield other, other_tp

    @cached_property
    def _replicas_of(self) -> dict[tuple[object, ...], list[tuple[str, int]]]:
        found: dict[tuple[object, ...], list[tuple[str, int]]] = {}
        for shape, gpu, precision, tp, joined in self._rows:
            found.setdefault((shape, precision, joined), []).append((gpu, tp))
        return found

    @cached_property
    def gpus_in_closed_loop(self) -> frozenset[str]:
        """GPUs on which the estimate can be compared with measurements."""
        rows = (row for row in self._catalog.measurements if row.basis == "measured")
        return frozenset(row.gpu for row in rows if row.regime in CLOSED_LOOP)

    def own_points(self, settings: DeploymentSettings) -> Iterator[RatedPoint]:
        """Every closed-loop point of the user's own in the engine of a deployment.

        With more in flight than fit in memory, or than the engine was let take, a part waits: such
        a point says nothing of speed.
        """
        for key, rows in self._rows.items():
            if not any(row.override for row in rows):
                continue
            llm, gpu = self._records[key]
            known = self.of(llm, gpu, question_of(rows[0]))
            if known is None or not known.estimable:
                continue
            for group in known.own:
                if group.engine in ("", settings.engine):
                    yield from self._points_of(key, llm, gpu, group, settings)

    def _points_of(
        self, key: ReplicaKey, llm: Llm, gpu: Gpu, group: RowGroup, settings: DeploymentSettings
    ) -> Iterator[RatedPoint]:
        ran = group.ran_in(settings)
        for curve in group.curves(settings):
            tokens = curve.input_tokens + curve.output_tokens
            held = room(llm, gpu, key[2], key[3], tokens, ran)
            held = min(held, ran.max_sequences or held)
            for point in curve.points:
                if point.concurrency <= held and point.row and point.row.regime in CLOSED_LOOP:
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
    def _rows(self) -> dict[ReplicaKey, list[Measurement]]:
        groups: dict[ReplicaKey, list[Measurement]] = {}
        for row in self._catalog.measurements:
            llm, gpu = self._catalog.llm(row.llm), self._catalog.gpus.get(row.gpu)
            if row.basis == "measured" and llm and gpu and row.regime in (*CLOSED_LOOP, OFFLINE):
                groups.setdefault(self.key(llm, gpu, question_of(row)), []).append(row)
        return groups

    @cached_property
    def _records(self) -> dict[ReplicaKey, tuple[Llm, Gpu]]:
        found = {}
        for key, rows in self._rows.items():
            llm, gpu = self._catalog.llm(rows[-1].llm), self._catalog.gpus[rows[-1].gpu]
            assert llm is not None, "rows of unknown LLMs were left out"
            found[key] = llm, gpu
        return found

    def _estimates(self, key: ReplicaKey) -> _Estimates:
        return _Estimates(*self._records[key], question_of(self._rows[key][0]), self._speed_at)

    def _replica(self, key: ReplicaKey) -> ReplicaRows:
        llm, gpu = self._records[key]
        rows = self._rows[key]
        estimates = self._estimates(key)
        published = [row for row in rows if not row.override]
        aside = list(doubtful(published, estimates.of))
        doubted = {id(found.row) for found in aside}
        believed = [row for row in published if id(row) not in doubted]
        groups = estimates.grouped(believed)
        plain = [g for g in groups if not g.draft_tokens]
        speculative = [g for g in plain if drafts_tokens(llm, g.rows, estimates.of)]
        aside += [
            DoubtfulRow(row, Doubt.DRAFT_TOKENS) for group in speculative for row in group.rows
        ]
        return ReplicaRows(
            own=estimates.grouped([row for row in rows if row.override]),
            published=tuple(g for g in groups if g not in speculative),
            estimable=not missing_for_estimate(llm, gpu),
            set_aside=tuple(aside),
            llm=llm,
            gpu=gpu,
        )


def canonical_precision(precision: str) -> str:
    """fp16 is served as bf16: the same bytes at the same rate."""
    return "bf16" if precision == "fp16" else precision


def question_of(row: Measurement) -> Question:
    """The replica and request size of a row."""
    units, stages = row.joined
    return Question(
        row.llm,
        row.gpu,
        canonical_precision(row.precision),
        row.tensor_parallel,
        row.input_tokens or 1.0,
        row.output_tokens or 1.0,
        settings=DEFAULT_DEPLOYMENT if units == 1 else DEFAULT_DEPLOYMENT.joined(units, stages),
    )
