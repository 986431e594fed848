"""The two constants of the default tier refitted without one source, to see how they carry to it.

Only they were fitted on sources that ran default settings; the others were chosen on vendors' runs,
so what a vendor's source shows when "left out" is as if it were not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import exp, log

from milp_planner.serving.tiers import TIERS, TierTimes
from milp_planner.study.samples import Sample

FIRST_STEP = 0.2  # of a constant's logarithm
LAST_STEP = 0.02
WORST_COUNTED = 0.6  # errors beyond e^0.6 count as that much: a broken row shall not steer


def by_source(samples: Sequence[Sample]) -> Mapping[str, tuple[Sample, ...]]:
    """Samples by the name of their source, recent sources first, in alphabetical order."""
    groups: dict[str, list[Sample]] = {}
    for sample in sorted(samples, key=lambda s: (not s.source.recent, s.source.name)):
        groups.setdefault(sample.source.name, []).append(sample)
    return {name: tuple(group) for name, group in groups.items()}


def left_out(samples: Sequence[Sample]) -> Iterator[tuple[str, tuple[Sample, ...]]]:
    """Each source with its samples, estimated by tier constants fitted on the other sources."""
    groups = by_source(samples)
    for name, group in groups.items():
        others = {other: found for other, found in groups.items() if other != name}
        if any(sample.settings.tier == "default" for sample in group):
            times = fit_default_tier(others)
            group = tuple(estimated_with(sample, times) for sample in group)
        yield name, group


def fit_default_tier(groups: Mapping[str, Sequence[Sample]]) -> TierTimes:
    """Factor on kernels and host time per sequence with the least mean absolute log error.

    Coordinate descent; every row counts alike. The shipped constants where no source ran default
    settings.
    """
    shipped = TIERS["default"]
    running = [s for group in groups.values() for s in group if s.settings.tier == "default"]
    if not running:
        return shipped
    best = [log(shipped.kernels), log(shipped.per_sequence_s)]
    least = _loss(running, best)
    step = FIRST_STEP
    while step > LAST_STEP:
        tried = [
            [*best[:i], best[i] + change, *best[i + 1 :]]
            for i in range(len(best))
            for change in (step, -step)
        ]
        losses = [(_loss(running, logs), logs) for logs in tried]
        loss, logs = min(losses)
        if loss < least:
            least, best = loss, logs
        else:
            step /= 2
    return _times(best)


def estimated_with(sample: Sample, times: TierTimes) -> Sample:
    """A sample of the default tier estimated with other constants; any other as it is."""
    return sample.with_tier(times) if sample.settings.tier == "default" else sample


def _loss(samples: Sequence[Sample], logs: Sequence[float]) -> float:
    times = _times(logs)
    errors = (abs(log(sample.with_tier(times).rate_ratio)) for sample in samples)
    return sum(min(error, WORST_COUNTED) for error in errors) / len(samples)


def _times(logs: Sequence[float]) -> TierTimes:
    return TierTimes(kernels=exp(logs[0]), per_sequence_s=exp(logs[1]))
