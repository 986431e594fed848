"""For tools that rent a whole instance for each replica: what they cannot say is refused."""

from __future__ import annotations

from collections.abc import Iterable

from milp_planner.errors import Fault, InputError
from milp_planner.exports.parts.pools import Pool

HINT = "milp-planner export kubernetes can say it"
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


def _hint(pool: Pool) -> str:
    return f"{HINT}, or {KEPT_APART}" if pool.candidate.part_of_unit else HINT


def _what(pool: Pool) -> Iterable[str]:
    o = pool.candidate.offering
    if pool.candidate.part_of_unit:
        yield f"its replicas stand on units of {o.id} that others share"
    if pool.nodes_per_replica > 1:
        yield f"its replicas span {pool.nodes_per_replica} units of {o.id}"
