"""Looks one plan ahead: is there another of equal score, and if so, which one is preferred?

The plan ahead is the best that does not contain the one at hand. If it scores more, nothing is
tied, and it is most often the next-best plan already, proven as such.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from milp_planner.milp.ties import preference, preferred
from milp_planner.planning.plan import Status
from milp_planner.planning.verify import violations

if TYPE_CHECKING:
    from milp_planner.planning.search import Answer, Search

MOST_COLUMNS = 300
"""In programs with more columns a tie is left as the solvers found it: it would cost too much."""

TIE_TOLERANCE_USD = 0.001
TIE_TOLERANCE = 1e-9
"""Relative: scores of millions differ by as much in their last digits."""

LEAST_SECONDS = 10.0
PATIENCE = 4.0
"""A tie alone is looked for no longer than this, or so many times what the plan itself took."""


def break_tie(search: Search, answer: Answer) -> tuple[Answer, Answer | None]:
    """The preferred of all plans that score the same as `answer`, and the next answer if known."""
    too_large = answer.proof.columns > MOST_COLUMNS
    if answer.status is not Status.OPTIMAL or too_large or search.is_stopped:
        return answer, None
    limit_s = max(LEAST_SECONDS, PATIENCE * answer.proof.seconds)
    if search.more_wanted:
        limit_s = search.seconds_left
    ahead = search.best_beside(answer, limit_s)
    if ahead.status not in (Status.OPTIMAL, Status.INFEASIBLE) and not search.more_wanted:
        return answer, None
    if ahead.status is not Status.OPTIMAL or _is_dearer(ahead, answer):
        return answer, ahead if _may_follow(search, ahead, answer) else None
    known = [answer, ahead, *_preferred(search, min(answer, ahead, key=_score), limit_s)]
    cheapest = min(known, key=_score)
    tied = [other for other in known if not _is_dearer(other, cheapest)]
    chosen = min(tied, key=lambda other: preference(search.given, other.known))
    rest = (other for other in known if other is not chosen and _may_follow(search, other, chosen))
    return chosen, next(rest, None)


def _score(answer: Answer) -> float:
    score = answer.known.score_usd_per_month
    assert score is not None
    return score


def _is_dearer(one: Answer, other: Answer) -> bool:
    tolerance = max(TIE_TOLERANCE_USD, TIE_TOLERANCE * abs(_score(other)))
    return _score(one) > _score(other) + tolerance


def _may_follow(search: Search, answer: Answer, chosen: Answer) -> bool:
    """True when the answer is the next one after `chosen`, whose cuts change nothing about it."""
    if answer.plan is None:
        return answer.status is Status.INFEASIBLE
    return search.difference.allows(answer.plan, chosen.known)


def _preferred(search: Search, answer: Answer, limit_s: float) -> Iterator[Answer]:
    """The preferred of all plans that score the same; nothing where none is found in time."""
    model = search.model(search.held or ())
    limit_s = min(limit_s, search.seconds_left)
    values = preferred(model, _score(answer), time_limit_s=limit_s, seed=search.settings.seed)
    if not values:
        return
    plan = search.plan_from(model, values)
    if not violations(search.given, plan):
        bound = plan.score_usd_per_month
        plan = replace(plan, status=answer.status, proof=answer.proof, bound=bound)
        yield replace(answer, plan=plan, bound=bound)
