"""`milp-planner traffic`: the blocks, classes and totals that a problem's traffic becomes."""

from __future__ import annotations

from typing import Annotated

import typer

from milp_planner.cli.parts import bars, exit_codes, streams
from milp_planner.cli.parts.loading import read_catalog, read_problem
from milp_planner.cli.parts.parameters import (
    AsJson,
    AsOf,
    CatalogName,
    Overlays,
    ProblemFile,
    Quiet,
)

Floor = Annotated[
    bool,
    typer.Option(
        "--floor",
        help="Plan it, and add the fewest GPUs that a perfect autoscaler would need.",
    ),
]


def traffic(
    file: ProblemFile,
    floor: Floor = False,
    as_json: AsJson = False,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """Show what a trace, profile or pattern becomes: blocks, classes, totals."""
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.inputs.traffic import traffic_dict, traffic_text

    problem = read_problem(file)
    if not floor:
        with bars.reading(quiet=quiet):
            said = to_json(traffic_dict(problem)) if as_json else traffic_text(problem)
        streams.answer(said)
        return exit_codes.FOUND
    from milp_planner.questions.floor import floor as fewest
    from milp_planner.questions.solve import solve
    from milp_planner.reporting.text.inputs.floor import floor_dict, floor_text

    known = read_catalog(problem, file, catalog, overlay, as_of)
    with streams.progress(f"planning {problem.name}", quiet=quiet):
        plan = solve(problem, known, alternatives=0)
    if not plan.status.has_plan:
        streams.tell("No plan to hold a floor beside; milp-planner solve says why.")
        return exit_codes.INFEASIBLE
    found = fewest(plan, problem)
    if as_json:
        streams.answer(to_json({**traffic_dict(problem), "floor": floor_dict(found)}))
    else:
        streams.answer(f"{traffic_text(problem)}\n{floor_text(found)}")
    return exit_codes.FOUND
