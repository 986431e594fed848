"""Checks the patterns of `prices:` against a catalog: none may be without effect, or unclear."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from milp_planner.candidates.own_terms import Row, closest_match, exactness, matches, parts_of
from milp_planner.candidates.paying.commitments import is_committed
from milp_planner.errors import Fault, readable_path
from milp_planner.inputs.catalog.records import Catalog, Offering
from milp_planner.inputs.problem.load import located
from milp_planner.inputs.problem.records import Problem

Unmatched = Callable[[str, set[str]], str]
"""What is said of a name or pattern that none of the ids has."""


def terms_faults(problem: Problem, catalog: Catalog, unmatched: Unmatched) -> Iterator[Fault]:
    """Discounts and own prices that match nothing, never act, or clash with one another."""
    terms = problem.prices
    if not (terms.discounts or terms.own or terms.volume):
        return
    rows: list[Row] = [*catalog.offerings, *catalog.token_prices]
    rented = [row for row in rows if isinstance(row, Offering)]
    at_own = {row.key for row in rented if closest_match(terms.own, row, own=True)}
    by_kind = (
        ("discounts", terms.discounts, rows),
        ("own", terms.own, rented),
        ("volume", terms.volume, rows),
    )
    for kind, patterns, sold in by_kind:
        for pattern in patterns:
            message = (
                _why_no_match(pattern, kind, sold, rows, unmatched)
                or _why_unclear(pattern, kind, [*patterns], sold)
                or _why_idle(pattern, kind, sold, at_own)
                or _why_paid(pattern, kind, problem, sold)
            )
            if message:
                steps = ("prices", kind)
                fault = Fault("", 0, 0, readable_path(steps), message)
                yield located(problem, fault, (*steps, pattern), at_key=True)


def _matched(pattern: str, kind: str, rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if matches(pattern, row, own=kind == "own")]


def _why_no_match(
    pattern: str, kind: str, sold: Sequence[Row], rows: Sequence[Row], unmatched: Unmatched
) -> str:
    """A pattern that is about nothing: of another name, billing, or paid per token."""
    if _matched(pattern, kind, sold):
        return ""
    name, billing = parts_of(pattern)
    others = sorted({b for b in _billings(name, rows) if b != "per_token" or kind != "own"})
    if others:
        write = f"write {f'{name} {others[0]}'!r}"
        return f"{name!r} is sold as {', '.join(others)}, not {billing or 'on demand'}; {write}"
    if _billings(name, rows):
        return f"{name!r} is paid per token; own prices are per GPU and hour"
    return unmatched(name, {row.id for row in sold})


def _billings(name: str, rows: Sequence[Row]) -> set[str]:
    billings = {row.billing for row in rows}
    return {b for b in billings if any(matches(f"{name} {b}", row) for row in rows)}


def _why_unclear(pattern: str, kind: str, patterns: Sequence[str], sold: Sequence[Row]) -> str:
    """Two patterns that match one row equally exactly."""
    rivals = [p for p in patterns if p != pattern and exactness(p) == exactness(pattern)]
    for row in _matched(pattern, kind, sold) if rivals else ():
        rival = next((p for p in rivals if matches(p, row, own=kind == "own")), None)
        if rival is not None:
            both = f"{pattern!r} and {rival!r} match {row.id} equally exactly"
            return f"{both}; write one of them out further"
    return ""


def _why_paid(pattern: str, kind: str, problem: Problem, sold: Sequence[Row]) -> str:
    """A volume discount on what a commitment may cover: what is covered is not spent."""
    if kind != "volume":
        return ""
    for i, paid in enumerate(problem.commitments):
        for row in sold:
            counted = closest_match(problem.prices.volume, row) == pattern
            if counted and is_committed(paid, row):
                both = f"{pattern!r} and commitments[{i}] ({paid.offering}) are both about {row.id}"
                return f"{both}: what is paid already counts for no volume; name them apart"
    return ""


def _why_idle(pattern: str, kind: str, sold: Sequence[Row], at_own: set[tuple[str, str]]) -> str:
    """A discount where every price is the user's own anyway."""
    if kind != "discounts":
        return ""
    if all(row.key in at_own for row in _matched(pattern, kind, sold)):
        return f"{pattern!r} takes nothing off: all that it matches has a price under prices.own"
    return ""
