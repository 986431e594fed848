"""When any one provider, region or offering, or all spot, is lost, the rest serves its share."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import pulp

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.problem.patching import Patch
from milp_planner.inputs.problem.records import Survival
from milp_planner.milp.program.language.loosening import SteppedLimit, percent
from milp_planner.milp.program.language.rows import GE, Row
from milp_planner.milp.program.language.rule import Rule, Standing
from milp_planner.milp.program.language.variables import (
    Fleet,
    Terms,
    Weights,
    add,
    ceil_snapped,
)
from milp_planner.plans.losses import SURVIVAL_GROUPS, AfterLoss, losses
from milp_planner.plans.records import Plan, exceeds

FIRST_WEIGHTS = 3
"""Offerings by whose rates the classes are weighed in a fresh program."""


class LossSurvived(Rule):
    """When any one provider, region or offering, or all spot, is lost, the rest serves its share.

    After the loss of group g all that is served is routed again over what is left, units at up to
    100 % utilization. A per-token offering stands by: with one that has no rate limit there is no
    row; else it adds what it serves, x, and this workload's part r of what its limit leaves, the
    same for every workload that may use the account. With one class:

        Σ_{k ∉ g} min(1, μ_k ÷ (σ λ_t)) n_kt + Σ_{k ∉ g, per token} (x_kt + r_kt ÷ λ_t) ÷ σ
            + s_t ≥ 1                                                               ∀ w, g, t
        r_kt = (rate limit of k − Σ_{k of the account} λ_t x_kt) ÷ workloads of the account

    With several, there are such routes if and only if what is left is enough by whatever weights W
    the classes are counted (linear programs are dual, see `candidates/rerouting.py`):

        Σ_{k ∉ g} min(1, max_q (W_q μ_kq ÷ λ_qt) ÷ σ) n_kt
            + Σ_q W_q (Σ_{k ∉ g, per token} x_qkt ÷ σ + s_qt) ≥ 1,   Σ_q W_q = 1      ∀ w, g, t, W

    So no column says who serves whom after a loss. The program starts with the weights by which the
    classes are one unit's work at the cheapest offerings, W_q ~ λ_q ÷ μ_kq, and is refined by those
    by which a plan has too little left, until none has: see `refinement.py`.

    One group alone never does. So with no tokens and nothing that may be left out, and with
    a_k = max_q (W_q μ_kq ÷ λ_qt) ÷ σ, u the highest utilization, r = max(1, 1 ÷ (u σ)) and
    c = max(1, 2 ÷ r),

        Σ_k min(1, c a_k) n_kt ≥ 2                                                   ∀ w, t, W

    in every fleet that survives: two units with c a_k ≥ 1 are enough; beside a single one what the
    other groups have is 1 or more; without any the sum is c Σ a_k n_k ≥ c r ≥ 2. It cuts off none,
    and tightens the linear bound.

    A region is a place with all who are there; where that is not known, one provider's region. What
    a short budget leaves unserved, s, need not survive; batch work waits, and no more is there for
    those who do not.
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
        """What is left after each loss serves its share, by each known weighing of the classes."""
        survival = fleet.problem.limits.survival
        if survival is None:
            return
        group_of = SURVIVAL_GROUPS[survival.kind]
        for w in fleet.problem.workloads:
            if fleet.demand(w.name).can_wait:
                continue
            serving = fleet.serving(w.name)
            every = dict.fromkeys((*first_weights(fleet, w.name), *fleet.weights.get(w.name, ())))
            units_left = _UnitsLeft(fleet, w.name, survival)
            for group in sorted({group_of(k) for k in serving} - {""}):
                tokens = [k for k in serving if k.mode.per_token and group_of(k) != group]
                if any(k.rate_limit is None for k in tokens):
                    continue
                for t in fleet.busy(w.name):
                    for number, weights in enumerate(every):
                        terms, surely = _tokens_left(fleet, tokens, t, survival.share, weights)
                        terms |= units_left.without(group, t, weights)
                        for q, weight in enumerate(weights):
                            if (w.name, q, t) in fleet.shortfalls and weight:
                                terms[fleet.shortfalls[w.name, q, t]] = weight
                        by = f" by weights {number}" if len(weights) > 1 else ""
                        yield Row(f"{w.name} {group} {t}{by}", terms, GE, 1.0 - surely)
            if units_left.all_in_groups:
                for number, weights in enumerate(every):
                    by = f" by weights {number}" if len(weights) > 1 else ""
                    yield from _two_at_least(units_left, weights, by)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        survival = instance.problem.limits.survival
        if survival is None:
            return
        for w in plan.workloads:
            for loss in broken_losses(instance, plan, w.name):
                lost = _lost(survival.kind, loss.lost)
                yield (
                    f"workload {w.name!r} without {lost} keeps {loss.left:g} of "
                    f"{survival.share * loss.served:g} requests/s in block "
                    f"{plan.blocks[loss.block].name}"
                )

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in must be lost together with what it stands for."""
        survival = instance.problem.limits.survival
        return Standing(same=() if survival is None else (SURVIVAL_GROUPS[survival.kind](k),))

    def asks_for(self, fleet: Fleet, k: Candidate) -> int:
        """Alone, and at 100 % utilization, `k` must be able to carry what is left."""
        survival, per_unit = fleet.problem.limits.survival, k.part_requests_per_second
        if survival is None or per_unit <= 0 or fleet.demand(k.workload).can_wait:
            return 0
        return ceil_snapped(fleet.demand(k.workload).highest_peak * survival.share / per_unit)

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        survival = instance.problem.limits.survival
        if survival is not None:
            yield _loosened("limits.survive_loss_of", survival)


def _two_at_least(units_left: _UnitsLeft, weights: Weights, by: str) -> Iterator[Row]:
    """What no group alone can bring, where all that serves is units of some group."""
    fleet, workload = units_left.fleet, units_left.workload
    highest = max(level.ceiling for level in fleet.levels[workload])
    counted = max(1.0, 2 / max(1.0, 1 / (highest * units_left.share)))
    for t in fleet.busy(workload):
        terms = {
            units: min(1.0, counted * part) / 2 for _, units, part in units_left.all(t, weights)
        }
        yield Row(f"{workload} {t}{by} two", terms, GE, 1.0)


def broken_losses(instance: PlanningInput, plan: Plan, workload: str) -> Iterator[AfterLoss]:
    """The losses that leave a workload too little, by more than next to nothing of its peak.

    Where a budget is short, what is served may itself be next to nothing: a solver's tolerance.
    """
    survival, demand = instance.problem.limits.survival, instance.schedule.demands[workload]
    if survival is not None and not demand.can_wait:
        for loss in losses(instance, plan, workload, survival.kind):
            asked = demand.peak[loss.block]
            if exceeds(loss.served / asked, loss.left / survival.share / asked):
                yield loss


def first_weights(fleet: Fleet, workload: str) -> Iterator[Weights]:
    """One unit's work at the cheapest offerings that serve all classes; else each class alone."""
    classes = fleet.demand(workload).classes
    if len(classes) == 1:
        yield (1.0,)
        return
    usd = {
        _work(fleet, k): k.usd_per_hour / k.mix_requests_per_second
        for k in sorted(fleet.gpu_candidates(workload), key=lambda k: -k.usd_per_hour)
        if k.serves_all
    }
    if usd:
        yield from sorted(usd, key=lambda work: (usd[work], work))[:FIRST_WEIGHTS]
    else:
        yield from (tuple(float(i == q) for i in range(len(classes))) for q in range(len(classes)))


