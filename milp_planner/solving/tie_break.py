"""Looks ahead: are there other plans of equal score, and if so, which one is preferred?

The plan beyond is the best that contains none of those at hand. While it scores the same it is one
of them; once it scores more, nothing else is tied, and it is most often the next-best plan already,
proven as such. Plans that stay tied are known to come next, too.

One that contains another is that one with something to spare, and never preferred: where two APIs
ask the same price, the solvers may as well use both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from milp_planner.milp.presolve.ties import preference, preferred
from milp_planner.milp.program.exclusion import contains
from milp_planner.plans.records import Status
from milp_planner.solving.verify import violations

if TYPE_CHECKING:
    from milp_planner.solving.search import Answer, Search

MOST_COLUMNS = 300
"""In programs with more columns a tie is left as the solvers found it: it would cost too much."""

MOST_TIED = 4
"""More plans of equal score than this are not listed: programs of their own find the preferred."""

TIE_TOLERANCE_USD = 0.001
TIE_TOLERANCE = 1e-9
"""Relative: scores of millions differ by as much in their last digits."""


@dataclass(frozen=True)
class Ahead:
    """What is known of the plans after those that were found."""

    tied: tuple[Answer, ...] = ()
    """The best of what the found plans leave; all score the same."""

    beyond: Answer | None = None
    """The best of what contains none of them either; None when it is not known."""


def next_of(search: Search, ahead: Ahead) -> tuple[Answer, Ahead]:
    """The preferred of all plans that score the same as the first one ahead; and what follows."""
    first, beyond = ahead.tied[0], ahead.beyond
    too_large = first.proof.columns > MOST_COLUMNS
    if first.status is not Status.OPTIMAL or too_large or search.is_stopped:
        return first, Ahead()
    tied = list(ahead.tied)
    while beyond is None or _is_tied(beyond, first):
        if beyond is not None:
            tied.append(_proven_like(beyond, first))
        if len(tied) > MOST_TIED:
            tied += _preferred(search, min(tied, key=_score))
            beyond = None
            break
        beyond = search.best_beside([answer.known for answer in tied])
    lean = [answer for answer in tied if not _has_spare(answer, tied)]
    chosen = min(lean, key=lambda answer: (_is_dearer(answer, tied), preference_of(search, answer)))
    return chosen, _after(search, chosen, tied, beyond)


def _proven_like(answer: Answer, first: Answer) -> Answer:
    """The answer with the proof of another one of the same score."""
    bound = answer.known.score_usd_per_month
    plan = replace(answer.known, status=first.status, proof=first.proof, bound=bound)
    return replace(answer, status=first.status, plan=plan, proof=first.proof, bound=bound)


def _score(answer: Answer) -> float:
    score = answer.known.score_usd_per_month
    assert score is not None
    return score


def preference_of(search: Search, answer: Answer) -> tuple[object, ...]:
    """What ties are broken by; the least is preferred."""
    return preference(search.given, answer.known)


def _has_spare(one: Answer, tied: Sequence[Answer]) -> bool:
    """True when `one` is another of these with something to spare."""
    return any(
        contains(one.known, other.known) and not contains(other.known, one.known) for other in tied
    )


def _is_tied(one: Answer, other: Answer) -> bool:
    """True when `one` scores no more than `other`, which is proven to be the best."""
    return one.plan is not None and not _is_dearer(one, [other])


def _is_dearer(one: Answer, others: Sequence[Answer]) -> bool:
    least = min(_score(other) for other in others)
    return _score(one) > least + max(TIE_TOLERANCE_USD, TIE_TOLERANCE * abs(least))


def _after(search: Search, chosen: Answer, tied: Sequence[Answer], beyond: Answer | None) -> Ahead:
    """What is known once `chosen` is found, whose cuts rule out what is too like it."""
    if not search.more_wanted:
        return Ahead()
    rest = [answer for answer in tied if answer is not chosen]
    left = tuple(answer for answer in rest if _may_follow(search, answer, chosen))
    if len(left) < len(rest) or (beyond and not _may_follow(search, beyond, chosen)):
        beyond = None  # what contains a plan ruled out may come before it
    return Ahead(left, beyond) if left or beyond is None else Ahead((beyond,))


def _may_follow(search: Search, answer: Answer, chosen: Answer) -> bool:
    """True when the cuts of `chosen` change nothing about the answer."""
    if answer.plan is None:
        return answer.status is Status.INFEASIBLE
    return search.difference.allows(answer.plan, chosen.known)


def _preferred(search: Search, answer: Answer) -> list[Answer]:
    """The preferred of all plans that score the same, in a list; empty when none is found."""
    model = search.model(search.held or ())
    values = preferred(
        model, _score(answer), time_limit_s=search.seconds_left, seed=search.settings.seed
    )
    if not values:
        return []
    plan = search.plan_from(model, values)
    if violations(search.given, plan):
        return []
    bound = plan.score_usd_per_month
    plan = replace(plan, status=answer.status, proof=answer.proof, bound=bound)
    return [replace(answer, plan=plan, bound=bound)]
