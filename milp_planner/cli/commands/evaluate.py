"""`milp-planner evaluate`: a fleet that the user fixes, priced and judged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.loading import read_catalog, read_problem
from milp_planner.cli.parts.parameters import (
    AsJson,
    AsOf,
    CatalogName,
    Overlays,
    ProblemFile,
    Quiet,
)
from milp_planner.cli.parts.plan_documents import read_plan_only

if TYPE_CHECKING:
    from milp_planner.plans.records import Plan
    from milp_planner.questions import evaluate as judging

PLAN_ENDING = ".json"  # no fleet ends so: it ends in units

FleetText = Annotated[
    str | None,
    typer.Option(
        "--fleet",
        metavar="OFFERING=UNITS,...",
        help="Units by offering, such as runpod/h100/us=3, or a plan's .json; default: today's.",
    ),
]


def evaluate(
    file: ProblemFile,
    fleet: FleetText = None,
    as_json: AsJson = False,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """Price and judge a fleet that you fix: cash, utilization, penalties, limits broken."""
    from milp_planner.plans.sentences import warning_lines
    from milp_planner.questions import evaluate as judging
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.plans.evaluation import evaluation_text

    problem = read_problem(file)
    known = read_catalog(problem, file, catalog, overlay, as_of)
    wanted: Mapping[str, judging.Units] | Plan | None = None
    if fleet is not None:
        is_plan = fleet.endswith(PLAN_ENDING)
        wanted = read_plan_only(fleet) if is_plan else judging.parse_fleet(fleet)
    with streams.progress(f"evaluating {problem.name}", quiet=quiet):
        found = judging.evaluate(problem, wanted, known)
    streams.answer(to_json(found.to_dict()) if as_json else evaluation_text(found))
    streams.warn(warning_lines(found.plan), quiet=quiet)
    return exit_codes.FOUND if found.keeps_all_limits else exit_codes.GATE
