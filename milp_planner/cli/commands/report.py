"""`milp-planner report`: the decision sheet as one HTML file, to forward and to print."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milp_planner.cli.commands.solve import exit_code
from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.clock import command_began_s
from milp_planner.cli.parts.formats import STDOUT
from milp_planner.cli.parts.loading import inputs_of, read_catalog, read_problem
from milp_planner.cli.parts.parameters import (
    AsOf,
    CatalogName,
    Gap,
    Overlays,
    ProblemFile,
    Quiet,
    Reproducible,
    SolverName,
    TimeLimit,
    choice_of,
)
from milp_planner.cli.runs.sheets import HTML, SheetRun
from milp_planner.deadline import counted_from
from milp_planner.today import day_today

ENDINGS = (".html", ".htm")

ReportFile = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE", help="Write it here, as .html; - is stdout."),
]


def report(
    file: ProblemFile,
    output: ReportFile = STDOUT,
    time_limit: TimeLimit = None,
    gap: Gap = None,
    solver: SolverName = None,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    reproducible: Reproducible = False,
    no_choices: Annotated[
        bool, typer.Option("--no-choices", help="Leave out other choices, which are solved, too.")
    ] = False,
    quiet: Quiet = False,
) -> int:
    """Write the decision sheet as one HTML file, with charts, that prints on one page."""
    began_s = command_began_s()
    written = None if output == STDOUT else output
    if written is not None and written.suffix.lower() not in ENDINGS:
        raise typer.BadParameter(f"--output {output}: a report is HTML; give a name in .html")
    streams.check_output(written, [Path(file)])
    problem = read_problem(file)
    streams.check_output(written, inputs_of(problem, file, catalog, overlay))
    known = read_catalog(problem, file, catalog, overlay, as_of)
    if problem.horizon is not None:
        from milp_planner.cli.runs.months import write_calendar

        with counted_from(began_s):
            code = write_calendar(
                *(problem, known, HTML, written),
                quiet=quiet,
                time_limit_s=time_limit,
                gap=gap,
                solver=choice_of(solver),
                reproducible=reproducible,
            )
        if written is not None and code == exit_codes.FOUND and not quiet:
            streams.tell(f"wrote {written}")
        return code
    run = SheetRun(
        problem=problem,
        catalog=known,
        format_name=HTML,
        output=written,
        with_choices=not no_choices,
        reproducible=reproducible,
        quiet=quiet,
        today=as_of or day_today(),
        time_limit_s=time_limit,
        gap=gap,
        solver=choice_of(solver),
    )
    with counted_from(began_s):
        plan = run.write()
    code = exit_code(plan, gate_failed=False, require_optimal=False)
    if written is not None and not quiet:
        no_plan = "" if code == exit_codes.FOUND else ", which says why there is no plan"
        streams.tell(f"wrote {written}{no_plan}")
    return code
