"""`milp-planner futures`: a history of traffic becomes futures with probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from milp_planner.cli.parts import exit_codes, streams


def futures(
    history: Annotated[
        Path,
        typer.Argument(
            metavar="HISTORY", help="Counts of requests by the hour, day, week or month."
        ),
    ],
    months: Annotated[int, typer.Option(metavar="N", help="How many months ahead.")] = 6,
    count: Annotated[int, typer.Option(metavar="N", help="How many futures, at most 5.")] = 3,
    time_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where it has no known name.")
    ] = None,
    requests_column: Annotated[
        str | None, typer.Option(metavar="NAME", help="Where it has no known name.")
    ] = None,
    model: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only rows whose column `model` says so.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Write it here, never over a file."),
    ] = None,
) -> int:
    """Continue a history of traffic; write `futures:` and their months, with probabilities to edit.

    Fits level, growth and season, says how far off that was before, and refuses what is too short.
    Needs pip install 'milp-planner[forecast]'.
    """
    from milp_planner.inputs.problem.traffic import TraceColumns
    from milp_planner.reporting.text.inputs.futures import futures_yaml
    from milp_planner.traffic.forecast.futures import futures_from

    columns = TraceColumns(arrival=time_column, requests=requests_column)
    said = futures_yaml(
        futures_from(history, months=months, count=count, columns=columns, model=model)
    )
    if output is None:
        streams.answer(said)
    else:
        streams.write_new_file(str(output), said)
        streams.tell(f"wrote {output}; edit it, then put it into your problem")
    return exit_codes.FOUND
