"""`milp-planner candidates`: what could serve each workload, and why the rest cannot."""

from __future__ import annotations

from collections.abc import Sequence
from functools import wraps
from typing import TYPE_CHECKING, Annotated, Any

import typer

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
from milp_planner.cli.parts.values import read_duration_s

if TYPE_CHECKING:
    from milp_planner.candidates.records import PlanningInput


Workloads = Annotated[
    list[str] | None, typer.Option("--workload", "-w", help="Only this one; may be repeated.")
]
Everything = Annotated[
    bool, typer.Option("--all", help="Every candidate and every offering turned down.")
]

Wait = Annotated[
    float | None,
    typer.Option(
        parser=read_duration_s,
        metavar="TIME",
        help="A p99 wait, for how full queueing lets the cheapest run; default: 1s.",
    ),
]


def candidates(
    file: ProblemFile,
    workload: Workloads = None,
    everything: Everything = False,
    wait: Wait = None,
    as_json: AsJson = False,
    time_limit: TimeLimit = None,
    as_of: AsOf = None,
    overlay: Overlays = None,
    catalog: CatalogName = None,
    quiet: Quiet = False,
) -> int:
    """List what could serve each workload, and why the rest cannot."""
    from milp_planner.replaying.allowed import WAIT_S
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.inputs.candidates import candidates_dict, candidates_text

    instance = prepared(file, catalog, overlay, as_of, time_limit, quiet)
    names = workload or ()
    _check_workloads(instance, names)
    wait_s = wait or WAIT_S
    streams.answer(
        to_json(candidates_dict(instance, names, wait_s))
        if as_json
        else candidates_text(instance, names, everything=everything, wait_s=wait_s)
    )
    late = instance.candidates.not_reached
    asked = names or [w.name for w in instance.problem.workloads]
    return exit_codes.NO_PLAN if all(name in late for name in asked) else exit_codes.FOUND


@wraps(candidates)
def options(*arguments: Any, **named: Any) -> int:
    streams.warn(["`options` is called `candidates` now"], quiet=named["quiet"])
    return candidates(*arguments, **named)


def _check_workloads(instance: PlanningInput, names: Sequence[str]) -> None:
    from milp_planner.errors import did_you_mean, input_error

    known = [w.name for w in instance.problem.workloads]
    for name in names:
        if name not in known:
            raise input_error(f"--workload: no workload {name!r}{did_you_mean(name, known)}")
