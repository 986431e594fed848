"""`milp-planner check` and `options`: what a problem asks and what could serve it, unsolved."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from pathlib import Path
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

if TYPE_CHECKING:
    from milp_planner.candidates.records import PlanningInput


def check(
    file: ProblemFile,
    as_json: AsJson = False,
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
        workloads_without_candidates,
    )

    instance = _prepared(file, catalog, overlay, as_of, quiet)
    streams.answer(to_json(summary_dict(instance)) if as_json else summary_text(instance))
    stranded = workloads_without_candidates(instance)
    for name in stranded:
        streams.tell(f"No plan: nothing that is allowed can serve workload {name!r}.")
        streams.tell(f"  hint: milp-planner options {file} --workload {name}")
    return exit_codes.INFEASIBLE if stranded else exit_codes.FOUND


def options(
    file: ProblemFile,
    workload: Annotated[
        list[str] | None, typer.Option("--workload", "-w", help="Only this one; may be repeated.")
    ] = None,
    everything: Annotated[
        bool, typer.Option("--all", help="Every candidate and every offering turned down.")
    ] = False,
    as_json: AsJson = False,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """List what could serve each workload, and why the rest cannot."""
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.inputs.candidates import options_dict, options_text

    instance = _prepared(file, catalog, overlay, as_of, quiet)
    names = workload or ()
    _check_workloads(instance, names)
    streams.answer(
        to_json(options_dict(instance, names))
        if as_json
        else options_text(instance, names, everything=everything)
    )
    return exit_codes.FOUND


def _prepared(
    file: str,
    catalog: str | None,
    overlays: Sequence[Path] | None,
    as_of: date | None,
    quiet: bool,
) -> PlanningInput:
    from milp_planner.solving.prepare import prepare

    problem = read_problem(file)
    instance = prepare(problem, read_catalog(problem, file, catalog, overlays, as_of))
    streams.warn(instance.candidates.warnings, quiet=quiet)
    return instance


def _check_workloads(instance: PlanningInput, names: Sequence[str]) -> None:
    from milp_planner.errors import did_you_mean, input_error

    known = [w.name for w in instance.problem.workloads]
    for name in names:
        if name not in known:
            raise input_error(f"--workload: no workload {name!r}{did_you_mean(name, known)}")
