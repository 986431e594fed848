"""`milp-planner traffic`: the blocks, classes and totals that a problem's traffic becomes."""

from __future__ import annotations

from milp_planner.cli.parts import exit_codes, streams
from milp_planner.cli.parts.loading import read_problem
from milp_planner.cli.parts.parameters import AsJson, ProblemFile


def traffic(file: ProblemFile, as_json: AsJson = False) -> int:
    """Show what a trace, profile or pattern becomes: blocks, classes, totals."""
    from milp_planner.reporting.documents.json import to_json
    from milp_planner.reporting.text.inputs.traffic import traffic_dict, traffic_text

    problem = read_problem(file)
    streams.answer(to_json(traffic_dict(problem)) if as_json else traffic_text(problem))
    return exit_codes.FOUND
