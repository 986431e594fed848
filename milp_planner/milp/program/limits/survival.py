"""When any one provider, region or offering is lost, the rest still serves its share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.patching import Patch
from milp_planner.milp.program.language.capacity import capacity_terms
from milp_planner.milp.program.language.loosening import SteppedLimit, percent
from milp_planner.milp.program.language.rows import GE, Row
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms, add, ceil_snapped
from milp_planner.plans.losses import SURVIVAL_GROUPS, losses, mix_rate, served_at_peak
from milp_planner.plans.records import Plan, exceeds


class LossSurvived(Rule):
    """When any one provider, region or offering is lost, the rest still serves its share.

        Σ_{k ∉ group} min(1, μ_k ÷ (σ λ_t)) n_kt + Σ_{k ∉ group, per token} λ_qt x_qkt ÷ (σ λ_t)
            + s_t ≥ 1                                                          ∀ w, group, t

    The rest may run at 100 % utilization, every unit at the workload's own mix (which is cautious
    with several classes), per-token offerings at what they serve already. A region is a
    place with all who are there; where that is not known, one provider's region. What a short
    budget leaves unserved, s_t of the peak, need not survive.
    """

    keys = frozenset(
        (
            *("limits.survive_loss_of", "limits.survive_loss_of.kind"),
            "limits.survive_loss_of.share",
        )
    )
    nearness = 50
    solved_apart = True

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        survival = fleet.problem.limits.survival
        if survival is None:
            return
        group_of = SURVIVAL_GROUPS[survival.kind]
        for w in fleet.problem.workloads:
            serving = fleet.serving(w.name)
            for group in sorted({group_of(k) for k in serving}):
                rest = [k for k in serving if group_of(k) != group]
                for t in fleet.busy(w.name):
                    terms = _left_after_loss(fleet, rest, t, survival.share)
                    for q, request_class in enumerate(fleet.demand(w.name).classes):
                        if (w.name, q, t) in fleet.shortfalls:
                            terms[fleet.shortfalls[w.name, q, t]] = request_class.share
                    yield Row(f"{w.name} {group} {t}", terms, GE, 1.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        survival = instance.problem.limits.survival
        if survival is None:
            return
        for w in plan.workloads:
            for group, t, left in losses(plan, w.name, survival.kind):
                needed = survival.share * served_at_peak(plan, w.name, t)
                if needed and exceeds(1.0, left / needed):
                    yield (
                        f"workload {w.name!r} without {survival.kind} {group} keeps {left:g} of "
                        f"{needed:g} requests/s in block {plan.blocks[t].name}"
                    )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in must be lost together with what it stands for."""
        survival = instance.problem.limits.survival
        return Standing(same=() if survival is None else (SURVIVAL_GROUPS[survival.kind](k),))

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Alone, and at 100 % utilization, `k` must be able to carry what is left."""
        survival, per_unit = fleet.problem.limits.survival, k.part_requests_per_second
        if survival is None or per_unit <= 0:
            return 0
        return ceil_snapped(fleet.demand(k.workload).highest_peak * survival.share / per_unit)

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        survival = instance.problem.limits.survival
        if survival is None:
            return
        path, kind = "limits.survive_loss_of", survival.kind
        one = f"an {kind}" if kind == "offering" else f"a {kind}"
        share = "" if survival.share == 1 else f", {percent(survival.share)} left"
        lower = range(math.ceil(survival.share * 100 - 1e-9) - 1, 0, -1)

        def patch(percents: int) -> Patch:
            if not percents:
                return {path: "none"}
            return {path: {"kind": kind, "share": percents / 100}}

        def text(percents: int) -> str:
            if not percents:
                return f"do without surviving the loss of {one}"
            return f"let {percents} % of the peak be left after the loss of {one}"

        yield SteppedLimit(
            path,
            f"{kind}{share}",
            {path: "none"},
            looser=lambda plan: (*lower, 0),
            patch=patch,
            text=text,
            shown=lambda percents: f"{percents} % left",
        )


def _left_after_loss(fleet: Fleet, rest: Iterable[Candidate], t: int, share: float) -> Terms:
    """What is left as a part of what must be; a unit need not count for more than all of it."""
    terms: Terms = {}
    for k in rest:
        needed = share * fleet.demand(k.workload).peak[t]
        for variable, rate in capacity_terms(fleet, k, t, mix_rate):
            add(terms, variable, rate / needed if k.mode.per_token else min(1.0, rate / needed))
    return terms
