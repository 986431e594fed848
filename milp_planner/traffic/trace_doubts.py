"""What of a trace may be read otherwise than it is meant: both readings, with their rates."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.traffic.rows import Facts
from milp_planner.traffic.sources.bucket_rates import MOST_RATE
from milp_planner.traffic.sources.times import PER_SECOND, WORDS
from milp_planner.traffic.tally import LATE_MINUTES, Tally

LEAST_REQUESTS = 20
"""Fewer tell nothing of a unit."""

SLOW = 0.02
"""Requests/s of a trace, below which its whole numbers may be milliseconds: one a minute."""

MOST_MODELS_TOLD = 6


def doubts_of(facts: Facts, tally: Tally, duration_s: float, model: str | None) -> Iterator[str]:
    """A sentence for each thing that is asked about; none where all is plain."""
    count = tally.requests
    rate = count / duration_s
    if facts.unit is not None and not facts.has_timestamps:
        yield from _of_unit(facts, tally, rate)
    tells_times = facts.unit is not None or facts.has_timestamps
    if tells_times and count >= LEAST_REQUESTS and (apart := tally.same_gap_s or 0) >= 1:
        yield (
            f"all {count:,} arrivals are {apart:g} s apart: rows look like counts of a time, and "
            f"are read as single requests, {rate:.3g} a second; name the column that counts them, "
            "columns: {requests: ...}"
        )
    if tally.late:
        yield (
            f"{tally.late:,} of {count:,} arrivals come more than {LATE_MINUTES} minutes after "
            "later ones; how much gaps vary is told without them; sort the file by time"
        )
    if facts.remembered is not None:
        yield (
            f"holds more than {facts.remembered:,} blocks of prefixes, and each was looked for "
            "among so many at least that came last; a cache that keeps more finds more"
        )
    if model is None and len(facts.models) > 1:
        told = ", ".join(facts.models[:MOST_MODELS_TOLD])
        yield f"holds requests of {told}, taken together; model: picks one"


def _of_unit(facts: Facts, tally: Tally, rate: float) -> Iterator[str]:
    count, unit, told = tally.requests, facts.unit, facts.unit_from
    assert unit is not None
    if count < LEAST_REQUESTS or told in ("stated", "column"):
        return
    if rate > MOST_RATE:
        yield (
            f"arrivals are read as {WORDS[unit]}: {rate:,.0f} requests/s, which is beyond reason; "
            "state unit: s, ms or us"
        )
    elif told == "format" and facts.form.startswith("CSV"):
        yield (
            f"arrivals are read as milliseconds, as traces with that column count: {rate:.3g} "
            f"requests/s; in seconds it were {rate / 1000:.3g}; state unit: ms or unit: s"
        )
    elif told == "assumed" and rate < SLOW and tally.are_whole:
        yield (
            f"arrivals are read as seconds: {rate:.3g} requests/s; in milliseconds it were "
            f"{rate * PER_SECOND['ms']:.3g}; state unit: s or unit: ms"
        )
