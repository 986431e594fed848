"""What to bind oneself to before it is known which future comes, and what that is worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from milp_planner.lazily import dataclass

CaseKind = Literal["chosen", "next", "mean", "future", "nothing", "expected", "cvar", "worst"]
"""What commitments were made for: the plan's own, next-best ones, the mean of the futures, one of
them, none at all, or another measure of risk."""

Measured = Literal["", "cost", "regret", "margin"]


@dataclass(frozen=True)
class CommittedUnits:
    """Units of one offering that are paid whatever comes."""

    offering: str
    billing: str
    units: int
    usd_per_month: float
    months: int
    """How long they are paid; 0 of owned units, which are paid while they are kept."""

    gpu: str = ""
    upfront: float = 0.0
    """Share of it all that is paid at once."""

    @property
    def owed_usd(self) -> float:
        """All that is paid over the term, USD."""
        return self.usd_per_month * self.months


Commitment = tuple[CommittedUnits, ...]


@dataclass(frozen=True)
class FutureOutcome:
    """What the commitments come to in one future."""

    name: str
    probability: float
    traffic: float
    """Times the requests of a month as the workloads state them."""

    usd_per_month: float
    cash_usd_per_month: float
    alone_usd_per_month: float | None
    """The least where it had been known that it is this future; None where that is not known."""

    idle_usd_per_month: float | None
    """Paid for commitments that it could do without; None where it was not asked."""

    rented: str = ""
    """What is done beside the commitments, in words."""

    shortfall_share: float = 0.0
    """Largest share of a workload's peak that is left unserved."""

    @property
    def regret_usd_per_month(self) -> float | None:
        """What it costs more than a plan made for it alone."""
        alone = self.alone_usd_per_month
        return None if alone is None else max(0.0, self.usd_per_month - alone)


@dataclass(frozen=True)
class CommitmentCase:
    """Some commitments, and what each future then costs at best."""

    kind: CaseKind
    of: str
    """The future, or what a risk is measured on; '' elsewhere."""

    committed: Commitment
    usd_per_month: Mapping[str, float | None]
    """By future; None where these commitments cannot be kept to, or time ended before."""

    expected_usd_per_month: float | None
    largest_regret_usd_per_month: float | None
    level: float | None = None
    weight: float | None = None
    """Of a measure of risk."""

    @property
    def units(self) -> int:
        """Units of everything together."""
        return sum(one.units for one in self.committed)


@dataclass(frozen=True)
class Threshold:
    """From which probability of some futures on other commitments are right."""

    futures: tuple[str, ...]
    """Those that are as busy as one of them, or busier."""

    now: float
    """Their probability as stated."""

    at: float
    rises: bool
    """True: beyond `at` from below; False: below it from above."""

    committed: Commitment
    """What is right there."""


@dataclass(frozen=True)
class FlatRange:
    """The fewest and the most commitments, in USD, that cost little more on average."""

    within: float
    """Share of the average by which they may cost more."""

    fewest: CommitmentCase
    most: CommitmentCase
    most_change: float
    """The larger of what the two cost more, as a share."""

    idle_in: str
    """The future with least traffic."""

    fewest_idle_usd_per_month: float | None
    most_idle_usd_per_month: float | None
    """What is paid there for commitments that it could do without."""


@dataclass(frozen=True)
class FuturesPlan:
    """Commitments over several futures; the plan around it is that of the leading future."""

    leading: str
    """The most likely future; of equals the one most like today, then the first."""

    committed: Commitment
    outcomes: tuple[FutureOutcome, ...]
    expected_usd_per_month: float
    minimised_usd_per_month: float
    """The average, or what risk makes of it."""

    bound_usd_per_month: float | None
    """Nothing comes to less."""

    measure: Literal["expected", "cvar", "worst"] = "expected"
    measured_on: Measured = ""
    level: float | None = None
    weight: float = 1.0
    cases: tuple[CommitmentCase, ...] = ()
    """The plan's own first; empty where it was not asked."""

    stochastic_value_usd_per_month: float | None = None
    """What it costs more on average to plan for the mean of the futures."""

    information_value_usd_per_month: float | None = None
    """What it would be worth at most to know which future comes."""

    thresholds: tuple[Threshold, ...] = ()
    flat: FlatRange | None = None
    no_regret: Commitment = ()
    """What every future would commit to if it were known, at least."""

    no_regret_holds: bool | None = None
    """True where no future costs more for having it; None where it was not asked."""

    @property
    def owed_usd(self) -> float:
        """All that is owed over the terms, USD."""
        return sum(one.owed_usd for one in self.committed)

    @property
    def cash_usd_per_month(self) -> float:
        """Money paid, on average over the futures."""
        return sum(one.probability * one.cash_usd_per_month for one in self.outcomes)
