"""From measured rows to an operating point: the user's own, else published ones at the very size.

The user's rows carry to sizes nearby. Published rows answer for the request size that they
measured alone; those of another engine or of other settings are moved to the deployment asked about
along the estimate, and are trusted no further than the estimate is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from math import log

from milp_planner.lazily import dataclass, replace
from milp_planner.serving import derate as evidence_of
from milp_planner.serving.memory import MemoryFit
from milp_planner.serving.operating_point import (
    EngineRate,
    OperatingPoint,
    Question,
    Rejection,
    Source,
    describe,
    rate_only,
    too_slow,
    ttft_too_long,
)
from milp_planner.serving.rates.measured import (
    OFFLINE,
    LengthOnly,
    MeasuredSpeed,
    Speed,
    speed_near,
)
from milp_planner.serving.rates.row_groups import RowGroup
from milp_planner.serving.roofline import Roofline, largest_within

MOST_ABOVE_SEEN = 1.1
"""What is planned ÷ the fastest published row at the very point, at most."""

ROUNDING = 1 + 1e-9  # a wish for exactly the measured time is met


@dataclass(frozen=True)
class RowsOf:
    """What the rows of one deployment say about a question."""

    group: RowGroup
    speed: MeasuredSpeed
    same_deployment: bool
    most: int
    """Most requests in flight that a replica of the deployment holds; at least 1."""

    @cached_property
    def queued(self) -> bool:
        """Whether they measured an endless queue, which has no latency."""
        return all(row.regime == OFFLINE for row in self.speed.rows)

    @cached_property
    def measures(self) -> bool:
        """Whether they are believed as measured: the user's own, or of this very deployment."""
        return self.group.own or self.same_deployment

    def point(self, q: Question, n: float) -> OperatingPoint:
        """The operating point with n in flight."""
        source, evidence = self._standing(n)
        found = point_at(q, self.speed, n, source, evidence, self.detail(q))
        found = replace(found, rows=self.speed.rows_at(n))
        if self.ttft_s(n) is None:
            return found
        if source == "measured" and self.is_direct(n) and self.speed.measured:
            kept = tuple(w for w in found.warnings if "ttft" not in w)
            return replace(found, ttft_s=self.speed.ttft_s(n), ttft_measured=True, warnings=kept)
        return replace(found, ttft_s=self.speed.ttft_s(n))

    def as_measured(self, q: Question, n: float) -> float | None:
        """Requests/s that the rows measured with n in flight, in their own deployment."""
        size = q.input_tokens, q.output_tokens
        ran = self.group.speed_in(*size, self.group.ran_in(q.settings))
        own = speed_near(self.group.curves(q.settings), *size, ran)
        return None if own is None else own.requests_per_second(n)

    def detail(self, q: Question) -> str:
        """Which rows, and what was done with them."""
        said = describe(self.speed.rows)
        if self.measures:
            return said
        return f"{said}, moved to {q.settings.label}"

    def is_direct(self, n: float) -> bool:
        """Whether n in flight lies between numbers that were measured."""
        return self.queued or self.speed.lowest <= n <= self.speed.highest

    def seen_at(self, n: float) -> Iterator[float]:
        """Requests/s of its rows at this very size and number in flight, as they ran."""
        if self.speed.exact and not self.queued:
            for row in self.speed.rows:
                if row.concurrency == n and row.output_tokens:
                    yield row.output_tokens_per_second / row.output_tokens

    def keeps_ttft(self, q: Question, n: float) -> bool:
        """Whether the wished time to first token is kept, where anything is known of it."""
        ttft = self.ttft_s(n)
        return ttft is None or q.ttft_limit_s is None or ttft <= q.ttft_limit_s * ROUNDING

    def ttft_s(self, n: float) -> float | None:
        """Time to first token with n in flight; None where no row tells it."""
        return None if self.queued else self.speed.ttft_s(n)

    def tried(self, q: Question) -> set[int]:
        """Numbers in flight among which its best lies: those measured, and the largest within."""
        end = within(self.speed, q.tpot_limit_s, self.most)
        measured = (int(n) for n in self.speed.measured_concurrencies())
        return {end, 1, *(n for n in measured if 1 <= n <= end)} if end else set()

    def _standing(self, n: float) -> tuple[Source, str]:
        """What the figure at n in flight is, and the kind of evidence behind it."""
        if not self.measures:
            return "published", evidence_of.PUBLISHED
        if not self.group.own:
            if self.is_direct(n):
                return "measured", evidence_of.MEASURED
            return "published", evidence_of.PUBLISHED
        if not self.is_direct(n):
            return "calibrated", evidence_of.SAME_REPLICA
        if self.speed.exact:
            return "measured", evidence_of.MEASURED
        return "measured" if self.speed.measured else "calibrated", evidence_of.INTERPOLATED


