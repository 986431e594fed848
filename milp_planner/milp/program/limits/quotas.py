"""Units and GPUs that can be had, over all workloads, at any time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from fnmatch import fnmatchcase

from milp_planner.candidates.filters import is_meant
from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.candidates.sharing.shared_units import unit_of
from milp_planner.inputs.catalog.records import Offering
from milp_planner.inputs.problem.records import GpuLimits, Problem
from milp_planner.milp.program.language.loosening import SteppedLimit, counted_limit
from milp_planner.milp.program.language.rows import LE, Row, count_terms, distinct, most_at_once
from milp_planner.milp.program.language.rule import FREE, Rule, Standing
from milp_planner.milp.program.language.variables import Fleet
from milp_planner.plans.records import Plan, exceeds

Weight = Callable[[Candidate], float]
Group = tuple[str, Weight, float]
"""(what is limited, weight of a unit, limit)."""


class Quotas(Rule):
    """Units and GPUs that can be had, over all workloads, at any time.

        Σ_{k ∈ group} (m_k or g_k) n_kt ≤ limit      ∀ group, t      [units or GPUs]

    m_k is 1, or the units of an offering that are joined to one of `k`.

    Groups: an offering with its own `max_units`, a pattern of `limits.max_units` (in units), a
    provider, a GPU type, or all (in GPUs). A pattern limits all that it matches together.
    """

    keys = frozenset(
        (
            *("limits.max_units", "limits.max_gpus.total"),
            *("limits.max_gpus.per_provider", "limits.max_gpus.per_gpu"),
        )
    )
    always = True  # an offering may say how many units there are
    nearness = 80
    solved_apart = True

    def rows(self, fleet: Fleet) -> Iterator[Row]:
        rentable = fleet.rentable
        for name, weight, limit in quota_groups(rentable, fleet.problem):
            weighted = [(k, weight(k)) for k in rentable if weight(k)]
            yield from distinct(
                Row(f"{name} {t}", terms, LE, limit)
                for t in range(len(fleet.blocks))
                if (terms := count_terms(fleet, weighted, t))
            )

    def violations(self, instance: PlanningInput, plan: Plan) -> Iterator[str]:
        rented = [*plan.rented]
        bought = [p.candidate for p in rented]
        for name, weight, limit in quota_groups(bought, instance.problem):
            pairs = [(p, weight(p.candidate)) for p in rented]
            used = most_at_once(pairs, len(plan.blocks))
            if exceeds(used, limit):
                yield f"{name}: {used:g} in use, more than {limit:g}"

    def standing(self, instance: PlanningInput, k: Candidate) -> Standing:
        """Less of every quota; a unit of few replaces nothing else.

        Replicas on shared units take none: the units do.
        """
        if k.part_of_unit:
            return FREE
        uses = tuple(weight(k) for _, weight, _ in user_quotas(instance.problem))
        is_few = getattr(k.offering, "max_units", None) is not None
        return Standing(uses=uses, stock=k.offering.key if is_few else None)

    def is_unbounded(self, instance: PlanningInput) -> bool:
        return False

    def leaves(self, instance: PlanningInput, k: Candidate) -> float:
        """The least that any quota leaves of `k` alone."""
        groups = quota_groups([k], instance.problem)
        rented, each = unit_of(k), 1
        if k.part_of_unit:
            each = rented.gpus_per_unit // k.gpus_per_unit
        return min(
            (each * limit / weight(rented) for _, weight, limit in groups if weight(rented)),
            default=float("inf"),
        )

    def loosened(self, instance: PlanningInput) -> Iterator[SteppedLimit]:
        for name, weight, limit in user_quotas(instance.problem):
            yield _loosened(name, weight, int(limit))


def quota_groups(candidates: Iterable[Candidate], problem: Problem) -> Iterator[Group]:
    """Every quota in force, in a fixed order."""
    yield from user_quotas(problem)
    stocked = {
        k.offering.key: k.offering.max_units
        for k in candidates
        if isinstance(k.offering, Offering) and k.offering.max_units is not None
    }
    for key, limit in sorted(stocked.items()):
        yield f"units of {' '.join(key)}", _units_with_key(key), limit


def user_quotas(problem: Problem) -> Iterator[Group]:
    """The quotas that the problem states."""
    gpus = problem.limits.max_gpus
    if gpus.total is not None:
        yield "max_gpus.total", lambda k: k.gpus_per_unit, gpus.total
    for provider, limit in sorted(gpus.per_provider.items()):
        yield f"max_gpus.per_provider {provider}", _gpus_of("provider", provider), limit
    for gpu, limit in sorted(gpus.per_gpu.items()):
        yield f"max_gpus.per_gpu {gpu}", _gpus_of("gpu", gpu), limit
    for pattern, limit in sorted(problem.limits.max_units.items()):
        yield f"max_units {pattern}", _units_of(pattern), limit


def _gpus_of(attribute: str, pattern: str) -> Weight:
    return lambda k: k.gpus_per_unit if fnmatchcase(getattr(k, attribute), pattern) else 0


def _units_of(pattern: str) -> Weight:
    return lambda k: (
        k.units_joined if not k.mode.per_token and is_meant("offerings", pattern, k.offering) else 0
    )


def _units_with_key(key: tuple[str, str]) -> Weight:
    return lambda k: k.units_joined if k.offering.key == key else 0


# ---- only some of them


def with_quotas(instance: PlanningInput, names: Iterable[str]) -> PlanningInput:
    """`instance` with only the quotas of these names in force."""
    kept = set(names)
    limits = instance.problem.limits
    gpus = limits.max_gpus
    update = {
        "max_gpus": GpuLimits(
            total=gpus.total if "max_gpus.total" in kept else None,
            per_provider=_only(gpus.per_provider, "max_gpus.per_provider", kept),
            per_gpu=_only(gpus.per_gpu, "max_gpus.per_gpu", kept),
        ),
        "max_units": _only(limits.max_units, "max_units", kept),
    }
    problem = instance.problem.model_copy(update={"limits": limits.model_copy(update=update)})
    return replace(instance, problem=problem)


def _only(quotas: Mapping[str, int], family: str, kept: set[str]) -> dict[str, int]:
    return {name: limit for name, limit in quotas.items() if f"{family} {name}" in kept}


def broken_quotas(problem: Problem, plan: Plan) -> set[str]:
    """Names of the quotas that the plan breaks."""
    return {
        name
        for name, weight, limit in user_quotas(problem)
        if exceeds(
            most_at_once([(p, weight(p.candidate)) for p in plan.rented], len(plan.blocks)),
            limit,
        )
    }


def used_up(problem: Problem, plan: Plan) -> Iterator[str]:
    """The quotas and stocks of which a plan leaves nothing that one more unit could take."""
    rented = [*plan.rented]
    for name, weight, limit in quota_groups((p.candidate for p in rented), problem):
        mine = [(p, weight(p.candidate)) for p in rented if weight(p.candidate)]
        used = most_at_once(mine, len(plan.blocks))
        if mine and used + min(one for _, one in mine) > limit:
            yield f"{name} ({used:g} of {limit:g})"


# ---- loosened


def _loosened(name: str, weight: Weight, limit: int) -> SteppedLimit:
    key, _, pattern = name.partition(" ")

    def used(plan: Plan) -> int:
        pairs = [(p, weight(p.candidate)) for p in plan.rented]
        return int(most_at_once(pairs, len(plan.blocks)))

    return counted_limit(
        f"limits.{key}" + (f".{pattern}" if pattern else ""),
        limit,
        "unit" if key == "max_units" else "GPU",
        used,
        lambda n: f"allow {_more(key, pattern, n - limit)} ({n} in all)",
        is_quota=True,
    )


def _more(key: str, pattern: str, n: int) -> str:
    """`2 more h100-80gb-sxm`, `2 more GPUs at aws`, `1 more unit of runpod/...`."""
    gpus = f"{n} more GPU{'s' * (n > 1)}"
    return {
        "max_gpus.per_gpu": f"{n} more {pattern}",
        "max_gpus.per_provider": f"{gpus} at {pattern}",
        "max_units": f"{n} more unit{'s' * (n > 1)} of {pattern}",
    }.get(key, gpus)
