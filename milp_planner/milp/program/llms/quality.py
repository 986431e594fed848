"""Where any of several LLMs may serve a workload, they are as good as asked on average."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.grouping import by_workload
from milp_planner.inputs.problem.deployment import AnyLlm
from milp_planner.inputs.problem.records import Problem, Workload
from milp_planner.milp.program.language.loosening import LimitInForce
from milp_planner.milp.program.language.rows import GE, Row
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import Fleet, Terms
from milp_planner.plans.records import Plan, Route, exceeds

NEGLIGIBLE: Final = 1e-9
"""Part of the largest coefficient of a row below which another is left out, as in `Capacity`."""


class MeanQuality(Rule):
    """The LLMs that serve a workload are as good as asked, on average over its requests.

        Σ_kqt v_qt (Q_k ÷ Q_w − 1) x_qkt ≥ 0        ∀ w that asks for a quality Q_w

    Q_k is what the problem states of the LLM that k serves. Requests that are left unserved have no
    quality. After a loss that is survived any of the LLMs may serve.
    """

    keys = frozenset(("workloads.llm.quality", "workloads.llm.at_least"))
    nearness = 3
    solved_apart = True

    def needs_routes(self, problem: Problem) -> bool:
        """Who serves whom decides how good the answers are."""
        return problem.known_of(problem.workloads, _any_asked)

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        for w in fleet.problem.workloads:
            if asked := _asked(w):
                volume = {
                    (q, t): fleet.volume(w.name, q, t)
                    for q in fleet.classes(w.name)
                    for t in fleet.busy(w.name)
                }
                largest = max(volume.values())
                terms: Terms = {
                    share: volume[q, t] / largest * (quality_of(w, k) / asked - 1)
                    for k in fleet.serving(w.name)
                    for q, t in volume
                    if (share := fleet.shares.get((k, q, t))) is not None
                }
                least = NEGLIGIBLE * max(map(abs, terms.values()), default=0.0)
                kept = {share: part for share, part in terms.items() if abs(part) > least}
                yield Row(f"{w.name}", kept, GE, 0.0)

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        asking = [w for w in instance.problem.workloads if _asked(w)]
        routes = by_workload(plan.routes) if asking else {}
        for w in asking:
            asked, mean = _asked(w), mean_quality(instance, routes.get(w.name, []), w)
            if asked and mean is not None and exceeds(asked / mean, 1.0):
                yield (f"workload {w.name!r} has a mean quality of {mean:.6g}, less than {asked:g}")

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """A stand-in is as good."""
        w = instance.problem.workload(k.workload)
        return Standing(same=(quality_of(w, k),)) if _asked(w) else FREE

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def loosened(self, instance: PlanningInput) -> Iterator[LimitInForce]:
        """Dropped as a whole."""
        for w in instance.problem.workloads:
            if asked := _asked(w):
                path = f"workloads.{w.name}.llm.at_least"
                yield LimitInForce(path, f"{asked:g}", {path: None}, workload=w.name)


def _any_asked(workloads: Iterable[Workload]) -> bool:
    return any(map(_asked, workloads))


def _asked(w: Workload) -> float | None:
    """The quality asked for on average; None where none is."""
    return w.llm.at_least if isinstance(w.llm, AnyLlm) else None


def quality_of(w: Workload, k: Candidate) -> float:
    """What the problem states of the LLM that a candidate serves; 0 where it states nothing."""
    return w.llm.quality.get(k.llm, 0.0) if isinstance(w.llm, AnyLlm) else 0.0


def mean_quality(instance: PlanningInput, routes: Sequence[Route], w: Workload) -> float | None:
    """The mean over the requests that the routes of a workload serve; None where they serve none,
    or nothing is stated."""
    if not isinstance(w.llm, AnyLlm) or not w.llm.quality:
        return None
    served = list(served_by_llm(instance, routes))
    total = sum(requests for _, requests in served)
    if not total:
        return None
    return sum(w.llm.quality.get(llm, 0.0) * requests for llm, requests in served) / total


def served_by_llm(instance: PlanningInput, routes: Sequence[Route]) -> Iterator[tuple[str, float]]:
    """(LLM, what is served of the month) by route."""
    at = {block.name: t for t, block in enumerate(instance.schedule.blocks)}
    for route in routes:
        demand = instance.schedule.demands[route.candidate.workload]
        part = route.request_class.share * route.share
        yield route.candidate.llm, demand.mean[at[route.block.name]] * route.block.hours * part
