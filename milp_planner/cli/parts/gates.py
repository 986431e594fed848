"""What a plan must keep to be let through. To add a gate, add its field, method and option."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from milp_planner.plans.records import Plan


@dataclass(frozen=True)
class Gates:
    """What a plan must keep to be let through; each is off unless given."""

    max_cost_usd: float | None
    max_price_age_days: float | None
    fail_on_estimates: bool
    today: date

    def failures(self, plan: Plan) -> Iterator[str]:
        """Every gate that fails, in words with both numbers."""
        if plan.status.has_plan:
            yield from self._cost(plan)
            yield from self._age(plan)
            yield from self._estimates(plan)

    def _cost(self, plan: Plan) -> Iterator[str]:
        from milp_planner.plans.records import Status, exceeds
        from milp_planner.reporting.text.wording import usd

        limit, cost = self.max_cost_usd, plan.cash_usd_per_month
        if plan.futures is not None:  # what is paid on average is what it costs
            cost = plan.futures.cash_usd_per_month
        if limit is None or cost is None or not exceeds(cost, limit):
            return
        which = "cheapest plan" if plan.status is Status.OPTIMAL else "best plan found"
        yield (
            f"Over the limit: the {which} costs {usd(cost)} per month, "
            f"{usd(cost - limit)} above --max-cost {limit:.10g}."
        )

    def _age(self, plan: Plan) -> Iterator[str]:
        limit = self.max_price_age_days
        if limit is None:
            return
        offerings = {p.candidate.offering.key: p.candidate.offering for p in plan.purchases}
        ages = {key: (self.today - o.as_of).days for key, o in offerings.items()}
        old = sorted(key for key, age in ages.items() if age > limit)
        if old:
            plural = "s" if len(old) > 1 else ""
            days = max(ages[key] for key in old)
            yield (
                f"Old prices: prices of {len(old)} used offering{plural} are up to {days} days old "
                f"(limit {limit:g}): {', '.join(offering for offering, _ in old)}"
            )

    def _estimates(self, plan: Plan) -> Iterator[str]:
        """Rates that are not measured, and latency wishes that no measurement judges."""
        from milp_planner.questions.sheet.risks import wishes_of
        from milp_planner.reporting.text.wording import duration

        if not self.fail_on_estimates:
            return
        unproven = [w for w in wishes_of(plan) if w.not_judged_on or not w.measured]
        for w in unproven:
            how = "is judged on an estimate"
            if w.expected_s is not None:
                how += f" of {duration(w.expected_s)}"
            if w.not_judged_on:
                how = "is not judged"
            wished = f"the {w.what} of {w.workload}, wished {duration(w.asked_s)}"
            yield f"Estimates: {wished}, {how}."
        points = [point for p in plan.purchases for point in p.candidate.serving_points]
        estimates = [point for point in points if point.source != "measured"]
        if estimates:
            sources = ", ".join(sorted({point.source for point in estimates}))
            yield (
                f"Estimates: {len(estimates)} of {len(points)} throughput rows used are "
                f"not measured ({sources})."
            )
