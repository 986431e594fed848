"""Which ways to pay may be used; candidates billed otherwise never enter the program."""

from __future__ import annotations

from collections.abc import Iterator

from milp_planner.candidates.records import PlanningInput
from milp_planner.inputs.catalog.billing import BILLING_MODES
from milp_planner.inputs.problem.policies import allowed_billings
from milp_planner.milp.program.language.loosening import NameLimit
from milp_planner.milp.program.language.rule import Preselection


class AllowedBilling(Preselection):
    """Only ways to pay that the problem allows are used."""

    keys = frozenset(("limits.billing.allow",))
    nearness = 20

    def loosened(self, instance: PlanningInput) -> Iterator[NameLimit]:
        """Ways to pay that the catalog sells and the problem does not allow."""
        allowed = allowed_billings(instance.problem)
        sold = {row.billing for row in instance.catalog.offerings}
        sold |= {row.billing for row in instance.catalog.token_prices}
        others = tuple(b for b in BILLING_MODES if b in sold and b not in allowed)
        path = "limits.billing.allow"
        yield NameLimit(
            path,
            ", ".join(allowed),
            {path: [*allowed, *others]},
            by_default=not instance.problem.limits.billing.allow,
            uses=lambda plan: {p.candidate.mode.name for p in plan.purchases} - {*allowed},
            ruled_out=others,
            allowing=lambda names: {path: [*allowed, *names]},
            text=lambda names: f"allow {', '.join(names)} billing",
        )