def _work(fleet: Fleet, k: Candidate) -> Weights:
    """λ_q ÷ μ_kq by class, as parts of their sum."""
    classes = fleet.demand(k.workload).classes
    work = [q.share / rate for q, rate in zip(classes, k.requests_per_second, strict=True)]
    return tuple(round(part / sum(work), 12) for part in work)


class _UnitsLeft:
    """What units are left of a workload, as a part of what must be; each is counted once."""

    def __init__(self, fleet: Fleet, workload: str, survival: Survival) -> None:
        self.fleet, self.workload, self.share = fleet, workload, survival.share
        self.candidates = fleet.gpu_candidates(workload)
        self.group_of = SURVIVAL_GROUPS[survival.kind]
        self._known: dict[tuple[int, Weights], list[tuple[str, pulp.LpVariable, float]]] = {}

    @property
    def all_in_groups(self) -> bool:
        """True where all that serves, and all is served, is units that may be lost."""
        serving = self.fleet.serving(self.workload)
        may_be_left = any(name == self.workload for name, *_ in self.fleet.shortfalls)
        return not may_be_left and all(self.group_of(k) and not k.mode.per_token for k in serving)

    def all(self, t: int, weights: Weights) -> list[tuple[str, pulp.LpVariable, float]]:
        """(group, units, what one of them is) of every candidate."""
        if (t, weights) not in self._known:
            self._known[t, weights] = list(self._counted(t, weights))
        return self._known[t, weights]

    def without(self, group: str, t: int, weights: Weights) -> Terms:
        """The units of all other groups; one need not count for more than all that must be left."""
        return {units: min(1.0, part) for own, units, part in self.all(t, weights) if own != group}

    def _counted(self, t: int, weights: Weights) -> Iterator[tuple[str, pulp.LpVariable, float]]:
        for k in self.candidates:
            peaks = (self.fleet.peak(k.workload, q, t) for q in range(len(weights)))
            counted = max(
                weight * rate / peak
                for weight, rate, peak in zip(weights, k.requests_per_second, peaks, strict=True)
            )
            for _, units in self.fleet.units_on(k, t):
                yield self.group_of(k), units, counted / self.share


