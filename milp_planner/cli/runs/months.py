"""`solve` of a problem with a horizon: a calendar instead of a plan."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from milp_planner.cli.parts import exit_codes, streams

if TYPE_CHECKING:
    from milp_planner.cli.parts.gates import Gates
    from milp_planner.inputs.catalog.records import Catalog
    from milp_planner.inputs.problem.records import Problem
    from milp_planner.solving.checks.arguments import SolverChoice

OF_MONTHS = {
    *("files", "as_json", "format_", "output", "time_limit", "gap", "solver", "as_of", "overlay"),
    *("catalog", "reproducible", "no_choices", "quiet", "max_price_age", "fail_on_estimates"),
}
"""Parameters of `solve` that mean the same over months."""

JSON_FORMATS = ("json", "sheet-json")
TEXT_FORMATS = ("sheet", "text")
HTML = "html"


def check_of_months(context: typer.Context) -> None:
    """Raise BadParameter for an option that is of one month."""
    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        is_given = source is not None and source.name == "COMMANDLINE"
        if is_given and parameter.name not in OF_MONTHS:
            said = f"{parameter.opts[0]} is of one month, and the problem has a horizon"
            raise typer.BadParameter(said)


def write_calendar(
    problem: Problem,
    catalog: Catalog,
    format_name: str,
    output: Path | None,
    *,
    quiet: bool,
    time_limit_s: float | None,
    gap: float | None,
    solver: SolverChoice | None,
    gates: Gates | None = None,
) -> int:
    """Plan the months and write them; the exit code."""
    from milp_planner.questions.months import plan_months
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.html.calendar import calendar_page
    from milp_planner.reporting.text.plans.calendar import calendar_text

    if format_name not in (*JSON_FORMATS, *TEXT_FORMATS, HTML):
        raise typer.BadParameter(f"a calendar is written as text, json or html, not {format_name}")
    with streams.progress(f"planning {problem.name}", quiet=quiet):
        calendar = plan_months(problem, catalog, time_limit_s=time_limit_s, gap=gap, solver=solver)
    if calendar is None:
        streams.tell("No calendar: time was up before there was one; give more --time-limit.")
        return exit_codes.NO_PLAN
    if format_name in JSON_FORMATS:
        said = to_json(calendar.to_dict())
    else:
        said = calendar_page(calendar) if format_name == HTML else calendar_text(calendar)
    if output is None:
        streams.answer(said)
    else:
        streams.write_file(output, said)
    failed = () if gates is None else tuple(gates.failures_of_months(calendar))
    for failure in failed:
        streams.tell(failure)
    return exit_codes.GATE if failed else exit_codes.FOUND
