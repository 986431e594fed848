"""`milp-planner check`: what a problem asks, unsolved."""

from __future__ import annotations

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.loading import prepared
from milp_planner.cli.parts.parameters import (
    AsJson,
    AsOf,
    CatalogName,
    Overlays,
    ProblemFile,
    Quiet,
    TimeLimit,
)


def check(
    file: ProblemFile,
    as_json: AsJson = False,
    time_limit: TimeLimit = None,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """Validate and summarise a problem, without solving."""
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.inputs.summary import (
        summary_dict,
        summary_text,
        without_effect_lines,
        workloads_without_candidates,
    )

    instance = prepared(file, catalog, overlay, as_of, time_limit, quiet)
    streams.warn(without_effect_lines(instance), quiet=quiet)
    streams.answer(to_json(summary_dict(instance)) if as_json else summary_text(instance))
    stranded = workloads_without_candidates(instance)
    for name in stranded:
        streams.tell(f"No plan: nothing that is allowed can serve workload {name!r}.")
        streams.tell(f"  hint: milp-planner candidates {file} --workload {name}")
    if stranded:
        return exit_codes.INFEASIBLE
    return exit_codes.NO_PLAN if instance.candidates.not_reached else exit_codes.FOUND
