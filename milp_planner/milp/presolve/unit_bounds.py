"""Bounds on units where demand alone gives none: raised until no plan beyond them can be better.

A rule of the user's own can ask for any number of units, and so can an overload ramp that begins
below what a guess takes for cool. There N_k (`most_units`) is a guess that is checked by cost:

    n_kt > N_k  ⇒  score ≥ (N_k + 1 − F_k) c_k min_t h_t      [USD/month]

F_k is the units of k that commitments may cover; volume takes off its largest share.

Where a plan within the bounds scores less than that for every k, it is the best of all. Where it
does not, or where there is no plan within them, the bounds are raised and the program solved again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from milp_planner.candidates.paying.commitments import most_covered
from milp_planner.candidates.paying.volume import largest_share
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.families import rules_of, unbounded
from milp_planner.milp.program.language.variables import (
    Fleet,
)
from milp_planner.milp.program.limits.budget import least_usd
from milp_planner.plans.records import SNAP

WIDER = 16
"""Times the bounds when there is no plan within them."""

MOST_ROOM = 20_000
"""Units of one candidate beyond which none are looked for: as a big-M they would leak."""


def is_guessed(instance: PlanningInput) -> bool:
    """True where demand does not bound the units that an optimal plan can want."""
    return any(unbounded(instance))


def room_for_score(fleet: Fleet, score: float) -> dict[Candidate, int]:
    """Higher bounds for what a plan that scores no more could hold more units of."""
    paid_for = {}
    for k in _units_of(fleet):
        usd = least_usd(fleet.instance, k) * (1 - largest_share(fleet.problem, k))
        free = math.ceil(most_covered(fleet.instance, k))
        paid_for[k] = MOST_ROOM if usd <= 0 else math.floor(score * (1 + SNAP) / usd) + free
    return _higher(fleet, paid_for)


def wider_room(fleet: Fleet) -> dict[Candidate, int]:
    """Higher bounds for a program without a plan; none where all are as high as can be."""
    return _higher(fleet, {k: WIDER * fleet.most_units(k) for k in _units_of(fleet)})


def all_room(fleet: Fleet) -> dict[Candidate, int]:
    """The highest bounds there are, for a program that asks how much can be served."""
    return _higher(fleet, dict.fromkeys(_units_of(fleet), MOST_ROOM))


def _higher(fleet: Fleet, wanted: Mapping[Candidate, int]) -> dict[Candidate, int]:
    """Those of the wanted bounds that are higher than today's, as far as limits leave units."""
    higher = {k: min(most, _most_allowed(fleet, k)) for k, most in wanted.items()}
    return {k: most for k, most in higher.items() if most > fleet.most_units(k)}


def _most_allowed(fleet: Fleet, k: Candidate) -> int:
    """The most units of `k` that the rules leave."""
    left = (rule.leaves(fleet.instance, k) for rule in rules_of(fleet.problem))
    return math.floor(min(MOST_ROOM, *left))


def _units_of(fleet: Fleet) -> Iterator[Candidate]:
    return (k for k in fleet.candidates if not k.mode.per_token)


def raised(room: Mapping[Candidate, int], more: Mapping[Candidate, int]) -> dict[Candidate, int]:
    """Both together, the higher bound of each."""
    return {k: max(room.get(k, 0), more.get(k, 0)) for k in {**room, **more}}
