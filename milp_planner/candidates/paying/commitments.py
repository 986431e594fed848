"""What commitments cover of a fleet: units that are paid already, or an amount an hour.

    max Σ_o Σ_c g_co f_co      Σ_o a_co f_co ≤ A_c  ∀ c,    Σ_c f_co ≤ n_o  ∀ o      [USD/h]

f_co is the units of offering o that commitment c covers in a block, n_o those that are on. Of
commitments of units A_c is their number and a_co is 1; of those of an amount A_c is USD an hour and
a_co the price of a unit less the discount, as savings plans count it (AWS, "Savings Plans",
https://docs.aws.amazon.com/savingsplans/latest/userguide/sp-applying.html, 2026). g_co is the price
of a unit, times the part of the month until the commitment ends. A linear program of a few rows, in
plain arithmetic.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from functools import lru_cache

from milp_planner.candidates.filters import is_meant
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.candidates.rerouting import maximise
from milp_planner.inputs.catalog.records import Offering, TokenPrice
from milp_planner.inputs.problem.commitments import Commitment
from milp_planner.lazily import dataclass
from milp_planner.today import day_today

HOURS_PER_DAY = 24

Key = tuple[str, str]
"""(offering id, billing)."""


@dataclass(frozen=True)
class PaidCommitment:
    """A commitment as the month that is planned knows it."""

    number: int
    """Where it stands in the problem."""

    commitment: Commitment
    month_share: float
    """Part of the month that it is paid for; 0 where it has ended."""

    @property
    def amount(self) -> float:
        """A_c: units, or USD an hour."""
        units, usd = self.commitment.units, self.commitment.usd_per_hour
        return float(units or usd or 0.0)

    def covers(self, offering: Offering | TokenPrice) -> bool:
        """Whether units of the offering may be covered; what costs nothing is paid already."""
        is_left = self.month_share > 0 and not is_free(offering)
        return is_left and is_committed(self.commitment, offering)

    def taken_by(self, offering: Offering) -> float:
        """a_co: what a unit takes of the amount."""
        if self.commitment.discount is None:
            return 1.0
        return (1 - self.commitment.discount) * offering.usd_per_hour

    def saved_by(self, offering: Offering) -> float:
        """g_co: USD an hour that is not paid for a unit that is covered."""
        return self.month_share * offering.usd_per_hour


def is_free(row: Offering | TokenPrice) -> bool:
    """Whether it is units at a price of 0, which are paid already: `max_units` of them."""
    return isinstance(row, Offering) and row.usd_per_hour == 0


def is_committed(commitment: Commitment, row: Offering | TokenPrice) -> bool:
    """Whether a commitment is about a row of the catalog."""
    if not isinstance(row, Offering) or row.billing == "spot":
        return False
    of_billing = commitment.billing in (None, row.billing)
    return of_billing and is_meant("offerings", commitment.offering, row)


def month_share(commitment: Commitment, today: date, hours_per_month: float) -> float:
    """Part of a month that begins today until the end of the last day that is paid; 0: it ended."""
    if commitment.until is None:
        return 1.0
    hours = HOURS_PER_DAY * ((commitment.until - today).days + 1)
    return min(1.0, max(0.0, hours / hours_per_month))


def commitments_of(instance: PlanningInput) -> tuple[PaidCommitment, ...]:
    """All commitments in order, those that have ended with a share of 0."""
    problem = instance.problem
    if not problem.commitments:
        return ()
    today = instance.catalog.read_on or day_today()
    hours = problem.policy.hours_per_month
    return tuple(
        PaidCommitment(i, one, month_share(one, today, hours))
        for i, one in enumerate(problem.commitments)
    )


def covering(paid: tuple[PaidCommitment, ...], k: Candidate) -> tuple[PaidCommitment, ...]:
    """The commitments that may cover units of a candidate."""
    return tuple(one for one in paid if one.covers(k.offering))


def most_covered(instance: PlanningInput, k: Candidate) -> float:
    """Units of a candidate alone that may be paid already."""
    if not isinstance(k.offering, Offering):
        return 0.0
    offering = k.offering
    mine = covering(commitments_of(instance), k)
    return sum(one.amount / one.taken_by(offering) for one in mine) / k.units_joined


Covered = Mapping[tuple[PaidCommitment, Key], float]
"""Units that a commitment covers of an offering; 0 is left out."""


def covered(paid: tuple[PaidCommitment, ...], on: Mapping[Key, tuple[Offering, float]]) -> Covered:
    """What the commitments cover where so many units are on, so that most is saved."""
    keys = [key for key, (_, units) in on.items() if units]
    pairs = [
        (c, o) for c, one in enumerate(paid) for o, key in enumerate(keys) if one.covers(on[key][0])
    ]
    found = _most_saved(
        tuple((c, o, *_weights(paid[c], on[keys[o]][0])) for c, o in pairs),
        tuple(one.amount for one in paid),
        tuple(float(on[key][1]) for key in keys),
    )
    return {(paid[c], keys[o]): units for (c, o), units in zip(pairs, found, strict=True) if units}


def _weights(one: PaidCommitment, offering: Offering) -> tuple[float, float]:
    return one.taken_by(offering), one.saved_by(offering)


@lru_cache(maxsize=4096)
def _most_saved(
    pairs: tuple[tuple[int, int, float, float], ...],
    amounts: tuple[float, ...],
    on: tuple[float, ...],
) -> tuple[float, ...]:
    """f of every pair (commitment, offering, taken, saved)."""
    rows = [*_rows(pairs, amounts, 0), *_rows(pairs, on, 1)]
    slack = len(rows)
    tableau = [
        [*terms, *(float(at == row) for at in range(slack)), right]
        for row, (terms, right) in enumerate(rows)
    ]
    basis = maximise(tableau, [*(pair[3] for pair in pairs), *(0.0 for _ in range(slack + 1))])
    values = dict(zip(basis, (row[-1] for row in tableau), strict=True))
    return tuple(max(0.0, values.get(pair, 0.0)) for pair in range(len(pairs)))


def _rows(
    pairs: tuple[tuple[int, int, float, float], ...], rights: tuple[float, ...], side: int
) -> Iterator[tuple[list[float], float]]:
    """(terms, right): of commitments (side 0) by what is taken, of offerings (1) by units."""
    for i, right in enumerate(rights):
        yield [(pair[2] if side == 0 else 1.0) * (pair[side] == i) for pair in pairs], right