def _tokens_left(
    fleet: Fleet, rest: Iterable[Candidate], t: int, share: float, weights: Weights
) -> tuple[Terms, float]:
    """What per-token offerings serve as a part of what must be left, and what no column says."""
    terms: Terms = {}
    surely = 0.0
    for k in rest:
        assert k.rate_limit is not None
        peaks = [fleet.peak(k.workload, q, t) for q in range(len(weights))]
        of_one = max(weight / peak for weight, peak in zip(weights, peaks, strict=True)) / share
        sharing = _account(fleet, k)
        surely += of_one * k.rate_limit / len(sharing)
        for other in sharing:
            for q in fleet.classes(other.workload):
                if (other, q, t) not in fleet.shares:
                    continue
                gives = weights[q] / share if other is k else 0.0
                takes = of_one * fleet.peak(other.workload, q, t) / len(sharing)
                if not math.isclose(gives, takes, rel_tol=1e-9):
                    add(terms, fleet.shares[other, q, t], gives - takes)
    return terms, surely


def _account(fleet: Fleet, k: Candidate) -> list[Candidate]:
    """The candidates that share the rate limit of `k`, one for each workload."""
    own = k.offering.id, k.rate_limit
    return [other for other in fleet.candidates if (other.offering.id, other.rate_limit) == own]


def _lost(kind: str, name: str) -> str:
    """`provider acme`, `all spot`."""
    return name if kind == "spot" else f"{kind} {name}"


def _loosened(path: str, survival: Survival) -> SteppedLimit:
    kind = survival.kind
    one = {"offering": "an offering", "spot": "all spot"}.get(kind, f"a {kind}")
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

    return SteppedLimit(
        path,
        f"{kind}{share}",
        {path: "none"},
        looser=lambda plan: (*lower, 0),
        patch=patch,
        text=text,
        shown=lambda percents: f"{percents} % left",
    )
