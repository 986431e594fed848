"""What `solve --replay` did, as plain text: the targets tried, and how the wishes fared."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.questions.tighten import Tightened, TightenedRound
from milp_planner.replaying.records import Replay, WishReplayed
from milp_planner.reporting.text.questions.replay import wish_text
from milp_planner.reporting.text.wording import columns, escape, percent, plural, usd


def tightened_text(found: Tightened) -> str:
    """All rounds that had a plan or none, and the wishes as the best of them kept them."""
    return "\n".join(_lines(found)) + "\n"


def missed_texts(replay: Replay) -> Iterator[str]:
    """A line for every wish that was missed, for a gate that failed."""
    yield from (f"Replay: {wish_text(wish)}" for wish in replay.wishes if not wish.kept)


def _lines(found: Tightened) -> Iterator[str]:
    best = found.best
    if best.replay is None:
        return
    sent = plural(best.replay.sent, "request")
    yield f"Replay of {escape(best.replay.name)}: {sent} a round, router {best.replay.router}."
    if len(found.rounds) > 1:
        head = ["", "target", "$/month", "GPUs", "wishes"]
        rows = [[str(i), *_row(each)] for i, each in enumerate(found.rounds, 1)]
        yield from columns([head, *rows], "<>>><")
    if best.replay.stopped_early:
        yield "  The time limit ended it early: what follows is about the requests that came."
    yield from (f"  {wish_text(wish)}" for wish in best.replay.wishes)
    if not best.replay.wishes:
        yield "  Nothing was wished: no latency of the problem is about what is replayed."
    elif best.keeps_all_wishes:
        part = any(wish.only_waits for wish in best.replay.wishes)
        yield f"  Every wish is kept{', as far as is known' * part}{_instead_of(found)}."
    else:
        tried = plural(len(found.rounds), "plan")
        yield f"  Not every wish is kept by any of {tried}{_why_it_ended(found)}."


def _row(each: TightenedRound) -> Iterator[str]:
    yield percent(each.target, 1)
    if each.replay is None:
        yield from ("no plan", "", "")
        return
    yield usd(each.plan.cash_usd_per_month or 0.0)
    yield str(each.plan.gpus)
    missed = [wish for wish in each.replay.wishes if not wish.kept]
    yield ", ".join(map(_named, missed)) + " missed" if missed else "kept"


def _named(replayed: WishReplayed) -> str:
    wish = replayed.wish
    kind = "mean" if wish.share is None else f"p{100 * wish.share:g}"
    return f"{kind} {wish.metric} of {escape(replayed.workload)}"


def _instead_of(found: Tightened) -> str:
    first, best = found.rounds[0], found.best
    if first is best:
        return ", at once"
    return (
        f" at {percent(best.target, 1)}, for {usd(best.plan.cash_usd_per_month or 0.0)} "
        f"instead of {usd(first.plan.cash_usd_per_month or 0.0)} per month"
    )


def _why_it_ended(found: Tightened) -> str:
    last = found.rounds[-1]
    if last.replay is None:
        return f"; at a target of {percent(last.target, 1)} there is none"
    return ", down to a target of " + percent(last.target, 1)
