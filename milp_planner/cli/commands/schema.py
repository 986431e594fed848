"""`milp-planner schema`: the JSON Schema of the problem file."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any

import typer

from milp_planner.cli.parts import exit_codes, streams

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class Schema(StrEnum):
    """What has a schema."""

    PROBLEM = "problem"
    PLAN = "plan"
    SHEET = "sheet"
    CALENDAR = "calendar"


def schema(
    of: Annotated[Schema, typer.Option("--of", help="The problem file, or a document.")] = (
        Schema.PROBLEM
    ),
) -> int:
    """Print the JSON Schema of the problem file."""
    from milp_planner.plans.calendars.documents import calendar_schema
    from milp_planner.plans.document import plan_schema
    from milp_planner.plans.sheet.records import sheet_schema
    from milp_planner.reporting.documents.json import to_json

    schemas = {
        Schema.PROBLEM: problem_schema,
        Schema.PLAN: plan_schema,
        Schema.SHEET: sheet_schema,
        Schema.CALENDAR: calendar_schema,
    }
    streams.answer(to_json(schemas[of]()))
    return exit_codes.FOUND


def problem_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of the problem file, with the keys as they are written there."""
    from milp_planner.inputs.problem.records import Problem

    written = Problem.model_json_schema(by_alias=True)
    required = ["schema_version", *written.pop("required", [])]
    return {"$schema": DIALECT, **written, "required": list(dict.fromkeys(required))}