def rows_near(
    groups: Iterable[RowGroup], q: Question, target: Speed | None, memory: MemoryFit
) -> list[RowsOf]:
    """What each group says about the request size of a question; nothing where none is near.

    `target` is the estimate of the deployment asked about, None where there is none.
    """
    found = []
    for group in groups:
        if not group.says_something_of(q.settings):
            continue
        there = target_of(group, q, target)
        speed = speed_near(group.curves(q.settings), q.input_tokens, q.output_tokens, there)
        if speed is None or not (group.own or speed.exact):
            continue
        same = group.is_of(q.settings, q.precision)
        found.append(RowsOf(group, speed, same, _most(q, group, speed, memory)))
    return found


def _most(q: Question, group: RowGroup, speed: MeasuredSpeed, memory: MemoryFit) -> int:
    """Most requests in flight that count: what memory holds, and what was seen to run."""
    held = max(1, memory.sequences)
    runs = group.own and group.ran_with_no_more_memory_than(q.settings)
    if speed.exact and (runs or memory.sequences < 1):
        held = max(held, int(speed.highest))
    if isinstance(speed.estimate, LengthOnly):
        held = max(1, min(held, int(speed.highest)))
    limit = q.settings.max_sequences
    return held if limit is None else min(held, limit)


def target_of(group: RowGroup, q: Question, target: Speed | None) -> Speed:
    """The estimate that a group's ratios multiply."""
    if target is None:
        return LengthOnly(q.output_tokens)
    asked = group.asked_as(q.settings)
    if asked == q.settings:
        return target
    return group.speed_in(q.input_tokens, q.output_tokens, asked)


def preferred(found: Sequence[RowsOf], asked_engine: str) -> list[RowsOf]:
    """The rows to believe first: of this very deployment, else of its engine, else of any; rows
    with latency before those of an endless queue."""
    choices: tuple[Callable[[RowsOf], bool], ...] = (
        lambda rows: rows.same_deployment and not rows.queued,
        lambda rows: rows.same_deployment,
        lambda rows: rows.group.engine in ("", asked_engine) and not rows.queued,
        lambda rows: rows.group.engine in ("", asked_engine),
        lambda rows: not rows.queued,
    )
    for choose in choices:
        chosen = [rows for rows in found if choose(rows)]
        if chosen:
            return chosen
    return list(found)


def answer_at(found: Sequence[RowsOf], q: Question, n: float) -> tuple[RowsOf, OperatingPoint]:
    """The rows to believe with n in flight, and their operating point.

    Rows that measured this number go before a curve carried to it. Of several deployments that
    measured the same the slowest counts, so that noise does not make plans cheap; how far the
    others lie above it is said in the detail.
    """
    direct = [rows for rows in found if rows.is_direct(n)]
    chosen = preferred(direct or found, q.settings.engine)
    points = [(rows, rows.point(q, n)) for rows in chosen]
    rows, point = min(points, key=lambda pair: pair[1].planned_requests_per_second)
    point = replace(point, engines=_engine_rates(found, q, n))
    fastest = max(point.requests_per_second for _, point in points)
    if len(points) > 1 and fastest > point.requests_per_second:
        ratio = fastest / point.requests_per_second
        more = f"{len(points)} deployments measured it, up to {ratio:.2f} × this"
        point = replace(point, source_detail=f"{point.source_detail}; {more}")
    return rows, _held_to(found, rows, point, n)


def _held_to(
    found: Sequence[RowsOf], rows: RowsOf, point: OperatingPoint, n: float
) -> OperatingPoint:
    """The point, planned at no more than 1.1 × the fastest published row at this very point.

    What is carried there along a curve, or from another deployment, may not promise more than
    anybody measured; a row of the very deployment measures it itself. The user's own rows stand.
    """
    seen = [rate for one in found if not one.group.own for rate in one.seen_at(n)]
    own = [rate for rate in rows.seen_at(n) if rows.measures]
    if own or not seen or point.planned_requests_per_second <= MOST_ABOVE_SEEN * max(seen):
        return point
    share = MOST_ABOVE_SEEN * max(seen) / (point.planned_requests_per_second * ROUNDING)
    said = f"held to {MOST_ABOVE_SEEN:g} × the fastest row at this very point"
    return replace(
        point,
        requests_per_second=point.requests_per_second * share,
        tpot_s=None if point.tpot_s is None else point.tpot_s / share,
        source_detail=f"{point.source_detail}; {said}",
    )


