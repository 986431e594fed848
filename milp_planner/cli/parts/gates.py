"""What a plan must keep to be let through. To add a gate, add its field, method and option."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from milp_planner.lazily import dataclass

if TYPE_CHECKING:
    from milp_planner.plans.calendars.records import Calendar
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
        bought = (p.candidate.offering for one in _all_of(plan) for p in one.purchases)
        yield from self._old({offering.key: offering.as_of for offering in bought})

    def _old(self, priced_on: Mapping[tuple[str, str], date]) -> Iterator[str]:
        """Prices that are too old, by (offering, billing)."""
        limit = self.max_price_age_days
        if limit is None:
            return
        ages = {key: (self.today - day).days for key, day in priced_on.items()}
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
        if not self.fail_on_estimates:
            return
        plans = _all_of(plan)
        yield from dict.fromkeys(line for one in plans for line in _unproven(one))
        used = {p.candidate.id: p.candidate for one in plans for p in one.purchases}
        yield from _not_measured(
            [point.source for k in used.values() for point in k.serving_points]
        )

    def failures_of_months(self, calendar: Calendar) -> Iterator[str]:
        """The same of all that a calendar uses in any month of any future."""
        used = calendar.rests_on
        days = {(o.offering, o.billing): date.fromisoformat(o.priced_on) for o in used}
        yield from self._old(days)
        if not self.fail_on_estimates:
            return
        wishes = {(what, o.workload) for o in used for what in o.not_measured}
        for what, workload in sorted(wishes):
            yield f"Estimates: the {what} of {workload} is judged on no measurement."
        yield from _not_measured([source for o in used for source in o.sources])


def _all_of(plan: Plan) -> tuple[Plan, ...]:
    """The plan, or those of all its futures."""
    return plan.in_futures or (plan,)


def _unproven(plan: Plan) -> Iterator[str]:
    """Latency wishes that no measurement judges."""
    from milp_planner.questions.sheet.risks import wishes_of
    from milp_planner.reporting.text.wording import duration

    for w in wishes_of(plan):
        if not w.not_judged_on and w.measured:
            continue
        how = "is judged on an estimate"
        if w.expected_s is not None:
            how += f" of {duration(w.expected_s)}"
        if w.not_judged_on:
            how = "is not judged"
        wished = f"the {w.what} of {w.workload}, wished {duration(w.asked_s)}"
        yield f"Estimates: {wished}, {how}."


def _not_measured(sources: Sequence[str]) -> Iterator[str]:
    """How many rates are from anything but a measurement."""
    estimates = [source for source in sources if source != "measured"]
    if estimates:
        yield (
            f"Estimates: {len(estimates)} of {len(sources)} throughput rows used are "
            f"not measured ({', '.join(sorted(set(estimates)))})."
        )
