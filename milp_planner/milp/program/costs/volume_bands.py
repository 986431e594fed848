"""What is spent on what has a volume discount, part by part."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.paying.volume import bands, volume_of
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.milp.program.costs.per_token import PerToken
from milp_planner.milp.program.costs.rent import Rent
from milp_planner.milp.program.costs.start_up import StartUpHours
from milp_planner.milp.program.language.rows import EQ, GE, LE, Row
from milp_planner.milp.program.language.rule import Standing, Structural
from milp_planner.milp.program.language.variables import Fleet, Terms, merged
from milp_planner.plans.records import Plan

SPENT = Rent(), StartUpHours(), PerToken()
"""What counts as spent: all that providers are paid. What a commitment may cover has no volume
discount: which of it is covered would depend on the discount (`checks/own_terms.py`)."""


class VolumeBands(Structural):
    """What is spent on what has a volume discount, part by part, the first part first.

        Σ_i W_i z_i = Σ_k spent_k,    z_i ≤ b_i,    z_i ≥ b_{i+1}      [USD/month; shares of W_i]

    W_i is how much of the month's spend tier i is of, z_i the share of it that is spent; the last
    ends where no plan spends more. A later part is worth more, so that binaries keep the order.
    """

    keys = frozenset(("prices.volume",))

    def columns(self, fleet: Fleet) -> None:
        for pattern, tiers in fleet.problem.prices.volume.items():
            most = _most_usd(fleet, pattern)
            for i, (width, _) in enumerate(bands(tiers)):
                width = min(width, most)
                most -= width
                if width <= 0:
                    break
                z = fleet.column(f"spent[{pattern} part {i}]", 1, integer=False)
                fleet.bands[pattern, i] = z, width
                if i:
                    fleet.begun[pattern, i] = fleet.column(f"begun[{pattern} part {i}]", 1)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for pattern in fleet.problem.prices.volume:
            mine = {i: band for (name, i), band in fleet.bands.items() if name == pattern}
            if not mine:
                continue
            unit = mine[0][1]
            parts = {z: width / unit for z, width in mine.values()}
            spent = {column: -usd / unit for column, usd in _spent(fleet, pattern).items()}
            yield Row(pattern, {**parts, **spent}, EQ, 0.0)
            for i in range(1, len(mine)):
                begun = fleet.begun[pattern, i]
                yield Row(f"{pattern} {i}", {mine[i][0]: 1.0, begun: -1.0}, LE, 0.0)
                yield Row(f"{pattern} {i} after", {mine[i - 1][0]: 1.0, begun: -1.0}, GE, 0.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        return iter(())  # it defines a cost; `verify` recomputes the cost

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in counts for the same discount: then less spent is less paid."""
        return Standing(same=(volume_of(instance.problem, k),))


def _spent(fleet: Fleet, pattern: str) -> Terms:
    """What providers are paid for what the pattern is about, by column."""
    problem = fleet.problem
    mine = {k for k in fleet.candidates if volume_of(problem, k) == pattern}
    columns = {column for (k, _, _), column in fleet.units.items() if k in mine}
    columns |= {column for (k, _, _), column in fleet.shares.items() if k in mine}
    columns |= {column for (k, _), column in fleet.ahead.items() if k in mine}
    columns |= {n for (unit, _), n in fleet.shared.items() if volume_of(problem, unit) == pattern}
    whole = merged(term.terms(fleet) for term in SPENT if term.is_told(problem))
    return {column: usd for column, usd in whole.items() if column in columns}


def _most_usd(fleet: Fleet, pattern: str) -> float:
    """More than any plan spends on what the pattern is about, USD/month."""
    bounds = ((usd, column.upBound) for column, usd in _spent(fleet, pattern).items() if usd > 0)
    return float(sum(usd * most for usd, most in bounds))
