"""The share of every peak that a budget pays for, where nothing else links the workloads.

    max s,    Σ_w φ_w(s) ≤ B

All shortfalls at most F cost as much as all loads times 1 − F. φ is a staircase: after a share that
the budget pays for the search goes on to the end of the lowest of its steps, and ends where nothing
beyond is paid for.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from milp_planner.deadline import check
from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.curve import ALL, Curve

SLACK_OF_BUDGET = Fraction(1, 10**9)
"""Share by which a plan may exceed the budget: nine digits of floats."""

NEXT = Fraction(1, 10**12)
"""Shares closer than this are one."""


@dataclass
class Steps:
    """φ of one workload with the steps of it that are known."""

    curve: Curve
    _known: list[tuple[Fraction, Fraction, Fraction]] = field(default_factory=list)
    """(from, to, USD per month) of shares."""

    def at(self, share: Fraction) -> tuple[Fraction, Fraction] | None:
        """(USD per month, the share that as much pays for); None where no fleet carries it."""
        for least, most, usd in self._known:
            if least <= share <= most:
                return usd, most
        check()
        found = self.curve.least(share)
        if found is None:
            return None
        usd, reach = found.usd_per_month, max(found.reach, share)
        self._known.append((share, reach, usd))
        return usd, reach


def usd_for_all(curves: Sequence[Curve]) -> Fraction | None:
    """What everything costs, USD per month; None where it cannot be served."""
    fleets = [curve.least() for curve in curves]
    known = [fleet.usd_per_month for fleet in fleets if fleet is not None]
    return sum(known, Fraction(0)) if len(known) == len(fleets) else None


def most_served(curves: Sequence[Curve], budget: Fraction) -> Fraction:
    """The largest share of every peak that the budget pays for.

    Raises OutOfTime when time is up.
    """
    steps = [Steps(curve) for curve in curves]
    allowed = budget * (1 + SLACK_OF_BUDGET)

    def reached(share: Fraction) -> Fraction | None:
        """The share that as much pays for; None where the budget does not pay for it."""
        found = [one.at(share) for one in steps]
        known = [one for one in found if one is not None]
        if len(known) < len(found) or sum(usd for usd, _ in known) > allowed:
            return None
        return min((reach for _, reach in known), default=ALL)

    paid, unpaid = Fraction(0), ALL + NEXT
    while unpaid - paid > NEXT:
        reach = reached(paid + NEXT)
        if reach is None:
            return paid
        paid = max(paid, reach)
        if paid >= ALL:
            return ALL
        middle = (paid + unpaid) / 2
        reach = reached(middle)
        if reach is None:
            unpaid = middle
        else:
            paid = min(ALL, reach)
    return paid
