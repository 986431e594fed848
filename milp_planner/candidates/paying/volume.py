"""What a volume discount takes off what is spent in a month: each part of it at its own share.

    Σ_i d_i min(max(0, S − a_i), a_{i+1} − a_i)      [USD/month]

a_i is the amount from which tier i holds, d_i its share, and the last tier has no end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from milp_planner.candidates.own_terms import closest_match
from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.prices import VolumeTier
from milp_planner.inputs.problem.records import Problem


def volume_of(problem: Problem, k: Candidate) -> str:
    """The pattern of `prices.volume` that what is paid for a candidate counts for; '' for none."""
    return closest_match(problem.prices.volume, k.offering)


def bands(tiers: Sequence[VolumeTier]) -> Iterator[tuple[float, float]]:
    """(width, share taken off) of every part of the spend, the first of all without discount."""
    ends = [*(tier.above_usd for tier in tiers), math.inf]
    if ends[0] > 0:
        yield ends[0], 0.0
    for tier, end in zip(tiers, ends[1:], strict=True):
        yield end - tier.above_usd, tier.discount


def taken_off(tiers: Sequence[VolumeTier], spent_usd: float) -> float:
    """USD of a month's spend that are not paid."""
    off, left = 0.0, spent_usd
    for width, share in bands(tiers):
        off += share * min(width, max(0.0, left))
        left -= width
    return off


def largest_share(problem: Problem, k: Candidate) -> float:
    """The most that volume may take off a price."""
    tiers = problem.prices.volume.get(volume_of(problem, k), ())
    return max((tier.discount for tier in tiers), default=0.0)
