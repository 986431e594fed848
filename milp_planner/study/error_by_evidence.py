"""What a rate is worth by kind of evidence: each sample predicted from the others, as a plan would.

The ratios measured ÷ predicted of each kind are what `serving/derate.py` tabulates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import exp, log

from milp_planner.serving import derate
from milp_planner.serving.calibration import shape_of
from milp_planner.serving.measured import SAME_SIZE, Curve, CurvePoint, speed_near
from milp_planner.study.samples import Sample


def ratios_by_evidence(samples: Sequence[Sample]) -> Mapping[str, list[float]]:
    """Measured ÷ predicted throughput of every sample for which each kind of rows exists."""
    return {
        derate.MEASURED: list(_repeated(samples)),
        derate.INTERPOLATED: list(_interpolated(samples)),
        derate.SAME_REPLICA: list(_calibrated(samples, _replica, _size)),
        derate.OTHER_TENSOR_PARALLEL: list(_calibrated(samples, _llm_gpu_precision, _tp)),
    }


def ratios_of_far_relatives(samples: Sequence[Sample]) -> Mapping[str, list[float]]:
    """The same for relatives that are not used, because they widen the spread."""
    return {
        "other LLMs on the same GPU and tensor parallel": list(
            _calibrated(samples, _gpu_and_tp, _llm)
        ),
        "other LLMs on the same GPU": list(_calibrated(samples, _gpu, _llm)),
        "the same LLM on other GPUs": list(_calibrated(samples, _llm, _gpu)),
        "the same LLM, GPU and tp in another precision": list(
            _calibrated(samples, _llm_gpu_tp, _precision)
        ),
    }


def _repeated(samples: Sequence[Sample]) -> Iterator[float]:
    """One measurement predicted by another of the same setting and engine."""
    for group in _groups(samples, lambda s: s.setting).values():
        for i, one in enumerate(group):
            for other in group[i + 1 :]:
                ratio = one.output_tokens_per_second / other.output_tokens_per_second
                yield from (ratio, 1 / ratio)


def _interpolated(samples: Sequence[Sample]) -> Iterator[float]:
    """Each request size predicted from the other sizes of the same replica and engine."""
    for group in _groups(samples, lambda s: (*s.replica, s.engine)).values():
        sizes = _groups(group, _size)
        curves = [_curve(points) for points in sizes.values()]
        for points in sizes.values():
            i, o = points[0].input_tokens, points[0].output_tokens
            others = [c for c in curves if c.distance(i, o) > SAME_SIZE]
            speed = speed_near(others, i, o, points[0].estimate)
            if speed is None:
                continue
            for s in points:
                if speed.lowest <= s.concurrency <= speed.highest:
                    predicted = speed.requests_per_second(s.concurrency) * s.output_tokens
                    yield s.output_tokens_per_second / predicted


def _calibrated(
    samples: Sequence[Sample],
    alike: Callable[[Sample], object],
    apart: Callable[[Sample], object],
) -> Iterator[float]:
    """Each sample predicted from those alike in one respect and apart in another."""
    for group in _groups(samples, alike).values():
        by_other = _groups(group, apart)
        sums = {k: (sum(log(s.rate_ratio) for s in g), len(g)) for k, g in by_other.items()}
        total = sum(s for s, _ in sums.values())
        count = sum(n for _, n in sums.values())
        for key, members in by_other.items():
            rest = count - sums[key][1]
            if rest:
                factor = exp((total - sums[key][0]) / rest)
                yield from (s.rate_ratio / factor for s in members)


def _curve(points: Sequence[Sample]) -> Curve:
    """Samples of one request size as a curve; of two at one concurrency the last counts."""
    by_n = {s.concurrency: s for s in points}
    return Curve(
        points[0].input_tokens,
        points[0].output_tokens,
        tuple(CurvePoint(n, by_n[n].rate_ratio, by_n[n].tpot_ratio, None) for n in sorted(by_n)),
    )


def _groups(
    samples: Sequence[Sample], of: Callable[[Sample], object]
) -> dict[object, list[Sample]]:
    groups: dict[object, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(of(sample), []).append(sample)
    return groups


def _replica(s: Sample) -> object:
    return s.replica


def _size(s: Sample) -> object:
    return s.input_tokens, s.output_tokens


def _llm_gpu_precision(s: Sample) -> object:
    return shape_of(s.llm), s.gpu.id, s.precision


def _llm_gpu_tp(s: Sample) -> object:
    return shape_of(s.llm), s.gpu.id, s.tensor_parallel


def _gpu_and_tp(s: Sample) -> object:
    return s.gpu.id, s.tensor_parallel


def _gpu(s: Sample) -> object:
    return s.gpu.id


def _llm(s: Sample) -> object:
    return shape_of(s.llm)


def _tp(s: Sample) -> object:
    return s.tensor_parallel


def _precision(s: Sample) -> object:
    return s.precision
