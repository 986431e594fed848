"""For tools that rent a whole instance for each replica: what they cannot say is refused."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence

from milp_planner.candidates.sharing.standing import unit_key
from milp_planner.errors import Fault, InputError
from milp_planner.exports.parts.pools import Pool

HINT = "milp-planner export kubernetes can say it"
ONE_BLOCK = "write policy.share: units and solve again, or plan one block (max_blocks: 1)"
ALONE = "milp-planner export vllm can say it, or write policy.share: units and solve again"
KEPT_APART = "write policy.share: none and solve again, so that a unit belongs to one workload"


def check_whole_units(pools: Iterable[Pool], why: str) -> None:
    """Raise InputError naming every pool whose units are shared, or joined to one replica."""
    faults = [
        Fault("", 0, 0, f"workloads.{pool.workload.name}", f"{what}. {why}.", _hint(pool))
        for pool in pools
        for what in _what(pool)
    ]
    if faults:
        raise InputError(dict.fromkeys(faults))


def check_no_gpu_sets(pools: Iterable[Pool], why: str) -> None:
    """Raise InputError naming every pool whose LLM shares a GPU with others."""
    faults = [
        Fault("", 0, 0, f"workloads.{pool.workload.name}", f"its LLM shares a GPU. {why}.", ALONE)
        for pool in pools
        if pool.candidate.gpu_set is not None
    ]
    if faults:
        raise InputError(dict.fromkeys(faults))


def check_same_split(pools: Sequence[Pool]) -> None:
    """Raise InputError naming every workload whose part of a GPU differs from block to block.

    Its replicas are then told once for each part, and are the same ones.
    """
    by_engine: dict[Hashable, list[Pool]] = {}
    for pool in pools:
        if pool.candidate.gpu_set is not None:
            key = pool.workload.name, unit_key(pool.candidate)
            by_engine.setdefault(key, []).append(pool)
    why = "its part of a GPU's time differs from block to block, and these files know but one"
    faults = [
        Fault("", 0, 0, f"workloads.{mine[0].workload.name}", why, ONE_BLOCK)
        for mine in by_engine.values()
        if sum(pool.most for pool in mine)
        > max(map(sum, zip(*(pool.replicas_by_block for pool in mine), strict=True)))
    ]
    if faults:
        raise InputError(dict.fromkeys(faults))


def _hint(pool: Pool) -> str:
    return f"{HINT}, or {KEPT_APART}" if pool.candidate.part_of_unit else HINT


def _what(pool: Pool) -> Iterable[str]:
    o = pool.candidate.offering
    if pool.candidate.part_of_unit:
        yield f"its replicas stand on units of {o.id} that others share"
    if pool.nodes_per_replica > 1:
        yield f"its replicas span {pool.nodes_per_replica} units of {o.id}"
