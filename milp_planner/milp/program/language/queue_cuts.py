"""Tangents of the pools that keep a wish, as rows count them.

A pool is reckoned with the largest φ and, for whole requests, the longest s of its replicas. Pools
of a larger φ or s must be larger, so that at one load and near one ray

    Σ_k max(g_Cj μ_k + g_Kj S_k : j no less than what k has) n_k ≥ 1

holds every one of them, g_j the tangent of the pools of φ_j and s_j: whatever the φ and s of a
pool, it is on the right side of a tangent of theirs, and each of its replicas counts for no less
than there. With replicas of one kind it is as good as their own tangent.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

from milp_planner.candidates.queues import slowness_s
from milp_planner.candidates.records import Candidate
from milp_planner.inputs.problem.records import Workload
from milp_planner.milp.program.language.waits import Left
from milp_planner.serving.queues.pools import Pool, QueueWish, cut_of


class QueueTangent(NamedTuple):
    """g_C·C + g_K·K ≥ 1: what pools keep that carry a load and keep a wish for its wait."""

    alone: float
    slowest_s: float
    """φ and s of the pools that it is for, those of replicas with larger ones included; s is the
    time of a mean request in a full replica, 0 where only waits count."""

    per_rate: float
    per_place: float
    """g_C and g_K."""


class QueueCut(NamedTuple):
    """Tangents near one ray: see `QueueTimes`."""

    load: float
    """λ, requests/s: of the blocks that the cut is for."""

    tangents: tuple[QueueTangent, ...]
    """By which replicas of every φ and s count, so that all pools keep their sum."""

    only: QueueTangent | None = None
    """What only pools of its φ and s, or larger ones, keep."""

    at: tuple[int, str] | None = None
    """Block, and group that is lost, in which so much may be served or less; None where the load of
    a block is all that is asked for there."""


MOST_SLOW, MOST_ALONE = 3, 5
"""Values for whose pools there are tangents: of s where whole requests count, of φ elsewhere."""


class Trait(NamedTuple):
    """What of its slowest replica a pool is reckoned with."""

    name: str
    of: Callable[[Candidate], float]
    values: list[float]
    """Of the candidates, the lowest first."""

    def used(self, workload: str, t: int, value: float, left: Left) -> str:
        """The column that says that such a replica is on, and left."""
        return f"{workload} {t} {self.name} {value:g}{left.said}"

    def from_on(self, value: float) -> list[float]:
        """The values that are no less."""
        return [other for other in self.values if other >= value]


def traits_of(w: Workload, candidates: Iterable[Candidate]) -> tuple[Trait, Trait]:
    """φ, and s where whole requests count."""
    held = [k for k in candidates if k.held is not None]
    slowness = slowness_s if w.latency.request_s is not None else _any
    phi, s = (
        Trait(name, of, sorted({of(k) for k in held}) or [0.0])
        for name, of in (("phi", _alone), ("s", slowness))
    )
    return phi, s


def cut_for_all(pool: Pool, load: float, asked: QueueWish, traits: tuple[Trait, Trait]) -> QueueCut:
    """What every pool keeps that keeps the wish at `load`, by tangents near the ray of `pool`."""
    phi, s = (trait.values for trait in traits)
    if asked.metric == "request":  # which no φ matters much to, and each look takes long
        step = math.ceil(len(s) / MOST_SLOW)
        kinds = [(phi[0], slow) for slow in s[::step]]
    else:
        kinds = [(alone, 0.0) for alone in phi[:: math.ceil(len(phi) / MOST_ALONE)]]
    return QueueCut(load, tuple(_tangent(pool, load, asked, kind) for kind in kinds))


def cut_for_some(
    pool: Pool, load: float, asked: QueueWish, traits: tuple[Trait, Trait]
) -> QueueCut:
    """The same, and what pools keep that are as slow as `pool`, or slower."""
    kind = pool.alone, pool.slowest_s
    among_all = cut_for_all(pool, load, asked, traits)
    return among_all._replace(only=_tangent(pool, load, asked, kind))


def _tangent(pool: Pool, load: float, asked: QueueWish, kind: tuple[float, float]) -> QueueTangent:
    alone, slowest_s = kind
    cut = cut_of(pool._replace(alone=alone, slowest_s=slowest_s), load, asked)
    return QueueTangent(alone, slowest_s, *cut)


def is_for(cut: QueueCut, candidates: Iterable[Candidate]) -> bool:
    """False where some candidate is faster than the pools that the cut has tangents of."""
    alone, slowest_s = _least(cut)
    return all(_alone(k) >= alone and slowness_s(k) >= slowest_s for k in candidates if k.held)


def counts(cut: QueueCut, k: Candidate) -> float:
    """What a unit of `k` counts for on the left of what every pool keeps."""
    alone = max((one.alone for one in cut.tangents if one.alone <= _alone(k)), default=0.0)
    slow = max((one.slowest_s for one in cut.tangents if one.slowest_s <= slowness_s(k)), default=0)
    return max(
        (counts_at(one, k) for one in cut.tangents if one.alone >= alone and one.slowest_s >= slow),
        default=0.0,
    )


def counts_at(one: QueueTangent, k: Candidate) -> float:
    """What a unit of `k` counts for by one tangent."""
    return one.per_rate * k.queued_requests_per_second + one.per_place * k.places_per_unit


def others_count(cut: QueueCut, candidates: Iterable[Candidate]) -> float:
    """ρ: what pools have at least of the 1 that the tangent of some asks for."""
    assert cut.only is not None
    parts = (
        counts_at(cut.only, k) / counted for k in candidates if (counted := counts(cut, k)) > 0
    )
    return max(0.0, min(1.0, min(parts, default=1.0)))


def misses(cut: QueueCut, units: Iterable[tuple[Candidate, float]], share: float = 1.0) -> bool:
    """Whether units do not have this share of what every pool keeps, or pools as slow."""
    only = cut.only
    return (
        sum(
            min(1.0, counts(cut, k) if only is None else counts_at(only, k)) * on
            for k, on in units
            if k.held is not None
        )
        < share - 1e-9
    )


def _least(cut: QueueCut) -> tuple[float, float]:
    return min(one.alone for one in cut.tangents), min(one.slowest_s for one in cut.tangents)


def _alone(k: Candidate) -> float:
    return 0.0 if k.held is None else k.held.alone


def _any(k: Candidate) -> float:
    return 0.0
