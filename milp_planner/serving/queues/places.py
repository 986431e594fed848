"""Places of a replica whose KV cache binds before its slots."""

from __future__ import annotations

from collections.abc import Sequence
from math import floor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

FEW = 20
"""With fewer places than this, how many fit at a time fluctuates: one less is counted."""


def places_by_tokens(
    capacity_tokens: float,
    tokens: Sequence[float] | NDArray[float64],
    service_s: Sequence[float] | NDArray[float64],
    slots: int,
) -> int:
    """Requests in flight when a replica is full: by its slots, or by the tokens of its KV cache.

    capacity_tokens: tokens that the cache holds. tokens: input + output tokens of sampled requests,
    reserved from their admission on, first come first served. service_s: time each of them spends
    in a replica, in any unit.

        (C − E[k²] ÷ 2E[k]) ÷ k*,   k* = E[k·s] ÷ E[s]

    k*: those in flight are the long ones more often than those that arrive; the second term is what
    the next in line leaves unused on average, the mean residual life of renewal theory. Within 4 %
    of the requests in flight that a full replica is found to have, where C ÷ E[k] is too many:
    measured by replay in tests/replay/test_allowed.py. Raises ValueError where there is no request.
    """
    import numpy as np

    k, s = np.asarray(tokens, dtype=float), np.asarray(service_s, dtype=float)
    if not len(k) or k.mean() <= 0 or s.mean() <= 0:
        raise ValueError("places need requests of some size")
    in_flight = float((k * s).mean() / s.mean())
    unused = float((k * k).mean() / (2 * k.mean()))
    fitting = floor((capacity_tokens - unused) / in_flight + 1e-9)
    if fitting >= slots:
        return slots
    return max(1, fitting - 1 if fitting < FEW else fitting)
