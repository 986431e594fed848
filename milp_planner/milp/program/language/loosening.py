"""What a limit in force is to a diagnosis: its key, its value in words, and how it is loosened.

All changes are patches, dotted keys of the problem, that a user can write into the file. Every rule
says its own in `Rule.loosened`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from milp_planner.inputs.problem.patching import Patch
from milp_planner.lazily import dataclass
from milp_planner.plans.records import Plan

Values = Sequence[Any]
"""Values of a limit from the nearest to today's to the loosest that can matter."""


@dataclass(frozen=True)
class LimitInForce:
    """One limit in force."""

    path: str
    """The key, as the user would find it: `limits.max_gpus.total`."""

    said: str
    """Its value, with the unit: `8 GPUs`."""

    free: Patch
    """Drops it."""

    by_default: bool = False
    """True for what holds without being written, such as the utilization target."""

    workload: str = ""
    """The workload whose wish it is; '' for what concerns all."""


@dataclass(frozen=True)
class CashLimit(LimitInForce):
    """The budget: what it must be is known exactly once money does not count."""

    usd: float = 0.0


@dataclass(frozen=True)
class SteppedLimit(LimitInForce):
    """A limit with values in order."""

    looser: Callable[[Plan], Values] = lambda plan: ()
    """Looser values, up to what a plan without the limit uses; of None, to the very loosest."""

    tighter: Values = ()
    """Tighter values, the nearest first; empty where tightening is of no interest."""

    patch: Callable[[Any], Patch] = lambda value: {}
    text: Callable[[Any], str] = str
    """What to do, in words, for a looser value."""

    shown: Callable[[Any], str] = str
    quota: int | None = None
    """Today's value of a quota, a count that may be raised one by one; None for other limits."""


@dataclass(frozen=True)
class NameLimit(LimitInForce):
    """A limit on what may be used, by name."""

    uses: Callable[[Plan], set[str]] = lambda plan: set()
    """The names a plan uses that the limit rules out."""

    ruled_out: tuple[str, ...] = ()
    """All names that the limit rules out."""

    allowing: Callable[[Sequence[str]], Patch] = lambda names: {}
    text: Callable[[Sequence[str]], str] = lambda names: f"allow {', '.join(names)}"


def counted_limit(
    path: str,
    now: int,
    thing: str,
    used: Callable[[Plan], int],
    text: Callable[[int], str],
    *,
    least: int = 0,
    is_quota: bool = False,
) -> SteppedLimit:
    """A limit on a count of `thing`, of which `least` make sense at all."""
    return SteppedLimit(
        path,
        plural(now, thing),
        {path: None},
        looser=lambda plan: range(now + 1, used(plan) + 1),
        tighter=range(now - 1, least - 1, -1),
        patch=lambda n: {path: n},
        text=text,
        shown=lambda n: plural(n, thing),
        quota=now if is_quota else None,
    )


def plural(n: int, thing: str) -> str:
    """`1 unit`, `2 units`."""
    return f"{n} {thing}{'s' * (n != 1)}"


def percent(share: float) -> str:
    """`12.5 %`."""
    return f"{100 * share:.4g} %"


def merged_patch(*patches: Mapping[str, Any]) -> dict[str, Any]:
    """Several patches as one."""
    return {key: value for patch in patches for key, value in patch.items()}
