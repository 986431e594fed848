"""Published rows that are set aside: beyond the data sheet, or far above a twin at the same point.

What a user measured is never set aside here; `calibrate` refuses what the silicon cannot do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum

from milp_planner.inputs.catalog.records import Llm, Measurement
from milp_planner.lazily import dataclass
from milp_planner.serving.memory import is_mla
from milp_planner.serving.rates.measured import CLOSED_LOOP, measured_tpot_s
from milp_planner.serving.roofline import Roofline

TWIN_SPREAD = 1.35
"""Runs of one replica at one point differ by 10 to 20 % between engines; beyond this something not
stated was different, such as draft tokens."""

SPECULATIVE_SPEEDUP = 1.5

LEAST_OF_ESTIMATE = 0.3
"""Below this share of the estimate something else limited the run: the client, or a queue."""


class Doubt(StrEnum):
    """Why a row is not believed."""

    BEYOND_PEAKS = "beyond peaks"
    ABOVE_TWIN = "above a twin"
    DRAFT_TOKENS = "draft tokens"


@dataclass(frozen=True)
class DoubtfulRow:
    """A published row that is set aside."""

    row: Measurement
    doubt: Doubt
    ratio: float = 1.0
    """Share of the peaks, or rate ÷ that of the twin."""

    twin_engine: str = ""

    @property
    def reason(self) -> str:
        """Why, in words, with the figure."""
        match self.doubt:
            case Doubt.BEYOND_PEAKS:
                return (
                    f"its FLOPs and its memory traffic take {self.ratio:.0%} "
                    "of what the data sheet allows"
                )
            case Doubt.ABOVE_TWIN:
                return f"{self.ratio:.2f} × its twin in {self.twin_engine or NO_ENGINE}"
            case Doubt.DRAFT_TOKENS:
                return "too fast for plain decoding, and draft tokens are not stated"

    def __str__(self) -> str:
        return f"{row_name(self.row)} set aside: {self.reason}"


def told_together(rows: Iterable[DoubtfulRow], of: str = "") -> Iterator[str]:
    """One line for each kind of doubt: `12 rows set aside: 1.35 to 1.63 × a twin …`.

    `of` says whose rows they are, such as ` of llama-3.1-70b on h100-80gb-sxm`.
    """
    found = list(rows)
    for doubt in Doubt:
        alike = [row for row in found if row.doubt is doubt]
        if len(alike) == 1:
            yield f"1 row{of} set aside: {alike[0].reason}"
        elif alike:
            ratios = sorted(row.ratio for row in alike)
            yield f"{len(alike)} rows{of} set aside: {_range(doubt, ratios[0], ratios[-1])}"


def _range(doubt: Doubt, least: float, most: float) -> str:
    match doubt:
        case Doubt.BEYOND_PEAKS:
            return (
                f"their FLOPs and their memory traffic take {least:.0%} to {most:.0%} "
                "of what the data sheet allows"
            )
        case Doubt.ABOVE_TWIN:
            return f"{least:.2f} to {most:.2f} × a twin of another run at the same point"
        case Doubt.DRAFT_TOKENS:
            return "too fast for plain decoding, and draft tokens are not stated"


NO_ENGINE = "an engine not named"

EstimateOf = Callable[[Measurement], Roofline | None]
"""The estimate of a row in its own deployment; None where the catalog does not know enough."""


MOST_NAMED = 3


@dataclass(frozen=True)
class SlowRow:
    """A row far below the estimate at its own point; it counts, and is told."""

    row: Measurement
    in_flight: float
    share: float
    """Measured ÷ estimated."""

    def __str__(self) -> str:
        replica = f"{self.row.llm} on {self.row.gpu} tp {self.row.tensor_parallel}"
        return (
            f"{replica}, {self.in_flight:g} in flight: {self.share:.2f} of the estimate; did the "
            "client, a queue or a small KV cache limit the run?"
        )


def told_slow(rows: Iterable[SlowRow]) -> Iterator[str]:
    """One sentence for each of the first, one for the rest."""
    found = list(rows)
    yield from map(str, found[:MOST_NAMED])
    if len(found) > MOST_NAMED:
        shares = sorted(row.share for row in found[MOST_NAMED:])
        count = "1 more row is" if len(shares) == 1 else f"{len(shares):,} more rows are"
        yield f"{count} below {LEAST_OF_ESTIMATE:g} of the estimate, the lowest at {shares[0]:.2g}"


def slow_rows(
    rows: Iterable[Measurement], estimate_of: EstimateOf, in_flight: Callable[[Measurement], float]
) -> Iterator[SlowRow]:
    """Rows below 0.3 times the estimate at their size with as many in flight."""
    for row in rows:
        estimate, n = estimate_of(row), in_flight(row)
        if estimate is None:
            continue
        share = row.output_tokens_per_second / estimate.output_tokens_per_second(n)
        if share < LEAST_OF_ESTIMATE:
            yield SlowRow(row, n, share)


def doubtful(rows: Sequence[Measurement], estimate_of: EstimateOf) -> Iterator[DoubtfulRow]:
    """Rows of one replica to set aside."""
    beyond = set()
    for row in rows:
        share = _share_of_peaks(row, estimate_of(row))
        if share > 1:
            beyond.add(id(row))
            yield DoubtfulRow(row, Doubt.BEYOND_PEAKS, share)
    for twins in _twins(row for row in rows if id(row) not in beyond):
        slowest = min(twins, key=lambda row: row.output_tokens_per_second)
        for row in twins:
            ratio = row.output_tokens_per_second / slowest.output_tokens_per_second
            if ratio > TWIN_SPREAD:
                yield DoubtfulRow(row, Doubt.ABOVE_TWIN, ratio, slowest.engine)


def row_name(row: Measurement) -> str:
    """`qwen3-32b on h100-80gb-sxm fp8 tp 1, sglang, 1024/1024 tokens, 256 in flight`."""
    size = f"{row.input_tokens or 0:g}/{row.output_tokens or 0:g} tokens"
    flight = f", {row.concurrency:g} in flight" if row.concurrency else ", endless queue"
    replica = f"{row.llm} on {row.gpu} {row.precision} tp {row.tensor_parallel}"
    return f"{replica}, {row.engine or 'engine not named'}, {size}{flight}"


def drafts_tokens(llm: Llm, rows: Iterable[Measurement], estimate_of: EstimateOf) -> bool:
    """Whether rows of one deployment must have used draft tokens that they do not state.

    LLMs with compressed attention ship a multi-token head. Some row is 1.5 times faster per token
    than the estimate of a plain decode step, without any prefill.
    """
    return is_mla(llm) and any(_beats_plain_steps(row, estimate_of(row)) for row in rows)


def _beats_plain_steps(row: Measurement, estimate: Roofline | None) -> bool:
    if estimate is None or row.regime not in CLOSED_LOOP or not row.concurrency:
        return False
    plain_s = estimate.decode_step_s(row.concurrency)
    return measured_tpot_s(row) * SPECULATIVE_SPEEDUP < plain_s


def _share_of_peaks(row: Measurement, estimate: Roofline | None) -> float:
    """Share of the compute peak plus share of the bandwidth peak, a KV cache counted at 8 bits.

    X · operations of a request / peak + steps per second · bytes of a step / bandwidth
    """
    if estimate is None or row.regime not in CLOSED_LOOP or not row.concurrency:
        return 0.0
    output, n = row.output_tokens or 1.0, row.concurrency
    requests = row.output_tokens_per_second / output
    computed = requests * estimate.flops_per_request / estimate.peak_flops
    read = estimate.weights_s(n) * estimate.weight_efficiency
    read += n * estimate.kv_s * estimate.kv_efficiency / 2
    return computed + row.output_tokens_per_second / n * read


def _twins(rows: Iterable[Measurement]) -> Iterator[list[Measurement]]:
    """Rows of one replica at one point, two or more."""
    groups: dict[tuple[object, ...], list[Measurement]] = {}
    for row in rows:
        if row.regime in CLOSED_LOOP and not row.draft_tokens:
            size = row.input_tokens, row.output_tokens, row.concurrency
            groups.setdefault((*size, row.expert_parallel), []).append(row)
    yield from (group for group in groups.values() if len(group) > 1)
