"""Levers that are no limits: what else of a problem could be changed, to pay less or at all.

A sheet says what each saves, a diagnosis which of them give a plan. To add one, yield it here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from milp_planner.inputs.problem.patching import Patch
from milp_planner.inputs.problem.records import Problem, Workload

FP8 = "fp8"


@dataclass(frozen=True)
class Lever:
    """One change of the problem, as it is written there."""

    key: str
    """That of the choice which makes the same change, where there is one."""

    name: str
    path: str
    value: str
    patch: Patch = field(compare=False)
    now: str = ""
    """The value of today, where the key is no limit."""


def switched_off(problem: Problem, blocks: int) -> Iterator[Lever]:
    """Units given back while there is less load; nothing where there is one load all month."""
    if not problem.policy.switch_off_dedicated and blocks > 1:
        path, name = "policy.switch_off_dedicated", "switch off when idle"
        yield Lever("switched_off_when_idle", name, path, "true", {path: True}, "false")


def smaller_caches(workloads: Iterable[Workload]) -> Iterator[Lever]:
    """Keys and values in one byte each: more requests in flight fit in the same memory."""
    for w in workloads:
        now = w.deployment.kv_precision
        if w.rates is None and now != FP8:
            path = f"workloads.{w.name}.deployment.kv_precision"
            name = f"fp8 KV cache for {w.name}"
            yield Lever(f"kv_precision of {w.name}", name, path, FP8, {path: FP8}, now)
