"""How well the serving model meets published measurements:

    python -m milp_planner.study.accuracy FOLDER

FOLDER holds `throughput/measured_throughput.csv` or a catalog's `measurements.csv`; LLMs and GPUs
come from the shipped catalog `market`. Printed are, for every source of measurements, each left out
of the constants fitted on sources of its kind: the error of the printed median of throughput,
|predicted ÷ measured − 1|, its bias, and how often measurements reach what is planned at p50, p75,
p90 and p95. Then the errors by LLM family, GPU and engine, and how often the faster of two GPUs is
named.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from math import log
from pathlib import Path
from statistics import mean, median

from milp_planner.errors import PlannerError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.lazily import dataclass
from milp_planner.serving import derate
from milp_planner.serving.rates.calibration import shape_of
from milp_planner.study.leave_one_out import left_out
from milp_planner.study.samples import Sample, Samples, read_samples

TIE = 0.01  # two GPUs within 1 % of one another have no faster one
FEWEST = 10  # points of a source that counts in the mean over recent sources

CONFIDENCES = (0.50, 0.75, 0.90, 0.95)

CATALOG = "market"
READER_GONE = 141  # exit code of a program whose reader closed the pipe


@dataclass(frozen=True)
class Errors:
    """What the estimate misses on one group of samples."""

    samples: tuple[Sample, ...]

    @cached_property
    def ratios(self) -> tuple[float, ...]:
        """Printed median of the estimate ÷ measured throughput."""
        return tuple(expected(sample) for sample in self.samples)

    @property
    def middle(self) -> float:
        """Median of the relative error."""
        return median(abs(ratio - 1) for ratio in self.ratios)

    @property
    def p90(self) -> float:
        """90th percentile of the relative error."""
        return quantile((abs(ratio - 1) for ratio in self.ratios), 0.9)

    @property
    def bias(self) -> float:
        """Median of predicted ÷ measured, less 1."""
        return median(self.ratios) - 1

    def kept(self, confidence: float) -> float:
        """Share of the samples that reach what is planned with a confidence."""
        share = derate.planning_quantile(confidence)
        reached = (
            s.rate_ratio >= derate.derate(derate.ESTIMATED, s.trust, share) for s in self.samples
        )
        return sum(reached) / len(self.samples)

    @property
    def tpot(self) -> tuple[float, float] | None:
        """Median and 90th percentile of the error of the time per token, where it was measured."""
        timed = [abs(1 / s.tpot_ratio - 1) for s in self.samples if s.tpot_s is not None]
        return (median(timed), quantile(timed, 0.9)) if timed else None


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the report for the one folder given; 2 where it cannot be read, 141 for no reader."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    if len(given) != 1:
        print("usage: python -m milp_planner.study.accuracy FOLDER", file=sys.stderr)
        return 2
    try:
        samples = read_samples(Path(given[0]), load_catalog(CATALOG))
    except PlannerError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        for line in report(samples):
            print(line)
        sys.stdout.flush()
    except BrokenPipeError:  # `| head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for Python's last flush
        return READER_GONE
    return 0


def report(samples: Samples) -> Iterator[str]:
    """The whole report, line by line."""
    inside = samples.inside
    if not inside:
        yield "no row is inside the model's range"
        return
    yield from left_out_lines(samples)
    yield from ("", *source_lines(inside))
    yield from ("", HEADER, row("all", inside))
    yield row("with suspected speculative", (*inside, *samples.speculative))
    yield row("with more than fit", (*inside, *samples.crowded))
    yield row("with precision not stated", (*inside, *samples.unstated))
    yield row("with all of these", samples.widest)
    for title, of in GROUPS:
        yield from ("", f"by {title}")
        yield from (row(name, group) for name, group in grouped(inside, of).items())
    yield from ("", faster_line(inside))


def left_out_lines(samples: Samples) -> Iterator[str]:
    """How many rows were used, and the others by reason."""
    rows = len(samples.inside) + sum(samples.left_out.values())
    yield f"{rows:,} rows, {len(samples.inside):,} inside the model; left out:"
    for reason, count in sorted(samples.left_out.items(), key=lambda item: -item[1]):
        yield f"  {count:6,}  {reason}"


def source_lines(samples: Sequence[Sample]) -> Iterator[str]:
    """A table of all sources, each left out of the constants, and the mean over recent ones."""
    yield "| source, left out once | points | median error | p90 error | bias | kept p50/75/90/95 |"
    yield "|---|---|---|---|---|---|"
    by_source = errors_by_source(samples)
    for name, errors in by_source.items():
        yield source_row(name, f"{len(errors.samples):,}", [errors])
    recent = recent_errors(by_source)
    if recent:
        yield source_row(f"mean of {len(recent)} recent sources", "", list(recent.values()))


def source_row(name: str, points: str, groups: Sequence[Errors]) -> str:
    """One line of the table: the mean over some groups, each counting alike."""
    middle, p90, bias = (
        100 * mean(getattr(errors, figure) for errors in groups)
        for figure in ("middle", "p90", "bias")
    )
    kept = "/".join(f"{100 * mean(e.kept(c) for e in groups):.0f}" for c in CONFIDENCES)
    return f"| {name} | {points} | {middle:.1f} % | {p90:.1f} % | {bias:+.1f} % | {kept} % |"


def errors_by_source(samples: Sequence[Sample]) -> Mapping[str, Errors]:
    """Errors on each source, by constants fitted without it; recent sources first."""
    return {name: Errors(group) for name, group in left_out(samples)}


def recent_errors(by_source: Mapping[str, Errors]) -> Mapping[str, Errors]:
    """Those of recent sources with ten points or more."""
    return {
        name: errors
        for name, errors in by_source.items()
        if errors.samples[0].source.recent and len(errors.samples) >= FEWEST
    }


def expected(sample: Sample) -> float:
    """Printed median of the estimate ÷ measured throughput."""
    return derate.derate(derate.ESTIMATED, sample.trust, 0.5) / sample.rate_ratio


def row(name: str, samples: Sequence[Sample]) -> str:
    """One line: count, errors of tpot and throughput, and the median measured ÷ estimated."""
    errors = Errors(tuple(samples))
    timed = errors.tpot
    tpot = f"{'-':>9}{'-':>8}" if timed is None else f"{timed[0]:>9.1%}{timed[1]:>8.1%}"
    rate = f"{errors.middle:>9.1%}{errors.p90:>8.1%}"
    ratio = median(s.rate_ratio for s in samples)
    return f"{name:<28}{len(samples):>6}{tpot}{rate}{ratio:>10.2f}"


def grouped(
    samples: Iterable[Sample], of: Callable[[Sample], str]
) -> Mapping[str, Sequence[Sample]]:
    """Samples by name, in alphabetical order."""
    groups: dict[str, list[Sample]] = {}
    for sample in samples:
        groups.setdefault(of(sample), []).append(sample)
    return dict(sorted(groups.items()))


def faster_of_two(samples: Iterable[Sample]) -> tuple[int, int]:
    """(named correctly, pairs): two GPUs, all else equal, ranked by throughput."""
    groups: dict[tuple[object, ...], list[Sample]] = {}
    for s in samples:
        size = (s.input_tokens, s.output_tokens, s.concurrency if s.tpot_s else None, s.regime)
        replica = shape_of(s.llm), s.precision, s.tensor_parallel, s.engine, s.source.name
        groups.setdefault((*replica, *size), []).append(s)
    right = pairs = 0
    for group in groups.values():
        for one, other in _pairs_of_gpus(group):
            measured = log(one.output_tokens_per_second / other.output_tokens_per_second)
            if abs(measured) < TIE:
                continue
            pairs += 1
            right += (measured > 0) == (_estimated_rate(one) > _estimated_rate(other))
    return right, pairs


def faster_line(samples: Iterable[Sample]) -> str:
    """The ranking of GPUs in one sentence."""
    right, pairs = faster_of_two(samples)
    if not pairs:
        return "no two GPUs were measured alike"
    return f"the faster of two GPUs is named in {right:,} of {pairs:,} pairs: {right / pairs:.1%}"


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which `share` of the values lie, linear between neighbours."""
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def family(sample: Sample) -> str:
    """`llama-3.1-70b` -> `llama`: the letters before the version."""
    found = re.match(r"[a-z-]*[a-z]", sample.llm.id)
    return found[0] if found else sample.llm.id


def _pairs_of_gpus(group: Sequence[Sample]) -> Iterator[tuple[Sample, Sample]]:
    """Every two GPUs once, each with its middle row."""
    by_gpu = list(grouped(group, lambda s: s.gpu.id).values())
    middles = [sorted(g, key=lambda s: s.output_tokens_per_second)[len(g) // 2] for g in by_gpu]
    for i, one in enumerate(middles):
        for other in middles[i + 1 :]:
            yield one, other


def _estimated_rate(sample: Sample) -> float:
    return sample.estimate.requests_per_second(sample.concurrency)


HEADER = f"{'':<28}{'rows':>6}{'tpot p50':>9}{'p90':>8}{'rate p50':>9}{'p90':>8}{'meas÷est':>10}"

GROUPS: tuple[tuple[str, Callable[[Sample], str]], ...] = (
    ("LLM family", family),
    ("GPU", lambda s: s.gpu.id),
    ("engine", lambda s: s.engine),
)

if __name__ == "__main__":
    raise SystemExit(main())
