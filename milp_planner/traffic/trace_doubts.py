"""What of a trace may be read otherwise than it is meant: both readings, with their rates."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.traffic.sources.bucket_rates import MOST_RATE
from milp_planner.traffic.sources.times import PER_SECOND, WORDS
from milp_planner.traffic.trace import Requests

LEAST_REQUESTS = 20
"""Fewer tell nothing of a unit."""

SLOW = 0.02
"""Requests/s of a trace, below which its whole numbers may be milliseconds: one a minute."""

MOST_MODELS_TOLD = 6


def doubts_of(requests: Requests, duration_s: float, model: str | None) -> Iterator[str]:
    """A sentence for each thing that is asked about; none where all is plain."""
    count = len(requests.arrival_s)
    rate = count / duration_s
    if requests.unit is not None and not requests.has_timestamps:
        yield from _of_unit(requests, rate)
    tells_times = requests.unit is not None or requests.has_timestamps
    if tells_times and count >= LEAST_REQUESTS and (apart := _same_gap_s(requests)):
        yield (
            f"all {count:,} arrivals are {apart:g} s apart: rows look like counts of a time, and "
            f"are read as single requests, {rate:.3g} a second; name the column that counts them, "
            "columns: {requests: ...}"
        )
    if model is None and len(requests.models) > 1:
        told = ", ".join(requests.models[:MOST_MODELS_TOLD])
        yield f"holds requests of {told}, taken together; model: picks one"


def _of_unit(requests: Requests, rate: float) -> Iterator[str]:
    count, unit, told = len(requests.arrival_s), requests.unit, requests.unit_from
    assert unit is not None
    if count < LEAST_REQUESTS or told in ("stated", "column"):
        return
    if rate > MOST_RATE:
        yield (
            f"arrivals are read as {WORDS[unit]}: {rate:,.0f} requests/s, which is beyond reason; "
            "state unit: s, ms or us"
        )
    elif told == "format" and requests.form.startswith("CSV"):
        yield (
            f"arrivals are read as milliseconds, as traces with that column count: {rate:.3g} "
            f"requests/s; in seconds it were {rate / 1000:.3g}; state unit: ms or unit: s"
        )
    elif told == "assumed" and rate < SLOW and _are_whole(requests):
        yield (
            f"arrivals are read as seconds: {rate:.3g} requests/s; in milliseconds it were "
            f"{rate * PER_SECOND['ms']:.3g}; state unit: s or unit: ms"
        )


def _are_whole(requests: Requests) -> bool:
    return bool((requests.arrival_s % 1 == 0).all())


def _same_gap_s(requests: Requests) -> float | None:
    """Seconds between all arrivals, where they are the same and a second at least."""
    import numpy as np

    gaps = np.diff(requests.arrival_s)
    first = float(gaps[0])
    return first if first >= 1 and bool((gaps == first).all()) else None
