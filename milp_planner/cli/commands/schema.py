"""`milp-planner schema`: the JSON Schema of the problem file."""

from __future__ import annotations

from typing import Any

from milp_planner.cli.parts import exit_codes, streams

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> int:
    """Print the JSON Schema of the problem file."""
    from milp_planner.reporting.documents.json import to_json

    streams.answer(to_json(problem_schema()))
    return exit_codes.FOUND


def problem_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the problem file, with the keys as they are written there."""
    from milp_planner.inputs.problem.records import Problem

    written = Problem.model_json_schema(by_alias=True)
    required = ["schema_version", *written.pop("required", [])]
    return {"$schema": DIALECT, **written, "required": list(dict.fromkeys(required))}
