"""The share of every peak that a budget pays for, where nothing else links the workloads.

    max s,    Σ_w φ_w(s) ≤ B

All shortfalls at most F cost as much as all loads times 1 − F. φ is a staircase: after a share that
the budget pays for the search goes on to the end of the lowest of its steps, and ends where nothing
beyond is paid for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Protocol

from milp_planner.deadline import check
from milp_planner.lazily import dataclass, field
from milp_planner.milp.curves.curve import ALL, Curve

SLACK_OF_BUDGET = Fraction(1, 10**9)
"""Share by which a plan may exceed the budget: nine digits of floats."""

NEXT = Fraction(1, 10**12)
"""Shares closer than this are one."""

NEAR = Fraction(1, 100)
"""Shares between which it is looked whether there is any step at all."""


class Carried(Protocol):
    """The cheapest fleet that carries a share of every peak."""

    @property
    def usd_per_month(self) -> Fraction:
        """What it costs."""

    @property
    def reach(self) -> Fraction:
        """The share that it carries, at most 1."""


class Costs(Protocol):
    """φ of one workload."""

    def least(self, share: Fraction) -> Carried | None:
        """The cheapest fleet that carries this share; None where none does."""


@dataclass
class Steps:
    """φ of one workload with the steps of it that are known."""

    costs: Costs
    _known: list[tuple[Fraction, Fraction, Fraction]] = field(default_factory=list)
    """(from, to, USD per month) of shares."""

    def at(self, share: Fraction) -> tuple[Fraction, Fraction] | None:
        """(USD per month, the share that as much pays for); None where no fleet carries it."""
        for least, most, usd in self._known:
            if least <= share <= most:
                return usd, most
        check()
        found = self.costs.least(share)
        if found is None:
            return None
        usd, reach = found.usd_per_month, max(found.reach, share)
        self._known.append((share, reach, usd))
        return usd, reach

    def least_usd(self, share: Fraction) -> Fraction:
        """What is known to be spent on this share at least, as φ only rises; USD per month."""
        return max((usd for least, _, usd in self._known if least <= share), default=Fraction(0))


def usd_for_all(curves: Sequence[Curve]) -> Fraction | None:
    """What everything costs, USD per month; None where it cannot be served."""
    fleets = [curve.least() for curve in curves]
    known = [fleet.usd_per_month for fleet in fleets if fleet is not None]
    return sum(known, Fraction(0)) if len(known) == len(fleets) else None


def most_served(workloads: Sequence[Costs], budget: Fraction) -> Fraction:
    """The largest share of every peak that the budget pays for.

    Raises OutOfTime when time is up.
    """
    return max(shares_paid(workloads, budget), default=Fraction(0))


def shares_paid(
    workloads: Sequence[Costs], budget: Fraction, closer: Fraction = NEXT
) -> Iterator[Fraction]:
    """Ever larger shares of every peak that the budget pays for; the last is the largest.

    closer: shares that differ by less are one.
    """
    steps = [Steps(costs) for costs in workloads]
    paid, unpaid = Fraction(0), ALL + closer
    while unpaid - paid > closer:
        is_near = unpaid - paid < NEAR or not paid
        for share in ([paid + closer] if is_near else []) + [(paid + unpaid) / 2]:
            if share <= paid:
                continue
            reach = _reached(steps, share, budget)
            if reach is None:
                unpaid = share
                break
            paid = min(ALL, max(paid, reach))
            yield paid
            if paid >= ALL:
                return


def _reached(steps: Sequence[Steps], share: Fraction, budget: Fraction) -> Fraction | None:
    """The share that as much pays for; None where the budget does not pay for it.

    Who is known to spend most is asked first: after it the rest need often not be.
    """
    allowed = budget * (1 + SLACK_OF_BUDGET)
    least = {i: one.least_usd(share) for i, one in enumerate(steps)}
    reach, usd = ALL, sum(least.values(), Fraction(0))
    for i in sorted(least, key=lambda i: -least[i]):
        found = None if usd > allowed else steps[i].at(share)
        if found is None:
            return None
        usd, reach = usd + found[0] - least[i], min(reach, found[1])
    return reach if usd <= allowed else None
