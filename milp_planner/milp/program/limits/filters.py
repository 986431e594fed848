"""Which providers, regions, GPU types and offerings may be used at all.

Candidates that a filter rules out never enter the program, so that there are no rows here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from milp_planner.candidates.filters import Sold, is_meant, is_ruled_out, rows_by_name
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
    rows = rows_by_name(catalog, kind)
    said = [f"allow {', '.join(kept.allow)}"] * bool(kept.allow)
    said += [f"deny {', '.join(kept.deny)}"] * bool(kept.deny)

    def used(plan: Plan) -> set[str]:
        bought = (p.candidate for p in plan.purchases)
        return {name_of(k) for k in bought if is_ruled_out(kind, kept, k.offering)}

    return NameLimit(
        path,
        "; ".join(said),
        {f"{path}.allow": [], f"{path}.deny": []},
        uses=used,
        ruled_out=tuple(name for name, mine in rows.items() if _are_ruled_out(kind, kept, mine)),
        allowing=lambda extra: _allowing(kind, kept, set(extra), rows),
    )


def names_in(catalog: Catalog, kind: str) -> list[str]:
    """Every provider, region, GPU type or offering of a catalog, in order."""
    return [*rows_by_name(catalog, kind)]


def _are_ruled_out(kind: str, kept: Filter, rows: Iterable[Sold]) -> bool:
    return any(is_ruled_out(kind, kept, row) for row in rows)


def _allowing(
    kind: str, kept: Filter, extra: set[str], rows: Mapping[str, Sequence[Sold]]
) -> Patch:
    """The filter with more names let through; a pattern that denies one is written out."""

    def meant(pattern: str) -> set[str]:
        return {
            name for name, mine in rows.items() if any(is_meant(kind, pattern, r) for r in mine)
        }

    denied = {pattern: meant(pattern) for pattern in kept.deny}
    hit = [pattern for pattern, names in denied.items() if names & extra]
    wanted = [row for name in extra for row in rows.get(name, ())]
    others = sorted(
        name
        for name in {name for pattern in hit for name in denied[pattern]} - extra
        if not any(is_meant(kind, name, row) for row in wanted)  # aws would deny bedrock as well
    )
    deny = [*(p for p in kept.deny if p not in hit), *others]
    allowed = {name for pattern in kept.allow for name in meant(pattern)}
    allow = [*kept.allow, *sorted(extra - allowed)] if kept.allow else []
    return {f"limits.{kind}.allow": allow, f"limits.{kind}.deny": deny}
