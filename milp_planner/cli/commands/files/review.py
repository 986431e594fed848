"""`milp-planner review`: a stretch of metrics held against the plan that was made before it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.loading import read_catalog, read_problem
from milp_planner.cli.parts.parameters import AsJson, AsOf, CatalogName, Overlays, Quiet
from milp_planner.cli.parts.values import read_share


def review(
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="What solve --json wrote.")],
    metrics: Annotated[
        Path,
        typer.Argument(metavar="METRICS", help="Answers of Prometheus' query_range, or counts."),
    ],
    workload: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose metrics; needed where there are more.")
    ] = None,
    problem: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What the plan is of: solve for what each costs."),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            parser=read_share, metavar="SHARE", help="How far off still holds; default: 10%."
        ),
    ] = None,
    as_json: AsJson = False,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """Say which assumption of a plan broke, by how much, at what cost; exit 4 where one did."""
    from milp_planner.cli.parts.plan_documents import read_plan_only
    from milp_planner.questions.deployments.review import TOLERANCE
    from milp_planner.questions.deployments.review import review as held_against
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.questions.review import review_text

    made = read_plan_only(plan)
    asked = None if problem is None else read_problem(problem)
    known = (
        None
        if asked is None or problem is None
        else read_catalog(asked, problem, catalog, overlay, as_of)
    )
    with streams.progress(f"reviewing {made.name}", quiet=quiet):
        found = held_against(
            made,
            metrics,
            workload=workload,
            problem=asked,
            catalog=known,
            tolerance=TOLERANCE if tolerance is None else tolerance,
        )
    streams.answer(to_json(found.to_dict()) if as_json else review_text(found))
    return exit_codes.GATE if found.broken else exit_codes.FOUND
