"""What a user's own measurements say about an estimate: one factor on its rate, one on its tpot.

The factor is exp(w · mean log(measured ÷ estimated)) over the closest relatives that exist: the
same replica at other request sizes, else the same LLM, GPU and precision on more or fewer GPUs,
else the same LLM and precision on other GPUs; w is what carries over inside one source and engine
(`derate.SHRINKAGE`).

Rows that others published do not calibrate: between sources nothing carries over, not even for the
same replica in the same engine. Nor do rows of another engine, LLM or precision.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from math import exp, log

from milp_planner.inputs.catalog.records import Llm, Measurement
from milp_planner.lazily import dataclass
from milp_planner.serving import derate
from milp_planner.serving.rates.measured import CurvePoint, Speed

Shape = tuple[object, ...]
"""What decides an LLM's speed: its architecture. LLMs with equal shapes share measurements."""

ReplicaKey = tuple[Shape, str, str, int, tuple[int, int]]
"""(shape of the LLM, GPU id, precision, tensor parallel, (units joined, stages))."""


@dataclass(frozen=True)
class Calibration:
    """A correction of the estimate."""

    rate_factor: float
    tpot_factor: float
    evidence: str
    """The kind of evidence; see `derate.py`."""

    rows: int
    llms: tuple[str, ...] = ()
    measured: tuple[Measurement, ...] = ()
    """The rows themselves."""

    @property
    def detail(self) -> str:
        """In the reader's words: which rows, and what they say."""
        if not self.rows:
            return ""
        names = ", ".join(self.llms[:3]) + (", …" if len(self.llms) > 3 else "")
        rows = "1 row" if self.rows == 1 else f"{self.rows} rows"
        return f"{self.evidence}: {rows} of {names}, {self.rate_factor:.2f} × the estimate"


UNCALIBRATED = Calibration(1.0, 1.0, derate.ESTIMATED, 0)


@dataclass(frozen=True)
class Scaled:
    """An estimate times its calibration."""

    estimate: Speed
    calibration: Calibration

    @property
    def prefill_s(self) -> float:
        """Prefill of one request, in seconds."""
        return self.estimate.prefill_s

    def tpot_s(self, n: float) -> float:
        """Time per output token with n in flight, in seconds."""
        return self.estimate.tpot_s(n) * self.calibration.tpot_factor

    def requests_per_second(self, n: float) -> float:
        """Requests/s with n in flight."""
        return self.estimate.requests_per_second(n) * self.calibration.rate_factor


@dataclass(frozen=True)
class RatedPoint:
    """One measured point with the keys that its relatives look it up by."""

    key: ReplicaKey
    point: CurvePoint


class Calibrations:
    """The measured points of a user in one engine, grouped by kind of relative."""

    def __init__(self, points: Iterable[RatedPoint]) -> None:
        self._points = tuple(points)

    def of(self, key: ReplicaKey) -> Calibration:
        """The correction for a replica; none where it has no relative."""
        for evidence, choose in RELATIVES:
            found = self._groups[evidence].get(choose(key))
            if found:
                return found
        return UNCALIBRATED

    @cached_property
    def _groups(self) -> Mapping[str, Mapping[object, Calibration]]:
        return {
            evidence: {
                group: _shrunk(points, evidence)
                for group, points in _grouped(self._points, choose).items()
            }
            for evidence, choose in RELATIVES
        }


def shape_of(llm: Llm) -> Shape:
    """The architecture as a key; an LLM without one is its own shape."""
    if llm.parameters_b is None:
        return (llm.id,)
    return tuple(getattr(llm, name) for name in SHAPE_FIELDS)


def _grouped(
    points: Iterable[RatedPoint], choose: Callable[[ReplicaKey], object]
) -> dict[object, list[CurvePoint]]:
    groups: dict[object, list[CurvePoint]] = {}
    for rated in points:
        groups.setdefault(choose(rated.key), []).append(rated.point)
    return groups


def _shrunk(points: Sequence[CurvePoint], evidence: str) -> Calibration:
    weight = derate.SHRINKAGE[evidence] / len(points)
    return Calibration(
        rate_factor=exp(weight * sum(log(p.rate_ratio) for p in points)),
        tpot_factor=exp(weight * sum(log(p.tpot_ratio) for p in points)),
        evidence=evidence,
        rows=len(points),
        llms=tuple(sorted({p.row.llm for p in points if p.row})),
        measured=tuple(p.row for p in points if p.row),
    )


def _is_joined(key: ReplicaKey) -> bool:
    return key[4] != ONE_UNIT


ONE_UNIT = (1, 1)
"""One unit, one stage."""

SHAPE_FIELDS = (
    "parameters_b",
    "active_parameters_b",
    "layers",
    "hidden_size",
    "attention_heads",
    "kv_heads",
    "head_dim",
    "attention",
    "kv_lora_rank",
    "windowed_layers",
    "linear_layers",
    "moe_layers",
    "experts",
    "experts_per_token",
    "moe_ffn_size",
)

RELATIVES: tuple[tuple[str, Callable[[ReplicaKey], object]], ...] = (
    (derate.SAME_REPLICA, lambda key: key),
    (derate.OTHER_TENSOR_PARALLEL, lambda key: (*key[:3], _is_joined(key))),
    (derate.OTHER_GPU, lambda key: (key[0], key[2], _is_joined(key))),
)
"""Kinds of relatives, closest first, and the part of a replica's key that they share: a replica of
one unit says nothing of the network between units."""
