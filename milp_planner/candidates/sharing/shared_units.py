"""Units that replicas of several workloads share, and which replica stands on which of them.

Replicas of GPU counts that divide one another, 1, 2, 4 and 8 say, are placed the largest first, on
any unit with room. Whatever is on a unit by then is a multiple of the size that is placed, so that
a unit of G GPUs has no room for a replica of s only when ⌊G ÷ s⌋ s of its GPUs are taken. Where
none has room, Σ (size ÷ s) of what is placed is Σ ⌊G ÷ s⌋: no other way takes fewer units.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from milp_planner.candidates.records import Candidate, UnitsOn
from milp_planner.candidates.sharing.standing import shared_unit
from milp_planner.inputs.catalog.records import Offering
from milp_planner.lazily import dataclass
from milp_planner.serving.shared_gpu import GpuSet

Contents = tuple[tuple[Candidate, int], ...]
"""(replica, how many) on one unit, the largest replica first."""


@dataclass(frozen=True)
class SharedUnits(UnitsOn):
    """Units of one offering that replicas share: what is rented serves nobody by itself."""

    contents_by_block: tuple[tuple[Contents, ...], ...]
    """What stands on each unit, in each time block."""

    @property
    def rent_usd_per_month(self) -> float:
        """Unit-hours at the price of a unit and hour."""
        return self.unit_hours * self.candidate.usd_per_hour

    @property
    def alike(self) -> Iterator[tuple[tuple[int, ...], int, Contents]]:
        """(blocks, units, what stands on each of them), blocks and units that are alike at once."""
        blocks: dict[tuple[Contents, ...], list[int]] = {}
        for t, contents in enumerate(self.contents_by_block):
            blocks.setdefault(contents, []).append(t)
        for contents, at in blocks.items():
            for one, units in Counter(contents).items():
                yield tuple(at), units, one


def unit_of(k: Candidate) -> Candidate:
    """What is rented for a candidate: the whole unit where others share that."""
    if k.part_of_unit and isinstance(k.offering, Offering):
        return shared_unit(k.offering, None if k.gpu_set is None else k.gpu_set.place)
    return k


def gpus_on(contents: Contents) -> int:
    """GPUs that the replicas on a unit hold; one, however many share it."""
    if any(k.gpu_set for k, _ in contents):
        return 1
    return sum(k.gpus_per_unit * count for k, count in contents)


def part_held(k: Candidate) -> float:
    """GPUs that a replica holds; of one that several share, its part of the time."""
    return k.gpus_per_unit if k.gpu_set is None else k.gpu_set.time_share(k.workload)


def placed(
    gpus_per_unit: int, replicas: Iterable[tuple[Candidate, int]], units: int = 0
) -> tuple[Contents, ...]:
    """What stands on each unit: on as few units as hold all, and on at least `units` of them.

    gpus_per_unit: GPUs of a unit, no fewer than any replica has. Of LLMs that share a GPU each
    stands on it once.
    """
    replicas = [*replicas]
    if any(k.gpu_set for k, _ in replicas):
        return tuple(_on_gpus(replicas, units))
    free = [gpus_per_unit] * units
    contents: list[dict[Candidate, int]] = [{} for _ in free]
    for k, count in sorted(replicas, key=lambda one: (-one[0].gpus_per_unit, one[0].id)):
        at, left = 0, count
        while left:
            if at == len(free):
                free.append(gpus_per_unit)
                contents.append({})
            here = min(left, free[at] // k.gpus_per_unit)
            if here:
                contents[at][k] = here
                free[at] -= here * k.gpus_per_unit
                left -= here
            at += 1
    return tuple(tuple(one.items()) for one in contents)


def _on_gpus(replicas: Iterable[tuple[Candidate, int]], units: int) -> Iterator[Contents]:
    """What stands on each GPU, of LLMs that share them: those of one split of its time together."""
    splits: dict[GpuSet | None, list[tuple[Candidate, int]]] = {}
    for k, count in sorted(replicas, key=lambda one: one[0].id):
        splits.setdefault(k.gpu_set, []).append((k, count))
    taken = 0
    for together in splits.values():
        most = max(count for _, count in together)
        taken += most
        for i in range(most):
            yield tuple((k, 1) for k, count in together if count > i)
    yield from (() for _ in range(taken, units))


def sizes_divide(sizes: Sequence[int]) -> bool:
    """True where of any two sizes one divides the other, so that the largest first is best."""
    ordered = sorted(set(sizes))
    return all(larger % smaller == 0 for smaller, larger in pairwise(ordered))
