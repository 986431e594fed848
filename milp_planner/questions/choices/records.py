"""Choices beside a plan: what each buys, or the one line that says why there is none."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from milp_planner.lazily import dataclass
from milp_planner.plans.plain import clean
from milp_planner.plans.records import Plan, Status
from milp_planner.solving.re_solve import fleet_line

if TYPE_CHECKING:
    from pandas import DataFrame


class ChoiceVerdict(StrEnum):
    """What became of a choice."""

    FOUND = "found"
    SAME = "same"
    """It buys what the plan, or an earlier choice, buys already."""

    INFEASIBLE = "infeasible"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True)
class Choice:
    """One other way to serve the traffic, and what it costs."""

    key: str
    """`one_provider`, or the name of one's own."""

    name: str
    """The same in words."""

    verdict: ChoiceVerdict
    plan: Plan | None = None
    """The best plan that keeps to it; None where there is none, or only a bill is known."""

    bill_usd_per_month: float | None = None
    """Of today's bill: what is paid today."""

    same_as: str = ""
    """Of what is bought already: the key of that choice; '' where it is the plan itself."""

    detail: str = ""
    """Which one of several was best, such as the name of the region group."""

    needs: str = ""
    """What the problem would have to allow first; '' where nothing stands in the way."""

    why: str = ""
    """Why there is no plan, or which limit today's fleet breaks."""

    @property
    def cash_usd_per_month(self) -> float | None:
        """Money paid; None where nothing is known."""
        return self.bill_usd_per_month if self.plan is None else self.plan.cash_usd_per_month

    @property
    def score_usd_per_month(self) -> float | None:
        """Cash and penalties; of a bill what is paid."""
        return self.bill_usd_per_month if self.plan is None else self.plan.score_usd_per_month

    @property
    def is_proven(self) -> bool:
        """True where the solvers proved the plan to be the best of its kind."""
        return self.plan is not None and self.plan.status is Status.OPTIMAL


@dataclass(frozen=True)
class Choices:
    """A plan, and what else could be chosen."""

    plan: Plan
    rows: tuple[Choice, ...]

    def extra_usd(self, choice: Choice) -> float | None:
        """How much more it scores than the plan, USD/month; less where negative."""
        mine, its = self.plan.score_usd_per_month, choice.score_usd_per_month
        return None if mine is None or its is None else its - mine

    def to_frame(self) -> DataFrame:
        """One row per choice."""
        from pandas import DataFrame

        return DataFrame(list(self._dicts()))

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, ready for JSON."""
        return {
            "status": self.plan.status.value,
            "cash_usd_per_month": self.plan.cash_usd_per_month,
            "score_usd_per_month": self.plan.score_usd_per_month,
            "choices": list(self._dicts()),
        }

    def _dicts(self) -> Iterator[dict[str, Any]]:
        for choice in self.rows:
            plan = choice.plan
            yield clean(
                {
                    "key": choice.key,
                    "name": choice.name,
                    "verdict": choice.verdict.value,
                    "cash_usd_per_month": choice.cash_usd_per_month,
                    "score_usd_per_month": choice.score_usd_per_month,
                    "extra_usd_per_month": self.extra_usd(choice),
                    "proven": choice.is_proven,
                    "gpus": None if plan is None else plan.gpus,
                    "providers": () if plan is None else plan.providers,
                    "fleet": "" if plan is None else fleet_line(plan),
                    "same_as": choice.same_as,
                    "detail": choice.detail,
                    "needs": choice.needs,
                    "why": choice.why,
                }
            )


def fleet_key(plan: Plan) -> tuple[Any, ...]:
    """What two plans that buy the same have in common."""
    return tuple(
        sorted(
            (
                p.candidate.id,
                p.candidate.units_joined,
                p.candidate.pipeline_parallel,
                p.units_by_block,
                round(p.requests_share, 4) if p.candidate.mode.per_token else 0.0,
            )
            for p in plan.purchases
        )
    )
