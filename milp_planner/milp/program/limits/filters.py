"""Which providers, regions, GPU types and offerings may be used at all.

Candidates that a filter rules out never enter the program, so that there are no rows here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from fnmatch import fnmatchcase

from milp_planner.candidates.records import Candidate, PlanningInput
from milp_planner.inputs.catalog.records import Catalog
from milp_planner.inputs.problem.patching import Patch
from milp_planner.inputs.problem.records import Filter
from milp_planner.milp.program.language.loosening import NameLimit
from milp_planner.milp.program.language.rule import Preselection
from milp_planner.plans.records import Plan

NAME_OF: dict[str, Callable[[Candidate], str]] = {
    "providers": lambda k: k.provider,
    "regions": lambda k: k.region,
    "gpus": lambda k: k.gpu,
    "offerings": lambda k: k.offering.id,
}


class Filters(Preselection):
    """Only providers, regions, GPU types and offerings that the problem lets through are used."""

    keys = frozenset(f"limits.{kind}.{which}" for kind in NAME_OF for which in ("allow", "deny"))
    nearness = 30

    def loosened(self, instance: PlanningInput) -> Iterator[NameLimit]:
        for kind, name_of in NAME_OF.items():
            kept: Filter = getattr(instance.problem.limits, kind)
            if kept.allow or kept.deny:
                yield _loosened(instance.catalog, kind, kept, name_of)


def _loosened(
    catalog: Catalog, kind: str, kept: Filter, name_of: Callable[[Candidate], str]
) -> NameLimit:
    path = f"limits.{kind}"
    names = names_in(catalog, kind)
    said = [f"allow {', '.join(kept.allow)}"] * bool(kept.allow)
    said += [f"deny {', '.join(kept.deny)}"] * bool(kept.deny)

    def used(plan: Plan) -> set[str]:
        mine = {name_of(p.candidate) for p in plan.purchases} - {""}
        return {name for name in mine if is_ruled_out(kept, name)}

    return NameLimit(
        path,
        "; ".join(said),
        {f"{path}.allow": [], f"{path}.deny": []},
        uses=used,
        ruled_out=tuple(name for name in names if is_ruled_out(kept, name)),
        allowing=lambda extra: _allowing(path, kept, extra, names),
    )


def names_in(catalog: Catalog, kind: str) -> list[str]:
    """Every provider, region, GPU type or offering of a catalog, in order."""
    if kind == "gpus":
        return sorted(catalog.gpus)
    rows = (*catalog.offerings, *catalog.token_prices)
    attribute = {"providers": "provider", "regions": "region", "offerings": "id"}[kind]
    return sorted({getattr(row, attribute) for row in rows})


def is_ruled_out(kept: Filter, name: str) -> bool:
    """True where a filter leaves the name out."""
    if any(fnmatchcase(name, pattern) for pattern in kept.deny):
        return True
    return bool(kept.allow) and not any(fnmatchcase(name, p) for p in kept.allow)


def _allowing(path: str, kept: Filter, extra: Iterable[str], names: Sequence[str]) -> Patch:
    """The filter with more names let through; a pattern that denies one is written out."""
    extra = list(extra)
    hit = [p for p in kept.deny if any(fnmatchcase(name, p) for name in extra)]
    others = [
        name
        for name in names
        if name not in extra and any(fnmatchcase(name, pattern) for pattern in hit)
    ]
    deny = [*(p for p in kept.deny if p not in hit), *others]
    missing = [name for name in extra if not any(fnmatchcase(name, p) for p in kept.allow)]
    allow = [*kept.allow, *missing] if kept.allow else []
    return {f"{path}.allow": allow, f"{path}.deny": deny}
