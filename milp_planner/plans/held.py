"""How much two plans hold of one thing, and what one has more or less of than the other."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from milp_planner.lazily import dataclass
from milp_planner.plans.records import Plan

SMALLEST_CHANGE = 1e-6

ChangeKey = tuple[str, str, str, str, int]
_KEY_NAMES = ("workload", "offering", "billing", "precision", "tensor_parallel")


@dataclass(frozen=True)
class Held:
    """How much is bought of one thing, or the difference of two such amounts."""

    units: int = 0
    unit_hours_per_month: float = 0.0
    requests_share: float = 0.0
    """Per-token use only: share of the workload's requests."""

    @property
    def matters(self) -> bool:
        """Whether anything is there beyond rounding."""
        return (
            self.units != 0
            or abs(self.unit_hours_per_month) > SMALLEST_CHANGE
            or abs(self.requests_share) > SMALLEST_CHANGE
        )

    def __add__(self, other: Held) -> Held:
        return Held(
            self.units + other.units,
            self.unit_hours_per_month + other.unit_hours_per_month,
            self.requests_share + other.requests_share,
        )

    def __sub__(self, other: Held) -> Held:
        return self + Held(-other.units, -other.unit_hours_per_month, -other.requests_share)


def changes(plan: Plan, other: Plan) -> list[dict[str, Any]]:
    """What `other` has more (+) or less (-) of than `plan`, in a fixed order."""
    before, after = _held(plan), _held(other)
    rows = []
    for key in sorted(before.keys() | after.keys()):
        change = after.get(key, Held()) - before.get(key, Held())
        if change.matters:
            rows.append({**dict(zip(_KEY_NAMES, key, strict=True)), **asdict(change)})
    return rows


def _held(plan: Plan) -> dict[ChangeKey, Held]:
    """What a plan holds, by what is bought for whom."""
    held: dict[ChangeKey, Held] = {}
    for p in plan.purchases:
        k = p.candidate
        key = (k.workload, k.offering.id, k.offering.billing, k.precision, k.tensor_parallel)
        share = p.requests_share if k.mode.per_token else 0.0
        held[key] = held.get(key, Held()) + Held(p.units, p.unit_hours, share)
    return held