def _engine_rates(found: Sequence[RowsOf], q: Question, n: float) -> tuple[EngineRate, ...]:
    """What the rows of each engine measured, where there are several engines: with n in flight,
    else with the number nearest to it that two of them measured."""
    closed = [rows for rows in found if rows.group.engine and not rows.queued]
    if len({rows.group.engine for rows in closed}) < 2:
        return ()
    tried = {n, *(m for rows in closed for m in rows.speed.measured_concurrencies())}
    for m in sorted(tried, key=lambda m: (abs(log(m / n)), m)):
        rates: dict[str, list[float]] = {}
        for rows in closed:
            rate = rows.as_measured(q, m) if rows.is_direct(m) else None
            if rate is not None:
                rates.setdefault(rows.group.engine, []).append(rate)
        if len(rates) > 1:
            each = sorted(rates.items())
            return tuple(EngineRate(name, m, min(some), max(some)) for name, some in each)
    return ()


def best_answer(
    found: Sequence[RowsOf], q: Question, memory: MemoryFit
) -> OperatingPoint | Rejection:
    """The operating point of the highest planned rate within the wishes, or why there is none."""
    kept: list[OperatingPoint] = []
    for n in sorted({n for rows in found for n in rows.tried(q)}):
        rows, point = answer_at(found, q, n)
        if _within_tpot(q, point) and rows.keeps_ttft(q, n):
            kept.append(point)
    if kept:
        return max(kept, key=lambda point: point.planned_requests_per_second)
    rows, alone = answer_at(found, q, 1)
    if not _within_tpot(q, alone):
        return too_slow(q, alone.tpot_s or 0.0, memory)
    is_seen = rows.measures and rows.speed.measured
    return ttft_too_long(q, rows.ttft_s(1) or 0.0, memory, measured=is_seen)


def judged_by_estimate(
    answer: OperatingPoint | Rejection, q: Question, estimated_ttft_s: float
) -> OperatingPoint | Rejection:
    """The answer where nobody measured a ttft: why it keeps none that is wished, by the estimate.

    Of a replica that is too slow per token, too, the wish is named that it misses by more.
    """
    wished_s = q.ttft_limit_s or 0.0
    if isinstance(answer, OperatingPoint):
        if answer.ttft_measured:
            return answer
        ttft_s = estimated_ttft_s if answer.ttft_s is None else answer.ttft_s
        if ttft_s <= wished_s * ROUNDING:
            return replace(answer, ttft_s=ttft_s)
        return ttft_too_long(q, ttft_s, None, measured=False)
    missed = answer.times_missed
    if missed is None or estimated_ttft_s <= missed * wished_s:
        return answer
    return ttft_too_long(q, estimated_ttft_s, None, measured=False)


def other_engine(q: Question, found: Sequence[RowsOf]) -> Iterator[str]:
    """A warning where the user's own rows ran in another engine than the deployment names."""
    if all(rows.group.own and not rows.same_deployment for rows in found):
        engines = ", ".join(sorted({rows.group.engine for rows in found}))
        yield f"own rows ran in {engines}, the deployment says {q.settings.label}"


def faster_with_fewer(
    found: Sequence[RowsOf], q: Question, here: OperatingPoint, n: float
) -> Iterator[str]:
    """Both figures, where more is planned with fewer in flight that were measured: of rows that
    fell there, or of another deployment that is trusted more."""
    fewer = {m for rows in found for m in rows.speed.measured_concurrencies() if 1 <= m < n}
    planned = [(answer_at(found, q, m)[1].planned_requests_per_second, m) for m in sorted(fewer)]
    most, best = max(planned, default=(0.0, n))
    if most > here.planned_requests_per_second * ROUNDING:
        rate = here.planned_requests_per_second
        yield f"{best:g} in flight serve more, {most:.3g} requests/s planned beside {rate:.3g}"


def _within_tpot(q: Question, point: OperatingPoint) -> bool:
    return q.tpot_limit_s is None or (point.tpot_s or 0.0) <= q.tpot_limit_s * ROUNDING


def point_at(
    q: Question, speed: Speed, n: float, source: Source, evidence: str, detail: str
) -> OperatingPoint:
    """The operating point of a speed with n in flight."""
    point = rate_only(q, speed.requests_per_second(n), source, evidence, detail)
    return replace(point, concurrency=float(n), tpot_s=speed.tpot_s(n))


def within(speed: Speed, tpot_limit_s: float | None, most: int) -> int:
    """The largest number in flight whose time per token keeps the limit; 0 when none does."""
    if tpot_limit_s is None:
        return most
    return largest_within(speed.tpot_s, tpot_limit_s * ROUNDING, most)


def limited_by(speed: Speed | None, point: OperatingPoint, memory: MemoryFit) -> str:
    """The bottleneck that the estimate sees at a measured point; '' where there is no estimate."""
    if not isinstance(speed, Roofline):
        return ""
    return speed.bottleneck(point.concurrency or max(1, memory.sequences))
