"""What a replica is made of, and which such configurations are worth having on a unit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from milp_planner.candidates.records import RatePoint
from milp_planner.candidates.shapes import ReplicaShape


class Configuration(NamedTuple):
    """What a replica is made of, and its rate per request class."""

    precision: str
    shape: ReplicaShape
    points: tuple[RatePoint, ...]


def undominated(
    found: list[Configuration], gpus: int, min_replicas: int
) -> Iterator[Configuration]:
    """Configurations that no other one of the same unit beats in every class and in replicas."""

    def worth(config: Configuration) -> tuple[float, ...]:
        replicas = config.shape.replicas_on(gpus)
        rates = tuple(replicas * point.requests_per_second for point in config.points)
        return (*rates, float(min(replicas, min_replicas)))

    kept: dict[int, list[tuple[float, ...]]] = {}  # by units joined: more of them cost more
    for config in sorted(
        found, key=lambda c: (*(-x for x in worth(c)), c.shape.tensor_parallel, c.precision)
    ):
        mine = worth(config)
        better = kept.setdefault(config.shape.settings.units_joined, [])
        if not any(all(a >= b for a, b in zip(other, mine, strict=True)) for other in better):
            better.append(mine)
            yield config


def undominated_parts(found: list[Configuration]) -> Iterator[Configuration]:
    """Replicas in whose place no others, on the same GPUs of a shared unit, serve as much.

    Where m replicas of g GPUs each, m g ≤ G, serve every class as fast as one of G, they do what it
    does: they have room wherever it has.
    """
    kept: list[tuple[int, tuple[float, ...]]] = []
    for config in sorted(
        found,
        key=lambda c: (
            c.shape.gpus,
            tuple(-point.requests_per_second for point in c.points),
            c.precision,
        ),
    ):
        gpus = config.shape.gpus
        mine = tuple(point.requests_per_second for point in config.points)
        if not any(
            all(gpus // smaller * a >= b for a, b in zip(rates, mine, strict=True))
            for smaller, rates in kept
        ):
            kept.append((gpus, mine))
            yield config
