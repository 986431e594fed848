"""Checks a problem's names against a catalog, and lists what could serve it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase

from milp_planner.errors import Fault, InputError, did_you_mean, nearest
from milp_planner.inputs.catalog import Catalog, Offering, TokenPrice
from milp_planner.inputs.load import located
from milp_planner.inputs.problem import CurrentUnits, Problem, Workload
from milp_planner.serving.candidates import PlanningInput
from milp_planner.serving.listing import list_candidates, raw_rows
from milp_planner.serving.traffic import make_schedule


def prepare(problem: Problem, catalog: Catalog) -> PlanningInput:
    """Blocks, classes and candidates of `problem`; raises InputError for names unknown."""
    faults = [*_workload_faults(problem, catalog), *_limit_faults(problem, catalog)]
    faults += _fleet_faults(problem, catalog)
    if faults:
        raise InputError(located(problem, fault) for fault in faults)
    problem = _with_known_billings(problem, catalog)
    schedule = make_schedule(problem)
    return PlanningInput(problem, schedule, list_candidates(problem, schedule, catalog), catalog)


def _fault(path: str, message: str, hint: str = "") -> Fault:
    return Fault(file="", line=0, column=0, path=path, message=message, hint=hint)


def _workload_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    for i, w in enumerate(problem.workloads):
        llm = catalog.llm(w.llm)
        if llm is None:
            known = [*catalog.llms, *catalog.llm_aliases]
            hint = did_you_mean(w.llm, known, most=2)
            yield _fault(
                f"workloads[{i}].llm", f"{w.llm!r} is not in the catalog {catalog.name!r}{hint}"
            )
            continue
        raw = raw_rows(catalog, llm)
        if not w.classes and not raw:
            yield _fault(
                f"workloads[{i}].requests",
                f"required: {llm.id} is planned from request sizes",
                "write requests: {input_tokens: 1500, output_tokens: 300}",
            )
        if not raw and llm.parameters_b is None:
            yield _fault(
                f"workloads[{i}].llm", f"{llm.id} has no architecture and no raw throughput"
            )
        yield from _precision_faults(i, w, llm.native_precision)


def _precision_faults(i: int, w: Workload, native: str) -> Iterator[Fault]:
    offered = precisions_of(native)
    for precision in w.precision or ():
        if precision not in offered:
            yield _fault(
                f"workloads[{i}].precision",
                f"{precision} is not one of {', '.join(offered)} for {w.llm}",
            )


def precisions_of(native: str) -> tuple[str, ...]:
    """Weight formats an LLM can be served in: its own and those below it in bits."""
    return {
        "bf16": ("bf16", "fp16", "fp8", "nvfp4", "mxfp4", "int4"),
        "fp16": ("bf16", "fp16", "fp8", "nvfp4", "mxfp4", "int4"),
        "fp8": ("bf16", "fp8", "nvfp4", "mxfp4", "int4"),
    }.get(native, ("bf16", native))


def _limit_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    limits = problem.limits
    rows: list[Offering | TokenPrice] = [*catalog.offerings, *catalog.token_prices]
    providers = {row.provider for row in rows}
    regions = {row.region for row in rows}
    ids = {row.id for row in rows}
    gpus = set(catalog.gpus)
    checks = [
        ("limits.providers.allow", "provider", limits.providers.allow, providers),
        ("limits.providers.deny", "provider", limits.providers.deny, providers),
        ("limits.regions.allow", "region", limits.regions.allow, regions),
        ("limits.regions.deny", "region", limits.regions.deny, regions),
        ("limits.gpus.allow", "GPU", limits.gpus.allow, gpus),
        ("limits.gpus.deny", "GPU", limits.gpus.deny, gpus),
        ("limits.offerings.allow", "offering", limits.offerings.allow, ids),
        ("limits.offerings.deny", "offering", limits.offerings.deny, ids),
        ("limits.max_units", "offering", limits.max_units, ids),
        ("limits.max_gpus.per_provider", "provider", limits.max_gpus.per_provider, providers),
        ("limits.max_gpus.per_gpu", "GPU", limits.max_gpus.per_gpu, gpus),
    ]
    for path, kind, patterns, known in checks:
        yield from _unmatched(path, kind, patterns, known, catalog)


def _unmatched(
    path: str, kind: str, patterns: Iterable[str], known: set[str], catalog: Catalog
) -> Iterator[Fault]:
    for pattern in patterns:
        if any(fnmatchcase(name, pattern) for name in known):
            continue
        near = nearest(pattern, known) or [name for name in sorted(known) if pattern in name][:3]
        meant = catalog.gpu_aliases.get(pattern, ()) if kind == "GPU" else ()
        if meant:
            yield _fault(path, f"{pattern!r} is ambiguous; write one of {', '.join(meant)}")
        elif any(mark in pattern for mark in "*?["):
            yield _fault(path, f"{pattern!r} matches none of the {len(known)} {kind}s")
        else:
            closest = f"; closest: {near[0]}" if near else ""
            yield _fault(path, f"no {kind} {pattern!r}{closest}")


def _fleet_faults(problem: Problem, catalog: Catalog) -> Iterator[Fault]:
    billings = _billings(catalog)
    names = {w.name for w in problem.workloads}
    for i, row in enumerate(problem.current_fleet):
        path = f"current_fleet[{i}]"
        if row.workload not in names:
            hint = did_you_mean(row.workload, names)
            yield _fault(f"{path}.workload", f"no workload {row.workload!r}{hint}")
        if row.offering not in billings:
            near = nearest(row.offering, billings)
            closest = f"; closest: {near[0]}" if near else ""
            yield _fault(f"{path}.offering", f"no offering {row.offering!r}{closest}")
        elif _billing_of(row, billings) is None:
            sold = ", ".join(billings[row.offering])
            yield _fault(f"{path}.billing", f"required: {row.offering} is sold as {sold}")


def _billings(catalog: Catalog) -> dict[str, list[str]]:
    billings: dict[str, list[str]] = {}
    for offering in catalog.offerings:
        billings.setdefault(offering.id, []).append(offering.billing)
    return billings


def _billing_of(row: CurrentUnits, billings: dict[str, list[str]]) -> str | None:
    sold = billings[row.offering]
    if row.billing is not None:
        return row.billing if row.billing in sold else None
    if len(sold) == 1:
        return sold[0]
    return "dedicated" if "dedicated" in sold else None


def _with_known_billings(problem: Problem, catalog: Catalog) -> Problem:
    """The problem with every current unit's billing written out."""
    if not problem.current_fleet:
        return problem
    billings = _billings(catalog)
    rows = tuple(
        row.model_copy(update={"billing": _billing_of(row, billings)})
        for row in problem.current_fleet
    )
    return problem.model_copy(update={"current_fleet": rows})
