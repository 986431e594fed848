"""Who proved an answer, and who was not done when it was given: words of every headline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol

from milp_planner.plans.records import Status
from milp_planner.reporting.text.wording import escape, fine_percent

UNFINISHED = frozenset(("feasible", "no solution"))
"""What an engine says of itself that was stopped before its proof."""

FOR_GPUS = " for the fewest GPUs"
"""What a headline adds where GPUs count before money."""


class _Engine(Protocol):
    @property
    def name(self) -> str: ...

    @property
    def status(self) -> str: ...


class _Proof(Protocol):
    """The proof of a plan, or the one that a sheet shows."""

    @property
    def certified(self) -> bool: ...

    @property
    def certified_by(self) -> tuple[str, ...]: ...

    @property
    def unconfirmed(self) -> bool: ...

    @property
    def engines(self) -> Sequence[_Engine]: ...


def proof_words(
    proof: _Proof, status: Status, gap: float | None, gap_asked: float
) -> Iterator[str]:
    """`certified by CBC and HiGHS`, `gap 0 %`; whoever is unfinished is named."""
    names = [escape(name) for name in _names_of(proof)]
    if status in (Status.OPTIMAL, Status.INFEASIBLE) and names:
        yield from _proven_by(proof, status, names)
    within = status is Status.FEASIBLE and gap is not None and gap <= gap_asked
    if not within and (unfinished := _unfinished(proof)):
        yield f"{escape(' and '.join(unfinished))} unfinished"
    if status.has_plan:
        yield "gap unknown" if gap is None else f"gap {fine_percent(gap)}"


def _proven_by(proof: _Proof, status: Status, names: Sequence[str]) -> Iterator[str]:
    if proof.certified:
        yield f"certified by {' and '.join(names)}"
        return
    # Several that do not certify proved different parts, or stages, each of them alone.
    yield f"{status.value} by {' or '.join(names)} alone"
    if proof.unconfirmed:
        yield "unconfirmed"


def _names_of(proof: _Proof) -> list[str]:
    spelt = {engine.name.lower(): engine.name for engine in proof.engines}
    return [spelt.get(name.lower(), name) for name in proof.certified_by]


def _unfinished(proof: _Proof) -> list[str]:
    """Engines that were stopped before they had anything to prove."""
    last = {engine.name: engine.status.split(", ") for engine in proof.engines}
    proved = {name.lower() for name in proof.certified_by}
    return [
        name
        for name, statuses in last.items()
        if name.lower() not in proved and not UNFINISHED.isdisjoint(statuses)
    ]
