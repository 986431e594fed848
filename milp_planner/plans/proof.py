"""How a plan's status is known, and where its answer comes from."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from milp_planner.inputs.catalog.overlaid.counts import UNTOUCHED, OverlayCounts
from milp_planner.lazily import dataclass


@dataclass(frozen=True)
class EngineReport:
    """What one solver said."""

    name: str
    version: str
    status: str
    objective: float | None
    bound: float | None
    seconds: float


@dataclass(frozen=True)
class Proof:
    """How the status is known."""

    certified: bool
    certified_by: tuple[str, ...]
    engines: tuple[EngineReport, ...] = ()
    notes: tuple[str, ...] = ()
    seconds: float = 0.0
    rows: int = 0
    columns: int = 0
    unconfirmed: bool = False
    """True where the only engine proved it once, and a second run could not be made or finished."""


def provers_of_all(provers: Iterable[Iterable[str]]) -> tuple[str, ...]:
    """Who proves an answer that took several programs: whoever proves all of them.

    provers: of each program, at least one. Where nobody proves all, those who prove some, as long
    as each is proven: an answer is never proven by nobody. They do not certify it.
    """
    of_each = [set(names) for names in provers]
    of_all = set.intersection(*of_each)
    if not of_all and all(of_each):
        of_all = set.union(*of_each)
    return tuple(sorted(of_all))


@dataclass(frozen=True)
class Provenance:
    """Where the answer comes from."""

    planner_version: str
    catalog_name: str
    catalog_version: str
    catalog_sha256: str
    overrides: int
    """Rows of the catalog that overlays added or replaced."""

    problem_sha256: str
    oldest_price: str
    """ISO date of the oldest price used; '' when nothing is bought."""

    seed: int
    time_limit_s: float
    gap_asked: float
    overlaid: OverlayCounts = UNTOUCHED
    """The overrides apart, and the rows that overlays took away."""


def catalog_dict(origin: Provenance) -> dict[str, Any]:
    """The catalog as documents have it."""
    return {
        "name": origin.catalog_name,
        "version": origin.catalog_version,
        "sha256": origin.catalog_sha256,
        "overrides": origin.overrides,
        "rows_added": origin.overlaid.added,
        "rows_replaced": origin.overlaid.replaced,
        "rows_retired": origin.overlaid.retired,
    }


def relative_gap(score: float | None, bound: float | None) -> float | None:
    """(score - bound) / score, at least 0; None where one of them is not known."""
    if score is None or bound is None:
        return None
    gap = 0.0 if score == 0 else max(0.0, (score - bound) / abs(score))
    return gap if math.isfinite(gap) else None
