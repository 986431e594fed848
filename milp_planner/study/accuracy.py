"""How well the serving model meets published measurements:

    python -m milp_planner.study.accuracy FOLDER

FOLDER holds `throughput/measured_throughput.csv` or a catalog's `measurements.csv`; LLMs and GPUs
come from the shipped catalog `market`. Printed are the median and 90th percentile of the relative
error |estimated ÷ measured − 1| by LLM family, GPU and engine, how often the faster of two GPUs is
named, the error with each LLM left out of the constants, and the quantiles behind
`serving/derate.py`.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import log
from pathlib import Path
from statistics import median, pstdev

from milp_planner.errors import PlannerError
from milp_planner.inputs.catalog.files import load_catalog
from milp_planner.serving import derate
from milp_planner.serving.calibration import shape_of
from milp_planner.serving.memory import is_moe
from milp_planner.study.error_by_evidence import ratios_by_evidence, ratios_of_far_relatives
from milp_planner.study.leave_one_out import left_out_ratios
from milp_planner.study.samples import Sample, Samples, read_samples

TIE = 0.01  # two GPUs within 1 % of one another have no faster one

CATALOG = "market"
READER_GONE = 141  # exit code of a program whose reader closed the pipe


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
    yield from ("", HEADER, row("all", inside))
    yield row("with suspected speculative", (*inside, *samples.speculative))
    yield row("with more than fit", (*inside, *samples.crowded))
    yield row("with precision not stated", (*inside, *samples.unstated))
    yield row("with all of these", samples.widest)
    for title, of in GROUPS:
        yield from ("", f"by {title}")
        yield from (row(name, group) for name, group in grouped(inside, of).items())
    yield from ("", faster_line(inside))
    yield from ("", *leave_one_out_lines(inside))
    yield from ("", *derate_lines(inside))


def left_out_lines(samples: Samples) -> Iterator[str]:
    """How many rows were used, and the others by reason."""
    rows = len(samples.inside) + sum(samples.left_out.values())
    yield f"{rows:,} rows, {len(samples.inside):,} inside the model; left out:"
    for reason, count in sorted(samples.left_out.items(), key=lambda item: -item[1]):
        yield f"  {count:6,}  {reason}"


def row(name: str, samples: Sequence[Sample]) -> str:
    """One line: count, errors of tpot and throughput, and the median measured ÷ estimated."""
    tpot = [s.tpot_ratio for s in samples]
    rate = [s.rate_ratio for s in samples]
    return f"{name:<28}{len(samples):>6}{_errors(tpot)}{_errors(rate)}{median(rate):>10.2f}"


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
        size = (s.input_tokens, s.output_tokens, s.concurrency)
        key = (shape_of(s.llm), s.precision, s.tensor_parallel, s.engine, *size)
        groups.setdefault(key, []).append(s)
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


def leave_one_out_lines(samples: Sequence[Sample]) -> Iterator[str]:
    """Errors on each LLM, and on each GPU, with the constants refitted on all others."""
    for title, apart, name_of in LEFT_OUT:
        yield f"constants refitted with one {title} left out, errors on that {title}"
        yield HEADER
        everything: list[tuple[float, float]] = []
        for first, ratios in left_out_ratios(samples, apart):
            everything += ratios
            yield _ratio_row(name_of(first), ratios)
        if everything:
            yield _ratio_row("all, each left out once", everything)


def derate_lines(samples: Sequence[Sample]) -> Iterator[str]:
    """Quantiles of measured ÷ predicted throughput, by kind of evidence."""
    yield "measured ÷ predicted throughput, the quantiles of derate.py"
    names = "".join(f"{f'p{100 * q:.0f}':>7}" for q in derate.QUANTILES)
    yield f"{'evidence':<50}{'rows':>6}{names}{'spread':>8}"
    for kind, moe in (("dense", False), ("MoE", True)):
        found = derate_ratios(samples, moe).items()
        yield from _quantile_rows({f"{evidence}, {kind}": ratios for evidence, ratios in found})
    yield "calibrating on farther relatives: not used, the estimate alone is nearer"
    yield from _quantile_rows({"the estimate alone": [s.rate_ratio for s in samples]})
    yield from _quantile_rows(ratios_of_far_relatives(samples))


def derate_ratios(samples: Sequence[Sample], moe: bool) -> Mapping[str, Sequence[float]]:
    """Measured ÷ predicted throughput of dense LLMs or of mixtures of experts, by evidence.

    Estimates are those of each LLM by constants fitted on the others, as for a new LLM.
    """
    alike = [s for s in samples if is_moe(s.llm) == moe]
    apart = left_out_ratios(samples, lambda s: shape_of(s.llm))
    estimated = [rate for first, ratios in apart if is_moe(first.llm) == moe for _, rate in ratios]
    return {**ratios_by_evidence(alike), derate.ESTIMATED: estimated}


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


def _errors(ratios: Sequence[float]) -> str:
    errors = [abs(1 / ratio - 1) for ratio in ratios]
    return f"{median(errors):>9.1%}{quantile(errors, 0.9):>8.1%}"


def _quantile_rows(groups: Mapping[str, Sequence[float]]) -> Iterator[str]:
    """One line a group: count, quantiles, standard deviation of the logarithm."""
    for name, ratios in groups.items():
        if len(ratios) > 1:
            values = "".join(f"{quantile(ratios, q):>7.2f}" for q in derate.QUANTILES)
            spread = pstdev(log(ratio) for ratio in ratios)
            yield f"{name:<50}{len(ratios):>6}{values}{spread:>8.3f}"


def _ratio_row(name: str, ratios: Sequence[tuple[float, float]]) -> str:
    tpot, rate = [t for t, _ in ratios], [r for _, r in ratios]
    return f"{name:<28}{len(ratios):>6}{_errors(tpot)}{_errors(rate)}{median(rate):>10.2f}"


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

LEFT_OUT: tuple[tuple[str, Callable[[Sample], object], Callable[[Sample], str]], ...] = (
    ("LLM", lambda s: shape_of(s.llm), lambda s: s.llm.id),
    ("GPU", lambda s: s.gpu.id, lambda s: s.gpu.id),
)
"""What is left out, what tells it apart, and its name."""

GROUPS: tuple[tuple[str, Callable[[Sample], str]], ...] = (
    ("LLM family", family),
    ("GPU", lambda s: s.gpu.id),
    ("engine", lambda s: s.engine),
)

if __name__ == "__main__":
    raise SystemExit(main())
