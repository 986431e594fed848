"""The arguments and options of the commands. To add one, name it here and take it in a command."""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from milp_planner.cli.parts.values import (
    read_alternatives,
    read_date,
    read_days,
    read_duration_s,
    read_gap,
    read_jobs,
    read_usd,
)

if TYPE_CHECKING:
    from milp_planner.solving.checks.arguments import SolverChoice


class DifferBy(StrEnum):
    """What must differ between alternatives."""

    COUNTS = "counts"
    OFFERINGS = "offerings"
    PROVIDERS = "providers"
    GPUS = "gpus"


class Solver(StrEnum):
    """Which engines solve."""

    BOTH = "both"
    CBC = "cbc"
    HIGHS = "highs"


def choice_of(solver: Solver | None) -> SolverChoice | None:
    """The engines as `solve` takes them: each member is the text that it stands for."""
    return cast("SolverChoice | None", solver)


ProblemFile = Annotated[
    str, typer.Argument(metavar="FILE", help="The problem; - reads standard input.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
CatalogName = Annotated[
    str | None,
    typer.Option("--catalog", metavar="NAME", help="A shipped catalog, or a folder."),
]
Overlays = Annotated[
    list[Path] | None,
    typer.Option(
        "--overlay", metavar="FOLDER", help="Rows that replace the catalog's; may be repeated."
    ),
]
AsOf = Annotated[
    date | None,
    typer.Option(
        parser=read_date, metavar="DATE", help="The day to take for today, such as 2026-08-31."
    ),
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No warnings and no progress.")]

FormatName = Annotated[
    str | None,
    typer.Option(
        "--format", "-f", metavar="FORMAT", help="text, json or csv; default: by --output."
    ),
]
PlanFormatName = Annotated[
    str | None,
    typer.Option(
        "--format",
        "-f",
        metavar="FORMAT",
        help="sheet, markdown, sheet-json, text, json or csv; default: by --output, else sheet.",
    ),
]
Output = Annotated[
    Path | None,
    typer.Option(
        "--output", "-o", metavar="FILE", help="Write it here, as its ending says; - is stdout."
    ),
]
TimeLimit = Annotated[
    float | None,
    typer.Option(parser=read_duration_s, metavar="TIME", help="Stop after, e.g. 60s."),
]
Gap = Annotated[
    float | None, typer.Option(parser=read_gap, metavar="SHARE", help="Good enough, e.g. 1%.")
]
AlternativesCount = Annotated[
    int | None,
    typer.Option(parser=read_alternatives, metavar="N", help="Next-best plans to look for."),
]
Difference = Annotated[DifferBy | None, typer.Option(help="What must differ between alternatives.")]
PerWorkload = Annotated[
    bool, typer.Option("--per-workload", help="Alternatives must differ for each workload.")
]
SolverName = Annotated[
    Solver | None, typer.Option(help="Which engines; default: both, one certifies the other.")
]
MaxCost = Annotated[
    float | None,
    typer.Option(parser=read_usd, metavar="USD", help="Exit 4 above this cost per month."),
]
MaxPriceAge = Annotated[
    float | None,
    typer.Option(parser=read_days, metavar="DAYS", help="Exit 4 on older prices, e.g. 60d."),
]
FailOnEstimates = Annotated[
    bool, typer.Option("--fail-on-estimates", help="Exit 4 if a rate used is not measured.")
]
RequireOptimal = Annotated[
    bool, typer.Option("--require-optimal", help="Exit 5 if stopped before the proof.")
]
CurrentPlan = Annotated[
    str | None,
    typer.Option(
        "--current", metavar="PLAN", help="What runs today, as an earlier --json: current_fleet."
    ),
]
Reproducible = Annotated[
    bool,
    typer.Option(
        "--reproducible", help="Leave out seconds, wait for both engines: equal bytes every time."
    ),
]
Jobs = Annotated[
    int, typer.Option(parser=read_jobs, metavar="N", help="How many are solved at the same time.")
]
Where = Annotated[
    str,
    typer.Option(
        "--executor",
        metavar="WHERE",
        help="threads, processes, dask://HOST:PORT or ray://HOST:PORT.",
    ),
]
