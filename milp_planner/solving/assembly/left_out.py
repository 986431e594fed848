"""What no figure of a plan counts, as far as the problem and the catalog do not state it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from milp_planner.candidates.paying.start_up import is_started_so
from milp_planner.candidates.records import Candidate, is_elastic, rests_when_idle
from milp_planner.inputs.catalog.owned import STATED_IN_PRICE
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.records import Problem
from milp_planner.plans.consequences import NEVER_INCLUDED, NOT_STATED, STAFF, START_UP


def not_included(problem: Problem, used: Iterable[Candidate]) -> Iterator[str]:
    """What is left out of what is paid for all that is used, and of the times that it keeps."""
    yield from NEVER_INCLUDED
    units = [k for k in used if not k.mode.per_token]
    own = [stated for k in units if (stated := _stated(k)) is not None]
    for part in STATED_IN_PRICE:
        if part != STAFF and any(part not in stated for stated in own):
            yield f"{part} of owned units{NOT_STATED}"
    with_staff = sum(STAFF in stated for stated in own)
    if with_staff < len(units) or not units:
        yield STAFF + NOT_STATED * bool(with_staff)
    yield "network latency"
    if not problem.policy.start_up:
        yield START_UP
    elif any(not _says_when_ready(problem, k) for k in units):
        yield START_UP + NOT_STATED


def _stated(k: Candidate) -> tuple[str, ...] | None:
    return k.offering.stated_in_price if isinstance(k.offering, Offering) else None


def _says_when_ready(problem: Problem, k: Candidate) -> bool:
    """True for units that are never off, and where it is stated how long they take."""
    may_be_off = is_elastic(problem, k) or rests_when_idle(problem, k)
    return not may_be_off or any(is_started_so(one, k.offering) for one in problem.policy.start_up)
